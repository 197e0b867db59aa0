"""A copy of the database, and putting one back.

A copy is made beside the running writer, has no keys of persons (they stand in
``FILE.keys``, so that who is forgotten stays forgotten in it), and carries the mark by
which the node that opens it begins a new life. Putting one back is for while nothing
runs; what was there is kept.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from edge.store.connection import StoreError, connect, connect_read_only, is_damage
from edge.store.verify import verify_file

RESTORED = "restored"
"""Key of the mark in ``meta``."""

BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database, by how the names end."""


class BadCopy(StoreError):
    """The file cannot be made, or is no copy that could be put back; says why."""


class MaybePutBack(BadCopy):
    """The copy is in place, and the disk did not say that it keeps it: look, or do it again."""


class Copied(NamedTuple):
    """What a copy holds."""

    file: str
    bytes: int
    streams: int
    facts: int


class PutBack(NamedTuple):
    """What was put back, and where the former database is."""

    file: str
    facts: int
    aside: str
    """Folder with what was there before; empty if nothing was."""


def copy(database: Path, target: Path) -> Copied:
    """Copy a database, which may be in use.

    Raises:
        BadCopy: The file exists, or cannot be written.
    """
    if target.exists():
        raise BadCopy(f"{target}: exists already; name a new file.")
    partial = target.with_name(target.name + ".partial")
    try:
        for ending in ("", *BESIDE):  # of an attempt that was cut off
            partial.with_name(partial.name + ending).unlink(missing_ok=True)
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with (
            closing(connect_read_only(database)) as ours,
            closing(sqlite3.connect(partial)) as made,
        ):
            ours.backup(made)
            made.execute("PRAGMA journal_mode = DELETE").fetchall()
            made.execute("PRAGMA secure_delete = ON").fetchall()
            keys = made.execute("SELECT person, key FROM person_keys").fetchall()
            made.execute("DELETE FROM person_keys")
            made.execute("INSERT OR REPLACE INTO meta VALUES (?, x'01')", (RESTORED,))
            made.commit()
            made.execute("VACUUM")
            (streams,) = made.execute("SELECT count(*) FROM streams").fetchone()
            (facts,) = made.execute("SELECT count(*) FROM facts").fetchone()
        if keys:
            _write(target.with_name(target.name + ".keys"), msgspec.msgpack.encode(keys))
        _sync(partial)
        partial.rename(target)
        _sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        left = [target.name, f"{target.name}.keys", *(partial.name + e for e in ("", *BESIDE))]
        for name in left:
            with suppress(OSError):
                target.with_name(name).unlink(missing_ok=True)
        raise BadCopy(f"{target}: no backup was made ({error}).") from error
    return Copied(str(target), target.stat().st_size, streams, facts)


def put_back(file: Path, database: Path, node: bytes) -> PutBack:
    """Put a copy in place of the database; nobody may have it open.

    Args:
        file: A copy, by `copy` or any other means.
        database: What it replaces.
        node: Whose database it must be.

    Raises:
        BadCopy: It is no sound database of this node's; nothing was changed.
        MaybePutBack: It is in place, and may be gone after a power cut.
    """
    try:
        facts = _judge(file, node)
    except (OSError, sqlite3.Error) as error:
        raise BadCopy(f"{file}: cannot be read ({error}). Nothing was changed.") from error
    fresh = database.with_name(database.name + ".new")
    replaced = False
    try:
        for ending in ("", *BESIDE):  # of an attempt that was cut off
            fresh.with_name(fresh.name + ending).unlink(missing_ok=True)
        _sync(fresh.parent)
        shutil.copyfile(file, fresh)
        fresh.chmod(0o600)
        with closing(sqlite3.connect(fresh)) as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, x'01')", (RESTORED,))
            keys = file.with_name(file.name + ".keys")
            if keys.exists():
                db.executemany(
                    "INSERT OR IGNORE INTO person_keys VALUES (?, ?)",
                    msgspec.msgpack.decode(keys.read_bytes(), type=list[tuple[bytes, bytes]]),
                )
            db.commit()
            db.execute("PRAGMA journal_mode = DELETE").fetchall()
        _sync(fresh)
        with _aside(database) as aside:
            fresh.replace(database)
            replaced = True
        _sync(database.parent)
    except (OSError, sqlite3.Error, msgspec.DecodeError) as error:
        if replaced:
            raise MaybePutBack(
                f"{file}: was put in place, but the disk failed ({error}) and may not keep it. "
                "Check the disk, and put it back again."
            ) from error
        raise BadCopy(f"{file}: could not be put back ({error}). Nothing was changed.") from error
    return PutBack(str(file), facts, str(aside))


def _judge(file: Path, node: bytes) -> int:
    try:
        verdict = verify_file(file, copy=True)
    except FileNotFoundError as error:
        raise BadCopy(f"{file}: no such file; expected a copy made by karb backup.") from error
    if not verdict.sound:
        raise BadCopy(
            f"{file}: is not sound ({verdict.findings[0]}); expected a whole copy; "
            "take an older one. Nothing was changed."
        )
    with closing(connect_read_only(file, immutable=True)) as db:
        mine = db.execute("SELECT 1 FROM roots WHERE node = ?", (node,)).fetchone()
    if mine is None:
        raise BadCopy(
            f"{file}: is another node's; expected a copy of node {node.hex()[:12]}. "
            "Nothing was changed."
        )
    return verdict.facts


@contextmanager
def _aside(database: Path) -> Iterator[Path]:
    """Keep what is there under another name as well, while another file takes its place.

    What stands beside a database is gone meanwhile: a WAL that a crash has left would be taken
    for that of the file which takes its place, and tear it. It is there again if none does.
    """
    number = 1
    while (aside := database.with_name(f"before-restore-{number}")).exists():
        number += 1
    aside.mkdir(mode=0o700)
    _fold(database)
    parts = [database.with_name(database.name + ending) for ending in ("", *BESIDE)]
    for part in parts:
        if part.exists():
            os.link(part, aside / part.name)
    _sync(aside)
    _sync(aside.parent)
    try:
        for part in parts[1:]:
            part.unlink(missing_ok=True)
        _sync(database.parent)
        yield aside
    except OSError:
        for part in parts[1:]:
            if (aside / part.name).exists() and not part.exists():
                os.link(aside / part.name, part)
        raise


def _fold(database: Path) -> None:
    """Make a database that was cut off one file again, if it is sound.

    Raises:
        sqlite3.Error: The disk failed. A damaged one is left as it is: its parts are kept.
    """
    if not any(database.with_name(database.name + ending).exists() for ending in BESIDE):
        return
    try:
        with closing(connect_read_only(database)) as db:
            sound = db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        sound = False
    if sound:
        with closing(connect(database)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
