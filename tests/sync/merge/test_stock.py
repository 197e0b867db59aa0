"""What facts do to rows: the same as the steps of the counter they tell of."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sync.chain import StreamId
from sync.facts.rights import CellLines, Mode, Move, RightsMoved, RightsWanted, StockPolicy
from sync.facts.sale import SaleClosed, SaleVoided, Stage
from sync.facts.stock import (
    OUTWARD,
    GoodsMoved,
    GoodsReceived,
    Movement,
    ReceivedLine,
    ReceivedLines,
)
from sync.merge import stock
from sync.merge.rights import Counter
from sync.merge.stock import DEFAULT_POLICY, WIDTH, Column
from tests.sync import strategies

ME, OTHER = StreamId(bytes(16), 1, "S1"), StreamId(bytes(15) + b"\1", 2, "S1")
SKUS = ("apple", "pear")
OF_COUNTER = {
    Move.MADE: Counter.make,
    Move.USED: Counter.use,
    Move.HELD: Counter.hold,
    Move.FREED: Counter.free,
    Move.DONE: Counter.hand,
}

amounts = st.dictionaries(st.sampled_from(SKUS), st.integers(1, 9000), min_size=1)


class Stream(RuleBasedStateMachine):
    """A stream's rows by `moves`, beside the counters its steps were taken on."""

    @initialize()
    def open(self):
        self.rows = {sku: [0] * WIDTH for sku in SKUS}
        self.cells = {sku: Counter() for sku in SKUS}

    def write(self, body):
        assert not body.reason()
        for column, deltas, sign in stock.moves(body):
            for sku, milli in deltas.items():
                self.rows[sku][column] += sign * milli

    def write_move(self, move, lines, to=None):
        if lines := {sku: milli for sku, milli in lines.items() if milli}:
            self.write(RightsMoved(move, CellLines.by_cell(lines), to))

    def take(self, lines):
        over = {sku: self.cells[sku].take(ME, milli) for sku, milli in lines.items()}
        self.write_move(Move.OVER, over)

    @rule(lines=amounts)
    def receive(self, lines):
        rows = [ReceivedLine(sku, milli) for sku, milli in lines.items()]
        again = [ReceivedLine(sku, 1) for sku in lines]
        self.write(GoodsReceived(1, 5, ReceivedLines.of((*rows, *again))))
        for sku, milli in lines.items():
            self.cells[sku].make(ME, milli + 1)

    @rule(lines=amounts)
    def sell(self, lines):
        self.take(lines)
        self.write(sale(lines, Stage.CLOSED))

    @rule(lines=amounts)
    def say_what_moves_nothing(self, lines):
        """What was tendered counts with its close, which the view knows and not the fact."""
        told = (sale(lines, Stage.TENDERED), SaleClosed(1, 5), SaleVoided(1, 5))
        for body in (*told, RightsWanted(CellLines.by_cell(lines)), DEFAULT_POLICY):
            assert stock.moves(body) == []
            assert stock.receiver(body) is None

    @rule(lines=amounts)
    def give(self, lines):
        given = {s: min(m, max(0, self.cells[s].right(ME))) for s, m in lines.items()}
        for sku, milli in given.items():
            self.cells[sku].give(ME, OTHER, milli)
        self.write_move(Move.GIVEN, given, OTHER)

    @rule(lines=amounts)
    def get(self, lines):
        body = RightsMoved(Move.GIVEN, CellLines.by_cell(lines), ME)
        for sku, milli in lines.items():
            self.cells[sku].make(OTHER, milli)
            self.cells[sku].give(OTHER, stock.receiver(body), milli)
            self.rows[sku][Column.GOT] += milli

    @rule(lines=amounts)
    def cover(self, lines):
        self.write_move(Move.COVERED, {sku: self.cells[sku].cover(ME) for sku in lines})

    @rule(lines=amounts, move=st.sampled_from(sorted(OF_COUNTER)))
    def move(self, lines, move):
        allowed = {sku: milli for sku, milli in lines.items() if can(self.cells[sku], move, milli)}
        for sku, milli in allowed.items():
            OF_COUNTER[move](self.cells[sku], ME, milli)
        self.write_move(move, allowed)

    @rule(lines=amounts, movement=st.sampled_from(Movement))
    def move_goods(self, lines, movement):
        if movement in OUTWARD:
            self.take(lines)
        else:
            for sku, milli in lines.items():
                self.cells[sku].make(ME, milli)
        self.write(GoodsMoved(movement, 1, 5, CellLines.by_cell(lines), place="S2"))

    @invariant()
    def rows_by_facts_are_the_counters_rows(self):
        for sku, cell in self.cells.items():
            got, mine, other = self.rows[sku], cell.row(ME), cell.row(OTHER)
            assert got == [
                mine.made,
                mine.used,
                mine.held,
                mine.freed,
                mine.done,
                sum(mine.given.values()),
                other.given.get(ME, 0),
                mine.over,
                mine.covered,
            ]
            assert stock.right(got) == cell.right(ME)
            assert stock.reserved(got) == cell.reserved
            assert stock.physical(got) == cell.physical - other.made
            assert stock.uncovered(got) == cell.uncovered


