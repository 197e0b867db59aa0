"""The stores' and the ledger's real code, on this thread, on disks that fill up and come back.

What is replaced is what an operating system gives: threads, and which file is which.
"""

import asyncio
import sqlite3
from types import SimpleNamespace

import central.ledger.ledger as central_ledger
import central.ledger.lives as central_lives
import central.ledger.witness as central_witness
import central.ledger.writer as central_writer
import edge.store.store as edge_store
import edge.store.witness as edge_witness
import edge.store.writer as edge_writer
from tests.simulation.loop import HERE

ROOM_PAGES = 12
"""What the reserve gives back on a full disk."""


NO_LIMIT = 0xFFFFFFFE
"""The most pages SQLite takes."""


class EdgeWriter(edge_writer.Writer):
    """Takes its turns in the loop."""

    def _start(self):
        self.machine = HERE.get()
        self._closed = False

    async def write(self, work):
        self.machine.step()
        result = await super().write(work)
        self.machine.step()  # committed, and nobody was told
        return result

    async def read(self, work):
        self.machine.step()
        return await super().read(work)

    def _hand_over(self):
        super()._hand_over()
        asyncio.get_running_loop().soon(self._due)

    def _due(self):
        if not (self.machine.off or self._closed):
            self._finish()

    def _finish(self):
        waiting = []
        while not self._queue.empty():
            waiting += self._queue.get_nowait()
        for at in range(0, len(waiting), edge_writer.MAX_GROUP):
            group = waiting[at : at + edge_writer.MAX_GROUP]
            self._commit(group)
            self._since += len(group)
            self._checkpoint(edge_writer.CHECKPOINT_IDLE)

    def _commit(self, group):
        self.machine.disk.squeeze(self.db, self._reserve)
        super()._commit(group)

    async def close(self):
        if not self.machine.off:
            super()._hand_over()
            self._finish()
            self._checkpoint(0)
        self._closed = True
        self.db.close()
        self._broken = self._broken or edge_writer.StoreError("closed")


class Reader:
    """What `aiosqlite.connect` gives, without its thread."""

    def __init__(self, path, **more):
        self._machine = HERE.get()
        self._conn = sqlite3.connect(path, **more)

    async def _hop(self):
        self._machine.step()
        loop = asyncio.get_running_loop()
        if loop.rng.random() < 0.1:
            await asyncio.sleep(loop.rng.random() * 0.004)
            self._machine.step()

    async def execute(self, sql, values=()):
        return self._conn.execute(sql, values)

    async def execute_fetchall(self, sql, values=()):
        await self._hop()
        return self._conn.execute(sql, values).fetchall()

    async def _execute(self, query, *args):
        await self._hop()
        return query(*args)

    async def close(self):
        self._conn.close()


async def _reader(path, **more):
    return Reader(path, **more)


class OfficeWriter(central_writer.Writer):
    """Takes its turns in the loop; at once while the ledger is being opened."""

    def _start(self):
        self.machine = HERE.get()
        self.opened = self._closed = False

    def _put(self, waiting):
        super()._put(waiting)
        if self.opened:
            asyncio.get_running_loop().soon(self._due)
        else:
            self._turn()

    def _due(self):
        if not (self.machine.off or self._closed or self._waiting.empty()):
            self._turn()

    def close(self):
        if not self.machine.off:
            self._waiting.put(None)
            while self._turn():
                pass
        self._closed = True


class Disk:
    """A folder with a database in it, whose files can be kept and put back."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.full_at = None
        """Pages from which it is full; None: there is room."""

        self._was_full = False

    def fill(self):
        """Let nothing more fit."""
        self._was_full = True
        self.full_at = max(1, (self.folder / self.name).stat().st_size // 1024)

    def squeeze(self, db, reserve):
        """Have SQLite see how much room there is."""
        if not self._was_full:
            return
        room = 0 if reserve.exists() else ROOM_PAGES
        most = NO_LIMIT if self.full_at is None else self.full_at + room
        db.execute(f"PRAGMA max_page_count = {most}")

    def keep(self):
        """Return the files as they are now."""
        return {
            path.name: path.read_bytes()
            for path in self.folder.glob(f"{self.name}*")
            if not path.name.endswith("-shm")
        }

    def put(self, files, *, life=True):
        """Put files in place of what is there; without `life` the witness is another matter."""
        for path in list(self.folder.glob(f"{self.name}*")):
            if life or not path.name.endswith(".life"):
                path.unlink()
        for name, content in files.items():
            if life or not name.endswith(".life"):
                (self.folder / name).write_bytes(content)


class Places:
    """What inode and filesystem would say of a file: which one it is."""

    def __init__(self):
        self._generation = {}

    def another(self, path):
        """Say that another file is there now."""
        self._generation[path.parent.name] = self._generation.get(path.parent.name, 0) + 1

    def edge(self, path):
        return self.central(path).encode()

    def central(self, path):
        name = path.parent.name.split("-")[0]
        return f"{name} {self._generation.get(path.parent.name, 0)}"


places = Places()
"""Of the world that is played."""


def _edge_place(path):
    return places.edge(path)


def _central_place(path):
    return places.central(path)


def install():
    """Give the programs one thread and these disks; for the life of this process."""
    edge_store.Writer = EdgeWriter
    edge_store.aiosqlite = SimpleNamespace(connect=_reader, Connection=object)
    edge_writer.RESERVE_BYTES = 4096
    central_ledger.Writer = OfficeWriter
    for module in (edge_store, edge_witness):
        module.place = _edge_place
    for module in (central_lives, central_witness):
        module.place = _central_place
