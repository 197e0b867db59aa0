"""Fiscal receipts in the queue: never expired, never twice, moved only when proven not printed."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from hw.fiscal import FiscalLine, FiscalReceipt, Tender, Vat
from hw.posnet import simulator as posnet
from hw.posnet.simulator import PosnetSimulator
from hw.registry import DeviceConfig
from hw.spool import RULES, Order
from hw.spooler import Spooler
from hw.supervisor import Supervisor
from tests.hw.until import PATIENCE_S, until

OPTIONS = {
    "allow_fiscal": "yes",
    "answer_timeout_s": "0.5",
    "job_timeout_s": "1",
    "resolve_timeout_s": "0.5",
}


def order(id_="r1", device="F1"):
    receipt = FiscalReceipt(
        job=id_,
        lines=(FiscalLine(name="Chleb", quantity_milli=1000, unit_minor=499, vat=Vat(500)),),
        payments=(Tender(means="cash", amount_minor=499),),
        total_minor=499,
    )
    return Order(id=id_, kind="fiscal", device=device, till="1", receipt=receipt)


class Shop:
    """Two fiscal printers, the second the reserve of the first."""

    def __init__(self, folder):
        self.folder = folder
        self.printers = {"F1": PosnetSimulator(), "F2": PosnetSimulator()}
        self.urls = {}

    def receipts(self, name):
        return len(list(self.printers[name].module.of_receipts()))

    @asynccontextmanager
    async def open(self, stand_in_after_s=60.0):
        for name, printer in self.printers.items():
            if name not in self.urls:
                self.urls[name] = "tcp:{}:{}".format(*await printer.listen())
        supervisor = Supervisor(
            [
                DeviceConfig(
                    id=name,
                    driver="fiscal.posnet",
                    url=url,
                    till="1",
                    stand_in="F2" if name == "F1" else None,
                    options=OPTIONS,
                )
                for name, url in self.urls.items()
            ],
            on_scan=lambda _: None,
            longest_wait_s=0.05,
        )
        spooler = Spooler(
            self.folder / "jobs.db",
            supervisor,
            now_ms=lambda: 1 << 60,
            longest_wait_s=0.05,
            stand_in_after_s=stand_in_after_s,
        )
        settled = asyncio.Queue()
        spooler.listen(settled.put_nowait)
        supervisor.memory = spooler.memory
        await spooler.start()
        await supervisor.start()
        await until(lambda: all(s.state == "connected" for s in supervisor.statuses()))
        try:
            yield spooler, lambda: asyncio.wait_for(settled.get(), PATIENCE_S)
        finally:
            await spooler.close()
            await supervisor.close()


@pytest.fixture
async def shop(tmp_path):
    shop = Shop(tmp_path)
    yield shop
    for printer in shop.printers.values():
        await printer.close()


def test_a_fiscal_receipt_never_expires():
    assert RULES["fiscal"].lives_ms is None


async def test_asked_twice_it_is_issued_once_and_its_evidence_is_kept(shop):
    async with shop.open() as (spooler, settled):
        await spooler.add(order())
        await spooler.add(order())
        done = await settled()
        assert (done.state, done.device) == ("done", "F1")
        assert '"document"' in done.evidence
    async with shop.open() as (spooler, _):
        again, new = await spooler.add(order())
        assert (again.state, new) == ("done", False)
    assert (shop.receipts("F1"), shop.receipts("F2")) == (1, 0)


async def test_a_lost_answer_is_asked_about_and_never_moves_to_the_reserve(shop):
    """The receipt is printed and the answer lost; the reserve stands ready at once."""
    async with shop.open(stand_in_after_s=0.0) as (spooler, settled):
        posnet.obey(shop.printers["F1"], "drop-after trend")
        await spooler.add(order())
        done = await settled()
        assert (done.state, done.device) == ("done", "F1")
    assert (shop.receipts("F1"), shop.receipts("F2")) == (1, 0)


async def test_a_printer_that_refuses_leaves_its_receipt_to_the_reserve(shop):
    async with shop.open(stand_in_after_s=0.0) as (spooler, settled):
        posnet.obey(shop.printers["F1"], "paper out")
        await spooler.add(order())
        done = await settled()
        assert (done.state, done.device) == ("done", "F2")
    assert (shop.receipts("F1"), shop.receipts("F2")) == (0, 1)


async def test_after_a_restart_what_was_being_sent_is_asked_about(shop):
    async with shop.open() as (spooler, settled):
        await spooler.add(order())
        await settled()
        await spooler.kept(
            lambda spool: spool._db.execute("UPDATE jobs SET state = 'sending', evidence = ''")
        )
    async with shop.open() as (spooler, settled):
        done = await settled()
        assert (done.state, done.evidence != "") == ("done", True)
    assert shop.receipts("F1") == 1
