import asyncio
import itertools
import sqlite3
from contextlib import asynccontextmanager, closing
from uuid import UUID

import pytest

from edge.store.connection import DiskFull
from edge.till import basket
from edge.till.counter import Counter
from edge.till.errors import Conflict, NotFound, NotPossible, UnknownArticle
from edge.till.request import PayRequest
from hw.device import Health, PrinterStatus, ReceiptPrinter, Scan
from hw.errors import DeviceUnavailable
from hw.outcome import Done, Refused, Unknown
from hw.slip import TextLine
from hw.spooler import Spooler
from hw.supervisor import DeviceStatus
from sync.facts.sale import Sale, SaleLine, SaleLines, Stage
from tests.edge.till.shop import EAN, Times, opened, tell
from tests.hw.until import until

SALE = UUID("7b1f0d3e-5f0c-4b0e-9d55-0a1b2c3d4e51")
DONE, REFUSED, UNKNOWN = Done("echo"), Refused("paper end", "Load paper."), Unknown("?", "Look.")


class Paper:
    """A printer that ends each job as told, and keeps what came out."""

    id, till = "printer", "T1"

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.slips, self.trouble = [], False
        self.printed = asyncio.Event()
        self.jams = None

    async def open(self):
        pass

    async def lost(self):
        await asyncio.Event().wait()

    async def close(self):
        pass

    def health(self):
        return Health()

    async def status(self):
        if self.trouble:
            raise DeviceUnavailable("off", cure="Switch it on.")
        return PrinterStatus()

    async def print(self, job):
        if self.jams is not None:
            await self.jams.wait()
        outcome = self.outcomes.pop(0) if self.outcomes else DONE
        self.slips.append(job)
        self.printed.set()
        return outcome

    @property
    def heads(self):
        return ["KOPIA" if job.elements[0] == _head("KOPIA") else "original" for job in self.slips]


def _head(text):
    return TextLine(text=text, bold=True, double=True, align="center")


assert isinstance(Paper(), ReceiptPrinter)


class One:
    """The one printer is till T1's."""

    def __init__(self, paper):
        self.paper = paper

    def printer_of(self, _):
        return self.paper

    def printer(self, till):
        return self.paper if till == "T1" else None

    def fiscal_of(self, _):
        return None

    def stand_in(self, _):
        return None


WORDS = itertools.count()


@asynccontextmanager
async def counter_in(folder, paper=None, **more):
    async with opened(folder, more.pop("times", None), **more) as (store, clock):
        printers = One(paper)
        counter = Counter(
            ["T1", "T2"], store, clock, language="pl", fresh=lambda: f"word{next(WORDS)}"
        )
        spooler = Spooler(
            folder / "jobs.db", printers, now_ms=lambda: clock.now().ms, longest_wait_s=0.05
        )
        counter.use(spooler, printers.printer)
        await spooler.start()
        await counter.start()
        try:
            yield counter, store
        finally:
            await spooler.close()
            await counter.close()


def spooled(folder):
    with closing(sqlite3.connect(folder / "jobs.db")) as db:
        return dict(db.execute("SELECT id, state FROM jobs"))


def pay(tendered, sale=SALE, method="cash"):
    return PayRequest(sale=sale, method=method, tendered_minor=tendered, cashier="anna")


async def sold(store, sku="MLEKO"):
    stock = await store.stock(sku)
    return -stock.quantity_milli if stock else 0


async def slips(store):
    states = ("intended", "sending", "printed", "unknown", "refused", "copy")
    return {view.event: view.state for view in await store.slips(*states)}


async def test_a_basket_is_scanned_sold_and_printed(tmp_path):
    paper = Paper()
    async with counter_in(tmp_path, paper) as (counter, store):
        till = counter.till("T1")
        counter.scanned(Scan(EAN[0], 0.0, "scanner", "T1"))
        counter.scanned(Scan(f"]E0{EAN[0]}", 0.0, "scanner", "T1"))
        await till.scan(EAN[1])
        assert [line.item.sku for line in till.basket.lines] == ["MLEKO", "WODA"]
        recorded = await till.pay(pay(2000))
        assert (recorded.sale.total_minor, recorded.stage) == (1047, Stage.CLOSED)
        assert till.basket == basket.Basket()
        assert till.last == recorded
        await till.printing.drained()
        assert await slips(store) == {SALE.bytes: "printed"}
        assert paper.heads == ["original"]
        assert (await store.stock("MLEKO")).quantity_milli == -2000


