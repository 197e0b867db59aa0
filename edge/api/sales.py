"""Sales, stock and documents: what any till, kiosk or foreign client may record and ask."""

from uuid import UUID

from edge.api import answers
from edge.api.call import Call, Node, Reply, person_key
from edge.till import receiving, selling
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


async def get_stock(node: Node, call: Call) -> Reply:
    """Tell how much of an article is on the shelf, and how old that knowledge is."""
    now_ms = node.clock.now().ms
    article = await node.store.article(call.path["sku"], now_ms)
    sku = article.sku if article else call.path["sku"]
    stock = await node.store.stock(sku)
    if stock is not None:
        age_s = max(0, now_ms - stock.as_of_ms) // 1000
        body = answers.StockAnswer(
            sku,
            stock.quantity_milli,
            stock.as_of_ms,
            age_s,
            stock.right_milli,
            stock.reserved_milli,
            stock.uncovered_milli,
        )
    elif article is not None:
        # Nothing ever came in or went out: that is what our books say as of now.
        body = answers.StockAnswer(sku, 0, now_ms, 0)
    else:
        raise NotFound(
            f"Article {sku[:40]!r}: expected one of the catalogue, found none.",
            "Import it at head office, or correct the sku.",
        )
    return Reply(200, body)


async def put_document(node: Node, call: Call) -> Reply:
    """Record a delivery."""
    event, request = _event(call), call.body
    received = await node.store.write(lambda unit: receiving.receive(unit, event, request))
    return Reply(201 if received.new else 200, receiving.answer(received))


def _event(call: Call) -> bytes:
    return UUID(call.path["uuid"]).bytes
