"""A failing or full disk: a plain answer, nothing acknowledged lost, going on when it is well."""

import errno
from contextlib import closing

import pytest

from edge.store.backup import put_back
from tests.crash import faults, shop
from tests.crash.disk import Fault, recorded
from tests.crash.image import lay
from tests.edge.store.rig import key, opened, selling

WITH_MODE = [
    (name, *faults.MODES[(number + shift) % len(faults.MODES)], 7 * number % 40 + 1)
    for number, name in enumerate(faults.scenes())
    for shift in (0, 1)
]
"""Of each scene two modes; every one of them, at every call: `tests.crash.proof --size release`."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "error", "for_ever", "first"), WITH_MODE)
def test_a_failing_disk_loses_nothing(name, error, for_ever, first):
    seen = faults.sweep(name, 1, error, for_ever=for_ever, every=127, first=first)
    assert seen.findings == []
    assert seen.faults


def test_each_scene_is_disturbed():
    """A fault at the first call of each is met."""
    for name in faults.scenes():
        fault = Fault(1, errno.EIO)
        assert faults.attempt(name, 1, fault, faults.Seen()) == []
        assert fault.struck, name


@pytest.mark.timeout(300)
def test_a_shop_sells_on_a_failing_disk():
    """Every fifth call here; every one with `every=1`."""
    for error, for_ever in faults.MODES:
        seen = faults.sweep("a shop sells", 1, error, for_ever=for_ever, every=5, first=2)
        assert seen.findings == []
        assert seen.cuts > 10
        assert seen.faults.get("refused") or error == errno.ENOSPC or for_ever
        assert seen.faults.get("unknown") or not for_ever or error == errno.ENOSPC
        assert seen.faults["acknowledged"]


async def test_what_is_no_fact_is_not_taken_for_stored(tmp_path):
    """A commit that failed and moved no head was thought to have survived, and told as done."""
    for at in range(1, 4):
        folder = tmp_path / str(at)
        folder.mkdir()
        with recorded(folder) as disk:
            async with opened(folder) as store:
                disk.fault = Fault(at, errno.ENOSPC)
                await store.write(lambda unit: unit.meta("x", b"1"))  # on the reserve
                assert disk.fault.struck
                disk.fault.healed = True
                assert await store._rows("SELECT value FROM meta WHERE key = 'x'") == [(b"1",)]


async def test_a_witness_of_a_life_that_was_put_away_takes_no_wal_away(tmp_path):
    """A copy was put back, a sale made, the power cut: the WAL was taken for another file's."""
    image = tmp_path / "image"
    image.mkdir()
    with shop.one_place():
        async with opened(tmp_path) as store:
            await store.write(selling(b"a" * 16))
            await store.backup(tmp_path / "copy")
            for number in range(30):
                await store.write(selling(number.to_bytes(16, "big")))
        witness = (tmp_path / "karb.sqlite.life").read_bytes()
        put_back(tmp_path / "copy", tmp_path / "karb.sqlite", key(0).node)
        async with opened(tmp_path, incarnation=9) as store:
            await store.write(selling(b"z" * 16))
            files = [tmp_path / "karb.sqlite", tmp_path / "karb.sqlite-wal"]
            left = {path.name: path.read_bytes() for path in files}
        lay(image, left | {"karb.sqlite.life": witness})
        async with opened(image, incarnation=10) as store:
            assert await store.sale(b"z" * 16) is not None
            assert store.stream.incarnation == 9


async def test_that_a_life_began_is_on_disk_before_a_sale_is_told(tmp_path):
    with recorded(tmp_path) as disk:
        async with opened(tmp_path) as store:
            await store.begin_life(9, "wished")
            await store.write(selling(b"a" * 16))
            disk.say("sold")
    life = disk.file("karb.sqlite.life")
    synced = [op.kind for op in disk.log if op.file == life and op.kind == "sync"]
    assert len(synced) > 1


def test_half_of_a_python_write_is_there(tmp_path):
    with recorded(tmp_path) as disk:
        disk.fault = Fault(2, errno.ENOSPC)
        with pytest.raises(OSError, match="No space"), closing((tmp_path / "x").open("wb")) as file:
            file.write(b"a" * 100_000)
        disk.fault.healed = True
        assert (tmp_path / "x").stat().st_size == 50_000


def test_a_start_whose_reader_cannot_be_set_up_leaves_no_writer():
    fault = Fault(100, errno.EIO, for_ever=True)
    assert faults.attempt("a shop starts after a crash", 1, fault, faults.Seen()) == []
