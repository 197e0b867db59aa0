"""How each system is set up: its best documented settings, and nothing tuned for this contest.

A system is an edge and a centre in a folder. The line lies between the two; `line` is the port
of its shop's end. Centres keep their port over a restart.
"""

import asyncio
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path

from edge.enrol import enrol
from tests.bench.central_ingest import command
from tests.bench.peers.kit import HERE, MODULES, PEERS, PYTHON, Process, free_port, reachable


class System:
    """One system in a folder; a class a system says the rest."""

    name = title = flushed = needs = ""
    form = "packed"
    faulty = True
    """Its faults are tried."""

    def __init__(self, folder: Path, trace: Path | None = None) -> None:
        self.folder, self.port, self.line = folder, free_port(), 0
        self._trace = trace
        self.edge: Process = None
        self.centre: Process = None

    def process(self, what: str, *words: object, cwd=None) -> Process:
        trace = self._trace and self._trace / f"{what}.strace"
        return Process(*words, log=self.folder / f"{what}.log", trace=trace, cwd=cwd)

    async def start_centre(self) -> None:
        await self.centre.start()
        await reachable(self.port)

    async def kill_centre(self) -> None:
        await self.centre.end(signal.SIGKILL)

    async def prepare(self) -> None:
        """Do what is done once, with the line whole."""

    async def start_edge(self) -> None:
        await self.edge.start()
        await self.edge.ready()

    async def kill_edge(self) -> None:
        await self.edge.end(signal.SIGKILL)

    async def stop(self) -> None:
        for process in (self.edge, self.centre):
            if process is not None:
                await process.end()

    async def arrived(self) -> int:
        """Return how many sales the centre has."""
        raise NotImplementedError

    async def ids(self) -> list[str]:
        """Return the ids of the sales the centre has, each as often as it has it."""
        raise NotImplementedError


class Karb(System):
    """TLS with both certificates, chain and signatures checked, stock and sales kept."""

    name, title, flushed = "karb", "Karb", "yes"

    async def start_centre(self) -> None:
        data = self.folder / "central"
        if self.centre is None:
            await asyncio.to_thread(command, data, "init")
            await asyncio.to_thread(command, data, "store", "add", "S1", "--name", "S1")
        listen = f"127.0.0.1:{self.port}"
        run = (sys.executable, "-m", "central", "run", "--data", data, "--listen", listen)
        self.centre = self.process("centre", *run, "--json")
        await super().start_centre()

    async def prepare(self) -> None:
        data, url = self.folder / "edge", f"https://127.0.0.1:{self.line}"
        done = await asyncio.to_thread(
            command, self.folder / "central", "enrol-code", "--store", "S1"
        )
        await enrol(data, url, done["code"], "bench")
        self.edge = self.process(
            "edge", sys.executable, "-m", "tests.bench.peers.karb_edge", data, url
        )

    def _rows(self, sql: str) -> list[tuple]:
        path = self.folder / "central" / "ledger.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return db.execute(sql).fetchall()

    async def arrived(self) -> int:
        return self._rows("SELECT count(*) FROM sales")[0][0]

    async def ids(self) -> list[str]:
        return [event for (event,) in self._rows("SELECT lower(hex(event)) FROM sales")]

    @staticmethod
    def version() -> str:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
        ).stdout.strip()


class Nats(System):
    """A JetStream leaf in the shop, its stream sourced by the hub."""

    name, title, flushed, needs = "nats", "NATS, defaults", "no (every 2 min)", "pip"
    more, compression = "", ""

    def __init__(self, folder: Path, trace: Path | None = None) -> None:
        super().__init__(folder, trace)
        self._hub, self._leaf = free_port(), free_port()
        self._asker: Process = None
        self._server: Process = None

    def _write(self, what: str, port: int, leafnodes: str) -> Path:
        path = self.folder / f"{what}.conf"
        path.write_text(
            f'listen: "127.0.0.1:{port}"\nserver_name: {what}\n'
            f'jetstream {{ store_dir: "{self.folder / what}"\n domain: {what}\n {self.more} }}\n'
            f"leafnodes {{ {leafnodes}\n {self.compression} }}\n"
        )
        return path

    async def start_centre(self) -> None:
        path = self._write(
            "hub", self._hub, f'listen: "127.0.0.1:{self.port}"\n no_advertise: true'
        )
        self.centre = self.process("centre", PEERS / "venv/bin/nats-server", "-c", path)
        await super().start_centre()
        await reachable(self._hub)
        if self._asker is None:
            self._asker = Process(
                PYTHON,
                HERE / "nats_centre.py",
                f"nats://127.0.0.1:{self._hub}",
                log=self.folder / "asker.log",
            )
            await self._asker.start()
            await self._asker.ready()

    async def prepare(self) -> None:
        await self.start_edge()
        await self.edge.ask("found", keep_s=120)
        await self._asker.ask("found", keep_s=120)

    async def start_edge(self) -> None:
        url = f"nats-leaf://127.0.0.1:{self.line}"
        remote = f'remotes = [ {{\n url: "{url}"\n {self.compression}\n }} ]'
        path = self._write("leaf", self._leaf, remote)
        if self.edge is not None:
            await self.edge.end()
            await self._server.end()
        self._server = self.process("edge", PEERS / "venv/bin/nats-server", "-c", path)
        await self._server.start()
        await reachable(self._leaf)
        self.edge = Process(
            PYTHON,
            HERE / "nats_edge.py",
            f"nats://127.0.0.1:{self._leaf}",
            log=self.folder / "till.log",
        )
        await super().start_edge()

    async def kill_edge(self) -> None:
        await self._server.end(signal.SIGKILL)
        await super().kill_edge()

    async def stop(self) -> None:
        for process in (self._asker, self._server):
            if process is not None:
                await process.end()
        await super().stop()

    async def arrived(self) -> int:
        return await self._asker.ask("count")

    async def ids(self) -> list[str]:
        return await self._asker.ask("ids")

    @staticmethod
    def version() -> str:
        said = subprocess.run(
            [PEERS / "venv/bin/nats-server", "-v"], capture_output=True, text=True, check=True
        )
        return said.stdout.strip().rsplit(" ", 1)[-1]


