# `os` is what is watched here: `pathlib` would call us.
# ruff: noqa: PTH100, PTH110, PTH112, PTH119, PTH120
"""A disk that remembers everything that was asked of it, and fails when told to.

SQLite itself is the one that the product runs: the library that the standard `sqlite3` is
linked to. Its own unix VFS goes on doing the work on real files; writes, truncations, syncs,
opens and deletions of files below one folder pass through here on their way. What the
programs write beside the database (witness, keys, backups) is seen at `os`: names when they
change, contents at the next sync, rename or write of anything. `tests.crash.image` makes of
the log what a power cut at any point may leave.

Held for true: a sector of 512 bytes is written whole or not at all, and bytes beside those
that are written are not hurt (SQLite's "powersafe overwrite", its default); a disk that lies
about a flush is another matter, which no program can heal.
"""

import _sqlite3
import builtins
import ctypes
import errno
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

SPARE = "reserve"
"""The edge's file that only takes up room: its content is nothing."""

_OK, _FULL, _CANTOPEN = 0, 13, 14
_IOERR = 10
_CODES = {"read": 1, "write": 3, "sync": 4, "truncate": 6, "delete": 10}
_CREATE, _WAL_OR_JOURNAL = 0x4, 0x800 | 0x80000 | 0x4000
_PLAIN = (
    *("open", "pwrite", "sendfile", "fsync", "rename", "replace", "link", "unlink", "remove"),
    "mkdir",
)


class Op(NamedTuple):
    """One thing that was asked."""

    kind: str
    """write, truncate, sync, lost (a sync that failed), link, unlink, rename, names, said."""

    file: int = 0
    """Which file, by a number of its own: names may move."""

    at: int = 0
    """Offset of a write, size of a truncation, in bytes."""

    data: bytes = b""

    name: str = ""
    """Relative to the folder."""

    to: str = ""

    told: Any = None
    """Of `said`: what the program acknowledged at this point."""


@dataclass
class Fault:
    """At which call the disk fails, and how."""

    at: int
    """Number of the call, from 1."""

    error: int
    """EIO or ENOSPC."""

    for_ever: bool = False
    calls: int = 0
    struck: int = 0
    healed: bool = False
    hits: list[str] = field(default_factory=list)
    """What failed first: the kind of call, and the file."""

    def strikes(self, kind: str, name: str = "") -> bool:
        """Count a call; say whether it fails."""
        if self.healed or (self.error == errno.ENOSPC and kind not in ("write", "make")):
            return False
        self.calls += 1
        hit = self.calls >= self.at if self.for_ever else self.calls == self.at
        self.struck += hit
        if hit and not self.hits:
            self.hits.append(f"{kind} {name}")
        return hit


