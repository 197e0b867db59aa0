"""Opening the database: one connection that writes, a few that only read.

The SQLite that Debian and Python ship can damage a WAL file when two connections
write or checkpoint at once (before 3.51.3), so exactly one connection of one
process ever does: `writing`. `central.app` holds a lock on the folder besides.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import QueuePool, StaticPool

from central.ledger.errors import LedgerUnavailable, UnknownDatabase

REVISION = "0011"
"""The newest of `migrations`; Alembic is loaded only where the database is older."""

READERS = 4
_CACHE_KIB = 64 * 1024
_CHECKPOINT_PAGES = 4000


def file_of(url: str) -> Path:
    """Return the file of an SQLAlchemy URL.

    Raises:
        UnknownDatabase: It is no URL, or not of SQLite, or of no file.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UnknownDatabase(
            f"--database {url!r}: expected an SQLAlchemy URL such as sqlite:////srv/karb/ledger.db."
        ) from error
    if parsed.get_backend_name() != "sqlite":
        shown = parsed.render_as_string(hide_password=True)
        raise UnknownDatabase(
            f"--database {shown!r}: this version keeps its ledger in SQLite only; "
            "leave --database out, or give sqlite:////path/to/ledger.db."
        )
    if not parsed.database or parsed.database == ":memory:":
        raise UnknownDatabase(
            f"--database {url!r}: expected a file; a ledger in memory forgets every sale."
        )
    return Path(parsed.database)


def unusable(path: Path, reason: object) -> LedgerUnavailable:
    """Say that a ledger cannot be opened, and the cure."""
    return LedgerUnavailable(
        f"Ledger {path}: {reason}; put a backup of it in its place (stores send again what it "
        "lacks), or look at the disk: its room, and who may write there."
    )


class Database:
    """One SQLite file."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is opened yet."""
        self.path = path
        self._writer = create_engine(
            f"sqlite+pysqlite:///{path}",
            poolclass=StaticPool,
            connect_args={"check_same_thread": False, "cached_statements": 512},
        )
        _prepare(self._writer, "BEGIN IMMEDIATE", writes=True)
        self._reader = create_engine(
            f"sqlite+pysqlite:///file:{quote(str(path.absolute()))}?mode=ro&uri=true",
            poolclass=QueuePool,
            pool_size=READERS,
            connect_args={"check_same_thread": False},
        )
        _prepare(self._reader, "BEGIN", writes=False)

    def open(self) -> Connection:
        """Return the one connection that writes, its tables up to date.

        Raises:
            LedgerUnavailable: The file is no database, or newer than this program.
        """
        try:
            connection = self._writer.connect()
            migrate(connection)
        except DBAPIError as error:
            raise unusable(self.path, error.orig) from error
        return connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that sees one moment and cannot write."""
        with self._reader.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close readers first, so that the writer is the one that checkpoints."""
        self._reader.dispose()
        self._writer.dispose()


def _prepare(engine: Engine, begin: str, *, writes: bool) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(raw: Any, _record: Any) -> None:
        raw.isolation_level = None  # the begin event below opens transactions, nobody else
        pragmas = ["busy_timeout=5000"]
        if writes:
            pragmas += [
                "page_size=8192",  # of a new file; a tenth less work than with 4096 (measured)
                "journal_mode=WAL",
                "synchronous=FULL",
                "secure_delete=ON",  # a person's key that is destroyed is overwritten
                f"cache_size=-{_CACHE_KIB}",
                f"wal_autocheckpoint={_CHECKPOINT_PAGES}",
            ]
        for pragma in pragmas:
            raw.execute(f"PRAGMA {pragma}").fetchall()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def migrate(connection: Connection) -> None:
    """Bring the tables up to `REVISION`.

    Raises:
        LedgerUnavailable: The database was written by a newer program.
    """
    current = _revision(connection)
    if current == REVISION:
        return
    if current is not None and current > REVISION:
        raise LedgerUnavailable(
            f"Ledger is at migration {current}, this program knows {REVISION}; "
            "start the newer karb-central again."
        )
    from alembic import command  # noqa: PLC0415 - a quarter of a second that most starts can spare
    from alembic.config import Config  # noqa: PLC0415 - a quarter of a second that most starts can spare

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    with connection.begin():
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    with connection.begin():
        made = connection.execute(
            text("SELECT name FROM sqlite_master WHERE name = 'alembic_version'")
        ).first()
        if made is None:
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
