"""A payment attempt at a terminal: what is ordered, how far it came, what is proven.

    created ──▶ sent ──▶ (in_progress) ──▶ approved ─────────┐
       │                      ├──▶ declined, aborted         ├──▶ reversed
       │                      └──▶ unknown ──▶ resolved_approved
       └──▶ aborted                   └──────▶ resolved_declined

Pure. One attempt moves money at most once; another try is another attempt. `sent` is on
disk before the first byte leaves; while an attempt is `sent`, `in_progress` or `unknown`
its terminal takes no other payment. Money is in minor units.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

from hw.errors import DeviceRefused
from hw.outcome import Done, Refused, Unknown

State: TypeAlias = Literal[
    "created",
    "sent",
    "in_progress",
    "approved",
    "declined",
    "aborted",
    "unknown",
    "resolved_approved",
    "resolved_declined",
    "reversed",
]
Kind: TypeAlias = Literal["sale", "refund", "reversal"]

_ANSWERS = frozenset({"approved", "declined", "aborted", "unknown"})
MOVES: Mapping[State, frozenset[str]] = {
    "created": frozenset({"sent", "aborted"}),
    "sent": _ANSWERS | {"in_progress"},
    "in_progress": _ANSWERS,
    "unknown": frozenset({"resolved_approved", "resolved_declined"}),
    "approved": frozenset({"reversed"}),
    "resolved_approved": frozenset({"reversed"}),
    "declined": frozenset(),
    "aborted": frozenset(),
    "resolved_declined": frozenset(),
    "reversed": frozenset(),
}
"""Every move there is. Whatever is not here cannot happen."""

OPEN: frozenset[str] = frozenset({"sent", "in_progress", "unknown"})
"""Money may have moved, and nobody knows yet."""

CHARGED: frozenset[str] = frozenset({"approved", "resolved_approved"})
MOST_MINOR = 10**12 - 1
LONGEST_ID = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentIntent:
    """What a terminal is asked for."""

    attempt: str
    """Id of this try; never used for another one."""

    sale: str
    amount_minor: int
    """What the sale takes (or the refund gives), without cash back."""

    cashback_minor: int = 0
    currency: str = "PLN"
    kind: Kind = "sale"
    of: str = ""
    """Reversal: the attempt that is undone."""

    of_reference: str = ""
    of_moment: str = ""
    """Reversal: what the terminal called it, and when."""

    def __post_init__(self) -> None:
        """Refuse what no terminal may see.

        Raises:
            DeviceRefused: An amount or an id is out of bounds.
        """
        for name in ("attempt", "sale"):
            text = getattr(self, name)
            # The id of a reversal is that of its attempt and a number.
            bare = text.partition("~")[0] if self.kind == "reversal" else text
            if not (0 < len(bare) <= LONGEST_ID and text.isascii() and text.isprintable()):
                raise DeviceRefused(
                    f"Payment: {name} is {text!r}; expected 1 to {LONGEST_ID} plain characters.",
                    cure="Give it an id such as a UUID.",
                )
        if not 0 < self.amount_minor <= MOST_MINOR or not 0 <= self.cashback_minor <= MOST_MINOR:
            raise DeviceRefused(
                f"Payment {self.attempt}: amount {self.amount_minor} and cash back "
                f"{self.cashback_minor}; expected 1 (0 for cash back) to {MOST_MINOR} minor units.",
                cure="Correct the amount.",
            )
        if not (len(self.currency) == 3 and self.currency.isascii() and self.currency.isupper()):
            raise DeviceRefused(
                f"Payment {self.attempt}: currency is {self.currency!r}; expected three capitals.",
                cure="Write PLN.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What is kept of an approval. Every text has passed `hw.card.allowed`."""

    amount_minor: int
    """What the terminal says it took, without cash back; less than asked is possible."""

    cashback_minor: int = 0
    currency: str = "PLN"
    auth_code: str = ""
    reference: str = ""
    """The terminal's own name of it; a reversal needs it."""

    moment: str = ""
    """The terminal's own time of it, ISO 8601. Part of the reference."""

    terminal: str = ""
    merchant: str = ""
    means: str = ""
    """One of `hw.card.MEANS`, or nothing."""


@dataclass(frozen=True, slots=True)
class Approved(Done):
    """Money moved."""

    approval: Approval


@dataclass(frozen=True, slots=True)
class Declined(Refused):
    """The terminal itself said that no money moved."""

    code: str
    """The protocol's code of the reason; `aborted` when it was stopped."""


