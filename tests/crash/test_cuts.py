"""The plug is pulled at every point; nothing that was acknowledged is lost."""

import errno
import os
import shutil
import sqlite3
import time
from contextlib import closing
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.config import Folder
from central.founding import create
from central.ledger.writer import Writer
from central.nodes.authority import Authority
from edge import files
from edge.store.connection import connect
from tests.crash import office, proof, shop, trial
from tests.crash.disk import SPARE, Fault, recorded
from tests.crash.image import MODES, SECTOR, File, Plug, lay
from tests.edge.store.rig import key, opened, selling


@pytest.mark.timeout(900)
def test_power_cuts_lose_nothing(tmp_path):
    told = proof.main("short", 1, tmp_path / "crash.json")
    assert told["cases"] >= proof.CUTS["short"]
    assert (told["lost"], told["doubled"], told["corrupt"], told["stuck"]) == (0, 0, 0, 0), told


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", trial.KINDS)
@pytest.mark.parametrize("level", ["NORMAL", "OFF"])
def test_a_store_that_does_not_flush_is_caught(kind, level):
    seen = trial.cuts(kind, 4, images=1, steps=5, synchronous=level)
    assert seen.lost
    assert seen.corrupt or level == "NORMAL"


@pytest.mark.parametrize(
    "record",
    [lambda f: shop.record(f, 2, steps=14), lambda f: office.record(f, 2, steps=5)],
    ids=["edge", "central"],
)
def test_the_log_tells_all(tmp_path, record):
    """With everything flushed, the image is the folder to the last byte."""
    disk = record(tmp_path)
    plug = Plug(disk.before)
    for op in disk.log:
        plug.feed(op)
    there = {
        path.name: path.read_bytes()
        for path in tmp_path.iterdir()
        if path.is_file() and not path.name.endswith("-shm") and path.name != SPARE
    }
    made = plug.pull("all", Random(0))
    made.pop(SPARE, None)
    assert made == there


@pytest.mark.parametrize(
    "record",
    [lambda f: shop.record(f, 9, steps=8), lambda f: office.record(f, 9, steps=5)],
    ids=["edge", "central"],
)
def test_a_seed_makes_one_day(tmp_path, record):
    """To the byte, but for what tells when a file was last touched."""
    logs = []
    for name in "ab":
        (tmp_path / name).mkdir()
        disk = record(tmp_path / name)
        logs.append(
            [
                (op.kind, op.file, op.at, op.data if op.file not in touched else len(op.data))
                for touched in ({op.file for op in disk.log if op.name.endswith(".life")},)
                for op in disk.log
            ]
        )
    assert logs[0] == logs[1]


