"""The exchange against a head office that runs, by a machine that lies, and by one that is none."""

import asyncio
import io
import json
import secrets
import socket
import ssl
import struct
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta

import aiohttp
import msgspec
import pytest
import zstandard
from aiohttp import WSMsgType
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from sync.exchange import wire
from sync.exchange.messages import Ack, Facts, Forked, Hello, Position, Slow, Vector
from sync.exchange.session import Acknowledged, ForkSeen, Received, Resynced
from sync.identity import NODE_URI, STORE_URI, node_id, raw_public
from tests.central.machine import Machine, Writer, context_for, enrol, sale
from tests.e2e.hostile import connected, resident_kib, rest, words
from tests.e2e.offices import HeadOffice
from tests.e2e.shops import Node

BINARY = "application/octet-stream"
MIB = 1 << 20


@pytest.fixture(scope="module")
def running(launcher, founded, tmp_path_factory):
    """One process for all the tests below: it must go on after each."""
    made = HeadOffice.copy_of(launcher, founded, tmp_path_factory.mktemp("running") / "central")
    made.command("store", "add", "S2", "--name", "Obcy")
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def office(running, tmp_path):
    """The running head office; whatever a test does, an honest node must get through after it."""
    honest = await enrolled(running, tmp_path)
    pid, said = running.process.pid, len(running.process.stderr)
    yield running
    assert running.process.pid == pid
    assert running.process.returncode is None
    honest.writer.write(sale())
    status, events, _ = await honest.exchange(honest.writer.batch())
    assert status == 200
    assert events[1].stored == {honest.writer.stream: 1}
    for bug in ("Traceback", "exchange failed", "request failed"):
        assert bug not in running.process.stderr[said:]


@pytest.fixture
async def machine(office, tmp_path):
    """An enrolled machine with two sales, one of which head office has."""
    made = await enrolled(office, tmp_path)
    made.writer.write(sale(number=1))
    status, _, _ = await made.exchange(made.writer.batch())
    assert status == 200
    made.writer.write(sale(number=2))
    return made


async def enrolled(office, tmp, store="S1") -> Machine:
    return await enrol(office.url, office.code(store), tmp, incarnation=secrets.randbits(40))


@contextmanager
def nothing_changes(office):
    before = office.dump()
    yield
    assert office.dump() == before


async def post(machine, data, kind=BINARY):
    async with (
        machine.client() as client,
        client.post(
            "/v1/exchange",
            data=io.BytesIO(data) if isinstance(data, bytes) else data,
            headers={"Content-Type": kind},
            server_hostname="central.karb",
        ) as answer,
    ):
        return answer, await answer.read()


async def refused(office, machine, payloads, status, *words):
    """Have payloads refused in both ways they can come."""
    data = payloads if isinstance(payloads, bytes) else wire.join(payloads)
    with nothing_changes(office):
        answer, body = await post(machine, data)
        assert answer.headers["Content-Type"] == "application/problem+json", (answer.status, words)
        told = json.loads(body)
        assert (answer.status, told["status"]) == (status, status), told
        for word in words:
            assert word in told["detail"], told
        assert "0x" not in told["detail"]
        if not isinstance(payloads, bytes):
            async with live(machine) as socket:
                for payload in payloads:
                    await socket.send_bytes(payload)
                code, reason = await ended(socket)
            assert code in (1002, 1008, 1009), (code, reason)
            for word in words if code != 1009 else ():
                assert word[:40] in reason, (word, reason)


@asynccontextmanager
async def live(machine):
    async with (
        machine.client() as client,
        client.ws_connect("/v1/exchange/live", server_hostname="central.karb") as socket,
    ):
        yield socket


async def ended(socket, seconds=10):
    """Read to the end; return how it was closed."""
    async with asyncio.timeout(seconds):
        while True:
            message = await socket.receive()
            if message.type is WSMsgType.CLOSE:
                return message.data, message.extra
            if message.type in (WSMsgType.CLOSED, WSMsgType.ERROR):
                return socket.close_code, ""


