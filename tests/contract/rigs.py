"""One rig per driver: the driver, and the simulated device it is connected to.

A new driver joins its contract suite by getting a rig here.
"""

from pathlib import Path

from hw.device import Device, ReceiptPrinter, Scanner
from hw.escpos.simulator import EscposSimulator
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
