"""Files as the first versions made them, with whatever of a day their tables can hold."""

import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config

from central.ledger import database
from central.ledger.database import Database
from edge.store.connection import connect


def shop(path: Path, full: Path) -> None:
    """Make a shop's file of schema 1."""
    folder = files("edge.store.migrations")
    first = min(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    with closing(connect(path)) as db:
        db.executescript(f"{(folder / first).read_text()}; PRAGMA user_version = 1;")
        _fill(db, full)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def office(path: Path, full: Path) -> None:
    """Make a ledger of revision 0001."""
    made = Database(path)
    try:
        with made._writer.connect() as connection, connection.begin():
            config = Config()
            config.set_main_option(
                "script_location", str(Path(database.__file__).parent / "migrations")
            )
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
    finally:
        made.close()
    with closing(sqlite3.connect(path)) as db:
        _fill(db, full)


def schema(db: sqlite3.Connection) -> Any:
    """Return what makes a file be of its version."""
    rows = db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
    return rows, db.execute("PRAGMA user_version").fetchone()


def _fill(db: sqlite3.Connection, full: Path) -> None:
    db.execute("ATTACH ? AS filled", (str(full),))
    tables = db.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        columns = [row[1] for row in db.execute(f"PRAGMA main.table_info({table})")]
        theirs = {row[1] for row in db.execute(f"PRAGMA filled.table_info({table})")}
        if theirs >= set(columns) and table != "alembic_version":
            names = ", ".join(columns)
            db.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM filled.{table}")
    db.commit()
    db.execute("DETACH filled")