async def test_a_lost_answer_can_be_asked_for_again(tmp_path):
    paper = Paper()
    async with counter_in(tmp_path, paper) as (counter, _):
        till = counter.till("T1")
        await till.scan(EAN[0])
        first = await till.pay(pay(500))
        again = await till.pay(pay(500))
        assert (again.sale, again.new) == (first.sale, False)
        with pytest.raises(Conflict):
            await till.pay(pay(501))
        with pytest.raises(Conflict):
            await counter.till("T2").pay(pay(500))
        await till.printing.drained()
    assert paper.heads == ["original"]


async def test_an_unknown_code_says_so_and_breaks_nothing(tmp_path):
    async with counter_in(tmp_path) as (counter, _):
        till = counter.till("T1")
        await till.scan("MLEKO")
        for code in ("9", "5900000000099", "", "NOWY", EAN[4], "]C1garbage"):
            with pytest.raises(UnknownArticle):
                await till.scan(code)
        assert till.basket.notice
        assert [line.item.sku for line in till.basket.lines] == ["MLEKO"]
        await till.scan("MLEKO")
        assert till.basket.notice == ""


async def test_a_scanner_of_no_till_serves_the_first_and_a_strange_one_none(tmp_path):
    async with counter_in(tmp_path) as (counter, _):
        counter.scanned(Scan(EAN[0], 0.0, "shared", None))
        counter.scanned(Scan(EAN[0], 0.0, "lost", "T9"))
        await counter.till("T1").change()
        assert len(counter.till("T1").basket.lines) == 1
        with pytest.raises(NotFound):
            counter.till("T9")


async def test_a_dead_printer_never_blocks_selling_and_prints_when_it_is_back(tmp_path):
    paper = Paper(REFUSED)
    paper.trouble = True
    async with counter_in(tmp_path, paper) as (counter, store):
        till = counter.till("T1")
        events = []
        for n in range(3):
            sale = UUID(int=n + 1)
            await till.scan(EAN[0])
            await till.pay(pay(389, sale))
            events.append(sale.bytes)
        await paper.printed.wait()
        assert till.printing.waiting == 3
        paper.trouble = False
        counter.device_changed(DeviceStatus("printer", "x", "T1", "connected", None, None))
        await till.printing.drained()
        assert await slips(store) == dict.fromkeys(events, "printed")
    assert paper.heads == ["original"] * 4  # the first was refused once
    assert len({job.job for job in paper.slips}) == 4


async def test_an_unknown_slip_is_not_tried_again_until_somebody_asks(tmp_path):
    paper = Paper(UNKNOWN)
    async with counter_in(tmp_path, paper) as (counter, store):
        till = counter.till("T1")
        await till.scan(EAN[0])
        await till.pay(pay(389))
        await till.printing.drained()
        assert await slips(store) == {SALE.bytes: "unknown"}
        assert await counter.copy(SALE.bytes) == "T1"
        await till.printing.drained()
        assert await slips(store) == {SALE.bytes: "copy"}
        await counter.copy(SALE.bytes)
        await till.printing.drained()
    assert paper.heads == ["original", "KOPIA", "KOPIA"]


async def test_a_copy_of_a_printed_slip_leaves_it_printed(tmp_path):
    async with counter_in(tmp_path, Paper()) as (counter, store):
        till = counter.till("T1")
        await till.scan(EAN[0])
        await till.pay(pay(389))
        await till.printing.drained()
        await counter.copy(SALE.bytes)
        await till.printing.drained()
        assert await slips(store) == {SALE.bytes: "printed"}
        with pytest.raises(NotFound):
            await counter.copy(bytes(16))


