"""What every receipt printer driver must do: above all, never claim what is not so."""

import asyncio
import json

import pytest

from hw.device import PrinterStatus
from hw.errors import DeviceUnavailable
from hw.outcome import Done, Refused, Unknown
from hw.slip import Barcode, Columns, Cut, OpenDrawer, QrCode, Rule, Slip, TextLine
from tests.contract.rigs import (
    PaperStatusEscposRig,
    SerialEscposRig,
    TcpEscposRig,
    UsbEscposRig,
)
from tests.hw.until import PATIENCE_S, until

RECEIPT = (
    TextLine(text="Sklep Żółw", bold=True, double=True, align="center"),
    Rule(),
    Columns(left="Chleb żytni", right="4,99"),
    Columns(left="Masło ekstra 82% ze śmietany wiejskiej, osełka", right="12,49"),
    QrCode("https://karb.example/p/1"),
    Barcode("5901234123457"),
    Cut(),
)


RIGS = {
    "tcp": TcpEscposRig,
    "serial": SerialEscposRig,
    "usb": UsbEscposRig,
    "paper status": PaperStatusEscposRig,
}


@pytest.fixture(params=RIGS.values(), ids=RIGS)
async def rig(request, tmp_path):
    rig = request.param(tmp_path)
    rig.printer = await rig.start()
    yield rig
    await rig.printer.close()
    await rig.stop()


def short(job="j1"):
    return Slip(job, (TextLine(text="Żółw"), Cut()))


async def impatient(rig, **options):
    rig.printer = rig.make(**{"answer_timeout_s": "0.2", "job_timeout_s": "0.2"} | options)
    await rig.printer.open()
    return rig.printer


def kept(rig):
    return [json.loads(line) for line in rig.keep.read_text().splitlines()]


async def test_done_means_it_is_on_paper(rig):
    await rig.printer.open()
    outcome = await rig.printer.print(Slip("sale-1", (*RECEIPT, OpenDrawer())))
    assert isinstance(outcome, Done)
    machine = rig.simulator.machine
    [receipt] = machine.receipts
    assert receipt.text.splitlines() == [
        "Sklep Żółw",
        "-" * 42,
        "Chleb żytni" + "4,99".rjust(31),
        "Masło ekstra 82% ze śmietany wiejskiej,",
        "osełka" + "12,49".rjust(36),
        "[qr https://karb.example/p/1]",
        "",
        "[barcode 5901234123457]",
    ]
    assert (receipt.lines[0].bold, receipt.lines[0].double, receipt.lines[0].align) == (
        True,
        True,
        1,
    )
    assert not receipt.lines[2].bold
    assert machine.drawer_pulses == 1
    assert machine.unknown == []


async def test_each_receipt_is_kept_once_with_its_job(rig):
    await rig.printer.open()
    for number in range(3):
        assert isinstance(await rig.printer.print(short(f"job {number}")), Done)
    rows = kept(rig)
    assert [row["text"] for row in rows] == ["Żółw"] * 3
    if not isinstance(rig, PaperStatusEscposRig):
        assert len({row["job"] for row in rows}) == 3


async def test_jobs_asked_for_at_once_do_not_mix(rig):
    await rig.printer.open()
    jobs = [Slip(f"j{n}", (*(TextLine(text=f"{n}") for _ in range(5)), Cut())) for n in range(10)]
    outcomes = await asyncio.gather(*(rig.printer.print(job) for job in jobs))
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    texts = [receipt.text for receipt in rig.simulator.machine.receipts]
    assert texts == ["\n".join([f"{n}"] * 5) for n in range(10)]


async def test_not_connected_refuses(rig):
    outcome = await rig.printer.print(short())
    assert isinstance(outcome, Refused)
    assert "not connected" in outcome.problem
    with pytest.raises(DeviceUnavailable):
        await rig.printer.status()


@pytest.mark.parametrize(
    ("trouble", "word"), [("paper", "paper"), ("cover", "cover")], ids=["paper", "cover"]
)
async def test_what_it_says_beforehand_refuses(rig, trouble, word):
    await rig.printer.open()
    if trouble == "paper":
        rig.simulator.set_paper("out")
    else:
        rig.simulator.set_cover(opened=True)
    outcome = await rig.printer.print(short())
    assert isinstance(outcome, Refused)
    assert word in outcome.problem
    assert word in rig.printer.health().problem
    rig.simulator.set_paper("ok")
    rig.simulator.set_cover(opened=False)
    assert rig.simulator.machine.receipts == []
    assert isinstance(await rig.printer.print(short("again")), Done)
    assert rig.printer.health().problem is None


async def test_low_paper_prints_and_says_so(rig):
    await rig.printer.open()
    rig.simulator.set_paper("low")
    assert isinstance(await rig.printer.print(short()), Done)
    assert "nearly out" in rig.printer.health().problem
    assert await rig.printer.status() == PrinterStatus(paper_low=True)


async def test_silence_is_not_paper_ok(rig):
    await impatient(rig)
    rig.simulator.faults.mute = True
    outcome = await rig.printer.print(short())
    assert isinstance(outcome, Refused)
    assert rig.simulator.machine.receipts == []
    with pytest.raises(DeviceUnavailable, match="DLE EOT 1"):
        await rig.printer.open()


