"""One trial: a day is recorded on a fresh disk, and cut at every point.

In every fourth of a shop's, the day begins on what a power cut left of the day before: then
the start itself is cut, too.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import structlog

from tests.crash import office, shop
from tests.crash.cuts import Judge, Seen, Told, cut
from tests.crash.disk import SPARE, Disk
from tests.crash.image import MODES, Plug, lay

KINDS = {
    "edge": Judge(shop.DATABASE, shop.start),
    "central": Judge(office.DATABASE, office.start),
}
STEPS = {"edge": 24, "central": 12}
AGAIN = 4


def cuts(
    kind: str,
    seed: int,
    *,
    images: int = 8,
    steps: int = 0,
    synchronous: str = "FULL",
    only: tuple[int, int] | None = None,
) -> Seen:
    """Record a day of a shop or of head office, and cut it.

    Args:
        kind: One of `KINDS`.
        seed: Makes the day, and what is left at each cut.
        images: At each point, besides "all" and "nothing" of what was not flushed.
        steps: Things done in the day; 0: as many as usual.
        synchronous: SQLite's; anything but FULL must lose what was acknowledged.
        only: Judge but this image of the trial.
    """
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with room() as folder:
        day, image = folder / "day", folder / "image"
        day.mkdir()
        image.mkdir()
        told: Told = []
        if kind == "edge" and seed % AGAIN == 3:
            told = _yesterday(day, seed)
        disk = _record(kind, day, seed, steps or STEPS[kind], synchronous)
        return cut(disk, KINDS[kind], image, Random(seed), images=images, told=told, only=only)


@contextmanager
def room() -> Iterator[Path]:
    """Give a folder in memory: the disk is simulated, the computer's own need not work for it."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="karb-crash-") as made:
        yield Path(made)


def _record(kind: str, folder: Path, seed: int, steps: int, synchronous: str) -> Disk:
    if kind == "edge":
        return shop.record(folder, seed, steps=steps, synchronous=synchronous)
    return office.record(folder, seed, steps=steps, level=synchronous)


def _yesterday(folder: Path, seed: int) -> Told:
    """Live a day, cut the power somewhere, and leave in the folder what is left of it."""
    rng = Random(-seed)
    with room() as first:
        disk = shop.record(first, seed + (1 << 40), steps=10)
    plug = Plug(disk.before)
    at = rng.randrange(len(disk.log))
    told: Told = []
    touched: Any = None
    for op in disk.log[: at + 1]:
        plug.feed(op)
        for words in op.told or ():
            if words[0] == "closed":
                touched = words
            else:
                told.append(words)
    lay(folder, plug.pull(rng.choice(MODES), rng))
    if touched is not None:  # an orderly end is known by the file's times, which no copy has
        (folder / f"{shop.DATABASE}.life").unlink(missing_ok=True)
    reserve = folder / SPARE
    if reserve.exists():
        os.truncate(reserve, 4 << 20)
    return told
