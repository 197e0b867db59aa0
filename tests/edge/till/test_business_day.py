from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.till.business_day import business_day, day_text, local, rfc3339
from tests.edge.till.shop import described

WARSAW = ZoneInfo("Europe/Warsaw")


def ms(*when, zone=WARSAW, fold=0):
    return int(datetime(*when, tzinfo=zone, fold=fold).timestamp() * 1000)


@pytest.mark.parametrize(
    ("when", "day"),
    [
        ((2026, 1, 31, 12, 0), 20260131),
        ((2026, 2, 1, 3, 59, 59), 20260131),
        ((2026, 2, 1, 4, 0), 20260201),
        ((2026, 1, 1, 0, 30), 20251231),
        ((2026, 3, 29, 3, 59), 20260328),  # the clocks went forward at 2:00
        ((2026, 3, 29, 4, 0), 20260329),
        ((2026, 10, 25, 3, 59), 20261024),  # and back at 3:00
        ((2026, 10, 25, 4, 0), 20261025),
    ],
)
def test_a_day_begins_when_the_wall_shows_the_minute(when, day):
    assert business_day(ms(*when), described(day_starts_minute=240)) == day


def test_without_an_offset_it_is_the_calendar_day():
    store = described(day_starts_minute=0)
    assert business_day(ms(2026, 5, 1, 0, 0), store) == 20260501
    assert business_day(ms(2026, 4, 30, 23, 59), store) == 20260430


def test_a_misspelt_zone_does_not_stop_the_shop():
    at = ms(2026, 7, 1, 23, 30)
    assert business_day(at, described(zone="Europe/Warszawa")) == 20260701
    assert business_day(at, described(zone="../../etc/passwd")) == 20260701


@given(st.integers(-(1 << 70), 1 << 70), st.integers(0, 1439))
def test_any_number_another_node_wrote_can_be_shown(at_ms, minute):
    store = described(day_starts_minute=minute)
    assert rfc3339(at_ms).endswith("Z")
    assert date.fromisoformat(day_text(business_day(at_ms, store)))
    assert local(at_ms, store).tzinfo is not None


@given(st.integers(0, 4_000_000_000_000), st.integers(0, 1439))
def test_a_later_moment_is_never_an_earlier_day(at_ms, minute):
    store = described(zone="UTC", day_starts_minute=minute)
    assert business_day(at_ms, store) <= business_day(at_ms + 3_600_000, store)


def test_days_as_text():
    assert day_text(20260131) == "2026-01-31"
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert datetime.fromisoformat(rfc3339(1_790_000_000_123)).astimezone(UTC).microsecond == 123000
