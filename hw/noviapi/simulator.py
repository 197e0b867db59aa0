"""A NoviAPI fiscal printer on a real socket.

    python -m hw.noviapi.simulator --listen 127.0.0.1:8888 --keep receipts.jsonl --png FOLDER

prints the address it listens on, then keeps every document as one JSON line `{"kind",
"number", "text"}` (and as `FOLDER/number.png`). Accidents are switched by lines on standard
input: those of the line (`hw.simulated_line`; an order is named as `PUT:receipt`, `stale` makes
every token void, `damage` spoils the JSON), those of every fiscal printer (`hw.fiscal_faults`;
stored requests are kept when the power is lost), and

`busy on | off` (another computer took the port: 403), `forget` (its queue is erased).
"""

import argparse
import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from aiohttp import web

from hw import fiscal_faults
from hw.console import serve
from hw.fiscal_faults import Tray
from hw.fiscal_machine import FiscalMachine
from hw.noviapi.machine import (
    Conflict,
    Invalid,
    NotThere,
    NoviapiMachine,
    Request,
    TooMany,
)
from hw.simulated_line import Cable, Line

READ_SIZE = 4096
NOISE = b"\x00\xff#\r\n"
SWITCHES = ("noise", "damage", "mute", "stale")
NEVER_S = 3600.0
"""Longer than anybody waits for an answer; a line that is closed ends the wait."""
KINDS = ("receipt", "daily_report", "status")


class NoviapiSimulator:
    """One printer. Its HTTP server stands behind a door that counts and cuts bytes."""

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

        self.module = module or FiscalMachine(
            now=lambda: now() + timedelta(days=self.days), unique_number="ZBN 1901007094"
        )
        self.machine = NoviapiMachine(self.module)
        self.cable = Cable(self._carry, noise=NOISE, switches=SWITCHES)
        self.faults = self.cable.faults
        self.busy = False
        """Another computer has the port."""

        self._tray = Tray(keep, pictures)
        self._runner: web.AppRunner | None = None
        self._inside = ("", 0)
        self._changed = asyncio.Condition()
        self._telling: set[asyncio.Task[None]] = set()

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Switch on; the address, with the port chosen if it was 0."""
        app = web.Application(middlewares=[self._around])
        app.router.add_get("/api/v1", self._hello)
        app.router.add_get("/api/v1/token", self._get_token)
        app.router.add_patch("/api/v1/token", self._patch_token)
        app.router.add_get("/api/v1/queue", self._queue)
        app.router.add_delete("/api/v1/queue", self._empty_queue)
        for kind in KINDS:
            app.router.add_post(f"/api/v1/{kind}", self._post)
            app.router.add_put(f"/api/v1/{kind}/{{id}}", self._put)
            app.router.add_get(f"/api/v1/{kind}/{{id}}", self._get)
            app.router.add_delete(f"/api/v1/{kind}/{{id}}", self._delete)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._inside = self._runner.addresses[0][:2]
        return await self.cable.listen(host, port)

    async def close(self) -> None:
        """Switch off; counters, memories and stored requests stay in `machine`."""
        await self.cable.close()
        await asyncio.gather(*self._telling, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        self.record()

    def lose_power(self) -> None:
        """All lines are cut; it is on again at once."""
        self.cable.cut_all()
        self.module.lose_power()

    def resume(self) -> None:
        """Do what was waiting for help."""
        self.machine.work()
        self.record()
        task = asyncio.create_task(self._notify())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    def record(self) -> None:
        """Write finished documents down."""
        self._tray.take(self.module.documents)

    # The door: what the cable brings goes to the HTTP server inside, and back.

    async def _carry(self, line: Line) -> None:
        reader, writer = await asyncio.open_connection(*self._inside)
        answering = asyncio.create_task(self._back(reader, line), name="simulated door")
        try:
            while data := await line.read():
                writer.write(data)
                await writer.drain()
            await _settled()  # what was let through must arrive before the line falls
        except OSError:
            pass
        finally:
            # First of all, and without waiting: closing may cancel us here too.
            line.cut()
            writer.transport.abort()
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    async def _back(self, reader: asyncio.StreamReader, line: Line) -> None:
        with suppress(OSError):
            while data := await reader.read(READ_SIZE):
                await self.cable.running.wait()
                if not self.faults.mute:
                    line.write(self._spoiled(data))
        line.cut()

    def _spoiled(self, data: bytes) -> bytes:
        if self.faults.damage:
            data = data.replace(b'"', b"'")
        return self.cable.noise * self.faults.noise + data

    # The printer.

    @web.middleware
    async def _around(
        self,
        request: web.Request,
        handler: Callable[[web.Request], object],
    ) -> web.StreamResponse:
        faults = self.faults
        name = (
            f"{request.method}:{request.path.split('/')[3] if request.path.count('/') > 2 else ''}"
        )
        if faults.strikes("drop_before", name):
            return self._dropped(request)
        if faults.strikes("ignore", name):
            await asyncio.sleep(NEVER_S)
        if not name.endswith((":", ":token")) and (refused := self._authorised(request)):
            return refused
        response = await _answered(request, handler)
        if faults.strikes("drop_after", name):
            return self._dropped(request)
        if faults.strikes("lose", name):
            await asyncio.sleep(NEVER_S)
        if faults.strikes("half", name):
            faults.cut_out = 60
        return response

    def _dropped(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _authorised(self, request: web.Request) -> web.Response | None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.busy:
            return _exception(403, 3, "Multiple access")
        if self.faults.stale or not self.machine.knows(token):
            return _exception(401, 2, "Unauthorized")
        return None

    async def _hello(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _get_token(self, _: web.Request) -> web.Response:
        return web.json_response(self.machine.new_token())

    async def _patch_token(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        told = self.machine.refreshed(token)
        return _exception(401, 2, "Unauthorized") if told is None else web.json_response(told)

    async def _queue(self, _: web.Request) -> web.Response:
        waiting = [
            r for r in self.machine.requests.values() if r.state in {"STORED", "QUEUED", "PENDING"}
        ]
        return web.json_response({"requests_in_queue": len(waiting)})

    async def _empty_queue(self, _: web.Request) -> web.Response:
        self.machine.empty_queue()
        return web.json_response({"status": "DELETED"})

    async def _post(self, request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except (ValueError, OSError) as wrong:  # the line fell in the middle of it
            raise Invalid(str(wrong)) from wrong
        stored = self.machine.post(_kind(request), body)
        return web.json_response({"request": {"status": "STORED", "id": stored.id}}, status=201)

    async def _put(self, request: web.Request) -> web.Response:
        found = self.machine.confirm(_kind(request), request.match_info["id"])
        self.machine.work()
        self.record()
        await self._notify()
        return web.json_response({"request": {"status": "CONFIRMED", "id": found.id}})

    async def _get(self, request: web.Request) -> web.Response:
        kind, number = _kind(request), request.match_info["id"]
        patience_s = int(request.query.get("timeout", "0")) / 1000
        found = self.machine.find(kind, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s), self._changed:
                await self._changed.wait_for(lambda: found.state in {"STORED", "DONE", "ERROR"})
        return web.json_response(self._check(found))

    def _check(self, found: Request) -> dict[str, object]:
        told: dict[str, object] = {"status": found.state, "id": found.id}
        if found.memory_id is not None:
            told["jpkid"] = found.memory_id
        if found.error is not None:
            told["error"] = {"code": found.error[0], "description": found.error[1]}
        if found.response:
            told["response"] = found.response
        return {"device": self.machine.trouble, "request": told}

    async def _delete(self, request: web.Request) -> web.Response:
        self.machine.delete(_kind(request), request.match_info["id"])
        return web.json_response({"request": {"status": "DELETED"}})

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


async def _settled() -> None:
    """A few turns, so that the inner server has read what it was given."""
    for _ in range(20):
        await asyncio.sleep(0)


async def _answered(
    request: web.Request, handler: Callable[[web.Request], object]
) -> web.StreamResponse:
    """The printer's answer, refusals too."""
    try:
        response: web.StreamResponse = await handler(request)  # type: ignore[misc]
    except NotThere:
        return _exception(404, 9, "Request not found")
    except Invalid as wrong:
        return _exception(400, 8, "JSON Validation Error", errors=[str(wrong)])
    except Conflict as wrong:
        return _exception(409, 10, str(wrong))
    except TooMany as wrong:
        return _exception(429, 11, "Too many tokens", allowed_refresh_date=str(wrong))
    return response


