"""From rows of an import to facts: only what is new or changed, all under one revision.

A date in a row is when its price begins, and whatever else changes with it: name, VAT code,
deposit, age. A price without a date holds as soon as a store hears of it. It is written from
time 0, so that a store without a clock applies it too, unless a dated price stands in its
way: then it is written from now.
"""

import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from central.catalogue.article import ArticleRow
from central.catalogue.importer import BadImport, namesake
from central.ledger import assortment, author
from central.ledger.unit import Unit
from sync.chain import ALL, EVENT_BYTES
from sync.facts import Body
from sync.facts.catalogue import Article, ArticleColumns, Articles, Price, PriceColumns, Prices
from sync.rules.fiscal_name import WIDTH, compared

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


def publish(unit: Unit, rows: Sequence[ArticleRow], width: int = WIDTH) -> Published:
    """Write what is new or changed as facts of all stores.

    Args:
        unit: The transaction.
        rows: As `importer.parse` read them.
        width: Characters of a name on the narrowest fiscal printer.

    Raises:
        BadImport: A name is another article's at another VAT code; nothing is written.
    """
    skus = [row.sku for row in rows]
    known = assortment.articles(unit.connection, skus)
    articles: dict[int, list[Article]] = defaultdict(list)
    for row in rows:
        wanted, told = _article(row), known.get(row.sku)
        # A new article is known at once, whenever its price begins; a change waits for its day.
        begins = row.effective_from_ms or 0 if told else 0
        if told is None or _in_force(told, begins or unit.now_ms) != wanted:
            stands = any(entry.from_ms for entry in told or ())
            articles[begins or (unit.now_ms if stands else 0)].append(wanted)
    _refuse_namesakes(unit, rows, articles, width)
    prices = list(_changed(unit, rows))
    many = sum(map(len, articles.values()))
    if not many and not prices:
        return Published(len(rows), 0, 0, 0)
    revision = next_revision(unit)
    told_now: list[Body] = [
        Articles(revision, ArticleColumns.of(tuple(part)), begins)
        for begins, some in sorted(articles.items())
        for part in _parts(some)
    ]
    told_now += [Prices(revision, PriceColumns.of(tuple(part))) for part in _parts(prices)]
    author.write(unit, ALL, [(secrets.token_bytes(EVENT_BYTES), body) for body in told_now])
    return Published(len(rows), many, len(prices), revision)


def next_revision(unit: Unit) -> int:
    """Draw a revision: Unix seconds, and above every one before."""
    return max(assortment.last_revision(unit.connection) + 1, unit.now_ms // 1000)


def _in_force(told: Sequence[assortment.Told], at_ms: int) -> Article | None:
    begun = [entry for entry in told if entry.from_ms <= at_ms]
    return max(begun, key=lambda entry: entry.rank).article if begun else None


def _refuse_namesakes(
    unit: Unit, rows: Sequence[ArticleRow], told: Mapping[int, Sequence[Article]], width: int
) -> None:
    """Refuse a fiscal name that an article not in the import has at another VAT code."""
    names = {
        article.sku: name
        for some in told.values()
        for article in some
        if (name := compared(article.fiscal_name, width))
    }
    others = assortment.namesakes(unit.connection, names, (row.sku for row in rows))
    mistakes = []
    for number, row in enumerate(rows, start=1):
        name = names.get(row.sku, "")
        for other in others.get(name, ()):
            if other.vat != row.vat and compared(other.fiscal_name, width) == name:
                mistakes.append(namesake(number, row, f"article {other.sku!r}", other, width))
                break
    if mistakes:
        raise BadImport(mistakes, len(mistakes))


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


def _changed(unit: Unit, rows: Sequence[ArticleRow]) -> Iterator[Price]:
    prices = assortment.prices(unit.connection, [row.sku for row in rows])
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
