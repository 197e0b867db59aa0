"""Codes and certificates: who gets one, who does not, and what stands in it."""

from datetime import datetime, timedelta

import msgspec
import pytest
from aiohttp import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

import central.nodes.authority as module
from central import orders
from central.ledger.errors import Refused
from central.ledger.tables import CODES, FACTS, NODES
from central.nodes.authority import Authority
from sync.enrolment import EnrolAnswer, EnrolmentCode, EnrolRequest, RenewRequest
from sync.errors import BadIdentity
from sync.identity import judge, node_id, raw_public
from tests.central.machine import ask_enrol, context_for, enrol, request


@given(st.binary(min_size=10, max_size=10), st.binary(min_size=16, max_size=16), st.data())
def test_a_code_survives_being_typed(secret, authority, data):
    code = EnrolmentCode(secret=secret, authority=authority)
    typed = code.text.lower() if data.draw(st.booleans()) else code.text
    typed = typed.replace("-", data.draw(st.sampled_from(["", " ", "-", " - ", "\u2013"])))
    for letter, digit in (("O", "0"), ("I", "1"), ("B", "8")):
        if data.draw(st.booleans()):
            typed = typed.replace(letter, digit).replace(letter.lower(), digit)
    assert EnrolmentCode.parse(f" {typed}\n") == code


@given(st.integers(0, 44), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_a_misread_code_says_so(place, letter):
    text = EnrolmentCode(secret=bytes(range(10)), authority=bytes(range(16))).text.replace("-", "")
    if text[place] == letter or place == 44:
        return
    with pytest.raises(BadIdentity, match="misread"):
        EnrolmentCode.parse(text[:place] + letter + text[place + 1 :])


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text):
    with pytest.raises(BadIdentity, match="enrol-code"):
        EnrolmentCode.parse(text)


async def test_a_node_is_certified_once_and_told_to_its_store(lab):
    machine = await lab.machine()
    certificate = machine.certificate
    identity = judge(certificate, lab.office.authority.certificate, None)
    assert identity.store == "S1"
    assert identity.node == machine.writer.stream.node
    days = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert days.days == 90
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    # Nodes of a store call each other; no name of a host makes one pass for head office.
    assert list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {type(name) for name in names} == {x509.UniformResourceIdentifier}
    assert machine.answer.store_name == "Shop S1"
    assert (machine.answer.zone, machine.answer.currency) == ("Europe/Warsaw", "PLN")
    central = x509.load_pem_x509_certificate(machine.answer.central.encode())
    own = judge(central, lab.office.authority.certificate, None)
    assert (own.store, own.node) == ("", lab.ledger.own.node)
    nodes = await lab.json("/v1/stores")
    assert [s["id"] for s in nodes["stores"]] == ["S1"]
    (row,) = [row for row in await rows(lab, NODES) if row.store == "S1"]
    assert row.subject == identity.node


async def rows(lab, table):

    return await lab.ledger.read(lambda connection: connection.execute(select(table)).all())


async def refused(lab, code, csr, status, words, name="till"):
    before = [await rows(lab, table) for table in (FACTS, CODES, NODES)]
    got, body = await ask_enrol(lab.url, code, csr, name)
    assert got == status, body
    assert words in msgspec.json.decode(body)["detail"]
    assert [await rows(lab, table) for table in (FACTS, CODES, NODES)] == before


async def test_a_code_is_good_once(lab):
    await lab.store()
    code = await lab.code()
    await enrol(lab.url, code, lab.tmp)
    await refused(lab, code, request(Ed25519PrivateKey.generate()), 403, "used already")


async def test_the_same_key_may_ask_again_while_the_code_lasts(lab):
    await lab.store()
    code, key = await lab.code(), Ed25519PrivateKey.generate()
    first = await enrol(lab.url, code, lab.tmp, key=key)
    again = await enrol(lab.url, code, lab.tmp, key=key)
    assert first.writer.stream == again.writer.stream


async def test_an_expired_code_says_so(lab, monkeypatch):
    await lab.store()
    code = await lab.code(minutes=1)
    later = lab.ledger._writer._now_ms() + 61_000
    monkeypatch.setattr(lab.ledger._writer, "_now_ms", lambda: later)
    await refused(lab, code, request(Ed25519PrivateKey.generate()), 403, "expired")


async def test_an_unknown_code_and_bad_requests_change_nothing(lab):
    await lab.store()
    code = await lab.code()
    unknown = lab.office.authority.code(bytes(10)).text
    await refused(lab, unknown, request(Ed25519PrivateKey.generate()), 403, "not one of ours")
    other = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    for key in (other, rsa.generate_private_key(65537, 2048)):
        csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        pem = csr.public_bytes(Encoding.PEM).decode()
        await refused(lab, code, pem, 422, "Ed25519")
    await refused(lab, code, "-----BEGIN NONSENSE-----", 422, "csr")
    good = request(Ed25519PrivateKey.generate())
    spoilt = good[:-60] + ("A" if good[-60] != "A" else "B") + good[-59:]
    await refused(lab, code, spoilt, 422, "csr")
    await enrol(lab.url, code, lab.tmp)  # the code was not spent on any of these


