"""Transfers between stores, count sheets, returns: which fact says what of each of them.

A row of `PAPERS` is a fact that opened, sent, announced, received or posted something; of
several for one thing the lowest place holds. Head office relays: what one store sent it
*announces* in the other's scope, in the transaction in which it hears of it. What was sent
and what arrived are compared when somebody asks. Quantities in thousandths (`_milli`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, or_, select

from central.ledger import author, bulk, journal
from central.ledger.tables import PAPERS, STORES
from central.ledger.unit import Unit
from sync import facts
from sync.errors import BadFact
from sync.facts.count import CountOpened, CountPosted
from sync.facts.returned import SaleReturned
from sync.facts.stock import GoodsMoved, Movement, TransferAnnounced

SHOWN = 1000
"""Transfers or sheets of one answer, the newest."""


class What(IntEnum):
    """What a fact says of a paper. Stands in the table."""

    SENT = 1
    ARRIVED = 2
    """Under the transfer's id, not that of the document it arrived with."""

    ANNOUNCED = 3
    OPENED = 4
    POSTED = 5
    RETURNED = 6
    """A return, or an obvious mistake; `other` is the sale."""


KINDS: tuple[type, ...] = (GoodsMoved, TransferAnnounced, CountOpened, CountPosted, SaleReturned)

_LOWEST = (
    "ON CONFLICT (store, event, what) DO UPDATE SET node = excluded.node, "
    "incarnation = excluded.incarnation, seq = excluded.seq, other = excluded.other, "
    "at_ms = excluded.at_ms WHERE (excluded.node, excluded.incarnation, excluded.seq) "
    "< (papers.node, papers.incarnation, papers.seq)"
)


_Key = tuple[str, str, bytes]
"""From, to, and the transfer's id."""


class TransferLine(msgspec.Struct, frozen=True):
    """An article of a transfer."""

    sku: str
    sent_milli: int
    arrived_milli: int


class Transfer(msgspec.Struct, frozen=True):
    """Goods that left one store for another."""

    transfer: str
    from_store: str
    to_store: str
    state: str
    """``in_transit``; ``arrived`` as sent; ``differs``: other goods arrived than were sent;
    ``not_sent``: they arrived, and of their sending nothing was heard. The last two, and what
    is long in transit, are for a person."""

    announced: bool
    """The receiving store is told; false while head office knows no such store."""

    sent_ms: int | None
    arrived_ms: int | None
    lines: list[TransferLine]


class CountLine(msgspec.Struct, frozen=True):
    """What a count made of the books of an article."""

    sku: str
    counted_milli: int
    difference_milli: int


class Sheet(msgspec.Struct, frozen=True):
    """A count sheet of a store."""

    count: str
    store: str
    name: str
    opened_ms: int
    posted_ms: int | None
    approved_by: str
    by_time: list[str]
    """Nodes whose marks were not waited for: count again what these sell."""

    lines: list[CountLine]
    """Of a posted sheet."""


class ReturnedLine(msgspec.Struct, frozen=True):
    """A part of a line of a sale that was given back."""

    sku: str
    quantity_milli: int
    goods_minor: int
    deposit_minor: int
    vat: str
    restocked: bool


class Returned(msgspec.Struct, frozen=True):
    """Goods of a sale given back, or an obvious mistake."""

    id: str
    store: str
    sale: str
    receipt: str
    fiscal: str
    sold_ms: int
    at_ms: int
    business_day: int
    """As 20260131."""

    till: str
    cashier: str
    approved_by: str
    mistake: bool
    reason: str
    correction: str
    total_minor: int
    lines: list[ReturnedLine]


