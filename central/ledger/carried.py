"""Sticks that were read here: what each brought, how far its node was, or why it was refused."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, select

from central.ledger import bulk
from central.ledger.tables import STICKS
from central.ledger.unit import Unit
from sync.chain import StreamId

_UPSERT = (
    "ON CONFLICT (store, read_ms, file) DO UPDATE SET node = excluded.node, "
    "written_ms = excluded.written_ms, facts = excluded.facts, reason = excluded.reason, "
    "vector = excluded.vector"
)
_VECTOR = msgspec.msgpack.Decoder(list[tuple[bytes, int]])


@dataclass(frozen=True, slots=True)
class Carried:
    """A stick that was read."""

    store: str
    """Empty if it did not tell, or not credibly."""

    read_ms: int
    file: str
    node: bytes
    """Who wrote it."""

    written_ms: int
    facts: int
    """That were not here before."""

    reason: str
    """Why it was refused; empty if it was taken."""

    vector: Mapping[StreamId, int]
    """How far the node held each stream when it wrote."""


def keep(unit: Unit, row: Carried) -> None:
    """Note a stick."""
    vector = msgspec.msgpack.encode([(s.name(), seq) for s, seq in row.vector.items()])
    values = (row.store, row.read_ms, row.file, row.node, row.written_ms, row.facts, row.reason)
    bulk.insert(unit.connection, STICKS, [(*values, vector)], _UPSERT)


def known(connection: Connection, store: str) -> dict[StreamId, int]:
    """Return how far every node of a store that writes sticks holds each stream: the least."""
    newest: dict[bytes, bytes] = {}
    for row in connection.execute(
        select(STICKS.c.node, STICKS.c.vector)
        .where(STICKS.c.store == store, STICKS.c.reason == "")
        .order_by(STICKS.c.written_ms, STICKS.c.read_ms)
    ):
        newest[row.node] = row.vector
    vectors = [
        {StreamId.from_name(name): seq for name, seq in _VECTOR.decode(vector)}
        for vector in newest.values()
    ]
    if not vectors:
        return {}
    held = {stream: min(v.get(stream, 0) for v in vectors) for v in vectors for stream in v}
    return {stream: seq for stream, seq in held.items() if seq}


def refused(connection: Connection, since_ms: int) -> list[Carried]:
    """Return the sticks that were refused since a time, the newest first."""
    rows = connection.execute(
        select(STICKS)
        .where(STICKS.c.read_ms >= since_ms, STICKS.c.reason != "")
        .order_by(STICKS.c.read_ms.desc())
        .limit(20)
    )
    return [
        Carried(row.store, row.read_ms, row.file, row.node, row.written_ms, 0, row.reason, {})
        for row in rows
    ]
