"""A bad line: cuts at a byte, delays, throttles, goes silent; each way, and under TLS."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

UP, DOWN = "up", "down"
HANG_UP, RESET, SILENT = "hang up", "reset", "silent"
WHOLE_SOCKET = 1 << 16


@dataclass(frozen=True)
class Weather:
    """What befalls every call made from now on."""

    way: str = UP
    """Whose bytes are counted: `UP` from who dialled, `DOWN` to it."""

    after: int | None = None
    """Bytes of a call that get through that way; None: all."""

    how: str = HANG_UP
    """What happens then. `SILENT` carries nothing more either way, and hangs up never."""

    piece: int = WHOLE_SOCKET
    """Bytes at a time."""

    delay_s: float = 0.0
    """Before each piece."""


FAIR = Weather()


class Line:
    """One listening socket that leads to another; `weather` may change at any time."""

    def __init__(self, host, port):
        self.target, self.weather, self.down = (host, port), FAIR, False
        self.counts = Counter()
        """Faults that happened, by name."""

        self.cuts = set()
        """(way, number of bytes) at which a call was cut."""

        self.longest = Counter()
        """Most bytes that a call has carried, by way."""

        self.moved = {UP: asyncio.Event(), DOWN: asyncio.Event()}
        self._server, self._calls, self._only_while = None, set(), None

    async def start(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    def cut(self):
        """Drop what is connected and whatever knocks."""
        self.down = True
        self.drop()

    def drop(self):
        """Drop what is connected."""
        self.counts["dropped calls"] += len(self._calls)
        for call in self._calls:
            call.cancel()

    def calls_only_while(self, condition):
        """Take calls only while something holds; None: always."""
        self._only_while = condition

    def heal(self):
        """Carry everything again; calls that went silent end."""
        self.down, self.weather = False, FAIR
        for call in self._calls:
            if getattr(call, "silent", False):
                call.cancel()

    async def close(self):
        self.cut()
        if self._server is not None:
            self._server.close()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _accept(self, reader, writer):
        if self.down or (self._only_while and not self._only_while()):
            writer.transport.abort()
            return
        call = _Call(self, reader, writer)
        task = asyncio.create_task(call.carry())
        call.task = task
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)


class _Call:
    def __init__(self, line, reader, writer):
        self.line, self.reader, self.writer, self.weather = line, reader, writer, line.weather
        self.carried, self.task = Counter(), None

    async def carry(self):
        away, pumps, reset = None, [], False
        try:
            back, away = await asyncio.open_connection(*self.line.target)
            pumps = [
                asyncio.create_task(self._pump(UP, self.reader, away)),
                asyncio.create_task(self._pump(DOWN, back, self.writer)),
            ]
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            how = next((pump.result() for pump in done if pump.result()), None)
            reset = how == RESET
            if how == SILENT:
                for pump in pumps:
                    pump.cancel()
                self.task.silent = True
                await asyncio.Event().wait()
        except OSError:
            reset = True
        except asyncio.CancelledError:
            reset = True
            raise
        finally:
            for pump in pumps:
                pump.cancel()
            for side in (self.writer, away):
                if side is not None:
                    side.transport.abort() if reset else side.close()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, way, source, sink):
        """Carry one way; return how the weather ended it, or None where the call ended."""
        weather, line = self.weather, self.line
        limit = weather.after if weather.way == way else None
        with suppress(OSError):
            while True:
                if limit is not None and self.carried[way] >= limit:
                    line.cuts.add((way, limit))
                    line.counts[f"cut, {weather.how}"] += 1
                    return weather.how
                data = await source.read(weather.piece)
                if not data:
                    break
                if weather.delay_s:
                    line.counts["delayed pieces"] += 1
                    await asyncio.sleep(weather.delay_s)
                if limit is not None:
                    data = data[: limit - self.carried[way]]
                sink.write(data)
                self.carried[way] += len(data)
                line.longest[way] = max(line.longest[way], self.carried[way])
                line.moved[way].set()
                await sink.drain()
        return None
