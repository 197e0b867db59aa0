"""From facts to views: a function of the set of facts, whatever order they come in.

A fact that cannot be what it says goes to the quarantine, one this program cannot
read yet to `unreadable`; neither stops its stream.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, select, tuple_

from central.ledger import bulk, deliveries, documents, journal, papers, reference, sales
from central.ledger.effects import Effects
from central.ledger.tables import QUARANTINE, UNREADABLE, VIEWS
from central.ledger.unit import Unit
from sync import facts
from sync.chain import Fact, StreamId
from sync.errors import BadFact
from sync.facts import Body
from sync.facts.catalogue import Articles, Prices
from sync.facts.node import (
    IncarnationBegan,
    NodeEnrolled,
    NodeRevoked,
    StoreDescribed,
    StreamClosed,
)
from sync.facts.stock import GoodsReceived, TransferAnnounced
from sync.merge.history import misplaced
from sync.merge.sales import is_sale_body

_REAPPLY = 1000
_REBUILD = 2000


class Entry(NamedTuple):
    """A fact in its place, read once."""

    place: journal.Place
    fact: Fact
    body: Body | BadFact | None
    """None: nobody here can read it yet."""


def read(fact: Fact) -> Body | BadFact | None:
    """Decode, and keep the complaint instead of raising it."""
    try:
        return facts.decode(fact)
    except BadFact as error:
        return error


def apply(unit: Unit, entries: Sequence[Entry]) -> None:
    """Apply facts that are in the journal now, once each.

    Facts of one stream come in their order; streams in any.
    """
    try:
        with unit.connection.begin_nested():
            _apply(unit, entries)
    except (OverflowError, ArithmeticError, ValueError, TypeError, LookupError):
        if len(entries) == 1:
            raise
        # A fault of ours that one fact brings out must not hold back the others.
        for entry in entries:
            _apply_alone(unit, entry)


def _apply_alone(unit: Unit, entry: Entry) -> None:
    mark = unit.mark()
    try:
        apply(unit, [entry])
    except (OverflowError, ArithmeticError, ValueError, TypeError, LookupError) as error:
        unit.restore(mark)
        effects = Effects()
        reason = f"this version cannot apply it ({type(error).__name__}: {error}); report it"
        effects.rows[QUARANTINE].append(_quarantined(entry, reason))
        effects.flush(unit)


def _apply(unit: Unit, entries: Sequence[Entry]) -> None:  # noqa: C901, PLR0912 - one case a kind
    effects = Effects()
    sold: list[Entry] = []
    delivered: list[Entry] = []
    told: list[Entry] = []
    edited: list[Entry] = []
    filed: list[Entry] = []
    for entry in entries:
        body, fact = entry.body, entry.fact
        if is_sale_body(body):  # type: ignore[arg-type]  # BadFact is no body and not of a sale
            sold.append(entry)
        elif body is None:
            effects.rows[UNREADABLE].append((*entry.place, fact.kind, fact.version))
        elif isinstance(body, BadFact):
            effects.rows[QUARANTINE].append(_quarantined(entry, str(body)))
        elif isinstance(body, GoodsReceived):
            delivered.append(entry)
        elif documents.is_document_body(body):
            reason = misplaced(body, entry.place[0])
            if reason:
                effects.rows[QUARANTINE].append(_quarantined(entry, reason))
            else:
                edited.append(entry)
        elif isinstance(body, papers.KINDS):
            reason = reference.objection(unit, entry) if isinstance(body, TransferAnnounced) else ""
            if reason:
                effects.rows[QUARANTINE].append(_quarantined(entry, reason))
            else:
                filed.append(entry)
        elif isinstance(body, IncarnationBegan):
            told.append(entry)
        elif isinstance(
            body, Articles | Prices | StoreDescribed | NodeEnrolled | NodeRevoked | StreamClosed
        ):
            reason = reference.objection(unit, entry)
            if reason:
                effects.rows[QUARANTINE].append(_quarantined(entry, reason))
            else:
                told.append(entry)
    sales.apply(unit, effects, sold)
    deliveries.apply(unit, effects, delivered)
    reference.apply(unit, told)
    if edited:
        documents.apply(unit, edited)
    papers.apply(unit, [(e.place, e.fact.event, e.body) for e in filed])
    effects.flush(unit)


def _quarantined(entry: Entry, reason: str) -> bulk.Row:
    return (*entry.place, entry.fact.kind, entry.fact.version, reason[:500])


def reapply(unit: Unit) -> int:
    """Apply what this program can read and the one before it could not; return how much."""
    key = tuple_(UNREADABLE.c.kind, UNREADABLE.c.version)
    columns = (UNREADABLE.c.store, UNREADABLE.c.node, UNREADABLE.c.incarnation, UNREADABLE.c.seq)
    done = 0
    while True:
        places = [
            (row.store, row.node, row.incarnation, row.seq)
            for row in unit.connection.execute(
                select(*columns).where(key.in_(facts.readable())).order_by(*columns).limit(_REAPPLY)
            )
        ]
        if not places:
            return done
        found = journal.read_facts(unit.connection, places)
        for stream, numbers in journal.by_stream(places).items():
            for part in bulk.chunks(numbers):
                unit.connection.execute(
                    delete(UNREADABLE).where(
                        UNREADABLE.c.store == stream.scope,
                        UNREADABLE.c.node == stream.node,
                        UNREADABLE.c.incarnation == stream.incarnation,
                        UNREADABLE.c.seq.in_(part),
                    )
                )
        apply(unit, [Entry(place, found[place], read(found[place])) for place in places])
        done += len(places)


def rebuild(unit: Unit) -> int:
    """Make every view again from the journal alone; return how many facts that took."""
    for table in VIEWS:
        unit.connection.execute(delete(table))
    unit.members_changed = unit.lives_changed = True
    done = 0
    for stream in sorted(journal.load_cursors(unit.connection)):
        for part in _parts(unit.connection, stream):
            scope, node, incarnation = stream.scope, stream.node, stream.incarnation
            apply(
                unit,
                [Entry((scope, node, incarnation, fact.seq), fact, read(fact)) for fact in part],
            )
            done += len(part)
    return done


def _parts(connection: Connection, stream: StreamId) -> Iterator[list[Fact]]:
    after = 0
    while part := journal.facts_after(connection, stream, after, _REBUILD):
        yield part
        after = part[-1].seq
