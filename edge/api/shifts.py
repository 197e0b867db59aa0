"""Shifts of a till: opened, cash in and out, X at any time, and the Z."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from edge.api.answers import uuid_text
from edge.api.call import Call, Node, Reply
from edge.api.tills import check_cashier, till_of
from edge.store.shifts import OpenShift
from edge.till import shift as rules
from edge.till.errors import NotPossible
from edge.till.request import Minor, PositiveMinor, Word
from sync.facts.shift import Drawer, ShiftClosed, ShiftTotals

REPORTS = 30
"""How many Z reports are listed."""

_DRAWER = {"drop": Drawer.DROP, "in": Drawer.IN, "out": Drawer.OUT}


class ShiftRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open a shift."""

    shift: UUID
    """Made by the client, so that a lost answer can be asked for again."""

    cashier: Word
    float_minor: Minor


class CashRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cash goes into the drawer or out of it."""

    move: UUID
    """Made by the client: the same again moves nothing more."""

    drawer: Literal["drop", "in", "out"]
    amount_minor: PositiveMinor
    why: Word
    cashier: Word


class CloseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Close a shift with what was counted."""

    shift: UUID
    cashier: Word
    counted_minor: Minor


class ShiftAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A till's shift. What it adds up to is told by the X and the Z: it is counted blind."""

    shift: str | None
    """Null: the till is in none."""

    number: int = 0
    cashier: str = ""
    float_minor: int = 0
    opened_ms: int = 0


class MethodAnswer(msgspec.Struct, frozen=True):
    """One way of paying."""

    method: str
    taken_minor: int
    returned_minor: int


class TotalsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a shift adds up to."""

    sales: int
    sold_minor: int
    returns: int
    returned_minor: int
    deposits_paid_minor: int
    methods: tuple[MethodAnswer, ...]
    drops_minor: int
    in_minor: int
    out_minor: int
    expected_minor: int
    """What should be in the drawer."""

    unfinished: int
    unfinished_minor: int
    """Sales that wait for something; in none of the sums."""

    days: tuple[int, ...]
    """Business days, as 20260131."""

    receipts: tuple[str, ...]


class ReportX(ShiftAnswer, frozen=True, kw_only=True):
    """An open shift, as of now."""

    totals: TotalsAnswer


class ReportZ(msgspec.Struct, frozen=True, kw_only=True):
    """A closed shift; it never changes."""

    till: str
    number: int
    cashier: str
    opened_ms: int
    closed_ms: int
    counted_minor: int
    difference_minor: int
    """Counted beyond what was expected; negative: missing."""

    totals: TotalsAnswer


class ReportsAnswer(msgspec.Struct, frozen=True):
    """The last Z reports of a till, the latest first."""

    reports: tuple[ReportZ, ...]


Limit = Annotated[int, Meta(ge=1, le=500)]


async def get_shift(node: Node, call: Call) -> Reply:
    """Tell which shift a till is in."""
    return Reply(200, told(await node.store.shift(till_of(node, call).id)))


async def post_shift(node: Node, call: Call) -> Reply:
    """Open a shift."""
    till, asked = till_of(node, call), call.body
    await check_cashier(node, call, till, asked.cashier)
    shift = await node.store.write(
        lambda unit: rules.begin(unit, till.id, asked.shift.bytes, asked.cashier, asked.float_minor)
    )
    return Reply(200, told(shift))


async def post_cash(node: Node, call: Call) -> Reply:
    """Note that cash moved."""
    till, asked = till_of(node, call), call.body
    await check_cashier(node, call, till, asked.cashier)
    move = rules.Move(
        event=asked.move.bytes,
        drawer=_DRAWER[asked.drawer],
        amount_minor=asked.amount_minor,
        why=asked.why,
        cashier=asked.cashier,
    )
    shift = await node.store.write(lambda unit: rules.move(unit, till.id, move))
    return Reply(200, told(shift))


async def get_x(node: Node, call: Call) -> Reply:
    """Add an open shift up."""
    till = till_of(node, call)
    shift = await node.store.shift(till.id)
    if shift is None:
        raise NotPossible(f"Till {till.id!r}: expected in a shift, it is in none.", "Open one.")
    totals = await node.store.shift_totals(shift)
    return Reply(200, ReportX(**msgspec.structs.asdict(told(shift)), totals=_totals(totals)))


async def post_close(node: Node, call: Call) -> Reply:
    """Close a shift."""
    till, asked = till_of(node, call), call.body
    await check_cashier(node, call, till, asked.cashier)
    if till.basket.lines:
        raise NotPossible(
            f"Till {till.id!r}: expected an empty basket.", "Sell it or put it aside first."
        )
    report = await node.store.write(
        lambda unit: rules.close(
            unit, till.id, asked.shift.bytes, asked.cashier, asked.counted_minor
        )
    )
    return Reply(200, _z(report))


async def get_reports(node: Node, call: Call) -> Reply:
    """List the last Z reports of a till."""
    found = await node.store.reports(till_of(node, call).id, call.path.get("limit", REPORTS))
    return Reply(200, ReportsAnswer(tuple(map(_z, found))))


def told(shift: OpenShift | None) -> ShiftAnswer:
    """Tell of a shift."""
    if shift is None:
        return ShiftAnswer(shift=None)
    return ShiftAnswer(
        shift=uuid_text(shift.shift),
        number=shift.number,
        cashier=shift.cashier,
        float_minor=shift.float_minor,
        opened_ms=shift.opened_ms,
    )


def _z(report: ShiftClosed) -> ReportZ:
    return ReportZ(
        till=report.till,
        number=report.number,
        cashier=report.cashier,
        opened_ms=report.opened_ms,
        closed_ms=report.at_ms,
        counted_minor=report.counted_minor,
        difference_minor=report.difference_minor,
        totals=_totals(report.totals),
    )


def _totals(totals: ShiftTotals) -> TotalsAnswer:
    return msgspec.convert(totals, TotalsAnswer, from_attributes=True)
