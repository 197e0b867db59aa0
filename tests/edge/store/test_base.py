"""Beginning from a checkpoint, dropping old facts, and what is then still proved."""

import asyncio
import sqlite3
from contextlib import closing

import msgspec
import pytest

from edge.clock import Clock
from edge.link.conversation import Conversation
from edge.store import prune
from edge.store.backup import put_back
from edge.store.journal import Gap, NotKept
from edge.store.lives import GreetAgain
from edge.store.verify import verify_file
from sync import checkpoint
from sync.chain import ALL, Batch, Fact, Head, StreamId, extend, genesis, sign
from sync.checkpoint import Cut, Manifest
from sync.clock import Reading, Trust
from sync.errors import BadSignature, NotAllowed, RemoteProtocolError
from sync.exchange.session import Acknowledged, BelowBase, Session
from sync.facts import encode, kind_of
from sync.facts.count import CountedLine, CountOpened
from sync.facts.node import NodeRevoked, StreamClosed
from sync.facts.sale import Stage
from sync.facts.stock import GoodsReceived, ReceivedLine, ReceivedLines
from tests.edge.store.rig import NOW, key, opened, sale, selling

DAY_MS = 24 * 3600 * 1000
LATER = Reading(NOW + 36 * DAY_MS, Trust.CENTRAL)
OFFICE = key(9)


def event(number):
    return number.to_bytes(16, "big")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(prune, "WORTH_IT", 1)
    monkeypatch.setattr(prune, "SLICE", 4)


async def fill(store):
    for number in range(1, 11):
        await store.write(selling(event(number), skus=("1", "2")))

    def card(unit):
        unit.append(sale(1, "T2", stage=Stage.TENDERED, method="card"), event(50))

    def delivery(unit):
        lines = ReceivedLines.of((ReceivedLine("1", 9000),))
        unit.append(GoodsReceived(NOW, 5, lines), event(60))

    await store.write(card)
    await store.write(delivery)
    await store.write(lambda unit: unit.slip(event(3), "T1", "refused"))


def safely(store):
    heads = {head.stream: head.seq for head in store.heads()}
    store.note_peer(heads, heads)


def kept(folder):
    with closing(sqlite3.connect(folder / "karb.sqlite")) as db:
        return [row[0] for row in db.execute("SELECT seq FROM journal ORDER BY seq")]


async def test_what_is_old_and_safe_is_dropped_and_nothing_else(tmp_path):
    async with opened(tmp_path) as store:
        await fill(store)
        safely(store)
        before = store.heads()
        stock = await store.stock("1")
        pruned = await store.prune(LATER)
        assert pruned == (9, 1, "")
        assert kept(tmp_path) == [1, 4, 12, 13], "began, a slip to print, by card, a delivery"
        assert store.heads() == before
        assert await store.stock("1") == stock
        assert (await store.verify()).sound
        with pytest.raises(NotKept, match="receipt T1-AAAAAAAB/2, 1000 grosz"):
            await store.sale(event(2))
        assert (await store.sale(event(3))).number == 3
        assert (await store.sale(event(50))).stage is Stage.TENDERED
        assert await store.write(selling(event(99))) == 11
    async with opened(tmp_path) as store:
        assert [head.seq for head in store.heads()] == [14]
        assert await store.write(selling(event(100))) == 12
        assert (await store.verify()).sound


@pytest.mark.parametrize(
    ("now", "safe"),
    [
        (LATER, 0),
        (Reading(NOW + 34 * DAY_MS, Trust.CENTRAL), 99),
        (Reading(LATER.ms, Trust.NONE), 99),
    ],
)
async def test_unsafe_young_or_of_no_known_age_is_kept(tmp_path, now, safe):
    async with opened(tmp_path) as store:
        await fill(store)
        (head,) = store.heads()
        store.note_peer({head.stream: head.seq}, {head.stream: safe})
        pruned = await store.prune(now)
        assert pruned.facts == 0
        assert pruned.why_not
        assert len(kept(tmp_path)) == 13


