"""What head office has said of articles and prices of all stores."""

from sqlalchemy import Connection, and_, func, select

from central.ledger.tables import ARTICLES, PRICES
from sync.chain import ALL
from sync.facts.catalogue import Article


def articles(connection: Connection) -> dict[str, Article]:
    """Return every article as it was last told."""
    last = (
        select(ARTICLES.c.sku, func.max(ARTICLES.c.revision).label("revision"))
        .where(ARTICLES.c.store == ALL)
        .group_by(ARTICLES.c.sku)
        .subquery()
    )
    same = and_(ARTICLES.c.sku == last.c.sku, ARTICLES.c.revision == last.c.revision)
    return {
        row.sku: Article(
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
        for row in connection.execute(
            select(ARTICLES).join(last, same).where(ARTICLES.c.store == ALL)
        )
    }


def prices(connection: Connection) -> dict[str, dict[int, int]]:
    """Return for every article from when (ms) which price holds (minor), as last told."""
    found: dict[str, dict[int, int]] = {}
    for row in connection.execute(
        select(PRICES.c.sku, PRICES.c.from_ms, PRICES.c.unit_minor)
        .where(PRICES.c.store == ALL)
        .order_by(PRICES.c.sku, PRICES.c.revision)
    ):
        found.setdefault(row.sku, {})[row.from_ms] = row.unit_minor  # the latest revision stays
    return found


def last_revision(connection: Connection) -> int:
    """Return the newest revision; 0: there is none."""
    found = [
        connection.execute(select(func.max(table.c.revision)).where(table.c.store == ALL)).scalar()
        for table in (ARTICLES, PRICES)
    ]
    return max(revision or 0 for revision in found)
