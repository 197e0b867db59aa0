"""Two nodes' clocks: order follows what was heard, dates follow the node's own time alone."""

import contextlib
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clock import Clock
from edge.store.store import Store
from sync.clock import MAX_AHEAD_MS, hlc_ms
from tests.edge.store.rig import NOW, key, selling

EVENT = count(1)


def fresh():
    return next(EVENT).to_bytes(16, "big")


@contextlib.asynccontextmanager
async def running(folder, number, ahead_ms=0):
    ticks = count(NOW + ahead_ms, 7)
    clock = Clock(lambda: next(ticks), lambda: 0)
    store = await Store.open(
        folder / f"{number}.sqlite", key(number), "S1", clock, incarnation=number + 1
    )
    for other in range(3):
        node = key(other)
        await store.write(lambda unit, node=node: unit.root(node.node, "S1", node.public))
    try:
        yield store, clock
    finally:
        await store.close()


async def carry(source, target):
    """Give `target` what it lacks of `source`'s own stream."""
    held = {head.stream: head.seq for head in target.heads()}
    after = held.get(source.stream, 0)
    while (found := await source.batch(source.stream, after)) is not None:
        await target.receive(*found)
        after = found[0].last


async def last_hlc(store):
    head = next(head for head in store.heads() if head.stream == store.stream)
    batch, _ = await store.batch(store.stream, head.seq - 1)
    return batch.facts[-1].hlc


async def test_a_fact_written_after_another_was_heard_stands_after_it(tmp_path):
    async with running(tmp_path, 0, 3_600_000) as (fast, _), running(tmp_path, 1) as (slow, _):
        await fast.write(selling(fresh()))
        await carry(fast, slow)
        await slow.write(selling(fresh(), till="T2"))
        assert await last_hlc(slow) > await last_hlc(fast)


async def test_a_neighbours_fast_clock_moves_no_business_day(tmp_path):
    async with running(tmp_path, 0, 6 * 3_600_000) as (fast, _):
        await fast.write(selling(fresh()))
        async with running(tmp_path, 1) as (slow, clock):
            await carry(fast, slow)
            await slow.write(selling(fresh(), till="T2"))
            assert hlc_ms(await last_hlc(slow)) >= NOW + 6 * 3_600_000
            assert clock.now().ms < NOW + 60_000
        async with running(tmp_path, 1) as (slow, clock):
            assert clock.now().ms < NOW + 60_000, "nor after a start"
            await slow.write(selling(fresh(), till="T2"))
            assert clock.now().ms < NOW + 60_000
            assert await last_hlc(slow) > await last_hlc(fast)


async def test_its_own_last_fact_is_still_the_least_that_time_can_be(tmp_path):
    async with running(tmp_path, 0, 6 * 3_600_000) as (fast, _):
        await fast.write(selling(fresh()))
        async with running(tmp_path, 1) as (slow, _):
            await carry(fast, slow)
            await slow.write(selling(fresh(), till="T2"))
    async with running(tmp_path, 1, -5_000_000) as (_, clock):
        assert NOW <= clock.now().ms < NOW + 60_000


async def test_what_was_heard_before_a_crash_still_orders_what_is_written_after(tmp_path):
    async with running(tmp_path, 0, 3_600_000) as (fast, _):
        await fast.write(selling(fresh()))
        async with running(tmp_path, 1) as (slow, _):
            await carry(fast, slow)
        async with running(tmp_path, 1) as (slow, _):
            await slow.write(selling(fresh(), till="T2"))
            assert await last_hlc(slow) > await last_hlc(fast)


@pytest.mark.parametrize("rolled_back", [False, True])
async def test_a_time_out_of_bounds_is_kept_and_not_followed(tmp_path, rolled_back):
    ahead = MAX_AHEAD_MS + 3_600_000
    async with running(tmp_path, 0, ahead) as (fast, _), running(tmp_path, 1) as (slow, clock):
        await fast.write(selling(fresh()))
        if rolled_back:
            with contextlib.suppress(ZeroDivisionError):
                await slow.write(lambda _: 1 // 0)
        await carry(fast, slow)
        await slow.write(selling(fresh(), till="T2"))
        assert hlc_ms(await last_hlc(slow)) < NOW + 60_000
        assert clock.now().ms < NOW + 60_000


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 1), st.booleans()), max_size=8), st.integers(0, 10**8))
async def test_whatever_two_nodes_say_time_stays_their_own(tmp_path_factory, steps, ahead):
    folder = tmp_path_factory.mktemp("clocks")
    async with (
        running(folder, 0, ahead) as (fast, _),
        running(folder, 1) as (slow, clock),
    ):
        nodes = (fast, slow)
        for which, sells in steps:
            if sells:
                before = await last_hlc(nodes[which])
                await nodes[which].write(selling(fresh(), till=f"T{which}"))
                assert await last_hlc(nodes[which]) > before
            else:
                await carry(nodes[1 - which], nodes[which])
        assert clock.now().ms < NOW + 60_000
