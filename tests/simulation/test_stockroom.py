"""Seeded histories of stockrooms: transfers between stores, counts, thefts, broken lines.

The world of `test_exchange`, in which goods also travel and are counted. One clock serves
all nodes: how exact a count is where clocks disagree is another test's business
(`tests.edge.stockroom.test_counting`).
"""

from collections import Counter, defaultdict
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest

from central.config import Folder
from central.founding import create
from central.ledger import author, papers
from edge.clock import Clock
from edge.stockroom import counting, documents
from edge.stockroom.request import (
    CountLineRequest,
    CountPostRequest,
    CountRequest,
    GoodsReceivedRequest,
    MovedLineRequest,
    ReceivedLineRequest,
    TransferInRequest,
    TransferOutRequest,
)
from edge.store.store import Store
from edge.till.errors import Conflict, NotFound
from sync.chain import ALL
from sync.facts.catalogue import Article, ArticleColumns, Articles
from tests.edge.store.rig import NOW, selling
from tests.simulation.test_exchange import Node, World

SEEDS = range(6)
STEPS = 220
SKU = "1"


class OneTime(Clock):
    """The one time of the world: what head office says of the real one is not heard."""

    def hear(self, source, ms):
        del source, ms


class Keeper(Node):
    """A node whose people receive, send and count."""

    async def open(self):
        self.clock = OneTime(lambda: next(self.world.ticks), lambda: 0)
        self.store = await Store.open(
            self.folder / "karb.sqlite",
            self.key,
            self.scope,
            self.clock,
            incarnation=self.world.life(),
        )
        office = self.world.ledger.own
        public = self.world.authority.node_key.public_key().public_bytes_raw()
        await self.store.write(lambda unit: unit.root(office.node, ALL, public))

    async def sell(self):
        await self.world.buy(self, 1000)

    async def record(self, request):
        event = self.world.rng.randbytes(16)
        await self.store.write(lambda unit: documents.record(unit, event, request))
        return event


class Stockrooms(World):
    """What is really in each room, beside what the books say."""

    def __init__(self, folder, made, seed):
        super().__init__(folder, made, seed)
        self.ticks = count(NOW, 7)
        self.nodes = [Keeper(self, n + 10, node.scope) for n, node in enumerate(self.nodes)]
        self.there = Counter()
        self.lost = Counter()
        """Stolen, and not counted since."""
        self.under_way = {}
        self.sheets = defaultdict(set)

    async def begin(self):
        await super().begin()
        body = Articles(1, ArticleColumns.of((Article(SKU, "Chleb", "CHLEB", "szt", "5", ()),)))
        await self.ledger.write(lambda unit: author.write(unit, ALL, [(bytes(16), body)]))
        await self.heal()

    async def step(self):
        if self.rng.random() < 0.5:
            await super().step()
            return
        node = self.rng.choice(self.nodes)
        milli = self.rng.randint(1, 9) * 1000
        what = self.rng.choice(("receive", "send", "arrive", "count", "post", "steal", "buy"))
        await getattr(self, what)(node, milli)

    async def receive(self, node, milli):
        lines = (ReceivedLineRequest(sku=SKU, quantity_milli=milli * 3),)
        await node.record(GoodsReceivedRequest(lines=lines))
        self.there[node.scope] += milli * 3

    async def buy(self, node, milli):
        event = self.rng.randbytes(16)
        await node.store.write(selling(event, till=f"T{node.number}", skus=(SKU,), quantity=milli))
        node.sold.append((node.scope, event))
        self.there[node.scope] -= milli

    async def steal(self, node, milli):
        self.there[node.scope] -= milli
        self.lost[node.scope] += milli

    async def send(self, node, milli):
        to = "S2" if node.scope == "S1" else "S1"
        lines = (MovedLineRequest(sku=SKU, quantity_milli=milli),)
        event = await node.record(TransferOutRequest(lines=lines, to_store=to))
        self.there[node.scope] -= milli
        self.under_way[event] = milli

    async def arrive(self, node, _milli):
        """Book what is announced; the other node may have booked it, unheard of here."""
        coming, _ = await node.store.transfers()
        if not coming:
            return
        view = self.rng.choice(coming)
        lines = (MovedLineRequest(sku=SKU, quantity_milli=view.amounts[SKU]),)
        transfer = UUID(bytes=view.event)
        await node.record(TransferInRequest(lines=lines, from_store=view.place, transfer=transfer))
        self.there[node.scope] += self.under_way.pop(view.event, 0)

    async def count(self, node, _milli):
        if self.there[node.scope] < 0:
            return
        event, there = self.rng.randbytes(16), self.there[node.scope]
        line = CountLineRequest(counted_milli=there)

        def work(unit):
            counting.open_sheet(unit, event, CountRequest(name="Spis"))
            counting.count(unit, event, SKU, line)

        await node.store.write(work)
        self.sheets[node.scope].add(event)
        self.lost[node.scope] = 0

    async def post(self, node, _milli):
        for event in sorted(self.sheets[node.scope]):
            try:
                await node.store.write(lambda u, e=event: counting.post(u, e, CountPostRequest()))
            except (Conflict, NotFound):
                continue  # not its to post, not all marks are here, or not heard of
            self.sheets[node.scope].discard(event)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("office") / "central"
    create(Folder(path), [])
    return path


@pytest.mark.parametrize("seed", SEEDS)
async def test_after_any_faults_the_books_are_the_rooms(made, seed):
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        world = Stockrooms(Path(folder), made, seed)
        await world.begin()
        try:
            for _ in range(STEPS):
                await world.step()
            await world.heal()
            for node in world.nodes:
                await world.post(node, 0)
            assert not any(world.sheets.values()), "every sheet has every mark"
            await world.heal()
            await _judge(world)
        finally:
            await world.close()


async def _judge(world):
    for node in world.nodes:
        found = await node.store.stock(SKU)
        told = found.quantity_milli if found else 0
        assert told == world.there[node.scope] + world.lost[node.scope], node.scope
        assert (await node.store.verify()).findings == []
        coming, _ = await node.store.transfers()
        for view in coming:
            assert world.under_way[view.event] == view.amounts[SKU]
    with world.ledger._database.reading() as connection:
        shown = papers.transfers(connection, None)
    assert {t.state for t in shown} <= {"in_transit", "arrived"}
    assert all(t.announced for t in shown)
    on_the_road = {UUID(t.transfer).bytes for t in shown if t.state == "in_transit"}
    assert on_the_road == world.under_way.keys()
