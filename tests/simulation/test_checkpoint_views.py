"""Any story, cut anywhere: a checkpoint and the tail, or pruning midway, end in the same rows."""

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
from edge.store.journal import find_fact
from edge.store.verify import verify_connection
from sync.chain import ALL, StreamId
from sync.checkpoint import KEEP_MS
from sync.facts.node import NodeEnrolled, StoreDescribed
from sync.facts.sale import PaymentSettled, SaleClosed, SaleVoided, Stage
from tests.central.conftest import made, new_desk  # noqa: F401 - fixtures
from tests.central.machine import request
from tests.edge.store.rig import NOW, sale
from tests.edge.store.test_views import AUTHORS, EVENTS, bodies, streams_of
from tests.simulation.checkpoints import Bare

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
            whole = b"".join(made.chunks())
        assert made.size == len(whole)
        begun, lived = Bare(), Bare()
        begun.begin_from(whole, own, "S1")
        lived.know((own.node, ALL, own.public))
        for batch in central_streams(desk):
            lived.take(own.public, batch)
        for stream, n in zip(streams, cuts, strict=True):
            for who, batch in stream:
                lived.take(who.public, batch)
            for who, batch in stream[n:]:
                begun.take(who.public, batch)
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
    lived = Bare()
    with (
        TemporaryDirectory(dir=MEMORY) as folder,
        patch.object(prune, "WORTH_IT", 1),
        patch.object(prune, "SLICE", 2),
        closing(lived.db),
    ):
        path = Path(folder) / "edge.sqlite"
        pruned = Bare(path)
        for who in AUTHORS:
            pruned.know((who.node, "S1", who.public))
        told: dict[StreamId, int] = {}
        for who, batch in queue:
            lived.take(who.public, batch)
            pruned.take(who.public, batch)
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
        again = Bare(path)
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
