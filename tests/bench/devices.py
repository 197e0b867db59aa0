"""Devices: from a scan to its event, bursts, a dead printer beside a live one, 100,000 jobs."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import uvloop

from hw.escpos.simulator import EscposSimulator
from hw.events import Events
from hw.outcome import Done
from hw.registry import DeviceConfig
from hw.scanner.simulator import ScannerSimulator
from hw.slip import Cut, TextLine
from hw.spool import Order
from hw.spooler import Spooler
from hw.supervisor import Supervisor
from tests.bench.memory import rss_mb

SCANS = 2_000
BURST = 1_000
JOBS = 100_000
TICKETS = 50
TURNS = 3


def run():
    """The table's rows."""
    jobs = JOBS
    return uvloop.run(_rows(jobs))


async def _rows(jobs):
    with tempfile.TemporaryDirectory() as folder:
        yielded = [*await _scans(Path(folder)), *await _dead(Path(folder))]
    # A disk would make it an hour, and of the memory it says nothing.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        return [*yielded, *await _memory(Path(folder), jobs)]


async def _scans(folder):
    events = Events("bench")
    scanner = ScannerSimulator(folder / "scanner")
    scanner.plug()
    arrived = asyncio.Queue()

    def scanned(scan):
        events.add("scan", scan.device, scan.till, 0, code=scan.data)
        arrived.put_nowait(time.perf_counter())

    config = DeviceConfig(id="s", driver="scanner.serial", url=scanner.url, till="T1")
    supervisor = Supervisor([config], on_scan=scanned)
    await supervisor.start()
    await _connected(supervisor)
    took = []
    for n in range(SCANS):
        began = time.perf_counter()
        await scanner.scan(f"590{n:010}")
        took.append((await arrived.get() - began) * 1000)
        await asyncio.sleep(0.0005)
    cursor = events.cursor
    began = time.perf_counter()
    for n in range(BURST):
        await scanner.scan(f"590{n:010}")
    for _ in range(BURST):
        await arrived.get()
    burst_s = time.perf_counter() - began
    codes = [event.data["code"] for event in events.after(cursor, BURST)[0]]
    lost = BURST - len(codes) if codes == [f"590{n:010}" for n in range(len(codes))] else "mixed"
    await supervisor.close()
    scanner.unplug()
    centiles = statistics.quantiles(took, n=100)
    return [
        (f"{SCANS} scans over a pty, to the event: p50", f"{centiles[49]:.2f} ms", ""),
        ("  p99 (aim: 5 ms)", f"{centiles[98]:.2f} ms", f"{centiles[98] / 5:.2f} of the aim"),
        (f"a burst of {BURST} scans", f"{burst_s * 1000:.0f} ms", f"{lost} lost"),
    ]


async def _dead(folder):
    """Tickets on a printer, alone and beside one that hangs with work waiting for it."""
    # In turns, and the best of each: a machine that is busy elsewhere slows now one, now the other.
    alone = beside = float("inf")
    for turn in range(TURNS):
        alone = min(alone, await _tickets(folder / f"alone{turn}.db", dead=False))
        beside = min(beside, await _tickets(folder / f"beside{turn}.db", dead=True))
    return [
        (f"{TICKETS} tickets on a simulated printer", f"{alone * 1000:.0f} ms", "1"),
        ("  beside a printer that hangs", f"{beside * 1000:.0f} ms", f"{beside / alone:.2f}"),
    ]


async def _tickets(path, *, dead):
    printers = {"live": EscposSimulator(), "dead": EscposSimulator()}
    configs = [
        DeviceConfig(
            id=name,
            driver="printer.escpos",
            url="tcp:{}:{}".format(*await printer.listen()),
            till=name,
        )
        for name, printer in printers.items()
    ]
    supervisor = Supervisor(configs, on_scan=lambda _: None)
    await supervisor.start()
    await _connected(supervisor)
    spooler = Spooler(path, supervisor, now_ms=lambda: 0)
    done = asyncio.Queue()
    spooler.listen(done.put_nowait)
    await spooler.start()
    if dead:
        printers["dead"].cable.hang(on=True)
        for n in range(TICKETS):
            await spooler.add(_order(f"dead/{n}", "dead"))
    began = time.perf_counter()
    for n in range(TICKETS):
        await spooler.add(_order(f"live/{n}", "live"))
    for _ in range(TICKETS):
        await done.get()
    took = time.perf_counter() - began
    printers["dead"].cable.hang(on=False)
    await spooler.close()
    await supervisor.close()
    for printer in printers.values():
        await printer.close()
    return took


class _Paper:
    """A printer that takes no time: what is measured is the queue."""

    id, till = "P", None

    async def print(self, job):
        return Done(job.job)

    def printer_of(self, _):
        return self

    def printer(self, _):
        return self

    def fiscal_of(self, _):
        return None

    def stand_in(self, _):
        return None


async def _memory(folder, jobs):
    import os  # noqa: PLC0415 - only here

    done = asyncio.Semaphore(0)
    spooler = Spooler(folder / "jobs.db", _Paper(), now_ms=lambda: 0)
    spooler.listen(lambda _: done.release())
    await spooler.start()
    marks = []
    began = time.perf_counter()
    for n in range(jobs):
        await spooler.add(_order(f"job/{n}", "P"))
        await done.acquire()
        if n in (jobs // 10, jobs - 1):
            marks.append(rss_mb(os.getpid()))
    each = (time.perf_counter() - began) / jobs
    size = (folder / "jobs.db").stat().st_size / 1e6
    await spooler.close()
    return [
        (f"memory after {jobs // 10} jobs", f"{marks[0]:.1f} MB", "1"),
        (f"memory after {jobs} jobs", f"{marks[1]:.1f} MB", f"{marks[1] / marks[0]:.3f}"),
        ("  each job, the file in memory", f"{each * 1e6:.0f} µs", f"{size:.0f} MB file"),
    ]


def _order(id_, device):
    lines = tuple(TextLine(text=f"Pozycja {n} " + "x" * 30) for n in range(6))
    return Order(id=id_, kind="kitchen", device=device, till="T1", elements=(*lines, Cut()))


async def _connected(supervisor):
    while any(one.state != "connected" for one in supervisor.statuses()):  # noqa: ASYNC110 - a bench
        await asyncio.sleep(0.01)
