"""The base: what this node's views stand on, besides the facts that came after.

A node that lives has every fact since number 1, and its base is nothing. One that began
from head office's checkpoint, or has dropped old facts, keeps that checkpoint, or one that
it made itself before dropping. It says what the facts of the settled kinds up to some number
of each stream add up to, and has the other facts up to there whole. So views are made again
by pouring it into empty tables and applying those others, and then what came after.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from edge.store.connection import StoreDamaged
from edge.store.index import list_sales
from edge.store.journal import SEQ_BITS, facts_of, place
from edge.store.views import DERIVED, Views, add_articles, add_prices, add_vat_rates
from sync import checkpoint
from sync.chain import Fact, StreamId
from sync.checkpoint import SETTLED_KINDS, STREAM_AT, VIEWS, Opened
from sync.errors import SyncError

_HEADS = 2
"""Frames before the parts: signature and manifest."""

Rows = Sequence[tuple[Any, ...]]

GENERATION = "base"
"""Key in `meta` of the generation of frames that counts."""

OF_RIGHTS = frozenset({"rights", "closings"})
OF_FACTS = frozenset({"facts"})
OF_VIEWS = frozenset(VIEWS) - OF_FACTS

SETTLED = "('{}')".format("', '".join(sorted(SETTLED_KINDS)))
"""For a question of the facts of these kinds."""

COLUMNS = {
    "facts": "place, hlc, kind, version, event, body, hash, signature",
    "articles": "sku, revision, name, fiscal_name, unit, vat, codes, deposit_minor, age_min, "
    "grouping, from_ms",
    "prices": "sku, from_ms, revision, unit_minor",
    "vat_rates": "code, since, revision, basis_points, exempt",
    "sales": "event, stream, seq, stage, later, till, series, number, at_ms, business_day, "
    "cashier, channel, lines, quantity_milli, total_minor",
    "tills": "till, hour, node",
    "settled": "event, payment, stream, seq, approved",
    "duplicates": "event, stream, seq",
    "rights": "cell, stream, used, made, as_of_ms",
    "closings": "stream, event, closed, voided",
    "goods": "place, stage, taken",
    "unapplied": "stream, seq",
}
"""Every view of a checkpoint: a table of this file, and what of it the rows have. A `place`
stands for a stream and a number; those unapplied are kept in two tables."""

_TABLE = {
    "unapplied": "(SELECT stream, seq FROM unreadable UNION SELECT stream, seq FROM quarantine)"
}
_CONSTANT = {
    "duplicates": {"record": "'sales'"},
    "rights": dict.fromkeys(("held", "freed", "done", "gave", "got", "over", "covered"), "0"),
}
"""Columns that are the same in every row."""

_ADD = {"articles": add_articles, "prices": add_prices, "vat_rates": add_vat_rates}

Unapplied = Collection[tuple[int, int]]
"""Streams and numbers of facts of settled kinds which the base has whole, and not applied: its
maker could not read them, or had set them aside."""


class Streams(NamedTuple):
    """The streams of a checkpoint, in its order."""

    ids: tuple[int, ...]
    """As numbered in this file."""

    names: tuple[StreamId, ...]


def rows_of(db: sqlite3.Connection, streams: Streams, view: str) -> Iterator[tuple[Any, ...]]:
    """Give the rows of a view as a checkpoint has them."""
    at = STREAM_AT.get(view)
    places = {id_: index for index, id_ in enumerate(streams.ids)}
    query = f"SELECT {COLUMNS[view]} FROM {_TABLE.get(view, view)}"
    if COLUMNS[view].startswith("place"):
        for key, *rest in db.execute(query):
            yield (places[key >> SEQ_BITS], key & ((1 << SEQ_BITS) - 1), *rest)
    elif at is None:
        yield from db.execute(query)
    else:
        for row in db.execute(query):
            yield (*row[:at], None if row[at] is None else places[row[at]], *row[at + 1 :])


def _pour(db: sqlite3.Connection, streams: Streams, view: str, rows: Rows) -> None:
    """Put rows of a view into its table."""
    at, ids = STREAM_AT.get(view), streams.ids
    if view in _ADD:
        _ADD[view](db, rows)
        return
    if COLUMNS[view].startswith("place"):
        rows = [(place(ids[row[0]], row[1]), *row[2:]) for row in rows]
    elif at is not None:
        rows = [
            (*row[:at], None if row[at] is None else ids[row[at]], *row[at + 1 :]) for row in rows
        ]
    constant = _CONSTANT.get(view, {})
    columns = ", ".join((COLUMNS[view], *constant))
    marks = ", ".join((*["?"] * len(COLUMNS[view].split(", ")), *constant.values()))
    db.executemany(f"INSERT INTO {view} ({columns}) VALUES ({marks})", rows)


def generation(db: sqlite3.Connection) -> int:
    """Return which frames are the base; 0: there is none."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (GENERATION,)).fetchone()
    return int.from_bytes(row[0], "big") if row else 0


def _frame(db: sqlite3.Connection, number: int, n: int) -> bytes:
    """Return a frame of a generation; empty if it is not there."""
    row = db.execute(
        "SELECT frame FROM base_frames WHERE generation = ? AND n = ?", (number, n)
    ).fetchone()
    return row[0] if row else b""


def bases(db: sqlite3.Connection) -> dict[int, int]:
    """Return up to which number the base has the streams that it has; the others from 1."""
    return dict(db.execute("SELECT stream, seq FROM bases").fetchall())


