"""A real head office as a process, and nodes of stores on real files beside it."""

import asyncio
import contextlib
import json
import random
import secrets
import shutil
import signal
import subprocess
import sys
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
from tests.edge.store.rig import selling


class HeadOffice:
    """`karb-central` in a folder."""

    def __init__(self, data):
        self.data, self.process, self.port = data, None, 0

    def command(self, *words, status=0):
        done = subprocess.run(
            [sys.executable, "-m", "central", *words, "--data", str(self.data), "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, f"{words}: {done.returncode} {done.stdout} {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip().startswith("{") else None

    def start(self):
        listen = f"127.0.0.1:{self.port}"
        with (self.data / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "central", "run"]
                + ["--data", str(self.data), "--listen", listen],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert "https://" in self.process.stdout.readline()
        url = json.loads((self.data / "run.json").read_text())["url"]
        self.port = int(url.rsplit(":", 1)[1])

    def stop(self, how=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process.stdout.close()
            self.process = None

    def code(self, store):
        return self.command("enrol-code", "--store", store)["code"]


@pytest.fixture
def office(tmp_path):
    made = HeadOffice(tmp_path / "central")
    made.command("init")
    made.start()
    made.command("store", "add", "S1", "--name", "Kraków")
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
    import sqlite3

    def events():
        db = sqlite3.connect(f"file:{office.data}/ledger.db?mode=ro", uri=True)
        try:
            return sorted(row[0] for row in db.execute("SELECT event FROM sales"))
        finally:
            db.close()

    return events
