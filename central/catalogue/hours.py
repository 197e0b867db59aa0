"""Hours in which something is not sold: told to a store, or to all, and shown again."""

import secrets
from collections.abc import Mapping
from typing import Any

from central import orders
from central.ledger import assortment, author, reading
from central.ledger.errors import NotFound, Refused
from central.ledger.unit import Unit
from sync.chain import ALL, EVENT_BYTES
from sync.facts.hours import SaleHours
from sync.rules import hours


def publish(unit: Unit, order: orders.HoursSet) -> dict[str, Any]:
    """Tell it; what is known already is not told again.

    Raises:
        NotFound: No such store.
        Refused: The target or the hours are no such thing.
    """
    try:
        forbidden = tuple(hours.read(text, order.days) for text in order.hours)
    except ValueError as error:
        raise Refused(f"{error}.") from error
    said = SaleHours(order.target, forbidden)
    if reason := said.reason():
        raise Refused(f"{reason}.")
    scope = order.store or ALL
    if order.store and reading.store(unit.connection, order.store) is None:
        raise NotFound(f"Store {order.store!r}: not known here; karb-central status lists them.")
    changed = assortment.sale_hours(unit.connection).get((scope, order.target)) != said
    if changed:
        author.write(unit, scope, [(secrets.token_bytes(EVENT_BYTES), said)])
    return {**_shown(scope, said), "changed": changed}


def shown(told: Mapping[tuple[str, str], SaleHours]) -> list[dict[str, Any]]:
    """Return all that was told, for people."""
    return [_shown(scope, said) for (scope, _), said in told.items()]


def _shown(scope: str, said: SaleHours) -> dict[str, Any]:
    return {
        "store": "" if scope == ALL else scope,
        "target": said.target,
        "forbidden": [str(one) for one in said.forbidden],
    }
