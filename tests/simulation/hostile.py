"""Somebody who changes, cuts or makes up what travels: nothing of it may ever be believed."""

import asyncio

from msgspec.structs import replace

from central.ledger.ingest import Incoming, Stored
from edge.store.connection import StoreError
from edge.store.lives import GreetAgain, NewLifeNeeded
from sync.chain import Batch, Head, StreamId, extend, genesis, sign
from sync.errors import SyncError
from tests.simulation.judge import Wrong


async def tamper(world):
    """Bring head office or a node a batch that its author has not written so."""
    able = [node for node in world.nodes if node.serving]
    if not able:
        return
    source = world.rng.choice(able)
    heads = [head for head in source.store.heads() if head.seq]
    if not heads:
        return
    stream = world.rng.choice(heads).stream
    row = source.store._journal.row(stream)
    if row.base >= row.head.seq:
        return
    found = await _on(source, _batch(source, stream, world.rng.randrange(row.base, row.head.seq)))
    if found is None:
        return
    how = world.rng.choice(WAYS)
    spoilt = how(world, source, found[0])
    if spoilt is None:
        return
    others = [m for m in (world.office, *world.neighbours(source)) if m.serving]
    if not others:
        return
    target = world.rng.choice(others)
    world.count("fault: tampered with", at=target.name)
    if target is not world.office and _beneath(target, found[0], spoilt):
        return  # what is spoilt of it stands below a base, and is not looked at
    bring = _to_office if target is world.office else _to_node
    taken = await _on(target, bring(target, source, spoilt, found[1]))
    if taken and not (how is cut and await _on(target, _holds(target, spoilt))):
        told = f"{target.name} believed what was {how.__name__}: {stream}, {spoilt.first}"
        raise Wrong("corrupt", told)


async def _on(machine, work):
    """Return what comes of some work on a machine; None if the power fails meanwhile."""
    task = machine.spawn(work)
    await asyncio.wait([task])
    return None if task.cancelled() else task.result()


async def _batch(node, stream, after):
    try:
        return await node.store.batch(stream, after)
    except (NewLifeNeeded, GreetAgain):
        return None  # a damaged disk, which is another story


def _beneath(node, batch, spoilt):
    """Whether the node has dropped, or never had, all that is spoilt of a batch."""
    row = node.store._journal.held(spoilt.stream)
    if row is None or spoilt.stream != batch.stream:
        return False
    known = {fact.seq: fact for fact in batch.facts}
    lies = [fact.seq for fact in spoilt.facts if fact != known.get(fact.seq)]
    return bool(lies) and lies[-1] <= row.base


async def _holds(machine, batch):
    """Whether a batch is all repeats there."""
    if machine is machine.world.office:
        held = machine.ledger.published.all_scopes().get(batch.stream.scope, {}).get(batch.stream)
        return held is not None and held.head.seq >= batch.last
    row = machine.store._journal.held(batch.stream)
    return row is not None and row.head.seq >= batch.last


async def _to_office(office, source, batch, keys):
    peer = office.peers.introduced(source.certificate_der())
    (outcome,) = await office.ledger.take([Incoming.of(batch, keys, peer)])
    return isinstance(outcome, Stored)


async def _to_node(node, source, batch, keys):
    del source
    try:
        await node.store.receive(batch, keys)
    except NewLifeNeeded as need:
        if need.stream == node.store.stream:
            await node.store.begin_life(node.world.life(), str(need))
    except GreetAgain:
        for link in node.world.links_of(node):
            link.hang_up()
    except (SyncError, StoreError):
        return False
    else:
        return True
    return False


# --- ways, each of (world, who brings it, the batch as it is) -----------------------------


def changed(world, _, batch):
    at, bit = world.rng.randrange(len(batch.facts)), world.rng.randrange(1 << 16)
    what = world.rng.choice(("body", "event"))
    cell = bytearray(getattr(batch.facts[at], what))
    if not cell:
        return None
    cell[bit // 8 % len(cell)] ^= 1 << bit % 8
    facts = [*batch.facts]
    facts[at] = replace(facts[at], **{what: bytes(cell)})
    return replace(batch, facts=facts)


def dated_otherwise(world, _, batch):
    at = world.rng.randrange(len(batch.facts))
    facts = [*batch.facts]
    facts[at] = replace(facts[at], hlc=facts[at].hlc + 1)
    return replace(batch, facts=facts)


def cut(world, _, batch):
    if len(batch.facts) < 2:
        return None
    facts = batch.facts[:-1] if world.rng.random() < 0.5 else batch.facts[1:]
    return replace(batch, facts=facts)


def exchanged(_, __, batch):
    if len(batch.facts) < 2:
        return None
    one, other, *rest = batch.facts
    if (one.body, one.event, one.kind) == (other.body, other.event, other.kind):
        return None
    facts = (replace(other, seq=one.seq), replace(one, seq=other.seq), *rest)
    return replace(batch, facts=facts)


def forged(world, source, batch):
    """What a machine writes in another's name, with a key of its own."""
    if batch.stream.node == source.key.node:
        node = world.office.ledger.own.node if world.office.serving else bytes(16)
        stream = StreamId(node, world.life(), batch.stream.scope)
    else:
        stream = StreamId(batch.stream.node, world.life(), batch.stream.scope)
    return _signed(source, stream, batch)


def out_of_place(world, source, batch):
    """What a machine writes into another store, with its own good key."""
    others = sorted({node.scope for node in world.nodes} - {source.scope})
    if not others:
        return None
    scope = world.rng.choice(others)
    return _signed(source, StreamId(source.key.node, world.life(), scope), batch)


def _signed(source, stream, batch):
    facts = [replace(fact, seq=seq) for seq, fact in enumerate(batch.facts, start=1)]
    head = Head(stream, len(facts), extend(genesis(stream), facts)[-1])
    return Batch(stream, facts, sign(source.key.private, head))


WAYS = (changed, dated_otherwise, cut, exchanged, forged, out_of_place)
HOSTILE = (tamper,)
