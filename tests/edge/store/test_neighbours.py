"""Two stores on real files that carry each other's facts: whose till it is, what counts once."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.store.store import CENTRAL
from edge.store.unit import TillTaken
from sync.chain import ALL, StreamId
from sync.facts.node import NodeRevoked
from sync.facts.sale import SaleClosed, Stage
from sync.facts.stock import GoodsReceived, ReceivedLine, ReceivedLines
from tests.edge.store.rig import NOW, opened, selling
from tests.edge.store.test_clocks import carry, fresh, running


@contextlib.asynccontextmanager
async def pair(folder):
    async with running(folder, 0) as (one, _), running(folder, 1) as (two, _):
        yield one, two


async def meet(one, two):
    for _ in range(5):  # who recorded an event second compensates: that has to travel, too
        await carry(one, two)
        await carry(two, one)
        if sorted(one.heads(), key=repr) == sorted(two.heads(), key=repr):
            return
    raise AssertionError("they never agree")


async def shelf(store):
    """What is on the shelf, and as of when; the right to promise it is each node's own."""
    found = await store.stock("1")
    return found and (found.quantity_milli, found.as_of_ms)


def received(milli):
    return GoodsReceived(NOW, 2, ReceivedLines.of((ReceivedLine("1", milli),)))


async def test_a_till_belongs_to_the_node_that_sold_on_it(tmp_path):
    async with pair(tmp_path) as (one, two):
        await one.write(selling(fresh(), till="T1"))
        await meet(one, two)
        await one.write(lambda unit: unit.claim_till("T1"))
        await two.write(lambda unit: unit.claim_till("T2"))
        with pytest.raises(TillTaken, match="T1"):
            await two.write(lambda unit: unit.claim_till("T1"))
        await two.write(lambda unit: unit.root(two.key.node, ALL, two.key.public))
        await two.write(lambda unit: unit.append(NodeRevoked(one.key.node), fresh()))
        await two.write(lambda unit: unit.claim_till("T1"))
        assert (await two.verify()).sound


async def test_who_a_till_belongs_to_is_looked_up_and_not_searched_for(tmp_path):
    async with opened(tmp_path) as store:
        await store.write(selling(fresh()))
        seen = []
        store._writer.db.set_trace_callback(seen.append)
        await store.write(lambda unit: unit.claim_till("T1"))
        store._writer.db.set_trace_callback(None)
        asked = [sql for sql in seen if "tills" in sql]
        assert asked
        for sql in asked:
            plan = store._writer.db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
            assert not any("SCAN" in row[3] for row in plan), plan


async def test_one_event_on_both_nodes_counts_once_and_the_journal_is_sound(tmp_path):
    async with pair(tmp_path) as (one, two):
        sale, staged, delivery = fresh(), fresh(), fresh()
        for store, till, milli in ((one, "T1", 3000), (two, "T2", 5000)):
            await store.write(selling(sale, till=till))
            await store.write(selling(staged, till=till, stage=Stage.TENDERED))
            await store.write(lambda unit, milli=milli: unit.append(received(milli), delivery))
        await two.write(lambda unit: unit.append(SaleClosed(NOW, 2), staged))
        await meet(one, two)
        stocks = [await shelf(store) for store in (one, two)]
        assert stocks[0] == stocks[1]
        winner = min((one, two), key=lambda store: store.stream)
        assert stocks[0][0] == (3000 if winner is one else 5000) - 2000
        for store in (one, two):
            assert (await store.figures()).sales == 2
            verdict = await store.verify()
            assert verdict.sound, verdict.findings


steps = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(("sale", "delivery", "carry")),
        st.integers(1, 4),
        st.integers(1, 2),
    ),
    max_size=14,
)


@settings(max_examples=20)
@given(steps)
async def test_whoever_books_what_in_whatever_order_both_end_alike(tmp_path_factory, steps):
    async with pair(tmp_path_factory.mktemp("pair")) as nodes:
        for which, what, event, till in steps:
            store = nodes[which]
            name = event.to_bytes(16, "big")
            if what == "carry":
                await carry(nodes[1 - which], store)
            elif what == "sale":
                await store.write(selling(name, till=f"T{till}"))
            else:
                name = (100 + event).to_bytes(16, "big")
                await store.write(
                    lambda unit, event=event, name=name: unit.append(received(event), name)
                )
        await meet(*nodes)
        found = []
        for store in nodes:
            verdict = await store.verify()
            assert verdict.sound, verdict.findings
            found.append(
                (
                    await shelf(store),
                    (await store.figures()).sales,
                    await store._rows("SELECT * FROM tills ORDER BY till"),
                )
            )
        assert found[0] == found[1]


async def test_what_others_say_that_central_holds_only_grows_and_only_of_what_is_here(tmp_path):
    async with pair(tmp_path) as (one, _):
        await one.write(selling(fresh()))
        (own,) = [head for head in one.heads() if head.stream == one.stream]
        other = StreamId(bytes(16), 1, "S1")
        one.hear_of_central({one.stream: 1, other: 9}, {one.stream: 1})
        assert (await one.figures()).waiting == own.seq - 1
        one.hear_of_central({one.stream: own.seq + 100}, {})
        one.hear_of_central({one.stream: 1}, {one.stream: 0})
        assert one.central_holds() == {one.stream: (own.seq, 1)}
        assert (await one.figures()).waiting == 0
        one.note_peer({one.stream: 1}, {})  # head office itself knows better
        assert (await one.figures()).waiting == own.seq - 1
        one.note_peer({one.stream: 2}, {}, "ab" * 16)
        await one.keep_peer()
        rows = await one._rows("SELECT peer, stored, safe FROM peers ORDER BY stored")
        assert rows == [(CENTRAL, 1, 1), ("ab" * 16, 2, 0)]