def test_nothing_is_acknowledged_before_it_is_there(tmp_path, monkeypatch):
    """Facts of the next batch were noted as said while the writer was still at the one before."""
    day, image = tmp_path / "day", tmp_path / "image"
    day.mkdir()
    image.mkdir()
    true = Writer._commit

    def slow(self, group):
        true(self, group)
        time.sleep(0.03)  # the writer has answered, and is held up

    monkeypatch.setattr(Writer, "_commit", slow)
    disk = office.record(day, 5, steps=4)
    plug, told = Plug(disk.before), []
    for op in disk.log:
        plug.feed(op)
        if op.kind != "said":
            continue
        told += [words[1] for words in op.told if words[0] in ("fact", "own")]
        lay(image, plug.pull("all", Random(0)))
        if told:
            with closing(sqlite3.connect(image / office.DATABASE)) as db:
                there = {event for (event,) in db.execute("SELECT event FROM facts")}
            assert set(told) <= there
    assert len(told) > 3


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, 2000), st.binary(min_size=1, max_size=900)),
            st.tuples(st.just("truncate"), st.integers(0, 2500), st.none()),
            st.tuples(st.just("sync"), st.none(), st.none()),
        ),
        max_size=12,
    ),
    st.sampled_from(MODES),
    st.integers(0, 1 << 30),
)
def test_what_is_left_of_a_file(steps, mode, seed):
    """Of each sector something it has held since the sync; with a sync, all of it."""
    file, held, sizes = File(b""), {}, {0}
    for kind, at, data in steps:
        if kind == "sync":
            file.sync()
            held, sizes = {}, set()
        elif kind == "write":
            file.write(at, data)
        else:
            file.truncate(at)
        whole = bytes(file.seen) + bytes(8 * SECTOR)
        sizes.add(len(file.seen))
        for sector in range(8):
            held.setdefault(sector, {bytes(SECTOR)}).add(
                whole[sector * SECTOR : (sector + 1) * SECTOR]
            )
    sure, left = bytes(file.sure), file.cut(mode, Random(seed))
    assert len(left) in sizes | {len(sure)}
    for sector in range((len(left) + SECTOR - 1) // SECTOR):
        part = left[sector * SECTOR : (sector + 1) * SECTOR]
        known = held.get(sector, {bytes(SECTOR)}) | {
            sure[sector * SECTOR : (sector + 1) * SECTOR].ljust(SECTOR, b"\0")
        }
        assert any(one[: len(part)] == part for one in known)
    if mode == "all":
        assert left == bytes(file.seen)
    file.sync()
    assert file.cut(mode, Random(seed)) == bytes(file.seen)


async def test_a_witness_of_a_life_before_takes_no_wal_away(tmp_path):
    """It is not flushed: after a power cut it may tell of a life that has ended since."""
    image = tmp_path / "image"
    image.mkdir()
    with shop.one_place():
        async with opened(tmp_path) as store:
            await store.write(selling(b"a" * 16))
        witness = (tmp_path / "karb.sqlite.life").read_bytes()
        async with opened(tmp_path) as store:
            await store.begin_life(9, "wished")
        async with opened(tmp_path) as store:
            for number in range(30):
                await store.write(selling(number.to_bytes(16, "big")))
            files = [tmp_path / "karb.sqlite", tmp_path / "karb.sqlite-wal"]
            left = {path.name: path.read_bytes() for path in files}
        lay(image, left | {"karb.sqlite.life": witness})
        async with opened(image, incarnation=10) as store:
            for number in range(30):
                assert await store.sale(number.to_bytes(16, "big")) is not None
            assert store.stream.incarnation == 9


async def test_a_checkpoint_that_was_cut_off_begins_no_life(tmp_path):
    """The file alone looks older than the witness says; together with its WAL it is not."""
    image = tmp_path / "image"
    image.mkdir()
    with shop.one_place():
        async with opened(tmp_path) as store:
            await store.write(selling(b"a" * 16))
        async with opened(tmp_path) as store:
            await store.write(selling(b"b" * 16))
            files = [tmp_path / "karb.sqlite", tmp_path / "karb.sqlite-wal"]
            left = {path.name: path.read_bytes() for path in files}
        # The witness knows all of it written back; of the file not a page has got there.
        lay(image, left | {"karb.sqlite.life": (tmp_path / "karb.sqlite.life").read_bytes()})
        async with opened(image, incarnation=10) as store:
            assert store.stream.incarnation == 1
            assert await store.sale(b"b" * 16) is not None


def test_a_certificate_stays_when_init_has_answered(tmp_path):
    """`authority.pem` was written and never flushed."""
    disk = office.record(tmp_path, 3, steps=0)
    plug = Plug(disk.before)
    for op in disk.log:
        plug.feed(op)
        if op.kind == "said" and ("founded",) in op.told:
            break
    image = tmp_path / "image"
    image.mkdir()
    lay(image, plug.pull("none", Random(0)))
    assert Authority.load(Folder(image)).certificate is not None


def test_names_of_hosts_stay_when_init_has_answered(tmp_path):
    """`hosts.json` was written and never flushed; a start reads it."""
    with recorded(tmp_path) as disk:
        create(Folder(tmp_path), ["hq.example"])
    image = tmp_path / "image"
    image.mkdir()
    lay(image, _cut_at_end(disk))
    assert Folder(image).read_hosts() == ["hq.example"]


def test_a_key_and_a_certificate_stay_when_they_have_been_written(tmp_path):
    """The files were flushed, and their names were not."""
    certificate = tmp_path / "node.pem"
    certificate.write_bytes(b"former")
    with recorded(tmp_path) as disk:
        key(0).save(tmp_path / "node.key")
        files.replace(certificate, b"renewed")
    left = _cut_at_end(disk)
    assert left["node.pem"] == b"renewed"
    assert left["node.key"] == (tmp_path / "node.key").read_bytes()


@given(st.sampled_from(MODES), st.integers(0, 1 << 30))
def test_a_small_file_is_the_former_or_the_next(mode, seed):
    with trial.room() as folder:
        (folder / "node.pem").write_bytes(b"former" * 200)
        with recorded(folder) as disk:
            files.replace(folder / "node.pem", b"renewed" * 300)
    plug = Plug(disk.before)
    for op in disk.log:
        plug.feed(op)
        left = plug.pull(mode, Random(seed))["node.pem"]
        assert left in (b"former" * 200, b"renewed" * 300)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_disk_that_fails_leaves_a_small_file_as_it_was(tmp_path, error):
    path = tmp_path / "node.pem"
    for at in range(1, 20):
        path.write_bytes(b"former")
        with recorded(tmp_path) as disk:
            disk.fault = fault = Fault(at, error)
            wanted = {b"renewed"}
            try:
                files.replace(path, b"renewed")
            except OSError:
                wanted |= {b"former"}
            disk.fault = None  # who looks now has a sound disk
            assert path.read_bytes() in wanted
        if not fault.struck:
            break
        files.replace(path, b"renewed")  # what was left of the attempt is in nobody's way
    assert not fault.struck
    assert at > 1


def _cut_at_end(disk):
    plug = Plug(disk.before)
    for op in disk.log:
        plug.feed(op)
    return plug.pull("none", Random(0))


def test_a_fault_strikes_the_true_connection(tmp_path):
    with recorded(tmp_path) as disk:
        with closing(connect(tmp_path / "x.sqlite")) as db:
            db.execute("CREATE TABLE t (x)")
        os.sync()
    assert {"write", "sync"} <= {op.kind for op in disk.log}


def test_what_was_copied_is_in_the_log(tmp_path):
    """What `shutil` had copied was missed when SQLite opened it at once (`--play edge 1000004`)."""
    with recorded(tmp_path) as disk:
        with closing(connect(tmp_path / "x.sqlite")) as db:
            db.execute("CREATE TABLE t (x)")
        shutil.copyfile(tmp_path / "x.sqlite", tmp_path / "y.sqlite")
        with closing(connect(tmp_path / "y.sqlite")) as db:
            db.execute("INSERT INTO t VALUES (1)")
    plug = Plug(disk.before)
    for op in disk.log:
        plug.feed(op)
    made = plug.pull("all", Random(0))
    assert made["y.sqlite"] == (tmp_path / "y.sqlite").read_bytes()
