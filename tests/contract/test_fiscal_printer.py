"""What every fiscal printer driver must do: one receipt a sale, and never claim what is not so."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta

import pytest

from hw.device import FiscalPrinter, ReceiptPrinter
from hw.errors import DeviceMisconfigured, DeviceUnavailable
from hw.fiscal import FiscalLine, FiscalReceipt, Tender, Vat
from hw.outcome import Done, Fiscalised, Refused, Unknown
from hw.registry import DeviceConfig
from hw.supervisor import Supervisor
from tests.contract.fiscal_cuts import printed, restarted, sale
from tests.contract.rigs import NoviapiRig, PosnetRig, SerialPosnetRig
from tests.hw.until import PATIENCE_S, until


@pytest.fixture(params=[PosnetRig, SerialPosnetRig, NoviapiRig], ids=["tcp", "serial", "http"])
async def rig(request, tmp_path):
    rig = request.param(tmp_path)
    rig.printer = await rig.start()
    yield rig
    await rig.printer.close()
    await rig.stop()


def cheap(job, name="CHLEB", vat=500, grosz=499, milli=1000):
    line = FiscalLine(name=name, quantity_milli=milli, unit_minor=grosz, vat=Vat(vat))
    total = line.total_minor
    return FiscalReceipt(
        job=job,
        lines=(line,),
        payments=(Tender(means="cash", amount_minor=total),),
        total_minor=total,
        number=job,
    )


IMPATIENCE = {"answer_timeout_s": "0.3", "job_timeout_s": "0.3", "resolve_timeout_s": "0.3"}


async def impatient(rig, **options):
    rig.printer = await restarted(rig, rig.printer, **IMPATIENCE | options)


async def test_it_is_a_fiscal_printer_and_no_other(rig):
    assert isinstance(rig.printer, FiscalPrinter)
    assert not isinstance(rig.printer, ReceiptPrinter)


async def test_a_sale_is_one_receipt_with_evidence(rig):
    await rig.printer.open()
    outcome = await rig.printer.issue(sale("S-1"))
    assert isinstance(outcome, Fiscalised)
    [receipt] = rig.module.documents
    evidence = outcome.evidence
    assert evidence.device.replace(" ", "") == rig.module.unique_number.replace(" ", "")
    assert (evidence.document, evidence.memory_id, evidence.report) == ("1", 1, 1)
    assert evidence.fiscal
    assert dict(receipt.by_letter) == {"A": 1200, "B": 3073, "C": 998}
    text = receipt.text
    for words in ("MLEKO ŻYWE", "1,234 kg x24,90 30,73B", "PTU A 23,00 %", "PTU B 8,00 %", "S-1"):
        assert words in text
    assert "DO ZAPŁATY                     54,21 PLN" in text
    assert "RESZTA GOTÓWKA                 45,79 PLN" in text


async def test_asked_again_it_is_told_again(rig):
    await rig.printer.open()
    first = await rig.printer.issue(sale("S-1"))
    assert await rig.printer.issue(sale("S-1")) == first
    assert await rig.printer.ask("S-1") == first
    rig.printer = await restarted(rig, rig.printer)
    assert await rig.printer.issue(sale("S-1")) == first
    other = await rig.printer.issue(cheap("S-1"))
    assert isinstance(other, Refused)
    assert "same order" in other.problem
    assert len(rig.module.documents) == 1


async def test_sales_asked_for_at_once_do_not_mix(rig):
    await rig.printer.open()
    outcomes = await asyncio.gather(*(rig.printer.issue(sale(f"S-{n:02}")) for n in range(6)))
    assert all(isinstance(outcome, Fiscalised) for outcome in outcomes)
    assert [len(printed(rig, f"S-{n:02}", 0)) for n in range(6)] == [1] * 6
    assert len({outcome.evidence.memory_id for outcome in outcomes}) == 6


async def test_not_connected_refuses(rig):
    outcome = await rig.printer.issue(sale("S-1"))
    assert isinstance(outcome, Refused)
    assert "not connected" in outcome.problem
    with pytest.raises(DeviceUnavailable):
        await rig.printer.status()
    assert isinstance(await rig.printer.ask("S-1"), Refused)


async def test_without_a_memory_nothing_is_opened(rig):
    rig.memory = None
    printer = rig.make()
    with pytest.raises(DeviceMisconfigured, match="state is missing"):
        await printer.open()
    assert isinstance(await printer.issue(sale("S-1")), Refused)
    assert rig.module.documents == []


async def test_a_fiscalised_printer_is_refused_unless_allowed(rig):
    rig.printer = rig.make(allow_fiscal="no")
    with pytest.raises(DeviceMisconfigured, match="fiscalised"):
        await rig.printer.open()
    assert isinstance(await rig.printer.issue(sale("S-1")), Refused)
    rig.module.fiscal = False
    await rig.printer.open()
    outcome = await rig.printer.issue(sale("S-1"))
    assert isinstance(outcome, Fiscalised)
    assert not outcome.evidence.fiscal


async def test_another_printer_than_expected_is_refused(rig):
    rig.printer = rig.make(fiscal_number="ABC 0000000000")
    with pytest.raises(DeviceMisconfigured, match="ABC 0000000000"):
        await rig.printer.open()
    rig.printer = rig.make(fiscal_number=rig.module.unique_number.lower())
    await rig.printer.open()
    assert isinstance(await rig.printer.issue(sale("S-1")), Fiscalised)


async def test_another_printer_is_not_asked_about_the_job_of_the_first(rig):
    await impatient(rig)
    rig.vanish()
    assert isinstance(await rig.printer.issue(sale("S-1")), Unknown)
    rig.back()
    first, rig.module.unique_number = rig.module.unique_number, "XYZ 9900000001"
    await impatient(rig)
    assert isinstance(await rig.printer.ask("S-1"), Unknown)
    assert isinstance(await rig.printer.issue(sale("S-2")), Refused)
    rig.module.unique_number = first
    await impatient(rig)
    assert isinstance(await rig.printer.issue(sale("S-1")), Fiscalised)
    assert len(rig.module.documents) == 1


async def test_letters_come_from_the_device(rig):
    rig.module.rates = {"A": Vat(500), "B": Vat(2300), "C": Vat(0, exempt=True)}
    await rig.printer.open()
    assert (await rig.printer.vat_table()).disagreements()
    assert isinstance(await rig.printer.issue(cheap("S-1", vat=500)), Fiscalised)
    assert dict(rig.module.documents[0].by_letter) == {"A": 499}
    refused = await rig.printer.issue(cheap("S-2", vat=800))
    assert isinstance(refused, Refused)
    assert "VAT rate 8 %" in refused.problem
    assert len(rig.module.documents) == 1


async def test_a_rate_may_fall_and_not_rise_again(rig):
    await rig.printer.open()
    for number, vat in enumerate((500, 2300, 800)):
        outcome = await rig.printer.issue(cheap(f"S-{number}", name="Sok", vat=vat))
        assert isinstance(outcome, Fiscalised), vat
    refused = await rig.printer.issue(cheap("S-9", name="S OK", vat=2300))
    assert isinstance(refused, Refused)
    assert "2106" in refused.problem
    assert rig.module.draft is None
    assert isinstance(await rig.printer.issue(cheap("S-10", name="Sok", vat=800)), Fiscalised)


async def test_what_was_taken_back_is_not_sold(rig):
    await rig.printer.open()
    kept = FiscalLine(name="BUŁKA", quantity_milli=4000, unit_minor=79, vat=Vat(500))
    gone = FiscalLine(name="BATON", quantity_milli=1000, unit_minor=299, vat=Vat(2300))
    receipt = FiscalReceipt(
        job="S-1",
        lines=(gone, kept, replace(gone, storno=True)),
        payments=(Tender(means="card", amount_minor=316),),
        total_minor=316,
    )
    assert isinstance(await rig.printer.issue(receipt), Fiscalised)
    assert dict(rig.module.documents[0].by_letter) == {"C": 316}


async def test_a_name_the_printer_lacks_letters_for_is_refused_whole(rig):
    await rig.printer.open()
    refused = await rig.printer.issue(cheap("S-1", name="Chleb 面包"))
    assert isinstance(refused, Refused)
    assert "Chleb 面包" in refused.problem
    assert "fiscal name" in refused.cure
    assert rig.module.documents == []


@pytest.mark.parametrize("fault", ["drop-before", "drop-after", "half"])
async def test_the_answer_to_the_last_order_is_lost(rig, fault):
    await rig.printer.open()
    rig.obey(f"{fault} {rig.ending}")
    outcome = await rig.printer.issue(sale("S-1"))
    count = len(printed(rig, "S-1", 0))
    assert count == isinstance(outcome, Fiscalised)
    assert not isinstance(outcome, Unknown)
    assert isinstance(await rig.printer.issue(sale("S-1")), Fiscalised)
    assert len(printed(rig, "S-1", 0)) == 1


async def test_reconnecting_is_refused_for_a_while(rig):
    await rig.printer.open()
    rig.obey(f"drop-after {rig.ending} 3")
    assert isinstance(await rig.printer.issue(sale("S-1")), Fiscalised)
    assert len(rig.module.documents) == 1


async def test_out_of_reach_is_unknown_until_it_can_be_asked(rig):
    await impatient(rig)
    rig.vanish()
    outcome = await rig.printer.issue(sale("S-1"))
    assert isinstance(outcome, Unknown)
    assert "do not ring" in outcome.cure
    assert isinstance(await rig.printer.ask("S-1"), Unknown)
    # Another sale does not disturb the witnesses of the first.
    assert isinstance(await rig.printer.issue(sale("S-2")), Refused)
    assert rig.printer.health().problem is not None
    rig.back()
    assert isinstance(await rig.printer.ask("S-1"), Fiscalised)
    assert len(rig.module.documents) == 1
    assert isinstance(await rig.printer.issue(sale("S-2")), Fiscalised)


async def test_paper_runs_out_in_the_middle(rig):
    await impatient(rig)
    rig.obey("paper out after 5")
    outcome = await rig.printer.issue(sale("S-1"))
    assert isinstance(outcome, Unknown)
    assert "papier" in outcome.problem.lower().replace("paper", "papier")
    assert rig.module.documents == []
    rig.obey("paper ok")
    await until(lambda: rig.module.documents, what="the rest was printed")
    assert isinstance(await rig.printer.ask("S-1"), Fiscalised)
    assert len(rig.module.documents) == 1


@pytest.mark.parametrize("trouble", ["paper out", "cover open", "busy on"])
async def test_what_it_says_beforehand_refuses(rig, trouble):
    await impatient(rig)
    rig.obey(trouble)
    assert isinstance(await rig.printer.issue(sale("S-1")), Refused)
    for line in ("paper ok", "cover closed", "busy off"):
        rig.obey(line)
    assert rig.module.documents == []
    assert isinstance(await rig.printer.issue(sale("S-1")), Fiscalised)


async def test_slow_is_still_done(rig):
    await rig.printer.open()
    rig.obey("slow 0.02")
    assert isinstance(await rig.printer.issue(cheap("S-1")), Fiscalised)
    assert len(rig.module.documents) == 1


async def test_silence_beforehand_refuses(rig):
    await impatient(rig)
    rig.obey("hang on")
    assert isinstance(await rig.printer.issue(sale("S-1")), Refused)
    rig.obey("hang off")
    assert isinstance(await rig.printer.issue(sale("S-1")), Fiscalised)
    assert len(rig.module.documents) == 1


async def test_power_is_lost_after_printing(rig):
    """The witness of the answer is gone; what it counted is not."""
    await impatient(rig)
    rig.vanish()
    assert isinstance(await rig.printer.issue(sale("S-1")), Unknown)
    rig.obey("power")
    rig.back()
    outcome = await rig.printer.ask("S-1")
    assert isinstance(outcome, Fiscalised)
    assert outcome.evidence.memory_id == 1
    assert isinstance(await rig.printer.issue(sale("S-1")), Fiscalised)
    assert len(rig.module.documents) == 1


async def witnesses_fail(rig):
    """A job whose answer is gone, and a stranger's receipt since: nobody can tell."""
    await impatient(rig)
    rig.vanish()
    assert isinstance(await rig.printer.issue(sale("S-1")), Unknown)
    rig.obey("power")
    rig.obey("foreign 100")
    if isinstance(rig, NoviapiRig):
        rig.obey("forget")
    rig.back()


