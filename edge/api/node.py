"""The node itself: how it is, and what its installer may ask of it."""

import shutil

import msgspec

from edge.api import answers
from edge.api.call import SCOPES, Call, Node, Reply
from edge.api.refusals import Refused
from edge.link.uplink import LinkState
from edge.store.backup import BadCopy
from edge.till.selling import trust_name
from sync.contract import token
from sync.contract.problem import problem


async def get_health(node: Node, call: Call) -> Reply:
    """Say that the program answers."""
    del node, call
    return Reply(200, answers.HealthAnswer("ok"))


async def get_status(node: Node, call: Call) -> Reply:
    """Say how the node is."""
    del call
    store, now = node.store, node.clock.now()
    figures = await store.figures()
    oldest = figures.oldest_waiting_ms
    link = node.link.state if node.link else None
    return Reply(
        200,
        answers.StatusAnswer(
            node=store.key.node.hex(),
            name=node.config.name,
            store=store.store,
            link=link.state if link else "offline",
            waiting=figures.waiting,
            oldest_waiting_s=None if oldest is None else max(0, now.ms - oldest) // 1000,
            version=node.version,
            clock=answers.ClockAnswer(now.ms, trust_name(now.trust)),
            exchange=_exchange(link) if link else None,
            lan=node.peers.lan if node.peers else "",
            peers=tuple(
                answers.PeerAnswer(
                    peer.node,
                    peer.name,
                    peer.address,
                    peer.state,
                    None if peer.heard_ms is None else max(0, now.ms - peer.heard_ms) // 1000,
                    peer.waiting,
                    peer.last_error,
                    peer.bytes_out,
                    peer.bytes_in,
                )
                for peer in (await node.peers.states() if node.peers else ())
            ),
            tills=tuple(node.counter.tills),
            devices=tuple(
                answers.DeviceAnswer(d.id, d.driver, d.till, d.state, d.problem, d.cure)
                for d in node.devices()
            ),
            slips=figures.slips,
            open_sales=tuple(
                answers.OpenSale(
                    answers.uuid_text(sale.event),
                    f"{sale.series}/{sale.number}",
                    sale.body.till,
                    sale.total_minor,
                    step.value,
                )
                for sale, step in await node.counter.waiting()
            ),
            sales=figures.sales,
            facts=figures.facts,
            articles=figures.articles,
            quarantined=figures.quarantined,
            unreadable=figures.unreadable,
            frozen_streams=figures.frozen,
            lives=tuple(
                answers.LifeAnswer(
                    str(life.stream),
                    life.seq,
                    life.cause,
                    max(0, life.seq - life.began_at) if life.began_at is not None else 0,
                    life.reached - life.seq,
                    life.closed_at,
                    life.receipts,
                )
                for life in await store.lives()
            ),
            kept_aside=await store.kept_aside(),
            mended=tuple(store.mended),
            base=answers.BaseAnswer(*await store.base_size()),
            disk_full=store.full,
            disk_free_bytes=shutil.disk_usage(store.path.parent).free,
            heads=tuple(
                answers.HeadAnswer(str(head.stream), head.seq, head.hash.hex())
                for head in store.heads()
            ),
        ),
    )


async def post_sync(node: Node, call: Call) -> Reply:
    """Exchange with head office now, until nothing waits."""
    del call
    if node.link is None:
        raise Refused(problem(503, "This node was started without a link to head office."))
    sent = await node.link.sync_now()
    return Reply(200, answers.SyncAnswer(sent, (await node.store.figures()).waiting))


async def post_stick(node: Node, call: Call) -> Reply:
    """Write a stick, or read one."""
    if node.stick is None:
        raise Refused(problem(503, "This node was started without a link to head office."))
    path = node.config.data / call.body.file
    if call.body.way == "to":
        written = await node.stick.write(path)
        now = node.clock.now().ms
        return Reply(200, answers.StickAnswer(written.facts, written.size, "", now))
    if not path.is_file():
        raise Refused(problem(404, f"{call.body.file}: no such file in the node's folder."))
    taken = await node.stick.read(path)
    return Reply(200, answers.StickAnswer(taken.facts, taken.size, taken.writer, taken.written_ms))


async def post_verification(node: Node, call: Call) -> Reply:
    """Check every fact, hash and signature, and the views against them."""
    del call
    found = await node.store.verify()
    return Reply(
        200,
        answers.VerdictAnswer(
            found.sound, found.streams, found.facts, found.heads, tuple(found.findings)
        ),
    )


async def post_pruning(node: Node, call: Call) -> Reply:
    """Drop facts that are old and safe at head office."""
    del call
    pruned = await node.store.prune(node.clock.now())
    return Reply(200, answers.PrunedAnswer(pruned.facts, pruned.streams, pruned.why_not))


async def post_again(node: Node, call: Call) -> Reply:
    """Append what was cut off the streams of machines that will never be heard again."""
    del call
    return Reply(200, answers.AgainAnswer(await node.store.append_kept()))


async def post_backup(node: Node, call: Call) -> Reply:
    """Copy the database while it is in use; into the data folder, for nobody chooses where."""
    del call
    target = node.store.path.with_name(f"backup-{node.random(8).hex()}.db")
    try:
        made = await node.store.backup(target)
    except BadCopy as error:
        raise Refused(problem(409, str(error))) from error
    return Reply(201, answers.BackupAnswer(*made))


async def post_token(node: Node, call: Call) -> Reply:
    """Make a token; this is the only time it is shown."""
    scope, name = call.body.scope, call.body.name
    made = token.make(scope, node.random(token.SECRET_BYTES), SCOPES)
    await node.store.write(lambda unit: unit.add_token(made.digest, scope, name))
    return Reply(201, answers.TokenAnswer(made.text, scope, name))


def _exchange(link: LinkState) -> answers.LinkAnswer:
    return msgspec.convert(link, answers.LinkAnswer, from_attributes=True)