class Disk:
    """What was asked of the files of one folder, in order. Use `recorded`."""

    def __init__(self, root: Path) -> None:
        """Take what is there for durable."""
        self.root = str(root.resolve()) + "/"
        self.log: list[Op] = []
        self.fault: Fault | None = None
        self.broken: BaseException | None = None
        """What went wrong in here, and not in what is tried."""

        self.before: dict[str, bytes] = {}
        self._lock = threading.RLock()
        self._inodes: dict[str, int] = {}
        self._kept: dict[int, bytearray] = {}
        self._plain: set[int] = set()
        self._count = 0
        for path in sorted(root.rglob("*")):
            if path.is_file() and not path.name.endswith("-shm"):
                content = b"" if path.name == SPARE else path.read_bytes()
                name = self.name(path)
                self.before[name] = content
                self._kept[self._inode(name)] = bytearray(content)

    def name(self, path: Any) -> str:
        """Return a path as the log has it; empty if it is none of ours."""
        try:
            text = os.fsdecode(os.path.abspath(path))
        except TypeError:
            return ""
        inside = text.startswith(self.root) and not text.endswith("-shm")
        return text[len(self.root) :] if inside else ""

    def say(self, told: Any) -> None:
        """Note that the program has just told somebody that something is done."""
        with self._lock:
            self.catch_up()
            self.log.append(Op("said", told=told))

    def fails(self, kind: str, name: str = "") -> bool:
        """Whether this call is to fail."""
        with self._lock:
            return self.fault is not None and self.fault.strikes(kind, name)

    def opened(self, name: str, *, made: bool, plain: bool) -> int:
        """Note a file that was opened, perhaps made, perhaps emptied."""
        with self._lock:
            self.catch_up()  # before SQLite opens what was copied: from then on it tells itself
            if made or name not in self._inodes:
                self._inodes.pop(name, None)
                file = self._inode(name)
                self._kept[file] = bytearray()
                self.log.append(Op("link", file, name=name))
            file = self._inodes[name]
            (self._plain.add if plain else self._plain.discard)(file)
            return file

    def write(self, file: int, at: int, data: bytes) -> None:
        """Note bytes that were written."""
        with self._lock:
            self.catch_up()
            self._write(file, at, data)

    def truncate(self, file: int, size: int) -> None:
        """Note a new size."""
        with self._lock:
            self.catch_up()
            kept = self._kept[file]
            del kept[size:]
            kept.extend(bytes(size - len(kept)))
            self.log.append(Op("truncate", file, size))

    def sync(self, file: int, *, lost: bool = False) -> None:
        """Note a sync; a lost one has failed, and what it was to write is never written."""
        with self._lock:
            self.catch_up()
            self.log.append(Op("lost" if lost else "sync", file))

    def names(self, folder: str) -> None:
        """Note that the names in a folder were synced."""
        with self._lock:
            self.catch_up()
            self.log.append(Op("names", name=folder))

    def renamed(self, name: str, to: str) -> None:
        """Note a new name."""
        with self._lock:
            self.catch_up()
            if name in self._inodes:
                self._inodes[to] = self._inodes.pop(name)
                self.log.append(Op("rename", self._inodes[to], name=name, to=to))

    def linked(self, name: str, to: str) -> None:
        """Note a second name."""
        with self._lock:
            self.catch_up()
            self._inodes[to] = self._inodes[name]
            self.log.append(Op("link", self._inodes[to], name=to))

    def unlinked(self, name: str) -> None:
        """Note a name that is gone."""
        with self._lock:
            self.catch_up()
            if self._inodes.pop(name, None) is not None:
                self.log.append(Op("unlink", name=name))

    def file(self, name: str) -> int | None:
        """Return the number of a file that is known."""
        return self._inodes.get(name)

    def catch_up(self) -> None:
        """See what was written to files that are no databases."""
        for name, file in list(self._inodes.items()):
            if file not in self._plain or os.path.basename(name) == SPARE:
                continue
            try:
                now = _content(self.root + name)
            except OSError:
                continue
            kept = self._kept[file]
            if now == kept:
                continue
            if len(now) < len(kept):
                del kept[len(now) :]
                self.log.append(Op("truncate", file, len(now)))
            first = next(
                (at for at, (a, b) in enumerate(zip(now, kept, strict=False)) if a != b), len(kept)
            )
            if first < len(now):
                self._write(file, first, now[first:])

    def _inode(self, name: str) -> int:
        if name not in self._inodes:
            self._count += 1
            self._inodes[name] = self._count
        return self._inodes[name]

    def _write(self, file: int, at: int, data: bytes) -> None:
        kept = self._kept[file]
        kept.extend(bytes(max(0, at - len(kept))))
        kept[at : at + len(data)] = data
        self.log.append(Op("write", file, at, data))


_OPEN = io.open
_OS: dict[str, Any] = {name: getattr(os, name) for name in _PLAIN}


def _content(path: str) -> bytes:
    descriptor = _OS["open"](path, os.O_RDONLY)
    try:
        parts = []
        while part := os.read(descriptor, 1 << 20):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


class _Methods(ctypes.Structure):
    """`sqlite3_io_methods`, as far as we look."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("close", ctypes.c_void_p),
        ("read", ctypes.c_void_p),
        ("write", ctypes.c_void_p),
        ("truncate", ctypes.c_void_p),
        ("sync", ctypes.c_void_p),
        ("rest", ctypes.c_void_p * 13),
    )


class _File(ctypes.Structure):
    _fields_ = (("methods", ctypes.POINTER(_Methods)),)


class _Vfs(ctypes.Structure):
    """`sqlite3_vfs`."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("size", ctypes.c_int),
        ("longest", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("open", ctypes.c_void_p),
        ("delete", ctypes.c_void_p),
        ("access", ctypes.c_void_p),
        ("full_path", ctypes.c_void_p),
        ("dl", ctypes.c_void_p * 4),
        ("randomness", ctypes.c_void_p),
        ("rest", ctypes.c_void_p * 7),
    )


