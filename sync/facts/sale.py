"""A finished sale, and the stages of one that is not finished yet.

Money is an int in grosz (`_minor`), quantity an int in thousandths (`_milli`).
A sale with no side effect before it (cash, no fiscal printer) is the one fact
`Sale` with stage CLOSED. Otherwise `Sale` is written TENDERED before the first
side effect, and `PaymentSettled`, `SaleFiscalised` and `SaleClosed` or
`SaleVoided` follow under the same event.
"""

from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

import msgspec

from sync.chain import StreamId, life
from sync.facts import columns
from sync.facts.columns import Whole
from sync.facts.person import Sealed
from sync.rules.money import line_total_minor

MOST = 1 << 40
"""Above any quantity in thousandths and any amount in grosz of one line."""


class Stage(IntEnum):
    """How far a sale is. Written into facts: never renumber."""

    TENDERED = 1
    APPROVED = 2
    FISCALISED = 3
    CLOSED = 4
    VOIDED = 5


class Discount(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A part of a line's price that was let go."""

    reason: str
    amount_minor: Whole
    """Positive."""


class SaleLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One article on a sale."""

    sku: str
    quantity_milli: Whole
    unit_minor: Whole
    """Price of one whole unit, tax included, before discounts."""

    discounts: tuple[Discount, ...] = ()
    name: str = ""
    """Fiscal name as printed; empty: the article's at `price_version`."""

    unit: str = ""
    vat: str = ""
    price_version: Whole = 0
    """Revision of the catalogue the price was read at; 0: keyed by hand or by a client."""

    deposit_minor: Whole = 0
    """Deposit on one whole unit, outside VAT."""

    age_checked: Whole = 0
    """Years the cashier confirmed; 0: nothing to check."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        sku, milli, unit, deposit = (
            self.sku,
            self.quantity_milli,
            self.unit_minor,
            self.deposit_minor,
        )
        if not (0 < milli < MOST and 0 <= unit < MOST and 0 <= deposit < MOST):
            return f"{sku!r}: {milli} thousandths at {unit} grosz, deposit {deposit}"
        if any(discount.amount_minor <= 0 for discount in self.discounts):
            return f"{sku!r}: a discount is above zero"
        worth = self.total_minor
        return "" if 0 <= worth < MOST else f"{sku!r}: worth {worth} grosz after discounts"

    @property
    def deposits_minor(self) -> int:
        """Deposit of the whole line."""
        if not self.deposit_minor:
            return 0
        return line_total_minor(self.quantity_milli, self.deposit_minor)

    @property
    def total_minor(self) -> int:
        """Goods of the line after discounts, without deposits."""
        gross = line_total_minor(self.quantity_milli, self.unit_minor)
        for discount in self.discounts:
            gross -= discount.amount_minor
        return gross


class SaleLines(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """The lines of a sale, as columns (`sync.facts.columns`)."""

    n: int
    sku: list[str]
    quantity_milli: list[Whole]
    unit_minor: list[Whole]
    discounts: list[tuple[Discount, ...]]
    name: list[str]
    unit: list[str]
    vat: list[str]
    price_version: list[Whole]
    deposit_minor: list[Whole]
    age_checked: list[Whole]

    @classmethod
    def of(cls, lines: tuple[SaleLine, ...]) -> "SaleLines":
        """Turn rows into columns."""
        return cls(len(lines), *(columns.pack(lines) or [[] for _ in range(10)]))

    def rows(self) -> tuple[SaleLine, ...]:
        """Turn columns into rows.

        Raises:
            BadFact: The columns are not of one length.
        """
        _, *fields = msgspec.structs.astuple(self)
        return tuple(SaleLine(*row) for row in columns.unpack(self.n, fields))

    def sums(self) -> "SaleSums":
        """Add the lines up, once, and without making rows of them: this is done for each sale.

        Raises:
            BadFact: The columns are not of one length.
        """
        return self._sums

    @cached_property
    def _sums(self) -> "SaleSums":
        quantity = goods = deposits = 0
        sound = True
        by_sku: dict[str, int] = {}
        for sku, milli, unit, discounts, deposit in columns.unpack(
            self.n,
            (self.sku, self.quantity_milli, self.unit_minor, self.discounts, self.deposit_minor),
        ):
            quantity += milli
            by_sku[sku] = by_sku.get(sku, 0) + milli
            worth = line_total_minor(milli, unit)
            for discount in discounts:
                worth -= discount.amount_minor
                if discount.amount_minor <= 0:
                    sound = False
            goods += worth
            if deposit:
                deposits += line_total_minor(milli, deposit)
            if not (0 < milli < MOST and 0 <= unit < MOST and 0 <= worth < MOST) or not (
                0 <= deposit < MOST
            ):
                sound = False
        return SaleSums(quantity, goods, deposits, by_sku, sound)

    def reason(self) -> str:
        """Why this cannot be true; empty if it can.

        Raises:
            BadFact: The columns are not of one length.
        """
        _, *fields = msgspec.structs.astuple(self)
        columns.check(self.n, fields)
        if not self.n:
            return "a sale needs a line"
        if self.sums().sound:
            return ""
        return next(filter(None, (line.reason() for line in self.rows())))


class SaleSums(NamedTuple):
    """What the lines of a sale add up to."""

    quantity_milli: int
    goods_minor: int
    deposits_minor: int
    by_sku: dict[str, int]
    """Article to thousandths sold."""

    sound: bool
    """Whether each line can be true."""


class Payment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One tender of a sale."""

    method: str
    """``cash``, ``card``, ``blik``, …"""

    amount_minor: Whole
    """The part of the sale this pays."""

    change_minor: Whole = 0
    """Given back. What was handed over is `amount_minor` + `change_minor`."""

    reference: str = ""
    """What the other side calls it; never a card number."""


class Fiscal(msgspec.Struct, frozen=True, array_like=True):
    """Proof that a fiscal device took the sale."""

    by: str
    """Who printed it: ``karb`` or the foreign client's name."""

    device: str
    """Unique number of the device."""

    document: str
    """Number of the receipt on it."""

    memory_id: Whole = 0
    """Number of the document in the device's protected memory; 0: not told."""


class Sale(msgspec.Struct, frozen=True, array_like=True):
    """Immutable; a correction is another fact."""

    stage: Stage
    """TENDERED or CLOSED."""

    number: Whole
    """1, 2, 3 … in the series, see `series_in`."""

    at_ms: Whole
    trust: Whole
    """`sync.clock.Trust` of `at_ms`."""

    lines: SaleLines
    payments: tuple[Payment, ...]
    till: str
    cashier: str
    shift: str
    business_day: Whole
    """As 20260131."""

    channel: str = "store"
    series: str = ""
    """Empty: till and incarnation of the stream it was first written to."""

    currency: str = "PLN"
    taxpayer: str = ""
    """NIP of the seller."""

    rounding_minor: Whole = 0
    """Added to the total by a cash rounding rule; Poland has none."""

    customer: bytes | None = None
    """Who earned the points: a reference that says nothing by itself."""

    buyer: Sealed | None = None
    """NIP and name on the receipt, under the buyer's key."""

    fiscal: Fiscal | None = None

    def series_in(self, stream: StreamId) -> str:
        """Return the receipt series, as ``T1-ABCDEFGH``: gap-free, one per till and life."""
        return self.series or f"{self.till}-{life(stream.incarnation)}"

    @property
    def total_minor(self) -> int:
        """What the buyer owes, deposits and rounding included."""
        sums = self.lines.sums()
        return sums.goods_minor + sums.deposits_minor + self.rounding_minor

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if self.stage not in (Stage.TENDERED, Stage.CLOSED):
            return f"a sale is written tendered or closed, not {self.stage.name}"
        reason = self.lines.reason()
        if reason:
            return reason
        total = self.total_minor
        for payment in self.payments:
            if payment.amount_minor < 0 or payment.change_minor < 0:
                return "a payment or its change is negative"
        paid = sum([payment.amount_minor for payment in self.payments])
        if paid != total or paid > 1 << 53:
            return f"payments are {paid} grosz, the lines {total}"
        return "" if self.number > 0 else f"receipt number {self.number}"


class PaymentSettled(msgspec.Struct, frozen=True, array_like=True):
    """A payment that was pending is known: approved or refused."""

    payment: Whole
    """Index in the sale's payments."""

    approved: bool
    reference: str = ""
    decided_by: str = ""
    """``terminal``, or the person who looked, where no machine could tell."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        return "" if self.payment >= 0 else f"payment {self.payment}"


class SaleFiscalised(msgspec.Struct, frozen=True, array_like=True):
    """The fiscal device printed the receipt."""

    fiscal: Fiscal

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        return "" if self.fiscal.device and self.fiscal.document else "no device or document"


class SaleClosed(msgspec.Struct, frozen=True, array_like=True):
    """Nothing is left to do; the goods are the buyer's."""

    at_ms: Whole
    trust: Whole

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        return "" if self.at_ms >= 0 else f"time {self.at_ms}"


class SaleVoided(msgspec.Struct, frozen=True, array_like=True):
    """It came to nothing; its number stays used."""

    at_ms: Whole
    trust: Whole
    why: str = ""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        return "" if self.at_ms >= 0 else f"time {self.at_ms}"
