"""A scanner that pretends to be a keyboard, on a FIFO.

    python -m hw.evdev.simulator [--link PATH]

prints where a driver finds it, then scans every line it is given. Lines beginning with `!` are
accidents: `!unplug`, `!replug`, `!noise`, `!cut CODE` (half of it), `!lost CODE` (the kernel drops
events in the middle of it).
"""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

from hw.console import Lines
from hw.evdev.codec import EV_KEY, EV_MSC, EV_SYN, EVENT, SYN_DROPPED, event, typed

VOLUME_UP = 115
CHUNK = EVENT.size * 100
NOISE = event(EV_MSC, 4, 458_792) + event(EV_KEY, VOLUME_UP, 1) + event(EV_KEY, VOLUME_UP, 0)
"""Events that type nothing."""


class EvdevSimulator:
    """Call `plug` in a running loop; give `url` to the driver; then `scan`."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self._end: int | None = None
        self._lock = asyncio.Lock()

    @property
    def url(self) -> str:
        """For the driver; the same after `replug`."""
        return f"input:{self.link}"

    def plug(self) -> None:
        """Connect the cable, at the start and after `unplug`."""
        self.link.unlink(missing_ok=True)
        os.mkfifo(self.link, 0o600)
        self._end = os.open(self.link, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def unplug(self) -> None:
        """Pull the cable. Harmless when repeated."""
        if self._end is not None:
            os.close(self._end)
            self._end = None
            self.link.unlink(missing_ok=True)

    async def scan(self, code: str) -> None:
        """Read one code, as if the trigger had been pulled."""
        await self._write(typed(code))

    async def scan_cut(self, code: str, keep: int | None = None) -> None:
        """Send only the first `keep` bytes of a scan (by default half the code)."""
        sent = typed(code)
        await self._write(sent[: len(typed(code[: len(code) // 2])) if keep is None else keep])

    async def scan_lost(self, code: str) -> None:
        """Scan, and have the kernel drop events in the middle of it."""
        sent = typed(code)
        cut = len(typed(code[: len(code) // 2]))
        await self._write(sent[:cut] + event(EV_SYN, SYN_DROPPED, 0) + sent[cut:])

    async def noise(self, data: bytes = NOISE) -> None:
        """Send events that belong to no code."""
        await self._write(data)

    async def _write(self, data: bytes) -> None:
        async with self._lock:
            while data and self._end is not None:
                try:
                    data = data[os.write(self._end, data[:CHUNK]) :]
                except BlockingIOError:
                    await self._room()

    async def _room(self) -> None:
        """Wait until the driver has read: nobody but the kernel knows."""
        await asyncio.sleep(0.001)


async def obey(simulator: EvdevSimulator, line: str) -> None:
    """Do what one line of the console says.

    Raises:
        ValueError: It cannot be typed, or says nothing we know.
    """
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
        case ["!lost", code]:
            await simulator.scan_lost(code)
        case [_, *_] if line.startswith("!"):
            raise ValueError(f"unknown: {line}; expected !unplug, !replug, !noise, !cut or !lost")
        case [_, *_]:
            await simulator.scan(line)


async def main(arguments: list[str]) -> None:
    """Run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m hw.evdev.simulator")
    parser.add_argument("--link", type=Path, help="path to create (default: a temporary one)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="karb-scanner-") as folder:
        simulator = EvdevSimulator(options.link or Path(folder) / "scanner")
        simulator.plug()
        sys.stdout.write(f"{simulator.url}\n")
        sys.stdout.flush()
        try:
            async for line in Lines(sys.stdin):
                try:
                    await obey(simulator, line)
                except ValueError as error:
                    sys.stderr.write(f"{error}\n")
        finally:
            simulator.unplug()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
