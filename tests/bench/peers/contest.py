"""The script that every system goes through, and what is counted.

1. The line is whole; a few sales arrive.
2. The line is cut. One till sells, then sixteen at once: rates, and the time of each answer.
3. The line heals and the next shopper pays: seconds until all is at the centre; bytes that
   went over the line, both ways. (In 4 and 6 nobody pays meanwhile: it is left to timers.)
4. The line is cut again and sold on; while that drains it breaks twice more, in mid-batch.
5. `kill -9` of the edge while it sells and sends; it starts again, and its till asks again for
   the one sale whose answer did not come.
6. `kill -9` of the centre while a backlog drains; it starts again after a second.

After each of 4 to 6: sales the edge had acknowledged that the centre lacks (lost), that it has
twice (doubled), and whether all was there within `PATIENCE_S` (else it is stuck).
"""

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from edge.demo.link import LinkCutter
from tests.bench.peers.systems import System

WARM = 50
PATIENCE_S = 90.0
POLL_S = 0.02
DOWN_S = 1.0
TILLS = 16


@dataclass
class Fault:
    """What became of one fault."""

    lost: int = 0
    doubled: int = 0
    stuck: bool = False
    drain_s: float = 0.0
    """From the moment everything was whole again."""


@dataclass
class Round:
    """One system, once through the script."""

    alone: dict = field(default_factory=dict)
    """One till: n, seconds, p50_ms, p99_ms."""

    sixteen: dict = field(default_factory=dict)
    drain_s: float = 0.0
    per_s: float = 0.0
    """Sales reconciled a second, from the first byte that went over the healed line."""

    bytes_per_sale: float = 0.0
    faults: dict[str, Fault] = field(default_factory=dict)


class Contest:
    """One system, one round."""

    def __init__(self, system: System, sales: Path, n: int) -> None:
        self._system, self._sales, self._n = system, sales, n
        self._ack = system.folder / "acknowledged"
        self._next = 0
        self._line: LinkCutter = None

    async def run(self, *, faults: bool = True) -> Round:
        found, system = Round(), self._system
        await system.start_centre()
        self._line = LinkCutter("127.0.0.1", system.port)
        system.line = await self._line.start()
        try:
            await system.prepare()
            await system.start_edge()
            await self._record(WARM, 1)
            await self._all_there()
            self._line.cut()
            found.alone = await self._record(self._n, 1)
            found.sixteen = await self._record(self._n, TILLS)
            await self._drain(found)
            if not faults:
                return found
            found.faults["line cut mid-drain"] = await self._cut(found.bytes_per_sale)
            found.faults["kill -9 of the edge"] = await self._kill_edge(found.alone["n"])
            found.faults["kill -9 of the centre"] = await self._kill_centre(found.bytes_per_sale)
        finally:
            await self._line.close()
            await system.stop()
        return found

    async def flushes(self, traces: Path) -> dict[str, float]:
        """Return flushes a sale: of the edge with one till and sixteen, of the centre."""
        system, found = self._system, {}

        def counted(what: str) -> int:
            path = traces / f"{what}.strace"
            return sum(" = 0" in line for line in path.open()) if path.exists() else 0

        await system.start_centre()
        self._line = LinkCutter("127.0.0.1", system.port)
        system.line = await self._line.start()
        try:
            await system.prepare()
            await system.start_edge()
            await self._record(WARM, 1)
            await self._all_there()
            self._line.cut()
            for what, tills in (("edge, one till", 1), ("edge, sixteen", TILLS)):
                before = counted("edge")
                await self._record(self._n, tills)
                found[what] = (counted("edge") - before) / self._n
            before = counted("centre")
            self._line.heal()
            await self._all_there()
            found["centre"] = (counted("centre") - before) / (2 * self._n)
        finally:
            await self._line.close()
            await system.stop()
        return found

    async def _record(self, n: int, tills: int) -> dict:
        first, self._next = self._next, self._next + n
        return await self._system.edge.ask("record", **self._what(first, self._next, tills))

    def _what(self, first: int, last: int, tills: int) -> dict:
        return {
            "sales": str(self._sales),
            "first": first,
            "last": last,
            "tills": tills,
            "ack": str(self._ack),
            "form": self._system.form,
        }

    async def _all_there(self) -> bool:
        """Wait until the centre has as many sales as were recorded; False: it is stuck."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while await self._system.arrived() < self._next:  # noqa: ASYNC110 - another process's
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            return False
        return True

    async def _drain(self, found: Round) -> None:
        line, before = self._line, self._line.total_bytes
        healed = time.monotonic()
        line.heal()
        await self._record(1, 1)
        while line.total_bytes == before and time.monotonic() - healed < PATIENCE_S:  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.001)
        first = time.monotonic()
        await self._all_there()
        end = time.monotonic()
        sales = 2 * self._n + 1
        found.drain_s, found.per_s = end - healed, sales / (end - first)
        await asyncio.sleep(0.3)  # the last acknowledgements
        found.bytes_per_sale = (line.total_bytes - before) / sales

    async def _cut(self, bytes_per_sale: float) -> Fault:
        self._line.cut()
        await self._record(self._n, TILLS)
        for part in (0.2, 0.4):
            await self._let_through(part * self._n * bytes_per_sale)
            self._line.cut()
            await asyncio.sleep(DOWN_S)
        self._line.heal()
        return await self._judge()

    async def _kill_edge(self, n: int) -> Fault:
        first, last = self._next, self._next + n
        self._next = last
        self._system.edge.tell("record", **self._what(first, last, 1))
        while self._acknowledged() < first + n // 3:  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.005)
        await self._system.kill_edge()
        await self._system.start_edge()
        done = self._acknowledged()
        await self._system.edge.ask("record", **self._what(done, last, 1))
        return await self._judge()

    async def _kill_centre(self, bytes_per_sale: float) -> Fault:
        self._line.cut()
        await self._record(self._n, TILLS)
        await self._let_through(0.4 * self._n * bytes_per_sale)
        await self._system.kill_centre()
        await asyncio.sleep(DOWN_S)
        await self._system.start_centre()
        return await self._judge()

    async def _let_through(self, size: float) -> None:
        """Heal the line until so many bytes have gone over it."""
        until = self._line.total_bytes + size
        end = time.monotonic() + PATIENCE_S
        self._line.heal()
        while self._line.total_bytes < until and time.monotonic() < end:  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.001)

    async def _judge(self) -> Fault:
        began = time.monotonic()
        stuck = not await self._all_there()
        took = time.monotonic() - began
        there = Counter(await self._system.ids())
        acknowledged = self._ack.read_text().split()
        return Fault(
            sum(sale not in there for sale in acknowledged),
            sum(times - 1 for times in there.values()),
            stuck,
            took,
        )

    def _acknowledged(self) -> int:
        return self._ack.read_bytes().count(b"\n") if self._ack.exists() else 0


def write_sales(path: Path, rows: list[tuple[str, str, dict]]) -> None:
    """Write sales for the edges: id, body packed (base64), body as JSON has it."""
    with path.open("w", encoding="utf-8") as file:
        for sale, packed, doc in rows:
            file.write(json.dumps({"id": sale, "packed": packed, "doc": doc}) + "\n")
