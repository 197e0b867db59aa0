"""One rig per driver: the driver, and the simulated device it is connected to.

A new driver joins its contract suite by getting a rig here.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hw.acquirer import Acquirer
from hw.device import CardReader, CustomerDisplay, Device, ReceiptPrinter, Scale, Scanner
from hw.ecreft import simulator as ecreft
from hw.ecreft.driver import EcreftTerminal
from hw.ecreft.simulator import EcreftSimulator
from hw.errors import DeviceUnavailable
from hw.escpos.simulator import EscposSimulator
from hw.evdev.simulator import EvdevSimulator
from hw.fiscal_machine import FiscalMachine
from hw.linedisplay import simulator as linedisplay
from hw.linedisplay.simulator import LineDisplaySimulator
from hw.mtsics import simulator as mtsics
from hw.mtsics.simulator import MtsicsSimulator
from hw.nexo import simulator as nexo
from hw.nexo.driver import NexoTerminal
from hw.nexo.sealed import SharedKey
from hw.nexo.simulator import NexoSimulator
from hw.nfc import simulator as nfc
from hw.nfc.simulator import NfcSimulator
from hw.noviapi import simulator as noviapi
from hw.noviapi.driver import NoviapiPrinter
from hw.noviapi.simulator import NoviapiSimulator
from hw.posnet import simulator as posnet
from hw.posnet.driver import PosnetPrinter
from hw.posnet.simulator import PosnetSimulator
from hw.registry import DeviceConfig, load
from hw.scanner.simulator import ScannerSimulator
from hw.standalone import simulator as standalone
from hw.standalone.driver import StandaloneTerminal
from hw.standalone.simulator import StandaloneSimulator
from hw.terminal import Terminal, wire_id
from hw.toledo import simulator as toledo
from hw.toledo.simulator import ToledoSimulator
from hw.transports import usb
from tests.contract.usb_printer import PRODUCT, SERIAL, VENDOR, UsbSocket


class SerialScannerRig:
    """`scanner.serial` on a pseudo-terminal."""

    prefix, suffix = b"", b"\r"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.simulator = ScannerSimulator(
            folder / "scanner", prefix=self.prefix, suffix=self.suffix
        )
        options = {"silence_s": "0.05"}
        if self.prefix:
            options |= {"prefix": self.prefix.hex(), "suffix": self.suffix.hex()}
        self.config = DeviceConfig(
            id="scanner", driver="scanner.serial", url=self.simulator.url, till="1", options=options
        )

    async def start(self) -> Scanner:
        self.simulator.plug()
        driver = load(self.config)
        assert isinstance(driver, Scanner)
        return driver

    async def stop(self) -> None:
        self.simulator.unplug()


class FramedScannerRig(SerialScannerRig):
    """The same with STX and ETX around each code."""

    prefix, suffix = b"\x02", b"\x03"


class EvdevScannerRig:
    """`scanner.evdev` on a FIFO."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.simulator = EvdevSimulator(folder / "keys")
        self.config = DeviceConfig(
            id="scanner",
            driver="scanner.evdev",
            url=self.simulator.url,
            till="1",
            options={"silence_s": "0.05"},
        )

    async def start(self) -> Scanner:
        self.simulator.plug()
        driver = load(self.config)
        assert isinstance(driver, Scanner)
        return driver

    async def stop(self) -> None:
        self.simulator.unplug()


class NfcRig:
    """`reader.nfc` over UDP: nfcpy as for any reader, and a simulated card."""

    def __init__(self) -> None:
        self.simulator = NfcSimulator()

    async def start(self, **options: str) -> CardReader:
        host, port = await self.simulator.listen()
        settings = {"technologies": "106A", "poll_s": "0.02", "again_s": "0.01"}
        driver = load(
            DeviceConfig(
                id="reader",
                driver="reader.nfc",
                url=f"udp:{host}:{port}",
                till="1",
                options=settings | options,
            )
        )
        assert isinstance(driver, CardReader)
        return driver

    def obey(self, line: str) -> None:
        nfc.obey(self.simulator, line)

    async def stop(self) -> None:
        await self.simulator.close()


