"""The view of deliveries: what came in, once an event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from central.ledger import journal
from central.ledger.effects import Effects
from central.ledger.tables import DELIVERIES, DUPLICATES
from central.ledger.unit import Unit
from sync import facts
from sync.clock import hlc_ms
from sync.facts.stock import GoodsReceived
from sync.merge import stock

if TYPE_CHECKING:
    from central.ledger.views import Entry


def apply(unit: Unit, effects: Effects, entries: Sequence[Entry]) -> None:
    """Apply facts that tell of deliveries."""
    held: dict[tuple[str, bytes], tuple[journal.Place, GoodsReceived]] = {}
    for entry in entries:
        body, place = entry.body, entry.place
        assert isinstance(body, GoodsReceived)  # noqa: S101 - for the type checker: rows were made from such facts
        store = effects.stores[place[0]]
        store.mention(body.lines.sku, hlc_ms(entry.fact.hlc))
        key = (place[0], entry.fact.event)
        before = held.get(key) or _stored(unit, key)
        won = (place, body)
        if before:
            won, lost = (before, (place, body)) if before[0] < place else ((place, body), before)
            effects.rows[DUPLICATES].append((*lost[0], entry.fact.event, "goods.received"))
            if won is before:
                continue
            store.move(stock.inverse(stock.received(before[1])))
            _delete(unit, before[0])
        held[key] = won
        store.move(stock.received(body))
    effects.rows[DELIVERIES].extend(
        (*place, event, body.at_ms, body.supplier, body.reference, body.lines.n)
        for (_, event), (place, body) in held.items()
    )


def _stored(unit: Unit, key: tuple[str, bytes]) -> tuple[journal.Place, GoodsReceived] | None:
    row = unit.connection.execute(
        select(DELIVERIES).where(DELIVERIES.c.store == key[0], DELIVERIES.c.event == key[1])
    ).first()
    if row is None:
        return None
    place = (row.store, row.node, row.incarnation, row.seq)
    body = facts.decode(journal.read_facts(unit.connection, [place])[place])
    assert isinstance(body, GoodsReceived)  # noqa: S101 - for the type checker: rows were made from such facts
    return place, body


def _delete(unit: Unit, place: journal.Place) -> None:
    unit.connection.execute(
        delete(DELIVERIES).where(
            DELIVERIES.c.store == place[0],
            DELIVERIES.c.node == place[1],
            DELIVERIES.c.incarnation == place[2],
            DELIVERIES.c.seq == place[3],
        )
    )
