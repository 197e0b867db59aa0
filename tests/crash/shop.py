"""A shop on the disk that is cut: what it does in a day, and what must hold at its next start."""

import asyncio
import os
import queue
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from random import Random
from threading import Condition
from types import SimpleNamespace
from typing import Any

import edge.store.store as store_module
import edge.store.witness as witness_module
import edge.store.writer as writer_module
from edge.clock import Clock
from edge.store import backup, prune
from edge.store.connection import connect, connect_read_only
from edge.store.journal import NotKept
from edge.store.store import Store
from edge.store.unit import PersonKey
from edge.store.verify import verify_file
from sync.chain import ALL, Batch, Fact, Head, StreamId, extend, genesis, sign
from sync.checkpoint import KEEP_MS
from sync.clock import Reading, Trust
from sync.facts import encode, kind_of
from sync.facts.basket import BasketEnded, BasketRecalled
from sync.facts.catalogue import Price, PriceColumns, Prices
from sync.facts.document import BASKET, CUSTOMER
from sync.facts.person import PersonForgotten
from sync.facts.sale import Fiscal, PaymentSettled, SaleClosed, SaleFiscalised, Stage
from sync.facts.stock import GoodsReceived, ReceivedLine, ReceivedLines
from sync.merge import basket as rules
from sync.merge.profile import Profile, edits
from tests.crash.disk import Disk, recorded
from tests.edge.store.rig import NOW, key, sale

DATABASE = "karb.sqlite"
STORE = "S1"
SKUS = ("MLEKO", "WODA", "PIWO", "JABLKA")
TILLS = ("T1", "T2", "T3")
HERE = b"here"
UNITS_A_CHECKPOINT = 12
"""Instead of a hundred: a short day then has many."""


class Turnstile:
    """The writer's queue: who waits is let in together, so that a seed always makes one day."""

    newest: "Turnstile"

    def __init__(self) -> None:
        self._in: list[Any] = []
        self._changed = Condition()
        self._idle = False
        self.held: list[Any] | None = None
        Turnstile.newest = self

    def put(self, job: Any) -> None:
        with self._changed:
            (self._in if self.held is None or job is None else self.held).append(job)
            self._changed.notify_all()

    def get(self, timeout: float | None = None) -> Any:
        if timeout is not None and not self._in:
            raise queue.Empty  # who waits is told only when the writer rests: it is a pause
        with self._changed:
            self._idle = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._in)
            self._idle = False
            return self._in.pop(0)

    def get_nowait(self) -> Any:
        with self._changed:
            if not self._in:
                raise queue.Empty
            return self._in.pop(0)

    def empty(self) -> bool:
        return not self._in

    def rest(self) -> None:
        """Wait until the writer has nothing to do."""
        with self._changed:
            self._changed.wait_for(lambda: self._idle and not self._in, 30)

    def qsize(self) -> int:
        return len(self._in)

    def hold(self) -> None:
        self.held = []

    def let_in(self) -> None:
        with self._changed:
            self._in += self.held or []
            self.held = None
            self._changed.notify_all()