@pytest.mark.parametrize("document", ["1", None])
async def test_what_no_machine_can_tell_a_person_says(rig, document):
    await witnesses_fail(rig)
    outcome = await rig.printer.ask("S-1")
    assert isinstance(outcome, Unknown)
    assert "Look at the paper" in outcome.cure
    assert await rig.printer.issue(sale("S-1")) == outcome, "and it is not printed again"
    assert len(printed(rig, "S-1", 0)) == 1
    # The shop goes on meanwhile.
    assert isinstance(await rig.printer.issue(sale("S-2")), Fiscalised)
    said = await rig.printer.settle("S-1", document=document, by="anna")
    if document is None:
        assert isinstance(said, Refused)
    else:
        assert isinstance(said, Fiscalised)
        assert said.evidence.document == "1"
        assert "anna" in said.proof
        assert await rig.printer.issue(sale("S-1")) == said
        assert len(printed(rig, "S-1", 0)) == 1
    assert isinstance(await rig.printer.settle("S-2", document=None, by="anna"), Fiscalised)


async def test_cancelled_issuing_is_found_out_later(rig):
    await rig.printer.open()
    rig.obey("paper out after 5")
    issuing = asyncio.create_task(rig.printer.issue(sale("S-1")))
    await until(lambda: rig.module and rig.simulator.machine.paper_out)
    issuing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await issuing
    rig.obey("paper ok")
    assert isinstance(await rig.printer.issue(sale("S-1")), Fiscalised)
    assert isinstance(await rig.printer.issue(sale("S-2")), Fiscalised)
    assert [len(printed(rig, f"S-{n}", 0)) for n in (1, 2)] == [1, 1]


