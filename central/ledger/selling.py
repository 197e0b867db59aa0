"""The feed of a store's sales, as told to programs.

A place in the feed is a number the store's one writer draws inside its transaction,
so a reader who has seen one can miss nothing below it. A sale that changes (its next
stage) comes again under a new number: readers keep the last they saw of a uuid.
"""

import base64
import binascii
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, select

from central.ledger import bulk, journal
from central.ledger.errors import Refused
from central.ledger.tables import (
    ARTICLES,
    FEEDS,
    PERSON_KEYS,
    SALE_MARKS,
    SALES,
    STALE_PRICES,
)
from sync import facts
from sync.chain import ALL
from sync.clock import Trust
from sync.errors import BadFact
from sync.facts.person import Buyer, unseal
from sync.facts.sale import Fiscal, Sale, SaleFiscalised, SaleLine, Stage
from sync.rules.money import line_total_minor

MAX_LIMIT = 1000
_LAST_MS = 253_402_300_799_999
"""Year 9999: what `datetime` can show."""


class BadCursor(Refused):
    """`after` is not a cursor of this ledger."""


class DiscountTold(msgspec.Struct, frozen=True):
    """A part of a line's price that was let go."""

    reason: str
    amount_minor: int


class StalePrice(msgspec.Struct, frozen=True):
    """What a line should have cost, by head office's books as they are now."""

    due_minor: int
    """Price of one whole unit in force at the time of the sale."""

    due_version: int


class LineTold(msgspec.Struct, frozen=True):
    """One article of a sale."""

    sku: str
    name: str
    """As printed; empty: nobody here knows."""

    quantity_milli: int
    unit: str
    unit_minor: int
    discounts: list[DiscountTold]
    total_minor: int
    vat: str
    price_version: int
    deposit_minor: int
    age_checked: int
    stale_price: StalePrice | None
    """Set where another price was in force at that moment: the store had not heard of it."""


class PaymentTold(msgspec.Struct, frozen=True):
    """One tender."""

    method: str
    amount_minor: int
    change_minor: int
    reference: str


class FiscalTold(msgspec.Struct, frozen=True):
    """Proof that a fiscal device took the sale."""

    by: str
    device: str
    document: str


class BuyerTold(msgspec.Struct, frozen=True):
    """Who the receipt is made out to."""

    nip: str
    name: str


class SaleTold(msgspec.Struct, frozen=True):
    """One sale."""

    uuid: str
    store: str
    till: str
    receipt_series: str
    receipt_number: int
    stage: str
    """``tendered``, ``approved``, ``fiscalised``, ``closed`` or ``voided``."""

    at: str | None
    """ISO 8601, UTC; null where the till's clock was beyond any calendar."""

    at_ms: int
    trust: str
    """Who vouches for the time: ``none``, ``manager``, ``rtc``, ``peer``, ``fiscal`` or
    ``central``."""

    business_day: int
    """As 20260131."""

    cashier: str
    shift: str
    channel: str
    currency: str
    lines: list[LineTold]
    payments: list[PaymentTold]
    total_minor: int
    rounding_minor: int
    fiscal: FiscalTold | None
    buyer: BuyerTold | None
    """Null: nobody, or a person whose key is not here (any more)."""


class SalesPage(msgspec.Struct, frozen=True):
    """A part of the feed."""

    sales: list[SaleTold]
    next: str
    """Give it as `after` to go on from here."""

    more: bool
    """Whether there is more at once."""


def cursor(incarnation: int, change: int) -> str:
    """Write a place in a feed."""
    packed = msgspec.msgpack.encode((incarnation, change))
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_cursor(text: str, incarnation: int) -> int:
    """Read a place in a feed.

    Raises:
        BadCursor: It is none, or of a ledger in another life.
    """
    try:
        raw = base64.urlsafe_b64decode(text[:64] + "=" * (-len(text[:64]) % 4))
        life, change = msgspec.msgpack.decode(raw, type=tuple[int, int])
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise BadCursor(
            f"after {text[:64]!r}: expected the 'next' of an earlier answer; leave it out to "
            "start from the beginning."
        ) from error
    if life != incarnation or change < 0:
        raise BadCursor(
            f"after {text[:64]!r}: of another ledger, or of before it was restored; "
            "leave it out to start from the beginning."
        )
    return change