async def test_attempts_are_throttled(lab):
    await lab.store()
    wrong = lab.office.authority.code(bytes(10)).text
    csr = request(Ed25519PrivateKey.generate())
    statuses = [(await ask_enrol(lab.url, wrong, csr))[0] for _ in range(12)]
    assert statuses == [403] * 10 + [429] * 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 422),
        (b'{"secret": 1, "csr": ""}', 422),
        (b'{"secret": "zz", "csr": ""}', 422),
        (b"{" * 70_000, 413),
    ],
)
async def test_malformed_requests_are_problems(lab, body, status):
    answer, got = await lab.ask(
        "POST", "/v1/enrol", data=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status == status, got
    assert answer.content_type == "application/problem+json"
    assert msgspec.json.decode(got)["status"] == status


async def test_a_certificate_is_renewed_for_its_own_key_only(lab):
    machine = await lab.machine()

    async def renew(csr):
        async with (
            machine.client() as client,
            client.post(
                "/v1/renew",
                data=msgspec.json.encode(RenewRequest(csr)),
                headers={"Content-Type": "application/json"},
                server_hostname="central.karb",
            ) as answer,
        ):
            return answer.status, msgspec.json.decode(await answer.read())

    status, body = await renew(request(machine.writer.key))
    assert status == 200
    renewed = x509.load_pem_x509_certificate(body["certificate"].encode())
    assert renewed.serial_number != machine.certificate.serial_number
    judge(renewed, lab.office.authority.certificate, None)
    status, body = await renew(request(Ed25519PrivateKey.generate()))
    assert (status, "new key" in body["detail"]) == (403, True)
    answer, _ = await lab.ask(
        "POST", "/v1/renew", data=b"{}", headers={"Content-Type": "application/json"}
    )
    assert answer.status == 401


async def test_a_revoked_key_never_comes_back(lab):
    key = Ed25519PrivateKey.generate()
    await lab.store()
    machine = await enrol(lab.url, await lab.code(), lab.tmp, key=key)
    node = machine.writer.stream.node.hex()
    assert (await lab.order(orders.NodeRevoke(node[:10], "stolen")))["changed"]
    assert not (await lab.order(orders.NodeRevoke(node, "stolen")))["changed"]
    await refused(lab, await lab.code(), request(key), 403, "revoked")
    await lab.store("S2")
    other = Ed25519PrivateKey.generate()
    await enrol(lab.url, await lab.code("S1"), lab.tmp, key=other)
    await refused(lab, await lab.code("S2"), request(other), 403, "'S1'")


@pytest.mark.parametrize(
    "order",
    [
        orders.EnrolCode("NOPE", 15),
        orders.EnrolCode("S1", 0),
        orders.EnrolCode("S1", 1 << 40),
        orders.StoreAdd("", "x"),
        orders.StoreAdd("a b", "x"),
        orders.StoreAdd("../x", "x"),
        orders.StoreAdd("S2", "  "),
        orders.StoreAdd("S2", "x", zone="Mars/Base"),
        orders.StoreAdd("S2", "x", nip="1234567890"),
        orders.TokenCreate("admin", "x"),
        orders.TokenCreate("read", ""),
        orders.NodeRevoke("", "x"),
        orders.NodeRevoke("abcdef", "x"),
        orders.Backup("/nowhere/at/all.db"),
    ],
)
async def test_orders_that_cannot_be_are_refused(lab, order):
    await lab.store()
    before = [await rows(lab, table) for table in (FACTS, CODES, NODES)]
    with pytest.raises(Refused):
        await lab.order(order)
    assert [await rows(lab, table) for table in (FACTS, CODES, NODES)] == before


async def test_a_store_described_again_is_one_more_fact(lab):
    before = len(await rows(lab, FACTS))
    order = orders.StoreAdd("S1", "Rynek", nip="526-025-02-74", fiscal=True)
    assert (await lab.order(order))["changed"]
    assert not (await lab.order(order))["changed"]
    assert (await lab.order(orders.StoreAdd("S1", "Rynek Główny")))["changed"]
    assert len(await rows(lab, FACTS)) == before + 2
    (store,) = (await lab.json("/v1/stores"))["stores"]
    assert (store["name"], store["taxpayer"], store["fiscal"]) == ("Rynek Główny", "", False)


def test_the_server_certificate_is_made_again_when_it_ages(folder, monkeypatch):
    authority = Authority.load(folder)
    assert not authority.serve(["central.example"])
    assert authority.serve(["central.example", "10.0.0.7"])
    assert not authority.serve(["central.example", "10.0.0.7"])

    class Later(datetime):
        @classmethod
        def now(cls, tz):
            return datetime.now(tz) + timedelta(days=270)

    monkeypatch.setattr(module, "datetime", Later)
    assert authority.serve(["central.example", "10.0.0.7"])
    made = x509.load_pem_x509_certificate(folder.server.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    dns = names.get_values_for_type(x509.DNSName)
    assert dns == ["central.karb", "localhost", "central.example"]
    assert list(map(str, names.get_values_for_type(x509.IPAddress))) == [
        "127.0.0.1",
        "::1",
        "10.0.0.7",
    ]


def test_secrets_are_readable_by_their_owner_only(folder):
    for path in (folder.authority_key, folder.node_key, folder.server):
        assert path.stat().st_mode & 0o777 == 0o600


async def test_other_peoples_certificates_are_refused_in_the_handshake(lab, tmp_path):

    machine = await lab.machine()
    stranger = Authority.create(type(lab.office.authority.folder)(tmp_path))
    csr = x509.load_pem_x509_csr(request(machine.writer.key).encode())

    forged = stranger.node_from(csr, "S1").public_bytes(Encoding.PEM).decode()
    machine.context = context_for(machine.answer.authority, machine.writer.key, forged, tmp_path)
    with pytest.raises((ClientError, OSError)):
        await machine.exchange()


def test_names_are_made_of_keys():
    key = Ed25519PrivateKey.generate()
    assert len(node_id(raw_public(key.public_key()))) == 16
    assert EnrolRequest("", "").name == ""
    assert EnrolAnswer
