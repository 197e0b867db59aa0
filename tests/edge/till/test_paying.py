"""Sales through a payment terminal and a fiscal printer: real drivers, simulated devices."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from edge.store.unit import PersonKey
from edge.till import incidents
from edge.till.basket import Clear
from edge.till.errors import Conflict, NotCovered, NotPossible
from edge.till.request import BuyerRequest
from hw.fiscal import Vat
from sync.facts.sale import Stage
from tests.contract.rigs import EcreftRig, NexoRig, SilentEcreftRig
from tests.edge.till.desk import Devices, Steps, pay, running, sale
from tests.edge.till.shop import EAN

OVER = (Stage.CLOSED, Stage.VOIDED)


@asynccontextmanager
async def desk_in(folder, **more):
    terminal, reserve = more.pop("terminal", NexoRig), more.pop("reserve", False)
    devices = Devices(folder / "devices", terminal=terminal, reserve=reserve)
    await devices.start()
    try:
        async with running(folder, devices, **more) as desk:
            yield desk
    finally:
        await devices.stop()


async def found_incidents(desk):
    return [(one.kind, one.payment) for one in incidents.of(await desk.counter.paying.under_way())]


async def test_a_card_is_charged_once_and_printed_once(tmp_path):
    async with desk_in(tmp_path) as desk:
        await desk.till.scan(EAN[0])
        await desk.till.scan(EAN[1])
        recorded = await desk.till.pay(pay(sale(1), ("card", 658)))
        assert recorded.stage is Stage.TENDERED
        closed = await desk.stage(sale(1), Stage.CLOSED)
        (paper,), (taken,) = desk.devices.receipts, desk.devices.taken
        assert taken.amount_minor == 658
        assert "Kaucja 0,50" in paper.text
        assert f"{closed.series}/1"[-30:] in paper.text
        assert (await desk.till.pay(pay(sale(1), ("card", 658)))).new is False
        assert desk.till.basket.lines == ()
        assert desk.till.last.stage is Stage.CLOSED
        await desk.idle()
        notes = await desk.store.checkout(sale(1).bytes)
        assert notes.proof
        assert (await desk.store.verify()).sound
    assert len(desk.devices.taken) == len(desk.devices.receipts) == 1


async def test_cash_in_a_fiscal_store_lets_the_next_buyer_in_at_once(tmp_path):
    async with desk_in(tmp_path) as desk:
        await desk.till.scan(EAN[0])
        recorded = await desk.till.pay(pay(sale(1), ("cash", 500)))
        assert recorded.stage is Stage.TENDERED
        assert desk.till.basket.lines == ()
        await desk.till.scan(EAN[0])
        await desk.till.pay(pay(sale(2), ("cash", 389)))
        await desk.stage(sale(2), Stage.CLOSED)
        await desk.stage(sale(1), Stage.CLOSED)
        assert "RESZTA" in desk.devices.receipts[0].text
        assert len(desk.devices.receipts) == 2


async def test_cash_where_nothing_is_fiscal_is_one_commit(tmp_path):
    async with desk_in(tmp_path, fiscal=False) as desk:
        await desk.till.scan(EAN[0])
        assert (await desk.till.pay(pay(sale(1), ("cash", 389)))).stage is Stage.CLOSED
        assert await desk.store.checkout(sale(1).bytes) is None
        assert desk.devices.receipts == []


async def test_a_declined_card_gives_the_basket_back(tmp_path):
    async with desk_in(tmp_path) as desk:
        desk.devices.decline()
        await desk.till.scan(EAN[0])
        await desk.till.pay(pay(sale(1), ("card", 389)))
        await desk.stage(sale(1), Stage.VOIDED)
        await desk.basket_back()
        assert [line.item.sku for line in desk.till.basket.lines] == ["MLEKO"]
        assert desk.till.basket.notice
        await desk.till.pay(pay(sale(2), ("cash", 400)))
        await desk.stage(sale(2), Stage.CLOSED)
        assert (len(desk.devices.taken), len(desk.devices.receipts)) == (0, 1)


async def at_work(devices):
    """Wait until a customer is at the terminal."""
    async with asyncio.timeout(10):
        while not devices.terminal.books.at_work:  # noqa: ASYNC110 - the simulator tells nobody
            await asyncio.sleep(0.01)


async def declined_second(desk):
    """A card pays a part, and what pays the rest is declined."""
    await desk.till.scan(EAN[0])
    hear = desk.counter.news

    def first_is_through(news):
        if news.notes.attempts[0].state == "approved" and news.charging is None:
            desk.devices.decline()
        hear(news)

    desk.counter.news = first_is_through
    await desk.till.pay(pay(sale(1), ("card", 300), ("blik", 89)))
    await desk.basket_back()
    desk.counter.news = hear
    desk.devices.terminal.obey("decline off")
    assert [part.amount_minor for part in desk.till.basket.held] == [300]
    assert desk.till.basket.to_pay_minor == 89


async def test_an_approved_part_stays_and_the_rest_is_paid_otherwise(tmp_path):
    async with desk_in(tmp_path) as desk:
        await declined_second(desk)
        assert await found_incidents(desk) == [("held", 0)]
        with pytest.raises(NotPossible):
            await desk.till.change(Clear())
        with pytest.raises(NotCovered):
            await desk.till.pay(pay(sale(2), ("cash", 80)))
        await desk.till.pay(pay(sale(2), ("cash", 100)))
        closed = await desk.stage(sale(2), Stage.CLOSED)
        assert [(p.method, p.amount_minor, p.change_minor) for p in closed.body.payments] == [
            ("card", 300, 0),
            ("cash", 89, 11),
        ]
        assert (await desk.store.sale(sale(1).bytes)).stage is Stage.VOIDED
        await desk.idle()
        assert desk.devices.kept_minor == 300
        assert len(desk.devices.receipts) == 1


async def test_what_is_held_is_given_back_when_cancelled(tmp_path):
    async with desk_in(tmp_path) as desk:
        await declined_second(desk)
        await desk.counter.paying.cancel(sale(1).bytes, "anna")
        await desk.stage(sale(1), Stage.VOIDED)
        await desk.idle()
        assert desk.till.basket.held == ()
        assert desk.till.basket.to_pay_minor == 389
        assert desk.devices.kept_minor == 0
        assert len(desk.devices.taken) == len(desk.devices.terminal.books.given_back()) == 1
        await desk.till.pay(pay(sale(2), ("card", 389)))
        await desk.stage(sale(2), Stage.CLOSED)
        assert desk.devices.kept_minor == 389


async def test_an_unknown_charge_is_put_aside_and_ends_when_the_terminal_tells(tmp_path):
    async with desk_in(tmp_path) as desk:
        desk.devices.terminal.vanish()
        await desk.till.scan(EAN[0])
        await desk.till.pay(pay(sale(1), ("card", 389)))
        await desk.part(sale(1), "unknown")
        assert desk.till.basket.paying == sale(1).bytes
        with pytest.raises(NotPossible):
            await desk.till.scan(EAN[0])
        assert await found_incidents(desk) == [("payment", 0)]
        await desk.counter.paying.put_aside(sale(1).bytes)
        assert desk.till.basket.lines == ()
        await desk.till.scan(EAN[1])
        await desk.till.pay(pay(sale(2), ("cash", 269)))
        await desk.stage(sale(2), Stage.CLOSED)
        assert (await desk.store.sale(sale(1).bytes)).stage is Stage.TENDERED
        desk.devices.terminal.back()
        await desk.stage(sale(1), Stage.CLOSED)
        assert (len(desk.devices.taken), len(desk.devices.receipts)) == (1, 2)
        assert await found_incidents(desk) == []


async def test_a_late_approval_of_a_cancelled_sale_is_given_back(tmp_path):
    async with desk_in(tmp_path) as desk:
        desk.devices.terminal.vanish()
        await desk.till.scan(EAN[0])
        await desk.till.pay(pay(sale(1), ("card", 389)))
        await desk.part(sale(1), "unknown")
        await desk.counter.paying.cancel(sale(1).bytes, "anna")
        await desk.stage(sale(1), Stage.VOIDED)
        assert desk.till.basket.paying is None
        desk.devices.terminal.back()
        await desk.idle()
        assert desk.devices.kept_minor == 0
        assert desk.devices.receipts == []


async def test_a_person_says_what_no_terminal_can(tmp_path):
    async with desk_in(tmp_path, terminal=SilentEcreftRig) as desk:
        desk.devices.terminal.obey("drop-after S1 1")
        await desk.till.scan(EAN[0])
        await desk.till.pay(pay(sale(1), ("card", 389)))
        await desk.part(sale(1), "unknown")
        closed = await desk.counter.decide(sale(1).bytes, 0, approved=True, by="ola")
        assert closed.stage in (Stage.APPROVED, Stage.CLOSED)
        await desk.stage(sale(1), Stage.CLOSED)
        with pytest.raises(Conflict):
            await desk.counter.decide(sale(1).bytes, 0, approved=False, by="ola")
        assert (len(desk.devices.taken), len(desk.devices.receipts)) == (1, 1)


async def test_a_terminal_that_cannot_reverse_leaves_a_task_for_a_person(tmp_path):
    async with desk_in(tmp_path, terminal=EcreftRig) as desk:
        await declined_second(desk)
        await desk.counter.paying.cancel(sale(1).bytes, "anna")
        await desk.part(sale(1), "by_hand")
        assert ("give_back", 0) in await found_incidents(desk)
        await desk.counter.decide(sale(1).bytes, 0, approved=False, by="ola")
        await desk.idle()


async def test_without_paper_nothing_more_is_sold_and_with_it_the_sale_ends(tmp_path):
    async with desk_in(tmp_path) as desk:
        await desk.till.scan(EAN[0])
        hear = desk.counter.news

        def charged(news):
            if news.notes.attempts and news.notes.attempts[0].state == "approved":
                desk.devices.fiscal.obey("paper out")
            hear(news)

        desk.counter.news = charged
        await desk.till.pay(pay(sale(1), ("card", 389)))

        async def stuck():
            return (await desk.store.checkout(sale(1).bytes)).problem

        await desk.until(stuck)
        desk.counter.news = hear
        assert ("fiscal", None) in await found_incidents(desk)
        await desk.till.scan(EAN[0])
        with pytest.raises(NotPossible):
            await desk.till.pay(pay(sale(2), ("cash", 389)))
        desk.devices.fiscal.obey("paper ok")
        await desk.stage(sale(1), Stage.CLOSED)
        await desk.till.pay(pay(sale(2), ("cash", 389)))
        await desk.stage(sale(2), Stage.CLOSED)
        assert (len(desk.devices.taken), len(desk.devices.receipts)) == (1, 2)


async def test_a_receipt_that_cannot_be_printed_is_cancelled_and_the_charge_given_back(tmp_path):
    async with desk_in(tmp_path) as desk:
        await desk.till.scan(EAN[0])
        desk.devices.terminal.obey("customer waits")
        await desk.till.pay(pay(sale(1), ("card", 389)))
        desk.devices.fiscal.obey("paper out")
        desk.devices.terminal.obey("customer pays")

        async def stuck():
            return (await desk.store.checkout(sale(1).bytes)).problem

        await desk.until(stuck)
        await desk.counter.paying.cancel(sale(1).bytes, "ola")
        await desk.stage(sale(1), Stage.VOIDED)
        await desk.idle()
        assert desk.devices.kept_minor == 0
        assert desk.devices.receipts == []


async def test_a_printer_that_is_gone_for_long_is_stood_in_for(tmp_path):
    async with desk_in(tmp_path, reserve=True, stand_in_s=0.2) as desk:
        await desk.till.scan(EAN[0])
        desk.devices.terminal.obey("customer waits")
        await desk.till.pay(pay(sale(1), ("card", 389)))
        desk.devices.fiscal.obey("paper out")
        desk.devices.terminal.obey("customer pays")
        await desk.stage(sale(1), Stage.CLOSED)
        assert len(desk.devices.reserve.module.of_receipts()) == 1
        assert desk.devices.fiscal.module.of_receipts() == []


async def test_a_lost_answer_of_the_printer_is_asked_about(tmp_path):
    async with desk_in(tmp_path) as desk:
        await desk.till.scan(EAN[0])
        desk.devices.fiscal.obey("drop-after trend 1")
        await desk.till.pay(pay(sale(1), ("cash", 389)))
        await desk.stage(sale(1), Stage.CLOSED)
        assert len(desk.devices.receipts) == 1


async def test_other_letters_than_ours_stop_fiscal_sales(tmp_path):
    async with desk_in(tmp_path) as desk:
        desk.devices.fiscal.module.rates["B"] = Vat(700)
        await desk.till.scan(EAN[0])
        with pytest.raises(NotPossible, match="letter B: expected 8 %, the printer has 7 %"):
            await desk.till.pay(pay(sale(1), ("cash", 389)))
        assert desk.till.basket.paying is None
        desk.devices.fiscal.module.rates["B"] = Vat(800)
        await desk.till.pay(pay(sale(1), ("cash", 389)))
        await desk.stage(sale(1), Stage.CLOSED)


async def test_the_buyers_number_is_on_the_receipt_and_sealed_in_the_journal(tmp_path):
    async with desk_in(tmp_path) as desk:
        await desk.till.scan(EAN[0])
        key = PersonKey(bytes(15) + b"\x01", bytes(31) + b"\x02", bytes(11) + b"\x03")
        asked = pay(sale(1), ("cash", 389), buyer=BuyerRequest(nip="123-456-32-18"))
        await desk.till.pay(asked, key)
        closed = await desk.stage(sale(1), Stage.CLOSED)
        assert closed.body.buyer is not None
        assert "NIP NABYWCY: 1234563218" in desk.devices.receipts[0].text
        other = PersonKey(bytes(15) + b"\x09", bytes(31) + b"\x09", bytes(11) + b"\x09")
        assert (await desk.till.pay(asked, other)).new is False
        with pytest.raises(Conflict):
            await desk.till.pay(pay(sale(1), ("cash", 389)), None)


async def test_a_payment_is_cancelled_while_the_customer_is_at_it(tmp_path):
    async with desk_in(tmp_path) as desk:
        desk.devices.terminal.obey("customer waits")
        await desk.till.scan(EAN[0])
        await desk.till.pay(pay(sale(1), ("card", 389)))
        await at_work(desk.devices)
        with pytest.raises(Conflict):
            await desk.counter.paying.put_aside(sale(1).bytes)
        await desk.counter.paying.cancel(sale(1).bytes, "till T1")
        await desk.stage(sale(1), Stage.VOIDED)
        await desk.basket_back()
        assert len(desk.till.basket.lines) == 1
        assert desk.devices.kept_minor == 0


async def test_without_its_notes_nothing_is_proven(tmp_path):
    """The file of orders is gone: what may have been charged or printed is a person's to say."""
    devices = Devices(tmp_path / "devices")
    await devices.start()
    try:
        steps = Steps()
        async with running(tmp_path, devices, steps=steps) as desk:
            await desk.till.scan(EAN[0])
            devices.terminal.obey("customer waits")
            await desk.till.pay(pay(sale(1), ("card", 389)))
            await at_work(devices)
            steps.dead.set()
        devices.terminal.obey("customer pays")
        for file in tmp_path.glob("jobs.db*"):
            file.unlink()
        async with running(tmp_path, devices) as desk:
            await desk.part(sale(1), "unknown")
            assert desk.till.basket.paying == sale(1).bytes
            assert [line.item.sku for line in desk.till.basket.lines] == ["MLEKO"]
            await desk.counter.decide(sale(1).bytes, 0, approved=True, by="ola")

            async def stuck():
                return (await desk.store.checkout(sale(1).bytes)).problem

            await desk.until(stuck)
            await desk.counter.paying.found(sale(1).bytes, None, "ola")
            await desk.stage(sale(1), Stage.CLOSED)
            assert len(devices.receipts) == 1
    finally:
        await devices.stop()


