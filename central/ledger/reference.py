"""Views of what head office says: articles, prices, VAT, stores, nodes. Latest wins per key.

A row notes the fact that made it. Of two facts for one key the later hybrid time holds, and
of two that tell of one article in one revision the greater, as at the stores: the order of
arrival does not matter.
"""

from collections.abc import Sequence

from sqlalchemy import Table

from central.ledger import bulk
from central.ledger.entry import Entry
from central.ledger.tables import (
    ARTICLES,
    FENCES,
    LIVES,
    NODES,
    PRICES,
    PROMOTIONS,
    REVOKED,
    SALE_HOURS,
    STORES,
    VAT_RATES,
)
from central.ledger.unit import Unit
from sync.chain import StreamId
from sync.clock import hlc_ms
from sync.facts.catalogue import Articles, Prices, VatRates
from sync.facts.hours import SaleHours
from sync.facts.node import (
    IncarnationBegan,
    NodeEnrolled,
    NodeRevoked,
    StoreDescribed,
    StreamClosed,
)
from sync.facts.promotion import PromotionTold
from sync.rules.fiscal_name import compared

KINDS = (
    Articles,
    Prices,
    VatRates,
    PromotionTold,
    SaleHours,
    StoreDescribed,
    NodeEnrolled,
    NodeRevoked,
    IncarnationBegan,
    StreamClosed,
)


def apply(unit: Unit, entries: Sequence[Entry]) -> None:  # noqa: C901 - one case a kind
    """Apply facts of head office's kinds."""
    rows: dict[Table, list[bulk.Row]] = {}
    for entry in entries:
        body = entry.body
        store, *author = entry.place
        hlc = entry.fact.hlc
        if isinstance(body, Articles):
            rows.setdefault(ARTICLES, []).extend(
                (
                    store,
                    row.sku,
                    body.revision,
                    row.name,
                    row.fiscal_name,
                    row.unit,
                    row.vat,
                    " ".join(row.codes),
                    row.deposit_minor,
                    row.age_min,
                    row.group,
                    *author,
                    body.from_ms,
                    compared(row.fiscal_name),
                )
                for row in body.articles.rows()
            )
        elif isinstance(body, Prices):
            rows.setdefault(PRICES, []).extend(
                (
                    store,
                    row.sku,
                    body.revision,
                    row.from_ms,
                    row.unit_minor,
                    *author,
                    hlc_ms(hlc),
                )
                for row in body.prices.rows()
            )
        elif isinstance(body, VatRates):
            rows.setdefault(VAT_RATES, []).extend(
                (
                    store,
                    rate.code,
                    rate.since,
                    body.revision,
                    rate.basis_points,
                    int(rate.exempt),
                    *author,
                )
                for rate in body.rates
            )
        elif isinstance(body, PromotionTold):
            rows.setdefault(PROMOTIONS, []).append(
                (store, body.promotion.id, body.revision, entry.fact.body, hlc, *author)
            )
        elif isinstance(body, SaleHours):
            rows.setdefault(SALE_HOURS, []).append(
                (store, body.target, entry.fact.body, hlc, *author)
            )
        elif isinstance(body, StoreDescribed):
            rows.setdefault(STORES, []).append(
                (
                    store,
                    body.name,
                    body.zone,
                    body.currency,
                    body.taxpayer,
                    int(body.fiscal),
                    body.day_starts_minute,
                    hlc,
                    *author,
                )
            )
        elif isinstance(body, NodeEnrolled):
            unit.members_told.add((store, body.node))
            rows.setdefault(NODES, []).append(
                (store, body.node, body.name, body.certificate, hlc, *author)
            )
        elif isinstance(body, NodeRevoked):
            unit.members_told.add((store, body.node))
            rows.setdefault(REVOKED, []).append((store, body.node, body.why, hlc, *author))
        elif isinstance(body, IncarnationBegan | StreamClosed):
            unit.lives_changed = True
            table, row = _of_lives(entry, body)
            rows.setdefault(table, []).append(row)
    for table, made in rows.items():
        for part in _apart(table, made):
            bulk.insert(unit.connection, table, part, _CONFLICTS[table])


def _apart(table: Table, rows: list[bulk.Row]) -> list[list[bulk.Row]]:
    """Split rows so that no part has a key twice: a statement may not touch one twice."""
    places = [at for at, column in enumerate(table.columns) if column.primary_key]
    parts: list[tuple[set[bulk.Row], list[bulk.Row]]] = []
    for row in rows:
        key = tuple([row[at] for at in places])
        for keys, part in parts:
            if key not in keys:
                keys.add(key)
                part.append(row)
                break
        else:
            parts.append(({key}, [row]))
    return [part for _, part in parts]


def _of_lives(entry: Entry, body: IncarnationBegan | StreamClosed) -> tuple[Table, bulk.Row]:
    store, node, incarnation, seq = entry.place
    hlc = entry.fact.hlc
    if isinstance(body, StreamClosed):
        successor = body.successor
        return FENCES, (
            store,
            body.stream.node,
            body.stream.incarnation,
            body.seq,
            body.hash,
            successor.node,
            successor.incarnation,
            body.why,
            hlc,
            node,
            incarnation,
            seq,
        )
    ended = body.previous
    # The life before is one of the same node in the same scope; of another it ends nothing.
    if ended is None or (ended.node, ended.scope) != (node, store):
        ended = StreamId(node, 0, store)
    return LIVES, (
        store,
        node,
        incarnation,
        ended.node,
        ended.incarnation,
        body.seq,
        body.hash,
        body.cause,
        hlc,
    )


def _latest(table: Table, keys: str, order: str) -> str:
    taken = keys.split(", ")
    values = ", ".join(
        f"{column.name} = excluded.{column.name}"
        for column in table.columns
        if column.name not in taken
    )
    ours = ", ".join(f"{table.name}.{name}" for name in order.split(", "))
    theirs = ", ".join(f"excluded.{name}" for name in order.split(", "))
    return f"ON CONFLICT ({keys}) DO UPDATE SET {values} WHERE ({theirs}) > ({ours})"


_PLACE = "node, incarnation, seq"
_CONFLICTS: dict[Table, str] = {
    ARTICLES: _latest(
        ARTICLES,
        "store, sku, revision",
        "name, fiscal_name, unit, vat, codes, deposit_minor, age_min, product_group, from_ms, "
        f"{_PLACE}",
    ),
    PRICES: _latest(PRICES, "store, sku, revision, from_ms", f"unit_minor, {_PLACE}"),
    VAT_RATES: _latest(
        VAT_RATES, "store, code, since, revision", f"basis_points, exempt, {_PLACE}"
    ),
    PROMOTIONS: _latest(PROMOTIONS, "store, id", f"hlc, {_PLACE}"),
    SALE_HOURS: _latest(SALE_HOURS, "store, target", f"hlc, {_PLACE}"),
    STORES: _latest(STORES, "store", f"hlc, {_PLACE}"),
    NODES: _latest(NODES, "store, subject", f"hlc, {_PLACE}"),
    LIVES: "ON CONFLICT DO NOTHING",  # it is the first fact of its stream
    # The first word on a fence and on a revocation holds.
    FENCES: _latest(FENCES, "store, closed_node, closed_incarnation", f"hlc, {_PLACE}").replace(
        ") > (", ") < ("
    ),
    REVOKED: _latest(REVOKED, "store, subject", f"hlc, {_PLACE}").replace(") > (", ") < ("),
}
