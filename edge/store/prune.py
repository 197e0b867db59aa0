"""Dropping old facts: those that head office keeps safely, and nobody here will miss.

A fact may go when head office has reported it *safe* (backed up, not merely stored), it is
older than `KEEP_DAYS` by trusted time, and it is of a kind that no view reads again. Sales
that are not closed, documents and facts that cannot be read yet stay, however old.

First the journal is verified, and what the facts that may go add up to is written down as a
checkpoint of our own (`edge.store.base`), of one moment and beside the writer. Its frames are
put into the file a few at a time and count for nothing; then one transaction makes them the
base; then what sales took is noted, and then their facts go, a few at a time. A power cut
between any two of these loses nothing: what was not dropped is dropped the next time.
"""

import shutil
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from edge.keys import NodeKey
from edge.store import base, start, verify
from edge.store.connection import connect_read_only
from edge.store.journal import Journal, place
from edge.store.shelf import Shelf, goods_of
from edge.store.views import Views
from sync import checkpoint
from sync.chain import Head, StreamId
from sync.checkpoint import KEEP_MS, SETTLED_KINDS, Cut, Manifest, Part
from sync.clock import COUNTER_BITS
from sync.errors import BadFact

WORTH_IT = 1000
"""Facts from which on it is done: the base costs a verification and a copy of the views."""

SLICE = 500
"""Facts dropped in one unit of work."""

SLICE_BYTES = 1 << 20
"""Bytes of frames written, or cleared, in one unit of work."""


ROOM = 64 << 20
"""Bytes of the disk that are left to selling."""

_BELOW = (
    "facts JOIN bases ON place > stream << 40 AND place <= (stream << 40) + seq "
    f"WHERE kind IN {base.SETTLED}"
)


class Pruned(NamedTuple):
    """What came of it."""

    facts: int
    """Dropped."""

    streams: int
    """Whose base moved."""

    why_not: str = ""
    """Empty, or why nothing was done."""


class Plan(NamedTuple):
    """The base that is to be, and how far it stands for each stream."""

    bases: dict[StreamId, Head]
    generation: int
    signature: bytes
    told: bytes
    """The manifest."""

    parts: Path
    """File of the parts, framed."""


class NotNow(Exception):
    """Nothing is to be dropped; says why."""


def plan(
    path: Path,
    key: NodeKey,
    scopes: tuple[str, ...],
    safe: Mapping[StreamId, int],
    now_ms: int,
    parts: Path,
) -> Plan:
    """Look, verify and write the base down; reads the database, in any thread.

    Args:
        path: The database.
        key: Signs the base.
        scopes: What the views are of.
        safe: How far head office has each stream safely.
        now_ms: Trusted time.
        parts: A file to write the parts into.

    Raises:
        NotNow: There is too little to drop, or something is wrong with what is here.
    """
    with ExitStack() as stack:
        db = stack.enter_context(closing(connect_read_only(path)))
        db.execute("BEGIN")  # one moment for all that follows
        bases = _bases(db, safe, now_ms - KEEP_MS)
        findings = verify.verify_connection(db).findings
        if findings:
            raise NotNow(f"the journal does not verify: {findings[0]}")
        made = stack.enter_context(closing(verify.database_beside()))
        numbers = base.numbers(db)
        ids = {numbers[stream]: head for stream, head in bases.items()}
        whole = _make(db, made, ids)
        streams = base.Streams(tuple(ids), tuple(bases))
        notes: list[Part] = []
        with parts.open("wb") as file:
            for view in checkpoint.VIEWS:
                source = _kept(db, streams, ids, whole) if view == "facts" else None
                rows = source or base.rows_of(made, streams, view)
                for packed in checkpoint.pack(view, rows):
                    notes.append(packed.part)
                    file.write(checkpoint.framed(packed.frame))
        needed = 2 * parts.stat().st_size + ROOM  # in the file, and in the WAL before
        if shutil.disk_usage(path.parent).free < needed:
            raise NotNow(f"it takes {needed} bytes of room for a while, and the disk has less")
        cuts = tuple(Cut(s.name(), head.seq, head.hash, head.seq) for s, head in bases.items())
        views = checkpoint.versions()
        manifest = Manifest(checkpoint.FORMAT, now_ms, key.node, scopes, views, cuts, tuple(notes))
        return Plan(
            bases, base.generation(db) + 1, *checkpoint.sealed(manifest, key.private), parts
        )


