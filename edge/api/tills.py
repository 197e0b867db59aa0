"""The tills of this node: their baskets, scans and payments."""

import msgspec

from edge.api import answers
from edge.api.call import Call, Node, Reply, person_key
from edge.api.refusals import Refused, scan_problem
from edge.till import basket, selling
from edge.till.business_day import local
from edge.till.errors import NotPossible, UnknownArticle
from edge.till.till import Till
from sync.contract.problem import problem
from sync.facts.staff import Role


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
    till = till_of(node, call)
    await check_cashier(node, call, till, call.body.cashier, call.body.approved_by)
    key = person_key(node) if call.body.buyer is not None else None
    recorded = await till.pay(call.body, key)
    return Reply(201 if recorded.new else 200, selling.answer(recorded))


async def delete_payment(node: Node, call: Call) -> Reply:
    """Cancel the payment under way, or give back what is held."""
    till = till_of(node, call)
    sales = {part.sale for part in till.basket.held}
    if till.basket.paying is not None:
        sales.add(till.basket.paying)
    if not sales:
        raise NotPossible(
            f"Till {till.id}: expected a payment under way, there is none.",
            "A sale that waits for its fiscal receipt is cancelled by its id.",
        )
    for sale in sales:
        await node.counter.paying.cancel(sale, f"till {till.id}")
    return await shown(node, till)


async def post_aside(node: Node, call: Call) -> Reply:
    """Serve the next buyer while it is not known what became of a sale."""
    till = till_of(node, call)
    waiting = await node.counter.paying.under_way(till.id)
    sales = [sale.event for sale, notes in waiting if not notes.aside]
    if not sales:
        raise NotPossible(
            f"Till {till.id}: expected a sale under way, there is none.", "Look at the till again."
        )
    for sale in sales:
        await node.counter.paying.put_aside(sale)
    return await shown(node, till)


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
    charging = node.counter.paying.charging
    told = answers.till_answer(
        till.id,
        till.basket,
        rates,
        day,
        slips_waiting=till.printing.waiting,
        last=till.last,
        version=till.version,
    )
    under_way = tuple(
        answers.under_way(sale, notes, charging.get(sale.event), step.value)
        for sale, notes, step in await node.counter.under_way(till.id)
    )
    who, (users, shift) = till.who, await node.counter.floor(till.id)
    return msgspec.structs.replace(
        told,
        under_way=under_way,
        staffed=bool(users),
        cashier=who.user if who else "",
        cashier_name=who.name if who else "",
        manager=bool(who and who.role is Role.MANAGER),
        locked=till.locked,
        shift=shift.number if shift else 0,
    )


async def check_cashier(
    node: Node, call: Call, till: Till, cashier: str, approved_by: str = ""
) -> None:
    """Have a page act for nobody but who stands at the till.

    Other clients answer for the names they give.

    Raises:
        Refused: Nobody does, it is another, or no manager has let it through here.
    """
    if not call.page or not await node.counter.staff.users():
        return
    if till.who is None or till.locked:
        raise Refused(problem(403, f"Till {till.id}: nobody stands at it; log in first."))
    if cashier != till.who.user:
        raise Refused(
            problem(403, f"Cashier {cashier[:40]!r}: expected {till.who.user!r}, who is logged in.")
        )
    if approved_by and approved_by != till.approved:
        raise Refused(
            problem(
                403, f"Approval of {approved_by[:40]!r}: no manager has given one at this till."
            )
        )
    till.approved = ""
