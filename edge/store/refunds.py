"""Returns as kept here, and the right to refund, which each line of a sale has once.

The right is made by the node whose stream the sale stands in, or by who inherited that stream,
when somebody first asks for it; till then no row of it exists. It moves whole: who has it knows
what is left of the line (`sync.rules.refund`). Runs inside somebody else's transaction.
"""

import sqlite3
from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from edge.store.journal import NotKept, fact_at
from sync import facts as vocabulary
from sync.chain import EVENT_BYTES
from sync.facts.returned import SaleReturned
from sync.facts.sale import Stage
from sync.merge import rights
from sync.rules import refund

if TYPE_CHECKING:
    from edge.store.unit import Unit


class ReturnView(NamedTuple):
    """A return as kept here."""

    event: bytes
    body: SaleReturned
    digest: bytes | None
    """Of the request that made it here; None if it came from another node."""


def cell(sale: bytes, line: int) -> str:
    """Return the cell of the right to refund a line."""
    return rights.cell(refund.KIND, refund.key(sale, line))


def sale_of(name: str) -> bytes | None:
    """Return whose refund a cell is about; None if it is about something else."""
    kind, key = rights.kind_of(name)
    sale, _, _ = key.partition(".")
    try:
        event = bytes.fromhex(sale) if kind == refund.KIND else b""
    except ValueError:
        return None
    return event if len(event) == EVENT_BYTES else None


def made(sale: bytes) -> bytes:
    """Name the event under which the right to refund a sale is made."""
    return sha256(b"karb.refund.1" + sale).digest()[:EVENT_BYTES]


def make(unit: "Unit", sale: bytes) -> None:
    """Make the right to refund a sale, if it is ours to make and is not made yet."""
    holder = unit.holder
    author = unit.sale_place(sale)
    if author is None or not holder.inherits(author[0]) or holder.brought(cell(sale, 0)):
        return
    try:
        view = unit.sale(sale)
    except NotKept:
        return  # of a sale so old nothing is given back but by head office
    if view is not None and view.stage is Stage.CLOSED:
        rows = view.body.lines.rows()
        holder.make(made(sale), {cell(sale, n): row.quantity_milli for n, row in enumerate(rows)})


def return_view(db: sqlite3.Connection, event: bytes) -> ReturnView | None:
    """Return a return; None if it is not here."""
    row = db.execute("SELECT stream, seq, digest FROM returns WHERE event = ?", (event,)).fetchone()
    return _view(db, event, *row) if row else None


def returns_of(db: sqlite3.Connection, sale: bytes) -> list[ReturnView]:
    """Return what was given back of a sale so far, as far as it is known here."""
    rows = db.execute(
        "SELECT event, stream, seq, digest FROM returns WHERE sale = ? ORDER BY at_ms, event",
        (sale,),
    ).fetchall()
    return [view for row in rows if (view := _view(db, *row)) is not None]


def returns_between(
    db: sqlite3.Connection, first_day: int, last_day: int, *, mistake: bool
) -> list[ReturnView]:
    """Return one of the two records: returns, or mistakes, of some business days.

    Args:
        db: Where they are.
        first_day: As 20260131.
        last_day: The same, and included.
        mistake: Which record.
    """
    rows = db.execute(
        "SELECT event, stream, seq, digest FROM returns WHERE business_day BETWEEN ? AND ? "
        "AND mistake = ? ORDER BY at_ms, event",
        (first_day, last_day, int(mistake)),
    ).fetchall()
    return [view for row in rows if (view := _view(db, *row)) is not None]


def sale_by_receipt(db: sqlite3.Connection, series: str, number: int) -> tuple[bytes, int] | None:
    """Return event and row of the sale that a receipt is of; None if it is not here."""
    row: tuple[bytes, int] | None = db.execute(
        "SELECT event, nth FROM sales WHERE series = ? AND number = ? AND stream IS NOT NULL",
        (series, number),
    ).fetchone()
    return row


def given_back(found: Iterable[ReturnView]) -> dict[str, int]:
    """Add up what went back by which tender."""
    total: dict[str, int] = {}
    for view in found:
        for payment in view.body.payments:
            total[payment.method] = total.get(payment.method, 0) + payment.amount_minor
    return total


def _view(
    db: sqlite3.Connection, event: bytes, stream: int, seq: int, digest: bytes | None
) -> ReturnView | None:
    body = vocabulary.decode(fact_at(db, stream, seq))
    return ReturnView(event, body, digest) if isinstance(body, SaleReturned) else None
