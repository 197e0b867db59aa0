"""What a fact does to the stock of the place it happened in: moves of its author's row.

A row is a function of one stream alone: each fact moves the row of the stream it stands
in (`sync.merge.rights`), whatever else is known. What only makes sense with other facts
(two nodes recorded one delivery) its author compensates by a fact of its own.

Where a sale counts: a sale written closed, at once; one written tendered, with the
`SaleClosed` of the same stream. Another stream's `SaleClosed` moves nothing: the node
that closes it writes what was used beside it.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import IntEnum
from typing import TypeVar

from sync.chain import StreamId
from sync.facts import Body
from sync.facts.count import CountPosted
from sync.facts.rights import Mode, Move, RightsMoved, StockPolicy
from sync.facts.sale import Sale, Stage
from sync.facts.stock import OUTWARD, GoodsMoved, GoodsReceived
from sync.merge import rights

H = TypeVar("H", bound=Hashable)

Deltas = dict[str, int]
"""Cell to thousandths."""


class Column(IntEnum):
    """A column of a row as kept in tables: `given` is there as its two sums."""

    MADE = 0
    USED = 1
    HELD = 2
    FREED = 3
    DONE = 4
    GAVE = 5
    """Σ given[h][g]"""

    GOT = 6
    """Σ given[g][h]: the one column that others' facts move."""

    OVER = 7
    COVERED = 8


WIDTH = len(Column)

_OF_MOVE = {
    Move.MADE: Column.MADE,
    Move.USED: Column.USED,
    Move.HELD: Column.HELD,
    Move.FREED: Column.FREED,
    Move.DONE: Column.DONE,
    Move.GIVEN: Column.GAVE,
    Move.OVER: Column.OVER,
    Move.COVERED: Column.COVERED,
}


def moves(body: Body) -> list[tuple[Column, Deltas, int]]:
    """Return how a fact moves its author's row: column, amounts, and a sign."""
    match body:
        case GoodsReceived():
            return [(Column.MADE, received(body), 1)]
        case GoodsMoved():
            column = Column.USED if body.movement in OUTWARD else Column.MADE
            return [(column, body.lines.amounts(), 1)]
        case CountPosted():
            return [(Column.MADE, body.found(), 1), (Column.USED, body.missing(), 1)]
        case RightsMoved():
            amounts = body.lines.amounts()
            if body.move is Move.OVER:
                return [(Column.OVER, amounts, 1), (Column.USED, amounts, -1)]
            return [(_OF_MOVE[body.move], amounts, 1)]
        case Sale() if body.stage is Stage.CLOSED:
            return [(Column.USED, body.lines.sums().by_sku, 1)]
    return []


def receiver(body: Body) -> StreamId | None:
    """Return whose `Column.GOT` a fact moves too; None: nobody's."""
    return body.to if isinstance(body, RightsMoved) else None


PHYSICAL = {Column.MADE: 1, Column.USED: -1, Column.DONE: -1, Column.OVER: -1}
"""Columns that say what is really there, and how."""


def received(body: GoodsReceived) -> Deltas:
    """Return what a delivery brings."""
    deltas: Deltas = {}
    for line in body.lines.rows():
        deltas[line.sku] = deltas.get(line.sku, 0) + line.quantity_milli
    return deltas


def right(row: Sequence[int]) -> int:
    """Return what the holder of a row may still promise (`sync.merge.rights`)."""
    made, used, held, freed, _, gave, got, _, covered = row[:WIDTH]
    return made + got - gave - used - held + freed - covered


def physical(row: Sequence[int]) -> int:
    """Return what a row adds to what is really there."""
    made, used, _, _, done, _, _, over, _ = row[:WIDTH]
    return made - used - done - over


def reserved(row: Sequence[int]) -> int:
    """Return what a row keeps reserved."""
    return row[Column.HELD] - row[Column.FREED] - row[Column.DONE]


def uncovered(row: Sequence[int]) -> int:
    """Return what a row took beyond its right and nobody has covered yet.

    Articles whose stock nobody kept when they were sold are `used` without a right; once
    it is kept, what is missing of the right counts as taken beyond it.
    """
    return row[Column.OVER] - row[Column.COVERED] + max(0, -right(row))


def uncovered_at(
    rows: Mapping[H, Sequence[int]], heir: Callable[[H], H], but: H | None = None
) -> int:
    """Return what left a cell beyond any right and nobody has covered yet.

    Args:
        rows: Of all its holders.
        heir: Who holds what was a holder's: a negative right of a closed holder is its heir's.
        but: A holder whose part does not count.
    """
    over, held = 0, dict[H, int]()
    for holder, row in rows.items():
        owner = heir(holder)
        if owner != but:
            over += row[Column.OVER] - row[Column.COVERED]
            held[owner] = held.get(owner, 0) + right(row)
    return over + sum(-one for one in held.values() if one < 0)


DEFAULT_POLICY = StockPolicy("*", Mode.LENIENT, 0, 0)
"""A store nobody made a policy for: everything is sold, nothing is promised elsewhere."""


def policy_for(
    sku: str,
    group: str,
    of_place: Mapping[str, StockPolicy],
    of_all: Mapping[str, StockPolicy],
) -> StockPolicy:
    """Return the policy that holds for an article at a place (see `StockPolicy`).

    Args:
        sku: The article.
        group: Its group; empty if it has none.
        of_place: Target to the latest policy of the place.
        of_all: Target to the latest policy of all places.
    """
    for target in (f"sku:{sku}", f"group:{group}" if group else "", "*"):
        if target and (found := of_place.get(target) or of_all.get(target)):
            return found
    return DEFAULT_POLICY


WEB_PERCENT = 50
OUTAGE_DAYS = 1.0
"""What `suggested` goes by. On the real baskets of twenty stores that are cut off 30 % of the
time (``make bench-rights``) a smaller share or a larger floor refuses the web more than one
promise in ten though the goods are there; a larger share or a smaller floor has a strict
counter ask for an override more than one time in fifty."""

PIECE = 1000
"""A whole unit, in thousandths."""


def suggested(target: str, mode: Mode, per_day: float) -> StockPolicy:
    """Return a policy for an article that sells `per_day` whole units a day at its counter."""
    return StockPolicy(target, mode, rights.floor(per_day, OUTAGE_DAYS) * PIECE, WEB_PERCENT)


def web_share(
    policy: StockPolicy, received_milli: int, right_milli: int, step_milli: int = PIECE
) -> int:
    """Return what the receiving node gives central of what came in.

    Args:
        policy: Of the article there.
        received_milli: What came in.
        right_milli: The node's right afterwards.
        step_milli: What the share is a multiple of: nobody can promise half a piece.
    """
    above = max(0, min(received_milli, right_milli - policy.floor_milli))
    share = above * policy.web_percent // 100
    return share - share % step_milli
