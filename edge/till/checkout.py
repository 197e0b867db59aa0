"""A sale that a terminal or a fiscal printer has a part in: what is done next. Pure.

    tendered ─▶ charge, one part after the other ─▶ fiscal receipt ─▶ closed
                  │ declined          │ unknown              │ it cannot be printed
                  ▼                   ▼                      ▼
                the basket is back    asked about,           waits, asks again, moves to a
                to pay otherwise      never guessed          reserve, or a person cancels

`next_effect` is the only place that decides, while the sale is made and after a crash
alike. What was perhaps sent is asked about; what a program before this one may have sent
is never sent anew. Cancelled, a sale is voided and what was taken for it is given back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from edge.store.checkouts import (
    APPROVED,
    BY_HAND,
    DECLINED,
    INTENDED,
    UNDO,
    UNKNOWN,
    AttemptView,
    CheckoutView,
)
from edge.store.unit import SaleView
from sync.facts.sale import Stage
from sync.merge.sales import pending

BY_TERMINAL = frozenset({"card", "blik"})
"""Of `sync.merge.sales.NEEDS_APPROVAL`, what a payment terminal takes; the rest is a person's."""


@dataclass(frozen=True, slots=True)
class Charge:
    """Send a payment to its terminal: nothing of it has left yet."""

    part: AttemptView


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the terminal what became of a payment; nothing is charged by that."""

    part: AttemptView


@dataclass(frozen=True, slots=True)
class Decide:
    """Only a person can say what became of a payment."""

    payment: int


@dataclass(frozen=True, slots=True)
class Print:
    """Have the fiscal receipt printed, or be told that it is."""


@dataclass(frozen=True, slots=True)
class AskPrinter:
    """Ask whether the receipt of a cancelled sale is printed; print nothing."""


@dataclass(frozen=True, slots=True)
class Close:
    """Write that it is closed."""


@dataclass(frozen=True, slots=True)
class Void:
    """Write that it came to nothing, and give back what was taken."""

    why: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Give the basket back to be paid otherwise; what is approved stays for it."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Have the terminal give money back, if any moved."""

    part: AttemptView


@dataclass(frozen=True, slots=True)
class GiveBack:
    """A person must give money back."""

    part: AttemptView


@dataclass(frozen=True, slots=True)
class End:
    """Nothing is left to do."""


Effect: TypeAlias = (
    Charge | Ask | Decide | Print | AskPrinter | Close | Void | Hold | Undo | GiveBack | End
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """How far a sale is, as the journal and the notes beside it say."""

    stage: Stage
    waiting: tuple[int, ...]
    """Payments that somebody has to approve and nobody has; those declined too."""

    settled: Mapping[int, bool]
    attempts: tuple[AttemptView, ...]
    fiscal: bool
    """Whether it needs a fiscal receipt that it does not have."""

    ordered: bool
    """Whether a fiscal printer may have been asked for it."""

    cancelled: bool
    fresh: bool
    """Written since the program started, so that what is intended was never sent."""


def checkout_of(sale: SaleView, notes: CheckoutView, *, fiscal: bool, fresh: bool) -> Checkout:
    """Join what is known.

    Args:
        sale: As the journal has it.
        notes: As this node noted.
        fiscal: Whether the store is fiscal.
        fresh: See `Checkout`.
    """
    return Checkout(
        stage=sale.stage,
        waiting=tuple(pending(sale.body, sale.settled)),
        settled=sale.settled,
        attempts=notes.attempts,
        fiscal=fiscal and sale.stage < Stage.FISCALISED and sale.body.fiscal is None,
        ordered=bool(notes.printer),
        cancelled=bool(notes.cancelled),
        fresh=fresh,
    )


def next_effect(now: Checkout) -> Effect:
    """Return what is done next. Total."""
    undo = [part for part in now.attempts if part.state == UNDO]
    if now.stage in (Stage.CLOSED, Stage.VOIDED):
        by_hand = [part for part in now.attempts if part.state == BY_HAND]
        if undo:
            return Undo(undo[0])
        return GiveBack(by_hand[0]) if by_hand else End()
    if now.stage is Stage.FISCALISED:
        return Close()
    if now.cancelled:
        return AskPrinter() if now.ordered else Void("cancelled")
    return _payment(now, undo) or (Print() if now.fiscal else Close())


def _payment(now: Checkout, undo: list[AttemptView]) -> Effect | None:
    """Return what the payments need; None: they are all approved."""
    parts = {part.payment: part for part in now.attempts}
    declined = [n for n in now.waiting if now.settled.get(n) is False]
    for n in now.waiting:
        part = parts.get(n)
        if n in declined:
            continue
        if part is None:
            if not declined:
                return Decide(n)
        elif part.state == UNKNOWN or (part.state == INTENDED and not now.fresh):
            return Ask(part)
        elif not declined:
            return Charge(part)
    if not declined:
        return None
    if not any(part.state == APPROVED for part in now.attempts):
        return Void(f"payment {declined[0]} was refused")
    return Undo(undo[0]) if undo else Hold()


def voided(part: AttemptView, *, fresh: bool) -> str:
    """Return what becomes of a payment when its sale is voided."""
    if part.state in (APPROVED, UNKNOWN):
        return UNDO
    if part.state == INTENDED:
        return DECLINED if fresh else UNDO
    return part.state
