"""A finished basket or a client's request becomes the fact `Sale`.

Runs inside a unit of work, so that the number, the fact and the views are one commit.
It may run twice for one sale and must only write to its unit. Money is an int in grosz
(`_minor`), quantity an int in thousandths (`_milli`).
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import msgspec

from edge.stockroom.asking import Short
from edge.store.unit import ArticleView, PersonKey, SaleView, Unit
from edge.till.basket import MAX_TOTAL_MINOR
from edge.till.business_day import business_day, day_text, local, rfc3339
from edge.till.errors import (
    BadDeposit,
    BadSale,
    BeyondRight,
    Conflict,
    NoFiscalEvidence,
    NotCovered,
    NotNow,
)
from edge.till.pricing import FIRST_SHIFT, Draft, priced, settle_change
from edge.till.request import SaleRequest
from sync.chain import MAX_BODY
from sync.clock import Trust
from sync.facts import encode
from sync.facts.node import StoreDescribed
from sync.facts.rights import Mode
from sync.facts.sale import Discount, Sale, SaleLines, Stage
from sync.merge.stock import Deltas
from sync.rules.deposit import METHOD
from sync.rules.hours import Hours, forbidden

LARGE = 200
"""Lines and discounts from which a sale is measured before it is written."""


class SaleAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a recorded sale, the first time and every time after."""

    uuid: str
    receipt_number: int
    receipt_series: str
    total_minor: int
    change_minor: int
    business_day: str
    """As 2026-01-31."""

    at: str
    """RFC 3339, UTC."""

    trust: str
    """Who vouched for the time: ``none``, ``manager``, ``rtc``, ``peer``, ``fiscal`` or
    ``central``."""

    stage: str
    """``tendered``, ``approved``, ``fiscalised``, ``closed`` or ``voided``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A sale as it stands in the journal."""

    event: bytes
    sale: Sale
    series: str
    stage: Stage
    new: bool
    """Whether this very call wrote it."""


def digest(request: msgspec.Struct, till: str = "", key: bytes = b"") -> bytes:
    """Digest a request in canonical JSON: spelling and order of its fields do not count.

    Args:
        request: As decoded.
        till: Where the address names it and the request does not.
        key: Of the buyer it names: a NIP has ten digits, and a bare hash of it would tell
            who it was after the key is destroyed.
    """
    text = till.encode() + msgspec.json.encode(request, order="sorted")
    return hmac.digest(key, text, sha256) if key else sha256(text).digest()


def record(
    unit: Unit,
    event: bytes,
    request: SaleRequest,
    buyer: PersonKey | None = None,
    *,
    ask: bool = False,
) -> Recorded:
    """Record a finished sale; the same request under the same event gives the same answer.

    Raises:
        Short: It goes beyond our right, and `ask` says that others may be asked first.
        Conflict: The event is another sale.
        BadSale: It cannot be true; `errors` has the kinds.
        BadDeposit: Packaging that pays for it was not brought back for it.
        TillTaken: The till belongs to another node.
    """
    found = unit.sale(event)
    if found is not None:
        sealed = found.body.buyer
        key = unit.key_of(sealed.person) if sealed else b""
        if found.digest is None or key is None:
            return again(event, found, same=_alike(found.body, request))
        return again(event, found, same=found.digest == digest(request, key=key))
    draft = priced(unit, request, buyer)
    if any(payment.method == METHOD for payment in draft.payments):
        _check_brought(unit, event, draft)
    fingerprint = digest(request, key=buyer.key if draft.buyer and buyer else b"")
    return write(unit, event, draft, stage=Stage.CLOSED, fingerprint=fingerprint, ask=ask)


def again(event: bytes, found: SaleView, *, same: bool) -> Recorded:
    """Answer for a sale that is already there.

    Raises:
        Conflict: It is another one.
    """
    if not same:
        raise Conflict(
            f"Sale {_uuid(event)}: this id is another sale, receipt {found.series}/{found.number}.",
            "Give every sale an id of its own.",
        )
    return Recorded(event=event, sale=found.body, series=found.series, stage=found.stage, new=False)