def _bases(
    db: sqlite3.Connection, safe: Mapping[StreamId, int], before_ms: int
) -> dict[StreamId, Head]:
    """Return where the base of each stream may stand: at safe and old facts only.

    Raises:
        NotNow: Too few facts could be dropped.
    """
    journal = Journal(db)
    found: dict[StreamId, Head] = {}
    many = 0
    for id_, stream in journal.ids():
        row = journal.row(stream)
        last = row.base
        if not row.frozen and (limit := min(safe.get(stream, 0), row.head.seq)) > last:
            (young,) = db.execute(
                "SELECT min(place) FROM facts WHERE place BETWEEN ? AND ? AND hlc >= ?",
                (place(id_, last + 1), place(id_, limit), before_ms << COUNTER_BITS),
            ).fetchone()
            last = limit if young is None else young - place(id_, 0) - 1
        if last:
            found[stream] = Head(stream, last, journal.hash_at(stream, last) or b"")
            (some,) = db.execute(
                "SELECT count(*) FROM facts WHERE place BETWEEN ? AND ? "
                f"AND kind IN {base.SETTLED}",
                (place(id_, row.base + 1), place(id_, last)),
            ).fetchone()
            many += some
    if many < WORTH_IT:
        raise NotNow(f"{many} facts are old and safe; it is done from {WORTH_IT} on")
    return found


def _make(db: sqlite3.Connection, made: sqlite3.Connection, bases: Mapping[int, Head]) -> set[int]:
    """Make the views of settled facts up to the new bases; return which of these stay whole."""
    made.execute("BEGIN")
    views = Views(made, Shelf(made, lambda _: 0, facts=db), facts=db)
    for row in db.execute("SELECT * FROM streams"):
        made.execute(f"INSERT INTO streams VALUES ({', '.join('?' * len(row))})", row)
    unapplied = base.pour(db, made)
    stood = base.bases(db)
    for id_, head in bases.items():
        for fact in base.to_apply(db, id_, stood.get(id_, 0), unapplied):
            if fact.seq > head.seq:
                break
            if fact.kind in SETTLED_KINDS:
                views.take(id_, head.stream, fact)
                views.shelf.committed()
    views.shelf.fold(())
    views.shelf.committed()
    whole = {place(id_, head.seq) for id_, head in bases.items()} | {
        at
        for rows in (
            made.execute("SELECT (stream << 40) + seq FROM unreadable"),
            made.execute("SELECT (stream << 40) + seq FROM quarantine"),
            made.execute(
                "SELECT (stream << 40) + seq FROM sales WHERE stage < 4 AND stream IS NOT NULL"
            ),
            db.execute(
                "SELECT (stream << 40) + seq FROM slips JOIN sales ON sales.event = slips.event "
                "WHERE state IN ('intended', 'sending', 'refused') AND stream IS NOT NULL"
            ),
        )
        for (at,) in rows
    }
    for id_, head in bases.items():
        for (at,) in db.execute(
            "SELECT place FROM facts WHERE place BETWEEN ? AND ? AND kind = 'sale'",
            (place(id_, 1), place(id_, head.seq)),
        ):
            if at not in whole and (taken := _goods(db, id_, at - place(id_, 0))):
                made.execute("INSERT OR REPLACE INTO goods VALUES (?, ?, ?)", (at, *taken))
    return whole


def _goods(db: sqlite3.Connection, stream: int, seq: int) -> tuple[int, bytes] | None:
    """Return how a sale was written whose fact is to go, and what it takes."""
    try:
        taken = goods_of(db, stream, seq)
    except BadFact:
        return None  # in quarantine
    return (taken[0], checkpoint.goods(taken[1])) if taken else None


