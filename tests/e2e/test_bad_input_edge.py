"""A node as a process, and somebody who wishes it ill: refused, told why, nothing stored."""

import json
import secrets
import signal
import socket
import sqlite3
import ssl
from contextlib import closing, contextmanager
from uuid import uuid4

import pytest
import trustme

from sync.enrolment import EnrolmentCode
from tests.e2e.hostile import LEAKS, connected, raw, rest, words
from tests.e2e.shops import NOWHERE, Node, copied, stocked

BODY = {
    "till": "K1",
    "cashier": "anna",
    "lines": [{"sku": "MLEKO", "quantity_milli": 2000, "unit_minor": 389}],
    "payments": [{"method": "cash", "amount_minor": 1000}],
}
DELIVERY = {"kind": "goods_received", "lines": [{"sku": "MLEKO", "quantity_milli": 24_000}]}
MIB = 1 << 20


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A node that is not running; copy it."""
    return stocked(tmp_path_factory.mktemp("made") / "node")


@pytest.fixture(scope="module")
def running(launcher, made, tmp_path_factory):
    """One process for all the tests below: it must go on after each."""
    node = copied(launcher, made, tmp_path_factory.mktemp("running") / "node")
    node.sell, node.read = node.token("sell"), node.token("read")
    node.start()
    yield node
    node.stop()


@pytest.fixture
def node(running):
    """The running node; whatever a test does, it must sell afterwards."""
    pid = running.process.pid
    yield running
    assert running.process.pid == pid
    assert running.process.returncode is None
    assert put(running).status == 201


@pytest.fixture
def folder(launcher, made, tmp_path):
    """A node's folder of its own."""
    node = copied(launcher, made, tmp_path / "node")
    yield node
    node.stop()


@contextmanager
def nothing_changes(node):
    before = node.dump()
    yield
    assert node.dump() == before


def put(node, body=BODY, uuid=None, path="sales", **more):
    token = more.pop("token", node.sell)
    return node.ask("PUT", f"/v1/{path}/{uuid or uuid4()}", body, token=token, **more)


def but(**changes):
    return BODY | changes


def line(**changes):
    return but(lines=[BODY["lines"][0] | changes])


def discount(minor):
    return line(discounts=[{"reason": "x", "amount_minor": minor}])


def tendered(minor):
    return but(payments=[BODY["payments"][0] | {"tendered_minor": minor}])


def paid(*payments):
    return but(
        payments=[dict(zip(("method", "amount_minor"), one, strict=True)) for one in payments]
    )


@pytest.mark.parametrize(
    ("body", "where", "value"),
    [
        (b"", "body", ""),
        (b"{", "body", ""),
        (b"not json", "body", ""),
        (b'{"till": "K1",}', "body", "}"),
        (b'{"till": NaN}', "body", "N"),
        (b'{"till": "\xff"}', "body", ""),
        (b'{"till": "\\ud800"}', "body", ""),
        (json.dumps(BODY).encode()[:-1], "body", ""),
        (json.dumps(BODY).encode() + b"{}", "body", ""),
        (json.dumps(BODY).encode("utf-16"), "body", ""),
    ],
)
def test_what_is_no_json_is_told_at_which_byte(node, body, where, value):
    with nothing_changes(node):
        told = put(node, body).problem(400, "byte", "send valid JSON")
    assert told["errors"][0]["where"] == where
    assert value in told["errors"][0]["value"]


def test_json_too_deep_to_read(node):
    for body in (b"[" * 100_000, b'{"till":' * 50_000, b'{"x":' + b"[" * 100_000):
        with nothing_changes(node):
            assert put(node, body).status in (400, 422)


