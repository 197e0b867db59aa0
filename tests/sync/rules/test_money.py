from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.rules.money import CannotSpread, divide_half_away, line_total_minor, spread_minor

AMOUNTS = st.integers(-(10**12), 10**12)
WEIGHTS = st.lists(st.integers(0, 10**9), max_size=40)


@pytest.mark.parametrize(
    ("quantity_milli", "unit_minor", "total_minor"),
    [(1500, 999, 1499), (1, 500, 1), (-1, 500, -1), (1, 499, 0), (-1500, 999, -1499), (0, 5, 0)],
)
def test_line_total_rounds_halves_away_from_zero(quantity_milli, unit_minor, total_minor):
    assert line_total_minor(quantity_milli, unit_minor) == total_minor


@given(AMOUNTS, AMOUNTS)
def test_line_total_equals_decimal_arithmetic(quantity_milli, unit_minor):
    exact = Decimal(quantity_milli) * unit_minor / 1000
    assert line_total_minor(quantity_milli, unit_minor) == exact.quantize(Decimal(1), ROUND_HALF_UP)
    assert line_total_minor(-quantity_milli, unit_minor) == -line_total_minor(
        quantity_milli, unit_minor
    )


@given(AMOUNTS, st.integers(1, 10**6))
def test_division_is_off_by_half_at_most(numerator, denominator):
    result = divide_half_away(numerator, denominator)
    assert 2 * abs(numerator - result * denominator) <= denominator


def test_spread_gives_the_odd_grosz_to_the_largest_remainder():
    assert spread_minor(100, [333, 333, 334]) == (33, 33, 34)
    assert spread_minor(10, [1, 1, 1]) == (4, 3, 3)
    assert spread_minor(-10, [1, 1, 1]) == (-4, -3, -3)
    assert spread_minor(0, []) == ()


@given(AMOUNTS, WEIGHTS)
def test_spread_sums_exactly_to_the_amount(amount_minor, weights):
    if amount_minor and not any(weights):
        with pytest.raises(CannotSpread):
            spread_minor(amount_minor, weights)
        return
    parts = spread_minor(amount_minor, weights)
    assert len(parts) == len(weights)
    assert sum(parts) == amount_minor
    for part, weight in zip(parts, weights, strict=True):
        exact = Decimal(amount_minor * weight)
        assert abs(part * sum(weights) - exact) < max(sum(weights), 1)


@given(WEIGHTS.filter(any), st.data())
def test_a_discount_never_turns_a_line_negative(totals, data):
    discount = data.draw(st.integers(0, sum(totals)))
    assert all(
        0 <= part <= total
        for part, total in zip(spread_minor(discount, totals), totals, strict=True)
    )


def test_spread_refuses_negative_weights():
    with pytest.raises(CannotSpread, match="-3"):
        spread_minor(10, [5, -3])
