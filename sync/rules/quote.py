"""What a basket costs, the same to the grosz at a till, at head office and for a web shop.

The lines go through the very rules of the till (`sync.rules.offers`, `sync.rules.vat`), so what is
quoted is what is sold as long as prices and promotions are the same. Nothing is kept or promised.
Money is an int in grosz (`_minor`), quantity an int in thousandths (`_milli`).
"""

from collections.abc import Sequence
from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta

from sync.rules.money import line_total_minor
from sync.rules.offers import Bought, Offers
from sync.rules.promotion import Moment
from sync.rules.vat import Rate, receipt_vat

MAX_LINES = 1000
MAX_MILLI = 10**9

_Word = Annotated[str, Meta(pattern="^[^\\x00-\\x1f\\x7f]+$", max_length=64)]
_Words = Annotated[tuple[_Word, ...], Meta(max_length=20)]


class QuoteLineRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An article, and how much of it."""

    sku: _Word
    """Or one of its codes."""

    quantity_milli: Annotated[int, Meta(ge=1, le=MAX_MILLI)] = 1000


class QuoteRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A basket to be priced."""

    lines: Annotated[tuple[QuoteLineRequest, ...], Meta(min_length=1, max_length=MAX_LINES)]
    channel: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$", max_length=20)] = "store"
    customer_groups: _Words = ()
    coupons: _Words = ()
    at_ms: Annotated[int, Meta(ge=0, le=1 << 43)] | None = None
    """When it is to be bought, Unix milliseconds; null: now."""


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """An article as the catalogue has it at the moment asked about."""

    sku: str
    name: str
    unit: str
    vat: str
    unit_minor: int
    price_version: int
    deposit_minor: int = 0
    age_min: int = 0
    group: str = ""
    lowest_minor: int | None = None
    """Of the 30 days before, if its price is reduced (`sync.rules.omnibus`)."""


class QuotedGiven(msgspec.Struct, frozen=True, kw_only=True):
    """What a promotion gives to a line."""

    promotion: str
    name: str
    amount_minor: int


class QuotedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line as it would be sold."""

    sku: str
    name: str
    quantity_milli: int
    unit: str
    unit_minor: int
    price_version: int
    gross_minor: int
    """Before what is given."""

    given: tuple[QuotedGiven, ...]
    """Which rule gave what, in the order given."""

    total_minor: int
    """Goods, what is given taken off."""

    deposits_minor: int
    vat: str
    age_min: int
    lowest_30_days_minor: int | None
    """To be shown beside the price, for it is reduced; null: it is not."""


class QuotedVat(msgspec.Struct, frozen=True, kw_only=True):
    """One rate of the basket."""

    vat: str
    gross_minor: int
    vat_minor: int


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """A basket priced."""

    store: str
    at_ms: int
    currency: str
    lines: tuple[QuotedLine, ...]
    vat: tuple[QuotedVat, ...]
    goods_minor: int
    deposits_minor: int
    given_minor: int
    """All that promotions take off."""

    total_minor: int
    """Goods and deposits: what the buyer would owe."""


def quote(
    lines: Sequence[tuple[Priced, int]],
    offers: Offers,
    moment: Moment,
    day: date,
    rates: tuple[Rate, ...],
    currency: str = "PLN",
) -> Quote:
    """Price a basket.

    Args:
        lines: Articles, and thousandths of each.
        offers: The promotions of the chain.
        moment: When, where and to whom.
        day: On the wall of the store.
        rates: What VAT codes mean.
        currency: Of the prices.

    Raises:
        UnknownVat: A line's code was not in force on that day.
    """
    bought = [
        Bought(article.sku, milli, article.unit_minor, article.group, article.age_min)
        for article, milli in lines
    ]
    given: list[list[QuotedGiven]] = [[] for _ in lines]
    for one in offers.given(bought, moment):
        given[one.line].append(
            QuotedGiven(promotion=one.promotion, name=one.name, amount_minor=one.amount_minor)
        )
    quoted = tuple(
        _line(article, milli, tuple(gifts))
        for (article, milli), gifts in zip(lines, given, strict=True)
    )
    goods = sum(line.total_minor for line in quoted)
    deposits = sum(line.deposits_minor for line in quoted)
    return Quote(
        store=moment.store,
        at_ms=moment.at_ms,
        currency=currency,
        lines=quoted,
        vat=tuple(
            QuotedVat(vat=total.code, gross_minor=total.gross_minor, vat_minor=total.vat_minor)
            for total in receipt_vat(((line.vat, line.total_minor) for line in quoted), day, rates)
        ),
        goods_minor=goods,
        deposits_minor=deposits,
        given_minor=sum(line.gross_minor - line.total_minor for line in quoted),
        total_minor=goods + deposits,
    )


def _line(article: Priced, milli: int, given: tuple[QuotedGiven, ...]) -> QuotedLine:
    gross = line_total_minor(milli, article.unit_minor)
    return QuotedLine(
        sku=article.sku,
        name=article.name,
        quantity_milli=milli,
        unit=article.unit,
        unit_minor=article.unit_minor,
        price_version=article.price_version,
        gross_minor=gross,
        given=given,
        total_minor=gross - sum(gift.amount_minor for gift in given),
        deposits_minor=line_total_minor(milli, article.deposit_minor),
        vat=article.vat,
        age_min=article.age_min,
        lowest_30_days_minor=article.lowest_minor,
    )
