"""The three ways an order to a device ends.

An order changes the world (paper moves, money moves), so "it raised" is not an answer:
the caller must know whether it may order again.

`Done`: the device itself confirmed the end.
`Refused`: it is proven that nothing happened; ordering again is safe.
`Unknown`: it may have happened. Never retried, never guessed: a person or a status
inquiry decides. An answer that did not come is `Unknown`.

A fiscal receipt is `Done` only as `Fiscalised`: with the evidence.
"""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Done:
    """The device confirmed that the whole order was carried out."""

    proof: str
    """What the confirmation was, for the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What names a fiscal receipt for ever."""

    device: str
    """Unique number of the device."""

    document: str
    """Number of the receipt, as the device tells it; empty when it could not be told."""

    memory_id: int | None = None
    """Number of the document in the device's protected memory (JPKID)."""

    report: int | None = None
    """Number of the daily report it will be in."""

    fiscal: bool = True
    """False: the device was not fiscalised, so this is a training slip and no evidence."""


@dataclass(frozen=True, slots=True)
class Fiscalised(Done):
    """The receipt is in the device's fiscal memory."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing of the order happened."""

    problem: str
    cure: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Part or all of the order may have happened."""

    problem: str
    cure: str


Outcome: TypeAlias = Done | Refused | Unknown
FiscalOutcome: TypeAlias = Fiscalised | Refused | Unknown