TestStream = Stream.TestCase


def can(cell, move, milli):
    row = cell.row(ME)
    if move in (Move.FREED, Move.DONE):
        return milli <= row.held - row.freed - row.done
    return move is Move.MADE or milli <= cell.right(ME)


def sale(lines, stage):
    rows = tuple(
        strategies.SaleLine(sku=sku, quantity_milli=part, unit_minor=100)
        for sku, milli in lines.items()
        for part in split(milli)
    )
    total = sum(row.total_minor for row in rows)
    return strategies.Sale(
        stage,
        1,
        1,
        5,
        strategies.SaleLines.of(rows),
        (strategies.Payment("cash", total),),
        "T1",
        "anna",
        "1",
        20261123,
    )


def split(milli):
    """Return the quantity as one line or two: lines of one article add up."""
    return (milli,) if milli % 2 else (milli // 2, milli // 2)


@given(st.lists(st.integers(0, 1000), min_size=WIDTH, max_size=WIDTH))
def test_a_right_below_zero_counts_as_uncovered(row):
    assert stock.uncovered(row) == row[Column.OVER] - row[Column.COVERED] + max(
        0, -stock.right(row)
    )
    free = max(0, stock.right(row)) - stock.uncovered(row)
    moved = row[Column.GOT] - row[Column.GAVE]
    assert stock.physical(row) - stock.reserved(row) + moved == free


TARGETS = ("sku:a", "group:g", "*")
policies = st.dictionaries(
    st.sampled_from([*TARGETS, "sku:b", "group:h"]),
    st.builds(
        StockPolicy,
        st.just("?"),
        st.sampled_from(Mode),
        st.integers(0, 9000),
        st.integers(0, 100),
    ),
)


@given(policies, policies, st.sampled_from(["g", ""]))
def test_the_nearest_policy_holds(of_place, of_all, group):
    fits = [target for target in TARGETS if group or target != "group:g"]
    ranked = [found[target] for target in fits for found in (of_place, of_all) if target in found]
    expected = ranked[0] if ranked else DEFAULT_POLICY
    assert stock.policy_for("a", group, of_place, of_all) is expected


def test_a_group_without_a_name_is_no_group():
    nameless = StockPolicy("group:", Mode.STRICT)
    assert stock.policy_for("a", "", {"group:": nameless}, {}) is DEFAULT_POLICY


@given(st.integers(0, 100_000), st.integers(-50_000, 100_000), st.integers(0, 50_000), st.data())
def test_the_web_gets_its_share_of_what_is_above_the_floor(received, right, floor, data):
    percent = data.draw(st.integers(0, 100))
    policy = StockPolicy("*", Mode.LENIENT, floor, percent)
    share = stock.web_share(policy, received, right)
    assert 0 <= share <= received * percent // 100
    assert share == 0 or right - share >= floor
    if right - received >= floor:
        assert share == received * percent // 100 // stock.PIECE * stock.PIECE
    more = stock.web_share(StockPolicy("*", Mode.LENIENT, floor, 100), received, right)
    assert share <= more
    assert share % stock.PIECE == 0


@given(st.integers(0, 50), st.floats(0, 40), st.sampled_from(Mode))
def test_a_suggested_policy_is_one_and_keeps_what_a_day_needs(kept, per_day, mode):
    policy = stock.suggested("sku:a", mode, per_day)
    assert not policy.reason()
    assert policy.floor_milli >= round(per_day) * stock.PIECE
    share = stock.web_share(policy, kept * stock.PIECE, kept * stock.PIECE)
    assert kept * stock.PIECE - share >= min(kept * stock.PIECE, policy.floor_milli)
