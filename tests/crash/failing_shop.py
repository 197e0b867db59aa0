"""What a shop does on a disk that fails."""

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import edge.store.writer as writer_module
from edge.store import backup, prune
from edge.store.backup import BadCopy, MaybePutBack
from edge.store.connection import (
    OutcomeUnknown,
    StoreError,
    connect,
    connect_read_only,
    migrate,
)
from sync.chain import ALL
from sync.checkpoint import KEEP_MS
from sync.clock import Reading, Trust
from tests.crash import older, shop
from tests.crash.cuts import Told
from tests.crash.faults import Attempt, Look, Scene, left_in
from tests.crash.image import lay
from tests.crash.trial import room
from tests.edge.store.rig import NOW, key
from tests.edge.store.test_base import OFFICE, checkpoint_of

SALES = 12
UNITS_A_CHECKPOINT = 4
STARTS = 3
"""How often a program that cannot start is started again, before the disk is mended."""

COPY = "copy-1"


@contextmanager
def around() -> Any:
    with ExitStack() as stack:
        stack.enter_context(shop.one_place())
        stack.enter_context(shop.in_order())
        stack.enter_context(shop.changed((writer_module, "CHECKPOINT_IDLE", UNITS_A_CHECKPOINT)))
        yield


def come_back(image: Path, refused: Iterable[bytes]) -> Iterable[str]:
    with closing(connect_read_only(image / shop.DATABASE)) as db:
        there = {event for (event,) in db.execute("SELECT event FROM sales")}
    return [f"doubled: sale {e.hex()} was refused, and is there" for e in refused if e in there]


def judge(image: Path, look: Look) -> Iterable[str]:
    yield from shop.start(image, list(look.told), 1, whole=True)
    yield from come_back(image, look.refused)


def crashed(folder: Path, live: Callable[[shop.Day], Awaitable[None]]) -> Told:
    """Live with a shop in a folder, and leave it as a crash does; return what it acknowledged."""

    async def lived() -> Told:
        day = shop.Day(None, folder, Random(11), "FULL")
        await day.open()
        try:
            await live(day)
            day.folder = folder
            content = left_in(folder)
        finally:
            await day.close()
        lay(folder, content)
        return day.ran

    return asyncio.run(lived())


async def _busy(day: shop.Day) -> None:
    """A day that leaves a base, and a shelf that lags behind the journal."""
    for _ in range(4):
        await day.sales()
    await day.exchange()
    await day.customer()
    await day.basket()
    await day.prune()
    assert (await day.store.base_size())[0]
    for _ in range(3):
        await day.sales()
        await day.stage()


async def sell(day: shop.Day, tried: Attempt) -> None:
    """Sell once; note how it went."""
    work = day.selling()
    try:
        await day.store.write(work)
    except OutcomeUnknown:
        tried.count("unknown")
    except StoreError:  # plainly; anything else is a finding
        tried.refuse(*(words[1] for words in day.ran[-1:]))
    else:
        tried.acknowledge(*day.ran[-1:])
    day.ran.clear()


async def opened(tried: Attempt) -> shop.Day:
    """Open, on a disk that fails already; give up soon, mend it, and open."""
    day = shop.Day(None, tried.folder, tried.rng, "FULL")
    for number in range(STARTS + 1):
        if number == STARTS:
            tried.heal()
        try:
            await day.open()
        except StoreError:
            tried.count("did not start")
            if left := [t for t in threading.enumerate() if t.name == "store-writer"]:
                tried.wrong.append(f"stuck: {len(left)} writers go on after a start that failed")
        else:
            return day
    raise AssertionError


async def leave(day: shop.Day, tried: Attempt, state: str = "") -> None:
    """Let what is left be judged, then end; on the disk that is judged nothing follows."""
    tried.heal()
    tried.look(state)
    await day.close()


async def _selling(tried: Attempt) -> None:
    day = shop.Day(None, tried.folder, tried.rng, "FULL")
    await day.open()
    tried.arm()
    for number in range(SALES + 2):
        if number >= SALES:
            tried.heal()
        await sell(day, tried)
    await leave(day, tried)


