"""Two nodes of one store and central as holders: who gives what to whom, and what that leaves."""

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.stockroom.asking import Asking, Short
from edge.till import stages
from edge.till.errors import BeyondRight
from edge.till.pricing import Draft
from edge.till.selling import write
from sync.chain import ALL, Fact, StreamId, genesis, life
from sync.clock import tick
from sync.errors import BadFact
from sync.facts import encode, kind_of
from sync.facts.node import StoreDescribed, StreamClosed
from sync.facts.rights import CellLines, Mode, Move, RightsMoved, RightsWanted, StockPolicy
from sync.facts.sale import Payment, SaleLine, Stage
from sync.facts.stock import GoodsReceived, ReceivedLine, ReceivedLines
from sync.merge.rights import NotHeld
from tests.edge.store.rig import NOW, key, opened

CENTRAL = key(9)
A, B = key(0), key(1)


@contextlib.asynccontextmanager
async def two(folder, *policies):
    """Two nodes of store S1 that know each other and central; central is a third store."""
    async with contextlib.AsyncExitStack() as stack:
        nodes = []
        for number in (0, 1, 9):
            (folder / str(number)).mkdir()
            nodes.append(
                await stack.enter_async_context(
                    opened(folder / str(number), number=number, incarnation=number + 1)
                )
            )
        for node in nodes:
            for other in (A, B):
                await node.write(lambda u, o=other: u.root(o.node, "S1", o.public))
            await node.write(lambda u: u.root(CENTRAL.node, ALL, CENTRAL.public))
        central = nodes[2]
        for n, body in enumerate((StoreDescribed("S1", "Sklep"), *policies)):
            await central.write(lambda u, b=body, n=n: u.append(b, bytes([200 + n]) * 16))
        await meet(*nodes)
        yield nodes


async def meet(*nodes):
    """Carry everything everywhere, until nobody lacks anything."""
    moved = True
    while moved:
        moved = False
        for giver in nodes:
            for head in giver.heads():
                for taker in nodes:
                    held = {h.stream: h.seq for h in taker.heads()}.get(head.stream, 0)
                    if taker is not giver and held < head.seq:
                        found = await giver.batch(head.stream, held)
                        if found is not None:  # None: its commit is on its way
                            await taker.receive(*found)
                        moved = True


def held(node, stream):
    return {head.stream: head.seq for head in node.heads()}.get(stream, 0)


def event(number):
    return number.to_bytes(16, "big")


def delivering(number, milli, sku="a"):
    def work(unit):
        lines = ReceivedLines.of((ReceivedLine(sku, milli),))
        unit.append(GoodsReceived(NOW, 5, lines), event(number))
        unit.holder.received(event(number), {sku: milli})

    return work


def selling(number, milli, *, till="T1", approved_by="", method="cash", stage=Stage.CLOSED):
    draft = Draft(
        till=till,
        cashier="anna",
        lines=(SaleLine("a", milli, 1000, unit="szt", vat="23"),),
        payments=(Payment(method, milli),),
        approved_by=approved_by,
    )

    def work(unit, *, ask=False):
        return write(unit, event(number), draft, stage=stage, fingerprint=b"", ask=ask)

    return work


async def books(node):
    found = await node.stock("a")
    return found.quantity_milli, found.right_milli, found.reserved_milli, found.uncovered_milli


async def sound(*nodes):
    for node in nodes:
        assert (await node.verify()).findings == []


async def test_central_gets_its_share_of_what_comes_in(tmp_path):
    policy = StockPolicy("sku:a", Mode.LENIENT, floor_milli=2000, web_percent=50)
    async with two(tmp_path, policy) as (a, b, central):
        await a.write(delivering(1, 10_000))
        assert await books(a) == (10_000, 6000, 0, 0)
        await meet(a, b, central)
        assert await books(central) == (10_000, 4000, 0, 0)
        assert await books(b) == (10_000, 0, 0, 0)
        await sound(a, b, central)


