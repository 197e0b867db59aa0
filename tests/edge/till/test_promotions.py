"""Promotions at the till: as told, at the store's hour, in the basket, the sale and on the slip."""

from msgspec.structs import replace

from edge.till import basket as rules
from edge.till.parking import Park, Recall
from edge.till.receipt import Paper, slip
from hw.slip import Columns
from sync.chain import ALL
from sync.facts.catalogue import Article, ArticleColumns, Articles
from sync.facts.promotion import PromotionTold
from sync.rules.promotion import Kind, Part, Promotion
from tests.edge.till.shop import EAN, NOON_MS, STORE, Times, described, tell
from tests.edge.till.test_till import counter_in, pay

THREE = Promotion("3ZA2", "3 za 2", Kind.N_FOR_M, (Part(skus=("MLEKO",)),), take=3, pay=2)
DAIRY = Promotion("NABIAL", "-10%", Kind.PERCENT, (Part(groups=("nabiał",)),), basis_points=1000)
HAPPY = Promotion(
    "HH", "Godzina", Kind.PERCENT, basis_points=5000, from_minute=16 * 60, until_minute=16 * 60 + 30
)


class Office:
    """Head office, whose word on promotions is for all stores."""

    def __init__(self, store):
        self.store, self.told = store, 0

    async def tell(self, *promotions, revision=2000, withdrawn=False):
        bodies = [PromotionTold(revision, promotion, withdrawn) for promotion in promotions]
        events = [b"promotion %06d" % (self.told + n) for n in range(len(bodies))]
        self.told += len(bodies)
        await tell(self.store, *zip(events, bodies, strict=True), scope=ALL)


async def scans(till, *codes):
    for code in codes:
        await till.scan(code)
    return till.basket


async def test_three_for_two_stands_in_the_basket_the_sale_and_on_the_slip(tmp_path):
    async with counter_in(tmp_path) as (counter, store):
        office = Office(store)
        till = counter.till("T1")
        assert (await scans(till, EAN[0])).total_minor == 389, "nothing was told yet"
        await office.tell(THREE, replace(THREE, id="ELSEWHERE", stores=("WAW1",), pay=1))
        assert (await scans(till, EAN[0], EAN[0])).total_minor == 778
        (line,) = till.basket.lines
        assert [(cut.promotion, cut.amount_minor) for cut in line.offered] == [("3ZA2", 389)]
        assert (await scans(till, EAN[1])).total_minor == 778 + 219 + 50, "a deposit is not cut"
        recorded = await till.pay(pay(1047))
        sale = (await store.sale(recorded.event)).body
        assert sale.total_minor == 1047
        assert sale.lines.rows()[0].discounts[0].reason == "3 za 2"
        paper = Paper(store=described(), names={}, series="T1", rates=await store.vat_table())
        told = [e for e in slip("x", sale, paper).elements if isinstance(e, Columns)]
        assert ("  Rabat 3 za 2", "-3,89C") in [(row.left, row.right) for row in told]
        assert not till.basket.lines


async def test_an_hour_that_ends_between_the_scan_and_the_money_keeps_what_was_shown(tmp_path):
    times = Times()
    async with counter_in(tmp_path, times=times) as (counter, store):
        office = Office(store)
        await office.tell(HAPPY)
        till = counter.till("T1")
        assert (await scans(till, EAN[0])).total_minor == 194
        times.ms = NOON_MS + 3_600_000
        recorded = await till.pay(pay(194))
        assert (await store.sale(recorded.event)).body.total_minor == 194
        assert (await scans(till, EAN[0])).total_minor == 389, "by the store's wall it is over"


async def test_the_latest_word_holds_and_what_is_withdrawn_is_given_no_more(tmp_path):
    async with counter_in(tmp_path) as (counter, store):
        office = Office(store)
        till = counter.till("T1")
        await office.tell(THREE)
        await office.tell(replace(THREE, take=2, pay=1), revision=2001)
        assert (await scans(till, EAN[0], EAN[0])).total_minor == 389
        await office.tell(THREE, revision=2002, withdrawn=True)
        assert (await scans(till, EAN[0])).total_minor == 3 * 389
        assert await store.promotions() == ()


async def test_a_cashiers_discount_takes_the_line_out_and_a_full_line_is_refused(tmp_path):
    async with counter_in(tmp_path) as (counter, store):
        office = Office(store)
        till = counter.till("T1")
        await office.tell(THREE)
        await scans(till, EAN[0], EAN[0], EAN[0])
        await till.change(rules.GiveDiscount(line=1, reason="zgnieciony", amount_minor=1167))
        assert till.basket.total_minor == 0
        assert not till.basket.lines[0].offered


async def test_a_basket_put_aside_gets_by_its_groups_when_it_is_taken_back(tmp_path):
    grouped = Article("MLEKO", "Mleko", "Mleko", "szt", "5", (EAN[0],), group="nabiał")
    async with counter_in(tmp_path) as (counter, store):
        office = Office(store)
        await tell(store, (b"g" * 16, Articles(1500, ArticleColumns.of((grouped,)))))
        await office.tell(DAIRY)
        till, other = counter.till("T1"), counter.till("T2")
        assert (await scans(till, EAN[0])).total_minor == 350
        await till.park(Park(basket=b"p" * 16, cashier="anna", note=""))
        assert not till.basket.lines
        await other.recall(
            Recall(basket=b"p" * 16, recall=b"r" * 16, cashier="anna", take_over=False)
        )
        assert other.basket.total_minor == 350
        assert other.basket.lines[0].discounts == ()


async def test_the_view_is_what_the_facts_say(tmp_path):
    async with counter_in(tmp_path) as (counter, store):
        office = Office(store)
        await office.tell(THREE, HAPPY)
        await office.tell(DAIRY, withdrawn=True)
        assert [one.id for one in await store.promotions()] == ["3ZA2", "HH"]
        assert (await store.verify()).sound
        assert (await counter.settings()).store == STORE
