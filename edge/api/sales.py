"""Sales: what any till, kiosk or foreign client may record and ask."""

from uuid import UUID

from edge.api import answers
from edge.api.call import Call, Node, Reply, person_key
from edge.store.unit import SaleView
from edge.till import incidents, selling
from edge.till.errors import NotFound
from edge.till.fiscal import proof_of


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
    return await _detail(node, sale)


async def post_outcome(node: Node, call: Call) -> Reply:
    """Say what became of a payment that no machine can tell about."""
    sale = await node.counter.decide(
        _event(call), call.path["payment"], approved=call.body.approved, by=call.body.decided_by
    )
    return await _detail(node, sale)


async def post_fiscal_outcome(node: Node, call: Call) -> Reply:
    """Say whether a fiscal receipt is on paper that no machine can tell about."""
    sale = await node.counter.paying.found(_event(call), call.body.document, call.body.decided_by)
    return await _detail(node, sale)


async def post_cancel(node: Node, call: Call) -> Reply:
    """Have a sale under way come to nothing."""
    event = _event(call)
    await node.counter.paying.cancel(event, call.body.decided_by)
    sale = await node.store.sale(event)
    if sale is None:
        raise NotFound("Sale: expected one recorded here, found none.", "Look at the id.")
    return await _detail(node, sale)


async def get_incidents(node: Node, call: Call) -> Reply:
    """List what only a person can end."""
    del call
    found = incidents.of(await node.counter.paying.under_way())
    return Reply(
        200,
        answers.IncidentsAnswer(
            tuple(
                answers.IncidentAnswer(
                    answers.uuid_text(one.sale.event),
                    f"{one.sale.series}/{one.sale.number}",
                    one.sale.body.till,
                    one.kind,
                    one.payment,
                    one.amount_minor,
                    one.device,
                    one.problem,
                    one.cure,
                    one.since_ms,
                )
                for one in found
            )
        ),
    )


async def post_copy(node: Node, call: Call) -> Reply:
    """Print a sale again, headed KOPIA."""
    till = node.counter.till(await node.counter.copy(_event(call)))
    return Reply(202, answers.CopyAnswer(till.id, till.printing.waiting))


async def _detail(node: Node, sale: SaleView) -> Reply:
    notes = await node.store.checkout(sale.event)
    proof = proof_of(notes) if notes is not None else None
    return Reply(200, answers.sale_detail(sale, sale.body.fiscal or proof))


def _event(call: Call) -> bytes:
    return UUID(call.path["uuid"]).bytes
