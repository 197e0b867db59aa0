"""A POSNET ONLINE fiscal printer on a real socket or pseudo-terminal.

    python -m hw.posnet.simulator --listen 127.0.0.1:6666 --keep receipts.jsonl --png FOLDER

prints the address it listens on, then keeps every document as one JSON line `{"kind",
"number", "text"}` (and as `FOLDER/number.png`). Accidents are switched by lines on standard
input: those of the line (`hw.simulated_line`; orders are commands, as `trend`), those of every
fiscal printer (`hw.fiscal_faults`), and

`operator on | off` (waits for a person; `!` commands are answered), `busy on | off` (another
computer sells), `office ok | failed` (the printer's own sending to the tax office).
"""

import argparse
import asyncio
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from hw import fiscal_faults
from hw.console import serve
from hw.fiscal_faults import Tray
from hw.fiscal_machine import FiscalMachine
from hw.posnet.codec import Frame, FrameParser
from hw.posnet.machine import PosnetMachine
from hw.simulated_line import Cable, Line

NOISE = b"\x00\xff#\x09\x02half a frame\x09"
"""Ends within a frame that never ends."""


class PosnetSimulator:
    """One printer; any number of connections."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
        module: FiscalMachine | None = None,
        keep: Path | None = None,
        pictures: Path | None = None,
    ) -> None:
        self.days = 0
        """Midnights that were switched."""

        self.module = module or FiscalMachine(now=lambda: now() + timedelta(days=self.days))
        self.machine = PosnetMachine(self.module)
        self.cable = Cable(self._serve, noise=NOISE)
        self.faults = self.cable.faults
        self._tray = Tray(keep, pictures)
        self._waiting: dict[Line, list[Frame]] = {}

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Switch on, on the network; the address, with the port chosen if it was 0."""
        return await self.cable.listen(host, port)

    def plug(self, link: Path) -> str:
        """Switch on, on a serial port reached through `link`; its URL."""
        return self.cable.plug(link)

    async def close(self) -> None:
        """Switch off: connections end; counters and memories stay in `module`."""
        await self.cable.close()
        self._waiting.clear()
        self.record()

    def lose_power(self) -> None:
        """All lines are cut, working memory is lost; it is on again at once."""
        for frames in self._waiting.values():
            frames.clear()
        self.cable.cut_all()
        self.machine.lose_power()

    def resume(self) -> None:
        """Do what was waiting for help, even if who sent it has gone."""
        for line in list(self._waiting):
            self._work(line)

    def record(self) -> None:
        """Write finished documents down."""
        self._tray.take(self.module.documents)

    async def _serve(self, line: Line) -> None:
        parser, frames = FrameParser(), self._waiting.setdefault(line, [])
        try:
            while data := await line.read():
                frames += parser.feed(data)
                self._work(line)
        finally:
            if not frames:  # else it is done when somebody has helped
                self._waiting.pop(line, None)

    def _work(self, line: Line) -> None:
        """Answer what has arrived: `!` at once, the rest in order and while not stopped."""
        frames = self._waiting[line]
        for frame in [f for f in frames if f.name.startswith("!")]:
            frames.remove(frame)
            line.answer(frame.name, self.machine.answer(frame))
        while frames and not self.machine.stopped:
            frame = frames[0]
            if self.machine.runs_dry(frame):
                return
            del frames[0]
            if line.dropped(frame.name):
                if line.gone:
                    frames.clear()
                continue
            answer = self.machine.answer(frame)
            self.record()  # what is confirmed is on record first
            line.answer(frame.name, answer)
        self.record()


def obey(simulator: PosnetSimulator, line: str) -> None:
    """Do what one line of the console says.

    Raises:
        ValueError: It says nothing we know.
    """
    words, machine = line.split(), simulator.machine
    match words:
        case ["operator", ("on" | "off") as switch]:
            machine.operator = 3 * (switch == "on")
        case ["busy", ("on" | "off") as switch]:
            machine.busy = switch == "on"
        case ["office", ("ok" | "failed") as state]:
            moment = "reached_at" if state == "ok" else "failed_at"
            setattr(machine, moment, simulator.module.now())
        case ["power"]:
            simulator.lose_power()
        case _ if not (simulator.cable.obey(words) or fiscal_faults.obey(simulator, words)):
            raise ValueError(f"unknown: {line!r}; see the head of hw/posnet/simulator.py")
    simulator.resume()


async def main(arguments: list[str]) -> None:
    """Run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m hw.posnet.simulator")
    parser.add_argument("--listen", default="127.0.0.1:6666", metavar="HOST:PORT")
    parser.add_argument("--link", type=Path, metavar="PATH", help="a serial port instead")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="append documents as JSON lines")
    parser.add_argument("--png", type=Path, metavar="FOLDER", help="draw each document there")
    options = parser.parse_args(arguments)
    host, _, port = options.listen.rpartition(":")
    simulator = PosnetSimulator(keep=options.keep, pictures=options.png)
    try:
        address: tuple[str, int] | str
        if options.link is not None:
            address = simulator.plug(options.link).removeprefix("serial:")
        else:
            address = await simulator.listen(host, int(port))
        await serve(address, lambda line: obey(simulator, line))
    finally:
        await simulator.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
