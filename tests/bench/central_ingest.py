"""How many sales a second head office takes in: chain and signatures checked, TLS on.

    python -m tests.bench.central_ingest [--sales 30000] [--stores 1] [--rounds 1] [--profile FILE]

The real server as its own process; the client on the same cores has its payloads ready
before the clock starts, so what is measured is central. Beside it, in the same rounds, the
same facts and lines as finished rows through plain sqlite3.
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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import facts
from sync.exchange import wire
from sync.exchange.session import Session
from tests.central.machine import Machine, Writer, enrol, sale

SALES = 30_000
ROUNDS = 3
BATCH = 500
PER_POST = 8


@dataclass
class Backlog:
    """What one store has to send, ready to be sent."""

    writer: Writer
    posts: list[bytes]
    lines: int


@dataclass
class Taken:
    """One round."""

    seconds: float
    cpu_seconds: float
    stored_bytes: int


def fill(store: str, sales: int, seed: int) -> Backlog:
    """Make a backlog: baskets of 9.6 lines on average, few articles sold often."""
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
        writer.write(sale(*lines, number=number))
    return Backlog(writer, payloads(writer), sum(counts))


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
            async with client.post(
                "/v1/exchange",
                data=post,
                headers={"Content-Type": "application/octet-stream"},
                server_hostname="central.karb",
            ) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()


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
        assert totals["sales"] == sum(len(b.writer.facts) for b in backlogs)
        assert totals["lines"] == sum(b.lines for b in backlogs)
    return Taken(took, cpu, (data / "ledger.db").stat().st_size)


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
        "CREATE TABLE lines (store TEXT, sale INTEGER, line INTEGER, sku TEXT, "
        "quantity_milli INTEGER, unit_minor INTEGER, total_minor INTEGER, "
        "PRIMARY KEY (store, sale, line)) WITHOUT ROWID"
    )
    batches = [rows for backlog in backlogs for rows in _rows(backlog.writer)]
    cpu, began = time.process_time(), time.perf_counter()
    for told, lines in batches:
        db.execute("BEGIN IMMEDIATE")
        db.executemany(f"INSERT INTO facts VALUES ({', '.join('?' * 11)})", told)
        db.executemany(f"INSERT INTO lines VALUES ({', '.join('?' * 7)})", lines)
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
        lines = [
            (store, f.seq, n, row.sku, row.quantity_milli, row.unit_minor, row.total_minor)
            for f in part
            for n, row in enumerate(facts.decode(f).lines.rows())
        ]
        yield told, lines


async def measure(sales: int, stores: int, rounds: int, profile: Path | None = None):
    """Return what was sent, and each round's figures: central's and the plain insert's."""
    backlogs = [fill(f"S{n}", sales // stores, n) for n in range(stores)]
    ours, reference = [], []
    for _ in range(rounds):
        # On the disk the work is on: /tmp may be memory.
        with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
            reference.append(plain(Path(name), backlogs))
            ours.append(await take_in(Path(name), backlogs, profile))
    return backlogs, ours, reference


def table(backlogs: list[Backlog], ours: list[Taken], reference: list[Taken]):
    """Yield what, figure and ratio."""
    sales = sum(len(backlog.writer.facts) for backlog in backlogs)
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
        f"plain sqlite3 executemany, {BATCH} facts and their lines a commit, FULL",
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
        "stored: journal, sales and lines, indices",
        f"{stored / sales:,.0f} B a sale",
        f"{stored / base_stored:.2f} of the plain tables ({base_stored / sales:,.0f} B)",
    )


def run(sales: int = SALES, stores: int = 1, rounds: int = ROUNDS, profile: Path | None = None):
    """Yield what, figure and ratio."""
    yield from table(*asyncio.run(measure(sales, stores, rounds, profile)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sales", type=int, default=SALES)
    parser.add_argument("--stores", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--profile", type=Path, help="write cProfile's figures of central")
    asked = parser.parse_args()
    for row in run(asked.sales, asked.stores, asked.rounds, asked.profile):
        print("; ".join(cell for cell in row if cell))
