"""The view of promises and orders: what head office promised, and what became of it.

A promise is known by its event and the stream of central's that made it; its end may be
written by a later life of central's, so that either can be here first.
"""

from collections.abc import Sequence

from central.ledger import bulk
from central.ledger.effects import Effects
from central.ledger.entry import Entry
from central.ledger.tables import BROKEN, ORDER_ANSWERS, PROMISE_LINES, PROMISES
from central.ledger.unit import Unit
from sync.chain import StreamId
from sync.clock import hlc_ms
from sync.facts.order import (
    Ending,
    OrderAnswered,
    OrderPlaced,
    PromiseBroken,
    PromiseEnded,
    PromiseMade,
)

KINDS = (PromiseMade, PromiseEnded, OrderPlaced, OrderAnswered, PromiseBroken)
_MADE = (
    "seq",
    "root",
    "instead_of",
    "instead_at",
    "channel",
    "digest",
    "places",
    "at_ms",
    "expires_ms",
)
_TAKEN = "ON CONFLICT (store, event, node, incarnation) DO UPDATE SET "
_SET_MADE = (
    _TAKEN + ", ".join(f"{name} = excluded.{name}" for name in _MADE) + " WHERE promises.seq = 0"
)
_SET_ENDED = (
    _TAKEN
    + ", ".join(
        f"{name} = excluded.{name}"
        for name in ("ended", "ended_ms", "holder_node", "holder_incarnation")
    )
    + " WHERE excluded.ended > promises.ended OR excluded.ended = promises.ended AND "
    "(excluded.ended_ms, excluded.holder_node, excluded.holder_incarnation) < "
    "(promises.ended_ms, promises.holder_node, promises.holder_incarnation)"
)


def apply(unit: Unit, effects: Effects, entries: Sequence[Entry]) -> None:
    """Apply facts that tell of promises and orders."""
    for entry in entries:
        body, fact, place = entry.body, entry.fact, entry.place
        match body:
            case PromiseMade():
                _made(unit, entry, body)
            case PromiseEnded():
                _ended(unit, entry, body.made_in, body.how, None)
            case OrderPlaced():
                _ended(unit, entry, body.made_in, Ending.CONFIRMED, body.holder)
            case OrderAnswered():
                effects.rows[ORDER_ANSWERS].extend(
                    (*place, cell, fact.event, body.answer, milli, body.at_ms, body.who, body.why)
                    for cell, milli in body.lines.amounts().items()
                )
            case PromiseBroken():
                effects.rows[BROKEN].extend(
                    (*place, cell, fact.event, milli, body.who, body.why)
                    for cell, milli in body.lines.amounts().items()
                )


def _made(unit: Unit, entry: Entry, body: PromiseMade) -> None:
    store, node, incarnation, seq = entry.place
    event = entry.fact.event
    key = (store, event, node, incarnation)
    row = (
        *(*key, seq, body.root or event, body.instead_of, body.instead_at, body.channel),
        *(body.digest, " ".join(body.places), body.at_ms, body.expires_ms, 0, 0, b"", 0),
    )
    bulk.insert(unit.connection, PROMISES, [row], _SET_MADE)
    bulk.insert(
        unit.connection,
        PROMISE_LINES,
        [(*key, cell, milli, body.at_ms) for cell, milli in body.lines.amounts().items()],
        "ON CONFLICT DO NOTHING",
    )


def _ended(
    unit: Unit, entry: Entry, made_in: StreamId, how: Ending, holder: StreamId | None
) -> None:
    got = (holder.node, holder.incarnation) if holder else (b"", 0)
    row = (
        *(entry.place[0], entry.fact.event, made_in.node, made_in.incarnation, 0, entry.fact.event),
        *(b"", "", "", b"", "", 0, 0, int(how), hlc_ms(entry.fact.hlc), *got),
    )
    bulk.insert(unit.connection, PROMISES, [row], _SET_ENDED)