async def test_the_daily_report(rig):
    await rig.printer.open()
    today = rig.module.now().date()
    await rig.printer.issue(sale("S-1"))
    wrong = await rig.printer.daily_report("R-0", today + timedelta(days=3))
    assert isinstance(wrong, Refused)
    assert isinstance(await rig.printer.daily_report("R-1", today), Done)
    assert isinstance(await rig.printer.daily_report("R-1", today), Done), "told again"
    assert rig.module.reports == 1
    empty = await rig.printer.daily_report("R-2", today)
    assert isinstance(empty, Done)
    assert "nothing to report" in empty.proof
    assert rig.module.reports == 1
    counters = await rig.printer.counters()
    assert counters.daily_reports == 1
    assert counters.last_document in {1, 2}, "the receipt, or the report after it"
    assert sum(minor for _, minor in counters.by_letter_minor) == 0


async def test_no_sale_before_yesterdays_report(rig):
    await rig.printer.open()
    await rig.printer.issue(sale("S-1"))
    rig.obey("midnight")
    refused = await rig.printer.issue(sale("S-2"))
    assert isinstance(refused, Refused)
    assert "daily report" in refused.problem
    today = rig.module.now().date()
    assert isinstance(await rig.printer.daily_report("R-1", today), Done)
    assert isinstance(await rig.printer.issue(sale("S-2")), Fiscalised)


