"""The view of rights: rows that facts move, each the row of the stream it stands in.

What a fact moves is decided by the facts of its own stream alone (`sync.merge.stock`),
so the order between streams cannot matter. A fence (`StreamClosed`) ends a stream:
what stands beyond moves nothing and waits for a person (`LATE`); where it had moved
something already, that is taken back.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, select

from central.ledger import bulk, journal
from central.ledger.effects import Effects, StreamKey
from central.ledger.entry import Entry, read
from central.ledger.journal import Place
from central.ledger.tables import (
    DELIVERIES,
    DUPLICATES,
    FACTS,
    FENCES,
    GIFTS,
    POLICIES,
    SALE_MARKS,
    SALES,
    WANTED,
)
from central.ledger.unit import Unit
from sync import facts
from sync.chain import Fact, StreamId
from sync.clock import hlc_ms
from sync.facts.count import CountPosted
from sync.facts.rights import Move, RightsMoved, RightsWanted, StockPolicy
from sync.facts.sale import Sale, SaleClosed, SaleVoided, Stage
from sync.facts.stock import GoodsMoved, GoodsReceived
from sync.merge import stock
from sync.merge.stock import Column, Deltas

KINDS = (RightsMoved, RightsWanted, StockPolicy, GoodsMoved, CountPosted)
_MOVING = (
    "goods.received",
    "goods.moved",
    "count.posted",
    "rights",
    "sale",
    "sale.closed",
    "sale.voided",
)
_REPLAY = 500
_GOODS = {Column.MADE: 1, Column.USED: -1, Column.DONE: -1, Column.OVER: -1}
"""How a column counts for what is really there (`sync.merge.stock.physical`)."""

_LATEST_POLICY = (
    "ON CONFLICT (store, target) DO UPDATE SET mode = excluded.mode, "
    "floor_milli = excluded.floor_milli, web_percent = excluded.web_percent, "
    "hlc = excluded.hlc, node = excluded.node, incarnation = excluded.incarnation, "
    "seq = excluded.seq WHERE (excluded.hlc, excluded.node, excluded.incarnation, excluded.seq) "
    "> (policies.hlc, policies.node, policies.incarnation, policies.seq)"
)
_LATEST_WANT = (
    "ON CONFLICT (store, cell, node, incarnation) DO UPDATE SET seq = excluded.seq, "
    "event = excluded.event, milli = excluded.milli, of_node = excluded.of_node, "
    "of_incarnation = excluded.of_incarnation, at_ms = excluded.at_ms "
    "WHERE excluded.seq > wanted.seq"
)


def fences(unit: Unit) -> dict[StreamKey, int]:
    """Return the last number of every closed stream."""
    columns = (
        FENCES.c.store,
        FENCES.c.closed_node,
        FENCES.c.closed_incarnation,
        FENCES.c.closed_seq,
    )
    return {tuple(key): seq for *key, seq in unit.connection.execute(select(*columns))}


def move(effects: Effects, entry: Entry, column: Column, amounts: Deltas, sign: int = 1) -> None:
    """Move the row of the stream in which a fact stands."""
    grown = _grown(effects, entry, column, amounts)
    if grown is not None:
        for cell, milli in amounts.items():
            grown[cell] += sign * milli


def use(effects: Effects, entry: Entry, sale: Sale) -> None:
    """Move a row by a sale that arrived whole. This runs once a sale: columns, never a line."""
    lines = sale.lines
    skus, quantities = lines.sku, lines.quantity_milli
    if len(skus) != lines.n:
        skus = skus * lines.n
    if len(quantities) != lines.n:
        quantities = quantities * lines.n
    grown = _grown(effects, entry, Column.USED, skus)
    if grown is not None:
        for sku, milli in zip(skus, quantities, strict=True):
            grown[sku] += milli


def _grown(
    effects: Effects, entry: Entry, column: Column, cells: Iterable[str]
) -> dict[str, int] | None:
    """Return the column to add to; None where a fact is beyond a fence and moves nothing."""
    fact, place = entry.fact, entry.place
    moved = effects.moved[place[:3]]
    moved.mention(cells, hlc_ms(fact.hlc))
    if effects.beyond(place):
        return None
    return moved.column(column)


def apply(unit: Unit, effects: Effects, entries: Sequence[Entry]) -> None:
    """Apply facts that tell of rights, but for sales, deliveries and fences."""
    for entry in entries:
        body, fact, place = entry.body, entry.fact, entry.place
        store, node, incarnation, seq = place
        match body:
            case RightsMoved() | GoodsMoved() | CountPosted():
                _move_all(effects, entry, body)
                if isinstance(body, RightsMoved) and body.move is Move.GIVEN:
                    _given(unit, place, fact)
            case RightsWanted():
                of = (body.of.node, body.of.incarnation) if body.of else (None, None)
                rows = [
                    (store, cell, node, incarnation, seq, fact.event, milli, *of, hlc_ms(fact.hlc))
                    for cell, milli in body.lines.amounts().items()
                ]
                bulk.insert(unit.connection, WANTED, rows, _LATEST_WANT)
            case StockPolicy():
                row = (store, body.target, body.mode, body.floor_milli, body.web_percent)
                bulk.insert(
                    unit.connection,
                    POLICIES,
                    [(*row, fact.hlc, node, incarnation, seq)],
                    _LATEST_POLICY,
                )


def _move_all(effects: Effects, entry: Entry, body: RightsMoved | GoodsMoved | CountPosted) -> None:
    moves = stock.moves(body)
    for column, amounts, sign in moves:
        move(effects, entry, column, amounts, sign)
    receiver = stock.receiver(body)
    if receiver is None:
        return
    # The one move of another stream's row; an end of the giver's holds for it too.
    (_, amounts, _), *_ = moves
    got = effects.moved[receiver.scope, receiver.node, receiver.incarnation]
    got.mention(amounts, hlc_ms(entry.fact.hlc))
    if not effects.beyond(entry.place):
        grown = got.column(Column.GOT)
        for cell, milli in amounts.items():
            grown[cell] += milli


def _given(unit: Unit, place: Place, fact: Fact) -> None:
    if place[1] == unit.state.own.node:
        bulk.insert(unit.connection, GIFTS, [(place[0], fact.event)], "ON CONFLICT DO NOTHING")


# --- sales and deliveries ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a stream is known to hold of one sale, besides what is told just now."""

    sales: tuple[int, ...] = ()
    closed: tuple[int, ...] = ()
    voided: tuple[int, ...] = ()


