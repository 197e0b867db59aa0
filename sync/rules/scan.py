r"""What a scanner sent → which article, how much of it, and what else the label says.

Taken, with or without the symbology identifier (`]E0`) that a scanner can put in front:

- a GTIN, bare or with the add-on of a newspaper;
- a shop's own label, 20 to 29 (`sync.rules.in_store`);
- a GS1 element string of a GS1-128, DataBar, DataMatrix or QR code, its fields ended by FNC1,
  which scanners send as the character GS (`\x1d`);
- a GS1 Digital Link, the address in newer QR codes.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import date

from sync.rules import in_store
from sync.rules.barcode import BadBarcode, canonical, check_digit
from sync.rules.in_store import Patterns

MAX_SCAN = 128
"""Longest text a scan may have."""

GS = "\x1d"
PLN = "985"
"""Its number in ISO 4217."""

_AIM = re.compile(r"\][A-Za-z][0-9A-Za-z]")
_AIM_GS1 = ("]C1", "]d2", "]e0", "]Q3", "]J1")
_AIM_WITH_ADD_ON = "]E3"
_ADD_ON = re.compile(r"([0-9]{13})([0-9]{2}|[0-9]{5})")
_PERIODICAL = ("977", "978", "979")
"""Newspapers and books: the only goods that carry an add-on."""

_LINK = re.compile(r"https?://", re.IGNORECASE)
_VARIABLE = "9"
"""First of the fourteen digits of goods whose measure is told beside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What was read. Nothing is known yet of whether there is such an article."""

    keys: tuple[str, ...]
    """What the catalogue may call it, the likeliest first; a GTIN in its canonical form."""

    whole: str = ""
    """The whole number of a shop's own label: an article may be called so all the same."""

    grams: int | None = None
    price_minor: int | None = None
    """Of this piece, as its label says."""

    pieces: int | None = None
    batch: str = ""
    serial: str = ""
    expiry: date | None = None
    """Not to be sold after this day (AI 17)."""

    best_before: date | None = None
    add_on: str = ""
    """Issue of a newspaper, two or five digits."""

    @property
    def measured(self) -> bool:
        """Whether it says how much there is, above zero."""
        return bool(self.grams or self.price_minor or self.pieces)


def read(scanned: str, patterns: Patterns, year: int) -> Code:
    r"""Read a scan.

    The day of an expiry is read as GS1 says, within 49 years back and 50 ahead; one that is no
    day is left out: it is the maker's mistake, and no reason not to sell.

    >>> read("]E05901234123457", {}, 2026).keys
    ('5901234123457',)
    >>> read("2912345014681", in_store.DEFAULT, 2026).grams
    1468
    >>> code = read("]d20109501101530003172601311042\x1d2112", {}, 2026)
    >>> code.keys, code.expiry, code.batch, code.serial
    (('9501101530003',), datetime.date(2026, 1, 31), '42', '12')
    >>> read("]C10195012341234540", {}, 2026).keys  # a wrong check digit
    Traceback (most recent call last):
    sync.rules.barcode.BadBarcode: Code '95012341234540': expected check digit 6, got 0; ...

    Args:
        scanned: As the scanner sent it.
        patterns: Of the shop's own labels.
        year: The current one.

    Raises:
        BadBarcode: There is no article's number in it, or it was misread.
    """
    text = scanned.strip(" \r\n\t")
    if not text:
        raise BadBarcode(text, "a barcode, got nothing", "scan again")
    if len(text) > MAX_SCAN:
        raise BadBarcode(
            text, f"at most {MAX_SCAN} characters, got {len(text)}", "scan one code at a time"
        )
    aim = _AIM.match(text)
    payload = bare(text)
    if aim is not None and aim[0] in _AIM_GS1:
        return _gs1(text, payload, year)
    if _LINK.match(payload):
        return _gs1(text, payload, year, link=True)
    issue = _ADD_ON.fullmatch(payload)
    with_add_on = aim is not None and aim[0] == _AIM_WITH_ADD_ON
    if issue is not None and (with_add_on or payload.startswith(_PERIODICAL)):
        return Code(keys=(canonical(issue[1]),), add_on=issue[2])
    if aim is None and (GS in payload or _begins_with_gtin(payload)):
        return _gs1(text, payload, year)
    return _number(payload, patterns)