async def test_a_peer_that_is_short_asks_and_gets(tmp_path):
    async with two(tmp_path) as (a, b, central):
        await a.write(delivering(1, 10_000))
        await meet(a, b)
        with pytest.raises(Short):
            await b.write(lambda unit: selling(2, 3000)(unit, ask=True))
        asking = Asking(b, lambda: "once", patience_s=5)
        asked = asyncio.create_task(asking.ask({"a": 3000}))
        while len(b.heads()) and not asked.done():
            await meet(a, b)
            await asyncio.sleep(0)
        assert await asked
        await b.write(selling(2, 3000, till="T2"))
        await meet(a, b, central)
        assert [await books(n) for n in (a, b, central)] == [
            (7000, 5000, 0, 0),
            (7000, 2000, 0, 0),  # half of what A could spare came with the answer
            (7000, 0, 0, 0),
        ]
        await sound(a, b, central)


async def test_what_went_beyond_the_right_is_covered_when_they_meet(tmp_path):
    async with two(tmp_path) as (a, b, central):
        await a.write(delivering(1, 10_000))
        await meet(a, b)
        await b.write(selling(2, 3000, till="T2"))  # the line is down: nobody to ask
        assert await books(b) == (7000, 0, 0, 3000)
        await b.write(lambda unit: unit.holder.want(event(3), {"a": 3000}))
        await meet(a, b, central)
        assert (await books(b))[3] == 0
        assert (await books(a))[:1] == (7000,)
        assert (await books(a))[1] + (await books(b))[1] == 7000
        await sound(a, b, central)


async def test_a_delivery_booked_twice_counts_once(tmp_path):
    async with two(tmp_path) as (a, b, central):
        await a.write(delivering(1, 10_000))
        await b.write(delivering(1, 10_000))
        await b.write(selling(2, 2000, till="T2"))
        assert [await books(n) for n in (a, b)] == [(10_000, 10_000, 0, 0), (8000, 8000, 0, 0)]
        await meet(a, b, central)
        for node in (a, b, central):
            assert (await books(node))[0] == 8000
        rights = sum([(await books(node))[1] for node in (a, b, central)])
        assert rights - (await books(a))[3] == 8000
        await sound(a, b, central)


async def test_a_sale_recorded_twice_takes_the_goods_once(tmp_path):
    async with two(tmp_path) as (a, b, central):
        await a.write(delivering(1, 10_000))
        await meet(a, b)
        await a.write(selling(2, 1000))
        await b.write(selling(2, 1000, till="T2"))
        await meet(a, b, central)
        for node in (a, b, central):
            assert (await books(node))[0] == 9000
        await sound(a, b, central)


async def test_a_strict_article_asks_for_a_manager(tmp_path):
    async with two(tmp_path, StockPolicy("*", Mode.STRICT)) as (a, b, _):
        await a.write(delivering(1, 1000))
        await meet(a, b)
        await a.write(selling(2, 1000))
        with pytest.raises(BeyondRight, match="'a'"):
            await a.write(selling(3, 1000))
        with pytest.raises(BeyondRight):
            await a.write(selling(4, 1000, method="card", stage=Stage.TENDERED))
        await a.write(selling(3, 1000, approved_by="kierowniczka"))
        assert await books(a) == (-1000, 0, 0, 1000)
        assert (await a.sale(event(3))).number == 2
        await sound(a)


async def test_a_tendered_sale_takes_its_goods_when_it_is_closed(tmp_path):
    async with two(tmp_path) as (a, *_):
        await a.write(delivering(1, 1000))
        await a.write(selling(2, 3000, method="card", stage=Stage.TENDERED))
        assert await books(a) == (1000, 1000, 0, 0)

        def settle(unit):
            stages.settle(unit, event(2), 0, approved=True, decided_by="terminal")

        await a.write(settle)
        assert await books(a) == (-2000, 0, 0, 2000)
        await sound(a)