@pytest.mark.parametrize(
    ("body", "where", "value"),
    [
        (None, "body", ""),
        ([], "body", ""),
        ("K1", "body", ""),
        ({}, "till", ""),
        (but(till=7), "till", "7"),
        (but(till=None), "till", ""),
        (but(till="../K1"), "till", "../K1"),
        (but(cashier=""), "cashier", ""),
        (but(cashier="a\u0000b"), "cashier", "a"),
        (but(cashier="x" * 65), "cashier", "x"),
        (but(cassier="anna"), "cassier", "anna"),
        (but(lines={}), "lines", ""),
        (but(lines=[]), "lines", ""),
        (but(lines=[7]), "lines[0]", "7"),
        (but(lines=BODY["lines"] * 1001), "lines", "list of 1001"),
        (line(quantity_milli=0), "lines[0].quantity_milli", "0"),
        (line(quantity_milli=-1), "lines[0].quantity_milli", "-1"),
        (line(quantity_milli=True), "lines[0].quantity_milli", "True"),
        (line(quantity_milli="2000"), "lines[0].quantity_milli", "2000"),
        (line(quantity_milli=0.5), "lines[0].quantity_milli", "0.5"),
        (line(quantity_milli=2**63), "lines[0].quantity_milli", str(2**63)),
        (line(quantity_milli=2**64), "lines[0].quantity_milli", ""),
        (line(unit_minor=-1), "lines[0].unit_minor", "-1"),
        (line(unit_minor=10**11), "lines[0].unit_minor", str(10**11)),
        (line(sku="BRAK"), "lines[0].sku", "BRAK"),
        (line(sku=["MLEKO"]), "lines[0].sku", "list of 1"),
        (discount(0), "lines[0].discounts[0].amount_minor", "0"),
        (discount(779), "lines[0].discounts", "list"),
        (line(age_checked=-18), "lines[0].age_checked", "-18"),
        (but(payments=[]), "payments", "list of 0"),
        (paid(("cash", 777)), "payments", "list of 1"),
        (paid(("card", 779)), "payments", "list of 1"),
        (paid(("card", 700), ("card", 77)), "payments", "list of 2"),
        (paid(("cash", -778)), "payments[0].amount_minor", "-778"),
        (paid(("CASH", 778)), "payments[0].method", "CASH"),
        (tendered(999), "payments[0].tendered_minor", "999"),
        (but(buyer={"nip": "1234563219"}), "buyer.nip", "1234563219"),
        (but(customer="anna"), "customer", "anna"),
        (but(fiscal={"by": "x"}), "fiscal.device", ""),
    ],
)
def test_a_sale_that_cannot_be_names_field_value_and_expectation(node, body, where, value):
    with nothing_changes(node):
        told = put(node, json.dumps(body).encode()).problem(422)
    (mistake,) = told["errors"]
    assert mistake["where"] == where
    assert value in mistake["value"]


def test_a_delivery_that_cannot_be(node):
    for changed, where in (
        ({"kind": "stolen"}, "kind"),
        ({"lines": []}, "lines"),
        ({"lines": [{"sku": "BRAK", "quantity_milli": 1}]}, "lines[0].sku"),
        ({"lines": [{"sku": "MLEKO", "quantity_milli": 0}]}, "lines[0].quantity_milli"),
        ({"lines": [{"sku": "MLEKO", "quantity_milli": -5}]}, "lines[0].quantity_milli"),
    ):
        with nothing_changes(node):
            told = put(node, DELIVERY | changed, path="documents").problem(422)
        assert told["errors"][0]["where"] == where


def test_the_same_again_is_the_same_answer_and_another_body_is_a_conflict(node):
    sale, delivery = uuid4(), uuid4()
    for path, uuid, body, other in (
        ("sales", sale, BODY, but(cashier="ola")),
        ("documents", delivery, DELIVERY, DELIVERY | {"supplier": "Inny"}),
    ):
        first = put(node, body, uuid, path)
        assert first.status == 201
        with nothing_changes(node):
            again = put(node, dict(reversed(body.items())), uuid, path)
            assert (again.status, again.body) == (200, first.body)
            put(node, other, uuid, path).problem(409, uuid, "id of its own")
            again = put(node, body, str(uuid).upper(), path)
            assert (again.status, again.body) == (200, first.body)


def test_an_id_is_one_thing_only(node):
    """A delivery under a sale's id must not touch what is known of the sale."""
    sale, delivery = uuid4(), uuid4()
    first, second = put(node, BODY, sale), put(node, DELIVERY, delivery, "documents")
    with nothing_changes(node):
        put(node, DELIVERY, sale, "documents").problem(409, sale)
        put(node, BODY, delivery).problem(409, delivery)
        assert put(node, BODY, sale).body == first.body
        assert put(node, DELIVERY, delivery, "documents").body == second.body


