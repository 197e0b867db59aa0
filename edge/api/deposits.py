"""Packaging brought back, and the vouchers of machines that take it."""

from uuid import UUID

from edge.api.call import Call, Node, Reply
from edge.store.unit import Unit
from edge.till import deposits
from edge.till.errors import NotFound


async def put_deposits(node: Node, call: Call) -> Reply:
    """Record packaging that was brought back, once."""
    event, request = _event(call), call.body
    taken = await node.counter.asking.write(
        lambda unit, *, ask: deposits.record(unit, event, request, ask=ask)
    )
    return Reply(201 if taken.new else 200, deposits.answer(event, taken.body))


async def get_deposits(node: Node, call: Call) -> Reply:
    """Tell all of a take-back."""
    event = _event(call)
    found = await node.store.write(lambda unit: unit.deposits(event))
    if found is None:
        raise NotFound(
            f"Take-back {call.path['uuid']}: expected one of this store, found none.",
            "Look at the id.",
        )
    return Reply(200, deposits.answer(event, found.body))


async def put_voucher(node: Node, call: Call) -> Reply:
    """Take note of a voucher that a machine of this node wrote."""
    code, request = call.path["code"], call.body

    def work(unit: Unit) -> tuple[bool, int]:
        new = deposits.issue(unit, code, request)
        return new, unit.holder.right(deposits.cell(code))

    new, left = await node.store.write(work)
    return Reply(201 if new else 200, deposits.VoucherAnswer(code=code, left_minor=left))


def _event(call: Call) -> bytes:
    return UUID(call.path["uuid"]).bytes
