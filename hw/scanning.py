"""What the drivers of all scanners on a line do alike: collect codes, in order, and lose none.

Options of every scanner: `max_bytes` of a code (512), `silence_s` (0.5), `open_timeout_s` (5).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

from hw.device import Health, Scan
from hw.errors import DeviceUnavailable, HwError
from hw.registry import DeviceConfig, check_options, positive
from hw.transports import open_transport
from hw.transports.link import Link

MAX_WAITING = 1_000
"""Codes nobody has taken yet; beyond it the oldest go."""

OPTIONS = ("max_bytes", "silence_s", "open_timeout_s")


class Splitter(Protocol):
    """Bytes to codes: the pure half of a protocol."""

    def feed(self, data: bytes) -> list[str]:
        """Take bytes; the codes they complete, in order."""
        ...

    @property
    def pending(self) -> bool:
        """A code has begun and not ended."""
        ...

    def break_off(self) -> None:
        """Forget a code that never got its end."""
        ...


class LineScanner:
    """One scanner on one line."""

    def __init__(
        self, config: DeviceConfig, splitter: Splitter, *, options: tuple[str, ...] = ()
    ) -> None:
        check_options(config, (*options, *OPTIONS))
        self.id = config.id
        self.till = config.till
        self._url = config.url
        self._open_timeout_s = positive(config, "open_timeout_s", 5.0)
        self._silence_s = positive(config, "silence_s", 0.5)
        """A pause this long inside a code means that its end was lost."""

        self._splitter = splitter
        self._link: Link | None = None
        self._waiting: deque[Scan] = deque(maxlen=MAX_WAITING)
        self._news = asyncio.Event()
        self._silence: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """See `Device.open`."""
        transport = await open_transport(self._url, timeout_s=self._open_timeout_s)
        self._link = Link(transport, self._on_bytes, self._news.set)

    async def scans(self) -> AsyncIterator[Scan]:
        """See `Scanner.scans`."""
        link = self._opened()
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if (error := link.why_lost) is not None:
                raise DeviceUnavailable(error.problem, cure=error.cure)
            self._news.clear()
            await self._news.wait()

    async def lost(self) -> HwError:
        """See `Device.lost`."""
        return await self._opened().lost()

    async def close(self) -> None:
        """See `Device.close`."""
        link, self._link = self._link, None
        self._break_off()
        if link is not None:
            await link.close()

    def health(self) -> Health:
        """See `Device.health`."""
        return Health()

    def _on_bytes(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        for code in self._splitter.feed(data):
            self._waiting.append(Scan(data=code, at_s=loop.time(), device=self.id, till=self.till))
            self._news.set()
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        if self._splitter.pending:
            self._silence = loop.call_later(self._silence_s, self._break_off)

    def _break_off(self) -> None:
        """Without this, half a code would become the beginning of the next one."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        self._splitter.break_off()

    def _opened(self) -> Link:
        if self._link is None:
            raise DeviceUnavailable(f"Scanner {self.id} is not open.", cure="Open it first.")
        return self._link