async def test_only_up_to_what_is_safe(tmp_path):
    async with opened(tmp_path) as store:
        await fill(store)
        (head,) = store.heads()
        store.note_peer({head.stream: head.seq}, {head.stream: 6})
        assert (await store.prune(LATER)).facts == 3
        assert kept(tmp_path) == [1, 4, *range(6, 14)]
        assert store.base(head.stream) == 6
        assert (await store.verify()).sound


async def test_what_a_neighbour_lacks_is_kept_for_it(tmp_path):
    neighbour = key(5).node
    async with opened(tmp_path) as store:
        await fill(store)
        safely(store)
        (head,) = store.heads()
        store.note_peer({head.stream: 6}, {}, neighbour.hex())
        assert (await store.prune(LATER)).facts == 3
        assert store.base(head.stream) == 6
        gone = NodeRevoked(neighbour, "stolen")
        await store.write(lambda unit: unit.root(OFFICE.node, ALL, OFFICE.public))
        await store.receive(office_says(gone), {})
        assert (await store.prune(LATER)).facts == 6


async def test_head_office_put_back_makes_nothing_safe_that_it_lost(tmp_path):
    async with opened(tmp_path) as store:
        await fill(store)
        safely(store)
        (head,) = store.heads()
        store.note_peer({head.stream: 6}, {})
        await store.prune(LATER)
        assert store.base(head.stream) == 6


async def test_with_little_room_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(prune, "ROOM", 1 << 60)
    async with opened(tmp_path) as store:
        await fill(store)
        safely(store)
        assert "bytes of room" in (await store.prune(LATER)).why_not
        assert await frames_left(store) == -1
        assert not (tmp_path / "base.partial").exists()


async def test_two_that_prune_at_once_take_turns(tmp_path):
    async with opened(tmp_path) as store:
        await fill(store)
        safely(store)
        first, second = await asyncio.gather(store.prune(LATER), store.prune(LATER))
        assert (first.facts, second.facts) == (9, 0)
        assert (await store.verify()).sound


async def test_a_journal_that_does_not_verify_is_not_pruned(tmp_path):
    async with opened(tmp_path) as store:
        await fill(store)
        safely(store)
        await store.write(lambda unit: unit._db.execute("UPDATE sales SET total_minor = 5"))
        pruned = await store.prune(LATER)
        assert pruned.facts == 0
        assert "View sales" in pruned.why_not
        assert len(kept(tmp_path)) == 13


@pytest.mark.parametrize(
    ("sql", "finding"),
    [
        ("UPDATE base_frames SET frame = substr(frame, 1, 20) || x'00' || substr(frame, 22)", ""),
        ("DELETE FROM base_frames WHERE n = 3", "Base: "),
        ("DELETE FROM base_frames", "Base: "),
        ("DELETE FROM meta WHERE key = 'base'", "Base: not the one"),
        ("UPDATE bases SET seq = seq - 1", "Base: not the one"),
        ("UPDATE bases SET whole = whole - 1", "Base: not the one"),
        ("DELETE FROM bases", "Base: not the one"),
        ("UPDATE facts SET hash = zeroblob(32) WHERE place & 255 = 6", "Base: not the one"),
        ("UPDATE facts SET hlc = hlc + 1 WHERE kind = 'goods.received'", ""),
        ("UPDATE facts SET hlc = hlc + 1 WHERE place & 255 = 1", "Kept facts"),
        ("DELETE FROM facts WHERE place & 255 = 4", "Kept facts"),
        ("UPDATE goods SET taken = x'80' WHERE place & 255 = 2", "Kept goods"),
        ("DELETE FROM goods WHERE place & 255 = 2", "Kept goods"),
        ("UPDATE sales SET total_minor = 5 WHERE number = 2", "View sales"),
        ("UPDATE rights SET used = 5", "View rights"),
    ],
)
async def test_what_somebody_changed_in_a_pruned_file_is_found(tmp_path, sql, finding):
    async with opened(tmp_path) as store:
        await fill(store)
        (head,) = store.heads()
        store.note_peer({head.stream: head.seq}, {head.stream: 6})
        await store.prune(LATER)
    with closing(sqlite3.connect(tmp_path / "karb.sqlite")) as db:
        db.execute(sql)
        db.commit()
    verdict = verify_file(tmp_path / "karb.sqlite")
    assert not verdict.sound
    assert finding in verdict.findings[0]


