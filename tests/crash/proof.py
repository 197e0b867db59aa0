"""Power cuts as a part of the proof: `python -m tests.crash.proof --size release --seed 1`.

`--cuts N` asks for another number of cuts than the size's. A failure names its trial and image:
`python -m tests.crash.proof --play edge 7 --only 427,2` judges that one again.
"""

import argparse
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
import structlog

from tests.crash import faults, trial
from tests.crash.cuts import Seen
from tests.proof import Size, Told, bar, begun

NAME = "crash"
CUTS: dict[Size, int] = {"short": 20_000, "ci": 150_000, "release": 1_000_000}
KINDS = ("edge", "central", "edge")
"""Of three trials, two are a shop's; of two, one."""

A_TRIAL = 10_000
"""Cuts of one trial, at least nearly always: a trial that will not be needed is not begun."""

EVERY: dict[Size, int] = {"short": 61, "ci": 7, "release": 1}
"""Every how many calls of a scene the disk fails."""

NOTE = (
    "The SQLite cut here is the product's own: the library behind the standard sqlite3, "
    "under a VFS that only watches. Sectors of 512 bytes come whole or not at all; a disk that "
    "lies about a flush is out of scope."
)


def main(size: Size, seed: int, out: Path, cuts: int = 0) -> dict[str, Any]:
    """Cut until there are enough cuts; write and return what was seen."""
    wanted = cuts or CUTS[size]
    told = begun(NAME, size, seed, out)
    told.notes = told.notes or [NOTE]
    first = told.faults.get("trials", 0)
    left = max(0, wanted - told.cases)
    for (kind, number), seen in bar(
        _trials(seed, first, left), "trials", first + -(-left // A_TRIAL), first
    ):
        told.cases += seen.cuts
        told.add(seen.lost, seen.doubled, seen.corrupt, seen.stuck)
        told.seconds = round(told.seconds + _since(), 1)
        told.count("trials")
        told.count(f"{kind} cuts", seen.cuts)
        told.count(f"{kind} starts of the whole program", seen.starts)
        told.count(f"{kind} states reached", seen.states)
        for mode, times in seen.faults.items():
            told.count(f"left: {mode}", times)
        if seen.findings:
            told.seeds.append(number)
            told.notes += [f"--play {kind} {number} {finding}" for finding in seen.findings[:5]]
        told.set_aside(out)
    _faults(size, seed, told, out)
    options = [
        row[0] for row in sqlite3.connect(":memory:").execute("PRAGMA compile_options").fetchall()
    ]
    told.versions["sqlite options"] = ", ".join(options)
    return told.keep(out)


def _faults(size: Size, seed: int, told: Told, out: Path) -> None:
    """Have the disk fail at the calls of every scene, once and for ever."""
    if size == "short":
        return  # `test_faults` does
    todo = [(name, *mode) for name in faults.scenes() for mode in faults.MODES]
    done = told.faults.get("sweeps of a scene", 0)
    every = EVERY[size]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        answers = pool.map(_sweep, ((seed, every, *one) for one in todo[done:]))
        for (name, error, for_ever), seen in zip(
            bar(todo[done:], "failing disks", len(todo), done), answers, strict=True
        ):
            told.count("sweeps of a scene")
            told.count(f"disk fails, {faults.called(error, for_ever=for_ever)}: {name}", seen.cuts)
            for how, times in seen.faults.items():
                told.count(f"on a failing disk: {how}", times)
            told.add(seen.lost, seen.doubled, seen.corrupt, seen.stuck)
            told.notes += seen.findings[:5]
            told.seconds = round(told.seconds + _since(), 1)
            told.set_aside(out)


def _sweep(asked: tuple[int, int, str, int, bool]) -> Seen:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    seed, every, name, error, for_ever = asked
    return faults.sweep(name, seed, error, for_ever=for_ever, every=every, first=1 + seed % every)


_clock = [time.monotonic()]


def _since() -> float:
    """Return the seconds since the last call."""
    now = time.monotonic()
    before, _clock[0] = _clock[0], now
    return now - before


def _trials(seed: int, first: int, left: int) -> Iterator[tuple[tuple[str, int], Seen]]:
    """Run trials side by side, one process a core; yield them in order until enough is cut."""
    _since()
    if not left:
        return
    numbers = count(first)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        waiting: list[tuple[tuple[str, int], Future[Seen]]] = []
        while left > 0:
            while len(waiting) < min(os.cpu_count() or 1, -(-left // A_TRIAL)):
                number = next(numbers)
                what = KINDS[number % len(KINDS)], seed * 1_000_003 + number
                waiting.append((what, pool.submit(trial.cuts, *what)))
            what, answer = waiting.pop(0)
            seen = answer.result()
            left -= seen.cuts
            yield what, seen
        for what, answer in waiting:  # under way: their cuts count as well as any
            yield what, answer.result()


def _play(kind: str, seed: int, only: str) -> int:
    at = tuple(int(number) for number in only.split(",")) if only else None
    seen = trial.cuts(kind, seed, only=at)  # type: ignore[arg-type]
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(seen)) + b"\n")
    return int(bool(seen.findings))


def _command() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--size", choices=tuple(CUTS), default="short")
    asked.add_argument("--cuts", type=int, default=0)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--json", type=Path, default=Path("proof") / f"{NAME}.json")
    asked.add_argument("--play", nargs=2, metavar=("KIND", "SEED"))
    asked.add_argument("--only", default="", metavar="POINT,IMAGE")
    words = asked.parse_args()
    if words.play:
        return _play(words.play[0], int(words.play[1]), words.only)
    words.json.parent.mkdir(parents=True, exist_ok=True)
    told = main(words.size, words.seed, words.json, words.cuts)
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(told)) + b"\n")
    return int(any(told[what] for what in ("lost", "doubled", "corrupt", "stuck")))


if __name__ == "__main__":
    sys.exit(_command())
