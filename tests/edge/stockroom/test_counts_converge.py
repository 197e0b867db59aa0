"""Counts beside sales, deliveries, write-offs and lost links: the books end at the truth."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.stockroom.request import (
    GoodsReceivedRequest,
    MovedLineRequest,
    ReceivedLineRequest,
    WrittenOffRequest,
)
from tests.edge.stockroom.place import (
    SKUS,
    counting_line,
    opening,
    place,
    posting_of,
    recording,
    selling,
    telling,
)

SHEETS = (1, 2)
NODE = st.integers(0, 1)
SKU = st.sampled_from(SKUS)
MILLI = st.integers(1, 5).map(lambda n: n * 1000)
STEPS = st.one_of(
    st.tuples(st.just("sell"), NODE, SKU, MILLI),
    st.tuples(st.just("sell"), NODE, SKU, MILLI),
    st.tuples(st.just("deliver"), NODE, SKU, MILLI),
    st.tuples(st.just("write off"), NODE, SKU, MILLI),
    st.tuples(st.just("steal"), NODE, SKU, MILLI),
    st.tuples(st.just("deliver once more"), NODE, SKU, MILLI),
    st.tuples(st.just("count"), NODE, SKU, st.sampled_from(SHEETS)),
    st.tuples(st.just("count"), NODE, SKU, st.sampled_from(SHEETS)),
    st.tuples(st.just("post"), NODE, SKU, st.sampled_from(SHEETS)),
    st.tuples(st.just("carry"), NODE, SKU, MILLI),
    st.tuples(st.just("meet"), NODE, SKU, MILLI),
)


class Truth:
    """What is really in the room, and what the last count of each article was."""

    def __init__(self):
        self.there = Counter()
        self.stolen_since = {}
        """Of articles that were counted: what nobody wrote down since."""
        self.lost = Counter()
        """What the books cannot know: stolen, and not counted since."""
        self.deliveries = {0: [], 1: []}
        self.number = 1000

    def next(self):
        self.number += 1
        return self.number


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.lists(STEPS, max_size=30))
def test_after_posting_the_books_are_the_truth(steps):
    async def run():
        with tempfile.TemporaryDirectory() as folder:
            async with place(Path(folder)) as shop:
                await lived(shop, steps)

    asyncio.run(run())


async def lived(shop, steps):
    truth = Truth()
    await shop.home.write(opening(SHEETS[0]))
    await shop.other.write(opening(SHEETS[1]))
    await shop.meet()
    counted = {sheet: set() for sheet in SHEETS}
    posted = set()
    for step, at, sku, value in steps:
        node = shop.nodes[at]
        match step:
            case "sell":
                await node.write(selling(truth.next(), sku, value, till=f"T{at}"))
                truth.there[sku] -= value
            case "deliver":
                number = truth.next()
                await node.write(recording(number, delivery(sku, value)))
                truth.deliveries[at].append((number, sku, value))
                truth.there[sku] += value
            case "deliver once more":  # the paper is keyed in at the other node too
                for number, its_sku, milli in truth.deliveries[1 - at][-1:]:
                    await node.write(recording(number, delivery(its_sku, milli)))
            case "write off":
                lines = (MovedLineRequest(sku=sku, quantity_milli=value),)
                request = WrittenOffRequest(lines=lines, reason="stłuczka")
                await node.write(recording(truth.next(), request))
                truth.there[sku] -= value
            case "steal":
                truth.there[sku] -= value
                truth.lost[sku] += value
            case "count" if value not in posted and truth.there[sku] >= 0:
                attempt = truth.next() % 100 + 1
                await node.write(counting_line(value, sku, truth.there[sku], attempt))
                counted[value].add(sku)
                truth.lost[sku] = 0
            case "post" if value not in posted and counted[value]:
                await shop.meet()
                assert await shop.home.write(posting_of(value))
                posted.add(value)
            case "carry":
                await shop.carry(node, shop.nodes[1 - at])
            case "meet":
                await shop.meet()
    await shop.meet()
    for sheet in SHEETS:
        if counted[sheet] and sheet not in posted:
            assert (await shop.home.write(telling(sheet))).state == "ready"
            assert await shop.home.write(posting_of(sheet))
    await shop.meet()
    for node in (*shop.nodes, shop.central):
        for sku in SKUS:
            assert await shop.physical(node, sku) == truth.there[sku] + truth.lost[sku], sku
    await shop.sound()


def delivery(sku, milli):
    return GoodsReceivedRequest(lines=(ReceivedLineRequest(sku=sku, quantity_milli=milli),))
