"""What promotions give: worked cases, and what holds for every basket."""

import doctest
from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync.rules import offers
from sync.rules.money import line_total_minor
from sync.rules.offers import Bought, Offers
from sync.rules.promotion import (
    OF_RECEIPT,
    STACKING,
    Kind,
    Moment,
    Part,
    Promotion,
    Tier,
)

NOW = Moment(1_000, 1, 600)
SKUS = ("A", "B", "C", "D")
GROUPS = ("nabiał", "piwo", "")


def promotion(kind, id_="P", **more):
    return Promotion(id_, f"rabat {id_}", kind, **more)


def of(*skus, take=1):
    return (Part(skus=skus, take=take),)


def saved(promotions, *bought, moment=NOW):
    cuts = Offers(promotions).given(bought, moment)
    return {
        key: sum(c.amount_minor for c in cuts if (c.promotion, c.line) == key)
        for key in {(c.promotion, c.line) for c in cuts}
    }


def test_the_cases_of_the_docstring():
    assert doctest.testmod(offers).failed == 0
    assert doctest.testmod(offers).attempted > 4


@pytest.mark.parametrize(
    ("told", "bought", "expected"),
    [
        # 20 % of 4,99 is 0,998: the label says 3,99
        (promotion(Kind.PERCENT, basis_points=2000), Bought("A", 1000, 499), 100),
        (promotion(Kind.PERCENT, basis_points=2000), Bought("A", 1500, 499), 150),
        (promotion(Kind.AMOUNT, amount_minor=50), Bought("A", 3000, 499), 150),
        (promotion(Kind.AMOUNT, amount_minor=500), Bought("A", 3000, 499), 1497),
        (promotion(Kind.PRICE, amount_minor=400), Bought("A", 2000, 499), 198),
        (promotion(Kind.PRICE, amount_minor=500), Bought("A", 2000, 499), 0),
        (promotion(Kind.N_FOR_M, take=3, pay=2), Bought("A", 7000, 499), 998),
        (promotion(Kind.N_FOR_M, take=3, pay=2), Bought("A", 6500, 499), 0),
        (promotion(Kind.MIX, parts=of("A", take=2), amount_minor=900), Bought("A", 5000, 499), 196),
        (
            promotion(Kind.TIERED, tiers=(Tier(3000, 500), Tier(6000, 1000))),
            Bought("A", 2000, 499),
            0,
        ),
        (
            promotion(Kind.TIERED, tiers=(Tier(3000, 500), Tier(6000, 1000))),
            Bought("A", 5999, 100),
            30,
        ),
        (
            promotion(Kind.TIERED, tiers=(Tier(3000, 500), Tier(6000, 1000))),
            Bought("A", 6000, 100),
            60,
        ),
        (promotion(Kind.RECEIPT_PERCENT, basis_points=1000), Bought("A", 1000, 505), 51),
        (
            promotion(Kind.RECEIPT_AMOUNT, amount_minor=1000, least_minor=5000),
            Bought("A", 9990, 500),
            0,
        ),
        (
            promotion(Kind.RECEIPT_AMOUNT, amount_minor=1000, least_minor=5000),
            Bought("A", 10_000, 500),
            1000,
        ),
        (promotion(Kind.PERCENT, basis_points=5000), Bought("A", 1000, 499, "piwo", 18), 0),
        (
            promotion(Kind.PERCENT, basis_points=5000, with_age=True),
            Bought("A", 1000, 500, "", 18),
            250,
        ),
        (promotion(Kind.PERCENT, basis_points=5000), Bought("A", 1000, 500, given_minor=1), 0),
        (
            promotion(Kind.RECEIPT_PERCENT, basis_points=5000),
            Bought("A", 1000, 500, given_minor=100),
            200,
        ),
        (promotion(Kind.PERCENT, basis_points=5000, coupon="X"), Bought("A", 1000, 500), 0),
        (
            promotion(Kind.PERCENT, basis_points=5000, parts=(Part(groups=("piwo",)),)),
            Bought("A", 1000, 500),
            0,
        ),
        (promotion(Kind.PERCENT, basis_points=5000), Bought("A", 1000, 0), 0),
    ],
)
def test_what_one_gives(told, bought, expected):
    assert told.reason() == ""
    assert sum(saved([told], bought).values()) == expected


