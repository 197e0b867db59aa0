"""Packaging taken back, as kept here. Runs inside somebody else's transaction."""

import sqlite3
from typing import NamedTuple

from edge.store.journal import fact_at
from sync import facts as vocabulary
from sync.facts.deposit import DepositsTaken


class DepositsView(NamedTuple):
    """A take-back as kept here."""

    event: bytes
    body: DepositsTaken
    digest: bytes | None
    """Of the request that made it here; None if it came from another node."""


def deposits_view(db: sqlite3.Connection, event: bytes) -> DepositsView | None:
    """Return a take-back; None if it is not here."""
    row = db.execute(
        "SELECT stream, seq, digest FROM deposits WHERE event = ?", (event,)
    ).fetchone()
    if row is None:
        return None
    body = vocabulary.decode(fact_at(db, row[0], row[1]))
    return DepositsView(event, body, row[2]) if isinstance(body, DepositsTaken) else None


def brought_for(db: sqlite3.Connection, sale: bytes) -> int:
    """Return how many grosz of packaging pay for a sale."""
    (amount,) = db.execute(
        "SELECT coalesce(sum(applied_minor), 0) FROM deposits WHERE sale = ?", (sale,)
    ).fetchone()
    return int(amount)
