"""From facts to views: a function of the set of facts, whatever order they come in.

A fact that cannot be what it says goes to the quarantine, one this program cannot
read yet to `unreadable`; neither stops its stream.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from sqlalchemy import Connection, delete, select, tuple_

from central.ledger import (
    bulk,
    deliveries,
    documents,
    journal,
    papers,
    promises,
    reference,
    rights,
    sales,
    stale,
)
from central.ledger.effects import Effects, StreamKey
from central.ledger.entry import Entry, read
from central.ledger.tables import OWN, QUARANTINE, UNREADABLE, VIEWS
from central.ledger.unit import Unit
from sync import facts
from sync.chain import ALL, Fact, StreamId
from sync.errors import BadFact
from sync.facts import Body
from sync.facts.authority import objection
from sync.facts.catalogue import Articles
from sync.facts.count import CountOpened
from sync.facts.document import DocumentChanged
from sync.facts.node import StreamClosed
from sync.facts.order import PromiseMade
from sync.facts.rights import RightsMoved
from sync.facts.sale import Sale
from sync.facts.stock import GoodsReceived
from sync.merge.history import misplaced
from sync.merge.sales import is_sale_body

_REAPPLY = 1000
_REBUILD = 2000
_STALE = "stale"
"""A migration leaves this mark: the views are to be made again."""


def apply(unit: Unit, entries: Sequence[Entry], *, new: bool = False) -> None:
    """Apply facts that are in the journal now, once each.

    Facts of one stream come in their order; streams in any. `new`: head office writes them now.
    """
    try:
        with unit.connection.begin_nested():
            _apply(unit, entries, entries, new=new)
    except (OverflowError, ArithmeticError, ValueError, TypeError, LookupError):
        if len(entries) == 1:
            raise
        # A fault of ours that one fact brings out must not hold back the others.
        for at in range(len(entries)):
            _apply_alone(unit, entries[at:])


def _apply_alone(unit: Unit, entries: Sequence[Entry]) -> None:
    """Apply the first of what is left to apply."""
    mark = unit.mark()
    entry = entries[0]
    try:
        with unit.connection.begin_nested():
            _apply(unit, entries[:1], entries)
    except (OverflowError, ArithmeticError, ValueError, TypeError, LookupError) as error:
        unit.restore(mark)
        effects = Effects()
        reason = f"this version cannot apply it ({type(error).__name__}: {error}); report it"
        effects.rows[QUARANTINE].append(_quarantined(entry, reason))
        effects.flush(unit)


def _apply(
    unit: Unit, entries: Sequence[Entry], left: Sequence[Entry], *, new: bool = False
) -> None:
    """Apply facts.

    Args:
        unit: The transaction.
        entries: The facts.
        left: All that is in the journal and not applied yet, these included.
        new: Head office writes them now.
    """
    effects = Effects(rights.fences(unit))
    sorted_ = _sort(unit, effects, entries)
    reference.apply(unit, sorted_[Articles])
    if any(isinstance(entry.body, StreamClosed) for entry in sorted_[Articles]):
        rights.close(unit, effects, _pending(left))
    sales.apply(unit, effects, sorted_[Sale])
    deliveries.apply(unit, effects, sorted_[GoodsReceived])
    rights.apply(unit, effects, sorted_[RightsMoved])
    promises.apply(unit, effects, sorted_[PromiseMade])
    if edited := sorted_[DocumentChanged]:
        documents.apply(unit, edited)
    papers.apply(unit, [(e.place, e.fact.event, e.body) for e in sorted_[CountOpened]])
    effects.flush(unit)
    stale.apply(unit, sorted_[Sale], sorted_[Articles], new=new)


@cache
def _rooms() -> tuple[tuple[type | tuple[type, ...], type], ...]:
    """Return kinds, and the one that stands for them; what moves goods is a paper besides.

    Not at import: who imports `documents` or `papers` first is halfway through it here.
    """
    return (
        (GoodsReceived, GoodsReceived),
        (rights.KINDS, RightsMoved),
        (promises.KINDS, PromiseMade),
        (reference.KINDS, Articles),
        (documents.KINDS, DocumentChanged),
        (papers.KINDS, CountOpened),
    )


def _sort(unit: Unit, effects: Effects, entries: Sequence[Entry]) -> Mapping[type, Sequence[Entry]]:
    """Sort facts by who applies them; set aside what cannot be applied."""
    found: dict[type, list[Entry]] = defaultdict(list)
    for entry in entries:
        body, fact = entry.body, entry.fact
        if is_sale_body(body):  # type: ignore[arg-type]  # BadFact is no body and not of a sale
            found[Sale].append(entry)
        elif body is None:
            effects.rows[UNREADABLE].append((*entry.place, fact.kind, fact.version))
        elif isinstance(body, BadFact):
            effects.rows[QUARANTINE].append(_quarantined(entry, str(body)))
        elif reason := _objection(unit, entry, body):
            effects.rows[QUARANTINE].append(_quarantined(entry, reason))
        else:
            for kinds, room in _rooms():
                if isinstance(body, kinds):
                    found[room].append(entry)
    return found


def _objection(unit: Unit, entry: Entry, body: Body) -> str:
    """Why a fact does not count, though it can be read; empty if it does."""
    if documents.is_document_body(body):
        return misplaced(body, entry.place[0])
    store, node, incarnation, _ = entry.place
    stream = StreamId(node, incarnation, store)
    by_us = node == unit.state.own.node
    return objection(body, entry.fact.kind, stream, head_office=by_us)


def _pending(left: Sequence[Entry]) -> dict[StreamKey, int]:
    """Return the first number of each stream that is not applied yet."""
    first: dict[StreamKey, int] = {}
    for entry in left:
        key = entry.place[:3]
        first[key] = min(first.get(key, entry.place[3]), entry.place[3])
    return first


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
    unit.members_anew = unit.lives_changed = True
    unit.forget_prices()
    # Fences first: what stands beyond one is then passed over instead of taken back.
    fences = rights.every_fence(unit.connection)
    reference.apply(
        unit,
        [
            entry
            for entry in fences
            if isinstance(entry.body, StreamClosed) and not _objection(unit, entry, entry.body)
        ],
    )
    done = 0
    # Prices first: no sale is then judged again for each of them.
    streams = journal.load_cursors(unit.connection)
    for stream in sorted(streams, key=lambda stream: (stream.scope != ALL, stream)):
        for part in _parts(unit.connection, stream):
            scope, node, incarnation = stream.scope, stream.node, stream.incarnation
            apply(
                unit,
                [Entry((scope, node, incarnation, fact.seq), fact, read(fact)) for fact in part],
            )
            done += len(part)
    return done


def refresh(unit: Unit) -> bool:
    """Make the views again if a migration asks for it."""
    stale = unit.connection.execute(delete(OWN).where(OWN.c.name == _STALE)).rowcount
    if stale:
        rebuild(unit)
    return bool(stale)


def _parts(connection: Connection, stream: StreamId) -> Iterator[list[Fact]]:
    after = 0
    while part := journal.facts_after(connection, stream, after, _REBUILD):
        yield part
        after = part[-1].seq


__all__ = ["Entry", "apply", "read", "reapply", "rebuild", "refresh"]
