"""Alcohol at night: no till sells it, whoever asks."""

from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.till.errors import NotNow
from edge.till.request import SaleRequest
from edge.till.selling import record
from sync.chain import ALL
from sync.facts.catalogue import Article, ArticleColumns, Articles
from sync.facts.hours import SaleHours
from sync.rules.hours import Hours, forbidden, read
from tests.edge.till.shop import NOON_MS, STORE, Times, opened, tell

BEER = Article("PIWO", "Piwo 0,5 l", "Piwo jasne 0,5 l", "szt", "23", (), 50, 18, "alkohole")
NIGHT = SaleHours("group:alkohole", (read("22:00-06:00"),))
HOUR_MS = 3_600_000
AT_22 = NOON_MS + 6 * HOUR_MS  # 22:13 in Warsaw


def selling(sku, minor):
    request = msgspec.convert(
        {
            "till": "T1",
            "cashier": "anna",
            "lines": [{"sku": sku, "quantity_milli": 1000, "unit_minor": minor}],
            "payments": [{"method": "cash", "amount_minor": minor + 50}],
        },
        SaleRequest,
    )
    event = uuid4().bytes
    return lambda unit: record(unit, event, request)


async def told(store, *more, scope=STORE):
    events = [uuid4().bytes for _ in more]
    await tell(store, *zip(events, more, strict=True), scope=scope)


async def test_no_till_sells_alcohol_at_night_where_head_office_says_so(tmp_path):
    times = Times()
    async with opened(tmp_path, times) as (store, _):
        await told(store, Articles(2000, ArticleColumns.of((BEER,))))
        await told(store, NIGHT, scope=ALL)
        await store.write(selling("PIWO", 450))
        times.ms = AT_22
        before = store.heads()
        with pytest.raises(NotNow, match=r"22:00-06:00; it is 22:\d\d") as caught:
            await store.write(selling("PIWO", 450))
        assert caught.value.field == "/lines/0/sku"
        assert store.heads() == before
        await store.write(selling("WODA", 219))
        times.ms += 9 * HOUR_MS
        await store.write(selling("PIWO", 450))
        assert (await store.verify()).findings == []


async def test_what_is_said_of_a_store_holds_before_what_is_said_of_all(tmp_path):
    times = Times(AT_22)
    async with opened(tmp_path, times) as (store, _):
        await told(store, Articles(2000, ArticleColumns.of((BEER,))))
        await told(store, NIGHT, scope=ALL)
        with pytest.raises(NotNow):
            await store.write(selling("PIWO", 450))
        await told(store, SaleHours("group:alkohole", ()))
        await store.write(selling("PIWO", 450))
        await told(store, SaleHours("sku:PIWO", (read("00:00-00:00"),)))
        with pytest.raises(NotNow, match="00:00-00:00"):
            await store.write(selling("PIWO", 450))


@given(
    st.builds(Hours, st.integers(0, 1439), st.integers(0, 1439)),
    st.integers(1, 7),
    st.integers(0, 1439),
)
def test_a_part_of_the_day_and_its_complement(hours, weekday, minute):
    rest = Hours(hours.until_minute, hours.from_minute)
    one, other = (forbidden([h], weekday, minute) is not None for h in (hours, rest))
    assert one and other if hours.from_minute == hours.until_minute else one is not other


@given(st.integers(1, 7), st.integers(0, 1439))
def test_a_night_belongs_to_the_day_it_began(weekday, minute):
    friday = [Hours(1320, 360, (5,))]
    held = forbidden(friday, weekday, minute) is not None
    assert held is ((weekday == 5 and minute >= 1320) or (weekday == 6 and minute < 360))


@pytest.mark.parametrize("text", ["", "22-6", "24:00-06:00", "22:00", "22:60-06:00", "x" * 99])
def test_hours_that_are_none(text):
    with pytest.raises(ValueError, match="expected them as 22:00-06:00"):
        read(text)
