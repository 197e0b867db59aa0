"""Goods between two stores, as this one knows: what is under way to it, what it has sent."""

import sqlite3
from typing import NamedTuple

from edge.store.journal import fact_at
from sync import facts as vocabulary
from sync.facts.stock import GoodsMoved, TransferAnnounced

SHOWN = 200
"""Sendings that are listed, the last ones."""


class TransferView(NamedTuple):
    """Goods that left one store for another."""

    event: bytes
    place: str
    """The other store."""

    at_ms: int
    """When they were sent."""

    amounts: dict[str, int]
    """Article to thousandths, as sent."""


def announced(db: sqlite3.Connection, event: bytes) -> TransferAnnounced | None:
    """Return what head office says is under way to us; None if it says nothing."""
    row = db.execute("SELECT stream, seq FROM transfers WHERE event = ?", (event,)).fetchone()
    body = vocabulary.decode(fact_at(db, *row)) if row else None
    return body if isinstance(body, TransferAnnounced) else None


def arrival(db: sqlite3.Connection, event: bytes) -> bytes | None:
    """Return the document by which a transfer arrived here; None if it has not."""
    row = db.execute("SELECT stream, seq FROM arrivals WHERE reference = ?", (event,)).fetchone()
    return fact_at(db, *row).event if row else None


def coming(db: sqlite3.Connection) -> list[TransferView]:
    """Return what is under way to us and has not arrived, the oldest first."""
    rows = db.execute(
        "SELECT event, stream, seq FROM transfers "
        "WHERE event NOT IN (SELECT reference FROM arrivals)"
    ).fetchall()
    return _views(db, rows)


def sent(db: sqlite3.Connection) -> list[TransferView]:
    """Return what this store has sent lately, the oldest first."""
    rows = db.execute(
        "SELECT d.event, d.stream, d.seq FROM documents d JOIN facts f "
        "ON f.place = (d.stream << 40 | d.seq) WHERE d.kind = 'sent' ORDER BY f.hlc DESC LIMIT ?",
        (SHOWN,),
    ).fetchall()
    return _views(db, rows)


def _views(db: sqlite3.Connection, rows: list[tuple[bytes, int, int]]) -> list[TransferView]:
    found = []
    for event, stream, seq in rows:
        body = vocabulary.decode(fact_at(db, stream, seq))
        if isinstance(body, TransferAnnounced | GoodsMoved):
            found.append(TransferView(event, body.place, body.at_ms, body.lines.amounts()))
    return sorted(found, key=lambda view: (view.at_ms, view.event))