async def frames_left(store):
    rows = await store._rows("SELECT count(DISTINCT generation) - 1 FROM base_frames")
    return rows[0][0]


@pytest.mark.parametrize("steps", range(7))
async def test_a_power_cut_at_any_step_is_made_good_the_next_time(tmp_path, steps):
    async with opened(tmp_path) as store:
        await fill(store)
        safely(store)
        whole = store.write
        calls = []

        async def cut(work):
            calls.append(work)
            if len(calls) > steps:
                raise RuntimeError("power cut")
            return await whole(work)

        store.write = cut
        with pytest.raises(RuntimeError):
            await store.prune(LATER)
    assert 4 < len(kept(tmp_path)) <= 13
    async with opened(tmp_path) as store:
        assert (await store.verify()).sound
        await store.write(selling(event(99)))
        safely(store)
        assert (await store.prune(LATER)).facts > 1
        assert kept(tmp_path) == [1, 4, 12, 13, 14]
        assert await frames_left(store) == 0
        assert (await store.verify()).sound


async def test_who_asks_below_the_base_is_told_and_asks_no_more(tmp_path):
    async with opened(tmp_path) as store:
        await fill(store)
        safely(store)
        await store.prune(LATER)
        await store.write(selling(event(99)))
        (head,) = store.heads()
        assert await store.hash_at(head.stream, store.base(head.stream)) is not None
        assert await store.hash_at(head.stream, 2) is None
        talk = Conversation(store, Clock(), "test")
        peer = Session(("S1", ALL), (), lambda _: True)
        peer.receive(talk.greet())
        await talk.take(peer.hello([Head(head.stream, 2, bytes(32))], None))
        assert peer.receive(await talk.next()) == BelowBase(head.stream, 13)
        assert await talk.next() is None
        assert talk.lacks == 0, "nobody waits for what cannot be had here"
        assert isinstance(peer.receive(peer.acknowledge({}, {})), Acknowledged)


def stream_of(author, n):
    stream = StreamId(author.node, 1, "S1")
    facts = []
    for seq in range(1, n + 1):
        body = sale(seq, "T9", ("1",))
        kind, version = kind_of(body)
        facts.append(Fact(seq, (NOW + seq) << 16, kind, version, event(1000 + seq), encode(body)))
    hashes = extend(genesis(stream), facts)

    def batch(first, last):
        head = Head(stream, last, hashes[last - 1])
        return Batch(stream, facts[first - 1 : last], sign(author.private, head))

    return stream, facts, hashes, batch


async def test_a_stream_with_a_base_takes_in_what_follows(tmp_path):
    author = key(5)
    stream, _, hashes, batch = stream_of(author, 20)
    async with opened(tmp_path) as store:
        await store.write(lambda unit: unit.root(author.node, "S1", author.public))
        await store.receive(batch(1, 10), {})
        safely(store)
        assert (await store.prune(LATER)).facts == 9
        await store.receive(batch(3, 8), {})
        with pytest.raises(Gap):
            await store.receive(batch(8, 15), {})
        with pytest.raises(Gap):
            await store.receive(batch(12, 15), {})
        with pytest.raises(BadSignature):
            await store.receive(msgspec.structs.replace(batch(11, 15), signature=bytes(64)), {})
        await store.receive(batch(11, 15), {})
        await store.receive(batch(14, 20), {})
        assert (await store.figures()).sales == 20
        assert (await store.verify()).sound
    async with opened(tmp_path) as store:
        assert Head(stream, 20, hashes[-1]) in store.heads()


