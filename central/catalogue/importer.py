"""Read a catalogue file whole, or name everything that is wrong with it.

JSON, or CSV as a Polish spreadsheet writes it: UTF-8 or cp1250, semicolon, comma or
tab, decimal comma. One bad row refuses the file, so a shop never sells from half an
import.

Pure: bytes in, rows out; what to do with them is the caller's business.
"""

import codecs
import csv
import difflib
import io
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from central.catalogue.article import MAX_FISCAL_NAME, ArticleRow
from central.catalogue.columns import COLUMNS, BadCell, Column, header
from sync.contract.problem import MAX_MISTAKES, Mistake, mistake, shown
from sync.facts.catalogue import Article
from sync.rules.fiscal_name import WIDTH, compared, printed

MAX_BYTES = 32 * 1024 * 1024
MAX_ROWS = 200_000
MAX_LINE = 100_000
"""Characters of one line of CSV."""

MAX_SHEET = 1 << 20
"""Lines of CSV, empty ones too: a spreadsheet has no more."""

JSON_TYPES = ("application/json",)
CSV_TYPES = (
    "text/csv",
    "application/csv",
    "text/tab-separated-values",
    "application/vnd.ms-excel",  # what browsers on Windows call a .csv
)
CHARSETS = {
    "utf-8": "utf-8-sig",
    "utf8": "utf-8-sig",
    "us-ascii": "utf-8-sig",
    "windows-1250": "cp1250",
    "cp1250": "cp1250",
}

_CHARSET_NAMES = {"utf-8-sig": "UTF-8", "cp1250": "cp1250"}
_DELIMITERS = (";", ",", "\t")
_BY_HEADER = {name: column for column in COLUMNS for name in column.headers}
_BY_KEY = {column.key: column for column in COLUMNS}


class BadImport(Exception):
    """Nothing was imported; the mistakes say why."""

    def __init__(self, mistakes: Sequence[Mistake], bad_rows: int = 0) -> None:
        self.mistakes = tuple(mistakes[:MAX_MISTAKES])
        """The first hundred."""

        self.bad_rows = bad_rows
        """How many rows are bad, listed or not; 0: the file as a whole is."""

        what = f"{bad_rows} bad row{'s' * (bad_rows > 1)}" if bad_rows else "The file is bad"
        super().__init__(f"{what}; nothing was imported. First, {self.mistakes[0]}")


class UnknownFormat(BadImport):
    """Neither JSON nor CSV, going by its content type."""


class ImportTooLarge(BadImport):
    """More bytes or rows than one import takes."""


def parse(data: bytes, content_type: str, width: int = WIDTH) -> list[ArticleRow]:
    """Read a file.

    Args:
        data: The file as it came.
        content_type: As HTTP says it; for CSV a ``charset`` is obeyed, else found out.
        width: Characters of a name on the narrowest fiscal printer: two articles whose
            names are one to it must have one VAT code.

    Raises:
        BadImport: Something is wrong with it; nothing of it may be used.
    """
    media, charset = _media(content_type)
    if len(data) > MAX_BYTES:
        raise ImportTooLarge(
            [
                mistake(
                    "file", f"{len(data)} bytes", f"at most {MAX_BYTES} bytes", "send it in parts"
                )
            ]
        )
    if media in JSON_TYPES:
        return _parse_json(data, width)
    return _parse_csv(_decoded(data, charset), width)


def namesake(
    number: int, row: ArticleRow, whose: str, other: Article | ArticleRow, width: int
) -> Mistake:
    """Say that two articles are one to a fiscal printer, at two VAT codes.

    Args:
        number: Of the row.
        row: What is to be told.
        whose: The other one, in words.
        other: The other one.
        width: Of the printer's names.
    """
    return mistake(
        f"row {number}, fiscal_name",
        row.fiscal_name,
        f"a name of its own: a fiscal printer prints {printed(row.fiscal_name, width)!r}, and "
        f"{whose} ({other.fiscal_name!r}) has that at VAT {other.vat}, not {row.vat}",
        "give one of them another fiscal name, or both the same VAT code",
    )


