"""Is the database file still the one we left? A small file beside it remembers.

`karb.sqlite.life` says how far our stream had come, how much of that was in the main
file (and not only in its WAL), and, after an orderly end, when the file was last
touched. It is written after every commit, without waiting for the disk: it may lag
behind the database, never run ahead of it. So a database that knows less is an older
one that somebody has put back, and one that was touched after our orderly end, or is
another file (inode, its generation, filesystem), is not the file we left either.

Of a whole folder put back in place over a running node's, nothing here can tell: then
a peer that knows more will. A false alarm costs a new receipt series, never a sale.
"""

import fcntl
import os
import shutil
import sqlite3
import struct
import zlib
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from edge.store.connection import connect_read_only
from edge.store.journal import whole
from edge.store.verify import verify_file

_FORM = struct.Struct(">4sQQQQ")
_SUM = struct.Struct(">I")
_MAGIC = b"krb1"
_GET_GENERATION = 0x80087601
"""`FS_IOC_GETVERSION`: a number drawn anew whenever an inode is given to another file."""


class Seen(NamedTuple):
    """What the witness says."""

    incarnation: int
    seq: int
    """How far our stream of that life had come."""

    in_file: int
    """How much of it the main file had without its WAL."""

    touched_ns: int
    """Change time of the main file after an orderly end; 0 while running."""


class Witness:
    """The file beside the database. Unreadable, it says nothing; unwritable, it is not kept."""

    def __init__(self, database: Path) -> None:
        """Read what it says of the run before."""
        self._database = database
        self._path = database.with_name(database.name + ".life")
        self.before = _read(self._path)
        self._file: int | None = None
        self._now = Seen(0, 0, 0, 0)

    def note(self, incarnation: int, seq: int) -> None:
        """Note how far our stream has come. After each commit, from the writer's thread.

        That a life began is on disk before anything is told in it: a witness of the life
        before would take its WAL for another file's.
        """
        began = incarnation != self._now.incarnation
        if began:
            before = self.before
            known = before.in_file if before and before.incarnation == incarnation else 0
            self._now = Seen(incarnation, seq, min(known, seq), 0)
        else:
            self._now = self._now._replace(seq=seq)
        self._write()
        if began and self._file is not None:
            with suppress(OSError):  # then `_stale` has to tell
                os.fsync(self._file)

    def in_file(self) -> None:
        """Note that the main file has everything: the WAL was written back."""
        self._now = self._now._replace(in_file=self._now.seq)
        self._write()

    def close(self) -> None:
        """Note the orderly end, after the database was closed."""
        if self._file is None:
            return
        try:
            touched = self._database.stat().st_ctime_ns
        except OSError:
            touched = 0
        self._now = self._now._replace(in_file=self._now.seq, touched_ns=touched)
        self._write()
        os.close(self._file)
        self._file = None

    def drop(self) -> None:
        """Let go of the file without a word: as a power cut would."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            body = _FORM.pack(_MAGIC, *self._now)
            os.pwrite(self._file, body + _SUM.pack(zlib.crc32(body)), 0)
        except OSError:
            pass  # a full disk is told of where it hurts; next time the witness is just older

    def look(self) -> str:
        """Say why the file in place is not the one we left; empty if nothing speaks against it.

        To be called before the database is opened. A WAL that belongs to another main
        file than the one in place would tear it: it is put aside (``….wal-aside``).
        """
        facts = _main_file(self._database)
        if facts is None:
            return ""
        other = facts.place not in (b"", place(self._database))
        seen = self.before
        # A witness that never reached the disk tells of a life before: of that, then.
        older = (
            seen is not None
            and not _stale(facts, seen)
            and facts.lives.get(seen.incarnation, 0) < seen.in_file
        )
        wal = self._database.with_name(self._database.name + "-wal")
        doubted = wal.exists() and wal.stat().st_size
        torn = False
        if doubted and older:
            torn = not _fits(self._database, seen)
            older = torn  # cut off while the WAL was written back, the file alone looks older
        if torn or (doubted and other and not _fits(self._database, None)):
            wal.replace(_free_name(wal.with_name(wal.name + "-aside")))
            self._database.with_name(self._database.name + "-shm").unlink(missing_ok=True)
        if other:
            return "other file"
        if older:
            return "older file"
        if seen is not None and seen.touched_ns and not wal.exists():
            touched = self._database.stat().st_ctime_ns
            return "" if touched == seen.touched_ns else "other file"
        return ""


def place(path: Path) -> bytes:
    """Return what tells the file from any other: filesystem, inode, generation of the inode."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        generation = bytearray(8)
        try:
            fcntl.ioctl(file.fileno(), _GET_GENERATION, generation)
        except OSError:
            generation = bytearray(8)  # not every filesystem has one
        return f"{os.statvfs(path).f_fsid:x}:{status.st_ino}:{generation.hex()}".encode()


def _read(path: Path) -> Seen | None:
    try:
        raw = path.read_bytes()
        magic, *numbers = _FORM.unpack_from(raw)
        (check,) = _SUM.unpack_from(raw, _FORM.size)
    except (OSError, struct.error):
        return None
    if magic != _MAGIC or zlib.crc32(raw[: _FORM.size]) != check:
        return None
    return Seen(*numbers)


class _Told(NamedTuple):
    """What a database file tells of itself."""

    place: bytes
    lives: dict[int, int]
    """Incarnations to how far their streams come."""

    life: int
    """The incarnation of now."""


def _main_file(path: Path, *, immutable: bool = True) -> _Told | None:
    """Return what the file tells of itself; None: unreadable.

    Args:
        path: The database.
        immutable: Read the main file alone, as if there were no WAL.
    """
    try:
        with closing(connect_read_only(path, immutable=immutable)) as db:
            row = db.execute("SELECT value FROM meta WHERE key = 'place'").fetchone()
            now = db.execute("SELECT value FROM meta WHERE key = 'incarnation'").fetchone()
            lives: dict[int, int] = {}
            for id_, incarnation in db.execute("SELECT id, incarnation FROM streams").fetchall():
                (last,) = db.execute(
                    "SELECT max(place) & 0xFFFFFFFFFF FROM facts WHERE place BETWEEN ? AND ?",
                    whole(id_),
                ).fetchone()
                lives[incarnation] = max(lives.get(incarnation, 0), last or 0)
            life = int.from_bytes(now[0], "big") if now else 0
            return _Told(row[0] if row else b"", lives, life)
    except (sqlite3.Error, TypeError, ValueError, OSError):
        return None


def _fits(path: Path, seen: Seen | None) -> bool:
    """Whether file and WAL make a sound whole. Tried on a copy."""
    wal = path.with_name(path.name + "-wal")
    with TemporaryDirectory(dir=path.parent, prefix="look-") as folder:
        copy = Path(shutil.copyfile(path, Path(folder) / path.name))
        shutil.copyfile(wal, copy.with_name(wal.name))
        try:
            with closing(sqlite3.connect(copy)) as db:
                if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                    return False
        except sqlite3.Error:
            return False
        found = _main_file(copy, immutable=False)
        if found is None or seen is None:
            return found is not None
        # Pages of two files can make a whole that SQLite finds sound: then the facts tell.
        whole = _stale(found, seen) or found.lives.get(seen.incarnation, 0) >= seen.seq
        return whole and verify_file(copy).sound


def _stale(file: _Told, seen: Seen) -> bool:
    """Whether the witness tells of a life that had ended: what it says is of no use then."""
    return file.life != seen.incarnation and seen.incarnation in file.lives


def _free_name(path: Path) -> Path:
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
