"""One seeded world: a head office, its stores, and everything that can go wrong at once.

Real code of edge and central on one thread and in virtual time. A seed draws the shape of
the chain, what people do, and which faults come when; then everything heals, and within
`HEALED_S` virtual seconds nothing may wait and every view must be equal everywhere.
"""

import asyncio
import gc
import random
import secrets
import shutil
import tempfile
from collections import Counter
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import structlog

import central.ledger.database as ledger_database
import central.nodes.authority as authority_module
import central.nodes.conversation as office_conversation
import edge.store.journal as edge_journal
import edge.store.lives as edge_lives
import edge.store.verify as edge_verify
from central.ledger import upkeep
from central.stock import keeping, policy
from edge.stockroom import documents
from edge.stockroom.request import GoodsReceivedRequest, ReceivedLineRequest
from sync import chain
from tests.simulation import ageing, disk, faults, founding, judge, net, people, trust
from tests.simulation.founding import EPOCH_MS, SHAPES, SKUS, WEIGHTS, stores_of
from tests.simulation.loop import DICE, HERE, Dice, Loop
from tests.simulation.machines import Node, Office

LOOKS = 5
"""How often one looks again where the books moved while one looked."""

HEALED_S = 30.0
"""Virtual seconds after which a healed world must be at rest."""

MOST_SIGNATURES = 20_000
SELDOM = 50_000, 20, 100
"""When garbage is looked for: a world makes little of it, and is over in a second."""

PATIENCE = 100
"""Turns of the loop in which cancelled tasks must have ended."""


class World:
    """Everything that is simulated, and the seed it comes from."""

    def __init__(self, seed, folder, loop, shape):
        self.seed, self.folder, self.loop = seed, folder, loop
        self.shape = shape
        self.happened = Counter()
        self.told = []
        """What happened when, in which step, and where; for who looks into a seed."""

        self.skew_ms = 0
        self._links = {}
        self.office = Office(self, folder / "office")
        self.nodes = [
            Node(self, folder / f"n{number}", f"n{number}", store, number)
            for number, store in stores_of(shape)
        ]
        self.machines = {machine.name: machine for machine in (self.office, *self.nodes)}
        self.truth = judge.Truth()

    def add(self, node):
        """Take in a machine that was not there in the morning."""
        self.nodes.append(node)
        self.machines[node.name] = node

    def now_ms(self):
        """The true time; head office's clock shows it, too."""
        return EPOCH_MS + self.elapsed_ms()

    def elapsed_ms(self):
        """What has passed since the morning, weeks in which nothing happened included."""
        return self.skew_ms + int(self.loop.time() * 1000)

    @property
    def rng(self):
        """What decides for the code that is running."""
        return self.loop.rng

    def count(self, what, n=1, *, at=None):
        """Note that something happened, and at which machine or line."""
        self.happened[what] += n
        where = at or getattr(HERE.get(), "name", "")
        self.told.append((self.loop.time(), getattr(DICE.get(), "name", ""), where, what))

    def life(self):
        return self.rng.getrandbits(40) or 1

    def word(self):
        return self.rng.randbytes(8).hex()

    def event(self):
        return self.rng.randbytes(16)

    def tidy(self, work):
        """Do what the machine's room does once the power is off: after all that runs now."""
        self.loop.call_soon(work)

    def link(self, one, other):
        """Return the way between two machines; the one who is asked for first is its end 0."""
        ends = tuple(sorted((one.name, other.name)))
        found = self._links.get(ends)
        if found is None:
            far = self.office in (one, other)
            found = self._links[ends] = net.Link(self, ends, far=far)
        return found

    def links_of(self, machine):
        return [link for ends, link in self._links.items() if machine.name in ends]

    def links(self):
        return list(self._links.values())

    def neighbours(self, node):
        return [n for n in self.nodes if n.scope == node.scope and n is not node]

    async def open(self):
        """Start all machines."""
        for machine in self.machines.values():
            await machine.spawn(machine.start())

    async def morning(self):
        """Let everybody hear of the catalogue and take goods in, then stop in good order."""
        await self.open()
        shared = {"store": None, "mode": None, "floor_milli": 0, "web_percent": 40}
        await self.office.spawn(
            self.office.ledger.write(lambda unit: policy.set_policy(unit, "*", **shared))
        )
        await self.rest()
        for node in self.nodes:
            lines = tuple(ReceivedLineRequest(sku=sku, quantity_milli=20_000) for sku in SKUS[:-1])
            request, event = GoodsReceivedRequest(lines=lines), self.event()
            await node.spawn(
                node.store.write(lambda unit, r=request, e=event: documents.record(unit, e, r))
            )
        await self.rest()
        for machine in reversed(self.machines.values()):
            await machine.spawn(machine.stop())

    async def run(self, without=frozenset()):
        """Live the whole story, but for some steps."""
        await self.open()
        story = faults.Story(self)
        for step in story.steps:
            await asyncio.sleep(step.after_s)
            if step.number not in without:
                await self.loop.create_task(self._step(story, step))
        await self.loop.create_task(self._end(story))

    async def _step(self, story, step):
        DICE.set(Dice(self.seed, step.number))
        if step.fault:
            await story.fault()
        else:
            people.act(self)

    async def _end(self, story):
        DICE.set(Dice(self.seed, "end"))
        await story.heal()
        await self.rest()
        if self.truth.revoked:
            await trust.close_revoked(self)
            await self.rest()
        for look in range(LOOKS):
            before = judge.heads(self)
            try:
                await judge.judge(self)
            except judge.Wrong:
                if look == LOOKS - 1 or judge.heads(self) == before:
                    raise
                await self.rest()  # something happened by itself, such as a promise that expired
            else:
                break

    async def rest(self):
        """Wait until nothing waits; raise if it does not come to that."""
        until = self.loop.time() + HEALED_S
        why = "nothing was looked at"
        while self.loop.time() < until:
            await asyncio.sleep(0.5)
            why = await judge.restless(self)
            if not why:
                self.count("rested_ms", int((HEALED_S - until + self.loop.time()) * 1000))
                return
        raise judge.Wrong("stuck", f"{why}; links: {[n.shown() for n in self.nodes]}")

    async def close(self):
        """Switch everything off."""
        for machine in self.machines.values():
            if not machine.off:
                machine.cut_power()
        for _ in range(PATIENCE):
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if not left:
                break
            for task in left:
                task.cancel()
            await asyncio.sleep(0)


