"""A stock count: a sheet, what was counted, how far each node was by then, and its posting.

All facts of a sheet but the marks stand under the sheet's event, the posting under one made
of it (`posting`). A line was counted at the moment its fact was written: what stands before
it in its own stream had left or come by then. Every other node of the store *marks* the line
when it hears of it: so far was I at that moment. Quantities are ints in thousandths
(`_milli`).
"""

from enum import IntEnum
from hashlib import sha256

import msgspec

from sync.chain import EVENT_BYTES, StreamId
from sync.facts import columns
from sync.facts.columns import Whole
from sync.facts.rights import MOST


class Covers(IntEnum):
    """Which articles a sheet is about. Written into facts: never renumber."""

    ALL = 1
    GROUP = 2
    LIST = 3


class CountOpened(msgspec.Struct, frozen=True, array_like=True):
    """A sheet to be filled in (Polish: arkusz spisu z natury)."""

    at_ms: Whole
    trust: Whole
    name: str
    covers: Covers = Covers.ALL
    group: str = ""
    skus: tuple[str, ...] = ()

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if (self.covers is Covers.GROUP) is not bool(self.group):
            return f"{self.covers.name}, group {self.group!r}: expected a group for GROUP alone"
        if (self.covers is Covers.LIST) is not bool(self.skus):
            return f"{self.covers.name}, {len(self.skus)} articles: expected some for LIST alone"
        return "" if self.name else "a sheet needs a name"


class CountedLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """So much of an article was there."""

    sku: str
    counted_milli: Whole
    attempt: Whole = 1
    """1: counted once; 2: counted again, and so on."""


class CountedLines(msgspec.Struct, frozen=True, array_like=True):
    """Lines of a sheet, as columns (`sync.facts.columns`)."""

    n: int
    sku: list[str]
    counted_milli: list[Whole]
    attempt: list[Whole]

    @classmethod
    def of(cls, lines: tuple[CountedLine, ...]) -> "CountedLines":
        """Turn rows into columns."""
        return cls(len(lines), *(columns.pack(lines) or ([], [], [])))

    def rows(self) -> tuple[CountedLine, ...]:
        """Turn columns into rows.

        Raises:
            BadFact: The columns are not of one length.
        """
        return tuple(
            CountedLine(*row)
            for row in columns.unpack(self.n, (self.sku, self.counted_milli, self.attempt))
        )


class CountTaken(msgspec.Struct, frozen=True, array_like=True):
    """Articles of a sheet were counted, at the place of this fact in its stream.

    Of several counts of an article the latest holds.
    """

    at_ms: Whole
    trust: Whole
    lines: CountedLines
    streams: tuple[StreamId, ...] = ()
    """The other streams of the place as the counting node knew them, and in `numbers` how far:
    that much had certainly happened, whatever anybody's clock says."""

    numbers: tuple[Whole, ...] = ()
    who: str = ""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        rows = self.lines.rows()
        if not rows:
            return "expected a line"
        if len({row.sku for row in rows}) < len(rows):
            return "expected each article once"
        for row in rows:
            if not row.sku or not 0 <= row.counted_milli < MOST or row.attempt < 1:
                return f"{row.sku!r}: {row.counted_milli} thousandths, attempt {row.attempt}"
        if len(self.streams) != len(self.numbers) or any(n < 0 for n in self.numbers):
            return "expected a number of each stream"
        return ""


class CountMarked(msgspec.Struct, frozen=True, array_like=True):
    """So far a node was when some lines were counted, in each of its streams of the place.

    Written by every node of the place but the counting one. A stream of its that is not
    named had not begun.
    """

    of: StreamId
    """The stream in which the lines stand."""

    lines: tuple[Whole, ...]
    """Their numbers there."""

    streams: tuple[StreamId, ...]
    numbers: tuple[tuple[Whole, ...], ...]
    """For each of `streams` a number for each of `lines`."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if not self.lines or len(self.numbers) != len(self.streams):
            return "expected lines, and numbers of each stream"
        if any(len(row) != len(self.lines) for row in self.numbers):
            return f"expected {len(self.lines)} numbers of each stream"
        if any(number < 0 for row in (self.lines, *self.numbers) for number in row):
            return "a number is never negative"
        return ""


class PostedLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a count made of the books of an article."""

    sku: str
    counted_milli: Whole
    difference_milli: Whole
    """Counted less what the books had at that moment."""

    hlc: int
    """Of the fact that says it was counted: a later count of another sheet wins over it."""


class PostedLines(msgspec.Struct, frozen=True, array_like=True):
    """Lines of a posting, as columns (`sync.facts.columns`)."""

    n: int
    sku: list[str]
    counted_milli: list[Whole]
    difference_milli: list[Whole]
    hlc: list[int]

    @classmethod
    def of(cls, lines: tuple[PostedLine, ...]) -> "PostedLines":
        """Turn rows into columns."""
        return cls(len(lines), *(columns.pack(lines) or ([], [], [], [])))

    def rows(self) -> tuple[PostedLine, ...]:
        """Turn columns into rows.

        Raises:
            BadFact: The columns are not of one length.
        """
        return tuple(
            PostedLine(*row)
            for row in columns.unpack(
                self.n, (self.sku, self.counted_milli, self.difference_milli, self.hlc)
            )
        )


class CountPosted(msgspec.Struct, frozen=True, array_like=True):
    """A sheet was compared with the books, and the books follow it.

    What was found too much comes in, what is missing goes out; what of that the author has
    no right to is `RightsMoved` OVER beside it.
    """

    at_ms: Whole
    trust: Whole
    sheet: bytes
    lines: PostedLines
    by_time: tuple[bytes, ...] = ()
    """Nodes whose marks were not waited for: how far they were was told by the clock."""

    approved_by: str = ""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if len(self.sheet) != EVENT_BYTES:
            return f"a sheet of {len(self.sheet)} bytes"
        rows = self.lines.rows()
        if len({row.sku for row in rows}) < len(rows):
            return "expected each article once"
        for row in rows:
            if not row.sku or not -MOST < row.difference_milli < MOST or not 0 <= row.hlc < 1 << 63:
                return f"{row.sku!r}: {row.difference_milli} thousandths"
        return ""

    def found(self) -> dict[str, int]:
        """Return what is there and was not in the books: article to thousandths."""
        return {r.sku: r.difference_milli for r in self.lines.rows() if r.difference_milli > 0}

    def missing(self) -> dict[str, int]:
        """Return what was in the books and is not there: article to thousandths."""
        return {r.sku: -r.difference_milli for r in self.lines.rows() if r.difference_milli < 0}


def posting(sheet: bytes) -> bytes:
    """Name the event of a sheet's posting: whoever posts it, it is one event."""
    return sha256(b"karb.count.1" + sheet).digest()[:EVENT_BYTES]
