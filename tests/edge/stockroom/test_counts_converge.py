"""Counts beside sales, deliveries, write-offs and lost links: the books end at the truth."""

import asyncio
import contextlib
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edge.stockroom.request import (
    GoodsReceivedRequest,
    MovedLineRequest,
    ReceivedLineRequest,
    WrittenOffRequest,
)
from edge.till.errors import Conflict, NotPossible
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
SKU = st.sampled_from(SKUS[:2])
MILLI = st.integers(1, 5).map(lambda n: n * 1000)
STEPS = st.one_of(
    st.tuples(st.sampled_from(("sell", "sell", "deliver", "write_off", "steal")), NODE, SKU, MILLI),
    st.tuples(st.sampled_from(("count", "count", "post")), NODE, SKU, st.sampled_from(SHEETS)),
    st.tuples(st.sampled_from(("deliver_again", "carry", "meet")), NODE, SKU, MILLI),
)


class Story:
    """A shop, what is really in its room, and what its books cannot know."""

    def __init__(self, shop):
        self.shop = shop
        self.there = Counter()
        self.lost = Counter()
        """Stolen, and not counted since."""
        self.deliveries = {0: [], 1: []}
        self.counted = {sheet: set() for sheet in SHEETS}
        self.posted = set()
        self.number = 1000

    def next(self):
        self.number += 1
        return self.number

    async def sell(self, at, sku, milli):
        await self.shop.nodes[at].write(selling(self.next(), sku, milli, till=f"T{at}"))
        self.there[sku] -= milli

    async def deliver(self, at, sku, milli):
        number = self.next()
        await self.shop.nodes[at].write(recording(number, delivery(sku, milli)))
        self.deliveries[at].append((number, sku, milli))
        self.there[sku] += milli

    async def deliver_again(self, at, _sku, _milli):
        """The other node's paper is keyed in here too."""
        for number, sku, milli in self.deliveries[1 - at][-1:]:
            await self.shop.nodes[at].write(recording(number, delivery(sku, milli)))

    async def write_off(self, at, sku, milli):
        lines = (MovedLineRequest(sku=sku, quantity_milli=milli),)
        request = WrittenOffRequest(lines=lines, reason="stłuczka")
        await self.shop.nodes[at].write(recording(self.next(), request))
        self.there[sku] -= milli

    async def steal(self, _at, sku, milli):
        self.there[sku] -= milli
        self.lost[sku] += milli

    async def count(self, at, sku, sheet):
        if sheet in self.posted or self.there[sku] < 0:
            return
        attempt = self.next() % 100 + 1
        with contextlib.suppress(Conflict):  # posted at home, as this node has heard
            await self.shop.nodes[at].write(counting_line(sheet, sku, self.there[sku], attempt))
            self.counted[sheet].add(sku)
            self.lost[sku] = 0

    async def post(self, _at, _sku, sheet):
        """Post if every line that anybody wrote is known at home; a late one does not count."""
        home = self.shop.home
        if sheet in self.posted:
            return
        await self.shop.carry(self.shop.other, home)
        with contextlib.suppress(Conflict, NotPossible):
            assert await home.write(posting_of(sheet))
            self.posted.add(sheet)

    async def carry(self, at, _sku, _milli):
        await self.shop.carry(self.shop.nodes[at], self.shop.nodes[1 - at])

    async def meet(self, *_):
        await self.shop.meet()

    async def ends(self):
        """Everything is carried everywhere, and what was counted is posted."""
        await self.shop.meet()
        for sheet in SHEETS:
            if self.counted[sheet] and sheet not in self.posted:
                assert (await self.shop.home.write(telling(sheet))).state == "ready"
                assert await self.shop.home.write(posting_of(sheet))
        await self.shop.meet()
        for node in (*self.shop.nodes, self.shop.central):
            for sku in SKUS:
                told = await self.shop.physical(node, sku)
                assert told == self.there[sku] + self.lost[sku], sku
        await self.shop.sound()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@example(  # the record that will be taken back stands before the count, its winner after it
    [("deliver", 1, "a", 5000), ("count", 1, "a", 1), ("deliver_again", 0, "a", 0)]
)
@example(  # posted before its author has heard that it must be taken back
    [
        ("deliver", 1, "a", 5000),
        ("deliver_again", 0, "a", 0),
        ("count", 1, "a", 1),
        ("post", 0, "a", 1),
    ]
)
@example(  # an earlier count of another sheet, posted after the later one was taken
    [
        ("deliver", 0, "a", 5000),
        ("steal", 0, "a", 1000),
        ("count", 0, "a", 1),
        ("sell", 1, "a", 1000),
        ("count", 1, "a", 2),
        ("meet", 0, "a", 0),
        ("post", 0, "a", 1),
        ("post", 0, "a", 2),
    ]
)
@example(  # the same, posted the other way round: what was counted last holds
    [
        ("deliver", 0, "a", 5000),
        ("steal", 0, "a", 1000),
        ("count", 0, "a", 1),
        ("steal", 0, "a", 2000),
        ("count", 1, "a", 2),
        ("meet", 0, "a", 0),
        ("post", 0, "a", 2),
        ("post", 0, "a", 1),
    ]
)
@given(st.lists(STEPS, min_size=5, max_size=25))
def test_after_posting_the_books_are_the_truth(steps):
    async def run():
        with tempfile.TemporaryDirectory() as folder:
            async with place(Path(folder)) as shop:
                await shop.home.write(opening(SHEETS[0]))
                await shop.other.write(opening(SHEETS[1]))
                await shop.meet()
                story = Story(shop)
                for step, at, sku, value in steps:
                    await getattr(story, step)(at, sku, value)
                await story.ends()

    asyncio.run(run())


def delivery(sku, milli):
    return GoodsReceivedRequest(lines=(ReceivedLineRequest(sku=sku, quantity_milli=milli),))
