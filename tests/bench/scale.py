"""Head office with up to 2,000 stores online: sales, connections, and all coming back at once.

    make bench-scale
    python -m tests.bench.scale [--stores 2000] [--steps 250,500,1000,2000] [--minutes 0.5]

Head office is `karb-central run` on a real socket with TLS, in a process of its own. The
stores are simulated, hundreds in each of a few processes on the same two cores: each has its
own key and certificate, a TLS connection and a WebSocket of its own through the product's
`edge.link.carrier`, a stream of signed facts, a window of batches on their way, and dials again
after the product's times with its jitter. It keeps no database: `make bench` measures the edge.

For each number of stores, on a new head office: enrolment; all connect; nobody sells; everybody
sells, the next sale when the last one is acknowledged; head office is gone while each store
sells `--day` sales, and all return, each when its timer, a minute at most, lets it. With
`--restored` head office is then put back from a copy, and all return once more.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import resource
import secrets
import shutil
import sqlite3
import ssl
import sys
import tempfile
import time
from dataclasses import dataclass
from math import nan
from pathlib import Path
from statistics import median

import aiohttp
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from rich.console import Console
from rich.table import Table

from edge.link.carrier import LinkRefused, LinkUnreachable, live_socket
from edge.link.uplink import FIRST_WAIT_S, GROWTH, HEARTBEAT_S, LONGEST_WAIT_S
from sync import facts
from sync.chain import Head, StreamId, extend, genesis
from sync.errors import SyncError
from sync.exchange.session import Acknowledged, Greeted, Received, Resynced, Session, SlowedDown
from tests.bench import data
from tests.bench.catalogue import certify
from tests.bench.central_ingest import command, cpu_of
from tests.bench.memory import rss_mb
from tests.bench.peers import clerk
from tests.bench.peers.kit import Process, free_port, reachable
from tests.central.machine import Writer, enrol

STEPS = (250, 500, 1000, 2000)
WORKERS = 2
IDLE_S = 10.0
DAY = 200
PER_BATCH = 500
ENROLLED = 20


class Store:
    """A store's node, as far as head office can tell."""

    def __init__(self, name: str, key: Ed25519PrivateKey, context: ssl.SSLContext, url: str):
        self.writer = Writer(key, name, secrets.randbits(40))
        self._context, self._url = context, url
        self.attempts = 0
        self.live = asyncio.Event()
        self.acked = 0
        self.wait = FIRST_WAIT_S
        self._news, self._moved = asyncio.Event(), asyncio.Event()
        self._heard: dict[StreamId, Head] = {}

    async def run(self, client: aiohttp.ClientSession, rng: random.Random) -> None:
        """Be connected, or try again; as `edge.link.uplink` does."""
        while True:
            with contextlib.suppress(LinkUnreachable, LinkRefused, SyncError, ConnectionError):
                self.attempts += 1
                await self._talk(client)
            if self.live.is_set():
                self.live.clear()
                self.wait = FIRST_WAIT_S
            await asyncio.sleep(max(0.05, self.wait * rng.random()))
            self.wait = min(GROWTH * self.wait, LONGEST_WAIT_S)

    async def sell(self, body: bytes) -> None:
        """Sell one, and return when head office has it."""
        self.writer.raw("sale", body)
        await self.there()

    async def there(self) -> None:
        """Wait until head office has all."""
        self._news.set()
        while self.acked < len(self.writer.facts):
            self._moved.clear()
            await self._moved.wait()

    async def _talk(self, client: aiohttp.ClientSession) -> None:
        session = Session(("", self.writer.store), facts.readable(), lambda _: True)
        async with live_socket(client, self._url, self._context, HEARTBEAT_S) as socket:
            await socket.send_bytes(session.hello([self.writer.head, *self._heard.values()], None))
            pusher = None
            try:
                async for message in socket:
                    if message.type is not aiohttp.WSMsgType.BINARY:
                        continue
                    await self._take(session, socket, message.data)
                    if pusher is None:
                        pusher = asyncio.create_task(self._push(session, socket))
                        self.live.set()
                    self._news.set()
            finally:
                if pusher is not None:
                    pusher.cancel()
                    await asyncio.gather(pusher, return_exceptions=True)

    async def _take(self, session: Session, socket, payload: bytes) -> None:
        event = session.receive(payload)
        own = self.writer.stream
        match event:
            case Greeted() | Resynced():
                if own in event.vector:
                    self.acked = event.vector[own].seq
            case Acknowledged():
                self.acked = max(self.acked, event.stored.get(own, 0))
            case Received():
                stream = event.batch.stream
                known = self._heard.get(stream) or Head(stream, 0, genesis(stream))
                if event.batch.first == known.seq + 1:
                    last = extend(known.hash, event.batch.facts)[-1]
                    self._heard[stream] = Head(stream, event.batch.last, last)
                await socket.send_bytes(session.acknowledge({stream: self._heard[stream].seq}, {}))
            case SlowedDown():
                await asyncio.sleep(event.ms / 1000)
        self._moved.set()

    async def _push(self, session: Session, socket) -> None:
        own = self.writer.stream
        while True:
            self._news.clear()
            for stream, after in session.owed([self.writer.head]):
                if stream == own:
                    last = min(after + PER_BATCH, len(self.writer.facts))
                    await socket.send_bytes(session.send(self.writer.batch(after + 1, last)))
                    self._news.set()
            if not self._news.is_set():
                await self._news.wait()