async def test_the_monthly_report_counts_nothing(rig):
    await rig.printer.open()
    outcome = await rig.printer.monthly_report("M-1", date(2026, 10, 1))
    if isinstance(rig, NoviapiRig):
        assert isinstance(outcome, Refused)
        assert "menu" in outcome.cure
    else:
        assert isinstance(outcome, Done)
        assert [document.kind for document in rig.module.documents] == ["other"]


async def test_a_monthly_report_that_broke_stops_nothing(rig):
    if isinstance(rig, NoviapiRig):
        return  # it has none
    await impatient(rig)
    rig.vanish("monthlyrep")
    assert isinstance(await rig.printer.monthly_report("M-1", date(2026, 10, 1)), Unknown)
    rig.obey("power")
    rig.back()
    assert isinstance(await rig.printer.issue(sale("S-1")), Fiscalised)
    assert isinstance(await rig.printer.ask("M-1"), Unknown)


async def test_what_it_says_of_itself(rig):
    await rig.printer.open()
    await rig.printer.issue(sale("S-1"))
    status = await rig.printer.status()
    assert status.fiscal
    assert status.problem is None
    assert (await rig.printer.vat_table()).disagreements() == ()
    counters = await rig.printer.counters()
    assert dict(counters.by_letter_minor) == dict(rig.module.totals)
    assert counters.last_document == 1
    clock = await rig.printer.clock()
    if clock is not None:
        assert abs(clock - rig.module.now()) < timedelta(seconds=PATIENCE_S)
    if (office := await rig.printer.tax_office()) is not None:
        assert office.waiting_s(rig.module.now()) is None, "it has never reached it"
        rig.obey("office ok")
        assert (await rig.printer.tax_office()).waiting_s(rig.module.now()) == 0
        rig.obey("midnight")
        rig.obey("office failed")
        waited = (await rig.printer.tax_office()).waiting_s(rig.module.now())
        assert 86_399 <= waited <= 86_400 + PATIENCE_S
    rig.obey("paper out")
    assert (await rig.printer.status()).problem is not None
    assert rig.printer.health().problem is not None


