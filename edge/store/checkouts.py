"""Sales under way at a till: what was ordered of which device, and how far it is.

Of this node alone: facts say what came of it (`sync.facts.sale`). A row is written in the
transaction that writes the sale, before the first byte goes to a device.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

INTENDED = "intended"
"""May be sent; whether it was, its terminal knows."""

UNKNOWN = "unknown"
APPROVED = "approved"
DECLINED = "declined"
MOVED = "moved"
"""Approved, and another sale counts it now."""

UNDO = "undo"
"""To be given back; whether money ever moved may not be known."""

BY_HAND = "by_hand"
"""To be given back, and the terminal cannot: a person must."""

UNDONE = "undone"
"""No money of the buyer's is with us."""


class AttemptView(NamedTuple):
    """One payment that a terminal is asked for."""

    payment: int
    """Index in the sale's payments."""

    attempt: str
    device: str
    state: str
    reference: str = ""
    decided_by: str = ""
    problem: str = ""
    cure: str = ""


class CheckoutView(NamedTuple):
    """One sale under way."""

    event: bytes
    till: str
    printer: str
    receipt: bytes
    proof: bytes
    """Of the fiscal receipt, in msgpack; empty: none yet."""

    cancelled: str
    aside: bool
    problem: str
    cure: str
    began_ms: int
    over: bool
    attempts: tuple[AttemptView, ...] = ()


def checkout_view(db: sqlite3.Connection, event: bytes) -> CheckoutView | None:
    """Return a sale under way; None where no device has a part in it."""
    row = db.execute("SELECT * FROM checkouts WHERE event = ?", (event,)).fetchone()
    return _view(db, row) if row else None


def checkout_views(db: sqlite3.Connection) -> list[CheckoutView]:
    """Return what is under way, that begun first at the beginning."""
    rows = db.execute("SELECT * FROM checkouts WHERE over = 0 ORDER BY began_ms, event").fetchall()
    return [_view(db, row) for row in rows]


class Checkouts:
    """What a unit of work may write of them."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Work on the open transaction of `db`."""
        self._db = db

    def begin(
        self,
        event: bytes,
        till: str,
        at_ms: int,
        attempts: Sequence[AttemptView],
        *,
        printer: str = "",
        receipt: bytes = b"",
    ) -> None:
        """Note what a sale will take, with the sale itself.

        Args:
            event: Of the sale.
            till: That sells it.
            at_ms: Unix milliseconds.
            attempts: The payments that terminals are asked for.
            printer: The fiscal printer that will be; empty: none.
            receipt: As it will be ordered.
        """
        self._db.execute(
            "INSERT INTO checkouts VALUES (?, ?, ?, ?, x'', '', 0, '', '', ?, 0)",
            (event, till, printer, receipt, at_ms),
        )
        for attempt in attempts:
            self.note(event, attempt)

    def find(self, event: bytes) -> CheckoutView | None:
        """Return a sale under way; None where no device has a part in it."""
        return checkout_view(self._db, event)

    def note(self, event: bytes, attempt: AttemptView) -> None:
        """Note how far a payment is."""
        self._db.execute(
            "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (event, *attempt)
        )

    def move(self, event: bytes, printer: str) -> None:
        """Note that another printer is asked for a receipt that the first did not print."""
        self._db.execute("UPDATE checkouts SET printer = ? WHERE event = ?", (printer, event))

    def cancel(self, event: bytes, by: str) -> None:
        """Note that it shall come to nothing, and who says so; the first one stays."""
        self._db.execute(
            "UPDATE checkouts SET cancelled = ? WHERE event = ? AND cancelled = ''", (by, event)
        )

    def printed(self, event: bytes, proof: bytes) -> None:
        """Note what names its fiscal receipt, and that nothing stands in the way any more."""
        self._db.execute(
            "UPDATE checkouts SET proof = ?, problem = '', cure = '' WHERE event = ?",
            (proof, event),
        )

    def put_aside(self, event: bytes) -> None:
        """Note that its till serves others meanwhile."""
        self._db.execute("UPDATE checkouts SET aside = 1 WHERE event = ?", (event,))

    def trouble(self, event: bytes, problem: str, cure: str) -> None:
        """Note what stands in the way; nothing: two empty texts."""
        self._db.execute(
            "UPDATE checkouts SET problem = ?, cure = ? WHERE event = ?", (problem, cure, event)
        )

    def end(self, event: bytes) -> None:
        """Note that nothing is left to do. The receipt goes; what its printer noted stays."""
        self._db.execute(
            "UPDATE checkouts SET over = 1, receipt = x'', problem = '', cure = '' WHERE event = ?",
            (event,),
        )


def _view(db: sqlite3.Connection, row: Sequence[object]) -> CheckoutView:
    attempts = db.execute(
        "SELECT payment, attempt, device, state, reference, decided_by, problem, cure "
        "FROM attempts WHERE event = ? ORDER BY payment",
        (row[0],),
    ).fetchall()
    found = CheckoutView._make((*row, ()))
    return found._replace(
        aside=bool(found.aside),
        over=bool(found.over),
        attempts=tuple(AttemptView._make(attempt) for attempt in attempts),
    )
