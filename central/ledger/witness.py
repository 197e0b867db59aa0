"""Is the ledger's file still the one we left? A small file beside it remembers.

`ledger.db.life` says how many facts central had written in its life, and, after an
orderly end, when the file was last touched. It is written after every commit without
waiting for the disk: it may lag behind the ledger, never run ahead of it. A ledger that
knows less, was touched since, or is another file (inode, its generation, filesystem) is
a copy that somebody put back: a new life begins. A false alarm costs nothing but that.

The edge has its own (`edge.store.witness`); the two programs share no files.
"""

import fcntl
import os
import shutil
import sqlite3
import struct
import zlib
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

_FORM = struct.Struct(">4sQQQ")
_SUM = struct.Struct(">I")
_MAGIC = b"krbc"
_GET_GENERATION = 0x80087601
"""`FS_IOC_GETVERSION`: a number drawn anew whenever an inode is given to another file."""


class Seen(NamedTuple):
    """What the witness says."""

    incarnation: int
    facts: int
    """Written by central in that life, in all its streams."""

    touched_ns: int
    """Change time of the file after an orderly end; 0 while running."""


class Witness:
    """The file beside the ledger. Unreadable, it says nothing; unwritable, it is not kept."""

    def __init__(self, ledger: Path) -> None:
        """Read what it says of the run before."""
        self._ledger = self.ledger = ledger
        self._path = ledger.with_name(ledger.name + ".life")
        self.before = _read(self._path)
        self._now = self.before._replace(touched_ns=0) if self.before else Seen(0, 0, 0)

    def note(self, incarnation: int, facts: int) -> None:
        """Note how much central has written. After each commit that wrote something."""
        began = incarnation != self._now.incarnation
        self._now = Seen(incarnation, facts, 0)
        self._write(at_once=began)

    def close(self) -> None:
        """Note the orderly end, after the ledger was closed."""
        try:
            self._now = self._now._replace(touched_ns=self._ledger.stat().st_ctime_ns)
        except OSError:
            return
        self._write()

    def doubt(self) -> bool:
        """Whether the file was touched since our orderly end, or its WAL belongs to another.

        To be called before the ledger is opened; a WAL that would tear it is put aside.
        """
        wal = self._ledger.with_name(self._ledger.name + "-wal")
        if wal.exists() and wal.stat().st_size:
            if _fits(self._ledger):
                return False
            number = 1
            while (aside := wal.with_name(f"{wal.name}-aside-{number}")).exists():
                number += 1
            wal.replace(aside)
            self._ledger.with_name(self._ledger.name + "-shm").unlink(missing_ok=True)
            return True
        seen = self.before
        return bool(seen and seen.touched_ns and seen.touched_ns != self._ledger.stat().st_ctime_ns)

    def _write(self, *, at_once: bool = False) -> None:
        body = _FORM.pack(_MAGIC, *self._now)
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return  # next time the witness is just older
        try:
            os.pwrite(file, body + _SUM.pack(zlib.crc32(body)), 0)
            if at_once:  # else a power cut leaves the life before, and another one begins
                os.fsync(file)
        except OSError:
            pass
        finally:
            os.close(file)


def place(path: Path) -> str:
    """Return what tells the file from any other: filesystem, inode, generation of the inode."""
    with path.open("rb") as file:
        generation = bytearray(8)
        try:
            fcntl.ioctl(file.fileno(), _GET_GENERATION, generation)
        except OSError:
            generation = bytearray(8)  # not every filesystem has one
        inode = os.fstat(file.fileno()).st_ino
        return f"{os.statvfs(path).f_fsid:x}:{inode}:{generation.hex()}"


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


def _fits(path: Path) -> bool:
    """Whether file and WAL belong together. Looked at closely only if the file is another."""
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as alone:
            row = alone.execute("SELECT value FROM own WHERE name = 'place'").fetchone()
    except sqlite3.Error:
        return True  # cut off in the middle of writing the WAL back: the WAL mends that
    if row is None or row[0] == place(path):
        return True
    with TemporaryDirectory(dir=path.parent, prefix="look-") as folder:
        copy = Path(shutil.copyfile(path, Path(folder) / path.name))
        shutil.copyfile(path.with_name(path.name + "-wal"), copy.with_name(copy.name + "-wal"))
        try:
            with closing(sqlite3.connect(copy)) as db:
                return bool(db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
        except sqlite3.Error:
            return False