def _kind(request: web.Request) -> str:
    """The word after `/api/v1/`."""
    return [*request.path.split("/"), ""][3]


def _exception(status: int, code: int, description: str, **more: object) -> web.Response:
    told = {"code": code, "description": description, **more}
    return web.json_response({"exception": told}, status=status)


def obey(simulator: NoviapiSimulator, line: str) -> None:
    """Do what one line of the console says.

    Raises:
        ValueError: It says nothing we know.
    """
    words = line.split()
    match words:
        case ["forget"]:
            simulator.machine.forget()
        case ["busy", ("on" | "off") as switch]:
            simulator.busy = switch == "on"
        case ["power"]:
            simulator.lose_power()
        case _ if not (simulator.cable.obey(words) or fiscal_faults.obey(simulator, words)):
            raise ValueError(f"unknown: {line!r}; see the head of hw/noviapi/simulator.py")
    simulator.resume()


async def main(arguments: list[str]) -> None:
    """Run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m hw.noviapi.simulator")
    parser.add_argument("--listen", default="127.0.0.1:8888", metavar="HOST:PORT")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="append documents as JSON lines")
    parser.add_argument("--png", type=Path, metavar="FOLDER", help="draw each document there")
    options = parser.parse_args(arguments)
    host, _, port = options.listen.rpartition(":")
    simulator = NoviapiSimulator(keep=options.keep, pictures=options.png)
    try:
        address = await simulator.listen(host, int(port))
        await serve(address, lambda line: obey(simulator, line))
    finally:
        await simulator.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
