"""Any story, cut anywhere: a checkpoint and the tail, or pruning midway, end in the same rows."""

import io
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.ledger import author, checkpoint, journal
from edge.store import base, prune
from edge.store.connection import migrate
from edge.store.journal import Journal, find_fact
from edge.store.shelf import Shelf
from edge.store.start import begin_from
from edge.store.verify import verify_connection
from edge.store.views import DERIVED, Views
from sync.chain import ALL, StreamId
from sync.checkpoint import KEEP_MS, opened
from sync.checkpoint import frames as frames_of
from sync.facts.node import NodeEnrolled, StoreDescribed
from sync.facts.sale import PaymentSettled, SaleClosed, SaleVoided, Stage
from tests.central.conftest import made, new_desk  # noqa: F401 - fixtures
from tests.central.machine import request
from tests.edge.store.rig import NOW, sale
from tests.edge.store.test_views import AUTHORS, EVENTS, bodies, streams_of

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def lives(who, event, skus, n):
    """A sale by card, as far as it came: tendered, paid, closed, voided after all."""
    told = sale(1, skus=tuple(skus), stage=Stage.TENDERED, method="card")
    stages = [
        told,
        PaymentSettled(0, approved=True),
        SaleClosed(NOW + 1, 5),
        SaleVoided(NOW + 2, 5),
    ]
    return [(who, event, body) for body in stages[:n]]


NOWS = [0, 99 * KEEP_MS]
"""Facts, whose clocks begin at 0, are young, or old."""

somebody, something = st.sampled_from(range(3)), st.sampled_from(EVENTS)
stories = st.lists(
    st.one_of(
        st.tuples(somebody, something, bodies).map(lambda one: [one]),
        st.builds(
            lives,
            somebody,
            something,
            st.lists(st.sampled_from("123"), min_size=1, max_size=3),
            st.integers(1, 4),
        ),
    ),
    min_size=1,
    max_size=8,
).map(lambda parts: [one for part in parts for one in part])


class Edge:
    """A node's file, without a store around it."""

    def __init__(self, path=":memory:"):
        self.db = sqlite3.connect(path, isolation_level=None)
        migrate(self.db)
        self.journal = Journal(self.db)
        self.shelf = Shelf(self.db, lambda stream: self.journal.row(stream).id)
        self.shelf.from_base = lambda: base.pour(self.db, self.db, base.OF_RIGHTS)
        self.views = Views(self.db, self.shelf)

    def know(self, *roots):
        for node, store, public in roots:
            self.db.execute("INSERT OR REPLACE INTO roots VALUES (?, ?, ?)", (node, store, public))

    def take(self, who, batch):
        public = who if isinstance(who, bytes) else who.public
        for fact in self.journal.receive(batch, public):
            self.views.take(self.journal.row(batch.stream).id, batch.stream, fact)
        self.commit()

    def commit(self):
        self.shelf.seal(self.journal.places)
        self.shelf.committed()

    def rows(self):
        streams = dict(self.db.execute("SELECT id, node FROM streams"))
        found = {
            "rights": sorted((row[0], streams[row[1]], *row[2:]) for row in self.shelf.whole())
        }
        for table in set(DERIVED) - {"rights"}:
            names = [row[1] for row in self.db.execute(f"PRAGMA table_info({table})")]
            cells = [
                dict(zip(names, row, strict=True))
                for row in self.db.execute(f"SELECT * FROM {table}")
            ]
            for row in cells:
                row.pop("digest", None)
                for column in row.keys() & {"stream", "line_stream"}:
                    row[column] = streams.get(row[column])
            found[table] = sorted((tuple(row.values()) for row in cells), key=repr)
        return found


def introduce(desk):
    """Certify the authors of the stories at head office."""
    told = [(bytes(16), StoreDescribed("S1", "S1"))]
    for who in AUTHORS:
        csr = x509.load_pem_x509_csr(request(who.private).encode())
        der = desk.authority.node_from(csr, "S1").public_bytes(Encoding.DER)
        told.append((who.node, NodeEnrolled(who.node, "S1", der)))
        desk.keys[who.node] = who.private
    desk.write(lambda unit: author.write(unit, "S1", told))


def central_streams(desk):
    own = desk.ledger.own
    with desk.ledger._database.reading() as connection:
        for stream in journal.load_cursors(connection):
            if stream.node == own.node:
                after = 0
                while batch := journal.batch_after(connection, stream, after):
                    yield batch
                    after = batch.last


