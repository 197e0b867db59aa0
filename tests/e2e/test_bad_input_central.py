"""Head office as a process, and somebody who wishes it ill."""

import gzip
import json
import socket
import sqlite3
import ssl
import zlib
from contextlib import closing, contextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from sync.enrolment import EnrolmentCode
from tests.central.machine import request as csr_of
from tests.e2e.hostile import LEAKS, connected, raw, resident_kib, rest, words
from tests.e2e.offices import HeadOffice

CSV = "indeks;nazwa;vat;cena;ean\n1;Żurek;5;5,90;5901234123457\n2;Chleb;5;4,50;\n"
ARTICLE = {"sku": "1", "name": "Żurek", "vat": "5", "price_minor": 590}


@pytest.fixture(scope="module")
def running(launcher, founded, tmp_path_factory):
    """One process for all the tests below: it must go on after each."""
    made = HeadOffice.copy_of(launcher, founded, tmp_path_factory.mktemp("running") / "central")
    made.write, made.read = made.token("write"), made.token("read")
    made.start()
    assert send(made, CSV).status == 200
    yield made
    made.stop()


@pytest.fixture
def head(running):
    """The running head office; whatever a test does, it must answer and write afterwards."""
    pid = running.process.pid
    yield running
    assert running.process.pid == pid
    assert running.process.returncode is None
    assert "Traceback" not in running.process.stderr
    assert send(running, CSV).status == 200


@pytest.fixture
def folder(launcher, founded, tmp_path):
    """A head office's folder of its own, not running."""
    made = HeadOffice.copy_of(launcher, founded, tmp_path / "central")
    yield made
    made.stop()


@contextmanager
def nothing_changes(head):
    before = head.dump()
    yield
    assert head.dump() == before


def send(head, body, kind="text/csv", **more):
    body = body.encode() if isinstance(body, str) else body
    token = more.pop("token", head.write)
    headers = {"Content-Type": kind} | more.pop("headers", {})
    return head.ask("POST", "/v1/catalogue", body, token=token, headers=headers, kind=False, **more)


def row(**changes):
    return json.dumps({"articles": [ARTICLE | changes]})


@pytest.mark.parametrize(
    ("text", "where", "value"),
    [
        (CSV.replace("5,90", "drogo"), "row 2, cena", "drogo"),
        (CSV.replace("5,90", ""), "row 2, cena", ""),
        (CSV.replace("5,90", "0"), "row 2, cena", "0"),
        (CSV.replace("5,90", "-5,90"), "row 2, cena", "-5,90"),
        (CSV.replace("5,90", "5,905"), "row 2, cena", "5,905"),
        (CSV.replace("5,90", "1e3"), "row 2, cena", "1e3"),
        (CSV.replace("5901234123457", "5,90E+12"), "row 2, ean", "5,90E+12"),
        (CSV.replace("5901234123457", "5901234123458"), "row 2, ean", "5901234123458"),
        (CSV.replace("2;Chleb", "5,90E+12;Chleb"), "row 3, indeks", "5,90E+12"),
        (CSV.replace("2;Chleb", "1;Chleb"), "row 3, indeks", "1"),
        (CSV.replace("2;Chleb;", "2;;"), "row 3, nazwa", ""),
        (CSV.replace(";5;4,50", ";24;4,50"), "row 3, vat", "24"),
        (CSV.replace("4,50;", "4,50;;;nadmiar"), "row 3, cell", "nadmiar"),
        (CSV.replace("cena", "cenna"), "row 1", "cenna"),
        (CSV.replace("nazwa;", ""), "row 1", ""),
        (CSV + '3;"Bułka;5;1,00;\n', "row 4", ""),
        (CSV + "3;Bu\0łka;5;1,00;\n", "row 4, nazwa", ""),
        ("", "row 1", ""),
        ("\n\n\n", "row 1", ""),
        ("indeks;nazwa;vat;cena\n", "file", "no article"),
    ],
)
def test_a_bad_row_names_row_value_and_expectation(head, text, where, value):
    with nothing_changes(head):
        told = send(head, text).problem(422)
    assert any(
        mistake["where"].startswith(where) and value in mistake["value"]
        for mistake in told["errors"]
    ), told


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (b"", 422, "JSON"),
        (b"{", 422, "JSON"),
        (b"[" * 100_000, 422, "JSON"),
        (b"null", 422, "articles"),
        (b"[]", 422, "articles"),
        (b"{}", 422, "articles"),
        (b'{"articles": {}}', 422, "list"),
        (b'{"articles": []}', 422, "article"),
        (b'{"articles": [7]}', 422, "object"),
        (b'{"articles": [' + b"[" * 50_000, 422, "JSON"),
        (row(price_minor=0), 422, "price_minor"),
        (row(price_minor=-1), 422, "-1"),
        (row(price_minor=5.9), 422, "5.9"),
        (row(price_minor="5,90"), 422, "5,90"),
        (row(price_minor=True), 422, "price_minor"),
        (row(price_minor=10**30), 422, "price_minor"),
        (row(sku=""), 422, "sku"),
        (row(sku=None), 422, "sku"),
        (row(sku={}), 422, "sku"),
        (row(sku="x" * 41), 422, "40"),
        (row(vat=5), 422, "vat"),
        (row(codes=["5901234123457", 7]), 422, "in quotes"),
        (row(codes="5901234123457"), 422, "codes"),
        (row(prise=1), 422, "prise"),
        (row(effective_from="wczoraj"), 422, "wczoraj"),
        (json.dumps({"articles": [ARTICLE, ARTICLE]}), 422, "row 2"),
    ],
)
def test_a_bad_article_in_json(head, body, status, word):
    with nothing_changes(head):
        send(head, body, "application/json").problem(status, word)


