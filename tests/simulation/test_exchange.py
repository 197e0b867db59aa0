"""Seeded histories of a head office and three nodes: lines that break, crashes, two nodes a store.

The real ledger, the real stores and both real conversations, joined without sockets:
a line is two queues that a fault empties. Which fault comes when is drawn from the
seed, and a failure prints it. After the faults everything heals, and within a bounded
number of rounds nothing may wait: no sale lost, none doubled, every view equal.
"""

import random
import sqlite3
from collections import Counter, deque
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from central.config import Folder
from central.founding import create
from central.ledger import author
from central.ledger.ingest import Incoming
from central.ledger.ledger import Ledger
from central.nodes.authority import Authority
from central.nodes.conversation import Conversation as OfficeConversation
from edge.clock import Clock
from edge.keys import NodeKey
from edge.link.conversation import Conversation
from edge.store.lives import GreetAgain, NewLifeNeeded
from edge.store.store import Store
from sync.chain import ALL
from sync.errors import RemoteProtocolError
from sync.exchange.session import Greeted
from sync.facts.catalogue import Price, PriceColumns, Prices
from sync.facts.node import NodeEnrolled, StoreDescribed
from sync.facts.sale import Sale
from sync.identity import read
from tests.central.machine import copied, request
from tests.edge.store.rig import NOW, selling

SEEDS = (0,)
"""`world` plays the others: this one is what the other files here build on."""

STEPS = 160
STORES = ("S1", "S1", "S2")


class Node:
    """One node: its files, its store, and its end of a line."""

    def __init__(self, world, number, store):
        self.world, self.number, self.scope = world, number, store
        self.folder = world.folder / f"node{number}"
        self.folder.mkdir()
        private = Ed25519PrivateKey.from_private_bytes(world.rng.randbytes(32))
        self.key = NodeKey.of(private)
        csr = x509.load_pem_x509_csr(request(private).encode())
        self.certificate = world.authority.node_from(csr, store)
        self.identity = read(self.certificate)
        self.sold = []
        self.hang_up()

    async def open(self):
        ticks = count(NOW + self.number, 7)
        self.clock = Clock(lambda: next(ticks), lambda: 0)
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

    def hang_up(self):
        """Cut the line: whatever is on its way is gone."""
        self.talk = self.office = None
        self.up, self.down = deque(), deque()

    def dial(self):
        self.hang_up()
        self.talk = Conversation(self.store, self.clock, "sim", relay_after_ms=0)
        self.office = OfficeConversation(self.world.ledger, self.identity)
        self.up.append(self.talk.greet())
        self.down.append(self.office.hello())

    async def sell(self):
        event = self.world.rng.randbytes(16)
        await self.store.write(selling(event, till=f"T{self.number}", skus=("1", "2")))
        self.sold.append((self.scope, event))

    async def move(self):
        """Let one thing happen on the line; return whether anything did."""
        rng = self.world.rng
        if self.talk is None:
            self.dial()
            return True
        if self.up and (not self.down or rng.random() < 0.5):
            await self._at_office(self.up.popleft())
            return True
        if self.office.stale:
            self.hang_up()
            return True
        sent = False
        try:
            if self.down:
                self.up.extend(await self.talk.take(self.down.popleft()))
                return True
            if (batch := await self.talk.next()) is not None:
                self.up.append(batch)
                sent = True
        except NewLifeNeeded as need:
            await self.store.begin_life(self.world.life(), str(need))
            self.hang_up()
            return True
        except GreetAgain:
            self.hang_up()
            return True
        if (batch := await self.office.next_batch()) is not None:
            self.down.append(batch)
            sent = True
        return sent

    async def _at_office(self, payload):
        event = await self.office.read(payload)
        if isinstance(event, Incoming):
            self.down.extend(self.office.settle(await self.world.ledger.take([event])))
        elif isinstance(event, Greeted):
            self.down.extend(await self.office.compare(event))