def sold(
    effects: Effects,
    told: Sequence[Entry],
    earlier: Callable[[StreamKey], Earlier],
    load: Callable[[Place], Sale],
) -> None:
    """Move rows by facts that tell of one sale, each by those of its own stream.

    The first record of the sale counts: written closed, at once; written tendered, with
    the first `SaleClosed` after it, and back with the first `SaleVoided` after that.

    Args:
        effects: What to add to.
        told: Facts of one event.
        earlier: What the ledger holds of that event in a stream.
        load: Reads a sale back.
    """
    by_stream: dict[StreamKey, list[Entry]] = defaultdict(list)
    for entry in told:
        by_stream[entry.place[:3]].append(entry)
    for key, entries in by_stream.items():
        if not any(isinstance(entry.body, Sale | SaleClosed | SaleVoided) for entry in entries):
            continue
        known = earlier(key)
        bodies = {entry.place[3]: entry.body for entry in entries}
        sales = sorted({*known.sales, *_numbers(bodies, Sale)})
        if not sales:
            continue
        first = sales[0]
        closed = min(
            (n for n in (*known.closed, *_numbers(bodies, SaleClosed)) if n > first), default=0
        )
        voided = min(
            (n for n in (*known.voided, *_numbers(bodies, SaleVoided)) if n > first), default=0
        )
        gone = bool(closed) and not 0 < voided < closed
        for entry in sorted(entries, key=lambda entry: entry.place):
            seq = entry.place[3]
            if seq == first:
                sale = entry.body
                if isinstance(sale, Sale) and sale.stage is Stage.CLOSED:
                    move(effects, entry, Column.USED, sale.lines.sums().by_sku)
            elif gone and seq in (closed, voided):
                body = bodies.get(first)
                sale = body if isinstance(body, Sale) else load((*key, first))
                if sale.stage is Stage.TENDERED:
                    column = Column.USED if seq == closed else Column.MADE
                    move(effects, entry, column, sale.lines.sums().by_sku)


def _next(first: int, numbers: Iterable[int]) -> int:
    """Return the lowest number after the first; 0: there is none."""
    return min((number for number in numbers if number > first), default=0)


def _numbers(bodies: Mapping[int, object], kind: type) -> list[int]:
    return [seq for seq, body in bodies.items() if isinstance(body, kind)]


def delivered(effects: Effects, entry: Entry, body: GoodsReceived, *, first: bool) -> None:
    """Move a row by a delivery, if it is the first record of it in its stream."""
    if first:
        move(effects, entry, Column.MADE, stock.received(body))


def doubles(unit: Unit, store: str, events: Sequence[bytes], kind: str) -> dict[bytes, list[Place]]:
    """Return the records of a kind that lost to another of the same event."""
    found: dict[bytes, list[Place]] = defaultdict(list)
    names = ("event", "kind", "node", "incarnation", "seq")
    for event, of, node, incarnation, seq in bulk.rows_of(
        unit.connection, DUPLICATES, names, "event", store, events
    ):
        if of == kind:
            found[event].append((store, node, incarnation, seq))
    return found


# --- fences --------------------------------------------------------------------------


def close(unit: Unit, effects: Effects, pending: Mapping[StreamKey, int]) -> None:
    """Look at the fences again: what had moved rows from beyond a new one is taken back.

    Args:
        unit: The transaction.
        effects: What to add to; learns the fences.
        pending: The first number of each stream that is in the journal and not applied yet.
    """
    before, effects.fences = effects.fences, fences(unit)
    for key, end in effects.fences.items():
        if before.get(key) != end:
            stream = StreamId(key[1], key[2], key[0])
            applied = pending.get(key, unit.cursor(stream).head.seq + 1) - 1
            old = min(before.get(key, applied), applied)
            _recount(unit, effects, key, (old, min(end, applied)))


