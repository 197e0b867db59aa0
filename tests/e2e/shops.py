"""Nodes as processes: `karb run` in a folder of its own."""

import asyncio
import json
import shutil
import signal
import socket
import time
from urllib.parse import urlsplit
from uuid import uuid4

from edge.config import first_file
from tests.e2e.hostile import ask, dump
from tests.e2e.launcher import KARB
from tests.edge.till.shop import STORE, enrolled, opened

NOWHERE = "https://127.0.0.1:9"
PRICE = 499


class Node:
    """`karb run`."""

    def __init__(self, launcher, data):
        self.launcher, self.data, self.process, self.url = launcher, data, None, ""

    @property
    def address(self):
        parts = urlsplit(self.url)
        return parts.hostname, parts.port

    @property
    def database(self):
        return self.data / "karb.sqlite"

    def karb(self, *words):
        """Run a command to its end."""
        done = self.launcher.start(KARB, *words, "--data", self.data)
        done.wait()
        return done

    def token(self, scope):
        done = self.karb("token", "create", "--scope", scope, "--name", "t", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["token"]

    def start(self, *more):
        self.process = self.launcher.start(
            KARB, "run", "--data", self.data, "--json", "--listen", "127.0.0.1:0", *more
        )
        self.url = json.loads(self.process.first_line())["address"]
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process is not None:
            self.process.end(how)
            self.process = None

    def ask(self, *request, **more):
        return ask(self.url, *request, **more)

    def dump(self, *without):
        """Every table, but how often heads were signed: the next write may sign one more."""
        tables = dump(self.database, *without)
        if "facts" in tables:
            tables["facts"] = [row[:-1] for row in tables["facts"]]
        return tables


class Till(Node):
    """`karb run` of one of the store's nodes, its line to head office and its port on the LAN."""

    def __init__(self, launcher, data, wan, port, name):
        super().__init__(launcher, data)
        self.wan, self.port, self.name, self.sold = wan, port, name, {}

    async def enrol(self, office):
        url = f"https://127.0.0.1:{await self.wan.start()}"
        done = await asyncio.to_thread(
            self.karb, "init", "--central", url, "--code", office.code("S1"), "--name", self.name
        )
        assert done.returncode == 0, done.stderr
        self.key = await asyncio.to_thread(self.token, "sell")
        return self

    def settle(self, *peers, discover=False):
        """Write what the installer would."""
        file = self.data / "karb.toml"
        lan = (
            f'[lan]\nlisten = "127.0.0.1:{self.port}"\ndiscover = {str(discover).lower()}\n'
            'interfaces = ["127.0.0.1"]\n'
        )
        lan += "".join(f'[[peers]]\nurl = "https://127.0.0.1:{port}"\n' for port in peers)
        text = file.read_text("utf-8").replace('id = "T1"', f'id = "{self.name}"')
        file.write_text(text.replace("[[tills]]", lan + "[[tills]]"), "utf-8")
        return self

    def sell(self, n=1, till=None):
        for _ in range(n):
            uuid = str(uuid4())
            answer = self.put(uuid, till)
            assert answer.status == 201, answer.body
            self.sold[uuid] = json.loads(answer.body)["receipt_number"]

    def put(self, uuid, till=None):
        sale = {
            "till": till or self.name,
            "cashier": "anna",
            "lines": [{"sku": "5901234123457", "quantity_milli": 1000, "unit_minor": PRICE}],
            "payments": [{"method": "cash", "amount_minor": PRICE}],
        }
        return self.ask("PUT", f"/v1/sales/{uuid}", sale, token=self.key)

    def status(self):
        return json.loads(self.ask("GET", "/v1/status", token=self.key).body)

    def stock(self):
        return json.loads(self.ask("GET", "/v1/stock/5901234123457", token=self.key).body)[
            "quantity_milli"
        ]


async def until(condition, seconds=40):
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.05)


def live(node):
    return any(peer["state"] == "live" for peer in node.status()["peers"])


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def stocked(data):
    """Leave an enrolled node with a catalogue, whose head office is nowhere."""

    async def stock():
        async with opened(data, key=enrolled(data)):
            pass

    asyncio.run(stock())
    (data / "karb.toml").write_text(first_file("kasa-1", STORE, NOWHERE), encoding="utf-8")
    return data


def copied(launcher, made, target):
    """A node of its own, like the one in `made`."""
    return Node(launcher, shutil.copytree(made, target))