def checkpoint_of(author=OFFICE, scopes=("S1", ALL), n=10, *, spoil=False, mine=None, more=None):
    """A checkpoint as head office makes it: ten sales of a till that is no more."""
    stream, facts, hashes, _ = stream_of(key(5), n)
    last = facts[-1]
    rows = {
        "facts": [(0, n, last.hlc, last.kind, 1, last.event, last.body, hashes[-1], None)],
        "goods": [(0, f.seq, 4, checkpoint.goods({"1": 1000})) for f in facts[:-1]],
        "tills": [("T9", NOW // 3_600_000, key(5).node)],
        "sales": [
            (f.event, 0, f.seq, 4, 0, "T9", "T9-AAAAAAAB", f.seq, NOW, 20260131, "anna", "store",
             1, 1000, 500)
            for f in facts
        ],
        "rights": [("1", 0, 1000 * n, 0, NOW)],
    }  # fmt: skip
    cuts = [Cut(stream.name(), n, hashes[-1], n), *(mine or [])]
    rows |= more or {}
    packed = [one for view in rows for one in checkpoint.pack(view, rows[view])]
    manifest = Manifest(
        checkpoint.FORMAT,
        NOW,
        OFFICE.node,
        scopes,
        checkpoint.versions(),
        tuple(cuts),
        tuple(one.part for one in packed),
    )
    signature, told = checkpoint.sealed(manifest, author.private)
    frames = [signature, told, *(one.frame for one in packed)]
    if spoil:
        frames[-1] = frames[-1][:-1] + bytes([frames[-1][-1] ^ 1])
    return b"".join(map(checkpoint.framed, frames))


async def test_a_node_begins_from_a_checkpoint_keeps_what_it_sold_and_goes_on(tmp_path):
    file = tmp_path / "checkpoint"
    file.write_bytes(checkpoint_of())
    _, _, _, batch = stream_of(key(5), 20)
    async with opened(tmp_path) as store:
        await store.write(lambda unit: unit.root(OFFICE.node, ALL, OFFICE.public))
        await store.write(lambda unit: unit.root(key(5).node, "S1", key(5).public))
        await store.write(selling(event(1)))
        assert store.fresh
        opened_from = await store.begin_from(file, {})
        assert opened_from.manifest.maker == OFFICE.node
        assert not store.fresh
        assert (await store.stock("1")).quantity_milli == -11_000
        assert (await store.figures()).sales == 11
        assert (await store.sale(event(1))).number == 1
        await store.receive(batch(11, 20), {})
        assert (await store.figures()).sales == 21
        assert (await store.verify()).sound
    async with opened(tmp_path) as store:
        assert {head.seq for head in store.heads()} == {2, 20}
        assert (await store.verify()).sound


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"author": key(8)}, "whose word counts"),
        ({"scopes": ("S2", ALL)}, "expected one of"),
        ({"spoil": True}, "damaged"),
        ({"mine": "ours"}, "are here already"),
        ({"n": 9, "more": {"facts": []}}, "does not end where"),
        (
            {"more": {"facts": [(0, 11, 0, "x", 1, bytes(16), b"", bytes(32), None)]}},
            "does not end",
        ),
        ({"more": {"tills": [("T9", 1, bytes(16)), ("T9", 1, bytes(16))]}}, "UNIQUE"),
    ],
)
async def test_one_that_cannot_be_used_changes_nothing(tmp_path, more, says):
    file = tmp_path / "checkpoint"
    async with opened(tmp_path) as store:
        await store.write(lambda unit: unit.root(OFFICE.node, ALL, OFFICE.public))
        await store.write(selling(event(1)))
        mine = {
            "ours": [Cut(store.stream.name(), 9, bytes(32))],
        }.get(more.get("mine"))
        file.write_bytes(checkpoint_of(**more | {"mine": mine}))
        heads, figures = store.heads(), await store.figures()
        with pytest.raises(RemoteProtocolError, match=says):
            await store.begin_from(file, {})
        assert (store.heads(), await store.figures()) == (heads, figures)
        assert store.fresh
        assert (await store.verify()).sound
        assert await store.write(selling(event(2))) == 2


