"""Head office on the disk that is cut: what it does in a day, and what must hold afterwards."""

import asyncio
import secrets
from collections.abc import Iterator
from datetime import datetime
from itertools import count
from pathlib import Path
from queue import Empty
from random import Random
from types import SimpleNamespace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import select

import central.ledger.database as database_module
import central.ledger.lives as lives_module
import central.ledger.witness as witness_module
import central.ledger.writer as writer_module
import central.nodes.authority as authority_module
from central.config import Folder
from central.founding import create
from central.ledger import author, upkeep
from central.ledger.errors import LedgerUnavailable
from central.ledger.ingest import Incoming, Stored
from central.ledger.ledger import Ledger
from central.ledger.tables import FACTS, SALES
from central.nodes.authority import Authority
from sync.chain import ALL, Batch
from sync.facts.catalogue import Price, PriceColumns, Prices
from sync.facts.node import NodeEnrolled, StoreDescribed
from sync.facts.stock import GoodsReceived, ReceivedLine, ReceivedLines
from sync.identity import Identity
from tests.central.machine import request
from tests.crash.disk import Disk, recorded
from tests.crash.shop import HERE, SKUS, Author, Here, Turnstile, changed
from tests.edge.store.rig import NOW, sale

DATABASE = "ledger.db"
STORES = ("S1", "S2")
PAGES_A_CHECKPOINT = 60
"""Instead of four thousand: a short day then has some."""


def one_place() -> Any:
    """Have every file be the one it was: an image is laid in another inode."""
    here = HERE.decode()
    return changed(
        (lives_module, "place", lambda _path: here), (witness_module, "place", lambda _path: here)
    )


def identity(author: Author) -> Identity:
    return Identity(
        node=author.key.node,
        store=author.stream.scope,
        public_key=author.key.public,
        serial=1,
        not_before_ms=0,
        not_after_ms=1 << 60,
    )


def incoming(author: Author, batch: Batch) -> Incoming:
    return Incoming.of(batch, {}, identity(author))


