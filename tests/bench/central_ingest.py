"""How many sales a second head office takes in: chain and signatures checked, TLS on.

    python -m tests.bench.central_ingest [--sales 30000] [--stores 1] [--rounds 1] [--profile FILE]

The real server as its own process; the client on the same cores has its payloads ready
before the clock starts, so what is measured is central. Beside it, in the same rounds, the
same facts and a row a sale, finished, through plain sqlite3. Then the same backlog paid
by card, three facts a sale; and how long one sale waits for its acknowledgement, alone and
while another store's backlog comes in.
"""

import argparse
import asyncio
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import facts
from sync.exchange import wire
from sync.exchange.session import Acknowledged, Session
from sync.facts.sale import PaymentSettled, Sale, SaleClosed, Stage
from tests.central.machine import Machine, Writer, enrol, sale

SALES = 30_000
ROUNDS = 3
BATCH = 500
PER_POST = 8
LIVE_SALES = 300
LIVE_PAUSE_S = 0.01


@dataclass
class Backlog:
    """What one store has to send, ready to be sent."""

    writer: Writer
    posts: list[bytes]
    sales: int
    lines: int


@dataclass
class Taken:
    """One round."""

    seconds: float
    cpu_seconds: float
    stored_bytes: int


@dataclass
class Waits:
    """Milliseconds until a live sale was acknowledged."""

    alone: list[float]
    beside: list[float]
    """While a backlog was taken in."""


def fill(store: str, sales: int, seed: int, *, staged: bool = False) -> Backlog:
    """Make a backlog: baskets of 9.6 lines on average, few articles sold often.

    Args:
        store: Whose.
        sales: How many.
        seed: Of the baskets.
        staged: Paid by card: tendered, approved and closed, a fact each.
    """
    writer = Writer(Ed25519PrivateKey.generate(), store)
    rng = random.Random(seed)
    skus = [f"5900000{n:06}" for n in range(5000)]
    weights = [1 / (n + 1) for n in range(len(skus))]
    counts = [min(60, 1 + int(rng.expovariate(1 / 9.1))) for _ in range(sales)]
    picks = iter(rng.choices(skus, weights, k=sum(counts)))
    for number, count in enumerate(counts, start=1):
        lines = [
            (next(picks), 1000 * rng.choice((1, 1, 1, 2, 3)), rng.randrange(99, 4999))
            for _ in range(count)
        ]
        if staged:
            event = writer.write(
                sale(*lines, number=number, stage=Stage.TENDERED, method="card")
            ).event
            writer.write(PaymentSettled(0, approved=True, reference=f"{number:06}"), event)
            writer.write(SaleClosed(1_767_000_000_000 + number, 2), event)
        else:
            writer.write(sale(*lines, number=number))
    return Backlog(writer, payloads(writer), sales, sum(counts))


def payloads(writer: Writer) -> list[bytes]:
    posts = []
    first = 1
    while first <= len(writer.facts):
        session = Session(("", writer.store), facts.readable(), lambda _: True)
        parts = [session.hello([writer.head], None)]
        for _ in range(PER_POST):
            last = min(first + BATCH - 1, len(writer.facts))
            parts.append(session.send(writer.batch(first, last)))
            first = last + 1
            if first > len(writer.facts):
                break
        posts.append(wire.join(parts))
    return posts


async def send(machine: Machine, posts: list[bytes]) -> None:
    async with machine.client() as client:
        for post in posts:
            await post_one(client, post)


async def post_one(client: aiohttp.ClientSession, body: bytes) -> bytes:
    async with client.post(
        "/v1/exchange",
        data=body,
        headers={"Content-Type": "application/octet-stream"},
        server_hostname="central.karb",
    ) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()


async def sell(
    machine: Machine, waits: list[float], more: Callable[[], bool], pause_s: float
) -> None:
    """Sell one by one while there is `more` to do, and note how long each acknowledgement took."""
    writer = machine.writer
    head = writer.head
    async with machine.client() as client:
        while more():
            writer.write(sale(("5900000000001", 1000, 499), number=len(writer.facts) + 1))
            last = len(writer.facts)
            session = Session(("", writer.store), facts.readable(), lambda _: True)
            body = wire.join([session.hello([head], None), session.send(writer.batch(last, last))])
            began = time.perf_counter()
            answer = await post_one(client, body)
            waits.append(1000 * (time.perf_counter() - began))
            events = [session.receive(payload) for payload in wire.split(answer)]
            assert any(
                isinstance(event, Acknowledged) and event.stored.get(writer.stream) == last
                for event in events
            ), events
            head = writer.head
            await asyncio.sleep(pause_s)


