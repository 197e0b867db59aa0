"""Nodes as processes: `karb run` in a folder of its own."""

import asyncio
import json
import shutil
import signal
from urllib.parse import urlsplit

from edge.config import first_file
from tests.e2e.hostile import ask, dump
from tests.e2e.launcher import KARB
from tests.edge.till.shop import STORE, enrolled, opened

NOWHERE = "https://127.0.0.1:9"


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
        return dump(self.database, *without)


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
