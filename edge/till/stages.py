"""A sale that waits for something: tendered, settled, closed; and taken up again at start.

    tender ──▶ TENDERED ──settle(approved)──▶ … ──close──▶ CLOSED
                   └──────settle(refused)─────────────────▶ VOIDED

Each step is one unit of work, on disk before the next side effect. Which step comes next
is decided in one place, `sync.merge.sales.next_step`, here and after a crash alike; where a
terminal or a fiscal printer has a part in it, in `edge.till.checkout.next_effect`.
"""

from edge.store.unit import SaleView, Unit
from edge.till.errors import Conflict, NotFound
from edge.till.pricing import Draft
from edge.till.selling import Recorded, write
from sync.facts.sale import PaymentSettled, SaleClosed, SaleVoided, Stage
from sync.merge.sales import NEEDS_APPROVAL, Next, next_step, pending

PERSON = "person:"
"""Stands before the name of whoever decided where no machine could tell."""


def tender(
    unit: Unit,
    event: bytes,
    draft: Draft,
    fingerprint: bytes,
    *,
    ask: bool = False,
    printed_later: bool = False,
) -> Recorded:
    """Write a sale before its first side effect; closed at once if there is none.

    Args:
        unit: The unit of work.
        event: The sale's.
        draft: The sale.
        fingerprint: Of the request.
        ask: Others may be asked for rights first.
        printed_later: A fiscal receipt is to be printed.

    Raises:
        Short: It goes beyond our right, and `ask` says that others may be asked first.
        BadSale: It cannot be true.
        TillTaken: The till belongs to another node.
    """
    waits = any(payment.method in NEEDS_APPROVAL for payment in draft.payments)
    stage = Stage.TENDERED if waits or printed_later else Stage.CLOSED
    return write(
        unit,
        event,
        draft,
        stage=stage,
        fingerprint=fingerprint,
        ask=ask,
        printed_later=printed_later,
    )


def settle(unit: Unit, event: bytes, payment: int, *, approved: bool, decided_by: str) -> SaleView:
    """Note what became of a payment, and do what follows.

    Saying the same again changes nothing.

    Raises:
        NotFound: No such sale or payment, or nobody has to approve it.
        Conflict: It was decided the other way, or the sale is over.
    """
    sale = _sale(unit, event)
    if payment >= len(sale.body.payments):
        raise NotFound(
            f"Payment {payment}: expected 0 to {len(sale.body.payments) - 1}.",
            "Look at the sale's payments.",
        )
    before = sale.settled.get(payment)
    if before is not None and before is approved:
        return sale
    if before is not None or sale.stage in (Stage.CLOSED, Stage.VOIDED):
        told = {None: "the sale is over", True: "it was approved", False: "it was refused"}[before]
        raise Conflict(
            f"Payment {payment}: {told}; expected one that nobody has decided.",
            "Correct it with another sale.",
        )
    if payment not in pending(sale.body, sale.settled):
        raise NotFound(
            f"Payment {payment} by {sale.body.payments[payment].method}: nobody has to approve it.",
            "Look at the sale's payments.",
        )
    decided = PaymentSettled(payment, approved, decided_by=decided_by)
    unit.append(decided, event)
    if approved:
        advance(unit, _sale(unit, event))
    else:
        void(unit, event, f"payment {payment} was refused")
    return _sale(unit, event)


def void(unit: Unit, event: bytes, why: str) -> None:
    """Write that a sale came to nothing."""
    now = unit.now
    unit.append(SaleVoided(now.ms, int(now.trust), why), event)


def advance(unit: Unit, sale: SaleView) -> Next:
    """Close a sale that waits for nothing; return what it waits for otherwise."""
    step = next_step(sale.body, sale.stage, sale.settled, fiscal=unit.settings.fiscal)
    if step is Next.CLOSE:
        now = unit.now
        unit.holder.close(sale.event, SaleClosed(now.ms, int(now.trust)))
        return Next.NOTHING
    return step


def waits_for(sale: SaleView, *, fiscal: bool) -> Next:
    """Return what an open sale waits for."""
    return next_step(sale.body, sale.stage, sale.settled, fiscal=fiscal)


def _sale(unit: Unit, event: bytes) -> SaleView:
    found = unit.sale(event)
    if found is None:
        raise NotFound(
            "Sale: expected one recorded here, found none under this id.", "Look at the id."
        )
    return found