async def _starting(tried: Attempt) -> None:
    tried.arm()
    day = await opened(tried)
    await sell(day, tried)
    tried.heal()
    await sell(day, tried)
    await leave(day, tried)


async def _copying(tried: Attempt) -> None:
    day = shop.Day(None, tried.folder, tried.rng, "FULL")
    await day.open()
    tried.arm()
    try:
        await day.store.backup(tried.folder / COPY)
    except BadCopy:
        tried.count("refused")
        if not tried.fault.for_ever and (left := sorted(tried.folder.glob(f"{COPY}*"))):
            tried.wrong.append(f"corrupt: no backup was made, and there is {left}")
    else:
        tried.acknowledge(("copy", COPY))
    tried.look("copied")
    tried.heal()
    await sell(day, tried)
    if ("copy", COPY) not in tried.told:
        await day.store.backup(tried.folder / COPY)
        tried.acknowledge(("copy", COPY))
    await leave(day, tried)


def _before_copying(folder: Path) -> Told:
    return crashed(folder, _busy)


def _before_restoring(folder: Path) -> Told:
    async def live(day: shop.Day) -> None:
        for _ in range(3):
            await day.sales()
        await day.customer()
        await day.store.backup(folder / "kept")
        day.ran.append(("kept",))
        for _ in range(3):
            await day.sales()

    return crashed(folder, live)


async def _restoring(tried: Attempt) -> None:
    tried.arm()
    state = _put_back(tried)
    tried.look(state)
    tried.heal()
    if state != "put back":
        state = _put_back(tried)
        if state != "put back":
            tried.wrong.append(f"stuck: on a sound disk it is {state}")
        tried.look(state)
    day = await opened(tried)
    known = len(tried.told)
    await sell(day, tried)
    tried.told = tried.told[: tried.told.index(("kept",))] + tried.told[known:]
    await leave(day, tried, "sold on it")


def _put_back(tried: Attempt) -> str:
    try:
        backup.put_back(tried.folder / "kept", tried.folder / shop.DATABASE, key(0).node)
    except MaybePutBack:
        tried.count("unknown")
        return "put back or not"
    except BadCopy:
        tried.count("refused")
        return "not put back"
    tried.count("acknowledged")
    return "put back"


def judge_restored(image: Path, look: Look) -> Iterable[str]:
    """One of the two, whole, and the one that was told."""
    told = list(look.told)
    at = told.index(("kept",)) if ("kept",) in told else len(told)
    copied, later = told[:at], told[at + 1 :]
    with closing(connect_read_only(image / shop.DATABASE)) as db:
        there = {event for (event,) in db.execute("SELECT event FROM sales")}
    if look.state == "sold on it":
        yield from shop.start(image, told, 1, whole=True)
        return
    is_former = any(words[1] in there for words in later if words[0] == "sale")
    if look.state == "not put back" and not is_former:
        yield "lost: the former database, though nothing was put back"
    if look.state == "put back" and is_former:
        yield "corrupt: the former database is there, though another was put back"
    yield from shop.start(image, copied + later if is_former else copied, 1, whole=True)


async def _pruning(tried: Attempt) -> None:
    day = shop.Day(None, tried.folder, tried.rng, "FULL")
    await day.open()
    stream = day.store.stream
    head = next(head for head in day.store.heads() if head.stream == stream)
    day.store.note_peer({stream: head.seq}, {stream: head.seq})
    tried.arm()
    later = Reading(NOW + 2 * KEEP_MS, Trust.CENTRAL)
    with shop.changed((prune, "WORTH_IT", 1), (prune, "SLICE", 5), (prune, "SLICE_BYTES", 1)):
        for number in range(2):
            try:
                pruned = await day.store.prune(later)
                tried.count("not pruned" if pruned.why_not else "pruned")
            except (StoreError, OSError):  # as those who ask for it expect
                tried.count("refused")
            tried.heal()
            if number == 0:
                tried.look("pruned")
                await sell(day, tried)
    await leave(day, tried)


