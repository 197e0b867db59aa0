"""Every place where bytes from outside become values: the one list of them.

A parser says what it is fed, sound samples, and which errors it may end in: those it declares,
and no others. `OWN` names the modules that decode only what this very machine has written, and
why a damaged one does no harm. A module that decodes and stands in neither fails a test.
"""

import base64
import contextlib
import io
import json
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from PIL import Image

from central import config as central_config
from central.api import contract as central_contract
from central.api import session as cookies
from central.api.machines import decoded as central_decoded
from central.api.refusals import Bad
from central.catalogue import importer, promotions, rates
from central.ledger import selling
from central.ledger.errors import Refused as CentralRefused
from central.nodes.authority import BadRequest, read_request
from central.nodes.peers import Peers
from edge import config as edge_config
from edge.api import server as edge_server
from edge.api.refusals import Refused as EdgeRefused
from edge.api.routes import TABLE
from edge.enrol import EnrolRefused, answered, renewed
from edge.link import carrier, discovery
from edge.link.carrier import LinkRefused
from edge.link.trust import Trusted
from edge.store import refunds
from edge.store.connection import migrate
from edge.store.shelf import Shelf
from edge.store.views import Views
from hw.ecreft import codec as ecreft
from hw.errors import DeviceMisconfigured, DeviceUnavailable
from hw.escpos import raster
from hw.escpos.codec import AnswerParser
from hw.evdev import codec as evdev
from hw.mtsics import codec as mtsics
from hw.nexo import codec as nexo
from hw.nexo import sealed
from hw.nfc import codec as card
from hw.noviapi import codec as novi
from hw.posnet import codec as posnet
from hw.scanner.codec import CodeSplitter
from hw.toledo import codec as toledo
from sync import checkpoint, facts, identity, sealing
from sync.chain import Fact, StreamId
from sync.contract import problem, token
from sync.enrolment import EnrolAnswer, EnrolmentCode, RenewAnswer
from sync.errors import BadFact, BadIdentity, NotAllowed, RemoteProtocolError
from sync.exchange import shred, stick, wire
from sync.exchange.messages import Ack, Forked, Hello, Position, Slow, Vector
from sync.exchange.session import Session
from sync.facts import change, person
from sync.merge import basket, rights
from sync.merge.document import Value
from sync.rules import barcode, in_store, scan, vat
from tests.central import machine
from tests.central.catalogue import test_importer, test_promotions
from tests.sync import test_checkpoint, test_stick
from tests.sync.strategies import STREAM
from tests.sync.test_facts import CHANGE, EXAMPLES

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


@dataclass(frozen=True)
class Parser:
    """One way in."""

    name: str

    where: str
    """Module of the product whose decoding this is; of several, the one that decodes."""

    feed: Callable[[bytes], Any]
    samples: Callable[[], list[bytes]]
    raises: tuple[type[Exception], ...] = ()
    sound: bool = True
    """Whether some sample is taken as it is."""


def text(read: Callable[[str], Any]) -> Callable[[bytes], Any]:
    """Feed what reads text: as any client can send it."""
    return lambda data: read(data.decode("utf-8", "replace"))


# --- what nodes say to each other ------------------------------------------------------


@cache
def batches() -> list[bytes]:
    writer = machine.Writer(KEY, "S1")
    for number in range(1, 7):
        writer.write(machine.sale(("A", 1000, 599), ("B", 250, 1299), number=number))
    writer.write(machine.delivery(("A", 5000)))
    session = _greeted()
    return [
        session.send(writer.batch(), {bytes(16): bytes(32)}),
        session.send(writer.batch(1, 1)),
        session.send(writer.batch(7), {}, _certificate()),
    ]


@cache
def messages() -> list[bytes]:
    name = STREAM.name()
    said = (
        Hello(1, 1, ("", "S1"), facts.readable(), (Position(name, 7, bytes(32)),), 5, "karb", "K"),
        Ack(((name, 7), (name, 8)), ((name, 3),), ((name, 2),)),
        Vector((Position(name, 3, bytes(32)),), (name,)),
        Forked(name, 3, bytes(32), bytes(32)),
        Slow(100),
    )
    return [*map(wire.encode, said), *batches()]


def _greeted() -> Session:
    session = Session(("", "S1"), facts.readable(), lambda _: True)
    session.hello([], None)
    session.receive(wire.encode(Hello(1, 1, ("", "S1"), (), ())))
    return session


