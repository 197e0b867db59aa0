"""Reading rows of rights back, as shelves."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select, text

from central.ledger import bulk
from central.ledger.tables import ARTICLES, FENCES, POLICIES, RIGHTS, STREAMS
from central.ledger.unit import Unit
from central.stock.shelf import Fence, Row, Shelf
from sync.chain import ALL, StreamId
from sync.facts.rights import Mode, StockPolicy
from sync.merge.stock import Column

_COUNTED = tuple(column.name.lower() for column in Column)
_RESERVED = text("held - freed - done > 0")


def of_unit(unit: Unit, store: str, cells: Sequence[str]) -> dict[str, Shelf]:
    """Return shelves of a store as they stand inside a transaction; each cell is there."""
    return _of_store(unit.connection, store, cells, unit)


def of_store(connection: Connection, store: str, cells: Sequence[str]) -> dict[str, Shelf]:
    """Return shelves of a store; each cell is there."""
    return _of_store(connection, store, cells, None)


def _of_store(
    connection: Connection, store: str, cells: Sequence[str], unit: Unit | None
) -> dict[str, Shelf]:
    fences = _fences(connection, unit, store).get(store, {})
    rows: dict[str, dict[StreamId, Row]] = {cell: {} for cell in cells}
    names = ("cell", "node", "incarnation", *_COUNTED, "as_of_ms")
    for cell, node, incarnation, *row in bulk.rows_of(
        connection, RIGHTS, names, "cell", store, list(rows)
    ):
        rows[cell][StreamId(node, incarnation, store)] = row
    return {cell: Shelf(store, cell, held, fences) for cell, held in rows.items()}


def of_cells(unit: Unit, cells: Sequence[str]) -> dict[str, dict[str, Shelf]]:
    """Return shelves of every store as they stand in a transaction: store to cell to shelf."""
    question = select(RIGHTS).where(RIGHTS.c.cell.in_(cells)).order_by(RIGHTS.c.store)
    found: dict[str, dict[str, Shelf]] = defaultdict(dict)
    for shelf in _gather(unit.connection, question, _fences(unit.connection, unit, None)):
        found[shelf.store][shelf.cell] = shelf
    return found


def every(connection: Connection, store: str | None, cell: str | None) -> list[Shelf]:
    """Return shelves of articles, sorted by store and article."""
    question = select(RIGHTS).where(RIGHTS.c.cell >= " ").order_by(RIGHTS.c.store, RIGHTS.c.cell)
    if store is not None:
        question = question.where(RIGHTS.c.store == store)
    if cell is not None:
        question = question.where(RIGHTS.c.cell == cell)
    fences = _fences(connection, None, store)
    return _gather(connection, question, fences)


def reserved(unit: Unit) -> list[Shelf]:
    """Return the shelves something is reserved at, as they stand in a transaction."""
    return _reserved(unit.connection, unit)


def reserved_now(connection: Connection) -> list[Shelf]:
    """Return the shelves something is reserved at."""
    return _reserved(connection, None)


def _reserved(connection: Connection, unit: Unit | None) -> list[Shelf]:
    found: dict[str, list[str]] = defaultdict(list)
    cells = select(RIGHTS.c.store, RIGHTS.c.cell).where(_RESERVED).distinct()
    for store, cell in connection.execute(cells):
        found[store].append(cell)
    return [
        shelf
        for store, listed in sorted(found.items())
        for shelf in _of_store(connection, store, listed, unit).values()
    ]


def below_zero(connection: Connection) -> list[Shelf]:
    """Return shelves of kept articles where a holder's own row says less than nothing."""
    right = (
        RIGHTS.c.made
        + RIGHTS.c.got
        - RIGHTS.c.gave
        - RIGHTS.c.used
        - RIGHTS.c.held
        + RIGHTS.c.freed
        - RIGHTS.c.covered
    )
    cells = select(RIGHTS.c.store, RIGHTS.c.cell).where(right < 0).distinct().subquery()
    same = and_(RIGHTS.c.store == cells.c.store, RIGHTS.c.cell == cells.c.cell)
    question = select(RIGHTS).join(cells, same).order_by(RIGHTS.c.store, RIGHTS.c.cell)
    found = _gather(connection, question, _fences(connection, None, None))
    return [shelf for shelf in found if shelf.kept]


def uncovered_milli(connection: Connection) -> int:
    """Return what was taken beyond rights anywhere and is not covered yet."""
    return int(connection.execute(select(func.sum(RIGHTS.c.over - RIGHTS.c.covered))).scalar() or 0)


def _gather(
    connection: Connection,
    question: "Select[Any]",
    fences: dict[str, dict[StreamId, Fence]],
) -> list[Shelf]:
    found: dict[tuple[str, str], dict[StreamId, Row]] = defaultdict(dict)
    for store, cell, node, incarnation, *row in connection.execute(question):
        found[store, cell][StreamId(node, incarnation, store)] = row
    return [
        Shelf(store, cell, rows, fences.get(store, {})) for (store, cell), rows in found.items()
    ]


def _fences(
    connection: Connection, unit: Unit | None, store: str | None
) -> dict[str, dict[StreamId, Fence]]:
    """Return the closed streams by store."""
    question = select(FENCES)
    if store is not None:
        question = question.where(FENCES.c.store == store)
    found: dict[str, dict[StreamId, Fence]] = defaultdict(dict)
    for row in connection.execute(question):
        stream = StreamId(row.closed_node, row.closed_incarnation, row.store)
        heir = StreamId(row.successor_node, row.successor_incarnation, row.store)
        held = unit.cursor(stream).head.seq if unit else _held(connection, stream)
        found[row.store][stream] = Fence(heir, held >= row.closed_seq)
    return found


def closed(unit: Unit, store: str) -> set[StreamId]:
    """Return the closed streams of a store."""
    return set(_fences(unit.connection, unit, store).get(store, {}))


def _held(connection: Connection, stream: StreamId) -> int:
    found = connection.execute(
        select(STREAMS.c.seq).where(
            STREAMS.c.store == stream.scope,
            STREAMS.c.node == stream.node,
            STREAMS.c.incarnation == stream.incarnation,
        )
    ).scalar()
    return found or 0


# --- policies and articles -----------------------------------------------------------


def policies(connection: Connection) -> dict[str, dict[str, StockPolicy]]:
    """Return scope to target to the policy that was said last."""
    found: dict[str, dict[str, StockPolicy]] = defaultdict(dict)
    for row in connection.execute(select(POLICIES).order_by(POLICIES.c.store, POLICIES.c.target)):
        found[row.store][row.target] = StockPolicy(
            row.target, Mode(row.mode), row.floor_milli, row.web_percent
        )
    return found


def known_articles(connection: Connection, skus: Iterable[str]) -> set[str]:
    """Return which of these articles head office sells."""
    return {
        row[0]
        for row in bulk.rows_of(connection, ARTICLES, ("sku",), "sku", ALL, sorted(set(skus)))
    }


def knows_group(connection: Connection, group: str) -> bool:
    """Whether an article of a group was ever told of."""
    found = connection.execute(
        select(ARTICLES.c.sku)
        .where(ARTICLES.c.store == ALL, ARTICLES.c.product_group == group)
        .limit(1)
    )
    return found.first() is not None