def bare(scanned: str) -> str:
    """Return a scan without its symbology identifier, and without FNC1 in front."""
    text = scanned.strip(" \r\n\t")
    aim = _AIM.match(text)
    return (text[3:] if aim is not None else text).lstrip(GS)


def _number(digits: str, patterns: Patterns) -> Code:
    gtin = canonical(digits)
    label = in_store.read(gtin, patterns)
    if label is None:
        return Code(keys=(gtin,))
    return Code(
        keys=label.keys,
        whole=gtin,
        grams=label.amount if label.measure == "W" else None,
        price_minor=label.amount if label.measure == "C" else None,
        pieces=label.amount if label.measure == "N" else None,
    )


def _begins_with_gtin(text: str) -> bool:
    """Whether this is a GS1 element string of a scanner that tells no symbology."""
    number = text[2:16]
    return (
        len(text) >= 16
        and text[:2] in {"01", "02"}
        and number.isascii()
        and number.isdigit()
        and check_digit(number[:-1]) == number[-1]
    )


def _gs1(scanned: str, payload: str, year: int, *, link: bool = False) -> Code:
    # Five hundred kinds of fields, and a tenth of a second to load: only who scans one pays.
    from biip import ParseConfig, ParseError  # noqa: PLC0415
    from biip.gs1_digital_link_uris import GS1DigitalLinkURI  # noqa: PLC0415
    from biip.gs1_messages import GS1Message  # noqa: PLC0415

    parse = GS1DigitalLinkURI.parse if link else GS1Message.parse
    # Its dates ask the clock of the machine, which is not for us to ask.
    config = ParseConfig(gs1_element_strings_verify_date=False)
    try:
        elements = parse(payload, config=config).element_strings if payload.isascii() else []
    except (ParseError, ValueError) as error:
        raise BadBarcode(
            scanned, "fields as GS1 defines them", "scan it again, or the article's own barcode"
        ) from error
    fields = {element.ai.ai: element.pattern_groups[-1] for element in elements}
    currencies = {element.pattern_groups[0] for element in elements if element.ai.ai[:3] == "393"}
    if currencies - {PLN}:
        raise BadBarcode(scanned, "a price in PLN (985)", "type the price in")
    number = fields.get("01") or fields.get("02")
    if number is None:
        raise BadBarcode(scanned, "a GTIN (01) first", "scan the article's own barcode")
    return Code(
        keys=_keys(number),
        grams=_scaled(scanned, fields, ("310",), 1000),
        price_minor=_scaled(scanned, fields, ("392", "393"), 100),
        pieces=int(fields.get("30") or fields.get("37") or 0) or None,
        batch=fields.get("10", ""),
        serial=fields.get("21", ""),
        expiry=_day(fields.get("17", ""), year),
        best_before=_day(fields.get("15", ""), year),
    )


def _keys(number: str) -> tuple[str, ...]:
    """Goods of variable measure may stand in the catalogue under the number of the article."""
    gtin = canonical(number)
    if number[0] != _VARIABLE:
        return (gtin,)
    body = number[1:-1]
    return gtin, canonical(body + check_digit(body))


def _scaled(scanned: str, fields: dict[str, str], names: tuple[str, ...], scale: int) -> int | None:
    """Read an amount whose decimals the last digit of its identifier tells; halves up."""
    name = next((one for one in fields if one[:3] in names), None)
    if name is None:
        return None
    parts: int = 10 ** int(name[3])
    amount = (2 * int(fields[name]) * scale + parts) // (2 * parts)
    if amount == 0:
        raise BadBarcode(scanned, "a weight and a price above zero", "weigh it again")
    return amount


def _day(digits: str, year: int) -> date | None:
    """Read YYMMDD; day 00 is the last of the month. GS1 General Specifications 7.12."""
    if len(digits) != 6 or not digits.isdigit():
        return None
    told, month, day = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    ahead = (told - year + 49) % 100 - 49
    try:
        last = calendar.monthrange(year + ahead, month)[1]
        return date(year + ahead, month, day or last)
    except ValueError:
        return None
