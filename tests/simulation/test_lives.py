"""Seeded histories of disks that are put back, cloned, damaged and cut off from power.

On top of `test_exchange`: yesterday's database put in place of today's, noticed at the
start (`restore`) or not (`image`: the whole disk was written back, and nothing on it
tells); two machines from one disk; central put back from a backup; bits flipped in the
journal; power cuts, which here are a copy of the files as they were at that moment.
After healing: whatever still stood on some disk is at central, once; every chain and
every view holds; every stream that is over is closed, and no node keeps a branch.
"""

import shutil
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import central.ledger.lives as central_lives
import central.ledger.witness as central_witness
import edge.store.store as edge_store
import edge.store.witness as edge_witness
from central.config import Folder
from central.founding import create
from central.ledger import upkeep, views
from central.ledger.tables import FORKS, VIEWS
from tests.simulation.test_exchange import Node, World

HONEST, IMAGES = (0,), (7027,)
"""One that is whole, and one that once failed; the seeded `world` plays all the others."""

STEPS = 220


class Disks:
    """Which file is which: what inode and filesystem say of real ones, told by the simulation."""

    def __init__(self):
        self._numbers, self._places = count(1), {}

    def another(self, path):
        self._places[str(path)] = f"file {next(self._numbers)}"

    def edge(self, path):
        if str(path) not in self._places:
            self.another(path)
        return self._places[str(path)].encode()

    def central(self, path):
        return self.edge(path).decode()


@pytest.fixture(autouse=True)
def disks(monkeypatch):
    made = Disks()
    for module in (edge_store, edge_witness):
        monkeypatch.setattr(module, "place", made.edge)
    for module in (central_lives, central_witness):
        monkeypatch.setattr(module, "place", made.central)
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("office") / "central"
    create(Folder(path), [])
    return path


class Machine(Node):
    """A node whose disk can be copied and put back."""

    @property
    def database(self):
        return self.folder / "karb.sqlite"

    def copy(self, target):
        """Copy the database as it is at this moment, as a power cut would leave it."""
        target.mkdir()
        for path in self.folder.glob("karb.sqlite*"):
            if not path.name.endswith("-shm"):
                shutil.copyfile(path, target / path.name)
        return target

    async def put_back(self, copy, *, witness):
        """Pull the plug, and put a copy in place of the database."""
        self.hang_up()
        await self.store._reader.close()
        await self.store._writer.close()
        self.store._witness.drop()
        for path in self.folder.glob("karb.sqlite*"):
            if witness or not path.name.endswith(".life"):
                path.unlink()
        for path in copy.iterdir():
            if not path.name.endswith(".life") or witness:
                shutil.copyfile(path, self.folder / path.name)
        await self.open()


