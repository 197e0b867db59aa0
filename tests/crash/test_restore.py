"""A backup is put back over what a crash left, and the plug is pulled meanwhile."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from central.config import Folder
from central.founding import create
from central.ledger import upkeep
from edge.store import backup
from tests.crash import office, shop
from tests.crash.cuts import cut
from tests.crash.disk import recorded
from tests.crash.image import Plug, lay
from tests.crash.trial import KINDS
from tests.edge.store.rig import key


def shop_cut_off(folder: Path) -> list[tuple[object, ...]]:
    """Leave a shop as a crash does, file and WAL, with a backup of all of it beside."""

    async def sell() -> tuple[list[tuple[object, ...]], dict[str, bytes]]:
        day = shop.Day(None, folder, Random(7), "FULL")
        await day.open()
        for _ in range(12):
            await day.sales()
        await day.store.backup(folder / "copy")
        left = {path.name: path.read_bytes() for path in folder.iterdir()}
        await day.close()
        return day.ran, left

    with shop.one_place(), shop.in_order():
        told, left = asyncio.run(sell())
    left = {name: raw for name, raw in left.items() if not name.endswith(("-shm", "reserve"))}
    assert left[f"{shop.DATABASE}-wal"]
    lay(folder, left)
    return told


def office_cut_off(folder: Path) -> list[tuple[object, ...]]:
    """Leave head office as a crash does, with a backup of all of it beside."""
    with office.one_place(), office.in_order():
        create(Folder(folder), [])
        day = office.Day(None, Folder(folder), Random(7))
        day.open()
        day.enrol()
        for _ in range(6):
            day.take()
        day.copy()
        (folder / "copy-1").rename(folder / "copy")
        left = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        day.close()
    left = {name: raw for name, raw in left.items() if not name.endswith("-shm")}
    assert left[f"{office.DATABASE}-wal"]
    lay(folder, left)
    return day.ran


def put_back(kind: str, folder: Path) -> None:
    if kind == "edge":
        backup.put_back(folder / "copy", folder / shop.DATABASE, key(0).node)
    else:
        upkeep.restore(folder / "copy", folder / office.DATABASE)


LEFT = {"edge": shop_cut_off, "central": office_cut_off}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", LEFT)
def test_a_backup_put_back_over_a_wal_is_there_whole_or_not_at_all(tmp_path, kind):
    """A WAL that is left beside another file would be taken for its own, and tear it."""
    day, image = tmp_path / "day", tmp_path / "image"
    day.mkdir()
    image.mkdir()
    told = LEFT[kind](day)
    with recorded(day) as disk:
        put_back(kind, day)
    seen = cut(disk, KINDS[kind], image, Random(1), images=4, told=told)
    assert seen.findings == []
    assert seen.cuts > 50


@pytest.mark.parametrize("kind", LEFT)
def test_what_an_attempt_left_does_not_tear_the_next(tmp_path, kind):
    """A rollback journal of `….new` is not of what is copied there the next time."""
    day, again = tmp_path / "day", tmp_path / "again"
    day.mkdir()
    again.mkdir()
    LEFT[kind](day)
    with recorded(day) as disk:
        put_back(kind, day)
    plug, left = Plug(disk.before), {}
    for op in disk.log:
        plug.feed(op)
        content = plug.pull("all", Random(0))
        if any(name.endswith(".new-journal") for name in content):
            left = content  # at last as it stands when all is written and the journal still there
    lay(again, left)
    with closing(sqlite3.connect(again / "copy")) as db:  # a later backup: the schema is another
        db.execute("CREATE TABLE later (x)")
        db.execute("INSERT INTO later VALUES (randomblob(50000))")
        db.commit()
    put_back(kind, again)
    with closing(sqlite3.connect(again / KINDS[kind].database)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT length(x) FROM later").fetchone() == (50000,)
