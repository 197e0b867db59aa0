"""What merging one more stock delta costs after a million, beside document libraries.

    python -m tests.bench.merge_cost [--short] [--deltas 1000000] [--seconds 240]

The same deltas for all: 1,000 articles (Zipf), five stores, 92 % sales of one to three,
8 % deliveries. A store commits each delta, and ships a batch every 50; the centre merges
the batch. Ours are the rows as the tables have them (`sync.merge.stock.Column`, thousandths)
and merging is the pointwise maximum in SQLite, durable (WAL, synchronous=FULL) per batch; a
batch has the columns that grew, as columns of msgpack under zstd, as the exchange packs.
The libraries merge in memory and write nothing; each is used in the way that is fastest for
it. Clocked is everything from the bytes to the merged state. A library stops at its limit.
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
from itertools import accumulate
from pathlib import Path

import loro
import msgspec
import pycrdt
from automerge import core as automerge
from rich.progress import Progress

from sync.exchange import wire
from sync.facts import columns
from sync.merge.stock import Column
from tests.bench.edge_sales import fdatasync_per_s

DELTAS, SHORT = 1_000_000, 20_000
EARLY = 100_000
SECONDS = 240
STORES, ARTICLES, BATCH = 5, 1000, 50

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


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, tuple[list[str], *[list[int]] * len(Column)]]).decode


class Karb:
    """Rows of nine columns, merged by maximum in SQLite."""

    name = "Karb, rows in SQLite, flushed per batch"
    synchronous = "FULL"

    def __init__(self, folder: Path, stores: int):
        self.rows: list[dict[str, list[int]]] = [{} for _ in range(stores)]
        self.grown: list[dict[tuple[str, int], int]] = [{} for _ in range(stores)]
        self.db = sqlite3.connect(folder / "rows.db", isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute(f"PRAGMA synchronous = {self.synchronous}")
        named = ", ".join(f"{name} INTEGER NOT NULL" for name in _NAMES)
        self.db.execute(
            f"CREATE TABLE rows (stream INTEGER, sku TEXT, {named}, PRIMARY KEY (stream, sku)) "
            "WITHOUT ROWID"
        )
        greatest = ", ".join(f"{name} = max({name}, excluded.{name})" for name in _NAMES)
        self.upsert = (
            f"INSERT INTO rows VALUES (?, ?{', ?' * len(_NAMES)}) "
            f"ON CONFLICT DO UPDATE SET {greatest}"
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

    def merge(self, store: int, batch: bytes) -> None:
        n, packed = _decode(wire._unpacker(wire.ZSTD).decompress(batch))
        db = self.db
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            self.upsert, [(store, sku, *amounts) for sku, *amounts in columns.unpack(n, packed)]
        )
        db.execute("COMMIT")

    def totals(self) -> dict[str, int]:
        return {
            sku: total // 1000
            for sku, total in self.db.execute("SELECT sku, sum(made - used) FROM rows GROUP BY sku")
        }


class Unflushed(Karb):
    """As a library does it: whoever uses it must flush."""

    name = "Karb, the same without the flush"
    synchronous = "OFF"


class Automerge:
    """A map; each key has one writer, so that the last write is the sum."""

    name = "Automerge 0.2.0.dev4, a map"

    def __init__(self, _folder: Path, stores: int):
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
        # A sync message of the first kind: nothing but changes. The one way to apply them.
        said = [b"\x42\0\0\0", _leb(len(changes))]
        for change in changes:
            raw = change.bytes
            said += [_leb(len(raw)), raw]
        return b"".join(said)

    def merge(self, _store: int, batch: bytes) -> None:
        message = automerge.Message.decode(batch)
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

    def __init__(self, _folder: Path, stores: int):
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

    def merge(self, _store: int, batch: bytes) -> None:
        self.centre.import_(batch)

    def totals(self) -> dict[str, int]:
        return {sku: int(self.centre.get_counter(sku).value) for sku in self.skus}


class Pycrdt:
    """A map; each key has one writer, so that the last write is the sum."""

    name = "pycrdt 0.14.13, a map"

    def __init__(self, _folder: Path, stores: int):
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

    def merge(self, _store: int, batch: bytes) -> None:
        self.centre.apply_update(batch)

    def totals(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for key, value in self.map.to_py().items():
            sku = key.partition("/")[2]
            found[sku] = found.get(sku, 0) + int(value)
        return found


@dataclass
class Measured:
    """One engine's run."""

    name: str
    batches: array = field(default_factory=lambda: array("d"))
    """Seconds to merge each."""

    wire: array = field(default_factory=lambda: array("l"))
    """Bytes of each."""

    @property
    def deltas(self) -> int:
        return len(self.batches) * BATCH

    def merge_us(self, start: int, end: int) -> float:
        """Return microseconds to merge a delta, between two deltas of the run."""
        part = self.batches[start // BATCH : end // BATCH]
        return sum(part) / (len(part) * BATCH) * 1e6

    def bytes_per_delta(self, end: int) -> float:
        part = self.wire[: end // BATCH]
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


def measure(engine, deltas: int, seconds: float, told: Progress, folder: Path) -> Measured:
    """Run one engine to the end or to its limit, and check what it has then.

    Raises:
        AssertionError: Its sums are not the sums of the deltas.
    """
    found = Measured(engine.name)
    task = told.add_task(engine.name, total=deltas)
    run = engine(folder, STORES)
    expected: dict[str, int] = {}
    clock = time.perf_counter
    began = clock()
    for store, part in batches(deltas):
        for sku, delta in part:
            run.record(store, sku, delta)
        batch = run.ship(store)
        between = clock()
        run.merge(store, batch)
        found.batches.append(clock() - between)
        found.wire.append(len(batch))
        for sku, delta in part:
            expected[sku] = expected.get(sku, 0) + delta
        told.advance(task, BATCH)
        if clock() - began > seconds and not issubclass(engine, Karb):
            break
    assert run.totals() == expected, engine.name
    return found


def run(deltas: int = DELTAS, seconds: float = SECONDS):
    """Yield what, figure and ratio."""
    measured = []
    with Progress(transient=True) as told:
        for engine in (Karb, Unflushed, Loro, Pycrdt, Automerge):
            # On the disk the work is on: /tmp may be memory.
            with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as folder:
                if engine is Karb:
                    flushes = fdatasync_per_s(Path(folder))
                measured.append(measure(engine, deltas, seconds, told, Path(folder)))
    karb, unflushed, *libraries = measured
    yield (
        f"{deltas:,} deltas, batches of {BATCH}, {STORES} stores, {ARTICLES:,} articles",
        "merging a delta in the first 10 % → the last 10 %, mean; wire",
        f"libraries stop at {seconds:.0f} s",
    )
    yield "disk: 4 KiB + fdatasync", f"{1e6 / flushes / BATCH:.1f} us a delta of a batch", ""
    for end in sorted({min(EARLY, deltas), deltas}):
        yield _row(karb, end, "1.00 (reference), aim ≤ 8 B")
        yield _row(unflushed, end, f"{_ratio(unflushed, end, karb):.2f}")
        for one in libraries:
            aim = ", aim ≥ 20" if one.name == Automerge.name else ", aim > 1"
            yield _row(
                one,
                end,
                f"{_ratio(one, end, karb):.1f} times ours ({_ratio(one, end, unflushed):.1f} "
                f"without our flush){aim}",
            )
    for one in (karb, unflushed):
        last = one.merge_us(deltas - deltas // 10, deltas) / one.merge_us(0, deltas // 10)
        yield f"{one.name}: the last tenth beside the first", "", f"{last:.2f}, aim ≤ 1"


def _ratio(one: Measured, end: int, ours: Measured) -> float:
    """Return how much dearer merging was, over the deltas both have done."""
    both = min(end, one.deltas)
    return one.merge_us(0, both) / ours.merge_us(0, both)


def _row(one: Measured, end: int, ratio: str) -> tuple[str, str, str]:
    reached = min(end, one.deltas)
    tenth = max(reached // 10, BATCH)
    stopped = f", stopped at {reached:,}" if reached < end else ""
    first, last = one.merge_us(0, tenth), one.merge_us(reached - tenth, reached)
    return (
        f"{end:,}: {one.name}{stopped}",
        (
            f"{first:.1f} → {last:.1f}, mean {one.merge_us(0, reached):.1f} us; "
            f"{one.bytes_per_delta(reached):.1f} B"
        ),
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