def _recount(unit: Unit, effects: Effects, key: StreamKey, ends: tuple[int, int]) -> None:
    """Take back, or add, what stands between two ends of a stream, old and new."""
    old, new = ends
    sign = -1 if new < old else 1
    scratch = Effects()
    _replay(unit, scratch, key, min(ends), max(ends))
    for stream, moved in scratch.moved.items():
        ours = effects.moved[stream]
        for column, amounts in moved.columns.items():
            column_of = ours.column(column)
            for cell, milli in amounts.items():
                column_of[cell] += sign * milli
        for cell, at_ms in moved.as_of_ms.items():
            ours.mention((cell,), at_ms)


def _replay(unit: Unit, effects: Effects, key: StreamKey, after: int, upto: int) -> None:
    """Add up what the facts of a stretch of a stream move."""
    while after < upto:
        entries = _stretch(unit.connection, key, after, upto, _REPLAY)
        if not entries:
            return
        lost = doubles(
            unit, key[0], list({entry.fact.event for entry in entries}), "goods.received"
        )
        for entry in entries:
            event = entry.fact.event
            match entry.body:
                case RightsMoved() | GoodsMoved() | CountPosted():
                    _move_all(effects, entry, entry.body)
                case GoodsReceived():
                    before = [p for p in lost.get(event, ()) if p[:3] == key and p < entry.place]
                    before += _counts(unit, entry)
                    delivered(effects, entry, entry.body, first=not before)
                case Sale() | SaleClosed() | SaleVoided():
                    sold(
                        effects,
                        [entry],
                        lambda stream, event=event: earlier(unit, stream, event),  # type: ignore[misc]
                        lambda place: load(unit, place),
                    )
        after = entries[-1].place[3]


def _counts(unit: Unit, entry: Entry) -> list[Place]:
    """Return the delivery that counts for an event, if an earlier one of the same stream."""
    found = unit.connection.execute(
        select(DELIVERIES.c.node, DELIVERIES.c.incarnation, DELIVERIES.c.seq).where(
            DELIVERIES.c.store == entry.place[0], DELIVERIES.c.event == entry.fact.event
        )
    )
    places = [(entry.place[0], *row) for row in found]
    return [place for place in places if place[:3] == entry.place[:3] and place < entry.place]


def _stretch(
    connection: Connection, key: StreamKey, after: int, upto: int, most: int
) -> list[Entry]:
    """Return facts of a stretch of a stream that may move rows, in their order."""
    rows = connection.execute(
        select(FACTS)
        .where(
            FACTS.c.store == key[0],
            FACTS.c.node == key[1],
            FACTS.c.incarnation == key[2],
            FACTS.c.seq > after,
            FACTS.c.seq <= upto,
            FACTS.c.kind.in_(_MOVING),
        )
        .order_by(FACTS.c.seq)
        .limit(most)
    )
    return [_entry(row) for row in rows]


def every_fence(connection: Connection) -> list[Entry]:
    """Return every fence in the journal: a rebuild needs them before anything else."""
    rows = connection.execute(select(FACTS).where(FACTS.c.kind == "stream.closed"))
    return [_entry(row) for row in rows]


def _entry(row: Row[Any]) -> Entry:
    fact = Fact(row.seq, row.hlc, row.kind, row.version, row.event, row.body)
    return Entry((row.store, row.node, row.incarnation, row.seq), fact, read(fact))


def earlier(unit: Unit, key: StreamKey, event: bytes) -> Earlier:
    """Return all that the ledger holds of a sale in one stream."""
    of = {
        table: and_(
            table.c.store == key[0],
            table.c.event == event,
            table.c.node == key[1],
            table.c.incarnation == key[2],
        )
        for table in (SALES, DUPLICATES, SALE_MARKS)
    }
    of[DUPLICATES] = and_(of[DUPLICATES], DUPLICATES.c.kind == "sale")
    sales = [
        seq
        for table in (SALES, DUPLICATES)
        for seq in unit.connection.execute(select(table.c.seq).where(of[table])).scalars()
    ]
    marks = unit.connection.execute(
        select(SALE_MARKS.c.seq, SALE_MARKS.c.stage).where(of[SALE_MARKS])
    ).all()
    return Earlier(
        tuple(sales),
        tuple(row.seq for row in marks if row.stage == Stage.CLOSED),
        tuple(row.seq for row in marks if row.stage == Stage.VOIDED),
    )


def load(unit: Unit, place: Place) -> Sale:
    """Read back a sale that has its row."""
    body = facts.decode(journal.read_facts(unit.connection, [place])[place])
    assert isinstance(body, Sale)  # noqa: S101 - for the type checker: its row was made from such a fact
    return body
