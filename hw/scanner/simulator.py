"""A scanner on a pseudo-terminal, for tests and for working without hardware.

    python -m hw.scanner.simulator [--link PATH]

prints the path a driver can open, then scans every line it is given. Lines beginning
with `!` are accidents: `!unplug`, `!replug`, `!noise`, `!cut CODE` (half of it).
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from hw.console import Lines
from hw.transports.pty import PtyPort

NOISE = b"\x00\x07\x80\xff\x1b"
"""Bytes that begin no code and end none."""


class ScannerSimulator:
    """Call `plug` in a running loop; give `url` to the driver; then `scan`."""

    def __init__(self, link: Path, *, prefix: bytes = b"", suffix: bytes = b"\r") -> None:
        self._port = PtyPort(link, lambda _: None)
        self._prefix = prefix
        self._suffix = suffix

    @property
    def url(self) -> str:
        """For the driver; the same after `replug`."""
        return self._port.url

    def plug(self) -> None:
        """Connect the cable, at the start and after `unplug`."""
        self._port.plug()

    def unplug(self) -> None:
        """Pull the cable; what was on its way is lost. Harmless when repeated."""
        self._port.unplug()

    async def scan(self, code: str) -> None:
        """Read one code, as if the trigger had been pulled."""
        await self._port.write_all(self._prefix + code.encode() + self._suffix)

    async def scan_cut(self, code: str, keep: int | None = None) -> None:
        """Send only the first `keep` bytes of a scan (by default half the code)."""
        sent = self._prefix + code.encode() + self._suffix
        await self._port.write_all(sent[: len(code) // 2 if keep is None else keep])

    async def noise(self, data: bytes = NOISE) -> None:
        """Send bytes that belong to no code."""
        await self._port.write_all(data)


async def obey(simulator: ScannerSimulator, line: str) -> None:
    """Do what one line of the console says."""
    match line.split(maxsplit=1):
        case ["!unplug"]:
            simulator.unplug()
        case ["!replug"]:
            simulator.unplug()
            simulator.plug()
        case ["!noise"]:
            await simulator.noise()
        case ["!cut", code]:
            await simulator.scan_cut(code)
        case [_, *_] if line.startswith("!"):
            sys.stderr.write(f"unknown: {line}; expected !unplug, !replug, !noise or !cut CODE\n")
        case [_, *_]:
            await simulator.scan(line)


async def main(arguments: list[str]) -> None:
    """Run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m hw.scanner.simulator")
    parser.add_argument("--link", type=Path, help="path to create (default: a temporary one)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="karb-scanner-") as folder:
        simulator = ScannerSimulator(options.link or Path(folder) / "scanner")
        simulator.plug()
        sys.stdout.write(f"{simulator.url.removeprefix('serial:')}\n")
        sys.stdout.flush()
        try:
            async for line in Lines(sys.stdin):
                await obey(simulator, line)
        finally:
            simulator.unplug()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
