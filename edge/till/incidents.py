"""What only a person can end, or should know of because it does not end by itself. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edge.store.checkouts import APPROVED, BY_HAND, UNDO, UNKNOWN, AttemptView, CheckoutView
from edge.store.unit import SaleView
from sync.facts.sale import Stage

_KINDS = {UNKNOWN: "payment", BY_HAND: "give_back", UNDO: "give_back"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One thing that nags."""

    sale: SaleView
    kind: str
    """``payment``: unknown whether money moved; ``give_back``: money of a sale that came to
    nothing is with us; ``fiscal``: the receipt is not printed, or nobody knows; ``held``:
    money was taken for a sale that nobody finished."""

    payment: int | None
    amount_minor: int
    device: str
    problem: str
    cure: str
    since_ms: int


def of(under_way: Iterable[tuple[SaleView, CheckoutView]]) -> list[Incident]:
    """Return the incidents of the sales under way."""
    return [one for sale, notes in under_way for one in _of(sale, notes)]


def _of(sale: SaleView, notes: CheckoutView) -> Iterator[Incident]:
    declined = False in sale.settled.values()
    for part in notes.attempts:
        kind = _KINDS.get(part.state)
        if kind is None and part.state == APPROVED and declined and sale.stage < Stage.APPROVED:
            kind = "held"
        if kind is not None:
            yield _payment(sale, notes, kind, part)
    if sale.stage is Stage.APPROVED and notes.problem:
        yield Incident(
            sale=sale,
            kind="fiscal",
            payment=None,
            amount_minor=sale.total_minor,
            device=notes.printer,
            problem=notes.problem,
            cure=notes.cure,
            since_ms=notes.began_ms,
        )


def _payment(sale: SaleView, notes: CheckoutView, kind: str, part: AttemptView) -> Incident:
    held = "Take the rest otherwise at the till, or cancel the sale: it is given back."
    return Incident(
        sale=sale,
        kind=kind,
        payment=part.payment,
        amount_minor=sale.body.payments[part.payment].amount_minor,
        device=part.device,
        problem=part.problem or "Another part of the sale was declined.",
        cure=part.cure or held,
        since_ms=notes.began_ms,
    )
