"""A small shop for tests: keys, a store on a real SQLite file, a catalogue, a clock."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from edge.clock import Clock
from edge.enrol import DATABASE
from edge.keys import NodeKey
from edge.link import tls
from edge.store.store import Store
from sync.chain import ALL, Batch, Fact, Head, StreamId, extend, genesis, sign
from sync.clock import Trust
from sync.facts import encode, kind_of
from sync.facts.catalogue import Article, ArticleColumns, Articles, Price, PriceColumns, Prices
from sync.facts.node import StoreDescribed
from sync.identity import NODE_URI, STORE_URI

STORE = "KRK1"
NOON_MS = 1_790_000_000_000
"""2026-09-21 16:13:20 in Warsaw."""

EAN = ("5900000000015", "5900000000022", "5900000000039", "5900000000046", "5900000000053")

ARTICLES = (
    Article("MLEKO", "Mleko 3,2% 1 l", "Mleko 3,2% 1 l", "szt", "5", (EAN[0],)),
    Article("WODA", "Woda 1,5 l", "Woda niegazowana 1,5 l", "szt", "23", (EAN[1],), 50),
    Article("PIWO", "Piwo 0,5 l", "Piwo jasne 0,5 l", "szt", "23", (EAN[2],), 50, 18),
    Article("JABLKA", "Jabłka Ligol", "Jabłka Ligol", "kg", "5", (EAN[3],)),
    Article("NOWY", "Nowy artykuł", "Nowy artykuł bez ceny", "szt", "8", (EAN[4],)),
)
PRICES = (Price("MLEKO", 389), Price("WODA", 219), Price("PIWO", 450), Price("JABLKA", 499))


def described(**changes):
    known = {
        "store": STORE,
        "name": "Sklep 07 Kraków",
        "taxpayer": "1234563218",
        "day_starts_minute": 240,
    }
    return StoreDescribed(**(known | changes))


AUTHORITY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01")
HEAD_OFFICE = NodeKey.of(AUTHORITY)


class Times:
    """A clock that stands until it is moved."""

    def __init__(self, ms=NOON_MS):
        self.ms = ms

    def clock(self):
        clock = Clock(lambda: self.ms, lambda: self.ms - NOON_MS)
        clock.hear(Trust.CENTRAL, self.ms)
        return clock


async def tell(store, *told, scope=STORE):
    """Have head office say something: events (16 bytes) and bodies, by its own stream and key."""
    await store.write(lambda unit: unit.root(HEAD_OFFICE.node, ALL, HEAD_OFFICE.public))
    stream = StreamId(HEAD_OFFICE.node, 1, scope)
    held = [head for head in store.heads() if head.stream == stream]
    head = held[0] if held else Head(stream, 0, genesis(stream))
    facts = [
        Fact(seq, (NOON_MS << 16) + seq, *kind_of(body), event, encode(body))
        for seq, (event, body) in enumerate(told, start=head.seq + 1)
    ]
    hashes = extend(head.hash, facts)
    signed = sign(HEAD_OFFICE.private, Head(stream, facts[-1].seq, hashes[-1]))
    await store.receive(Batch(stream, facts, signed), {})


async def stock_the_shelves(store, settings=None):
    bodies = (
        settings or described(),
        Articles(1000, ArticleColumns.of(ARTICLES)),
        Prices(1000, PriceColumns.of(PRICES)),
    )
    await tell(store, *((n.to_bytes(16, "big"), body) for n, body in enumerate(bodies, start=1)))


@asynccontextmanager
async def opened(folder: Path, times=None, *, key=None, settings=None, stocked=True):
    """A store with goods in its catalogue; the same folder again is the same store."""
    key = key or NodeKey.of(Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x07"))
    clock = (times or Times()).clock()
    fresh = not (folder / DATABASE).exists()
    store = await Store.open(folder / DATABASE, key, STORE, clock, incarnation=77)
    try:
        if fresh and stocked:
            await stock_the_shelves(store, settings)
        yield store, clock
    finally:
        await store.close()


def enrolled(folder: Path) -> NodeKey:
    """Leave in `folder` what enrolment leaves, but for head office itself."""
    private = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x07")
    key = NodeKey.of(private)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / tls.CERTIFICATE).exists():
        return key  # the same machine, started again
    key.save(folder / tls.KEY)
    root = _certificate(AUTHORITY.public_key(), AUTHORITY, "authority", [])
    ours = _certificate(
        private.public_key(), AUTHORITY, "node", [NODE_URI + key.node.hex(), STORE_URI + STORE]
    )
    for name, certificate in ((tls.AUTHORITY, root), (tls.CENTRAL, root), (tls.CERTIFICATE, ours)):
        (folder / name).write_bytes(certificate.public_bytes(Encoding.PEM))
    return key


def _certificate(public, signer, name, uris):
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=not uris, path_length=None), critical=True)
    )
    if uris:
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, None)
