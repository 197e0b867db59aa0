"""What a shift adds up to: the same sums on the till, in the Z and at head office.

    expected = float + cash taken - cash given back - deposits paid out + in - out - drops

Money is an int in grosz (`_minor`). The order of what is given does not count.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sync.facts.deposit import DepositsTaken
from sync.facts.returned import SaleReturned
from sync.facts.sale import Sale, Stage
from sync.facts.shift import CashMoved, Drawer, MethodSum, ShiftTotals

CASH = "cash"


class Sold(NamedTuple):
    """A sale of the shift."""

    sale: Sale
    stage: Stage
    """As it is now."""

    series: str


def totals(
    float_minor: int,
    sales: Iterable[Sold],
    returns: Iterable[SaleReturned] = (),
    deposits: Iterable[DepositsTaken] = (),
    moves: Iterable[CashMoved] = (),
) -> ShiftTotals:
    """Add a shift up: closed sales count, voided ones do not, others are told apart."""
    taken: dict[str, int] = {}
    returned: dict[str, int] = {}
    drawer = dict.fromkeys(Drawer, 0)
    days: set[int] = set()
    numbers: dict[str, tuple[int, int]] = {}
    count = sold = unfinished = unfinished_minor = given = back = paid = 0
    for sale, stage, series in sales:
        days.add(sale.business_day)
        first, last = numbers.get(series, (sale.number, sale.number))
        numbers[series] = min(first, sale.number), max(last, sale.number)
        if stage is Stage.CLOSED:
            count, sold = count + 1, sold + sale.total_minor
            for payment in sale.payments:
                taken[payment.method] = taken.get(payment.method, 0) + payment.amount_minor
        elif stage is not Stage.VOIDED:
            unfinished, unfinished_minor = unfinished + 1, unfinished_minor + sale.total_minor
    for one in returns:
        days.add(one.business_day)
        given, back = given + 1, back + one.total_minor
        for payment in one.payments:
            returned[payment.method] = returned.get(payment.method, 0) + payment.amount_minor
    for brought in deposits:
        days.add(brought.business_day)
        paid += brought.paid_minor
    for move in moves:
        drawer[Drawer(move.drawer)] += move.amount_minor
    cash = taken.get(CASH, 0) - returned.get(CASH, 0) - paid
    moved = drawer[Drawer.IN] - drawer[Drawer.OUT] - drawer[Drawer.DROP]
    return ShiftTotals(
        sales=count,
        sold_minor=sold,
        returns=given,
        returned_minor=back,
        deposits_paid_minor=paid,
        methods=tuple(
            MethodSum(method, taken.get(method, 0), returned.get(method, 0))
            for method in sorted(taken.keys() | returned.keys())
        ),
        drops_minor=drawer[Drawer.DROP],
        in_minor=drawer[Drawer.IN],
        out_minor=drawer[Drawer.OUT],
        expected_minor=float_minor + cash + moved,
        unfinished=unfinished,
        unfinished_minor=unfinished_minor,
        days=tuple(sorted(days)),
        receipts=tuple(
            f"{series}/{first}…{last}" for series, (first, last) in sorted(numbers.items())
        ),
    )
