"""What is quoted is what the till sells."""

from types import SimpleNamespace

import msgspec
import pytest

from edge.api import quotes
from edge.api.call import Call
from edge.till.errors import UnknownArticle
from sync.facts.catalogue import Price, PriceColumns, Prices
from sync.rules.promotion import Kind, Part, Promotion
from sync.rules.quote import QuoteRequest
from tests.edge.till.shop import EAN, NOON_MS, tell
from tests.edge.till.test_promotions import DAIRY, HAPPY, THREE, Office, scans
from tests.edge.till.test_till import counter_in, pay

DAY_MS = 86_400_000


async def quoted(store, counter, *lines, **more):
    asked = msgspec.convert(
        {"lines": [{"sku": sku, "quantity_milli": milli} for sku, milli in lines], **more},
        QuoteRequest,
    )
    node = SimpleNamespace(store=store, counter=counter, clock=store_clock(counter))
    return (await quotes.post_quote(node, Call(path={}, body=asked))).body


def store_clock(counter):
    return counter._clock


async def test_a_quote_is_what_the_till_takes_with_each_rule_that_gave_something(tmp_path):
    async with counter_in(tmp_path) as (counter, store):
        office = Office(store)
        await office.tell(THREE, DAIRY, HAPPY)
        till = counter.till("T1")
        await scans(till, EAN[0], EAN[0], EAN[0], EAN[1])
        told = await quoted(store, counter, ("MLEKO", 3000), (EAN[1], 1000))
        assert told.total_minor == till.basket.total_minor
        offered = [
            [(cut.promotion, cut.amount_minor) for cut in line.offered]
            for line in till.basket.lines
        ]
        assert [[(g.promotion, g.amount_minor) for g in line.given] for line in told.lines] == (
            offered
        )
        sold = await till.pay(pay(told.total_minor))
        assert sold.sale.total_minor == told.total_minor
        assert told.given_minor == sum(amount for line in offered for _, amount in line)
        assert sum(v.gross_minor for v in told.vat) == told.goods_minor
        assert (told.deposits_minor, told.lines[1].sku) == (50, "WODA")


async def test_coupons_and_groups_are_asked_for(tmp_path):
    async with counter_in(tmp_path) as (counter, store):
        milk = (Part(skus=("MLEKO",)),)
        vip = Promotion("V", "vip", Kind.PERCENT, milk, basis_points=1000, customer_group="vip")
        coupon = Promotion("C", "kupon", Kind.PERCENT, milk, basis_points=5000, coupon="WIOSNA")
        await Office(store).tell(vip, coupon)
        plain = await quoted(store, counter, ("MLEKO", 1000))
        member = await quoted(store, counter, ("MLEKO", 1000), customer_groups=["vip"])
        shown = await quoted(store, counter, ("MLEKO", 1000), coupons=["WIOSNA"])
        assert [q.total_minor for q in (plain, member, shown)] == [389, 350, 194]
        assert plain.lines[0].lowest_30_days_minor is None, "what not anybody gets is no reduction"


async def test_a_reduced_price_has_the_lowest_of_thirty_days_beside_it(tmp_path):
    async with counter_in(tmp_path) as (counter, store):
        steps = [(NOON_MS - 50 * DAY_MS, 300), (NOON_MS - 40 * DAY_MS, 420)]
        steps += [(NOON_MS - 9 * DAY_MS, 410), (NOON_MS - 2 * DAY_MS, 350)]
        rows = tuple(Price("MLEKO", minor, at) for at, minor in steps)
        await tell(store, (b"p" * 16, Prices(2000, PriceColumns.of(rows))))
        told = await quoted(store, counter, ("MLEKO", 1000))
        assert (told.total_minor, told.lines[0].lowest_30_days_minor) == (350, 410)
        before = await quoted(store, counter, ("MLEKO", 1000), at_ms=NOON_MS - 3 * DAY_MS)
        assert (before.total_minor, before.lines[0].lowest_30_days_minor) == (410, 420)
        tenth = Promotion("T", "-10%", Kind.PERCENT, basis_points=1000, from_ms=NOON_MS - DAY_MS)
        await Office(store).tell(tenth)
        told = await quoted(store, counter, ("MLEKO", 1000))
        assert (told.total_minor, told.lines[0].lowest_30_days_minor) == (315, 350)


@pytest.mark.parametrize(("sku", "words"), [("BRAK", "found none"), ("NOWY", "no price")])
async def test_what_cannot_be_priced(tmp_path, sku, words):
    async with counter_in(tmp_path) as (counter, store):
        with pytest.raises(UnknownArticle, match=words):
            await quoted(store, counter, (sku, 1000))