def greeting(machine, **more):
    scopes = more.pop("scopes", ("", "S1"))
    vector = more.pop("vector", ())
    return wire.encode(Hello(1, 1, scopes, (), tuple(vector), None, "hostile", **more))


def batch(machine, **changes):
    """A payload with the machine's second sale, or whatever `changes` make of it."""
    fact = machine.writer.facts[1]
    known = {
        "stream": machine.writer.stream.name(),
        "first": 2,
        "signature": machine.writer.batch(2).signature,
        "hlc_ms": [fact.hlc >> 16],
        "hlc_count": [fact.hlc & 0xFFFF],
        "kind": [fact.kind],
        "version": [fact.version],
        "event": fact.event,
        "body": [fact.body],
    }
    return wire.encode(Facts(**(known | changes)))


async def test_what_is_honest_is_taken(office, machine):
    """The payload all the others below are spoilt copies of."""
    before = office.dump()
    answer, _ = await post(machine, wire.join([greeting(machine), batch(machine)]))
    assert answer.status == 200
    assert len(office.dump()["facts"]) == len(before["facts"]) + 1


async def test_broken_chains_and_bad_signatures(office, machine):
    hello, fact = greeting(machine), machine.writer.facts[1]
    for changes in (
        {"signature": bytes(64)},
        {"signature": b""},
        {"signature": bytes(65)},
        {"body": [fact.body[:-1] + bytes([fact.body[-1] ^ 1])]},
        {"event": secrets.token_bytes(16)},
        {"kind": ["sale.closed"]},
        {"version": [fact.version + 1]},
        {"hlc_ms": [(fact.hlc >> 16) + 1]},
    ):
        await refused(office, machine, [hello, batch(machine, **changes)], 400, "signed")


async def test_fields_out_of_their_bounds(office, machine):
    hello = greeting(machine)
    for changes in (
        {"first": 0},
        {"first": -1},
        {"first": -(2**63)},
        {"hlc_ms": [-1]},
        {"hlc_ms": [2**62]},
        {"hlc_count": [1 << 40]},
        {"hlc_count": [0, 0, 0]},
        {"hlc_ms": []},
        {"hlc_ms": [0] * 1001},
        {"version": [0]},
        {"version": [1 << 20]},
        {"version": []},
        {"kind": [""]},
        {"kind": ["x" * 41]},
        {"kind": ["x" * MIB]},
        {"event": b""},
        {"event": bytes(15)},
        {"body": []},
        {"body": [bytes(256 * 1024 + 1)]},
        {"stream": 0},
        {"stream": -1},
        {"stream": 1 << 40},
        {"stream": b""},
        {"stream": bytes(23)},
        {"stream": bytes(24) + b"\xff"},
        {"stream": b"\xff" * 24},
        {"keys": {b"a": b"b", b"c": b"d"}},
    ):
        await refused(office, machine, [hello, batch(machine, **changes)], 400)


