"""Views are functions of the set of facts: any order of delivery, and a rebuild, agree."""

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.ledger import selling, shelves, views
from central.ledger.selling import DiscountTold
from central.ledger.tables import SALES
from sync.facts.sale import (
    Discount,
    Fiscal,
    PaymentSettled,
    SaleClosed,
    SaleFiscalised,
    SaleLine,
    SaleLines,
    SaleVoided,
    Stage,
)
from tests.central.machine import delivery, sale

EVENTS = [bytes([n]) * 16 for n in range(4)]


def physical(desk):
    with desk.ledger._database.reading() as connection:
        return {(s.store, s.cell): s.physical for s in shelves.every(connection, None, None)}


def stage_of(desk, event):
    return [Stage(row[7]) for row in desk.rows(SALES) if row[5] == event]


def test_a_sale_goes_through_its_stages(desk):
    writer = desk.member()
    event = EVENTS[0]
    writer.write(sale(("A", 2000, 500), stage=Stage.TENDERED, method="card"), event)
    desk.take(writer.batch())
    assert stage_of(desk, event) == [Stage.TENDERED]
    assert physical(desk) == {}
    for body, stage, milli in (
        (PaymentSettled(0, approved=True), Stage.APPROVED, 0),
        (SaleFiscalised(Fiscal("karb", "EAZ1", "7")), Stage.FISCALISED, 0),
        (SaleClosed(1, 2), Stage.CLOSED, -2000),
        (SaleVoided(1, 2, "by mistake"), Stage.VOIDED, 0),
    ):
        writer.write(body, event)
        desk.take(writer.batch(len(writer.facts)))
        assert stage_of(desk, event) == [stage]
        assert physical(desk).get(("S1", "A"), 0) == milli
    assert desk.views()["totals"] == []


def test_a_stage_waits_for_its_sale(desk):
    one, two = desk.member(), desk.member()
    two.write(SaleClosed(1, 2), EVENTS[0])
    one.write(sale(stage=Stage.TENDERED), EVENTS[0])
    desk.take(two.batch())
    assert desk.rows(SALES) == []
    desk.take(one.batch())
    assert stage_of(desk, EVENTS[0]) == [Stage.CLOSED]
    assert desk.views()["totals"] == [("S1", 1, 1, 1000, 599)]


def test_an_event_recorded_twice_counts_once(desk):
    writers = sorted((desk.member(), desk.member()), key=lambda writer: writer.stream)
    low, high = writers
    low.write(sale(("A", 1000, 100)), EVENTS[0])
    high.write(sale(("B", 5000, 100)), EVENTS[0])
    desk.take(high.batch())
    assert desk.views()["totals"] == [("S1", 1, 1, 5000, 500)]
    desk.take(low.batch())
    views = desk.views()
    assert views["totals"] == [("S1", 1, 1, 1000, 100)]
    # A row is a function of its own stream: the author of the loser compensates.
    assert physical(desk) == {("S1", "A"): -1000, ("S1", "B"): -5000}
    assert [row[1] for row in views["duplicates"]] == [high.stream.node]
    assert [row[1] for row in views["sales"]] == [low.stream.node]


def test_discounts_and_columns_are_spread_right(desk):
    writer = desk.member()
    lines = SaleLines.of(
        (
            SaleLine("A", 1500, 333, (Discount("promo", 50), Discount("staff", 1)), vat="23"),
            SaleLine("B", 1000, 100, vat="8", price_version=9, name="BUŁKA"),
        )
    )
    total = 500 - 51 + 100
    body = sale()
    body = msgspec.structs.replace(
        body, lines=lines, payments=(msgspec.structs.replace(body.payments[0], amount_minor=total),)
    )
    writer.write(body)
    desk.take(writer.batch())
    with desk.ledger._database.reading() as connection:
        (told,) = selling.page(connection, "S1", 0, 10, desk.ledger.own.incarnation).sales
    assert [
        (line.sku, line.quantity_milli, line.unit_minor, line.total_minor, line.vat)
        for line in told.lines
    ] == [("A", 1500, 333, 449, "23"), ("B", 1000, 100, 100, "8")]
    assert [(line.price_version, line.name) for line in told.lines] == [(0, ""), (9, "BUŁKA")]
    assert told.lines[0].discounts == [DiscountTold("promo", 50), DiscountTold("staff", 1)]
    assert desk.views()["totals"] == [("S1", 1, 2, 2500, total)]