_P, _I, _L = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_CLOSE = ctypes.CFUNCTYPE(_I, _P)
_MOVE = ctypes.CFUNCTYPE(_I, _P, _P, _I, _L)
_TRUNCATE = ctypes.CFUNCTYPE(_I, _P, _L)
_SYNC = ctypes.CFUNCTYPE(_I, _P, _I)
_VFS_OPEN = ctypes.CFUNCTYPE(_I, _P, _P, _P, _I, ctypes.POINTER(_I))
_VFS_DELETE = ctypes.CFUNCTYPE(_I, _P, _P, _I)
_VFS_RANDOM = ctypes.CFUNCTYPE(_I, _P, _I, _P)

LIBRARY = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
"""The very library that `sqlite3` calls."""


class _Open(NamedTuple):
    disk: Disk
    file: int
    methods: _Methods
    folder: str | None
    """To be synced with the file, which may have been made just now."""


class _Shim:
    """Between SQLite and its unix VFS. One for the process; without a disk it only passes on."""

    def __init__(self) -> None:
        LIBRARY.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        LIBRARY.sqlite3_vfs_find.argtypes = (ctypes.c_char_p,)
        LIBRARY.sqlite3_vfs_register.argtypes = (ctypes.c_void_p, ctypes.c_int)
        self.true = LIBRARY.sqlite3_vfs_find(None)
        vfs = self.true.contents
        self._open, self._delete = _VFS_OPEN(vfs.open), _VFS_DELETE(vfs.delete)
        self.disk: Disk | None = None
        self._files: dict[int, _Open] = {}
        self._known: dict[int, tuple[Any, _Methods]] = {}
        self._ours = (
            _VFS_OPEN(self._guard(self.open)),
            _VFS_DELETE(self._guard(self.delete)),
            _CLOSE(self._guard(self.close)),
            _MOVE(self._guard(self.read)),
            _MOVE(self._guard(self.write)),
            _TRUNCATE(self._guard(self.truncate)),
            _SYNC(self._guard(self.sync)),
            _VFS_RANDOM(self._guard(self.randomness)),
        )
        self._randomness = _VFS_RANDOM(vfs.randomness)
        self.rng: Random | None = None
        self.vfs = _Vfs.from_buffer_copy(vfs)
        self.vfs.name = b"karb-crash"
        self.vfs.next = None
        self.vfs.open, self.vfs.delete = (ctypes.cast(f, _P).value for f in self._ours[:2])
        self.vfs.randomness = ctypes.cast(self._ours[-1], _P).value

    def _guard(self, work: Callable[..., int]) -> Callable[..., int]:
        def guarded(*words: Any) -> int:
            try:
                return work(*words)
            except BaseException as error:  # noqa: BLE001 - none can go through SQLite
                if self.disk is not None:
                    self.disk.broken = error
                return _IOERR

        return guarded

    def open(self, _vfs: int, name: int, file: int, flags: int, out: Any) -> int:
        disk = self.disk
        path = ctypes.string_at(name) if name else b""
        ours = disk.name(path) if disk and path else ""
        if not ours or disk is None:
            return self._open(ctypes.addressof(self.true.contents), name, file, flags, out)
        there = os.path.exists(path)
        if disk.fails("open" if there else "make", ours):
            return _CANTOPEN
        code = self._open(ctypes.addressof(self.true.contents), name, file, flags, out)
        made = not there and bool(flags & _CREATE)
        handle = ctypes.cast(file, ctypes.POINTER(_File)).contents
        if code != _OK or not handle.methods:
            return code
        number = disk.opened(ours, made=made, plain=False)
        theirs = ctypes.addressof(handle.methods.contents)
        if theirs not in self._known:
            patched = _Methods.from_buffer_copy(handle.methods.contents)
            patched.close, patched.read, patched.write, patched.truncate, patched.sync = (
                ctypes.cast(f, _P).value for f in self._ours[2:-1]
            )
            methods = handle.methods.contents
            true = (
                _CLOSE(methods.close),
                _MOVE(methods.read),
                _MOVE(methods.write),
                _TRUNCATE(methods.truncate),
                _SYNC(methods.sync),
            )
            self._known[theirs] = (true, patched)
        true, patched = self._known[theirs]
        # As the unix VFS does: whoever may have made it syncs its name with its first sync.
        names = flags & _CREATE and flags & _WAL_OR_JOURNAL
        folder = os.path.dirname(ours) if names else None
        self._files[file] = _Open(disk, number, true, folder)
        handle.methods = ctypes.pointer(patched)
        return code

    def randomness(self, _vfs: int, count: int, into: int) -> int:
        if self.rng is None:
            return self._randomness(ctypes.addressof(self.true.contents), count, into)
        ctypes.memmove(into, self.rng.randbytes(count), count)
        return count

    def close(self, file: int) -> int:
        return self._files.pop(file).methods[0](file)

    def read(self, file: int, into: int, count: int, at: int) -> int:
        known = self._files[file]
        if known.disk.fails("read", str(known.file)):
            return _IOERR | _CODES["read"] << 8
        return known.methods[1](file, into, count, at)

    def write(self, file: int, source: int, count: int, at: int) -> int:
        disk, number, methods, _ = self._files[file]
        data = ctypes.string_at(source, count)
        if disk.fails("write", str(number)):
            half = data[: count // 2 // 512 * 512]  # what fitted, or came before the bad block
            if half and methods[2](file, source, len(half), at) == _OK:
                disk.write(number, at, half)
            full = disk.fault is not None and disk.fault.error == errno.ENOSPC
            return _FULL if full else _IOERR | _CODES["write"] << 8
        code = methods[2](file, source, count, at)
        if code == _OK:
            disk.write(number, at, data)
        return code

    def truncate(self, file: int, size: int) -> int:
        disk, number, methods, _ = self._files[file]
        if disk.fails("truncate", str(number)):
            return _IOERR | _CODES["truncate"] << 8
        code = methods[3](file, size)
        if code == _OK:
            disk.truncate(number, size)
        return code

    def sync(self, file: int, flags: int) -> int:
        known = self._files[file]
        disk, number, methods, folder = known
        if disk.fails("sync", str(number)):
            disk.sync(number, lost=True)
            return _IOERR | _CODES["sync"] << 8
        code = methods[4](file, flags)
        if code == _OK:
            disk.sync(number)
            if folder is not None:
                disk.names(folder)
                self._files[file] = known._replace(folder=None)
        return code

    def delete(self, _vfs: int, name: int, sync: int) -> int:
        disk = self.disk
        ours = disk.name(ctypes.string_at(name)) if disk else ""
        if ours and disk and disk.fails("delete", ours):
            return _IOERR | _CODES["delete"] << 8
        code = self._delete(ctypes.addressof(self.true.contents), name, sync)
        if code == _OK and ours and disk:
            disk.unlinked(ours)
            if sync:
                disk.names(os.path.dirname(ours))
        return code


_shim: list[_Shim] = []


@contextmanager
def recorded(root: Path, seed: int | None = None) -> Iterator[Disk]:
    """Give a disk that logs what happens below `root` until the end.

    Args:
        root: The folder.
        seed: Makes what SQLite draws, such as the salts of a WAL; None: as always.
    """
    if not _shim:
        _shim.append(_Shim())
    (shim,) = _shim
    disk = Disk(root)
    shim.disk, shim.rng = disk, None if seed is None else Random(seed)
    LIBRARY.sqlite3_vfs_register(ctypes.addressof(shim.vfs), 1)
    LIBRARY.sqlite3_randomness(0, None)  # it has drawn a seed from the former VFS
    _watch(disk)
    try:
        yield disk
    finally:
        for name, true in _OS.items():
            setattr(os, name, true)
        io.open = builtins.open = _OPEN
        LIBRARY.sqlite3_vfs_register(ctypes.addressof(shim.true.contents), 1)
        shim.disk = shim.rng = None
        LIBRARY.sqlite3_randomness(0, None)
        if disk.broken is not None:
            raise disk.broken


class _Raw(io.FileIO):
    """A file that Python writes: a write may fail, and half of it is then there."""

    failing: Callable[[], None]

    def write(self, data: Any) -> int:
        """Write, or a half of it and fail."""
        try:
            self.failing()
        except OSError:
            whole = memoryview(data).cast("B")
            super().write(whole[: len(whole) // 2])
            raise
        return super().write(data)


def _file(
    path: Any, mode: str, failing: Callable[[], None], buffering: int = -1, *more: Any, **named: Any
) -> Any:
    """Open a file for writing as `open` does."""
    below = {key: named.pop(key) for key in ("closefd", "opener") if key in named}
    raw = _Raw(path, mode.replace("b", "").replace("t", ""), **below)
    raw.failing = failing
    if not buffering:
        return raw
    buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
    return buffered if "b" in mode else io.TextIOWrapper(buffered, *more, **named)


def _watch(disk: Disk) -> None:  # noqa: C901, PLR0915 - one small stand-in for each call
    """Look over the shoulder of `os`."""
    descriptors: dict[int, str] = {}

    def failing(kind: str, name: str) -> None:
        if name and disk.fails(kind, name):
            error = disk.fault.error if disk.fault else errno.EIO
            raise OSError(error, os.strerror(error), name)

    def opened(path: Any, flags: int, *more: Any, **named: Any) -> int:
        name = "" if named.get("dir_fd") is not None else disk.name(path)
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR))
        made = bool(name) and not os.path.exists(path)
        if name and writes:
            failing("make" if made else "open", name)
        descriptor: int = _OS["open"](path, flags, *more, **named)
        descriptors.pop(descriptor, None)
        if name or os.path.abspath(os.fsdecode(path)) + "/" == disk.root:
            descriptors[descriptor] = name
        if name and writes and not os.path.isdir(path):
            disk.opened(name, made=made, plain=True)
        return descriptor

    def built_in(path: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
        known = isinstance(path, int)
        name = descriptors.get(path, "") if known else disk.name(path)
        writes = any(letter in mode for letter in "wax+")
        made = bool(name) and not known and not os.path.exists(path)
        if not known:
            failing("read" if not writes else "make" if made else "open", name)
        if not name or not writes or disk.fault is None:
            file = _OPEN(path, mode, *more, **named)
        else:
            file = _file(path, mode, lambda: failing("write", name), *more, **named)
        if not known:
            descriptors.pop(file.fileno(), None)
        if name and not known:
            descriptors[file.fileno()] = name
            if writes:
                disk.opened(name, made=made, plain=True)
        return file

    def sendfile(into: int, source: int, offset: int, count: int) -> int:
        try:
            failing("write", descriptors.get(into, ""))
        except OSError:  # half of it fitted, or came before the bad block
            half = min(count, os.fstat(source).st_size - (offset or 0)) // 2
            if half > 0:
                _OS["sendfile"](into, source, offset, half)
            raise
        sent: int = _OS["sendfile"](into, source, offset, count)
        return sent

    def mkdir(path: Any, *more: Any, **named: Any) -> None:
        failing("make", "" if named.get("dir_fd") is not None else disk.name(path))
        _OS["mkdir"](path, *more, **named)

    def pwrite(descriptor: int, data: bytes, at: int) -> int:
        name = descriptors.get(descriptor, "")
        failing("write", name)
        written: int = _OS["pwrite"](descriptor, data, at)
        return written

    def fsync(descriptor: int) -> None:
        name = descriptors.get(descriptor)
        try:
            failing("sync", name or "")
        except OSError:
            file = disk.file(name or "")
            if file is not None:
                disk.sync(file, lost=True)
            raise
        _OS["fsync"](descriptor)
        if name is None:
            return
        if name == "" or os.path.isdir(disk.root + name):
            disk.names(name)
        elif (file := disk.file(name)) is not None:
            disk.sync(file)

    def moved(how: str) -> Callable[..., None]:
        def work(source: Any, target: Any, **more: Any) -> None:
            before, after = disk.name(source), disk.name(target)
            failing("delete", before)
            disk.catch_up()
            _OS[how](source, target, **more)
            if before and after:
                disk.renamed(before, after) if how != "link" else disk.linked(before, after)

        return work

    def gone(path: Any, **more: Any) -> None:
        name = "" if more.get("dir_fd") is not None else disk.name(path)
        failing("delete", name)
        _OS["unlink"](path, **more)
        if name:
            disk.unlinked(name)

    os.open, os.pwrite, os.fsync = opened, pwrite, fsync  # type: ignore[assignment]
    os.sendfile, os.mkdir = sendfile, mkdir  # type: ignore[assignment]
    os.rename, os.replace, os.link = moved("rename"), moved("replace"), moved("link")  # type: ignore[assignment]
    os.unlink = os.remove = gone  # type: ignore[assignment]
    io.open = builtins.open = built_in  # type: ignore[assignment]
