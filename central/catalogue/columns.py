"""The columns of an import: their names, and how one cell or one JSON value is read.

A cell is text as a Polish spreadsheet writes it: ``1 234,50``, ``23%``, ``5.01.2026``.
No float is ever made of it.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from central.catalogue.article import (
    DEFAULT_UNIT,
    MAX_AGE,
    MAX_CODES,
    MAX_FISCAL_NAME,
    MAX_GROUP,
    MAX_MINOR,
    MAX_NAME,
    MAX_SKU,
    MAX_UNIT,
)
from sync.rules import barcode, vat

ZONE = "Europe/Warsaw"
"""Of a date without an offset."""

AS_TEXT = (
    "the spreadsheet turned the code into a number; format the column as text and enter it again"
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPACES = " \u00a0\u202f"
_HARD_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " "})
_SCIENTIFIC = re.compile(r"[0-9]+(?:[.,][0-9]+)?E\+[0-9]+", re.IGNORECASE)
_MONEY = re.compile(r"([0-9]{1,3}(?:[ \u00a0\u202f][0-9]{3})+|[0-9]{1,12})(?:[.,]([0-9]{1,2}))?")
_CURRENCY = re.compile(r"[ \u00a0\u202f]?(?:zł|pln)$", re.IGNORECASE)
_WHOLE = re.compile(r"[0-9]{1,9}")
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_POLISH = re.compile(
    r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})(?: ([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?)?"
)


class BadCell(Exception):
    """What was expected instead, and the cure."""

    def __init__(self, expected: str, cure: str = "", value: str | None = None) -> None:
        super().__init__(expected)
        self.expected = expected
        self.cure = cure
        self.value = value
        """The bad part of a cell that holds several; None: all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column, in both languages and both formats."""

    field: str
    """Of `ArticleRow`."""

    key: str
    """In JSON."""

    headers: tuple[str, ...]
    """In a spreadsheet, as `header` folds them."""

    of_text: Callable[[str], Any]
    """Reads a cell; an empty one is absent."""

    of_json: Callable[[Any], Any]
    """Reads a value; None is absent."""

    required: bool = False


def header(cell: str) -> str:
    """Fold a heading: case, spaces, underscores and the final dot do not count."""
    words = cell.translate(_HARD_SPACES).replace("_", " ").split()
    return unicodedata.normalize("NFC", " ".join(words)).casefold().removesuffix(".")


def line(text: str, limit: int) -> str:
    """Read one line of text: trimmed, composed, printable.

    Raises:
        BadCell: Too long, or with control characters.
    """
    bare = text.translate(_HARD_SPACES).strip(" ")
    if not bare.isascii():
        bare = unicodedata.normalize("NFC", bare)
    if len(bare) > limit:
        raise BadCell(f"at most {limit} characters, not {len(bare)}", "shorten it")
    if not bare.isprintable():
        odd = next(char for char in bare if not char.isprintable())
        raise BadCell(
            f"printable characters only, not U+{ord(odd):04X}", "type it again without it"
        )
    return bare


def sku(text: str) -> str:
    """Read an article's number."""
    bare = line(text, MAX_SKU)
    if not bare:
        raise BadCell("a SKU of 1 to 40 characters", "give the article a number of its own")
    if _SCIENTIFIC.fullmatch(bare):
        raise BadCell("a SKU as it was typed", AS_TEXT)
    return bare


def name(text: str) -> str:
    """Read a name; it must not be empty."""
    bare = line(text, MAX_NAME)
    if not bare:
        raise BadCell("a name of 1 to 200 characters", "name the article")
    return bare


def fiscal_name(text: str) -> str:
    """Read the name a receipt prints; spaces folded."""
    return " ".join(line(text, MAX_FISCAL_NAME).split())


def unit(text: str) -> str:
    """Read a unit."""
    return line(text, MAX_UNIT) or DEFAULT_UNIT


def group(text: str) -> str:
    """Read a group."""
    return line(text, MAX_GROUP)


def vat_code(text: str) -> str:
    """Read a VAT code."""
    try:
        return vat.parse(text)
    except vat.UnknownVat as unknown:
        raise BadCell(f"one of {', '.join(vat.CODES)}") from unknown


def price(text: str) -> int:
    """Read a price in zloty as grosz."""
    amount = money(text)
    return in_range(amount, 1, MAX_MINOR, "a price from 0,01 to 10 000 000,00")


def deposit(text: str) -> int:
    """Read a deposit in zloty as grosz; empty is none."""
    if not text.strip(_SPACES):
        return 0
    return in_range(money(text), 0, MAX_MINOR, "a deposit from 0,00 to 10 000 000,00")


def money(text: str) -> int:
    """Read zloty as grosz: ``5,90``, ``5.9``, ``1 234,50``, ``5,90 zł``.

    Raises:
        BadCell: It is something else.
    """
    bare = text.strip(_SPACES)
    found = _MONEY.fullmatch(_CURRENCY.sub("", bare)) if len(bare) <= 30 else None
    if found is None:
        raise BadCell(
            "an amount in zloty such as 1 234,50",
            "write zloty, a comma, and at most two digits of grosz",
        )
    whole = "".join(digit for digit in found[1] if digit not in _SPACES)
    return int(whole) * 100 + int((found[2] or "0").ljust(2, "0"))


