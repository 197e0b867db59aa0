"""What a scale said, and when a weight may be sold by: stable, fresh and above zero, or none.

Neither protocol numbers its answers, so an old one that was late on the way could be taken for the
answer to a new question. Therefore a weight counts once two answers in a row agree: the second was
sent after the first had been asked for, so at most one of them can be older than the weighing.
It also takes two damaged answers that are damaged alike to be misled.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["stable", "unstable", "over", "under", "busy", "garbled"]
"""`under`: below zero. `busy`: it cannot weigh now. `garbled`: an answer that is none."""

Reason: TypeAlias = Literal["unstable", "empty", "over", "under", "busy", "garbled", "unavailable"]

MAX_GRAMS = 10**7
"""Ten tonnes: more than that is a misread, not goods."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer."""

    state: State
    grams: int = 0
    """Net, when stable; rounded to whole grams, halves up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What goods can be sold by."""

    grams: int
    """Net, above zero. Of an article sold by the kilogram these are thousandths."""

    at_s: float
    """Event loop clock, seconds: when the scale said so. For its age, never for a date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoWeight:
    """There is none to sell by, and why."""

    reason: Reason
    problem: str
    cure: str

    @property
    def odd(self) -> bool:
        """Whether something is wrong with the scale, and not only with what lies on it."""
        return self.reason in {"garbled", "busy", "over"}


class Agreement:
    """Two answers in a row that agree."""

    def __init__(self) -> None:
        self._before: Reading | None = None

    def add(self, reading: Reading) -> Reading | None:
        """Take an answer; what both say, or None: ask again."""
        before, self._before = self._before, reading
        return reading if reading == before and reading.state not in {"garbled", "busy"} else None


_WHY: dict[Reason, tuple[str, str]] = {
    "unstable": ("the weight does not come to rest", "Take hands and draughts off it."),
    "empty": ("there is nothing on it", "Put the goods on it."),
    "over": ("there is more on it than it can weigh", "Take something off."),
    "under": ("it shows less than zero", "Empty it, and set it to zero."),
    "busy": ("it cannot weigh now", "Look at its display; wait until it shows a weight."),
    "garbled": (
        "its answers make no sense or do not agree",
        "Check its cable, and that its protocol, unit and speed are those configured.",
    ),
}


def none(scale: str, reason: Reason) -> NoWeight:
    """Say why there is no weight, in words for a cashier."""
    problem, cure = _WHY[reason]
    return NoWeight(
        reason=reason,
        problem=f"Scale {scale}: expected a stable weight above zero, {problem}.",
        cure=cure,
    )


def grams(digits: str, unit: str) -> int | None:
    """Read a decimal number of kilograms or grams; None when it is none that can be.

    Args:
        digits: ASCII digits with at most one point, as ``1.234``.
        unit: ``kg`` or ``g``.
    """
    whole, _, parts = digits.partition(".")
    if not (whole + parts).isascii() or not (whole + parts).isdigit() or len(digits) > 12:
        return None
    scale: int = 10 ** len(parts)
    amount = int(whole + parts) * (1000 if unit == "kg" else 1)
    rounded = (2 * amount + scale) // (2 * scale)
    return rounded if rounded <= MAX_GRAMS else None