def write(
    unit: Unit,
    event: bytes,
    draft: Draft,
    *,
    stage: Stage,
    fingerprint: bytes,
    ask: bool = False,
    printed_later: bool = False,
) -> Recorded:
    """Give a draft its time and number, and append it.

    Args:
        unit: The unit of work.
        event: The sale's.
        draft: The sale.
        stage: Tendered or closed.
        fingerprint: Of the request.
        ask: See `beyond_right`.
        printed_later: The fiscal receipt of a tendered sale is still to be printed.

    Raises:
        Short: It goes beyond our right, and `ask` says that others may be asked first.
        Conflict: The event is a document.
        BadSale: It cannot be true.
        TillTaken: The till belongs to another node.
    """
    if unit.document(event) is not None:
        raise Conflict(
            f"Sale {_uuid(event)}: this id is a document.", "Give every sale an id of its own."
        )
    settings, now = unit.settings, unit.now
    check(draft, settings, printed_later=printed_later)
    _check_hours(unit, draft)
    unit.claim_till(draft.till)
    sale = Sale(
        stage=stage,
        number=unit.next_number(draft.till),
        at_ms=now.ms,
        trust=int(now.trust),
        lines=SaleLines.of(draft.lines),
        payments=draft.payments,
        till=draft.till,
        cashier=draft.cashier,
        shift=draft.shift or shift_of(unit, draft.till),
        business_day=business_day(now.ms, settings),
        channel=draft.channel,
        currency=settings.currency,
        taxpayer=settings.taxpayer,
        customer=draft.customer,
        buyer=draft.buyer,
        fiscal=draft.fiscal,
    )
    _check_size(sale, sum(len(line.discounts) for line in draft.lines))
    short = unit.holder.shortage(sale.lines.sums().by_sku)
    if short:
        beyond_right(unit, event, draft, short, ask=ask, taken=stage is Stage.CLOSED)
    try:
        place = unit.append(sale, event, fingerprint)
    except ValueError as error:  # such as a negative deposit in the catalogue
        raise BadSale(f"Sale {_uuid(event)}: {error}.", "Ask head office.") from error
    return Recorded(
        event=event, sale=sale, series=sale.series_in(place.stream), stage=stage, new=True
    )


def shift_of(unit: Unit, till: str) -> str:
    """Return what the shift that a till is in is called."""
    found = unit.shift(till)
    return FIRST_SHIFT if found is None else found.label


def beyond_right(
    unit: Unit, event: bytes, draft: Draft, short: Deltas, *, ask: bool, taken: bool
) -> None:
    """Decide by policy about a sale that goes beyond what this node has a right to.

    Args:
        unit: The unit of work.
        event: The sale's.
        draft: The sale.
        short: What is beyond the right.
        ask: Somebody may be asked for rights first.
        taken: The goods go now, not when a payment is approved.

    Raises:
        Short: Ask others first.
        BeyondRight: An article's policy is strict, and no manager has let it through.
    """
    if ask:
        raise Short(short)
    if not draft.approved_by:
        for sku, milli in short.items():
            if unit.holder.policy(sku).mode is Mode.STRICT:
                raise BeyondRight(
                    f"Article {sku!r}: {milli} thousandths more than this node may sell; the "
                    "rest is promised, or held by a node that does not answer.",
                    "Take it out, or have a manager approve it (approved_by).",
                    field="/lines",
                )
    if taken:
        unit.holder.take_over(event, short, why=draft.approved_by)


def check(draft: Draft, settings: StoreDescribed, *, printed_later: bool = False) -> None:
    """Refuse what must never be written.

    Args:
        draft: The sale.
        settings: Of the store.
        printed_later: Its fiscal receipt is still to be printed.

    Raises:
        BadSale: There are no lines, or the total is beyond all reason.
        NoFiscalEvidence: The store is fiscal and there is none.
    """
    if not draft.lines:
        raise BadSale("Lines: expected at least one, got none.", "Scan something.", field="/lines")
    if draft.total_minor > MAX_TOTAL_MINOR:
        raise BadSale(
            f"Total {draft.total_minor} grosz: expected at most {MAX_TOTAL_MINOR}.",
            "Look at the quantities.",
            field="/lines",
        )
    if settings.fiscal and draft.fiscal is None and not printed_later:
        raise NoFiscalEvidence(
            "Fiscal evidence: expected by, device and document, got none; this store is fiscal.",
            "Print the fiscal receipt first and send its number.",
            field="/fiscal",
        )


