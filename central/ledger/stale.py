"""Lines sold at a price that was over: marked, never rewritten.

A sale keeps the price version its store knew. Head office's books say which price was in
force at that moment: of the prices of the article that had begun, the one that begins last,
then the latest revision. A price with no date begins when it was written. A line is stale
if another price than the one its version names was in force, later told or later begun,
and of another amount. That is a function of the facts: whichever comes last, the sale or
the price, marks the line, or takes the mark away.

A line keyed by hand or by a client has no version, and no mark.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import select, tuple_, update

from central.ledger import bulk, journal
from central.ledger.entry import Entry
from central.ledger.tables import SALES, STALE_PRICES
from central.ledger.unit import Listed, Unit
from sync import facts
from sync.chain import ALL
from sync.clock import hlc_ms
from sync.facts import columns
from sync.facts.catalogue import Prices
from sync.facts.sale import Sale

_PART = 200


class Line(NamedTuple):
    """A line as it was sold."""

    sku: str
    unit_minor: int
    version: int
    at_ms: int


def due(line: Line, prices: Sequence[Listed]) -> Listed | None:
    """Return the price that was in force in place of a line's own; None if that one was."""
    if not line.version:
        return None
    used = max((price.rank for price in prices if price.revision == line.version), default=None)
    if used is None:
        return None  # of a price that has not come yet
    begun = [price for price in prices if price.begins_ms <= line.at_ms]
    in_force = max(begun, key=lambda price: price.rank, default=None)
    if in_force is None or in_force.rank <= used or in_force.unit_minor == line.unit_minor:
        return None
    return in_force


def apply(unit: Unit, sold: Sequence[Entry], told: Sequence[Entry], *, new: bool) -> None:
    """Judge the lines of new sales, and those that new prices are about. Their rows are written.

    Args:
        unit: The transaction.
        sold: Facts of sales.
        told: Facts of head office's kinds.
        new: They are being written now, so that no sale can have used their prices yet.
    """
    changed: dict[str, dict[str, int]] = defaultdict(dict)
    for entry in told:
        body = entry.body
        if isinstance(body, Prices):
            begins = changed[entry.place[0]]
            for row in body.prices.rows():
                since = (row.from_ms or hlc_ms(entry.fact.hlc)) if new else 0
                begins[row.sku] = min(begins.get(row.sku, since), since)
                told_ms = hlc_ms(entry.fact.hlc)
                listed = Listed(row.from_ms, body.revision, row.unit_minor, told_ms)
                unit.note_price(entry.place[0], row.sku, listed)
    for store, behind in _suspects(unit, sold).items():
        _judge(unit, store, sorted(behind), told_again=False)
    for scope, begins in changed.items():
        for store, events in _touched(unit, scope, begins).items():
            _judge(unit, store, events, told_again=True)


def _suspects(unit: Unit, sold: Sequence[Entry]) -> dict[str, set[bytes]]:
    """Return the events of sales that may have a stale line, by store."""
    found: dict[str, set[bytes]] = defaultdict(set)
    lists: dict[str, Sequence[Mapping[str, tuple[Listed, ...]]]] = {}
    for entry in sold:
        if isinstance(entry.body, Sale):
            store = entry.place[0]
            if store not in lists:
                lists[store] = unit.price_lists(store)
            if _suspect(lists[store], entry.body):
                found[store].add(entry.fact.event)
    return found


def _suspect(lists: Sequence[Mapping[str, tuple[Listed, ...]]], sale: Sale) -> bool:
    """Whether a line was sold at a price that was over. This runs once a sale."""
    lines = sale.lines
    if not lists or lines.price_version == [0]:
        return False
    for sku, unit_minor, version in columns.unpack(
        lines.n, (lines.sku, lines.unit_minor, lines.price_version)
    ):
        prices = lists[0].get(sku, ())
        for more in lists[1:]:
            prices += more.get(sku, ())
        if len(prices) > 1 and due(Line(sku, unit_minor, version, sale.at_ms), prices):
            return True
    return False


def _touched(unit: Unit, scope: str, begins: Mapping[str, int]) -> dict[str, list[bytes]]:
    """Return the sales of these articles at or after a moment."""
    question = select(SALES.c.store, SALES.c.event).where(SALES.c.at_ms >= min(begins.values()))
    if scope != ALL:
        question = question.where(SALES.c.store == scope)
    later: dict[str, list[bytes]] = defaultdict(list)
    for store, event in unit.connection.execute(question):
        later[store].append(event)
    found: dict[str, list[bytes]] = {}
    for store, events in later.items():
        touched = [
            event
            for part in bulk.chunks(events, _PART)
            for event, sale in _sales(unit, store, part).items()
            if any(sale.at_ms >= begins.get(sku, sale.at_ms + 1) for sku in sale.lines.sku)
        ]
        if touched:
            found[store] = touched
    return found


def _sales(unit: Unit, store: str, events: Sequence[bytes]) -> dict[bytes, Sale]:
    """Return sales as they count, by their events."""
    places = {
        (store, row.node, row.incarnation, row.seq): row.event
        for row in unit.connection.execute(
            select(SALES.c.event, SALES.c.node, SALES.c.incarnation, SALES.c.seq).where(
                SALES.c.store == store, SALES.c.event.in_(events)
            )
        )
    }
    return {
        places[place]: body
        for place, fact in journal.read_facts(unit.connection, places).items()
        if isinstance(body := facts.decode(fact), Sale)
    }


def _judge(unit: Unit, store: str, events: Sequence[bytes], *, told_again: bool) -> None:
    """Work out the marks of sales again; a sale whose marks changed goes to the feed's end."""
    for part in bulk.chunks(events, _PART):
        sales = _sales(unit, store, part)
        now = {}
        for event, sale in sales.items():
            for at, row in enumerate(sale.lines.rows()):
                line = Line(row.sku, row.unit_minor, row.price_version, sale.at_ms)
                found = due(line, unit.prices_of(store, row.sku))
                if found is not None:
                    now[event, at] = (found.unit_minor, found.revision)
        before = {
            (row.event, row.line): (row.due_minor, row.due_version)
            for row in unit.connection.execute(
                select(STALE_PRICES).where(
                    STALE_PRICES.c.store == store, STALE_PRICES.c.event.in_(part)
                )
            )
        }
        gone = sorted(before.keys() - now.keys())
        for some in bulk.chunks(gone):
            key = tuple_(STALE_PRICES.c.event, STALE_PRICES.c.line)
            unit.connection.execute(
                STALE_PRICES.delete().where(STALE_PRICES.c.store == store, key.in_(some))
            )
        new = {key: value for key, value in now.items() if before.get(key) != value}
        bulk.insert(
            unit.connection,
            STALE_PRICES,
            [(store, *key, *value) for key, value in sorted(new.items())],
            "ON CONFLICT (store, event, line) DO UPDATE SET due_minor = excluded.due_minor, "
            "due_version = excluded.due_version",
        )
        if told_again:
            for event in sorted({event for event, _ in (*gone, *new)}):
                unit.connection.execute(
                    update(SALES)
                    .where(SALES.c.store == store, SALES.c.event == event)
                    .values(change=unit.next_change(store))
                )
