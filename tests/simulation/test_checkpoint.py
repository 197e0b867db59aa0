"""Seeded histories in which nodes begin from checkpoints and drop old facts.

The same world as in `test_exchange`: real ledger, real stores, real conversations. A node
that comes late takes head office's checkpoint and the tail; others prune. In the end every
node of a store must have the same views as one that has lived through everything.
"""

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from central.ledger import author, checkpoint, upkeep
from central.ledger.ledger import wall_ms
from central.nodes.checkpoints import Checkpoints
from edge.store import base, prune
from edge.store.connection import connect_read_only
from edge.store.journal import facts_of
from edge.store.views import DERIVED
from sync.chain import ALL
from sync.checkpoint import KEEP_MS, VIEWS
from sync.clock import Reading, Trust
from sync.facts.catalogue import (
    Article,
    ArticleColumns,
    Articles,
    Price,
    PriceColumns,
    Prices,
    VatRate,
    VatRates,
)
from sync.facts.promotion import PromotionTold
from sync.facts.sale import PaymentSettled, SaleClosed, SaleVoided, Stage
from sync.facts.stock import GoodsReceived, ReceivedLine, ReceivedLines
from sync.rules.promotion import Kind, Promotion
from tests.edge.store.rig import NOW, sale
from tests.simulation.checkpoints import differing, rows_of
from tests.simulation.test_exchange import Node, World, made  # noqa: F401 - a fixture

SEEDS = range(4)
STEPS = 120
KEEPERS = (0, 2)
"""Nodes that live through everything and drop nothing: what the others are held to."""
LATER = Reading(wall_ms() + 2 * KEEP_MS, Trust.CENTRAL)


async def tender(node, event):
    """A sale by card: written before its payment is known."""
    told = replace(sale(1, f"T{node.number}", ("1", "3"), method="card", stage=Stage.TENDERED))

    def work(unit):
        unit.append(replace(told, number=unit.next_number(told.till)), event)

    await node.store.write(work)


async def follow(node, event, body):
    await node.store.write(lambda unit: unit.append(body, event))


async def deliver(node, event, milli):
    lines = ReceivedLines.of((ReceivedLine("1", milli), ReceivedLine("2", milli)))
    await node.store.write(lambda unit: unit.append(GoodsReceived(NOW, 5, lines), event))


async def told_by_office(world):
    rng = world.rng
    world.revision += 1
    revision = world.revision
    body = rng.choice(
        [
            Articles(
                revision,
                ArticleColumns.of(
                    (
                        Article("1", f"A{revision}", f"A {revision}", "szt", "23", ("5901",)),
                        Article("2", f"B{revision}", f"B {revision}", "kg", "5", ("5902",), 50, 18),
                    )
                ),
                rng.choice([0, NOW + 1000]),
            ),
            Prices(revision, PriceColumns.of((Price("1", 100 + revision), Price("2", 5, NOW)))),
            VatRates(revision, (VatRate("23", 2200 + revision, 20270101),)),
            PromotionTold(revision, Promotion("P", "P", Kind.PERCENT, basis_points=revision)),
        ]
    )
    await world.ledger.write(lambda unit: author.write(unit, ALL, [(rng.randbytes(16), body)]))


async def begin(world, node):
    """Let a node that has nothing take the checkpoint."""
    made_now = await Checkpoints(world.ledger).of(node.scope)
    file = node.folder / "checkpoint"
    with made_now.parts:
        file.write_bytes(b"".join(made_now.chunks()))
    opened = await node.store.begin_from(file, {})
    node.begun = {cut.stream: cut.seq for cut in opened.cuts}


async def step(world, open_sales):  # noqa: C901 - one case a happening
    rng = world.rng
    node = rng.choice([node for node in world.nodes if node.joined])
    draw = rng.random()
    event = rng.randbytes(16)
    if draw < 0.1:
        await tender(node, event)
        open_sales.append((node, event))
    elif draw < 0.2 and open_sales:
        node, event = open_sales.pop(rng.randrange(len(open_sales)))
        if not node.joined:
            return 0
        await follow(node, event, PaymentSettled(0, rng.random() < 0.8))
        if rng.random() < 0.8:
            await follow(node, event, rng.choice([SaleClosed(NOW, 5), SaleVoided(NOW, 5)]))
    elif draw < 0.23:
        await deliver(node, event, rng.randrange(1, 9) * 1000)
    elif draw < 0.25 and node.sold:
        other = rng.choice([other for other in world.nodes if other.joined])
        if other.scope == node.scope and other is not node:  # one event, recorded by two
            await follow(other, node.sold[-1][1], sale(1, f"T{other.number}", ("2",)))
    elif draw < 0.3:
        await told_by_office(world)
    elif draw < 0.33:
        target = world.folder / f"backup{rng.randbytes(4).hex()}"
        await upkeep.backup(world.ledger, str(target))
    elif draw < 0.36 and node.number not in KEEPERS:
        return await dropped_by(world, node)
    else:
        await world.step()
    return 0


