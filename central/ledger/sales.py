"""The view of sales: one row an event, its stage the highest anybody vouched for.

Most sales arrive whole, as one fact, and nothing else is known of their event: these
go straight into rows. The others are worked out again from everything known of the
event, so that the order of arrival cannot matter.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete

from central.ledger import bulk, journal, rights
from central.ledger.effects import Effects, StreamKey
from central.ledger.entry import Entry
from central.ledger.tables import DUPLICATES, SALE_MARKS, SALES, STALE_PRICES
from central.ledger.unit import Unit
from sync import facts
from sync.chain import StreamId
from sync.facts.sale import PaymentSettled, Sale, Stage
from sync.merge.sales import SaleBody, stage_of, winner

EventKey = tuple[str, bytes]
"""Store and event."""

_SETTLED = 0
"""Stage of a mark that settles a payment: what it makes of the sale, the sale says."""


class Known(NamedTuple):
    """A sale that has its row already."""

    sale: int
    place: journal.Place
    stage: Stage
    lines: int
    quantity_milli: int
    total_minor: int


class Mark(NamedTuple):
    """A stage or a settled payment that somebody vouched for."""

    place: journal.Place
    stage: int
    payment: int
    approved: bool


def apply(unit: Unit, effects: Effects, entries: Sequence[Entry]) -> None:
    """Apply facts that tell of sales."""
    if not entries:
        return
    events: dict[EventKey, list[Entry]] = defaultdict(list)
    for entry in entries:
        events[entry.place[0], entry.fact.event].append(entry)
    by_store: dict[str, list[bytes]] = defaultdict(list)
    for store, event in events:
        by_store[store].append(event)
    known = _known(unit, by_store)
    marks = _marks(unit, by_store)
    lost = _lost(unit, known)
    places = [one.place for one in known.values()]
    held = _held(unit, [*places, *(place for some in lost.values() for place in some)])
    for key, told in events.items():
        body = told[0].body
        if (
            len(told) == 1
            and isinstance(body, Sale)
            and body.stage is Stage.CLOSED
            and key not in known
            and key not in marks
        ):
            rights.use(effects, told[0], body)
            _insert(unit, effects, told[0].place, key[1], body, Stage.CLOSED)
        else:
            before, noted = known.get(key), marks.get(key, [])
            counted = [*([before.place] if before else []), *lost.get(key, [])]
            _move_rows(effects, told, held, counted, noted)
            _work_out(unit, effects, key, told, held, before, noted)


def _work_out(
    unit: Unit,
    effects: Effects,
    key: EventKey,
    told: Sequence[Entry],
    held: Mapping[journal.Place, Sale],
    known: Known | None,
    marks: list[Mark],
) -> None:
    """Work an event out again from everything known of it; `held` has what is `known`."""
    bodies: dict[journal.Place, Sale] = {}
    for entry in told:
        if isinstance(entry.body, Sale):
            bodies[entry.place] = entry.body
        else:
            mark = _mark(entry.place, entry.body)  # type: ignore[arg-type]  # what is no sale is a mark
            marks = [*marks, mark]
            effects.rows[SALE_MARKS].append(
                (key[0], key[1], *entry.place[1:], mark.stage, mark.payment, int(mark.approved))
            )
    places = {*bodies, *([known.place] if known else [])}
    if not places:
        return  # pending: marks wait for their sale
    won = min(places, key=lambda place: winner([_at(place)]))
    effects.rows[DUPLICATES].extend((*place, key[1], "sale") for place in sorted(places - {won}))
    sale = bodies.get(won) or held[won]
    settled: dict[int, bool] = {}
    for mark in marks:
        if mark.stage == _SETTLED:
            settled[mark.payment] = settled.get(mark.payment, False) or mark.approved
    stage = max(
        stage_of(sale, settled, sale), *(Stage(m.stage) for m in marks if m.stage), Stage(1)
    )
    if known and known.place == won:
        if known.stage is not stage:
            _move(unit, effects, known, key[1], sale, stage)
        return
    if known:
        _retract(unit, effects, known, key[1])
    _insert(unit, effects, won, key[1], sale, stage)


def _insert(
    unit: Unit, effects: Effects, place: journal.Place, event: bytes, sale: Sale, stage: Stage
) -> None:
    """Make the row of a sale. This runs once a sale: it handles columns, never a line."""
    columns = sale.lines
    n = columns.n
    store = place[0]
    quantity = sum(_full(columns.quantity_milli, n))
    total = sum([payment.amount_minor for payment in sale.payments])  # the lines' or quarantined
    number = unit.next_change(store)
    effects.rows[SALES].append(
        _row(place, event, sale, (number, number, stage), (n, quantity, total))
    )
    if stage is Stage.CLOSED:
        effects.stores[store].count(1, lines=n, quantity_milli=quantity, total_minor=total)


def _row(
    place: journal.Place,
    event: bytes,
    sale: Sale,
    moving: tuple[int, int, Stage],
    sums: tuple[int, int, int],
) -> bulk.Row:
    """Return a sale's row: `moving` is its number, its place in the feed and its stage."""
    store, *author = place
    number, change, stage = moving
    return (
        store,
        number,
        *author,
        event,
        change,
        int(stage),
        sale.till,
        sale.series_in(StreamId(place[1], place[2], store)),
        sale.number,
        sale.at_ms,
        sale.trust,
        sale.business_day,
        sale.cashier,
        sale.channel,
        *sums,
    )