def test_a_catalogue_of_a_hundred_thousand_mistakes_is_told_in_a_page(head):
    text = "indeks;nazwa;vat;cena\n" + "".join(f"{n};A;5;drogo\n" for n in range(20_000))
    with nothing_changes(head):
        told = send(head, text).problem(422, "20000 bad rows")
    assert len(told["errors"]) == 100


def test_catalogues_as_polish_spreadsheets_write_them(head):
    for body, kind in (
        (CSV.encode("cp1250"), "text/csv"),
        (CSV.encode("utf-8-sig"), "text/csv; charset=utf-8"),
        (CSV.replace(";", "\t").encode("cp1250"), "text/csv; charset=windows-1250"),
        (CSV.replace("5,90", '"5,90"').replace("4,50", '"4,50"').replace(";", ","), "text/csv"),
        (CSV.replace("\n", "\r\n"), "application/vnd.ms-excel"),
        (CSV.replace("5,90", "5,90 zł"), "text/csv"),
    ):
        told = send(head, body, kind)
        assert (told.status, told.json["rows"]) == (200, 2), told.body
        assert told.json["articles"] == told.json["prices"] == 0, "the same catalogue each time"


def test_catalogues_of_another_kind_or_size(head):
    with nothing_changes(head):
        for kind in ("", "text/html", "image/png", "text/csv; charset=koi8-r", "\xff"):
            send(head, CSV, kind).problem(415)
        send(head, CSV.encode("utf-16")).problem(422, "UTF-16")
        send(head, b"\xff\x81\x83\x90" * 10).problem(422, "byte")
        send(head, b"\x89PNG\r\n\x1a\n" + bytes(1000)).problem(422)
        send(head, "a" * 200_000).problem(422, "100000")
        send(head, b"x" * ((32 << 20) + 1)).problem(413, "in parts")


def test_a_packed_body_is_no_bomb(head):
    bomb = gzip.compress(bytes(64 << 20), 9)
    before = resident_kib(head.process.pid)
    with nothing_changes(head):
        for path, token in (("/v1/catalogue", head.write), ("/v1/enrol", None), ("/login", None)):
            for packed, coding in ((bomb, "gzip"), (zlib.compress(bytes(64 << 20), 9), "deflate")):
                refused = head.ask(
                    "POST",
                    path,
                    packed,
                    token=token,
                    headers={"Content-Type": "application/json", "Content-Encoding": coding},
                )
                assert refused.status in (400, 403, 413, 415, 422), refused.body
    assert resident_kib(head.process.pid) - before < 48 << 10


