"""A till with real drivers on simulated devices, and a program that can die at any step."""

import asyncio
import gc
import itertools
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from edge.till.counter import Counter
from edge.till.request import PayRequest, TenderRequest
from hw.registry import DeviceConfig
from hw.spooler import Spooler
from hw.supervisor import Supervisor
from tests.contract.rigs import NexoRig, PosnetRig
from tests.edge.till.shop import described, opened

PATIENT = {"answer_timeout_s": "1", "job_timeout_s": "2", "resolve_timeout_s": "0.2"}
WORDS = itertools.count()


class Killed(BaseException):
    """The process ended here."""


class Steps:
    """Counts what is written to disk, and ends the process before or after one of them."""

    def __init__(self, at=0, *, after=False):
        self.at, self.after, self.count = at, after, 0
        self.dead = asyncio.Event()

    async def around(self, write):
        if self.dead.is_set():
            raise Killed
        self.count += 1
        if self.count == self.at and not self.after:
            self.dead.set()
            raise Killed
        done = await write()
        if self.count >= self.at > 0 and self.after:
            self.dead.set()
            raise Killed
        return done


class Watched:
    """A driver's memory whose notes are steps."""

    def __init__(self, memory, steps):
        self.memory, self.steps = memory, steps

    async def load(self, key):
        return await self.memory.load(key)

    async def pending(self):
        return await self.memory.pending()

    async def save(self, key, note, *, pending=False):
        await self.steps.around(lambda: self.memory.save(key, note, pending=pending))


class Devices:
    """Simulated devices that outlive every run of the program."""

    def __init__(self, folder, *, terminal=NexoRig, reserve=False):
        folder.mkdir(exist_ok=True)
        self.terminal, self.fiscal = terminal(folder), PosnetRig(folder)
        self.reserve = PosnetRig(folder) if reserve else None
        self.configs = []

    async def start(self):
        rig = self.terminal
        self.configs = [
            DeviceConfig(
                id="terminal",
                driver=rig.driver,
                url=await rig.connect(),
                till="T1",
                options=PATIENT | rig.options(),
            )
        ]
        for name, fiscal in (("fiscal", self.fiscal), ("reserve", self.reserve)):
            if fiscal is None:
                continue
            self.configs.append(
                DeviceConfig(
                    id=name,
                    driver=fiscal.driver,
                    url=await fiscal.connect(),
                    till="T1" if name == "fiscal" else None,
                    shared=name != "fiscal",
                    stand_in="reserve" if self.reserve and name == "fiscal" else None,
                    options=PATIENT | {"allow_fiscal": "yes", "poll_s": "0.05"},
                )
            )

    async def stop(self):
        for rig in (self.terminal, self.fiscal, self.reserve):
            if rig is not None:
                await rig.stop()

    def decline(self):
        """Have the bank say no to the next orders."""
        self.terminal.obey(f"decline {'Refusal' if self.terminal.reverses else '116'}")

    @property
    def receipts(self):
        printers = [rig for rig in (self.fiscal, self.reserve) if rig is not None]
        return [paper for rig in printers for paper in rig.module.of_receipts()]

    @property
    def taken(self):
        return self.terminal.books.taken()

    @property
    def kept_minor(self):
        """What buyers have paid at the terminal and not got back."""
        back = sum(t.amount_minor for t in self.terminal.books.given_back())
        return sum(t.amount_minor for t in self.taken) - back


class Desk:
    """One run of the program."""

    def __init__(self, counter, store, devices):
        self.counter, self.store, self.devices = counter, store, devices
        self.till = counter.till("T1")
        self.news = []
        self.told = asyncio.Event()
        counter.news = self.hear

    def hear(self, news):
        self.news.append(news)
        self.told.set()

    async def until(self, true):
        """Wait for something to come about, looking at every step of a sale."""
        async with asyncio.timeout(20):
            while not (found := await true()):
                self.told.clear()
                await self.told.wait()
        return found

    async def stage(self, sale, *stages):
        async def reached():
            found = await self.store.sale(sale.bytes)
            return found if found is not None and found.stage in stages else None

        return await self.until(reached)

    async def part(self, sale, *states):
        async def reached():
            notes = await self.store.checkout(sale.bytes)
            return next((p for p in notes.attempts if p.state in states), None) if notes else None

        return await self.until(reached)

    async def idle(self):
        """Wait until no sale is under way."""

        async def none():
            return not await self.store.checkouts()

        await self.until(none)

    async def basket_back(self):
        async def back():
            return self.till.basket.paying is None

        await self.until(back)


@asynccontextmanager
async def running(folder, devices, *, fiscal=True, steps=None, stand_in_s=20.0, **more):
    settings = described(fiscal=fiscal)
    async with opened(folder, settings=settings, **more) as (store, clock):
        if steps is not None:
            write = store.write
            store.write = lambda work: steps.around(lambda: write(work))
        counter = Counter(["T1"], store, clock, language="pl", fresh=lambda: f"word{next(WORDS)}")
        counter.paying._waits_s = 0.02, 0.1
        counter.paying._stand_in_s = stand_in_s
        supervisor = Supervisor(
            devices.configs,
            on_scan=counter.scanned,
            on_change=counter.device_changed,
            first_wait_s=0.02,
            longest_wait_s=0.1,
        )
        spooler = Spooler(folder / "jobs.db", supervisor, now_ms=lambda: clock.now().ms)
        memory = spooler.memory
        supervisor.memory = (
            memory if steps is None else lambda device: Watched(memory(device), steps)
        )
        await spooler.start()
        counter.use(spooler, supervisor.printer)
        counter.equip(supervisor)
        desk = Desk(counter, store, devices)
        loop = asyncio.get_running_loop()
        if steps is not None:
            loop.set_exception_handler(_died)
        try:
            await supervisor.start()
            async with asyncio.timeout(20):
                while any(s.state != "connected" for s in supervisor.statuses()):
                    if steps is not None and steps.dead.is_set():
                        break
                    await asyncio.sleep(0.005)
            with suppress(Killed):
                await counter.start()
            yield desk
        finally:
            await counter.close()
            await supervisor.close()
            await spooler.close()
            gc.collect()  # tasks that died are told of now
            loop.set_exception_handler(None)


def _died(loop, context):
    if not isinstance(context.get("exception"), Killed):
        loop.default_exception_handler(context)


def pay(sale, *parts, **more):
    payments = tuple(TenderRequest(method=method, amount_minor=minor) for method, minor in parts)
    return PayRequest(sale=sale, payments=payments, cashier="anna", **more)


def sale(n):
    return UUID(int=0xABCD0000 + n)
