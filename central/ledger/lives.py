"""Central's lives: a new one begins, before anything is appended, when the ledger was restored.

Stores may hold facts of central's that a restored ledger has lost; writing on under the
old name would give two facts one number. They come back from the stores under that name.
"""

import secrets
from dataclasses import replace

from sqlalchemy import Connection, delete, func, insert, select, update

from central.ledger import author
from central.ledger.errors import LedgerUnavailable
from central.ledger.tables import CODES, OWN, STREAMS
from central.ledger.unit import Unit
from central.ledger.witness import Witness, place
from sync.chain import ALL, EVENT_BYTES, INCARNATION_BITS
from sync.facts.node import IncarnationBegan

_INCARNATION = "incarnation"
_PLACE = "place"
RESTORED = "restored"
"""A backup carries this mark: who opens it begins a new life."""


def begin(connection: Connection) -> int:
    """Draw a new incarnation and return it.

    Enrolment codes die with the life they were made in: whether one was used after the
    copy was made, the copy does not know.
    """
    connection.execute(update(CODES).where(CODES.c.used_by.is_(None)).values(expires_ms=0))
    drawn = secrets.randbits(INCARNATION_BITS)
    connection.execute(delete(OWN).where(OWN.c.name.in_((_INCARNATION, RESTORED))))
    connection.execute(insert(OWN).values(store=ALL, name=_INCARNATION, value=str(drawn)))
    return drawn


def current(connection: Connection, node: bytes, witness: Witness, *, doubt: bool) -> int:
    """Return the incarnation to write under; a new one if the last one has ended.

    Args:
        connection: In a transaction.
        node: Central's own name.
        witness: What stands beside the file.
        doubt: Whether the file was found to be another before it was opened.

    Raises:
        LedgerUnavailable: No life ever began: `init` was cut off.
    """
    own = {row.name: row.value for row in connection.execute(select(OWN))}
    if _INCARNATION not in own:
        raise LedgerUnavailable(
            "The ledger has no life: put a backup in its place; where init was cut off, run it "
            "again in another folder."
        )
    incarnation = int(own[_INCARNATION])
    forked = connection.execute(
        select(STREAMS.c.store).where(
            STREAMS.c.node == node, STREAMS.c.incarnation == incarnation, STREAMS.c.frozen == 1
        )
    ).first()
    here, seen = place(witness.ledger), witness.before
    written = (
        connection.execute(
            select(func.sum(STREAMS.c.seq)).where(
                STREAMS.c.node == node, STREAMS.c.incarnation == incarnation
            )
        ).scalar()
        or 0
    )
    over = (
        RESTORED in own
        or forked
        or doubt
        or own.get(_PLACE, here) != here
        # A witness of no life saw a run that wrote nothing.
        or (seen and seen.incarnation and (seen.incarnation != incarnation or seen.facts > written))
    )
    connection.execute(delete(OWN).where(OWN.c.name == _PLACE))
    connection.execute(insert(OWN).values(store=ALL, name=_PLACE, value=here))
    return begin(connection) if over else incarnation


def renew(unit: Unit, cause: str) -> None:
    """Begin a new life while running: a store knows more of this one than we do."""
    unit.state.own = replace(unit.state.own, incarnation=begin(unit.connection))
    unit.lives_changed = True
    announce(unit, cause)


def announce(unit: Unit, cause: str = "restored") -> None:
    """Write the first fact of a life, if it is not there yet."""
    own = unit.state.own
    if unit.cursor(own.stream(ALL)).head.seq:
        return
    before = [
        cursor
        for stream, cursor in unit.state.cursors.items()
        if stream.node == own.node and stream.scope == ALL
    ]
    last = max(before, key=lambda cursor: cursor.hlc, default=None)
    told = (
        IncarnationBegan(last.head.stream, last.head.seq, last.head.hash, cause)
        if last
        else IncarnationBegan(None, 0, b"", "enrolled")
    )
    author.write(unit, ALL, [(secrets.token_bytes(EVENT_BYTES), told)])
