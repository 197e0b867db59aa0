"""Receipt numbers: gap-free per till and life, as the writer has them in hand.

A number stands in the sale that has it, so the table of the last ones lags behind: it is
written when rows of rights are folded (`edge.store.shelf`), and what a crash takes from memory
is read again from the sales above that.
"""

import sqlite3

from sync.chain import StreamId
from sync.facts import Body
from sync.facts.sale import Sale

Series = tuple[str, int]
"""Till and incarnation."""


class Numbers:
    """The last receipt number of each series of this node."""

    def __init__(self, db: sqlite3.Connection, node: bytes) -> None:
        """Read the table.

        Args:
            db: Where it is.
            node: Ours: others number their own receipts.
        """
        self._db, self._node = db, node
        self._last: dict[Series, int] = {
            (till, life): number
            for till, life, number in db.execute("SELECT till, incarnation, number FROM series")
        }
        self._open: dict[Series, int] = {}
        self._dirty: set[Series] = set()
        """Those that the table lags behind of."""

        self._before: dict[Series, int | None] = {}
        """Numbers of this transaction as the unit found them."""

        self._folded = False

    def again(self, stream: StreamId, body: Body) -> None:
        """Take note of a sale that the table may lag behind of."""
        if not isinstance(body, Sale) or stream.node != self._node or body.series:
            return  # one with a series of its own was numbered elsewhere
        series = (body.till, stream.incarnation)
        if body.number > self._last.get(series, 0):
            self._last[series] = body.number
            self._dirty.add(series)

    def next(self, till: str, incarnation: int) -> int:
        """Take the next number; it is free again if the unit fails."""
        series = (till, incarnation)
        before = self._open.get(series)
        self._before.setdefault(series, before)
        number = self._open[series] = (before or self._last.get(series, 0)) + 1
        return number

    def fold(self) -> None:
        """Write the table, this transaction included."""
        rows = [
            (*series, self._open.get(series) or self._last[series])
            for series in sorted(self._dirty.union(self._open))
        ]
        self._db.executemany("INSERT OR REPLACE INTO series VALUES (?, ?, ?)", rows)
        self._folded = True

    def begin(self) -> None:
        """Begin a unit: `roll_back` goes back to here."""
        self._before.clear()

    def roll_back(self) -> None:
        """Undo what was taken since `begin`."""
        for series, before in self._before.items():
            if before is None:
                self._open.pop(series, None)
            else:
                self._open[series] = before
        self._before.clear()

    def abandon(self) -> None:
        """Undo what was taken since the last commit."""
        self._open.clear()
        self._before.clear()
        self._folded = False

    def committed(self) -> None:
        """Hear that what was taken is on disk, in sales at the least."""
        self._last.update(self._open)
        if self._folded:
            self._dirty.clear()
        else:
            self._dirty.update(self._open)
        self._open.clear()
        self._before.clear()
        self._folded = False