async def _beginning(tried: Attempt) -> None:
    """Begin from a checkpoint of head office's."""
    day = shop.Day(None, tried.folder, tried.rng, "FULL")
    await day.open()
    tried.arm()
    begun = False
    for number in range(2):
        try:
            await day.store.begin_from(tried.folder / "checkpoint", {})
            begun = True
            break
        except (StoreError, OSError) as error:  # as the link expects
            tried.count("unknown" if isinstance(error, OutcomeUnknown) else "refused")
        if number == 0:
            tried.look("begun or not")
            tried.heal()
            if day.store.full or day.store._writer._broken is not None:  # it says: start again
                await day.close()
                await day.open()
                if begun := not day.store.fresh:
                    break
    tried.heal()
    if not begun:
        tried.wrong.append("stuck: it does not begin on a sound disk")
    if len(day.store.heads()) < 2:
        tried.wrong.append("lost: the checkpoint that it began from")
    await sell(day, tried)
    await leave(day, tried)


def _before_beginning(folder: Path) -> Told:
    async def live(day: shop.Day) -> None:
        for node, scope, public in (
            (OFFICE.node, ALL, OFFICE.public),
            (key(5).node, shop.STORE, key(5).public),
        ):
            await day.store.write(
                lambda unit, node=node, scope=scope, public=public: unit.root(node, scope, public)
            )
        await day.sales()

    (folder / "checkpoint").write_bytes(checkpoint_of())
    return crashed(folder, live)


def _before_migrating(folder: Path) -> Told:
    with room() as full:
        crashed(full, _busy)
        older.shop(folder / shop.DATABASE, full / shop.DATABASE)
    return []


async def _migrating(tried: Attempt) -> None:
    path = tried.folder / shop.DATABASE
    tried.arm()
    for number in range(STARTS + 1):
        if number == STARTS:
            tried.heal()
        try:
            with closing(connect(path)) as db:
                migrate(db)
        except sqlite3.Error:  # whoever opens a store tells it plainly: see `_starting`
            tried.count("refused")
            tried.look("cut off")
        else:
            tried.count("acknowledged")
            break
    tried.heal()
    tried.look("migrated")


def judge_migrated(image: Path, look: Look) -> Iterable[str]:
    """Every fact is there, and what is left is of the new schema after the next start."""
    facts, wanted = migrated()
    with closing(connect(image / shop.DATABASE)) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if look.state == "migrated" and version != wanted[1][0]:
            yield f"lost: the migration, at {version}"
        migrate(db)
        if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            yield "corrupt: not sound"
        if older.schema(db) != wanted:
            yield "corrupt: another schema"
        if db.execute("SELECT * FROM facts ORDER BY place").fetchall() != facts:
            yield "lost: facts"


@cache
def migrated() -> tuple[list[Any], Any]:
    """Return the facts and the schema that an undisturbed migration leaves."""
    with room() as folder, around():
        _before_migrating(folder)
        with closing(connect(folder / shop.DATABASE)) as db:
            migrate(db)
            facts = db.execute("SELECT * FROM facts ORDER BY place").fetchall()
            assert facts
            return facts, older.schema(db)


def _scene(
    act: Callable[[Attempt], Awaitable[None]],
    before: Callable[[Path], Told] = lambda _folder: [],
    judged: Callable[[Path, Look], Iterable[str]] = judge,
) -> Scene:
    return Scene(around, before, lambda tried: asyncio.run(act(tried)), judged, come_back)


SCENES = {
    "a shop sells": _scene(_selling),
    "a shop starts after a crash": _scene(_starting, _before_copying),
    "a shop is backed up": _scene(_copying, _before_copying),
    "a shop is put back": _scene(_restoring, _before_restoring, judge_restored),
    "a shop drops old facts": _scene(_pruning, _before_copying),
    "a shop begins from a checkpoint": _scene(_beginning, _before_beginning),
    "a shop's file is migrated": _scene(_migrating, _before_migrating, judge_migrated),
}
