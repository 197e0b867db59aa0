"""Goods given back, and sales undone: what the two records of Polish law are made of.

A closed fiscal receipt cannot be changed: returns and obvious mistakes go into records of their
own (regulation on cash registers of 29 April 2019, par. 3), whose columns are the
fields here. Money is an int in grosz (`_minor`), quantity an int in thousandths (`_milli`).

Goods that are fit to be sold again come back by a `GoodsMoved` of the same event, and the right
to refund is spent by a `RightsMoved` of it (`sync.rules.refund`).
"""

import msgspec

from sync.chain import EVENT_BYTES
from sync.facts.columns import Whole
from sync.facts.sale import MOST, Payment


class ReturnedLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A part of a line of the sale."""

    line: Whole
    """Index in the sale, from 0."""

    sku: str
    name: str
    """As it stood on the receipt."""

    quantity_milli: Whole
    goods_minor: Whole
    """Given back for the goods, tax included; discounts are off already."""

    vat: str
    deposit_minor: Whole = 0
    """Given back for the packaging, outside VAT."""

    restocked: bool = True
    """Fit to be sold again."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        sound = (
            self.line >= 0
            and self.sku
            and 0 < self.quantity_milli < MOST
            and 0 <= self.goods_minor < MOST
            and 0 <= self.deposit_minor < MOST
        )
        return "" if sound else f"line {self.line}, {self.sku!r}: {self.quantity_milli} thousandths"


class SaleReturned(msgspec.Struct, frozen=True, array_like=True):
    """Goods of one sale were given back, or all of it was a mistake."""

    sale: bytes
    """Its event."""

    receipt: str
    """Series and number of its receipt, as ``T1-ABCDEFGH/12``; the proof of sale."""

    sold_at_ms: Whole
    sold_day: Whole
    """On the wall of the store, as 20260131: whose rates the VAT is taken at."""

    at_ms: Whole
    trust: Whole
    business_day: Whole
    till: str
    cashier: str
    shift: str
    lines: tuple[ReturnedLine, ...]
    payments: tuple[Payment, ...]
    """How the money went back."""

    reason_given: str
    """The buyer's words; of a mistake its cause and how it came about."""

    approved_by: str = ""
    mistake: bool = False
    """An obvious mistake: the receipt should not have been, or not so."""

    correction: str = ""
    """Of a mistake: under which receipt it was registered as it should be; empty: nowhere,
    nothing was sold."""

    fiscal: str = ""
    """Number of the fiscal receipt, where there is one."""

    @property
    def total_minor(self) -> int:
        """What was given back, deposits included."""
        return sum(line.goods_minor + line.deposit_minor for line in self.lines)

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if len(self.sale) != EVENT_BYTES:
            return f"a sale of {len(self.sale)} bytes"
        if not self.lines:
            return "a return needs a line"
        if any(found := [line.reason() for line in self.lines]):
            return next(filter(None, found))
        if len({line.line for line in self.lines}) != len(self.lines):
            return "a line of the sale stands there twice"
        if any(payment.amount_minor <= 0 or payment.change_minor for payment in self.payments):
            return "a payment back is above zero and has no change"
        paid = sum(payment.amount_minor for payment in self.payments)
        return "" if paid == self.total_minor else f"paid back {paid} grosz of {self.total_minor}"
