import contextlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.catalogue.columns import COLUMNS, BadCell, codes, deposit, header, moment, money, price

WARSAW = ZoneInfo("Europe/Warsaw")


@pytest.mark.parametrize(
    ("cell", "grosz"),
    [
        ("5,90", 590),
        ("5.90", 590),
        ("5,9", 590),
        ("5", 500),
        ("0,05", 5),
        (" 1 234,50 ", 123450),
        ("1\u00a0234,50", 123450),
        ("1\u202f234\u202f567,89", 123456789),
        ("1234,50 zł", 123450),
        ("1234,50\u00a0ZŁ", 123450),
        ("7PLN", 700),
        ("0,29", 29),
        ("1,15", 115),
    ],
)
def test_money_as_a_spreadsheet_writes_it(cell, grosz):
    assert money(cell) == grosz


@pytest.mark.parametrize(
    "cell",
    ["", "-5,90", "5,901", "1.234,50", "1,234.50", "12 34,50", "1234 567", "5,90E+12", "abc",
     "\u0665", "5,", ",5", "1e3", "NaN", "9" * 5000, "5,90 €", "5 zł 90 gr"],
)  # fmt: skip
def test_what_is_no_amount_is_refused(cell):
    with pytest.raises(BadCell) as refusal:
        money(cell)
    assert "zloty" in refusal.value.expected
    assert refusal.value.cure


@given(
    st.integers(0, 10**12), st.sampled_from(",."), st.sampled_from(["", " ", "\u00a0", "\u202f"])
)
def test_money_round_trip(minor, point, space):
    zloty = f"{minor // 100:,}".replace(",", space)
    assert money(f"{zloty}{point}{minor % 100:02}") == minor


@pytest.mark.parametrize("cell", ["0", "0,00", "10000000,01", "999999999999"])
def test_a_price_has_bounds(cell):
    with pytest.raises(BadCell, match="from 0,01"):
        price(cell)


def test_no_deposit_is_none():
    assert deposit("") == deposit("0,00") == 0
    assert deposit("0,50") == 50


@pytest.mark.parametrize(
    ("cell", "local"),
    [
        ("2026-01-31", (2026, 1, 31)),
        ("2026-07-01 06:00", (2026, 7, 1, 6)),
        ("2026-07-01T06:00:30", (2026, 7, 1, 6, 0, 30)),
        ("31.01.2026", (2026, 1, 31)),
        ("1.7.2026 6:05", (2026, 7, 1, 6, 5)),
    ],
)
def test_a_moment_without_an_offset_is_polish(cell, local):
    assert moment(cell) == int(datetime(*local, tzinfo=WARSAW).timestamp()) * 1000


@pytest.mark.parametrize(
    ("cell", "ms"),
    [
        ("2026-01-31T00:00Z", 1769817600000),
        ("2026-01-31T01:00:00.123+01:00", 1769817600123),
        # Clocks go back on 2026-10-25: the first 02:30 is still summer time.
        ("2026-10-25 02:30", int(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()) * 1000),
        ("", None),
    ],
)
def test_a_moment_in_milliseconds(cell, ms):
    assert moment(cell) == ms


@pytest.mark.parametrize(
    "cell",
    ["31.02.2026", "2026-13-01", "tomorrow", "1999-12-31", "2100-01-01", "2026-01-01T00:00+25:00",
     "2026-W01-1", "46053", "01/02/2026", "0000-00-00"],
)  # fmt: skip
def test_what_is_no_moment_is_refused(cell):
    with pytest.raises(BadCell, match="a date such as"):
        moment(cell)


def test_codes_of_a_cell():
    assert codes("5901234123457|96385074  05901234123457\u00a0") == ("5901234123457", "96385074")
    assert codes("") == codes(" | ") == ()


@pytest.mark.parametrize(
    ("cell", "value", "cure"),
    [
        ("5,90E+12", "5,90E+12", "format the column as text"),
        ("96385074|5.90123E+12", "5.90123E+12", "format the column as text"),
        ("96385074 5901234123456", "5901234123456", "compare it with the package"),
        ("36000291452", "36000291452", "leading zeros"),
    ],
)
def test_a_bad_code_is_named_among_the_good(cell, value, cure):
    with pytest.raises(BadCell) as refusal:
        codes(cell)
    assert refusal.value.value == value
    assert cure in refusal.value.cure


@pytest.mark.parametrize(
    ("cell", "folded"),
    [("Nazwa_Fiskalna", "nazwa fiskalna"), (" CENA  OD ", "cena od"), ("J.m.", "j.m"), ("", "")],
)
def test_headings_fold(cell, folded):
    assert header(cell) == folded


def test_no_heading_means_two_columns():
    headings = [name for column in COLUMNS for name in column.headers]
    assert len(set(headings)) == len(headings)
    assert all(header(name) == name for name in headings)


@given(st.sampled_from(COLUMNS), st.text())
def test_any_cell_is_read_or_refused(column, cell):
    with contextlib.suppress(BadCell):
        column.of_text(cell)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.sampled_from(COLUMNS), JSON)
def test_any_json_value_is_read_or_refused(column, value):
    with contextlib.suppress(BadCell):
        column.of_json(value)
