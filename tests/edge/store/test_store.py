import asyncio
import sqlite3

import msgspec
import pytest

from edge.store.connection import DiskFull, StoreError, connect
from edge.store.journal import Fork, Gap, UnknownAuthor
from edge.store.unit import TillTaken
from sync import facts as vocabulary
from sync.chain import ALL, Batch, Fact, Head, StreamId, extend, genesis, sign
from sync.errors import BadSignature, NotAllowed
from sync.facts import decode, encode, kind_of
from sync.facts.catalogue import Article, ArticleColumns, Articles, Price, PriceColumns, Prices
from sync.facts.count import CountedLine, CountedLines, CountTaken
from sync.facts.node import IncarnationBegan, NodeRevoked
from sync.facts.person import Buyer, seal
from sync.facts.rights import Mode, StockPolicy
from sync.facts.sale import Stage
from tests.edge.store.rig import NOW, key, opened, sale, selling


def event(number):
    return number.to_bytes(16, "big")


async def test_a_sale_is_kept_numbered_and_counted(tmp_path):
    async with opened(tmp_path) as store:
        assert await store.write(selling(event(1))) == 1
        assert await store.write(selling(event(2), skus=("1", "2"))) == 2
        assert await store.write(selling(event(3), till="T2")) == 1
    async with opened(tmp_path) as store:
        kept = await store.sale(event(2))
        assert (kept.number, kept.stage, kept.total_minor) == (2, Stage.CLOSED, 1000)
        assert kept.series == "T1-AAAAAAAB"
        assert (await store.stock("1")).quantity_milli == -3000
        assert await store.stock("9") is None
        assert await store.sale(event(9)) is None
        figures = await store.figures()
        assert (figures.sales, figures.waiting) == (3, 4)
        assert (await store.verify()).sound


async def test_what_fails_leaves_no_trace_and_takes_no_number(tmp_path):
    async with opened(tmp_path) as store:
        before = store.heads()

        def work(unit):
            selling(event(1))(unit)
            raise RuntimeError("the till changed its mind")

        with pytest.raises(RuntimeError):
            await store.write(work)
        assert store.heads() == before
        assert await store.sale(event(1)) is None
        assert await store.write(selling(event(2))) == 1
        assert (await store.verify()).sound


