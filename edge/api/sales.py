"""Sales: what any till, kiosk or foreign client may record and ask."""

from uuid import UUID

from edge.api import answers
from edge.api.call import Call, Node, Reply, person_key
from edge.till import selling
from edge.till.errors import NotFound


async def put_sale(node: Node, call: Call) -> Reply:
    """Record a finished sale."""
    event, request = _event(call), call.body
    key = None
    if request.buyer is not None:
        key = person_key(node)
    recorded = await node.counter.asking.write(
        lambda unit, *, ask: selling.record(unit, event, request, key, ask=ask)
    )
    return Reply(201 if recorded.new else 200, selling.answer(recorded))


async def get_sale(node: Node, call: Call) -> Reply:
    """Tell all of a sale."""
    sale = await node.store.sale(_event(call))
    if sale is None:
        raise NotFound(
            f"Sale {call.path['uuid']}: expected one recorded here, found none.", "Look at the id."
        )
    return Reply(200, answers.sale_detail(sale))


async def post_outcome(node: Node, call: Call) -> Reply:
    """Say what became of a payment that no machine can tell about."""
    sale = await node.counter.decide(
        _event(call), call.path["payment"], approved=call.body.approved, by=call.body.decided_by
    )
    return Reply(200, answers.sale_detail(sale))


async def post_copy(node: Node, call: Call) -> Reply:
    """Print a sale again, headed KOPIA."""
    till = node.counter.till(await node.counter.copy(_event(call)))
    return Reply(202, answers.CopyAnswer(till.id, till.printing.waiting))


def _event(call: Call) -> bytes:
    return UUID(call.path["uuid"]).bytes
