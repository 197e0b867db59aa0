"""How many sales a second head office takes in: chain and signatures checked, TLS on.

    python -m tests.bench.central_ingest [--sales 30000] [--stores 1] [--profile]

The real server as its own process; the client on the same cores has its payloads ready
before the clock starts, so what is measured is central.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sync.exchange import wire
from tests.central.machine import Machine, enrol, sale

BATCH = 500
PER_POST = 8


def command(data: Path, *words: str) -> dict:
    run = [sys.executable, "-m", "central", *words, "--data", str(data), "--json"]
    return json.loads(
        subprocess.run(run, check=True, capture_output=True, text=True).stdout or "{}"
    )


def fill(machine: Machine, sales: int, seed: int) -> None:
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
        machine.writer.write(sale(*lines, number=number))


def payloads(machine: Machine) -> list[bytes]:
    writer = machine.writer
    posts = []
    first = 1
    while first <= len(writer.facts):
        session = machine.session()
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


async def measure(sales: int, stores: int, profile: Path | None) -> None:
    folder = Path(tempfile.mkdtemp(prefix="karb-bench-"))
    data = folder / "central"
    command(data, "init")
    names = [f"S{n}" for n in range(stores)]
    for name in names:
        command(data, "store", "add", name, "--name", name)
    prefix = ["-m", "cProfile", "-o", str(profile)] if profile else []
    server = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
        [
            sys.executable,
            *prefix,
            "-m",
            "central",
            "run",
            "--data",
            str(data),
            "--listen",
            "127.0.0.1:0",
            "--json",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = json.loads(server.stdout.readline())["url"]
        machines = []
        for seed, name in enumerate(names):
            code = command(data, "enrol-code", "--store", name)["code"]
            machines.append(await enrol(url, code, folder))
            fill(machines[-1], sales // stores, seed)
        bodies = [payloads(machine) for machine in machines]
        lines = sum(len(f.body) for m in machines for f in m.writer.facts)
        size = sum(map(len, [post for posts in bodies for post in posts]))
        cpu = cpu_of(server.pid)
        began = time.perf_counter()
        await asyncio.gather(*(send(m, b) for m, b in zip(machines, bodies, strict=True)))
        took = time.perf_counter() - began
        cpu = cpu_of(server.pid) - cpu
        status = command(data, "status")["totals"]
        print(
            f"{sales} sales, {status['lines'] / sales:.1f} lines each, {stores} stores: "
            f"{took:.2f} s, {sales / took:,.0f} sales/s, {cpu / sales * 1e6:.0f} us of CPU a sale, "
            f"{status['lines'] / took:,.0f} lines/s, "
            f"{size / sales:.0f} B/sale on the wire, {lines / sales:.0f} B/body, stored "
            f"{(data / 'ledger.db').stat().st_size / sales:.0f} B/sale"
        )
        assert status["sales"] == sales
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sales", type=int, default=30_000)
    parser.add_argument("--stores", type=int, default=1)
    parser.add_argument("--profile", type=Path)
    asked = parser.parse_args()
    asyncio.run(measure(asked.sales, asked.stores, asked.profile))