async def test_streams_of_others(office, machine, tmp_path):
    hello = greeting(machine)
    stranger = Writer(Ed25519PrivateKey.generate(), "S1")
    stranger.write(sale())
    wrong = Writer(machine.writer.key, "S2")
    wrong.write(sale())
    everyone = Writer(machine.writer.key, "")
    everyone.write(sale())
    other = await enrolled(office, tmp_path, "S2")
    other.writer.write(sale())
    mine = machine.writer
    for writer, why in (
        (wrong, "'S1' only"),
        (everyone, "'S1' only"),
    ):
        session = machine.session()
        first = session.hello([], None)
        await refused(office, machine, [first, session.send(writer.batch())], 403, why)
    # A stranger's facts are not taken, and do not hold up what else I carry.
    with nothing_changes(office):
        status, events, _ = await machine.exchange(stranger.batch())
        assert status == 200
        assert [event.refused for event in events if isinstance(event, Resynced)] == [
            [stranger.stream]
        ]
    _, events, _ = await machine.exchange(stranger.batch(), mine.batch())
    (stored,) = (event.stored for event in events if isinstance(event, Acknowledged))
    assert stored == {mine.stream: 2}
    # Somebody else's facts may be carried by anyone, but are signed by their author only.
    machine.writer = other.writer
    machine.writer.write(sale())
    stolen = batch(machine, first=1, signature=mine.batch().signature, stream=mine.stream.name())
    machine.writer = mine
    await refused(office, machine, [hello, stolen], 400)
    for scopes in (("S2",), ("", "S1", "S2"), ("*",), ("S1\0",)):
        await refused(office, machine, [greeting(machine, scopes=scopes)], 403, "Scope")
    _, events, _ = await other.exchange()
    assert {event.batch.stream.scope for event in events if isinstance(event, Received)} == {
        "",
        "S2",
    }, "a store is told nothing of another"


async def test_central_s_own_stream_cannot_be_written_by_a_node(office, machine):
    """Its name is no secret; its key is."""
    der = x509.load_pem_x509_certificate((office.data / "node.pem").read_bytes())
    node = node_id(raw_public(der.public_key()))
    for scope in ("", "S1"):
        head = Writer(machine.writer.key, scope)
        head.write(sale())
        fact = head.facts[0]
        name = node + struct.pack(">Q", 5) + scope.encode()
        payload = batch(
            machine,
            stream=name,
            first=1,
            event=fact.event,
            body=[fact.body],
            signature=head.batch().signature,
        )
        await refused(office, machine, [greeting(machine), payload], 400, "signed")


async def test_gaps_forks_and_repeats(office, machine):
    writer = machine.writer
    writer.write(sale(number=3))
    with nothing_changes(office):
        _, events, _ = await machine.exchange(writer.batch(3))
        (gap,) = [event for event in events if isinstance(event, Resynced)]
        assert [head.seq for head in gap.vector.values()] == [1]
        _, events, _ = await machine.exchange(writer.batch(1, 1))
        assert [event.stored for event in events if isinstance(event, Acknowledged)] == [
            {writer.stream: 1}
        ]
        vast = batch(machine, first=2**62)
        answer, _ = await post(machine, wire.join([greeting(machine), vast]))
        assert answer.status == 200
    await machine.exchange(writer.batch(2))
    clone = Writer(writer.key, "S1", writer.incarnation)
    for number in range(1, 5):
        clone.write(sale(("Z", 1000, 1), number=number))
    sales = office.dump()["sales"]
    unsigned = msgspec.structs.replace(clone.batch(), signature=bytes(64))
    session = machine.session()
    await refused(office, machine, [session.hello([], None), session.send(unsigned)], 400, "signed")
    for _ in range(2):
        _, events, _ = await machine.exchange(clone.batch())
        assert [event.seq for event in events if isinstance(event, ForkSeen)] == [1]
        assert office.dump()["sales"] == sales
    # The branch that is here holds, and its newest facts may be nowhere else.
    writer.write(sale(number=4))
    _, events, _ = await machine.exchange(writer.batch(4))
    assert [event.stored for event in events if isinstance(event, Acknowledged)] == [
        {writer.stream: 4}
    ]
    # A clone freezes its stream, never the shop: a new life goes on.
    machine.writer = Writer(writer.key, "S1", writer.incarnation ^ 1)
    machine.writer.write(sale())
    _, events, _ = await machine.exchange(machine.writer.batch())
    assert events[1].stored == {machine.writer.stream: 1}


