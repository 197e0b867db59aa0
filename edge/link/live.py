"""One conversation over one WebSocket, whoever dialled: listen, answer, push what is new."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import aiohttp
from aiohttp import web

from edge.link.carrier import LinkUnreachable
from edge.link.conversation import Conversation

Socket = aiohttp.ClientWebSocketResponse | web.WebSocketResponse


class Traffic(Protocol):
    """Counts payloads, before TLS and framing."""

    bytes_out: int
    bytes_in: int


async def _welcome() -> None:
    """Nobody has to look again whether the peer is welcome."""


async def speak(
    socket: Socket,
    talk: Conversation,
    woken: asyncio.Event,
    traffic: Traffic,
    *,
    heard: Callable[[], None],
    check: Callable[[], Awaitable[None]] = _welcome,
    turn: asyncio.Lock | None = None,
) -> None:
    """Speak until the socket closes.

    Args:
        socket: Open.
        talk: Has said nothing yet.
        woken: Set when there may be news.
        traffic: Counts.
        heard: Called when the peer has said something that made sense.
        check: Raises if the peer is not welcome any more; asked before each exchange.
        turn: Held while facts are sent.

    Raises:
        LinkUnreachable: The link broke while something was said.
        RemoteProtocolError, NewLifeNeeded, StoreDamaged: As `Conversation`.
        Exception: What `check` raises.
    """
    live = _Live(socket, talk, woken, traffic, check, turn or asyncio.Lock())
    await live.say([talk.greet()])
    pusher: asyncio.Task[None] | None = None
    try:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                continue
            traffic.bytes_in += len(message.data)
            await check()
            await live.say(await talk.take(message.data))
            heard()
            if pusher is None:
                pusher = asyncio.create_task(live.push())
                pusher.add_done_callback(live.hang_up)
            woken.set()  # an acknowledgement may have opened the window
            if pusher.done():
                break
    finally:
        if pusher is not None:
            pusher.cancel()
            await asyncio.gather(pusher, return_exceptions=True)
    if pusher is not None and not pusher.cancelled():
        pusher.result()


class _Live:
    """The sending side."""

    def __init__(
        self,
        socket: Socket,
        talk: Conversation,
        woken: asyncio.Event,
        traffic: Traffic,
        check: Callable[[], Awaitable[None]],
        turn: asyncio.Lock,
    ) -> None:
        self._socket, self._talk, self._woken, self._traffic = socket, talk, woken, traffic
        self._check, self._turn = check, turn
        self._closing: asyncio.Task[object] | None = None

    async def push(self) -> None:
        """Send what is new, as long as the socket is open."""
        talk = self._talk
        while not self._socket.closed:
            self._woken.clear()
            if talk.slow_ms:
                await asyncio.sleep(talk.slow_ms / 1000)
                talk.slow_ms = 0
            await self._check()
            async with self._turn:
                while (payload := await talk.next()) is not None:
                    await self.say([payload])
                await self.say(await talk.news())
            seconds = None if talk.due_ms is None else talk.due_ms / 1000
            # `asyncio.wait_for` would forget that it was cancelled if there is news as well.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._woken.wait()

    async def say(self, payloads: list[bytes]) -> None:
        """Send payloads."""
        for payload in payloads:
            self._traffic.bytes_out += len(payload)
            try:
                await self._socket.send_bytes(payload)
            except (ConnectionError, aiohttp.ClientError) as error:
                raise LinkUnreachable(f"The link broke: {error}") from error

    def hang_up(self, pusher: "asyncio.Task[None]") -> None:
        """Close the socket when the pusher fails: who listens must not wait for ever."""
        if not pusher.cancelled() and pusher.exception() is not None:
            self._closing = asyncio.create_task(self._socket.close())