def test_tokens_absent_wrong_and_too_weak(head):
    with nothing_changes(head):
        for headers in (
            {},
            {"Authorization": "Basic YTpi"},
            {"Authorization": "Bearer karb_write_" + "a" * 32},
            {"Authorization": "Bearer karb_admin_" + "a" * 32},
            {"Authorization": "Bearer " + head.write[:-1]},
            {"Authorization": "Bearer " + "x" * 8000},
            {"Authorization": b"Bearer \xff"},
            {"Cookie": "karb=" + head.write},
            {"Cookie": "karb=" + "A" * 300},
        ):
            refused = send(head, CSV, token=None, headers=headers)
            refused.problem(401)
            assert refused.headers["WWW-Authenticate"] == "Bearer"
            assert head.write[11:-1] not in refused.body.decode()
            for path in ("stores", "status", "stock", "sales?store=S1", "quarantine"):
                head.ask("GET", f"/v1/{path}", headers=headers).problem(401)
        send(head, CSV, token=head.read).problem(403, "'read'", "'write'", "--scope write")
        order = {"type": "store add", "id": "S9", "name": "x"}
        head.ask("POST", "/v1/orders", order, token=head.write).problem(403)
        head.ask("POST", "/v1/orders", order).problem(401)
        assert head.ask("GET", f"/v1/status?token={head.read}").status == 401


def test_promises_that_cannot_be(head):
    assert head.karb("store", "add", "S7", "--name", "Pusty").returncode == 0
    write = {"token": head.write}
    good = {
        "id": "0b5a7f5e-9d5c-4a86-9f0a-0c2f7a2f4c11",
        "channel": "web",
        "lines": [{"sku": "1", "quantity_milli": 1000}],
        "expires_s": 60,
    }

    def line(**changes):
        return good | {"lines": [good["lines"][0] | changes]}

    with nothing_changes(head):
        for body, status, *words in (
            (b"", 400, "JSON"),
            (b"[" * 100_000, 422),
            ({}, 422, "id"),
            (good | {"id": "0b5a7f5e"}, 422, "id"),
            (good | {"lines": []}, 422, "lines"),
            (good | {"lines": good["lines"] * 201}, 422, "lines"),
            (good | {"expires_s": -1}, 422, "expires_s"),
            (good | {"stores": ["NOPE"]}, 422, "NOPE", "/v1/stores"),
            (good | {"stores": ["../x"]}, 422, "stores"),
            (line(sku="NOPE"), 422, "NOPE", "catalogue"),
            (line(sku="\x1fcoupon\x1f7"), 422),
            (line(quantity_milli=0), 422, "quantity_milli"),
            (line(quantity_milli=-1000), 422, "quantity_milli"),
            (line(quantity_milli=1 << 70), 422, "quantity_milli"),
            (line(quantity_milli="1"), 422, "quantity_milli"),
            (line(quantity_milli=True), 422, "quantity_milli"),
            (line(price=1), 422, "price"),
        ):
            head.ask("POST", "/v1/promises", body, **write).problem(status, *words)
        head.ask("POST", "/v1/promises", b"x" * 300_000, **write).problem(413)
        head.ask("POST", "/v1/promises", good, token=head.read).problem(403)
        head.ask("POST", "/v1/promises", good).problem(401)
        for path in (good["id"], "00000000-0000-0000-0000-000000000000"):
            for end in ("confirm", "release"):
                head.ask("POST", f"/v1/promises/{path}/{end}", **write).problem(404, path)
        head.ask("GET", "/v1/promises/x", **write).problem(400, "UUID")
        for body, status, *words in (
            ({"target": "1", "web_percent": 101}, 422, "web_percent"),
            ({"target": "1", "web_percent": -1}, 422, "web_percent"),
            ({"target": "1", "mode": "free"}, 422, "mode"),
            ({"target": "1", "store": "NOPE"}, 422, "NOPE"),
            ({"target": "NOPE"}, 422, "NOPE"),
            ({"target": "group:NOPE"}, 422, "NOPE"),
        ):
            head.ask("POST", "/v1/stock/policies", body, **write).problem(status, *words)
    # More than there is: nothing is held, and the refusal is counted.
    head.ask("POST", "/v1/promises", good, **write).problem(409, "'1'", "at most 0")
    figures = head.ask("GET", "/v1/promises/figures", **write).json
    assert (figures["refused"], figures["served_elsewhere"]) == (1, 0)


