"""The second judge: plain `sqlite3` over the closed files, and the data set's own columns.

Nothing here asks Karb's code. Every sale is compared by its id, at the shop and at head
office, with what the data set says of its basket; then the sums, then the stock of every
article, then the paper.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec

from edge.demo.goods import Due, ShopGoods
from edge.demo.paper import Papers, Receipt

CLOSED = 4
"""`sync.facts.sale.Stage.CLOSED`, as written in the files."""

_LINES = 4
"""Where a sale's body has its lines: how many, then a column each of articles, thousandths …"""

_LISTED = 5
"""Sales named of each kind of difference."""

Sales: TypeAlias = Mapping[bytes, Due]


@dataclass(frozen=True, slots=True)
class Sums:
    """What sales come to."""

    sales: int = 0
    lines: int = 0
    quantity_milli: int = 0
    value_minor: int = 0

    @classmethod
    def of(cls, sales: Sales) -> "Sums":
        """Add up."""
        return cls(
            len(sales),
            sum(one.lines for one in sales.values()),
            sum(one.quantity_milli for one in sales.values()),
            sum(one.total_minor for one in sales.values()),
        )

    def less(self, other: "Sums") -> "Sums":
        """Return the difference."""
        return Sums(
            self.sales - other.sales,
            self.lines - other.lines,
            self.quantity_milli - other.quantity_milli,
            self.value_minor - other.value_minor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What one party's file says of a shop."""

    sales: Sales
    stock: Mapping[str, int]
    amiss: int
    """Facts quarantined, and sales not closed."""

    twice: frozenset[bytes]
    """Events that more than one fact tells of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slips:
    """What a node's file says of its own paper."""

    receipts: Mapping[bytes, Receipt]
    """Of every sale of its till, its number."""

    states: Mapping[bytes, str]

    @property
    def unknown(self) -> int:
        """Slips of which nobody knows whether they are on paper."""
        return sum(state == "unknown" for state in self.states.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What one node of a shop leaves behind."""

    name: str
    file: File
    slips: Slips
    papers: Papers
    """What came out of its printer."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one file holds of a shop."""

    who: str
    sums: Sums
    stock_right: int
    """Articles of which as much is left as must be."""


@dataclass(frozen=True, slots=True)
class Till:
    """What one node sold and printed."""

    name: str
    sold: int
    printed: int
    copies: int
    unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One shop, judged."""

    wanted: Sums
    """By the data set."""

    nodes: tuple[Found, ...]
    central: Found
    articles: int
    tills: tuple[Till, ...]
    differences: tuple[str, ...]
    """In words; none if all is well."""

    @property
    def doubtful(self) -> int:
        """Slips printed as a copy, or of which nobody knows."""
        return sum(till.copies + till.unknown for till in self.tills)


def judge(
    goods: ShopGoods,
    count: int,
    wanted: Sums,
    nodes: Sequence[Node],
    central: File,
    *,
    moved: Mapping[str, int] | None = None,
    twice: AbstractSet[bytes] = frozenset(),
) -> Verdict:
    """Compare everything there is about a shop's first `count` baskets.

    Args:
        goods: What was to be sold.
        count: How many baskets were.
        wanted: Their sums by the data set.
        nodes: What its nodes leave behind.
        central: What head office's file says of the shop.
        moved: Thousandths by sku that came in beyond the delivery, less what was handed
            over to buyers of the web.
        twice: Events that were booked on two nodes; nothing else may be there twice.
    """
    due = {
        sale.bytes: goods.due(basket)
        for sale, basket in zip(goods.ids[:count], goods.baskets, strict=False)
    }
    sold, more = goods.sold(count), moved or {}
    left = {sku: milli - sold[sku] + more.get(sku, 0) for sku, milli in goods.delivery().items()}
    differences = list(_sums("the baskets", Sums.of(due), wanted))
    found = []
    for who, file in (*((node.name, node.file) for node in nodes), ("head office", central)):
        differences += _sums(who, Sums.of(file.sales), wanted)
        differences += _sales(who, file.sales, due)
        wrong = [sku for sku in left.keys() | file.stock if file.stock.get(sku) != left.get(sku)]
        if wrong:
            differences.append(f"{who}: stock of {len(wrong)} articles, first {min(wrong)}")
        amiss = file.amiss + len(file.twice ^ twice)
        if amiss:
            differences.append(f"{who}: {amiss} facts amiss")
        right = sum(file.stock.get(sku) == milli for sku, milli in left.items())
        found.append(Found(who, Sums.of(file.sales), right))
    for node in nodes:
        differences += _numbers(node.slips.receipts)
        differences += _paper(node.slips, node.papers)
    known = Counter(sale for node in nodes for sale in node.slips.receipts)
    strange = [sale for sale in due if known[sale] != 1]
    if strange:
        differences.append(f"{len(strange)} sales not of one till, first {min(strange).hex()}")
    return Verdict(
        wanted=wanted,
        nodes=tuple(found[:-1]),
        central=found[-1],
        articles=len(left),
        tills=tuple(
            Till(
                node.name,
                len(node.slips.receipts),
                node.papers.originals.total(),
                node.papers.copies.total(),
                node.slips.unknown,
            )
            for node in nodes
        ),
        differences=tuple(differences),
    )


def of_edge(path: Path, till: str) -> tuple[File, Slips]:
    """Read the closed database of the node that has a till."""
    with _opened(path) as database:
        rows = database.execute(
            "SELECT event, lines, quantity_milli, total_minor, series, number, till"
            " FROM sales"
            " WHERE stage = ?",
            (CLOSED,),
        ).fetchall()
        amiss = _count(database, f"sales WHERE stage <> {CLOSED}")
        amiss += _count(database, "quarantine")
        file = File(
            sales={bytes(row[0]): Due(*row[1:4]) for row in rows},
            stock=dict(
                database.execute(
                    "SELECT cell, sum(made - used - done - over) FROM rights GROUP BY cell"
                )
            ),
            amiss=amiss,
            twice=frozenset(
                bytes(event) for (event,) in database.execute("SELECT event FROM duplicates")
            ),
        )
        slips = Slips(
            receipts={bytes(row[0]): (row[4], row[5]) for row in rows if row[6] == till},
            states={
                bytes(event): state
                for event, state in database.execute("SELECT event, state FROM slips")
            },
        )
    return file, slips


def of_central(path: Path, store: str) -> File:
    """Read what head office's closed database has of one store; lines are counted one by one."""
    with _opened(path) as database:
        rows = database.execute(
            "SELECT s.event, f.body, s.total_minor FROM sales s JOIN facts f ON f.store = s.store"
            " AND f.node = s.node AND f.incarnation = s.incarnation AND f.seq = s.seq"
            " WHERE s.store = ? AND s.stage = ?",
            (store, CLOSED),
        ).fetchall()
        amiss = _count(database, f"sales WHERE stage <> {CLOSED} AND store = ?", store)
        amiss += _count(database, "quarantine WHERE store = ?", store)
        return File(
            sales={event: Due(*_lines(body), total) for event, body, total in rows},
            stock=dict(
                database.execute(
                    "SELECT cell, sum(made - used - done - over) FROM rights WHERE store = ? "
                    "GROUP BY cell",
                    (store,),
                )
            ),
            amiss=amiss,
            twice=frozenset(
                event
                for (event,) in database.execute(
                    "SELECT event FROM duplicates WHERE store = ?", (store,)
                )
            ),
        )


def _lines(body: bytes) -> tuple[int, int]:
    """Return how many lines a sale's body has, and their thousandths."""
    n, _, milli, *_ = msgspec.msgpack.decode(body)[_LINES]
    if len(milli) == 1:  # one value stands for all
        milli *= n
    return len(milli), sum(milli)


def _sums(who: str, got: Sums, wanted: Sums) -> Iterator[str]:
    if got != wanted:
        less = got.less(wanted)
        yield (
            f"{who}: {less.sales:+} sales, {less.lines:+} lines, {less.quantity_milli:+} "
            f"thousandths, {less.value_minor:+} grosz against the data set"
        )


def _sales(who: str, got: Sales, due: Sales) -> Iterator[str]:
    kinds = {
        "lost": due.keys() - got.keys(),
        "of nobody": got.keys() - due.keys(),
        "not what was bought": {sale for sale in due.keys() & got.keys() if due[sale] != got[sale]},
    }
    for kind, sales in kinds.items():
        if sales:
            named = ", ".join(sale.hex() for sale in sorted(sales)[:_LISTED])
            yield f"{who}: {len(sales)} sales {kind}: {named}"


def _numbers(receipts: Mapping[bytes, Receipt]) -> Iterator[str]:
    """Receipts of a series are numbered 1, 2, 3 … without a gap."""
    series: dict[str, list[int]] = {}
    for name, number in receipts.values():
        series.setdefault(name, []).append(number)
    for name, numbers in series.items():
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            yield f"series {name}: {len(numbers)} receipts, the last is number {max(numbers)}"


def _paper(slips: Slips, papers: Papers) -> Iterator[str]:
    if papers.strange:
        yield f"{papers.strange} receipts without a number"
    known = set(slips.receipts.values())
    nobody = (papers.originals.keys() | papers.copies.keys()) - known
    if nobody:
        yield f"{len(nobody)} receipts of no sale, first {min(nobody)}"
    for sale, receipt in slips.receipts.items():
        name = f"receipt {receipt[0]}/{receipt[1]}"
        originals, copies = papers.originals[receipt], papers.copies[receipt]
        state = slips.states.get(sale, "missing")
        if originals > 1:
            yield f"{name}: {originals} originals on paper"
        if state not in ("printed", "copy", "unknown"):
            yield f"{name}: its slip is {state}"
        if (state == "printed" and not originals) or (state == "copy" and not copies):
            yield f"{name}: {state}, and not on paper"


def _count(database: sqlite3.Connection, what: str, *values: str) -> int:
    return int(database.execute(f"SELECT count(*) FROM {what}", values).fetchone()[0])


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        yield database
