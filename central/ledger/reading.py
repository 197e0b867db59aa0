"""Questions the API asks, each of one moment of the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, Table, func, select

from central.ledger import carried, shelves
from central.ledger.fences import lost_lives
from central.ledger.tables import (
    NODES,
    QUARANTINE,
    REVOKED,
    SALES,
    STALE_PRICES,
    STORES,
    TOTALS,
    UNREADABLE,
)
from central.ledger.unit import Cursor, Own
from central.stock.shelf import Shelf
from sync.chain import StreamId, life
from sync.clock import hlc_ms
from sync.facts.node import StoreDescribed
from sync.facts.sale import Stage
from sync.merge import stock as counted

_SHOW_STICKS_MS = 30 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """What the running process knows besides the database."""

    contacts: Mapping[tuple[str, bytes], tuple[int, int, int]]
    """Store and node to when it was last heard (ms), bytes in, bytes out."""

    live: set[bytes]
    """Nodes with an open WebSocket."""

    scopes: Mapping[str, Mapping[StreamId, Cursor]]
    own: Own
    over: Mapping[StreamId, object]
    """Streams that are over and not closed yet."""


class StreamStatus(msgspec.Struct, frozen=True):
    """How far one stream of a store's nodes is held."""

    node: str
    incarnation: str
    stored: int
    safe: int
    frozen: bool


class StoreNode(msgspec.Struct, frozen=True):
    """One machine of a store, as far as head office has heard of it."""

    node: str
    name: str
    online: bool
    """Its live connection is open."""

    heard_ms: int | None
    """Unix milliseconds when it last said anything itself; null: never."""

    facts: int
    """Of its own, here, whoever brought them."""

    unsafe: int
    """Of these, not in a backup yet."""

    newest_ms: int | None
    """When it wrote the newest of them; null: none is here."""

    bytes_in: int
    bytes_out: int
    revoked: bool


class Store(msgspec.Struct, frozen=True):
    """One store, as far as head office has heard of it."""

    id: str
    name: str
    zone: str
    currency: str
    taxpayer: str
    fiscal: bool
    online: bool
    """A node of the store has its live connection open."""

    heard_ms: int | None
    """Unix milliseconds when a node of it last said anything; null: never. What the
    store has sold since and could not send, nobody here can know."""

    sales: int
    lines: int
    quantity_milli: int
    total_minor: int
    stale_prices: int
    """Lines of closed sales at a price that was over at that moment, by the books here."""

    quarantined: int
    unreadable: int
    bytes_in: int
    bytes_out: int
    nodes: list[StoreNode]
    streams: list[StreamStatus]


class Totals(msgspec.Struct, frozen=True):
    """Over all stores. Counts closed sales."""

    sales: int
    lines: int
    quantity_milli: int
    total_minor: int
    bytes_in: int
    bytes_out: int


class RefusedStick(msgspec.Struct, frozen=True):
    """A stick that was not taken."""

    store: str
    """Empty if it did not tell, or not credibly."""

    file: str
    read_ms: int
    reason: str


class Status(msgspec.Struct, frozen=True):
    """How things stand."""

    version: str
    now_ms: int
    stores: list[Store]
    totals: Totals
    refused_sticks: list[RefusedStick]
    """Of the last 30 days, the newest first."""


class Node(msgspec.Struct, frozen=True):
    """One certified machine."""

    node: str
    store: str
    name: str
    enrolled_ms: int
    online: bool
    heard_ms: int | None
    revoked: bool
    why: str


class Right(msgspec.Struct, frozen=True):
    """What one holder may promise of an article at a place."""

    holder: str
    """A node's name; ``web``: head office."""

    incarnation: str
    right_milli: int
    """What it inherited included; 0 for a closed one. Below zero: it promised or gave what
    it did not hold, or nobody kept the stock it sold from."""

    reserved_milli: int
    closed: bool
    as_of_ms: int
    age_ms: int