async def test_a_sale_of_a_former_life_takes_its_goods_in_this_one(tmp_path):
    async with two(tmp_path) as (a, _, central):
        await a.write(delivering(1, 5000))
        await a.write(selling(2, 3000, method="card", stage=Stage.TENDERED))
        former = a.stream
        await a.begin_life(77, "other machine")
        await a.write(
            lambda unit: stages.settle(unit, event(2), 0, approved=True, decided_by="terminal")
        )
        assert await books(a) == (2000, 0, 0, 3000)  # its right stays with the former life
        await meet(a, central)
        held = {head.stream: head for head in central.heads()}[former]
        fence = StreamClosed(former, held.seq, held.hash, a.stream, "other machine")
        await central.write(lambda unit: unit.append(fence, event(9)))
        await meet(a, central)
        assert await books(a) == (2000, 2000, 0, 0)  # inherited, and covered with it
        await sound(a, central)


async def test_what_comes_after_a_fence_is_appended_again_in_a_new_life(tmp_path):
    async with two(tmp_path) as (a, b, central):
        await a.write(delivering(1, 5000))
        head = next(h for h in a.heads() if h.stream == a.stream)
        await meet(a, b, central)
        fence = StreamClosed(a.stream, head.seq, head.hash, b.stream, "lost")
        await central.write(lambda unit: unit.append(fence, event(9)))
        await a.write(selling(2, 1000))  # it was not lost, it only did not answer
        await meet(b, central)
        assert await books(b) == (5000, 5000, 0, 0)
        former = a.stream
        while found := await central.batch(central.stream, held(a, central.stream)):
            await a.receive(*found)
        assert await a.life_over() == "closed"
        await a.begin_life(77, "closed")
        assert held(a, former) == head.seq, "it ends at the fence, whatever came after"
        await meet(a, b, central)
        for node in (a, b, central):
            assert (await books(node))[0] == 4000, "the sale counts, once"
            sale = await node.sale(event(2))
            assert (sale.series, sale.number) == (f"T1-{life(former.incarnation)}", 1)
        assert (await books(a))[1] == 0, "what it had is its successor's"
        await sound(a, b, central)


async def test_more_than_is_held_cannot_be_given_held_or_handed_over(tmp_path):
    async with two(tmp_path) as (a, b, _):
        await a.write(delivering(1, 1000))
        with pytest.raises(NotHeld, match="expected 1 to 1000"):
            await a.write(lambda u: u.holder.give(event(2), b.stream, {"a": 1001}))
        with pytest.raises(NotHeld, match="expected 1 to 1000"):
            await a.write(lambda u: u.holder.hold(event(2), {"a": 2000}))
        await a.write(lambda u: u.holder.hold(event(3), {"a": 600}))
        assert await books(a) == (1000, 400, 600, 0)
        with pytest.raises(NotHeld, match="expected 1 to 600"):
            await a.write(lambda u: u.holder.hand(event(3), {"a": 601}))
        await a.write(lambda u: u.holder.hand(event(3), {"a": 500}))
        await a.write(lambda u: u.holder.free(event(3), {"a": 100}))
        assert await books(a) == (500, 500, 0, 0)
        await sound(a)


async def test_a_right_given_without_being_held_shows(tmp_path):
    async with two(tmp_path) as (a, b, central):
        await a.write(delivering(1, 1000))
        lines = CellLines.by_cell({"a": 5000})
        forged = RightsMoved(Move.GIVEN, lines, b.stream)
        await a.write(lambda unit: unit.append(forged, event(2)))
        await meet(a, b, central)
        assert (await books(central))[0] == 1000
        assert (await books(central))[3] >= 4000  # kept back by whoever promises
        await sound(a, b, central)


async def test_a_want_asked_of_another_is_not_answered(tmp_path):
    async with two(tmp_path) as (a, b, _):
        await a.write(delivering(1, 1000))
        stale = RightsWanted(CellLines.by_cell({"a": 500}), StreamId(bytes(16), 1, "S1"))
        await b.write(lambda unit: unit.append(stale, event(5)))  # asked of somebody else
        await meet(a, b)
        assert (await books(a))[1] == 1000


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["deliver", "both", "sell", "twice", "want", "hold", "free", "hand", "ab", "ac", "bc"]
        ),
        st.sampled_from([0, 1]),
        st.integers(1, 9),
    ),
    min_size=1,
    max_size=30,
)


@given(STEPS)
@settings(max_examples=40, deadline=None)
def test_whatever_happens_the_books_agree_and_nothing_is_promised_twice(tmp_path_factory, story):
    asyncio.run(_happens(tmp_path_factory.mktemp("holders"), story))


