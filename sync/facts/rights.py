"""Rights: who may promise what. Amounts are ints, of goods in thousandths (`_milli`).

A fact of these moves the row of the stream it stands in, and no other
(`sync.merge.rights`); its place is the stream's scope. Written in the same
transaction as what it belongs to, under the same event.
"""

from enum import IntEnum

import msgspec

from sync.chain import StreamId
from sync.facts import columns
from sync.facts.columns import Whole

MOST = 1 << 50
"""Above any amount of one line."""


class Move(IntEnum):
    """What happens to a row. Written into facts: never renumber."""

    MADE = 1
    USED = 2
    HELD = 3
    FREED = 4
    DONE = 5
    GIVEN = 6
    OVER = 7
    """Of what this event uses, so much is beyond the right: from ``used`` to ``over``."""

    COVERED = 8


class CellLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An amount of one cell."""

    cell: str
    """`sync.merge.rights.cell`; the bare sku for stock."""

    milli: Whole


class CellLines(msgspec.Struct, frozen=True, array_like=True):
    """Amounts of several cells, as columns (`sync.facts.columns`)."""

    n: int
    cell: list[str]
    milli: list[Whole]

    @classmethod
    def of(cls, lines: tuple[CellLine, ...]) -> "CellLines":
        """Turn rows into columns."""
        return cls(len(lines), *(columns.pack(lines) or ([], [])))

    @classmethod
    def by_cell(cls, amounts: dict[str, int]) -> "CellLines":
        """Turn cell to amount into columns."""
        return cls.of(tuple(CellLine(name, milli) for name, milli in amounts.items()))

    def rows(self) -> tuple[CellLine, ...]:
        """Turn columns into rows.

        Raises:
            BadFact: The columns are not of one length.
        """
        return tuple(CellLine(*row) for row in columns.unpack(self.n, (self.cell, self.milli)))

    def amounts(self) -> dict[str, int]:
        """Return cell to amount, lines of one cell added up.

        Raises:
            BadFact: The columns are not of one length.
        """
        total: dict[str, int] = {}
        for name, milli in columns.unpack(self.n, (self.cell, self.milli)):
            total[name] = total.get(name, 0) + milli
        return total

    def reason(self) -> str:
        """Why these cannot be true; empty if they can."""
        if not self.n:
            return "expected a line"
        for name, milli in columns.unpack(self.n, (self.cell, self.milli)):
            if not name or not 0 < milli < MOST:
                return f"{name!r}: {milli} thousandths"
        return ""


class RightsMoved(msgspec.Struct, frozen=True, array_like=True):
    """A row grew."""

    move: Move
    lines: CellLines
    to: StreamId | None = None
    """Who gets what is `Move.GIVEN`."""

    why: str = ""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if (self.move is Move.GIVEN) is (self.to is None):
            return f"{self.move.name}: expected a receiver for GIVEN, and for nothing else"
        return self.lines.reason()


class RightsWanted(msgspec.Struct, frozen=True, array_like=True):
    """A holder asks others of its place for rights; who can spare some gives."""

    lines: CellLines
    of: StreamId | None = None
    """Whom it asks; None: anybody."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        return self.lines.reason()


class Mode(IntEnum):
    """What the counter does beyond its right. Written into facts: never renumber."""

    LENIENT = 1
    """Sell: the customer holds the goods."""

    STRICT = 2
    """Ask for a manager's override."""


class StockPolicy(msgspec.Struct, frozen=True, array_like=True):
    """How an article is promised; the latest per target holds. Written by central.

    Of the policies that fit an article the one for the article itself holds, then that of
    its group, then that for all; of equals the one of the place before the one of all
    places (the scope of the stream says which).
    """

    target: str
    """``sku:…``, ``group:…`` or ``*``."""

    mode: Mode = Mode.LENIENT
    floor_milli: Whole = 0
    """Right the counter keeps; an answer to whoever asks may go below it, what is given
    unasked may not."""

    web_percent: Whole = 0
    """Of what comes in above the floor, how much goes to central to promise; 0 to 100."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if not (self.target == "*" or self.target.startswith(("sku:", "group:"))):
            return f"target {self.target!r}: expected sku:…, group:… or *"
        if not 0 <= self.web_percent <= 100:
            return f"web share {self.web_percent} %: expected 0 to 100"
        return "" if 0 <= self.floor_milli < MOST else f"floor {self.floor_milli} thousandths"