class Day:
    """What head office does, drawn from a seed."""

    def __init__(self, disk: Disk | None, folder: Folder, rng: Random) -> None:
        self.disk, self.folder, self.rng = disk, folder, rng
        self.ran: list[tuple[Any, ...]] = []
        self.authority = Authority.load(folder)
        self.authors = [
            Author(number, store) for number, store in enumerate((*STORES, *STORES), start=10)
        ]
        self.ledger: Ledger
        self._names, self._ticks = count(1), count(NOW, 7)

    def draw(self) -> bytes:
        return self.rng.randbytes(16)

    def open(self) -> None:
        self.ledger = Ledger.open(
            self.folder.ledger, self.authority.node_key, lambda: next(self._ticks)
        )
        self.rest()

    def rest(self) -> None:
        """Wait until the writer has answered and waits: what comes next is of the next commit."""
        gate: Turnstile = self.ledger._writer._waiting  # type: ignore[assignment]
        gate.rest()

    def close(self) -> None:
        self.ledger.close()
        if self.disk is not None:
            self.disk.say((("closed", self.folder.ledger.stat().st_ctime_ns),))

    def write(self, work: Any) -> Any:
        result = self.ledger._writer.submit(work).result(60)
        self.rest()
        return result

    def enrol(self) -> None:
        """Certify the stores' machines."""
        for store in STORES:
            told: list[tuple[bytes, Any]] = [(self.draw(), StoreDescribed(store, f"Sklep {store}"))]
            for one in self.authors:
                if one.stream.scope == store:
                    csr = x509.load_pem_x509_csr(request(one.key.private).encode())
                    der = self.authority.node_from(csr, store).public_bytes(Encoding.DER)
                    told.append((self.draw(), NodeEnrolled(one.key.node, store, der)))
            self.write(lambda unit, store=store, told=told: author.write(unit, store, told))

    def take(self) -> None:
        """Take batches of several stores in, side by side."""
        gate: Turnstile = self.ledger._writer._waiting  # type: ignore[assignment]
        gate.hold()
        waiting = []
        for one in self.rng.sample(self.authors, self.rng.randint(1, 3)):
            told: list[tuple[Any, bytes]] = [
                (sale(next(one.numbers), "T1", skus=SKUS[: self.rng.randint(1, 3)]), self.draw())
                for _ in range(self.rng.randint(1, 4))
            ]
            if self.rng.random() < 0.3:
                lines = ReceivedLines.of(tuple(ReceivedLine(sku, 9000) for sku in SKUS))
                told.append((GoodsReceived(NOW, 5, lines), self.draw()))
            batch = one.batch(*told)
            waiting.append(self.ledger._writer.take([incoming(one, batch)]))
            self.ran += [
                ("fact", fact.event, fact.seq, fact.body, fact.kind) for fact in batch.facts
            ]
        gate.let_in()
        for answer in waiting:
            (outcome,) = answer.result(60)
            assert isinstance(outcome, Stored), outcome
        self.rest()

    def prices(self) -> None:
        """Publish."""
        columns = PriceColumns.of(tuple(Price(sku, self.rng.randint(100, 900)) for sku in SKUS))
        told = (self.draw(), Prices(self.rng.randint(1, 1 << 30), columns))

        def work(unit: Any) -> None:
            author.write(unit, ALL, [told])
            self.ran.append(("own", told[0]))

        self.write(work)

    def copy(self) -> str:
        name = f"copy-{next(self._names)}"
        asyncio.run(upkeep.backup(self.ledger, str(self.folder.path / name)))
        self.rest()
        if self.disk is not None:
            self.disk.say((("copy", name),))
        return name

    def again(self) -> None:
        self.close()
        self.open()

    def live(self, steps: int) -> None:
        self.open()
        try:
            if not self.ledger.published.members.keys() & {a.key.node for a in self.authors}:
                self.enrol()
            for _ in range(steps):
                choices = ((self.take, 60), (self.prices, 15), (self.copy, 3), (self.again, 6))
                (chosen,) = self.rng.choices([c for c, _ in choices], [w for _, w in choices])
                chosen()
        finally:
            self.close()


def synchronous(level: str) -> Any:
    """Have the ledger be opened with another `PRAGMA synchronous`."""
    true = database_module._prepare

    def prepare(engine: Any, begin: str, *, writes: bool) -> None:
        true(engine, begin, writes=writes)
        if writes and level != "FULL":
            sqlalchemy_event.listen(
                engine, "connect", lambda raw, _record: raw.execute(f"PRAGMA synchronous={level}")
            )

    return changed((database_module, "_prepare", prepare))


def in_order() -> Any:
    """Have the writer's groups be the seed's, and its checkpoints many."""
    return changed(
        (writer_module, "queue", SimpleNamespace(SimpleQueue=Turnstile, Empty=Empty)),
        (database_module, "_CHECKPOINT_PAGES", PAGES_A_CHECKPOINT),
    )


class _Moment(datetime):
    """Certificates are of one moment."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime.fromtimestamp(NOW // 1000, tz)


def drawn(seed: int) -> Any:
    """Have what head office draws be the seed's: keys, serials, signatures, lives, events."""
    rng = Random(seed)
    sign = x509.CertificateBuilder.sign

    def signed(self: Any, key: Any, algorithm: Any) -> x509.Certificate:
        alike = True if isinstance(key, ec.EllipticCurvePrivateKey) else None
        return sign(self, key, algorithm, ecdsa_deterministic=alike)

    return changed(
        (secrets, "token_bytes", rng.randbytes),
        (secrets, "token_hex", lambda size: rng.randbytes(size).hex()),
        (secrets, "randbits", rng.getrandbits),
        (ec, "generate_private_key", lambda c: ec.derive_private_key(rng.getrandbits(250), c)),
        (
            Ed25519PrivateKey,
            "generate",
            lambda: Ed25519PrivateKey.from_private_bytes(rng.randbytes(32)),
        ),
        (x509, "random_serial_number", lambda: rng.getrandbits(150) | 1 << 150),
        (x509.CertificateBuilder, "sign", signed),
        (authority_module, "datetime", _Moment),
        (writer_module, "time", SimpleNamespace(time_ns=lambda: NOW * 1_000_000)),
    )


