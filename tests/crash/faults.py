"""The disk fails at the n-th call, for every n: once, or from then on until it is mended.

What a scene does meanwhile (`SCENES`) is told plainly how it went. What was acknowledged must be
there when the disk is well again and the program has started anew, and also when the power is
cut at that moment, with nothing kept that was not truly flushed: a sync that failed has lost
what it was to write, whatever the next one says. What was refused must not come back, though the
sync that failed has written all the same. What is unknown may be either; nothing is half there.
"""

import errno
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.crash.cuts import Seen, Told
from tests.crash.disk import SPARE, Disk, Fault, recorded
from tests.crash.image import Plug, lay
from tests.crash.trial import room


class Refused(NamedTuple):
    """Somebody was told that nothing of this was stored."""

    event: bytes


class Look(NamedTuple):
    """A moment at which the power may go, or the program be killed: what must hold then."""

    told: tuple[tuple[Any, ...], ...]
    """Acknowledged."""

    refused: tuple[bytes, ...]
    state: str
    """What else the scene knows of it."""


@dataclass
class Attempt:
    """A scene on a disk that fails."""

    disk: Disk
    folder: Path
    fault: Fault
    rng: Random
    told: Told
    refused: list[bytes] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def arm(self) -> None:
        """Let the disk fail from here on."""
        self.disk.fault = self.fault

    def heal(self) -> None:
        """Mend the disk."""
        self.fault.healed = True

    def count(self, what: str) -> None:
        """Count how something went."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def acknowledge(self, *words: tuple[Any, ...]) -> None:
        """Note what somebody was told is done."""
        self.told += words
        self.counts["acknowledged"] = self.counts.get("acknowledged", 0) + len(words)

    def refuse(self, *events: bytes, for_good: bool = True) -> None:
        """Note what somebody was told is not stored; `for_good`: nobody tries it again."""
        for event in events:
            self.count("refused")
            self.disk.say(Refused(event))
            if for_good:
                self.refused.append(event)

    def look(self, state: str = "") -> None:
        """Have what is left be judged as of now."""
        self.disk.say(Look(tuple(self.told), tuple(self.refused), state))


class Scene(NamedTuple):
    """Something that is done on a disk that fails."""

    around: Callable[[], AbstractContextManager[Any]]
    before: Callable[[Path], Told]
    """Lives what comes before, on a sound disk; returns what was acknowledged."""

    act: Callable[[Attempt], None]
    """Raises nothing: what goes wrong plainly is counted."""

    judge: Callable[[Path, Look], Iterable[str]]
    """Starts on what is left, and says what is wrong."""

    come_back: Callable[[Path, Iterable[bytes]], Iterable[str]]
    """Says which of what was refused is there."""


def scenes() -> dict[str, Scene]:
    """Return every scene by name."""
    from tests.crash import failing_office, failing_shop  # noqa: PLC0415 - they import from here

    return failing_shop.SCENES | failing_office.SCENES


MODES = tuple((error, ever) for error in (errno.EIO, errno.ENOSPC) for ever in (False, True))
"""Errors, and whether for ever."""


def called(error: int, *, for_ever: bool) -> str:
    """Name a mode."""
    return f"{errno.errorcode[error]} {'from then on' if for_ever else 'once'}"


def sweep(
    name: str, seed: int, error: int, *, for_ever: bool, every: int = 1, first: int = 1
) -> Seen:
    """Fail at each call of a scene, from `first` on, by steps of `every`.

    Returns:
        `cuts` counts the attempts; `faults` how they went.
    """
    seen = Seen()
    at = first
    while True:
        fault = Fault(at, error, for_ever)
        found = attempt(name, seed, fault, seen)
        where = f"{name}: call {at} ({''.join(fault.hits)}), {called(error, for_ever=for_ever)}"
        for what in found:
            seen.find(what, f"{where}, seed {seed}")
        if not fault.struck:
            return seen
        seen.cuts += 1
        at += every


def attempt(name: str, seed: int, fault: Fault, seen: Seen) -> list[str]:
    """Play a scene once; return what is wrong."""
    scene = scenes()[name]
    content, told = before(name)
    with room() as folder:
        day = folder / "day"
        day.mkdir()
        lay(day, content)
        with scene.around(), recorded(day) as disk:
            tried = Attempt(disk, day, fault, Random(seed), list(told))
            try:
                scene.act(tried)
            except Exception as error:  # noqa: BLE001 - it was to be told plainly
                tried.wrong.append(f"stuck: {type(error).__name__}: {error}")
        for what, times in tried.counts.items():
            seen.faults[what] = seen.faults.get(what, 0) + times
        return tried.wrong + list(_judged(scene, disk, folder, seed))


def _judged(scene: Scene, disk: Disk, folder: Path, seed: int) -> Iterable[str]:
    plug, keeping = Plug(disk.before), Plug(disk.before, keeps=True)
    images = 0
    for op in disk.log:
        plug.feed(op)
        keeping.feed(op)
        if isinstance(op.told, Refused):
            images += 1
            image = _laid(folder / f"image-{images}", keeping.pull("all", Random(seed)))
            for what in scene.come_back(image, [op.told.event]):
                yield f"{what} (cut at once)"
        if not isinstance(op.told, Look):
            continue
        for mode in ("all", "none"):
            images += 1
            image = _laid(folder / f"image-{images}", plug.pull(mode, Random(seed)))
            try:
                found = list(scene.judge(image, op.told))
            except Exception as error:  # noqa: BLE001 - a program that does not start is the finding
                found = [f"stuck: it does not start: {type(error).__name__}: {error}"]
            for what in found:
                yield f"{what} ({op.told.state or 'afterwards'}, {mode} of what was not flushed)"


def _laid(image: Path, content: dict[str, bytes]) -> Path:
    image.mkdir()
    lay(image, content)
    return image


@cache
def before(name: str) -> tuple[dict[str, bytes], Told]:
    """Return what a scene begins on, and what had been acknowledged by then; lived once."""
    scene = scenes()[name]
    with room() as folder, scene.around():
        told = scene.before(folder)
        return left_in(folder), told


def left_in(folder: Path) -> dict[str, bytes]:
    """Return what a crash leaves of a folder: contents by name."""
    return {
        str(path.relative_to(folder)): b"" if path.name == SPARE else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm")
    }