PaymentOutcome: TypeAlias = Approved | Refused | Unknown


@dataclass(frozen=True, slots=True)
class NotFound:
    """It is proven that the order never arrived."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The terminal is at it."""

    problem: str


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nothing was learnt."""

    problem: str
    cure: str
    final: bool = False
    """Asking again will not help: only a person can tell."""


Answer: TypeAlias = Approved | Declined | NotFound | Pending | NoAnswer
"""What a protocol brings back, from an order or from a question about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """What can be taken, as the terminal says of its own host; `None`: it does not say."""

    cards: bool | None = None
    blik: bool | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the terminal has counted in its open batch."""

    sales: int
    sales_minor: int
    refunds: int
    refunds_minor: int
    """Refunds and reversals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt, as it is noted."""

    intent: PaymentIntent
    state: State = "created"
    device: str = ""
    """Identity of the terminal it was sent to; another one is not asked about it."""

    approval: Approval | None = None
    proof: str = ""
    problem: str = ""
    cure: str = ""
    code: str = ""
    by: str = ""
    """Who decided, where no machine could tell."""

    undo: bool = False
    """The sale was cancelled: an approval must be reversed, whenever it comes to light."""

    undo_tries: int = 0

    @property
    def open(self) -> bool:
        """Whether money may have moved unnoticed: the terminal takes nothing else."""
        return self.state in OPEN

    @property
    def task(self) -> bool:
        """Whether money was taken for a sale that is cancelled."""
        return self.undo and self.state in CHARGED

    def moved(self, state: State, **facts: Any) -> "Attempt":
        """The same attempt, one step on.

        Raises:
            ValueError: There is no such move: a fault of ours.
        """
        if state not in MOVES[self.state]:
            raise ValueError(f"Attempt {self.intent.attempt}: no move {self.state} to {state}.")
        return replace(self, state=state, **facts)

    def answered(self, answer: Answer) -> "Attempt":
        """What an answer makes of it; the same object when it makes nothing of it."""
        late = self.state == "unknown"
        match answer:
            case Approved(proof=proof, approval=approval):
                return self.moved(
                    "resolved_approved" if late else "approved", proof=proof, approval=approval
                )
            case Declined(problem=problem, cure=cure, code=code):
                state: State = "aborted" if code == "aborted" else "declined"
                return self.moved(
                    "resolved_declined" if late else state, problem=problem, cure=cure, code=code
                )
            case NotFound() if late:
                return self.moved(
                    "resolved_declined",
                    problem="The order never arrived at the terminal.",
                    cure="Pay again, as a new attempt.",
                    code="not_found",
                )
            case NoAnswer(problem=problem, cure=cure) if not late:
                return self.moved("unknown", problem=problem, cure=cure)
        return self

    def doubted(self, problem: str, cure: str) -> "Attempt":
        """The answer was lost, or the program was: from now on it is asked about."""
        return self if self.state == "unknown" else self.answered(NoAnswer(problem, cure))

    def settled(self, approval: Approval | None, by: str) -> "Attempt":
        """A person has looked at the terminal's slip (or has given the money back).

        Raises:
            ValueError: Nothing is to be settled.
        """
        if self.task and approval is None:
            return self.moved("reversed", by=by)
        if approval is None:
            return self.moved(
                "resolved_declined",
                problem=f"{by} found no payment.",
                cure="Pay again, as a new attempt.",
                by=by,
            )
        return self.moved("resolved_approved", approval=approval, proof=f"{by} saw it", by=by)

    def told(self) -> PaymentOutcome | None:
        """What is answered without asking the terminal; None while nothing is proven."""
        name = self.intent.attempt
        match self.state:
            case "approved" | "resolved_approved":
                return Approved(self.proof, self.approval or Approval(amount_minor=0))
            case "declined" | "aborted" | "resolved_declined":
                return Declined(self.problem, self.cure, self.code)
            case "reversed":
                return Declined(
                    f"Attempt {name} was reversed.", "Pay again, as a new attempt.", "reversed"
                )
        return None

    def as_note(self) -> dict[str, Any]:
        """For `hw.memory`."""
        return asdict(self)

    @classmethod
    def of_note(cls, note: Mapping[str, Any]) -> "Attempt":
        """What `as_note` gave."""
        approval = note["approval"]
        return cls(
            **{
                **note,
                "intent": PaymentIntent(**note["intent"]),
                "approval": None if approval is None else Approval(**approval),
            }
        )
