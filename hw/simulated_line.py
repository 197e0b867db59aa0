"""The cable of a simulated device: a real socket or pty that can break anywhere.

One cable serves every simulator that has one. Accidents, as their consoles name them:
`drop-before NAME`, `drop-after NAME [N]` (cut the connection when that order comes: not carried
out, carried out; then refuse N), `half NAME` (half of its answer, then a cut), `lose NAME`
(carried out, and its answer never comes), `ignore NAME` (neither), `cut-in N`, `cut-out N` (at
the Nth byte received, sent), `noise`, `damage`, `mute`, `stale`, `twice` `on | off` (garbage
before, a damaged byte in, no answer at all, an old answer before, or twice, each answer), `slow
SECONDS`, `hang on | off` (dead), `refuse N` (that many connections), `power` (all lines cut).
What is named strikes once.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext

from hw.console import serve
from hw.transports.pty import PtyPort

READ_SIZE = 4096

SWITCHES = frozenset({"noise", "damage", "mute", "stale", "twice"})

NOISE = b"\x00\xff#\x1c"


@dataclass(slots=True)
class Faults:
    """What goes wrong on the line."""

    drop_before: str = ""
    drop_after: str = ""
    half: str = ""
    lose: str = ""
    ignore: str = ""
    """Orders at which it strikes, once."""

    noise: bool = False
    damage: bool = False
    mute: bool = False
    stale: bool = False
    twice: bool = False
    slow_s: float = 0.0
    refuse: int = 0
    then_refuse: int = 0
    """So many connections after the next drop."""

    cut_in: int | None = None
    cut_out: int | None = None
    """Both count down, and are over once they have struck."""

    def strikes(self, fault: str, order: str) -> bool:
        """Whether a named fault strikes now; it is over then."""
        if getattr(self, fault) != order:
            return False
        setattr(self, fault, "")
        if fault == "drop_after":
            self.refuse, self.then_refuse = self.refuse + self.then_refuse, 0
        return True


class Line:
    """One connection, seen from the device."""

    def __init__(
        self,
        cable: "Cable",
        receive: Callable[[], Awaitable[bytes]],
        send: Callable[[bytes], None],
        drop: Callable[[], None],
    ) -> None:
        self._cable, self._receive, self._send, self._drop = cable, receive, send, drop
        self.gone = False
        self._before = b""
        self._repeated = 0

    async def read(self) -> bytes:
        """What arrived; nothing once the line is cut."""
        faults = self._cable.faults
        if faults.cut_in == 0:
            faults.cut_in = None
            self.cut()
        if self.gone:
            return b""
        data = await self._receive()
        await self._cable.running.wait()
        if faults.slow_s:
            await asyncio.sleep(faults.slow_s)
        if faults.cut_in is not None:
            data = data[: faults.cut_in]
            faults.cut_in -= len(data)
        return b"" if self.gone else data

    def write(self, data: bytes) -> None:
        """Send bytes that are no answer, or what is left of one."""
        faults = self._cable.faults
        if self.gone:
            return
        if faults.cut_out is not None:
            data = data[: faults.cut_out]
            faults.cut_out -= len(data)
        self._send(data)
        if faults.cut_out == 0:
            faults.cut_out = None
            self.cut()

    def answer(self, name: str, data: bytes) -> None:
        """Send the answer to an order, with whatever goes wrong."""
        faults = self._cable.faults
        if faults.strikes("drop_after", name):
            self.cut()
        elif faults.strikes("half", name):
            self.write(data[: len(data) // 2])
            self.cut()
        elif not faults.strikes("lose", name) and not faults.mute:
            before, self._before, self._repeated = self._before, data, 0
            if faults.damage:
                middle = len(data) // 2
                data = data[:middle] + bytes((data[middle] ^ 0x01,)) + data[middle + 1 :]
            data *= 1 + faults.twice
            self.write(self._cable.noise * faults.noise + before * faults.stale + data)

    def again(self, sends: int) -> None:
        """The last answer once more, if it was not sent so often yet."""
        self._repeated += 1
        if self._before and self._repeated < sends:
            self.write(self._before)

    def dropped(self, name: str) -> bool:
        """Whether the line falls before this order is carried out, or swallows it."""
        if self._cable.faults.strikes("drop_before", name):
            self.cut()
            return True
        return self._cable.faults.strikes("ignore", name)

    def cut(self) -> None:
        """End it at once."""
        if not self.gone:
            self.gone = True
            self._drop()


class Cable:
    """Where lines come from: a listening socket, or a pty that is one line at a time."""

    def __init__(
        self,
        serve: Callable[[Line], Awaitable[None]],
        *,
        noise: bytes = NOISE,
        switches: Collection[str] = SWITCHES,
    ) -> None:
        """Nothing is plugged in yet.

        Args:
            serve: Runs a line until it ends.
            noise: Bytes that begin no answer of this protocol.
            switches: Accidents that this protocol knows.
        """
        self.faults = Faults()
        self.noise = noise
        self.running = asyncio.Event()
        self.running.set()
        self.replug = False
        """A serial cable that was pulled is put back at once."""

        self._serve = serve
        self._switches = switches
        self._server: asyncio.Server | None = None
        self._port: PtyPort | None = None
        self._lines: set[Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(
        self, host: str = "127.0.0.1", port: int = 0, *, tls: SSLContext | None = None
    ) -> tuple[str, int]:
        """Switch on, on the network; the address, with the port chosen if it was 0."""
        self._server = await asyncio.start_server(self._accept, host, port, ssl=tls)
        name = self._server.sockets[0].getsockname()
        return name[0], name[1]

    def plug(self, link: Path) -> str:
        """Switch on, on a serial port reached through `link`; its URL."""
        received: asyncio.Queue[bytes] = asyncio.Queue()
        port = self._port = PtyPort(link, received.put_nowait)
        port.plug()

        def send(data: bytes) -> None:
            port.write(data)

        def drop() -> None:
            port.unplug()
            received.put_nowait(b"")
            if self.replug:
                self.plug(link)

        self.join(received.get, send, drop)
        return port.url

    def join(
        self,
        receive: Callable[[], Awaitable[bytes]],
        send: Callable[[bytes], None],
        drop: Callable[[], None],
    ) -> Line:
        """Serve a line of any other kind.

        Args:
            receive: Waits for bytes; none: the line has ended.
            send: Bytes to the host.
            drop: Ends the line.
        """
        line = Line(self, receive, send, drop)
        self._start(line)
        return line

    def hang(self, *, on: bool) -> None:
        """Stop reading and answering, or go on with what has arrived."""
        if on:
            self.running.clear()
        else:
            self.running.set()

    async def close(self) -> None:
        """Switch off: lines end."""
        self.replug = False
        self.running.set()
        if self._server is not None:
            self._server.close()
        self.cut_all()
        for task in (tasks := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._port is not None:
            self._port.unplug()

    def cut_all(self) -> None:
        """Every line falls."""
        for line in list(self._lines):
            line.cut()

    def obey(self, words: list[str]) -> bool:
        """Accidents of the line; whether it was one."""
        faults = self.faults
        match words:
            case [("drop-before" | "drop-after" | "half" | "lose" | "ignore") as name, order]:
                setattr(faults, name.replace("-", "_"), order)
            case ["drop-after", order, count]:
                faults.drop_after, faults.then_refuse = order, int(count)
            case [name, ("on" | "off") as switch] if name in self._switches:
                setattr(faults, name, switch == "on")
            case ["hang", ("on" | "off") as switch]:
                self.hang(on=switch == "on")
            case ["slow", seconds]:
                faults.slow_s = float(seconds)
            case [("cut-in" | "cut-out" | "refuse") as name, count]:
                setattr(faults, name.replace("-", "_"), int(count))
            case ["power"]:
                self.cut_all()
            case _:
                return False
        return True

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.faults.refuse > 0:
            self.faults.refuse -= 1
            writer.transport.abort()
            return

        async def receive() -> bytes:
            try:
                return await reader.read(READ_SIZE)
            except OSError:
                return b""

        self.join(receive, writer.write, writer.transport.abort)

    def _start(self, line: Line) -> None:
        async def serve() -> None:
            try:
                await self._serve(line)
            finally:
                self._lines.discard(line)
                if not line.gone and not isinstance(self._port, PtyPort):
                    line.cut()

        self._lines.add(line)
        task = asyncio.create_task(serve(), name="simulated line")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def present(
    device: str,
    cable: Cable,
    obey: Callable[[str], None],
    arguments: list[str],
    *,
    listen: str,
) -> None:
    """Run a simulator as a program, on a socket or a pty, until it is interrupted.

    Args:
        device: Its folder in `hw`.
        cable: Its own.
        obey: Does what one line of the console says (`hw.console.serve`).
        arguments: Of the command line.
        listen: Where it listens unless told, as ``HOST:PORT``.
    """
    parser = argparse.ArgumentParser(prog=f"python -m hw.{device}.simulator")
    parser.add_argument("--listen", default=listen, metavar="HOST:PORT")
    parser.add_argument("--link", type=Path, metavar="PATH", help="a serial port instead")
    options = parser.parse_args(arguments)
    try:
        if options.link is not None:
            address = cable.plug(options.link)
        else:
            host, _, port = options.listen.rpartition(":")
            address = "tcp:{}:{}".format(*await cable.listen(host, int(port)))
        await serve(address, obey)
    finally:
        await cable.close()
