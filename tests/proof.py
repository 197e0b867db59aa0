"""The proof: what each of its parts is given, and the one shape in which it tells what it saw.

A part is a module with `main(size, seed, out) -> dict`. It writes one JSON file at `out`, the
`Told` below, and returns it. What it had done when it was interrupted stands beside it in
`out` + `.part` (`begun`), so that the same call goes on from there; whoever wants a fresh run
removes that file first.
"""

import argparse
import datetime as dt
import os
import platform
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")

Size = Literal["short", "ci", "release"]
"""`short` is what `make test` runs."""

WRONGS = ("lost", "doubled", "corrupt", "stuck")

SIZES: tuple[Size, ...] = ("short", "ci", "release")

PACKAGES = ("aiohttp", "automerge", "cryptography", "hypothesis", "msgspec", "uvloop", "zstandard")


class Slice(msgspec.Struct):
    """What a part did in one go."""

    commit: str
    began: str
    """UTC."""

    cases: int = 0
    seconds: float = 0.0


class Enough(Exception):
    """The time given is over; what is done stands aside, and `--resume` goes on from there."""


class _Time:
    until: float | None = None


def stop_after(minutes: float | None) -> None:
    """Have a part end, at the next point from which it can go on, once so many minutes are over."""
    _Time.until = None if minutes is None else time.monotonic() + 60 * minutes


class Told(msgspec.Struct, kw_only=True):
    """What one part of the proof did and saw."""

    name: str

    size: Size

    cases: int = 0
    """Power cuts, seeds, kills, inputs: what this part counts."""

    faults: dict[str, int] = {}
    """How often each kind of fault truly happened."""

    lost: int = 0
    """Acknowledged sales, documents or promises that are not there."""

    doubled: int = 0
    """Effects that are there more than once."""

    corrupt: int = 0
    """What is there, and not as it was told: bytes, numbers with gaps, views, chains."""

    stuck: int = 0
    """What still waits after the faults have healed, and known bugs that went unnoticed."""

    seconds: float = 0.0

    seeds: list[int] = []
    """The first seed; then every one that failed, so that it can be played again."""

    versions: dict[str, str] = {}

    notes: list[str] = []
    """Sentences for the report: commands that play a failure again, figures worth a line."""

    slices: list[Slice] = []
    """How it was made: one, or several of other days."""

    @property
    def failed(self) -> bool:
        """Whether anything at all went wrong."""
        return bool(self.lost or self.doubled or self.corrupt or self.stuck)

    def count(self, fault: str, times: int = 1) -> None:
        """Note that a fault happened."""
        self.faults[fault] = self.faults.get(fault, 0) + times

    def add(self, lost: int, doubled: int, corrupt: int, stuck: int) -> None:
        """Add to what went wrong."""
        self.lost += lost
        self.doubled += doubled
        self.corrupt += corrupt
        self.stuck += stuck

    def _close_slice(self) -> None:
        """Have the last slice say what was done in it."""
        if self.slices:
            before, last = self.slices[:-1], self.slices[-1]
            last.cases = self.cases - sum(one.cases for one in before)
            last.seconds = round(self.seconds - sum(one.seconds for one in before), 1)

    def take(self, found: Mapping[str, Sequence[str]], seed: int) -> None:
        """Add sentences on what is lost, doubled, corrupt or stuck, and the seed that shows it."""
        for what in WRONGS:
            lines = found.get(what, ())
            setattr(self, what, getattr(self, what) + len(lines))
            self.notes += [f"{what}, seed {seed}: {line}" for line in lines[:5]]
        if any(found.values()):
            self.seeds.append(seed)

    def keep(self, out: Path) -> dict[str, Any]:
        """Write the finished telling at `out`, forget what was half done, and return it."""
        self.versions = versions() | self.versions
        self._close_slice()
        _write(out, self)
        part_of(out).unlink(missing_ok=True)
        told: dict[str, Any] = msgspec.to_builtins(self)
        return told

    def set_aside(self, out: Path) -> None:
        """Write how far this part has come, to go on from there.

        Raises:
            Enough: The time given is over.
        """
        self._close_slice()
        _write(part_of(out), self)
        if _Time.until is not None and time.monotonic() > _Time.until:
            raise Enough


def part_of(out: Path) -> Path:
    """Where a telling stands while its part is under way."""
    return out.with_name(out.name + ".part")


def begun(name: str, size: Size, seed: int, out: Path) -> Told:
    """Return what stands half done for this very run, or a fresh telling.

    `cases` says how many are done; `seconds` what they took.
    """
    told = half_done(out)
    if told is None or (told.name, told.size, told.seeds[:1]) != (name, size, [seed]):
        told = Told(name=name, size=size, seeds=[seed])
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M")
    told.slices.append(Slice(commit(), now))
    return told


def half_done(out: Path) -> Told | None:
    """Return what stands half done, of whatever run; None if nothing does."""
    try:
        return msgspec.json.decode(part_of(out).read_bytes(), type=Told)
    except (OSError, msgspec.MsgspecError):
        return None


def bar(items: Iterable[T], what: str, total: int, done: int = 0) -> Iterator[T]:
    """Yield `items` with a progress bar on the terminal; silent where there is none."""
    shown = Progress(
        TextColumn("{task.description:>12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with shown:
        task = shown.add_task(what, total=total, completed=done)
        for item in items:
            yield item
            shown.advance(task)


def commit() -> str:
    """Name the commit that is tried, and whether the tree is another."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or version("karb")


def versions() -> dict[str, str]:
    """Name what was tried and on what."""
    with closing(sqlite3.connect(":memory:")) as db:
        (source,) = db.execute("SELECT sqlite_source_id()").fetchone()
    return {
        "karb": commit(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "sqlite source": source,
        "kernel": platform.release(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    } | {name: version(name) for name in PACKAGES}


def command(name: str, main: Callable[[Size, int, Path], dict[str, Any]]) -> None:
    """Be the command line of one part: `python -m tests.crash.proof --size ci --seed 7`."""
    asked = argparse.ArgumentParser(description=f"The {name} part of the proof.")
    asked.add_argument("--size", choices=SIZES, default="short")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--json", type=Path, default=Path("proof") / f"{name}.json")
    words = asked.parse_args()
    words.json.parent.mkdir(parents=True, exist_ok=True)
    told = main(words.size, words.seed, words.json)
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(told)) + b"\n")
    sys.exit(any(told[what] for what in WRONGS))


def _write(path: Path, told: Told) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(told)) + b"\n")
    new.replace(path)