class NatsAlways(Nats):
    """Flushed before it is acknowledged, and packed as well as it can on the line."""

    name, title, flushed = "nats-always", "NATS, sync_interval: always, s2_best", "yes"
    more, compression = "sync_interval: always", "compression: s2_best"


class NatsJson(Nats):
    """Defaults, with the sale as JSON, as programs mostly publish it."""

    name, title, form = "nats-json", "NATS, defaults, sales as JSON", "json"
    faulty = False


class NatsAlwaysJson(NatsAlways):
    """Flushed and packed on the line, with the sale as JSON."""

    name, title, form = "nats-always-json", "NATS, always, s2_best, sales as JSON", "json"
    faulty = False


class Turso(System):
    """A database in the shop, pushed to tursodb's sync server."""

    name, title, flushed, needs = "turso", "Turso sync", "yes", "pip npm"

    async def start_centre(self) -> None:
        binary = next(MODULES.glob("@tursodatabase/cli-*/tursodb"))
        central = self.folder / "central.db"
        self.centre = self.process(
            "centre", binary, central, "--sync-server", f"127.0.0.1:{self.port}"
        )
        await super().start_centre()

    async def prepare(self) -> None:
        url = f"http://127.0.0.1:{self.line}"
        self.edge = self.process("edge", PYTHON, HERE / "turso_edge.py", self.folder / "e.db", url)

    def _rows(self, sql: str) -> list[tuple]:
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for path in self.folder.glob("central.db*"):
            shutil.copy(path, copy)
        try:
            with closing(sqlite3.connect(copy / "central.db")) as db:
                return db.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return [(0,)]  # no table yet, or copied in the middle of a write

    async def arrived(self) -> int:
        return self._rows("SELECT count(*) FROM sales")[0][0]

    async def ids(self) -> list[str]:
        return [sale for (sale,) in self._rows("SELECT id FROM sales")]

    @staticmethod
    def version() -> str:
        binary = next(MODULES.glob("@tursodatabase/cli-*/tursodb"))
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
        return f"pyturso {_pip('pyturso')}, tursodb {said.stdout.split()[-1]}"


class Pouch(System):
    """PouchDB on leveldb, live replication in batches of 500."""

    name, title, flushed, needs = "pouchdb", "PouchDB to pouchdb-server", "no", "npm"

    async def start_centre(self) -> None:
        (self.folder / "central").mkdir(exist_ok=True)
        program = MODULES / "pouchdb-server/bin/pouchdb-server"
        self.centre = self.process(
            "centre",
            *("node", program, "--port", self.port, "--dir", self.folder / "central"),
            cwd=self.folder,
        )
        await super().start_centre()

    async def prepare(self) -> None:
        await self._get("", "PUT")
        self.edge = self.process(
            "edge",
            *("node", HERE / "pouch_edge.js", PEERS, self.folder / "edge"),
            f"http://127.0.0.1:{self.line}/sales",
        )

    async def _get(self, path: str, method: str = "GET"):
        def ask():
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.port}/sales{path}", method=method
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)

        return await asyncio.to_thread(ask)

    async def arrived(self) -> int:
        try:
            return (await self._get(""))["doc_count"]
        except OSError:
            return 0

    async def ids(self) -> list[str]:
        return [row["id"] for row in (await self._get("/_all_docs"))["rows"]]

    @staticmethod
    def version() -> str:
        def of(name):
            return json.loads((MODULES / name / "package.json").read_text())["version"]

        return f"pouchdb {of('pouchdb-core')}, server {of('pouchdb-server')}"


def _pip(name: str) -> str:
    said = subprocess.run(
        [PYTHON, "-c", f"from importlib.metadata import version; print(version({name!r}))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return said.stdout.strip()


SYSTEMS = {
    system.name: system
    for system in (Karb, NatsAlways, NatsAlwaysJson, Nats, NatsJson, Turso, Pouch)
}