def test_of_every_three_the_cheapest_is_free_the_dearest_with_the_dearest():
    three = promotion(Kind.N_FOR_M, parts=of("A", "B", "C"), take=3, pay=2)
    found = saved([three], Bought("A", 2000, 1000), Bought("B", 2000, 700), Bought("C", 2000, 300))
    # 10 10 7 | 7 3 3: free are 7 and 3
    assert sum(found.values()) == 1000


def test_a_set_of_two_parts_is_given_as_often_as_it_is_there():
    meal = promotion(
        Kind.MIX,
        parts=(Part(groups=("kanapki",)), Part(groups=("kawa",), take=2)),
        amount_minor=1500,
    )
    found = saved(
        [meal],
        Bought("K1", 2000, 1200, "kanapki"),
        Bought("K2", 1000, 900, "kanapki"),
        Bought("C1", 5000, 500, "kawa"),
    )
    assert sum(found.values()) == 2 * (1200 + 1000 - 1500)
    assert ("P", 1) not in found


def test_the_deepest_cut_goes_first_and_a_piece_is_given_once():
    tenth = promotion(Kind.PERCENT, "10", basis_points=1000)
    half = promotion(Kind.PERCENT, "50", parts=of("A"), basis_points=5000)
    three = promotion(Kind.N_FOR_M, "3za2", parts=of("A", "B"), take=3, pay=2)
    found = saved([tenth, three, half], Bought("A", 2000, 1000), Bought("B", 3000, 1000))
    assert found == {("50", 0): 1000, ("3za2", 1): 1000}


def test_what_stacks_is_given_of_what_is_left():
    fifth = promotion(Kind.PERCENT, "1", basis_points=2000)
    loyal = promotion(Kind.PERCENT, "2", basis_points=1000, stacks=True, customer_group="klub")
    most = promotion(Kind.RECEIPT_AMOUNT, "3", amount_minor=100)
    less = promotion(Kind.RECEIPT_AMOUNT, "4", amount_minor=99)
    more = promotion(Kind.RECEIPT_AMOUNT, "5", amount_minor=7, stacks=True)
    member = NOW._replace(customer_groups=frozenset({"klub"}))
    found = saved([less, most, more, loyal, fifth], Bought("A", 1000, 1000), moment=member)
    assert found == {("1", 0): 200, ("2", 0): 80, ("3", 0): 100, ("5", 0): 7}
    assert ("2", 0) not in saved([fifth, loyal], Bought("A", 1000, 1000))


@pytest.mark.parametrize(
    ("at", "holds"),
    [
        ("2026-11-27T21:59", False),  # a Friday
        ("2026-11-27T22:00", True),
        ("2026-11-28T01:59", True),
        ("2026-11-28T02:00", False),
        ("2026-11-28T22:00", False),
        ("2026-11-27T01:00", False),
    ],
)
def test_a_happy_hour_past_midnight_belongs_to_the_evening_it_began(at, holds):
    happy = promotion(
        Kind.PERCENT, basis_points=1, weekdays=(5,), from_minute=22 * 60, until_minute=120
    )
    local = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Europe/Warsaw"))
    assert happy.holds(Moment.of(local, "KRK1")) is holds


def test_it_holds_from_a_moment_and_before_another_at_its_stores_and_channels():
    told = promotion(
        Kind.PERCENT, basis_points=1, from_ms=10, until_ms=20, stores=("K",), channels=("web",)
    )
    here = Moment(10, 1, 0, "K", "web")
    assert [at for at in (9, 10, 19, 20) if told.holds(here._replace(at_ms=at))] == [10, 19]
    assert not told.holds(here._replace(store="W"))
    assert not told.holds(here._replace(channel="store"))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (promotion(Kind.PERCENT), "basis_points 0, expected 1 to 10000"),
        (promotion(Kind.PERCENT, "", basis_points=1), "id ''"),
        (promotion(Kind.N_FOR_M, take=2, pay=2), "take 2, pay 2"),
        (promotion(Kind.N_FOR_M, take=3, pay=2, stacks=True), "stacks, which n_for_m cannot"),
        (promotion(Kind.TIERED, tiers=(Tier(5, 5), Tier(5, 6))), "tier from 5"),
        (promotion(Kind.MIX, parts=(), amount_minor=1), "0 parts"),
        (promotion(Kind.AMOUNT, amount_minor=1, parts=(Part(), Part())), "2 parts"),
        (promotion(Kind.AMOUNT, amount_minor=1, from_ms=5, until_ms=5), "from 5 until 5"),
        (promotion(Kind.AMOUNT, amount_minor=1, weekdays=(0,)), "weekdays (0,)"),
        (promotion(Kind.AMOUNT, amount_minor=1, least_minor=1), "least_minor 1"),
    ],
)
def test_what_cannot_be_is_named(told, said):
    assert said in told.reason()


