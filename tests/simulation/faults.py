"""What goes wrong, and how it is put right in the end."""

import asyncio
from typing import NamedTuple

from tests.simulation import ageing, disks, hostile, people, trust
from tests.simulation.loop import Dice

MEAN_STEPS = 60


class Step(NamedTuple):
    """Something is done, or goes wrong; what it is, its own dice say."""

    number: int
    after_s: float
    fault: bool


def steps_of(seed, nodes):
    """Return the steps of a seed, in a world of so many nodes."""
    rng = Dice(seed, "steps")
    share = rng.choice((0.0, 0.1, 0.25, 0.4))
    steps = rng.randrange(MEAN_STEPS // 2, MEAN_STEPS * 3 // 2) if nodes <= 5 else 3 * nodes
    return [Step(number, rng.expovariate(3.0), rng.random() < share) for number in range(steps)]


class Story:
    """The steps of one world; which kinds of faults it has is drawn from its seed."""

    def __init__(self, world):
        self.world = world
        self.steps = steps_of(world.seed, len(world.nodes))
        rng = Dice(world.seed, "faults")
        rooms = [NETWORK, MACHINES]
        rooms += [room for room, share in RARE if rng.random() < share]
        self.rooms = [
            [kind for kind in room if rng.random() < 0.75] or list(room) for room in rooms
        ]

    async def fault(self):
        """Let something go wrong, or right again."""
        world = self.world
        if world.rng.random() < 0.3:
            await mend(world)
            return
        await world.rng.choice(world.rng.choice(self.rooms))(world)

    async def heal(self):
        """No more faults: all that is broken is put right, and everybody sells once more."""
        world = self.world
        for link in world.links():
            link.heal()
        for machine in world.machines.values():
            machine.fuse = None
        for node in world.nodes:
            node.disk.full_at = None
            if node.serving and node.store.full:
                await _stopped(node)
            if node.old and node.serving:
                await _stopped(node)
            node.old = False
        await _start_all(world)
        for node in world.nodes:
            if node.serving:
                await asyncio.wait([node.spawn(disks.find_damage(world, node))])
            await trust.enrol_again(world, node)
            node.spawn(people._done(world, people.sell, node))


async def _stopped(machine):
    await asyncio.wait([machine.spawn(machine.stop())])
    if not machine.off:
        machine.cut_power()


async def _start_all(world):
    for machine in world.machines.values():
        if machine.off:
            await asyncio.sleep(0.01)
            await asyncio.wait([machine.spawn(machine.start())])


def _link(world):
    links = world.links()
    return world.rng.choice(links) if links else None


async def cut_link(world):
    if link := _link(world):
        link.cut()
        world.count("fault: cut")


async def one_way(world):
    if link := _link(world):
        link.impair(world.rng.randrange(2))
        world.count("fault: one way")


async def silent(world):
    if link := _link(world):
        link.impair(0, 1)
        world.count("fault: silent")


async def flap(world):
    if link := _link(world):
        world.count("fault: flapping")
        for _ in range(world.rng.randint(2, 5)):
            link.cut()
            await asyncio.sleep(world.rng.random() * 2)
            link.heal()
            await asyncio.sleep(world.rng.random() * 2)


async def evil(world):
    if link := _link(world):
        link.evil = world.rng.choice((0.02, 0.1, 0.3))
        world.count("fault: lossy")


async def no_sockets(world):
    if link := _link(world):
        link.sockets = False
        link.hang_up()
        world.count("fault: requests only")


async def mend(world):
    """Something works again."""
    if link := _link(world):
        link.heal()
    for machine in world.machines.values():
        if machine.off and world.rng.random() < 0.7:
            await asyncio.wait([machine.spawn(machine.start())])


async def power_cut(world):
    machine = world.rng.choice(list(world.machines.values()))
    if not machine.off:
        world.count("fault: power cut")
        machine.cut_power()


async def power_cut_at_an_await(world):
    node = world.rng.choice(world.nodes)
    if node.serving:
        world.count("fault: power cut at an await")
        node.fuse = world.rng.randint(1, 14)


async def restart(world):
    machine = world.rng.choice(list(world.machines.values()))
    if machine.serving:
        world.count("fault: restart")
        await _stopped(machine)
        await asyncio.wait([machine.spawn(machine.start())])


async def fill_disk(world):
    node = world.rng.choice(world.nodes)
    if node.serving:
        world.count("fault: disk full")
        node.disk.fill()


async def free_disk(world):
    for node in world.nodes:
        if node.disk.full_at is not None:
            node.disk.full_at = None
            if node.serving:
                await _stopped(node)
            await asyncio.wait([node.spawn(node.start())])
            return


async def clock_jump(world):
    node = world.rng.choice(world.nodes)
    years = world.rng.choice((-10, -1, 1, 10))
    node.wall_ms = lambda: world.now_ms() + years * 365 * 24 * 3_600_000
    world.count("fault: clock jump")


async def no_clock(world):
    node = world.rng.choice(world.nodes)
    if node.serving:
        world.count("fault: boot without a clock")
        node.rtc, node.wall_ms = False, lambda: int(world.loop.time() * 1000)
        node.cut_power()
        await asyncio.sleep(0.01)
        await asyncio.wait([node.spawn(node.start())])


NETWORK = (cut_link, one_way, silent, flap, evil, no_sockets)
MACHINES = (
    power_cut,
    power_cut_at_an_await,
    power_cut_at_an_await,
    restart,
    fill_disk,
    free_disk,
    clock_jump,
    no_clock,
)

RARE = (
    (disks.HONEST, 0.3),
    (disks.IMAGES, 0.15),
    (disks.CLONES, 0.08),
    (ageing.AGE, 0.25),
    (ageing.NEW, 0.15),
    (hostile.HOSTILE, 0.25),
    (trust.VERSIONS, 0.3),
    (trust.CERTIFICATES, 0.12),
    (trust.REVOKED, 0.12),
)
"""Faults that not every world has."""
