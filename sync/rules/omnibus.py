"""The lowest price of the 30 days before a reduction, which a shop must show beside the new one.

Directive (EU) 2019/2161, in Poland art. 4(2) and (3) of the act of 9 May 2014 on information
about prices, in force since 1 January 2023:

* Wherever a reduction is announced, the lowest price of the 30 days *before the reduction was
  brought in* stands beside the reduced one. So it is taken from the day the reduction began, and
  stays as long as it lasts; each further cut is a reduction of its own.
* Goods on offer for less than 30 days: the lowest since they came on offer.
* Perishable goods: the price before the first of the reductions that follow each other.
* Prices that anybody could pay count, promotions too; what takes a coupon or belonging to a group
  of customers does not (`public`).

Money is an int in grosz (`_minor`), times in Unix milliseconds (`_ms`).

>>> day = 86_400_000
>>> bread = [Span(0, None, 500), Span(40 * day, 42 * day, 450), Span(60 * day, None, 400)]
>>> shown(bread, 61 * day)
Shown(unit_minor=400, since_ms=5184000000, lowest_minor=450)
>>> shown(bread, 61 * day, perishable=True).lowest_minor
500
>>> shown(bread, 50 * day) is None
True
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from sync.rules.money import divide_half_away
from sync.rules.promotion import WHOLE_PERCENT, Kind, Promotion

DAY_MS = 86_400_000
WINDOW_MS = 30 * DAY_MS

_SINGLE = frozenset({Kind.PERCENT, Kind.AMOUNT, Kind.PRICE})
"""Promotions that make one piece cheaper by itself."""


class Span(NamedTuple):
    """A time in which anybody could buy one unit at a price."""

    from_ms: int
    until_ms: int | None
    """It holds before this moment; None: it still does."""

    unit_minor: int


class Shown(NamedTuple):
    """A reduced price, and what stands beside it."""

    unit_minor: int
    since_ms: int
    """When this reduction began."""

    lowest_minor: int
    """Of the 30 days before."""


def listed(prices: Iterable[tuple[int, int, int]], until_ms: int | None = None) -> list[Span]:
    """Return how a listed price went.

    A price with no moment of its own (`from_ms` 0) holds from its import on, for a revision is
    the time of an import in seconds (`sync.facts.catalogue`).

    Args:
        prices: First moment in force or 0, revision, unit price; in any order.
        until_ms: What was told or begins later does not count; None: everything.
    """
    begun = sorted(
        (max(from_ms, revision * 1000), from_ms, revision, unit_minor)
        for from_ms, revision, unit_minor in prices
        if until_ms is None or max(from_ms, revision * 1000) <= until_ms
    )
    spans: list[Span] = []
    best: tuple[int, int] | None = None
    for at_ms, from_ms, revision, unit_minor in begun:
        if best is not None and (from_ms, revision) < best:
            continue  # one with a later moment of its own is in force already
        best = (from_ms, revision)
        if spans and spans[-1].unit_minor == unit_minor:
            continue
        if spans:
            spans[-1] = spans[-1]._replace(until_ms=at_ms)
        spans.append(Span(at_ms, None, unit_minor))
    return [span for span in spans if span.until_ms is None or span.until_ms > span.from_ms]


def promoted(
    spans: Sequence[Span],
    promotions: Iterable[Promotion],
    sku: str,
    group: str,
    store: str,
    age_min: int = 0,
) -> list[Span]:
    """Return the spans in which promotions made the article cheaper for anybody.

    Hours and weekdays of a promotion are left out: what was to be had at any hour of a day was a
    price of that day.

    Args:
        spans: Of the listed price.
        promotions: All that were told.
        sku: The article.
        group: Its group.
        store: Where.
        age_min: Asked of the buyer; such goods take part only in promotions that say so.
    """
    found = []
    for promotion in promotions:
        named = any(
            sku in part.skus or (group and group in part.groups) or not (part.skus or part.groups)
            for part in promotion.parts
        )
        if (
            promotion.kind not in _SINGLE
            or not named
            or not public(promotion)
            or (promotion.stores and store not in promotion.stores)
            or (age_min and not promotion.with_age)
        ):
            continue
        for span in spans:
            from_ms = max(span.from_ms, promotion.from_ms)
            ends = [end for end in (span.until_ms, promotion.until_ms or None) if end is not None]
            until_ms = min(ends, default=None)
            reduced = _reduced(promotion, span.unit_minor)
            if (until_ms is None or from_ms < until_ms) and reduced < span.unit_minor:
                found.append(Span(from_ms, until_ms, reduced))
    return found


def lasted(promotion: Promotion, withdrawn_ms: int | None) -> Promotion | None:
    """Return a promotion as it was, for one that was withdrawn held till then; None: it never did.

    Args:
        promotion: As it was last told.
        withdrawn_ms: When it was withdrawn; None: it was not.
    """
    if withdrawn_ms is None:
        return promotion
    ended = min(promotion.until_ms or withdrawn_ms, withdrawn_ms)
    return replace(promotion, until_ms=ended) if ended > promotion.from_ms else None


def public(promotion: Promotion) -> bool:
    """Whether anybody gets it: no coupon, no group of customers."""
    return not promotion.coupon and not promotion.customer_group


def shown(spans: Iterable[Span], now_ms: int, *, perishable: bool = False) -> Shown | None:
    """Return what must be shown of an article; None: its price is not reduced.

    Args:
        spans: Prices that anybody could pay, in any order; where several hold, the lowest is the
            price.
        now_ms: When it is asked.
        perishable: The price before the reductions that follow each other, instead of the lowest
            of 30 days.
    """
    steps = [step for step in _steps(spans) if step[0] <= now_ms]
    if len(steps) < 2:
        return None
    *earlier, (since_ms, unit_minor) = steps
    before = earlier[-1][1]
    if unit_minor is None or before is None or before <= unit_minor:
        return None
    if perishable:
        return Shown(unit_minor, since_ms, _first(earlier, unit_minor))
    ends = [at_ms for at_ms, _ in earlier[1:]] + [since_ms]
    lately = [
        price
        for (_, price), end in zip(earlier, ends, strict=True)
        if price is not None and end > since_ms - WINDOW_MS
    ]
    return Shown(unit_minor, since_ms, min(lately))


def _first(earlier: Sequence[tuple[int, int | None]], reduced_minor: int) -> int:
    """Return the price before the first of the reductions that follow each other."""
    first = reduced_minor
    for _, price in reversed(earlier):
        if price is None or price <= first:
            break
        first = price
    return first


def _steps(spans: Iterable[Span]) -> list[tuple[int, int | None]]:
    """Return the moments at which the lowest price changed, and to what; None: not on offer."""
    spans = tuple(spans)
    moments = sorted(
        {span.from_ms for span in spans} | {s.until_ms for s in spans if s.until_ms is not None}
    )
    steps: list[tuple[int, int | None]] = []
    for at_ms in moments:
        price = min(
            (
                span.unit_minor
                for span in spans
                if span.from_ms <= at_ms and (span.until_ms is None or at_ms < span.until_ms)
            ),
            default=None,
        )
        if not steps or steps[-1][1] != price:
            steps.append((at_ms, price))
    return steps


def _reduced(promotion: Promotion, unit_minor: int) -> int:
    match promotion.kind:
        case Kind.PERCENT:
            off = divide_half_away(unit_minor * promotion.basis_points, WHOLE_PERCENT)
        case Kind.AMOUNT:
            off = promotion.amount_minor
        case _:
            off = unit_minor - promotion.amount_minor
    return max(0, unit_minor - max(0, off))