def office_says(*bodies):
    """Head office's stream of the store."""
    stream = StreamId(OFFICE.node, 1, "S1")
    facts = []
    for seq, body in enumerate(bodies, start=1):
        kind, version = kind_of(body)
        facts.append(Fact(seq, (NOW + seq) << 16, kind, version, event(2000 + seq), encode(body)))
    hashes = extend(genesis(stream), facts)
    return Batch(stream, facts, sign(OFFICE.private, Head(stream, len(facts), hashes[-1])))


async def pruned_with_neighbour(store, upto):
    """Twenty sales of a neighbour, the first ones dropped; return its stream."""
    await store.write(lambda unit: unit.root(OFFICE.node, ALL, OFFICE.public))
    await store.write(lambda unit: unit.root(key(5).node, "S1", key(5).public))
    stream, _, hashes, batch = stream_of(key(5), 20)
    await store.receive(batch(1, upto), {})
    await store.receive(batch(upto + 1, 20), {})
    store.note_peer({stream: 20}, {stream: upto})
    assert (await store.prune(LATER)).facts == upto - 1
    return stream, hashes


@pytest.mark.parametrize(("end", "held"), [(20, 20), (10, 10), (7, 7), (5, 20)])
async def test_a_fence_cuts_down_to_the_base_and_never_below_it(tmp_path, end, held):
    async with opened(tmp_path) as store:
        stream, hashes = await pruned_with_neighbour(store, 7)
        heir = StreamId(key(3).node, 7, "S1")
        await store.receive(office_says(StreamClosed(stream, end, hashes[end - 1], heir)), {})
        (head,) = [head for head in store.heads() if head.stream == stream]
        if end > 7 and held < 20:
            held = 7  # of somebody else's stream the end must be signed: what is above comes again
        assert head.seq == held
        assert (await store.figures()).sales == held
        assert (await store.verify()).sound
    async with opened(tmp_path) as store:
        assert (await store.figures()).sales == held
        assert (await store.verify()).sound


async def test_damage_above_the_base_is_cut_off_and_what_is_below_stays(tmp_path):
    async with opened(tmp_path) as store:
        stream, _ = await pruned_with_neighbour(store, 7)
        id_ = store._journal.row(stream).id

        def flip(unit):
            unit._db.execute("UPDATE facts SET body = x'00' WHERE place = ?", (id_ << 40 | 12,))

        await store.write(flip)
        with pytest.raises(GreetAgain):
            await store.batch(stream, 7)
        assert (await store.figures()).sales == 7
        assert (await store.verify()).sound
        _, _, _, batch = stream_of(key(5), 20)
        await store.receive(batch(8, 20), {})
        assert (await store.figures()).sales == 20
        assert (await store.verify()).sound


