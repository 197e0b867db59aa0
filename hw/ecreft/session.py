"""A connection to an ECR-EFT terminal: what arrives, in order, and what is acknowledged."""

import asyncio

from hw.ecreft.codec import ACK, NAK, Event, FrameParser, Message, encode
from hw.errors import DeviceUnavailable, HwError
from hw.transports import open_transport
from hw.transports.link import Link

SENDS = 3
"""Times a frame that may be repeated is sent before the terminal counts as silent."""

NO_ENDPOINT = "999"
_CLAIMS = {"D2": "D0", "K1": "K0"}
"""The terminal asks for our printer or console: it is told that there is none."""


class Session:
    """One connection. One exchange at a time; `interrupt` may be sent beside it."""

    def __init__(self, name: str, link: Link, queue: "asyncio.Queue[Event | None]") -> None:
        self._name, self._link, self._queue = name, link, queue
        self.identity = ""
        """Id of the device, as it says."""

    @classmethod
    async def connect(cls, name: str, url: str, *, timeout_s: float) -> "Session":
        """Connect; nothing is sent.

        Raises:
            DeviceUnavailable: Nobody is there.
            DeviceMisconfigured: The URL is wrong.
        """
        transport = await open_transport(url, timeout_s=timeout_s)
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        parser = FrameParser()

        def arrived(data: bytes) -> None:
            for event in parser.feed(data):
                queue.put_nowait(event)

        return cls(name, Link(transport, arrived, lambda: queue.put_nowait(None)), queue)

    @property
    def alive(self) -> bool:
        """Whether it is still connected."""
        return self._link.why_lost is None

    async def lost(self) -> HwError:
        """Wait for its end."""
        return await self._link.lost()

    async def close(self) -> None:
        """Drop it."""
        await self._link.close()

    async def send(self, frame: bytes) -> None:
        """Send once.

        Raises:
            DeviceUnavailable: It is gone; some bytes may have left.
        """
        await self._link.write(frame)

    async def acknowledge(self) -> None:
        """The last message arrived, and what it says is kept.

        Raises:
            DeviceUnavailable: It is gone.
        """
        await self._link.write(ACK)

    async def answer(self, token: str, *, timeout_s: float) -> Message:
        """The next message with this token; all others are acknowledged and passed over.

        The caller acknowledges what it gets.

        Raises:
            DeviceUnavailable: It is gone, or silent for `timeout_s`.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    event = await self._next()
                    if event == "bad":
                        await self._link.write(NAK)
                    elif isinstance(event, Message):
                        if event.token == token and event.type not in _CLAIMS:
                            return event
                        await self._pass_over(event)
        except TimeoutError:
            raise DeviceUnavailable(
                f"Terminal {self._name}: expected an answer within {timeout_s:g} s, got none.",
                cure="Look at its display; check the cable.",
            ) from None

    async def ask(self, frame: bytes, token: str, *, timeout_s: float) -> Message:
        """Send what may be sent again, until it is answered.

        Raises:
            DeviceUnavailable: It is gone, or silent.
        """
        for tries_left in range(SENDS - 1, -1, -1):
            await self._link.write(frame)
            try:
                return await self.answer(token, timeout_s=timeout_s / SENDS)
            except DeviceUnavailable:
                if not tries_left or not self.alive:
                    raise
        raise AssertionError("unreachable")

    async def _next(self) -> Event:
        event = await self._queue.get()
        if event is None:
            why = self._link.why_lost
            self._queue.put_nowait(None)  # for whoever asks next
            raise DeviceUnavailable(
                why.problem if why else f"Terminal {self._name} is gone.",
                cure=why.cure if why else "Check the cable.",
            )
        return event

    async def _pass_over(self, message: Message) -> None:
        await self._link.write(ACK)
        if message.type in _CLAIMS:
            await self._link.write(encode(message.token, _CLAIMS[message.type], (NO_ENDPOINT,)))
