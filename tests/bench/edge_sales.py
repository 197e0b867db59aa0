"""Durable sales per second of an edge node, beside the disk and a plain insert."""

import asyncio
import os
import random
import sqlite3
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.clock import Clock
from edge.keys import NodeKey
from edge.memory import settle
from edge.store.connection import connect
from edge.store.store import Store
from sync.clock import Trust
from sync.facts import encode
from tests.bench import data
from tests.bench.floor import Floor
from tests.bench.floor import per_s as floor_per_s

TILLS = (1, 4, 16)
ROUNDS = 3
SALES = 1500


SLOWER_MS = (1, 10)
"""What a shop's SSD, and a card, take for a flush on top of this disk."""


def slower(ms):
    """Return a connection class whose every commit takes so much longer."""

    class Slower(sqlite3.Connection):
        def execute(self, sql, *values):
            if sql == "COMMIT":
                time.sleep(ms / 1000)  # lets go of the interpreter, as a flush does
            return super().execute(sql, *values)

    return Slower


def fdatasync_per_s(folder: Path, count=400):
    """4 KiB appended and flushed, over and over."""
    with (folder / "flush").open("wb") as file:
        began = time.perf_counter()
        for _ in range(count):
            file.write(bytes(4096))
            file.flush()
            os.fdatasync(file.fileno())
        return count / (time.perf_counter() - began)


def plain_per_s(folder: Path, body: bytes, count=SALES, slower_ms=0):
    """The fact's row into a table of its own, a commit each, WAL and FULL."""
    path = folder / f"plain-{random.getrandbits(32)}"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(
        "CREATE TABLE facts (place INTEGER PRIMARY KEY, hlc INTEGER, kind TEXT, version INTEGER, "
        "event BLOB, body BLOB, hash BLOB, signature BLOB)"
    )

    def insert(number):
        db.execute(
            "INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (number, number << 16, "sale", 1, os.urandom(16), body, bytes(32), bytes(64)),
        )
        if slower_ms:
            time.sleep(slower_ms / 1000)

    for number in range(500 if not slower_ms else 0):
        insert(number)
    began = time.perf_counter()
    for number in range(500, 500 + count):
        insert(number)
    rate = count / (time.perf_counter() - began)
    db.close()
    return rate


async def karb_per_s(store: Store, tills: int, baskets, count=SALES):
    """Return sales per second, and the times of a commit, of tills selling at once."""
    times: list[float] = []

    async def till(name, share):
        for rows in share:

            def work(unit, rows=rows):
                number = unit.next_number(name)
                unit.append(data.sale(rows, number, unit.now.ms, name), os.urandom(16))

            began = time.perf_counter()
            await store.write(work)
            times.append(time.perf_counter() - began)

    share = count // tills
    began = time.perf_counter()
    await asyncio.gather(
        *(till(f"T{n}", baskets[n * share : (n + 1) * share]) for n in range(tills))
    )
    rate = len(times) / (time.perf_counter() - began)
    times.sort()
    return rate, times[len(times) // 2] * 1000, times[int(len(times) * 0.99)] * 1000


async def _run(folder: Path):
    baskets, source = data.lines(stores=20, per_store=SALES // 20)
    body = encode(data.sale(baskets[0], 1))
    clock = Clock()
    clock.hear(Trust.CENTRAL, int(time.time() * 1000))
    key = NodeKey.of(Ed25519PrivateKey.generate())
    store = await Store.open(folder / "karb.sqlite", key, "S1", clock, incarnation=1)
    await karb_per_s(store, 16, baskets)
    settle()
    floor, bodies = Floor(folder / "floor"), [encode(data.sale(rows, 1)) for rows in baskets]
    flush, plain = [], []
    barest: dict[int, list[float]] = {tills: [] for tills in TILLS}
    karb: dict[int, list[tuple[float, float, float]]] = {tills: [] for tills in TILLS}
    for _ in range(ROUNDS):
        flush.append(fdatasync_per_s(folder))
        plain.append(plain_per_s(folder, body))
        for tills in TILLS:
            karb[tills].append(await karb_per_s(store, tills, baskets))
            barest[tills].append(await floor_per_s(floor, tills, bodies))
    await floor.close()
    await store.close()
    reference = median(plain)
    yield f"baskets: {source}", f"{sum(map(len, baskets)) / len(baskets):.1f} lines each", ""
    yield "disk: 4 KiB + fdatasync", f"{median(flush):,.0f}/s", ""
    yield "plain insert of the fact's row, a commit each", f"{reference:,.0f}/s", "1.00 (reference)"
    for tills in TILLS:
        rate = median(barest[tills])
        yield (
            f"barest writer in Python, {tills} till{'s' if tills > 1 else ''}: fact, chain, thread",
            f"{rate:,.0f}/s",
            f"{rate / reference:.2f} of the plain insert",
        )
    for tills in TILLS:
        rate, p50, p99 = (median(column) for column in zip(*karb[tills], strict=True))
        aim = {1: ", aim 0.60", 16: ", aim 2.50 and p99 ≤ 10 ms"}.get(tills, "")
        yield (
            f"Karb, {tills} till{'s' if tills > 1 else ''}: fact + chain + views",
            f"{rate:,.0f}/s, commit p50 {p50:.2f} ms, p99 {p99:.2f} ms",
            f"{rate / reference:.2f} of the plain insert{aim}",
        )


async def _run_slower(folder: Path, ms: int):
    """Measure as above, each commit held up by a sleep of some milliseconds."""
    baskets, _ = data.lines(stores=20, per_store=SALES // 20)
    clock, key = Clock(), NodeKey.of(Ed25519PrivateKey.generate())
    clock.hear(Trust.CENTRAL, int(time.time() * 1000))
    factory = partial(connect, factory=slower(ms))
    path = folder / "karb.sqlite"
    store = await Store.open(path, key, "S1", clock, incarnation=1, connect=factory)
    count = 1600 // ms
    reference = plain_per_s(folder, encode(data.sale(baskets[0], 1)), count, ms)
    yield f"each flush {ms} ms slower (a sleep): plain insert", f"{reference:,.0f}/s", "1.00"
    for tills in (1, 16):
        rate, p50, p99 = await karb_per_s(store, tills, baskets, count)
        yield (
            f"each flush {ms} ms slower: Karb, {tills} till{'s' if tills > 1 else ''}",
            f"{rate:,.0f}/s, commit p50 {p50:.2f} ms, p99 {p99:.2f} ms",
            f"{rate / reference:.2f} of that plain insert",
        )
    await store.close()


def run():
    """Yield what, figure and ratio."""

    async def collect(rows):
        return [row async for row in rows]

    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as folder:
        yield from uvloop.run(collect(_run(Path(folder))))
    for ms in SLOWER_MS:
        with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as folder:
            yield from uvloop.run(collect(_run_slower(Path(folder), ms)))
