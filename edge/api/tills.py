"""The tills of this node: their baskets, scans and payments."""

from edge.api import answers
from edge.api.call import Call, Node, Reply
from edge.api.refusals import Refused, scan_problem
from edge.till import basket, selling
from edge.till.business_day import local
from edge.till.errors import UnknownArticle
from edge.till.till import Till


async def get_till(node: Node, call: Call) -> Reply:
    """Show the basket."""
    return await shown(node, till_of(node, call))


async def post_scan(node: Node, call: Call) -> Reply:
    """Take a code."""
    till = till_of(node, call)
    try:
        await till.scan(call.body.code, call.body.quantity_milli)
    except UnknownArticle as error:
        raise Refused(scan_problem(error)) from error
    return await shown(node, till)


async def patch_line(node: Node, call: Call) -> Reply:
    """Change a line: all that is asked, or nothing."""
    till, line, change = till_of(node, call), call.path["line"], call.body
    events: list[basket.Event] = []
    if change.quantity_milli is not None:
        events.append(basket.ChangeQuantity(line=line, quantity_milli=change.quantity_milli))
    if change.age_checked is not None:
        events.append(basket.ConfirmAge(line=line, confirmed=change.age_checked))
    if change.discount is not None:
        given = change.discount
        events.append(
            basket.GiveDiscount(line=line, reason=given.reason, amount_minor=given.amount_minor)
        )
    await till.change(*events)
    return await shown(node, till)


async def delete_line(node: Node, call: Call) -> Reply:
    """Take a line out."""
    till = till_of(node, call)
    await till.change(basket.Remove(line=call.path["line"]))
    return await shown(node, till)


async def delete_basket(node: Node, call: Call) -> Reply:
    """Begin again."""
    till = till_of(node, call)
    await till.change(basket.Clear())
    return await shown(node, till)


async def post_payment(node: Node, call: Call) -> Reply:
    """Sell the basket."""
    recorded = await till_of(node, call).pay(call.body)
    return Reply(201 if recorded.new else 200, selling.answer(recorded))


def till_of(node: Node, call: Call) -> Till:
    """Return the till that the address names."""
    return node.counter.till(call.path["till"])


async def shown(node: Node, till: Till) -> Reply:
    """Answer with a till and its basket."""
    return Reply(200, await till_told(node, till))


async def till_told(node: Node, till: Till) -> answers.TillAnswer:
    """Tell of a till and its basket."""
    day = local(node.clock.now().ms, await node.counter.settings()).date()
    rates = await node.store.vat_table()
    return answers.till_answer(
        till.id,
        till.basket,
        rates,
        day,
        slips_waiting=till.printing.waiting,
        last=till.last,
        version=till.version,
    )
