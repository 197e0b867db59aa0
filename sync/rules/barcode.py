"""The numbers in barcodes: one spelling however it was printed, and our own in-store codes.

A UPC-A is an EAN-13 with a leading zero and an EAN-8 one with five, so all are one
number; its canonical form is the shortest of 8, 12, 13 or 14 digits that holds it.
"""

import re
from typing import NewType

from sync.errors import SyncError

Gtin = NewType("Gtin", str)
"""8, 12, 13 or 14 digits, the shortest that hold the number, check digit verified."""

LENGTHS = (8, 12, 13, 14)

_DIGITS = re.compile(r"[0-9]+")


class BadBarcode(SyncError):
    """Not a GTIN, or misread."""

    def __init__(self, value: str, expected: str, cure: str = "") -> None:
        self.value = value if len(value) <= 40 else value[:40] + "…"
        self.expected = expected
        self.cure = cure
        said = f"Code {self.value!r}: expected {expected}"
        super().__init__(f"{said}; {cure}." if cure else f"{said}.")


def check_digit(body: str) -> str:
    """Return the digit that completes a GTIN, an SSCC or any other GS1 mod-10 number.

    Raises:
        BadBarcode: `body` has something else than digits in it.
    """
    if not _DIGITS.fullmatch(body):
        raise BadBarcode(body, "digits only")
    threes = sum(map(int, body[-1::-2]))
    ones = sum(map(int, body[-2::-2]))
    return str(-(3 * threes + ones) % 10)


def canonical(digits: str) -> Gtin:
    """Verify a GTIN written in digits and return its shortest form.

    Raises:
        BadBarcode: Not 8, 12, 13 or 14 digits, all zeros, or a wrong check digit.
    """
    if not _DIGITS.fullmatch(digits):
        raise BadBarcode(digits, "digits only", "leave out spaces, dashes and letters")
    if len(digits) not in LENGTHS:
        raise BadBarcode(
            digits,
            f"8, 12, 13 or 14 digits, got {len(digits)}",
            "if a spreadsheet dropped leading zeros, format the column as text",
        )
    expected = check_digit(digits[:-1])
    if digits[-1] != expected:
        raise BadBarcode(
            digits,
            f"check digit {expected}, got {digits[-1]}",
            "compare it with the package or scan it again",
        )
    number = digits.lstrip("0")
    if not number:
        raise BadBarcode(digits, "a number above zero")
    return Gtin(number.zfill(next(length for length in LENGTHS if length >= len(number))))


def in_store(number: int, prefix: int = 20) -> Gtin:
    """Make an EAN-13 of the range 20 to 29, which every shop may use inside its walls.

    Different numbers of a prefix give different codes.

    Raises:
        BadBarcode: The number has more than ten digits, or the prefix is not 20 to 29.
    """
    if not 20 <= prefix <= 29:
        raise BadBarcode(str(prefix), "a prefix from 20 to 29, the in-store range")
    if not 0 <= number < 10**10:
        raise BadBarcode(str(number), "a number from 0 to 9999999999, ten digits")
    body = f"{prefix}{number:010d}"
    return Gtin(body + check_digit(body))
