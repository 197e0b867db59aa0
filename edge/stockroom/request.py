"""What the stockroom may be asked to record. Bounds stand here, and in `/openapi.json`.

Money is an int in grosz (`_minor`), quantity an int in thousandths (`_milli`).
"""

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from edge.till.basket import MAX_QUANTITY_MILLI
from edge.till.request import MAX_LINES, Milli, Minor, Text, Word

StoreId = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$", max_length=40)]


class ReceivedLineRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One article of a delivery."""

    sku: Word
    quantity_milli: Milli
    unit_cost_minor: Minor | None = None
    """Net price of one whole unit, where the paper says it."""


class MovedLineRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One article that moves."""

    sku: Word
    quantity_milli: Milli


Received = Annotated[tuple[ReceivedLineRequest, ...], Meta(min_length=1, max_length=MAX_LINES)]
Moved = Annotated[tuple[MovedLineRequest, ...], Meta(min_length=1, max_length=MAX_LINES)]


class GoodsReceivedRequest(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="goods_received",
):
    """A delivery to put on the shelf (Polish: PZ)."""

    lines: Received
    supplier: Text = ""
    reference: Text = ""
    """Number of the supplier's paper."""


class WrittenOffRequest(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="written_off",
):
    """Goods that are broken, stolen or out of date (Polish: RW)."""

    lines: Moved
    reason: Word
    approved_by: Text = ""
    """The manager who lets it go beyond what this node has a right to, where an article's
    policy is strict."""


class ReturnedRequest(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="returned",
):
    """Goods a customer brought back, fit to be sold again."""

    lines: Moved
    sale: UUID | None = None
    """Which sale they were bought in, if that is known."""

    reason: Text = ""


class TransferOutRequest(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="transfer_out",
):
    """Goods that leave for another store (Polish: MM-)."""

    lines: Moved
    to_store: StoreId
    reason: Text = ""
    approved_by: Text = ""
    """As of a write-off."""


class TransferInRequest(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="transfer_in",
):
    """Goods that arrived from another store, as counted here (Polish: MM+)."""

    lines: Moved
    from_store: StoreId
    transfer: UUID
    """Id of the `transfer_out` they left with; once a transfer."""


DocumentRequest = (
    GoodsReceivedRequest
    | WrittenOffRequest
    | ReturnedRequest
    | TransferOutRequest
    | TransferInRequest
)


class CountRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sheet to open; with neither group nor articles it is about all of them."""

    name: Word
    group: Text = ""
    skus: Annotated[tuple[Word, ...], Meta(max_length=MAX_LINES)] = ()


class CountLineRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So much of an article is there now."""

    counted_milli: Annotated[int, Meta(ge=0, le=MAX_QUANTITY_MILLI * MAX_LINES)]
    attempt: Annotated[int, Meta(ge=1, le=100)] = 1
    """2 if it is counted again. The same count of the same attempt is the same count."""

    who: Text = ""


class CountPostRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Compare a sheet with the books, and let the books follow."""

    here: bool = False
    """Post on this node though the sheet's home is another."""

    by_time: bool = False
    """Wait for no node's mark: take what is known here of it, up to the time of the count."""

    approved_by: Text = ""
    """The manager who says so; needed for `here` and `by_time`."""
