"""Who works here, as far as this node can read it; and how often a PIN was tried in vain."""

import sqlite3
from typing import NamedTuple

import msgspec

from edge.store import documents
from sync.errors import BadFact
from sync.facts.person import Sealed, unsealed
from sync.facts.staff import Credentials, UserDescribed

_USER = msgspec.msgpack.Decoder(UserDescribed)
_CREDENTIALS = msgspec.msgpack.Decoder(Credentials)


class UserView(NamedTuple):
    """Somebody who works here."""

    user: str
    role: int
    active: bool
    sealed: Sealed
    key: bytes
    """Of the person."""

    credentials: Credentials


class Failures(NamedTuple):
    """PINs tried in vain since the last right one."""

    failures: int
    until_ms: int
    """Nothing is tried before; Unix milliseconds."""


def users(db: sqlite3.Connection) -> list[UserView]:
    """Return everybody whose key is here, by user."""
    found = []
    for (body,) in db.execute("SELECT body FROM staff ORDER BY user").fetchall():
        told = _USER.decode(body)
        key = documents.key_of(db, told.sealed.person)
        if key is None:
            continue
        try:
            credentials = _CREDENTIALS.decode(unsealed(told.sealed, key))
        except (BadFact, msgspec.DecodeError):
            continue
        found.append(UserView(told.user, told.role, told.active, told.sealed, key, credentials))
    return found


def failures(db: sqlite3.Connection, user: str) -> Failures:
    """Return how often a user's PIN was tried in vain."""
    row = db.execute(
        "SELECT failures, until_ms FROM pin_failures WHERE user = ?", (user,)
    ).fetchone()
    return Failures(*row) if row else Failures(0, 0)


def note_failure(db: sqlite3.Connection, user: str, now: Failures) -> None:
    """Keep how often a user's PIN was tried in vain; none forgets it."""
    if now.failures:
        db.execute("INSERT OR REPLACE INTO pin_failures VALUES (?, ?, ?)", (user, *now))
    else:
        db.execute("DELETE FROM pin_failures WHERE user = ?", (user,))
