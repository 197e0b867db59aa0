from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.till.basket import (
    MAX_LINES,
    Basket,
    ChangeQuantity,
    Clear,
    ConfirmAge,
    GiveDiscount,
    Item,
    NotPaid,
    NotScanned,
    Paid,
    Pay,
    Refuse,
    Remove,
    Scanned,
    Sell,
    Tender,
    step,
    unknown_code,
)
from edge.till.errors import NotCovered, NotFound, NotPossible, UnknownArticle
from sync.rules.money import line_total_minor

MILK = Item(sku="MLEKO", name="Mleko", unit="szt", vat="5", unit_minor=389, price_version=7)
WATER = Item(sku="WODA", name="Woda", unit="szt", vat="23", unit_minor=219, deposit_minor=50)
BEER = Item(sku="PIWO", name="Piwo", unit="szt", vat="23", unit_minor=450, age_min=18)
SALE = bytes(16)


def basket_of(*items):
    basket, effects = step(Basket(), *(Scanned(item=item) for item in items))
    assert effects == ()
    return basket


def pay(tendered_minor, method="cash"):
    return Pay(sale=SALE, tenders=(Tender(method, tendered_minor),), cashier="anna")


def refused(basket, *events):
    after, effects = step(basket, *events)
    (effect,) = effects
    assert isinstance(effect, Refuse)
    assert after == replace(basket, notice=after.notice)
    assert after.notice
    return effect.error


def test_the_same_article_again_is_one_more_of_it():
    basket = basket_of(MILK, WATER, MILK)
    assert [(line.item.sku, line.quantity_milli) for line in basket.lines] == [
        ("MLEKO", 2000),
        ("WODA", 1000),
    ]


def test_a_price_that_changed_between_two_scans_makes_two_lines():
    assert len(basket_of(MILK, replace(MILK, unit_minor=399, price_version=8)).lines) == 2


def test_what_was_weighed_or_discounted_is_not_added_to():
    weighed, _ = step(basket_of(MILK), ChangeQuantity(line=1, quantity_milli=642))
    assert len(step(weighed, Scanned(item=MILK))[0].lines) == 2
    discounted, _ = step(basket_of(MILK), GiveDiscount(line=1, reason="x", amount_minor=1))
    assert len(step(discounted, Scanned(item=MILK))[0].lines) == 2


def test_an_unknown_code_says_so_and_breaks_nothing():
    basket = basket_of(MILK)
    error = refused(basket, NotScanned(error=unknown_code("123")))
    assert isinstance(error, UnknownArticle)
    assert "123" in str(error)
    after, _ = step(step(basket, NotScanned(error=error))[0], Scanned(item=MILK))
    assert after.notice == ""
    assert after.lines[0].quantity_milli == 2000


def test_cash_gives_change_and_pays_deposits():
    after, (sell,) = step(basket_of(MILK, WATER), pay(1000))
    assert after.paying == SALE
    assert isinstance(sell, Sell)
    assert (sell.payments[0].amount_minor, sell.payments[0].change_minor) == (658, 342)
    assert [line.sku for line in sell.lines] == ["MLEKO", "WODA"]


def test_too_little_is_not_enough_and_only_cash_may_be_too_much():
    basket = basket_of(MILK)
    assert isinstance(refused(basket, pay(388)), NotCovered)
    assert isinstance(refused(basket, pay(390, "card")), NotCovered)
    assert isinstance(refused(basket, pay(389, "cheque")), NotPossible)
    _, (sell,) = step(basket, pay(389, "card"))
    assert sell.payments[0].change_minor == 0


def test_age_is_confirmed_before_payment():
    basket = basket_of(BEER)
    assert isinstance(refused(basket, pay(450)), NotPossible)
    confirmed, _ = step(basket, ConfirmAge(line=1))
    assert isinstance(
        refused(confirmed, ConfirmAge(line=1, confirmed=False), pay(450)), NotPossible
    )
    _, (sell,) = step(confirmed, pay(450))
    assert sell.lines[0].age_checked == 18