async def test_what_a_conversation_must_not_begin_or_go_on_with(office, machine):
    hello = greeting(machine)
    ack, vector = wire.encode(Ack(((0, 1),))), wire.encode(Vector(()))
    forked = wire.encode(Forked(machine.writer.stream.name(), 1, b"", b""))
    for payloads in (
        [batch(machine)],
        [ack],
        [vector],
        [forked],
        [wire.encode(Slow(1))],
        [hello, hello],
        [hello, wire.encode(Ack(((1000, 1),)))],
        [hello, wire.encode(Ack(((b"x", 1),)))],
        [hello, wire.encode(Forked(b"x", 1, b"", b""))],
        [hello, wire.encode(Vector((Position(b"x", 1, b""),)))],
        [wire.encode(Hello(2, 9, (), (), ()))],
        [wire.encode(Hello(0, 0, (), (), ()))],
        [greeting(machine, vector=[Position(b"\xff" * 24, 1, b"")])],
        [b""],
        [b"\x00"],
        [b"\x07abc"],
        [b"\x00" + secrets.token_bytes(200)],
        [b"\x01\x20\xff" + bytes(200)],
        [b"\x02" + b"\xfe" * 200],
        [b"\x00" + msgspec.msgpack.encode([99, 1])],
        [b"\x00" + msgspec.msgpack.encode({"a": 1})],
        [b"\x00" + b"\x91" * 100_000 + b"\x01"],
        [hello[:-1]],
        [hello, batch(machine)[:-1]],
    ):
        await refused(office, machine, payloads, 400)


async def test_positions_that_cannot_be_are_taken_for_what_they_are(office, machine):
    """A peer may claim anything of itself; it changes nothing here."""
    name = machine.writer.stream.name()
    with nothing_changes(office):
        for seq in (-1, 0, 2**62, 2**63):
            claim = greeting(machine, vector=[Position(name, seq, b"lie")])
            with suppress(msgspec.ValidationError):
                answer, body = await post(machine, wire.join([claim]))
                assert answer.status in (200, 400), body
        for message in (
            Ack(((0, 2**62),), ((0, -5),)),
            Ack(((0, -(2**63)),)),
            Vector((Position(name, 2**62, b""),)),
            Vector((Position(name, -7, b""),)),
            Forked(b"\0" * 24, 2**62, b"", b""),
            Slow(2**62),
            Slow(-1),
        ):
            answer, body = await post(machine, wire.join([greeting(machine), wire.encode(message)]))
            assert answer.status in (200, 400), body
            async with live(machine) as socket:
                await socket.send_bytes(greeting(machine))
                await socket.send_bytes(wire.encode(message))
                await socket.send_bytes(b"\x07")
                assert (await ended(socket))[0] == 1002


async def test_bodies_empty_truncated_huge_or_of_another_kind(office, machine):
    whole = wire.join([greeting(machine), batch(machine)])
    await refused(office, machine, b"", 400, "greeting")
    for cut in (1, 3, 5, len(whole) // 2, len(whole) - 1):
        await refused(office, machine, whole[:cut], 400, "ut off")
    await refused(office, machine, b"\xff\xff\xff\xff", 413)
    await refused(office, machine, struct.pack(">I", MIB + 1) + bytes(MIB + 1), 413)
    await refused(office, machine, bytes((16 << 20) + 1), 413)
    with nothing_changes(office):
        for kind in ("application/json", "text/plain"):
            answer, _ = await post(machine, whole, kind)
            assert answer.status == 415

        async def endless():
            for _ in range(40):
                yield bytes(MIB)

        with suppress(aiohttp.ClientError):
            answer, _ = await post(machine, endless())
            assert answer.status == 413


def bombs():
    """Payloads of a few bytes that would unpack to gigabytes."""
    plain = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(
            19, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=True
        )
    )
    for kind in (b"\x01", b"\x02"):
        yield "zstd", kind + plain.compress(bytes(64 << 20))
        yield "zstd, vast", kind + b"\xa0" + (1 << 30).to_bytes(4, "little") + bytes(40)
    silent = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(
            19, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=False
        )
    )
    for kind in (b"\x01", b"\x02"):
        yield "zstd, size untold", kind + silent.compress(bytes(64 << 20))
    n = 1000
    leaf, text, steps, record, lists = range(5)
    nested = [leaf, [0]]
    for _ in range(30):
        nested = [lists, [2], nested]
    for name, column in (
        ("one leaf for all", [leaf, ["x" * 900_000]]),
        ("lists of lists of lists", nested),
        ("empty lists", [lists, [3900], [lists, [0], [leaf, []]]]),
        ("records of records", [lists, [1000], [record] + [[record, [leaf, [0]]]] * 1]),
        ("texts that grow", [steps, "", ["x" * 4000]]),
        ("bytes that grow", [steps, b"", [b"x" * 4000]]),
        ("lists that grow", [steps, [], [[0] * 2000]]),
        ("numbers that grow", [steps, 0, [2**63]]),
        ("a text for all", [text, [0], ""]),
        ("negative lengths", [text, [-1], ""]),
        ("lists of negative lengths", [lists, [-1], [leaf, []]]),
        ("deep", _deep(100)),
        ("no kind", [9, []]),
        ("no column", 7),
        ("nothing", []),
    ):
        yield name, (column, n)


