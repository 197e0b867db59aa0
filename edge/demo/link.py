"""The line between a shop and head office: it can be cut and healed, and counts bytes.

What it counts is what the shop pays for: payload, framing and TLS, both ways.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

READ_SIZE = 1 << 16


class LinkCutter:
    """One listening socket; every connection to it is carried on to head office."""

    def __init__(self, host: str, port: int) -> None:
        """Lead to an address; nothing listens yet."""
        self.up_bytes = 0
        """From the shop."""

        self.down_bytes = 0
        """To the shop."""

        self._target = (host, port)
        self._whole = True
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[None]] = set()

    @property
    def whole(self) -> bool:
        """Not cut."""
        return self._whole

    @property
    def total_bytes(self) -> int:
        """Both ways."""
        return self.up_bytes + self.down_bytes

    async def start(self) -> int:
        """Listen on this machine; return the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """Drop what is connected, and whatever knocks from now on."""
        self._whole = False
        for call in self._calls:
            call.cancel()

    def heal(self) -> None:
        """Carry again."""
        self._whole = True

    async def close(self) -> None:
        """Stop for good."""
        self.cut()
        if self._server is not None:
            self._server.close()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        call = asyncio.create_task(self._carry(reader, writer), name="call to head office")
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        away: asyncio.StreamWriter | None = None
        pumps: list[asyncio.Task[None]] = []
        try:
            back, away = await asyncio.open_connection(*self._target)
            pumps = [
                asyncio.create_task(_pump(reader, away, self._count_up)),
                asyncio.create_task(_pump(back, writer, self._count_down)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass  # head office is down: the shop finds its own call dropped
        finally:
            for pump in pumps:
                pump.cancel()
            for side in (writer, away):
                if side is not None:
                    side.transport.abort() if not self._whole else side.close()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*pumps, return_exceptions=True)

    def _count_up(self, size: int) -> None:
        self.up_bytes += size

    def _count_down(self, size: int) -> None:
        self.down_bytes += size


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, count: Callable[[int], None]
) -> None:
    with suppress(OSError):
        while data := await source.read(READ_SIZE):
            sink.write(data)
            count(len(data))
            await sink.drain()
