"""What a group of facts does to the views, summed up before anything is written.

Thousands of sales touch the same articles: their deltas are added in memory and
written once each, rows of one table go in together.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Table

from central.ledger import bulk
from central.ledger.tables import SALES, STOCK, TOTALS
from central.ledger.unit import Unit

_ADD_STOCK = (
    "ON CONFLICT (store, sku) DO UPDATE SET "
    "quantity_milli = stock.quantity_milli + excluded.quantity_milli, "
    "as_of_ms = CASE WHEN excluded.as_of_ms > stock.as_of_ms "
    "THEN excluded.as_of_ms ELSE stock.as_of_ms END"
)
_MOVE_SALE = (
    "ON CONFLICT (store, sale) DO UPDATE SET stage = excluded.stage, change = excluded.change"
)
_ADD_TOTALS = "ON CONFLICT (store) DO UPDATE SET " + ", ".join(
    f"{name} = totals.{name} + excluded.{name}"
    for name in ("sales", "lines", "quantity_milli", "total_minor")
)


@dataclass(slots=True)
class StoreEffects:
    """Of one store."""

    stock: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Article to thousandths; an article that was only mentioned is there with 0."""

    as_of_ms: dict[str, int] = field(default_factory=dict)
    """Article to the time of the newest fact that mentions it."""

    sales: int = 0
    lines: int = 0
    quantity_milli: int = 0
    total_minor: int = 0

    _newest_ms: int = -1

    def mention(self, skus: Sequence[str], at_ms: int) -> None:
        """Note that a fact of `at_ms` tells of articles."""
        if at_ms >= self._newest_ms:  # facts come in their order, but for other nodes' and repairs
            self._newest_ms = at_ms
            self.as_of_ms.update(dict.fromkeys(skus, at_ms))
            return
        for sku in skus:
            if at_ms > self.as_of_ms.get(sku, -1):
                self.as_of_ms[sku] = at_ms

    def move(self, deltas: Mapping[str, int]) -> None:
        """Add to the stock."""
        for sku, milli in deltas.items():
            self.stock[sku] += milli

    def count(self, sign: int, *, lines: int, quantity_milli: int, total_minor: int) -> None:
        """Count a sale in (1) or out again (-1)."""
        self.sales += sign
        self.lines += sign * lines
        self.quantity_milli += sign * quantity_milli
        self.total_minor += sign * total_minor


@dataclass(slots=True)
class Effects:
    """Of one group of facts."""

    stores: dict[str, StoreEffects] = field(default_factory=lambda: defaultdict(StoreEffects))
    rows: dict[Table, list[bulk.Row]] = field(default_factory=lambda: defaultdict(list))
    """Plain inserts; no two facts make the same key."""

    moved_sales: list[bulk.Row] = field(default_factory=list)
    """Rows of sales that are there already and have another stage now."""

    def flush(self, unit: Unit) -> None:
        """Write it all."""
        for table, rows in self.rows.items():
            bulk.insert(unit.connection, table, rows)
        bulk.insert(unit.connection, SALES, self.moved_sales, _MOVE_SALE)
        stock = [
            (store, sku, effects.stock.get(sku, 0), as_of)
            for store, effects in sorted(self.stores.items())
            for sku, as_of in sorted(effects.as_of_ms.items())
        ]
        # What was taken back needs no time of its own: its fact was mentioned before.
        stock += [
            (store, sku, milli, 0)
            for store, effects in sorted(self.stores.items())
            for sku, milli in sorted(effects.stock.items())
            if sku not in effects.as_of_ms and milli
        ]
        bulk.insert(unit.connection, STOCK, stock, _ADD_STOCK)
        totals = [
            (store, effects.sales, effects.lines, effects.quantity_milli, effects.total_minor)
            for store, effects in sorted(self.stores.items())
            if effects.sales or effects.lines or effects.quantity_milli or effects.total_minor
        ]
        bulk.insert(unit.connection, TOTALS, totals, _ADD_TOTALS)
