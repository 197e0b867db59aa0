"""Many rows in few statements: the one place where the ingest path knows its driver.

`executemany` gives the interpreter lock away at every row and waits to get it back:
beside one busy thread it fell from 289,000 rows/s to 2,200 (measured). A statement
of a few hundred rows gives it away once, and SQLite then runs beside Python, on the
second core. PostgreSQL will have `COPY` here.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Table

Row = tuple[Any, ...]

_SIZES = (2048, 256, 64, 16, 4, 1)
"""Rows of a statement. Few sizes, so that each is parsed once and then found again."""

_MAX_VARIABLES = 32_000
"""SQLite's own cap is 32,766."""


def insert(connection: Connection, table: Table, rows: Sequence[Row], conflict: str = "") -> None:
    """Insert rows, each in the order of the table's columns.

    Args:
        connection: In a transaction.
        table: Where to.
        rows: As many as there are.
        conflict: What to do where a key is taken, as ``ON CONFLICT …``.
    """
    width = len(table.columns)
    at = 0
    for size in _SIZES:
        if size * width > _MAX_VARIABLES:
            continue
        while len(rows) - at >= size:
            flat = tuple(chain.from_iterable(rows[at : at + size]))
            connection.exec_driver_sql(_sql(table, size, conflict), flat)
            at += size


def rows_of(
    connection: Connection,
    table: Table,
    names: tuple[str, ...],
    key: str,
    store: str,
    values: Sequence[Any],
) -> Iterator[Row]:
    """Give columns of the rows of a store whose `key` is one of `values`."""
    at = 0
    for size in _SIZES:
        while len(values) - at >= size:
            sql = _in(table, names, key, size)
            yield from connection.exec_driver_sql(sql, (store, *values[at : at + size]))
            at += size


@cache
def _in(table: Table, names: tuple[str, ...], key: str, size: int) -> str:
    marks = ", ".join("?" * size)
    # SQLite takes a store for ten rows and, asked for more keys than that, walks all of it:
    # four sales taken in cost 70 ms in a store of 300,000 (measured), and more every day.
    named = [i.name for i in table.indexes if [c.name for c in i.columns] == ["store", key]]
    by = f" INDEXED BY {named[0]}" if named else ""
    return f"SELECT {', '.join(names)} FROM {table.name}{by} WHERE store = ? AND {key} IN ({marks})"


@cache
def _sql(table: Table, size: int, conflict: str) -> str:
    columns = ", ".join(column.name for column in table.columns)
    marks = "(" + ", ".join("?" * len(table.columns)) + ")"
    values = ", ".join([marks] * size)
    return f"INSERT INTO {table.name} ({columns}) VALUES {values} {conflict}"


def chunks(items: Iterable[Any], size: int = 500) -> Iterable[list[Any]]:
    """Cut into lists of at most `size`."""
    listed = list(items)
    for at in range(0, len(listed), size):
        yield listed[at : at + size]
