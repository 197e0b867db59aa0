"""What a fact does to the stock of the place it happened in.

Thinnest form: physical quantities. Rights (who may promise what) stand on top.
"""

from collections import Counter
from collections.abc import Iterable

from sync.facts.sale import SaleSums
from sync.facts.stock import ReceivedLine

Deltas = dict[str, int]
"""Article to thousandths, positive for what came in."""


def received(lines: Iterable[ReceivedLine]) -> Deltas:
    """Return what a delivery brings."""
    deltas: Counter[str] = Counter()
    for line in lines:
        deltas[line.sku] += line.quantity_milli
    return dict(deltas)


def sold(sums: SaleSums) -> Deltas:
    """Return what a closed sale takes."""
    return {sku: -milli for sku, milli in sums.by_sku.items()}


def inverse(deltas: Deltas) -> Deltas:
    """Return what takes `deltas` back."""
    return {sku: -milli for sku, milli in deltas.items()}
