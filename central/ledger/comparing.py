"""Whether the views are what the facts alone say: made again in a copy, and compared."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from sqlalchemy import Table

from central.ledger import fences, journal, views
from central.ledger.database import Database
from central.ledger.errors import LedgerUnavailable
from central.ledger.published import load_members
from central.ledger.tables import SALES, TOTALS, VIEWS
from central.ledger.unit import Own, State, Unit

_DRAWN = {SALES: {"sale", "change"}}
"""Columns with numbers of the feed: no part of a view's value."""

_FEW = 3


def compare(ledger: Path, own: Own) -> list[str]:
    """Return what the views have that the facts do not say, and the other way round.

    Args:
        ledger: The file; it may be written meanwhile.
        own: Central as an author.

    Raises:
        LedgerUnavailable: There is no room for two copies beside it.
    """
    try:
        with TemporaryDirectory(prefix="verify-", dir=ledger.parent) as folder:
            lived, made = Path(folder) / "lived.db", Path(folder) / "made.db"
            uri = f"file:{quote(str(ledger.absolute()))}?mode=ro"
            with (
                closing(sqlite3.connect(uri, uri=True)) as ours,
                closing(sqlite3.connect(lived)) as copy,
            ):
                ours.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE").fetchall()
            shutil.copyfile(lived, made)
            _rebuild(made, own)
            return list(_differences(made, lived))
    except (OSError, sqlite3.Error) as error:
        raise LedgerUnavailable(
            f"{ledger.parent}: {error}; comparing the views needs room for two copies there."
        ) from error


def _rebuild(path: Path, own: Own) -> None:
    database = Database(path)
    connection = database.open()
    try:
        with connection.begin():
            state = State(
                own,
                cursors=journal.load_cursors(connection),
                members=load_members(connection),
            )
            fences.load(connection, state)
            unit = Unit(connection, state, 0)
            views.rebuild(unit)
            unit.flush()
    finally:
        connection.close()
        database.close()


def _differences(made: Path, lived: Path) -> Iterator[str]:
    with closing(sqlite3.connect(made)) as database:
        database.execute("ATTACH ? AS lived", (str(lived),))
        for table in VIEWS:
            here, there = _select(table, "main"), _select(table, "lived")
            for more, less, said in (
                (there, here, "is there, and no fact says it"),
                (here, there, "is missing, and the facts say it"),
            ):
                rows = database.execute(f"{more} EXCEPT {less} LIMIT {_FEW}").fetchall()
                for row in rows:
                    yield f"View {table.name}: {row!r:.300} {said}; report it."


def _select(table: Table, schema: str) -> str:
    names = [column.name for column in table.columns if column.name not in _DRAWN.get(table, set())]
    where = " WHERE sales <> 0 OR lines <> 0" if table is TOTALS else ""
    return f"SELECT {', '.join(names)} FROM {schema}.{table.name}{where}"