def _move(
    unit: Unit, effects: Effects, known: Known, event: bytes, sale: Sale, stage: Stage
) -> None:
    """Give a sale that stays in its place another stage."""
    store = effects.stores[known.place[0]]
    moving = (known.sale, unit.next_change(known.place[0]), stage)
    sums = (known.lines, known.quantity_milli, known.total_minor)
    effects.moved_sales.append(_row(known.place, event, sale, moving, sums))
    sign = (stage is Stage.CLOSED) - (known.stage is Stage.CLOSED)
    if sign:
        store.count(
            sign,
            lines=known.lines,
            quantity_milli=known.quantity_milli,
            total_minor=known.total_minor,
        )


def _retract(unit: Unit, effects: Effects, known: Known, event: bytes) -> None:
    """Take back a sale whose event another fact records with more right."""
    if known.stage is Stage.CLOSED:
        effects.stores[known.place[0]].count(
            -1,
            lines=known.lines,
            quantity_milli=known.quantity_milli,
            total_minor=known.total_minor,
        )
    unit.connection.execute(
        delete(SALES).where(SALES.c.store == known.place[0], SALES.c.sale == known.sale)
    )
    unit.connection.execute(
        delete(STALE_PRICES).where(
            STALE_PRICES.c.store == known.place[0], STALE_PRICES.c.event == event
        )
    )


def _move_rows(
    effects: Effects,
    told: Sequence[Entry],
    held: Mapping[journal.Place, Sale],
    counted: Sequence[journal.Place],
    marks: Sequence[Mark],
) -> None:
    """Move the rows of rights, each by what its own stream says of the sale."""

    def earlier(stream: StreamKey) -> rights.Earlier:
        of = [mark for mark in marks if mark.place[:3] == stream]
        return rights.Earlier(
            tuple(place[3] for place in counted if place[:3] == stream),
            tuple(mark.place[3] for mark in of if mark.stage == Stage.CLOSED),
            tuple(mark.place[3] for mark in of if mark.stage == Stage.VOIDED),
        )

    rights.sold(effects, told, earlier, held.__getitem__)


def _mark(place: journal.Place, body: SaleBody) -> Mark:
    if isinstance(body, PaymentSettled):
        return Mark(place, _SETTLED, body.payment, body.approved)
    return Mark(place, int(stage_of(body, {}, None)), 0, approved=False)


_KNOWN = (
    "event",
    "sale",
    "node",
    "incarnation",
    "seq",
    "stage",
    "lines",
    "quantity_milli",
    "total_minor",
)


def _known(unit: Unit, events: Mapping[str, Sequence[bytes]]) -> dict[EventKey, Known]:
    found = {}
    for store, listed in events.items():
        for event, sale, node, incarnation, seq, stage, *sums in bulk.rows_of(
            unit.connection, SALES, _KNOWN, "event", store, listed
        ):
            place = (store, node, incarnation, seq)
            found[store, event] = Known(sale, place, Stage(stage), *sums)
    return found


def _marks(unit: Unit, events: Mapping[str, Sequence[bytes]]) -> dict[EventKey, list[Mark]]:
    found: dict[EventKey, list[Mark]] = defaultdict(list)
    for store, listed in events.items():
        names = ("event", "node", "incarnation", "seq", "stage", "payment", "approved")
        for event, node, incarnation, seq, stage, payment, approved in bulk.rows_of(
            unit.connection, SALE_MARKS, names, "event", store, listed
        ):
            place = (store, node, incarnation, seq)
            found[store, event].append(Mark(place, stage, payment, bool(approved)))
    return dict(found)


def _lost(unit: Unit, known: Mapping[EventKey, Known]) -> dict[EventKey, list[journal.Place]]:
    """Return the records that lost to the one that counts; few events have any."""
    events: dict[str, list[bytes]] = defaultdict(list)
    for store, event in known:
        events[store].append(event)
    return {
        (store, event): places
        for store, listed in events.items()
        for event, places in rights.doubles(unit, store, listed, "sale").items()
    }


def _held(unit: Unit, places: Sequence[journal.Place]) -> dict[journal.Place, Sale]:
    found = {}
    for place, fact in journal.read_facts(unit.connection, places).items():
        body = facts.decode(fact)
        assert isinstance(body, Sale)  # noqa: S101 - for the type checker: rows were made from such facts
        found[place] = body
    return found


def _at(place: journal.Place) -> tuple[StreamId, int]:
    return StreamId(place[1], place[2], place[0]), place[3]


def _full(column: list[Any], n: int) -> list[Any]:
    return column if len(column) == n else column * n