@contextmanager
def changed(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    """Set attributes, and set them back."""
    before = [(of, name, getattr(of, name)) for of, name, _ in changes]
    for of, name, value in changes:
        setattr(of, name, value)
    try:
        yield
    finally:
        for of, name, value in before:
            setattr(of, name, value)


def one_place() -> Any:
    """Have every file be the one it was: an image is laid in another inode."""
    return changed(
        (store_module, "place", lambda _path: HERE), (witness_module, "place", lambda _path: HERE)
    )


def connecting(synchronous: str) -> Callable[[Path], Any]:
    def opened(path: Path) -> Any:
        db = connect(path)
        if synchronous != "FULL":
            db.execute(f"PRAGMA synchronous = {synchronous}")
        return db

    return opened


def clock(start: int = NOW) -> Clock:
    ticks = count(start, 7)
    return Clock(lambda: next(ticks), lambda: 0)


class Author:
    """Somebody else's stream."""

    def __init__(self, number: int, scope: str, incarnation: int = 9) -> None:
        self.key = key(number)
        self.stream = StreamId(self.key.node, incarnation, scope)
        self._hash, self._seq = genesis(self.stream), 0
        self.numbers = count(1)
        """Of its receipts."""

    def batch(self, *told: tuple[Any, bytes]) -> Batch:
        facts = []
        for body, event in told:
            self._seq += 1
            facts.append(
                Fact(self._seq, (NOW + self._seq) << 16, *kind_of(body), event, encode(body))
            )
        hashes = extend(self._hash, facts)
        self._hash = hashes[-1]
        return Batch(
            self.stream,
            facts,
            sign(self.key.private, Head(self.stream, self._seq, self._hash)),
        )


class Day:
    """What a shop does, drawn from a seed."""

    def __init__(self, disk: Disk | None, folder: Path, rng: Random, synchronous: str) -> None:
        self.disk, self.folder, self.rng = disk, folder, rng
        self.connect = connecting(synchronous)
        self.ran: list[tuple[Any, ...]] = []
        self.store: Store
        self.staged: list[tuple[bytes, int]] = []
        self.baskets: list[bytes] = []
        self.known: list[bytes] = []
        life = rng.getrandbits(40)
        self.office, self.neighbour = Author(3, ALL, life), Author(2, STORE, life)
        self._starts, self._names = count(1), count(1)

    def draw(self) -> bytes:
        return self.rng.randbytes(16)

    async def open(self) -> None:
        self.store = await Store.open(
            self.folder / DATABASE,
            key(0),
            STORE,
            clock(NOW + 1_000_000 * next(self._starts)),
            connect=self.connect,
            incarnation=self.rng.getrandbits(40),
        )

    async def together(self, *works: Callable[[Any], Any]) -> None:
        gate: Turnstile = self.store._writer._queue  # type: ignore[assignment]
        gate.hold()
        waiting = [asyncio.ensure_future(self.store.write(work)) for work in works]
        await asyncio.sleep(0)
        gate.let_in()
        await asyncio.gather(*waiting)

    def selling(self, *, staged: bool = False) -> Callable[[Any], None]:
        event, till = self.draw(), self.rng.choice(TILLS)
        skus = tuple(self.rng.sample(SKUS, self.rng.randint(1, 3)))
        stage = Stage.TENDERED if staged else Stage.CLOSED
        if staged:
            self.staged.append((event, 0))

        def work(unit: Any) -> None:
            number = unit.next_number(till)
            body = sale(number, till, skus=skus, stage=stage, method="card" if staged else "cash")
            unit.append(body, event)
            self.ran.append(("sale", event, number, encode(body)))

        return work

    async def sales(self) -> None:
        await self.together(*(self.selling() for _ in range(self.rng.randint(1, 4))))

    async def stage(self) -> None:
        if not self.staged or self.rng.random() < 0.4:
            await self.together(self.selling(staged=True), self.selling())
            return
        event, done = self.staged.pop(self.rng.randrange(len(self.staged)))
        steps: tuple[Callable[[Any], Any], ...] = (
            lambda unit: unit.append(PaymentSettled(0, approved=True), event),
            lambda unit: unit.append(SaleFiscalised(Fiscal("posnet", "EAA1", "7")), event),
            lambda unit: unit.holder.close(event, SaleClosed(NOW, 5)),
        )
        await self.together(steps[done], self.selling())
        if done < 2:
            self.staged.append((event, done + 1))

    async def delivery(self) -> None:
        lines = ReceivedLines.of(tuple(ReceivedLine(sku, 12_000) for sku in SKUS))
        event = self.draw()
        await self.store.write(lambda unit: unit.append(GoodsReceived(NOW, 5, lines), event))

    async def exchange(self) -> None:
        if not await self.store.knows(self.office.key.node):
            for author, store in ((self.office, ALL), (self.neighbour, STORE)):
                await self.store.write(
                    lambda unit, author=author, store=store: unit.root(
                        author.key.node, store, author.key.public
                    )
                )
        prices = Prices(
            self.rng.randint(1, 1 << 30),
            PriceColumns.of(tuple(Price(sku, self.rng.randint(100, 900)) for sku in SKUS)),
        )
        told: list[tuple[Any, bytes]] = [(prices, self.draw())]
        if self.known and self.rng.random() < 0.5:
            told.append((PersonForgotten(self.known[0], ()), self.known.pop(0)))
        await self.store.receive(self.office.batch(*told), {})
        theirs = [
            (sale(next(self.neighbour.numbers), "T9", skus=SKUS[:2]), self.draw()) for _ in range(3)
        ]
        await self.store.receive(self.neighbour.batch(*theirs), {})
        stream = self.store.stream
        head = next(head for head in self.store.heads() if head.stream == stream)
        self.store.note_peer({stream: head.seq}, {stream: head.seq // 2})
        await self.store.keep_peer()

    async def basket(self) -> None:
        if self.baskets and self.rng.random() < 0.5:
            basket, recall = self.baskets.pop(), self.draw()
            await self.store.write(
                lambda unit: (
                    unit.append(BasketRecalled(basket, "T1", "anna", NOW, 5, b""), recall),
                    unit.append(BasketEnded(basket, recall, b""), basket),
                )
            )
            return
        basket = self.draw()
        self.baskets.append(basket)
        milk = rules.Article("MLEKO", "Mleko", "szt", "5", 389)
        for n in range(2):
            line = rules.add(rules.Line(f"l{n}", milk, 1000))
            await self.store.write(
                lambda unit, line=line: unit.edit(basket, BASKET, lambda _: line)
            )

    async def customer(self) -> None:
        who, person = self.draw(), PersonKey(self.draw(), self.rng.randbytes(32), bytes(12))
        self.known.append(who)
        wanted = edits(Profile(), Profile(name="Jan", codes=(who.hex()[:8],)))
        await self.store.write(lambda unit: unit.edit(who, CUSTOMER, lambda _: wanted, person))

    async def copy(self) -> None:
        name = f"copy-{next(self._names)}"
        await self.store.backup(self.folder / name)
        if self.disk is not None:
            self.disk.say((("copy", name),))

    async def again(self) -> None:
        """End in order, and start again."""
        await self.close()
        await self.open()

    async def close(self) -> None:
        await self.store.close()
        if self.disk is not None:
            touched = (self.folder / DATABASE).stat().st_ctime_ns
            self.disk.say((("closed", touched),))

    async def put_back(self) -> None:
        name = f"copy-{next(self._names)}"
        await self.store.backup(self.folder / name)
        if self.disk is not None:
            self.disk.say((("copy", name),))
        await self.close()
        backup.put_back(self.folder / name, self.folder / DATABASE, key(0).node)
        await self.open()

    async def prune(self) -> None:
        """Drop old facts that head office has safely, in many small steps."""
        with changed((prune, "WORTH_IT", 1), (prune, "SLICE", 5), (prune, "SLICE_BYTES", 1)):
            await self.store.prune(Reading(NOW + 2 * KEEP_MS, Trust.CENTRAL))

    async def life(self) -> None:
        await self.store.begin_life(self.rng.getrandbits(40), "wished")

    async def live(self, steps: int) -> None:
        """Open, do `steps` things, and close."""
        await self.open()
        try:
            for _ in range(steps):
                await self.step()
        finally:
            await self.close()

    async def step(self) -> None:
        """Do one thing."""
        choices: tuple[tuple[Callable[[], Awaitable[None]], int], ...] = (
            (self.sales, 40),
            (self.stage, 24),
            (self.delivery, 6),
            (self.exchange, 8),
            (self.basket, 8),
            (self.customer, 5),
            (self.copy, 2),
            (self.again, 3),
            (self.put_back, 1),
            (self.prune, 4),
            (self.life, 1),
        )
        (chosen,) = self.rng.choices([c for c, _ in choices], [w for _, w in choices])
        await chosen()


def in_order() -> Any:
    """Have the writer's groups be the seed's, its checkpoints many, and nobody read meanwhile."""
    tell = writer_module._tell

    def tell_later(told: Any) -> None:
        Turnstile.newest.rest()
        tell(told)

    return changed(
        (writer_module, "_tell", tell_later),
        (writer_module, "queue", SimpleNamespace(SimpleQueue=Turnstile, Empty=queue.Empty)),
        (writer_module, "CHECKPOINT_IDLE", UNITS_A_CHECKPOINT),
    )


def record(folder: Path, seed: int, *, steps: int, synchronous: str = "FULL") -> Disk:
    """Live a day on a disk that remembers. What is in the folder already is where it begins."""
    rng = Random(seed)
    with one_place(), in_order(), recorded(folder, seed) as disk:
        day = Day(disk, folder, rng, synchronous)
        true = writer_module.Writer._commit

        def commit(self: Any, group: Any) -> None:
            true(self, group)
            disk.say(tuple(day.ran))
            day.ran.clear()

        with changed((writer_module.Writer, "_commit", commit)):
            asyncio.run(day.live(steps))
    return disk


class Here(type(Path())):  # type: ignore[misc]
    """The database, whose inode was last touched when the log says so."""

    touched: int | None = None

    def stat(self, **more: Any) -> os.stat_result:
        found = super().stat(**more)
        if self.touched is None:
            return found
        whole = list(found)
        return os.stat_result(
            whole,
            {
                "st_ctime_ns": self.touched,
                "st_mtime_ns": found.st_mtime_ns,
                "st_atime_ns": found.st_atime_ns,
            },
        )


def start(folder: Path, told: list[tuple[Any, ...]], touched: int, *, whole: bool) -> list[str]:
    """Start the whole program on what a power cut left; return what is wrong.

    Args:
        folder: The image.
        told: What had been acknowledged.
        touched: When the database file was last touched.
        whole: Verify journal and views, too.
    """
    with one_place():
        return asyncio.run(_start(folder, told, touched, whole=whole))


async def _start(
    folder: Path, told: list[tuple[Any, ...]], touched: int, *, whole: bool
) -> list[str]:
    path = Here(folder / DATABASE)
    path.touched = touched
    before = _life(folder / DATABASE)
    store = await Store.open(
        path, key(0), STORE, clock(NOW + 1_000_000_000), incarnation=(1 << 40) - 1
    )
    try:
        wrong = []
        if before and store.stream.incarnation != before:
            cause = (await store.lives())[-2].cause
            if cause not in ("restored", "closed"):
                wrong.append(f"life: a power cut began one, by {cause!r}")
        wrong += [what async for what in _sales(store, told)]
        wrong += [what async for what in _selling(store)]
    finally:
        await store.close()
    wrong += _copies(folder, told)
    if whole:
        wrong += [f"corrupt: {finding}" for finding in verify_file(folder / DATABASE).findings]
    return wrong


async def _sales(store: Store, told: list[tuple[Any, ...]]) -> AsyncIterator[str]:
    """Say which sales are not what was acknowledged."""
    for kind, *what in told:
        if kind == "sale":
            event, number, body = what
            try:
                view = await store.sale(event)
            except NotKept as gone:  # dropped when it was old, and on record
                if f"/{number}, " not in str(gone):
                    yield f"corrupt: sale {event.hex()}, receipt {number}: {gone}"
                continue
            if view is None:
                yield f"lost: sale {event.hex()}, acknowledged as receipt {number}"
            elif (view.number, encode(view.body)) != (number, body):
                yield f"corrupt: sale {event.hex()} is not what was acknowledged"


async def _selling(store: Store) -> AsyncIterator[str]:
    """Go on selling; say what is wrong with the numbers of the receipts."""
    event, till = b"afterwards......", "T1"
    here = {
        series: (numbers, most)
        for series, numbers, most in await store._rows(
            "SELECT series, count(DISTINCT number), max(number) FROM sales JOIN streams "
            "ON streams.id = sales.stream WHERE node = ? GROUP BY series",
            (key(0).node,),
        )
    }
    for series, (numbers, most) in here.items():
        if numbers != most:
            yield f"corrupt: series {series} has {numbers} receipts up to {most}"

    def work(unit: Any) -> int:
        number: int = unit.next_number(till)
        unit.append(sale(number, till, skus=SKUS), event)
        return number

    number = await store.write(work)
    view = await store.sale(event)
    expected = here.get(view.series, (0, 0))[1] + 1 if view else None
    if number != expected:
        yield f"corrupt: the next receipt is {number}, expected {expected}"


def _copies(folder: Path, told: list[tuple[Any, ...]]) -> Iterator[str]:
    """Say what is wrong with the backups in an image."""
    for kind, *what in told:
        if kind == "copy" and not (folder / what[0]).exists():
            yield f"lost: backup {what[0]}, which had been made"
    for path in folder.glob("copy-*"):
        if path.suffix == "" and (findings := verify_file(path, copy=True).findings):
            yield f"corrupt: backup {path.name}: {findings[0]}"


def _life(path: Path) -> int:
    if not path.exists():
        return 0
    try:
        with closing(connect_read_only(path)) as db:
            row = db.execute("SELECT value FROM meta WHERE key = 'incarnation'").fetchone()
    except Exception:  # noqa: BLE001 - no tables yet: then there was no life
        return 0
    return int.from_bytes(row[0], "big") if row else 0
