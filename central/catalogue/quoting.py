"""What a basket would cost in a store, by head office's books: the very rules of its tills."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from central.ledger import assortment
from sync.contract.problem import Mistake, mistake
from sync.facts.node import StoreDescribed
from sync.rules import omnibus
from sync.rules.offers import Offers
from sync.rules.promotion import Moment, Promotion
from sync.rules.quote import Priced, Quote, QuoteRequest, quote
from sync.rules.vat import UnknownVat

FALLBACK = "Europe/Warsaw"
"""Where a store's zone is misspelt, as at its tills."""


class NotQuoted(Exception):
    """The basket cannot be priced; nothing else happened."""

    def __init__(self, *mistakes: Mistake) -> None:
        """Carry what is wrong with which line."""
        super().__init__(str(mistakes[0]))
        self.mistakes = mistakes


def price(
    books: assortment.Books, store: StoreDescribed, asked: QuoteRequest, now_ms: int
) -> Quote:
    """Price a basket.

    Args:
        books: Of its articles.
        store: Where it would be bought.
        asked: The basket.
        now_ms: The time, Unix milliseconds.

    Raises:
        NotQuoted: An article is not known, or has no price then.
    """
    at_ms = now_ms if asked.at_ms is None else asked.at_ms
    found: dict[str, Priced] = {}
    mistakes = []
    for n, line in enumerate(asked.lines):
        begun = [one for one in books.articles.get(line.sku, ()) if one.from_ms <= at_ms]
        holds = [one for one in books.prices.get(line.sku, ()) if one[0] <= at_ms]
        if not begun or not holds:
            expected = "a sku of the catalogue" if not begun else "an article with a price then"
            mistakes.append(mistake(f"lines.{n}.sku", line.sku, expected, "import it first"))
        elif line.sku not in found:
            found[line.sku] = _priced(begun, holds, books.lasted, store.store, at_ms)
    if mistakes:
        raise NotQuoted(*mistakes)
    wall = _wall(at_ms, store)
    moment = Moment.of(wall, store.store, asked.channel)._replace(
        customer_groups=frozenset(asked.customer_groups), coupons=frozenset(asked.coupons)
    )
    lines = [(found[line.sku], line.quantity_milli) for line in asked.lines]
    offers = Offers(books.promotions)
    try:
        return quote(lines, offers, moment, wall.date(), books.rates, store.currency)
    except UnknownVat as error:
        raise NotQuoted(mistake("lines", "", str(error), "correct the article's VAT")) from error


def _priced(
    told: list[assortment.Told],
    prices: list[tuple[int, int, int]],
    reductions: list[Promotion],
    store: str,
    at_ms: int,
) -> Priced:
    article = max(told, key=lambda one: one.rank).article
    _, revision, unit_minor = max(prices)
    spans = omnibus.listed(prices, at_ms)
    spans += omnibus.promoted(spans, reductions, article.sku, article.group, store, article.age_min)
    reduced = omnibus.shown(spans, at_ms)
    return Priced(
        sku=article.sku,
        name=article.name,
        unit=article.unit,
        vat=article.vat,
        unit_minor=unit_minor,
        price_version=revision,
        deposit_minor=article.deposit_minor,
        age_min=article.age_min,
        group=article.group,
        lowest_minor=reduced.lowest_minor if reduced else None,
    )


def _wall(at_ms: int, store: StoreDescribed) -> datetime:
    try:
        zone = ZoneInfo(store.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = ZoneInfo(FALLBACK)
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(zone)
