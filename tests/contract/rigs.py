"""One rig per driver: the driver, and the simulated device it is connected to.

A new driver joins its contract suite by getting a rig here.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hw.device import Device, ReceiptPrinter, Scanner
from hw.errors import DeviceUnavailable
from hw.escpos.simulator import EscposSimulator
from hw.fiscal_machine import FiscalMachine
from hw.noviapi import simulator as noviapi
from hw.noviapi.driver import NoviapiPrinter
from hw.noviapi.simulator import NoviapiSimulator
from hw.posnet import simulator as posnet
from hw.posnet.driver import PosnetPrinter
from hw.posnet.simulator import PosnetSimulator
from hw.registry import DeviceConfig, load
from hw.scanner.simulator import ScannerSimulator


class SerialScannerRig:
    """`scanner.serial` on a pseudo-terminal."""

    prefix, suffix = b"", b"\r"

    def __init__(self, folder: Path) -> None:
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


class EscposRig:
    """What the ESC/POS rigs share."""

    driver = "printer.escpos"

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
        assert isinstance(self.simulator, PosnetSimulator)
        self.simulator.replug = True
        return self.simulator.plug(self.folder / "fiscal")

    def vanish(self, order: str = "") -> None:
        assert isinstance(self.simulator, PosnetSimulator)
        self.simulator.replug = False
        super().vanish(order)

    def back(self) -> None:
        assert isinstance(self.simulator, PosnetSimulator)
        super().back()
        self.simulator.replug = True
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
