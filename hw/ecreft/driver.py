"""`terminal.ecreft`: a payment terminal that speaks ECR-EFT, over TCP or a serial port.

Options beside those of every terminal (`hw.terminal`): `register` (id of the cash register
the terminal sees, at most 20 characters; the device's id), `terminal` (id the terminal tells;
another is refused), `status_query` (`yes` where `S1` of type `C` was tried and is a question
about an earlier payment [M]; otherwise a lost answer is for a person to settle, because the
same letter may undo the payment), `open_timeout_s` (5).

The end of a payment (S2) is acknowledged once it is on disk. An order (S1) is never sent
twice, not even after NAK.
"""

import asyncio

from hw.device import PaymentTerminal
from hw.ecreft.codec import NOT_AN_ANSWER, Message, encode, ending, start
from hw.ecreft.session import Session
from hw.errors import DeviceMisconfigured, DeviceUnavailable, HwError
from hw.memory import Memory
from hw.payment import Answer, Approved, Attempt, Availability, Declined, NoAnswer, Pending
from hw.registry import DeviceConfig, positive
from hw.terminal import LOOK, Terminal, wire_id

HEX = "0123456789ABCDEF"
_OPTIONS = ("register", "terminal", "status_query", "open_timeout_s")


class EcreftTerminal(Terminal):
    """One terminal on one connection."""

    def __init__(self, config: DeviceConfig, memory: Memory | None = None) -> None:
        super().__init__(config, memory, options=_OPTIONS)
        self._url = config.url
        self._register = config.options.get("register", config.id)[:20]
        self._expected = config.options.get("terminal", "")
        self._asks = config.options.get("status_query") == "yes"
        self._open_timeout_s = positive(config, "open_timeout_s", 5.0)
        self._session: Session | None = None
        self._closed = True
        self._unavailable: str | None = None
        self._questions = 0
        self._arrived = False
        """An end is to be acknowledged."""

    async def open(self) -> None:
        """See `Device.open`."""
        async with self._lock:
            await self._read()
            self._closed = False
            try:
                await self._reach()
                await self._start()
            except BaseException:
                await self._drop()
                self._closed = True
                raise

    async def lost(self) -> HwError:
        """See `Device.lost`."""
        while True:
            session = self._session
            if session is None:
                return DeviceUnavailable(
                    f"Terminal {self.id} is not connected.", cure="Open it again."
                )
            error = await session.lost()
            async with self._lock:  # an order in progress may have connected anew
                if self._session is session:
                    return error

    async def close(self) -> None:
        """See `Device.close`."""
        self._closed = True
        await self._drop()

    async def abort(self, attempt: str) -> None:
        """See `PaymentTerminal.abort`. P1, with the token of the order [M]."""
        if self._session is None or attempt not in self.unresolved:
            return
        try:
            await self._session.send(encode(_token(attempt), "P1"))
        except DeviceUnavailable:
            return

    async def availability(self) -> Availability:
        """See `PaymentTerminal.availability`.

        ECR-EFT tells nothing of the host; only that the terminal itself takes nothing now.
        """
        async with self._lock:
            await self._reach()
            await self._hello(self._opened())
        if self._unavailable:
            return Availability(cards=False, blik=False, problem=self._unavailable)
        return Availability()

    async def _reach(self) -> str:
        if self._closed:
            raise DeviceUnavailable(f"Terminal {self.id} is not connected.", cure="Open it first.")
        if self._session is not None and not self._session.alive:
            await self._drop()
        if self._session is None:
            session = await Session.connect(self.id, self._url, timeout_s=self._open_timeout_s)
            try:
                await self._hello(session)
            except BaseException:
                await session.close()
                raise
            self._session = session
        return self._session.identity

    async def _hello(self, session: Session) -> None:
        """T1: who is there.

        Raises:
            DeviceUnavailable: Nobody answers.
            DeviceMisconfigured: It is another terminal than configured.
        """
        token = self._next_token("hello")
        told = await session.ask(encode(token, "T1"), token, timeout_s=self._answer_timeout_s)
        await session.acknowledge()
        if told.type == "L1":
            self._unavailable = "The terminal says that it is unavailable for now."
            return
        self._unavailable = None
        device = told.at(3)
        session.identity = device if device.isprintable() and len(device) <= 40 else ""
        if self._expected and session.identity != self._expected:
            raise DeviceMisconfigured(
                f"Terminal {self.id}: expected {self._expected!r} at {self._url}, got "
                f"{session.identity!r}.",
                cure="Connect the right one, or correct option terminal.",
            )

    async def _order(self, attempt: Attempt) -> Answer:
        session, intent = self._opened(), attempt.intent
        token = _token(intent.attempt)
        name = wire_id(intent.attempt, 16)
        await session.send(start(token, intent, register=self._register, name=name, status=False))
        while True:
            told = await session.answer(token, timeout_s=self._job_timeout_s)
            if (answer := self._read_end(told, attempt)) is not None:
                return answer
            await session.acknowledge()
            if told.type == "I1" and attempt.state == "sent":
                await self._keep(attempt := attempt.moved("in_progress"))
            if told.type in {"L1", "S2"}:
                return NoAnswer(f"Terminal {self.id}: {told.type} tells nothing of it.", LOOK)

    async def _ask(self, attempt: Attempt) -> Answer:
        session, intent = self._opened(), attempt.intent
        if not self._asks:
            return await self._listen(session, attempt)
        token = self._next_token(intent.attempt)
        name = wire_id(intent.attempt, 16)
        question = start(token, intent, register=self._register, name=name, status=True)
        told = await session.ask(question, token, timeout_s=self._answer_timeout_s)
        if told.type == "I1":
            await session.acknowledge()
            return Pending(f"Terminal {self.id} is at it.")
        answer = self._read_end(told, attempt)
        if answer is None or (isinstance(answer, Declined) and answer.code in NOT_AN_ANSWER):
            await session.acknowledge()
            self._arrived = False
            return NoAnswer(f"Terminal {self.id} does not tell.", LOOK)
        if isinstance(answer, Approved) and not answer.approval.reference:
            await session.acknowledge()
            self._arrived = False
            return NoAnswer(f"Terminal {self.id} names no transaction.", LOOK)
        return answer

    async def _listen(self, session: Session, attempt: Attempt) -> Answer:
        """The end may still come by itself, or be repeated; it is not asked for."""
        token = _token(attempt.intent.attempt)
        try:
            told = await session.answer(token, timeout_s=self._resolve_timeout_s)
        except DeviceUnavailable:
            if not session.alive:
                raise
            return NoAnswer(
                f"Terminal {self.id} did not say how attempt {attempt.intent.attempt} ended, and "
                "must not be asked (status_query).",
                LOOK,
                final=True,
            )
        if (answer := self._read_end(told, attempt)) is not None:
            return answer
        await session.acknowledge()
        return Pending(f"Terminal {self.id} is at it.")

    def _read_end(self, told: Message, attempt: Attempt) -> Approved | Declined | None:
        answer = ending(told, attempt.intent)
        self._arrived = answer is not None
        return answer

    async def _noted(self) -> None:
        if self._arrived and self._session is not None:
            self._arrived = False
            await self._session.acknowledge()

    @property
    def _reachable(self) -> bool:
        return not self._closed

    def _next_token(self, what: str) -> str:
        """Of a question; no two of a day's alike, and none that of an order."""
        self._questions += 1
        loop = asyncio.get_running_loop()
        return wire_id(f"?{what} {self._questions} {loop.time()}", 6, of=HEX)

    def _opened(self) -> Session:
        if self._session is None:
            raise DeviceUnavailable(f"Terminal {self.id} is not connected.", cure="Open it first.")
        return self._session

    async def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def _token(attempt: str) -> str:
    """The same at every start: an end that is repeated later is still known as its own."""
    return wire_id(attempt, 6, of=HEX)


_: type[PaymentTerminal] = EcreftTerminal
