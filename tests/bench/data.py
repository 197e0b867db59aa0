"""Sales to measure with: the real baskets where the package is installed, else made up ones."""

from edge.demo import baskets, sample
from sync.facts.sale import Discount, Payment, Sale, SaleLine, SaleLines, Stage

REVISION = 1_790_000_000
START_MS = 1_790_000_000_000


def lines(stores=3, per_store=700, seed=0):
    """Return the lines of baskets in the order of their time, and where they are from."""
    if baskets.available():
        found, source = baskets.read(stores, per_store, seed), "Complete Journey"
    else:
        found, source = sample.read(stores, per_store, seed), "made-up sample"
    return [tuple(map(_line, basket.lines)) for basket in found], source


def _line(line):
    unit = line.list_unit_minor
    worth = (line.quantity_milli * unit + 500) // 1000
    cut = worth - line.value_minor
    return SaleLine(
        sku=line.sku,
        quantity_milli=line.quantity_milli,
        unit_minor=unit,
        discounts=(Discount("promotion", cut),) if cut else (),
        unit="szt",
        vat="23",
        price_version=REVISION,
    )


def sale(rows, number, at_ms=None, till="T1"):
    """Return a closed cash sale of some lines."""
    lines = SaleLines.of(rows)
    sums = lines.sums()
    total = sums.goods_minor + sums.deposits_minor
    return Sale(
        Stage.CLOSED,
        number,
        at_ms if at_ms is not None else START_MS + number * 45_000,
        5,
        lines,
        (Payment("cash", total, -total % 1000),),
        till,
        "anna",
        f"{till}-1",
        20261123,
    )
