"""The machines of a world: head office and its stores' nodes, each started as in its `app`."""

import asyncio
import contextlib
from functools import partial

from cryptography.hazmat.primitives.serialization import Encoding

from central.config import Folder
from central.ledger import contacts
from central.ledger.ledger import Ledger
from central.nodes.authority import Authority
from central.nodes.carrier import Live
from central.nodes.checkpoints import Checkpoints
from central.nodes.enrolment import Enrolment
from central.nodes.peers import Peers as OfficePeers
from central.stock import keeping
from edge.clock import Clock
from edge.keys import NodeKey
from edge.link import tls
from edge.link.lan import LanServer
from edge.link.peers import Peers
from edge.link.uplink import Uplink
from edge.store.connection import StoreError
from edge.store.store import Store
from edge.till.counter import Counter
from sync.chain import ALL
from tests.simulation.disk import Disk
from tests.simulation.loop import Machine
from tests.simulation.net import OFFICE

REST_S = 2.0
"""A program that ended by itself is started again after this, as systemd does."""


class Office(Machine):
    """Head office."""

    def __init__(self, world, folder):
        super().__init__(world, "office")
        self.folder = Folder(folder)
        self.disk = Disk(folder, "ledger.db")
        self.authority = Authority.load(self.folder)
        self.ledger = None
        self.backups = []

    @property
    def serving(self):
        return self.ledger is not None and not self.off

    def certificate_der(self):
        return self.authority.node_certificate.public_bytes(Encoding.DER)

    async def start(self):
        """Start; as `central.app.run` does."""
        self.wake()
        world = self.world
        ledger = Ledger.open(self.folder.ledger, self.authority.node_key, world.now_ms)
        ledger._writer.opened = True
        self.peers = OfficePeers(
            ledger, self.authority.certificate, await ledger.read(contacts.load), world.now_ms
        )
        self.enrolment = Enrolment(ledger, self.authority)
        self.checkpoints = Checkpoints(ledger)
        self.ledger = ledger
        self.spawn(keeping.keep(ledger, world.loop.time))
        self.spawn(self.peers.keep())

    def answer_live(self, request, caller):
        """Return what serves a live connection; raises where the caller is not welcome."""
        identity = self.peers.identify(caller.certificate_der())
        return Live(self.ledger, self.peers, identity).serve(request)

    async def stop(self):
        """End in good order."""
        for link in self.world.links_of(self):
            link.hang_up()
        for task in list(self.tasks):
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.sleep(0)
        ledger, self.ledger = self.ledger, None
        ledger.close()
        self.off = True
        self.tasks.clear()

    def cut_power(self):
        if self.off:
            return
        files = self.disk.keep()
        super().cut_power()
        for link in self.world.links_of(self):
            link.hang_up()
        ledger, self.ledger = self.ledger, None
        if ledger is not None:
            self.world.tidy(ledger.close)
        self.world.tidy(partial(self.disk.put, files))


class Node(Machine):
    """A machine in a store."""

    def __init__(self, world, folder, name, scope, number):
        super().__init__(world, name)
        self.folder, self.scope, self.number = folder, scope, number
        self.disk = Disk(folder, "karb.sqlite")
        self.key = NodeKey.load(folder / tls.KEY)
        self.till = f"T{number}"
        self.store = None
        self.wall_ms = world.now_ms
        self.rtc = number % 3 == 0
        self.copies = []
        self.revoked = False
        self.ended = None
        """Why it does not run, where its program ended by itself."""

    @property
    def serving(self):
        return self.store is not None and not self.off

    @property
    def database(self):
        return self.folder / "karb.sqlite"

    def certificate_der(self):
        return tls.der(tls.certificate(self.folder))

    async def set_up(self, office):
        """Make the database of a new node, which trusts head office; as `edge.enrol` does."""
        self.wake()
        store = await Store.open(
            self.database,
            self.key,
            self.scope,
            Clock(self.wall_ms, lambda: 0),
            incarnation=self.world.life(),
            machine=self.name,
        )
        await store.write(lambda unit: unit.root(office.node, ALL, office.public))
        await store.close()

    async def start(self):
        """Start; as `edge.app.running` does."""
        self.wake()
        self.ended = None
        world = self.world
        started = world.elapsed_ms()
        self.clock = Clock(
            lambda: self.wall_ms(),  # noqa: PLW0108 - it may be set while running
            lambda: world.elapsed_ms() - started,
            rtc=self.rtc,
        )
        try:
            store = await Store.open(
                self.database,
                self.key,
                self.scope,
                self.clock,
                incarnation=world.life(),
                machine=self.name.split("-")[0],
            )
        except StoreError as error:
            self.off, self.ended = True, error
            return
        self.store = store
        self.counter = Counter([self.till], store, self.clock, language="pl", fresh=world.word)
        await self.counter.start()
        self.link = Uplink(
            self.folder,
            OFFICE,
            store,
            self.clock,
            random=self.dice.random,
            incarnation=world.life,
            software="sim",
        )
        self.peers = Peers(
            self.folder,
            store,
            self.clock,
            name=self.name,
            random=self.dice.random,
            incarnation=world.life,
            software="sim",
        )
        self.lan = LanServer(self.folder, self.peers)
        self.counter.asking.hears = lambda: self.link.state.state == "live" or self.peers.any_live
        await self.link.start()
        await self.peers.start()
        for other in world.neighbours(self):
            self.peers.found(other.key.node, other.name, [f"sim://{other.name}"])

    def shown(self):
        """Say how its links are, for who wants to know why it waits."""
        if self.store is None:
            return self.name, "off"
        link = self.link.state
        peers = {state.name: (state.state, state.waiting) for state in self.peers._met.values()}
        return self.name, link.state, link.attempts, link.last_error, peers

    def answer_live(self, request, caller):
        """Return what serves a neighbour's live connection."""
        del caller
        return self.lan._live(request)

    async def stop(self):
        """End in good order."""
        with contextlib.suppress(StoreError):
            await self.peers.close()
            await self.link.close()
            await self.counter.close()
            await self.store.close()
        self.store, self.off = None, True
        for link in self.world.links_of(self):
            link.hang_up()
        for task in list(self.tasks):
            if task is not asyncio.current_task():
                task.cancel()
        self.tasks.clear()

    def cut_power(self):
        if self.off:
            return
        files = self.disk.keep()
        super().cut_power()
        for link in self.world.links_of(self):
            link.hang_up()
        store, self.store = self.store, None
        if store is not None:
            store._witness.drop()
            store._reader._conn.close()
            self.world.tidy(store._writer.db.close)
        self.world.tidy(partial(self.disk.put, files))
