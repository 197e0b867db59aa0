"""Articles as they are sold here: looked for by name, and one with its price."""

from typing import Annotated

import msgspec
from msgspec import Meta

from edge.api.call import Call, Node, Reply
from edge.api.refusals import Refused, scan_problem
from edge.store.unit import ArticleView
from edge.till.basket import Scanned
from edge.till.errors import UnknownArticle

Sought = Annotated[str, Meta(max_length=80)]

FOUND = 24
"""How many are told unless asked for more or fewer."""


class ArticleAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An article and its price now."""

    sku: str
    name: str
    unit: str
    vat: str
    unit_minor: int
    deposit_minor: int
    age_min: int


class ArticlesAnswer(msgspec.Struct, frozen=True):
    """Articles that were looked for."""

    articles: tuple[ArticleAnswer, ...]


class PriceAnswer(ArticleAnswer, frozen=True, kw_only=True):
    """What a code is, what it costs, and how many of it there are."""

    quantity_milli: int | None
    """On the shelf; null: never moved here."""


async def get_articles(node: Node, call: Call) -> Reply:
    """Look for articles."""
    limit = call.path.get("limit", FOUND)
    found = await node.store.search(call.path.get("q", ""), node.clock.now().ms, limit)
    return Reply(200, ArticlesAnswer(tuple(map(_told, found))))


async def get_price(node: Node, call: Call) -> Reply:
    """Tell what a code is and costs; the basket stays as it is."""
    scanned = await node.counter.resolve(call.path["code"])
    if not isinstance(scanned, Scanned):
        if isinstance(scanned.error, UnknownArticle):
            raise Refused(scan_problem(scanned.error))
        raise scanned.error
    item, stock = scanned.item, await node.store.stock(scanned.item.sku)
    return Reply(
        200,
        PriceAnswer(
            sku=item.sku,
            name=item.name,
            unit=item.unit,
            vat=item.vat,
            unit_minor=item.unit_minor,
            deposit_minor=item.deposit_minor,
            age_min=item.age_min,
            quantity_milli=stock.quantity_milli if stock else None,
        ),
    )


def _told(article: ArticleView) -> ArticleAnswer:
    return ArticleAnswer(
        sku=article.sku,
        name=article.name,
        unit=article.unit,
        vat=article.vat,
        unit_minor=article.unit_minor or 0,
        deposit_minor=article.deposit_minor,
        age_min=article.age_min,
    )