class World:
    """Everything that is simulated, and the seed it comes from."""

    node = Node

    def __init__(self, folder, made, seed):
        self.folder, self.rng = folder, random.Random(seed)
        self.office = Folder(copied(made, folder / "central"))
        self.authority = Authority.load(self.office)
        self._lives = count(1)
        self.ledger = self._open()
        self.nodes = [self.node(self, n, store) for n, store in enumerate(STORES)]
        self.revision = 0

    def _open(self):
        return Ledger.open(self.office.ledger, self.authority.node_key)

    def life(self):
        return next(self._lives)

    async def begin(self):
        for node in self.nodes:
            der = node.certificate.public_bytes(Encoding.DER)
            told = [
                (self.rng.randbytes(16), StoreDescribed(node.scope, node.scope)),
                (self.rng.randbytes(16), NodeEnrolled(node.key.node, node.scope, der)),
            ]
            await self.ledger.write(
                lambda unit, node=node, told=told: author.write(unit, node.scope, told)
            )
            await node.open()

    async def price(self):
        self.revision += 1
        body = Prices(self.revision, PriceColumns.of((Price("1", 100 + self.revision),)))
        told = [(self.rng.randbytes(16), body)]
        await self.ledger.write(lambda unit: author.write(unit, ALL, told))

    async def restart_office(self):
        for node in self.nodes:
            node.hang_up()
        self.ledger.close()
        self.ledger = self._open()

    async def restart(self, node):
        node.hang_up()
        await node.store.close()
        await node.open()

    async def step(self):
        node = self.rng.choice(self.nodes)
        draw = self.rng.random()
        if draw < 0.25:
            await node.sell()
        elif draw < 0.30:
            node.hang_up()
        elif draw < 0.33 and node.up:
            node.up.append(node.up[0])  # a carrier said it twice
        elif draw < 0.35:
            await self.price()
        elif draw < 0.36:
            await self.restart(node)
        elif draw < 0.365:
            await self.restart_office()
        else:
            try:
                await node.move()
            except Exception:  # noqa: BLE001 - a repeated greeting is nonsense: the line drops
                node.hang_up()

    async def heal(self):
        """No more faults: within a bounded number of moves nothing may be left to do."""
        for node in self.nodes:
            node.hang_up()
        for _ in range(60):
            idle = True
            for node in self.nodes:
                for _ in range(100):
                    try:
                        if not await node.move():
                            break
                    except RemoteProtocolError:
                        node.hang_up()  # central moved on meanwhile: greeted again, both see it
                    idle = False
            if idle:
                return
        raise AssertionError("something still moves: nodes never agree")

    async def close(self):
        for node in self.nodes:
            await node.store.close()
        self.ledger.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("office") / "central"
    create(Folder(path), [])
    return path


@pytest.mark.parametrize("seed", SEEDS)
async def test_after_any_faults_every_sale_is_everywhere_once(made, seed):
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        world = World(Path(folder), made, seed)
        await world.begin()
        try:
            for _ in range(STEPS):
                await world.step()
            await world.heal()
            await _judge(world)
        finally:
            await world.close()
        _judge_files(world)


async def _judge(world):
    for node in world.nodes:
        figures = await node.store.figures()
        assert (figures.waiting, figures.frozen, figures.quarantined) == (0, 0, 0)
        assert (await node.store.verify()).sound
        here = {entry for other in world.nodes if other.scope == node.scope for entry in other.sold}
        assert figures.sales == len(here), "each node of a store has all sales of the store"
        price = await node.store.article("1", NOW)
        assert price is None, "a price without an article sells nothing"
    stocks = [await node.store.stock("1") for node in world.nodes if node.scope == "S1"]
    assert len({stock and stock.quantity_milli for stock in stocks}) == 1


def _judge_files(world):
    """Look at head office's file by plain sqlite3."""
    db = sqlite3.connect(world.office.ledger)
    kept = sorted(db.execute("SELECT store, event FROM sales"))
    assert kept == sorted(entry for node in world.nodes for entry in node.sold)
    assert db.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)
    for till, least, most, n in db.execute(
        "SELECT till, min(number), max(number), count(*) FROM sales GROUP BY till, series"
    ):
        assert (least, most) == (1, n), f"{till}: numbers are gap-free"
    sold = Counter()
    for store, body in db.execute(
        "SELECT store, body FROM facts JOIN sales USING (store, node, incarnation, seq)"
    ):
        for line in msgspec.msgpack.decode(body, type=Sale).lines.rows():
            sold[store] -= line.quantity_milli * (line.sku == "1")
    stock = dict(
        db.execute(
            "SELECT store, sum(made - used - done - over) FROM rights WHERE cell = '1' GROUP BY 1"
        )
    )
    assert stock == sold
    db.close()
