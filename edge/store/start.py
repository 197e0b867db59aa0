"""Beginning from a checkpoint: head office's views in place of years of facts.

Everything happens in one transaction: the checkpoint becomes the base (`edge.store.base`), the
facts it has whole become part of the journal, and all views are made again on top of it, from
them and from what this node holds beyond it (its own sales that nobody has seen yet). It is
for a node that holds nothing of anybody else's yet.
"""

import sqlite3
from collections.abc import Iterator

from edge.store import base
from edge.store.connection import StoreDamaged
from edge.store.journal import Journal, place
from edge.store.views import Views
from sync.checkpoint import BadCheckpoint, Opened


def begin_from(
    db: sqlite3.Connection,
    journal: Journal,
    views: Views,
    opened: Opened,
    frames: Iterator[bytes],
) -> None:
    """Stand on a checkpoint from now on.

    Args:
        db: In a transaction.
        journal: On that connection.
        views: On that connection.
        opened: The checkpoint, its signature checked.
        frames: All of its frames.

    Raises:
        RemoteProtocolError: It cannot be used here, or a part is damaged; roll everything back.
    """
    for cut in opened.cuts:
        held = journal.held(cut.stream)
        if held is not None and held.head.seq:
            raise BadCheckpoint(f"Checkpoint: facts of stream {cut.stream} are here already.")
    number = base.generation(db) + 1
    put(db, number, 0, frames)
    (written,) = db.execute(
        "SELECT count(*) FROM base_frames WHERE generation = ?", (number,)
    ).fetchone()
    if written != len(opened.manifest.parts) + 2:
        raise BadCheckpoint(
            f"Checkpoint: {written - 2} parts, not the {len(opened.manifest.parts)} it names."
        )
    count(db, number)
    ids = [journal.row(cut.stream).id for cut in opened.cuts]
    try:
        base.pour(db, db, base.OF_FACTS | {"goods"})
        for id_, cut in zip(ids, opened.cuts, strict=True):
            end = db.execute(
                "SELECT max(place), hash FROM facts WHERE place BETWEEN ? AND ?",
                (place(id_, 1), place(id_ + 1, 0)),
            ).fetchone()
            if end != (place(id_, cut.seq), cut.hash):
                raise BadCheckpoint(f"Checkpoint: stream {cut.stream} does not end where it says.")
        journal.stand_on(
            {
                cut.stream: (cut.seq, told.whole)
                for cut, told in zip(opened.cuts, opened.manifest.cuts, strict=True)
            }
        )
        base.rebuild(views, db, journal.ids())
    except StoreDamaged as error:
        raise BadCheckpoint(f"Checkpoint: {error.__cause__ or error}") from error


def put(db: sqlite3.Connection, number: int, first: int, frames: Iterator[bytes]) -> None:
    """Write frames of a generation, from one on; it does not count yet."""
    db.executemany(
        "INSERT OR REPLACE INTO base_frames VALUES (?, ?, ?)",
        ((number, n, frame) for n, frame in enumerate(frames, start=first)),
    )


def count(db: sqlite3.Connection, number: int) -> None:
    """Let a generation of frames be the base."""
    db.execute(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)", (base.GENERATION, number.to_bytes(8, "big"))
    )
