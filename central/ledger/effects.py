"""What a group of facts does to the views, summed up before anything is written.

Thousands of sales touch the same articles: what they move is added in memory and
written once a row, rows of one table go in together.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import repeat

from sqlalchemy import Table

from central.ledger import bulk
from central.ledger.journal import Place
from central.ledger.tables import RIGHTS, SALES, TOTALS
from central.ledger.unit import Unit
from sync.merge.stock import Column

StreamKey = tuple[str, bytes, int]
"""Store, node, incarnation."""


def _adding(*columns: Column) -> str:
    """Return what to do with a row that is there: add to some of its columns."""
    sums = [
        f"{name} = rights.{name} + excluded.{name}"
        for name in (column.name.lower() for column in columns)
    ]
    newest = (
        "as_of_ms = CASE WHEN excluded.as_of_ms > rights.as_of_ms "
        "THEN excluded.as_of_ms ELSE rights.as_of_ms END"
    )
    taken = "ON CONFLICT (store, cell, node, incarnation) DO UPDATE SET "
    return taken + ", ".join([*sums, newest])


_ADD_RIGHTS = _adding(*Column)
_ADD_USED = _adding(Column.USED)
"""Most streams only sell, and a column that is not named costs nothing."""

_MOVE_SALE = (
    "ON CONFLICT (store, sale) DO UPDATE SET stage = excluded.stage, change = excluded.change"
)
_ADD_TOTALS = "ON CONFLICT (store) DO UPDATE SET " + ", ".join(
    f"{name} = totals.{name} + excluded.{name}"
    for name in ("sales", "lines", "quantity_milli", "total_minor")
)


@dataclass(slots=True)
class Moved:
    """What the rows of one stream grow by."""

    columns: dict[Column, dict[str, int]] = field(default_factory=dict)
    """Cell to amount."""

    as_of_ms: dict[str, int] = field(default_factory=dict)
    """Cell to the time of the newest fact that moves it; every cell is there."""

    _newest_ms: int = -1

    def mention(self, cells: Iterable[str], at_ms: int) -> None:
        """Note that a fact of `at_ms` moves cells."""
        if at_ms >= self._newest_ms:  # facts come in their order, but for repairs
            self._newest_ms = at_ms
            self.as_of_ms.update(dict.fromkeys(cells, at_ms))
            return
        for cell in cells:
            if at_ms > self.as_of_ms.get(cell, -1):
                self.as_of_ms[cell] = at_ms

    def column(self, column: Column) -> dict[str, int]:
        """Return what a column grows by, cell to amount, to be added to."""
        found = self.columns.get(column)
        if found is None:
            found = self.columns[column] = defaultdict(int)
        return found

    def rows(self, key: StreamKey) -> list[bulk.Row]:
        """Return the rows to add, by cell."""
        store, node, incarnation = key
        cells, zero = sorted(self.as_of_ms), repeat(0)
        amounts = [
            map(grown.get, cells, zero) if (grown := self.columns.get(column)) else zero
            for column in Column
        ]
        # This runs once an article and batch: no loop of Python's own.
        ours = (repeat(store), cells, repeat(node), repeat(incarnation))
        return list(zip(*ours, *amounts, map(self.as_of_ms.get, cells)))  # noqa: B905 - of most there is no end


@dataclass(slots=True)
class StoreEffects:
    """Of one store."""

    sales: int = 0
    lines: int = 0
    quantity_milli: int = 0
    total_minor: int = 0

    def count(self, sign: int, *, lines: int, quantity_milli: int, total_minor: int) -> None:
        """Count a sale in (1) or out again (-1)."""
        self.sales += sign
        self.lines += sign * lines
        self.quantity_milli += sign * quantity_milli
        self.total_minor += sign * total_minor


@dataclass(slots=True)
class Effects:
    """Of one group of facts."""

    fences: Mapping[StreamKey, int] = field(default_factory=dict)
    """The last number of each stream that was closed: what is beyond moves nothing."""

    stores: dict[str, StoreEffects] = field(default_factory=lambda: defaultdict(StoreEffects))
    moved: dict[StreamKey, Moved] = field(default_factory=lambda: defaultdict(Moved))
    rows: dict[Table, list[bulk.Row]] = field(default_factory=lambda: defaultdict(list))
    """Plain inserts; no two facts make the same key."""

    moved_sales: list[bulk.Row] = field(default_factory=list)
    """Rows of sales that are there already and have another stage now."""

    def beyond(self, place: Place) -> bool:
        """Whether a fact stands beyond the end of its stream."""
        if not self.fences:
            return False
        end = self.fences.get(place[:3])
        return end is not None and place[3] > end

    def flush(self, unit: Unit) -> None:
        """Write it all."""
        for table, rows in self.rows.items():
            bulk.insert(unit.connection, table, rows)
        bulk.insert(unit.connection, SALES, self.moved_sales, _MOVE_SALE)
        moved: dict[str, list[bulk.Row]] = {_ADD_USED: [], _ADD_RIGHTS: []}
        for key, some in self.moved.items():
            only_sold = some.columns.keys() <= {Column.USED}
            moved[_ADD_USED if only_sold else _ADD_RIGHTS] += some.rows(key)
        for adding, grown in moved.items():
            bulk.insert(unit.connection, RIGHTS, grown, adding)
        totals = [
            (store, effects.sales, effects.lines, effects.quantity_milli, effects.total_minor)
            for store, effects in sorted(self.stores.items())
            if effects.sales or effects.lines or effects.quantity_milli or effects.total_minor
        ]
        bulk.insert(unit.connection, TOTALS, totals, _ADD_TOTALS)
