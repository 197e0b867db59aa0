import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.rules import deposit, hours, omnibus, refund
from sync.rules.omnibus import DAY_MS, Span, listed, promoted, shown
from sync.rules.promotion import Kind, Part, Promotion

MODULES = [deposit, hours, omnibus, refund]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_what_the_docstring_says(module):
    done = doctest.testmod(module)
    assert done.attempted
    assert not done.failed


def day(n, minute=0):
    return n * DAY_MS + minute * 60_000


def test_a_price_with_no_moment_holds_from_its_import():
    prices = [(0, day(1) // 1000, 500), (day(5), day(2) // 1000, 450), (0, day(3) // 1000, 480)]
    assert listed(prices) == [
        Span(day(1), day(3), 500),
        Span(day(3), day(5), 480),
        Span(day(5), None, 450),
    ]
    assert listed(prices, day(4))[-1] == Span(day(3), None, 480)
    later = [*prices, (0, day(9) // 1000, 1)]
    assert listed(later)[-1].unit_minor == 450, "what has a moment of its own is not undone"


def test_a_long_reduction_keeps_what_it_was_measured_by():
    spans = [Span(0, day(40), 1000), Span(day(40), None, 800)]
    for at in (40, 60, 100):
        assert shown(spans, day(at)) == (800, day(40), 1000)


def test_each_further_cut_is_a_reduction_of_its_own():
    spans = [Span(0, day(40), 1000), Span(day(40), day(50), 800), Span(day(50), None, 700)]
    assert shown(spans, day(51)) == (700, day(50), 800)
    assert shown(spans, day(51), perishable=True) == (700, day(50), 1000)


def test_new_goods_are_measured_since_they_came():
    assert shown([Span(day(1), day(5), 900), Span(day(5), None, 700)], day(6)).lowest_minor == 900


def test_a_sham_rise_before_the_reduction_does_not_help():
    spans = [Span(0, day(35), 700), Span(day(35), day(40), 1200), Span(day(40), None, 800)]
    assert shown(spans, day(41)) == (800, day(40), 700)


def test_what_ended_thirty_days_before_is_forgotten():
    spans = [Span(0, day(5), 100), Span(day(5), day(40), 1000), Span(day(40), None, 900)]
    assert shown(spans, day(41)).lowest_minor == 1000
    nearer = [Span(0, day(10, 1), 100), Span(day(10, 1), day(40), 1000), Span(day(40), None, 900)]
    assert shown(nearer, day(41)).lowest_minor == 100


def test_a_promotion_for_anybody_counts_and_one_for_some_does_not():
    base = [Span(0, None, 1000)]
    tenth = {"parts": (Part(skus=("A",)),), "basis_points": 1000, "from_ms": day(40)}
    anybody = Promotion("P", "-10%", Kind.PERCENT, **tenth)
    members = Promotion("M", "-10%", Kind.PERCENT, customer_group="vip", **tenth)
    coupon = Promotion("C", "-10%", Kind.PERCENT, coupon="X", **tenth)
    elsewhere = Promotion("E", "-10%", Kind.PERCENT, stores=("S2",), **tenth)
    assert promoted(base, [members, coupon, elsewhere], "A", "", "S1") == []
    assert promoted(base, [anybody], "B", "", "S1") == []
    assert promoted(base, [anybody], "A", "", "S1", age_min=18) == []
    spans = base + promoted(base, [anybody], "A", "", "S1")
    assert shown(spans, day(41)) == (900, day(40), 1000)
    assert shown(spans, day(39)) is None


spans = st.lists(
    st.builds(
        lambda start, length, price: Span(
            day(start), None if length is None else day(start + length), price
        ),
        st.integers(0, 80),
        st.none() | st.integers(1, 60),
        st.integers(1, 20),
    ),
    max_size=8,
)


@given(spans, st.integers(0, 120), st.randoms())
def test_it_is_a_price_of_the_thirty_days_before_and_never_below_any_of_them(found, at, random):
    told = shown(found, day(at))
    mixed = list(found)
    random.shuffle(mixed)
    assert shown(mixed, day(at)) == told
    if told is None:
        return

    def price(moment):
        return min(
            (
                s.unit_minor
                for s in found
                if s.from_ms <= moment and (s.until_ms is None or moment < s.until_ms)
            ),
            default=None,
        )

    assert price(day(at)) == told.unit_minor
    start = told.since_ms // DAY_MS
    window = [price(day(n)) for n in range(int(start) - 30, int(start))]
    seen = [one for one in window if one is not None]
    assert told.lowest_minor == min(seen)
    assert price(told.since_ms - 1) > told.unit_minor
