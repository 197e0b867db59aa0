"""What is sold, and for how much. One writer, head office; the latest revision wins.

A revision is an int that central draws for each import: Unix seconds, and always
above the one before. It is what a sale line notes as its price version.
"""

import msgspec

from sync.facts import columns
from sync.facts.columns import Whole


class Article(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One article as sold."""

    sku: str
    name: str
    fiscal_name: str
    """As a receipt prints it, at most 40 characters."""

    unit: str
    vat: str
    """Code, such as ``23`` or ``zw`` (`sync.rules.vat`)."""

    codes: tuple[str, ...] = ()
    """What a scanner may read for it, digits in the shortest GTIN form."""

    deposit_minor: Whole = 0
    """Deposit on one whole unit."""

    age_min: Whole = 0
    """Years the buyer must have; 0 if anyone may buy it."""

    group: str = ""


class ArticleColumns(msgspec.Struct, frozen=True, array_like=True):
    """Articles, as columns (`sync.facts.columns`)."""

    n: int
    sku: list[str]
    name: list[str]
    fiscal_name: list[str]
    unit: list[str]
    vat: list[str]
    codes: list[tuple[str, ...]]
    deposit_minor: list[Whole]
    age_min: list[Whole]
    group: list[str]

    @classmethod
    def of(cls, rows: tuple[Article, ...]) -> "ArticleColumns":
        """Turn rows into columns."""
        return cls(len(rows), *(columns.pack(rows) or [[] for _ in range(9)]))

    def rows(self) -> tuple[Article, ...]:
        """Turn columns into rows.

        Raises:
            BadFact: The columns are not of one length.
        """
        _, *fields = msgspec.structs.astuple(self)
        return tuple(Article(*row) for row in columns.unpack(self.n, fields))


class Articles(msgspec.Struct, frozen=True, array_like=True):
    """A part of an import: articles new or changed."""

    revision: Whole
    articles: ArticleColumns

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        return "" if all(row.sku for row in self.articles.rows()) else "an article needs a sku"


class Price(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one whole unit costs from a moment on."""

    sku: str
    unit_minor: Whole
    """Tax included."""

    from_ms: Whole = 0
    """Unix milliseconds; of the prices in force, the latest `from_ms` holds, then the
    latest revision."""


class PriceColumns(msgspec.Struct, frozen=True, array_like=True):
    """Prices, as columns (`sync.facts.columns`)."""

    n: int
    sku: list[str]
    unit_minor: list[Whole]
    from_ms: list[Whole]

    @classmethod
    def of(cls, rows: tuple[Price, ...]) -> "PriceColumns":
        """Turn rows into columns."""
        return cls(len(rows), *(columns.pack(rows) or ([], [], [])))

    def rows(self) -> tuple[Price, ...]:
        """Turn columns into rows.

        Raises:
            BadFact: The columns are not of one length.
        """
        return tuple(
            Price(*row) for row in columns.unpack(self.n, (self.sku, self.unit_minor, self.from_ms))
        )


class Prices(msgspec.Struct, frozen=True, array_like=True):
    """A part of an import: prices new or changed."""

    revision: Whole
    prices: PriceColumns

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        bad = [row for row in self.prices.rows() if not row.sku or row.unit_minor < 0]
        return f"{bad[0].sku!r}: {bad[0].unit_minor} grosz" if bad else ""
