"""VAT rates by their days: what a code means from a midnight on, in every store.

A rate told today for the first of January applies at a store's own midnight, whether the
store hears anything that night or not.
"""

import re
import secrets
from datetime import date
from typing import Any

from central.catalogue.publish import next_revision
from central.ledger import assortment, author
from central.ledger.errors import Refused
from central.ledger.unit import Unit
from sync.chain import ALL, EVENT_BYTES
from sync.facts.catalogue import VatRate, VatRates
from sync.rules import vat

_PERCENT = re.compile(r"([0-9]{1,2}|100)(?:[.,]([0-9]{1,2}))?%?")
_EXEMPT = ("zw", "np")


def read(code: str, rate: str, since: str) -> VatRate:
    """Read what a person says of a rate.

    Raises:
        Refused: The code, the rate or the day is none.
    """
    try:
        known = vat.parse(code)
    except vat.UnknownVat as error:
        raise Refused(str(error)) from error
    text = rate.strip().lower()
    percent = _PERCENT.fullmatch(text)
    points = 0
    if percent is not None:
        points = int(percent[1]) * 100 + int((percent[2] or "0").ljust(2, "0"))
    if (percent is None and text not in _EXEMPT) or points > 10_000:
        raise Refused(f"--rate {rate!r}: expected percent such as 22 or 5.5, or zw.")
    try:
        day = date.fromisoformat(since.strip())
    except ValueError as error:
        raise Refused(f"--since {since!r}: expected a day such as 2027-01-01.") from error
    number = day.year * 10_000 + day.month * 100 + day.day
    told = VatRate(known, points, number, percent is None)
    reason = VatRates(0, (told,)).reason()
    if reason:
        raise Refused(f"--since {since!r}: {reason}.")
    return told


def publish(unit: Unit, told: VatRate) -> dict[str, Any]:
    """Write a rate as a fact of all stores, unless it is said already."""
    answer: dict[str, Any] = {
        "code": told.code,
        "basis_points": told.basis_points,
        "since": told.since,
        "exempt": told.exempt,
    }
    for row in assortment.vat_table(unit.connection):
        if row.code == told.code and _number(row.since) == told.since:
            if (row.basis_points, row.exempt) == (told.basis_points, told.exempt):
                return {**answer, "changed": False}
            break
    body = VatRates(next_revision(unit), (told,))
    author.write(unit, ALL, [(secrets.token_bytes(EVENT_BYTES), body)])
    return {**answer, "changed": True}


def shown(table: tuple[vat.Rate, ...]) -> list[dict[str, Any]]:
    """Return what the codes mean, by their days."""
    return [
        {
            "code": row.code,
            "basis_points": row.basis_points,
            "exempt": row.exempt,
            "since": _number(row.since),
            "until": _number(row.until) if row.until else None,
        }
        for row in table
    ]


def _number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day
