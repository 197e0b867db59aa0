"""Rows of rights: a function of one stream each, whatever order facts and fences come in."""

from collections import defaultdict

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.ledger import author, shelves, upkeep
from central.ledger.tables import RIGHTS
from sync.chain import StreamId
from sync.facts.node import StreamClosed
from sync.facts.rights import CellLines, Move, RightsMoved
from sync.facts.sale import Sale, SaleClosed, SaleVoided, Stage
from sync.facts.stock import GoodsMoved, GoodsReceived, Movement
from sync.merge import stock
from sync.merge.stock import Column
from tests.central.machine import delivery, sale

EVENTS = [bytes([n]) * 16 for n in range(1, 4)]
ELSEWHERE = StreamId(b"z" * 16, 1, "S1")


def lines(**amounts):
    return CellLines.by_cell(amounts)


def expected(writers, ends):  # noqa: C901, PLR0912 - the rule, told in one piece
    """What the rows must be, worked out the slow way: stream by stream, fact by fact."""
    rows = defaultdict(lambda: [0] * (stock.WIDTH + 1))
    for writer in writers:
        stream = writer.stream
        tendered, closed, voided, recorded, came = {}, {}, {}, set(), set()
        for fact in writer.facts:
            body = writer.bodies[fact.seq]
            moves = []
            match body:
                case Sale() if fact.event not in recorded:
                    recorded.add(fact.event)
                    if body.stage is Stage.CLOSED:
                        moves = [(Column.USED, body.lines.sums().by_sku, 1)]
                    else:
                        tendered[fact.event] = body.lines.sums().by_sku
                case SaleClosed() if fact.event in tendered and fact.event not in closed:
                    closed[fact.event] = True
                    if fact.event not in voided:
                        moves = [(Column.USED, tendered[fact.event], 1)]
                        closed[fact.event] = "counted"
                case SaleVoided() if fact.event in tendered and fact.event not in voided:
                    voided[fact.event] = True
                    if closed.get(fact.event) == "counted":
                        moves = [(Column.MADE, tendered[fact.event], 1)]
                case GoodsReceived() if fact.event not in came:
                    came.add(fact.event)
                    moves = stock.moves(body)
                case RightsMoved() | GoodsMoved():
                    moves = stock.moves(body)
            counts = fact.seq <= ends.get(stream, fact.seq)
            for column, amounts, sign in moves:
                for holder, at in ((stream, column), (stock.receiver(body), Column.GOT)):
                    if holder is None:
                        continue
                    for cell, milli in amounts.items():
                        row = rows[cell, holder]
                        row[at] += counts * sign * milli
                        row[-1] = max(row[-1], fact.hlc >> 16)
    return {key: tuple(row) for key, row in rows.items()}


def held(desk):
    return {(row[1], StreamId(row[2], row[3], row[0])): row[4:] for row in desk.rows(RIGHTS)}


amounts = st.dictionaries(st.sampled_from("AB"), st.integers(1, 5000), min_size=1, max_size=2)
event = st.sampled_from(EVENTS)


def told(streams):
    return st.one_of(
        st.tuples(
            st.builds(
                lambda a, stage: sale(*((s, q, 100) for s, q in a.items()), stage=stage),
                amounts,
                st.sampled_from((Stage.TENDERED, Stage.CLOSED)),
            ),
            event,
        ),
        st.tuples(st.just(SaleClosed(1, 2)), event),
        st.tuples(st.just(SaleVoided(1, 2)), event),
        st.tuples(st.builds(lambda a: delivery(*a.items()), amounts), event),
        st.tuples(
            st.builds(
                lambda a, m: GoodsMoved(m, 1, 2, CellLines.by_cell(a), place="S2"),
                amounts,
                st.sampled_from(Movement),
            ),
            event,
        ),
        st.tuples(
            st.builds(
                lambda a, m: RightsMoved(m, CellLines.by_cell(a)),
                amounts,
                st.sampled_from([move for move in Move if move is not Move.GIVEN]),
            ),
            event,
        ),
        st.tuples(
            st.builds(
                lambda a, to: RightsMoved(Move.GIVEN, CellLines.by_cell(a), to),
                amounts,
                st.integers(0, streams),
            ),
            event,
        ),
    )


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    streams=st.lists(st.lists(told(2), min_size=1, max_size=9), min_size=1, max_size=3),
    data=st.data(),
)
def test_rows_are_what_each_stream_says_in_any_order(new_desk, streams, data):
    with new_desk() as desk:
        writers = [desk.member() for _ in streams]
        receivers = [writer.stream for writer in writers] + [ELSEWHERE] * 3
        for writer, bodies in zip(writers, streams, strict=True):
            writer.bodies = {}
            for body, about in bodies:
                if isinstance(body, RightsMoved) and isinstance(body.to, int):
                    body = RightsMoved(body.move, body.lines, receivers[body.to])  # noqa: PLW2901
                writer.bodies[writer.write(body, about).seq] = body
        ends = {}
        heads = [0] * len(writers)
        steps = [n for n in range(len(writers)) if streams[n]]
        fences = data.draw(st.sets(st.sampled_from(range(len(writers)))))
        while steps or fences:
            step = data.draw(st.sampled_from([*steps, *(-1 - n for n in sorted(fences))]))
            if step < 0:
                n = -1 - step
                fences.remove(n)
                writer = writers[n]
                seq = data.draw(st.integers(0, len(writer.facts)))
                digest = writer.hashes[seq - 1] if seq else bytes(32)
                closed = StreamClosed(writer.stream, seq, digest, ELSEWHERE, "lost")
                desk.write(lambda unit, c=closed: author.write(unit, "S1", [(EVENTS[0], c)]))
                ends[writer.stream] = seq
                continue
            writer = writers[step]
            last = data.draw(st.integers(heads[step] + 1, len(writer.facts)))
            desk.take(writer.batch(heads[step] + 1, last))
            heads[step] = last
            if last == len(writer.facts):
                steps.remove(step)
        # Of what was taken, every fact counts up to the fence of its stream.
        kept = {writer.stream: 0 for writer in writers}
        kept |= {head.stream: head.seq for head in desk.ledger.published.heads("S1")}
        kept = {stream: min(seq, ends.get(stream, seq)) for stream, seq in kept.items()}
        assert moved(held(desk)) == moved(expected(writers, kept))
        lived = desk.views()
        desk.write(upkeep.rebuild)
        assert desk.views() == lived


def moved(rows):
    """Rows that moved at all, without their age: what is beyond a fence may mention its cells."""
    return {key: row[:-1] for key, row in rows.items() if any(row[:-1])}


def test_what_a_closed_stream_left_is_its_heirs(desk):
    one, two = desk.member(), desk.member()
    one.write(delivery(("A", 5000)))
    one.write(sale(("A", 1000, 100)))
    one.write(sale(("A", 500, 100), number=2))
    desk.take(one.batch(1, 1))
    two.write(sale(("A", 2000, 100)))
    desk.take(two.batch())
    closed = StreamClosed(one.stream, 2, one.hashes[1], two.stream, "lost")
    desk.write(lambda unit: author.write(unit, "S1", [(EVENTS[0], closed)]))

    def rights():
        with desk.ledger._database.reading() as connection:
            return shelves.of_store(connection, "S1", ["A"])["A"].rights()

    # Its stream is not here up to its end: what it leaves is not known yet.
    assert rights() == {two.stream: -2000}
    desk.take(one.batch(2, 2))
    assert rights() == {two.stream: 2000}
    desk.take(one.batch(3, 3))
    assert rights() == {two.stream: 2000}
