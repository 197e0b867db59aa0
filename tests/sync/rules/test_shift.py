from hypothesis import given
from hypothesis import strategies as st

from sync.facts.deposit import DepositsTaken, PackagingLine
from sync.facts.returned import ReturnedLine, SaleReturned
from sync.facts.sale import Payment, Sale, SaleLine, SaleLines, Stage
from sync.facts.shift import CashMoved, Drawer
from sync.rules.shift import Sold, totals

money = st.integers(1, 10**7)
days = st.integers(20260101, 20260103)


@st.composite
def sold(draw):
    worth = draw(money)
    cash = draw(st.integers(0, worth))
    payments = tuple(
        payment
        for payment in (Payment("cash", cash, draw(money)), Payment("card", worth - cash))
        if payment.amount_minor
    )
    sale = Sale(
        Stage.CLOSED,
        draw(st.integers(1, 99)),
        1,
        5,
        SaleLines.of((SaleLine("A", 1000, worth),)),
        payments,
        "T1",
        "anna",
        "1",
        draw(days),
    )
    return Sold(sale, draw(st.sampled_from(Stage)), draw(st.sampled_from(["T1-A", "T1-B"])))


@st.composite
def returned(draw):
    worth = draw(money)
    return SaleReturned(
        bytes(16), "T1-A/1", 1, 20260101, 1, 5, draw(days), "T1", "anna", "1",
        (ReturnedLine(0, "A", "A", 1000, worth, "5"),),
        (Payment(draw(st.sampled_from(["cash", "card"])), worth),),
        "zepsute",
    )  # fmt: skip


@st.composite
def brought(draw):
    each, paid = draw(st.integers(1, 100)), draw(st.booleans())
    return DepositsTaken(
        1, 5, draw(days), "T1", "anna", "1", (PackagingLine("A", "A", 2, each),), (),
        0 if paid else 2 * each, 2 * each if paid else 0, b"" if paid else bytes(16),
    )  # fmt: skip


@st.composite
def moved(draw):
    return CashMoved(bytes(16), "T1", draw(st.sampled_from(Drawer)), draw(money), "", "anna", 1, 5)


shifts = st.tuples(
    st.lists(sold(), max_size=6),
    st.lists(returned(), max_size=3),
    st.lists(brought(), max_size=3),
    st.lists(moved(), max_size=4),
)


def cash_of(payments):
    return sum(one.amount_minor for one in payments if one.method == "cash")


@given(st.integers(0, 10**6), shifts)
def test_what_should_be_in_the_drawer_is_what_went_in_and_out(begun, shift):
    sales, returns, deposits, moves = shift
    expected = begun
    for one in sales:
        if one.stage is Stage.CLOSED:
            expected += cash_of(one.sale.payments)  # the change went back already
    expected -= sum(cash_of(one.payments) for one in returns)
    expected -= sum(one.paid_minor for one in deposits)
    for one in moves:
        expected += one.amount_minor if one.drawer == Drawer.IN else -one.amount_minor
    assert totals(begun, *shift).expected_minor == expected


@given(shifts)
def test_ways_of_paying_add_up_to_what_was_sold_and_given_back(shift):
    sums = totals(0, *shift)
    assert sum(one.taken_minor for one in sums.methods) == sums.sold_minor
    assert sum(one.returned_minor for one in sums.methods) == sums.returned_minor
    voided = sum(one.stage is Stage.VOIDED for one in shift[0])
    assert sums.sales + sums.unfinished + voided == len(shift[0])


@given(st.data(), st.integers(0, 10**6), shifts)
def test_the_order_does_not_count(data, begun, shift):
    shuffled = [data.draw(st.permutations(part)) for part in shift]
    assert totals(begun, *shuffled) == totals(begun, *shift)


@given(shifts, shifts)
def test_two_shifts_add_up_to_one(one, other):
    first, second = totals(0, *one), totals(0, *other)
    both = totals(0, *(a + b for a, b in zip(one, other, strict=True)))
    for name in ("sales", "sold_minor", "returned_minor", "expected_minor", "unfinished_minor"):
        assert getattr(both, name) == getattr(first, name) + getattr(second, name)
    assert set(both.days) == {*first.days, *second.days}
