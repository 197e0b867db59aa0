"""Chains of shops as they are on the evening before: made once a shape, copied for each seed."""

import shutil
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

import central.nodes.authority as authority_module
from central.config import Folder
from central.founding import create
from central.ledger import author
from central.ledger.ledger import Ledger
from edge.clock import Clock
from edge.keys import NodeKey
from edge.link import tls
from edge.store.store import Store
from sync.chain import ALL
from sync.facts.catalogue import Article, ArticleColumns, Articles, Price, PriceColumns, Prices
from sync.facts.node import NodeEnrolled, StoreDescribed
from tests.simulation.disk import Disk
from tests.simulation.loop import HERE, Machine

EPOCH_MS = 1_790_000_000_000
"""When a world begins, and an hour before it its certificates."""

SKUS = ("MLEKO", "CHLEB", "SER", "JAJA", "KAWA", "SOK")
"""Of the last one no goods are there in the morning, so that nobody keeps stock of it."""

SHAPES = ((2,), (2, 1), (1, 1, 1), (2, 2), (3, 1), (3, 2), (2, 2, 1), (4, 4, 4, 4, 4), (5,) * 10)
"""Nodes of each store. The last two are for few seeds: 20 and 50 nodes."""

WEIGHTS = (10, 30, 14, 14, 10, 10, 10, 1.4, 0.6)


class VirtualDatetime(datetime):
    """What certificates are dated by."""

    now_ms = staticmethod(lambda: EPOCH_MS)

    @classmethod
    def now(cls, tz=None):
        return datetime.fromtimestamp(cls.now_ms() / 1000, tz or UTC)


def stores_of(shape):
    """Return (store, number of the node) for each node of a shape."""
    stores = [f"S{at + 1}" for at, size in enumerate(shape) for _ in range(size)]
    return list(enumerate(stores))


async def found(shape, target, rng):
    """Make head office and its stores, enrolled and with a catalogue."""
    machine = Machine(None, "founding")
    machine.off, machine.disk = False, Disk(target, "none")
    HERE.set(machine)
    keys = SimpleNamespace(generate=lambda: Ed25519PrivateKey.from_private_bytes(rng.randbytes(32)))
    folder = Folder(target / "office")
    with mock.patch.object(authority_module, "Ed25519PrivateKey", keys):
        authority = create(folder, [])
    ledger = Ledger.open(folder.ledger, authority.node_key, lambda: EPOCH_MS - 3_600_000)
    ledger._writer.opened = True
    articles = tuple(Article(sku, sku.title(), sku, "szt", "5", ()) for sku in SKUS)
    prices = tuple(Price(sku, 100 * (at + 1)) for at, sku in enumerate(SKUS))
    told = [
        (rng.randbytes(16), Articles(1, ArticleColumns.of(articles))),
        (rng.randbytes(16), Prices(1, PriceColumns.of(prices))),
    ]
    await ledger.write(lambda unit: author.write(unit, ALL, told))
    for number, store in stores_of(shape):
        key = NodeKey.of(Ed25519PrivateKey.from_private_bytes(rng.randbytes(32)))
        name = f"n{number}"
        place = target / name
        place.mkdir()
        certificate = authority.node_from(csr(key), store)
        furnished(place, key, certificate, authority)
        described = StoreDescribed(store, store)
        enrolled = NodeEnrolled(key.node, store, certificate.public_bytes(Encoding.DER), name)
        words = [(rng.randbytes(16), described), (rng.randbytes(16), enrolled)]
        await ledger.write(lambda unit, s=store, w=words: author.write(unit, s, w))
        opened = await Store.open(
            place / "karb.sqlite",
            key,
            store,
            Clock(lambda: EPOCH_MS - 3_600_000, lambda: 0),
            incarnation=rng.getrandbits(40),
            machine=name,
        )
        await opened.write(partial(trust, own=ledger.own))
        await opened.close()
    ledger.close()


def furnished(place, key, certificate, authority):
    """Put into a node's folder what enrolment does, but for the database."""
    key.save(place / tls.KEY)
    for file, content in (
        (tls.CERTIFICATE, certificate),
        (tls.AUTHORITY, authority.certificate),
        (tls.CENTRAL, authority.node_certificate),
    ):
        (place / file).write_bytes(content.public_bytes(Encoding.PEM))


def trust(unit, *, own):
    unit.root(own.node, ALL, own.public)


def csr(key):
    """Return a signing request of a node."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, key.node.hex())])
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key.private, None)


def copied(template, target):
    """Copy a made chain: no file of it is another one by that."""
    shutil.copytree(template, target, ignore=shutil.ignore_patterns("*.life", "server.pem"))
    return target


__all__ = ["EPOCH_MS", "SHAPES", "SKUS", "WEIGHTS", "copied", "found", "furnished", "stores_of"]