async def test_noise_is_not_a_status(rig):
    rig.simulator.faults.noise = True
    await rig.printer.open()
    assert await rig.printer.status() == PrinterStatus()
    rig.simulator.set_paper("out")
    assert (await rig.printer.status()).trouble == "paper_end"
    rig.simulator.set_paper("ok")
    assert isinstance(await rig.printer.print(short()), Done)


async def test_connection_cut_before_printing_is_unknown(rig):
    await rig.printer.open()
    rig.simulator.faults.drop_before = "job"
    assert isinstance(await rig.printer.print(short()), Unknown)
    assert rig.simulator.machine.receipts == []


async def test_connection_cut_after_printing_is_unknown(rig):
    await rig.printer.open()
    rig.simulator.faults.drop_after = "job"
    outcome = await rig.printer.print(short())
    assert isinstance(outcome, Unknown)
    assert "Look at the paper" in outcome.cure
    assert [row["text"] for row in kept(rig)] == ["Żółw"]


async def test_hanging_is_unknown_and_prints_later(rig):
    await impatient(rig)
    rig.simulator.machine.lines_left = 1
    outcome = await rig.printer.print(Slip("j", (*map(text, "abc"), Cut())))
    assert isinstance(outcome, Unknown)
    assert "paper" in outcome.problem
    assert rig.simulator.machine.receipts == []
    rig.simulator.set_paper("ok")
    await until(lambda: rig.simulator.machine.receipts, what="the rest was printed")
    assert rig.simulator.machine.receipts[0].text == "a\nb\nc"


def text(line):
    return TextLine(text=line)


async def test_slow_is_still_done(rig):
    await rig.printer.open()
    rig.simulator.faults.slow_s = 0.05
    assert isinstance(await rig.printer.print(short()), Done)


async def test_no_proof_in_time_is_unknown_although_printed(rig):
    await impatient(rig)
    rig.silence()
    outcome = await rig.printer.print(short())
    assert isinstance(outcome, Unknown)
    assert "says that all is well" in outcome.problem
    assert [row["text"] for row in kept(rig)] == ["Żółw"]


async def test_a_dead_line_is_noticed_when_idle(rig):
    await impatient(rig, poll_s="0.05")
    rig.simulator.faults.mute = True
    async with asyncio.timeout(PATIENCE_S):
        error = await rig.printer.lost()
    assert isinstance(error, DeviceUnavailable)
    assert "DLE EOT" in error.problem


@pytest.mark.parametrize("stage", ["status", "job"])
async def test_cancelled_printing_leaves_nothing_to_mistake(rig, stage):
    await rig.printer.open()
    if stage == "status":
        rig.simulator.cable.hang(on=True)
    else:
        rig.simulator.machine.lines_left = 1
    printing = asyncio.create_task(rig.printer.print(Slip("first", (*map(text, "ab"), Cut()))))
    if stage == "status":
        await until(rig.printer._lock.locked)
    else:
        await until(lambda: rig.simulator.machine.paper_out)
    printing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await printing
    assert isinstance(await rig.printer.print(short("too early")), Refused)
    rig.simulator.cable.hang(on=False)
    rig.simulator.set_paper("ok")
    await rig.printer.open()
    assert isinstance(await rig.printer.print(short("second")), Done)
    texts = [receipt.text for receipt in rig.simulator.machine.receipts]
    assert texts == (["Żółw"] if stage == "status" else ["a\nb", "Żółw"])


async def exchange_size(rig):
    """Bytes each way in one exchange without accidents."""
    faults = rig.simulator.faults
    faults.cut_in = faults.cut_out = big = 1_000_000
    assert isinstance(await rig.printer.print(short("measure")), Done)
    size = big - faults.cut_in, big - faults.cut_out
    faults.cut_in = faults.cut_out = None
    return size


@pytest.mark.parametrize("way", ["in", "out"])
async def test_cut_at_every_byte_never_lies(rig, way):
    await rig.printer.open()
    sent, received = await exchange_size(rig)
    machine, seen = rig.simulator.machine, set()
    for count in range(1, (sent if way == "in" else received) + 1, rig.every):
        machine.receipts.clear()
        machine.paper.clear()
        rig.simulator._kept = 0
        setattr(rig.simulator.faults, f"cut_{way}", count)
        async with asyncio.timeout(PATIENCE_S):
            outcome = await rig.printer.print(short(f"cut {way} {count}"))
        seen.add(type(outcome))
        await until(lambda way=way: getattr(rig.simulator.faults, f"cut_{way}") is None)
        if isinstance(outcome, Done):
            assert [receipt.text for receipt in machine.receipts] == ["Żółw"], count
        if isinstance(outcome, Refused):
            assert machine.receipts == machine.paper == [], count
            assert machine.head == "", count
        await rig.printer.close()
        await rig.reconnect()
        await rig.printer.open()
    # The last byte sent to us completes the proof: only that exchange may be Done.
    assert {Refused, Unknown} <= seen
