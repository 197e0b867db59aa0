"""What a client may ask to have recorded. Bounds stand here, once, and in `/openapi.json`.

Money is an int in grosz (`_minor`), quantity an int in thousandths (`_milli`).
"""

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from edge.till.basket import MAX_QUANTITY_MILLI

MAX_LINES = 1000
MAX_MONEY = 10**10
"""A hundred million: no till takes more in one amount."""

Minor = Annotated[int, Meta(ge=0, le=MAX_MONEY)]
PositiveMinor = Annotated[int, Meta(ge=1, le=MAX_MONEY)]
Milli = Annotated[int, Meta(ge=1, le=MAX_QUANTITY_MILLI)]

TillId = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,19}$", max_length=20)]
"""Stands in receipt series; see `edge.config.ID`."""

Word = Annotated[str, Meta(pattern="^[^\\x00-\\x1f\\x7f]+$", max_length=64)]
"""Printable, not empty."""

Text = Annotated[str, Meta(pattern="^[^\\x00-\\x1f\\x7f]*$", max_length=100)]
"""Printable, may be empty."""

Method = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$", max_length=20)]
"""``cash``, ``card``, ``blik``, …"""


class DiscountRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a line's price that was let go."""

    reason: Word
    amount_minor: PositiveMinor


class LineRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One article sold."""

    sku: Word
    quantity_milli: Milli
    unit_minor: Minor
    """Price of one whole unit, tax included, before discounts, without deposit."""

    discounts: Annotated[tuple[DiscountRequest, ...], Meta(max_length=20)] = ()
    age_checked: Annotated[int, Meta(ge=0, le=120)] = 0
    """Years that were confirmed."""


class PaymentRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tender."""

    method: Method
    amount_minor: Minor
    """What this pays; of cash, more than is owed gives change."""

    tendered_minor: Minor | None = None
    """Cash handed over, if more than `amount_minor`."""

    reference: Text = ""
    """What the other side calls it; never a card number."""


class BuyerRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who the receipt is made out to."""

    nip: Annotated[str, Meta(max_length=20)]
    name: Text = ""


class FiscalRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Proof that a fiscal device took the sale."""

    by: Word
    device: Word
    document: Word


class SaleRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finished sale."""

    till: TillId
    cashier: Word
    lines: Annotated[tuple[LineRequest, ...], Meta(min_length=1, max_length=MAX_LINES)]
    payments: Annotated[tuple[PaymentRequest, ...], Meta(max_length=50)]
    channel: Method = "store"
    shift: Text = ""
    customer: UUID | None = None
    """A reference that says nothing by itself."""

    buyer: BuyerRequest | None = None
    fiscal: FiscalRequest | None = None
    approved_by: Text = ""
    """The manager who lets it go beyond what this node has a right to, where the article's
    policy is strict."""


class TenderRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One part of what a basket is paid with."""

    method: Method
    amount_minor: Minor
    """Of cash what is handed over: what is too much is change; else exactly so much."""


class PayRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Payment of a till's basket: by one method, or by several `payments`."""

    sale: UUID
    """Made by the client, so that a lost answer can be asked for again."""

    method: Method | None = None
    tendered_minor: Minor | None = None
    payments: Annotated[tuple[TenderRequest, ...], Meta(max_length=20)] = ()
    """In the order in which they are taken: cards before cash, for cash can be changed."""

    cashier: Word
    buyer: BuyerRequest | None = None
    """Whom the receipt is made out to; the sale then records that an invoice was asked for."""

    approved_by: Text = ""
    """The manager who lets it go beyond what this node has a right to."""


class ReturnedLineRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a line of the sale."""

    line: Annotated[int, Meta(ge=0, lt=MAX_LINES)]
    """Index in the sale, from 0."""

    quantity_milli: Milli | None = None
    """None: the whole line."""

    restocked: bool = True
    """Fit to be sold again."""


class RefundRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money that goes back by one tender."""

    method: Method
    amount_minor: Minor
    reference: Text = ""
    """What the other side calls it; never a card number."""


class ReturnRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Goods of a sale that come back, or a sale that was a mistake."""

    sale: UUID
    till: TillId
    cashier: Word
    payments: Annotated[tuple[RefundRequest, ...], Meta(max_length=50)]
    reason: Word
    """The buyer's words; of a mistake its cause and how it came about."""

    lines: Annotated[tuple[ReturnedLineRequest, ...], Meta(max_length=MAX_LINES)] = ()
    """None: all of the sale."""

    shift: Text = ""
    approved_by: Text = ""
    """The manager who lets cash go back for what was paid otherwise."""

    mistake: bool = False
    """An obvious mistake at the till, not goods that a buyer brings back."""

    correction: Text = ""
    """Of a mistake: the receipt that is right; empty: nothing was sold."""


class PackagingRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pieces of one packaging."""

    sku: Word
    """Of the article that is sold in it, or one of its codes."""

    pieces: Annotated[int, Meta(ge=1, le=10_000)]


class DepositsRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Packaging, or a machine's vouchers for it, that a buyer brings back."""

    till: TillId
    cashier: Word
    lines: Annotated[tuple[PackagingRequest, ...], Meta(max_length=200)] = ()
    vouchers: Annotated[tuple[Word, ...], Meta(max_length=50)] = ()
    """Their codes."""

    sale: UUID | None = None
    """That it helps to pay for."""

    applied_minor: Minor = 0
    """What of the deposit pays for it; the rest is paid out."""

    shift: Text = ""


class VoucherRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A voucher that a machine wrote."""

    amount_minor: PositiveMinor