def apply(unit: Unit, entries: Iterable[tuple[journal.Place, bytes, object]]) -> None:
    """Note what facts say: place, event and body of each."""
    rows: dict[tuple[str, bytes, int], tuple[Any, ...]] = {}
    for (store, *place), event, body in entries:
        for what, of, other, at_ms in _says(event, body):
            key, row = (store, of, int(what)), (*place, other, at_ms)
            if key not in rows or row[:3] < rows[key][:3]:
                rows[key] = row
    bulk.insert(
        unit.connection, PAPERS, [(*key, *row) for key, row in sorted(rows.items())], _LOWEST
    )


def _says(event: bytes, body: object) -> list[tuple[What, bytes, str, int]]:
    match body:
        case GoodsMoved() if body.movement is Movement.SENT:
            return [(What.SENT, event, body.place, body.at_ms)]
        case GoodsMoved() if body.movement is Movement.ARRIVED and body.reference:
            return [(What.ARRIVED, body.reference, body.place, body.at_ms)]
        case TransferAnnounced():
            return [(What.ANNOUNCED, event, body.place, body.at_ms)]
        case CountOpened():
            return [(What.OPENED, event, "", body.at_ms)]
        case SaleReturned():
            return [(What.RETURNED, event, body.sale.hex(), body.at_ms)]
        case CountPosted():
            return [(What.POSTED, body.sheet, "", body.at_ms)]
    return []


def relay(unit: Unit, bodies: Iterable[object]) -> None:
    """Announce to the stores named what has just come in for them."""
    places = {b.place for b in bodies if isinstance(b, GoodsMoved) and b.movement is Movement.SENT}
    if places:
        announce(unit, places)


def announce(unit: Unit, stores: Collection[str]) -> int:
    """Tell stores what is under way to them and they were not told; return how much.

    A store head office does not know, and one whose stream has forked, is told later.
    """
    done = 0
    for store in sorted(stores):
        known = select(STORES.c.store).where(STORES.c.store == store)
        if unit.connection.execute(known).first() is None:
            continue
        if unit.cursor(unit.state.own.stream(store)).frozen:
            continue
        told = select(PAPERS.c.event).where(
            PAPERS.c.store == store, PAPERS.c.what == What.ANNOUNCED
        )
        waiting = unit.connection.execute(
            select(PAPERS)
            .where(
                PAPERS.c.other == store,
                PAPERS.c.what == What.SENT,
                PAPERS.c.event.not_in(told),
            )
            .order_by(PAPERS.c.at_ms, PAPERS.c.store, PAPERS.c.event)
        ).all()
        bodies = _bodies(unit.connection, waiting)
        news = [
            (row.event, TransferAnnounced(row.store, row.at_ms, body.lines, body.why))
            for row, body in zip(waiting, bodies, strict=True)
            if isinstance(body, GoodsMoved)
        ]
        if news:
            author.write(unit, store, news)
            done += len(news)
    return done


def transfers(connection: Connection, store: str | None) -> list[Transfer]:
    """Return transfers from and to a store, or all, the newest first."""
    question = select(PAPERS).where(PAPERS.c.what.in_((What.SENT, What.ARRIVED, What.ANNOUNCED)))
    if store is not None:
        question = question.where(or_(PAPERS.c.store == store, PAPERS.c.other == store))
    rows = connection.execute(question).all()
    by_what: dict[int, dict[_Key, Row[Any]]] = {what: {} for what in What}
    for row in rows:
        ends = (row.store, row.other) if row.what == What.SENT else (row.other, row.store)
        by_what[row.what][*ends, row.event] = row
    sent, arrived = by_what[What.SENT], by_what[What.ARRIVED]
    keys = sorted(
        {*sent, *arrived},
        key=lambda key: (max(r.at_ms for r in (sent.get(key), arrived.get(key)) if r), key),
        reverse=True,
    )[:SHOWN]
    went = _amounts(connection, {key: sent[key] for key in keys if key in sent})
    came = _amounts(connection, {key: arrived[key] for key in keys if key in arrived})
    found = []
    for key in keys:
        out, into = sent.get(key), arrived.get(key)
        here, there = went.get(key, {}), came.get(key, {})
        if into is None:
            state = "in_transit"
        elif out is None:
            state = "not_sent"
        else:
            state = "arrived" if here == there else "differs"
        found.append(
            Transfer(
                str(UUID(bytes=key[2])),
                key[0],
                key[1],
                state,
                key in by_what[What.ANNOUNCED],
                out.at_ms if out else None,
                into.at_ms if into else None,
                [
                    TransferLine(sku, here.get(sku, 0), there.get(sku, 0))
                    for sku in sorted({**here, **there})
                ],
            )
        )
    return found


