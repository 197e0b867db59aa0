"""Shifts of this node's tills: which one is open, and what it adds up to."""

import sqlite3
from collections.abc import Callable
from typing import NamedTuple

from edge.store.journal import fact_at, whole
from sync import facts as vocabulary
from sync.chain import StreamId
from sync.facts.deposit import DepositsTaken
from sync.facts.returned import SaleReturned
from sync.facts.sale import Sale, Stage
from sync.facts.shift import CashMoved, ShiftClosed, ShiftTotals
from sync.rules.shift import Sold, totals

_COUNTED = ("sale", "sale.returned", "deposits.taken", "shift.cash")


class OpenShift(NamedTuple):
    """A till's shift that nobody has closed."""

    till: str
    shift: bytes
    number: int
    float_minor: int
    opened_ms: int
    hlc: int
    cashier: str

    @property
    def label(self) -> str:
        """What sales call it."""
        return str(self.number)


def current(db: sqlite3.Connection, till: str) -> OpenShift | None:
    """Return the shift a till of this node is in; None: it is in none."""
    row = db.execute("SELECT * FROM open_shifts WHERE till = ?", (till,)).fetchone()
    return OpenShift(*row) if row else None


def begin(db: sqlite3.Connection, shift: OpenShift) -> None:
    """Note that a till is in a shift."""
    db.execute("INSERT INTO open_shifts VALUES (?, ?, ?, ?, ?, ?, ?)", shift)


def end(db: sqlite3.Connection, till: str) -> None:
    """Note that a till is in no shift."""
    db.execute("DELETE FROM open_shifts WHERE till = ?", (till,))


def added_up(
    db: sqlite3.Connection,
    nth: Callable[[bytes], int | None],
    node: bytes,
    shift: OpenShift,
) -> ShiftTotals:
    """Add up what this node wrote since a shift was opened, in whichever of its lives.

    Args:
        db: Where it is.
        nth: Gives the row of a sale (`edge.store.index`).
        node: Ours.
        shift: The shift.
    """
    sales: dict[bytes, Sold] = {}
    returns: dict[bytes, SaleReturned] = {}
    deposits: dict[bytes, DepositsTaken] = {}
    moves: dict[bytes, CashMoved] = {}
    marks = ", ".join("?" * len(_COUNTED))
    for id_, incarnation, scope in db.execute(
        "SELECT id, incarnation, scope FROM streams WHERE node = ? ORDER BY id", (node,)
    ).fetchall():
        stream = StreamId(node, incarnation, scope)
        for (place,) in db.execute(
            f"SELECT place FROM facts WHERE place BETWEEN ? AND ? AND hlc >= ? "
            f"AND kind IN ({marks}) ORDER BY place",
            (*whole(id_), shift.hlc, *_COUNTED),
        ).fetchall():
            fact = fact_at(db, id_, place - whole(id_)[0] + 1)
            body = vocabulary.decode(fact)
            match body:
                case Sale() if (body.till, body.shift) == (shift.till, shift.label):
                    stage = db.execute(
                        "SELECT stage FROM sales WHERE nth = ?", (nth(fact.event),)
                    ).fetchone()
                    sales.setdefault(
                        fact.event, Sold(body, Stage(stage[0]), body.series_in(stream))
                    )
                case SaleReturned() if (body.till, body.shift) == (shift.till, shift.label):
                    returns.setdefault(fact.event, body)
                case DepositsTaken() if (body.till, body.shift) == (shift.till, shift.label):
                    deposits.setdefault(fact.event, body)
                case CashMoved() if body.shift == shift.shift:
                    moves.setdefault(fact.event, body)
    return totals(
        shift.float_minor, sales.values(), returns.values(), deposits.values(), moves.values()
    )


def moved(db: sqlite3.Connection, shift: bytes, event: bytes) -> CashMoved | None:
    """Return what moved under an event in a shift; None: nothing did."""
    for stream, seq in db.execute(
        "SELECT stream, seq FROM shifts WHERE shift = ? AND kind = 'shift.cash'", (shift,)
    ).fetchall():
        fact = fact_at(db, stream, seq)
        body = vocabulary.decode(fact)
        if fact.event == event and isinstance(body, CashMoved):
            return body
    return None


def closed(db: sqlite3.Connection, shift: bytes) -> ShiftClosed | None:
    """Return the Z of a shift; None: it is not closed, or not here. The first one holds."""
    return next(iter(_reports(db, "shift = ?", shift)), None)


def reports(db: sqlite3.Connection, till: str, limit: int) -> list[ShiftClosed]:
    """Return the last Z reports of a till, the latest first."""
    found = _reports(db, "till = ?", till)
    return sorted(found, key=lambda one: (one.at_ms, one.number), reverse=True)[:limit]


def _reports(db: sqlite3.Connection, where: str, value: object) -> list[ShiftClosed]:
    rows = db.execute(
        f"SELECT shift, stream, seq FROM shifts WHERE kind = 'shift.closed' AND {where} "
        "ORDER BY shift, stream, seq",
        (value,),
    ).fetchall()
    found: dict[bytes, ShiftClosed] = {}
    for shift, stream, seq in rows:
        body = vocabulary.decode(fact_at(db, stream, seq))
        if isinstance(body, ShiftClosed):
            found.setdefault(shift, body)
    return list(found.values())