def _check_brought(unit: Unit, event: bytes, draft: Draft) -> None:
    """Refuse a sale that is paid with packaging that was not brought back for it."""
    paid = sum(payment.amount_minor for payment in draft.payments if payment.method == METHOD)
    brought = unit.deposits_for(event)
    if paid != brought:
        raise BadDeposit(
            f"Payment of {paid} grosz by {METHOD}: expected {brought}, which was brought back for "
            "this sale.",
            "Record the packaging first (PUT /v1/deposits), with this sale's id.",
            field="/payments",
        )


def _check_hours(unit: Unit, draft: Draft) -> None:
    """Refuse what may not be sold at this hour, whoever sells it.

    Raises:
        NotNow: An article is one of these.
    """
    told = unit.hours()
    if not told:
        return
    now = local(unit.now.ms, unit.settings)
    for at, line in enumerate(draft.lines):
        article = unit.article(line.sku, unit.now.ms)
        if article is not None:
            not_now(told, article, now, f"/lines/{at}/sku")


def not_now(
    told: Mapping[str, tuple[Hours, ...]], article: ArticleView, now: datetime, field: str = ""
) -> None:
    """Refuse an article that may not be sold at an hour.

    Args:
        told: Target to the hours in which it is not sold (`Unit.hours`).
        article: Which.
        now: On the store's wall.
        field: Where in the request it stands.

    Raises:
        NotNow: It may not.
    """
    hours = told.get(f"sku:{article.sku}", ()) + told.get(f"group:{article.group}", ())
    held = forbidden(hours, now.isoweekday(), now.hour * 60 + now.minute)
    if held is not None:
        raise NotNow(
            f"Article {article.sku!r} ({article.name}): not sold here {held}; it is {now:%H:%M}.",
            "Take it out of the basket.",
            field=field,
        )


def answer(recorded: Recorded) -> SaleAnswer:
    """Tell of a recorded sale."""
    sale = recorded.sale
    return SaleAnswer(
        uuid=_uuid(recorded.event),
        receipt_number=sale.number,
        receipt_series=recorded.series,
        total_minor=sale.total_minor,
        change_minor=sum(payment.change_minor for payment in sale.payments),
        business_day=day_text(sale.business_day),
        at=rfc3339(sale.at_ms),
        trust=trust_name(sale.trust),
        stage=recorded.stage.name.lower(),
    )


def trust_name(trust: int) -> str:
    """Return who vouched for a time; ``unknown`` if a newer program wrote it."""
    return Trust(trust).name.lower() if trust in _TRUSTS else "unknown"


_TRUSTS = frozenset(Trust)


def _alike(sale: Sale, request: SaleRequest) -> bool:
    """Whether a sale heard of from elsewhere says what the request says."""
    lines = [
        (row.sku, row.quantity_milli, row.unit_minor, row.discounts) for row in sale.lines.rows()
    ]
    asked = [
        (
            line.sku,
            line.quantity_milli,
            line.unit_minor,
            tuple(Discount(given.reason, given.amount_minor) for given in line.discounts),
        )
        for line in request.lines
    ]
    try:
        payments = settle_change(request.payments, sale.total_minor)
    except NotCovered:
        return False
    return (
        lines == asked
        and payments == sale.payments
        and (request.till, request.cashier, request.channel)
        == (sale.till, sale.cashier, sale.channel)
        and request.shift in ("", sale.shift)
        and (request.customer.bytes if request.customer else None) == sale.customer
        and (request.buyer is None) == (sale.buyer is None)
    )


def _check_size(sale: Sale, discounts: int) -> None:
    """Few sales come near the cap of a fact; those are measured."""
    if sale.lines.n + discounts < LARGE:
        return
    size = len(encode(sale))
    if size > MAX_BODY:
        raise BadSale(
            f"Sale: {size} bytes, expected at most {MAX_BODY}.",
            "Record it as two sales.",
            field="/lines",
        )


def _uuid(event: bytes) -> str:
    return str(UUID(bytes=event))
