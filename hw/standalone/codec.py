"""What the cashier is asked, and what may be answered. Pure."""

from dataclasses import dataclass

from hw.card import PATTERNS, allowed, holds_card_number
from hw.errors import DeviceRefused
from hw.payment import Answer, Approval, Approved, Attempt, Declined, Kind

DIGITS = 8
"""Longest authorisation code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What stands on the till's screen while the customer pays."""

    attempt: str
    kind: Kind
    amount_minor: int
    cashback_minor: int
    currency: str
    again: bool
    """It was asked before and not answered: the slip says what happened, nothing is keyed."""

    @property
    def polish(self) -> str:
        """For the screen."""
        money = _money(self.amount_minor + self.cashback_minor, self.currency)
        if self.again:
            return f"Czy {money} zostało zapłacone? Sprawdź wydruk terminala. Nie wbijaj ponownie."
        if self.kind == "refund":
            return f"Zwróć {money} na terminalu i przepisz kod autoryzacji."
        return f"Wbij {money} na terminalu i przepisz kod autoryzacji."

    @property
    def english(self) -> str:
        """For the screen."""
        money = _money(self.amount_minor + self.cashback_minor, self.currency)
        if self.again:
            return f"Was {money} paid? Look at the terminal's slip. Do not key it in again."
        if self.kind == "refund":
            return f"Give {money} back at the terminal, and copy the authorisation code."
        return f"Key {money} in at the terminal, and copy the authorisation code."


def question_of(attempt: Attempt) -> Question:
    """What to ask about an attempt."""
    intent = attempt.intent
    return Question(
        attempt=intent.attempt,
        kind=intent.kind,
        amount_minor=intent.amount_minor,
        cashback_minor=intent.cashback_minor,
        currency=intent.currency,
        again=attempt.state == "unknown",
    )


def answer_of(question: Question, code: str | None, by: str) -> Answer:
    """What the cashier's answer means.

    Args:
        question: What was asked.
        code: Authorisation code on the slip; None: the terminal refused.
        by: Who says so.

    Raises:
        DeviceRefused: That is no authorisation code.
    """
    if code is None:
        return Declined(f"{by}: the terminal refused.", "Pay again, or in another way.", "refused")
    bare = code.strip().upper()
    if holds_card_number(bare):
        raise DeviceRefused(
            "Authorisation code: got a card number.",
            cure=f"Type the code on the slip, 1 to {DIGITS} letters and digits; never the card.",
        )
    if not PATTERNS["auth_code"].fullmatch(bare):
        raise DeviceRefused(
            f"Authorisation code: expected 1 to {DIGITS} letters and digits, got "
            f"{len(bare)} characters.",
            cure="Type the code on the terminal's slip.",
        )
    approval = Approval(
        amount_minor=question.amount_minor,
        cashback_minor=question.cashback_minor,
        currency=question.currency,
        auth_code=allowed("auth_code", bare),
    )
    return Approved(f"{by} copied the code", approval)


def _money(minor: int, currency: str) -> str:
    return f"{minor // 100},{minor % 100:02} {currency}"
