"""What merging one more stock delta costs after a million, beside document libraries.

    python -m tests.bench.merge_cost [--short] [--deltas 1000000] [--seconds 150]

The same deltas for all: 1,000 articles (Zipf), five stores, 92 % sales of one to three,
8 % deliveries. A store commits each delta, and ships a batch every 50; the centre merges
the batch. Ours are the rows as the tables have them (`sync.merge.stock.Column`, thousandths)
and merging is the pointwise maximum in SQLite (WAL, synchronous=FULL); a batch has the
columns that grew, as columns of msgpack under zstd, as the exchange packs. As many batches
as the exchange lets the five stores have on their way (`MAX_IN_FLIGHT` each) share a commit,
as in `central.ledger.writer`; they are merged in memory and written a row once, as in
`central.ledger.effects`, and none counts as merged before the flush. Beside it stand a commit
and a flush for every batch, and the same without any flush.

The libraries merge in memory and write nothing. Each is measured twice: fed batch by batch,
and with as many at once as we are, by the call that is fastest for it then. Clocked is
everything from the bytes to the merged state, on disk where it goes there. All are fed from
one loop, so that a busy machine slows all alike; a library stops at its limit of time.
"""

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate, chain
from pathlib import Path

import loro
import msgspec
import pycrdt
from automerge import core as automerge
from rich.progress import Progress

from sync.exchange import wire
from sync.exchange.session import MAX_IN_FLIGHT
from sync.facts import columns
from sync.merge.stock import Column
from tests.bench.edge_sales import fdatasync_per_s

DELTAS, SHORT = 1_000_000, 20_000
EARLY = 100_000
SECONDS = 150
STORES, ARTICLES, BATCH = 5, 1000, 50
TOGETHER = STORES * MAX_IN_FLIGHT
"""Batches that may be on their way at one time."""

Shipped = list[tuple[int, bytes]]
"""Stores and their batches."""

_NAMES = [column.name.lower() for column in Column]


