"""Time that passes: old facts are dropped, and new machines begin from checkpoints."""

import asyncio
import re

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from central.ledger import author
from edge.keys import NodeKey
from edge.store import prune as pruning
from edge.store.connection import StoreError
from sync.checkpoint import KEEP_MS
from sync.facts.node import NodeEnrolled
from tests.simulation import disks
from tests.simulation.founding import csr, furnished
from tests.simulation.judge import Wrong
from tests.simulation.machines import Node

MOST_NEW = 3
"""Machines that are new in one world."""

LONGEST_MS = 200 * 24 * 3_600_000


async def weeks_pass(world):
    """What was written so far is old enough to be dropped."""
    if world.skew_ms < LONGEST_MS:
        world.skew_ms += KEEP_MS + 24 * 3_600_000
        world.count("fault: weeks passed")


async def backed_up_and_old(world):
    """A backup is made, its nodes hear of that, weeks pass, and one drops what it may."""
    await disks.back_up(world)
    await asyncio.sleep(world.rng.random() * 4)
    await weeks_pass(world)
    await drop_old(world)


async def drop_old(world):
    """A node drops what is old, and nothing that is not in a backup."""
    able = [node for node in world.nodes if node.serving and not node.old]
    if not able:
        return
    node = world.rng.choice(able)
    task = node.spawn(_drop(world, node))
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def _drop(world, node):
    before = {head.stream: node.store._journal.row(head.stream).base for head in node.store.heads()}
    try:
        dropped = await node.store.prune(node.clock.now())
    except StoreError as error:
        world.count(f"refused: {type(error).__name__}")
        return
    if not dropped.facts:
        world.count(f"nothing to drop: {re.sub('[0-9]+', 'n', dropped.why_not)}")
        return
    world.count("fault: old facts were dropped")
    world.count("facts dropped", dropped.facts)
    world.truth.dropped = True
    for head in node.store.heads():
        row = node.store._journal.row(head.stream)
        safe = world.truth.safe.get(head.stream, 0)
        if row.base > max(safe, before.get(head.stream, 0)):
            told = f"{node.name} dropped {head.stream} to {row.base}, backed up to {safe}"
            raise Wrong("lost", told)


async def new_machine(world):
    """A node that nobody has heard of is set up in a store, and begins from head office's word."""
    office = world.office
    taken = [node for node in world.machines if "new" in node]
    if not office.serving or len(taken) >= MOST_NEW or len(world.nodes) > 5:
        return
    key = NodeKey.of(Ed25519PrivateKey.from_private_bytes(world.rng.randbytes(32)))
    scope = world.rng.choice(sorted({node.scope for node in world.nodes}))
    name = f"new{len(taken)}"
    certificate = office.authority.node_from(csr(key), scope)
    told = NodeEnrolled(key.node, scope, certificate.public_bytes(Encoding.DER), name)
    task = office.spawn(
        office.ledger.write(lambda unit: author.write(unit, scope, [(world.event(), told)]))
    )
    await asyncio.wait([task])
    if task.cancelled() or task.exception():
        return
    folder = world.folder / name
    folder.mkdir()
    furnished(folder, key, certificate, office.authority)
    node = Node(world, folder, name, scope, len(world.machines) + 10)
    world.count("fault: a new machine", at=name)
    world.add(node)
    await asyncio.wait([node.spawn(node.set_up(office.ledger.own))])
    await asyncio.wait([node.spawn(node.start())])
    for other in world.neighbours(node):
        if other.serving:
            await asyncio.wait([other.spawn(_found(other, node))])


async def _found(node, other):
    node.peers.found(other.key.node, other.name, [f"sim://{other.name}"])


def install():
    """Drop little at a time, and little of it is worth it; for the life of this process."""
    pruning.WORTH_IT, pruning.SLICE, pruning.SLICE_BYTES = 1, 7, 2048


AGE = (weeks_pass, drop_old, disks.back_up, backed_up_and_old, backed_up_and_old)
NEW = (new_machine,)