class Chain(World):
    """A head office and its nodes, and everything that happens to their disks."""

    def __init__(self, folder, made, seed, disks, *, images):
        super().__init__(folder, made, seed)
        self.disks, self.images = disks, images
        self.nodes = [Machine(self, n, node.scope) for n, node in enumerate(self.nodes, start=10)]
        self.copies, self.backups, self.required = {}, [], set()
        self._names = count(1)

    def new_folder(self, what):
        return self.folder / f"{what}{next(self._names)}"

    async def step(self):
        node = self.rng.choice(self.nodes)
        draw = self.rng.random()
        if draw < 0.04:
            self.copies[node] = node.copy(self.new_folder("copy"))
        elif draw < 0.055:
            await self.cut_power(node)
        elif draw < 0.07 and node in self.copies:
            await self.restore(node, noticed=not self.images or self.rng.random() < 0.4)
        elif draw < 0.075 and self.images and node in self.copies and len(self.nodes) < 5:
            await self.clone(node)
        elif draw < 0.085:
            await self.back_up()
        elif draw < 0.09 and self.backups:
            await self.restore_office()
        elif draw < 0.1:
            await self.flip(node)
        else:
            await super().step()

    async def cut_power(self, node):
        copy = node.copy(self.new_folder("cut"))
        await node.put_back(copy, witness=True)  # the same file: no life ends by this

    async def restore(self, node, *, noticed):
        if noticed:
            self.disks.another(node.database)
            await node.put_back(self.copies[node], witness=True)
            assert (await node.store.lives())[-1].seq >= 1
        else:
            await node.put_back(self.copies[node], witness=False)
            (node.folder / "karb.sqlite.life").unlink(missing_ok=True)
        self.what_survives()

    async def clone(self, node):
        twin = Machine(self, next(self._names) + 100, node.scope)
        twin.key, twin.certificate, twin.identity = node.key, node.certificate, node.identity
        twin.number = node.number
        for path in self.copies[node].iterdir():
            if not path.name.endswith(".life"):
                shutil.copyfile(path, twin.folder / path.name)
        self.disks._places[str(twin.database)] = self.disks.edge(node.database).decode()
        await twin.open()
        self.nodes.append(twin)

    async def back_up(self):
        file = self.new_folder("backup")
        await upkeep.backup(self.ledger, str(file))
        self.backups.append(file)

    async def restore_office(self):
        for node in self.nodes:
            node.hang_up()
        self.ledger.close()
        for path in self.office.path.glob("ledger.db*"):
            path.unlink()
        shutil.copyfile(self.rng.choice(self.backups[-2:]), self.office.ledger)
        self.disks.another(self.office.ledger)
        self.ledger = self._open()
        self.what_survives()

    async def flip(self, node):
        """Flip a bit of a fact on disk that central holds as well."""
        acked = node.store.peer_holds()
        heads = [h for h in node.store.heads() if acked.get(h.stream, 0) and h.seq]
        if not heads:
            return
        head = self.rng.choice(heads)
        held = self.ledger.published.cursors("", node.scope).get(head.stream)
        top = min(acked[head.stream], head.seq, held.head.seq if held else 0)
        if top < 1:
            return
        seq = self.rng.randint(1, top)
        what, bit = self.rng.choice(("body", "hash", "event")), self.rng.randrange(1 << 16)

        def work(unit):
            place = unit._journal.row(head.stream).id << 40 | seq
            ((cell,),) = unit._db.execute(f"SELECT {what} FROM facts WHERE place = ?", (place,))
            flipped = bytearray(cell)
            flipped[bit // 8 % len(cell)] ^= 1 << bit % 8
            unit._db.execute(
                f"UPDATE facts SET {what} = ? WHERE place = ?", (bytes(flipped), place)
            )

        await node.store.write(work)
        await self.find_damage(node)

    async def find_damage(self, node):
        """Read everything once, as a peer that asks for it all would make the node do."""
        for head in node.store.heads():
            after = 0
            while True:
                try:
                    found = await node.store.batch(head.stream, after)
                except edge_store.NewLifeNeeded as need:
                    await node.store.begin_life(self.life(), str(need))
                    node.hang_up()
                    continue
                except edge_store.GreetAgain:
                    node.hang_up()
                    break
                if found is None:
                    break
                after = found[0].last

    def what_survives(self):
        """Note which sales still stand on some disk: those must be at central in the end."""
        standing = set()
        for path in [self.office.ledger, *(node.database for node in self.nodes)]:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
                columns = [name for _, name, *_ in db.execute("PRAGMA table_info(sales)")]
                where = "" if "change" in columns else "WHERE stream IS NOT NULL"
                standing |= {event for (event,) in db.execute(f"SELECT event FROM sales {where}")}
        for node in self.nodes:
            node.sold = [entry for entry in node.sold if entry[1] in standing]

    async def heal(self):
        for node in self.nodes:
            await self.find_damage(node)  # what nobody has asked for yet
        for _ in range(6):
            await super().heal()
            if not self.ledger.published.over:
                return
            for node in self.nodes:
                node.hang_up()


@pytest.mark.parametrize("seed", [*HONEST, *IMAGES])
async def test_whatever_happens_to_disks_every_sale_that_stands_is_everywhere_once(
    made, seed, disks
):
    images = seed in IMAGES
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        world = Chain(Path(folder), made, seed, disks, images=images)
        ever = set()
        await world.begin()
        try:
            for _ in range(STEPS):
                await world.step()
                ever |= {entry for node in world.nodes for entry in node.sold}
            await world.heal()
            await _judge(world, ever, images=images)
        finally:
            await world.close()


async def _judge(world, ever, *, images):
    with closing(sqlite3.connect(f"file:{world.office.ledger}?mode=ro", uri=True)) as db:
        kept = list(db.execute("SELECT store, event FROM sales"))
        numbers = list(db.execute("SELECT store, series, number FROM sales"))
    assert len(kept) == len(set(kept)), "no sale counts twice"
    required = {entry for node in world.nodes for entry in node.sold}
    assert required <= set(kept), f"{len(required - set(kept))} sales are missing"
    assert set(kept) <= ever
    assert (await upkeep.verify(world.ledger))["faults"] == []
    assert not world.ledger.published.over, "every stream that is over is closed"
    if not images:
        assert len(numbers) == len(set(numbers)), "no receipt number was given twice"
        with world.ledger._database.reading() as connection:
            assert connection.execute(FORKS.select()).fetchall() == [], "no number was used twice"
    await _judge_views(world)
    for node in world.nodes:
        figures = await node.store.figures()
        assert (figures.waiting, figures.frozen, figures.quarantined) == (0, 0, 0)
        verdict = await node.store.verify()
        assert verdict.sound, verdict.findings
        assert figures.sales == len({entry for entry in kept if entry[0] == node.scope})
        theirs = {s: c.head for s, c in world.ledger.published.cursors("", node.scope).items()}
        assert {h.stream: h for h in node.store.heads() if h.seq} == {
            stream: head for stream, head in theirs.items() if head.seq
        }


async def _judge_views(world):
    def look(connection):
        return {
            table.name: sorted(map(tuple, connection.execute(table.select()))) for table in VIEWS
        }

    def without_numbers(found):
        return {
            name: rows
            for name, rows in found.items()
            if name not in ("sales", "sale_lines", "totals")
        } | {"sales": sorted((row[0], *row[2:6], *row[7:]) for row in found["sales"])}

    before = await world.ledger.read(look)
    await world.ledger.write(views.rebuild)
    assert without_numbers(await world.ledger.read(look)) == without_numbers(before)
