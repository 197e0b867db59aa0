"""Which of several facts tell of one sale, and how far that sale is.

Stages only grow (`Stage` is ordered), so merging is the maximum and the order in
which facts arrive does not matter. Two nodes that recorded one event: the lowest
(stream, number) counts, and the author of the other compensates.
"""

from collections.abc import Iterable, Mapping
from enum import Enum

from sync.chain import StreamId
from sync.facts import Body
from sync.facts.sale import PaymentSettled, Sale, SaleClosed, SaleFiscalised, SaleVoided, Stage

Place = tuple[StreamId, int]
"""Where a fact stands: stream and number."""

SaleBody = Sale | PaymentSettled | SaleFiscalised | SaleClosed | SaleVoided

NEEDS_APPROVAL = frozenset({"card", "blik", "transfer"})
"""Methods whose money another system moves: never presumed."""


class Next(Enum):
    """What an unfinished sale waits for."""

    PAYMENT = "payment"
    """Somebody must say whether a payment went through."""

    FISCALISE = "fiscalise"
    CLOSE = "close"
    NOTHING = "nothing"


def stage_of(body: SaleBody, settled: Mapping[int, bool], sale: Sale | None) -> Stage:
    """Return the stage that `body` vouches for, beside what is settled so far.

    Args:
        body: The fact.
        settled: Payment index to approved, this fact's included.
        sale: The tendered sale, if it is here.
    """
    match body:
        case Sale():
            return max(body.stage, Stage.APPROVED) if not pending(body, settled) else body.stage
        case SaleFiscalised():
            return Stage.FISCALISED
        case SaleClosed():
            return Stage.CLOSED
        case SaleVoided():
            return Stage.VOIDED
        case PaymentSettled():
            ready = sale is not None and not pending(sale, settled)
            return Stage.APPROVED if ready else Stage.TENDERED


def stage_now(sale: Sale | None, settled: Mapping[int, bool], later: int) -> Stage:
    """Return how far a sale is, from all that is known of it.

    Args:
        sale: The sale itself, if it is here.
        settled: Payment index to approved.
        later: The furthest stage its other facts vouch for; 0 if there are none.
    """
    if sale is None:
        return Stage(max(later, Stage.TENDERED))
    return Stage(max(stage_of(sale, settled, sale), later))


def pending(sale: Sale, settled: Mapping[int, bool]) -> list[int]:
    """Return the payments of a tendered sale that nobody has approved yet."""
    if sale.stage is Stage.CLOSED:
        return []
    return [
        index
        for index, payment in enumerate(sale.payments)
        if payment.method in NEEDS_APPROVAL and not settled.get(index, False)
    ]


def next_step(sale: Sale, stage: Stage, settled: Mapping[int, bool], *, fiscal: bool) -> Next:
    """Return what start-up has to do for a sale it finds unfinished.

    Args:
        sale: As tendered.
        stage: How far the journal says it is.
        settled: Payment index to approved.
        fiscal: Whether the store must have fiscal evidence.
    """
    if stage in (Stage.CLOSED, Stage.VOIDED):
        return Next.NOTHING
    if pending(sale, settled):
        return Next.PAYMENT
    if fiscal and stage < Stage.FISCALISED and sale.fiscal is None:
        return Next.FISCALISE
    return Next.CLOSE


def winner(places: Iterable[Place]) -> Place:
    """Return the fact that counts, of those that record one event of one store."""
    return min(places)


def is_sale_body(body: Body | None) -> bool:
    """Whether a body tells of a sale."""
    return isinstance(body, SaleBody)
