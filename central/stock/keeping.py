"""What happens to promises and rights without anybody asking: after news, and by the clock.

Everything is found in the ledger and done in one transaction, so a process that was
killed goes on where it stopped.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from central.ledger import author, promised, shelves
from central.ledger.errors import LedgerUnavailable, Refused
from central.ledger.ledger import Ledger, Moment, wall_ms
from central.ledger.unit import Own, Unit
from central.stock import promising
from sync.facts.order import Ending
from sync.facts.rights import CellLines, Move, RightsMoved
from sync.merge.rights import to_give

WISH_MS = 3600 * 1000
"""A wish that could not be answered for so long is stale: who still wants asks again."""

MOST = 500
"""Promises ended in one transaction."""

_PAUSE_S = 0.2
"""Between two turns: news comes in floods."""

_WHILE_S = 2.0
_LONGEST_S = 60.0

log = structlog.get_logger()


def turn(unit: Unit) -> int:
    """Do what is due; return how much that was."""
    return expire(unit) + give(unit) + replace_short(unit) + move_uncovered(unit)


def expire(unit: Unit) -> int:
    """End promises whose time is over; what they held is free."""
    done = 0
    for part in promised.due(unit.connection, unit.now_ms, MOST):
        if promising.settleable(unit, part):
            promising.end(unit, part, Ending.EXPIRED)
            done += 1
    return done


def give(unit: Unit) -> int:
    """Give stores that asked for rights what central can spare, once."""
    done = 0
    own = unit.state.own
    for wish in promised.wishes(unit.connection, own.node, unit.now_ms - WISH_MS):
        if wish.of_node not in (None, own.node):
            continue
        shelf_of = shelves.of_unit(unit, wish.store, list(wish.amounts))
        given = {}
        for cell, milli in wish.amounts.items():
            shelf = shelf_of[cell]
            # What the asker itself took beyond its right is what it may want this for.
            right = shelf.right(own.stream(wish.store))
            spare = max(0, right - shelf.uncovered_but(wish.asker))
            part = to_give(spare, milli, len(shelf.rights()))
            if part and wish.asker not in shelf.fences:
                given[cell] = part
        if given:
            lines = CellLines.by_cell(given)
            told = RightsMoved(Move.GIVEN, lines, wish.asker, "asked for")
            author.write(unit, wish.store, [(wish.event, told)])
            done += 1
    return done


def replace_short(unit: Unit) -> int:
    """Have other places serve what a store was short of; what nobody can serve waits."""
    done = 0
    for part, missing in promised.short(unit.connection):
        for cell, milli in missing.items():
            done += bool(promising.elsewhere(unit, part, {cell: milli}, ordered=True))
    return done


def move_uncovered(unit: Unit) -> int:
    """Move promises from where the goods no longer cover what is reserved, the newest first.

    Orders stay: the store has them in hand, and says itself what it is short of.
    """
    done = 0
    for shelf in shelves.reserved(unit):
        lacking = shelf.reserved - max(0, shelf.physical)
        if lacking <= 0:
            continue
        for part in promised.open_at(unit.connection, shelf.store, shelf.cell):
            if lacking <= 0:
                break
            if not promising.settleable(unit, part):
                continue
            amounts = {cell: line.milli for cell, line in part.lines.items()}
            if promising.elsewhere(unit, part, amounts, ordered=False):
                promising.end(unit, part, Ending.MOVED, "the goods are gone")
                lacking -= amounts[shelf.cell]
                done += 1
    return done


async def keep(ledger: Ledger, monotonic: Callable[[], float] = time.monotonic) -> None:
    """Take turns as news comes and promises end, until cancelled."""
    news = ledger.published.listen()
    seen, due_at = -1, 0.0
    try:
        while True:
            news.clear()
            known = sum(
                cursor.head.seq
                for cursors in ledger.published.all_scopes().values()
                for cursor in cursors.values()
            )
            if known != seen or monotonic() >= due_at:
                seen = known
                wait_s = await _turn(ledger)
                due_at = monotonic() + wait_s
            try:
                async with asyncio.timeout(max(_PAUSE_S, due_at - monotonic())):
                    await news.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(_PAUSE_S)
    finally:
        ledger.published.forget(news)


async def _turn(ledger: Ledger) -> float:
    """Take a turn if there is something to do; return in how many seconds to look again.

    Looking is left to a reader: the writing thread is for what must be written.
    """
    own = ledger.own

    def look(connection: Moment) -> tuple[bool, int | None]:
        now_ms = wall_ms()
        due_ms = promised.next_due_ms(connection)
        return waits(connection, own, now_ms), None if due_ms is None else due_ms - now_ms

    try:
        waiting, left_ms = await ledger.read(look)
        if waiting:
            await ledger.write(turn)
    except (LedgerUnavailable, Refused) as error:
        log.warning("promises were not looked after; again in a while", reason=str(error))
        return _WHILE_S
    if left_ms is None:
        return _LONGEST_S
    if left_ms <= 0:  # of a life that is not fenced yet: it cannot be ended now
        return _WHILE_S
    return min(_LONGEST_S, max(_PAUSE_S, left_ms / 1000))


def waits(connection: Moment, own: Own, now_ms: int) -> bool:
    """Whether there may be something for a turn to do."""
    if promised.due(connection, now_ms, 1) or promised.short(connection):
        return True
    for wish in promised.wishes(connection, own.node, now_ms - WISH_MS):
        held = shelves.of_store(connection, wish.store, list(wish.amounts)).values()
        if any(shelf.right(own.stream(wish.store)) > 0 for shelf in held):
            return True
    return any(
        shelf.reserved > max(0, shelf.physical) for shelf in shelves.reserved_now(connection)
    )