def age(text: str) -> int:
    """Read an age; empty is none."""
    bare = text.strip(_SPACES).removesuffix("+")
    if not bare:
        return 0
    if not _WHOLE.fullmatch(bare):
        raise BadCell(f"whole years from 0 to {MAX_AGE}")
    return in_range(int(bare), 0, MAX_AGE, f"whole years from 0 to {MAX_AGE}")


def codes(text: str) -> tuple[str, ...]:
    """Read barcodes separated by spaces or bars."""
    return gtins(text.replace("|", " ").translate(_HARD_SPACES).split(" "))


def gtins(parts: list[str]) -> tuple[str, ...]:
    """Read barcodes; one named twice counts once.

    Raises:
        BadCell: One is no GTIN, or there are too many.
    """
    found: dict[str, None] = {}
    for part in parts:
        bare = part.strip(" ")
        if not bare:
            continue
        if _SCIENTIFIC.fullmatch(bare):
            raise BadCell("a barcode of 8, 12, 13 or 14 digits", AS_TEXT, bare)
        try:
            found[barcode.canonical(bare)] = None
        except barcode.BadBarcode as bad:
            raise BadCell(bad.expected, bad.cure, bare) from bad
    if len(found) > MAX_CODES:
        raise BadCell(f"at most {MAX_CODES} barcodes, not {len(found)}")
    return tuple(found)


@lru_cache(maxsize=1024)
def moment(text: str) -> int | None:
    """Read when a price begins, in Unix milliseconds; empty is at once.

    Local time without an offset; an hour that comes twice means its first coming.

    Raises:
        BadCell: Neither an ISO nor a Polish date, or not of this century.
    """
    bare = text.strip(_SPACES)
    if not bare:
        return None
    try:
        when = _datetime(bare)
    except ValueError:
        when = None
    if when is None or not 2000 <= when.year < 2100:
        raise BadCell("a date such as 2026-01-31, 2026-01-31T06:00 or 31.01.2026 06:00")
    if when.tzinfo is None:
        when = when.replace(tzinfo=ZoneInfo(ZONE))
    return (when - _EPOCH) // timedelta(milliseconds=1)


def in_range(value: int, low: int, high: int, expected: str) -> int:
    """Return the value if it lies between two bounds.

    Raises:
        BadCell: It does not.
    """
    if not low <= value <= high:
        raise BadCell(expected)
    return value


def _datetime(text: str) -> datetime | None:
    if _ISO.fullmatch(text):
        return datetime.fromisoformat(text)
    found = _POLISH.fullmatch(text)
    if found is None:
        return None
    day, month, year, hour, minute, second = (int(part or 0) for part in found.groups())
    return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - local, see `moment`


def _json_text(read: Callable[[str], Any], *, required: bool = False) -> Callable[[Any], Any]:
    def of_json(value: Any) -> Any:
        if value is None and not required:
            return read("")
        if not isinstance(value, str):
            raise BadCell("a text in quotes")
        return read(value)

    return of_json


def _json_whole(low: int, high: int, *, required: bool = False) -> Callable[[Any], int]:
    expected = f"a whole number from {low} to {high}"

    def of_json(value: Any) -> int:
        if value is None and not required:
            return 0
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadCell(expected)
        return in_range(value, low, high, expected)

    return of_json


def _json_codes(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise BadCell("a list of texts in quotes")
    return gtins(value)


COLUMNS: tuple[Column, ...] = (
    Column(
        field="sku",
        key="sku",
        headers=("sku", "indeks", "kod", "kod towaru", "symbol"),
        of_text=sku,
        of_json=_json_text(sku, required=True),
        required=True,
    ),
    Column(
        field="name",
        key="name",
        headers=("name", "nazwa", "nazwa towaru"),
        of_text=name,
        of_json=_json_text(name, required=True),
        required=True,
    ),
    Column(
        field="fiscal_name",
        key="fiscal_name",
        headers=("fiscal name", "nazwa fiskalna"),
        of_text=fiscal_name,
        of_json=_json_text(fiscal_name),
    ),
    Column(
        field="unit",
        key="unit",
        headers=("unit", "jednostka", "jm", "j.m"),
        of_text=unit,
        of_json=_json_text(unit),
    ),
    Column(
        field="vat",
        key="vat",
        headers=("vat", "stawka", "stawka vat"),
        of_text=vat_code,
        of_json=_json_text(vat_code, required=True),
        required=True,
    ),
    Column(
        field="price_minor",
        key="price_minor",
        headers=("price", "cena", "cena brutto"),
        of_text=price,
        of_json=_json_whole(1, MAX_MINOR, required=True),
        required=True,
    ),
    Column(
        field="codes",
        key="codes",
        headers=("ean", "gtin", "kod kreskowy", "kody kreskowe", "codes", "barcode"),
        of_text=codes,
        of_json=_json_codes,
    ),
    Column(
        field="deposit_minor",
        key="deposit_minor",
        headers=("deposit", "kaucja"),
        of_text=deposit,
        of_json=_json_whole(0, MAX_MINOR),
    ),
    Column(
        field="age_min",
        key="age_min",
        headers=("age min", "wiek"),
        of_text=age,
        of_json=_json_whole(0, MAX_AGE),
    ),
    Column(
        field="group",
        key="group",
        headers=("group", "grupa"),
        of_text=group,
        of_json=_json_text(group),
    ),
    Column(
        field="effective_from_ms",
        key="effective_from",
        headers=("effective from", "cena od"),
        of_text=moment,
        of_json=_json_text(moment),
    ),
)
"""In the order a spreadsheet would have them."""
