"""Reading promises, orders and refusals back."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, and_, func, select

from central.ledger import bulk
from central.ledger.tables import (
    BROKEN,
    GIFTS,
    NODES,
    ORDER_ANSWERS,
    PROMISE_LINES,
    PROMISES,
    REFUSALS,
    WANTED,
)
from central.ledger.unit import Unit
from sync.chain import ALL, StreamId
from sync.facts.order import Answer, Ending


@dataclass(slots=True)
class Line:
    """An article of a part, and what became of it."""

    milli: int
    answered: dict[Answer, int] = field(default_factory=dict)
    broken: int = 0

    @property
    def left(self) -> int:
        """What the store still has to answer for."""
        done = sum(
            self.answered.get(answer, 0)
            for answer in (Answer.HANDED, Answer.SHORT, Answer.CANCELLED)
        )
        return max(0, self.milli - done)


@dataclass(slots=True)
class Part:
    """A promise at one place."""

    store: str
    event: bytes
    made_in: StreamId
    root: bytes
    instead_of: bytes
    instead_at: str
    channel: str
    digest: bytes
    places: tuple[str, ...]
    at_ms: int
    expires_ms: int
    ended: Ending | None
    ended_ms: int
    seq: int
    """Where it stands in `made_in`; 0: only its end is here yet."""

    lines: dict[str, Line] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether more of it than its end is here."""
        return self.seq > 0


def of_promise(connection: Connection, root: bytes) -> list[Part]:
    """Return the parts of a promise, in the order they were made."""
    parts = _parts(connection, PROMISES.c.root == root)
    return sorted(parts, key=lambda part: (part.at_ms, part.store, part.seq))


def of_order(connection: Connection, store: str, event: bytes) -> list[Part]:
    """Return the parts known under an event at a store."""
    return _parts(connection, and_(PROMISES.c.store == store, PROMISES.c.event == event))


def due(connection: Connection, now_ms: int, most: int) -> list[Part]:
    """Return promises whose time is over and that nobody has ended."""
    over = and_(PROMISES.c.ended == 0, PROMISES.c.expires_ms <= now_ms, PROMISES.c.seq > 0)
    return _parts(connection, over, most)


def next_due_ms(connection: Connection) -> int | None:
    """Return when the next promise ends by itself; None: none does."""
    return connection.execute(
        select(func.min(PROMISES.c.expires_ms)).where(PROMISES.c.ended == 0, PROMISES.c.seq > 0)
    ).scalar()


def open_at(connection: Connection, store: str, cell: str) -> list[Part]:
    """Return open promises that hold an article at a store, the newest first."""
    same = and_(
        PROMISES.c.store == PROMISE_LINES.c.store,
        PROMISES.c.event == PROMISE_LINES.c.event,
        PROMISES.c.node == PROMISE_LINES.c.node,
        PROMISES.c.incarnation == PROMISE_LINES.c.incarnation,
    )
    events = (
        select(PROMISES.c.event)
        .join(PROMISE_LINES, same)
        .where(PROMISES.c.store == store, PROMISES.c.ended == 0, PROMISE_LINES.c.cell == cell)
    )
    open_ = and_(PROMISES.c.store == store, PROMISES.c.ended == 0, PROMISES.c.event.in_(events))
    return sorted(_parts(connection, open_), key=lambda part: (-part.at_ms, -part.seq))


def short(connection: Connection) -> list[tuple[Part, dict[str, int]]]:
    """Return orders short of something that nobody serves instead and nobody gave up."""
    keys = connection.execute(
        select(ORDER_ANSWERS.c.store, ORDER_ANSWERS.c.event)
        .where(ORDER_ANSWERS.c.answer == int(Answer.SHORT))
        .distinct()
    ).all()
    found = []
    for store, event in keys:
        parts = [part for part in of_order(connection, store, event) if part.known]
        if not parts:
            continue
        instead = _instead(connection, store, event)
        open_ = {
            cell: line.answered.get(Answer.SHORT, 0) - line.broken - instead.get(cell, 0)
            for cell, line in parts[0].lines.items()
        }
        missing = {cell: milli for cell, milli in open_.items() if milli > 0}
        if missing:
            found.append((parts[0], missing))
    return found


def _instead(connection: Connection, store: str, event: bytes) -> dict[str, int]:
    """Return what other places promise instead of a part."""
    total: dict[str, int] = defaultdict(int)
    for part in _parts(
        connection, and_(PROMISES.c.instead_of == event, PROMISES.c.instead_at == store)
    ):
        if part.ended in (None, Ending.CONFIRMED):
            for cell, line in part.lines.items():
                total[cell] += line.milli
    return total


def _parts(
    connection: Connection, where: "ColumnElement[bool]", most: int | None = None
) -> list[Part]:
    parts: dict[tuple[str, bytes, bytes, int], Part] = {}
    by_store: dict[str, list[bytes]] = defaultdict(list)
    for row in connection.execute(select(PROMISES).where(where).limit(most)):
        made_in = StreamId(row.node, row.incarnation, row.store)
        parts[row.store, row.event, row.node, row.incarnation] = Part(
            store=row.store,
            event=row.event,
            made_in=made_in,
            root=row.root,
            instead_of=row.instead_of,
            instead_at=row.instead_at,
            channel=row.channel,
            digest=row.digest,
            places=tuple(row.places.split()),
            at_ms=row.at_ms,
            expires_ms=row.expires_ms,
            ended=Ending(row.ended) if row.ended else None,
            ended_ms=row.ended_ms,
            seq=row.seq,
        )
        by_store[row.store].append(row.event)
    for store, events in by_store.items():
        _lines(connection, parts, store, events)
    return list(parts.values())


