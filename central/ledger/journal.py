"""The journal: streams of facts as they were written, and reading them back in batches."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select

from central.ledger import bulk
from central.ledger.errors import LedgerUnavailable
from central.ledger.tables import FACTS, PERSON_KEYS, STREAMS
from central.ledger.unit import Cursor, Unit
from sync.chain import Batch, Fact, Head, StreamId
from sync.exchange.session import MAX_BATCH_BYTES, MAX_BATCH_FACTS

Place = tuple[str, bytes, int, int]
"""Store, node, incarnation, number."""

_UPSERT_STREAM = (
    "ON CONFLICT (store, node, incarnation) DO UPDATE SET seq = excluded.seq, "
    "hash = excluded.hash, hlc = excluded.hlc, safe = excluded.safe, frozen = excluded.frozen"
)


def load_cursors(connection: Connection) -> dict[StreamId, Cursor]:
    """Return where every stream stands."""
    found = {}
    for row in connection.execute(select(STREAMS)):
        stream = StreamId(row.node, row.incarnation, row.store)
        found[stream] = Cursor(Head(stream, row.seq, row.hash), row.hlc, row.safe, bool(row.frozen))
    return found


def append(
    unit: Unit, stream: StreamId, facts: Sequence[Fact], hashes: Sequence[bytes], signature: bytes
) -> list[bulk.Row]:
    """Note facts that were checked, and move the stream's cursor; return their rows."""
    node, incarnation, scope = stream.node, stream.incarnation, stream.scope
    rows: list[bulk.Row] = [
        (
            scope,
            node,
            incarnation,
            fact.seq,
            fact.hlc,
            fact.kind,
            fact.version,
            fact.event,
            fact.body,
            digest,
            None,
        )
        for fact, digest in zip(facts, hashes, strict=True)
    ]
    rows[-1] = (*rows[-1][:-1], signature)
    before = unit.cursor(stream)
    head = Head(stream, facts[-1].seq, hashes[-1])
    unit.cursors[stream] = Cursor(head, facts[-1].hlc, before.safe, before.frozen)
    return rows


def write(unit: Unit, rows: Sequence[bulk.Row]) -> None:
    """Write the rows of facts."""
    bulk.insert(unit.connection, FACTS, rows)


def write_cursors(unit: Unit) -> None:
    """Write where the streams of this transaction stand now."""
    bulk.insert(
        unit.connection,
        STREAMS,
        [
            (
                stream.scope,
                stream.node,
                stream.incarnation,
                cursor.head.seq,
                cursor.head.hash,
                cursor.hlc,
                cursor.safe,
                int(cursor.frozen),
            )
            for stream, cursor in unit.cursors.items()
        ],
        _UPSERT_STREAM,
    )


def hashes(connection: Connection, stream: StreamId, first: int, last: int) -> list[bytes]:
    """Return the stored hashes of a range of numbers."""
    return list(
        connection.execute(
            select(FACTS.c.hash)
            .where(*_of(stream), FACTS.c.seq >= first, FACTS.c.seq <= last)
            .order_by(FACTS.c.seq)
        ).scalars()
    )


def hashes_at(connection: Connection, heads: Iterable[Head]) -> dict[StreamId, bytes]:
    """Return what is stored at the numbers of heads; a number that is not here is left out."""
    found = {}
    for head in heads:
        stored = hashes(connection, head.stream, head.seq, head.seq)
        if stored:
            found[head.stream] = stored[0]
    return found


def signed_head(connection: Connection, stream: StreamId, at: int) -> tuple[int, bytes, bytes]:
    """Return number, hash and signature of the first signed head not before `at`."""
    row = connection.execute(
        select(FACTS.c.seq, FACTS.c.hash, FACTS.c.signature)
        .where(*_of(stream), FACTS.c.seq >= at, FACTS.c.signature.is_not(None))
        .order_by(FACTS.c.seq)
        .limit(1)
    ).one()
    return row.seq, row.hash, row.signature


