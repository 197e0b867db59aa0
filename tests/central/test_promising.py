"""Promises under any order of everything: a ledger, two stores that lag, and a clock.

What must hold whatever happens: nobody promises or gives what it does not hold, so the sum
of what is used, held and covered never exceeds what was brought in; and the views are what
the facts alone say.
"""

import shutil
import uuid
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from central.config import Folder
from central.ledger import author, journal, promised, shelves, upkeep
from central.ledger.ledger import Ledger
from central.nodes.authority import Authority
from central.stock import keeping, promising
from central.stock.promising import Conflict, NotPromised
from central.stock.request import PromiseLine, PromiseRequest
from sync import facts
from sync.chain import ALL
from sync.facts.catalogue import Article, ArticleColumns, Articles
from sync.facts.order import Answer, Ending, OrderAnswered, OrderPlaced
from sync.facts.rights import CellLines, Move, RightsMoved, RightsWanted
from sync.facts.stock import GoodsMoved, Movement
from sync.merge import stock
from sync.merge.stock import Column
from tests.central.conftest import Desk
from tests.central.machine import delivery, sale

SKUS = ("A", "B")
STORES = ("S1", "S2")
NOW = 1_800_000_000_000


def lines(sku, milli):
    return CellLines.by_cell({sku: milli})


class Till:
    """A store's node as the design has it: it spends its own right, and what it was given."""

    def __init__(self, writer):
        self.writer, self.sent, self.heard = writer, 0, 0
        self.row = defaultdict(lambda: [0] * stock.WIDTH)
        self.orders = {}

    def write(self, body, event):
        self.writer.write(body, event)
        for column, amounts, sign in stock.moves(body):
            for sku, milli in amounts.items():
                self.row[sku][column] += sign * milli

    def right(self, sku):
        return stock.right(self.row[sku])

    def hear(self, batch):
        for fact in batch.facts:
            body = facts.decode(fact)
            if isinstance(body, RightsMoved) and body.to == self.writer.stream:
                for sku, milli in body.lines.amounts().items():
                    self.row[sku][Column.GOT] += milli
            if isinstance(body, OrderPlaced) and body.holder == self.writer.stream:
                self.orders[fact.event] = body.lines.amounts()
                self.write(RightsMoved(Move.HELD, body.lines), fact.event)
            if isinstance(body, RightsWanted):
                for sku, milli in body.lines.amounts().items():
                    given = min(milli, self.right(sku))
                    if given > 0:
                        told = RightsMoved(Move.GIVEN, lines(sku, given), batch.stream)
                        self.write(told, fact.event)


