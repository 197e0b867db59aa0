"""What the drivers of all scales that are asked do alike.

A driver adds what its protocol can say: the question, and how its answers read.

Options of every scale: `settle_s` (2) that a weight may take to come to rest, `poll_s` (0.1)
between two questions, `answer_timeout_s` (1), `open_timeout_s` (5).
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol, TypeVar

from hw.device import Health
from hw.errors import DeviceUnavailable, HwError
from hw.registry import DeviceConfig, check_options, positive
from hw.transports import open_transport
from hw.transports.link import Link
from hw.weight import Agreement, NoWeight, Reading, Weight, none

_T = TypeVar("_T")

OPTIONS = ("settle_s", "poll_s", "answer_timeout_s", "open_timeout_s")


class Readings(Protocol):
    """Bytes to answers: the pure half of a protocol."""

    def feed(self, data: bytes) -> list[Reading]:
        """Take bytes; the answers they complete, in order."""
        ...


class AskedScale(ABC):
    """One scale on one line, which speaks when it is spoken to."""

    question: bytes
    """Asks for the weight there is now, at rest or not."""

    def __init__(self, config: DeviceConfig, *, options: tuple[str, ...] = ()) -> None:
        check_options(config, (*OPTIONS, *options))
        self.id = config.id
        self.till = config.till
        self._url = config.url
        self._settle_s = positive(config, "settle_s", 2.0)
        self._poll_s = positive(config, "poll_s", 0.1)
        self._answer_timeout_s = positive(config, "answer_timeout_s", 1.0)
        self._open_timeout_s = positive(config, "open_timeout_s", 5.0)
        self._link: Link | None = None
        self._lock = asyncio.Lock()
        self._arrived: asyncio.Queue[bytes | None] = asyncio.Queue()
        """None: the line is lost."""

        self._trouble: NoWeight | None = None

    @abstractmethod
    def _codec(self) -> Readings:
        """A fresh reader of answers."""

    async def _greet(self) -> None:
        """Make sure that it is the expected scale, on an open line.

        Raises:
            DeviceUnavailable: No answer.
            DeviceMisconfigured: It is another one.
        """
        await self._ask()

    async def open(self) -> None:
        """See `Device.open`."""
        transport = await open_transport(self._url, timeout_s=self._open_timeout_s)
        self._trouble = None
        arrived = self._arrived = asyncio.Queue()
        self._link = Link(transport, arrived.put_nowait, lambda: arrived.put_nowait(None))
        try:
            async with self._lock:
                await self._greet()
        except BaseException:
            await self.close()
            raise

    async def lost(self) -> HwError:
        """See `Device.lost`."""
        return await self._opened().lost()

    async def close(self) -> None:
        """See `Device.close`."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    def health(self) -> Health:
        """See `Device.health`. An empty pan is no trouble."""
        told = self._trouble
        return Health(told.problem, told.cure) if told is not None else Health()

    async def weigh(self) -> Weight | NoWeight:
        """See `Scale.weigh`."""
        async with self._lock:
            try:
                weighed = await self._weigh()
            except DeviceUnavailable as error:
                return NoWeight(reason="unavailable", problem=error.problem, cure=error.cure)
        self._trouble = weighed if isinstance(weighed, NoWeight) and weighed.odd else None
        return weighed

    async def _weigh(self) -> Weight | NoWeight:
        now = asyncio.get_running_loop().time
        until = now() + self._settle_s
        agreement, last = Agreement(), await self._ask()
        agreement.add(last)
        while True:
            if last.state != "stable":
                await asyncio.sleep(self._poll_s)
            last = await self._ask()
            agreed = agreement.add(last)
            if agreed is not None and agreed.state == "stable":
                if agreed.grams == 0:
                    return none(self.id, "empty")
                return Weight(grams=agreed.grams, at_s=now())
            if agreed is not None and agreed.state in {"over", "under"}:
                return none(self.id, agreed.state)
            if now() >= until:
                # Answers that are all at rest and yet differ are no weight either.
                return none(self.id, "garbled" if last.state == "stable" else last.state)

    async def _ask(self) -> Reading:
        """Ask once.

        Raises:
            DeviceUnavailable: See `_exchange`.
        """
        return await self._exchange(self.question, self._codec().feed)

    async def _exchange(self, question: bytes, feed: Callable[[bytes], list[_T]]) -> _T:
        """Send a question and wait for its answer; what arrived before it is none.

        Raises:
            DeviceUnavailable: It is gone, or silent; then the line is given up, so that an
                answer that comes late meets nobody.
        """
        link = self._opened()
        while not self._arrived.empty():
            self._arrived.get_nowait()
        await link.write(question)
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                while True:
                    data = await self._arrived.get()
                    if data is None:
                        why = link.why_lost
                        raise DeviceUnavailable(
                            why.problem if why else f"Scale {self.id} is gone.",
                            cure=why.cure if why else "Check the cable.",
                        )
                    if answers := feed(data):
                        return answers[-1]
        except TimeoutError:
            error = DeviceUnavailable(
                f"Scale {self.id}: expected an answer within {self._answer_timeout_s:g} s, "
                "got none.",
                cure="Switch it on; check its cable, its protocol and its speed.",
            )
            link.fail(error)
            raise error from None

    def _opened(self) -> Link:
        if self._link is None:
            raise DeviceUnavailable(
                f"Scale {self.id} is not connected.", cure="Plug it in, and switch it on."
            )
        return self._link
