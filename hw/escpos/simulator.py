"""A receipt printer on a real socket or pseudo-terminal, for tests and for the demo.

    python -m hw.escpos.simulator --listen 127.0.0.1:0 --keep receipts.jsonl

prints the address it listens on, then keeps every finished receipt as one JSON line
`{"text", "job", "at"}` (`job`: process id or null; `at`: Unix milliseconds), written
before the printer confirms. Accidents are switched by lines on standard input:
`paper out | out after N | low | ok`, `cover open | closed`, `drop-job on | off` (cut the
connection before printing), `drop-answer on | off` (print, then cut it), `cut-in N`,
`cut-out N` (cut it at the Nth byte received, sent), `hang on | off`, `slow SECONDS`,
`no-proof on | off` (as models without `GS ( H`), `empty-status on | off`,
`noise on | off` (before each status).
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from hw.console import Lines
from hw.escpos.machine import Interpreter, Machine
from hw.transports.pty import PtyPort

READ_SIZE = 4096

NOISE = b"\x00\xff\x37\x80\x0f"
"""No status byte, although one of them looks like the head of an answer."""


@dataclass(slots=True)
class Faults:
    """What goes wrong on the line; what goes wrong with the paper is the machine's."""

    drop_job: bool = False
    drop_answer: bool = False
    no_proof: bool = False
    hang: bool = False
    slow_s: float = 0.0
    empty_status: bool = False
    noise: bool = False
    cut_in: int | None = None
    cut_out: int | None = None
    """Both count down, and are over once they have struck."""