async def dropped_by(world, node):
    """Prune, and see that head office's last backup has whatever is gone."""
    dropped = (await node.store.prune(LATER)).facts
    safe = {stream: c.safe for stream, c in world.ledger.published.cursors(ALL, node.scope).items()}
    with closing(connect_read_only(node.store.path)) as db:
        for id_, stream in node.store._journal.ids():
            kept = {fact.seq for fact in facts_of(db, id_)}
            head = node.store._journal.row(stream).head.seq
            gone = max(set(range(1, head + 1)) - kept, default=0)
            begun_at = node.begun.get(stream, 0)
            assert gone <= max(safe.get(stream, 0), begun_at), (stream, "not safe, and gone")
    return dropped


@pytest.mark.parametrize("seed", SEEDS)
async def test_views_from_a_checkpoint_and_a_tail_are_those_that_lived(made, seed):  # noqa: F811
    with (
        TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder,
        patch.object(prune, "WORTH_IT", 1),
        patch.object(prune, "SLICE", 7),
    ):
        world = World(Path(folder), made, seed)
        late = [Node(world, 3, "S1"), Node(world, 4, "S2")]
        world.nodes += late
        try:
            await world.begin()
            for node in world.nodes:
                node.joined, node.begun = node not in late, {}
            world.nodes[:] = [node for node in world.nodes if node.joined]
            open_sales: list = []
            dropped = 0
            for number in range(STEPS):
                dropped += await step(world, open_sales)
                if late and number > 40 and world.rng.random() < 0.05:
                    node = late.pop()
                    if world.rng.random() < 0.5:  # it has sold before it was ever heard of
                        await node.sell()
                    await begin(world, node)
                    assert not node.store.fresh
                    node.joined = True
                    world.nodes.append(node)
            await world.heal()
            await _alike(world)
            dropped += await _all_prune(world)
            assert dropped > 20
            await _alike(world)
            await _late_words(world)
            await world.heal()
            await _alike(world)
            await _reopens_the_same(world)
        finally:
            for node in late:
                await node.store.close()
            await world.close()


async def _alike(world):
    """Every node of a store has the same views, and they are what its base and facts make."""
    by_store = {}
    for node in world.nodes:
        verdict = await node.store.verify()
        assert verdict.sound, verdict.findings
        by_store.setdefault(node.scope, []).append((node, rows_of(node.store)))
    for lived in by_store.values():
        for node, found in lived[1:]:
            for table in DERIVED:
                assert found[table] == lived[0][1][table], (table, node.number)
        assert await differing(world.ledger, lived[0][0].store) == []


async def _all_prune(world):
    """Head office is backed up and says so; all but the first node of each store prune."""
    await upkeep.backup(world.ledger, str(world.folder / "last"))
    dropped = 0
    for node in world.nodes:
        if node.number in KEEPERS:
            continue
        for payload in node.office.news_of_safety():
            await node.talk.take(payload)
        dropped += await dropped_by(world, node)
        assert await node.store.prune(LATER) == (
            0,
            0,
            "0 facts are old and safe; it is done from 1 on",
        )
    return dropped


async def _late_words(world):
    """What is said of sales whose facts are gone: voided after all, recorded twice."""
    for node in world.nodes:
        for scope, event in node.sold[:2]:
            if scope == node.scope:
                await follow(node, event, SaleVoided(NOW, 5))
        for other in world.nodes:
            if other.scope == node.scope and other is not node:
                for _, event in other.sold[2:5]:
                    await follow(node, event, sale(1, f"T{node.number}", ("2", "7")))


async def _reopens_the_same(world):
    """A restart finds the same heads, and goes on numbering above the base."""
    for node in world.nodes:
        before = sorted((head.stream, head.seq, head.hash) for head in node.store.heads())
        await world.restart(node)
        after = sorted((head.stream, head.seq, head.hash) for head in node.store.heads())
        assert [entry for entry in after if entry[1]] == [entry for entry in before if entry[1]]
        await node.sell()
        assert (await node.store.verify()).sound


def test_every_view_is_kept_on_each_side():
    assert list(base.COLUMNS) == list(VIEWS)
    assert set(checkpoint.SHELVES) == set(VIEWS)