class _Reading:
    """Rows so far, and what is wrong so far."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._by_name: dict[str, tuple[int, ArticleRow]] = {}
        self.rows: list[ArticleRow] = []
        self.mistakes: list[Mistake] = []
        self._bad_rows: set[int] = set()
        self._row_of_sku: dict[str, int] = {}
        self._sku_of_code: dict[str, str] = {}

    @property
    def full(self) -> bool:
        """Further mistakes would not be listed."""
        return len(self.mistakes) >= MAX_MISTAKES

    def unreadable(self, row: int, column: str, value: object, bad: BadCell) -> None:
        """Note a cell that could not be read."""
        self.wrong(row, column, value if bad.value is None else bad.value, bad.expected, bad.cure)

    def wrong(self, row: int, column: str, value: object, expected: str, cure: str = "") -> None:
        """Note what is wrong with a value."""
        self.note(row, mistake(f"row {row}, {column}", value, expected, cure))

    def note(self, row: int, what: Mistake) -> None:
        """Note a mistake; beyond the cap only the row is counted."""
        self._bad_rows.add(row)
        if not self.full:
            self.mistakes.append(what)

    def add(self, row: int, values: dict[str, Any], names: dict[str, str]) -> None:
        """Take a row whose cells are read; `names` are the file's own names of the fields."""
        sku = values.get("sku")
        if sku is None:
            return
        first = self._row_of_sku.setdefault(sku, row)
        if first != row:
            self.wrong(
                row, names["sku"], sku, f"each SKU once, row {first} has it", "keep one of them"
            )
            return
        for code in values.get("codes", ()):
            owner = self._sku_of_code.setdefault(code, sku)
            if owner != sku:
                self.wrong(
                    row,
                    names["codes"],
                    code,
                    f"each barcode on one article, {owner!r} has it",
                    "remove it from one of them",
                )
        if row in self._bad_rows:
            return
        if not values.get("fiscal_name"):
            folded = " ".join(values["name"].split())
            values["fiscal_name"] = folded[:MAX_FISCAL_NAME].rstrip()
        made = ArticleRow(**values)
        name = compared(made.fiscal_name, self._width)
        number, other = self._by_name.setdefault(name, (row, made))
        if name and other.vat != made.vat:
            self.note(row, namesake(row, made, f"row {number}", other, self._width))
        if not self.mistakes:
            self.rows.append(made)

    def finish(self) -> list[ArticleRow]:
        """Return all rows.

        Raises:
            BadImport: One of them was bad, or there is none.
        """
        if self.mistakes:
            raise BadImport(self.mistakes, len(self._bad_rows))
        if not self.rows:
            raise BadImport([mistake("file", "no article", "at least one article")])
        return self.rows


def _media(content_type: str) -> tuple[str, str | None]:
    media, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if media not in JSON_TYPES + CSV_TYPES:
        raise UnknownFormat([mistake("Content-Type", content_type, "application/json or text/csv")])
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "charset":
            charset = value.strip().strip('"')
            if charset not in CHARSETS:
                raise UnknownFormat(
                    [
                        mistake(
                            "Content-Type",
                            content_type,
                            "a charset of utf-8 or windows-1250",
                            "save the file as CSV UTF-8",
                        )
                    ]
                )
            return media, CHARSETS[charset]
    return media, None


def _parse_json(data: bytes, width: int) -> list[ArticleRow]:
    try:
        whole = msgspec.json.decode(data.removeprefix(codecs.BOM_UTF8))
    except (msgspec.DecodeError, UnicodeDecodeError) as bad:
        raise BadImport([mistake("file", data[:40], "JSON in UTF-8", _reason(bad))]) from bad
    except RecursionError as deep:
        raise BadImport([mistake("file", data[:40], "JSON with an object of articles")]) from deep
    if not isinstance(whole, dict) or set(whole) != {"articles"}:
        keys = ", ".join(sorted(whole)) if isinstance(whole, dict) else type(whole).__name__
        raise BadImport([mistake("file", keys, 'an object with "articles" alone')])
    articles = whole["articles"]
    if not isinstance(articles, list):
        raise BadImport([mistake("articles", type(articles).__name__, "a list of articles")])
    _check_rows(len(articles))
    reading = _Reading(width)
    names = {column.field: column.key for column in COLUMNS}
    for number, article in enumerate(articles, start=1):
        if not isinstance(article, dict):
            reading.wrong(number, "article", article, "an object with sku, name, vat, price_minor")
            continue
        if not article.keys() <= _BY_KEY.keys():
            _unknown_keys(reading, number, article)
        values: dict[str, Any] = {}
        for column in COLUMNS:
            given = article.get(column.key)
            try:
                values[column.field] = column.of_json(given)
            except BadCell as bad:
                value = "nothing" if given is None else given
                reading.unreadable(number, column.key, value, bad)
        reading.add(number, values, names)
    return reading.finish()


def _unknown_keys(reading: _Reading, number: int, article: dict[str, Any]) -> None:
    for key in sorted(article.keys() - _BY_KEY.keys()):
        reading.wrong(number, shown(key), article[key], *_no_such(key, tuple(_BY_KEY)))
        if reading.full:
            return