parts = st.builds(
    Part,
    skus=st.lists(st.sampled_from(SKUS), max_size=3).map(tuple),
    groups=st.lists(st.sampled_from(GROUPS[:2]), max_size=2).map(tuple),
    take=st.integers(1, 3),
)


@st.composite
def promotions(draw):
    kind = draw(st.sampled_from(Kind))
    take = draw(st.integers(2, 5))
    steps = sorted(draw(st.sets(st.integers(1, 10_000), min_size=1, max_size=3)))
    many = draw(st.lists(parts, min_size=1, max_size=3)) if kind is Kind.MIX else [draw(parts)]
    return Promotion(
        draw(st.sampled_from("pqrstuvw")),
        "x",
        kind,
        tuple(many),
        basis_points=draw(st.integers(1, 10_000)),
        amount_minor=draw(st.integers(1, 5_000)),
        take=take,
        pay=draw(st.integers(1, take - 1)),
        tiers=tuple(Tier(step, step) for step in steps),
        least_minor=draw(st.integers(0, 3000)) if kind in OF_RECEIPT else 0,
        stacks=draw(st.booleans()) if kind in STACKING else False,
        with_age=draw(st.booleans()),
    )


PRICES = {
    sku: (price, GROUPS[n % 3], 18 * (n == 1))
    for n, (sku, price) in enumerate({"A": 499, "B": 350, "C": 1299, "D": 1}.items())
}


@st.composite
def lines(draw):
    sku = draw(st.sampled_from(SKUS))
    price, group, age = PRICES[sku]
    milli = draw(st.integers(1, 7).map(lambda n: n * 1000) | st.integers(1, 3000))
    given_minor = draw(st.just(0) | st.integers(0, line_total_minor(milli, price)))
    return Bought(sku, milli, price, group, age, given_minor)


baskets = st.lists(lines(), max_size=8)
told = st.lists(promotions(), max_size=8)


@settings(max_examples=300)
@given(told, baskets, st.randoms(use_true_random=False))
def test_neither_order_of_scanning_nor_of_telling_changes_what_is_given(told, basket, chance):
    offered = Offers(told)
    before = offered.given(basket, NOW)
    mixed = list(enumerate(basket))
    chance.shuffle(mixed)
    other = list(offered.promotions)
    chance.shuffle(other)
    after = Offers(other).given([line for _, line in mixed], NOW)

    def by_article(cuts, lines):
        found = Counter()
        for cut in cuts:
            found[(cut.promotion, lines[cut.line].sku)] += cut.amount_minor
        return found

    assert by_article(before, basket) == by_article(after, [line for _, line in mixed])


@settings(max_examples=200)
@given(told, st.lists(st.tuples(st.sampled_from(SKUS), st.integers(1, 9)), max_size=5))
def test_pieces_on_lines_of_their_own_or_on_one_get_the_same(told, basket):
    def given_to(cut):
        bought = [
            Bought(sku, milli, *PRICES[sku]) for sku, count in basket for milli in cut(count * 1000)
        ]
        return sum(cut.amount_minor for cut in Offers(told).given(bought, NOW))

    assert given_to(lambda milli: [milli]) == given_to(lambda milli: [1000] * (milli // 1000))


@settings(max_examples=300)
@given(told, baskets)
@example([promotion(Kind.AMOUNT, amount_minor=5000)], [Bought("A", 3, 1)])
def test_no_line_goes_below_zero_and_what_is_traced_is_above(told, basket):
    cuts = Offers(told).given(basket, NOW)
    assert all(cut.amount_minor > 0 for cut in cuts)
    for number, line in enumerate(basket):
        off = sum(cut.amount_minor for cut in cuts if cut.line == number)
        assert 0 <= off <= line_total_minor(line.quantity_milli, line.unit_minor) - line.given_minor
    known = {promotion.id: promotion for promotion in told}
    for cut in cuts:
        one, line = known[cut.promotion], basket[cut.line]
        assert line.age_min == 0 or one.with_age
        assert line.given_minor == 0 or one.kind in OF_RECEIPT
        assert any(
            line.sku in p.skus or line.group in p.groups or not (p.skus or p.groups)
            for p in one.parts
        )