class EscposRig:
    """What the ESC/POS rigs share."""

    driver = "printer.escpos"
    every = 1
    """Which bytes a cut is tried at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keep = folder / "receipts.jsonl"
        self.simulator = EscposSimulator(keep=self.keep)

    async def connect(self) -> str:
        raise NotImplementedError

    async def start(self, **options: str) -> ReceiptPrinter:
        self.url = await self.connect()
        driver = self.make(**options)
        assert isinstance(driver, ReceiptPrinter)
        return driver

    def make(self, **options: str) -> Device:
        patience = {"answer_timeout_s": "5", "job_timeout_s": "5"}
        return load(
            DeviceConfig(
                id="printer", driver=self.driver, url=self.url, till="1", options=patience | options
            )
        )

    def silence(self) -> None:
        """It prints, and does not say so."""
        self.simulator.machine.proves = False

    async def reconnect(self) -> None:
        """After the simulator cut the connection, make it reachable again."""

    async def stop(self) -> None:
        await self.simulator.close()


class TcpEscposRig(EscposRig):
    """`printer.escpos` on a TCP socket."""

    async def connect(self) -> str:
        host, port = await self.simulator.listen()
        return f"tcp:{host}:{port}"


class SerialEscposRig(EscposRig):
    """`printer.escpos` on a pseudo-terminal."""

    async def connect(self) -> str:
        return self.simulator.plug(self.folder / "printer")

    async def reconnect(self) -> None:
        self.simulator.plug(self.folder / "printer")


class UsbEscposRig(EscposRig):
    """`printer.escpos` on USB: a virtual device, reached without kernel and libusb."""

    every = 5

    async def connect(self) -> str:
        self.socket = UsbSocket(self.simulator.cable)
        self.socket.plug()
        usb.backend = self.socket.backend()
        return f"usb:{VENDOR:04x}:{PRODUCT:04x}:{SERIAL}"

    async def reconnect(self) -> None:
        self.socket.unplug()
        usb.backend.close()
        self.socket.plug()
        usb.backend = self.socket.backend()

    async def stop(self) -> None:
        usb.backend.close()
        usb.backend = None
        await super().stop()
        self.socket.unplug()


class PaperStatusEscposRig(TcpEscposRig):
    """The same with a model that knows no process ids: `GS r` tells when it has printed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.simulator.machine.proves = False

    def make(self, **options: str) -> Device:
        return super().make(proof="paper_status", **options)

    def silence(self) -> None:
        self.simulator.faults.lose = "job"


class Killed(BaseException):
    """The process ended here, as by `kill -9`: nothing is caught, nothing is tidied."""


class Notebook:
    """A driver's memory that outlives it, and can end the process around any note."""

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}
        self.waiting: list[str] = []
        self.saves = 0
        self.full_from: int | None = None
        """From which note on the disk is full."""

        self.die_before: int | None = None
        self.die_after: int | None = None
        """Which note from now on, counted from 1."""

    async def load(self, key: str) -> dict[str, Any]:
        note: dict[str, Any] = json.loads(self.notes.get(key, "{}"))
        return note

    async def pending(self) -> list[str]:
        return list(self.waiting)

    async def save(self, key: str, note: Mapping[str, Any], *, pending: bool = False) -> None:
        self.saves += 1
        if self.die_before == self.saves:
            raise Killed
        if self.full_from is not None and self.saves >= self.full_from:
            raise DeviceUnavailable("The disk is full.", cure="Make room.")
        self.notes[key] = json.dumps(note)
        if pending and key not in self.waiting:
            self.waiting.append(key)
        if not pending and key in self.waiting:
            self.waiting.remove(key)
        if self.die_after == self.saves:
            raise Killed


class FiscalRig:
    """What the rigs of fiscal printers share. The device outlives every driver."""

    driver: str
    kind: type[PosnetPrinter | NoviapiPrinter]
    simulator: PosnetSimulator | NoviapiSimulator
    ending: str
    """The one order that cannot be taken back, as the console names it."""

    url: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory = Notebook()

    @property
    def module(self) -> FiscalMachine:
        return self.simulator.module

    def obey(self, line: str) -> None:
        raise NotImplementedError

    async def connect(self) -> str:
        host, port = await self.simulator.listen()
        return f"{host}:{port}"

    async def start(self, **options: str) -> PosnetPrinter | NoviapiPrinter:
        self.url = await self.connect()
        return self.make(**options)

    def make(self, **options: str) -> PosnetPrinter | NoviapiPrinter:
        settings = {
            "allow_fiscal": "yes",
            "answer_timeout_s": "5",
            "job_timeout_s": "5",
            "resolve_timeout_s": "5",
        }
        config = DeviceConfig(
            id="fiscal", driver=self.driver, url=self.url, till="1", options=settings | options
        )
        return self.kind(config, self.memory)

    def vanish(self, order: str = "") -> None:
        """Cut the line once the last order is executed, and let nobody in until `back`."""
        self.obey(f"drop-after {order or self.ending} 100000")

    def back(self) -> None:
        self.simulator.faults.refuse = 0

    async def stop(self) -> None:
        await self.simulator.close()


