"""The line cut at every byte of an exchange, both ways, under TLS: a part of the proof.

    python -m tests.processes.cuts --size ci --seed 7

A node and head office are real processes with a bad line between them. A sale waits; the node
is told to exchange (`POST /v1/sync`), and the line ends after `n` bytes of one way. What did
not arrive is tried again at the next byte, what arrived unacknowledged is sent again, and a
new sale is made once nothing waits. So it goes for each `n` from the handshake's first byte
to the last of the answer. Then the same over the live link, then piecemeal, late, repeated and
silent lines.
"""

import asyncio
import random
import sqlite3
import tempfile
import time
from collections import defaultdict
from contextlib import closing, suppress
from pathlib import Path

from edge.folder import told as left_by
from tests.e2e.launcher import Launcher
from tests.processes.kills import add_to, fast
from tests.processes.line import DOWN, FAIR, HANG_UP, RESET, SILENT, UP, Weather
from tests.processes.repeater import Repeater
from tests.processes.shop import found_office, trading
from tests.proof import bar, begun, command

NAME = "cuts"
STRIDE = {"short": 61, "ci": 3, "release": 1}
"""Every how many bytes of a request's exchange the line is cut; `release`: every byte."""

LIVE = {"short": 8, "ci": 60, "release": 600}
"""Cuts of a live link, at bytes drawn: it is made again by the node's own timer."""

REPEATS = {"short": 12, "ci": 100, "release": 1000}
SILENCES = {"short": 0, "ci": 1, "release": 4}
"""Half-open lines, each waited for until the node itself notices."""

LEAST = 1000
"""Bytes that a handshake alone has, each way."""

NOTICED_S = 100
"""A request gives up after 60 s; a live link after a heartbeat of 15 s and its answer."""


class Cutting:
    """One node behind one line."""

    def __init__(self, shop, rng):
        self.shop, self.rng, self.node, self.line = shop, rng, shop.nodes[0], shop.lines[0]
        self.node_admin = left_by(self.node.data)[1]
        self.waits = self._asking = False

    async def sell(self):
        """Sell one article, which then waits."""
        await self.shop.sell_once(self.node, "K1a")
        self.waits = True

    async def exchange(self):
        """Tell the node to exchange; return whether all of it got through."""
        self._asking = True
        try:
            status, told = await self.shop.ask(self.node, "POST", "/v1/sync", {}, self.node_admin)
        finally:
            self._asking = False
        self.waits = status != 200 or told["waiting"] > 0
        if status != 200:
            await self._check_what_waits()
        return status == 200

    async def _check_what_waits(self):
        """What a node says does not wait any more, head office has: even after a broken answer."""
        said = await self.shop.status(self.node)
        if said is None or said["waiting"]:
            return
        path = self.shop.office.data / "ledger.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            (there,) = db.execute("SELECT COUNT(*) FROM sales").fetchone()
        if there != len(self.shop.sold):
            self.shop.lost.append(f"nothing waits, {there} of {len(self.shop.sold)} sales arrived")

    async def measured(self):
        """Return how many bytes an exchange has, each way; its handshake varies by a few."""
        self.line.heal()
        self.line.drop()
        await self.drained()
        self.line.calls_only_while(self.asking)
        found = []
        for _ in range(3):  # head office may have had something to say besides
            self.line.drop()
            self.line.longest.clear()
            await self.sell()
            await self.exchange()
            found.append(dict(self.line.longest))
        return {way: min(sizes.get(way, 0) for sizes in found) + 8 for way in (UP, DOWN)}

    def asking(self):
        """Whether the node was told to exchange, and is at it."""
        return self._asking

    async def cut_at(self, way, after):
        """Make one exchange end after so many bytes of one way."""
        if not self.waits:
            await self.sell()
        self.line.drop()
        self.line.weather = Weather(way, after, self.rng.choice((HANG_UP, RESET)))
        await self.exchange()

    async def drained(self):
        async with asyncio.timeout(NOTICED_S):
            while True:
                said = await self.shop.status(self.node)
                if said and said["waiting"] == 0:
                    break
                await asyncio.sleep(0.05)
        self.waits = False


async def requests_cut(cutting, stride, seed, tell):
    """Cut requests every `stride` bytes; return how many cuts there were."""
    sizes = await cutting.measured()
    places = [
        (way, after) for way in (UP, DOWN) for after in range(seed % stride, sizes[way], stride)
    ]
    for way, after in places:
        await cutting.cut_at(way, after)
        tell()
    cutting.line.calls_only_while(None)
    cutting.line.heal()
    await cutting.drained()
    return sizes, len(places)