async def _happens(folder, story):  # noqa: C901 - one case a step
    policy = StockPolicy("*", Mode.LENIENT, floor_milli=2000, web_percent=50)
    delivered = sold = handed = 0
    async with two(folder, policy) as nodes:
        a, b, central = nodes
        for n, (what, who, amount) in enumerate(story, start=10):
            node, milli = nodes[who], amount * 1000
            match what:
                case "deliver":
                    await node.write(delivering(n, milli))
                    delivered += milli
                case "both":  # one paper, booked on either node
                    await a.write(delivering(n, milli))
                    await b.write(delivering(n, milli))
                    delivered += milli
                case "sell":
                    await node.write(selling(n, milli, till=f"T{who}"))
                    sold += milli
                case "twice":
                    await a.write(selling(n, milli, till="T0"))
                    await b.write(selling(n, milli, till="T1"))
                    sold += milli
                case "want":
                    await node.write(lambda u, n=n, m=milli: u.holder.want(event(n), {"a": m}))
                case "hold" | "free" | "hand":
                    with contextlib.suppress(NotHeld):  # refused: it has no right to so much

                        def promise(unit, what=what, n=n, milli=milli):
                            getattr(unit.holder, what)(event(n), {"a": milli})

                        await central.write(promise)
                        handed += milli * (what == "hand")
                case _:
                    await meet(*(nodes["abc".index(name)] for name in what))
            for holder in nodes:
                _, right, _, _ = await books(holder) if await holder.stock("a") else (0, 0, 0, 0)
                assert right >= 0 or holder is not central
        for _ in range(2):  # what they answer each other travels too
            await meet(*nodes)
        found = [await books(node) if await node.stock("a") else None for node in nodes]
        rows = [node._book.shelf.whole() for node in nodes]
        named = [
            sorted(
                (node._book.journal.heads()[0].stream.scope, *_named(node, row)) for row in listed
            )
            for node, listed in zip(nodes, rows, strict=True)
        ]
        assert named[0] == named[1] == named[2]
        if found[0] is not None:
            assert found[0][0] == delivered - sold - handed
            made, used, held, freed, _, gave, got, _, covered = (
                sum(row[2 + n] for row in rows[0]) for n in range(9)
            )
            assert gave == got
            if delivered:  # stock is kept: nothing is consumed beyond what was made
                assert used + held - freed + covered <= made
        await sound(*nodes)


def _named(node, row):
    cell, id_, *rest = row
    stream = next(s for s, r in node._book.journal._rows.items() if r.id == id_)
    return cell, stream.node, stream.incarnation, *rest


async def test_nobody_but_head_office_closes_a_stream(tmp_path):
    async with two(tmp_path) as (a, b, central):
        await a.write(delivering(1, 5000))
        await meet(a, b, central)
        head = next(h for h in a.heads() if h.stream == a.stream)
        forged = StreamClosed(a.stream, 0, genesis(a.stream), b.stream, "mine now")
        before = await books(a), await books(central)
        with pytest.raises(BadFact, match="head office"):
            await b.write(lambda unit: unit.append(forged, event(9)))
        await b.write(lambda unit: _unchecked(unit, forged, event(9)))
        await meet(a, b, central)
        assert (await books(a), await books(central)) == before
        assert (await books(b))[1] == 0
        assert (await a.figures()).quarantined == 1
        fence = StreamClosed(a.stream, head.seq, head.hash, b.stream, "lost")
        await central.write(lambda unit: unit.append(fence, event(10)))
        await meet(b, central)
        assert (await books(b))[1] == 5000  # the forged one, though older, hides nothing
        await sound(a, b, central)


def _unchecked(unit, body, about):
    """Append what no honest program would."""
    stream, head = unit.stream, unit._journal.row(unit.stream).head
    kind, version = kind_of(body)
    hlc = tick(unit._life.hlc, unit.now.ms)
    fact = Fact(head.seq + 1, hlc, kind, version, about, encode(body))
    unit._views.take(unit._journal.append(stream, fact, unit._key), stream, fact)
    unit._life.hlc = hlc
