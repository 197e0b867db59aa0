"""A basket that is paid becomes a sale, and what devices will be asked for is noted with it.

Runs inside a unit of work. What is held of an earlier sale is counted for this one, and the
earlier one ends, in the same commit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from edge.store.checkouts import APPROVED, MOVED, AttemptView
from edge.store.unit import PersonKey, Unit
from edge.till import fiscal, parking, stages
from edge.till.basket import Recalled, Sell
from edge.till.errors import NotPossible
from edge.till.paying import TERMINAL, there
from edge.till.pricing import Draft, from_basket, sealed
from edge.till.printing import INTENDED
from edge.till.request import PayRequest
from edge.till.selling import Recorded, again
from sync.facts.sale import PaymentSettled, Stage
from sync.rules.vat import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Tendering:
    """All that is known before the unit of work begins."""

    event: bytes
    till: str
    request: PayRequest
    sell: Sell
    buyer: PersonKey | None
    fingerprint: bytes
    recalled: Recalled | None
    names: Mapping[str, str]
    """Of articles whose line carries none."""

    rates: tuple[Rate, ...]
    printer: str
    """The fiscal printer that will be asked; empty: none."""

    slip: bool
    """Whether a slip is to be printed if this closes the sale."""

    plan: Callable[[Draft], tuple[AttemptView, ...]]
    """Which payments a terminal will be asked for."""


def write(
    unit: Unit, asked: Tendering, *, ask: bool = False
) -> tuple[Recorded, tuple[AttemptView, ...]]:
    """Write the sale and the notes; return it, and what terminals have a part in.

    Raises:
        Short, BadSale, TillTaken: See `edge.till.stages.tender`.
        Conflict: The id is another sale's.
        NotPossible: What was held for the basket is being given back.
    """
    event, sell = asked.event, asked.sell
    found = unit.sale(event)
    if found is not None:
        return again(event, found, same=found.digest == asked.fingerprint), ()
    if asked.recalled is not None:
        parking.check(unit, asked.recalled)
    who = sealed(unit, asked.request.buyer, asked.buyer)
    draft = from_basket(asked.till, sell, asked.request.approved_by, who)
    recorded = stages.tender(
        unit, event, draft, asked.fingerprint, ask=ask, printed_later=bool(asked.printer)
    )
    parts = _parts(sell, asked.plan(draft))
    if parts or asked.printer:
        unit.checkouts.begin(
            event,
            asked.till,
            unit.now.ms,
            parts,
            printer=asked.printer,
            receipt=_receipt(asked, recorded) if asked.printer else b"",
        )
    if sell.held:
        recorded = _take_over(unit, event, sell, recorded)
    if asked.recalled is not None:
        parking.end(unit, asked.recalled, event)
    if asked.slip and recorded.stage is Stage.CLOSED:
        unit.slip(event, asked.till, INTENDED)
    return recorded, parts


def _receipt(asked: Tendering, recorded: Recorded) -> bytes:
    receipt = fiscal.receipt_of(
        asked.event, recorded.sale, recorded.series, asked.names, asked.rates
    )
    return fiscal.kept(receipt)


def _parts(sell: Sell, planned: tuple[AttemptView, ...]) -> tuple[AttemptView, ...]:
    """Return the payments terminals have a part in: those held are approved already."""
    held = tuple(
        AttemptView(n, part.attempt, part.device, APPROVED, part.reference, part.decided_by)
        for n, part in enumerate(sell.held)
    )
    return held + tuple(part for part in planned if part.payment >= len(held))


def _take_over(unit: Unit, event: bytes, sell: Sell, recorded: Recorded) -> Recorded:
    """Count what is held for this sale, and end the sale that it was taken for."""
    for sale in dict.fromkeys(part.sale for part in sell.held):
        before, notes = there(unit, sale)
        if before.stage is not Stage.TENDERED or notes.cancelled:
            raise NotPossible(
                "Basket: what was paid for it is being given back.", "Pay the whole of it."
            )
        stages.void(unit, sale, f"paid as sale {UUID(bytes=event)}")
        for part in notes.attempts:
            if part.state == APPROVED:
                unit.checkouts.note(sale, part._replace(state=MOVED))
        unit.checkouts.end(sale)
    for n, held in enumerate(sell.held):
        by = held.decided_by or TERMINAL
        said = PaymentSettled(n, approved=True, reference=held.reference, decided_by=by)
        unit.append(said, event)
    now, _ = there(unit, event)
    stages.advance(unit, now)
    return replace(recorded, stage=there(unit, event)[0].stage)
