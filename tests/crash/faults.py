"""The disk fails at the n-th call, for every n: once, or from then on until it is mended.

What was acknowledged must be there when the disk is well again and the shop has started anew,
and also when the power is cut at that moment, with nothing kept that was not truly flushed: a
sync that failed has lost what it was to write, whatever the next one says. What was refused must
not come back, though the sync that failed has written all the same.
"""

import asyncio
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import edge.store.writer as writer_module
from edge.store.connection import OutcomeUnknown, StoreError, connect_read_only
from tests.crash import shop
from tests.crash.cuts import Seen
from tests.crash.disk import Disk, Fault, recorded
from tests.crash.image import Plug, lay
from tests.crash.trial import room

SALES = 12
UNITS_A_CHECKPOINT = 4


def sweep(seed: int, error: int, *, for_ever: bool, every: int = 1, first: int = 1) -> Seen:
    """Fail at each call of a short day of a shop, from `first` on, by steps of `every`.

    Returns:
        `cuts` counts the days; `faults` how they went.
    """
    seen = Seen()
    at = first
    while True:
        fault = Fault(at, error, for_ever)
        with room() as folder:
            for what in _day(folder, seed, fault, seen):
                seen.find(what, f"call {at}, error {error}, for ever {for_ever}, seed {seed}")
        if not fault.struck:
            return seen
        seen.cuts += 1
        at += every


def _day(folder: Path, seed: int, fault: Fault, seen: Seen) -> list[str]:
    day, image = folder / "day", folder / "image"
    day.mkdir()
    image.mkdir()
    told: list[tuple[Any, ...]] = []
    seen.faults.setdefault("unknown", 0)
    with (
        shop.one_place(),
        shop.in_order(),
        shop.changed((writer_module, "CHECKPOINT_IDLE", UNITS_A_CHECKPOINT)),
        recorded(day) as disk,
    ):
        refused = asyncio.run(_live(disk, day, seed, fault, told, seen))
    seen.faults["refused"] = seen.faults.get("refused", 0) + len(refused)
    seen.faults["acknowledged"] = seen.faults.get("acknowledged", 0) + len(told)
    plug, keeping = Plug(disk.before), Plug(disk.before, keeps=True)
    wrong = []
    for op in disk.log:
        plug.feed(op)
        keeping.feed(op)
        if op.kind == "said" and op.told in refused:
            lay(image, keeping.pull("all", Random(seed)))
            wrong += [f"{what} (cut at once)" for what in _come_back(image, [op.told])]
    for mode in ("all", "none"):
        lay(image, plug.pull(mode, Random(seed)))
        try:
            found = shop.start(image, told, 1, whole=True)
        except Exception as error:  # noqa: BLE001 - a program that does not start is the finding
            found = [f"stuck: it does not start: {error}"]
        found += _come_back(image, refused)
        wrong += [f"{what} ({mode} of what was not flushed)" for what in found]
    return wrong


def _come_back(image: Path, refused: list[bytes]) -> list[str]:
    """Say which sales are there though somebody was told that nothing of them was stored."""
    with closing(connect_read_only(image / shop.DATABASE)) as db:
        there = {event for (event,) in db.execute("SELECT event FROM sales")}
    return [f"doubled: sale {e.hex()} was refused, and is there" for e in refused if e in there]


async def _live(
    disk: Disk, folder: Path, seed: int, fault: Fault, told: list[tuple[Any, ...]], seen: Seen
) -> list[bytes]:
    """Sell on a disk that fails; note what was acknowledged, return what was refused."""
    day = shop.Day(None, folder, Random(seed), "FULL")
    refused: list[bytes] = []
    await day.open()
    disk.fault = fault
    for number in range(SALES + 2):
        fault.healed = number >= SALES
        try:
            await day.store.write(day.selling())
        except OutcomeUnknown:
            seen.faults["unknown"] += 1
        except StoreError:  # plainly; anything else is a finding
            for words in day.ran[-1:]:
                refused.append(words[1])
                disk.say(words[1])
        else:
            told += day.ran[-1:]
        day.ran.clear()
    await _leave(day)
    return refused


async def _leave(day: shop.Day) -> None:
    """Pull the plug on the process: no orderly end."""
    await day.store._reader.close()
    day.store._witness.drop()
    writer = day.store._writer
    writer._checkpoint = lambda _after: None  # type: ignore[method-assign]
    writer._queue.put(None)
    await asyncio.to_thread(writer._thread.join)
