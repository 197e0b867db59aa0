"""Lives end when the file is another, a stream is closed or damaged; nothing is lost by that."""

import shutil
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.store import lives
from edge.store.backup import BadCopy, copy, put_back
from edge.store.lives import GreetAgain, NewLifeNeeded
from sync.chain import ALL, StreamId, life
from sync.errors import BadFact
from sync.facts import decode
from sync.facts.node import AppendedAgain, StreamClosed
from tests.edge.store.rig import key, opened, selling

CENTRAL = key(9)


def event(number):
    return number.to_bytes(16, "big")


async def sell(store, *numbers):
    for number in numbers:
        await store.write(selling(event(number)))


async def causes(store):
    return [view.cause for view in await store.lives()]


async def test_ordinary_ends_and_starts_begin_no_life(tmp_path):
    async with opened(tmp_path) as store:
        first = store.stream
        await sell(store, 1)
    for _ in range(2):
        async with opened(tmp_path, incarnation=2) as store:
            assert store.stream == first
    moved = tmp_path.rename(tmp_path.with_name("renamed"))
    async with opened(moved, incarnation=2) as store:
        assert store.stream == first, "a folder may be renamed"


async def test_a_power_cut_begins_no_life(tmp_path):
    async with opened(tmp_path) as store:
        await sell(store, 1, 2)
        store._witness.drop()
        (tmp_path / "karb.sqlite.life").write_bytes(b"\0" * 40)  # never reached the disk
    async with opened(tmp_path, incarnation=2) as store:
        assert store.stream.incarnation == 1


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("over it", "older file"),
        ("over it, witness too", "other file"),
        ("another file", "other file"),
        ("whole folder", "other file"),
    ],
)
async def test_a_file_put_back_is_noticed_before_anything_is_appended(tmp_path, how, cause):
    data, yesterday = tmp_path / "data", tmp_path / "yesterday"
    data.mkdir()
    async with opened(data) as store:
        await sell(store, 1)
    shutil.copytree(data, yesterday)
    async with opened(data) as store:
        await sell(store, 2, 3)
    if how == "whole folder":
        shutil.rmtree(data)
        shutil.copytree(yesterday, data)
    else:
        if how == "another file":
            (data / "karb.sqlite").unlink()
        shutil.copyfile(yesterday / "karb.sqlite", data / "karb.sqlite")
        if "witness" in how:
            shutil.copyfile(yesterday / "karb.sqlite.life", data / "karb.sqlite.life")
    async with opened(data, incarnation=2) as store:
        former, now = await store.lives()
        assert (now.stream.incarnation, now.seq) == (2, 1)
        assert former.cause in (cause, "other file")
        if "witness" not in how and how != "whole folder":
            assert (former.seq, former.reached) == (2, 4), "two facts are known to be missing"
        assert former.receipts == {f"T1-{life(1)}": 1}
        assert await store.write(selling(event(4))) == 1
        assert (await store.verify()).sound