class PosnetRig(FiscalRig):
    """`fiscal.posnet` on a TCP socket."""

    driver, kind, ending = "fiscal.posnet", PosnetPrinter, "trend"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.simulator = PosnetSimulator()

    def obey(self, line: str) -> None:
        assert isinstance(self.simulator, PosnetSimulator)
        posnet.obey(self.simulator, line)

    async def connect(self) -> str:
        return f"tcp:{await super().connect()}"


class SerialPosnetRig(PosnetRig):
    """`fiscal.posnet` on a pseudo-terminal; a cut is a cable that was pulled and put back."""

    async def connect(self) -> str:
        self.simulator.cable.replug = True
        assert isinstance(self.simulator, PosnetSimulator)
        return self.simulator.plug(self.folder / "fiscal")

    def vanish(self, order: str = "") -> None:
        self.simulator.cable.replug = False
        super().vanish(order)

    def back(self) -> None:
        assert isinstance(self.simulator, PosnetSimulator)
        super().back()
        self.simulator.cable.replug = True
        self.simulator.plug(self.folder / "fiscal")


class NoviapiRig(FiscalRig):
    """`fiscal.noviapi` over HTTP."""

    driver, kind, ending = "fiscal.noviapi", NoviapiPrinter, "PUT:receipt"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.simulator = NoviapiSimulator()

    def obey(self, line: str) -> None:
        assert isinstance(self.simulator, NoviapiSimulator)
        noviapi.obey(self.simulator, line)

    async def connect(self) -> str:
        return f"http://{await super().connect()}"