async def test_a_backup_of_a_pruned_store_is_sound_and_can_be_put_back(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    async with opened(data) as store:
        await fill(store)
        safely(store)
        await store.prune(LATER)
        await store.backup(tmp_path / "copy.db")
        await store.write(selling(event(99)))
    put_back(tmp_path / "copy.db", data / "karb.sqlite", key().node)
    async with opened(data, incarnation=2) as store:
        former, now = await store.lives()
        assert (former.seq, former.reached, now.seq) == (13, 14, 1)
        assert (await store.verify()).sound
        assert await store.write(selling(event(100))) == 1


async def test_what_was_counted_before_facts_were_dropped_is_counted_again(tmp_path):
    sheet, early, late = event(70), [CountedLine("1", 9000)], [CountedLine("2", 9000)]
    async with opened(tmp_path) as store:
        await store.write(lambda unit: unit.append(CountOpened(NOW, 5, "Spis"), sheet))
        await store.write(lambda unit: unit.sheets.take(sheet, early))
        await fill(store)
        safely(store)
        assert (await store.prune(LATER)).facts
        await store.write(lambda unit: unit.sheets.take(sheet, late))
        await store.write(selling(event(99), skus=("1", "2")))

        def compare(unit, only):
            lines = {sku: one for sku, one in unit.sheets.lines(sheet).items() if sku in only}
            return {row.sku: row.difference_milli for row in unit.sheets.compare(sheet, lines)}

        with pytest.raises(NotKept, match="'1': counted so long ago"):
            await store.write(lambda unit: compare(unit, "12"))
        assert await store.write(lambda unit: compare(unit, "2")) == {"2": 9000 + 10_000}
        await store.write(lambda unit: unit.sheets.take(sheet, early))
        assert await store.write(lambda unit: compare(unit, "12")) == {"1": 11_000, "2": 19_000}


async def test_a_record_outdone_after_its_fact_was_dropped_is_taken_back(tmp_path):
    """Another node had recorded the same sale, and was not heard of for weeks."""
    lower, greater = sorted((0, 5), key=lambda number: key(number).node)
    twice = event(1001)
    async with opened(tmp_path, number=greater) as store:
        await store.write(lambda unit: unit.root(key(lower).node, "S1", key(lower).public))
        await store.write(selling(twice, skus=("1",)))
        await store.write(selling(event(2), skus=("1",)))
        safely(store)
        assert (await store.prune(LATER)).facts == 1
        with pytest.raises(NotKept):
            await store.sale(twice)
        _, _, _, batch = stream_of(key(lower), 1)
        await store.receive(batch(1, 1), {})
        assert (await store.stock("1")).quantity_milli == -2000, "counted once"
        assert (await store.verify()).sound


async def test_what_head_office_took_of_a_revoked_node_counts_here_too(tmp_path):
    author = key(5)
    stream, _, hashes, batch = stream_of(author, 8)
    async with opened(tmp_path) as store:
        await store.write(lambda unit: unit.root(OFFICE.node, ALL, OFFICE.public))
        await store.write(lambda unit: unit.root(author.node, "S1", author.public))
        await store.receive(batch(1, 2), {})
        gone = NodeRevoked(author.node, "stolen")
        heir = StreamId(key(3).node, 7, "S1")
        closed = StreamClosed(stream, 6, hashes[5], heir)
        await store.receive(office_says(gone), {})
        with pytest.raises(NotAllowed):
            await store.receive(batch(3, 4), {})
        assert not await store.takes(stream)
        await store.receive(batch(3, 4), {}, from_office=True)
        assert (await store.figures()).sales == 4
        await store.receive(office_says(gone, closed), {})
        assert await store.takes(stream)
        await store.receive(batch(5, 8), {})
        (head,) = [head for head in store.heads() if head.stream == stream]
        assert head.seq == 4, "8 ends beyond the fence, and it was not signed between"
        await store.receive(batch(5, 6), {})
        (head,) = [head for head in store.heads() if head.stream == stream]
        assert (head.seq, head.hash) == (6, hashes[5])
        assert (await store.figures()).sales == 6
        assert (await store.verify()).sound


@pytest.mark.parametrize("column", ["hash", "body", "event"])
async def test_damage_below_the_base_is_written_anew_from_it(tmp_path, column):
    async with opened(tmp_path) as store:
        stream, _ = await pruned_with_neighbour(store, 7)
        id_ = store._journal.row(stream).id

        def flip(unit):
            unit._db.execute(f"UPDATE facts SET {column} = x'00' WHERE place = ?", (id_ << 40 | 7,))

        await store.write(flip)
        assert not (await store.verify()).sound
        await store.prune(LATER)
        assert store.mended
        assert (await store.verify()).sound
        await store.write(flip)
        if column == "hash":  # the one that what follows stands on
            with pytest.raises(GreetAgain):
                await store.batch(stream, 7)
            assert (await store.verify()).sound
        assert [head.seq for head in store.heads() if head.stream == stream] == [20]
