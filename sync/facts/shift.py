"""A cashier's shift at a till: what was in the drawer, what went in and out, what was counted.

A shift's number is the number of its Z report: gap-free, one series a till and life, like
receipts. The Z is the fact `ShiftClosed` itself: what comes in later never changes it. Money is
an int in grosz (`_minor`).
"""

from enum import IntEnum

import msgspec

from sync.chain import EVENT_BYTES
from sync.facts.columns import Whole

MOST = 1 << 40
"""Above any amount in grosz of one move; of a shift's sums there is no such bound."""


class Drawer(IntEnum):
    """Why cash moved. Written into facts: never renumber."""

    DROP = 1
    """To the safe."""

    IN = 2
    OUT = 3


class ShiftOpened(msgspec.Struct, frozen=True, array_like=True):
    """A till begins a shift; the fact's event is the shift's id."""

    till: str
    number: Whole
    cashier: str
    float_minor: Whole
    """In the drawer at the beginning."""

    at_ms: Whole
    trust: Whole
    business_day: Whole

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        sound = self.till and self.number > 0 and 0 <= self.float_minor < MOST and self.at_ms >= 0
        return "" if sound else f"shift {self.number} of {self.till!r} with {self.float_minor}"


class CashMoved(msgspec.Struct, frozen=True, array_like=True):
    """Cash went into or out of the drawer, and nothing was sold."""

    shift: bytes
    till: str
    drawer: Whole
    """`Drawer`."""

    amount_minor: Whole
    """Above zero."""

    why: str
    cashier: str
    at_ms: Whole
    trust: Whole

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if len(self.shift) != EVENT_BYTES or self.drawer not in tuple(Drawer):
            return f"cash moved {self.drawer} in a shift of {len(self.shift)} bytes"
        sound = 0 < self.amount_minor < MOST and self.at_ms >= 0
        return "" if sound else f"{self.amount_minor} grosz moved at {self.at_ms}"


class MethodSum(msgspec.Struct, frozen=True, array_like=True):
    """What was taken and given back by one way of paying."""

    method: str
    taken_minor: Whole
    returned_minor: Whole


class ShiftTotals(msgspec.Struct, frozen=True, array_like=True):
    """What a shift adds up to (`sync.rules.shift`)."""

    sales: Whole
    sold_minor: Whole
    """Deposits included; before returns."""

    returns: Whole
    returned_minor: Whole
    deposits_paid_minor: Whole
    """Paid out of the drawer for packaging brought back."""

    methods: tuple[MethodSum, ...]
    drops_minor: Whole
    in_minor: Whole
    out_minor: Whole
    expected_minor: Whole
    """What should be in the drawer."""

    unfinished: Whole
    """Sales that waited for something at that moment: they are in none of the sums."""

    unfinished_minor: Whole
    days: tuple[Whole, ...]
    """Business days it spans, as 20260131."""

    receipts: tuple[str, ...]
    """First and last of each series, as ``T1-ABCDEFGH/1…12``."""


class ShiftClosed(msgspec.Struct, frozen=True, array_like=True):
    """The Z report: counted before anybody saw what was expected. The event is the shift's."""

    till: str
    number: Whole
    cashier: str
    counted_minor: Whole
    totals: ShiftTotals
    opened_ms: Whole
    at_ms: Whole
    trust: Whole

    @property
    def difference_minor(self) -> int:
        """Counted beyond what was expected; negative: missing."""
        return self.counted_minor - self.totals.expected_minor

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if not self.till or self.number < 1 or not 0 <= self.counted_minor < MOST:
            return f"Z {self.number} of {self.till!r}: {self.counted_minor} counted"
        if self.totals.sales < 0 or any(not method.method for method in self.totals.methods):
            return f"Z {self.number} of {self.till!r}: {self.totals.sales} sales"
        return ""