class Promising(RuleBasedStateMachine):
    """See above. `made` is set by the test."""

    made: Path
    promises = Bundle("promises")

    def __init__(self):
        super().__init__()
        memory = Path("/dev/shm")
        self.tmp = TemporaryDirectory(dir=memory if memory.is_dir() else None)
        self.folder = Folder(Path(shutil.copytree(self.made, Path(self.tmp.name) / "central")))
        self.now = NOW
        authority = Authority.load(self.folder)
        ledger = Ledger.open(self.folder.ledger, authority.node_key, lambda: self.now)
        self.desk = Desk(self.folder, ledger, authority)
        self.counter = 0

    @initialize()
    def open_shop(self):
        rows = tuple(Article(sku, sku, sku, "szt", "23") for sku in SKUS)
        told = Articles(1, ArticleColumns.of(rows))
        self.desk.write(lambda unit: author.write(unit, ALL, [(b"a" * 16, told)]))
        self.tills = {store: Till(self.desk.member(store)) for store in STORES}
        for store in STORES:
            for sku in SKUS:
                self.goods_come(store, sku, 9000, 60)
            self.talk(store)

    def talk(self, store):
        """The store sends all it has and hears all there is."""
        till = self.tills[store]
        if len(till.writer.facts) > till.sent:
            self.desk.take(till.writer.batch(till.sent + 1))
            till.sent = len(till.writer.facts)
        self.store_hears(store)

    def event(self):
        self.counter += 1
        return self.counter.to_bytes(16, "big")

    # --- stores ------------------------------------------------------------------

    @rule(
        store=st.sampled_from(STORES),
        sku=st.sampled_from(SKUS),
        milli=st.integers(1, 9000),
        share=st.integers(0, 100),
    )
    def goods_come(self, store, sku, milli, share):
        till = self.tills[store]
        event = self.event()
        till.write(delivery((sku, milli)), event)
        given = min(milli * share // 100, till.right(sku))
        if given > 0:
            own = self.desk.ledger.own.stream(store)
            till.write(RightsMoved(Move.GIVEN, lines(sku, given), own), event)

    @rule(store=st.sampled_from(STORES), sku=st.sampled_from(SKUS), milli=st.integers(1, 4000))
    def counter_sells(self, store, sku, milli):
        till = self.tills[store]
        if not till.row[sku][Column.MADE]:
            return
        event = self.event()
        over = milli - max(0, min(milli, till.right(sku)))
        if over:
            till.write(RightsMoved(Move.OVER, lines(sku, over)), event)
        till.write(sale((sku, milli, 100)), event)

    @rule(store=st.sampled_from(STORES), sku=st.sampled_from(SKUS))
    def what_was_over_is_covered(self, store, sku):
        till = self.tills[store]
        row = till.row[sku]
        covered = min(till.right(sku), row[Column.OVER] - row[Column.COVERED])
        if covered > 0:
            till.write(RightsMoved(Move.COVERED, lines(sku, covered)), self.event())

    @rule(store=st.sampled_from(STORES), sku=st.sampled_from(SKUS), milli=st.integers(1, 4000))
    def store_asks(self, store, sku, milli):
        self.tills[store].write(RightsWanted(lines(sku, milli)), self.event())

    @precondition(lambda self: any(till.orders for till in self.tills.values()))
    @rule(data=st.data())
    def order_is_answered(self, data):
        till = self.tills[data.draw(st.sampled_from([s for s in STORES if self.tills[s].orders]))]
        event = data.draw(st.sampled_from(sorted(till.orders)))
        amounts = till.orders.pop(event)
        sku, milli = min(amounts.items())
        short = data.draw(st.integers(0, milli))
        missing = {sku: short} if short else {}
        there = {s: q - missing.get(s, 0) for s, q in amounts.items() if q > missing.get(s, 0)}
        if missing:
            gone = CellLines.by_cell(missing)
            till.write(OrderAnswered(Answer.SHORT, self.now, 2, gone, bytes(16), "jan"), event)
            till.write(RightsMoved(Move.FREED, gone), event)
            till.write(GoodsMoved(Movement.WRITTEN_OFF, self.now, 2, gone), event)
        if there:
            handed = CellLines.by_cell(there)
            till.write(OrderAnswered(Answer.HANDED, self.now, 2, handed, bytes(16), "jan"), event)
            till.write(RightsMoved(Move.DONE, handed), event)

    @rule(store=st.sampled_from(STORES))
    def store_talks(self, store):
        self.talk(store)

    @rule(store=st.sampled_from(STORES), data=st.data())
    def store_sends(self, store, data):
        till = self.tills[store]
        count = len(till.writer.facts)
        if count > till.sent:
            last = data.draw(st.integers(till.sent + 1, count))
            self.desk.take(till.writer.batch(till.sent + 1, last))
            till.sent = last

    @rule(store=st.sampled_from(STORES))
    def store_hears(self, store):
        till, stream = self.tills[store], self.desk.ledger.own.stream(store)
        with self.desk.ledger._database.reading() as connection:
            batch = journal.batch_after(connection, stream, till.heard)
        if batch:
            till.hear(batch)
            till.heard = batch.last

    # --- the web -----------------------------------------------------------------

    @rule(
        target=promises,
        amounts=st.dictionaries(
            st.sampled_from(SKUS), st.integers(1, 3000), min_size=1, max_size=2
        ),
        stores=st.sampled_from((None, None, ("S1",), ("S2", "S1"))),
        split=st.booleans(),
        expires_s=st.integers(1, 300),
    )
    def promise(self, amounts, stores, split, expires_s):
        before = self.web()
        request = PromiseRequest(
            str(uuid.UUID(bytes=self.event())),
            "web",
            tuple(PromiseLine(sku, milli) for sku, milli in amounts.items()),
            expires_s,
            stores,
            split,
        )
        made = self.desk.write(lambda unit: promising.make(unit, request))
        places = stores or STORES
        if isinstance(made, NotPromised):
            for sku, milli in amounts.items():
                held = [before[store, sku] for store in places]
                if (sum(held) if split else max(held)) < milli:
                    return multiple()
            raise AssertionError(f"refused though {before} was there for {request}")
        assert made.new
        total = defaultdict(int)
        for part in made.parts:
            assert part.store in places
            for sku, line in part.lines.items():
                assert line.milli <= before[part.store, sku]
                total[sku] += line.milli
                if not split:
                    assert line.milli == amounts[sku]
        assert dict(total) == amounts
        again = self.desk.write(lambda unit: promising.make(unit, request))
        assert (again.new, again.parts) == (False, made.parts)
        return request

    @rule(request=promises)
    def confirm(self, request):
        parts = self.parts(request)
        ended = {part.ended for part in parts} - {Ending.MOVED}
        late = any(p.expires_ms <= self.now for p in parts if p.ended is None)

        def work(unit):
            return promising.confirm(unit, request.event)

        if ended & {Ending.EXPIRED, Ending.RELEASED}:
            with pytest.raises(Conflict):
                self.desk.write(work)
            return
        done = self.desk.write(work)
        if late and Ending.CONFIRMED not in ended:
            assert isinstance(done, Conflict)
            assert {p.ended for p in self.parts(request)} <= {Ending.EXPIRED, Ending.MOVED}
        else:
            assert {p.ended for p in done.parts} <= {Ending.CONFIRMED, Ending.MOVED}
            assert self.desk.write(work).parts == done.parts

    @rule(request=consumes(promises))
    def release(self, request):
        if Ending.CONFIRMED in {part.ended for part in self.parts(request)}:
            with pytest.raises(Conflict):
                self.desk.write(lambda unit: promising.release(unit, request.event))
            return
        done = self.desk.write(lambda unit: promising.release(unit, request.event))
        assert None not in {part.ended for part in done.parts}

    @rule(seconds=st.integers(1, 120))
    def time_passes(self, seconds):
        self.now += seconds * 1000
        self.desk.write(keeping.turn)

    @rule()
    def turn(self):
        self.desk.write(keeping.turn)
        with self.desk.ledger._database.reading() as connection:
            assert promised.due(connection, self.now, 9) == []

    @rule()
    def central_is_started_again(self):
        self.desk.ledger.close()
        key = self.desk.authority.node_key
        self.desk.ledger = Ledger.open(self.folder.ledger, key, lambda: self.now)

    # --- what must hold ----------------------------------------------------------

    def parts(self, request):
        with self.desk.ledger._database.reading() as connection:
            return promised.of_promise(connection, request.event)

    def web(self):
        """What central may promise, worked out from its own rows as known to it."""
        found = {}
        with self.desk.ledger._database.reading() as connection:
            for store in STORES:
                for sku, shelf in shelves.of_store(connection, store, SKUS).items():
                    found[store, sku] = shelf.spare(self.desk.ledger.own.stream(store))
        return found

    @invariant()
    def nobody_promises_what_it_does_not_hold(self):
        if not hasattr(self, "tills"):
            return
        with self.desk.ledger._database.reading() as connection:
            for store in STORES:
                till = self.tills[store]
                for sku, shelf in shelves.of_store(connection, store, SKUS).items():
                    own = self.desk.ledger.own.stream(store)
                    assert shelf.right(own) >= 0
                    assert till.right(sku) >= 0 or not till.row[sku][Column.MADE]
                    assert shelf.oversold == 0
                    # The whole truth: central's row as it is, the till's as the till has it.
                    web = shelf.rows.get(own, [0] * stock.WIDTH)
                    bound = sum(
                        row[Column.USED]
                        + row[Column.HELD]
                        - row[Column.FREED]
                        + row[Column.COVERED]
                        for row in (web, till.row[sku])
                    )
                    assert bound <= web[Column.MADE] + till.row[sku][Column.MADE]

    def teardown(self):
        lived = self.desk.views()
        self.desk.write(upkeep.rebuild)
        try:
            assert self.desk.views() == lived
        finally:
            self.desk.ledger.close()
            self.tmp.cleanup()


def test_promises_hold_whatever_happens(made):
    Promising.made = made
    run_state_machine_as_test(
        Promising,
        settings=settings(
            max_examples=25,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