def batch_after(connection: Connection, stream: StreamId, after: int) -> Batch | None:
    """Return what comes next after a number, up to a signed head; None at the end.

    Raises:
        LedgerUnavailable: The stream does not end on a signed head.
    """
    rows = connection.execute(
        select(FACTS)
        .where(*_of(stream), FACTS.c.seq > after)
        .order_by(FACTS.c.seq)
        .limit(MAX_BATCH_FACTS)
    )
    facts: list[Fact] = []
    size, end, signature = 0, 0, b""
    for row in rows:
        size += len(row.body)
        if end and size > MAX_BATCH_BYTES:
            break
        facts.append(_fact(row))
        if row.signature is not None:
            end, signature = len(facts), row.signature
    if not facts:
        return None
    if not end:
        raise LedgerUnavailable(
            f"Stream {stream}: no signed head after number {after}; run journal verify."
        )
    return Batch(stream, facts[:end], signature)


def person_keys(connection: Connection, batch: Batch) -> dict[bytes, bytes]:
    """Return the keys of the persons that the facts of a batch brought, if not forgotten."""
    stream = batch.stream
    found = connection.execute(
        select(PERSON_KEYS.c.person, PERSON_KEYS.c.key).where(
            PERSON_KEYS.c.store == stream.scope,
            PERSON_KEYS.c.node == stream.node,
            PERSON_KEYS.c.incarnation == stream.incarnation,
            PERSON_KEYS.c.seq.between(batch.first, batch.last),
            PERSON_KEYS.c.key.is_not(None),
        )
    )
    return {row.person: row.key for row in found}


def batch_with_keys(
    connection: Connection, stream: StreamId, after: int
) -> tuple[Batch, dict[bytes, bytes]] | None:
    """Return `batch_after` and the `person_keys` of it; None at the end.

    Raises:
        LedgerUnavailable: The stream does not end on a signed head.
    """
    batch = batch_after(connection, stream, after)
    return None if batch is None else (batch, person_keys(connection, batch))


def read_facts(connection: Connection, places: Iterable[Place]) -> dict[Place, Fact]:
    """Return the facts at places."""
    found = {}
    for stream, numbers in by_stream(places).items():
        for part in bulk.chunks(numbers):
            rows = connection.execute(select(FACTS).where(*_of(stream), FACTS.c.seq.in_(part)))
            for row in rows:
                found[row.store, row.node, row.incarnation, row.seq] = _fact(row)
    return found


def by_stream(places: Iterable[Place]) -> dict[StreamId, list[int]]:
    """Return the numbers of each stream: SQLite seeks these, and would walk all for places."""
    numbers: dict[StreamId, list[int]] = {}
    for scope, node, incarnation, seq in places:
        numbers.setdefault(StreamId(node, incarnation, scope), []).append(seq)
    return numbers


def facts_after(connection: Connection, stream: StreamId, after: int, most: int) -> list[Fact]:
    """Return the facts of a stream after a number."""
    rows = connection.execute(
        select(FACTS).where(*_of(stream), FACTS.c.seq > after).order_by(FACTS.c.seq).limit(most)
    )
    return [_fact(row) for row in rows]


def walk(connection: Connection, stream: StreamId) -> Iterator[tuple[Fact, bytes, bytes | None]]:
    """Give every fact of a stream with its stored hash and signature."""
    rows = connection.execute(
        select(FACTS).where(*_of(stream)).order_by(FACTS.c.seq),
        execution_options={"yield_per": 1000},
    )
    for row in rows:
        yield _fact(row), row.hash, row.signature


def _of(stream: StreamId) -> tuple[ColumnElement[bool], ...]:
    return (
        FACTS.c.store == stream.scope,
        FACTS.c.node == stream.node,
        FACTS.c.incarnation == stream.incarnation,
    )


def _fact(row: Row[Any]) -> Fact:
    return Fact(row.seq, row.hlc, row.kind, row.version, row.event, row.body)