class TerminalRig:
    """What the rigs of payment terminals share. The terminal's books outlive every driver."""

    simulator: EcreftSimulator | NexoSimulator | StandaloneSimulator
    url: str
    tells = True
    """Whether the terminal can be asked what became of a payment."""

    reverses = False
    busy = "993"
    order = "S1"
    """The one order that moves money, as the console names it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory: Notebook | None = Notebook()

    @property
    def books(self) -> Acquirer:
        return self.simulator.books

    def name(self, attempt: str) -> str:
        """What the terminal calls an attempt."""
        raise NotImplementedError

    def obey(self, line: str) -> None:
        raise NotImplementedError

    async def connect(self) -> str:
        raise NotImplementedError

    async def start(self, **options: str) -> Terminal:
        self.url = await self.connect()
        return self.make(**options)

    def make(self, **options: str) -> Terminal:
        settings = {"answer_timeout_s": "5", "job_timeout_s": "5", "resolve_timeout_s": "5"}
        config = DeviceConfig(
            id="terminal",
            driver=self.driver,
            url=self.url,
            till="1",
            options=settings | self.options() | options,
        )
        return self.kind(config, self.memory)

    kind: type[EcreftTerminal | NexoTerminal | StandaloneTerminal]
    driver: str

    def options(self) -> dict[str, str]:
        return {}

    def vanish(self) -> None:
        """The next payment is carried out, and nothing is heard of the terminal until `back`."""
        self.obey(f"drop-after {self.order} 100000")

    def back(self) -> None:
        self.obey("refuse 0")

    async def stop(self) -> None:
        await self.simulator.close()


class EcreftRig(TerminalRig):
    """`terminal.ecreft` on a TCP socket, where its question is known to be one."""

    kind, driver = EcreftTerminal, "terminal.ecreft"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.simulator: EcreftSimulator = EcreftSimulator()

    def name(self, attempt: str) -> str:
        return wire_id(attempt, 16)

    def obey(self, line: str) -> None:
        ecreft.obey(self.simulator, line)

    async def connect(self) -> str:
        host, port = await self.simulator.cable.listen()
        return f"tcp:{host}:{port}"

    def options(self) -> dict[str, str]:
        return {"status_query": "yes" if self.tells else "no"}


class SerialEcreftRig(EcreftRig):
    """The same on a pseudo-terminal; a cut is a cable that was pulled and put back."""

    async def connect(self) -> str:
        self.simulator.cable.replug = True
        return self.simulator.cable.plug(self.folder / "terminal")

    def vanish(self) -> None:
        self.simulator.cable.replug = False
        super().vanish()

    def back(self) -> None:
        super().back()
        self.simulator.cable.replug = True
        self.simulator.cable.plug(self.folder / "terminal")


class SilentEcreftRig(EcreftRig):
    """The same where the question must not be asked: the letter may mean something else."""

    tells = False


class NexoRig(TerminalRig):
    """`terminal.nexo` over HTTP, sealed."""

    kind, driver = NexoTerminal, "terminal.nexo"
    reverses = True
    busy, order = "Busy", "Payment"
    passphrase = "a passphrase of the shop"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.simulator: NexoSimulator = NexoSimulator(SharedKey.derive("karb", 1, self.passphrase))

    def name(self, attempt: str) -> str:
        return wire_id(attempt, 10)

    def obey(self, line: str) -> None:
        nexo.obey(self.simulator, line)

    async def connect(self) -> str:
        (self.folder / "key").write_text(self.passphrase, encoding="utf-8")
        host, port = await self.simulator.cable.listen()
        return f"http://{host}:{port}/nexo"

    def options(self) -> dict[str, str]:
        key = str(self.folder / "key")
        return {"poi_id": "S1E-1", "key_file": key, "key_id": "karb", "key_version": "1"}


class StandaloneRig(TerminalRig):
    """`terminal.standalone`: the line is a cashier."""

    kind, driver = StandaloneTerminal, "terminal.standalone"
    tells = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.simulator: StandaloneSimulator = StandaloneSimulator()

    def name(self, attempt: str) -> str:
        return attempt

    def obey(self, line: str) -> None:
        standalone.obey(self.simulator, line)

    async def connect(self) -> str:
        return "person:till-1"

    def make(self, **options: str) -> Terminal:
        made = super().make(**options)
        assert isinstance(made, StandaloneTerminal)
        self.simulator.attend(made)
        return made

    def vanish(self) -> None:
        self.obey("away after 100000")

    def back(self) -> None:
        self.simulator.away.clear()


class ScaleRig:
    """What the rigs of scales share. What lies on the pan outlives every line."""

    driver: str
    simulator: ToledoSimulator | MtsicsSimulator
    order: str
    """The one question, as the console names it."""

    url: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def obey(self, line: str) -> None:
        raise NotImplementedError

    async def connect(self) -> str:
        host, port = await self.simulator.cable.listen()
        return f"tcp:{host}:{port}"

    async def start(self, **options: str) -> Scale:
        self.url = await self.connect()
        return self.make(**options)

    def make(self, **options: str) -> Scale:
        settings = {"settle_s": "0.2", "poll_s": "0.005", "answer_timeout_s": "5"}
        config = DeviceConfig(
            id="scale", driver=self.driver, url=self.url, till="1", options=settings | options
        )
        made = load(config)
        assert isinstance(made, Scale)
        return made

    async def stop(self) -> None:
        await self.simulator.close()


class ToledoRig(ScaleRig):
    """`scale.toledo8217` over TCP."""

    driver, order = "scale.toledo8217", "W"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.simulator = ToledoSimulator()

    def obey(self, line: str) -> None:
        assert isinstance(self.simulator, ToledoSimulator)
        toledo.obey(self.simulator, line)


class SerialToledoRig(ToledoRig):
    """The same on a pseudo-terminal, with the 7E1 of the factory."""

    async def connect(self) -> str:
        self.simulator.cable.replug = True
        return self.simulator.cable.plug(self.folder / "scale")


class MtsicsRig(ScaleRig):
    """`scale.mtsics` over TCP."""

    driver, order = "scale.mtsics", "SI"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.simulator = MtsicsSimulator()

    def obey(self, line: str) -> None:
        assert isinstance(self.simulator, MtsicsSimulator)
        mtsics.obey(self.simulator, line)


class SerialMtsicsRig(MtsicsRig):
    """The same on a pseudo-terminal."""

    async def connect(self) -> str:
        self.simulator.cable.replug = True
        return self.simulator.cable.plug(self.folder / "scale")


class LineDisplayRig:
    """`display.line` over TCP."""

    columns = 20

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.simulator = LineDisplaySimulator()

    @property
    def lines(self) -> tuple[str, ...]:
        """What the buyer sees."""
        return self.simulator.screen.lines

    def obey(self, line: str) -> None:
        linedisplay.obey(self.simulator, line)

    async def connect(self) -> str:
        host, port = await self.simulator.cable.listen()
        return f"tcp:{host}:{port}"

    async def start(self, **options: str) -> CustomerDisplay:
        self.url = await self.connect()
        return self.make(**options)

    def make(self, **options: str) -> CustomerDisplay:
        config = DeviceConfig(
            id="display", driver="display.line", url=self.url, till="1", options=options
        )
        made = load(config)
        assert isinstance(made, CustomerDisplay)
        return made

    async def stop(self) -> None:
        await self.simulator.close()


class SerialLineDisplayRig(LineDisplayRig):
    """The same on a pseudo-terminal."""

    async def connect(self) -> str:
        self.simulator.cable.replug = True
        return self.simulator.cable.plug(self.folder / "display")
