import contextlib
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.rules.vat import (
    CODES,
    POLAND,
    Rate,
    UnknownVat,
    VatCode,
    parse,
    rate,
    receipt_vat,
    vat_in_gross_minor,
)

TODAY = date(2026, 6, 1)


@pytest.mark.parametrize(
    ("gross_minor", "basis_points", "vat_minor"),
    [(9876, 800, 732), (7 * 199, 2300, 260), (100, 0, 0), (0, 2300, 0), (-1393, 2300, -260)],
)
def test_known_vectors(gross_minor, basis_points, vat_minor):
    assert vat_in_gross_minor(gross_minor, basis_points) == vat_minor


@given(st.integers(0, 10**12), st.sampled_from([0, 500, 800, 2300]))
def test_equals_decimal_half_up(gross_minor, basis_points):
    exact = Decimal(gross_minor) * basis_points / (10_000 + basis_points)
    assert vat_in_gross_minor(gross_minor, basis_points) == exact.quantize(
        Decimal(1), ROUND_HALF_UP
    )


def test_vat_is_taken_once_per_rate_not_per_line():
    totals = receipt_vat([("23", 199)] * 7 + [("zw", 50), ("8", 9876)], TODAY)
    assert [(t.code, t.gross_minor, t.vat_minor, t.net_minor) for t in totals] == [
        ("23", 1393, 260, 1133),
        ("8", 9876, 732, 9144),
        ("zw", 50, 0, 50),
    ]
    assert 7 * vat_in_gross_minor(199, 2300) == 259


@given(st.lists(st.tuples(st.sampled_from(CODES), st.integers(0, 10**7)), max_size=30))
def test_receipt_keeps_every_grosz_in_any_order(lines):
    totals = receipt_vat(lines, TODAY)
    assert sum(t.gross_minor for t in totals) == sum(amount for _, amount in lines)
    assert totals == receipt_vat(reversed(lines), TODAY)


@pytest.mark.parametrize(
    ("text", "code"),
    [("23", "23"), (" 23 % ", "23"), ("8%", "8"), ("ZW", "zw"), ("zw.", "zw"), ("np", "np")],
)
def test_codes_as_people_write_them(text, code):
    assert parse(text) == code


@pytest.mark.parametrize("text", ["", "7", "A", "2300", "0,23", "23%%", "x" * 1000])
def test_unknown_code_names_the_value_and_the_choice(text):
    with pytest.raises(UnknownVat, match="expected one of 23, 8, 5, 0, zw, np") as refusal:
        parse(text)
    assert repr(text[:40]) in str(refusal.value)
    assert len(str(refusal.value)) < 120


@given(st.text())
def test_any_text_is_a_code_or_refused(text):
    with contextlib.suppress(UnknownVat):
        assert parse(text) in CODES


def test_a_code_holds_from_its_first_to_its_last_day():
    table = (
        Rate(
            code=VatCode("22"),
            basis_points=2200,
            since=date(2001, 1, 1),
            until=date(2010, 12, 31),
        ),
        *POLAND,
    )
    assert rate("22", date(2010, 12, 31), table).basis_points == 2200
    assert rate("23", date(2011, 1, 1), table).basis_points == 2300
    with pytest.raises(UnknownVat, match="'22' on 2011-01-01"):
        rate("22", date(2011, 1, 1), table)
    with pytest.raises(UnknownVat, match="expected one of 22"):
        rate("23", date(2010, 12, 31), table)
    with pytest.raises(UnknownVat, match="none on that day"):
        rate("23", date(1990, 1, 1))


def test_exempt_is_not_zero_rated():
    assert not rate("0", TODAY).exempt
    assert rate("zw", TODAY).exempt
    assert rate("np", TODAY).exempt