def cpu_of(pid: int) -> float:
    """Seconds of processor time of a process: steadier than the clock on a busy machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def command(data: Path, *words: str) -> dict:
    run = [sys.executable, "-m", "central", *words, "--data", str(data), "--json"]
    return json.loads(
        subprocess.run(run, check=True, capture_output=True, text=True).stdout or "{}"
    )


@contextmanager
def running(data: Path, profile: Path | None) -> Iterator[tuple[str, int]]:
    """Run a head office; give its address and its process."""
    prefix = ["-m", "cProfile", "-o", str(profile)] if profile else []
    words = ["-m", "central", "run", "--data", str(data), "--listen", "127.0.0.1:0", "--json"]
    server = subprocess.Popen(
        [sys.executable, *prefix, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield json.loads(server.stdout.readline())["url"], server.pid
    finally:
        server.terminate()
        server.communicate()


async def take_in(folder: Path, backlogs: list[Backlog], profile: Path | None = None) -> Taken:
    """Have a new head office take backlogs in, all stores at once."""
    data = folder / "central"
    command(data, "init")
    for backlog in backlogs:
        command(data, "store", "add", backlog.writer.store, "--name", backlog.writer.store)
    with running(data, profile) as (url, pid):
        machines = []
        for backlog in backlogs:
            code = command(data, "enrol-code", "--store", backlog.writer.store)["code"]
            machines.append(await enrol(url, code, folder, key=backlog.writer.key))
        cpu = cpu_of(pid)
        began = time.perf_counter()
        await asyncio.gather(
            *(send(m, backlog.posts) for m, backlog in zip(machines, backlogs, strict=True))
        )
        took = time.perf_counter() - began
        cpu = cpu_of(pid) - cpu
        totals = command(data, "status")["totals"]
        assert totals["sales"] == sum(b.sales for b in backlogs)
        assert totals["lines"] == sum(b.lines for b in backlogs)
    return Taken(took, cpu, (data / "ledger.db").stat().st_size)


async def wait_for(folder: Path, backlog: Backlog) -> Waits:
    """Have a store sell live, alone and while another's backlog is taken in."""
    data = folder / "central"
    command(data, "init")
    for store in ("LIVE", backlog.writer.store):
        command(data, "store", "add", store, "--name", store)
    with running(data, None) as (url, _):
        code = command(data, "enrol-code", "--store", "LIVE")["code"]
        live = await enrol(url, code, folder)
        code = command(data, "enrol-code", "--store", backlog.writer.store)["code"]
        other = await enrol(url, code, folder, key=backlog.writer.key)
        waits = Waits([], [])
        await sell(live, waits.alone, lambda: len(waits.alone) < LIVE_SALES, 0)
        sending = asyncio.create_task(send(other, backlog.posts))
        await sell(live, waits.beside, lambda: not sending.done(), LIVE_PAUSE_S)
        await sending
    return waits


def plain(folder: Path, backlogs: list[Backlog]) -> Taken:
    """The same rows, made beforehand: a transaction a batch, WAL and FULL."""
    db = sqlite3.connect(folder / "plain.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(
        "CREATE TABLE facts (store TEXT, node BLOB, incarnation INTEGER, seq INTEGER, hlc INTEGER, "
        "kind TEXT, version INTEGER, event BLOB, body BLOB, hash BLOB, signature BLOB, "
        "PRIMARY KEY (store, node, incarnation, seq)) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE sales (store TEXT, sale INTEGER, event BLOB, till TEXT, number INTEGER, "
        "at_ms INTEGER, cashier TEXT, lines INTEGER, quantity_milli INTEGER, total_minor INTEGER, "
        "PRIMARY KEY (store, sale)) WITHOUT ROWID"
    )
    db.execute("CREATE UNIQUE INDEX sales_event ON sales (store, event)")
    batches = [rows for backlog in backlogs for rows in _rows(backlog.writer)]
    cpu, began = time.process_time(), time.perf_counter()
    for told, sales in batches:
        db.execute("BEGIN IMMEDIATE")
        db.executemany(f"INSERT INTO facts VALUES ({', '.join('?' * 11)})", told)
        db.executemany(f"INSERT INTO sales VALUES ({', '.join('?' * 10)})", sales)
        db.execute("COMMIT")
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    db.close()
    return Taken(took, cpu, (folder / "plain.db").stat().st_size)


def _rows(writer: Writer) -> Iterator[tuple[list, list]]:
    stream, store = writer.stream, writer.store
    place = (store, stream.node, stream.incarnation)
    for at in range(0, len(writer.facts), BATCH):
        part = writer.facts[at : at + BATCH]
        hashes = writer.hashes[at : at + BATCH]
        told = [
            (*place, f.seq, f.hlc, f.kind, f.version, f.event, f.body, digest, None)
            for f, digest in zip(part, hashes, strict=True)
        ]
        sales = [
            (
                store,
                f.seq,
                f.event,
                body.till,
                body.number,
                body.at_ms,
                body.cashier,
                body.lines.n,
                sum(row.quantity_milli for row in body.lines.rows()),
                body.total_minor,
            )
            for f, body in zip(part, map(facts.decode, part), strict=True)
            if isinstance(body, Sale)
        ]
        yield told, sales


