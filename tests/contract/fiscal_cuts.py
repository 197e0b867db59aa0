"""Cut the line of a fiscal printer at every byte, kill the program at every step, and compare.

    python -m tests.contract.fiscal_cuts [--every N] [posnet | posnet-serial | noviapi …]

For each cut point one sale is issued and the line is cut there, once with the same driver
going on and once with the process gone and a fresh driver over what it had noted. Then
what Karb believes is compared with what the device has counted, and the paper is searched
for the sale's number: at most one receipt, and one exactly if Karb says so. A sale that was
refused is then issued again and must be printed.
"""

import asyncio
from collections import Counter

from hw.fiscal import DepositLine, FiscalLine, FiscalReceipt, Tender, Vat
from hw.outcome import Done, Fiscalised, Refused, Unknown
from tests.contract.rigs import FiscalRig, Killed, NoviapiRig, PosnetRig, SerialPosnetRig
from tests.contract.tally import Tally, command

RIGS = {"posnet": PosnetRig, "posnet-serial": SerialPosnetRig, "noviapi": NoviapiRig}
WHAT = ("a sale", "printer")
BIG = 10_000_000


def sale(job):
    """Three rates, a discount, a weighed article, deposits, two payments and change."""
    lines = (
        FiscalLine(name="MLEKO ŻYWE", quantity_milli=2000, unit_minor=499, vat=Vat(500)),
        FiscalLine(
            name="PIWO", quantity_milli=3000, unit_minor=450, vat=Vat(2300), discount_minor=150
        ),
        FiscalLine(name="OBIAD", quantity_milli=1234, unit_minor=2490, vat=Vat(800), unit="kg"),
    )
    total = sum(line.total_minor for line in lines)
    return FiscalReceipt(
        job=job,
        lines=lines,
        deposits=(DepositLine(name="BUTELKA PET", count=3, unit_minor=50),),
        payments=(Tender(means="card", amount_minor=1000), Tender(means="cash", amount_minor=9000)),
        total_minor=total,
        change_minor=10_000 - total - 150,
        number=job,
    )


def finished(rig):
    """How many receipts the device has finished, ever."""
    return sum(document.kind == "receipt" for document in rig.module.documents)


def printed(rig, job, since):
    """Finished receipts of this sale among the last ones on the device."""
    return [d for d in rig.module.of_receipts()[since:] if job in d.text]


def agree(rig, job, outcome, *, was):
    """Karb's belief is what the device has counted."""
    found = printed(rig, job, was)
    counted = finished(rig) - was
    assert len(found) == counted <= 1, (job, outcome, counted)
    if isinstance(outcome, Fiscalised):
        assert counted == 1, (job, outcome)
        assert outcome.evidence.memory_id == found[0].number, (job, outcome)
        assert dict(found[0].by_letter) == {"A": 1200, "B": 3073, "C": 998}, found[0].by_letter
    if isinstance(outcome, Refused):
        assert counted == 0, (job, outcome)
        assert rig.module.draft is None, (job, outcome)


async def exchange_size(rig, printer):
    """Bytes each way of one sale without accidents."""
    faults = rig.simulator.faults
    faults.cut_in = faults.cut_out = BIG
    assert isinstance(await printer.issue(sale("S-MEASURE")), Fiscalised)
    size = BIG - faults.cut_in, BIG - faults.cut_out
    faults.cut_in = faults.cut_out = None
    return size


async def end_well(rig, printer, job, outcome, was, tally, where):
    """Compare; then what is not printed yet is issued again, and must be."""
    agree(rig, job, outcome, was=was)
    tally.points += 1
    tally.outcomes[type(outcome).__name__] += 1
    if isinstance(outcome, Unknown):
        tally.unknown.append((where, outcome.problem))
        outcome = await printer.ask(job)
        agree(rig, job, outcome, was=was)
    if isinstance(outcome, Refused):
        outcome = await printer.issue(sale(job))
        agree(rig, job, outcome, was=was)
    assert isinstance(outcome, Fiscalised), (where, outcome)
    assert await printer.issue(sale(job)) == outcome, "asked once more, told once more"
    agree(rig, job, outcome, was=was)


async def cut_and_go_on(rig, printer, way, count, tally):
    """The line breaks; the same driver finds out."""
    job, was = f"S-{way}-{count}-GO", finished(rig)
    setattr(rig.simulator.faults, f"cut_{way}", count)
    outcome = await printer.issue(sale(job))
    setattr(rig.simulator.faults, f"cut_{way}", None)
    await end_well(rig, printer, job, outcome, was, tally, (way, count))


