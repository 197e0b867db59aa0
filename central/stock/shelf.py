"""One article at one place: who holds which right, what is there, what is kept back.

Pure. Rows as `sync.merge.stock.Column` orders them; quantities in thousandths (`_milli`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sync.chain import StreamId
from sync.merge import stock
from sync.merge.stock import Column

Row = Sequence[int]
"""The nine columns, then the time (ms) of the newest fact that moved it."""


@dataclass(frozen=True, slots=True)
class Fence:
    """Where a stream ends."""

    successor: StreamId
    whole: bool
    """It is held here up to its end: only then is what it leaves known."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A cell, as far as the facts here tell."""

    store: str
    cell: str
    rows: Mapping[StreamId, Row] = field(default_factory=dict)
    fences: Mapping[StreamId, Fence] = field(default_factory=dict)
    """Of every closed stream of the store."""

    def rights(self) -> dict[StreamId, int]:
        """Return the right of each holder that is not closed, what it inherits included.

        What a closed holder leaves counts once its stream is held to its end; till then
        the heir knows less, never more (`sync.merge.rights`).
        """
        found: dict[StreamId, int] = {}
        for holder, row in self.rows.items():
            heir, known = self._heir(holder)
            if known:
                found[heir] = found.get(heir, 0) + stock.right(row)
        return found

    def right(self, holder: StreamId) -> int:
        """Return what a holder may still promise; 0 for a closed one."""
        return 0 if holder in self.fences else self.rights().get(holder, 0)

    @property
    def kept(self) -> bool:
        """Whether stock is kept of it: goods of it ever came in."""
        return any(row[Column.MADE] for row in self.rows.values())

    @property
    def physical(self) -> int:
        """What is really there, reserved or not."""
        return sum(stock.physical(row) for row in self.rows.values())

    @property
    def reserved(self) -> int:
        """What is there and promised to somebody."""
        return sum(stock.reserved(row) for row in self.rows.values())

    @property
    def uncovered(self) -> int:
        """What left beyond any right: as much is kept back by whoever holds rights."""
        return self.uncovered_but(None)

    def uncovered_but(self, holder: StreamId | None) -> int:
        """Return what left beyond any right, a holder's own part left out."""
        if not self.kept:
            return 0
        return stock.uncovered_at(self.rows, lambda of: self._heir(of)[0], holder)

    @property
    def as_of_ms(self) -> int:
        """Time of the newest fact that moved it; 0: there is none."""
        return max((row[stock.WIDTH] for row in self.rows.values()), default=0)

    @property
    def oversold(self) -> int:
        """What holders promised or gave without holding it: never more than 0, if all is well."""
        rights = self.rights()
        promised: dict[StreamId, int] = {}
        for holder, row in self.rows.items():
            heir, _ = self._heir(holder)
            out = row[Column.GAVE] + row[Column.HELD] - row[Column.FREED]
            promised[heir] = promised.get(heir, 0) + out
        return sum(
            min(-right, max(0, promised.get(holder, 0)))
            for holder, right in rights.items()
            if right < 0
        )

    def spare(self, holder: StreamId) -> int:
        """Return what a holder may promise anew: its right, less what is uncovered."""
        return max(0, self.right(holder) - self.uncovered)

    def unused(self, *, but: StreamId) -> int:
        """Return what others hold and nobody has promised, less what is uncovered."""
        others = sum(
            right for holder, right in self.rights().items() if holder != but and right > 0
        )
        return max(0, others - self.uncovered)

    def _heir(self, holder: StreamId) -> tuple[StreamId, bool]:
        """Return who holds what was a holder's, and whether all of it is known."""
        seen, known = {holder}, True
        while (fence := self.fences.get(holder)) is not None and fence.successor not in seen:
            known = known and fence.whole
            holder = fence.successor
            seen.add(holder)
        return holder, known and holder not in self.fences