def _parse_csv(text: str, width: int) -> list[ArticleRow]:
    delimiter = _delimiter(text)
    records = _records(text, delimiter)
    _, headings = next(records)
    columns = _columns(headings)
    names = {column.field: headings[place].strip() for place, column in columns}
    reading = _Reading(width)
    count = 0
    for number, cells in records:
        if not any(cell.strip() for cell in cells):
            continue
        count += 1
        _check_rows(count)
        if len(cells) > len(headings) and any(cells[len(headings) :]):
            reading.wrong(
                number,
                f"cell {len(headings) + 1}",
                next(cell for cell in cells[len(headings) :] if cell),
                f"{len(headings)} cells, as the headings have",
                f"put quotes around a value that contains {delimiter!r}",
            )
        values: dict[str, Any] = {}
        for place, column in columns:
            cell = cells[place] if place < len(cells) else ""
            try:
                values[column.field] = column.of_text(cell)
            except BadCell as bad:
                reading.unreadable(number, names[column.field], cell, bad)
        for place, heading in enumerate(headings):
            if not heading.strip() and place < len(cells) and cells[place].strip():
                reading.wrong(
                    number, f"cell {place + 1}", cells[place], "nothing under an empty heading"
                )
        reading.add(number, values, names)
    return reading.finish()


def _decoded(data: bytes, charset: str | None) -> str:
    if data[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        raise BadImport(
            [mistake("file", "UTF-16", "UTF-8 or cp1250", "save the file as CSV UTF-8")]
        )
    if data.startswith(codecs.BOM_UTF8):
        charset = "utf-8-sig"
    for attempt in (charset,) if charset else ("utf-8-sig", "cp1250"):
        try:
            return data.decode(attempt)
        except UnicodeDecodeError as error:
            where = error
    raise BadImport(
        [
            mistake(
                "file",
                f"byte 0x{data[where.start]:02x} at {where.start}",
                _CHARSET_NAMES.get(charset or "", "UTF-8 or cp1250"),
                "save the file as CSV UTF-8",
            )
        ]
    )


def _delimiter(text: str) -> str:
    """Find the delimiter that makes the most of the headings; the first wins a draw."""
    first = text[: MAX_LINE + 1].split("\n", 1)[0].split("\r", 1)[0]
    if len(first) > MAX_LINE:
        raise BadImport([mistake("row 1", first, f"headings of at most {MAX_LINE} characters")])
    known = {delimiter: _known_headings(first, delimiter) for delimiter in _DELIMITERS}
    best = max(_DELIMITERS, key=known.__getitem__)
    if not known[best]:
        raise BadImport(
            [
                mistake(
                    "row 1",
                    first,
                    "headings such as sku;nazwa;vat;cena",
                    "put the names of the columns into the first row",
                )
            ]
        )
    return best


def _known_headings(first: str, delimiter: str) -> int:
    try:
        cells = next(csv.reader([first], delimiter=delimiter), [])
    except csv.Error:
        return 0
    return sum(header(cell) in _BY_HEADER for cell in cells)


def _columns(headings: list[str]) -> list[tuple[int, Column]]:
    found: list[tuple[int, Column]] = []
    mistakes: list[Mistake] = []
    for place, heading in enumerate(headings):
        folded = header(heading)
        if not folded:
            continue
        if len(mistakes) >= MAX_MISTAKES:
            break
        column = _BY_HEADER.get(folded)
        if column is None:
            mistakes.append(mistake("row 1", heading, *_no_such(folded, tuple(_BY_HEADER))))
        elif any(column is other for _, other in found):
            mistakes.append(
                mistake("row 1", heading, "each column once", "remove the one you do not mean")
            )
        else:
            found.append((place, column))
    present = [column for _, column in found]
    mistakes += [
        mistake("row 1", "no such column", f"a column {' or '.join(column.headers)}")
        for column in COLUMNS
        if column.required and column not in present
    ]
    if mistakes:
        raise BadImport(mistakes)
    return found


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with its row number, as a spreadsheet would number it."""
    reader = csv.reader(_lines(text), delimiter=delimiter, strict=True)
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as bad:
            raise BadImport(
                [
                    mistake(
                        f"row {number}",
                        str(bad),
                        "cells in which every quotation mark is doubled and every quote closed",
                    )
                ],
                1,
            ) from bad
        yield number, cells


def _lines(text: str) -> Iterator[str]:
    for number, row in enumerate(io.StringIO(text, newline=""), start=1):
        if number > MAX_SHEET:
            raise ImportTooLarge(
                [mistake("file", f"more than {MAX_SHEET} lines", f"at most {MAX_SHEET} lines")]
            )
        if len(row) > MAX_LINE:
            raise BadImport(
                [mistake(f"line {number}", row, f"at most {MAX_LINE} characters")], bad_rows=1
            )
        yield row


def _check_rows(count: int) -> None:
    if count > MAX_ROWS:
        raise ImportTooLarge(
            [
                mistake(
                    "file", f"{count} articles", f"at most {MAX_ROWS} articles", "send it in parts"
                )
            ]
        )


def _no_such(given: str, known: tuple[str, ...]) -> tuple[str, str]:
    close = difflib.get_close_matches(given[:40], known, n=1)
    cure = f"did you mean {close[0]!r}?" if close else "remove or rename it"
    return f"one of {', '.join(known)}", cure.removesuffix(".")


def _reason(bad: Exception) -> str:
    """Return a decoder's own words, as a cure."""
    return f"the decoder says: {str(bad).rstrip('.')}"
