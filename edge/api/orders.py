"""Orders of head office: what is to be handed out here, and what became of it."""

from uuid import UUID

import msgspec

from edge.api.call import Call, Node, Reply
from edge.stockroom import orders
from edge.store.orders import OrderView
from edge.till.business_day import rfc3339
from edge.till.errors import NotFound
from sync.facts.order import Answer


class OrderLine(msgspec.Struct, frozen=True):
    """An article of an order."""

    sku: str
    quantity_milli: int
    left_milli: int
    """Still to be handed out, or told to be short or unwanted."""

    picked_milli: int
    handed_milli: int
    short_milli: int
    cancelled_milli: int


class OrderTold(msgspec.Struct, frozen=True):
    """An order and what became of it."""

    uuid: str
    state: str
    """``open``, ``picked``, ``handed``, ``short`` or ``cancelled``."""

    channel: str
    placed: str
    """RFC 3339, UTC, by head office's clock."""

    held: bool
    """The goods are held for it, by whichever node."""

    lines: list[OrderLine]


class OrdersTold(msgspec.Struct, frozen=True):
    """The orders that wait for an answer, the oldest first."""

    orders: list[OrderTold]


async def get_orders(node: Node, call: Call) -> Reply:
    """List the orders of which something is left to do."""
    del call
    return Reply(200, OrdersTold([tell(view) for view in await node.store.orders() if view.left]))


async def get_order(node: Node, call: Call) -> Reply:
    """Tell of an order."""
    view = await node.store.order(_event(call))
    if view is None:
        raise NotFound(
            f"Order {call.path['uuid']}: expected one of head office, found none.",
            "GET /v1/orders lists them.",
        )
    return Reply(200, tell(view))


async def post_answer(node: Node, call: Call) -> Reply:
    """Say what became of an order, or of a part of it."""
    event, request = _event(call), call.body
    view = await node.store.write(lambda unit: orders.answer(unit, event, request))
    return Reply(200, tell(view))


def tell(view: OrderView) -> OrderTold:
    """Put an order into words."""
    by = {answer: view.answered(answer) for answer in Answer}
    left = view.left
    return OrderTold(
        str(UUID(bytes=view.event)),
        view.state,
        view.body.channel,
        rfc3339(view.body.at_ms),
        bool(view.held_by),
        [
            OrderLine(
                cell,
                milli,
                left.get(cell, 0),
                by[Answer.PICKED].get(cell, 0),
                by[Answer.HANDED].get(cell, 0),
                by[Answer.SHORT].get(cell, 0),
                by[Answer.CANCELLED].get(cell, 0),
            )
            for cell, milli in view.body.lines.amounts().items()
        ],
    )


def _event(call: Call) -> bytes:
    return UUID(call.path["uuid"]).bytes