def _greeting(data: bytes) -> None:
    session = Session(("", "S1"), facts.readable(), lambda scope: scope in ("", "S1"))
    session.hello([], None)
    session.receive(data)


def _columns() -> list[bytes]:
    bodies = [facts.encode(machine.sale(number=n)) for n in range(1, 6)]
    column = shred.shred(bodies)
    return [msgspec.msgpack.encode((5, column)), msgspec.msgpack.encode((3, [0, [b"x"]]))]


def _assemble(data: bytes) -> None:
    try:
        n, column = msgspec.msgpack.decode(data, type=tuple[int, Any])
    except (msgspec.DecodeError, ValueError, RecursionError):
        return  # the message's own decoder refuses it before
    shred.assemble(column, max(0, min(n, 1000)))


def _stick(data: bytes) -> None:
    file = io.BytesIO(data)
    stick.check(file, test_stick.AUTHORITY)
    list(stick.payloads(file))


def _certificate() -> bytes:
    made = test_stick.node_certificate(test_stick.KEYS[2], test_stick.KEYS[0], "S1")
    return made.public_bytes(Encoding.DER)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _judged(data: bytes) -> None:
    identity.judge(identity.certificate(data), test_stick.AUTHORITY, test_stick.NOW_MS)


def _read(data: bytes) -> None:
    identity.read(identity.certificate(data))


def _introduced(data: bytes) -> None:
    peers = object.__new__(Peers)
    peers._authority = test_stick.AUTHORITY
    peers.introduced(data)


def _author(data: bytes) -> None:
    trusted = object.__new__(Trusted)
    trusted._authority = test_stick.AUTHORITY
    trusted._store = SimpleNamespace(store="S1")
    trusted.author(data)


def _enrolled() -> list[bytes]:
    mine, root = _pem(x509.load_der_x509_certificate(_certificate())), _pem(test_stick.AUTHORITY)
    whole = EnrolAnswer(
        certificate=mine,
        authority=root,
        central=mine,
        store="S1",
        store_name="Kraków",
        zone="Europe/Warsaw",
        currency="PLN",
    )
    return [msgspec.json.encode(whole), msgspec.json.encode(RenewAnswer(certificate=mine))]


def _checkpoint_parts() -> list[bytes]:
    """Parts behind the index of their view."""
    rows = {
        "sales": [(bytes(16), 0, 1, 4, 0, "T1", "T1-A", 1, 5, 5, "anna", "", 1, 1000, 499)],
        "prices": [("1", 0, 1, 499), ("2", 0, 1, 599)],
        "goods": [(0, 1, 4, checkpoint.goods({"1": 1000}))],
        "facts": [(0, 1, 1, "sale", 1, bytes(16), b"x", bytes(32), None)],
    }
    views = sorted(checkpoint.VIEWS)
    return [
        bytes([views.index(view)]) + packed.frame
        for view, some in rows.items()
        for packed in checkpoint.pack(view, some)
    ]


def _checkpoint_part(data: bytes) -> None:
    views, frame = sorted(checkpoint.VIEWS), data[1:]
    view = views[data[0] % len(views)] if data else views[0]
    rows = checkpoint.unpack(checkpoint.Part(view, 1, sha256(frame).digest()), frame, 1)
    if view == "goods":
        for *_, packed in rows:
            checkpoint.goods_taken(packed)


@cache
def _checkpoints() -> list[bytes]:
    return [test_checkpoint.made({"prices": [("1", 0, 1, 499)]})]


def _manifests() -> list[bytes]:
    return [list(checkpoint.frames(io.BytesIO(_checkpoints()[0]).read))[1]]


def _manifest(data: bytes) -> None:
    """Signed whatever it is: what a maker's own mistake could do."""
    signature = test_checkpoint.KEY.sign(checkpoint._signed(data))
    keys = {identity.node_id(test_checkpoint.PUBLIC): test_checkpoint.PUBLIC}
    checkpoint.opened(signature, data, keys, ("S1", ""))


# --- facts and documents --------------------------------------------------------------


@cache
def _kinds() -> dict[tuple[str, int], list[bytes]]:
    found: dict[tuple[str, int], list[bytes]] = {}
    for body in EXAMPLES:
        found.setdefault(facts.kind_of(body), []).append(facts.encode(body))
    return found


def _framed() -> list[bytes]:
    """Bodies behind the index of their kind: a mutation may make another kind of one, too."""
    return [bytes([n]) + body for n, kind in enumerate(sorted(_kinds())) for body in _kinds()[kind]]


