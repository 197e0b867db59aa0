"""A bank's terminal without a cable, and a cashier who does what Karb's screen says.

Accidents: `away before | after [N]` (the cashier leaves before keying, or before answering, at
the next question; N questions in a row), and those of the terminal: `decline REASON | off`,
`host online | offline`, `customer waits | pays | leaves`, `means NAME`.
"""

import asyncio
from collections import deque

from hw.acquirer import Acquirer
from hw.standalone.codec import Question
from hw.standalone.driver import StandaloneTerminal


class StandaloneSimulator:
    """The terminal's books, and its cashier. Both outlive the driver."""

    def __init__(self) -> None:
        self.books = Acquirer()
        self.away: deque[str] = deque()
        """What the cashier does at the next questions, instead of answering."""

        self.steps: list[str] = []
        """What has been done at this question: `read`, `paid`, `answered`."""

        self._cashier: asyncio.Task[None] | None = None

    def attend(self, driver: StandaloneTerminal) -> None:
        """The cashier looks at the screen of this driver from now on."""
        if self._cashier is not None:
            self._cashier.cancel()
        self._cashier = asyncio.create_task(self._work(driver), name="simulated cashier")

    async def close(self) -> None:
        """The cashier goes home."""
        if self._cashier is not None:
            self._cashier.cancel()
            await asyncio.gather(self._cashier, return_exceptions=True)

    async def _work(self, driver: StandaloneTerminal) -> None:
        seen: tuple[str, bool] | None = None
        while True:
            question = await driver.asked()
            if seen == (question.attempt, question.again):  # left alone on purpose
                await asyncio.sleep(0.001)
                continue
            seen = question.attempt, question.again
            await self._see(driver, question)

    async def _see(self, driver: StandaloneTerminal, question: Question) -> None:
        self.steps = ["read"]
        gone = self.away.popleft() if self.away else ""
        name = question.attempt
        if gone == "before":
            return
        if not question.again:
            await self.books.customer_is_done(name)
            kind = "refund" if question.kind == "refund" else "sale"
            self.books.carry_out(
                name,
                kind,  # type: ignore[arg-type]
                question.amount_minor,
                cashback_minor=question.cashback_minor,
                currency=question.currency,
            )
            self.steps.append("paid")
        if gone == "after":
            return
        found = self.books.find(name)
        paid = found is not None and found.result == "approved"
        code = found.auth_code if found is not None and paid else None
        await driver.answer(name, code, by="Anna")
        self.steps.append("answered")


def obey(simulator: StandaloneSimulator, line: str) -> None:
    """Do what one line says.

    Raises:
        ValueError: It says nothing we know.
    """
    match line.split():
        case ["away", ("before" | "after") as when]:
            simulator.away.append(when)
        case ["away", ("before" | "after") as when, count]:
            simulator.away.extend([when] * int(count))
        case words:
            if not simulator.books.obey(words):
                raise ValueError(f"unknown: {line!r}; see the head of hw/standalone/simulator.py")
