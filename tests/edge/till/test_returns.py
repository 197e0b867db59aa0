"""Goods given back: each line once, whoever asks where, to the grosz."""

from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.stockroom.asking import Short
from edge.store.refunds import cell
from edge.till import returns
from edge.till.errors import BadReturn, BeyondRight, Conflict, NotFound
from edge.till.request import ReturnRequest, SaleRequest
from edge.till.selling import record as sell
from sync.facts.node import StreamClosed
from sync.facts.sale import Stage
from sync.merge.stock import Column
from tests.edge.stockroom import place as two
from tests.edge.till.shop import opened

SALE = UUID(int=1)
BASKET = msgspec.convert(
    {
        "till": "T1",
        "cashier": "anna",
        "lines": [
            {
                "sku": "WODA",
                "quantity_milli": 3000,
                "unit_minor": 219,
                "discounts": [{"reason": "rabat", "amount_minor": 100}],
            },
            {"sku": "JABLKA", "quantity_milli": 1250, "unit_minor": 499},
        ],
        # 657 - 100 + 150 deposit, and 624
        "payments": [
            {"method": "card", "amount_minor": 700},
            {"method": "cash", "amount_minor": 631},
        ],
    },
    SaleRequest,
)


def asked(lines=(), payments=(("cash", 0),), sale=SALE, **more):
    return msgspec.convert(
        {
            "sale": str(sale),
            "till": "T1",
            "cashier": "anna",
            "reason": "nie smakowało",
            "lines": [
                dict(zip(("line", "quantity_milli", "restocked"), line, strict=False))
                for line in lines
            ],
            "payments": [{"method": m, "amount_minor": a} for m, a in payments],
            **more,
        },
        ReturnRequest,
    )


def returning(number, request, *, ask=False):
    return lambda unit: returns.record(unit, number.to_bytes(16, "big"), request, ask=ask)


async def sold(store):
    await store.write(lambda unit: sell(unit, SALE.bytes, BASKET))


async def test_parts_come_back_once_and_add_up(tmp_path):
    async with opened(tmp_path) as (store, _):
        await sold(store)
        first = await store.write(returning(10, asked([(0, 1000)], [("cash", 236)])))
        line = first.body.lines[0]
        assert (line.goods_minor, line.deposit_minor) == (186, 50)
        second = await store.write(returning(11, asked([(0, 2000)], [("cash", 395), ("card", 76)])))
        assert first.body.total_minor + second.body.total_minor == 657 - 100 + 150
        with pytest.raises(BeyondRight, match="3000 of 3000 were given back"):
            await store.write(returning(12, asked([(0, 1)], [("cash", 1)])))
        assert (await store.stock("WODA")).quantity_milli == 0
        assert (await store.verify()).findings == []


async def test_the_same_again_is_the_same_return(tmp_path):
    async with opened(tmp_path) as (store, _):
        await sold(store)
        request = asked([(1,)], [("cash", 624)])
        first = await store.write(returning(10, request))
        again = await store.write(returning(10, request))
        assert (first.new, again.new, again.body) == (True, False, first.body)
        with pytest.raises(Conflict, match="another return"):
            await store.write(returning(10, asked([(0,)], [("cash", 707)])))
        with pytest.raises(Conflict, match="a sale or a document"):
            await store.write(lambda unit: returns.record(unit, SALE.bytes, request))


async def test_goods_that_are_spoilt_do_not_come_back_on_the_shelf(tmp_path):
    async with opened(tmp_path) as (store, _):
        await sold(store)
        before = (await store.stock("JABLKA")).quantity_milli
        await store.write(returning(10, asked([(1, 250, False)], [("cash", 125)])))
        assert (await store.stock("JABLKA")).quantity_milli == before
        await store.write(returning(11, asked([(1, 250, True)], [("cash", 125)])))
        assert (await store.stock("JABLKA")).quantity_milli == before + 250


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (asked([(2,)]), NotFound, "0 to 1"),
        (asked([(0, 1000), (0, 1000)]), BadReturn, "twice"),
        (asked([(0, 1000)], [("cash", 235)]), BadReturn, "expected 236 grosz in all, got 235"),
        (asked([], [("cash", 1331)]), BadReturn, "cash: 1331 grosz, expected at most 631"),
        (asked([(0,)], [("blik", 707)]), BadReturn, "blik: 707 grosz, expected at most 0"),
        (asked([(0,)], sale=UUID(int=9)), NotFound, "found none"),
        (asked([(0,)], correction="T1-A/2"), BadReturn, "of a mistake only"),
    ],
)
async def test_what_cannot_be(tmp_path, request_, error, words):
    async with opened(tmp_path) as (store, _):
        await sold(store)
        before = store.heads()
        with pytest.raises(error, match=words) as caught:
            await store.write(returning(10, request_))
        assert caught.value.cure
        assert store.heads() == before