def page(connection: Connection, store: str, after: int, limit: int, incarnation: int) -> SalesPage:
    """Return the sales of a store that changed after a place in its feed."""
    rows = connection.execute(
        select(SALES)
        .where(SALES.c.store == store, SALES.c.change > after)
        .order_by(SALES.c.change)
        .limit(limit)
    ).all()
    end = rows[-1].change if rows else after
    last = connection.execute(select(FEEDS.c.change).where(FEEDS.c.store == store)).scalar() or 0
    return SalesPage(_told(connection, rows), cursor(incarnation, end), end < last)


def _told(connection: Connection, rows: Iterable[Row[tuple[object, ...]]]) -> list[SaleTold]:
    listed = list(rows)
    places = [(row.store, row.node, row.incarnation, row.seq) for row in listed]
    bodies = {
        place: body
        for place, fact in journal.read_facts(connection, places).items()
        if isinstance(body := facts.decode(fact), Sale)
    }
    names = _Names(connection, bodies.values())
    keys = _keys(connection, bodies)
    fiscal = _fiscal(connection, listed)
    stale = _stale(connection, listed)
    return [
        _sale(
            row,
            bodies[place],
            names,
            keys,
            fiscal.get((row.store, row.event)),
            stale.get((row.store, row.event), {}),
        )
        for row, place in zip(listed, places, strict=True)
    ]


def _sale(
    row: Row[tuple[object, ...]],
    sale: Sale,
    names: "_Names",
    keys: Mapping[tuple[str, bytes], bytes],
    fiscal: Fiscal | None,
    stale: Mapping[int, StalePrice],
) -> SaleTold:
    fiscal = sale.fiscal or fiscal
    return SaleTold(
        uuid=str(UUID(bytes=row.event)),
        store=row.store,
        till=row.till,
        receipt_series=row.series,
        receipt_number=row.number,
        stage=Stage(row.stage).name.lower(),
        at=_iso(row.at_ms),
        at_ms=row.at_ms,
        trust=Trust(row.trust).name.lower() if row.trust in list(Trust) else "none",
        business_day=row.business_day,
        cashier=row.cashier,
        shift=sale.shift,
        channel=row.channel,
        currency=sale.currency,
        lines=[_line(line, names, stale.get(at)) for at, line in enumerate(sale.lines.rows())],
        payments=[
            PaymentTold(p.method, p.amount_minor, p.change_minor, p.reference)
            for p in sale.payments
        ],
        total_minor=row.total_minor,
        rounding_minor=sale.rounding_minor,
        fiscal=FiscalTold(fiscal.by, fiscal.device, fiscal.document) if fiscal else None,
        buyer=_buyer(sale, keys.get((row.store, sale.buyer.person))) if sale.buyer else None,
    )


def _line(line: SaleLine, names: "_Names", stale: StalePrice | None) -> LineTold:
    let_go = sum(discount.amount_minor for discount in line.discounts)
    return LineTold(
        sku=line.sku,
        name=line.name or names.at(line.sku, line.price_version),
        quantity_milli=line.quantity_milli,
        unit=line.unit,
        unit_minor=line.unit_minor,
        discounts=[DiscountTold(d.reason, d.amount_minor) for d in line.discounts],
        total_minor=line_total_minor(line.quantity_milli, line.unit_minor) - let_go,
        vat=line.vat,
        price_version=line.price_version,
        deposit_minor=line.deposit_minor,
        age_checked=line.age_checked,
        stale_price=stale,
    )