def test_nothing_changes_while_a_sale_is_being_written():
    paying, _ = step(basket_of(MILK), pay(389))
    for event in (Scanned(item=MILK), Clear(), Remove(line=1), pay(389)):
        assert isinstance(refused(paying, event), NotPossible)
    assert step(paying, NotPaid())[0] == basket_of(MILK)
    assert step(paying, Paid()) == (Basket(), ())


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (ChangeQuantity(line=1, quantity_milli=0), NotPossible),
        (ChangeQuantity(line=1, quantity_milli=-1000), NotPossible),
        (ChangeQuantity(line=9, quantity_milli=1000), NotFound),
        (GiveDiscount(line=1, reason="x", amount_minor=0), NotPossible),
        (GiveDiscount(line=1, reason="x", amount_minor=390), NotPossible),
        (Remove(line=9), NotFound),
    ],
)
def test_what_cannot_be_is_refused(event, error):
    assert isinstance(refused(basket_of(MILK), event), error)


def test_a_smaller_quantity_may_not_make_the_discount_too_big():
    basket, _ = step(basket_of(MILK, MILK), GiveDiscount(line=1, reason="x", amount_minor=700))
    assert isinstance(refused(basket, ChangeQuantity(line=1, quantity_milli=1000)), NotPossible)


def test_of_several_events_all_happen_or_none():
    basket = basket_of(MILK)
    half = ChangeQuantity(line=1, quantity_milli=500)
    refused(basket, half, GiveDiscount(line=1, reason="x", amount_minor=300))


def test_a_basket_has_an_end():
    many = [replace(MILK, sku=f"A{n}") for n in range(MAX_LINES + 1)]
    assert isinstance(refused(basket_of(*many[:-1]), Scanned(item=many[-1])), NotPossible)


def test_an_empty_basket_cannot_be_paid():
    assert isinstance(refused(Basket(), pay(0)), NotPossible)


class Shopping(RuleBasedStateMachine):
    """Whatever is done to a basket, its sums hold and what is sold is what was shown."""

    def __init__(self):
        super().__init__()
        self.basket = Basket()
        self.seen = set()

    def do(self, *events):
        before = self.basket
        self.basket, effects = step(before, *events)
        if any(isinstance(effect, Refuse) for effect in effects):
            assert self.basket == replace(before, notice=self.basket.notice)
        return effects

    @rule(item=st.sampled_from((MILK, WATER, BEER)))
    def scan(self, item):
        self.do(Scanned(item=item))

    @rule(line=st.integers(1, 6), milli=st.integers(-5, 20_000))
    def change(self, line, milli):
        self.do(ChangeQuantity(line=line, quantity_milli=milli))

    @rule(line=st.integers(1, 6), amount=st.integers(-5, 800))
    def discount(self, line, amount):
        self.do(GiveDiscount(line=line, reason="r", amount_minor=amount))

    @rule(line=st.integers(1, 6), confirmed=st.booleans())
    def confirm(self, line, confirmed):
        self.do(ConfirmAge(line=line, confirmed=confirmed))

    @rule(line=st.integers(1, 6))
    def remove(self, line):
        self.do(Remove(line=line))

    @rule(more=st.integers(-300, 5000), method=st.sampled_from(("cash", "card")))
    def pay(self, more, method):
        before = self.basket
        effects = self.do(pay(max(0, before.total_minor + more), method))
        for effect in effects:
            if isinstance(effect, Sell):
                total = sum(line.total_minor + line.deposits_minor for line in effect.lines)
                assert total == before.total_minor == effect.payments[0].amount_minor
                assert not before.to_confirm

    @precondition(lambda self: self.basket.paying)
    @rule(stored=st.booleans())
    def written(self, stored):
        self.do(Paid() if stored else NotPaid())

    @invariant()
    def sums_hold(self):
        goods = sum(
            line_total_minor(line.quantity_milli, line.item.unit_minor) - line.discounts_minor
            for line in self.basket.lines
        )
        assert self.basket.total_minor == goods + self.basket.deposits_minor
        assert all(0 <= line.discounts_minor <= line.gross_minor for line in self.basket.lines)
        assert all(line.quantity_milli > 0 for line in self.basket.lines)

    @invariant()
    def lines_have_names_of_their_own(self):
        ids = [line.id for line in self.basket.lines]
        assert len(set(ids)) == len(ids)
        assert all(id_ < self.basket.next_line for id_ in ids)


TestShopping = Shopping.TestCase
TestShopping.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
