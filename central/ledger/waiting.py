"""What waits: promises for their buyer, orders and transfers for a store. Of one moment."""

import msgspec
from sqlalchemy import Connection, and_, func, select

from central.ledger.papers import What
from central.ledger.tables import ORDER_ANSWERS, PAPERS, PROMISE_LINES, PROMISES
from sync.facts.order import Answer, Ending

_ENDING = (Answer.HANDED, Answer.SHORT, Answer.CANCELLED)


class Pending(msgspec.Struct, frozen=True):
    """Things of one kind that wait at a store."""

    kind: str
    """``promise``: held, and neither confirmed nor let go; ``order``: the store has not
    answered for all of it; ``transfer``: sent to the store, and not arrived."""

    store: str
    count: int
    oldest_ms: int
    """Unix milliseconds since when the oldest waits."""


def pending(connection: Connection) -> list[Pending]:
    """Return what waits, by kind and store."""
    here = (PROMISES.c.store, func.count())
    known = PROMISES.c.seq > 0
    promised = (
        select(*here, func.min(PROMISES.c.at_ms))
        .where(PROMISES.c.ended == 0, known)
        .group_by(PROMISES.c.store)
    )
    ordered = (
        select(func.sum(PROMISE_LINES.c.milli))
        .where(
            PROMISE_LINES.c.store == PROMISES.c.store,
            PROMISE_LINES.c.event == PROMISES.c.event,
            PROMISE_LINES.c.node == PROMISES.c.node,
            PROMISE_LINES.c.incarnation == PROMISES.c.incarnation,
        )
        .scalar_subquery()
    )
    answered = (
        select(func.coalesce(func.sum(ORDER_ANSWERS.c.milli), 0))
        .where(
            ORDER_ANSWERS.c.store == PROMISES.c.store,
            ORDER_ANSWERS.c.event == PROMISES.c.event,
            ORDER_ANSWERS.c.answer.in_([int(answer) for answer in _ENDING]),
        )
        .scalar_subquery()
    )
    orders = (
        select(*here, func.min(PROMISES.c.ended_ms))
        .where(PROMISES.c.ended == int(Ending.CONFIRMED), known, ordered > answered)
        .group_by(PROMISES.c.store)
    )
    arrived = PAPERS.alias()
    under_way = (
        select(PAPERS.c.other, func.count(), func.min(PAPERS.c.at_ms))
        .outerjoin(
            arrived,
            and_(
                arrived.c.store == PAPERS.c.other,
                arrived.c.event == PAPERS.c.event,
                arrived.c.what == int(What.ARRIVED),
            ),
        )
        .where(PAPERS.c.what == int(What.SENT), arrived.c.event.is_(None))
        .group_by(PAPERS.c.other)
    )
    kinds = {"promise": promised, "order": orders, "transfer": under_way}
    found = [
        Pending(kind, store, count, oldest_ms)
        for kind, question in kinds.items()
        for store, count, oldest_ms in connection.execute(question)
    ]
    return sorted(found, key=lambda one: (one.oldest_ms, one.kind, one.store))