def _deep(depth):
    column = [0, [0]]
    for _ in range(depth):
        column = [3, column]
    return column


async def test_decompression_bombs(office, machine):
    hello = greeting(machine)
    for name, bomb in bombs():
        before = resident_kib(office.process.pid)
        began = time.monotonic()
        if isinstance(bomb, bytes):
            await refused(office, machine, [bomb], 400 if "untold" in name else 413)
        else:
            column, n = bomb
            payload = batch(
                machine, hlc_ms=[1] + [0] * (n - 1), event=bytes(16 * n), body=[], column=column
            )
            await refused(office, machine, [hello, payload], 400)
        assert time.monotonic() - began < 10, name
        assert resident_kib(office.process.pid) - before < 96 << 10, name


async def test_garbage_on_the_live_link(office, machine):
    with nothing_changes(office):
        for send, code in (
            (lambda socket: socket.send_str("hello"), 1002),
            (lambda socket: socket.send_str('{"jsonrpc": "2.0"}'), 1002),
            (lambda socket: socket.send_bytes(b""), 1002),
            (lambda socket: socket.send_bytes(secrets.token_bytes(1000)), 1002),
            (lambda socket: socket.send_bytes(bytes(MIB + 1)), 1009),
            (lambda socket: socket._writer.transport.write(b"\xff" * 100), 1002),
            (lambda socket: socket._writer.transport.write(b"\x82\x05ab"), None),
        ):
            for greeted in (False, True):
                async with live(machine) as socket:
                    if greeted:
                        await socket.send_bytes(greeting(machine))
                    sent = send(socket)
                    if sent is not None:
                        await sent
                    if code is None:
                        socket._response.connection.transport.abort()
                    else:
                        assert (await ended(socket))[0] == code
        async with live(machine) as socket:
            await socket.send_bytes(greeting(machine))
            await socket.ping(b"x")
            for _ in range(50):
                await socket.send_bytes(batch(machine, first=5))
            session = machine.session()
            session.hello([], None)
            async with asyncio.timeout(10):
                while not isinstance(session.receive(await socket.receive_bytes()), Resynced):
                    pass


async def test_slow_and_half_open_machines(office, machine):
    head = b"POST /v1/exchange HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
    with nothing_changes(office):
        links = []
        for n in range(12):
            link = machine.context.wrap_socket(
                socket.create_connection(office.address), server_hostname="central.karb"
            )
            link.sendall(head + (b"", b"Content-Length: 500\r\n\r\n\0\0")[n % 2])
            links.append(link)
        status, _, _ = await machine.exchange()
        assert status == 200
        for link in links:
            link.close()
        with connected(office.url, machine.context) as link:
            link.sendall(head + b"Content-Length: 500\r\n\r\n\0\0")
            with suppress(OSError):
                link.unwrap()
        upgrade = b"GET /v1/exchange/live HTTP/1.1\r\nHost: x\r\n\r\n"
        with connected(office.url, machine.context) as link:
            link.sendall(upgrade)
            link.settimeout(5)
            assert b" 400 " in link.recv(4096)