class Grown(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The columns of an article's row that grew since the last batch; 0: did not."""

    sku: str
    made: int = 0
    used: int = 0
    held: int = 0
    freed: int = 0
    done: int = 0
    gave: int = 0
    got: int = 0
    over: int = 0
    covered: int = 0


_SIZES = (256, 64, 16, 4, 1)
"""Rows of a statement: few sizes, so that each is found again among the prepared ones."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, tuple[list[str], *[list[int]] * len(Column)]]).decode


class Karb:
    """Rows of nine columns, merged by maximum in SQLite."""

    name = "Karb, rows in SQLite, flushed"
    synchronous = "FULL"
    together = TOGETHER
    """Batches of a commit."""

    def __init__(self, folder: Path, stores: int = STORES):
        self.rows: list[dict[str, list[int]]] = [{} for _ in range(stores)]
        self.grown: list[dict[tuple[str, int], int]] = [{} for _ in range(stores)]
        self.db = sqlite3.connect(folder / "rows.db", isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute(f"PRAGMA synchronous = {self.synchronous}")
        named = ", ".join(f"{name} INTEGER NOT NULL DEFAULT 0" for name in _NAMES)
        self.db.execute(
            f"CREATE TABLE rows (stream INTEGER, sku TEXT, {named}, PRIMARY KEY (stream, sku)) "
            "WITHOUT ROWID"
        )

    def record(self, store: int, sku: str, delta: int) -> None:
        row = self.rows[store].setdefault(sku, [0] * len(Column))
        column = Column.MADE if delta > 0 else Column.USED
        row[column] += 1000 * abs(delta)
        self.grown[store][sku, column] = row[column]

    def ship(self, store: int) -> bytes:
        by_sku: dict[str, dict[str, int]] = {}
        for (sku, column), total in self.grown[store].items():
            by_sku.setdefault(sku, {})[_NAMES[column]] = total
        self.grown[store].clear()
        rows = [Grown(sku, **by_sku[sku]) for sku in sorted(by_sku)]
        return wire._packer(wire.ZSTD).compress(_encode((len(rows), columns.pack(rows))))

    def merge(self, shipped: Shipped) -> None:
        merged: dict[int, dict[int, dict[str, int]]] = {}
        for store, batch in shipped:
            n, (skus, *packed) = _decode(wire._unpacker(wire.ZSTD).decompress(batch))
            columns.check(n, (skus, *packed))
            mine = merged.setdefault(store, {})
            for at, column in enumerate(packed):
                if column == [0]:  # nothing grew
                    continue
                known = mine.setdefault(at, {})
                full = column if len(column) == n else column * n
                for sku, total in zip(skus, full, strict=True):
                    if total > known.get(sku, 0):
                        known[sku] = total
        db = self.db
        db.execute("BEGIN IMMEDIATE")
        for store, grown in merged.items():
            skus = sorted(set().union(*grown.values()))
            totals = [[known.get(sku, 0) for sku in skus] for known in grown.values()]
            rows = list(zip([store] * len(skus), skus, *totals, strict=True))
            names, at = tuple(grown), 0
            for size in _SIZES:
                while len(rows) - at >= size:
                    part = rows[at : at + size]
                    db.execute(_upsert(names, size), tuple(chain.from_iterable(part)))
                    at += size
        db.execute("COMMIT")

    def totals(self) -> dict[str, int]:
        return {
            sku: total // 1000
            for sku, total in self.db.execute("SELECT sku, sum(made - used) FROM rows GROUP BY sku")
        }


@cache
def _upsert(grown: tuple[int, ...], size: int) -> str:
    """Return what merges some of the columns of so many rows."""
    names = [_NAMES[at] for at in grown]
    marks = f"(?, ?{', ?' * len(names)})"
    greatest = ", ".join(f"{name} = max({name}, excluded.{name})" for name in names)
    return (
        f"INSERT INTO rows (stream, sku, {', '.join(names)}) "
        f"VALUES {', '.join([marks] * size)} "
        f"ON CONFLICT DO UPDATE SET {greatest}"
    )


class Alone(Karb):
    """Each batch by itself, as if no two stores ever shipped at one time."""

    name = "Karb, flushed for each batch"
    together = 1


class Unflushed(Karb):
    """As a library does it: whoever uses it must flush."""

    name = "Karb, never flushed"
    synchronous = "OFF"


class Automerge:
    """A map; each key has one writer, so that the last write is the sum."""

    name = "Automerge 0.2.0.dev4, a map"

    def __init__(self, together: int, stores: int = STORES):
        self.together = together
        self.centre = automerge.Document()
        with self.centre.transaction() as tx:
            self.maps = [
                tx.put_object(automerge.ROOT, str(n), automerge.ObjType.Map) for n in range(stores)
            ]
        self.docs = [self.centre.fork() for _ in range(stores)]
        self.heads = [doc.get_heads() for doc in self.docs]
        self.sums: list[dict[str, int]] = [{} for _ in range(stores)]

    def record(self, store: int, sku: str, delta: int) -> None:
        total = self.sums[store][sku] = self.sums[store].get(sku, 0) + delta
        with self.docs[store].transaction() as tx:
            tx.put(self.maps[store], sku, automerge.ScalarType.Int, total)

    def ship(self, store: int) -> bytes:
        doc = self.docs[store]
        changes = doc.get_changes(self.heads[store])
        self.heads[store] = doc.get_heads()
        return b"".join(_leb(len(raw)) + raw for raw in (change.bytes for change in changes))

    def merge(self, shipped: Shipped) -> None:
        # A sync message of the first kind: nothing but changes. The one way to apply them.
        said = (b"\x42\0\0\0", _leb(BATCH * len(shipped)), *(batch for _, batch in shipped))
        message = automerge.Message.decode(b"".join(said))
        self.centre.receive_sync_message(automerge.SyncState(), message)

    def totals(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for part in self.maps:
            for sku in self.centre.keys(part):
                value = self.centre.get(part, sku)[0][1]
                found[sku] = found.get(sku, 0) + value
        return found


def _leb(n: int) -> bytes:
    """LEB128, unsigned."""
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


class Loro:
    """Counters of its own, one an article."""

    name = "Loro 1.17.1, counters"

    def __init__(self, together: int, stores: int = STORES):
        self.together = together
        self.centre = loro.LoroDoc()
        self.docs = [loro.LoroDoc() for _ in range(stores)]
        for n, doc in enumerate(self.docs):
            doc.peer_id = n + 1
        self.seen = [doc.oplog_vv for doc in self.docs]
        self.skus: set[str] = set()

    def record(self, store: int, sku: str, delta: int) -> None:
        self.skus.add(sku)
        doc = self.docs[store]
        doc.get_counter(sku).increment(delta)
        doc.commit()

    def ship(self, store: int) -> bytes:
        doc = self.docs[store]
        batch = doc.export(loro.ExportMode.Updates(self.seen[store]))
        self.seen[store] = doc.oplog_vv
        return bytes(batch)

    def merge(self, shipped: Shipped) -> None:
        if len(shipped) == 1:
            self.centre.import_(shipped[0][1])
        else:
            self.centre.import_batch([batch for _, batch in shipped])

    def totals(self) -> dict[str, int]:
        return {sku: int(self.centre.get_counter(sku).value) for sku in self.skus}


class Pycrdt:
    """A map; each key has one writer, so that the last write is the sum."""

    name = "pycrdt 0.14.13, a map"

    def __init__(self, together: int, stores: int = STORES):
        self.together = together
        self.centre = pycrdt.Doc()
        self.map = self.centre.get("stock", type=pycrdt.Map)
        self.docs = [pycrdt.Doc() for _ in range(stores)]
        self.maps = [doc.get("stock", type=pycrdt.Map) for doc in self.docs]
        self.seen = [doc.get_state() for doc in self.docs]
        self.sums: list[dict[str, int]] = [{} for _ in range(stores)]

    def record(self, store: int, sku: str, delta: int) -> None:
        total = self.sums[store][sku] = self.sums[store].get(sku, 0) + delta
        self.maps[store][f"{store}/{sku}"] = total

    def ship(self, store: int) -> bytes:
        doc = self.docs[store]
        batch = doc.get_update(self.seen[store])
        self.seen[store] = doc.get_state()
        return batch

    def merge(self, shipped: Shipped) -> None:
        if len(shipped) == 1:
            self.centre.apply_update(shipped[0][1])
        else:
            self.centre.apply_update(pycrdt.merge_updates(*(batch for _, batch in shipped)))

    def totals(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for key, value in self.map.to_py().items():
            sku = key.partition("/")[2]
            found[sku] = found.get(sku, 0) + int(value)
        return found


@dataclass
class Measured:
    """One engine's run."""

    engine: Karb | Automerge | Loro | Pycrdt
    wall: array = field(default_factory=lambda: array("d"))
    """Seconds to merge each batch; what was merged at once is shared out."""

    cpu: array = field(default_factory=lambda: array("d"))
    """Of them, the processor's: steadier on a busy machine, and without the disk's."""

    wire: array = field(default_factory=lambda: array("l"))
    """Bytes of each."""

    spent_s: float = 0.0
    """On recording, shipping and merging."""

    _shipped: Shipped = field(default_factory=list)

    @property
    def name(self) -> str:
        n = self.engine.together
        return f"{self.engine.name}, {f'{n} batches at once' if n > 1 else 'batch by batch'}"

    @property
    def deltas(self) -> int:
        return len(self.wall) * BATCH

    def take(self, store: int, part: list[tuple[str, int]]) -> None:
        """Record and ship a batch; merge, once there are as many as the engine takes at once."""
        began = time.perf_counter()
        for sku, delta in part:
            self.engine.record(store, sku, delta)
        batch = self.engine.ship(store)
        self._shipped.append((store, batch))
        self.wire.append(len(batch))
        if len(self._shipped) == self.engine.together:
            self.finish()
        self.spent_s += time.perf_counter() - began

    def finish(self) -> None:
        """Merge what was shipped."""
        n = len(self._shipped)
        if not n:
            return
        busy, before = time.thread_time(), time.perf_counter()
        self.engine.merge(self._shipped)
        self.wall.extend([(time.perf_counter() - before) / n] * n)
        self.cpu.extend([(time.thread_time() - busy) / n] * n)
        self._shipped.clear()

    def bytes_per_delta(self, end: int) -> float:
        return _per_delta(self.wire, 0, end)


def _per_delta(batches: array, start: int, end: int) -> float:
    """Return the mean of what batches cost for a delta, between two deltas of the run."""
    part = batches[start // BATCH : end // BATCH]
    return sum(part) / (len(part) * BATCH)


def batches(deltas: int, seed: int = 1) -> Iterator[tuple[int, list[tuple[str, int]]]]:
    """Yield a store and its next fifty deltas, store after store."""
    rng = random.Random(seed)
    skus = [f"5900000{n:06}" for n in range(ARTICLES)]
    rng.shuffle(skus)
    weights = list(accumulate(1 / (n + 1) for n in range(ARTICLES)))
    for number in range(deltas // BATCH):
        yield (
            number % STORES,
            [
                (sku, -rng.randint(1, 3) if rng.random() < 0.92 else rng.randint(1, 30))
                for sku in rng.choices(skus, cum_weights=weights, k=BATCH)
            ],
        )


def measure(deltas: int, seconds: float, folder: Path) -> list[Measured]:
    """Feed all engines, batch by batch, so that a busy machine slows all alike.

    Raises:
        AssertionError: An engine's sums are not the sums of the deltas it was fed.
    """
    for name in ("alone", "unflushed"):
        (folder / name).mkdir()
    found = [
        Measured(Karb(folder)),
        Measured(Alone(folder / "alone")),
        Measured(Unflushed(folder / "unflushed")),
        *(
            Measured(library(together))
            for together in (1, TOGETHER)
            for library in (Loro, Pycrdt, Automerge)
        ),
    ]
    fed = list(found)
    expected: dict[str, int] = {}
    with Progress(transient=True) as told:
        task = told.add_task("merging", total=deltas)
        for store, part in batches(deltas):
            for sku, delta in part:
                expected[sku] = expected.get(sku, 0) + delta
            for one in tuple(fed):
                one.take(store, part)
                if one.spent_s > seconds and not isinstance(one.engine, Karb):
                    fed.remove(one)
                    one.finish()
                    assert one.engine.totals() == expected, one.name
            told.update(task, advance=BATCH, description=f"merging in {len(fed)} engines")
    for one in fed:
        one.finish()
        assert one.engine.totals() == expected, one.name
    return found


def run(deltas: int = DELTAS, seconds: float = SECONDS):
    """Yield what, figure and ratio."""
    # On the disk the work is on: /tmp may be memory.
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as folder:
        flushes = fdatasync_per_s(Path(folder))
        karb, alone, unflushed, *libraries = measure(deltas, seconds, Path(folder))
    yield (
        f"{deltas:,} deltas, batches of {BATCH}, {STORES} stores, {ARTICLES:,} articles",
        "us to merge a delta, in the first 10 % → the last 10 %, mean (of the processor); wire",
        f"libraries stop after {seconds:.0f} s of their own",
    )
    yield "disk: 4 KiB + fdatasync", f"{1e6 / flushes / BATCH:.1f} us a delta of a batch", ""
    for end in sorted({min(EARLY, deltas), deltas}):
        yield _row(karb, end, "1.00 (reference), aim ≤ 8 B")
        for one in (alone, unflushed):
            yield _row(one, end, f"{_ratio(one, end, karb, 'wall'):.2f}")
        for one in libraries:
            aim = "aim ≥ 20" if isinstance(one.engine, Automerge) and end <= EARLY else "aim > 1"
            walls = [_ratio(one, end, ours, "wall") for ours in (karb, alone, unflushed)]
            yield _row(
                one,
                end,
                f"{walls[0]:.1f} times ours, {aim}; of the processor "
                f"{_ratio(one, end, karb, 'cpu'):.1f}; a flush a batch {walls[1]:.1f}, "
                f"none {walls[2]:.1f}",
            )
    for one in (karb, alone, unflushed):
        tenth = deltas // 10
        wall, cpu = (
            _per_delta(times, deltas - tenth, deltas) / _per_delta(times, 0, tenth)
            for times in (one.wall, one.cpu)
        )
        yield (
            f"{one.name}: the last tenth beside the first",
            "",
            (f"{wall:.2f}, aim ≤ 1; of the processor {cpu:.2f}"),
        )


def _ratio(one: Measured, end: int, ours: Measured, times: str) -> float:
    """Return how much dearer merging was, over the deltas both have done."""
    both = min(end, one.deltas)
    return _per_delta(getattr(one, times), 0, both) / _per_delta(getattr(ours, times), 0, both)


def _row(one: Measured, end: int, ratio: str) -> tuple[str, str, str]:
    reached = min(end, one.deltas)
    tenth = max(reached // 10, BATCH)
    first, last, mean, cpu = (
        1e6 * _per_delta(*span)
        for span in (
            (one.wall, 0, tenth),
            (one.wall, reached - tenth, reached),
            (one.wall, 0, reached),
            (one.cpu, 0, reached),
        )
    )
    wire = f"{one.bytes_per_delta(reached):.1f} B"
    return (
        f"{end:,}: {one.name}" + (f", stopped at {reached:,}" if reached < end else ""),
        f"{first:.1f} → {last:.1f}, mean {mean:.1f} ({cpu:.1f}) us; {wire}",
        ratio,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--short", action="store_true", help=f"{SHORT:,} deltas")
    parser.add_argument("--deltas", type=int, default=DELTAS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="a library's limit")
    asked = parser.parse_args()
    for row in run(SHORT if asked.short else asked.deltas, asked.seconds):
        print("; ".join(cell for cell in row if cell))


if __name__ == "__main__":
    sys.exit(main())