def test_addresses_and_questions_that_lead_nowhere(head):
    read = {"token": head.read}
    with nothing_changes(head):
        head.ask("GET", "/v1/sales", **read).problem(400, "store")
        head.ask("GET", "/v1/sales?store=NOPE", **read).problem(404, "NOPE", "/v1/stores")
        head.ask("GET", "/v1/sales?store=../x", **read).problem(400, "../x")
        head.ask("GET", "/v1/sales?store=%ff%00", **read).problem(400)
        head.ask("GET", "/v1/sales?store=S1&after=%27--", **read).problem(400)
        for limit in ("0", "-1", "1e9", "x", "99999999", "%D9%A3"):
            head.ask("GET", f"/v1/sales?store=S1&limit={limit}", **read).problem(400, "limit")
        head.ask("GET", "/v1/stock?store=NOPE", **read).problem(404)
        head.ask("GET", "/v1/stock?sku=" + "x" * 65, **read).problem(400, "sku")
        head.ask("DELETE", "/v1/stores", **read).problem(405, "GET")
        for path in (
            "/v1",
            "/..%2f..%2fauthority.key",
            "/web/..%2f..%2fauthority.key",
            "/web/x",
            "/%ff",
        ):
            head.ask("GET", path, **read).problem(404)


def test_enrolment_codes_absent_wrong_used_and_expired(head):
    key = Ed25519PrivateKey.generate()

    def enrol(secret, csr=None, **more):
        body = {"secret": secret, "csr": csr or csr_of(key), "name": "x"} | more
        return head.ask("POST", "/v1/enrol", body)

    secret = EnrolmentCode.parse(head.code()).secret.hex()
    another_kind = csr_of_another_kind()
    with nothing_changes(head):
        for body, status in (
            (b"", 400),
            (b"{", 400),
            (b"[]", 422),
            (b"{}", 422),
            (json.dumps({"secret": 7, "csr": "x"}).encode(), 422),
            (b"x" * 70_000, 413),
        ):
            head.ask("POST", "/v1/enrol", body).problem(status)
        head.ask("POST", "/v1/enrol", b"{}", headers={"Content-Type": "text/plain"}).problem(415)
        enrol(secret, "no request").problem(422, "csr")
        enrol(secret, another_kind).problem(422, "Ed25519")
        broken = csr_of(key)[:-60] + csr_of(Ed25519PrivateKey.generate())[-60:]
        enrol(secret, broken).problem(422, "csr")
        enrol("00" * 10).problem(403, "enrol-code")
        enrol("zz").problem(403, "enrol-code")
        head.ask("POST", "/v1/renew", {"csr": csr_of(key)}).problem(401, "certificate")
    # Six failures of this address: a person may still go on.
    assert enrol(secret).status == 200
    with nothing_changes(head):
        told = enrol(secret, csr_of(Ed25519PrivateKey.generate())).problem(403, "used already")
        assert secret not in json.dumps(told)
        for _ in range(10):
            refused = enrol("11" * 10)
        refused.problem(429)
        assert int(refused.headers["Retry-After"]) > 0


