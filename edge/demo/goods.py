"""What each shop of the demo sells: baskets shared out, and what they must come to.

Money is an int in grosz (`_minor`), quantity in thousandths (`_milli`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from uuid import NAMESPACE_URL, UUID, uuid5

from edge.demo import baskets, sample
from edge.demo.baskets import Article, Basket, BasketLine, Totals
from sync.rules.money import line_total_minor

SPARE_MILLI = 10_000
"""Delivered beyond what will be sold, of each article: what must be left at the end."""

TOWNS = ("Kraków", "Łódź", "Gdańsk", "Lublin", "Poznań", "Toruń", "Opole", "Suwałki")


@dataclass(frozen=True, slots=True)
class Due:
    """What one sale must come to."""

    lines: int
    quantity_milli: int
    total_minor: int
    """Deposits included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopGoods:
    """The baskets of one shop, in the order they are sold."""

    number: int
    """The store's in the data."""

    id: str
    name: str
    baskets: tuple[Basket, ...]
    ids: tuple[UUID, ...]
    """A sale's id is known before it is sold, so that it can be asked about afterwards."""

    deposits: dict[str, int]
    """Of one whole unit, by sku."""

    def due(self, basket: Basket) -> Due:
        """Return what its sale must come to."""
        deposits = sum(
            line_total_minor(line.quantity_milli, self.deposits.get(line.sku, 0))
            for line in basket.lines
        )
        quantity = sum(line.quantity_milli for line in basket.lines)
        return Due(len(basket.lines), quantity, basket.value_minor + deposits)

    def delivery(self) -> dict[str, int]:
        """Return thousandths by sku: all that all baskets take, and the spare."""
        return {sku: milli + SPARE_MILLI for sku, milli in self.sold(len(self.baskets)).items()}

    def sold(self, count: int) -> Counter[str]:
        """Return thousandths by sku of the first baskets."""
        total: Counter[str] = Counter()
        for basket in self.baskets[:count]:
            for line in basket.lines:
                total[line.sku] += line.quantity_milli
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods:
    """Everything to sell."""

    real: bool
    """Real shoppers' baskets."""

    articles: tuple[Article, ...]
    shops: tuple[ShopGoods, ...] = field(repr=False)

    def totals(self, shop: ShopGoods, count: int) -> Totals:
        """Sum the first baskets of a shop; real ones straight from the data's own columns."""
        chosen = shop.baskets[:count]
        if self.real:
            return baskets.totals(shop.number, [basket.basket_id for basket in chosen])
        due = [shop.due(basket) for basket in chosen]
        return Totals(
            baskets=len(chosen),
            lines=sum(one.lines for one in due),
            quantity_milli=sum(one.quantity_milli for one in due),
            value_minor=sum(one.total_minor for one in due),
        )


def choose(shops: int, per_shop: int, seed: int) -> Goods:
    """Take real baskets if they can be had, else made-up ones."""
    real = baskets.available()
    if real:
        found = baskets.read(shops, per_shop, seed)
        articles = baskets.articles(found)
    else:
        found = sample.read(shops, per_shop, seed)
        articles = sample.articles()
    deposits = {row.sku: row.deposit_minor for row in articles if row.deposit_minor}
    by_store = groupby(found, key=lambda basket: basket.store_id)
    return Goods(
        real=real,
        articles=articles,
        shops=tuple(
            _shop(number, list(chosen), deposits, seed, real=real) for number, chosen in by_store
        ),
    )


def absorbs(line: BasketLine) -> bool:
    """Tell whether the till adds another scan of the article to the line, not below it."""
    full = line_total_minor(line.quantity_milli, line.list_unit_minor)
    return line.quantity_milli % 1000 == 0 and line.value_minor == full


def _shop(
    number: int, chosen: Sequence[Basket], deposits: dict[str, int], seed: int, *, real: bool
) -> ShopGoods:
    id_ = f"S{number}"
    return ShopGoods(
        number=number,
        id=id_,
        name=f"Store {number}" if real else f"{TOWNS[(number - 1) % len(TOWNS)]} {number}",
        baskets=tuple(
            Basket(basket.store_id, basket.basket_id, tuple(_as_scanned(basket.lines)))
            for basket in chosen
        ),
        ids=tuple(
            uuid5(NAMESPACE_URL, f"karb:demo/{seed}/{id_}/{n}/{basket.basket_id}")
            for n, basket in enumerate(chosen)
        ),
        deposits=deposits,
    )


def _as_scanned(lines: Iterable[BasketLine]) -> list[BasketLine]:
    """Join what the till would join: whole pieces of one article at its full price."""
    joined: dict[str, BasketLine] = {}
    rest: list[BasketLine] = []
    for line in lines:
        before = joined.get(line.sku)
        if not absorbs(line):
            rest.append(line)
        elif before is None:
            joined[line.sku] = line
        else:
            joined[line.sku] = BasketLine(
                product_id=line.product_id,
                sku=line.sku,
                code=line.code,
                quantity_milli=before.quantity_milli + line.quantity_milli,
                value_minor=before.value_minor + line.value_minor,
                list_unit_minor=line.list_unit_minor,
            )
    # Last, so that nothing scanned after them is added to them.
    return [*rest, *joined.values()]
