"""Goods coming in. Quantities are ints in thousandths (`_milli`)."""

import msgspec

from sync.facts import columns
from sync.facts.columns import Whole


class ReceivedLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One article of a delivery."""

    sku: str
    quantity_milli: Whole
    unit_cost_minor: Whole | None = None
    """Net price of one whole unit, where the paper says it."""


class ReceivedLines(msgspec.Struct, frozen=True, array_like=True):
    """The lines of a delivery, as columns (`sync.facts.columns`)."""

    n: int
    sku: list[str]
    quantity_milli: list[Whole]
    unit_cost_minor: list[Whole | None]

    @classmethod
    def of(cls, lines: tuple[ReceivedLine, ...]) -> "ReceivedLines":
        """Turn rows into columns."""
        return cls(len(lines), *(columns.pack(lines) or ([], [], [])))

    def rows(self) -> tuple[ReceivedLine, ...]:
        """Turn columns into rows.

        Raises:
            BadFact: The columns are not of one length.
        """
        return tuple(
            ReceivedLine(*row)
            for row in columns.unpack(self.n, (self.sku, self.quantity_milli, self.unit_cost_minor))
        )


class GoodsReceived(msgspec.Struct, frozen=True, array_like=True):
    """A delivery put on the shelf (Polish: PZ)."""

    at_ms: Whole
    trust: Whole
    lines: ReceivedLines
    supplier: str = ""
    reference: str = ""
    """Number of the supplier's paper."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        rows = self.lines.rows()
        if not rows:
            return "a delivery needs a line"
        bad = [row for row in rows if not row.sku or not 0 < row.quantity_milli < 1 << 53]
        return f"{bad[0].sku!r}: {bad[0].quantity_milli} thousandths" if bad else ""