def test_addresses_that_lead_nowhere(node):
    sell = {"token": node.sell}
    with nothing_changes(node):
        node.ask("PUT", "/v1/sales/1", BODY, **sell).problem(400, "uuid", "1")
        node.ask("GET", "/v1/sales/7B1F0D3E-5F0C-4B0E-9D55", **sell).problem(400, "uuid")
        node.ask("GET", f"/v1/sales/{uuid4()}", **sell).problem(404, "found none")
        node.ask("GET", "/v1/stock/BRAK", **sell).problem(404, "BRAK")
        node.ask("GET", "/v1/stock/" + "x" * 65, **sell).problem(400, "sku")
        node.ask("GET", "/v1/stock/%00%FF%ED%A0%80", **sell).problem(404)
        node.ask("GET", "/v1/tills/T9", **sell).problem(404, "T9")
        node.ask("POST", "/v1/tills/T1/scans", {"code": "4006381333931"}, **sell).problem(404)
        node.ask("POST", "/v1/tills/T1/scans", {"code": ""}, **sell).problem(422, "code")
        node.ask("DELETE", "/v1/sales/x", **sell).problem(405, "GET, PUT")
        for path in ("/v1", "/../../etc/passwd", "/v1/stock/..%2f..%2fnode.key", "/%ff"):
            assert node.ask("GET", path, **sell).problem(404)["detail"]


def test_tokens_absent_wrong_and_too_weak(node):
    unknown = "karb_sell_" + "a" * 32
    with nothing_changes(node):
        for headers in (
            {},
            {"Authorization": ""},
            {"Authorization": "Basic YTpi"},
            {"Authorization": "Bearer"},
            {"Authorization": "Bearer " + unknown},
            {"Authorization": "Bearer " + node.sell[:-1]},
            {"Authorization": "Bearer " + node.sell.upper()},
            {"Authorization": "Bearer " + "x" * 8000},
            {"Authorization": "Bearer karb_root_" + "a" * 32},
            {"Authorization": b"Bearer \xff\xfe"},
            {"Cookie": "karb=" + node.sell, "X-Authorization": "Bearer " + node.sell},
        ):
            refused = put(node, token=None, headers=headers)
            refused.problem(401)
            assert refused.headers["WWW-Authenticate"] == "Bearer"
            assert node.sell[10:-1] not in refused.body.decode()
        assert node.ask("GET", f"/v1/status?token={node.read}").status == 401
        put(node, token=node.read).problem(403, "'read'", "'sell'", "--scope sell")
        node.ask("POST", "/v1/tokens", {"scope": "sell", "name": "x"}, token=node.sell).problem(403)
        node.ask("POST", "/v1/sync", token=node.sell).problem(403)
    assert node.ask("GET", "/v1/status", token=node.read).status == 200


def test_a_body_of_another_kind_or_size(node):
    with nothing_changes(node):
        for kind in ("text/plain", "application/xml", "application/json+x", "", "\xff"):
            put(node, json.dumps(BODY).encode(), headers={"Content-Type": kind}).problem(415)
        put(node, json.dumps(BODY).encode(), kind=False).problem(415, "application/json")
        put(node, BODY, headers={"Content-Encoding": "gzip"}).problem(415, "Content-Encoding")
        big = json.dumps(but(cashier="x" * MIB)).encode()
        put(node, big).problem(413, len(big), "in parts")
        pieces = iter([b'{"till": "'] + [b"x" * 65536] * 40)
        put(node, _Pieces(pieces)).problem(413)


class _Pieces:
    """A body that comes in chunks, its length untold."""

    def __init__(self, pieces):
        self._pieces = pieces

    def read(self, _size=-1):
        return next(self._pieces, b"")


def test_what_is_no_http(node):
    status = "GET /v1/status HTTP/1.1\r\nHost: x\r\n"
    with nothing_changes(node):
        for data in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"\x00" * 1000 + b"\r\n\r\n",
            b"PUT /v1/sales/x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            b"PUT /v1/sales/x HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n",
            b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            status.encode() + b"X: " + b"a" * 70_000 + b"\r\n\r\n",
        ):
            got = raw(node.url, data)
            assert got.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")), got[:200]
            for leak in LEAKS:
                assert leak not in got.decode("latin-1")