class StockRow(msgspec.Struct, frozen=True):
    """What is on a store's shelf, as far as its facts here tell."""

    store: str
    sku: str
    quantity_milli: int
    """What is there, reserved or not."""

    reserved_milli: int
    """Of that, promised to somebody."""

    over_milli: int
    """Taken beyond any right and not covered yet: as much is kept back."""

    web_milli: int
    """What head office may promise now."""

    kept: bool
    """Goods of it ever came in there; else nothing of it is promised, and nothing refused."""

    as_of_ms: int
    """Time of the newest fact here that tells of the article."""

    heard_ms: int | None
    """When the store last said anything; the quantity is no newer than that."""

    age_ms: int | None
    """How long ago that was; null: never heard."""

    rights: list[Right]


class Quarantined(msgspec.Struct, frozen=True):
    """A fact that cannot be what it says: kept, never counted."""

    store: str
    node: str
    incarnation: str
    number: int
    kind: str
    version: int
    reason: str


def store(connection: Connection, scope: str) -> StoreDescribed | None:
    """Return what was last said of a store."""
    row = connection.execute(select(STORES).where(STORES.c.store == scope)).first()
    if row is None:
        return None
    return StoreDescribed(
        scope,
        row.name,
        row.zone,
        row.currency,
        row.taxpayer,
        bool(row.fiscal),
        row.day_starts_minute,
    )


def store_ids(connection: Connection) -> list[str]:
    """Return the ids of all stores, sorted."""
    return list(connection.execute(select(STORES.c.store).order_by(STORES.c.store)).scalars())


def revoked(connection: Connection, scope: str, node: bytes) -> bool:
    """Whether a node of a store was revoked."""
    found = connection.execute(
        select(REVOKED.c.subject).where(REVOKED.c.store == scope, REVOKED.c.subject == node)
    )
    return found.first() is not None


def stores(connection: Connection, seen: Seen) -> list[Store]:
    """Return every store."""
    totals = {row.store: row for row in connection.execute(select(TOTALS))}
    quarantined, unreadable = _counts(connection, QUARANTINE), _counts(connection, UNREADABLE)
    stale = _stale_prices(connection)
    members = nodes(connection, seen)
    found = []
    for row in connection.execute(select(STORES).order_by(STORES.c.store)):
        heard = [c for (at, _), c in seen.contacts.items() if at == row.store]
        total = totals.get(row.store)
        streams = seen.scopes.get(row.store, {})
        found.append(
            Store(
                id=row.store,
                name=row.name,
                zone=row.zone,
                currency=row.currency,
                taxpayer=row.taxpayer,
                fiscal=bool(row.fiscal),
                online=any(stream.node in seen.live for stream in streams)
                or any(node in seen.live for at, node in seen.contacts if at == row.store),
                heard_ms=max((ms for ms, _, _ in heard), default=0) or None,
                sales=total.sales if total else 0,
                lines=total.lines if total else 0,
                quantity_milli=total.quantity_milli if total else 0,
                total_minor=total.total_minor if total else 0,
                stale_prices=stale.get(row.store, 0),
                quarantined=quarantined.get(row.store, 0),
                unreadable=unreadable.get(row.store, 0),
                bytes_in=sum(more for _, more, _ in heard),
                bytes_out=sum(more for _, _, more in heard),
                nodes=[_node(one, seen, streams) for one in members if one.store == row.store],
                streams=[
                    StreamStatus(
                        stream.node.hex(),
                        life(stream.incarnation),
                        cursor.head.seq,
                        cursor.safe,
                        cursor.frozen,
                    )
                    for stream, cursor in sorted(streams.items())
                    if stream.node != seen.own.node
                ],
            )
        )
    return found


def _node(one: Node, seen: Seen, streams: Mapping[StreamId, Cursor]) -> StoreNode:
    name = bytes.fromhex(one.node)
    own = [cursor for stream, cursor in streams.items() if stream.node == name]
    _, bytes_in, bytes_out = seen.contacts.get((one.store, name), (0, 0, 0))
    return StoreNode(
        node=one.node,
        name=one.name,
        online=one.online,
        heard_ms=one.heard_ms,
        facts=sum(cursor.head.seq for cursor in own),
        unsafe=sum(max(0, cursor.head.seq - cursor.safe) for cursor in own),
        newest_ms=max((hlc_ms(cursor.hlc) for cursor in own if cursor.head.seq), default=None),
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        revoked=one.revoked,
    )