class Worker:
    """Some hundreds of stores in this process."""

    def __init__(self) -> None:
        self._stores: list[Store] = []
        self._tasks: list[asyncio.Task] = []
        self._rng = random.Random(os.getpid())
        self._client: aiohttp.ClientSession = None
        self._returning: list[asyncio.Task] = []
        self._bodies: list[bytes] = []

    async def found(self, url: str, authority: str, stores: str) -> None:
        """Read keys and certificates, and be ready to dial."""
        baskets, _ = data.lines(stores=20, per_store=100)
        self._bodies = [
            facts.encode(data.sale(rows, number)) for number, rows in enumerate(baskets, start=1)
        ]
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), auto_decompress=False
        )
        with tempfile.NamedTemporaryFile(suffix=".pem") as pem:
            for line in Path(stores).read_text().splitlines():
                name, key, certificate = json.loads(line)
                private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key))
                Path(pem.name).write_bytes(
                    private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                    + certificate.encode()
                )
                context = ssl.create_default_context(cadata=authority)
                context.load_cert_chain(pem.name)
                self._stores.append(Store(name, private, context, url))

    async def connect(self) -> dict:
        """Have all dial at once; return when all are live."""
        began = time.monotonic()
        self._tasks = [asyncio.create_task(s.run(self._client, self._rng)) for s in self._stores]
        await asyncio.gather(*(store.live.wait() for store in self._stores))
        return {"seconds": time.monotonic() - began, "attempts": self._attempts()}

    async def sell(self, seconds: float) -> dict:
        """Sell as fast as head office acknowledges, each store one by one."""
        end = time.monotonic() + seconds
        waits: list[float] = []

        async def one(store: Store) -> None:
            await asyncio.sleep(self._rng.random() * min(2.0, seconds / 4))
            while time.monotonic() < end:
                body = self._rng.choice(self._bodies)
                began = time.monotonic()
                await store.sell(body)
                waits.append(time.monotonic() - began)

        await asyncio.gather(*map(one, self._stores))
        return {"waits_ms": [round(1000 * wait, 2) for wait in waits]}

    async def outage(self, sales: int) -> int:
        """Sell a day while head office is gone; the timers have come to their longest."""
        for store in self._stores:
            for _ in range(sales):
                store.writer.raw("sale", self._rng.choice(self._bodies))
            store.wait = LONGEST_WAIT_S
            await asyncio.sleep(0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for store in self._stores:
            store.live.clear()
        return sales * len(self._stores)

    async def back(self) -> dict:
        """Return after the outage; say when each store was live again, and when it was done."""
        began = time.monotonic()
        before = self._attempts()

        async def one(store: Store) -> tuple[float, float]:
            # Head office comes back somewhere in the pause each store is in.
            await asyncio.sleep(LONGEST_WAIT_S * self._rng.random())
            self._tasks.append(asyncio.create_task(store.run(self._client, self._rng)))
            await store.live.wait()
            live = time.monotonic() - began
            await store.there()
            return live, time.monotonic() - began

        times = await asyncio.gather(*map(one, self._stores))
        return {
            "live_s": [round(live, 2) for live, _ in times],
            "done_s": [round(done, 2) for _, done in times],
            "attempts": self._attempts() - before,
        }

    def _attempts(self) -> int:
        return sum(store.attempts for store in self._stores)


@dataclass
class Step:
    """What one number of stores came to."""

    stores: int
    enrol_ms: float
    """One enrolment over HTTPS, the members already there."""

    connect_s: float
    rss_before_mb: float
    rss_live_mb: float
    idle_cpu: float
    """Cores of head office while nobody sells."""

    sales_s: float
    sale_cpu_us: float
    """Head office's processor time a sale, one a batch."""

    p50_ms: float
    p99_ms: float
    rss_sold_mb: float
    back_s: float
    """From head office's start until it has everything."""

    late_s: float
    """The longest that one store waited for its first connection."""

    back_sales_s: float
    back_cpu_us: float
    retries: int
    """Attempts beyond one a store."""

    rss_back_mb: float
    life_s: float
    """From the start of a head office put back from a copy until all lives before are closed."""

    life_cpu_s: float
    load: float

    @property
    def each_kb(self) -> float:
        """Memory of a connection."""
        return (self.rss_live_mb - self.rss_before_mb) * 1024 / self.stores


async def head_office(
    folder: Path, port: int, profile: Path | None = None, name: str = "central"
) -> tuple[Process, int]:
    """Start head office; return its process and the number of it."""
    wrapped = ("-m", "cProfile", "-o", profile) if profile else ()
    run = ("-m", "central", "run", "--data", folder / name, "--json")
    process = Process(
        sys.executable,
        *wrapped,
        *run,
        "--listen",
        f"127.0.0.1:{port}",
        log=folder / "central.log",
    )
    await process.start()
    await process.ready()
    await reachable(port)
    return process, json.loads((folder / name / "run.json").read_text())["pid"]


async def measure(
    folder: Path, n: int, seconds: float, day: int, profile: Path | None, *, restored: bool
) -> Step:
    """Go through one number of stores."""
    central = folder / "central"
    command(central, "init")
    tills = await asyncio.to_thread(certify, central, [f"S{number:05}" for number in range(n)])
    command(central, "store", "add", "NEW", "--name", "NEW")
    port = free_port()
    url = f"https://127.0.0.1:{port}"
    workers = []
    office, pid = await head_office(folder, port)
    try:
        enrol_ms = await enrolment(folder, url)
        for number in range(WORKERS):
            file = folder / f"stores-{number}"
            file.write_text(
                "\n".join(
                    json.dumps(
                        (
                            till.store,
                            till.key.private_bytes_raw().hex(),
                            till.certificate.public_bytes(Encoding.PEM).decode(),
                        )
                    )
                    for till in tills[number::WORKERS]
                )
            )
            worker = Process(
                sys.executable, "-m", "tests.bench.scale", "--worker", log=folder / "worker.log"
            )
            await worker.start()
            await worker.ready()
            workers.append(worker)
        authority = (central / "authority.pem").read_text()
        await asyncio.gather(
            *(
                worker.ask("found", url=url, authority=authority, stores=f"{folder}/stores-{at}")
                for at, worker in enumerate(workers)
            )
        )
        rss_before = rss_mb(pid)

        async def all_do(what: str, **more):
            return await asyncio.gather(*(worker.ask(what, **more) for worker in workers))

        connected = await all_do("connect")
        rss_live = rss_mb(pid)
        cpu = cpu_of(pid)
        await asyncio.sleep(IDLE_S)
        idle = (cpu_of(pid) - cpu) / IDLE_S

        cpu, began = cpu_of(pid), time.monotonic()
        waits = sorted(
            w for told in await all_do("sell", seconds=seconds) for w in told["waits_ms"]
        )
        took, cpu = time.monotonic() - began, cpu_of(pid) - cpu

        rss_sold = rss_mb(pid)

        await office.end()
        backlog = sum(await all_do("outage", sales=day))
        office, pid = await head_office(folder, port, profile)
        back_cpu, began = cpu_of(pid), time.monotonic()
        returned = await all_do("back")
        back_s, back_cpu = time.monotonic() - began, cpu_of(pid) - back_cpu
        rss_back = rss_mb(pid)

        life_s = life_cpu = nan
        if restored:
            await office.end()
            await all_do("outage", sales=0)
            office, life_s, life_cpu = await new_life(folder, port, all_do)
        expected, stored = len(waits) + backlog, count(central)
        assert stored == expected, f"{stored} sales at head office, {expected} acknowledged"
    except BaseException:
        for log in folder.glob("*.log"):
            print(f"--- {log.name}\n{log.read_text()[-3000:]}", file=sys.stderr)
        raise
    finally:
        for process in (*workers, office):
            await process.end()
    return Step(
        stores=n,
        enrol_ms=enrol_ms,
        connect_s=max(told["seconds"] for told in connected),
        rss_before_mb=rss_before,
        rss_live_mb=rss_live,
        idle_cpu=idle,
        sales_s=len(waits) / took,
        sale_cpu_us=cpu / len(waits) * 1e6,
        p50_ms=waits[len(waits) // 2],
        p99_ms=waits[int(len(waits) * 0.99)],
        rss_sold_mb=rss_sold,
        back_s=back_s,
        late_s=max(live for told in returned for live in told["live_s"]),
        back_sales_s=backlog / back_s,
        back_cpu_us=back_cpu / backlog * 1e6,
        retries=sum(told["attempts"] for told in returned) - n,
        rss_back_mb=rss_back,
        life_s=life_s,
        life_cpu_s=life_cpu,
        load=os.getloadavg()[0],
    )


async def new_life(folder: Path, port: int, all_do) -> tuple[Process, float, float]:
    """Put head office back from a copy, and wait until its life before is over.

    A stream of each store is then open, and is closed when the store has said how far it
    holds it. Returns the process, the seconds, and the processor's seconds.
    """
    shutil.copytree(folder / "central", folder / "restored")
    office, pid = await head_office(folder, port, name="restored")
    cpu, began = cpu_of(pid), time.monotonic()
    await all_do("back")
    # The machines that were enrolled and never seen again are waited for: those of NEW.
    while len(left := command(folder / "restored", "stream", "list")["streams"]) > 2:
        assert time.monotonic() - began < 4 * LONGEST_WAIT_S, f"{len(left)} open: {left[:2]}"
        await asyncio.sleep(1)
    return office, time.monotonic() - began, cpu_of(pid) - cpu


async def enrolment(folder: Path, url: str) -> float:
    """Return the milliseconds of an enrolment: key, request and certificate over HTTPS."""
    times = []
    for _ in range(ENROLLED):
        done = await asyncio.to_thread(command, folder / "central", "enrol-code", "--store", "NEW")
        began = time.perf_counter()
        await enrol(url, done["code"], folder)
        times.append(1000 * (time.perf_counter() - began))
    return median(times)


def count(central: Path) -> int:
    """Return how many sales head office's file holds, no event twice."""
    with contextlib.closing(sqlite3.connect(f"file:{central}/ledger.db?mode=ro", uri=True)) as db:
        return db.execute("SELECT count(DISTINCT event) FROM sales").fetchone()[0]


ROWS = (
    ("one enrolment, ms", "enrol_ms", "{:.0f}"),
    ("all connect at once, s", "connect_s", "{:.1f}"),
    ("head office's memory, nobody connected, MB", "rss_before_mb", "{:.0f}"),
    ("… all connected, MB", "rss_live_mb", "{:.0f}"),
    ("… a connection, kB", "each_kb", "{:.0f}"),
    ("nobody sells: cores", "idle_cpu", "{:.3f}"),
    ("each sells one by one: sales/s", "sales_s", "{:,.0f}"),
    ("… processor time a sale, µs", "sale_cpu_us", "{:.0f}"),
    ("… acknowledged, p50 ms", "p50_ms", "{:.0f}"),
    ("… p99 ms", "p99_ms", "{:.0f}"),
    ("… head office's memory then, MB", "rss_sold_mb", "{:.0f}"),
    ("back from the outage: all taken in after, s", "back_s", "{:.0f}"),
    ("… the last store is connected after, s", "late_s", "{:.1f}"),
    ("… attempts that failed", "retries", "{}"),
    ("… sales/s, the jitter's minute included", "back_sales_s", "{:,.0f}"),
    ("… processor time a sale, µs", "back_cpu_us", "{:.0f}"),
    ("… head office's memory, MB", "rss_back_mb", "{:.0f}"),
    ("put back from a copy: all lives closed after, s", "life_s", "{:.0f}"),
    ("… processor time, s", "life_cpu_s", "{:.1f}"),
    ("load (2 cores, the stores' side included)", "load", "{:.1f}"),
)


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench-scale", description=__doc__)
    parser.add_argument("--stores", type=int, help="one number of stores")
    parser.add_argument("--steps", default=",".join(map(str, STEPS)))
    parser.add_argument("--minutes", type=float, default=0.5, help="of selling, each step")
    parser.add_argument("--day", type=int, default=DAY, help="a store's sales in the outage")
    parser.add_argument("--profile", type=Path, help="of head office during the return")
    parser.add_argument("--restored", action="store_true", help="put head office back, too")
    asked = parser.parse_args()
    steps = [asked.stores] if asked.stores else [int(text) for text in asked.steps.split(",")]
    # Two ends of each connection, never in one process.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most < max(steps) + 200:
        sys.exit(f"ulimit -n {most}: expected {max(steps) + 200} at least; raise the hard limit.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    found = []
    for n in steps:
        # On the disk the work is on: /tmp may be memory.
        with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as folder:
            found.append(
                await measure(
                    Path(folder),
                    n,
                    60 * asked.minutes,
                    asked.day,
                    asked.profile,
                    restored=asked.restored,
                )
            )
            print(found[-1], file=sys.stderr)
    title = f"Head office and its stores; {asked.day} sales a store in the outage"
    table = Table("", *(f"{step.stores:,} stores" for step in found), title=title)
    for what, name, form in ROWS:
        table.add_row(what, *(form.format(getattr(step, name)) for step in found))
    Console(width=60 + 16 * len(found)).print(table)


async def work() -> None:
    worker = Worker()
    await clerk.serve(
        {name: getattr(worker, name) for name in ("found", "connect", "sell", "outage", "back")}
    )


if __name__ == "__main__":
    uvloop.run(work() if sys.argv[1:] == ["--worker"] else main())