class _Names:
    """Fiscal names of the articles on a page, as of each revision."""

    def __init__(self, connection: Connection, sales: Iterable[Sale]) -> None:
        self._names: dict[str, list[tuple[int, str]]] = defaultdict(list)
        skus = {sku for sale in sales for sku in sale.lines.sku}
        for part in bulk.chunks(sorted(skus)):
            for row in connection.execute(
                select(ARTICLES.c.sku, ARTICLES.c.revision, ARTICLES.c.fiscal_name)
                .where(ARTICLES.c.store == ALL, ARTICLES.c.sku.in_(part))
                .order_by(ARTICLES.c.sku, ARTICLES.c.revision)
            ):
                self._names[row.sku].append((row.revision, row.fiscal_name))

    def at(self, sku: str, revision: int) -> str:
        """Return the name an article had at a revision; empty: it was not known then."""
        known = self._names.get(sku, [])
        place = bisect_right(known, revision, key=lambda entry: entry[0])
        return known[place - 1][1] if place else ""


def _keys(
    connection: Connection, bodies: Mapping[journal.Place, Sale]
) -> dict[tuple[str, bytes], bytes]:
    wanted: dict[str, set[bytes]] = defaultdict(set)
    for (store, *_), sale in bodies.items():
        if sale.buyer:
            wanted[store].add(sale.buyer.person)
    found = {}
    for store, persons in wanted.items():
        for part in bulk.chunks(persons):
            for row in connection.execute(
                select(PERSON_KEYS.c.person, PERSON_KEYS.c.key).where(
                    PERSON_KEYS.c.store == store,
                    PERSON_KEYS.c.person.in_(part),
                    PERSON_KEYS.c.key.is_not(None),
                )
            ):
                found[store, row.person] = row.key
    return found


def _stale(
    connection: Connection, rows: Iterable[Row[tuple[object, ...]]]
) -> dict[tuple[str, bytes], dict[int, StalePrice]]:
    """Return the lines that were sold at a price that was over."""
    events: dict[str, list[bytes]] = defaultdict(list)
    for row in rows:
        events[row.store].append(row.event)
    found: dict[tuple[str, bytes], dict[int, StalePrice]] = defaultdict(dict)
    for store, listed in events.items():
        for part in bulk.chunks(listed):
            for mark in connection.execute(
                select(STALE_PRICES).where(
                    STALE_PRICES.c.store == store, STALE_PRICES.c.event.in_(part)
                )
            ):
                found[store, mark.event][mark.line] = StalePrice(mark.due_minor, mark.due_version)
    return found


def _buyer(sale: Sale, key: bytes | None) -> BuyerTold | None:
    if key is None or sale.buyer is None:
        return None
    try:
        buyer: Buyer = unseal(sale.buyer, key)
    except BadFact:
        return None
    return BuyerTold(buyer.nip, buyer.name)


def _fiscal(
    connection: Connection, rows: Iterable[Row[tuple[object, ...]]]
) -> dict[tuple[str, bytes], Fiscal]:
    """Return the fiscal evidence that came as a fact of its own."""
    events: dict[str, list[bytes]] = defaultdict(list)
    for row in rows:
        events[row.store].append(row.event)
    places = {}
    for store, listed in events.items():
        for part in bulk.chunks(listed):
            for mark in connection.execute(
                select(SALE_MARKS).where(
                    SALE_MARKS.c.store == store,
                    SALE_MARKS.c.event.in_(part),
                    SALE_MARKS.c.stage == int(Stage.FISCALISED),
                )
            ):
                places[mark.store, mark.node, mark.incarnation, mark.seq] = (store, mark.event)
    found = {}
    for place, fact in sorted(journal.read_facts(connection, places).items(), reverse=True):
        body = facts.decode(fact)
        if isinstance(body, SaleFiscalised):
            found[places[place]] = body.fiscal
    return found


def _iso(at_ms: int) -> str | None:
    if not 0 <= at_ms <= _LAST_MS:
        return None
    moment = datetime.fromtimestamp(at_ms // 1000, UTC).replace(microsecond=at_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
