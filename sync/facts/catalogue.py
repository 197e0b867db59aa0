"""What is sold, and for how much. One writer, head office; the latest revision wins.

A revision is an int that central draws for each import: Unix seconds, and always
above the one before. It is what a sale line notes as its price version.
"""

from datetime import date

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
    from_ms: Whole = 0
    """Unix milliseconds from which they are so (since version 2): of those in force, the
    latest `from_ms` holds, then the latest revision. 0: as soon as a store hears of it."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        rows = self.articles.rows()
        if not all(row.sku for row in rows):
            return "an article needs a sku"
        odd = [row for row in rows if row.deposit_minor < 0 or row.age_min < 0]
        return f"{odd[0].sku!r}: a deposit or an age below zero" if odd else ""


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


class VatRate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a VAT code means from a day on."""

    code: str
    basis_points: Whole
    """2300 is 23 %; 0 for an exempt code."""

    since: Whole
    """First day, as 20260131, by the calendar on the store's wall; of the days that have
    begun the latest holds, then the latest revision."""

    exempt: bool = False


class VatRates(msgspec.Struct, frozen=True, array_like=True):
    """Rates new or changed; those of the law as it was at release are built in."""

    revision: Whole
    rates: tuple[VatRate, ...]

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        for rate in self.rates:
            if not rate.code or not 0 <= rate.basis_points <= 10_000:
                return f"VAT {rate.code!r}: {rate.basis_points} basis points"
            if rate.exempt and rate.basis_points:
                return f"VAT {rate.code!r}: exempt, and {rate.basis_points} basis points"
            if not _is_day(rate.since):
                return f"VAT {rate.code!r}: since {rate.since}, which is no day"
        return ""


def _is_day(number: int) -> bool:
    if not 20_000_101 <= number <= 21_991_231:
        return False
    try:
        date(number // 10_000, number // 100 % 100, number % 100)
    except ValueError:
        return False
    return True
