"""Central's lives: a new one begins, before anything is appended, when the ledger was restored.

Stores may hold facts of central's that a restored ledger has lost; writing on under the
old name would give two facts one number. They come back from the stores under that name.
"""

import secrets

from sqlalchemy import Connection, delete, insert, select

from central.ledger import author
from central.ledger.errors import LedgerUnavailable
from central.ledger.tables import OWN, STREAMS
from central.ledger.unit import Unit
from sync.chain import ALL, EVENT_BYTES, INCARNATION_BITS
from sync.facts.node import IncarnationBegan

_INCARNATION = "incarnation"
RESTORED = "restored"
"""A backup carries this mark: who opens it begins a new life."""


def begin(connection: Connection) -> int:
    """Draw a new incarnation and return it."""
    drawn = secrets.randbits(INCARNATION_BITS)
    connection.execute(delete(OWN).where(OWN.c.name.in_((_INCARNATION, RESTORED))))
    connection.execute(insert(OWN).values(store=ALL, name=_INCARNATION, value=str(drawn)))
    return drawn


def current(connection: Connection, node: bytes) -> int:
    """Return the incarnation to write under; a new one if the last one has ended.

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
    return begin(connection) if RESTORED in own or forked else incarnation


def announce(unit: Unit) -> None:
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
        IncarnationBegan(last.head.stream, last.head.seq, last.head.hash, "restored")
        if last
        else IncarnationBegan(None, 0, b"", "enrolled")
    )
    author.write(unit, ALL, [(secrets.token_bytes(EVENT_BYTES), told)])