async def test_a_dead_printer_is_noticed_when_idle(rig):
    await impatient(rig, poll_s="0.05")
    rig.obey("hang on")
    async with asyncio.timeout(PATIENCE_S):
        assert isinstance(await rig.printer.lost(), DeviceUnavailable)
    rig.obey("hang off")


async def test_close_is_harmless_whenever(rig):
    await rig.printer.close()
    await rig.printer.open()
    await rig.printer.close()
    await rig.printer.close()
    await rig.printer.open()
    assert isinstance(await rig.printer.issue(sale("S-1")), Fiscalised)


async def test_what_was_ordered_is_in_a_file(rig, tmp_path):
    rig.memory = None
    for _ in range(2):
        await rig.printer.close()
        rig.printer = rig.make(state=str(tmp_path / "notes" / "fiscal"))
        await rig.printer.open()
        assert isinstance(await rig.printer.issue(sale("S-1")), Fiscalised)
    assert len(rig.module.documents) == 1


EACH_ORDER = {
    PosnetRig: ("scomm", "vatget", "scnt", "ftrcfg", "trinit", "trline", "trpayment", "trend"),
    SerialPosnetRig: ("trline", "trend"),
    NoviapiRig: ("POST:status", "PUT:status", "POST:receipt", "PUT:receipt", "GET:receipt"),
}


@pytest.mark.parametrize("fault", ["lose", "ignore"])
async def test_one_answer_never_comes_on_a_line_that_holds(rig, fault):
    await impatient(rig, answer_timeout_s="0.1", resolve_timeout_s="5")
    for order in EACH_ORDER[type(rig)]:
        was = len(rig.module.of_receipts())
        rig.obey(f"{fault} {order}")
        outcome = await rig.printer.issue(sale(f"S-{order}"))
        count = len(printed(rig, f"S-{order}", was))
        assert count == isinstance(outcome, Fiscalised), (order, outcome)
        assert not isinstance(outcome, Unknown), (order, outcome)
        assert isinstance(await rig.printer.issue(sale(f"S-{order}")), Fiscalised), order
        assert len(printed(rig, f"S-{order}", was)) == 1, order
        assert rig.module.draft is None