def csr_of_another_kind():
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return csr.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def test_an_expired_code_buys_nothing(folder):
    code = folder.code()
    with closing(sqlite3.connect(folder.data / "ledger.db")) as db, db:
        assert db.execute("UPDATE codes SET expires_ms = 1").rowcount == 1
    folder.start()
    body = {
        "secret": EnrolmentCode.parse(code).secret.hex(),
        "csr": csr_of(Ed25519PrivateKey.generate()),
    }
    with nothing_changes(folder):
        folder.ask("POST", "/v1/enrol", body).problem(403, "expired", "enrol-code")


def test_orders_that_are_none(head):
    admin = {"token": (head.data / "admin.token").read_text()}
    with nothing_changes(head):
        for order, status in (
            ({}, 422),
            ({"type": "rm -rf"}, 422),
            ({"type": "store add", "id": "../S", "name": "x"}, 422),
            ({"type": "store add", "id": "S9", "name": ""}, 422),
            ({"type": "store add", "id": "S9", "name": "x", "zone": "../../etc/passwd"}, 422),
            ({"type": "store add", "id": "S9", "name": "x", "nip": "123"}, 422),
            ({"type": "enrol-code", "store": "NOPE"}, 422),
            ({"type": "enrol-code", "store": "S1", "minutes": 0}, 422),
            ({"type": "token create", "scope": "admin", "name": "x"}, 422),
            ({"type": "node revoke", "node": "", "why": "x"}, 422),
            ({"type": "backup", "file": "/nowhere/at/all"}, 422),
        ):
            refused = head.ask("POST", "/v1/orders", order, **admin)
            assert refused.status in (status, 404), (order, refused.body)
            refused.problem(refused.status)


def test_what_is_no_tls_and_no_http(head):
    with nothing_changes(head):
        assert b"200" not in raw(head.url, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        for data in (b"\x16\x03\x01" + bytes(500), b"", b"\x80" * 5000):
            with connected(head.url) as link:
                link.sendall(data)
                link.shutdown(socket.SHUT_WR)
                rest(link)
        for data in (b"GET\r\n\r\n", bytes(1000) + b"\r\n\r\n", b"GET /" + b"a" * 70_000 + b"\r\n"):
            got = raw(head.url, data, head.context)
            assert b" 400 " in got[:20]
            for leak in LEAKS:
                assert leak not in got.decode("latin-1")
        old = ssl.create_default_context(cafile=str(head.data / "authority.pem"))
        old.set_ciphers("AES128-SHA")
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError), connected(head.url, old):
            pass


def test_error_pages_leak_nothing_and_believe_no_host(head):
    for path in ("/v1/status", "/nowhere", "/login", "/", "/healthz"):
        said = head.ask("GET", path, headers={"Host": "evil.example", "Origin": "https://evil"})
        text = said.body.decode() + str(said.headers)
        assert "evil" not in text
        assert "aiohttp" not in text
        assert "Python" not in text
        assert "Access-Control-Allow-Origin" not in said.headers
    asked = {"Origin": "https://evil", "Access-Control-Request-Method": "POST"}
    said = head.ask("OPTIONS", "/v1/catalogue", headers=asked)
    said.problem(405)
    assert not [name for name in said.headers if name.lower().startswith("access-control")]


def test_clients_that_are_slow_half_open_or_gone(head):
    begun = (
        f"POST /v1/catalogue HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {head.write}\r\n"
        "Content-Type: text/csv\r\nContent-Length: 500\r\n\r\nindeks;"
    ).encode()
    with nothing_changes(head):
        links = [socket.create_connection(head.address) for _ in range(60)]
        for n, link in enumerate(links):
            link.sendall((b"", b"\x16\x03", b"GET / HTTP/1.1\r\n")[n % 3])
        inside = [
            head.context.wrap_socket(
                socket.create_connection(head.address), server_hostname="central.karb"
            )
            for _ in range(6)
        ]
        for link in inside:
            link.sendall(begun)
        assert head.ask("GET", "/v1/status", token=head.read).status == 200
        for link in links + inside[:3]:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            link.close()
        for link in inside[3:]:
            link.close()
        assert head.ask("GET", "/v1/status", token=head.read).status == 200
    assert "request failed" not in head.process.stderr