class EscposSimulator:
    """One printer; any number of connections print on the same paper."""

    def __init__(
        self,
        *,
        keep: Path | None = None,
        columns: int = 48,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.machine = Machine(columns=columns)
        self.faults = Faults()
        self._keep: TextIO | None = keep.open("a", encoding="utf-8") if keep else None
        self._kept = 0
        self._now_ms = now_ms
        self._running = asyncio.Event()
        self._running.set()
        self._server: asyncio.Server | None = None
        self._port: PtyPort | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: list[_Connection] = []

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Switch on, on the network; the address, with the port chosen if it was 0."""
        self._server = await asyncio.start_server(self._accept, host, port)
        name = self._server.sockets[0].getsockname()
        return name[0], name[1]

    def plug(self, link: Path) -> str:
        """Switch on, on a serial port reached through `link`; its URL."""
        received: asyncio.Queue[bytes] = asyncio.Queue()
        port = self._port = PtyPort(link, received.put_nowait)
        port.plug()

        def write(data: bytes) -> None:
            port.write(data)  # answers are a few bytes; what does not fit is lost

        connection = self._connect(write, port.unplug)

        async def serve() -> None:
            while True:
                await connection.take(await received.get())

        self._start(serve())
        return port.url

    async def close(self) -> None:
        """Switch off: connections end, what was not printed is forgotten."""
        if self._server is not None:
            self._server.close()
        if self._port is not None:
            self._port.unplug()
        for task in (tasks := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._connections.clear()
        self.record(settled=True)
        if self._keep is not None:
            self._keep.close()

    def set_hang(self, *, hang: bool) -> None:
        """Stop reading and answering, or go on with what has arrived."""
        self.faults.hang = hang
        if hang:
            self._running.clear()
        else:
            self._running.set()

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
        for connection in self._connections:
            connection.interpreter.work()
        if not self.machine.stopped:
            self._connections = [c for c in self._connections if not c.gone]
        self.record(settled=True)

    def record(self, *, settled: bool = False) -> None:
        """Write finished receipts; the last one only once its job is known (`settled`)."""
        receipts = self.machine.receipts
        waiting = not settled and any(c.interpreter.just_cut for c in self._connections)
        for receipt in receipts[self._kept : len(receipts) - waiting]:
            self._kept += 1
            if self._keep is not None:
                row = {"text": receipt.text, "job": receipt.job, "at": self._now_ms()}
                self._keep.write(json.dumps(row, ensure_ascii=False) + "\n")
                self._keep.flush()

    async def wait(self) -> None:
        """Stand still while hanging or slow."""
        await self._running.wait()
        if self.faults.slow_s:
            await asyncio.sleep(self.faults.slow_s)

    def _connect(self, write: Callable[[bytes], None], drop: Callable[[], None]) -> "_Connection":
        connection = _Connection(self, write, drop)
        self._connections.append(connection)
        return connection

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._start(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = self._connect(writer.write, writer.transport.abort)
        try:
            while data := await reader.read(READ_SIZE):
                await connection.take(data)
        except OSError:
            pass
        finally:
            connection.gone = True
            if not self.machine.stopped:  # else it prints when somebody has helped it
                self._connections.remove(connection)
            self.record(settled=True)
            writer.close()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="simulated printer")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Connection:
    """One host; applies the faults of the line in both directions."""

    def __init__(
        self,
        simulator: EscposSimulator,
        write: Callable[[bytes], None],
        drop: Callable[[], None],
    ) -> None:
        self.interpreter = Interpreter(simulator.machine, self._answer)
        self.gone = False
        self._simulator = simulator
        self._write = write
        self._drop = drop

    async def take(self, data: bytes) -> None:
        """Bytes from the host."""
        await self._simulator.wait()
        faults = self._simulator.faults
        if faults.drop_job and b"\x1b@" in data:
            self._cut()
        if faults.cut_in is not None:
            data = data[: faults.cut_in]
            faults.cut_in -= len(data)
        if not self.gone:
            self.interpreter.feed(data)
            self._simulator.record()
        if faults.cut_in == 0:
            faults.cut_in = None
            self._cut()

    def _answer(self, data: bytes) -> None:
        """Bytes to the host."""
        faults = self._simulator.faults
        if data[0] == 0x37:  # the proof; what it proves must be on record first
            self._simulator.record(settled=True)
            if faults.drop_answer:
                self._cut()
            if faults.no_proof:
                return
        elif faults.empty_status:
            return
        elif faults.noise:
            data = NOISE + data
        if faults.cut_out is not None:
            data = data[: faults.cut_out]
            faults.cut_out -= len(data)
        if not self.gone:
            self._write(data)
        if faults.cut_out == 0:
            faults.cut_out = None
            self._cut()

    def _cut(self) -> None:
        if not self.gone:
            self.gone = True
            self._drop()


_SWITCHES = {"drop-job", "drop-answer", "no-proof", "empty-status", "noise"}


def obey(simulator: EscposSimulator, line: str) -> None:
    """Do what one line of the console says.

    Raises:
        ValueError: It says nothing we know.
    """
    faults = simulator.faults
    match line.split():
        case ["paper", "out", "after", lines]:
            simulator.set_paper("out", int(lines))
        case ["paper", ("out" | "low" | "ok") as state]:
            simulator.set_paper(state)
        case ["cover", ("open" | "closed") as state]:
            simulator.set_cover(opened=state == "open")
        case ["hang", ("on" | "off") as switch]:
            simulator.set_hang(hang=switch == "on")
        case [name, ("on" | "off") as switch] if name in _SWITCHES:
            setattr(faults, name.replace("-", "_"), switch == "on")
        case ["slow", seconds]:
            faults.slow_s = float(seconds)
        case [("cut-in" | "cut-out") as name, count]:
            setattr(faults, name.replace("-", "_"), int(count))
        case _:
            raise ValueError(f"unknown: {line!r}; see the head of hw/escpos/simulator.py")


async def main(arguments: list[str]) -> None:
    """Run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m hw.escpos.simulator")
    parser.add_argument("--listen", default="127.0.0.1:9100", metavar="HOST:PORT")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="append receipts as JSON lines")
    parser.add_argument("--link", type=Path, metavar="PATH", help="a serial port instead")
    options = parser.parse_args(arguments)
    host, _, port = options.listen.rpartition(":")
    simulator = EscposSimulator(keep=options.keep)
    try:
        if options.link is not None:
            where = simulator.plug(options.link).removeprefix("serial:")
        else:
            where = "{}:{}".format(*await simulator.listen(host, int(port)))
        sys.stdout.write(f"{where}\n")
        sys.stdout.flush()
        async for line in Lines(sys.stdin):
            try:
                obey(simulator, line)
            except ValueError as error:
                sys.stderr.write(f"{error}\n")
    finally:
        await simulator.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
