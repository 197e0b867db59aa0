"""A cashier sells every basket exactly once, whatever dies meanwhile."""

from uuid import UUID

import pytest

from edge.demo.baskets import Basket as Shopped
from edge.demo.baskets import BasketLine
from edge.demo.cashier import AT_ONCE, MAX_TROUBLE, Cashier, Muddle, rounds
from edge.demo.goods import Due
from edge.demo.till_client import Away, Conflict, Refused, Shown, ShownLine
from edge.till import basket as rules
from edge.till.basket import Basket, Item, Sell

SALE = UUID(int=7)
ADULTS_ONLY = "BEER"


def line(sku, milli=1000, value=500, unit=500):
    return BasketLine(
        product_id=1,
        sku=sku,
        code=f"code of {sku}",
        quantity_milli=milli,
        value_minor=value,
        list_unit_minor=unit,
    )


PLAIN = line("MILK")
SHOPPED = (
    PLAIN,
    line("FUEL", milli=12_345, value=6000),
    line("TEA", milli=2000, value=900),
    line(ADULTS_ONLY),
    line("GIFT", value=0),
)


class FakeTill:
    """The real rules of a basket; a journal that survives; accidents by number of request."""

    def __init__(self, accidents=()):
        self.basket = Basket()
        self.journal = {}
        self.requests = 0
        self.accidents = dict(accidents)
        self.lost_scans = 0
        self.stray = []
        self.back_calls = 0

    async def scan(self, code):
        if self.lost_scans:
            self.lost_scans -= 1
            return
        self._step(rules.Scanned(item=item(code.removeprefix("code of "))))

    async def back(self):
        self.back_calls += 1

    async def shown(self):
        self._request()
        return self._told()

    async def clear(self):
        self._request()
        self._step(rules.Clear())
        return self._told()

    async def change(self, number, change):
        self._request()
        events = []
        if "quantity_milli" in change:
            milli = change["quantity_milli"]
            events.append(rules.ChangeQuantity(line=number, quantity_milli=milli))
        if "age_checked" in change:
            events.append(rules.ConfirmAge(line=number))
        if "discount" in change:
            events.append(rules.GiveDiscount(line=number, **change["discount"]))
        self._step(*events)
        return self._told()

    async def pay(self, sale, tendered_minor, cashier):
        when = self._request(paying=True)
        while self.stray:
            self._step(rules.Scanned(item=item(self.stray.pop())))
        tenders = (rules.Tender("cash", tendered_minor),)
        pay = rules.Pay(sale=sale.bytes, tenders=tenders, cashier=cashier)
        for effect in self._step(pay):
            if isinstance(effect, Sell):
                assert sale not in self.journal, "sold twice"
                self.journal[sale] = effect
        self._step(rules.Paid())
        if when == "after":
            raise self._power_cut()

    async def recorded(self, sale):
        self._request()
        return sale in self.journal

    def _request(self, *, paying=False):
        self.requests += 1
        when = self.accidents.pop(self.requests, None)
        if when == "before" or (when == "after" and not paying):
            raise self._power_cut()
        return when

    def _power_cut(self):
        self.basket = Basket()
        return Away("power cut")

    def _step(self, *events):
        self.basket, effects = rules.step(self.basket, *events)
        for effect in effects:
            if isinstance(effect, rules.Refuse):
                raise Refused(str(effect.error))
        return effects

    def _told(self):
        rows = (
            ShownLine(row.id, row.item.sku, row.quantity_milli, row.sold().total_minor)
            for row in self.basket.lines
        )
        basket = self.basket
        return Shown(tuple(rows), basket.total_minor, basket.to_confirm, basket.notice)


def item(sku):
    age = 18 if sku == ADULTS_ONLY else 0
    return Item(sku=sku, name=sku, unit="szt", vat="23", unit_minor=500, age_min=age)


async def sell(till, lines=SHOPPED):
    basket = Shopped(1, 1, tuple(lines))
    due = Due(len(lines), sum(one.quantity_milli for one in lines), basket.value_minor)
    cashier = Cashier("Anna", till, till.scan, till.back)
    await cashier.sell(SALE, basket, due)
    return cashier


def sold(till):
    return [(row.sku, row.quantity_milli, row.total_minor) for row in till.journal[SALE].lines]


def wanted(lines):
    return [(one.sku, one.quantity_milli, one.value_minor) for one in lines]


async def test_quantities_discounts_and_age_are_corrected():
    till = FakeTill()
    cashier = await sell(till)
    assert sold(till) == wanted(SHOPPED)
    assert not cashier.again
    assert not till.basket.lines


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("request_number", range(1, 7))  # one look, four corrections, the payment
async def test_a_power_cut_at_any_request_loses_nothing_and_doubles_nothing(request_number, when):
    till = FakeTill({request_number: when})
    cashier = await sell(till)
    assert sold(till) == wanted(SHOPPED)
    assert cashier.again == 1
    assert till.back_calls == 1


async def test_power_cuts_one_after_the_other():
    till = FakeTill(dict.fromkeys(range(1, 20), "before") | {26: "after"})
    await sell(till)
    assert sold(till) == wanted(SHOPPED)


async def test_a_payment_whose_answer_was_lost_is_asked_about_not_repeated():
    plain = (PLAIN,)
    till = FakeTill({2: "after"})  # the basket, then the payment
    await sell(till, plain)
    assert sold(till) == wanted(plain)
    assert till.requests == 3


async def test_a_stray_scan_makes_the_payment_refused_and_the_basket_begun_again():
    till = FakeTill()
    till.stray = ["MILK"]
    cashier = await sell(till)
    assert sold(till) == wanted(SHOPPED)
    assert cashier.again == 1


async def test_what_lay_in_the_basket_before_is_taken_out():
    till = FakeTill()
    await till.scan("code of TEA")
    await sell(till)
    assert sold(till) == wanted(SHOPPED)


async def test_lost_scans_are_scanned_again(monkeypatch):
    monkeypatch.setattr("edge.demo.cashier.SEEN_S", 0.0)
    till = FakeTill()
    till.lost_scans = 2
    await sell(till)
    assert sold(till) == wanted(SHOPPED)


async def test_one_article_on_several_lines():
    lines = (
        line("TEA", value=400),
        line("TEA", milli=500, value=250),
        line("TEA", milli=3000, value=1500),
    )
    till = FakeTill()
    cashier = await sell(till, lines)
    assert sold(till) == wanted(lines)
    assert not cashier.again


async def test_an_id_that_is_another_sale_is_no_accident():
    class Taken(FakeTill):
        async def pay(self, *_):
            raise Conflict("another sale")

    with pytest.raises(Conflict):
        await sell(Taken())


async def test_it_does_not_go_on_for_ever(monkeypatch):
    monkeypatch.setattr("edge.demo.cashier.SEEN_S", 0.0)
    till = FakeTill()
    till.lost_scans = 10**6
    with pytest.raises(Muddle, match=f"{MAX_TROUBLE} times"):
        await sell(till, (PLAIN,))


def test_rounds_are_short_and_have_each_article_once():
    lines = [line(f"A{n % 30}") for n in range(100)]
    found = list(rounds(lines))
    assert [one for part in found for one in part] == lines
    assert all(len(part) <= AT_ONCE for part in found)
    assert all(len({one.sku for one in part}) == len(part) for part in found)
