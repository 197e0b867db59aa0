"""The cash drawer of a till: whether it is open, and opening it without a sale."""

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from edge.api.call import Call, Node, Reply
from edge.api.gateway import JobAnswer, Person, gateway_of, job_answer
from edge.api.refusals import Refused
from edge.gateway import Gateway
from hw.device import CashDrawer, ReceiptPrinter
from hw.slip import OpenDrawer
from hw.spool import Order
from sync.contract.problem import problem


class DrawerRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who opens it, and why."""

    uuid: UUID
    """Asked twice, opened once."""

    reason: Annotated[str, Meta(min_length=1, max_length=200)]
    by: Person


class DrawerAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A drawer, as last seen."""

    till: str
    device: str
    """The printer it hangs on."""

    open: bool | None
    """None: nobody can tell; the printer's option ``drawer`` says which level means open."""

    job: JobAnswer | None = None
    """The pulse that was asked for; it lives three seconds, and is never repeated."""


async def get_drawer(node: Node, call: Call) -> Reply:
    """Say whether it is open."""
    till = call.path["till"]
    node.counter.till(till)
    return Reply(200, _answer(till, _printer(gateway_of(node), till)))


async def post_drawer(node: Node, call: Call) -> Reply:
    """Open it without a sale."""
    gateway, till, asked = gateway_of(node), call.path["till"], call.body
    node.counter.till(till)
    printer = _printer(gateway, till)
    order = Order(
        id=f"job/{asked.uuid}",
        kind="drawer",
        device=printer.id,
        till=till,
        elements=(OpenDrawer(),),
    )
    job, new = await gateway.spooler.add(order)
    if new:
        gateway.drawer_asked(printer.id, till, asked.reason, asked.by)
    answer = msgspec.structs.replace(_answer(till, printer), job=job_answer(job))
    return Reply(201 if new else 200, answer)


def _printer(gateway: Gateway, till: str) -> ReceiptPrinter:
    printer = gateway.devices.printer(till)
    if printer is None:
        raise Refused(
            problem(
                422,
                f"Till {till}: expected a printer that a drawer hangs on, there is none; "
                "look at karb devices list.",
            )
        )
    return printer


def _answer(till: str, printer: ReceiptPrinter) -> DrawerAnswer:
    seen = printer.drawer_open if isinstance(printer, CashDrawer) else None
    return DrawerAnswer(till=till, device=printer.id, open=seen)
