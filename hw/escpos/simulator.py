"""A receipt printer on a real socket or pseudo-terminal, for tests and for the demo.

    python -m hw.escpos.simulator --listen 127.0.0.1:0 --keep receipts.jsonl --png FOLDER

prints the address it listens on, then keeps every finished receipt as one JSON line
`{"text", "job", "at"}` (`job`: process id or null; `at`: Unix milliseconds), written
before the printer confirms (and as `FOLDER/1.png`, 2 …). Accidents are switched by lines on
standard input: those of the line (`hw.simulated_line`; orders are `job` and `status`), and `paper
out | out after N | low | ok`, `cover open | closed`, `drawer open | closed` (by hand), `no-proof
on | off` (as models without `GS ( H`).
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TextIO

from hw.console import serve
from hw.escpos.codec import is_status
from hw.escpos.machine import Interpreter, Machine
from hw.paper import draw
from hw.simulated_line import Cable, Line

INIT = b"\x1b@"
"""With what every job begins."""

SWITCHES = ("noise", "mute")
"""Its answers bear no checksum and no number: a damaged, old or second one is another answer."""

NOISE = b"\x00\xff\x37\x80\x0f"
"""No status byte, although one of them looks like the head of an answer."""


class EscposSimulator:
    """One printer; any number of connections print on the same paper."""

    def __init__(
        self,
        *,
        keep: Path | None = None,
        pictures: Path | None = None,
        columns: int = 48,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.machine = Machine(columns=columns)
        self.cable = Cable(self._serve, noise=NOISE, switches=SWITCHES)
        self.faults = self.cable.faults
        self._keep: TextIO | None = keep.open("a", encoding="utf-8") if keep else None
        self._pictures = pictures
        self._kept = 0
        self._now_ms = now_ms
        self._hosts: dict[Line, Interpreter] = {}

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Switch on, on the network; the address, with the port chosen if it was 0."""
        return await self.cable.listen(host, port)

    def plug(self, link: Path) -> str:
        """Switch on, on a serial port reached through `link`; its URL."""
        return self.cable.plug(link)

    async def close(self) -> None:
        """Switch off: connections end, what was not printed is forgotten."""
        await self.cable.close()
        self._hosts.clear()
        self.record(settled=True)
        if self._keep is not None:
            self._keep.close()

    def set_paper(self, state: str, lines: int | None = None) -> None:
        """`out`, `low` or `ok`; `out` perhaps only after so many more lines."""
        machine = self.machine
        machine.paper_out = state == "out" and lines is None
        machine.paper_low = state == "low"
        machine.lines_left = lines
        self.resume()

    def set_cover(self, *, opened: bool) -> None:
        """Open or close the cover."""
        self.machine.cover_open = opened
        self.resume()

    def resume(self) -> None:
        """Print what was waiting for help, even if who sent it has gone."""
        for interpreter in self._hosts.values():
            interpreter.work()
        if not self.machine.stopped:
            self._hosts = {line: one for line, one in self._hosts.items() if not line.gone}
        self.record(settled=True)

    def record(self, *, settled: bool = False) -> None:
        """Write finished receipts; the last one only once its job is known (`settled`)."""
        receipts = self.machine.receipts
        waiting = not settled and any(one.just_cut for one in self._hosts.values())
        for receipt in receipts[self._kept : len(receipts) - waiting]:
            self._kept += 1
            if self._keep is not None:
                row = {"text": receipt.text, "job": receipt.job, "at": self._now_ms()}
                self._keep.write(json.dumps(row, ensure_ascii=False) + "\n")
                self._keep.flush()
            if self._pictures is not None:
                file = self._pictures / f"{self._kept}.png"
                draw(receipt.paper, file, columns=self.machine.columns)

    async def _serve(self, line: Line) -> None:
        interpreter = self._hosts[line] = Interpreter(self.machine, partial(self._answer, line))
        try:
            while data := await line.read():
                if INIT in data and line.dropped("job"):
                    continue
                interpreter.feed(data)
                self.record()
        finally:
            if not self.machine.stopped:  # else it prints when somebody has helped it
                self._hosts.pop(line, None)
            self.record(settled=True)

    def _answer(self, line: Line, data: bytes) -> None:
        if is_status(data[0]):
            line.answer("status", data)
        else:  # the proof; what it proves must be on record first
            self.record(settled=True)
            line.answer("job", data)


def obey(simulator: EscposSimulator, line: str) -> None:
    """Do what one line of the console says.

    Raises:
        ValueError: It says nothing we know.
    """
    words = line.split()
    match words:
        case ["paper", "out", "after", lines]:
            simulator.set_paper("out", int(lines))
        case ["paper", ("out" | "low" | "ok") as state]:
            simulator.set_paper(state)
        case ["cover", ("open" | "closed") as state]:
            simulator.set_cover(opened=state == "open")
        case ["drawer", ("open" | "closed") as state]:
            simulator.machine.drawer_open = state == "open"
        case ["no-proof", ("on" | "off") as switch]:
            simulator.machine.proves = switch == "off"
        case _ if not simulator.cable.obey(words):
            raise ValueError(f"unknown: {line!r}; see the head of hw/escpos/simulator.py")


async def main(arguments: list[str]) -> None:
    """Run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m hw.escpos.simulator")
    parser.add_argument("--listen", default="127.0.0.1:9100", metavar="HOST:PORT")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="append receipts as JSON lines")
    parser.add_argument("--png", type=Path, metavar="FOLDER", help="draw each receipt there")
    parser.add_argument("--link", type=Path, metavar="PATH", help="a serial port instead")
    options = parser.parse_args(arguments)
    host, _, port = options.listen.rpartition(":")
    simulator = EscposSimulator(keep=options.keep, pictures=options.png)
    try:
        if options.link is not None:
            address: tuple[str, int] | str = simulator.plug(options.link).removeprefix("serial:")
        else:
            address = await simulator.listen(host, int(port))
        await serve(address, lambda line: obey(simulator, line))
    finally:
        await simulator.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