@pytest.mark.parametrize("fault", ["noise", "stale", "twice", "damage"])
async def test_what_is_wrong_with_every_answer(rig, fault):
    if isinstance(rig, NoviapiRig):
        fault = {"twice": "damage", "damage": "mute"}.get(fault, fault)
    await impatient(rig)
    rig.obey(f"{fault} on")
    outcome = await rig.printer.issue(sale("S-1"))
    # An answer that is there among noise, old ones and repeats is found; a damaged one is none.
    readable = not isinstance(rig, NoviapiRig) and fault != "damage"
    assert isinstance(outcome, Fiscalised if readable else Refused)
    rig.obey(f"{fault} off")
    assert isinstance(await rig.printer.issue(sale("S-1")), Fiscalised)
    assert len(rig.module.of_receipts()) == 1


async def test_beside_another_computer_the_order_itself_is_the_witness(rig):
    rig.printer = await restarted(rig, rig.printer, **IMPATIENCE, shared="yes")
    rig.vanish()
    assert isinstance(await rig.printer.issue(sale("S-1")), Unknown)
    rig.obey("foreign 100")
    rig.back()
    outcome = await rig.printer.ask("S-1")
    assert isinstance(outcome, Fiscalised)
    # The stranger's number is not taken for ours.
    assert outcome.evidence.memory_id in {None, 1}
    assert len(printed(rig, "S-1", 0)) == 1


async def test_an_electronic_receipt(rig):
    await rig.printer.open()
    receipt = replace(sale("S-1"), e_paragon="123456789012345", nip="5252248481")
    assert isinstance(await rig.printer.issue(receipt), Fiscalised)
    assert "NIP NABYWCY: 5252248481" in rig.module.documents[0].text


async def test_the_supervisor_keeps_it_connected(rig, tmp_path):
    changes = []
    config = DeviceConfig(
        id="fiscal",
        driver=rig.driver,
        url=rig.url,
        till="1",
        options={"state": str(tmp_path / "notes"), "allow_fiscal": "yes", "poll_s": "0.05"},
    )
    supervisor = Supervisor(
        [config],
        on_scan=lambda _: None,
        on_change=lambda status: changes.append(status.state),
        first_wait_s=0.01,
        longest_wait_s=0.02,
    )
    await supervisor.start()
    await until(lambda: changes == ["connected"])
    assert supervisor.printer("1") is None, "it prints no slips"
    assert isinstance(supervisor.fiscal_printer("1"), FiscalPrinter)
    assert supervisor.fiscal_printer("2") is None
    rig.obey("refuse 2")
    if isinstance(rig, SerialPosnetRig):
        rig.simulator.faults.refuse = 0
    rig.obey("power")
    await until(lambda: changes[1:] == ["lost", "connected"], what=f"came back: {changes}")
    await supervisor.close()


@pytest.mark.parametrize("what", ["sale", "report"])
async def test_a_full_disk_never_makes_a_receipt_unsaid(rig, what):
    await impatient(rig)
    for number in range(1, 4):
        await rig.printer.issue(sale(f"S-{number}-{what}-FIRST"))
        documents = len(rig.module.documents)
        rig.memory.full_from = rig.memory.saves + number
        job = f"{what}-{number}"
        today = rig.module.now().date()

        async def order(job=job, today=today):
            if what == "sale":
                return await rig.printer.issue(sale(job))
            return await rig.printer.daily_report(job, today)

        outcome = await order()
        grown = sum(d.kind in {"receipt", "report"} for d in rig.module.documents[documents:])
        assert grown <= 1
        assert grown == 0 or not isinstance(outcome, Refused), (number, outcome)
        assert grown == 1 or not isinstance(outcome, Done), (number, outcome)
        rig.memory.full_from = None
        assert isinstance(await order(), Done), number
        grown = sum(d.kind in {"receipt", "report"} for d in rig.module.documents[documents:])
        assert grown == 1, number