def _stale_prices(connection: Connection) -> dict[str, int]:
    rows = connection.execute(
        select(STALE_PRICES.c.store, func.count())
        .join(
            SALES,
            (SALES.c.store == STALE_PRICES.c.store) & (SALES.c.event == STALE_PRICES.c.event),
        )
        .where(SALES.c.stage == int(Stage.CLOSED))
        .group_by(STALE_PRICES.c.store)
    )
    return {store: count for store, count in rows}  # noqa: C416 - its types are known so


def _counts(connection: Connection, table: Table) -> dict[str, int]:
    rows = connection.execute(select(table.c.store, func.count()).group_by(table.c.store))
    return {store: count for store, count in rows}  # noqa: C416 - its types are known so


def status(connection: Connection, seen: Seen, now_ms: int, version: str) -> Status:
    """Return how things stand."""
    found = stores(connection, seen)
    names = ("sales", "lines", "quantity_milli", "total_minor", "bytes_in", "bytes_out")
    totals = {name: sum(getattr(row, name) for row in found) for name in names}
    sticks = [
        RefusedStick(row.store, row.file, row.read_ms, row.reason)
        for row in carried.refused(connection, now_ms - _SHOW_STICKS_MS)
    ]
    return Status(version, now_ms, found, Totals(**totals), sticks)


def nodes(connection: Connection, seen: Seen) -> list[Node]:
    """Return every machine of a store."""
    whys = {(row.store, row.subject): row.why for row in connection.execute(select(REVOKED))}
    found = []
    for row in connection.execute(select(NODES).order_by(NODES.c.store, NODES.c.subject)):
        if row.subject == seen.own.node:
            continue
        key = (row.store, row.subject)
        heard = seen.contacts.get(key)
        found.append(
            Node(
                row.subject.hex(),
                row.store,
                row.name,
                hlc_ms(row.hlc),
                row.subject in seen.live,
                heard[0] or None if heard else None,
                key in whys,
                whys.get(key, ""),
            )
        )
    return found


def stock(
    connection: Connection, seen: Seen, now_ms: int, store: str | None, sku: str | None
) -> list[StockRow]:
    """Return quantities, each with its age."""
    heard: dict[str, int] = {}
    for (at, _), (ms, _, _) in seen.contacts.items():
        heard[at] = max(heard.get(at, 0), ms)
    return [
        _stock_row(shelf, seen, now_ms, heard.get(shelf.store, 0))
        for shelf in shelves.every(connection, store, sku)
    ]


def _stock_row(shelf: Shelf, seen: Seen, now_ms: int, heard_ms: int) -> StockRow:
    rights = shelf.rights()
    return StockRow(
        store=shelf.store,
        sku=shelf.cell,
        quantity_milli=shelf.physical,
        reserved_milli=shelf.reserved,
        over_milli=shelf.uncovered,
        web_milli=0
        if lost_lives(seen.over, seen.own.node, shelf.store)
        else shelf.spare(seen.own.stream(shelf.store)),
        kept=shelf.kept,
        as_of_ms=shelf.as_of_ms,
        heard_ms=heard_ms or None,
        age_ms=now_ms - heard_ms if heard_ms else None,
        rights=[
            Right(
                holder="web" if stream.node == seen.own.node else stream.node.hex(),
                incarnation=life(stream.incarnation),
                right_milli=rights.get(stream, 0),
                reserved_milli=counted.reserved(shelf.rows[stream]) if stream in shelf.rows else 0,
                closed=stream in shelf.fences,
                as_of_ms=shelf.rows[stream][counted.WIDTH] if stream in shelf.rows else 0,
                age_ms=now_ms - shelf.rows[stream][counted.WIDTH] if stream in shelf.rows else 0,
            )
            for stream in sorted({*shelf.rows, *rights})
        ],
    )


def quarantine(connection: Connection) -> list[Quarantined]:
    """Return what waits for a person."""
    columns = (QUARANTINE.c.store, QUARANTINE.c.node, QUARANTINE.c.incarnation, QUARANTINE.c.seq)
    return [
        Quarantined(
            row.store,
            row.node.hex(),
            life(row.incarnation),
            row.seq,
            row.kind,
            row.version,
            row.reason,
        )
        for row in connection.execute(select(QUARANTINE).order_by(*columns).limit(1000))
    ]
