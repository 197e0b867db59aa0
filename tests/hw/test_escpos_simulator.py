"""The simulator judged by somebody else's client, and its console."""

import asyncio
import json
import signal
import sys

import pytest
from escpos.printer import Network, Usb
from PIL import Image

from hw.escpos.codec import Encoder
from hw.escpos.machine import Interpreter
from hw.escpos.simulator import EscposSimulator, obey
from hw.slip import Barcode, Columns, Cut, QrCode, Slip, TextLine
from tests.contract.usb_printer import PRODUCT, VENDOR, UsbSocket
from tests.hw.until import until


@pytest.fixture
async def simulator(tmp_path):
    simulator = EscposSimulator(keep=tmp_path / "receipts.jsonl", now_ms=lambda: 1_700_000_000_000)
    yield simulator
    await simulator.close()


def print_with_the_library(host, port):
    printer = Network(host, port=port, timeout=5, profile="TM-T88V")
    try:
        printer.hw("INIT")
        seen = [printer.is_online(), printer.paper_status()]
        printer.set(bold=True, double_height=True, double_width=True, align="center")
        printer.text("Zażółć\n")
        printer.set(bold=False, normal_textsize=True, align="left")
        printer.text("gęślą jaźń\n")
        printer.barcode("590123412345", "EAN13", function_type="A")
        printer.barcode("{B12345", "CODE128", function_type="B")
        printer.qr("https://karb.example", native=True)
        printer.qr("https://karb.example")
        printer.cashdraw(2)
        printer.cut()
        return [*seen, printer.paper_status()]
    finally:
        printer.close()


async def test_an_independent_client_prints(simulator, tmp_path, capsys):
    host, port = await simulator.listen()
    assert await asyncio.to_thread(print_with_the_library, host, port) == [True, 2, 2]
    await simulator.close()
    [receipt] = simulator.machine.receipts
    lines = [line for line in receipt.text.splitlines() if line]
    assert lines[:5] == [
        "Zażółć",
        "gęślą jaźń",
        "[barcode 590123412345]",
        "[barcode {B12345]",
        "[qr https://karb.example]",
    ]
    assert lines[5].startswith("[image")
    assert (receipt.lines[0].bold, receipt.lines[0].double) == (True, True)
    assert (simulator.machine.drawer_pulses, simulator.machine.unknown) == (1, [])
    row = json.loads((tmp_path / "receipts.jsonl").read_text())
    assert row == {"text": receipt.text, "job": None, "at": 1_700_000_000_000}


@pytest.mark.parametrize(
    ("command", "online", "paper"),
    [("paper out", False, 0), ("paper low", True, 1), ("cover open", False, 2)],
)
async def test_an_independent_client_sees_the_trouble(simulator, command, online, paper):
    host, port = await simulator.listen()
    obey(simulator, command)

    def ask():
        printer = Network(host, port=port, timeout=5)
        try:
            return printer.is_online(), printer.paper_status()
        finally:
            printer.close()

    assert await asyncio.to_thread(ask) == (online, paper)


async def test_paper_status_in_order(simulator):
    """`GS r 1` waits its turn behind the job, unlike `DLE EOT`."""
    reader, writer = await asyncio.open_connection(*await simulator.listen())
    writer.write(b"\x1b@a\n\x1dr\x01")
    assert await reader.readexactly(1) == b"\x00"
    assert [line.text for line in simulator.machine.paper] == ["a"]
    writer.close()
    await writer.wait_closed()


async def test_a_receipt_is_on_record_before_it_is_confirmed(simulator, tmp_path):
    seen = []
    sent: asyncio.Queue[bytes] = asyncio.Queue()
    line = simulator.cable.join(
        sent.get,
        lambda data: seen.append((data, (tmp_path / "receipts.jsonl").read_text())),
        lambda: None,
    )
    sent.put_nowait(b"\x1b@a\n\x1dV\x00\x1d(H\x06\x0000ABCD")
    await until(lambda: seen)
    line.cut()
    [(proof, record)] = seen
    assert proof == b"\x37\x22ABCD\x00"
    assert json.loads(record)["job"] == "ABCD"


