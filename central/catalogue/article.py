"""One article of an import: checked, in canonical spelling, ready to become facts."""

from typing import Annotated

import msgspec

MAX_SKU = 40
MAX_NAME = 200
MAX_FISCAL_NAME = 40
MAX_UNIT = 10
MAX_GROUP = 100
MAX_CODES = 50
MAX_AGE = 99
MAX_MINOR = 10**9
"""Ten million zloty: above it, a decimal point was lost."""

DEFAULT_UNIT = "szt"


class ArticleRow(msgspec.Struct, frozen=True, kw_only=True):
    """An article and its price, every check of `importer.parse` behind it."""

    sku: str
    name: str
    fiscal_name: str
    """As a receipt prints it."""

    unit: str = DEFAULT_UNIT
    vat: str
    """One of `sync.rules.vat.CODES`."""

    price_minor: int
    """One whole unit, VAT included."""

    codes: tuple[str, ...] = ()
    """GTINs in their shortest form (`sync.rules.barcode`)."""

    deposit_minor: int = 0
    """Deposit on one whole unit, outside VAT."""

    age_min: int = 0
    """Years the buyer must have; 0 if anyone may buy it."""

    group: str = ""
    effective_from_ms: int | None = None
    """Unix milliseconds; None: as soon as a store hears of it."""


Minor = Annotated[int, msgspec.Meta(ge=0, le=MAX_MINOR)]


class ArticleDocument(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An article as the JSON of an import spells it; for the served description only."""

    sku: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_SKU)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
    fiscal_name: Annotated[str, msgspec.Meta(max_length=MAX_FISCAL_NAME)] | None = None
    unit: Annotated[str, msgspec.Meta(max_length=MAX_UNIT)] | None = None
    vat: Annotated[str, msgspec.Meta(pattern="^(23|8|5|0|zw|np)$")]
    price_minor: Annotated[int, msgspec.Meta(gt=0, le=MAX_MINOR)]
    codes: (
        Annotated[
            list[Annotated[str, msgspec.Meta(pattern="^[0-9]{8,14}$")]],
            msgspec.Meta(max_length=MAX_CODES),
        ]
        | None
    ) = None
    deposit_minor: Minor | None = None
    age_min: Annotated[int, msgspec.Meta(ge=0, le=MAX_AGE)] | None = None
    group: Annotated[str, msgspec.Meta(max_length=MAX_GROUP)] | None = None
    effective_from: str | None = None
    """ISO date or date-time; without an offset it is Polish local time."""


class CatalogueDocument(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON body of an import."""

    articles: Annotated[list[ArticleDocument], msgspec.Meta(min_length=1, max_length=200_000)]