def pour(
    db: sqlite3.Connection, into: sqlite3.Connection, views: Collection[str] = OF_VIEWS
) -> Unapplied:
    """Pour views of the base of `db` into empty tables of `into`, which has the same streams.

    Raises:
        StoreDamaged: The base is not what was written.
    """
    unapplied: set[tuple[int, int]] = set()
    with _damage():
        for streams, view, rows in _parts(db, {*views, "unapplied"}):
            if view == "unapplied":
                unapplied.update((streams.ids[at], seq) for at, seq in rows)
            else:
                _pour(into, streams, view, rows)
        list_sales(into)
    return unapplied


def whole_facts(db: sqlite3.Connection) -> set[int]:
    """Return the places of the facts that the base has whole: these are never dropped.

    Raises:
        StoreDamaged: The base is not what was written.
    """
    found: set[int] = set()
    with _damage():
        for streams, _, rows in _parts(db, OF_FACTS):
            found.update(place(streams.ids[row[0]], row[1]) for row in rows)
    return found


def opened(db: sqlite3.Connection) -> Opened | None:
    """Return the base with its signature checked; None: there is none.

    Raises:
        RemoteProtocolError: It is not what was written.
    """
    number = generation(db)
    if not number:
        return None
    keys = dict(db.execute("SELECT node, public_key FROM roots").fetchall())
    return checkpoint.opened(_frame(db, number, 0), _frame(db, number, 1), keys)


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except (SyncError, sqlite3.IntegrityError, KeyError) as error:
        raise StoreDamaged(
            f"The base of the views is damaged ({error}); put a backup of the database in its "
            "place, or move the folder away and run karb init with a new code."
        ) from error


def keep_goods(db: sqlite3.Connection, nth: int) -> bool:
    """Keep what sales take that the base does not have whole: one part of it; whether there was.

    Raises:
        StoreDamaged: The base is not what was written.
    """
    with _damage():
        for streams, _, rows in _parts(db, {"goods"}, nth):
            db.executemany(
                "INSERT OR REPLACE INTO goods VALUES (?, ?, ?)",
                [(place(streams.ids[at], seq), stage, taken) for at, seq, stage, taken in rows],
            )
            return True
    return False


def mend(db: sqlite3.Connection) -> int:
    """Write anew the facts up to the bases that are not as the base has them; return how many.

    Raises:
        StoreDamaged: The base itself is not what was written.
    """
    columns = COLUMNS["facts"].removesuffix(", signature")
    marks = ", ".join("?" * len(columns.split(", ")))
    mended = 0
    with _damage():
        for streams, _, rows in _parts(db, OF_FACTS):
            for at, seq, *rest in rows:
                row = (place(streams.ids[at], seq), *rest)
                same = f"SELECT 1 FROM facts WHERE ({columns}) IS ({marks})"
                if db.execute(same, row[:-1]).fetchone() is None:
                    db.execute(f"INSERT OR REPLACE INTO facts VALUES ({marks}, ?)", row)
                    mended += 1
    return mended


def _parts(
    db: sqlite3.Connection, views: Collection[str], nth: int | None = None
) -> Iterator[tuple[Streams, str, Rows]]:
    """Give the parts of some views, or the nth of them alone."""
    base = opened(db)
    if base is None:
        return
    number, known = generation(db), numbers(db)
    names = tuple(head.stream for head in base.cuts)
    streams = Streams(tuple(known[name] for name in names), names)
    wanted = [at for at, part in enumerate(base.manifest.parts) if part.view in views]
    for at in wanted if nth is None else wanted[nth : nth + 1]:
        part = base.manifest.parts[at]
        frame = _frame(db, number, at + _HEADS)
        yield streams, part.view, checkpoint.unpack(part, frame, len(names))


def numbers(db: sqlite3.Connection) -> dict[StreamId, int]:
    """Return the streams of this file and their numbers in it."""
    return {
        StreamId(node, incarnation, scope): id_
        for id_, node, incarnation, scope in db.execute(
            "SELECT id, node, incarnation, scope FROM streams ORDER BY id"
        )
    }


def to_apply(
    db: sqlite3.Connection,
    stream: int,
    base: int,
    unapplied: Unapplied,
    *,
    only_below: bool = False,
) -> Iterator[Fact]:
    """Yield the facts of a stream whose effects the base does not have.

    Args:
        db: Where they are.
        stream: As numbered in this file.
        base: Up to where the base has it.
        unapplied: See `pour`.
        only_below: Not those that came after the base.
    """
    for fact in facts_of(db, stream, base if only_below else None):
        if (
            fact.seq > base
            or fact.kind not in SETTLED_KINDS
            or (unapplied and (stream, fact.seq) in unapplied)
        ):
            yield fact


def rebuild(views: Views, db: sqlite3.Connection, streams: Sequence[tuple[int, StreamId]]) -> None:
    """Make every view again from base and journal alone, in the caller's transaction.

    What is local in a view, the digest of the request that made a row, is kept.

    Raises:
        StoreDamaged: The base is not what was written.
    """
    digests, index = [], views.shelf.index
    for table in DERIVED:
        if any(name == "digest" for _, name, *_ in db.execute(f"PRAGMA table_info({table})")):
            rows = db.execute(
                f"SELECT digest, event FROM {table} WHERE digest IS NOT NULL"
            ).fetchall()
            digests.append((table, rows))
        db.execute(f"DELETE FROM {table}")
    index.empty()
    views.tills.clear()
    unapplied = pour(db, db, OF_VIEWS - {"goods"})
    starts = bases(db)
    for id_, stream in streams:
        for fact in to_apply(db, id_, starts.get(id_, 0), unapplied):
            views.take(id_, stream, fact)
    for table, rows in digests:
        key = "event"
        if table == "sales":
            key, rows = "nth", [(digest, index.nth(event)) for digest, event in rows]  # noqa: PLW2901
        db.executemany(f"UPDATE {table} SET digest = ? WHERE {key} = ?", rows)
    views.shelf.rebuild()