async def test_console_switches(simulator):
    for line in (
        "paper out after 3",
        "drop-before job",
        "drop-after job 2",
        "lose job",
        "mute on",
        "no-proof on",
        "noise on",
        "slow 0.5",
        "cut-in 7",
        "cut-out 8",
        "hang on",
    ):
        obey(simulator, line)
    faults = simulator.faults
    assert simulator.machine.lines_left == 3
    assert (faults.drop_before, faults.drop_after, faults.lose) == ("job", "job", "job")
    assert faults.mute
    assert faults.noise
    assert not simulator.machine.proves
    assert not simulator.cable.running.is_set()
    assert (faults.slow_s, faults.cut_in, faults.cut_out) == (0.5, 7, 8)
    obey(simulator, "noise off")
    obey(simulator, "paper ok")
    assert not faults.noise
    assert simulator.machine.lines_left is None
    for line in ("paper", "no-proof maybe", "stale on", "slow x"):
        with pytest.raises(ValueError, match=r"unknown|float"):
            obey(simulator, line)


async def start(*arguments):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_as_a_program_the_printer_prints_and_can_be_told_to_fail(tmp_path):
    keep = tmp_path / "kept.jsonl"
    program = await start("hw.escpos.simulator", "--listen", "127.0.0.1:0", "--keep", str(keep))
    host, _, port = (await program.stdout.readline()).decode().strip().rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\x1b@\x1bt\x12" + "Żółw".encode("cp852") + b"\n\x1dV\x00\x1d(H\x06\x0000ABCD")
    assert await reader.readexactly(7) == b"\x37\x22ABCD\x00"
    row = json.loads(keep.read_text())
    assert (row["text"], row["job"]) == ("Żółw", "ABCD")
    program.stdin.write(b"nonsense\npaper out\n")
    await program.stdin.drain()
    assert b"nonsense" in await program.stderr.readline()
    answer = b""
    while answer != b"\x7e":  # the console and the socket are not one stream
        writer.write(b"\x10\x04\x04")
        answer = await reader.readexactly(1)
    writer.close()
    await writer.wait_closed()
    program.send_signal(signal.SIGTERM)
    _, errors = await program.communicate()
    assert (program.returncode, errors) == (0, b"")


async def test_as_a_program_the_scanner_scans():
    program = await start("hw.scanner.simulator")
    path = (await program.stdout.readline()).decode().strip()
    from hw.registry import DeviceConfig, load  # noqa: PLC0415 - the program starts first

    scanner = load(DeviceConfig(id="s", driver="scanner.serial", url=f"serial:{path}"))
    await scanner.open()
    program.stdin.write(b"!noise\n!cut 123\n!what\n5901234123457\n")
    async with asyncio.timeout(10):
        scan = await anext(scanner.scans())
    assert scan.data.endswith("5901234123457")
    program.stdin.write(b"!unplug\n")
    async with asyncio.timeout(10):
        await scanner.lost()
    await scanner.close()
    program.send_signal(signal.SIGTERM)
    _, errors = await program.communicate()
    assert program.returncode == 0
    assert b"!what" in errors


async def test_an_independent_client_prints_over_usb(simulator):
    socket = UsbSocket(simulator.cable)
    socket.plug()

    def print_over_usb():
        printer = Usb(VENDOR, PRODUCT, in_ep=0x82, out_ep=0x01, usb_args={"backend": backend})
        printer.open()
        printer.text("over USB\n")
        printer.cut()
        printer.close()

    backend = socket.backend()
    await asyncio.to_thread(print_over_usb)
    await until(lambda: simulator.machine.receipts)
    assert [receipt.text for receipt in simulator.machine.receipts] == ["over USB"]
    backend.close()
    socket.unplug()


async def test_receipts_are_drawn(tmp_path):
    simulator = EscposSimulator(pictures=tmp_path, columns=42)
    text = (
        TextLine(text="Zażółć gęślą jaźń"),
        Columns(left="SUMA PLN", right="33,07", double=True),
    )
    codes = (QrCode("https://karb.example/p/1"), Barcode("5901234123457"))
    sizes = []
    for elements in (text, (*text, *codes)):
        for profile in ("TM-T88V", "TM-T88III"):
            interpreter = Interpreter(simulator.machine, lambda _: None)
            interpreter.feed(Encoder(profile=profile).encode(Slip("j", (*elements, Cut()))))
            simulator.record(settled=True)
            with Image.open(tmp_path / f"{len(sizes) + 1}.png") as picture:
                sizes.append(picture.size)
                dark = sum(picture.point(lambda grey: grey < 128).histogram()[1:])
            assert dark > 1000, "there is something on it"
    assert {width for width, _ in sizes} == {42 * 12 + 32}
    heights = [height for _, height in sizes]
    assert min(heights[2:]) > max(heights[:2]) + 5 * 21 + 64, "the codes are there"
    await simulator.close()
