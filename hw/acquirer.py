"""What is inside every simulated payment terminal: a customer, a host, and its record.

The record outlives power loss, as a terminal's does. Money is in minor units.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

CARD = "4111111111111111"
"""The card every simulated customer holds: what must never come out of a driver."""


@dataclass(slots=True, kw_only=True)
class Transaction:
    """One order the terminal has carried out, whatever came of it."""

    name: str
    """What the cash register called it."""

    kind: Literal["sale", "refund", "reversal"]
    number: int
    amount_minor: int
    cashback_minor: int = 0
    currency: str = "PLN"
    result: Literal["approved", "declined", "aborted"] = "approved"
    reason: str = ""
    means: str = "VISA"
    at: datetime

    @property
    def auth_code(self) -> str:
        """Made up from its number."""
        return f"A{self.number:05}"

    @property
    def reference(self) -> str:
        """Made up from its number."""
        return f"{self.number:06}"


class Acquirer:
    """The terminal's own books."""

    def __init__(self) -> None:
        self.record: list[Transaction] = []
        self.declines: str | None = None
        """Reason the host gives for the next orders."""

        self.offline = False
        """The terminal does not reach its host."""

        self.cashback = True
        self.busy = False
        self.means = "VISA"
        self._card = asyncio.Event()
        self._card.set()
        self._stop = asyncio.Event()
        self.at_work: str | None = None
        """The order a customer is at."""

    def customer(self, *, waits: bool) -> None:
        """Let customers take their time, or present the card."""
        if waits:
            self._card.clear()
        else:
            self._card.set()

    def abort(self) -> None:
        """The order at work is stopped."""
        if self.at_work is not None:
            self._stop.set()

    def find(self, name: str) -> Transaction | None:
        """The last order of that name."""
        return next((t for t in reversed(self.record) if t.name == name), None)

    async def customer_is_done(self, name: str) -> None:
        """Wait for the card, or for somebody to stop it."""
        self.at_work = name
        self._stop.clear()
        waits = [asyncio.ensure_future(event.wait()) for event in (self._card, self._stop)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            self.at_work = None

    def carry_out(
        self,
        name: str,
        kind: Literal["sale", "refund", "reversal"],
        amount_minor: int,
        *,
        cashback_minor: int = 0,
        currency: str = "PLN",
    ) -> Transaction:
        """Decide and write down. Never waits: it is one step, as in a terminal's memory."""
        done = Transaction(
            name=name,
            kind=kind,
            number=len(self.record) + 1,
            amount_minor=amount_minor,
            cashback_minor=cashback_minor if self.cashback else 0,
            currency=currency,
            means=self.means,
            at=datetime.now(UTC),
        )
        if self._stop.is_set():
            done.result, done.reason = "aborted", "aborted"
            self._stop.clear()
        elif self.offline:
            done.result, done.reason = "declined", "offline"
        elif self.declines is not None:
            done.result, done.reason = "declined", self.declines
        self.record.append(done)
        return done

    def taken(self, name: str | None = None) -> list[Transaction]:
        """Approved sales, all or those of one name."""
        return [
            t
            for t in self.record
            if t.kind == "sale" and t.result == "approved" and name in {None, t.name}
        ]

    def given_back(self) -> list[Transaction]:
        """Approved refunds and reversals."""
        return [t for t in self.record if t.kind != "sale" and t.result == "approved"]

    def obey(self, words: list[str]) -> bool:
        """Accidents of the terminal or its host; whether it was one."""
        match words:
            case ["decline", "off"]:
                self.declines = None
            case ["decline", reason]:
                self.declines = reason
            case ["host", ("online" | "offline") as state]:
                self.offline = state == "offline"
            case ["cashback", ("on" | "off") as state]:
                self.cashback = state == "on"
            case ["busy", ("on" | "off") as state]:
                self.busy = state == "on"
            case ["customer", ("waits" | "pays") as state]:
                self.customer(waits=state == "waits")
            case ["customer", "leaves"]:
                self.abort()
            case ["means", name]:
                self.means = name
            case _:
                return False
        return True
