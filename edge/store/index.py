"""Which row of `sales` an event has, as the writer has it in hand.

Events are random, so an index of them is written in a page of its own for every sale. So new
sales are kept in memory and *listed* in their table many at a time, in the order of their
events, where many share a page; some with each commit, so that none takes long. What a crash
takes from memory stands in `sales`, above the number up to which all are listed.

Everything but `find` runs in the writer's thread.
"""

import sqlite3
from collections.abc import Sequence

LIST_MANY = 4096
"""Sales in memory from which on they are listed: about a megabyte."""

LIST_LEAST = 500
"""Sales that are worth a pause."""

SLICE = 256
"""Sales listed in one commit."""

_ROWS = 64
"""Of one statement: a step of SQLite lets go of the interpreter."""


class SaleIndex:
    """The index of one file."""

    def __init__(self, db: sqlite3.Connection, *, lags: bool = False) -> None:
        """Read what is not listed yet.

        Args:
            db: Where the sales are.
            lags: Whether new ones are listed later, by `seal`; else at once.
        """
        self._db, self._lags = db, lags
        self._kept = _unlisted(db)
        """Committed sales that the table lacks."""

        self._open: dict[bytes, int] = {}
        """Those of this transaction."""

        self._unit: list[bytes] = []
        self._absent = b""
        """An event that was looked for and is not here: who looks is about to sell."""

        self._due: list[tuple[bytes, int]] = []
        """What is being listed, those that come first last."""

        self._written = self._due_up_to = 0
        self._all = self._emptied = False

    def nth(self, event: bytes) -> int | None:
        """Return the row of a sale, this transaction included; None: it is not here."""
        if event == self._absent:
            return None
        found = self._open.get(event)
        if found is None and not self._emptied:
            found = self._kept.get(event)
        if found is None:
            found = _listed(self._db, event)
            if found is None:
                self._absent = event
        return found

    def find(self, db: sqlite3.Connection, event: bytes) -> int | None:
        """Return the row of a committed sale; in any thread, on its own connection."""
        # Memory first: what leaves it is in the table by then. Unless the sales have just been
        # made again: then it is all in the table, and in memory is what was.
        found = self._kept.get(event)
        here = found and db.execute("SELECT event FROM sales WHERE nth = ?", (found,)).fetchone()
        return found if here == (event,) else _listed(db, event)

    def place(self, event: bytes) -> tuple[int, int] | None:
        """Return stream and number of a sale; None while the sale itself is not here."""
        nth = self.nth(event)
        if nth is None:
            return None
        row: tuple[int, int] = self._db.execute(
            "SELECT stream, seq FROM sales WHERE nth = ?", (nth,)
        ).fetchone()
        return None if row[0] is None else row

    def add(self, event: bytes, nth: int) -> None:
        """Take note of a new row."""
        self._absent = b""
        if self._lags:
            self._open[event] = nth
            self._unit.append(event)
        else:
            self._db.execute("INSERT INTO sale_events VALUES (?, ?)", (event, nth))

    def empty(self) -> None:
        """Forget every row: the sales are about to be made again."""
        self._db.execute("DELETE FROM sale_events")
        self._db.execute("UPDATE listed SET nth = 0")
        self._absent = b""
        self._open.clear()
        self._due.clear()
        self._emptied = self._all = True

    # --- transactions ----------------------------------------------------------------

    def begin(self) -> None:
        """Begin a unit: `roll_back` goes back to here."""
        self._unit.clear()

    def roll_back(self) -> None:
        """Undo what was added since `begin`."""
        if self._emptied:
            self._open = _unlisted(self._db)  # what other units of this transaction have added
        for event in self._unit:
            self._open.pop(event, None)
        self._undone()

    def abandon(self) -> None:
        """Undo what was added since the last commit."""
        self._open.clear()
        self._undone()

    def _undone(self) -> None:
        self._unit.clear()
        self._absent = b""
        self._written = 0
        if self._emptied:
            self._emptied = False
            self._due.clear()

    @property
    def lags(self) -> bool:
        """Whether there is enough to list to be worth a pause."""
        return bool(self._due) or len(self._kept) > LIST_LEAST

    def list_all(self) -> None:
        """See to it that all are listed with this very commit."""
        self._all = True

    def seal(self, *, pause: bool = False) -> None:
        """List some, before the commit, if there are many.

        Args:
            pause: Or a few, if nobody waits.
        """
        if self._all:
            list_sales(self._db)
            return
        if not self._due and len(self._kept) > (LIST_LEAST if pause else LIST_MANY):
            self._due = sorted(self._kept.items(), reverse=True)
            self._due_up_to = max(self._kept.values())
        if self._due:
            some = self._due[: -SLICE - 1 : -1]
            self._written = len(some)
            _write(self._db, some)
            if self._written == len(self._due):
                self._db.execute("UPDATE listed SET nth = ?", (self._due_up_to,))

    def committed(self) -> None:
        """Hear that what was added and listed is on disk."""
        self._unit.clear()
        if self._all:
            self._open, self._kept = {}, {}
            self._due.clear()
            self._all = self._emptied = False
        elif self._open:
            self._kept.update(self._open)
            self._open.clear()
        if self._written:
            for event, _ in self._due[-self._written :]:
                del self._kept[event]
            del self._due[-self._written :]
        self._written = 0


def list_sales(db: sqlite3.Connection) -> None:
    """List every sale that is not."""
    db.execute(
        "INSERT OR REPLACE INTO sale_events SELECT event, nth FROM sales "
        "WHERE nth > (SELECT nth FROM listed) ORDER BY event"
    )
    db.execute("UPDATE listed SET nth = (SELECT coalesce(max(nth), 0) FROM sales)")


def _unlisted(db: sqlite3.Connection) -> dict[bytes, int]:
    return dict(db.execute("SELECT event, nth FROM sales WHERE nth > (SELECT nth FROM listed)"))


def _listed(db: sqlite3.Connection, event: bytes) -> int | None:
    row = db.execute("SELECT nth FROM sale_events WHERE event = ?", (event,)).fetchone()
    return row[0] if row else None


def _write(db: sqlite3.Connection, rows: Sequence[tuple[bytes, int]]) -> None:
    for at in range(0, len(rows), _ROWS):
        part = rows[at : at + _ROWS]
        # Some may be there already: a batch that a crash has cut off begins anew.
        db.execute(
            f"INSERT OR REPLACE INTO sale_events VALUES {', '.join(['(?, ?)'] * len(part))}",
            [value for row in part for value in row],
        )