async def test_after_a_restart_what_is_in_doubt_comes_out_as_a_copy(tmp_path):
    """The program died: before the hand-over, while printing, and before the end was noted."""
    states = ("waiting", "sending", "held", "done", "unknown")
    async with counter_in(tmp_path, Paper()) as (counter, store):
        till = counter.till("T1")
        for n in range(len(states) + 2):
            await till.scan(EAN[0])
            await till.pay(pay(389, UUID(int=n + 1)))
            await till.printing.drained()
        for n in range(len(states) + 1):
            event = UUID(int=n + 1).bytes
            await store.write(lambda u, e=event: u.slip(e, "T1", "intended"))
        old = UUID(int=len(states) + 2)
        await store.write(lambda u: u.slip(old.bytes, "T1", "sending"))
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as db, db:
        for n, state in enumerate(states, start=1):
            db.execute("UPDATE jobs SET state = ? WHERE id = ?", (state, f"slip/{UUID(int=n).hex}"))
        for gone in (len(states) + 1, len(states) + 2):
            db.execute("DELETE FROM jobs WHERE id = ?", (f"slip/{UUID(int=gone).hex}",))
    paper = Paper()
    async with counter_in(tmp_path, paper) as (counter, store):
        await counter.till("T1").printing.drained()
        after = await slips(store)
        assert [after[UUID(int=n + 1).bytes] for n in range(len(states) + 2)] == [
            "printed",
            "copy",
            "printed",
            "printed",
            "copy",
            "printed",
            "copy",
        ]
    assert sorted(paper.heads) == ["KOPIA"] * 3 + ["original"] * 3


async def test_without_the_file_of_jobs_nothing_comes_out_as_an_original_again(tmp_path):
    async with counter_in(tmp_path, Paper()) as (counter, store):
        till = counter.till("T1")
        await till.scan(EAN[0])
        await till.pay(pay(389))
        await till.printing.drained()
        await store.write(lambda u: u.slip(SALE.bytes, "T1", "intended"))
    for file in tmp_path.glob("jobs.db*"):
        file.unlink()
    paper = Paper()
    async with counter_in(tmp_path, paper) as (counter, store):
        await counter.till("T1").printing.drained()
        assert await slips(store) == {SALE.bytes: "copy"}
    assert paper.heads == ["KOPIA"]


async def test_that_it_is_being_sent_is_on_disk_before_the_first_byte(tmp_path):
    paper = Paper()
    seen = []
    async with counter_in(tmp_path, paper) as (counter, _):

        async def look(job):
            seen.append(spooled(tmp_path))
            return DONE

        paper.print = look
        till = counter.till("T1")
        await till.scan(EAN[0])
        await till.pay(pay(389))
        await till.printing.drained()
    assert seen == [{f"slip/{SALE.hex}": "sending"}]


async def test_stopping_waits_for_the_paper_that_is_coming_out(tmp_path):
    paper = Paper()
    paper.jams = asyncio.Event()
    async with counter_in(tmp_path, paper) as (counter, store):
        till = counter.till("T1")
        await till.scan(EAN[0])
        await till.pay(pay(389))
        while "sending" not in spooled(tmp_path).values():  # noqa: ASYNC110 - another thread's
            await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(paper.jams.set)
    async with counter_in(tmp_path, Paper()) as (_, store):
        assert await slips(store) == {SALE.bytes: "printed"}


async def test_a_slip_at_fault_does_not_hold_up_the_others(tmp_path):
    paper = Paper(*[REFUSED] * 6)
    async with counter_in(tmp_path, paper) as (counter, store):
        till = counter.till("T1")
        for n in (1, 2):
            await till.scan(EAN[0])
            await till.pay(pay(389, UUID(int=n)))
        await till.printing.drained()
        after = await slips(store)
        assert [after[UUID(int=n).bytes] for n in (1, 2)] == ["refused", "printed"]


async def test_a_till_without_a_printer_keeps_no_slip(tmp_path):
    async with counter_in(tmp_path, Paper()) as (counter, store):
        till = counter.till("T2")
        await till.scan(EAN[0])
        await till.pay(pay(389))
        assert await slips(store) == {}
        with pytest.raises(NotPossible):
            await counter.copy(SALE.bytes)