async def one_sale(folder, devices, steps, n):
    """Sell by card until the program dies or the sale is over."""
    async with running(folder, devices, steps=steps) as desk:

        async def sell():
            await desk.till.scan(EAN[0])
            await desk.till.pay(pay(sale(n), ("card", 389)))
            await desk.stage(sale(n), *OVER)

        selling = asyncio.create_task(sell())
        dead = asyncio.create_task(steps.dead.wait())
        await asyncio.wait({selling, dead}, return_when=asyncio.FIRST_COMPLETED)
        over = selling.done()
        for task in (selling, dead):
            task.cancel()
        results = await asyncio.gather(selling, dead, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, asyncio.CancelledError):
                raise result
    return over


@pytest.mark.parametrize("terminal", [NexoRig, EcreftRig])
@pytest.mark.parametrize("after", [False, True])
async def test_killed_at_any_step_each_sale_is_charged_and_printed_once_or_not_at_all(
    tmp_path, terminal, after
):
    """At each note on disk, ours and the drivers'; one shop lives through all of the deaths."""
    devices = Devices(tmp_path / "devices", terminal=terminal)
    await devices.start()
    closed, points = 0, 0
    try:
        for n in range(1, 60):
            steps = Steps(n, after=after)
            taken, printed = devices.kept_minor, len(devices.receipts)
            if await one_sale(tmp_path, devices, steps, n) and not steps.dead.is_set():
                closed += 1
                break
            points += 1
            async with running(tmp_path, devices) as desk:
                found = await desk.store.sale(sale(n).bytes)
                if found is not None:
                    found = await desk.stage(sale(n), *OVER)
                await desk.idle()
                is_closed = found is not None and found.stage is Stage.CLOSED
                assert devices.kept_minor - taken == (389 if is_closed else 0), n
                assert len(devices.receipts) - printed == is_closed, n
                assert len(devices.terminal.books.taken(devices.terminal.name(f"{sale(n)}-0"))) <= 1
                closed += is_closed
                assert (await desk.store.verify()).findings == []
        else:
            pytest.fail("the sale never came through")
    finally:
        await devices.stop()
    print(f"{terminal.__name__}, killed {'after' if after else 'before'} each of {points} notes")
    assert points >= 10
    assert closed >= 2