def _framed_fact(data: bytes, seq: int = 1) -> Fact:
    kinds = sorted(_kinds())
    kind, version = kinds[data[0] % len(kinds)] if data else ("sale", 1)
    return Fact(seq, seq << 16, kind, version, seq.to_bytes(16, "big"), data[1:])


class _Reducers:
    """An edge's views, fed facts of any content: they are total."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.db)
        columns = len(self.db.execute("PRAGMA table_info(streams)").fetchall())
        row = (1, STREAM.node, STREAM.incarnation, STREAM.scope, *[0] * (columns - 4))
        marks = ", ".join("?" * columns)
        self.db.execute(f"INSERT INTO streams VALUES ({marks})", row)
        self.db.execute("BEGIN")
        self.views = Views(self.db, Shelf(self.db, lambda _stream: 1))
        self.seq = 0

    def take(self, data: bytes) -> None:
        self.seq += 1
        self.views.take(1, STREAM, _framed_fact(data, self.seq))


@cache
def reducers() -> _Reducers:
    return _Reducers()


def _basket(data: bytes) -> None:
    shown = data.decode("utf-8", "replace")
    value = Value(
        fields={"till": shown, "at_ms": shown},
        items={"line/a": shown, "discount/a/00": shown, "age/a": shown, shown: "1"},
        sums={"a": 1000, shown: 5},
    )
    basket.parked(value)


def _article() -> list[bytes]:
    article = basket.Article(sku="1", name="Chleb", unit="szt", vat="5", unit_minor=499)
    return [msgspec.json.encode(article)]


# --- devices, people and programs ------------------------------------------------------


def _scanner(data: bytes) -> None:
    for options in ({}, {"prefix": b"\x02", "suffix": b"\x03"}, {"max_bytes": 5}):
        splitter = CodeSplitter(**options)
        for at in range(0, len(data), 7):
            splitter.feed(data[at : at + 7])
        assert len(splitter._buffer) <= 4096


def _printer(data: bytes) -> None:
    parser = AnswerParser()
    for at in range(0, len(data), 3):
        parser.feed(data[at : at + 3])
    assert len(parser._rest) < 16


def _toml(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / edge_config.FILE).write_bytes(data)
        edge_config.load(Path(folder))


def _posnet(data: bytes) -> None:
    parser = posnet.FrameParser()
    for at in range(0, len(data), 5):
        for frame in parser.feed(data[at : at + 5]):
            for field in (*frame.fields, "no"):
                for ask in (frame.text, frame.number, frame.flag):
                    with contextlib.suppress(DeviceUnavailable):
                        ask(field)
    assert len(parser._rest) <= posnet.MAX_FRAME


def _posnet_frames() -> list[bytes]:
    said = (posnet.command("vatget", va="23,00", vb="8,00"), posnet.command("scnt", bn=17, no=5))
    return [b"".join(posnet.encode(one, n) for n, one in enumerate(said)), posnet.encode(said[0])]


NEXO = sealed.SharedKey.derive("karb", 1, "a passphrase")
NEXO_HEADER = nexo.Header(
    MessageCategory="Payment", MessageType="Response", SaleID="karb", POIID="T", ServiceID="1"
)

NOVI = {
    "request": {
        "status": "DONE",
        "id": "7",
        "jpkid": 12,
        "error": {"code": 1, "description": "x"},
        "response": {
            "status": {
                "device": {
                    "tax_rates": [{"name": "A", "value": "23.00"}, {"name": "G", "value": "ZW"}],
                    "totals": [{"tax_rate": "A", "receipt": "12.30"}],
                },
                "fiscal_memory": {"unique_number": "ABC1", "daily_reports_count": 3},
                "protected_memory": {"last_jpkid": 12},
            }
        },
    },
    "device": {"status": "OK"},
    "exception": {"description": "x", "errors": ["y"]},
}


def _novi(data: bytes) -> None:
    try:
        told = novi.read_json(data)
    except ValueError:
        return
    novi.read_error(told)
    for read in (novi.read_check, novi.read_id):
        with contextlib.suppress(DeviceUnavailable):
            read(told)
    status = told
    with contextlib.suppress(KeyError, TypeError, IndexError):
        status = told["request"]["response"]["status"]
    for read in (novi.read_device, novi.read_fiscal_memory, novi.read_last_id):
        with contextlib.suppress(DeviceUnavailable):
            read(status)


def _logo(data: bytes) -> Any:
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(data)
        file.flush()
        return raster.logo(Path(file.name), 512)


def _logos() -> list[bytes]:
    made = []
    for mode in ("1", "L", "RGBA", "P"):
        out = io.BytesIO()
        Image.new(mode, (40, 20)).save(out, "PNG")
        made.append(out.getvalue())
    return made


TOML = """
[lan]
listen = "0.0.0.0:8788"
[[peers]]
url = "https://192.168.1.12:8788"
[[tills]]
id = "T1"
[[devices]]
id = "scanner"
driver = "scanner.serial"
url = "serial:/dev/ttyACM0?baudrate=9600"
till = "T1"
"""


def _config() -> list[bytes]:
    first = edge_config.first_file("kasa-1", "KRK1", "https://hq.example:8443")
    return [first.encode(), first.split("[[tills]]")[0].encode() + TOML.encode()]


CENTRAL_BODIES = [
    *{route.request: 0 for route in central_contract.ROUTES if route.request is not None},
]


def _api_samples(kind: Any) -> list[bytes]:
    """Whatever fits anything: the mutations find the rest of the way."""
    found = [
        entry.route.request_example for entry in TABLE if entry.route.request_example is not None
    ]
    plain = {
        name: "5b9c5bf2-6d0f-4d3e-8d0e-0f8e5f6c1a11" if name == "id" else 5
        for name in getattr(kind, "__struct_fields__", ())
    }
    named = dict.fromkeys(getattr(kind, "__struct_fields__", ()), "x")
    return [msgspec.json.encode(one) for one in (*found, plain, named, [], "x", None)]


def _importer(content_type: str) -> Callable[[bytes], Any]:
    return lambda data: importer.parse(data, content_type)


CSV = "sku;name;price;vat;ean\nM-1;Mleko 3,2%;4,29;5%;5901234123457\nP-2;Piwo;1 234,50;23;\n"


def _json_catalogue() -> list[bytes]:
    row = {"sku": "M-1", "name": "Mleko", "vat": "5", "price_minor": 429, "codes": ["96385074"]}
    return [test_importer._json(row), test_importer._json(row, row | {"sku": "N"})]


def _json_promotions() -> list[bytes]:
    return [json.dumps({"promotions": [test_promotions.THREE]}).encode()]


def _service(name: str, said: str) -> None:
    discovery._node(name)
    discovery._speaks(said, (1, 1))


PARSERS: tuple[Parser, ...] = (
    Parser(
        "payloads of an exchange",
        "sync.exchange.wire",
        wire.split,
        lambda: [wire.join(messages())],
        (RemoteProtocolError,),
    ),
    Parser("a message", "sync.exchange.wire", wire.decode, messages, (RemoteProtocolError,)),
    Parser(
        "a session's first message",
        "sync.exchange.session",
        _greeting,
        messages,
        (RemoteProtocolError, NotAllowed),
    ),
    Parser(
        "a session's later messages",
        "sync.exchange.session",
        lambda data: _greeted().receive(data),
        messages,
        (RemoteProtocolError,),
    ),
    Parser("bodies as columns", "sync.exchange.shred", _assemble, _columns, (RemoteProtocolError,)),
    Parser(
        "a stream's name",
        "sync.chain",
        StreamId.from_name,
        lambda: [STREAM.name()],
        (RemoteProtocolError,),
    ),
    Parser(
        "a stick",
        "sync.exchange.stick",
        _stick,
        lambda: [test_stick.made(), test_stick.made(tuple(messages()))],
        (stick.BadStick,),
    ),
    Parser(
        "a checkpoint's frames",
        "sync.checkpoint",
        lambda data: list(checkpoint.frames(io.BytesIO(data).read)),
        _checkpoints,
        (RemoteProtocolError,),
    ),
    Parser(
        "a checkpoint's manifest", "sync.checkpoint", _manifest, _manifests, (RemoteProtocolError,)
    ),
    Parser(
        "a checkpoint's parts",
        "sync.checkpoint",
        _checkpoint_part,
        _checkpoint_parts,
        (RemoteProtocolError,),
    ),
    Parser(
        "keys beside a checkpoint",
        "sync.checkpoint",
        checkpoint.keys_unpacked,
        lambda: [checkpoint.keys_packed({bytes(16): bytes(32)})],
        (RemoteProtocolError,),
    ),
    Parser(
        "what is sealed for a node",
        "sync.sealing",
        lambda data: sealing.unseal(data, KEY),
        lambda: [sealing.seal(bytes(32), identity.raw_public(KEY.public_key()), bytes(32))],
        (BadIdentity,),
    ),
    Parser(
        "what is locked",
        "sync.sealing",
        lambda data: sealing.unlock(bytes(32), data[:16], data[16:]),
        lambda: [bytes(16) + sealing.lock(bytes(32), bytes(16), b"x" * 32)],
    ),
    Parser(
        "a certificate, judged", "sync.identity", _judged, lambda: [_certificate()], (BadIdentity,)
    ),
    Parser("a certificate, read", "sync.identity", _read, lambda: [_certificate()], (BadIdentity,)),
    Parser(
        "an author's certificate at head office",
        "central.nodes.peers",
        _introduced,
        lambda: [_certificate()],
    ),
    Parser(
        "an author's certificate in a store",
        "edge.link.trust",
        _author,
        lambda: [_certificate()],
        (BadIdentity,),
    ),
    Parser(
        "a signing request",
        "central.nodes.authority",
        text(read_request),
        lambda: [machine.request(KEY).encode()],
        (BadRequest,),
    ),
    Parser("the answer to an enrolment", "edge.enrol", answered, _enrolled, (EnrolRefused,)),
    Parser("the answer to a renewal", "edge.enrol", renewed, _enrolled, (LinkRefused,)),
    Parser(
        "an enrolment code",
        "sync.enrolment",
        text(EnrolmentCode.parse),
        lambda: [EnrolmentCode(secret=bytes(10), authority=bytes(16)).text.encode()],
        (BadIdentity,),
    ),
    Parser(
        "a service on the LAN",
        "edge.link.discovery",
        text(lambda said: _service(said, said)),
        lambda: [b"00" * 16 + b"._karb._tcp.local.", b"1-1", b"1-12"],
    ),
    Parser(
        "what head office refuses with",
        "edge.link.carrier",
        lambda data: carrier._said(500, data),
        lambda: [problem.encode(problem.problem(409, "No."))],
    ),
    Parser(
        "a fact's body",
        "sync.facts",
        lambda data: facts.decode(_framed_fact(data)),
        _framed,
        (BadFact,),
    ),
    Parser(
        "persons in facts",
        "sync.facts",
        lambda data: facts.keys_that_open([_framed_fact(data)], {b"p" * 16: bytes(32)}),
        _framed,
    ),
    Parser(
        "a fact in a store's views", "edge.store.views", lambda data: reducers().take(data), _framed
    ),
    Parser(
        "whose refund a right is",
        "edge.store.refunds",
        text(refunds.sale_of),
        lambda: [refunds.cell(bytes(range(16)), 3).encode(), rights.cell("refund", "x.1").encode()],
    ),
    Parser(
        "a buyer",
        "sync.facts.person",
        lambda data: person.unseal(person.seal(data, b"p" * 16, bytes(32), bytes(12)), bytes(32)),
        lambda: [msgspec.msgpack.encode(person.Buyer(nip="1234563218", name="Ola"))],
        (BadFact,),
    ),
    Parser("a document's change", "sync.facts.change", change.read, lambda: [CHANGE], (BadFact,)),
    Parser("a basket in a document", "sync.merge.basket", _basket, _article),
    Parser(
        "a scanner's bytes",
        "hw.scanner.codec",
        _scanner,
        lambda: [b"5901234123457\r\n]C10105901234123457\x1d10ABC\r", b"\x02590\x03"],
    ),
    Parser(
        "a printer's answers",
        "hw.escpos.codec",
        _printer,
        lambda: [b"\x12\x16\x7e" + b"\x37\x22AAAA\x00" + b"\x12"],
    ),
    Parser(
        "a shop's logo",
        "hw.escpos.raster",
        _logo,
        _logos,
        (DeviceMisconfigured,),
    ),
    Parser(
        "what is written on an NFC card",
        "hw.nfc.codec",
        card.text_of,
        lambda: [card.message_of(text) for text in ("STAFF-0042", "Zażółć gęślą jaźń")],
    ),
    Parser("a POSNET printer's frames", "hw.posnet.codec", _posnet, _posnet_frames),
    Parser(
        "a NoviAPI printer's answers",
        "hw.noviapi.codec",
        _novi,
        lambda: [json.dumps(NOVI).encode()],
    ),
    Parser(
        "an ECR-EFT terminal's frames",
        "hw.ecreft.codec",
        lambda data: ecreft.FrameParser().feed(data),
        lambda: [ecreft.encode("2A31", "S2", ("0", "", "m", "t", "000001"))],
    ),
    Parser(
        "a nexo terminal's envelope",
        "hw.nexo.sealed",
        lambda data: sealed.unseal(NEXO, nexo.RESPONSE, data),
        lambda: [sealed.seal(NEXO, nexo.RESPONSE, b"{}", b"{}", bytes(16))],
        (DeviceUnavailable,),
    ),
    Parser(
        "a nexo terminal's answer",
        "hw.nexo.codec",
        lambda data: nexo.read_reply(data, service="1", sale_id="karb", poi_id="T"),
        lambda: [nexo.message(nexo.RESPONSE, NEXO_HEADER, "PaymentResponse", {})],
        (DeviceUnavailable,),
    ),
    Parser(
        "a scanner's keys",
        "hw.evdev.codec",
        lambda data: evdev.KeyReader().feed(data),
        lambda: [evdev.typed("5901234123457"), evdev.typed("]d201Łó\x1d21\u20ac")],
    ),
    Parser(
        "a Toledo scale's answers",
        "hw.toledo.codec",
        lambda data: toledo.FrameParser().feed(data),
        lambda: [b"\x0200.735\r", b"\x02?a\r"],
    ),
    Parser(
        "an MT-SICS scale's answers",
        "hw.mtsics.codec",
        lambda data: (mtsics.Weights().feed(data), mtsics.Serials().feed(data)),
        lambda: [b"S S      1.234 kg\r\nS +\r\n", b'I4 A "1126493049"\r\n'],
    ),
    Parser(
        "a barcode",
        "sync.rules.scan",
        text(lambda scanned: scan.read(scanned, in_store.DEFAULT, 2026)),
        lambda: [
            b"5901234123457",
            b"]C10105901234123457\x1d10ABC",
            b"]E096385074",
            b"2912345014681",
            b"]d2019501234123454731030012343922001299\x1d1726013110AB\x1d21XY",
            b"https://id.gs1.org/01/09501101530003/10/AB?17=260131",
        ],
        (barcode.BadBarcode,),
    ),
    Parser(
        "a VAT code",
        "sync.rules.vat",
        text(vat.parse),
        lambda: [b"23 %", b"zw."],
        (vat.UnknownVat,),
    ),
    Parser(
        "a VAT rate",
        "central.catalogue.rates",
        text(lambda said: rates.read("23", said.partition("|")[0], said.partition("|")[2])),
        lambda: [b"22|2027-01-01", b"5.5%|2027-01-01", b"zw|2026-12-31"],
        (CentralRefused,),
    ),
    Parser(
        "a CSV catalogue",
        "central.catalogue.importer",
        _importer("text/csv"),
        lambda: [CSV.encode(), CSV.encode("cp1250"), CSV.encode("utf-8-sig")],
        (importer.BadImport,),
    ),
    Parser(
        "a CSV catalogue that names its charset",
        "central.catalogue.importer",
        lambda data: importer.parse(CSV.encode(), "text/csv; charset=" + data.decode("latin-1")),
        lambda: [b"utf-8", b"windows-1250", b"rot13", b"zlib", b"idna"],
        (importer.BadImport,),
    ),
    Parser(
        "a JSON catalogue",
        "central.catalogue.importer",
        _importer("application/json"),
        _json_catalogue,
        (importer.BadImport,),
    ),
    Parser(
        "JSON promotions",
        "central.catalogue.promotions",
        promotions.parse,
        _json_promotions,
        (importer.BadImport,),
    ),
    Parser("karb.toml", "edge.config", _toml, _config, (edge_config.BadConfig,)),
    Parser(
        "an address to listen on, store",
        "edge.config",
        text(edge_config.parse_listen),
        lambda: [b"127.0.0.1:8787", b"[::1]:8787"],
        (ValueError,),
    ),
    Parser(
        "an address to listen on, head office",
        "central.config",
        text(central_config.parse_listen),
        lambda: [b"127.0.0.1:8787", b"[::1]:8787"],
        (central_config.BadConfig,),
    ),
    Parser(
        "a host's name",
        "central.config",
        text(central_config.check_host),
        lambda: [b"hq.example", b"::1"],
        (central_config.BadConfig,),
    ),
    Parser(
        "a token",
        "sync.contract.token",
        text(lambda said: token.from_header(said, ("read", "sell"))),
        lambda: [b"Bearer " + token.make("read", bytes(20), ("read",)).text.encode()],
        (token.BadToken,),
    ),
    Parser(
        "a problem document",
        "sync.contract.problem",
        problem.decode,
        lambda: [problem.encode(problem.problem(422, "No.", errors=[]))],
        (msgspec.DecodeError, UnicodeDecodeError, RecursionError),
    ),
    Parser(
        "a place in a feed",
        "central.ledger.selling",
        text(lambda said: selling.read_cursor(said, 7)),
        lambda: [selling.cursor(7, 12).encode()],
        (selling.BadCursor,),
    ),
    Parser(
        "a cookie",
        "central.api.session",
        text(lambda said: cookies.read(bytes(32), said, 0)),
        lambda: [cookies.make(bytes(32), bytes(32), 0).encode(), base64.b64encode(bytes(72))],
    ),
    *(
        Parser(
            f"{entry.route.method} {entry.route.path}",
            "edge.api.server",
            lambda data, kind=entry.route.request: edge_server._decoded(
                edge_server._decoder(kind), data
            ),
            lambda kind=entry.route.request: _api_samples(kind),
            (EdgeRefused,),
            sound=False,
        )
        for entry in TABLE
        if entry.route.request is not None
    ),
    *(
        Parser(
            f"{kind.__name__} at head office",
            "central.api.machines",
            lambda data, kind=kind: central_decoded(data, kind),
            lambda kind=kind: _api_samples(kind),
            (msgspec.DecodeError, Bad),
            sound=False,
        )
        for kind in CENTRAL_BODIES
    ),
)

OWN = {
    "edge.api.node": "turns our own values into others",
    "edge.api.refusals": "looks into a body that was refused, to show the value; catches all",
    "edge.cli.ask": "the answers of this machine's own node",
    "edge.folder": "run.json, left by this machine's own node",
    "edge.keys": "the node's own key file",
    "edge.link.tls": "the node's own certificate files",
    "edge.link.peers": "names of nodes that it wrote itself",
    "edge.store.backup": "a backup's keys, beside a copy that was verified",
    "edge.store.base": "parts of the checkpoint it keeps, by `sync.checkpoint`",
    "edge.store.holder": "bodies that the views have taken",
    "edge.api.shifts": "turns our own values into others",
    "edge.cli.records": "the answers of this machine's own node",
    "edge.store.reduced": "bodies that the views have taken",
    "edge.store.staff": "bodies that the views have taken; skips what it cannot read",
    "edge.store.store": "rows of its own database",
    "edge.store.unit": "rows of its own database",
    "edge.store.witness": "its own file, under a check sum",
    "central.ledger.assortment": "bodies that the views have taken",
    "central.cli.desk": "the answers of this machine's own head office",
    "central.ledger.carried": "rows of its own database",
    "central.ledger.published": "rows of its own database",
    "central.ledger.reading": "rows of its own database",
    "central.ledger.stale": "bodies that were decoded before they were stored",
    "central.ledger.upkeep": "a backup's keys, beside a copy that was checked",
    "central.ledger.witness": "its own file, under a check sum",
    "central.nodes.enrolment": "the secret of a code, hexadecimal or refused",
    "edge.api.fiscal": "evidence that the program noted in its own spool",
    "hw.paper": "turns pictures it drew itself into others",
    "hw.memory": "notes that the program wrote itself; a line that breaks off is passed over",
    "hw.nexo.simulator": "orders of the driver that is tried on it",
    "hw.slip": "slips that the program wrote into its own spool",
    "hw.spool": "rows of its own spool",
    "hw.scanner.driver": "an option of karb.toml",
    "edge.till.fiscal": "notes that the program wrote itself",
    "edge.till.printing": "keys of jobs that it named itself",
    "sync.facts.catalogue": "columns of a body that was decoded",
    "sync.facts.count": "columns of a body that was decoded",
    "sync.facts.rights": "columns of a body that was decoded",
    "sync.facts.sale": "columns of a body that was decoded",
    "sync.facts.stock": "columns of a body that was decoded",
    "sync.merge.document": "constants; changes pass `sync.facts.change` first, and "
    "`tests.sync.hostile_changes` feeds the library itself",
}
