"""Goods coming in, and moving. Quantities are ints in thousandths (`_milli`)."""

from enum import IntEnum

import msgspec

from sync.chain import EVENT_BYTES
from sync.facts import columns
from sync.facts.columns import Whole
from sync.facts.rights import CellLines


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


class Movement(IntEnum):
    """Why goods move without being bought or sold. Written into facts: never renumber."""

    WRITTEN_OFF = 1
    """Broken, stolen, out of date (Polish: RW)."""

    RETURNED = 2
    """A customer brought them back, fit to be sold again."""

    SENT = 3
    """To another store (Polish: MM-); in transit until they arrive there."""

    ARRIVED = 4
    """From another store (Polish: MM+)."""

    FOUND = 5
    """A correction upwards: a duplicate's compensation."""

    LOST = 6
    """A correction downwards: a duplicate's compensation."""


OUTWARD = frozenset({Movement.WRITTEN_OFF, Movement.SENT, Movement.LOST})


class GoodsMoved(msgspec.Struct, frozen=True, array_like=True):
    """Goods came or went, other than by a delivery, a sale or a count."""

    movement: Movement
    at_ms: Whole
    trust: Whole
    lines: CellLines
    why: str = ""
    place: str = ""
    """The other store of a transfer."""

    reference: bytes = b""
    """Event of what this belongs to: the sale returned, the transfer that arrived, the
    document that another node recorded too; empty if there is none."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if self.reference and len(self.reference) != EVENT_BYTES:
            return f"reference of {len(self.reference)} bytes"
        if self.movement in (Movement.SENT, Movement.ARRIVED) and not self.place:
            return f"{self.movement.name}: expected the other store"
        return self.lines.reason()


class TransferAnnounced(msgspec.Struct, frozen=True, array_like=True):
    """Goods are under way to the place of the stream.

    Written by central, which heard it from the sender; its event is that of the sending.
    """

    place: str
    """The store that sent them."""

    at_ms: Whole
    """When they were sent."""

    lines: CellLines
    why: str = ""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        return self.lines.reason() if self.place else "expected the sending store"
