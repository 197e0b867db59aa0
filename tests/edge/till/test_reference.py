"""Prices, articles and VAT rates by their dates, on a store that hears nothing meanwhile."""

from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from edge.till import selling
from edge.till.receipt import Paper, slip
from edge.till.request import LineRequest, PaymentRequest, SaleRequest
from hw.slip import Columns
from sync.facts.catalogue import (
    Article,
    ArticleColumns,
    Articles,
    Price,
    PriceColumns,
    Prices,
    VatRate,
    VatRates,
)
from tests.edge.till.shop import NOON_MS, Times, described, opened, tell


def at(zone, *when):
    return int(datetime(*when, tzinfo=ZoneInfo(zone)).astimezone(UTC).timestamp() * 1000)


def event(n):
    return n.to_bytes(16, "big")


def of_sku(sku, unit_minor):
    return SaleRequest(
        till="T1",
        cashier="anna",
        lines=(LineRequest(sku=sku, quantity_milli=1000, unit_minor=unit_minor),),
        payments=(PaymentRequest(method="cash", amount_minor=10_000),),
    )


async def sells(store, n, sku, unit_minor):
    return await store.write(lambda unit: selling.record(unit, event(n), of_sku(sku, unit_minor)))


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("Europe/Warsaw", (2026, 10, 2)),
        ("Europe/Warsaw", (2026, 10, 25)),  # the day that clocks go back at three
        ("Europe/Warsaw", (2026, 10, 26)),  # the midnight after it
        ("Europe/Warsaw", (2027, 3, 29)),  # after they went forward
        ("Europe/London", (2026, 10, 26)),
        ("Asia/Tokyo", (2026, 10, 2)),
    ],
)
async def test_a_price_for_midnight_holds_from_midnight_on_an_offline_store(
    tmp_path, zone, midnight
):
    starts = at(zone, *midnight)
    times = Times()
    async with opened(tmp_path, times, settings=described(zone=zone)) as (store, _):
        told = Prices(2000, PriceColumns.of((Price("MLEKO", 333, starts),)))
        await tell(store, (event(1), told))
        for n, (moment, price, version) in enumerate(
            [
                (starts - 3_600_001, 389, 1000),
                (starts - 1, 389, 1000),
                (starts, 333, 2000),
                (starts + 25 * 3_600_000, 333, 2000),
            ],
            start=10,
        ):
            times.ms = moment
            assert (await store.article("MLEKO", moment)).unit_minor == price
            recorded = await sells(store, n, "MLEKO", price)
            (line,) = recorded.sale.lines.rows()
            assert recorded.sale.at_ms == moment
            assert (line.unit_minor, line.price_version) == (price, version)
        assert (await store.verify()).sound


async def test_what_else_is_said_of_an_article_waits_for_its_day_too(tmp_path):
    starts = NOON_MS + 1000
    times = Times()
    async with opened(tmp_path, times) as (store, _):
        beer = Article("PIWO", "Piwo 0,5 l", "Piwo jasne", "szt", "8", ("96385074",), 100, 21)
        told = Articles(2000, ArticleColumns.of((beer,)), starts)
        await tell(store, (event(1), told))
        before = await store.article("PIWO", starts - 1)
        assert (before.vat, before.deposit_minor, before.age_min) == ("23", 50, 18)
        assert await store.article("96385074", starts - 1) is None, "its new code, too"
        after = await store.article("96385074", starts)
        assert (after.sku, after.vat, after.deposit_minor, after.age_min) == ("PIWO", "8", 100, 21)
        assert await store.article("5900000000039", starts) is None, "its old one is over"
        later = Articles(3000, ArticleColumns.of((beer,)))
        await tell(store, (event(2), later))
        assert (await store.article("PIWO", starts - 1)).vat == "8", "told later, holds at once"
        assert (await store.verify()).sound


def vat_of(made):
    return [
        (element.left, element.right)
        for element in made.elements
        if isinstance(element, Columns) and "PTU A" in element.left
    ]


async def test_a_vat_rate_changes_at_the_stores_midnight_not_with_the_business_day(tmp_path):
    midnight = at("Europe/Warsaw", 2027, 1, 1)
    times = Times()
    shop = described()  # its business day begins at four
    async with opened(tmp_path, times, settings=shop) as (store, _):
        told = VatRates(2000, (VatRate("23", 2200, 20270101),))
        await tell(store, (event(1), told))
        found = []
        for n, moment in enumerate((midnight - 1, midnight), start=10):
            times.ms = moment
            recorded = await sells(store, n, "WODA", 219)
            assert recorded.sale.business_day == 20261231
            paper = Paper(store=shop, names={}, series="T1", rates=await store.vat_table())
            found += vat_of(slip("job", recorded.sale, paper))
        assert found == [("PTU A 23%", "0,41"), ("PTU A 22%", "0,39")]
        old = await store.sale(UUID(int=10).bytes)
        paper = Paper(store=shop, names={}, series="T1", rates=await store.vat_table(), copy=True)
        assert vat_of(slip("job", old.body, paper)) == [("PTU A 23%", "0,41")], "as it was then"
        assert (await store.verify()).sound


async def test_of_two_words_on_one_day_the_later_revision_holds(tmp_path):
    async with opened(tmp_path) as (store, _):
        for n, (revision, rate) in enumerate([(5, 2100), (7, 2200), (6, 2500)]):
            told = VatRates(revision, (VatRate("23", rate, 20270101),))
            await tell(store, (event(n + 1), told))
        rows = [row for row in await store.vat_table() if row.code == "23"]
        assert [(row.basis_points, row.since.year) for row in rows] == [(2300, 2011), (2200, 2027)]
