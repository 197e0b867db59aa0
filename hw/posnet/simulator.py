"""A POSNET ONLINE fiscal printer on a real socket or pseudo-terminal.

    python -m hw.posnet.simulator --listen 127.0.0.1:6666 --keep receipts.jsonl --png FOLDER

prints the address it listens on, then keeps every document as one JSON line `{"kind",
"number", "text"}` (and as `FOLDER/number.png`). Accidents are switched by lines on standard
input: those of `hw.fiscal_faults`, and

`bad-crc`, `twice` `on | off` (a damaged checksum on each answer; each twice), `operator on |
off` (waits for a person; `!` commands are answered), `busy on | off` (another computer sells),
`office ok | failed` (the printer's own sending to the tax office).
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from hw import fiscal_faults
from hw.console import serve
from hw.fiscal_faults import Faults, Tray
from hw.fiscal_machine import FiscalMachine
from hw.posnet.codec import Frame, FrameParser
from hw.posnet.machine import PosnetMachine
from hw.transports.pty import PtyPort

READ_SIZE = 4096

NOISE = b"\x00\xff#\x09\x02half a frame\x09"
"""Ends within a frame that never ends."""


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
        self._tray = Tray(keep, pictures)
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
        for connection in list(self._connections):
            connection.queue.clear()
            connection.cut()
        self.machine.lose_power()

    def resume(self) -> None:
        """Do what was waiting for help, even if who sent it has gone."""
        for connection in list(self._connections):
            self._work(connection)

    def record(self) -> None:
        """Write finished documents down."""
        self._tray.take(self.module.documents)

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
        faults, name = self.faults, frame.name
        if faults.strikes("drop_before", name):
            connection.queue.clear()
            connection.cut()
            return
        if faults.strikes("ignore", name):
            return
        answer = self.machine.answer(frame)
        self.record()  # what is confirmed is on record first
        if faults.strikes("drop_after", name):
            connection.cut()
        elif faults.strikes("half", name):
            self._answer(connection, answer[: len(answer) // 2])
            connection.cut()
        elif not faults.strikes("lose", name):
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
    words, machine = line.split(), simulator.machine
    match words:
        case ["operator", ("on" | "off") as switch]:
            machine.operator = 3 * (switch == "on")
        case ["busy", ("on" | "off") as switch]:
            machine.busy = switch == "on"
        case ["office", ("ok" | "failed") as state]:
            moment = "reached_at" if state == "ok" else "failed_at"
            setattr(machine, moment, simulator.module.now())
        case _ if not fiscal_faults.obey(simulator, words, _SWITCHES):
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
