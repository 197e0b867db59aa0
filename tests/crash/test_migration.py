"""A filled store of an older schema is brought up to date, and the plug is pulled meanwhile."""

import asyncio
from contextlib import closing
from importlib.resources import files
from random import Random

import pytest

from edge.store.connection import connect, migrate
from tests.crash import shop
from tests.crash.disk import recorded
from tests.crash.image import Plug, lay
from tests.crash.trial import room

OLDEST = 1
NAME = shop.DATABASE


def schema(db):
    rows = db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
    return rows, db.execute("PRAGMA user_version").fetchone()


def older(path, full):
    """Make a file of the oldest schema, with whatever of a day its tables can hold."""
    steps = sorted(p.name for p in files("edge.store.migrations").iterdir() if p.suffix == ".sql")
    script = (files("edge.store.migrations") / steps[OLDEST - 1]).read_text()
    with closing(connect(path)) as db:
        db.executescript(f"{script}; PRAGMA user_version = {OLDEST};")
        db.execute("ATTACH ? AS full", (str(full),))
        tables = [
            n for (n,) in db.execute("SELECT name FROM main.sqlite_master WHERE type='table'")
        ]
        for table in tables:
            columns = [row[1] for row in db.execute(f"PRAGMA main.table_info({table})")]
            theirs = {row[1] for row in db.execute(f"PRAGMA full.table_info({table})")}
            if theirs >= set(columns):
                names = ", ".join(columns)
                db.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM full.{table}")
        db.execute("DETACH full")
        return db.execute("SELECT * FROM facts ORDER BY place").fetchall()


@pytest.mark.timeout(120)
def test_a_migration_that_is_cut_off_goes_on():
    with room() as folder:
        _cut(folder)


def _cut(tmp_path):
    day, image, full = tmp_path / "day", tmp_path / "image", tmp_path / "full"
    for folder in (day, image, full):
        folder.mkdir()
    with shop.one_place(), shop.in_order():
        asyncio.run(shop.Day(None, full, Random(3), "FULL").live(12))
    facts = older(day / NAME, full / NAME)
    assert len(facts) > 10
    with recorded(day) as disk, closing(connect(day / NAME)) as db:
        migrate(db)
        wanted = schema(db)
    plug, rng, cuts = Plug(disk.before), Random(3), 0
    seen = set()
    for op in disk.log:
        plug.feed(op)
        for mode in ("all", "none", "half", "torn"):
            content = plug.pull(mode, rng)
            left = tuple(sorted(content.items()))
            cuts += 1
            if left in seen:
                continue
            seen.add(left)
            lay(image, content)
            with closing(connect(image / NAME)) as db:
                migrate(db)
                assert db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",), op
                assert schema(db) == wanted, op
                assert db.execute("SELECT * FROM facts ORDER BY place").fetchall() == facts, op
    assert cuts > 100
