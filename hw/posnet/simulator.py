"""A POSNET ONLINE fiscal printer on a real socket or pseudo-terminal.

    python -m hw.posnet.simulator --listen 127.0.0.1:6666 --keep receipts.jsonl --png FOLDER

prints the address it listens on, then keeps every document as one JSON line `{"kind",
"number", "text"}` (and as `FOLDER/number.png`). Accidents are switched by lines on standard
input:

`drop-before NAME`, `drop-after NAME [N]` (cut the connection when that command comes: not
executed, executed; then refuse N), `half NAME` (half of its answer, then a cut), `cut-in N`,
`cut-out N` (at the Nth byte received, sent), `noise`, `bad-crc`, `mute`, `stale`, `twice`
`on | off` (garbage before, a damaged checksum on, no answer at all, an old answer before, or
twice, each answer),
`slow SECONDS`, `hang on | off` (dead), `operator on | off` (waits for a person; `!` commands are
answered), `paper out | out after N | low | ok`, `cover open | closed`, `busy on | off`
(another computer sells), `refuse N` (that many connections), `power` (all lines cut, working
memory lost), `foreign GROSZ` (another computer sells something), `midnight` (it is the next
day), `office ok | failed`.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from hw.console import Lines
from hw.fiscal_machine import FiscalMachine, Sold
from hw.paper import draw
from hw.posnet.codec import Frame, FrameParser
from hw.posnet.machine import PosnetMachine
from hw.transports.pty import PtyPort

READ_SIZE = 4096

NOISE = b"\x00\xff#\x09\x02half a frame\x09"
"""Ends within a frame that never ends."""


@dataclass(slots=True)
class Faults:
    """What goes wrong on the line."""

    drop_before: str = ""
    drop_after: str = ""
    half: str = ""
    """Commands at which it strikes, once."""

    noise: bool = False
    bad_crc: bool = False
    mute: bool = False
    stale: bool = False
    twice: bool = False
    hang: bool = False
    slow_s: float = 0.0
    refuse: int = 0
    then_refuse: int = 0
    """So many connections after the next drop."""

    cut_in: int | None = None
    cut_out: int | None = None
    """Both count down, and are over once they have struck."""


@dataclass(slots=True, eq=False)
class _Connection:
    """One computer."""

    write: Callable[[bytes], None]
    drop: Callable[[], None]
    parser: FrameParser = field(default_factory=FrameParser)
    queue: list[Frame] = field(default_factory=list)
    gone: bool = False
    before: bytes = b""
    """The last answer, for `stale`."""

    def cut(self) -> None:
        """End it at once."""
        if not self.gone:
            self.gone = True
            self.drop()


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
        self.replug = False
        """A serial cable that was pulled is put back at once."""

        self.machine = PosnetMachine(self.module)
        self.faults = Faults()
        self._keep, self._pictures, self._kept = keep, pictures, 0
        self._server: asyncio.Server | None = None
        self._port: PtyPort | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: list[_Connection] = []
        self._running = asyncio.Event()
        self._running.set()

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
            port.write(data)

        def drop() -> None:
            port.unplug()
            if self.replug:
                self._connections.remove(connection)
                self.plug(link)

        connection = _Connection(write, drop)
        self._connections.append(connection)

        async def serve() -> None:
            while not connection.gone:
                await self._take(connection, await received.get())

        self._start(serve())
        return port.url

    async def close(self) -> None:
        """Switch off: connections end; counters and memories stay in `module`."""
        if self._server is not None:
            self._server.close()
        if self._port is not None:
            self._port.unplug()
        for task in (tasks := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._connections.clear()
        self.record()

    def set_hang(self, *, hang: bool) -> None:
        """Stop reading and answering, or go on with what has arrived."""
        self.faults.hang = hang
        if hang:
            self._running.clear()
        else:
            self._running.set()

    def lose_power(self) -> None:
        """All lines are cut, working memory is lost; it is on again at once."""
        for connection in self._connections:
            connection.queue.clear()
            connection.cut()
        self.machine.lose_power()

    def resume(self) -> None:
        """Do what was waiting for help, even if who sent it has gone."""
        for connection in list(self._connections):
            self._work(connection)

    def record(self) -> None:
        """Write finished documents down."""
        for document in self.module.documents[self._kept :]:
            self._kept += 1
            if self._keep is not None:
                row = {"kind": document.kind, "number": document.number, "text": document.text}
                with self._keep.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
            if self._pictures is not None:
                draw(document.paper, self._pictures / f"{document.number}.png")

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.faults.refuse > 0:
            self.faults.refuse -= 1
            writer.transport.abort()
            return
        self._start(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writer.write, writer.transport.abort)
        self._connections.append(connection)
        try:
            while data := await reader.read(READ_SIZE):
                await self._take(connection, data)
        except OSError:
            pass
        finally:
            connection.gone = True
            if not connection.queue:  # else it is done when somebody has helped
                self._connections.remove(connection)
            writer.close()

    async def _take(self, connection: _Connection, data: bytes) -> None:
        await self._running.wait()
        if self.faults.slow_s:
            await asyncio.sleep(self.faults.slow_s)
        faults = self.faults
        if faults.cut_in is not None:
            data = data[: faults.cut_in]
            faults.cut_in -= len(data)
        connection.queue += [] if connection.gone else connection.parser.feed(data)
        self._work(connection)
        if faults.cut_in == 0:
            faults.cut_in = None
            connection.cut()

    def _work(self, connection: _Connection) -> None:
        """Answer what has arrived: `!` at once, the rest in order and while not stopped."""
        for frame in [f for f in connection.queue if f.name.startswith("!")]:
            connection.queue.remove(frame)
            self._answer(connection, self.machine.answer(frame))
        while connection.queue and not self.machine.stopped:
            frame = connection.queue[0]
            if self.machine.runs_dry(frame):
                return
            del connection.queue[0]
            self._execute(connection, frame)
        self.record()

    def _execute(self, connection: _Connection, frame: Frame) -> None:
        faults = self.faults
        if faults.drop_before == frame.name:
            faults.drop_before = ""
            connection.queue.clear()
            connection.cut()
            return
        answer = self.machine.answer(frame)
        self.record()  # what is confirmed is on record first
        if faults.drop_after == frame.name:
            faults.drop_after = ""
            faults.refuse, faults.then_refuse = faults.refuse + faults.then_refuse, 0
            connection.cut()
        elif faults.half == frame.name:
            faults.half = ""
            self._answer(connection, answer[: len(answer) // 2])
            connection.cut()
        else:
            self._answer(connection, answer)

    def _answer(self, connection: _Connection, data: bytes) -> None:
        faults = self.faults
        if faults.mute:
            return
        before, connection.before = connection.before, data
        if faults.bad_crc:
            data = data[:-2] + bytes((data[-2] ^ 1,)) + data[-1:]
        if faults.noise:
            data = NOISE + data
        if faults.stale:
            data = before + data
        if faults.twice:
            data *= 2
        if faults.cut_out is not None:
            data = data[: faults.cut_out]
            faults.cut_out -= len(data)
        if not connection.gone:
            connection.write(data)
        if faults.cut_out == 0:
            faults.cut_out = None
            connection.cut()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="simulated fiscal printer")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_SWITCHES = {"noise", "bad-crc", "mute", "stale", "twice"}


def obey(simulator: PosnetSimulator, line: str) -> None:
    """Do what one line of the console says.

    Raises:
        ValueError: It says nothing we know.
    """
    words = line.split()
    if not (_obey_line(simulator, words) or _obey_device(simulator, words)):
        raise ValueError(f"unknown: {line!r}; see the head of hw/posnet/simulator.py")
    simulator.resume()


def _obey_line(simulator: PosnetSimulator, words: list[str]) -> bool:
    """Accidents of the line; whether it was one."""
    faults = simulator.faults
    match words:
        case [("drop-before" | "drop-after" | "half") as name, order]:
            setattr(faults, name.replace("-", "_"), order)
        case ["drop-after", order, count]:
            faults.drop_after, faults.then_refuse = order, int(count)
        case [name, ("on" | "off") as switch] if name in _SWITCHES:
            setattr(faults, name.replace("-", "_"), switch == "on")
        case ["hang", ("on" | "off") as switch]:
            simulator.set_hang(hang=switch == "on")
        case ["slow", seconds]:
            faults.slow_s = float(seconds)
        case [("cut-in" | "cut-out" | "refuse") as name, count]:
            setattr(faults, name.replace("-", "_"), int(count))
        case _:
            return False
    return True


def _obey_device(simulator: PosnetSimulator, words: list[str]) -> bool:
    """Accidents of the printer; whether it was one."""
    machine, module = simulator.machine, simulator.module
    match words:
        case ["operator", ("on" | "off") as switch]:
            machine.operator = 3 * (switch == "on")
        case ["busy", ("on" | "off") as switch]:
            machine.busy = switch == "on"
        case ["paper", "out", "after", lines]:
            machine.lines_left = int(lines)
        case ["paper", ("out" | "low" | "ok") as state]:
            machine.paper_out, machine.paper_low = state == "out", state == "low"
        case ["cover", ("open" | "closed") as state]:
            machine.cover_open = state == "open"
        case ["power"]:
            simulator.lose_power()
        case ["foreign", grosz]:
            _sell_elsewhere(module, int(grosz))
        case ["midnight"]:
            simulator.days += 1
        case ["office", ("ok" | "failed") as state]:
            setattr(machine, "reached_at" if state == "ok" else "failed_at", module.now())
        case _:
            return False
    return True


def _sell_elsewhere(module: FiscalMachine, grosz: int) -> None:
    draft, module.draft = module.draft, None
    module.open()
    module.sell(Sold(name="OBCY", letter="A", milli=1000, price=grosz, total=grosz))
    module.finish()
    module.draft = draft


async def main(arguments: list[str]) -> None:
    """Run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m hw.posnet.simulator")
    parser.add_argument("--listen", default="127.0.0.1:6666", metavar="HOST:PORT")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="append documents as JSON lines")
    parser.add_argument("--png", type=Path, metavar="FOLDER", help="draw each document there")
    options = parser.parse_args(arguments)
    host, _, port = options.listen.rpartition(":")
    simulator = PosnetSimulator(keep=options.keep, pictures=options.png)
    try:
        address = await simulator.listen(host, int(port))
        sys.stdout.write(f"{address[0]}:{address[1]}\n")
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
