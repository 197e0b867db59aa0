"""Returns and obvious mistakes: what is given back, the protocol, and the two records."""

from datetime import date, timedelta
from uuid import UUID

from edge.api import answers
from edge.api.call import Call, Node, Reply
from edge.api.tills import check_cashier
from edge.store.refunds import ReturnView
from edge.store.unit import SaleView
from edge.till import returns
from edge.till.business_day import business_day, day_text
from edge.till.errors import BadReturn, NotFound

MOST_DAYS = 366
"""Of a record at once."""


async def put_return(node: Node, call: Call) -> Reply:
    """Record a return, once."""
    event, request = _event(call), call.body
    if call.page:
        till = node.counter.till(request.till)
        await check_cashier(node, call, till, request.cashier, request.approved_by)
    done = await node.counter.asking.write(
        lambda unit, *, ask: returns.record(unit, event, request, ask=ask)
    )
    told = returns.answer(event, done.body, await node.store.vat_table())
    return Reply(201 if done.new else 200, told)


async def get_return(node: Node, call: Call) -> Reply:
    """Tell all of a return."""
    found = await _found(node, call)
    return Reply(200, returns.answer(found.event, found.body, await node.store.vat_table()))


async def post_protocol(node: Node, call: Call) -> Reply:
    """Print the protocol of a return, for both signatures."""
    found = await _found(node, call)
    till = await node.counter.protocol(found.event, found.body)
    return Reply(202, answers.CopyAnswer(till.id, till.printing.waiting))


async def get_returns(node: Node, call: Call) -> Reply:
    """Show one of the two records."""
    return Reply(200, await page(node, call))


async def get_receipt(node: Node, call: Call) -> Reply:
    """Find the sale of a receipt, and what was given back of it."""
    sale = await node.store.sale_by_receipt(call.path["series"], call.path["number"])
    if sale is None:
        raise NotFound(
            f"Receipt {call.path['series']}/{call.path['number']}: expected one of this store, "
            "found none.",
            "Look at the number again, or at which store the receipt is of.",
        )
    return Reply(200, await _receipt(node, sale))


async def page(node: Node, call: Call) -> returns.ReturnsPage:
    """Read one of the two records.

    Raises:
        BadReturn: The days are in the wrong order, or too many.
    """
    today = business_day(node.clock.now().ms, await node.counter.settings())
    first = _day(call.path.get("from"), today, "from")
    last = _day(call.path.get("to"), today, "to")
    if not timedelta(0) <= last - first < timedelta(MOST_DAYS):
        raise BadReturn(
            f"Days {first} to {last}: expected 1 to {MOST_DAYS} days, the first one first.",
            "Give from and to as 2026-01-31.",
        )
    mistakes = call.path.get("record", "returns") == "mistakes"
    rates = await node.store.vat_table()
    found = await node.store.returns(_number(first), _number(last), mistake=mistakes)
    return returns.ReturnsPage(
        first_day=first.isoformat(),
        last_day=last.isoformat(),
        mistakes=mistakes,
        returns=tuple(returns.view_answer(view, rates) for view in found),
    )


async def _receipt(node: Node, sale: SaleView) -> answers.ReceiptAnswer:
    found = await node.store.returns_of(sale.event)
    back: dict[int, int] = {}
    for view in found:
        for line in view.body.lines:
            back[line.line] = back.get(line.line, 0) + line.quantity_milli
    rows = sale.body.lines.rows()
    return answers.ReceiptAnswer(
        sale=answers.sale_detail(sale),
        returned_milli=tuple(back.get(line, 0) for line in range(len(rows))),
        returns=tuple(str(UUID(bytes=view.event)) for view in found),
    )


def _day(text: str | None, today: int, field: str) -> date:
    try:
        return date.fromisoformat(text or day_text(today))
    except ValueError as error:
        raise BadReturn(
            f"{field} {text!r}: expected a day as 2026-01-31.", "Correct it.", field=f"/{field}"
        ) from error


def _number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day


async def _found(node: Node, call: Call) -> ReturnView:
    found = await node.store.returned(_event(call))
    if found is None:
        raise NotFound(
            f"Return {call.path['uuid']}: expected one of this store, found none.",
            "Look at the id.",
        )
    return found


def _event(call: Call) -> bytes:
    return UUID(call.path["uuid"]).bytes