async def test_a_copy_put_back_by_command_begins_a_new_life_and_keeps_what_was(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    async with opened(data) as store:
        await sell(store, 1, 2)
        made = await store.backup(tmp_path / "copy.db")
        assert made.facts == 3
        with pytest.raises(BadCopy, match="exists already"):
            await store.backup(tmp_path / "copy.db")
        await sell(store, 3)
    with pytest.raises(BadCopy, match="another node's"):
        put_back(tmp_path / "copy.db", data / "karb.sqlite", key(5).node)
    with pytest.raises(BadCopy, match="no such file"):
        put_back(tmp_path / "none.db", data / "karb.sqlite", key().node)
    torn = bytearray((tmp_path / "copy.db").read_bytes())
    torn[len(torn) // 2 :] = b""
    (tmp_path / "torn.db").write_bytes(torn)
    with pytest.raises(BadCopy, match="not sound"):
        put_back(tmp_path / "torn.db", data / "karb.sqlite", key().node)
    done = put_back(tmp_path / "copy.db", data / "karb.sqlite", key().node)
    assert done.facts == 3
    with closing(sqlite3.connect(f"{done.aside}/karb.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM facts").fetchone() == (4,)
    async with opened(data, incarnation=2) as store:
        assert await causes(store) == ["restored", ""]
        former, _ = await store.lives()
        assert (former.seq, former.reached) == (3, 4)
    async with opened(data, incarnation=3) as store:
        assert store.stream.incarnation == 2, "the mark counts once"
    copy(data / "karb.sqlite", tmp_path / "again.db")


def flip(store, stream, seq, column, value):
    def work(unit):
        place = unit._journal.row(stream).id << 40 | seq
        unit._db.execute(f"UPDATE facts SET {column} = ? WHERE place = ?", (value, place))

    return store.write(work)


async def test_a_flipped_bit_ends_the_life_and_loses_what_it_hit_and_nothing_else(tmp_path):
    async with opened(tmp_path) as store:
        await sell(store, 1, 2, 3, 4, 5)
        first = store.stream
        store.note_peer({first: 3}, {})  # central has the first three facts
        await flip(store, first, 5, "body", b"nonsense")
        with pytest.raises(NewLifeNeeded, match="damaged"):
            await store.batch(first, 3)
        await store.begin_life(2, "damaged")
        with pytest.raises(GreetAgain):
            await store.batch(first, 3)
        batch, _ = await store.batch(first, 3)
        assert batch.last == 4, "what stands before it goes on its way"
        assert "lost: 5" in store.mended[0]
        again, _ = await store.batch(store.stream, 0)
        told = decode(again.facts[1])
        assert isinstance(told, AppendedAgain)
        assert (told.stream, told.seqs, told.lost, told.why) == (first, [6], [5], "damaged")
        assert [fact.event for fact in again.facts[2:]] == [event(5)]
        assert (await store.sale(event(5))).series == f"T1-{life(1)}"
        assert await store.sale(event(4)) is None
        assert (await store.figures()).sales == 4
        assert (await store.verify()).sound


@pytest.mark.parametrize("column", ["hash", "signature"])
@pytest.mark.parametrize("seq", [3, 6])
async def test_a_hash_or_signature_that_flipped_is_written_anew(tmp_path, column, seq):
    async with opened(tmp_path) as store:
        await sell(store, 1, 2, 3, 4, 5)
        first = store.stream
        await flip(store, first, seq, column, bytes(32 if column == "hash" else 64))
        await store.begin_life(2, "damaged")
        try:
            found = await store.batch(first, 0)
        except GreetAgain:
            found = await store.batch(first, 0)
        assert found[0].last == 6
        assert (await store.figures()).sales == 5
        assert (await store.verify()).sound or (column, seq) == ("signature", 3)


@settings(max_examples=25)
@given(
    hits=st.sets(st.integers(1, 12), max_size=4),
    column=st.sampled_from(["body", "event", "hlc"]),
    acked=st.integers(0, 12),
)
async def test_whatever_flips_every_readable_sale_stays(tmp_path_factory, hits, column, acked):
    folder = tmp_path_factory.mktemp("flips")
    async with opened(folder) as store:
        await sell(store, *range(1, 12))
        first = store.stream
        store.note_peer({first: acked}, {})
        for seq in hits:
            await flip(store, first, seq, column, 7 if column == "hlc" else b"nonsense")
        await store.begin_life(2, "damaged")
        after = 0
        while True:
            try:
                found = await store.batch(first, after)
            except GreetAgain:
                continue
            if found is None:
                break
            after = found[0].last
        good = min(hits, default=13) - 1
        assert after == good
        here = {n for n in range(1, 12) if await store.sale(event(n))}
        awaited = {seq - 1 for seq in range(good + 1, acked + 1)}
        lost = {seq - 1 for seq in hits}
        assert here == set(range(1, 12)) - awaited - lost
        assert (await store.verify()).sound


async def test_fences_of_others_than_central_close_nothing(tmp_path):
    async with opened(tmp_path) as store:
        await store.write(lambda unit: unit.root(CENTRAL.node, ALL, CENTRAL.public))
        heir = StreamId(key(3).node, 7, "S1")
        head = store.heads()[0]
        forged = StreamClosed(head.stream, 1, head.hash, heir)
        with pytest.raises(BadFact, match="only head office"):
            await store.write(lambda unit: unit.append(forged, event(9)))
        assert await store.life_over() == ""
        assert await store._read(lives.fences) == {}


async def test_a_life_cannot_be_lived_twice(tmp_path):
    async with opened(tmp_path) as store:
        await store.begin_life(2, "fork")
        for lived in (1, 2):
            with pytest.raises(ValueError, match="lived already"):
                await store.begin_life(lived, "fork")
