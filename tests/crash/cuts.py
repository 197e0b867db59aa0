"""Pull the plug at every point of what was recorded, and start again on what is left.

What SQLite recovers from each image is compared, page by page, with the states the database
went through: it must be one of them, and none older than the last that was acknowledged. The
whole program is then started on the image and judges it by its own means (`Judge.start`): once
for each thing that may be recovered, and in every `AGAIN`-th cut besides.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.crash.disk import Disk
from tests.crash.image import MODES, Plug, lay

AGAIN = 50
"""One in so many cuts is started on, whatever was started on before."""

MOST_FINDINGS = 20

_BEGUN = re.compile(r"\.(partial|new)")
"""Files under way, which no start looks at."""

_NOTHING = blake2b(digest_size=16).digest()

Told = list[tuple[Any, ...]]
"""What was acknowledged, in order."""


class Judge(NamedTuple):
    """One program's judgement."""

    database: str
    start: Callable[..., list[str]]
    """Given folder, what was told, when the file was last touched, and `whole`: whether the
    journal and the views are to be verified, too."""


@dataclass
class Seen:
    """What came of the cuts of a recording."""

    cuts: int = 0
    starts: int = 0
    states: int = 0
    lost: int = 0
    doubled: int = 0
    corrupt: int = 0
    stuck: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def find(self, what: str, where: str) -> None:
        """Count a finding by its first word."""
        self.lost += what.startswith("lost")
        self.stuck += what.startswith("stuck")
        self.doubled += what.startswith("doubled")
        self.corrupt += not what.startswith(("lost", "stuck", "doubled"))
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(f"{where}: {what}")


class _Trial:
    """One recording, one folder to lay images in."""

    def __init__(self, disk: Disk, judge: Judge, folder: Path, rng: Random, images: int) -> None:
        self.disk, self.judge, self.folder = disk, judge, folder
        self.rng, self.images = rng, images
        self.seen = Seen()
        self.told: Told = []
        self.touched = 0
        self._states: dict[bytes, bytes | str] = {}
        self._started: set[tuple[object, ...]] = set()
        self._whole: set[bytes] = set()

    def run(self, only: tuple[int, int] | None) -> Seen:
        plug, judge = Plug(self.disk.before), self.judge
        current = self._recovered(plug.pull("all", self.rng))
        reached = {current: 0}
        safe = database = 0
        for at, op in enumerate(self.disk.log):
            plug.feed(op)
            if judge.database in (op.name, op.to):
                database = op.file
            if op.kind in ("write", "truncate") and op.file == database:
                self.touched = at  # no time of any clock's, and another for each
            if op.kind == "said":
                safe = at
                reached[current] = at
                for words in op.told:
                    if words[0] == "closed":
                        self.touched = words[1]
                    else:
                        self.told.append(words)
                continue
            for number, mode in enumerate(self._modes(plug)):
                content = plug.pull(mode, self.rng)
                state = self._recovered(content)
                if mode == "all":
                    current = state
                    reached[state] = at
                self.seen.cuts += 1
                self.seen.faults[mode] = self.seen.faults.get(mode, 0) + 1
                if only in (None, (at, number)):
                    self._judge(content, state, reached.get(state, -1) - safe, (at, number, mode))
        self.seen.states = len(reached)
        return self.seen

    def _modes(self, plug: Plug) -> Iterator[str]:
        yield "all"
        if plug.uncertain:
            yield "none"
            yield from self.rng.choices(MODES, k=self.images)

    def _judge(
        self, content: Mapping[str, bytes], state: bytes | str, since: int, at: tuple[int, int, str]
    ) -> None:
        kind, name = self.disk.log[at[0]].kind, self.disk.log[at[0]].name
        where = f"--only {at[0]},{at[1]} ({kind} {name}, {at[2]})"
        if isinstance(state, str):
            self.seen.find(f"corrupt: {state}", where)
            return
        if since < 0:
            self.seen.find("lost: older than what was acknowledged, or never there", where)
            return
        beside = {
            name: raw
            for name, raw in content.items()
            if name != self.judge.database and not _BEGUN.search(name)
        }
        walled = bool(beside.pop(f"{self.judge.database}-wal", b""))
        mark = (state, _digest(beside), walled, self.touched > len(self.disk.log))
        if mark in self._started and self.seen.cuts % AGAIN:
            return
        self._started.add(mark)
        lay(self.folder, content)
        self.seen.starts += 1
        whole = state not in self._whole
        self._whole.add(state)
        try:
            found = self.judge.start(self.folder, self.told, self.touched, whole=whole)
        except Exception as error:  # noqa: BLE001 - a program that does not start is the finding
            found = [f"stuck: it does not start: {type(error).__name__}: {error}"]
        for what in found:
            self.seen.find(what, where)

    def _recovered(self, content: Mapping[str, bytes]) -> bytes | str:
        """Return a digest of the pages that SQLite finds, or what it says is wrong."""
        name = self.judge.database
        files = {k: content[k] for k in (name, f"{name}-wal", f"{name}-journal") if k in content}
        image = _digest(files)
        if image not in self._states:
            lay(self.folder, files)
            # With no page there is no database yet, whatever stands beside it.
            self._states[image] = _open(self.folder / name) if content.get(name) else _NOTHING
        return self._states[image]


def _open(path: Path) -> bytes | str:
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as db:
            (sound,) = db.execute("PRAGMA integrity_check(1)").fetchone()
            if sound != "ok":
                return f"not sound: {sound}"
            (pages,) = db.execute("PRAGMA page_count").fetchone()
            return blake2b(db.serialize() if pages else b"", digest_size=16).digest()
    except sqlite3.Error as error:
        return f"not readable: {error}"


def _digest(files: Mapping[str, bytes]) -> bytes:
    made = blake2b(digest_size=16)
    for name, raw in files.items():
        made.update(name.encode() + b" " + _of(raw))
    return made.digest()


@lru_cache(maxsize=256)
def _of(raw: bytes) -> bytes:
    return blake2b(raw, digest_size=16).digest()


def cut(
    disk: Disk,
    judge: Judge,
    folder: Path,
    rng: Random,
    *,
    images: int,
    told: Told | None = None,
    only: tuple[int, int] | None = None,
) -> Seen:
    """Cut a recording at every point.

    Args:
        disk: The recording.
        judge: Of the program that was recorded.
        folder: Empty; images are laid there.
        rng: Draws what is left of what was not flushed.
        images: How many of each point, besides "all of it" and "nothing".
        told: What had been acknowledged before the recording began.
        only: Judge but this image: the point, and its number there.
    """
    trial = _Trial(disk, judge, folder, rng, images)
    trial.told += told or []
    return trial.run(only)
