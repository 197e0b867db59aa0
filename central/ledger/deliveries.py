"""The view of deliveries: what came in, once an event."""

from collections.abc import Sequence

from sqlalchemy import delete, select

from central.ledger import journal, rights
from central.ledger.effects import Effects
from central.ledger.entry import Entry
from central.ledger.tables import DELIVERIES, DUPLICATES
from central.ledger.unit import Unit
from sync import facts
from sync.facts.stock import GoodsReceived


def apply(unit: Unit, effects: Effects, entries: Sequence[Entry]) -> None:
    """Apply facts that tell of deliveries."""
    held: dict[tuple[str, bytes], tuple[journal.Place, GoodsReceived]] = {}
    for entry in entries:
        body, place = entry.body, entry.place
        assert isinstance(body, GoodsReceived)  # noqa: S101 - for the type checker: rows were made from such facts
        key = (place[0], entry.fact.event)
        before = held.get(key) or _stored(unit, key)
        first = before is None or not _earlier(unit, effects, key, before[0], place)
        rights.delivered(effects, entry, body, first=first)
        won = (place, body)
        if before:
            won, lost = (before, (place, body)) if before[0] < place else ((place, body), before)
            effects.rows[DUPLICATES].append((*lost[0], entry.fact.event, "goods.received"))
            if won is before:
                continue
            _delete(unit, before[0])
        held[key] = won
    effects.rows[DELIVERIES].extend(
        (*place, event, body.at_ms, body.supplier, body.reference, body.lines.n)
        for (_, event), (place, body) in held.items()
    )


def _earlier(
    unit: Unit,
    effects: Effects,
    key: tuple[str, bytes],
    counts: journal.Place,
    place: journal.Place,
) -> bool:
    """Whether the stream of `place` holds an earlier record of the same delivery."""
    if counts[:3] == place[:3]:
        return True
    kind = "goods.received"
    noted = [row[:4] for row in effects.rows[DUPLICATES] if row[4:] == (key[1], kind)]
    noted += rights.doubles(unit, key[0], [key[1]], kind).get(key[1], [])
    return any(other[:3] == place[:3] for other in noted)


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