line = st.tuples(st.sampled_from("ABC"), st.integers(1, 5000), st.integers(0, 999))
event = st.sampled_from(EVENTS)
told = st.one_of(
    st.tuples(
        st.builds(
            lambda lines, stage, method, number: sale(
                *lines, stage=stage, method=method, number=number
            ),
            st.lists(line, min_size=1, max_size=4),
            st.sampled_from((Stage.TENDERED, Stage.CLOSED)),
            st.sampled_from(("cash", "card")),
            st.integers(1, 99),
        ),
        event,
    ),
    st.tuples(st.builds(PaymentSettled, st.integers(0, 1), st.booleans()), event),
    st.tuples(st.just(SaleFiscalised(Fiscal("karb", "EAZ1", "7"))), event),
    st.tuples(st.just(SaleClosed(1, 2)), event),
    st.tuples(st.just(SaleVoided(1, 2)), event),
    st.tuples(
        st.builds(
            lambda lines: delivery(*lines),
            st.lists(
                st.tuples(st.sampled_from("ABC"), st.integers(1, 5000)), min_size=1, max_size=3
            ),
        ),
        event,
    ),
    st.just(("unknown", b"")),
    st.just(("poison", b"")),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    streams=st.lists(st.lists(told, min_size=1, max_size=7), min_size=1, max_size=3),
    data=st.data(),
)
def test_any_order_of_delivery_and_a_rebuild_agree(new_desk, streams, data):
    with new_desk() as desk:
        deliver(desk, streams, data)


def deliver(desk, streams, data):
    # One example is two stores with the same machines: what differs is the order alone.
    stores = [f"V{len(desk.keys)}", f"W{len(desk.keys)}"]
    writers = {store: [] for store in stores}
    for bodies in streams:
        for store in stores:
            writer = desk.member(store)
            for body, about in bodies:
                if body == "unknown":
                    writer.raw("kind.of.2031", b"\x90", version=2)
                elif body == "poison":
                    writer.raw("sale", b"\x90")
                else:
                    writer.write(body, about)
            writers[store].append(writer)
    # The lowest stream wins: the two stores' machines must stand in the same order.
    order = {
        store: sorted(range(len(streams)), key=lambda n: writers[store][n].stream)
        for store in stores
    }
    alike = order[stores[0]] == order[stores[1]]
    for store in stores:
        heads = [0] * len(streams)
        open_ = [n for n, bodies in enumerate(streams) if bodies]
        while open_:
            n = data.draw(st.sampled_from(open_))
            writer = writers[store][n]
            last = data.draw(st.integers(heads[n] + 1, len(writer.facts)))
            again = data.draw(st.integers(1, heads[n] + 1))
            desk.take(writer.batch(again, last))
            heads[n] = last
            if last == len(writer.facts):
                open_.remove(n)
    lived = desk.views()
    desk.write(views.rebuild)
    assert desk.views() == lived
    if alike:  # asked only now: what is drawn must not hang on keys
        names = {w.stream.node: n for s in stores for n, w in enumerate(writers[s])}
        first, second = (of_store(lived, store, names) for store in stores)
        assert first == second


def of_store(views, store, names):
    """The views of one store, with its name and its machines' taken out, and the clocks."""
    found = {}
    for table in (
        "sales",
        "sale_marks",
        "deliveries",
        "duplicates",
        "totals",
        "quarantine",
        "unreadable",
    ):
        found[table] = sorted(
            tuple(names.get(cell, cell) if isinstance(cell, bytes) else cell for cell in row[1:])
            for row in views[table]
            if row[0] == store
        )
    found["rights"] = sorted(
        (row[1], names.get(row[2], row[2]), *row[4:-1])
        for row in views["rights"]
        if row[0] == store
    )
    return found
