"""What a basket would cost in a store, by head office's books: the very rules of its tills."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection

from central.ledger import assortment, reading
from central.ledger.errors import NotFound
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


def price(connection: Connection, store: str, asked: QuoteRequest, now_ms: int) -> Quote:
    """Price a basket.

    Args:
        connection: Of the ledger.
        store: Where it would be bought.
        asked: The basket.
        now_ms: The time, Unix milliseconds.

    Raises:
        NotFound: No such store.
        NotQuoted: An article is not known, or has no price then.
    """
    described = reading.store(connection, store)
    if described is None:
        raise NotFound(f"Store {store!r}: not known here; GET /v1/stores lists them.")
    at_ms = now_ms if asked.at_ms is None else asked.at_ms
    skus = {line.sku for line in asked.lines}
    told = assortment.articles(connection, skus)
    prices = assortment.history(connection, skus)
    reductions = assortment.lasted(connection)
    found: dict[str, Priced] = {}
    mistakes = []
    for n, line in enumerate(asked.lines):
        begun = [one for one in told.get(line.sku, ()) if one.from_ms <= at_ms]
        holds = [one for one in prices.get(line.sku, ()) if one[0] <= at_ms]
        if not begun or not holds:
            expected = "a sku of the catalogue" if not begun else "an article with a price then"
            mistakes.append(mistake(f"lines.{n}.sku", line.sku, expected, "import it first"))
        elif line.sku not in found:
            found[line.sku] = _priced(begun, holds, reductions, store, at_ms)
    if mistakes:
        raise NotQuoted(*mistakes)
    wall = _wall(at_ms, described)
    moment = Moment.of(wall, store, asked.channel)._replace(
        customer_groups=frozenset(asked.customer_groups), coupons=frozenset(asked.coupons)
    )
    promotions = assortment.promotions(connection).values()
    offers = Offers(one.promotion for one in promotions if not one.withdrawn)
    lines = [(found[line.sku], line.quantity_milli) for line in asked.lines]
    rates = assortment.vat_table(connection)
    try:
        return quote(lines, offers, moment, wall.date(), rates, described.currency)
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