def _kept(
    db: sqlite3.Connection, streams: base.Streams, bases: Mapping[int, Head], whole: set[int]
) -> Iterator[tuple[object, ...]]:
    """Give the facts up to the bases that stay: of kinds that views read again, and `whole`."""
    for at, id_ in enumerate(streams.ids):
        for row in db.execute(
            f"SELECT {base.COLUMNS['facts']}, kind IN {base.SETTLED} FROM facts "
            "WHERE place BETWEEN ? AND ? ORDER BY place",
            (place(id_, 1), place(id_, bases[id_].seq)),
        ):
            key, *fact, settled = row
            if not settled or key in whole:
                yield (at, key - place(id_, 0), *fact)


def put_some(db: sqlite3.Connection, planned: Plan, offset: int, first: int) -> tuple[int, int]:
    """Put some frames of a plan into the file; return where to go on, and with which number.

    Args:
        db: In a transaction.
        planned: The plan.
        offset: In its file of parts.
        first: Number of the frame there; those before it are signature and manifest.
    """
    if first == 0:
        db.execute("DELETE FROM base_frames WHERE generation = ?", (planned.generation,))
        start.put(db, planned.generation, 0, iter((planned.signature, planned.told)))
        first = 2
    some: list[bytes] = []
    with planned.parts.open("rb") as file:
        file.seek(offset)
        for frame in checkpoint.frames(file.read):
            some.append(frame)
            if file.tell() - offset >= SLICE_BYTES:
                break
        offset = file.tell()
    start.put(db, planned.generation, first, iter(some))
    return offset, first + len(some)


def move(db: sqlite3.Connection, journal: Journal, planned: Plan) -> None:
    """Make the plan the base, all frames being there; nothing is dropped yet.

    Raises:
        NotNow: What is here has changed meanwhile: a stream was cut off, or there is another base.
    """
    if base.generation(db) + 1 != planned.generation:
        raise NotNow("there is another base meanwhile")
    for stream, head in planned.bases.items():
        if journal.hash_at(stream, head.seq) != head.hash:
            raise NotNow(f"stream {stream} was cut off meanwhile")
    start.count(db, planned.generation)
    journal.stand_on({stream: (head.seq, head.seq) for stream, head in planned.bases.items()})


def is_done(db: sqlite3.Connection, whole: Collection[int]) -> bool:
    """Whether nothing is left to be dropped below the bases, nor of former bases."""
    rows = db.execute(f"SELECT place FROM {_BELOW}")
    left = db.execute(
        "SELECT 1 FROM base_frames WHERE generation <> ? LIMIT 1", (base.generation(db),)
    )
    return all(at in whole for (at,) in rows) and left.fetchone() is None


def drop_some(db: sqlite3.Connection, whole: Collection[int], after: int) -> tuple[int, int | None]:
    """Drop some facts below the bases; what their sales took is kept already.

    Args:
        db: In a transaction.
        whole: Places of facts that stay (`base.whole_facts`).
        after: Place to go on from; 0 to begin.

    Returns:
        How many were dropped, and the place to go on from; None: that was all.
    """
    rows = [
        at
        for (at,) in db.execute(
            f"SELECT place FROM {_BELOW} AND place > ? ORDER BY place LIMIT ?",
            (after, SLICE),
        )
    ]
    gone = [(at,) for at in rows if at not in whole]
    db.executemany("DELETE FROM facts WHERE place = ?", gone)
    return len(gone), rows[-1] if rows else None


def clear_some(db: sqlite3.Connection) -> bool:
    """Clear some frames that count for nothing; return whether there may be more."""
    rows = db.execute(
        "SELECT generation, n, length(frame) FROM base_frames WHERE generation <> ?",
        (base.generation(db),),
    ).fetchall()
    size = 0
    for number, n, length in rows:
        if size >= SLICE_BYTES:
            return True
        size += length
        db.execute("DELETE FROM base_frames WHERE generation = ? AND n = ?", (number, n))
    return False