async def cut_and_kill(rig, printer, way, count, tally, *, power=False):
    """The line breaks and the process is gone; a fresh driver finds out. Returns that one.

    With `power` the printer's is gone too: it keeps its counters, and no answer for `rpt`.
    """
    job, was = f"S-{way}-{count}-{'POWER' if power else 'KILL'}", finished(rig)
    faults = rig.simulator.faults
    setattr(faults, f"cut_{way}", count)
    issuing = asyncio.create_task(printer.issue(sale(job)))
    # A turn of the loop at a time: a fault that has struck is no event.
    while not issuing.done() and getattr(faults, f"cut_{way}"):  # noqa: ASYNC110
        await asyncio.sleep(0)
    issuing.cancel()
    await asyncio.gather(issuing, return_exceptions=True)
    setattr(faults, f"cut_{way}", None)
    if power:
        rig.obey("power")
    fresh = await restarted(rig, printer)
    outcome = await fresh.issue(sale(job))
    await end_well(rig, fresh, job, outcome, was, tally, (way, count, "killed"))
    return fresh


async def restarted(rig, printer, **options):
    await printer.close()
    fresh = rig.make(**options)
    await fresh.open()
    return fresh


async def killed_at_notes(rig, printer, tally):
    """The process is gone before and after each note that a sale makes."""
    was_saves = rig.memory.saves
    assert isinstance(await printer.issue(sale("S-NOTES")), Fiscalised)
    notes = rig.memory.saves - was_saves
    for number in range(1, notes + 1):
        for side in ("before", "after"):
            job, was = f"S-NOTE-{number}-{side}", finished(rig)
            setattr(rig.memory, f"die_{side}", rig.memory.saves + number)
            try:
                await printer.issue(sale(job))
            except Killed:
                pass
            else:
                raise AssertionError(f"note {number} was never made")
            rig.memory.die_before = rig.memory.die_after = None
            printer = await restarted(rig, printer)
            # Before the sale is asked for again it is asked about: nothing may be printed by that.
            asked = await printer.ask(job)
            agree(rig, job, asked, was=was)
            await end_well(
                rig,
                printer,
                job,
                await printer.issue(sale(job)),
                was,
                tally,
                ("note", number, side),
            )
    return printer


async def report_cuts(rig, printer, every, tally):
    """The daily report: what Karb says is what the device's counter says."""
    faults, day = rig.simulator.faults, rig.module.now().date()

    async def sell(job):
        assert isinstance(await printer.issue(sale(job)), Fiscalised), job

    await sell("D-MEASURE")
    faults.cut_in = faults.cut_out = BIG
    assert isinstance(await printer.daily_report("R-MEASURE", day), Done)
    size = {"in": BIG - faults.cut_in, "out": BIG - faults.cut_out}
    for way in ("in", "out"):
        for count in range(1, size[way] + 1, every):
            setattr(faults, f"cut_{way}", None)
            await sell(f"D-{way}-{count}")
            job, was = f"R-{way}-{count}", rig.module.reports
            setattr(faults, f"cut_{way}", count)
            outcome = await printer.daily_report(job, day)
            setattr(faults, f"cut_{way}", None)
            tally.points += 1
            tally.outcomes[type(outcome).__name__] += 1
            assert rig.module.reports - was == isinstance(outcome, Done), (job, outcome)
            if isinstance(outcome, Unknown):
                tally.unknown.append((way, count))
            if isinstance(outcome, Refused):
                assert isinstance(await printer.daily_report(job, day), Done)
    faults.cut_in = faults.cut_out = None


def once_each(rig):
    """No sale has two receipts, whenever they were printed."""
    numbers = Counter(d.text.splitlines()[-2].strip() for d in rig.module.of_receipts())
    assert set(numbers.values()) == {1}, numbers.most_common(3)


async def prove(name, folder, *, every=1, offset=0):
    """All ways of one driver; tallies by way."""
    rig: FiscalRig = RIGS[name](folder)
    printer = await rig.start()
    await printer.open()
    tallies = {}
    try:
        size = await exchange_size(rig, printer)
        for way, length in zip(("in", "out"), size, strict=True):
            go, kill, power = Tally(), Tally(), Tally()
            for count in range(1 + offset % every, length + 1, every):
                await cut_and_go_on(rig, printer, way, count, go)
                printer = await cut_and_kill(rig, printer, way, count, kill)
                printer = await cut_and_kill(rig, printer, way, count, power, power=True)
            tallies[f"{way}, going on"], tallies[f"{way}, killed"] = go, kill
            tallies[f"{way}, killed, no power"] = power
        tallies["killed at a note"] = Tally()
        printer = await killed_at_notes(rig, printer, tallies["killed at a note"])
        tallies["daily report"] = Tally()
        await report_cuts(rig, printer, every, tallies["daily report"])
        once_each(rig)
    finally:
        await printer.close()
        await rig.stop()
    return size, tallies


if __name__ == "__main__":
    command("tests.contract.fiscal_cuts", prove, RIGS, WHAT)