def _lines(
    connection: Connection,
    parts: dict[tuple[str, bytes, bytes, int], Part],
    store: str,
    events: Sequence[bytes],
) -> None:
    names = ("event", "node", "incarnation", "cell", "milli")
    by_event: dict[tuple[bytes, str], list[Line]] = defaultdict(list)
    for event, node, incarnation, cell, milli in bulk.rows_of(
        connection, PROMISE_LINES, names, "event", store, events
    ):
        part = parts.get((store, event, node, incarnation))
        if part is not None:
            part.lines[cell] = line = Line(milli)
            by_event[event, cell].append(line)
    for event, cell, answer, milli in bulk.rows_of(
        connection, ORDER_ANSWERS, ("event", "cell", "answer", "milli"), "event", store, events
    ):
        for line in by_event[event, cell]:
            line.answered[Answer(answer)] = line.answered.get(Answer(answer), 0) + milli
    for event, cell, milli in bulk.rows_of(
        connection, BROKEN, ("event", "cell", "milli"), "event", store, events
    ):
        for line in by_event[event, cell]:
            line.broken += milli


# --- wishes and demand ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """What a holder asked for and central has not answered."""

    store: str
    event: bytes
    asker: StreamId
    of_node: bytes | None
    amounts: dict[str, int]


def wishes(connection: Connection, own: bytes, since_ms: int) -> list[Wish]:
    """Return what others asked for lately and central gave nothing for yet."""
    same = and_(GIFTS.c.store == WANTED.c.store, GIFTS.c.event == WANTED.c.event)
    rows = connection.execute(
        select(WANTED)
        .outerjoin(GIFTS, same)
        .where(WANTED.c.at_ms >= since_ms, WANTED.c.node != own, GIFTS.c.event.is_(None))
        .order_by(WANTED.c.at_ms, WANTED.c.store, WANTED.c.event, WANTED.c.cell)
    )
    found: dict[tuple[str, bytes], Wish] = {}
    for row in rows:
        asker = StreamId(row.node, row.incarnation, row.store)
        wish = found.setdefault(
            (row.store, row.event), Wish(row.store, row.event, asker, row.of_node, {})
        )
        wish.amounts[row.cell] = row.milli
    return list(found.values())


def asked_ms(connection: Connection, own: StreamId, cell: str) -> int:
    """Return when central last asked for an article at a store; 0: never."""
    return (
        connection.execute(
            select(WANTED.c.at_ms).where(
                WANTED.c.store == own.scope,
                WANTED.c.cell == cell,
                WANTED.c.node == own.node,
                WANTED.c.incarnation == own.incarnation,
            )
        ).scalar()
        or 0
    )


def promised_since(connection: Connection, store: str, cell: str, since_ms: int) -> int:
    """Return how much of an article was promised at a store since a time."""
    found = connection.execute(
        select(func.sum(PROMISE_LINES.c.milli)).where(
            PROMISE_LINES.c.store == store,
            PROMISE_LINES.c.cell == cell,
            PROMISE_LINES.c.at_ms >= since_ms,
        )
    ).scalar()
    return int(found or 0)


def enrolled(connection: Connection, store: str) -> list[bytes]:
    """Return the nodes of a store in the order they were enrolled."""
    return list(
        connection.execute(
            select(NODES.c.subject)
            .where(NODES.c.store == store)
            .order_by(NODES.c.hlc, NODES.c.subject)
        ).scalars()
    )


# --- refusals and figures ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refused:
    """Refusals of an article, added up."""

    sku: str
    refused: int
    asked_milli: int
    short_milli: int
    elsewhere_milli: int
    served_elsewhere: int
    last_ms: int


_ADD_REFUSAL = (
    "ON CONFLICT (store, cell) DO UPDATE SET "
    + ", ".join(
        f"{name} = refusals.{name} + excluded.{name}"
        for name in ("refused", "asked_milli", "short_milli", "elsewhere_milli", "served_elsewhere")
    )
    + ", last_ms = excluded.last_ms"
)


def refuse(unit: Unit, cell: str, asked: int, short_milli: int, elsewhere: int) -> None:
    """Count that an article could not be promised."""
    row = (ALL, cell, 1, asked, short_milli, min(elsewhere, short_milli))
    bulk.insert(
        unit.connection,
        REFUSALS,
        [(*row, int(elsewhere >= short_milli), unit.now_ms)],
        _ADD_REFUSAL,
    )


def refusals(connection: Connection, most: int) -> list[Refused]:
    """Return the articles that were refused, the most often refused first."""
    rows = connection.execute(
        select(REFUSALS).order_by(REFUSALS.c.refused.desc(), REFUSALS.c.cell).limit(most)
    )
    return [Refused(*row[1:]) for row in rows]


def refusal_sums(connection: Connection) -> Refused:
    """Return all refusals, added up."""
    sums = connection.execute(
        select(
            *(func.coalesce(func.sum(column), 0) for column in list(REFUSALS.columns)[2:-1]),
            func.coalesce(func.max(REFUSALS.c.last_ms), 0),
        )
    ).one()
    return Refused("", *(int(value) for value in sums))


def counts(connection: Connection) -> dict[Ending | None, int]:
    """Return how many promises, by place, ended how; None: are open."""
    rows = connection.execute(
        select(PROMISES.c.ended, func.count()).where(PROMISES.c.seq > 0).group_by(PROMISES.c.ended)
    )
    return {Ending(ended) if ended else None: count for ended, count in rows}