async def test_concurrent_units_share_a_commit_and_fail_alone(tmp_path):
    commits = []

    class Counting(sqlite3.Connection):
        def execute(self, sql, *more):
            if sql == "COMMIT":
                commits.append(sql)
            return super().execute(sql, *more)

    def counting(path):
        db = sqlite3.connect(path, factory=Counting, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")
        return db

    def failing(unit):
        selling(event(99))(unit)
        raise ValueError("no")

    async with opened(tmp_path, connect=counting) as store:
        commits.clear()
        works = [selling(event(n)) for n in range(1, 41)]
        works.insert(20, failing)
        results = await asyncio.gather(*map(store.write, works), return_exceptions=True)
        assert isinstance(results.pop(20), ValueError)
        assert sorted(results) == list(range(1, 41)), "numbers are gap-free"
        assert len(commits) < 20
        assert await store.sale(event(99)) is None
        assert (await store.verify()).sound


async def test_a_cancelled_till_does_not_take_others_with_it(tmp_path):
    async with opened(tmp_path) as store:
        task = asyncio.create_task(store.write(selling(event(1))))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await store.write(selling(event(2))) == 2, "what was handed over was written"
        assert (await store.verify()).sound


async def test_an_error_at_commit_is_looked_up_not_guessed(tmp_path):
    fail = {"before": False, "after": False}

    class Faulty(sqlite3.Connection):
        def execute(self, sql, *more):
            if sql == "COMMIT" and fail["before"]:
                fail["before"] = False
                raise sqlite3.OperationalError("disk I/O error")
            done = super().execute(sql, *more)
            if sql == "COMMIT" and fail["after"]:
                fail["after"] = False
                raise sqlite3.OperationalError("disk I/O error")
            return done

    def faulty(path):
        db = sqlite3.connect(path, factory=Faulty, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")
        return db

    async with opened(tmp_path, connect=faulty) as store:
        fail["before"] = True
        with pytest.raises(StoreError, match="disk I/O error"):
            await store.write(selling(event(1)))
        assert await store.sale(event(1)) is None
        fail["after"] = True
        assert await store.write(selling(event(2))) == 1, "it survived, so it is acknowledged"
        assert (await store.sale(event(2))).number == 1
        assert await store.write(selling(event(3))) == 2
        assert (await store.verify()).sound


async def test_a_full_disk_lets_the_open_sale_finish_and_then_stops_selling(tmp_path):
    def small(path):
        db = connect(path)
        db.execute(f"PRAGMA max_page_count = {limit['pages']}")
        return db

    limit = {"pages": 100_000}
    async with opened(tmp_path, connect=small) as store:
        (pages,) = store._writer.db.execute("PRAGMA page_count").fetchone()
        store._writer.db.execute(f"PRAGMA max_page_count = {pages + 2}")
        kept = [
            await store.write(selling(event(number))) for number in range(1, 200) if not store.full
        ]
        assert store.full
        with pytest.raises(DiskFull, match="free some space"):
            await store.write(selling(event(200)))
    async with opened(tmp_path) as store:
        assert (await store.figures()).sales == len(kept)
        assert (await store.verify()).sound


def catalogue(revision, price, name="CHLEB", from_ms=0):
    article = Article("1", "Chleb", name, "szt", "5", ("5901234123457",))
    return (
        Articles(revision, ArticleColumns.of((article,))),
        Prices(revision, PriceColumns.of((Price("1", price, from_ms),))),
    )


async def test_the_price_in_force_is_the_latest_that_has_begun(tmp_path):
    async with opened(tmp_path) as store:

        def work(unit):
            unit.root(unit.stream.node, ALL, unit._key.public)
            for number, (price, begins) in enumerate([(500, 0), (600, NOW + 1000), (450, 0)]):
                for body in catalogue(number + 1, price, from_ms=begins):
                    unit.append(body, event(number))

        await store.write(work)
        assert (await store.article("1", NOW)).unit_minor == 450
        assert (await store.article("5901234123457", NOW + 1000)).unit_minor == 600
        assert (await store.article("1", NOW + 1000)).price_version == 2
        assert await store.article("7", NOW) is None


async def test_a_name_changed_after_the_price_is_told_apart(tmp_path):
    async with opened(tmp_path) as store:

        def work(unit):
            unit.root(unit.stream.node, ALL, unit._key.public)
            for body in catalogue(1, 500):
                unit.append(body, event(1))
            unit.append(catalogue(2, 0, name="CHLEB ZYTNI")[0], event(2))

        await store.write(work)
        found = await store.article("1", NOW)
        assert (found.fiscal_name, found.listed_name, found.price_version) == (
            "CHLEB ZYTNI",
            "CHLEB",
            1,
        )


def foreign(made, *, number=5, scope="S1", before=None, start=1):
    author = key(number)
    stream = StreamId(author.node, 3, scope)
    facts = [
        Fact(seq, NOW << 16, *kind, event(700 + seq), body)
        for seq, (kind, body) in enumerate(made, start=start)
    ]
    hashes = extend(before or genesis(stream), facts)
    return Batch(
        stream, facts, sign(author.private, Head(stream, facts[-1].seq, hashes[-1]))
    ), hashes


SALE = ("sale", 1)


async def trusting(store, number=5, scope="S1"):
    author = key(number)
    await store.write(lambda unit: unit.root(author.node, scope, author.public))


async def test_batches_of_others_are_verified_stored_and_applied_once(tmp_path):
    made = [(SALE, encode(sale(n, "T9"))) for n in (1, 2, 3)]
    batch, hashes = foreign(made)
    async with opened(tmp_path) as store:
        with pytest.raises(UnknownAuthor):
            await store.receive(batch, {})
        await trusting(store)
        await store.receive(batch, {bytes(16): bytes(32)})
        await store.receive(batch, {})
        tail, _ = foreign([*made, (SALE, encode(sale(4, "T9")))])
        await store.receive(tail, {})
        assert (await store.stock("1")).quantity_milli == -4000
        ahead, _ = foreign(made, start=9)
        with pytest.raises(Gap):
            await store.receive(ahead, {})
        branch, _ = foreign([*made[:2], (SALE, encode(sale(30, "T9")))])
        with pytest.raises(Fork) as fork:
            await store.receive(branch, {})
        assert (fork.value.seq, fork.value.ours) == (3, hashes[2])
        await store.write(lambda unit: unit.freeze(batch.stream, 3, fork.value.theirs))
        with pytest.raises(NotAllowed, match="two branches"):
            await store.receive(tail, {})
        again, _ = await store.batch(batch.stream, 0)
        assert list(again.facts) == list(tail.facts), "relayed as it came"
        with pytest.raises(TillTaken):
            await store.write(lambda unit: unit.claim_till("T9"))
        assert (await store.verify()).sound


async def test_nothing_of_a_bad_batch_is_stored(tmp_path):
    batch, _ = foreign([(SALE, encode(sale(1)))])
    async with opened(tmp_path) as store:
        await trusting(store)
        heads = store.heads()
        unsigned = Batch(batch.stream, batch.facts, bytes(64))
        with pytest.raises(BadSignature):
            await store.receive(unsigned, {})
        assert store.heads() == heads
        outside, _ = foreign([(SALE, encode(sale(1)))], scope="S2")
        with pytest.raises(NotAllowed, match="wrote into 'S2'"):
            await store.receive(outside, {})
        assert (await store.figures()).sales == 0


async def test_what_only_head_office_may_say_is_set_aside_when_a_neighbour_says_it(tmp_path):
    told = [*catalogue(9, 1), NodeRevoked(key(1).node), StockPolicy("*", Mode.STRICT)]
    batch, _ = foreign([(kind_of(body), encode(body)) for body in told])
    async with opened(tmp_path) as store:
        await trusting(store)
        await store.receive(batch, {})
        assert (await store.figures()).quarantined == len(told)
        assert await store.article("1", NOW) is None
        assert (await store.verify()).sound


async def test_nothing_is_told_as_held_before_it_is_committed(tmp_path):
    async with opened(tmp_path) as store:
        before = store.heads()

        def work(unit):
            selling(event(1))(unit)
            return store.heads()

        assert await store.write(work) == before
        assert store.heads() != before

        def fails(unit):
            selling(event(2))(unit)
            raise ValueError(len(store.heads()))

        held = store.heads()
        with pytest.raises(ValueError, match="1"):
            await store.write(fails)
        assert store.heads() == held


async def test_poison_is_set_aside_and_the_stream_moves_on(tmp_path):
    poison = encode(sale(1)).replace(b"\xcd\x01\xf4", b"\xcd\x01\xf5", 1)
    batch, _ = foreign([(SALE, b"\xc1"), (SALE, poison), (SALE, encode(sale(3)))])
    async with opened(tmp_path) as store:
        await trusting(store)
        await store.receive(batch, {})
        figures = await store.figures()
        assert (figures.quarantined, figures.sales) == (2, 1)
        assert (await store.verify()).sound


async def test_unknown_kinds_are_kept_and_applied_after_the_upgrade(tmp_path, monkeypatch):
    batch, _ = foreign([(SALE, encode(sale(1)))])
    async with opened(tmp_path) as store:
        await trusting(store)
    with monkeypatch.context() as older:
        older.delitem(vocabulary._DECODERS, SALE)
        older.delitem(vocabulary.KINDS, SALE)
        async with opened(tmp_path) as store:
            await store.receive(batch, {})
            assert (await store.figures()).unreadable == 1
            relayed, _ = await store.batch(batch.stream, 0)
            assert list(relayed.facts) == list(batch.facts)
    async with opened(tmp_path) as store:
        figures = await store.figures()
        assert (figures.unreadable, figures.sales) == (0, 1)
        assert (await store.stock("1")).quantity_milli == -1000
        assert (await store.verify()).sound


async def test_a_rolled_back_upgrade_loses_nothing_that_had_been_applied(tmp_path, monkeypatch):
    batch, _ = foreign([(SALE, encode(sale(1)))])
    left = tmp_path / "left"
    left.mkdir()
    async with opened(tmp_path) as store:
        await trusting(store)
        await store.receive(batch, {})
        await store.backup(left / "karb.sqlite")  # as a power cut leaves it: nothing is folded
    with monkeypatch.context() as older:
        older.delitem(vocabulary._DECODERS, SALE)
        older.delitem(vocabulary.KINDS, SALE)
        async with opened(left, incarnation=2) as store:
            assert (await store.figures()).unreadable == 1
            assert (await store.verify()).sound
    async with opened(left, incarnation=3) as store:
        figures = await store.figures()
        assert (figures.unreadable, figures.sales) == (0, 1)
        assert (await store.stock("1")).quantity_milli == -1000
        assert (await store.verify()).sound


async def test_lines_of_a_count_are_marked_after_the_upgrade(tmp_path, monkeypatch):
    kind = ("count.taken", 1)
    taken = CountTaken(NOW, 5, CountedLines.of((CountedLine("1", 1000),)))
    batch, _ = foreign([(kind, encode(taken))])
    marks = "SELECT number FROM count_marks WHERE line_seq = 1"
    async with opened(tmp_path) as store:
        await trusting(store)
    with monkeypatch.context() as older:
        older.delitem(vocabulary._DECODERS, kind)
        older.delitem(vocabulary.KINDS, kind)
        async with opened(tmp_path) as store:
            await store.receive(batch, {})
            assert await store._rows(marks) == []
    async with opened(tmp_path) as store:
        assert len(await store._rows(marks)) == 1
        assert (await store.verify()).sound


async def test_another_machine_begins_a_new_life_with_new_series(tmp_path):
    async with opened(tmp_path, machine="pi-1") as store:
        await store.write(selling(event(1)))
        first = store.stream
    async with opened(tmp_path, machine="pi-1", incarnation=2) as store:
        assert store.stream == first
    async with opened(tmp_path, machine="pi-2", incarnation=3) as store:
        assert store.stream.incarnation == 3
        assert await store.write(selling(event(2))) == 1
        assert (await store.sale(event(2))).series != (await store.sale(event(1))).series
        batch, _ = await store.batch(store.stream, 0)
        began = decode(batch.facts[0])
        assert isinstance(began, IncarnationBegan)
        assert (began.previous, began.seq, began.cause) == (first, 2, "other machine")
        with pytest.raises(ValueError, match="lived already"):
            await store.begin_life(3, "fork")
        assert (await store.verify()).sound


async def test_long_work_is_signed_in_pieces_that_fit_a_batch(tmp_path):
    def work(unit):
        for number in range(1, 300):
            selling(event(number))(unit)

    async with opened(tmp_path) as store:
        await store.write(work)
        after, seen = 0, 0
        while (found := await store.batch(store.stream, after)) is not None:
            batch, _ = found
            after, seen = batch.last, seen + len(batch.facts)
        assert seen == 300
        assert (await store.verify()).heads >= 4


async def test_what_central_holds_is_remembered(tmp_path):
    async with opened(tmp_path) as store:
        await store.write(selling(event(1)))
        store.note_peer({store.stream: 1}, {store.stream: 1})
        assert (await store.figures()).waiting == 1
    async with opened(tmp_path) as store:
        figures = await store.figures()
        assert figures.waiting == 1
        assert figures.oldest_waiting_ms >= NOW
        assert store.peer_holds() == {store.stream: 1}


async def test_keys_of_persons_travel_beside_the_facts(tmp_path):
    person = bytes([7]) * 16
    body = msgspec.structs.replace(
        sale(1), buyer=seal(Buyer("5260250274"), person, bytes(32), bytes(12))
    )

    def work(unit):
        unit.person_key(person, bytes(32))
        unit.append(body, event(1))

    async with opened(tmp_path) as store:
        await store.write(work)
        _, keys = await store.batch(store.stream, 0)
        assert keys == {person: bytes(32)}


async def test_asking_for_a_right_wakes_nobody(tmp_path):
    async with opened(tmp_path) as store:
        woken = store.watch()
        await store.rights(["1"])
        assert not woken.is_set(), "who waits for a right would ask without end"
        await store.write(selling(b"1" * 16))
        assert woken.is_set()
