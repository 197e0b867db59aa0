"""What every edge of the contest is told, a JSON line each, and what it answers.

`record`: sales of a file, one by one at each till, each waited for; its id goes into `ack`
as soon as the edge has said that it is recorded. Needs the standard library only: it also
runs in the peers' own environment.
"""

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple


class Goods(NamedTuple):
    """A sale to be recorded."""

    id: str
    """32 hex digits."""

    body: bytes
    """As the till hands it over."""

    till: str


def read(path: Path, first: int, last: int, form: str) -> list[Goods]:
    """Return sales of a file; `form` is ``packed`` (msgpack) or ``json``."""
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file][first:last]
    if form == "json":
        return [Goods(row["id"], json.dumps(row["doc"]).encode(), "T1") for row in rows]
    return [Goods(row["id"], base64.b64decode(row["packed"]), "T1") for row in rows]


async def record(
    goods: list[Goods], tills: int, ack: Path, one: Callable[[Goods], Awaitable[None]]
) -> dict:
    """Record sales at some tills at once; each till waits for each of its own."""
    told = os.open(ack, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    times: list[float] = []

    async def till(number: int) -> None:
        for sale in goods[number::tills]:
            began = time.perf_counter()
            await one(sale._replace(till=f"T{number + 1}"))
            times.append(time.perf_counter() - began)
            os.write(told, (sale.id + "\n").encode())

    began = time.perf_counter()
    await asyncio.gather(*map(till, range(tills)))
    took = time.perf_counter() - began
    os.close(told)
    times.sort()
    return {
        "n": len(times),
        "seconds": took,
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(len(times) * 0.99)],
    }


async def serve(commands: dict[str, Callable[..., Awaitable[object]]]) -> None:
    """Carry out what standard input says, until it ends."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), lambda: lines.put_nowait(sys.stdin.readline()))
    print(json.dumps("ready"), flush=True)
    while line := await lines.get():
        asked = json.loads(line)
        answer = await commands[asked.pop("do")](**asked)
        print(json.dumps(answer), flush=True)
