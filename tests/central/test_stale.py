"""Lines sold at a price that was over: a function of the facts, in whatever order they come."""

import secrets

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import select

from central.ledger import author, selling, upkeep
from central.ledger.reading import Seen, stores
from central.ledger.stale import Line, due
from central.ledger.tables import PRICES, STALE_PRICES
from central.ledger.unit import Listed
from sync.chain import ALL
from sync.facts.catalogue import Price, PriceColumns, Prices
from sync.facts.sale import Payment, SaleLine, SaleLines
from tests.central.machine import sale

T0 = 1_767_000_000_000


def sold(number, *lines, at=T0):
    """A sale of (sku, unit_minor, price_version)."""
    rows = tuple(
        SaleLine(sku, 1000, unit, vat="23", price_version=version) for sku, unit, version in lines
    )
    total = sum(row.total_minor for row in rows)
    made = sale(number=number)
    return replace(made, lines=SaleLines.of(rows), payments=(Payment("cash", total),), at_ms=at)


def tell(desk, revision, *prices):
    body = Prices(revision, PriceColumns.of(tuple(Price(*price) for price in prices)))
    desk.write(lambda unit: author.write(unit, ALL, [(secrets.token_bytes(16), body)]))


def marks(desk):
    return sorted((row[1], row[2], row[3], row[4]) for row in desk.rows(STALE_PRICES))


def test_a_price_that_was_over_is_marked_and_the_sale_stays(desk):
    writer = desk.member()
    tell(desk, 1, ("A", 500))
    tell(desk, 2, ("A", 450, T0 + 100))
    stale_one = writer.write(sold(1, ("A", 500, 1), ("B", 100, 0), at=T0 + 100)).event
    writer.write(sold(2, ("A", 500, 1), at=T0 + 99))
    writer.write(sold(3, ("A", 450, 2), at=T0 + 100))
    writer.write(sold(4, ("A", 500, 0), at=T0 + 200))
    desk.take(writer.batch())
    assert marks(desk) == [(stale_one, 0, 450, 2)]


def test_a_late_price_marks_what_was_sold_before_it_came(desk):
    writer = desk.member()
    tell(desk, 1, ("A", 500, 1))
    first = writer.write(sold(1, ("A", 500, 1), at=T0 + 10)).event
    second = writer.write(sold(2, ("A", 500, 1), at=T0 + 20)).event
    desk.take(writer.batch())
    assert marks(desk) == []
    tell(desk, 2, ("A", 450, T0 + 15))
    assert marks(desk) == [(second, 0, 450, 2)]
    tell(desk, 3, ("A", 400, T0 + 5))
    assert marks(desk) == sorted([(first, 0, 400, 3), (second, 0, 450, 2)])
    tell(desk, 4, ("A", 500, T0 + 16))
    assert marks(desk) == [(first, 0, 400, 3)], "what it should have cost is what it did"


def test_a_price_without_a_date_does_not_reach_back(desk):
    writer = desk.member()
    tell(desk, 1, ("A", 500))
    writer.write(sold(1, ("A", 500, 1), at=T0))
    desk.take(writer.batch())
    tell(desk, 2, ("A", 450))
    assert marks(desk) == []


def test_a_changed_mark_sends_the_sale_through_the_feed_again(desk):
    writer = desk.member()
    tell(desk, 1, ("A", 500, 1))
    writer.write(sold(1, ("A", 500, 1), at=T0 + 10))
    writer.write(sold(2, ("A", 500, 1), at=T0 + 20))
    desk.take(writer.batch())
    with desk.ledger._database.reading() as connection:
        page = selling.page(connection, "S1", 0, 10, 1)
        after = selling.read_cursor(page.next, 1)
        assert [line.stale_price for one in page.sales for line in one.lines] == [None, None]
    tell(desk, 2, ("A", 450, T0 + 15))
    with desk.ledger._database.reading() as connection:
        (again,) = selling.page(connection, "S1", after, 10, 1).sales
        assert again.receipt_number == 2
        (line,) = again.lines
        assert (line.unit_minor, line.price_version) == (500, 1), "never rewritten"
        assert (line.stale_price.due_minor, line.stale_price.due_version) == (450, 2)
        (store,) = stores(connection, Seen({}, set(), {}, desk.ledger.own, {}))
        assert store.stale_prices == 1


prices = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(1, 3), st.sampled_from([0, T0, T0 + 2, T0 + 4])),
    min_size=1,
    max_size=6,
)
sales = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(1, 3), st.integers(0, 6), st.integers(0, 5)),
    min_size=1,
    max_size=6,
)


@given(prices, sales, st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_arrival_and_a_rebuild_agree_with_the_rule(new_desk, told, lines, data):
    with new_desk() as desk:
        writer = desk.member()
        queue = [("price", n) for n in range(len(told))]
        at = 0
        for n in range(1, len(lines) + 1):
            queue.insert(data.draw(st.integers(at, len(queue))), ("sale", n))
            at = queue.index(("sale", n)) + 1
        made = []
        for n, (sku, unit, wanted, late) in enumerate(lines, start=1):
            before = queue[: queue.index(("sale", n))]
            # Nobody sells by a version that head office has not drawn yet.
            version = min(wanted, sum(kind == "price" for kind, _ in before))
            fact = writer.write(sold(n, (sku, unit, version), at=T0 + late))
            made.append((fact, sku, unit, version, T0 + late))
        for kind, n in queue:
            if kind == "price":
                sku, unit, since = told[n]
                tell(desk, n + 1, (sku, unit, since))
            else:
                desk.take(writer.batch(n, n))
        with desk.ledger._database.reading() as connection:
            listed = [
                (row.sku, Listed(row.from_ms, row.revision, row.unit_minor, row.told_ms))
                for row in connection.execute(select(PRICES))
            ]
        expected = []
        for fact, sku, unit, version, at_ms in made:
            found = due(
                Line(sku, unit, version, at_ms), [price for its, price in listed if its == sku]
            )
            if found:
                expected.append((fact.event, 0, found.unit_minor, found.revision))
        assert marks(desk) == sorted(expected)
        before = desk.views()
        desk.write(upkeep.rebuild)
        assert desk.views() == before
