"""Requests to a NoviAPI printer: tokens, time-outs, and errors as a shop needs them.

Each request has a connection of its own, so that nothing is sent twice behind our back: a
kept connection that broke would be tried again by the library.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp

from hw.answer import read_answer
from hw.errors import DeviceRefused, DeviceUnavailable
from hw.noviapi.codec import Body, Check, read_check, read_error, read_id, read_json

API = "/api/v1"
LARGEST = 256 * 1024
"""Bytes of an answer; the longest ones, of a status, have a few thousand."""

LONGEST_POLL_S = 2.0
"""One question about a request; then it is asked again."""


class NotThere(DeviceUnavailable):
    """The printer knows of no such request."""


class InTheWay(DeviceRefused):
    """Something else waits in the printer's queue (409)."""


class Session:
    """One printer; one caller at a time."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        timeout_s: float,
        token: Mapping[str, Any],
        keep_token: Callable[[Mapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Take what is needed; nothing is sent yet.

        Args:
            name: Of the device, for messages.
            url: `http://host:port`.
            timeout_s: For one answer, beyond what the printer was asked to wait.
            token: The last one, kept over restarts: the printer gives only ten an hour.
            keep_token: Keeps another.
        """
        self._name = name
        self._base = url.rstrip("/").removesuffix(API) + API
        self._timeout_s = timeout_s
        self._token = str(token.get("token", ""))
        self._keep_token = keep_token
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Let go. Harmless when repeated."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def hello(self) -> None:
        """Whether anybody is there; needs no token.

        Raises:
            DeviceUnavailable: Nobody.
        """
        await self._send("GET", "", token=None)

    async def store(self, kind: str, body: Body) -> str:
        """Store an order; nothing is done until `confirm`.

        Returns:
            The id it was given.

        Raises:
            DeviceRefused: The printer does not take it.
            DeviceUnavailable: No answer; what may be stored is never done.
        """
        return read_id(await self._call("POST", f"/{kind}", body))

    async def confirm(self, kind: str, number: str) -> None:
        """Have a stored order done, once.

        Raises:
            NotThere: There is no such order: it was not done, or is forgotten.
            DeviceUnavailable: No answer; it may be done.
        """
        await self._call("PUT", f"/{kind}/{number}")

    async def withdraw(self, kind: str, number: str) -> None:
        """Forget an order that was not confirmed.

        Raises:
            DeviceRefused: It is being done, or done.
            NotThere: There is no such order.
            DeviceUnavailable: No answer.
        """
        await self._call("DELETE", f"/{kind}/{number}")

    async def empty_queue(self) -> None:
        """Forget all orders that were not confirmed."""
        await self._call("DELETE", "/queue")

    async def check(self, kind: str, number: str, *, wait_s: float = 0.0) -> Check:
        """What became of an order; waits at the printer while it is not done.

        Raises:
            NotThere: It is not known there.
            DeviceUnavailable: No answer.
        """
        ms = int(1000 * min(wait_s, LONGEST_POLL_S))
        return read_check(
            await self._call("GET", f"/{kind}/{number}?timeout={ms}", wait_s=ms / 1000)
        )

    async def status(self, what: str) -> Check:
        """Ask the printer of itself: `device`, `fiscal_memory` or `protected_memory`.

        Returns:
            The check; its `status` is empty when the printer is stopped.

        Raises:
            DeviceUnavailable: No answer.
        """
        number = await self.store("status", {"status": {"type": what}})
        await self.confirm("status", number)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_s
        while True:
            check = await self.check("status", number, wait_s=LONGEST_POLL_S)
            if check.state == "DONE":
                return check
            if check.trouble is not None:
                return check
            if check.state == "ERROR" or loop.time() > deadline:
                raise DeviceUnavailable(
                    f"Printer {self._name}: expected its {what} status, got {check.state}.",
                    cure="Look at its display.",
                )

    async def _call(
        self, method: str, path: str, body: Body | None = None, *, wait_s: float = 0.0
    ) -> object:
        if not self._token:
            await self._new_token()
        status, told = await self._send(method, path, body, token=self._token, wait_s=wait_s)
        if status == 401:
            await self._refresh()
            status, told = await self._send(method, path, body, token=self._token, wait_s=wait_s)
        if status >= 400:
            raise self._error(f"{method} {path.partition('?')[0]}", status, told)
        return told

    async def _refresh(self) -> None:
        """The last token is good for another, even when it has run out; that costs none."""
        status, told = await self._send("PATCH", "/token", token=self._token)
        if status == 401:
            await self._new_token()
        elif status >= 400:
            raise self._error("PATCH /token", status, told)
        else:
            await self._keep(told)

    async def _new_token(self) -> None:
        status, told = await self._send("GET", "/token", token=None)
        if status >= 400:
            raise self._error("GET /token", status, told)
        await self._keep(told)

    async def _keep(self, told: object) -> None:
        token = told.get("token") if isinstance(told, dict) else None
        if not isinstance(token, str) or not token:
            raise DeviceUnavailable(
                f"Printer {self._name}: expected a token, got {str(told)[:100]!r}.",
                cure="Make sure that it is a NoviAPI printer.",
            )
        self._token = token
        await self._keep_token({"token": token})

    async def _send(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        token: str | None,
        wait_s: float = 0.0,
    ) -> tuple[int, object]:
        """One request on a connection of its own; status and JSON.

        Raises:
            DeviceUnavailable: No whole answer.
        """
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True),
                headers={"User-Agent": "NoviApi"},
            )
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        more: dict[str, Any] = {"json": body} if body is not None else {}
        if method == "PATCH":  # a body is demanded, and may be empty
            more = {"data": b"", "skip_auto_headers": ()}
            headers["Content-Type"] = "text/plain"
        try:
            async with self._client.request(
                method,
                self._base + path,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=self._timeout_s + wait_s),
                allow_redirects=False,
                **more,
            ) as response:
                data = await read_answer(response, LARGEST)
                return response.status, read_json(data) if data else None
        except (
            aiohttp.ClientError,
            TimeoutError,
            ValueError,
            OSError,
        ) as error:
            raise DeviceUnavailable(
                f"Printer {self._name} at {self._base}: expected an answer to "
                f"{method} {path.partition('?')[0] or '/'} within {self._timeout_s:g} s, "
                f"got {error!r}.",
                cure="Switch it on; check its network and that NoviAPI is active in its menu.",
            ) from error

    def _error(self, what: str, status: int, told: object) -> DeviceUnavailable | DeviceRefused:
        problem = f"Printer {self._name}: {what}: {read_error(told)} (HTTP {status})."
        match status:
            case 404:
                return NotThere(problem, cure="Order it anew.")
            case 409:
                return InTheWay(problem, cure="Wait for what is in its queue, or print the report.")
            case 400:
                return DeviceRefused(problem, cure="Report this with the receipt's lines.")
            case 403:
                return DeviceUnavailable(
                    problem, cure="Another program uses this port of the printer; give it its own."
                )
            case 429:
                return DeviceUnavailable(
                    problem, cure="Wait, or unblock tokens in the printer's service menu."
                )
            case 507:
                return DeviceRefused(
                    problem, cure="Its protected memory is full: call the service."
                )
        return DeviceUnavailable(problem, cure="Look at the printer's display.")
