"""Packaging given back at a till, or a machine's voucher for it.

Money is an int in grosz (`_minor`). A voucher is redeemed by a `RightsMoved` of the same event
(`sync.rules.deposit`).
"""

import msgspec

from sync.chain import EVENT_BYTES
from sync.facts.columns import Whole

MOST = 1 << 40
MAX_CODE = 64


class PackagingLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Some pieces of one packaging."""

    sku: str
    """Of the article that is sold in it."""

    name: str
    pieces: Whole
    deposit_minor: Whole
    """Of one piece."""


class Voucher(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a machine wrote for packaging it took."""

    code: str
    amount_minor: Whole


class DepositsTaken(msgspec.Struct, frozen=True, array_like=True):
    """A buyer brought packaging or vouchers: it paid for a sale, or was paid out."""

    at_ms: Whole
    trust: Whole
    business_day: Whole
    till: str
    cashier: str
    shift: str
    lines: tuple[PackagingLine, ...]
    vouchers: tuple[Voucher, ...]
    applied_minor: Whole
    """Pays for `sale`."""

    paid_minor: Whole
    """Out of the drawer."""

    sale: bytes = b""
    """Event of the sale it pays for; empty: none."""

    @property
    def total_minor(self) -> int:
        """Deposit of all that was brought."""
        goods = sum(line.pieces * line.deposit_minor for line in self.lines)
        return goods + sum(voucher.amount_minor for voucher in self.vouchers)

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        for line in self.lines:
            if not line.sku or not (0 < line.pieces < MOST and 0 < line.deposit_minor < MOST):
                return f"{line.sku!r}: {line.pieces} pieces at {line.deposit_minor} grosz"
        for voucher in self.vouchers:
            if not 0 < len(voucher.code) <= MAX_CODE or not 0 < voucher.amount_minor < MOST:
                return f"voucher of {voucher.amount_minor} grosz"
        if not self.lines and not self.vouchers:
            return "nothing was brought"
        if (self.applied_minor > 0) is not (len(self.sale) == EVENT_BYTES):
            return f"{self.applied_minor} grosz for a sale of {len(self.sale)} bytes"
        if min(self.applied_minor, self.paid_minor) < 0 or (
            self.applied_minor + self.paid_minor != self.total_minor
        ):
            return (
                f"{self.applied_minor} and {self.paid_minor} grosz of {self.total_minor}, "
                "expected all of it"
            )
        return ""
