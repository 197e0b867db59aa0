"""What a basket would cost, without selling it."""

from edge.api.call import Call, Node, Reply
from edge.store.unit import ArticleView
from edge.till.business_day import local
from edge.till.errors import BadSale, UnknownArticle
from sync.rules.offers import Offers
from sync.rules.promotion import Moment
from sync.rules.quote import Priced, QuoteRequest, quote
from sync.rules.vat import UnknownVat


async def post_quote(node: Node, call: Call) -> Reply:
    """Price a basket as this node would sell it."""
    asked: QuoteRequest = call.body
    at_ms = node.clock.now().ms if asked.at_ms is None else asked.at_ms
    settings = await node.counter.settings()
    lines = [
        (await _priced(node, line.sku, at_ms, f"/lines/{n}/sku"), line.quantity_milli)
        for n, line in enumerate(asked.lines)
    ]
    wall = local(at_ms, settings)
    moment = Moment.of(wall, settings.store, asked.channel)._replace(
        customer_groups=frozenset(asked.customer_groups), coupons=frozenset(asked.coupons)
    )
    offers = Offers(await node.store.promotions())
    rates = await node.store.vat_table()
    try:
        return Reply(200, quote(lines, offers, moment, wall.date(), rates, settings.currency))
    except UnknownVat as error:
        raise BadSale(str(error), "Have head office correct the article's VAT code.") from error


async def _priced(node: Node, code: str, at_ms: int, field: str) -> Priced:
    article: ArticleView | None = await node.store.article(code, at_ms)
    if article is None:
        raise UnknownArticle(
            f"Article {code!r}: expected one of the catalogue, found none.",
            "Import it at head office, or correct the line.",
            field=field,
        )
    if article.unit_minor is None:
        raise UnknownArticle(
            f"Article {article.sku!r}: has no price at that moment.",
            "Have head office import a price for it.",
            field=field,
        )
    reduced = await node.store.reduced(article.sku, at_ms)
    return Priced(
        sku=article.sku,
        name=article.name,
        unit=article.unit,
        vat=article.vat,
        unit_minor=article.unit_minor,
        price_version=article.price_version,
        deposit_minor=article.deposit_minor,
        age_min=article.age_min,
        group=article.group,
        lowest_minor=reduced.lowest_minor if reduced else None,
    )