async def test_cash_for_a_card_takes_a_manager(tmp_path):
    async with opened(tmp_path) as (store, _):
        await sold(store)
        request = asked([], [("cash", 1331)], approved_by="maria", mistake=True, correction="T1/2")
        done = await store.write(returning(10, request))
        assert (done.body.mistake, done.body.correction) == (True, "T1/2")
        told = returns.answer(done.event, done.body)
        assert [(v.vat, v.gross_minor, v.vat_minor) for v in told.vat] == [
            ("23", 557, 104),
            ("5", 624, 30),
        ]
        assert await store.returns(20260901, 20260930, mistake=False) == []
        assert len(await store.returns(20260901, 20260930, mistake=True)) == 1


async def sale_at(place, node, number=1, milli=3000):
    await node.write(two.selling(number, "a", milli, till="T1"))


def back(milli, number=1, minor=None):
    minor = milli if minor is None else minor
    return asked([(0, milli)], [("cash", minor)], sale=UUID(int=number))


async def test_a_node_without_the_right_refuses_and_gets_it_whole_from_who_has_it(tmp_path):
    async with two.place(tmp_path) as place:
        await sale_at(place, place.home)
        await place.meet()
        request = back(1000)
        with pytest.raises(BeyondRight, match="another node of the store"):
            await place.other.write(returning(10, request))
        with pytest.raises(Short) as caught:
            await place.other.write(returning(10, request, ask=True))
        await place.other.write(lambda u: u.holder.want(two.event(50), caught.value.short))
        await place.meet()
        await place.other.write(returning(10, request))
        with pytest.raises(BeyondRight):  # gone whole, and the other was not heard of yet
            await place.home.write(returning(11, back(1000)))
        await place.meet()
        await place.other.write(returning(12, back(2000)))
        await place.meet()
        with pytest.raises(BeyondRight, match="3000 of 3000"):
            await place.home.write(returning(13, back(1)))
        await place.sound()


async def test_who_inherits_a_stream_inherits_the_right_to_refund_its_sales(tmp_path):
    async with two.place(tmp_path) as place:
        await sale_at(place, place.home)
        await place.meet()
        head = next(h for h in place.central.heads() if h.stream == place.home.stream)
        fence = StreamClosed(head.stream, head.seq, head.hash, place.other.stream)
        await place.central.write(lambda u: u.append(fence, two.event(60)))
        await place.meet(place.central, place.other)
        done = await place.other.write(returning(10, back(3000)))
        assert done.new
        assert (await place.other.verify()).findings == []


async def test_a_sale_that_is_not_closed_is_not_given_back(tmp_path):
    async with two.place(tmp_path) as place:
        await place.home.write(
            two.selling(1, "a", 1000, till="T1", stage=Stage.TENDERED, method="card")
        )
        with pytest.raises(BadReturn, match="tendered, expected a closed one"):
            await place.home.write(returning(10, back(1000)))


STEPS = st.lists(
    st.tuples(st.sampled_from(["home", "other", "meet", "ask"]), st.integers(1, 1500)),
    min_size=3,
    max_size=14,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
async def test_no_line_is_given_back_twice_in_any_partition(tmp_path_factory, steps):
    async with two.place(tmp_path_factory.mktemp("p")) as place:
        await sale_at(place, place.home)
        await place.meet()
        given_back = 0
        for number, (who, milli) in enumerate(steps, start=100):
            if who == "meet":
                await place.meet(place.home, place.other)
                continue
            if who == "ask":
                node = place.nodes[milli % 2]
                want = {cell((1).to_bytes(16, "big"), 0): milli}
                await node.write(lambda u, w=want, n=number: u.holder.want(two.event(n), w))
                continue
            try:
                await getattr(place, who).write(returning(number, back(milli)))
            except BeyondRight:
                continue
            given_back += milli
            assert given_back <= 3000
        await place.meet()
        key = cell((1).to_bytes(16, "big"), 0)
        rows = await place.home.write(lambda u: u._views.shelf.rows(key))
        assert sum(row[Column.USED] for row in rows.values()) == given_back
        await place.sound()
