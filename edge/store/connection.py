"""How the store reaches SQLite: pragmas, migrations, and what an error means."""

import sqlite3
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

Connect = Callable[[Path], sqlite3.Connection]
"""Opens the writing connection; crash tests give one on a simulated disk."""


class StoreError(Exception):
    """The store cannot do what was asked."""


class StoreDamaged(StoreError):
    """The file is not what was written; says where."""


class DiskFull(StoreError):
    """No room for another sale; nothing was stored."""


class OutcomeUnknown(StoreError):
    """The disk failed in such a way that only the next start can tell what was stored."""


def unusable(path: Path, error: Exception) -> StoreError:
    """Say what is the matter with a database that cannot be opened or read, and the cure."""
    if is_damage(error):
        return StoreDamaged(
            f"{path}: the database is damaged ({error}); put a backup of it in its place, or, "
            "if there is none, move the folder away and run karb init with a new code."
        )
    return StoreError(
        f"{path}: the database cannot be used ({error}); look at the disk: its room, and who may "
        "write there."
    )


def connect(
    path: Path, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    """Open the one connection that writes and checkpoints; `factory`: what it is made of."""
    db = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        factory=factory,
    )
    try:
        _set_up(db)
    except sqlite3.Error:
        db.close()
        raise
    return db


def connect_read_only(path: Path, *, immutable: bool = False) -> sqlite3.Connection:
    """Open a connection that can neither write nor checkpoint.

    Args:
        path: The database file.
        immutable: Nobody writes to it: a copy, perhaps without its WAL.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if immutable else ''}"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA query_only = ON")
    return db


def migrate(db: sqlite3.Connection) -> None:
    """Bring the schema up to date, each step and its number in one transaction.

    Raises:
        StoreError: The file was written by a newer program.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    folder = files(f"{__package__}.migrations")
    steps = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    if version > len(steps):
        raise StoreError(
            f"Database of schema {version}: this program knows {len(steps)}; "
            "install the version that wrote it, or a newer one."
        )
    for number, step in enumerate(steps[version:], start=version + 1):
        script = step.read_text(encoding="utf-8")
        db.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")


def is_disk_full(error: Exception) -> bool:
    """Whether SQLite ran out of room."""
    code = getattr(error, "sqlite_errorcode", 0) or 0
    return code & 0xFF == sqlite3.SQLITE_FULL


def is_damage(error: Exception) -> bool:
    """Whether a file turned out not to be what was written."""
    if isinstance(error, OSError):
        return False  # it could not even be read
    if not isinstance(error, sqlite3.Error):
        return True  # it was read, and made no sense
    code = getattr(error, "sqlite_errorcode", 0) or 0
    # A table or column that is not there is a plain SQLITE_ERROR.
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


def _set_up(db: sqlite3.Connection) -> None:
    # A sale touches a row in each of a dozen pages: small pages make small commits.
    db.execute("PRAGMA page_size = 1024")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA wal_autocheckpoint = 0")  # the writer does it, between two commits
    db.execute("PRAGMA secure_delete = ON")  # a person's key that is deleted is overwritten
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute("PRAGMA cache_size = -1024")
