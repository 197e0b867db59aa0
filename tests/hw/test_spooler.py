"""Jobs on real paper of simulated printers: out of paper, unplugged, rerouted, restarted."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from hw.errors import DeviceRefused
from hw.escpos.simulator import EscposSimulator
from hw.registry import DeviceConfig
from hw.slip import Cut, OpenDrawer, TextLine
from hw.spool import Order
from hw.spooler import Spooler
from hw.supervisor import Supervisor
from tests.hw.until import PATIENCE_S, until

NOW = 1_790_000_000_000


class Kitchen:
    """Two printers, P1 and its stand-in P2, a supervisor and a spooler."""

    def __init__(self, folder, **more):
        self.folder, self.more = folder, more
        self.printers = [EscposSimulator(), EscposSimulator()]
        self.settled = asyncio.Queue()
        self.urls = []

    @asynccontextmanager
    async def running(self):
        if not self.urls:
            self.urls = ["tcp:{}:{}".format(*await printer.listen()) for printer in self.printers]
        urls = self.urls
        supervisor = Supervisor(
            [
                DeviceConfig(
                    id="P1", driver="printer.escpos", url=urls[0], till="1", stand_in="P2"
                ),
                DeviceConfig(id="P2", driver="printer.escpos", url=urls[1], shared=True),
            ],
            on_scan=lambda _: None,
        )
        spooler = Spooler(
            self.folder / "jobs.db",
            supervisor,
            now_ms=lambda: NOW,
            longest_wait_s=0.05,
            **self.more,
        )
        spooler.listen(self.settled.put_nowait)
        await supervisor.start()
        await until(lambda: all(s.state == "connected" for s in supervisor.statuses()))
        await spooler.start()
        try:
            yield spooler
        finally:
            await spooler.close()
            await supervisor.close()

    async def next(self):
        return await asyncio.wait_for(self.settled.get(), PATIENCE_S)

    def paper(self, n):
        return [receipt.text for receipt in self.printers[n].machine.receipts]


@pytest.fixture
async def kitchen(tmp_path):
    kitchen = Kitchen(tmp_path, stand_in_after_s=60.0)
    yield kitchen
    for printer in kitchen.printers:
        await printer.close()


def ticket(id_="a", kind="kitchen", device="P1"):
    return Order(id=id_, kind=kind, device=device, till="1", elements=(TextLine(text=id_), Cut()))


async def test_printed_once_in_order_however_often_asked(kitchen):
    async with kitchen.running() as spooler:
        for id_ in ("a", "b", "a", "c", "b"):
            await spooler.add(ticket(id_))
        assert [(await kitchen.next()).id for _ in range(3)] == ["a", "b", "c"]
        assert (await spooler.add(ticket("a")))[0].state == "done"
    assert kitchen.paper(0) == ["a", "b", "c"]


async def test_paper_out_holds_the_jobs_and_a_restart_does_not_lose_them(kitchen):
    kitchen.printers[0].set_paper("out")
    async with kitchen.running() as spooler:
        await spooler.add(ticket("a"))
        await until(lambda: spooler._spool.get("a").problem)
    kitchen.printers[0].set_paper("ok")
    async with kitchen.running():
        assert (await kitchen.next()).state == "done"
    assert kitchen.paper(0) == ["a"]


async def test_what_waited_too_long_comes_out_of_the_stand_in(tmp_path, kitchen):
    kitchen.more["stand_in_after_s"] = 0.0
    kitchen.printers[0].set_paper("out")
    async with kitchen.running() as spooler:
        await spooler.add(ticket("a"))
        done = await kitchen.next()
        assert (done.state, done.device) == ("done", "P2")
    assert (kitchen.paper(0), kitchen.paper(1)) == ([], ["a"])


async def test_a_person_moves_a_job_and_not_to_a_printer_that_is_none(kitchen):
    kitchen.printers[0].set_paper("out")
    async with kitchen.running() as spooler:
        await spooler.add(ticket("a"))
        await until(lambda: spooler._spool.get("a").problem)
        with pytest.raises(DeviceRefused, match="P9"):
            await spooler.move("a", "P9", "anna")
        for _ in range(100):
            try:
                await spooler.move("a", "P2", "anna")
            except DeviceRefused:  # it is being tried just now
                continue
            break
        done = await kitchen.next()
        assert (done.device, done.decided_by, done.decided_ms) == ("P2", "anna", NOW)


async def test_an_answer_that_does_not_come_is_unknown_and_its_reprint_says_copy(kitchen):
    async with kitchen.running() as spooler:
        kitchen.printers[0].faults.drop_after = "job"
        await spooler.add(ticket("a"))
        assert (await kitchen.next()).state == "unknown"
        await spooler.decide("a", "not_printed", "anna")
        done = await kitchen.next()
        assert (done.state, done.decided_by) == ("done", "anna")
    assert kitchen.paper(0) == ["a", "KOPIA\na"]


async def test_a_drawer_opens_once_or_not_at_all(kitchen):
    pulse = Order(id="d", kind="drawer", device="P1", till="1", elements=(OpenDrawer(),))
    async with kitchen.running() as spooler:
        await spooler.add(pulse)
        assert (await kitchen.next()).state == "done"
        await spooler.add(pulse)
    async with kitchen.running() as spooler:
        assert (await spooler.add(pulse))[0].state == "done"
    assert kitchen.printers[0].machine.drawer_pulses == 1


async def test_a_dead_printer_delays_no_other(kitchen):
    async with kitchen.running() as spooler:
        kitchen.printers[0].cable.hang(on=True)
        await spooler.add(ticket("a"))
        await spooler.add(ticket("b", device="P2"))
        assert (await kitchen.next()).id == "b"
        kitchen.printers[0].cable.hang(on=False)
        assert (await kitchen.next()).id == "a"


async def test_a_driver_keeps_its_notes_beside_the_jobs(kitchen):
    async with kitchen.running() as spooler:
        memory = spooler.memory("F1")
        await memory.save("job 1", {"stage": "begun"}, pending=True)
    async with kitchen.running() as spooler:
        memory = spooler.memory("F1")
        assert await memory.pending() == ["job 1"]
        assert await memory.load("job 1") == {"stage": "begun"}
