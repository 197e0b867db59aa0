"""Views are functions of the set of facts, not of the order in which they came."""

import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.store.connection import migrate
from edge.store.journal import Journal
from edge.store.shelf import Shelf
from edge.store.views import DERIVED, Views
from sync.chain import Batch, Fact, Head, StreamId, extend, genesis, sign
from sync.facts import encode, kind_of
from sync.facts.count import (
    CountedLine,
    CountedLines,
    CountMarked,
    CountOpened,
    CountPosted,
    CountTaken,
    PostedLine,
    PostedLines,
)
from sync.facts.returned import ReturnedLine, SaleReturned
from sync.facts.rights import CellLines
from sync.facts.sale import Payment, PaymentSettled, SaleClosed, SaleVoided, Stage
from sync.facts.stock import (
    GoodsMoved,
    GoodsReceived,
    Movement,
    ReceivedLine,
    ReceivedLines,
    TransferAnnounced,
)
from tests.edge.store.rig import NOW, key, sale

AUTHORS = [key(1), key(2), key(3)]
EVENTS = [bytes([n]) * 16 for n in range(3)]
STREAMS = [StreamId(author.node, 1, "S1") for author in AUTHORS]
MILLI = st.integers(1, 3000)
SKU = st.sampled_from("123")

goods = st.one_of(
    st.builds(
        GoodsMoved,
        st.sampled_from(Movement),
        st.integers(NOW, NOW + 9),
        st.just(5),
        st.builds(lambda sku, milli: CellLines.by_cell({sku: milli}), SKU, MILLI),
        st.just(""),
        st.just("S2"),
        st.sampled_from([b"", *EVENTS]),
    ),
    st.builds(
        lambda sku, milli: TransferAnnounced("S2", NOW, CellLines.by_cell({sku: milli})), SKU, MILLI
    ),
    st.builds(CountOpened, st.just(NOW), st.just(5), st.sampled_from(["Spis", "Inny"])),
    st.builds(
        lambda sku, milli, at: CountTaken(
            NOW, 5, CountedLines.of((CountedLine(sku, milli),)), (STREAMS[at],), (1,)
        ),
        SKU,
        MILLI,
        st.integers(0, 2),
    ),
    st.builds(
        lambda of, own, line, number: CountMarked(of, (line,), (own,), ((number,),)),
        st.sampled_from(STREAMS),
        st.sampled_from(STREAMS),
        st.integers(1, 3),
        st.integers(0, 5),
    ),
    st.builds(
        lambda sheet, sku, by, hlc: CountPosted(
            NOW, 5, sheet, PostedLines.of((PostedLine(sku, 0, by, hlc),))
        ),
        st.sampled_from(EVENTS),
        SKU,
        st.integers(-3000, 3000),
        st.integers(0, 3),
    ),
)

bodies = st.one_of(
    st.builds(
        lambda skus, q, stage, method, at: __import__("msgspec").structs.replace(
            sale(1, skus=tuple(skus), quantity=q, stage=stage, method=method), at_ms=NOW + at
        ),
        st.lists(st.sampled_from("123"), min_size=1, max_size=3),
        st.integers(1, 3000),
        st.sampled_from([Stage.TENDERED, Stage.CLOSED]),
        st.sampled_from(["cash", "card"]),
        st.integers(0, 9),
    ),
    st.builds(PaymentSettled, payment=st.just(0), approved=st.booleans()),
    st.just(SaleClosed(NOW, 5)),
    st.just(SaleVoided(NOW, 5)),
    st.builds(
        lambda at, minor: SaleReturned(
            EVENTS[0],
            "T1-A/1",
            NOW,
            20260131,
            NOW + at,
            5,
            20260131,
            "T1",
            "anna",
            "1",
            (ReturnedLine(0, "1", "Chleb", 1000, minor, "5"),),
            (Payment("cash", minor),),
            "bo",
        ),
        st.integers(0, 9),
        st.integers(1, 3),
    ),
    st.builds(
        lambda skus, q, at: GoodsReceived(
            NOW + at, 5, ReceivedLines.of(tuple(ReceivedLine(sku, q) for sku in skus))
        ),
        st.lists(st.sampled_from("123"), min_size=1, max_size=3),
        st.integers(1, 3000),
        st.integers(0, 9),
    ),
    goods,
)

stories = st.lists(
    st.tuples(st.sampled_from(range(3)), st.sampled_from(EVENTS), bodies), min_size=1, max_size=14
)


def streams_of(story):
    """Write the story into one stream an author; return each stream as single-fact batches."""
    made = []
    for number, author in enumerate(AUTHORS):
        stream = StreamId(author.node, 1, "S1")
        facts = []
        for who, event, body in story:
            if who == number:
                kind, version = kind_of(body)
                facts.append(Fact(len(facts) + 1, 1, kind, version, event, encode(body)))
        hashes = extend(genesis(stream), facts)
        made.append(
            [
                (author, Batch(stream, [f], sign(author.private, Head(stream, f.seq, h))))
                for f, h in zip(facts, hashes, strict=True)
            ]
        )
    return made


def rows_after(deliveries):
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db)
    journal = Journal(db)
    shelf = Shelf(db, lambda stream: journal.row(stream).id)
    views = Views(db, shelf)
    for author, batch in deliveries:
        for fact in journal.receive(batch, author.public):
            views.take(journal.row(batch.stream).id, batch.stream, fact)
    shelf.fold_next()
    shelf.seal(journal.places)
    named = dict(db.execute("SELECT id, node FROM streams"))
    tables = {}
    for table in DERIVED:
        names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        rows = []
        for row in db.execute(f"SELECT * FROM {table}"):
            cells = dict(zip(names, row, strict=True))
            cells.pop("nth", None)
            for column in cells.keys() & {"stream", "line_stream"}:
                cells[column] = named.get(cells[column])  # numbered as they came
            rows.append(tuple(cells.values()))
        tables[table] = sorted(rows, key=repr)
    db.close()
    return tables


@given(stories, st.data())
@settings(max_examples=120, deadline=None)
def test_any_order_of_delivery_and_any_repetition_ends_in_the_same_rows(story, data):
    streams = streams_of(story)
    straight = [delivery for stream in streams for delivery in stream]
    queues = [list(stream) for stream in streams]
    mixed = []
    while any(queues):
        queue = data.draw(st.sampled_from([queue for queue in queues if queue]))
        mixed.append(queue.pop(0))
        if data.draw(st.booleans()):
            mixed.append(data.draw(st.sampled_from(mixed)))
    assert rows_after(mixed) == rows_after(straight)
    assert rows_after(straight) == rows_after([d for stream in reversed(streams) for d in stream])