def test_error_pages_leak_nothing_and_believe_no_host(node):
    for path in ("/v1/status", "/nowhere", "/healthz"):
        said = node.ask(
            "GET", path, headers={"Host": "evil.example", "Origin": "https://evil.example"}
        )
        text = said.body.decode() + str(said.headers)
        assert said.status == 403, "it may be named in karb.toml"
        assert "evil.example" not in text
        assert "aiohttp" not in text
        assert "Python" not in text
        assert "Access-Control-Allow-Origin" not in said.headers
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
    said = node.ask("OPTIONS", f"/v1/sales/{uuid4()}", headers=asked)
    said.problem(403)
    assert not [name for name in said.headers if name.lower().startswith("access-control")]
    assert put(node, headers={"Expect": "a miracle"}).status == 417


def test_clients_that_are_slow_half_open_or_gone(node):
    head = (
        f"PUT /v1/sales/{uuid4()} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {node.sell}\r\n"
        "Content-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    ).encode()
    with nothing_changes(node):
        links = [socket.create_connection(node.address) for _ in range(100)]
        for n, link in enumerate(links):
            link.sendall((b"", b"PU", head, head + b'{"till":')[n % 4])
        assert node.ask("GET", "/v1/status", token=node.read).status == 200
        for n, link in enumerate(links):
            if n % 3 == 0:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            elif n % 3 == 1:
                link.shutdown(socket.SHUT_WR)
            link.close()
        with connected(node.url) as link:
            link.sendall(head + b"{}")
            link.shutdown(socket.SHUT_WR)
            assert b" 201 " not in rest(link)
        chunked = head.replace(b"Content-Length: 500", b"Transfer-Encoding: chunked")
        assert b" 400 " in raw(node.url, chunked + b"zz\r\n{}\r\n0\r\n\r\n")
        assert node.ask("GET", "/v1/status", token=node.read).status == 200
    assert "Traceback" not in node.process.stderr
    assert "api.failed" not in node.process.stderr


def test_names_are_those_of_the_design(node):
    told = node.ask("GET", "/v1/status", token=node.read).json
    names = ("node", "store", "link", "waiting", "oldest_waiting_s", "version")
    assert set(names) <= told.keys()
    described = node.ask("GET", "/openapi.json")
    assert described.status == 200
    paths = described.json["paths"]
    for method, path in (
        ("put", "/v1/sales/{uuid}"),
        ("get", "/v1/sales/{uuid}"),
        ("get", "/v1/stock/{sku}"),
        ("get", "/v1/status"),
        ("put", "/v1/documents/{uuid}"),
    ):
        assert method in paths[path]
    answers = paths["/v1/sales/{uuid}"]["put"]["responses"]
    assert {"200", "201", "409", "422", "401", "403"} <= answers.keys()
    assert "receipt_number" in put(node).json
    stock = node.ask("GET", "/v1/stock/MLEKO", token=node.read).json
    assert {"sku", "quantity_milli"} <= stock.keys()


def test_secrets_are_hashed_private_and_never_said(node):
    held = node.database.read_bytes() + node.database.with_name("karb.sqlite-wal").read_bytes()
    admin = (node.data / "admin.token").read_text()
    for secret in (node.sell, node.read, admin):
        assert secret.encode() not in held
        assert secret[10:].encode() not in held
        assert secret[10:] not in node.process.stdout + node.process.stderr
    for name in ("node.key", "admin.token", "run.json"):
        assert (node.data / name).stat().st_mode & 0o777 == 0o600
    for command in (("status",), ("status", "--json"), ("journal", "verify", "--json")):
        said = words(node.karb(*command), 0)
        assert "karb_" not in said
        assert "BEGIN" not in said


def test_the_commands_ask_it_and_a_second_one_is_refused(node):
    with nothing_changes(node):
        assert "another karb" in words(node.karb("run", "--listen", "127.0.0.1:0"), 4)
        said = words(node.karb("sync", "now", "--json"), 3)
        assert json.loads(said)["exit"] == 3
        assert "127.0.0.1:9" in said
        assert "0x" not in said
        assert said == words(node.karb("sync", "now", "--json"), 3)
        status = node.ask("GET", "/v1/status", token=node.read).json
        assert (status["link"], "0x" in status["exchange"]["last_error"]) == ("offline", False)
        assert "127.0.0.1:9" in status["exchange"]["last_error"]


# The commands, on folders of their own.


@pytest.mark.parametrize(
    ("command", "code", "say"),
    [
        (("nonsense",), 2, "nonsense"),
        (("run", "--nonsense"), 2, "--nonsense"),
        (("init",), 2, "--central"),
        (("token", "create", "--name", "x"), 2, "--scope"),
        (
            ("token", "create", "--scope", "write", "--name", "x"),
            2,
            "read, sell, print, fiscal, pay",
        ),
        (("token", "create", "--scope", "sell", "--name", "a\nb"), 2, "printable"),
        (("token", "create", "--scope", "sell", "--name", "x" * 65), 2, "64"),
        (("run", "--listen", "8787"), 2, "HOST:PORT"),
        (("run", "--listen", "127.0.0.1:99999"), 2, "HOST:PORT"),
        (("run", "--listen", "0.0.0.0:0"), 2, "--tls-cert"),
        (("run", "--listen", "192.0.2.1:0"), 2, "--tls-cert"),
        (("run", "--listen", "[::]:0"), 2, "--tls-cert"),
        (("run", "--listen", "127.0.0.1:0", "--tls-cert", "x.pem"), 2, "both or neither"),
        (("run", "--listen", "127.0.0.1:0", "--tls-cert", "x", "--tls-key", "y"), 2, "x is no"),
        (("status",), 3, "karb run"),
        (("sync", "now"), 3, "karb run"),
        (("journal", "verify", "--file", "/nowhere/copy"), 1, "no such file"),
        (("init", "--central", NOWHERE, "--code", "x"), 4, "already"),
    ],
)
def test_a_command_used_wrongly_ends_with_its_code(folder, command, code, say):
    with nothing_changes(folder):
        assert say in words(folder.karb(*command), code)
        done = folder.karb(*command, "--json")
        told = json.loads(done.stdout)
        assert (told["exit"], done.returncode) == (code, code)
        assert say in told["error"]
        words(done, code)


@pytest.mark.parametrize(
    ("code", "central", "ends", "say"),
    [
        ("", NOWHERE, 4, "Enrolment code"),
        ("ABCDE-FGHIJ", NOWHERE, 4, "enrol-code"),
        ("A" * 46, NOWHERE, 4, "Enrolment code"),
        ("ą" * 10_000, NOWHERE, 4, "Enrolment code"),
        (None, "http://127.0.0.1:9", 4, "https"),
        (None, "127.0.0.1:9", 4, "https"),
        (None, "https://", 4, "https"),
        (None, "https://127.0.0.1:99999", 4, "https"),
        (None, "https://[::1", 4, "https"),
        (None, NOWHERE, 3, "127.0.0.1:9"),
        (None, "https://no-such-host.invalid", 3, "no-such-host.invalid"),
    ],
)
def test_init_that_cannot_be_leaves_no_node(launcher, tmp_path, code, central, ends, say):
    code = EnrolmentCode(secret=bytes(10), authority=bytes(16)).text if code is None else code
    node = Node(launcher, tmp_path / "new")
    done = node.karb("init", "--central", central, f"--code={code}", "--json")
    said = words(done, ends)
    assert say in json.loads(done.stdout)["error"]
    assert "0x" not in said
    if len(code) > 20:
        assert code not in said
    assert not (node.data / "node.crt").exists()
    assert not (node.data / "node.key").exists()


def test_a_folder_that_was_never_enrolled(launcher, tmp_path):
    for node in (Node(launcher, tmp_path / "none"), Node(launcher, tmp_path)):
        assert "karb init" in words(node.karb("run"), 2)
        assert "karb init" in words(
            node.karb("token", "create", "--scope", "sell", "--name", "x"), 2
        )
        assert "karb.sqlite" in words(node.karb("journal", "verify"), 1)
        words(node.karb("status"), 3)
    assert not list(tmp_path.rglob("karb.sqlite"))
    file = tmp_path / "file"
    file.touch()
    words(Node(launcher, file).karb("run"), 2)
    words(Node(launcher, file).karb("status"), 3)


def test_an_enrolment_that_broke_off_is_no_node(folder):
    (folder.data / "node.crt").unlink()
    assert "karb init" in words(folder.karb("run"), 4)


@pytest.mark.parametrize("how", ["garbage", "header", "schema", "halved", "page"])
def test_a_damaged_database_is_told_plainly_with_its_cure(folder, how):
    content = bytearray(folder.database.read_bytes())
    if how == "garbage":
        content[:] = secrets.token_bytes(len(content))
    elif how == "header":
        content[16:32] = b"\xff" * 16
    elif how == "schema":
        content[100:1024] = b"\xff" * 924
    elif how == "halved":
        del content[len(content) // 2 :]
    elif how == "page":
        content[1024 : 40 * 1024] = b"\xa5" * (39 * 1024)
    folder.database.write_bytes(content)
    done = folder.karb("run", "--listen", "127.0.0.1:0", "--json")
    said = json.loads(done.stdout)
    words(done, 1)
    assert "karb.sqlite" in said["error"]
    assert "backup" in said["error"]
    done = folder.karb("token", "create", "--scope", "sell", "--name", "x", "--json")
    words(done, 1)
    assert "backup" in json.loads(done.stdout)["error"]
    assert folder.database.read_bytes() == bytes(content), "left as it was, for who repairs it"
    words(folder.karb("journal", "verify"), 1)


def test_a_database_that_cannot_be_opened(folder):
    folder.database.with_name("karb.sqlite-wal").mkdir()
    said = words(folder.karb("run", "--listen", "127.0.0.1:0"), 1)
    assert "karb.sqlite" in said
    assert "look at the disk" in said


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_a_lost_database_is_not_taken_for_a_new_shop(folder, how):
    folder.database.unlink()
    if how == "empty":
        folder.database.touch()
    said = words(folder.karb("run", "--listen", "127.0.0.1:0"), 1)
    assert "karb.sqlite" in said
    assert "backup" in said
    assert not folder.database.exists() or not folder.database.stat().st_size


def test_a_database_of_a_newer_program(folder):
    with closing(sqlite3.connect(folder.database)) as db:
        db.execute("PRAGMA user_version = 99")
    with nothing_changes(folder):
        assert "99" in words(folder.karb("run", "--listen", "127.0.0.1:0"), 1)


@pytest.mark.parametrize(("name", "code"), [("node.key", 1), ("karb.toml", 2)])
def test_a_damaged_file_is_named(folder, name, code):
    (folder.data / name).write_bytes(b"\xff\x00rubbish")
    with nothing_changes(folder):
        done = folder.karb("run", "--listen", "127.0.0.1:0", "--json")
        assert name in json.loads(done.stdout)["error"]
        words(done, code)


@pytest.mark.parametrize("name", ["node.crt", "authority.crt"])
def test_without_a_good_certificate_it_sells_and_says_so(folder, name):
    (folder.data / name).write_bytes(b"\xff\x00rubbish")
    folder.sell = folder.token("sell")
    folder.start()
    assert put(folder).status == 201
    done = folder.karb("sync", "now", "--json")
    assert name in json.loads(done.stdout)["error"]
    words(done, 4)
    told = folder.ask("GET", "/v1/status", token=folder.sell).json
    assert told["link"] == "refused"
    assert name in told["exchange"]["last_error"]
    assert "link.bug" not in folder.process.stderr


def test_settings_are_all_checked_at_once(folder):
    (folder.data / "karb.toml").write_text(
        'name = 7\nstore = ""\ncentral = "http://x"\nlisten = "0.0.0.0:1"\nlanguage = "de"\n'
        'pasword = "hunter2"\n[[devices]]\nid = "p"\ndriver = "printer.escpo"\nurl = "tcp:x:1"\n'
        'till = "T9"\n'
    )
    said = words(folder.karb("run"), 2)
    for word in ("name", "store", "https", "de", "pasword", "printer.escpos", "T9", "TLS"):
        assert word in said
    assert "hunter2" not in said


def test_kill_9_in_the_middle_and_the_same_sale_again(folder):
    folder.sell = folder.token("sell")
    folder.start()
    uuid = uuid4()
    first = put(folder, BODY, uuid)
    folder.stop(signal.SIGKILL)
    folder.start()
    again = put(folder, BODY, uuid)
    assert (again.status, again.body) == (200, first.body)
    with connected(folder.url) as link:
        link.sendall(b"PUT /v1/sales/x HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
        assert folder.process.end(seconds=10) == 0


def test_tls_beyond_this_machine(folder, tmp_path):
    authority = trustme.CA()
    served = authority.issue_cert("central.karb", "127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    served.cert_chain_pems[0].write_to_path(cert)
    served.private_key_pem.write_to_path(key)
    folder.sell = folder.token("sell")
    folder.start("--tls-cert", cert, "--tls-key", key)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    assert put(folder, context=context).status == 201
    with nothing_changes(folder):
        assert b"201" not in raw(folder.url, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ssl.SSLError):
            put(folder, context=ssl.create_default_context())
    assert put(folder, context=context).status == 201
