"""One connection to a POSNET printer: every command has a token, and one answer.

An answer is matched by its token alone, so a late, repeated or stale one disturbs nothing.
While one is late the printer is asked out of turn why (`!sprn`, `!sdev`), and then to say
it again (`rpt`): that repeats the answer, never the command.
"""

import asyncio
from contextlib import suppress

from hw.errors import DeviceUnavailable, HwError
from hw.posnet.codec import TOKENS, Command, Frame, FrameParser, command, encode
from hw.posnet.refusals import TOKEN_NOT_FOUND, explain, trouble
from hw.transports import open_transport
from hw.transports.link import Link

_OUT_OF_TURN = {"sprn", "sdev"}
"""Questions that are asked with `!`; they change nothing."""


class PosnetRefused(HwError):
    """The printer answered with an error number: the command was not carried out."""

    def __init__(self, order: str, number: int) -> None:
        problem, cure = explain(number)
        super().__init__(f"{order}: {problem}.", cure=cure)
        self.number = number


class NotExecuted(DeviceUnavailable):
    """The printer has no answer to it: the command did not reach it."""


class Session:
    """One open connection; closed at the first thing that is not understood."""

    def __init__(self, name: str, *, answer_timeout_s: float, first_token: int) -> None:
        self._name = name
        self._answer_timeout_s = answer_timeout_s
        self._token = first_token
        self._link: Link | None = None
        self._parser = FrameParser()
        self._waiting: dict[int, asyncio.Future[Frame]] = {}
        self._expected: set[str] = set()
        self.device = ""
        """Unique number of the printer at the other end, once asked."""

        self.fiscal = False

    async def open(self, url: str, *, timeout_s: float) -> None:
        """Connect.

        Raises:
            DeviceUnavailable: Nothing there.
            DeviceMisconfigured: The URL is wrong.
        """
        transport = await open_transport(url, timeout_s=timeout_s)
        self._link = Link(transport, self._on_bytes, self._on_lost)

    def next_token(self) -> int:
        """A token for one command."""
        token, self._token = self._token, (self._token + 1) % TOKENS
        return token

    async def ask(
        self, order: Command, *, token: int | None = None, patience_s: float = 0.0
    ) -> Frame:
        """Send a command and wait for its answer.

        Args:
            order: The command.
            token: Noted before, when the answer may have to be asked for later.
            patience_s: How long to wait beyond the first time-out while the printer is
                alive but stopped (paper, cover, a person needed).

        Raises:
            PosnetRefused: It answered with an error number.
            NotExecuted: It is alive and never got the command.
            DeviceUnavailable: The connection is gone, or it is silent.
        """
        token = self.next_token() if token is None else token
        frame = await self._exchange(order, token)
        if frame is None:
            frame = await self._again(order, token, patience_s)
        if frame.error is not None:
            raise PosnetRefused(order.name, frame.error)
        return frame

    async def repeat(self, token: int, name: str) -> Frame | None:
        """The answer once given to `token`, if it was to the command `name`; None: no such.

        Raises:
            DeviceUnavailable: The connection is gone, or it is silent.
        """
        frame = await self._exchange(command("rpt"), token, expected=name)
        if frame is None:
            stopped = await self._trouble()
            if stopped is None:
                raise self._silence("rpt")
            raise DeviceUnavailable(f"Printer {self._name}: {stopped[0]}.", cure=stopped[1])
        return None if _forgotten(frame) else frame

    async def lost(self) -> HwError:
        """Wait until the connection is lost; say why."""
        return await self._opened().lost()

    @property
    def is_lost(self) -> bool:
        """Whether it is over."""
        return self._link is None or self._link.why_lost is not None

    async def close(self) -> None:
        """Let go. Harmless when repeated."""
        if self._link is not None:
            await self._link.close()

    async def _again(self, order: Command, token: int, patience_s: float) -> Frame:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience_s
        if order.name.startswith("!"):
            raise self._silence(order.name)
        while True:
            stopped = await self._trouble()
            if stopped is not None and loop.time() >= deadline:
                raise DeviceUnavailable(
                    f"Printer {self._name}: {stopped[0]}, so {order.name} waits.", cure=stopped[1]
                )
            frame = await self._exchange(command("rpt"), token, expected=order.name)
            if frame is not None and _forgotten(frame):
                raise NotExecuted(
                    f"Printer {self._name}: {order.name} did not reach it.", cure="Try again."
                )
            if frame is not None:
                return frame
            if stopped is None and loop.time() >= deadline:
                raise self._silence(order.name)

    async def _trouble(self) -> tuple[str, str] | None:
        """Why it is stopped; None when it says that it is not.

        Raises:
            DeviceUnavailable: Silent.
        """
        mechanism = await self.ask(command("!sprn"))
        display = await self.ask(command("!sdev"))
        return trouble(mechanism.number("pr"), display.number("ds"))

    async def _exchange(
        self, order: Command, token: int, *, expected: str | None = None
    ) -> Frame | None:
        """Send, and wait once; None when no answer came in time."""
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[token] = answer
        self._expected = {(expected or order.name).removeprefix("!"), "ERR", "rpt"}
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                await self._opened().write(encode(order, token))
                return await answer
        except TimeoutError:
            return None
        finally:
            self._waiting.pop(token, None)

    def _silence(self, name: str) -> DeviceUnavailable:
        error = DeviceUnavailable(
            f"Printer {self._name}: expected an answer to {name} within "
            f"{self._answer_timeout_s:g} s, got none.",
            cure="Switch it on; choose the POSNET protocol and WINDOWS-1250 in its menu.",
        )
        with suppress(DeviceUnavailable):
            self._opened().fail(error)
        return error

    def _on_bytes(self, data: bytes) -> None:
        for frame in self._parser.feed(data):
            name = frame.name.removeprefix("!")
            known = name in self._expected
            if frame.token is None and name in _OUT_OF_TURN:
                # [M] Whether an answer out of turn carries its token; the question is harmless.
                waiting = next(iter(self._waiting.values()), None)
            else:
                waiting = self._waiting.get(-1 if frame.token is None else frame.token)
            if waiting is not None and known and not waiting.done():
                waiting.set_result(frame)

    def _on_lost(self) -> None:
        error = self._link.why_lost if self._link is not None else None
        for waiting in self._waiting.values():
            if error is not None and not waiting.done():
                waiting.set_exception(DeviceUnavailable(error.problem, cure=error.cure))

    def _opened(self) -> Link:
        if self._link is None:
            raise DeviceUnavailable(
                f"Printer {self._name} is not connected.",
                cure="Switch it on and check its cable; Karb connects by itself.",
            )
        return self._link


def _forgotten(frame: Frame) -> bool:
    return frame.name == "ERR" and frame.error == TOKEN_NOT_FOUND