def test_the_form_takes_no_flood_and_no_wrong_token(head):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    with nothing_changes(head):
        before = resident_kib(head.process.pid)
        flood = head.ask("POST", "/login", b"token=" + b"x" * (20 << 20), headers=kind)
        assert flood.status in (403, 413)
        assert resident_kib(head.process.pid) - before < 16 << 10
        refused = head.ask(
            "POST", "/login", f"token={'karb_read_' + 'a' * 32}".encode(), headers=kind
        )
        assert refused.status == 403
        assert "Set-Cookie" not in refused.headers
    entered = head.ask("POST", "/login", f"token={head.read}".encode(), headers=kind)
    assert entered.status == 303
    cookie = entered.headers["Set-Cookie"]
    assert head.read not in cookie
    for word in ("Secure", "HttpOnly", "SameSite=Strict"):
        assert word in cookie


def test_names_are_those_of_the_design(head):
    described = head.ask("GET", "/openapi.json")
    assert described.status == 200
    paths = described.json["paths"]
    for method, path, names in (
        ("get", "/v1/stores", ()),
        ("get", "/v1/status", ()),
        ("get", "/v1/stock", ("store", "sku")),
        ("get", "/v1/sales", ("store", "after")),
        ("post", "/v1/catalogue", ()),
        ("get", "/v1/quarantine", ()),
        ("post", "/v1/promises", ()),
        ("post", "/v1/promises/{id}/confirm", ("id",)),
        ("get", "/v1/exceptions", ()),
    ):
        said = paths[path][method]
        assert set(names) <= {parameter["name"] for parameter in said.get("parameters", ())}
        assert "401" in said["responses"]


def test_secrets_are_hashed_private_and_never_said(head):
    held = b"".join(path.read_bytes() for path in head.data.glob("ledger.db*"))
    admin = (head.data / "admin.token").read_text().strip()
    code = head.code()
    for secret in (head.write, head.read, admin):
        assert secret[11:].encode() not in held
        assert secret[11:] not in head.process.stdout + head.process.stderr
    assert EnrolmentCode.parse(code).secret not in held
    for name in ("authority.key", "node.key", "server.pem", "admin.token"):
        assert (head.data / name).stat().st_mode & 0o777 == 0o600
    assert head.data.stat().st_mode & 0o777 == 0o700
    for command in (("status",), ("node", "list"), ("journal", "verify")):
        said = words(head.karb(*command), 0)
        assert "karb_" not in said
        assert "PRIVATE" not in said


# The commands, on folders of their own.


@pytest.mark.parametrize(
    ("command", "code", "say"),
    [
        (("nonsense",), 2, "nonsense"),
        (("store", "add", "S1"), 2, "--name"),
        (("store", "add", "a/b", "--name", "x"), 4, "a/b"),
        (("store", "add", "S2", "--name", ""), 4, "--name"),
        (("store", "add", "S2", "--name", "x", "--zone", "Mars/Olympus"), 4, "Mars/Olympus"),
        (("store", "add", "S2", "--name", "x", "--nip", "1234563219"), 4, "1234563219"),
        (("enrol-code", "--store", "NOPE"), 4, "NOPE"),
        (("enrol-code", "--store", "S1", "--minutes", "0"), 4, "--minutes"),
        (("enrol-code", "--store", "S1", "--minutes", "soon"), 2, "--minutes"),
        (("token", "create", "--scope", "admin", "--name", "x"), 4, "read, write"),
        (("token", "create", "--scope", "read", "--name", " "), 4, "--name"),
        (("catalogue", "import", "/nowhere.csv"), 2, "/nowhere.csv"),
        (("node", "revoke", "ffff", "--why", "x"), 4, "node list"),
        (("backup", "/nowhere/at/all"), 4, "/nowhere"),
        (("init",), 1, "already"),
        (("init", "--host", "bad host"), 2, "bad host"),
        (("run", "--listen", "8443"), 2, "HOST:PORT"),
        (("run", "--listen", "127.0.0.1:99999"), 2, "HOST:PORT"),
        (("run", "--database", "postgresql://karb:hunter2@db/karb"), 2, "SQLite"),
        (("run", "--database", "nonsense"), 2, "sqlite:"),
    ],
)
def test_a_command_used_wrongly_ends_with_its_code(folder, command, code, say):
    with nothing_changes(folder):
        said = words(folder.karb(*command), code)
        assert say in said
        done = folder.karb(*command, "--json")
        told = json.loads(done.stdout)
        assert say in told["error"]
        assert "hunter2" not in words(done, code) + said


