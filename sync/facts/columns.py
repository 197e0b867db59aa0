"""Rows kept as columns: equal values stand side by side, and a column of one value once.

A basket of nine lines has nine units, VAT codes and price versions that are all
the same; as columns they cost a byte or two, and the compressor sees the rest
sorted by what it is. A struct of columns has `n` and then a list per field; a list
of one value stands for `n` of them.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec

from sync.errors import BadFact

Whole = Annotated[int, msgspec.Meta(ge=-(1 << 53), le=1 << 53)]
"""An int that every database, spreadsheet and browser can hold; a fact with another is
quarantined by everybody alike, instead of failing in somebody's view."""

MAX_ROWS = 10_000
"""Rows of one body. Bounds what a column of one value can unpack into."""


def pack(rows: Sequence[msgspec.Struct]) -> list[list[Any]]:
    """Turn rows of one type into columns, in the order of the type's fields."""
    columns = [list(column) for column in zip(*map(msgspec.structs.astuple, rows), strict=True)]
    return [column[:1] if column.count(column[0]) == len(column) else column for column in columns]


def check(n: int, columns: Iterable[Sequence[Any]]) -> None:
    """Refuse columns that are not of `n` rows.

    Raises:
        BadFact: `n` is out of bounds, or a column has neither one value nor `n`.
    """
    if not 0 <= n <= MAX_ROWS:
        raise BadFact(f"Rows: expected 0 to {MAX_ROWS}, got {n}.")
    for column in columns:
        if len(column) != n and len(column) != 1:
            raise BadFact(f"Column: expected 1 or {n} values, got {len(column)}.")


def unpack(n: int, columns: Sequence[Sequence[Any]]) -> "zip[tuple[Any, ...]]":
    """Turn columns back into tuples of a row each.

    Raises:
        BadFact: They are not of `n` rows, see `check`.
    """
    check(n, columns)
    full = [column if len(column) == n else list(column) * n for column in columns]
    return zip(*full, strict=True)