def _install():
    disk.install()
    net.install()
    trust.install()
    ageing.install()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(50), cache_logger_on_first_use=False
    )

    def rng():
        return asyncio.get_running_loop().rng

    secrets.token_bytes = lambda n=16: rng().randbytes(n)
    secrets.token_hex = lambda n=16: rng().randbytes(n).hex()
    secrets.randbits = lambda bits: rng().getrandbits(bits)
    authority_module.datetime = founding.VirtualDatetime
    _remember_signatures()
    _remember_statements()
    gc.freeze()
    gc.set_threshold(*SELDOM)


def _remember_statements():
    """Compile each of SQLAlchemy's statements once, and not once for each ledger opened."""
    known, create = _Statements(), ledger_database.create_engine

    def create_engine(url, **more):
        engine = create(url, **more)
        engine.update_execution_options(compiled_cache=known)
        return engine

    ledger_database.create_engine = create_engine


class _Statements(dict):
    """Compiled statements, by all of their key but the engine's dialect, which is always alike."""

    def get(self, key, default=None):
        return super().get(key[1:], default)

    def __setitem__(self, key, statement):
        super().__setitem__(key[1:], statement)


def _remember_signatures():
    """Check each signature once: nodes and judges look at the same ones again and again."""
    known, checks = {}, chain.verify_head

    def verify_head(key, head, signature):
        name = (key.public_bytes_raw(), head.stream, head.seq, head.hash, signature)
        if name not in known:
            checks(key, head, signature)
            if len(known) > MOST_SIGNATURES:
                known.clear()
            known[name] = None

    for module in (chain, edge_verify, edge_journal, edge_lives, upkeep):
        module.verify_head = verify_head


def prepared(shape, templates):
    """Return a chain of shops of a shape as it is in the morning; made if it is not there."""
    target = Path(templates) / "-".join(map(str, shape))
    if target.exists():
        return target
    unfinished = Path(tempfile.mkdtemp(dir=templates))
    chain, rng = unfinished / "chain", random.Random(repr(shape))
    founding.VirtualDatetime.now_ms = lambda: EPOCH_MS  # not of a world played before
    with _clocked(rng) as loop:
        loop.run_until_complete(founding.found(shape, chain, rng))
    with _clocked(rng) as loop:
        world = World(0, chain, loop, shape)
        founding.VirtualDatetime.now_ms = world.now_ms
        office_conversation.wall_ms = keeping.wall_ms = world.now_ms
        loop.run_until_complete(world.morning())
    with suppress(OSError):  # another process was as quick
        chain.rename(target)
    shutil.rmtree(unfinished)
    return target


def steps_of(seed):
    """Return the numbers of the steps of a seed's story."""
    shape = random.Random(seed).choices(SHAPES, WEIGHTS)[0]
    return [step.number for step in faults.steps_of(seed, sum(shape))]


@contextmanager
def _clocked(rng):
    """Give a loop; what is still under way in the end is left where it is."""
    disk.places = disk.Places()
    with closing(Loop(rng)) as loop:
        loop.set_exception_handler(lambda *_: None)
        yield loop


def play(seed, templates, without=frozenset()):
    """Play one seed, but for some steps of its story; return the world it was.

    Raises:
        judge.Wrong: An invariant does not hold. What had happened is its `story`.
    """
    rng = random.Random(seed)
    shape = rng.choices(SHAPES, WEIGHTS)[0]
    template = prepared(shape, templates)
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="karb-", dir=memory if memory.is_dir() else None))
    try:
        founding.copied(template, folder / "world")
        with _clocked(rng) as loop:
            world = World(seed, folder / "world", loop, shape)
            founding.VirtualDatetime.now_ms = world.now_ms
            office_conversation.wall_ms = keeping.wall_ms = world.now_ms
            try:
                loop.run_until_complete(world.run(without))
            except judge.Wrong as error:
                error.story = world.told
                raise
            finally:
                loop.run_until_complete(world.close())
            world.count("virtual_s", int(loop.time()))
            world.count(f"worlds of {len(world.nodes)} nodes")
            return world
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_install()
