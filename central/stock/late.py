"""Facts beyond a fence: they keep their sale, their counters wait for a person.

Counted, what they did to the goods goes into central's own row: goods that came are
made, goods that went are used, beyond the right where central's does not reach.
"""

import secrets
from collections.abc import Mapping

from central.ledger import author, promised, rights, shelves
from central.ledger.errors import Refused
from central.ledger.unit import Unit
from sync.chain import EVENT_BYTES, StreamId, life
from sync.clock import Trust
from sync.facts import Body
from sync.facts.rights import CellLines, LateSettled, Move, RightsMoved
from sync.facts.stock import GoodsMoved, Movement


def accept(unit: Unit, store: str, node: str, who: str, why: str) -> dict[str, int]:
    """Count what the late facts of a node's closed streams did to the goods.

    Returns:
        Article to what came (above zero) or went.

    Raises:
        Refused: Nothing of such a node waits.
    """
    waiting = {
        stream: numbers
        for stream, numbers in promised.late(unit.connection).items()
        if stream.scope == store and stream.node.hex().startswith(node.lower()) and node
    }
    if not waiting:
        raise Refused(
            f"Node {node!r} of store {store!r}: nothing of it waits; karb-central stock late list."
        )
    if len({stream.node for stream in waiting}) > 1:
        raise Refused(f"Node {node!r}: fits several; give more of its name.")
    total: dict[str, int] = {}
    for stream, numbers in waiting.items():
        settled = rights.goods_of(unit, stream, [number for number, _ in numbers])
        _settle(unit, stream, settled, max(number for number, _ in numbers), (who, why))
        for cell, milli in settled.items():
            total[cell] = total.get(cell, 0) + milli
    return {cell: milli for cell, milli in total.items() if milli}


def _settle(
    unit: Unit, stream: StreamId, goods: Mapping[str, int], upto: int, by: tuple[str, str]
) -> None:
    event = secrets.token_bytes(EVENT_BYTES)
    told: list[tuple[bytes, Body]] = [(event, LateSettled(stream, upto, *by))]
    came = {cell: milli for cell, milli in goods.items() if milli > 0}
    went = {cell: -milli for cell, milli in goods.items() if milli < 0}
    if came:
        told.append((event, _moved(unit, Movement.FOUND, came, stream)))
    if went:
        own = unit.state.own.stream(stream.scope)
        shelf_of = shelves.of_unit(unit, stream.scope, list(went))
        right = {cell: max(0, shelf.right(own)) for cell, shelf in shelf_of.items()}
        over = {cell: milli - right[cell] for cell, milli in went.items() if milli > right[cell]}
        if over:
            told.append((event, RightsMoved(Move.OVER, CellLines.by_cell(over))))
        told.append((event, _moved(unit, Movement.LOST, went, stream)))
    author.write(unit, stream.scope, told)


def _moved(
    unit: Unit, movement: Movement, amounts: Mapping[str, int], stream: StreamId
) -> GoodsMoved:
    why = f"late facts of {stream.node.hex()[:12]}.{life(stream.incarnation)}"
    lines = CellLines.by_cell(dict(amounts))
    return GoodsMoved(movement, unit.now_ms, int(Trust.CENTRAL), lines, why)
