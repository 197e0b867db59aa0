"""A filled file of the oldest schema is brought up to date, and the plug is pulled meanwhile."""

from contextlib import closing
from random import Random

import pytest

from central.ledger.database import Database
from edge.store.connection import connect, migrate
from tests.crash import failing_office, failing_shop, faults, office, shop
from tests.crash.disk import recorded
from tests.crash.faults import Look
from tests.crash.image import Plug, lay
from tests.crash.trial import room


def migrate_shop(folder):
    with closing(connect(folder / shop.DATABASE)) as db:
        migrate(db)


def migrate_office(folder):
    database = Database(folder / office.DATABASE)
    database.open().close()
    database.close()


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("scene", "work", "judge"),
    [
        ("a shop's file is migrated", migrate_shop, failing_shop.judge_migrated),
        ("head office's tables are migrated", migrate_office, failing_office.judge_migrated),
    ],
    ids=["edge", "central"],
)
def test_a_migration_that_is_cut_off_goes_on(scene, work, judge):
    content, _ = faults.before(scene)
    with room() as folder:
        day, image = folder / "day", folder / "image"
        day.mkdir()
        image.mkdir()
        lay(day, content)
        with recorded(day) as disk:
            work(day)
        plug, rng, cuts, seen = Plug(disk.before), Random(3), 0, set()
        for op in disk.log:
            plug.feed(op)
            for mode in ("all", "none", "half", "torn"):
                left = plug.pull(mode, rng)
                cuts += 1
                known = tuple(sorted(left.items()))
                if known not in seen:
                    seen.add(known)
                    lay(image, left)
                    assert not list(judge(image, Look((), (), "cut off"))), op
        assert cuts > 100
