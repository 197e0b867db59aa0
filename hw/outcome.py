"""The three ways an order to a device ends.

An order changes the world (paper moves, money moves), so "it raised" is not an answer:
the caller must know whether it may order again.

`Done`: the device itself confirmed the end.
`Refused`: it is proven that nothing happened; ordering again is safe.
`Unknown`: it may have happened. Never retried, never guessed: a person or a status
inquiry decides. An answer that did not come is `Unknown`.

A driver that raises instead has broken its promise: `concluded` makes `Unknown` of it.

A fiscal receipt is `Done` only as `Fiscalised`: with the evidence.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeAlias

import structlog

_log = structlog.get_logger(__name__)


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


async def concluded(device: str, order: Awaitable[Outcome]) -> Outcome:
    """Await an order; however its driver ends, the answer is an outcome.

    Only cancelling goes through: who cancels must take the order for unknown.

    Args:
        device: Its id, for the message.
        order: What the driver was asked.
    """
    try:
        outcome = await order
    except Exception as error:  # noqa: BLE001 - that is what it is for
        _log.exception("device.escaped", device=device)
        problem = f"Device {device}: its driver failed in the middle ({type(error).__name__})."
    else:
        if isinstance(outcome, Done | Refused | Unknown):
            return outcome
        _log.error("device.no_outcome", device=device, got=type(outcome).__name__)
        problem = f"Device {device}: expected an outcome, its driver gave none."
    return Unknown(problem, "Look at the device before ordering again; report what the log says.")