async def live_cut(cutting, times, sizes):
    """Cut the live link, while it greets, sends, or is told what is stored."""
    for _ in range(times):
        way = cutting.rng.choice((UP, DOWN))
        cutting.line.weather = Weather(way, cutting.rng.randrange(1000, sizes[way] + 1500))
        cutting.line.drop()
        await cutting.sell()
        with suppress(TimeoutError):
            async with asyncio.timeout(3):
                cuts = cutting.line.counts.total()
                while cutting.line.counts.total() == cuts:
                    await asyncio.sleep(0.01)
                    await cutting.sell()
    cutting.line.heal()
    await cutting.drained()


async def piecemeal(cutting):
    """Carry an exchange byte by byte, and one in late pieces."""
    cutting.line.calls_only_while(cutting.asking)
    for weather in (Weather(piece=1), Weather(piece=700, delay_s=0.1)):
        cutting.line.drop()
        cutting.line.weather = weather
        await cutting.sell()
        if not await cutting.exchange():
            cutting.shop.wrong.append(f"an exchange over a slow line failed: {weather}")
        cutting.line.counts["piecemeal exchanges"] += 1
    cutting.line.calls_only_while(None)
    cutting.line.heal()
    await cutting.drained()


async def silent(cutting, times):
    """Let the live link fall silent: the node itself has to notice and call again."""
    for _ in range(times):
        cutting.line.weather = Weather(UP, cutting.rng.randrange(4000, 8000), SILENT)
        cutting.line.drop()
        quiet = cutting.line.counts[f"cut, {SILENT}"]
        async with asyncio.timeout(NOTICED_S):
            while cutting.line.counts[f"cut, {SILENT}"] == quiet:
                await cutting.sell()
                await asyncio.sleep(0.05)
        cutting.line.weather = FAIR  # for the next call: the silent one stays as it is
        await cutting.drained()


async def repeated(cutting, times):
    """Have requests arrive twice and again later."""
    node, shop = cutting.node, cutting.shop
    repeater = Repeater(shop.office, node.data, cutting.rng)
    async with repeater.listening() as port:
        config = node.data / "karb.toml"
        before = config.read_text("utf-8")
        old = next(line for line in before.splitlines() if line.startswith("central"))
        config.write_text(before.replace(old, f'central = "https://127.0.0.1:{port}"'), "utf-8")
        await shop.kill(node)
        await shop.restart(node)
        cutting.node_admin = left_by(node.data)[1]
        for _ in range(times):
            for _ in range(cutting.rng.randint(1, 3)):
                await cutting.sell()
            if not await cutting.exchange():
                shop.wrong.append("an exchange whose requests were repeated failed")
        await cutting.drained()
        await shop.kill(node)
        config.write_text(before, "utf-8")
    await shop.restart(node)
    cutting.line.counts["repeated requests"] += repeater.repeated
    cutting.line.counts["tampered requests"] += repeater.tampered
    if repeater.believed:
        shop.wrong.append(f"{repeater.believed} of {repeater.tampered} changed sales were taken")


async def world(launcher, founded, folder, seed, size, told, tell):
    """Cut, and judge."""
    rng = random.Random(seed)
    found = defaultdict(list)
    async with trading(launcher, founded, folder, rng, nodes=1) as shop:
        cutting = Cutting(shop, rng)
        sizes, cuts = await requests_cut(cutting, STRIDE[size], seed, tell)
        met = len(cutting.line.cuts)
        told.notes.append(
            f"a sale's exchange by request, TLS 1.3 handshake included: {sizes[UP] - 8} bytes up, "
            f"{sizes[DOWN] - 8} down; cut at {met} places, every {STRIDE[size]} bytes"
        )
        if met < cuts * 0.95 or min(sizes.values()) < LEAST:
            found["stuck"].append(f"only {met} of {cuts} cuts took place")
        await piecemeal(cutting)
        await live_cut(cutting, LIVE[size], sizes)
        await silent(cutting, SILENCES[size])
        await repeated(cutting, REPEATS[size])
        told.cases += sum(
            times
            for fault, times in cutting.line.counts.items()
            if fault.startswith(("cut", "rep", "tam"))
        )
        add_to(found, await shop.judged())
        shop.faults.update(cutting.line.counts)
        shop.faults["sales acknowledged"] = len(shop.sold)
        return found, shop.faults


def main(size, seed, out) -> dict:
    """Cut one exchange everywhere; begins afresh each time, for it takes minutes at most."""
    told = begun(NAME, size, seed, out)
    told.cases, told.slices = 0, told.slices[-1:]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="karb-cuts-", dir=fast()) as folder:
        launcher = Launcher()
        try:
            founded = found_office(launcher, Path(folder))
            cuts = 12_000 // STRIDE[size]
            shown = iter(bar(range(cuts), "cuts", cuts))
            found, faults = asyncio.run(
                world(launcher, founded, Path(folder), seed, size, told, lambda: next(shown, None))
            )
            for _ in shown:
                pass
        finally:
            launcher.close()
    told.seconds = time.monotonic() - began
    told.take(found, seed)
    for fault, times in faults.items():
        told.count(fault, times)
    return told.keep(out)


if __name__ == "__main__":
    command(NAME, main)