def cut(data, story):
    """Draw how much of each stream head office knows."""
    streams = streams_of(story)
    return streams, [data.draw(st.integers(0, len(stream))) for stream in streams]


@given(stories, st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_checkpoint_and_the_tail_are_a_life(new_desk, story, data):  # noqa: F811
    with new_desk() as desk:
        introduce(desk)
        streams, cuts = cut(data, story)
        for stream, n in zip(streams, cuts, strict=True):
            for _, batch in stream[:n]:
                desk.take(batch)
        own = desk.ledger.own
        with desk.ledger._database.reading() as connection:
            made, _ = checkpoint.make(connection, own, "S1", data.draw(st.sampled_from(NOWS)), None)
        with made.parts:
            whole = io.BytesIO(b"".join(made.chunks()))
        assert made.size == len(whole.getbuffer())
        frames = list(frames_of(whole.read))
        told = opened(frames[0], frames[1], {own.node: own.public}, ("S1", ALL))
        begun, lived = Edge(), Edge()
        begun.know((own.node, ALL, own.public))
        lived.know((own.node, ALL, own.public))
        begun.db.execute("BEGIN")
        begin_from(begun.db, begun.journal, begun.views, told, iter(frames))
        begun.commit()
        begun.db.execute("COMMIT")
        for batch in central_streams(desk):
            lived.take(own.public, batch)
        for stream, n in zip(streams, cuts, strict=True):
            for who, batch in stream:
                lived.take(who, batch)
            for who, batch in stream[n:]:
                begun.take(who, batch)
        assert begun.rows() == lived.rows()
        verdict = verify_connection(begun.db)
        assert verdict.sound, verdict.findings


@given(stories, st.data())
@settings(max_examples=60)
def test_pruning_midway_is_a_life(story, data):
    streams = streams_of(story)
    queue = []
    queues = [list(stream) for stream in streams]
    while any(queues):
        queue.append(data.draw(st.sampled_from([one for one in queues if one])).pop(0))
    lived = Edge()
    with (
        TemporaryDirectory(dir=MEMORY) as folder,
        patch.object(prune, "WORTH_IT", 1),
        patch.object(prune, "SLICE", 2),
        closing(lived.db),
    ):
        path = Path(folder) / "edge.sqlite"
        pruned = Edge(path)
        for who in AUTHORS:
            pruned.know((who.node, "S1", who.public))
        told: dict[StreamId, int] = {}
        for who, batch in queue:
            lived.take(who, batch)
            pruned.take(who, batch)
            if data.draw(st.booleans()):
                for head in pruned.journal.heads():
                    told[head.stream] = data.draw(st.integers(told.get(head.stream, 0), head.seq))
                drop(pruned, path, told)
                assert gone(pruned) <= {
                    (stream, seq) for stream, safe in told.items() for seq in range(1, safe + 1)
                }, "what is not safe is never dropped"
        assert pruned.rows() == lived.rows()
        verdict = verify_connection(pruned.db)
        assert verdict.sound, verdict.findings
        again = Edge(path)
        assert again.rows() == lived.rows()
        pruned.shelf.rebuild()
        pruned.commit()
        assert pruned.rows() == lived.rows(), "as a fence would have it"
        again.db.close()
        pruned.db.close()


def gone(edge):
    """Return the facts that are not there any more."""
    return {
        (stream, seq)
        for id_, stream in edge.journal.ids()
        for seq in range(1, edge.journal.row(stream).head.seq + 1)
        if find_fact(edge.db, id_, seq) is None
    }


def drop(edge, path, safe):
    """Prune as `Store.prune` does, each step in a transaction."""
    later = NOW + 99 * KEEP_MS
    parts = path.with_name("parts")
    try:
        planned = prune.plan(path, AUTHORS[0], ("S1", ALL), safe, later, parts)
    except prune.NotNow as why:
        told = str(why)
        assert "old and safe" in told
        return
    offset, number = 0, 0
    while not number or offset < parts.stat().st_size:
        offset, number = prune.put_some(edge.db, planned, offset, number)
    edge.db.execute("BEGIN")
    prune.move(edge.db, edge.journal, planned)
    edge.shelf.fold_next()
    edge.commit()
    edge.db.execute("COMMIT")
    whole, nth, after = base.whole_facts(edge.db), 0, 0
    while base.keep_goods(edge.db, nth):
        nth += 1
    while after is not None:
        _, after = prune.drop_some(edge.db, whole, after)
    assert prune.clear_some(edge.db) is False
    assert prune.is_done(edge.db, whole)
