"""What a power cut at any point may leave of a folder.

A disk writes sectors of 512 bytes, each whole, in any order, until it is told to flush: so of
every sector that was written since the last sync, any of its contents since then may be there,
whatever became of the others. The size of a file is one of those it has had since; where it was
made shorter, what was written afterwards is not seen before that. Names (made, moved, removed)
come to the disk in order, as in a journal, and only a sync of the folder says that they have.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.crash.disk import SPARE, Op

SECTOR = 512
MODES = ("none", "all", "torn", "few", "half", "most", "one", "all but one")


class _Version(NamedTuple):
    """What a sector has held since the last sync."""

    shrunk: int
    """How often the file had been made shorter by then: what was written after that is not
    seen before that is on disk, too."""

    content: bytes
    ended: bool
    """The sector was cut off: nothing from before is seen once that is on disk."""


class File:
    """One file: what is seen of it, what is surely on disk, and what is between the two."""

    def __init__(self, content: bytes) -> None:
        """Begin with what is on disk."""
        self.seen = bytearray(content)
        self.sure = bytearray(content)
        self._settled: bytes | None = None
        """What is surely on disk, kept: most files of most cuts are as they were before."""

        self.lose()

    @property
    def certain(self) -> bool:
        """Whether a cut leaves but one thing."""
        return not self._between and len(self._sizes) == 1

    def write(self, at: int, data: bytes) -> None:
        """Write bytes, not yet for certain."""
        end = at + len(data)
        self.seen.extend(bytes(max(0, end - len(self.seen))))
        self.seen[at:end] = data
        self._last = list(range(at // SECTOR, (end + SECTOR - 1) // SECTOR))
        self._note(self._last, ended=False)

    def truncate(self, size: int) -> None:
        """Change the size, not yet for certain."""
        before = len(self.seen)
        del self.seen[size:]
        self.seen.extend(bytes(size - len(self.seen)))
        self._last = []
        if size < before:
            self._shrunk += 1
            self._note(range(size // SECTOR, (before + SECTOR - 1) // SECTOR), ended=True)
        self._sizes.append((self._shrunk, size))

    def _note(self, sectors: Iterable[int], *, ended: bool) -> None:
        for sector in sectors:
            content = bytes(self.seen[sector * SECTOR : (sector + 1) * SECTOR])
            version = _Version(self._shrunk, content.ljust(SECTOR, b"\0"), ended)
            self._between.setdefault(sector, []).append(version)
        if self._sizes[-1][1] != len(self.seen):
            self._sizes.append((self._shrunk, len(self.seen)))

    def sync(self) -> None:
        """Everything that is seen is on disk."""
        for sector, versions in self._between.items():
            _put(self.sure, sector, versions[-1].content)
        del self.sure[len(self.seen) :]
        self.sure.extend(bytes(len(self.seen) - len(self.sure)))
        self._settled = None
        self.lose()

    def lose(self) -> None:
        """A sync failed: what was to be written is held for written, and never will be."""
        self._between: dict[int, list[_Version]] = {}
        self._sizes, self._shrunk = [(0, len(self.sure))], 0
        self._last: list[int] = []

    def cut(self, mode: str, rng: Random) -> bytes:
        """Return what may be there after a power cut."""
        if mode == "none" or self.certain:
            if self._settled is None:
                self._settled = bytes(self.sure)
            return self._settled
        whole = mode in ("all", "torn")
        shrunk = self._shrunk if whole else rng.randint(0, self._shrunk)
        sizes = [size for then, size in self._sizes if then == shrunk]
        if mode == "all" or not self._last:
            size = sizes[-1]
        elif mode == "torn":
            size = rng.choice(sizes[-2:])
        else:
            size = rng.choice((sizes[-1], rng.choice(sizes)))
        chosen = rng.choice(list(self._between)) if self._between else -1
        made = bytearray(self.sure)
        for sector, versions in self._between.items():
            there = [version for version in versions if version.shrunk <= shrunk]
            ends = [at for at, version in enumerate(there) if version.ended]
            if ends:
                _put(made, sector, there[ends[-1]].content)
                there = there[ends[-1] + 1 :]
            which = self._kept(mode, sector, chosen, len(there), rng)
            if which >= 0:
                _put(made, sector, there[which].content)
        del made[size:]
        made.extend(bytes(size - len(made)))
        return bytes(made)

    def _kept(self, mode: str, sector: int, chosen: int, count: int, rng: Random) -> int:
        """Draw which of `count` versions of a sector is on disk; -1: none."""
        if not count or (mode == "one" and sector != chosen):
            return -1
        if mode == "torn" and sector in self._last:
            return count - 1 - (rng.random() < 0.5)
        if mode == "all but one" and sector == chosen:
            return rng.randrange(-1, count - 1)
        share = {"few": 0.1, "half": 0.5, "most": 0.9}.get(mode)
        if share is None:
            return count - 1
        return rng.randrange(count) if rng.random() < share else -1


def _put(content: bytearray, sector: int, raw: bytes) -> None:
    at = sector * SECTOR
    content.extend(bytes(max(0, at - len(content))))
    content[at : at + SECTOR] = raw


class Plug:
    """Walks along a log; may be pulled anywhere."""

    def __init__(self, before: Mapping[str, bytes], *, keeps: bool = False) -> None:
        """Begin with a folder as it was, all of it on disk.

        Args:
            before: Contents by name.
            keeps: A sync that failed may have written all the same; else it has written nothing.
        """
        self._keeps = keeps
        self._files = {number: File(content) for number, content in enumerate(before.values(), 1)}
        self._sure = {name: number for number, name in enumerate(before, 1)}
        self._names: list[Op] = []
        """Changes of names that no folder's sync has covered."""

    def feed(self, op: Op) -> None:
        """Go one step on."""
        if op.kind == "write":
            self._files[op.file].write(op.at, op.data)
        elif op.kind == "truncate":
            self._files[op.file].truncate(op.at)
        elif op.kind == "sync":
            self._files[op.file].sync()
        elif op.kind == "lost":
            if not self._keeps:
                self._files[op.file].lose()
        elif op.kind in ("link", "unlink", "rename"):
            self._files.setdefault(op.file, File(b""))
            self._names.append(op)
        elif op.kind == "names":
            self._sure = self._named(len(self._names))
            self._names = []

    @property
    def uncertain(self) -> bool:
        """Whether a cut here leaves more than one thing."""
        return bool(self._names) or not all(file.certain for file in self._files.values())

    def pull(self, mode: str, rng: Random) -> dict[str, bytes]:
        """Return a folder as the cut may leave it: contents by name."""
        count = len(self._names)
        if mode == "none":
            names = self._sure
        elif mode == "all":
            names = self._named(count)
        else:
            names = self._named(rng.choice((count, count, rng.randint(0, count))))
        return {name: self._files[file].cut(mode, rng) for name, file in sorted(names.items())}

    def _named(self, count: int) -> dict[str, int]:
        names = dict(self._sure)
        for op in self._names[:count]:
            if op.kind == "link":
                names[op.name] = op.file
            elif op.kind == "unlink":
                names.pop(op.name, None)
            else:
                names.pop(op.name, None)
                names[op.to] = op.file
        return names


def lay(folder: Path, content: Mapping[str, bytes]) -> None:
    """Make a folder hold exactly this."""
    for path in folder.iterdir():
        if path.name not in content and path.is_file():
            path.unlink()
    for name, raw in content.items():
        path = folder / name
        if "/" in name:
            path.parent.mkdir(parents=True, exist_ok=True)
        if path.name == SPARE:
            path.touch()
            os.truncate(path, 4 << 20)
        else:
            path.write_bytes(raw)
