"""When each node was last heard, and how much went over the wire."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from central.ledger import bulk
from central.ledger.tables import CONTACTS
from central.ledger.unit import Unit

_UPSERT = (
    "ON CONFLICT (store, node) DO UPDATE SET heard_ms = excluded.heard_ms, "
    "bytes_in = excluded.bytes_in, bytes_out = excluded.bytes_out"
)

ContactKey = tuple[str, bytes]
"""Store and node."""


@dataclass(slots=True)
class Contact:
    """What was heard of a node."""

    heard_ms: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    """Payloads of the exchange, below TLS and HTTP."""


def load(connection: Connection) -> dict[ContactKey, Contact]:
    """Read what was kept last time."""
    return {
        (row.store, row.node): Contact(row.heard_ms, row.bytes_in, row.bytes_out)
        for row in connection.execute(select(CONTACTS))
    }


def keep(unit: Unit, contacts: Mapping[ContactKey, Contact]) -> None:
    """Write how some stand now."""
    rows = [(*key, at.heard_ms, at.bytes_in, at.bytes_out) for key, at in contacts.items()]
    bulk.insert(unit.connection, CONTACTS, rows, _UPSERT)