async def test_a_full_disk_leaves_the_basket_as_it_was(tmp_path):
    async with counter_in(tmp_path, Paper()) as (counter, store):
        till = counter.till("T1")
        await till.scan(EAN[0])
        writer = store.write

        async def full(work):
            raise DiskFull("The disk is full.")

        store.write = full
        with pytest.raises(DiskFull):
            await till.pay(pay(389))
        store.write = writer
        assert till.basket.paying is None
        assert len(till.basket.lines) == 1
        assert (await till.pay(pay(389))).sale.number == 1


async def test_a_card_waits_for_a_person_and_survives_a_restart(tmp_path):
    async with counter_in(tmp_path, Paper()) as (counter, store):
        till = counter.till("T1")
        await till.scan(EAN[0])
        recorded = await till.pay(pay(389, method="card"))
        assert recorded.stage is Stage.TENDERED
        assert await slips(store) == {}
        with pytest.raises(NotPossible):
            await counter.copy(SALE.bytes)
    paper = Paper()
    async with counter_in(tmp_path, paper) as (counter, store):
        ((sale, step),) = await counter.waiting()
        assert (sale.event, step.value) == (SALE.bytes, "payment")
        assert not await sold(store)
        after = await counter.decide(SALE.bytes, 0, approved=True, by="anna")
        assert after.stage is Stage.CLOSED
        assert (await counter.decide(SALE.bytes, 0, approved=True, by="anna")).stage == after.stage
        with pytest.raises(Conflict):
            await counter.decide(SALE.bytes, 0, approved=False, by="anna")
        with pytest.raises(NotFound):
            await counter.decide(SALE.bytes, 1, approved=False, by="anna")
        await counter.till("T1").printing.drained()
        assert paper.heads == ["original"]
        assert await counter.waiting() == []
        assert await sold(store) == 1000


async def test_a_refused_card_voids_the_sale_and_keeps_its_number(tmp_path):
    async with counter_in(tmp_path, Paper()) as (counter, store):
        till = counter.till("T1")
        await till.scan(EAN[0])
        await till.pay(pay(389, method="card"))
        after = await counter.decide(SALE.bytes, 0, approved=False, by="anna")
        assert after.stage is Stage.VOIDED
        with pytest.raises(Conflict):
            await counter.decide(SALE.bytes, 0, approved=True, by="anna")
        await till.scan(EAN[0])
        assert (await till.pay(pay(389, UUID(int=9)))).sale.number == 2
        assert await sold(store) == 1000


async def test_a_sale_left_approved_is_closed_at_the_next_start(tmp_path):
    """The power went after the tender, and nothing had to be approved."""
    async with opened(tmp_path) as (store, _):
        sale = Sale(
            Stage.TENDERED,
            1,
            1,
            5,
            SaleLines.of((SaleLine("MLEKO", 1000, 0),)),
            (),
            "T1",
            "anna",
            "1",
            20260921,
        )
        await store.write(lambda unit: unit.append(sale, SALE.bytes))
    async with counter_in(tmp_path) as (counter, store):
        assert (await store.sale(SALE.bytes)).stage is Stage.CLOSED
        assert await counter.waiting() == []


async def test_the_price_of_the_scan_holds_till_paid_and_the_new_one_from_its_minute(tmp_path):
    from sync.facts.catalogue import Price, PriceColumns, Prices  # noqa: PLC0415

    times = Times()
    async with counter_in(tmp_path, times=times) as (counter, store):
        later = Prices(2000, PriceColumns.of((Price("MLEKO", 399, times.ms + 60_000),)))
        await tell(store, (bytes(15) + b"\xff", later))
        till = counter.till("T1")
        await till.scan(EAN[0])
        times.ms += 60_000
        await till.scan(EAN[0])
        assert [line.item.unit_minor for line in till.basket.lines] == [389, 399]
        recorded = await till.pay(pay(788))
        assert [row.price_version for row in recorded.sale.lines.rows()] == [1000, 2000]


async def test_a_burst_of_a_thousand_scans_loses_none(tmp_path):
    async with counter_in(tmp_path) as (counter, _):
        for n in range(1000):
            counter.scanned(Scan(EAN[n % 2], 0.0, "scanner", "T1"))
        till = counter.till("T1")
        await until(lambda: sum(line.quantity_milli for line in till.basket.lines) == 10**6)
