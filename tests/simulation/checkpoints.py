"""Views from a checkpoint and a tail beside views that lived: a question any world may ask.

`differing(ledger, store)` is the plain way: it makes the store's checkpoint as of now, begins a
file from it, adds what the store holds beyond it, and names the tables that are not the same.
`await store.verify()` asks the same of the store's own base, if it has one.
"""

import io
import sqlite3
from contextlib import closing

from central.nodes.checkpoints import Checkpoints
from edge.store import base, verify
from edge.store.connection import connect_read_only, migrate
from edge.store.journal import Journal
from edge.store.shelf import Shelf
from edge.store.start import begin_from
from edge.store.views import DERIVED, LOCAL, Views
from sync.chain import ALL, StreamId
from sync.checkpoint import frames, opened


class Bare:
    """A node's file, without a store around it: it applies facts, and answers nobody."""

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

    def take(self, public, batch):
        for fact in self.journal.receive(batch, public):
            self.views.take(self.journal.row(batch.stream).id, batch.stream, fact)
        self.commit()

    def begin_from(self, whole, own, store):
        """Begin from a checkpoint's bytes, made by `own`."""
        told = list(frames(io.BytesIO(whole).read))
        self.know((own.node, ALL, own.public))
        checked = opened(told[0], told[1], {own.node: own.public}, (store, ALL))
        self.db.execute("BEGIN")
        begin_from(self.db, self.journal, self.views, checked, iter(told))
        self.commit()
        self.db.execute("COMMIT")

    def commit(self):
        self.shelf.seal(self.journal.places)
        self.shelf.committed()

    def rows(self):
        return rows(self.db, self.shelf)


def rows(db, shelf):
    """Return the rows of every derived table, streams by name, without what is local."""
    streams = {
        id_: StreamId(*name)
        for id_, *name in db.execute("SELECT id, node, incarnation, scope FROM streams")
    }
    found = {"rights": sorted((row[0], streams[row[1]], *row[2:]) for row in shelf.whole())}
    for table in set(DERIVED) - {"rights"}:
        names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        cells = [dict(zip(names, row, strict=True)) for row in db.execute(f"SELECT * FROM {table}")]
        for row in cells:
            for local in LOCAL:
                row.pop(local, None)
            for column in row.keys() & {"stream", "line_stream", "successor"}:
                row[column] = streams.get(row[column])
        found[table] = sorted((tuple(row.values()) for row in cells), key=repr)
    return found


def rows_of(store):
    """Return `rows` of an open store."""
    with closing(connect_read_only(store.path)) as db:
        return rows(db, Shelf(db, lambda stream: verify._number(db, stream)))


async def differing(ledger, store):
    """Name the tables in which a node that begins now would differ from one that lived.

    Args:
        ledger: Head office's.
        store: A store that holds all that head office has of its place.
    """
    made = await Checkpoints(ledger).of(store.store)
    with made.parts:
        whole = b"".join(made.chunks())
    begun = Bare()
    roots = await store._rows("SELECT node, store, public_key FROM roots")
    nodes = await store._rows("SELECT node, store, public_key FROM nodes WHERE public_key != x''")
    begun.know(*roots)
    begun.begin_from(whole, ledger.own, store.store)
    keys = {node: public for node, _, public in (*nodes, *roots)}
    for head in store.heads():
        held = begun.journal.row(head.stream).head.seq
        while (found := await store.batch(head.stream, held)) is not None:
            batch, _ = found
            begun.take(keys[batch.stream.node], batch)
            held = batch.last
    begun.shelf.settle_fences()
    lived, made_again = rows_of(store), begun.rows()
    begun.db.close()
    return sorted(table for table in DERIVED if lived[table] != made_again[table])