# Who may exchange at all.


def made_by(authority, authority_key, key, store="S1", *, days=1, **more):
    """A node's certificate, by whoever has the key."""
    node = more.get("node", node_id(raw_public(key.public_key())).hex())
    now = datetime.now(UTC)
    names = [NODE_URI + node] + ([STORE_URI + store] if store else [])
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name) for name in names]),
            critical=False,
        )
        .add_extension(  # Python 3.13 refuses a certificate without it in the handshake
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
            critical=False,
        )
    )
    digest = None if isinstance(authority_key, Ed25519PrivateKey) else hashes.SHA256()
    signed = builder.sign(authority_key, digest)
    return signed.public_bytes(Encoding.PEM).decode()


def authority_of(office):
    root = x509.load_pem_x509_certificate((office.data / "authority.pem").read_bytes())
    return root, load_pem_private_key((office.data / "authority.key").read_bytes(), None)


def context(office, tmp_path, key=None, certificate=None):
    return context_for((office.data / "authority.pem").read_text(), key, certificate, tmp_path)


async def tried(office, machine):
    """Try both ways in; return the two statuses and what was said."""
    answer, body = await post(machine, wire.join([greeting(machine)]))
    told = json.loads(body) if answer.status != 200 else {}
    try:
        async with live(machine):
            status = 101
    except aiohttp.WSServerHandshakeError as error:
        status = error.status
    return answer.status, status, told.get("detail", "")


async def test_without_a_certificate(office, machine, tmp_path):
    machine.context = context(office, tmp_path)
    with nothing_changes(office):
        post_status, live_status, detail = await tried(office, machine)
    assert (post_status, live_status) == (401, 401)
    assert "enrolment" in detail


async def test_certificates_that_do_not_do(office, machine, tmp_path):
    root, root_key = authority_of(office)
    key = machine.writer.key
    stranger = Ed25519PrivateKey.generate()
    own = load_pem_private_key((office.data / "node.key").read_bytes(), None)
    with nothing_changes(office):
        for certificate, shown_key, words in (
            (made_by(root, root_key, key, days=-1), key, "valid until"),
            (made_by(root, root_key, key, node="00" * 16), key, "enrol"),
            (made_by(root, root_key, key, store=""), key, "head office's own"),
            ((office.data / "node.pem").read_text(), own, "head office's own"),
        ):
            machine.context = context(office, tmp_path, shown_key, certificate)
            post_status, live_status, detail = await tried(office, machine)
            assert (post_status, live_status) == (403, 403)
            assert words in detail
        other_key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Karb other")])
        other = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(other_key.public_key())
            .serial_number(1)
            .not_valid_before(datetime.now(UTC) - timedelta(days=1))
            .not_valid_after(datetime.now(UTC) + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(other_key, hashes.SHA256())
        )
        lookalike = made_by(root, other_key, key)
        for certificate in (made_by(other, other_key, key), lookalike):
            machine.context = context(office, tmp_path, key, certificate)
            with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
                await tried(office, machine)
        # A node's certificate signs no other.
        forged = made_by(machine.certificate, key, stranger)
        machine.context = context(office, tmp_path, stranger, forged)
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
            await tried(office, machine)


async def test_a_revoked_machine_is_out_at_once_and_its_live_link_ends(office, machine):
    async with live(machine) as socket:
        await socket.send_bytes(greeting(machine))
        began = time.monotonic()
        node = machine.writer.stream.node.hex()
        revoking = asyncio.to_thread(office.command, "node", "revoke", node, "--why", "stolen")
        await revoking
        code, reason = await ended(socket, 8)
        assert time.monotonic() - began < 8
        assert (code, "revoked" in reason) == (1008, True)
    with nothing_changes(office):
        post_status, live_status, detail = await tried(office, machine)
        assert (post_status, live_status) == (403, 403)
        assert "new enrolment code" in detail
        status, _, _ = await machine.exchange(machine.writer.batch(2))
        assert status == 403
    with nothing_changes(office):
        async with (
            machine.client() as client,
            client.post("/v1/renew", json={"csr": "x"}, server_hostname="central.karb") as answer,
        ):
            assert answer.status == 403


