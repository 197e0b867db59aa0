"""From rows of an import to facts: only what is new or changed, all under one revision.

A price without a date holds as soon as a store hears of it. It is written from time 0,
so that a store without a clock applies it too, unless a dated price stands in its way:
then it is written from now.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from central.catalogue.article import ArticleRow
from central.ledger import assortment, author
from central.ledger.unit import Unit
from sync.chain import ALL, EVENT_BYTES
from sync.facts import Body
from sync.facts.catalogue import Article, ArticleColumns, Articles, Price, PriceColumns, Prices

MAX_ROWS = 500
MAX_BYTES = 128 * 1024
"""Of one fact: half of what a fact may have."""

_Row = TypeVar("_Row", Article, Price)


class Published(msgspec.Struct, frozen=True):
    """What became of an import."""

    rows: int
    articles: int
    """New or changed."""

    prices: int
    """New or changed."""

    revision: int
    """Under which; 0: nothing was."""


def publish(unit: Unit, rows: Sequence[ArticleRow]) -> Published:
    """Write what is new or changed as facts of all stores."""
    known = assortment.articles(unit.connection)
    articles = [row for row in map(_article, rows) if row != known.get(row.sku)]
    prices = list(_changed(unit, rows))
    if not articles and not prices:
        return Published(len(rows), 0, 0, 0)
    revision = max(assortment.last_revision(unit.connection) + 1, unit.now_ms // 1000)
    told: list[Body] = [
        Articles(revision, ArticleColumns.of(tuple(part))) for part in _parts(articles)
    ]
    told += [Prices(revision, PriceColumns.of(tuple(part))) for part in _parts(prices)]
    author.write(unit, ALL, [(secrets.token_bytes(EVENT_BYTES), body) for body in told])
    return Published(len(rows), len(articles), len(prices), revision)


def _article(row: ArticleRow) -> Article:
    return Article(
        row.sku,
        row.name,
        row.fiscal_name,
        row.unit,
        row.vat,
        row.codes,
        row.deposit_minor,
        row.age_min,
        row.group,
    )


def _changed(unit: Unit, rows: Iterable[ArticleRow]) -> Iterator[Price]:
    prices = assortment.prices(unit.connection)
    for wanted in rows:
        known = prices.get(wanted.sku, {})
        if wanted.effective_from_ms is not None:
            if known.get(wanted.effective_from_ms) != wanted.price_minor:
                yield Price(wanted.sku, wanted.price_minor, wanted.effective_from_ms)
            continue
        in_force = max((at for at in known if at <= unit.now_ms), default=None)
        if in_force is None or known[in_force] != wanted.price_minor:
            yield Price(wanted.sku, wanted.price_minor, unit.now_ms if in_force else 0)


def _parts(rows: Sequence[_Row]) -> Iterator[list[_Row]]:
    """Cut rows so that each part makes a fact within its bounds."""
    part: list[_Row] = []
    size = 0
    for row in rows:
        length = len(msgspec.msgpack.encode(row))
        if part and (len(part) >= MAX_ROWS or size + length > MAX_BYTES):
            yield part
            part, size = [], 0
        part.append(row)
        size += length
    if part:
        yield part
