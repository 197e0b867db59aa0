"""A real head office as a process, and nodes of stores on real files beside it."""

import asyncio
import contextlib
import random
import secrets
import shutil
import sqlite3
import time
from itertools import count

import pytest

from edge.clock import Clock
from edge.demo.link import LinkCutter
from edge.enrol import DATABASE, enrol
from edge.keys import NodeKey
from edge.link import tls
from edge.link.uplink import Uplink
from edge.store.store import Store
from edge.store.witness import place
from tests.e2e.launcher import Launcher
from tests.e2e.offices import HeadOffice
from tests.edge.store.rig import selling


@pytest.fixture(scope="session")
def launcher():
    made = Launcher()
    yield made
    made.close()


@pytest.fixture(scope="session")
def founded(launcher, tmp_path_factory):
    """A head office with the store S1, that nobody touches; copy it."""
    made = HeadOffice(launcher, tmp_path_factory.mktemp("founded") / "central")
    made.command("init")
    made.command("store", "add", "S1", "--name", "Kraków")
    return made.data


@pytest.fixture
def office(launcher, founded, tmp_path):
    made = HeadOffice.copy_of(launcher, founded, tmp_path / "central").start()
    yield made
    made.stop()


_lives = count(1)


class Shop:
    """One node of S1, behind a cutter of its own."""

    def __init__(self, data, cutter, port):
        self.data, self.cutter, self.url = data, cutter, f"https://127.0.0.1:{port}"
        self.store = self.link = None
        self.events = []

    async def open(self, machine="pi"):
        self.clock = Clock()
        self.store = await Store.open(
            self.data / DATABASE,
            NodeKey.load(self.data / tls.KEY),
            "S1",
            self.clock,
            incarnation=next(_lives),
            machine=machine,
        )
        self.link = Uplink(
            self.data,
            self.url,
            self.store,
            self.clock,
            random=random.Random(1).random,
            incarnation=lambda: next(_lives),
            software="test",
        )
        await self.link.start()

    async def close(self):
        if self.store is not None:
            await self.link.close()
            await self.store.close()
            self.store = None

    async def sell(self, n=1, **more):
        for _ in range(n):
            event = secrets.token_bytes(16)
            await self.store.write(selling(event, **more))
            self.events.append(event)

    async def until(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            outcome = condition()
            if asyncio.iscoroutine(outcome):
                outcome = await outcome
            if outcome:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{self.link.state}, {await self.store.figures()}")

    async def drained(self):
        async def nothing_waits():
            return (await self.store.figures()).waiting == 0

        await self.until(nothing_waits)

    def put_back(self, copy):
        """Put a copy of the folder back as a whole disk is: nothing on it tells."""
        shutil.rmtree(self.data)
        shutil.copytree(copy, self.data)
        path = self.data / DATABASE
        path.with_name(path.name + ".life").unlink()
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("UPDATE meta SET value = ? WHERE key = 'place'", (place(path),))
            db.commit()

    def files(self, target):
        shutil.copytree(self.data, target)


@pytest.fixture
async def shop(office, tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        cutter = LinkCutter("127.0.0.1", office.port)
        port = await cutter.start()
        stack.push_async_callback(cutter.close)
        made = Shop(tmp_path / "shop", cutter, port)
        await enrol(made.data, made.url, office.code("S1"), "pi")
        await made.open()
        stack.push_async_callback(made.close)
        yield made


@pytest.fixture
def sold(office):
    """Return the sales that central's ledger holds, by plain sqlite3 over a copy of the file."""

    def events():
        db = sqlite3.connect(f"file:{office.data}/ledger.db?mode=ro", uri=True)
        try:
            return sorted(row[0] for row in db.execute("SELECT event FROM sales"))
        finally:
            db.close()

    return events
