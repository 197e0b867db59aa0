"""Disks that are put back, cloned and damaged; and what still stands on any of them."""

import asyncio
import shutil
import sqlite3
from contextlib import closing

from central.ledger import upkeep
from edge.store.lives import GreetAgain, NewLifeNeeded
from tests.simulation import disk
from tests.simulation.machines import Node


def what_stands(world):
    """Forget what was answered for and stands on no disk any more: nobody can know of it."""
    standing = set()
    files = [world.office.folder.ledger, *(node.database for node in world.nodes)]
    for path in files:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            columns = {name for _, name, *_ in db.execute("PRAGMA table_info(sales)")}
            where = "" if "change" in columns else "WHERE stream IS NOT NULL"
            standing |= {event for (event,) in db.execute(f"SELECT event FROM sales {where}")}
            standing |= {event for (event,) in db.execute("SELECT DISTINCT event FROM facts")}
    truth = world.truth
    truth.sales = {e: sale for e, sale in truth.sales.items() if e in standing}
    truth.documents = {e: at for e, at in truth.documents.items() if e in standing}
    truth.sheets = [entry for entry in truth.sheets if entry[1] in standing]


async def _exchanged(world, machine, change):
    """Pull the plug, change the disk, and start again."""
    machine.cut_power()
    await asyncio.sleep(0.01)
    change()
    what_stands(world)
    await asyncio.wait([machine.spawn(machine.start())])


async def copy_disk(world):
    node = world.rng.choice(world.nodes)
    if node.serving:
        world.count("fault: a copy was made")
        node.copies.append(node.disk.keep())


async def put_back(world):
    """Yesterday's database in place of today's: another file, as a person puts it there."""
    await _put_back(world, "a copy was put back", noticed=True)


async def write_image(world):
    """The whole disk written back: nothing on it tells."""
    await _put_back(world, "an image was written back", noticed=False)


async def _put_back(world, what, *, noticed):
    able = [node for node in world.nodes if node.copies and not node.off]
    if not able:
        return
    node = world.rng.choice(able)
    world.count(f"fault: {what}")
    world.truth.holes.add(node.key.node)

    def change():
        node.disk.put(world.rng.choice(node.copies))
        if noticed:
            disk.places.another(node.database)

    await _exchanged(world, node, change)


async def clone(world):
    """Two machines from one disk."""
    able = [node for node in world.nodes if node.serving and not node.revoked]
    if not able or len(world.nodes) > len(world.shape) + 4 or world.truth.clones:
        return
    node = world.rng.choice(able)
    world.count("fault: a machine was cloned")
    world.truth.holes.add(node.key.node)
    world.truth.clones.append(node.key.node)
    folder = node.folder.with_name(f"{node.name}-twin")
    shutil.copytree(node.folder, folder, ignore=shutil.ignore_patterns("karb.sqlite*"))
    twin = Node(world, folder, folder.name, node.scope, node.number)
    twin.disk.put({n: c for n, c in node.disk.keep().items() if not n.endswith(".life")})
    world.add(twin)
    await asyncio.wait([twin.spawn(twin.start())])


async def back_up(world):
    office = world.office
    if office.serving:
        world.count("fault: a backup was made")
        file = world.folder / f"backup{len(office.backups)}"
        cursors = office.ledger.published.all_scopes().values()
        held = {s: c.head.seq for scope in cursors for s, c in scope.items()}
        task = office.spawn(upkeep.backup(office.ledger, str(file)))
        await asyncio.wait([task])
        if task.cancelled() or task.exception():
            return
        office.backups.append(file)
        world.truth.safe |= held


async def restore_office(world):
    """Head office put back from a backup."""
    office = world.office
    if not office.backups or not office.serving:
        return
    world.count("fault: head office was restored")
    world.truth.office_restored = True
    # Who takes an older backup than the last one loses what was dropped because of that.
    file = office.backups[-1] if world.truth.dropped else world.rng.choice(office.backups[-2:])

    def change():
        office.disk.put({office.disk.name: file.read_bytes()})
        disk.places.another(office.folder.ledger)

    await _exchanged(world, office, change)


async def flip_bit(world):
    """Flip a bit of a fact on a node's disk that head office holds as well."""
    rng = world.rng
    node = rng.choice(world.nodes)
    if not node.serving or not world.office.serving:
        return
    acked = node.store.peer_holds()
    heads = [h for h in node.store.heads() if acked.get(h.stream, 0) and h.seq]
    if not heads:
        return
    head = rng.choice(heads)
    held = world.office.ledger.published.cursors("", node.scope).get(head.stream)
    top = min(acked[head.stream], head.seq, held.head.seq if held else 0)
    base = node.store._journal.row(head.stream).base
    if top <= base:
        return
    seq, bit = rng.randint(base + 1, top), rng.randrange(1 << 16)
    what = rng.choice(("body", "event", "hash"))

    def work(unit):
        place = unit._journal.row(head.stream).id << 40 | seq
        rows = unit._db.execute(f"SELECT {what} FROM facts WHERE place = ?", (place,)).fetchall()
        for (cell,) in rows:
            flipped = bytearray(cell)
            flipped[bit // 8 % len(cell)] ^= 1 << bit % 8
            unit._db.execute(
                f"UPDATE facts SET {what} = ? WHERE place = ?", (bytes(flipped), place)
            )

    world.count("fault: a bit flipped")
    await asyncio.wait([node.spawn(node.store.write(work))])
    if node.serving:
        await asyncio.wait([node.spawn(find_damage(world, node))])


async def find_damage(world, node):
    """Read everything once, as a peer that asks for it all would make the node do."""
    for head in node.store.heads():
        after = 0
        while True:
            try:
                found = await node.store.batch(head.stream, after)
            except NewLifeNeeded as need:
                if need.stream == node.store.stream:
                    await node.store.begin_life(world.life(), str(need))
                continue
            except GreetAgain:
                for link in world.links_of(node):
                    link.hang_up()
                break
            if found is None:
                break
            after = found[0].last


HONEST = (copy_disk, put_back, back_up, back_up, restore_office, flip_bit)
IMAGES = (copy_disk, copy_disk, write_image, write_image)
CLONES = (copy_disk, clone)
