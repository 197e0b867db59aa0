"""What a person orders of stock and promises, carried out in the ledger."""

from typing import Any
from uuid import UUID

from central import orders
from central.ledger import shelves
from central.ledger.errors import Refused
from central.ledger.ledger import Ledger
from central.stock import policy, promising
from sync.facts.rights import StockPolicy

MAX_WHO = 100
MAX_WHY = 500

Order = orders.PolicySet | orders.PolicyList | orders.PromiseGiveUp


async def carry_out(ledger: Ledger, order: Order) -> dict[str, Any]:
    """Do what is ordered; return what to tell.

    Raises:
        Refused: It cannot be done; nothing was stored.
        LedgerUnavailable: Nothing was stored.
    """
    match order:
        case orders.PolicySet():
            return await _set(ledger, order)
        case orders.PolicyList():
            return {"policies": await policies(ledger)}
        case orders.PromiseGiveUp():
            return await _give_up(ledger, order)


async def policies(ledger: Ledger) -> list[dict[str, Any]]:
    """Return every policy."""
    found = await ledger.read(shelves.policies)
    return [
        _told(scope, said) for scope, targets in sorted(found.items()) for said in targets.values()
    ]


async def _set(ledger: Ledger, order: orders.PolicySet) -> dict[str, Any]:
    said, changed = await ledger.write(
        lambda unit: policy.set_policy(
            unit,
            order.target,
            store=order.store,
            mode=order.mode,
            floor_milli=order.floor_milli,
            web_percent=order.web_percent,
        )
    )
    return {**_told(order.store or "", said), "changed": changed}


async def _give_up(ledger: Ledger, order: orders.PromiseGiveUp) -> dict[str, Any]:
    who = _who(order.who)
    try:
        root = UUID(order.id).bytes
    except ValueError as error:
        raise Refused(f"Promise {order.id!r}: expected a UUID.") from error
    broken = await ledger.write(
        lambda unit: promising.give_up(unit, root, order.store, who, order.why[:MAX_WHY])
    )
    return {"id": str(UUID(bytes=root)), "store": order.store, "given_up_milli": broken}


def _told(scope: str, said: StockPolicy) -> dict[str, Any]:
    return {
        "store": scope,
        "target": said.target,
        "mode": said.mode.name.lower(),
        "floor_milli": said.floor_milli,
        "web_percent": said.web_percent,
    }


def _who(who: str) -> str:
    if not 0 < len(who.strip()) <= MAX_WHO:
        raise Refused(f"--who {who!r}: expected the name of a person, 1 to {MAX_WHO} characters.")
    return who.strip()