def record(folder: Path, seed: int, *, steps: int, level: str = "FULL") -> Disk:
    """Found a head office, and live a day, on a disk that remembers."""
    rng = Random(seed)
    with (
        one_place(),
        in_order(),
        synchronous(level),
        drawn(seed + 1),
        recorded(folder, seed) as disk,
    ):
        ran: list[tuple[Any, ...]] = []
        true = writer_module.Writer._commit

        def commit(self: Any, group: Any) -> None:
            true(self, group)
            disk.say(tuple(ran))
            ran.clear()

        with changed((writer_module.Writer, "_commit", commit)):
            create(Folder(folder), [])
            disk.say((("founded",),))
            day = Day(disk, Folder(folder), rng)
            day.ran = ran
            day.live(steps)
    return disk


def start(folder: Path, told: list[tuple[Any, ...]], touched: int, *, whole: bool) -> list[str]:
    """Start head office on what a power cut left; return what is wrong.

    Args:
        folder: The image.
        told: What had been acknowledged.
        touched: When the ledger was last touched.
        whole: Verify journal and views, too.
    """
    place = Folder(folder)
    path = Here(place.ledger)
    path.touched = touched
    with one_place():
        try:
            authority = Authority.load(place)
            ledger = Ledger.open(path, authority.node_key, lambda: NOW + 1_000_000_000)
        except LedgerUnavailable as error:
            # Founding was cut off: it says so, and nothing was promised to anybody.
            return [f"lost: {error}"] if told else []
        try:
            return asyncio.run(_judge(ledger, told, whole=whole))
        finally:
            ledger.close()


async def _judge(ledger: Ledger, told: list[tuple[Any, ...]], *, whole: bool) -> list[str]:
    wrong: list[str] = []
    if whole:
        found = await upkeep.verify(ledger)
        wrong += [f"corrupt: {fault}" for fault in found["faults"]]

    def kept(connection: Any) -> Any:
        facts = connection.execute(select(FACTS.c.event, FACTS.c.seq, FACTS.c.body)).all()
        sales = connection.execute(select(SALES.c.event)).scalars().all()
        return {row.event: tuple(row[1:]) for row in facts}, list(sales)

    facts, sales = await ledger.read(kept)
    wrong += _missing(told, facts, sales)
    wrong += [
        f"lost: backup {words[1]}"
        for words in told
        if words[0] == "copy" and not ledger.path.with_name(words[1]).exists()
    ]
    event = b"afterwards......"
    await ledger.write(
        lambda unit: author.write(unit, ALL, [(event, StoreDescribed("S9", "Sklep 9"))])
    )
    facts, _ = await ledger.read(kept)
    if event not in facts:
        wrong.append("stuck: what is written afterwards is not there")
    return wrong


def _missing(
    told: list[tuple[Any, ...]], facts: dict[bytes, tuple[Any, ...]], sales: list[bytes]
) -> Iterator[str]:
    """Say what is not as it was acknowledged."""
    for kind, *what in told:
        if kind == "fact":
            event, seq, body, of = what
            if event not in facts:
                yield f"lost: {of} {event.hex()}, which was acknowledged"
            elif facts[event] != (seq, body):
                yield f"corrupt: {of} {event.hex()} is not what was acknowledged"
            elif of.startswith("sale") and sales.count(event) != 1:
                yield f"corrupt: sale {event.hex()} counts {sales.count(event)} times"
        elif kind == "own" and what[0] not in facts:
            yield f"lost: own fact {what[0].hex()}"
    if len(sales) != len(set(sales)):
        yield "corrupt: a sale counts twice"
