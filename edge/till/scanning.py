"""What was scanned, in the words of the catalogue: an article, how much of it, at what price.

A label that tells a weight sells that weight. One that tells a price sells at that price: of goods
sold by weight, as much as the price buys; else one piece. Where both are told, the weight counts,
and the buyer never pays more than the label says. A code that the catalogue knows whole is that
article, whatever a label under its prefix would mean.
"""

from dataclasses import replace

from edge.clock import Clock
from edge.store.store import Store
from edge.store.unit import ArticleView
from edge.till.basket import (
    ONE_MILLI,
    Item,
    NotScanned,
    Scanned,
    misread,
    unknown_code,
    without_price,
)
from edge.till.business_day import utc
from edge.till.errors import NotPossible, TillError
from edge.till.pricing import printed_name
from sync.facts.sale import Discount
from sync.rules import scan
from sync.rules.barcode import BadBarcode
from sync.rules.in_store import Patterns
from sync.rules.money import divide_half_away, line_total_minor
from sync.rules.scan import Code

GRAMS = {"kg": 1000, "dag": 10, "dkg": 10, "g": 1}
"""In a unit of weight."""

LABEL_PRICE = {"pl": "cena z etykiety", "en": "label price"}
"""Reason of the discount by which a line comes to what its label says."""


class Scanning:
    """Asks the catalogue what a code is."""

    def __init__(self, store: Store, clock: Clock, labels: Patterns, language: str) -> None:
        """Read nothing yet.

        Args:
            store: Has the catalogue.
            clock: Tells which price is in force.
            labels: What the shop's own scales put into their codes.
            language: Of the reason of a discount: `pl` or `en`.
        """
        self._store, self._clock, self._labels, self._language = store, clock, labels, language

    async def resolve(self, scanned: str) -> Scanned | NotScanned:
        """Return what a code is, at the price in force now."""
        now = self._clock.now().ms
        text = scan.bare(scanned)
        unknown = unknown_code(text)
        try:
            code = scan.read(scanned, self._labels, utc(now).year)
        except BadBarcode as error:  # then perhaps a sku, typed
            code = Code(keys=(text,) if text else ())
            if text.isdigit():
                unknown = misread(error)
        if code.whole and code.measured:
            article = await self._store.article(code.whole, now)
            if article is not None:
                return self._sold(article, Code(keys=()))
        for key in code.keys:
            article = await self._store.article(key, now)
            if article is not None:
                return self._sold(article, code)
        return NotScanned(error=unknown)

    def _sold(self, article: ArticleView, code: Code) -> Scanned | NotScanned:
        try:
            return labelled(article, code, LABEL_PRICE[self._language])
        except TillError as error:
            return NotScanned(error=error)


def labelled(article: ArticleView, code: Code, reason: str) -> Scanned:
    """Return what to sell.

    Args:
        article: As the catalogue has it now.
        code: What its label says.
        reason: Of the discount that makes a line cost what the label says.

    Raises:
        UnknownArticle: It has no price.
        NotPossible: It is sold otherwise than its label measures, or the label says zero.
    """
    if article.unit_minor is None:
        raise without_price(article.sku)
    if 0 in (code.grams, code.price_minor, code.pieces):
        raise NotPossible(
            f"Label of {article.sku!r}: expected a weight or a price above zero, got 0.",
            "Weigh it again, or type in how much it is.",
        )
    item = _item(article, article.unit_minor)
    grams = GRAMS.get(article.unit.casefold().rstrip("."))
    if grams is None and code.grams is not None:
        raise NotPossible(
            f"Label of {article.sku!r}: expected a number of {article.unit}, got {code.grams} g.",
            "Count it; tell head office that its unit should be kg.",
        )
    if grams is not None and code.pieces is not None:
        raise NotPossible(
            f"Label of {article.sku!r}: expected a weight, got {code.pieces} pieces.", "Weigh it."
        )
    if code.grams is not None and grams is not None:
        milli = code.grams * ONE_MILLI // grams
        gross = line_total_minor(milli, article.unit_minor)
        told = gross if code.price_minor is None else code.price_minor
        return Scanned(item=item, quantity_milli=milli, discounts=_let_go(gross - told, reason))
    if code.pieces is not None:
        return Scanned(item=item, quantity_milli=code.pieces * ONE_MILLI)
    if code.price_minor is None:
        return Scanned(item=item)
    if grams is None:
        return Scanned(item=_at(item, article, code.price_minor), quantity_milli=ONE_MILLI)
    milli = bought(code.price_minor, article.unit_minor)
    gross = line_total_minor(milli, article.unit_minor)
    return Scanned(
        item=item,
        quantity_milli=milli,
        discounts=_let_go(gross - code.price_minor, reason),
    )


def bought(price_minor: int, unit_minor: int) -> int:
    """Return how many thousandths of a unit a price buys.

    The nearest that cost exactly so much; where none do, the least that cost more.
    """
    nearest = max(1, divide_half_away(price_minor * ONE_MILLI, unit_minor))
    around = sorted({nearest, max(1, nearest - 1), nearest + 1})
    exact = [milli for milli in around if line_total_minor(milli, unit_minor) == price_minor]
    if exact:
        return nearest if nearest in exact else exact[0]
    return next(milli for milli in around if line_total_minor(milli, unit_minor) > price_minor)


def _at(item: Item, article: ArticleView, price_minor: int) -> Item:
    """The same article at the price on its own label, which is no revision of the catalogue."""
    if price_minor == item.unit_minor:
        return item
    name = printed_name(article, listed=False)
    return replace(item, unit_minor=price_minor, carried_name=name, price_version=0)


def _let_go(more_minor: int, reason: str) -> tuple[Discount, ...]:
    return (Discount(reason, more_minor),) if more_minor > 0 else ()


def _item(article: ArticleView, unit_minor: int) -> Item:
    return Item(
        sku=article.sku,
        name=article.fiscal_name,
        carried_name=printed_name(article, listed=True),
        unit=article.unit,
        vat=article.vat,
        unit_minor=unit_minor,
        deposit_minor=article.deposit_minor,
        age_min=article.age_min,
        price_version=article.price_version,
        group=article.group,
    )