def sheets(connection: Connection, store: str | None) -> list[Sheet]:
    """Return count sheets of a store, or of all, the newest first."""
    question = select(PAPERS).where(PAPERS.c.what == What.OPENED)
    if store is not None:
        question = question.where(PAPERS.c.store == store)
    opened = connection.execute(question.order_by(PAPERS.c.at_ms.desc()).limit(SHOWN)).all()
    posted = {
        (row.store, row.event): row
        for row in connection.execute(select(PAPERS).where(PAPERS.c.what == What.POSTED))
    }
    told = [posted[row.store, row.event] for row in opened if (row.store, row.event) in posted]
    results = {
        (row.store, row.event): body
        for row, body in zip(told, _bodies(connection, told), strict=True)
    }
    found = []
    for row, body in zip(opened, _bodies(connection, opened), strict=True):
        result = results.get((row.store, row.event))
        result = result if isinstance(result, CountPosted) else None
        found.append(
            Sheet(
                str(UUID(bytes=row.event)),
                row.store,
                body.name if isinstance(body, CountOpened) else "",
                row.at_ms,
                result.at_ms if result else None,
                result.approved_by if result else "",
                [node.hex() for node in result.by_time] if result else [],
                [
                    CountLine(line.sku, line.counted_milli, line.difference_milli)
                    for line in (result.lines.rows() if result else ())
                ],
            )
        )
    return found


def returned(connection: Connection, store: str | None) -> list[Returned]:
    """Return what was given back at a store, or at all, the newest first."""
    question = select(PAPERS).where(PAPERS.c.what == What.RETURNED)
    if store is not None:
        question = question.where(PAPERS.c.store == store)
    rows = connection.execute(question.order_by(PAPERS.c.at_ms.desc()).limit(SHOWN)).all()
    return [
        Returned(
            str(UUID(bytes=row.event)),
            row.store,
            str(UUID(bytes=body.sale)),
            body.receipt,
            body.fiscal,
            body.sold_at_ms,
            body.at_ms,
            body.business_day,
            body.till,
            body.cashier,
            body.approved_by,
            body.mistake,
            body.reason_given,
            body.correction,
            body.total_minor,
            [
                ReturnedLine(
                    line.sku,
                    line.quantity_milli,
                    line.goods_minor,
                    line.deposit_minor,
                    line.vat,
                    line.restocked,
                )
                for line in body.lines
            ],
        )
        for row, body in zip(rows, _bodies(connection, rows), strict=True)
        if isinstance(body, SaleReturned)
    ]


def _amounts(connection: Connection, rows: Mapping[_Key, Row[Any]]) -> dict[_Key, dict[str, int]]:
    """Return what each of some facts moved."""
    found = {}
    for key, body in zip(rows, _bodies(connection, list(rows.values())), strict=True):
        found[key] = body.lines.amounts() if isinstance(body, GoodsMoved) else {}
    return found


def _bodies(connection: Connection, rows: Sequence[Row[Any]]) -> list[facts.Body | None]:
    places = [(row.store, row.node, row.incarnation, row.seq) for row in rows]
    read = journal.read_facts(connection, places)
    found: list[facts.Body | None] = []
    for place in places:
        try:
            found.append(facts.decode(read[place]))
        except BadFact:
            found.append(None)
    return found
