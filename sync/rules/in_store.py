"""What a shop's own scales and labellers put into the EAN-13s of 20 to 29.

Inside its walls a shop may fill these as it likes, and Poland has no one custom: which digits
are the article and which its weight is set at the scale, and here by a pattern a prefix.

A pattern has ten letters, one for each digit between the prefix and the check digit at the end:

    T   number of the article
    W   weight, grams
    C   price of the piece, grosz
    N   number of pieces
    V   check digit over W, C or N, as GS1 reckons it for four or five digits
    X   of no meaning

so ``29`` with ``TTTTVWWWWW`` reads 29 1234 6 14685 7 as 14.685 kg of article 1234.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sync.errors import SyncError
from sync.rules.barcode import BadBarcode, Gtin, check_digit

Patterns: TypeAlias = Mapping[str, str]
"""Prefix, ``20`` to ``29``, to its pattern; one that is not there means a whole number as any."""

DEFAULT: Patterns = {
    "23": "TTTTTCCCCC",
    "24": "TTTTTCCCCC",
    "27": "TTTTTWWWWW",
    "28": "TTTTTWWWWW",
    "29": "TTTTTWWWWW",
}
"""Prices under 23 and 24, weights from 27 on, articles of five digits: common, no rule. 20, 21, 22,
25 and 26 are whole numbers."""

PLAIN = "TTTTTTTTTT"
"""The pattern that takes a prefix out of `DEFAULT`."""

_PATTERN = re.compile(r"(?=.{10}\Z)[XV]*T+(?:[XV]*(?:W+|C+|N+)|[X]*)[XV]*")
_TWO_MINUS, _THREE, _FIVE_PLUS, _FIVE_MINUS = (2, -1), (3, 0), (5, 1), (5, -1)
_WEIGHTS = {
    4: (_TWO_MINUS, _TWO_MINUS, _THREE, _FIVE_MINUS),
    5: (_FIVE_PLUS, _TWO_MINUS, _FIVE_MINUS, _FIVE_PLUS, _TWO_MINUS),
}


class BadPattern(SyncError):
    """A pattern cannot be one."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a label of the shop says."""

    keys: tuple[str, ...]
    """What the catalogue may call the article: the code with nothing in place of what was
    measured, or the prefix and the number as a SKU."""

    measure: Literal["W", "C", "N"]
    amount: int
    """Grams, grosz or pieces."""


def checked(prefix: str, pattern: str) -> str:
    """Return a pattern that can be used.

    Raises:
        BadPattern: The prefix is not 20 to 29, or the pattern makes no sense.
    """
    if not re.fullmatch(r"2[0-9]", prefix):
        raise BadPattern(f"Prefix {prefix[:20]!r}: expected 20 to 29.")
    text = pattern.upper()
    measured = sum(map(text.count, "WCN"))
    verified = text.count("V")
    if not _PATTERN.fullmatch(text) or verified > 1 or (verified and measured not in _WEIGHTS):
        raise BadPattern(
            f"Pattern {pattern[:20]!r} of {prefix}: expected ten letters, T for the article, W "
            "(grams), C (grosz) or N (pieces) for what was measured, V for a check digit over "
            "four or five of these, X for what means nothing; TTTTTWWWWW, for example."
        )
    return text


def read(code: Gtin, patterns: Patterns) -> Label | None:
    """Read a label; None when the code is none, but an article's own number.

    >>> read(Gtin("2912345014681"), DEFAULT)
    Label(keys=('2912345000004', '2912345'), measure='W', amount=1468)

    Raises:
        BadBarcode: The check digit inside it is wrong.
    """
    pattern = patterns.get(code[:2], PLAIN) if len(code) == 13 else PLAIN
    digits = code[2:12]
    fields: dict[str, str] = {}
    for letter, digit in zip(pattern, digits, strict=True) if len(code) == 13 else ():
        fields[letter] = fields.get(letter, "") + digit
    measure: Literal["W", "C", "N"] | None = next(
        (one for one in ("W", "C", "N") if one in fields), None
    )
    if measure is None:
        return None
    if "V" in fields and fields["V"] != (expected := inner_check_digit(fields[measure])):
        raise BadBarcode(
            code,
            f"check digit {expected} inside, got {fields['V']}",
            "scan it again; if all labels are refused, compare the scale's setting with karb.toml",
        )
    bare = code[:2] + "".join(
        digit if letter == "T" else "0" for letter, digit in zip(pattern, digits, strict=True)
    )
    keys = (bare + check_digit(bare), code[:2] + fields["T"])
    return Label(keys, measure, int(fields[measure]))


def inner_check_digit(field: str) -> str:
    """Return the digit that guards a weight or a price inside a code.

    GS1 General Specifications 7.9.2 to 7.9.4; its examples:

    >>> inner_check_digit("2875"), inner_check_digit("14685")
    ('9', '6')

    Args:
        field: Four or five digits.
    """
    total = sum(
        _weighed(int(digit), weight)
        for digit, weight in zip(field, _WEIGHTS[len(field)], strict=True)
    )
    if len(field) == 4:
        return str(3 * total % 10)
    missing = -total % 10
    return next(str(digit) for digit in range(10) if _weighed(digit, _FIVE_MINUS) == missing)


def _weighed(digit: int, weight: tuple[int, int]) -> int:
    times, tens = weight
    product = digit * times
    return (product + tens * (product // 10)) % 10
