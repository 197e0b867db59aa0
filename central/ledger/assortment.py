"""What head office has said of articles, prices and VAT of all stores."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, func, select

from central.ledger import bulk
from central.ledger.tables import ARTICLES, OWN, PRICES, PROMOTIONS, SALE_HOURS, VAT_RATES
from central.ledger.unit import Listed
from sync.chain import ALL
from sync.clock import hlc_ms
from sync.facts.catalogue import Article
from sync.facts.hours import SaleHours
from sync.facts.promotion import PromotionTold
from sync.rules import omnibus
from sync.rules.fiscal_name import WIDTH
from sync.rules.promotion import Promotion
from sync.rules.vat import Rate, told

_HIGHEST = "\U0010ffff"


class Told(NamedTuple):
    """An article as it was told once."""

    from_ms: int
    revision: int
    article: Article

    @property
    def rank(self) -> tuple[int, int]:
        """Of those that have begun the highest holds."""
        return self.from_ms, self.revision


def articles(connection: Connection, skus: Iterable[str]) -> dict[str, list[Told]]:
    """Return all that was told of some articles."""
    found: dict[str, list[Told]] = defaultdict(list)
    for part in bulk.chunks(sorted(skus)):
        for row in connection.execute(
            select(ARTICLES).where(ARTICLES.c.store == ALL, ARTICLES.c.sku.in_(part))
        ):
            article = Article(
                row.sku,
                row.name,
                row.fiscal_name,
                row.unit,
                row.vat,
                tuple(row.codes.split()),
                row.deposit_minor,
                row.age_min,
                row.product_group,
            )
            found[row.sku].append(Told(row.from_ms, row.revision, article))
    return found


def prices(connection: Connection, skus: Iterable[str]) -> dict[str, dict[int, int]]:
    """Return for some articles from when (ms) which price holds (minor), as last told."""
    found: dict[str, dict[int, int]] = {}
    for part in bulk.chunks(sorted(skus)):
        for row in connection.execute(
            select(PRICES.c.sku, PRICES.c.from_ms, PRICES.c.unit_minor)
            .where(PRICES.c.store == ALL, PRICES.c.sku.in_(part))
            .order_by(PRICES.c.sku, PRICES.c.revision)
        ):
            found.setdefault(row.sku, {})[row.from_ms] = row.unit_minor  # the latest stays
    return found


def history(connection: Connection, skus: Iterable[str]) -> dict[str, list[tuple[int, int, int]]]:
    """Return all prices of some articles: from when (ms), revision, minor."""
    found: dict[str, list[tuple[int, int, int]]] = {}
    for part in bulk.chunks(sorted(skus)):
        for row in connection.execute(
            select(PRICES.c.sku, PRICES.c.from_ms, PRICES.c.revision, PRICES.c.unit_minor).where(
                PRICES.c.store == ALL, PRICES.c.sku.in_(part)
            )
        ):
            found.setdefault(row.sku, []).append((row.from_ms, row.revision, row.unit_minor))
    return found


def all_prices(connection: Connection) -> dict[str, dict[str, tuple[Listed, ...]]]:
    """Return scope to article to all its prices."""
    found: dict[str, dict[str, tuple[Listed, ...]]] = {}
    for row in connection.execute(
        select(
            PRICES.c.store,
            PRICES.c.sku,
            PRICES.c.from_ms,
            PRICES.c.revision,
            PRICES.c.unit_minor,
            PRICES.c.told_ms,
        )
    ):
        scope, sku, *rest = row
        by_sku = found.setdefault(scope, {})
        by_sku[sku] = (*by_sku.get(sku, ()), Listed(*rest))
    return found


def namesakes(
    connection: Connection, names: Mapping[str, str], beside: Iterable[str]
) -> dict[str, list[Article]]:
    """Return articles whose fiscal name begins as one of some names does, as last told.

    Args:
        connection: Of the ledger.
        names: What a printer compares (`sync.rules.fiscal_name`): of an article to be told,
            by its sku.
        beside: Articles that are told anew, and so do not count.

    Returns:
        By the name asked for.
    """
    leave = set(beside)
    wanted = sorted(set(names.values()))
    candidates: dict[str, set[str]] = {}
    if len(wanted) > _MANY:
        rows = connection.execute(
            select(ARTICLES.c.compared, ARTICLES.c.sku).where(ARTICLES.c.store == ALL)
        ).all()
        by_name: dict[str, set[str]] = defaultdict(set)
        for compared, sku in rows:
            by_name[compared].add(sku)
        candidates = {name: by_name[name] for name in wanted if name in by_name}
    else:
        for name in wanted:
            candidates[name] = set(
                connection.execute(
                    select(ARTICLES.c.sku).where(
                        ARTICLES.c.store == ALL,
                        ARTICLES.c.compared >= name,
                        ARTICLES.c.compared <= name + _HIGHEST,
                    )
                ).scalars()
            )
    skus = {sku for some in candidates.values() for sku in some} - leave
    last = {
        sku: max(rows, key=lambda told: told.revision).article
        for sku, rows in articles(connection, skus).items()
    }
    return {
        name: [last[sku] for sku in sorted(some) if sku in last]
        for name, some in candidates.items()
    }


_MANY = 2000
"""Names from which on the whole list is read once."""


def vat_table(connection: Connection) -> tuple[Rate, ...]:
    """Return what VAT codes mean from which day on."""
    rows = connection.execute(
        select(VAT_RATES.c.code, VAT_RATES.c.since, VAT_RATES.c.basis_points, VAT_RATES.c.exempt)
        .where(VAT_RATES.c.store == ALL)
        .order_by(VAT_RATES.c.code, VAT_RATES.c.since, VAT_RATES.c.revision)
    )
    return told((row.code, row.since, row.basis_points, bool(row.exempt)) for row in rows)


def promotions(connection: Connection) -> dict[str, PromotionTold]:
    """Return what was last told of each promotion, by id."""
    rows = connection.execute(select(PROMOTIONS.c.body).where(PROMOTIONS.c.store == ALL))
    told = [_PROMOTION.decode(row.body) for row in rows]
    return {one.promotion.id: one for one in told}


_PROMOTION = msgspec.msgpack.Decoder(PromotionTold)


def sale_hours(connection: Connection) -> dict[tuple[str, str], SaleHours]:
    """Return scope and target to the hours in which it is not sold, as last told."""
    rows = connection.execute(
        select(SALE_HOURS.c.store, SALE_HOURS.c.target, SALE_HOURS.c.body).order_by(
            SALE_HOURS.c.store, SALE_HOURS.c.target
        )
    )
    return {(row.store, row.target): _HOURS.decode(row.body) for row in rows}


_HOURS = msgspec.msgpack.Decoder(SaleHours)


def lasted(connection: Connection) -> list[Promotion]:
    """Return every promotion that ever held; one that was withdrawn held till then."""
    rows = connection.execute(
        select(PROMOTIONS.c.body, PROMOTIONS.c.hlc).where(PROMOTIONS.c.store == ALL)
    )
    told = [(_PROMOTION.decode(row.body), row.hlc) for row in rows]
    found = [omnibus.lasted(t.promotion, hlc_ms(hlc) if t.withdrawn else None) for t, hlc in told]
    return [promotion for promotion in found if promotion is not None]


class Books(NamedTuple):
    """What it takes to price a basket."""

    articles: dict[str, list[Told]]
    prices: dict[str, list[tuple[int, int, int]]]
    """As `history` says."""

    promotions: list[Promotion]
    """Those that are not withdrawn."""

    lasted: list[Promotion]
    rates: tuple[Rate, ...]


def books(connection: Connection, skus: Iterable[str]) -> Books:
    """Return what it takes to price a basket of some articles."""
    wanted = set(skus)
    return Books(
        articles(connection, wanted),
        history(connection, wanted),
        [one.promotion for one in promotions(connection).values() if not one.withdrawn],
        lasted(connection),
        vat_table(connection),
    )


def name_width(connection: Connection) -> int:
    """Return how many characters a fiscal name has on the chain's narrowest printer."""
    kept = connection.execute(
        select(OWN.c.value).where(OWN.c.store == ALL, OWN.c.name == _NAME_WIDTH)
    ).scalar()
    return int(kept) if kept else WIDTH


def keep_name_width(connection: Connection, width: int) -> None:
    """Remember the width of a fiscal name."""
    bulk.insert(
        connection,
        OWN,
        [(ALL, _NAME_WIDTH, str(width))],
        "ON CONFLICT (store, name) DO UPDATE SET value = excluded.value",
    )


_NAME_WIDTH = "name width"


def last_revision(connection: Connection) -> int:
    """Return the newest revision; 0: there is none."""
    found = [
        connection.execute(select(func.max(table.c.revision)).where(table.c.store == ALL)).scalar()
        for table in (ARTICLES, PRICES, VAT_RATES, PROMOTIONS)
    ]
    return max(revision or 0 for revision in found)
