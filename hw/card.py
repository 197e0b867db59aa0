"""No card number comes in: what a terminal tells passes an allow-list, field by field.

A terminal may put a card's number or track into any field, by design or by mistake. So
nothing is taken over because it is there: a field has a name, a pattern and a length here,
or it is dropped. What passes its pattern and still looks like a card number is dropped too.
"""

import re

_RUN = re.compile(r"\d(?:[ .\-]?\d){12,}")
SHORTEST, LONGEST = 13, 19
"""Digits of a card number (ISO/IEC 7812)."""

PATTERNS = {
    "auth_code": re.compile(r"[A-Za-z0-9]{1,8}"),
    "reference": re.compile(r"[A-Za-z0-9._\-]{1,60}"),
    "moment": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+\-]\d\d:?\d\d)?"),
    "terminal": re.compile(r"[A-Za-z0-9\-]{1,30}"),
    "merchant": re.compile(r"[A-Za-z0-9\-]{1,20}"),
    "code": re.compile(r"[A-Za-z0-9]{1,30}"),
}

MEANS = ("BLIK", "VISA", "MASTERCARD", "MAESTRO", "AMEX", "DINERS", "JCB", "UNIONPAY")
"""The only names of a means of payment that are kept."""


def allowed(name: str, value: str) -> str:
    """The value of a field, or nothing.

    Args:
        name: A key of `PATTERNS`.
        value: As the terminal told it.
    """
    fits = PATTERNS[name].fullmatch(value) and not holds_card_number(value)
    return value if fits else ""


def known_means(text: str) -> str:
    """The means of payment, if it is one we know by name."""
    bare = re.sub(r"[^A-Z]", "", text.upper())
    return next((name for name in MEANS if bare.startswith(name)), "")


def holds_card_number(text: str) -> bool:
    """Whether 13 to 19 digits, separated or not, satisfy the check digit of a card number.

    In a longer run any stretch of that length counts.
    """
    for run in _RUN.findall(text):
        digits = re.sub(r"\D", "", run)
        if len(digits) <= LONGEST:
            if _luhn(digits):
                return True
        elif any(
            _luhn(digits[at : at + length])
            for length in range(SHORTEST, LONGEST + 1)
            for at in range(len(digits) - length + 1)
        ):
            return True
    return False


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0