async def measure(sales: int, stores: int, rounds: int, profile: Path | None = None):
    """Return what was sent, and each round's figures: central's and the plain insert's."""
    backlogs = [fill(f"S{n}", sales // stores, n) for n in range(stores)]
    ours, reference = [], []
    for _ in range(rounds):
        with on_disk() as folder:
            reference.append(plain(folder, backlogs))
            ours.append(await take_in(folder, backlogs, profile))
    return backlogs, ours, reference


async def measure_cards(sales: int, rounds: int) -> list[Taken]:
    backlog = fill("S0", sales, 0, staged=True)
    taken = []
    for _ in range(rounds):
        with on_disk() as folder:
            taken.append(await take_in(folder, [backlog]))
    return taken


async def measure_waits(sales: int, rounds: int) -> Waits:
    backlog = fill("S0", sales, 0)
    waits = Waits([], [])
    for _ in range(rounds):
        with on_disk() as folder:
            found = await wait_for(folder, backlog)
            waits.alone += found.alone
            waits.beside += found.beside
    return waits


@contextmanager
def on_disk() -> Iterator[Path]:
    # On the disk the work is on: /tmp may be memory.
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        yield Path(name)


def table(backlogs: list[Backlog], ours: list[Taken], reference: list[Taken]):
    """Yield what, figure and ratio."""
    sales = sum(backlog.sales for backlog in backlogs)
    lines = sum(backlog.lines for backlog in backlogs)
    sent = sum(len(post) for backlog in backlogs for post in backlog.posts)
    bodies = sum(len(fact.body) for backlog in backlogs for fact in backlog.writer.facts)
    seconds = median(taken.seconds for taken in ours)
    base = median(taken.seconds for taken in reference)
    cpu = median(taken.cpu_seconds for taken in ours)
    base_cpu = median(taken.cpu_seconds for taken in reference)
    stored = median(taken.stored_bytes for taken in ours)
    base_stored = median(taken.stored_bytes for taken in reference)
    yield (
        f"backlog of {sales:,} sales, {len(backlogs)} store{'s'[: len(backlogs) > 1]}",
        f"{lines / sales:.1f} lines each, median of {len(ours)}",
        "",
    )
    yield (
        f"plain sqlite3 executemany, {BATCH} facts and a row a sale a commit, FULL",
        f"{sales / base:,.0f} sales/s, {base_cpu / sales * 1e6:.0f} us of CPU a sale",
        "1.00 (reference)",
    )
    yield (
        "Karb central: TLS, chain, signatures, journal, views",
        (
            f"{sales / seconds:,.0f} sales/s, {lines / seconds:,.0f} lines/s, "
            f"{cpu / sales * 1e6:.0f} us of CPU a sale"
        ),
        f"{base / seconds:.2f} of the plain insert, aim 10,000/s",
    )
    yield (
        "wire: batches as they travel, below HTTP and TLS",
        f"{sent / sales:.0f} B a sale",
        f"{sent / bodies:.2f} of the facts' bodies ({bodies / sales:.0f} B)",
    )
    yield (
        "stored: journal, sales, stock, indices",
        f"{stored / sales:,.0f} B a sale",
        f"{stored / base_stored:.2f} of the plain tables ({base_stored / sales:,.0f} B)",
    )


def waited(what: str, waits: list[float]):
    p99 = quantiles(waits, n=100, method="inclusive")[98]
    yield (
        f"one live sale acknowledged, {what}",
        f"p50 {median(waits):.1f} ms, p99 {p99:.1f} ms, most {max(waits):.1f} ms",
        f"of {len(waits)}",
    )


def run(sales: int = SALES, stores: int = 1, rounds: int = ROUNDS, profile: Path | None = None):
    """Yield what, figure and ratio."""
    backlogs, ours, reference = asyncio.run(measure(sales, stores, rounds, profile))
    yield from table(backlogs, ours, reference)
    if profile:
        return
    cards = asyncio.run(measure_cards(sales, rounds))
    seconds, cpu = median(c.seconds for c in cards), median(c.cpu_seconds for c in cards)
    yield (
        "the same paid by card: three facts a sale",
        f"{sales / seconds:,.0f} sales/s, {cpu / sales * 1e6:.0f} us of CPU a sale",
        f"{cpu / median(taken.cpu_seconds for taken in ours):.2f} of the CPU of a sale in one fact",
    )
    waits = asyncio.run(measure_waits(sales, rounds))
    yield from waited("one after the other", waits.alone)
    yield from waited("while another store's backlog comes in", waits.beside)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sales", type=int, default=SALES)
    parser.add_argument("--stores", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--profile", type=Path, help="write cProfile's figures of central")
    asked = parser.parse_args()
    for row in run(asked.sales, asked.stores, asked.rounds, asked.profile):
        print("; ".join(cell for cell in row if cell))
