"""`kill -9` at random and at chosen moments, under load: the part of the proof on processes.

    python -m tests.processes.kills --size ci --seed 7

A world is a head office and a store's two nodes (`tests.processes.shop`), on lines that are
cut, slow and silent meanwhile. Of its processes one is killed, its files are judged as they
lie, it is started again, and so on; then all faults heal and the whole world is judged.
"""

import asyncio
import contextlib
import os
import random
import signal
import tempfile
import time
from pathlib import Path

from tests.e2e.launcher import Launcher
from tests.processes.line import DOWN, HANG_UP, RESET, SILENT, UP, Weather
from tests.processes.shop import found_office, trading
from tests.proof import Told, bar, begun, command

NAME = "processes"
KILLS = {"short": 8, "ci": 60, "release": 2_000}
PER_WORLD = {"short": 8, "ci": 20, "release": 40}
"""Kills of one world: what is on its disks is judged after each, so it must stay small."""

MOMENTS = ("any", "sent", "written", "answered", "up", "down", "starting", "stopping")
"""Any time; a request was just sent; the log of the database grew; a sale was just
acknowledged; bytes of an exchange moved; it is just starting; it is stopping."""

WAIT_S = 2.0


async def reached(moment, shop, who):
    """Wait for a moment, or for a while if it does not come."""
    rng = shop.rng
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WAIT_S):
            match moment:
                case "sent" | "answered":
                    event = shop.sent if moment == "sent" else shop.answered
                    event.clear()
                    await event.wait()
                    if moment == "sent":
                        await asyncio.sleep(rng.random() * 0.004)
                case "written":
                    await _written(who)
                case "up" | "down":
                    line = shop.lines[0] if who is shop.office else _line_of(shop, who)
                    event = line.moved[UP if moment == "up" else DOWN]
                    event.clear()
                    await event.wait()
                    await asyncio.sleep(rng.random() * 0.004)
                case _:
                    await asyncio.sleep(rng.random() * 0.3)


async def _written(who):
    path = who.data / ("karb.sqlite-wal" if hasattr(who, "database") else "ledger.db-wal")

    def state():
        try:
            told = path.stat()
        except FileNotFoundError:
            return None
        return told.st_size, told.st_mtime_ns

    before = state()
    while state() == before:  # noqa: ASYNC110 - the file tells nobody
        await asyncio.sleep(0.0005)


def _line_of(shop, who):
    return shop.lines[shop.nodes.index(who)]


async def ended(moment, shop, who):
    """Kill one process at a moment; leave it dead."""
    rng = shop.rng
    if moment == "stopping":
        await asyncio.sleep(rng.random() * 0.2)
        who.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(rng.random() * 0.06)
    else:
        await reached(moment, shop, who)
    await shop.kill(who)
    shop.faulted(f"kill: {moment}")
    if moment == "starting":
        for _ in range(rng.randint(1, 3)):
            process = _launched(who)
            await asyncio.sleep(rng.random() * 0.25)
            await asyncio.to_thread(process.end, signal.SIGKILL)


def _launched(who):
    program = "edge" if hasattr(who, "database") else "central"
    port = "0" if program == "edge" else who.port
    return who.launcher.start(program, "run", "--data", who.data, "--listen", f"127.0.0.1:{port}")


def change_the_weather(shop):
    """Now and then a line is cut, slow, or says nothing."""
    rng = shop.rng
    for line in shop.lines:
        drawn = rng.random()
        if drawn < 0.15:
            line.cut()
        elif drawn < 0.3:
            line.heal()
            how = rng.choice((HANG_UP, RESET, SILENT))
            line.weather = Weather(rng.choice((UP, DOWN)), rng.randrange(20_000), how)
            line.drop()
        elif drawn < 0.4:
            line.heal()
            line.weather = Weather(piece=rng.choice((1, 100, 1400)), delay_s=0.002)
            line.drop()
        elif drawn < 0.8:
            line.heal()


async def world(launcher, founded, folder, seed, kills, tell):
    """Live through one world; return what was found and the faults there were."""
    rng = random.Random(seed)
    async with trading(launcher, founded, folder, rng) as shop:
        shop.open()
        found = {}
        for _ in range(kills):
            change_the_weather(shop)
            who, moment = rng.choice(shop.processes), rng.choice(MOMENTS)
            await ended(moment, shop, who)
            if who is not shop.office:
                add_to(found, shop.examined(who))
            await shop.restart(who)
            tell()
            if any(found.values()):
                break
        for line in shop.lines:
            line.heal()
        await shop.shut()
        add_to(found, await shop.judged())
        for line in shop.lines:
            shop.faults.update(line.counts)
        shop.faults["sales acknowledged"] = len(shop.sold)
        shop.faults["promises made"] = len(shop.promised)
        shop.faults["orders handed out"] = len(shop.handed)
        return found, shop.faults


def add_to(found, more):
    for what, lines in more.items():
        found.setdefault(what, []).extend(lines)


def main(size, seed, out) -> dict:
    """Kill as often as the size says; goes on where an interrupted run had come to."""
    told = begun(NAME, size, seed, out)
    kills, per_world = KILLS[size], PER_WORLD[size]
    with tempfile.TemporaryDirectory(prefix="karb-kills-", dir=fast()) as folder:
        launcher = Launcher()
        try:
            founded = found_office(launcher, Path(folder))
            shown = iter(bar(range(told.cases, kills), "kills", kills, told.cases))
            while told.cases < kills:
                todo = min(per_world, kills - told.cases)
                _one(told, launcher, founded, Path(folder), todo, shown)
                told.set_aside(out)
            next(shown, None)
        finally:
            launcher.close()
    return told.keep(out)


def _one(told: Told, launcher, founded, folder, kills, shown):
    seed = told.seeds[0] * 1_000_000 + told.cases
    began = time.monotonic()
    place = folder / str(told.cases)
    place.mkdir()
    found, faults = asyncio.run(
        world(launcher, founded, place, seed, kills, lambda: next(shown, None))
    )
    told.seconds += time.monotonic() - began
    told.cases += kills
    for fault, times in faults.items():
        told.count(fault, times)
    told.take(found, seed)


def fast():
    """Where files cost least: a killed process leaves what it wrote, whatever the disk."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else None


if __name__ == "__main__":
    command(NAME, main)