def test_an_import_with_bad_rows_names_them_and_changes_nothing(folder, tmp_path):
    listed = tmp_path / "katalog.csv"
    listed.write_bytes(
        CSV.replace("5901234123457", "5,90E+12").replace("4,50", "0").encode("cp1250")
    )
    with nothing_changes(folder):
        said = words(folder.karb("catalogue", "import", listed), 4)
        for word in ("row 2", "5,90E+12", "text", "row 3", "cena"):
            assert word in said
        (tmp_path / "katalog.json").write_bytes(b"{")
        assert "JSON" in words(folder.karb("catalogue", "import", tmp_path / "katalog.json"), 4)
        words(folder.karb("catalogue", "import", tmp_path), 2)


def test_a_folder_without_a_head_office(launcher, tmp_path):
    for data in (tmp_path / "none", tmp_path):
        empty = HeadOffice(launcher, data)
        assert "karb-central init" in words(empty.karb("status"), 1)
        done = empty.karb("run")
        assert done.returncode in (1, 2)
        assert "karb-central init" in words(done, done.returncode)
        done = empty.karb("status", "--json")
        assert json.loads(done.stdout)["error"]
    assert not list(tmp_path.rglob("ledger.db"))


def test_two_processes_on_one_folder(folder):
    folder.start()
    with nothing_changes(folder):
        assert "in use" in words(folder.karb("run", "--listen", "127.0.0.1:0"), 4)


@pytest.mark.parametrize("how", ["garbage", "header", "schema", "halved", "page", "empty", "gone"])
def test_a_damaged_ledger_is_told_plainly_with_its_cure(folder, how):
    path = folder.data / "ledger.db"
    content = bytearray(path.read_bytes())
    if how == "garbage":
        content[:] = b"\x5a" * len(content)
    elif how == "header":
        content[16:32] = b"\xff" * 16
    elif how == "schema":
        content[100:4096] = b"\xff" * 3996
    elif how == "halved":
        del content[len(content) // 2 :]
    elif how == "page":
        content[4096:] = b"\xa5" * (len(content) - 4096)
    elif how == "empty":
        content.clear()
    path.write_bytes(content)
    if how == "gone":
        path.unlink()
    for command in (("run", "--listen", "127.0.0.1:0"), ("status",)):
        done = folder.karb(*command, "--json")
        words(done, 1)
        said = json.loads(done.stdout)["error"]
        assert "ledger.db" in said
        assert "backup" in said
    if how != "gone":
        assert path.read_bytes() == bytes(content), "left as it was, for who repairs it"


def test_a_ledger_of_a_newer_program(folder):
    with closing(sqlite3.connect(folder.data / "ledger.db")) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    with nothing_changes(folder):
        assert "9999" in words(folder.karb("run", "--listen", "127.0.0.1:0"), 1)
        assert "9999" in words(folder.karb("status"), 1)


@pytest.mark.parametrize("name", ["authority.key", "node.key", "authority.pem", "node.pem"])
def test_a_damaged_key_is_named(folder, name):
    (folder.data / name).write_bytes(b"\xff\x00rubbish")
    with nothing_changes(folder):
        assert name in words(folder.karb("run", "--listen", "127.0.0.1:0"), 1)
        (folder.data / name).unlink()
        assert name in words(folder.karb("run", "--listen", "127.0.0.1:0"), 1)
