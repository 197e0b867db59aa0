"""Programs of other versions, certificates that run out, machines that are sent away."""

import asyncio

from cryptography.hazmat.primitives.serialization import Encoding

from central.ledger import author, fences
from edge.link import tls
from sync import facts as vocabulary
from sync.chain import Fact
from sync.facts.node import NodeEnrolled, NodeRevoked
from tests.simulation.founding import csr
from tests.simulation.loop import HERE

DAY_MS = 24 * 3_600_000

NEW = frozenset(
    {
        *("count.opened", "count.taken", "count.marked", "count.posted"),
        *("basket.recalled", "basket.ended", "document.settled"),
        *("transfer.announced", "promise.broken", "vat.rates"),
    }
)
"""Kinds that a program of three versions ago cannot read."""


class _Decoders(dict):
    """What the program of this machine can read."""

    def get(self, name, default=None):
        machine = HERE.get()
        if machine is not None and machine.old and name[0] in NEW:
            return default
        return super().get(name, default)


def install():
    """Let programs differ in what they can read; for the life of this process."""
    vocabulary._DECODERS = _Decoders(vocabulary._DECODERS)
    known = vocabulary.readable()
    fewer = tuple(name for name in known if name[0] not in NEW)

    def readable():
        machine = HERE.get()
        return fewer if machine is not None and machine.old else known

    vocabulary.readable = readable


async def _restarted(node):
    if node.serving:
        await asyncio.wait([node.spawn(node.stop())])
        await asyncio.wait([node.spawn(node.start())])


async def downgrade(world):
    """A node runs, or goes back to, a program of three versions ago."""
    node = world.rng.choice(world.nodes)
    if node.serving and not node.old:
        world.count("fault: an upgrade was rolled back")
        node.old = True
        await _restarted(node)


async def upgrade(world):
    for node in world.nodes:
        if node.old:
            world.count("fault: a node was upgraded")
            node.old = False
            await _restarted(node)
            return


async def newer_fact(world):
    """A program of a version to come writes what nobody here can read."""
    node = world.rng.choice(world.nodes)
    if not node.serving:
        return
    kind, version = world.rng.choice((("loyalty.earned", 1), ("goods.received", 9), ("sale", 7)))
    fact = Fact(1, 0, kind, version, world.event(), world.rng.randbytes(20))
    world.count("fault: a fact of a version to come")
    await asyncio.wait([node.spawn(node.store.write(lambda unit: unit.append_as_it_was(fact)))])


async def months_pass(world):
    """Certificates are to be renewed, or have run out."""
    days = world.rng.choice((65, 65, 100))
    if world.skew_ms >= 200 * DAY_MS:
        return
    world.skew_ms += days * DAY_MS
    world.count("fault: certificates ran out" if days > 90 else "fault: certificates to renew")


async def enrol_again(world, node):
    """What a person does where a certificate has run out."""
    certificate = tls.certificate(node.folder)
    left = certificate.not_valid_after_utc.timestamp() * 1000 - world.now_ms()
    if left > DAY_MS:
        return
    world.count("enrolled again")
    made = world.office.authority.node_from(csr(node.key), node.scope)
    (node.folder / tls.CERTIFICATE).write_bytes(made.public_bytes(Encoding.PEM))
    told = NodeEnrolled(node.key.node, node.scope, made.public_bytes(Encoding.DER), node.name)
    await world.office.spawn(
        world.office.ledger.write(
            lambda unit: author.write(unit, node.scope, [(world.event(), told)])
        )
    )


async def revoke(world):
    """A machine is stolen, and head office takes nothing of it any more."""
    office = world.office
    able = [
        node
        for node in world.nodes
        if not node.revoked
        and {other.key.node for other in world.neighbours(node)} - {node.key.node}
        and node.key.node not in world.truth.clones
    ]
    if not able or not office.serving or world.truth.revoked or len(world.nodes) < 3:
        return
    node = world.rng.choice(able)
    world.count("fault: a node was revoked")
    told = NodeRevoked(node.key.node, "stolen")

    def work(unit):
        author.write(unit, node.scope, [(world.event(), told)])
        return {s: c.head for s, c in {**unit.state.cursors, **unit.cursors}.items()}

    done = office.spawn(office.ledger.write(work))
    await asyncio.wait([done])
    if done.cancelled() or done.exception():
        return
    node.revoked = True
    heads = {s: head for s, head in done.result().items() if s.node == node.key.node}
    world.truth.revoked[node.key.node] = heads


async def close_revoked(world):
    """Head office closes the streams of who was revoked, and names who inherits."""
    office = world.office
    for gone in [node for node in world.nodes if node.revoked]:
        heirs = [n for n in world.neighbours(gone) if not n.revoked]

        def work(unit, gone=gone, heirs=heirs):
            told = unit.state.members.get(gone.key.node)
            if told is not None and not told.revoked:  # forgotten by a restored head office
                word = NodeRevoked(gone.key.node, "stolen")
                author.write(unit, gone.scope, [(world.event(), word)])
            for stream in [*unit.state.cursors]:
                if stream.node == gone.key.node and stream not in unit.state.fences:
                    fences.order(unit, str(stream), "stolen", str(heirs[0].store.stream))

        await asyncio.wait([office.spawn(office.ledger.write(work))])
        if not gone.off:
            gone.cut_power()
        world.nodes.remove(gone)


VERSIONS = (downgrade, downgrade, upgrade, newer_fact)
CERTIFICATES = (months_pass,)
REVOKED = (revoke,)
