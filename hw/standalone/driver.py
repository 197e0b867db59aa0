"""`terminal.standalone`: a payment terminal without a cable; `url` is `person:` and a name.

Options: those of every terminal (`hw.terminal`); `job_timeout_s` (180) is how long the
cashier has. Who asks the cashier shows `question`, and brings the answer to `answer`. Nobody
but a person knows what such a terminal did: an order without an answer stays unknown, and
is asked about again after every start, until somebody answers.
"""

import asyncio

from hw.device import PaymentTerminal
from hw.errors import DeviceMisconfigured, DeviceUnavailable, HwError
from hw.memory import Memory
from hw.payment import Answer, Approved, Attempt, NoAnswer, PaymentOutcome
from hw.registry import DeviceConfig
from hw.standalone.codec import Question, answer_of, question_of
from hw.terminal import LOOK, Terminal

_SCHEME = "person:"


class StandaloneTerminal(Terminal):
    """One terminal beside the till."""

    can_refund = True

    def __init__(self, config: DeviceConfig, memory: Memory | None = None) -> None:
        super().__init__(config, memory)
        self._url = config.url
        self._closed = True
        self._ended: asyncio.Future[HwError] | None = None
        self._shown: tuple[Question, asyncio.Future[Answer]] | None = None
        self._changed = asyncio.Event()

    async def open(self) -> None:
        """See `Device.open`."""
        if not self._url.startswith(_SCHEME):
            raise DeviceMisconfigured(
                f"Device URL {self._url!r}: expected {_SCHEME}name: this terminal has no cable.",
                cure=f"Write {_SCHEME}till-1, or name the driver of the terminal's protocol.",
            )
        async with self._lock:
            await self._read()
            self._closed = False
            self._ended = asyncio.get_running_loop().create_future()
            await self._start()
            self._changed.set()

    async def lost(self) -> HwError:
        """See `Device.lost`. It has no cable to lose."""
        if self._ended is None:
            raise DeviceUnavailable(f"Terminal {self.id} is not open.", cure="Open it first.")
        return await asyncio.shield(self._ended)

    async def close(self) -> None:
        """See `Device.close`."""
        self._closed = True
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(DeviceUnavailable("It was closed.", cure="Open it again."))

    @property
    def question(self) -> Question | None:
        """What the cashier must answer now."""
        if self._shown is not None:
            return self._shown[0]
        return question_of((self._waiting or {})[self.unresolved[0]]) if self.unresolved else None

    async def asked(self) -> Question:
        """Wait until there is a question."""
        while (question := self.question) is None:
            self._changed.clear()
            await self._changed.wait()
        return question

    async def answer(self, attempt: str, code: str | None, *, by: str) -> None:
        """What the cashier says of the question on the screen.

        Args:
            attempt: The question's.
            code: Authorisation code on the slip; None: the terminal refused.
            by: Who says so.

        Raises:
            DeviceRefused: That is no authorisation code; ask again.
        """
        question = self.question
        if question is None or question.attempt != attempt:
            return
        answer = answer_of(question, code, by)
        if self._shown is not None and not self._shown[1].done():
            self._shown[1].set_result(answer)
            return
        await self._answered_late(attempt, answer, by)

    async def _answered_late(self, attempt: str, answer: Answer, by: str) -> PaymentOutcome:
        approval = answer.approval if isinstance(answer, Approved) else None
        return await self.settle(attempt, approval, by=by)

    async def _reach(self) -> str:
        if self._closed:
            raise DeviceUnavailable(f"Terminal {self.id} is not open.", cure="Open it first.")
        return self.id

    async def _order(self, attempt: Attempt) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._shown = question_of(attempt), answer
        self._changed.set()
        try:
            async with asyncio.timeout(self._job_timeout_s):
                return await answer
        except TimeoutError:
            return self._nobody(attempt)
        finally:
            self._shown = None
            self._changed.set()

    async def _ask(self, attempt: Attempt) -> Answer:
        return self._nobody(attempt)

    def _nobody(self, attempt: Attempt) -> NoAnswer:
        return NoAnswer(
            f"Terminal {self.id}: nobody has said what came of attempt {attempt.intent.attempt}.",
            LOOK,
            final=True,
        )


_: type[PaymentTerminal] = StandaloneTerminal
