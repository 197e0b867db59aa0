"""What sales took from the rows of rights since they were folded (`edge.store.shelf`).

Nearly every fact is a sale, and a sale only ever adds to one column. So it is kept as it
is, a mapping of cell to amount, until its group is on disk, and then added to a sum per
stream and cell: no row is looked up for it. A row read meanwhile has it added.
"""

from collections.abc import Iterator, Mapping, Sequence

from sync.merge.stock import WIDTH, Column, Deltas

Row = Sequence[int]
"""The columns of `sync.merge.stock.Column`, then the time (ms) of the last fact that moved it."""

AS_OF = WIDTH
_NOTHING = (0,) * (AS_OF + 1)


class _Taken:
    """Of one stream: cell to thousandths, and to the time (ms) of the last sale."""

    __slots__ = ("as_of", "newest", "used")

    def __init__(self) -> None:
        self.used: dict[str, int] = {}
        self.as_of: dict[str, int] = {}
        self.newest = 0

    def add(self, amounts: Mapping[str, int], at_ms: int) -> None:
        used, as_of = self.used, self.as_of
        for cell, milli in amounts.items():
            used[cell] = used.get(cell, 0) + milli
        if at_ms >= self.newest:
            self.newest = at_ms
            as_of.update(dict.fromkeys(amounts, at_ms))
        else:
            for cell in amounts:
                as_of[cell] = max(at_ms, as_of.get(cell, 0))


class Sold:
    """Sales that the table of rights lags behind of."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.sales = 0
        """Committed ones."""

        self._taken: dict[int, _Taken] = {}
        self._open: list[tuple[int, Deltas, int]] = []
        self._unit = 0

    @property
    def all_sales(self) -> int:
        """Return how many lag behind, this transaction's included."""
        return self.sales + len(self._open)

    def drop(self, cell: str, stream: int) -> None:
        """Forget what sales took of a row: the table has it."""
        taken = self._taken.get(stream)
        if taken is not None and taken.used.pop(cell, None) is not None:
            del taken.as_of[cell]

    def __len__(self) -> int:
        """Return how many rows lag behind."""
        return sum(len(taken.used) for taken in self._taken.values())

    def add(self, stream: int, amounts: Deltas, at_ms: int) -> None:
        """Let a sale of a stream take its goods."""
        self._open.append((stream, amounts, at_ms))

    def on_top(self, cell: str, stream: int, row: Row) -> Row:
        """Return a row with what sales took of it since."""
        taken = self._taken.get(stream)
        milli, at_ms = 0, row[AS_OF]
        if taken is not None and (milli := taken.used.get(cell, 0)):
            at_ms = max(at_ms, taken.as_of[cell])
        for of, amounts, when in self._open:
            if of == stream and cell in amounts:
                milli += amounts[cell]
                at_ms = max(at_ms, when)
        if not milli:
            return row
        moved = list(row)
        moved[Column.USED] += milli
        moved[AS_OF] = at_ms
        return moved

    def streams(self, cell: str) -> set[int]:
        """Return the streams whose sales took of a cell."""
        found = {stream for stream, taken in self._taken.items() if cell in taken.used}
        found.update(stream for stream, amounts, _ in self._open if cell in amounts)
        return found

    def moved(self) -> Iterator[tuple[str, int]]:
        """Yield the cell and stream of each row that lags behind, some of them twice."""
        for stream, taken in self._taken.items():
            for cell in taken.used:
                yield cell, stream
        for stream, amounts, _ in self._open:
            for cell in amounts:
                yield cell, stream

    def sums(self) -> Iterator[tuple[tuple[str, int], int, int]]:
        """Yield the key of each row that lags behind, what sales took of it, and when last."""
        for cell, stream in sorted(set(self.moved())):
            row = self.on_top(cell, stream, _NOTHING)
            yield (cell, stream), row[Column.USED], row[AS_OF]

    def begin(self) -> None:
        """Begin a unit: `roll_back` goes back to here."""
        self._unit = len(self._open)

    def roll_back(self) -> None:
        """Undo what was added since `begin`."""
        del self._open[self._unit :]

    def abandon(self) -> None:
        """Undo what was added since the last commit."""
        self._open.clear()
        self._unit = 0

    def committed(self) -> None:
        """Keep what was added: it is on disk."""
        for stream, amounts, at_ms in self._open:
            taken = self._taken.get(stream)
            if taken is None:
                taken = self._taken[stream] = _Taken()
            taken.add(amounts, at_ms)
        self.sales += len(self._open)
        self.abandon()

    def clear(self) -> None:
        """Forget all of it: the table has it."""
        self._taken.clear()
        self.sales = 0
        self.abandon()
