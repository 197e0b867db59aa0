"""VAT by neutral code, per rate per receipt, as a fiscal printer computes it.

A code is what the law calls the rate: ``23``, ``8``, ``5``, ``0``, ``zw`` (exempt),
``np`` (outside VAT). The letter A to G is the printer's business. Rates are ints in
basis points: 2300 is 23 %. Prices include VAT.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import zip_longest
from typing import NewType

from sync.errors import SyncError
from sync.rules.money import divide_half_away

VatCode = NewType("VatCode", str)
"""One of `CODES`."""


class UnknownVat(SyncError):
    """No such code, or it was not in force on that day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What a code meant for a while."""

    code: VatCode
    basis_points: int
    """0 for the exempt codes too; `exempt` tells them from the zero rate."""

    since: date
    until: date | None = None
    """Last day in force; None: still."""

    exempt: bool = False


POLAND: tuple[Rate, ...] = (
    Rate(code=VatCode("23"), basis_points=2300, since=date(2011, 1, 1)),
    Rate(code=VatCode("8"), basis_points=800, since=date(2011, 1, 1)),
    Rate(code=VatCode("5"), basis_points=500, since=date(2011, 1, 1)),
    Rate(code=VatCode("0"), basis_points=0, since=date(2011, 1, 1)),
    Rate(code=VatCode("zw"), basis_points=0, since=date(2011, 1, 1), exempt=True),
    Rate(code=VatCode("np"), basis_points=0, since=date(2011, 1, 1), exempt=True),
)
"""A change of the law is a new row and an `until`, never an edit: old receipts stay true."""

CODES: tuple[VatCode, ...] = tuple(dict.fromkeys(rate.code for rate in POLAND))


@dataclass(frozen=True, slots=True, kw_only=True)
class VatTotal:
    """One rate of one receipt."""

    code: VatCode
    basis_points: int
    gross_minor: int
    vat_minor: int

    @property
    def net_minor(self) -> int:
        """Gross without its VAT."""
        return self.gross_minor - self.vat_minor


def parse(text: str) -> VatCode:
    """Read a code as people write it: ``23``, ``23 %``, ``ZW``, ``zw.``.

    Raises:
        UnknownVat: It is none of `CODES`.
    """
    bare = text.strip().removesuffix("%").rstrip().removesuffix(".").lower()
    for code in CODES:
        if bare == code:
            return code
    raise UnknownVat(f"VAT {text[:40]!r}: expected one of {', '.join(CODES)}.")


def rate(code: str, day: date, rates: tuple[Rate, ...] = POLAND) -> Rate:
    """Return what a code meant on a day.

    Raises:
        UnknownVat: No such code, or not in force on that day.
    """
    for row in rates:
        if row.code == code and row.since <= day and (row.until is None or day <= row.until):
            return row
    in_force = ", ".join(
        row.code for row in rates if row.since <= day and (row.until is None or day <= row.until)
    )
    raise UnknownVat(f"VAT {code!r} on {day}: expected one of {in_force or 'none on that day'}.")


def told(
    changes: Iterable[tuple[str, int, int, bool]], known: tuple[Rate, ...] = POLAND
) -> tuple[Rate, ...]:
    """Return a table with what head office has said besides the law as it was at release.

    Args:
        changes: Code, first day as 20260131, basis points, exempt; one for a code and day.
        known: The table of the country.

    Returns:
        The codes of `known` in their order, then others; each code's rates by their days.
    """
    starts: dict[str, dict[date, tuple[int, bool]]] = {}
    for row in known:
        starts.setdefault(row.code, {})[row.since] = (row.basis_points, row.exempt)
    for code, since, basis_points, exempt in changes:
        day = date(since // 10_000, since // 100 % 100, since % 100)
        starts.setdefault(code, {})[day] = (basis_points, exempt)
    found = []
    for code, by_day in starts.items():
        days = sorted(by_day)
        for day, following in zip_longest(days, days[1:]):
            basis_points, exempt = by_day[day]
            found.append(
                Rate(
                    code=VatCode(code),
                    basis_points=basis_points,
                    since=day,
                    until=following - timedelta(days=1) if following else None,
                    exempt=exempt,
                )
            )
    return tuple(found)


def vat_in_gross_minor(gross_minor: int, basis_points: int) -> int:
    """VAT inside a gross sum, half up; a negative sum mirrors its positive twin."""
    return divide_half_away(gross_minor * basis_points, 10_000 + basis_points)


def receipt_vat(
    lines: Iterable[tuple[str, int]], day: date, rates: tuple[Rate, ...] = POLAND
) -> tuple[VatTotal, ...]:
    """Sum a receipt per code, then take the VAT once from each sum.

    Args:
        lines: Code and gross in grosz after all discounts; deposits stay out.
        day: Day of the sale.
        rates: The table of the country.

    Returns:
        One total per code seen, in the order of the table.

    Raises:
        UnknownVat: A line's code was not in force on that day.
    """
    gross: dict[str, int] = {}
    for code, amount_minor in lines:
        gross[code] = gross.get(code, 0) + amount_minor
    found = {code: rate(code, day, rates) for code in gross}
    return tuple(
        VatTotal(
            code=row.code,
            basis_points=row.basis_points,
            gross_minor=gross[row.code],
            vat_minor=vat_in_gross_minor(gross[row.code], row.basis_points),
        )
        for row in sorted(found.values(), key=rates.index)
    )