async def test_what_a_node_says_cannot_be_read_as_html_or_a_page(office, machine):
    with connected(office.url, machine.context) as link:
        link.sendall(b"POST /v1/exchange HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = rest(link)
    assert got.startswith(b"HTTP/1.1 4")
    assert b"text/html" not in got


# A store whose head office does not know it any more, or is none.


@pytest.fixture
async def shop(office, launcher, tmp_path):
    """A real node, enrolled, and with the port it dials free to be somebody else's."""
    node = Node(launcher, tmp_path / "node")
    words(node.karb("init", "--central", office.url, "--code", office.code()), 0)
    node.read = node.token("read")
    yield node
    node.stop()


async def state_of(node, wanted, seconds=15):
    end = time.monotonic() + seconds
    while True:
        told = node.ask("GET", "/v1/status", token=node.read).json
        if told["link"] == wanted:
            return told["exchange"]["last_error"]
        assert time.monotonic() < end, told
        await asyncio.sleep(0.05)


async def test_a_code_is_good_once_and_its_words_are_plain(office, launcher, tmp_path):
    code = office.code()
    init = ("init", "--central", office.url, "--code", code)
    words(Node(launcher, tmp_path / "a").karb(*init), 0)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    with nothing_changes(office):
        said = words(Node(launcher, tmp_path / "b").karb(*init), 4)
        assert "used already" in said
        assert "enrol-code" in said
        assert code not in said
        said = words(Node(launcher, tmp_path / "a").karb(*init), 4)
        assert "another folder" in said
    assert not (tmp_path / "b" / "node.crt").exists()


async def test_an_expired_certificate_stops_exchanging_not_selling(office, shop):
    key = load_pem_private_key((shop.data / "node.key").read_bytes(), None)
    expired = made_by(*authority_of(office), key, days=-1)
    (shop.data / "node.crt").write_text(expired)
    shop.start()
    said = await state_of(shop, "refused")
    assert "valid until" in said
    assert "new enrolment code" in said
    done = shop.karb("sync", "now", "--json")
    words(done, 4)
    assert "new enrolment code" in json.loads(done.stdout)["error"]


async def test_another_head_office_at_the_address_is_found_out(office, shop, launcher, tmp_path):
    other = HeadOffice(launcher, tmp_path / "other")
    other.command("init")
    other.start()
    config = shop.data / "karb.toml"
    config.write_text(config.read_text().replace(str(office.port), str(other.port)))
    try:
        shop.start()
        said = await state_of(shop, "refused")
        assert "not this chain's head office" in said
        assert "0x" not in said
    finally:
        other.stop()


@pytest.mark.parametrize(
    "answers", [b"", b"HTTP/1.1 200 OK\r\n\r\nhi", b"\x16\x03\x03\x00\x02\x02\x28"]
)
async def test_what_is_no_head_office_at_all(office, shop, answers):
    async def serve(_reader, writer):
        writer.write(answers)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    config = shop.data / "karb.toml"
    config.write_text(config.read_text().replace(str(office.port), str(port)))
    async with server:
        await asyncio.to_thread(shop.start)
        seen = set()
        for _ in range(2):
            done = await asyncio.to_thread(shop.karb, "sync", "now", "--json")
            words(done, 3)
            seen.add(json.loads(done.stdout)["error"])
        assert len(seen) == 1, "the same words for the same trouble"
        assert f"127.0.0.1:{port}: no answer (" in seen.pop()
        assert "link.bug" not in shop.process.stderr
        shop.stop()
