"""Sums in grosz and thousandths.

Money is an int in minor units (`_minor`: 1299 is 12.99). Quantity is an int in
thousandths (`_milli`: 1500 is 1.5 kg). Halves go away from zero, so that a return
takes back exactly what the sale took.
"""

from collections.abc import Sequence

from sync.errors import SyncError


class CannotSpread(SyncError):
    """There is an amount and nothing to spread it over."""


def divide_half_away(numerator: int, denominator: int) -> int:
    """Return the nearest whole number, halves away from zero; `denominator` is above zero."""
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return magnitude if numerator >= 0 else -magnitude


def line_total_minor(quantity_milli: int, unit_minor: int) -> int:
    """Line total, halves rounded away from zero."""
    scaled = quantity_milli * unit_minor
    magnitude = (abs(scaled) + 500) // 1000
    return magnitude if scaled >= 0 else -magnitude


def spread_minor(amount_minor: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Spread an amount over weights by largest remainder; equal remainders: the first wins.

    The parts sum to the amount exactly, and an amount no bigger than the weights'
    sum gives no part bigger than its weight: a receipt discount spread over line
    totals never turns a line negative.

    Raises:
        CannotSpread: A weight is negative, or all are zero and the amount is not.
    """
    if any(weight < 0 for weight in weights):
        raise CannotSpread(f"Expected weights of zero and more, got {min(weights)}.")
    whole = sum(weights)
    if whole == 0:
        if amount_minor:
            raise CannotSpread(f"{amount_minor} grosz and no weight above zero to carry them.")
        return (0,) * len(weights)
    sign = 1 if amount_minor >= 0 else -1
    shares = [divmod(abs(amount_minor) * weight, whole) for weight in weights]
    left = abs(amount_minor) - sum(share for share, _ in shares)
    by_remainder = sorted(range(len(weights)), key=lambda index: -shares[index][1])
    lucky = frozenset(by_remainder[:left])
    return tuple(sign * (share + (index in lucky)) for index, (share, _) in enumerate(shares))
