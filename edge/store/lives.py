"""What happens to the streams of lives that are over: fences, branches that lost, damage.

A life ends, before anything more is appended to it, when the file turns out to be
another than the one it was lived in (`witness`), when a peer knows more of it or
another branch of it, when central's fence closes it, or when it is damaged on disk.
The next one begins in a stream of its own, from number 1, with receipt series of its
own. Then, for each stream that central's fence closes (`StreamClosed`):

1. If we hold the fence's number with its hash, what we hold beyond it is cut off.
2. Else ours is the branch that lost. Where the branches part, central tells after we
   have sent it ours (`Session.prove`); what we hold from there on is cut off.
3. What was cut off is kept in `severed`. If we wrote it, it is appended again in our
   life of now: under the same events, so that views count it once whoever holds both,
   and after an `AppendedAgain` that says where it stood. A printed receipt keeps its
   number: its series is made explicit. What others wrote they append again; if they
   never will, a person orders it here (`append_kept`).
4. The views are made again from the journal. The branch that holds comes by the
   ordinary exchange, since our vector says now that we lack it.

Steps 1 to 4 are one transaction, and what calls for them is on disk (the fence, where
the branches part): a power cut leaves either the old state, found again at the next
start, or the new one. A life that is over never becomes the current one again.
"""
# ruff: noqa: SLF001 - a unit, its life and its journal are one room

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.store import base
from edge.store.base import rebuild
from edge.store.journal import NotKept, Row, fact_at, place, whole
from sync import facts as vocabulary
from sync.chain import Fact, Head, StreamId, fact_hash, genesis, verify_head
from sync.errors import BadFact, SyncError
from sync.facts.node import AppendedAgain, IncarnationBegan
from sync.facts.sale import Sale

if TYPE_CHECKING:
    from edge.store.unit import Unit

AGAIN_AT_ONCE = 250
"""Facts appended again after one `AppendedAgain`."""

_NOT_AGAIN = frozenset({"node.began", "stream.again"})
"""Kinds that tell of the stream they stand in, and of no business."""


class NewLifeNeeded(Exception):
    """The current stream is over: a new life must begin before anything is appended."""

    def __init__(self, cause: str, stream: StreamId) -> None:
        """Name the cause, and the life that has to end."""
        super().__init__(cause)
        self.stream = stream


class GreetAgain(Exception):
    """A stream is shorter here than our greeting said: begin a new conversation."""


class Fence(NamedTuple):
    """Where a stream ends, by central's word."""

    stream: StreamId
    seq: int
    hash: bytes
    successor: StreamId


class LifeView(NamedTuple):
    """What is known of one of our own streams."""

    stream: StreamId
    seq: int
    """How far it is here."""

    began_at: int | None
    """How far the next life knew it when it began; None for the life of now."""

    cause: str
    """Why the next life began; empty for the life of now."""

    reached: int
    """How far it is known to have gone; facts between `seq` and this are missing."""

    closed_at: int | None
    """Where central's fence ends it; None while it has none."""

    receipts: dict[str, int]
    """Receipt series to the highest number that is here."""


def begin(unit: "Unit", incarnation: int, cause: str, reached: int = 0) -> None:
    """Begin a new incarnation, and settle what the one before leaves behind.

    Args:
        unit: The transaction.
        incarnation: Fresh random bits.
        cause: Why, in words.
        reached: How far the stream of the life before is known to have gone.

    Raises:
        ValueError: This incarnation was lived already.
    """
    life, journal, key = unit._life, unit._journal, unit._key
    before = life.stream(key.node)
    head = journal.row(before).head if life.incarnation else None
    if incarnation == life.incarnation or journal.held(
        msgspec.structs.replace(before, incarnation=incarnation)
    ):
        raise ValueError(f"Incarnation {incarnation}: lived already; draw another.")
    if head is not None and reached > head.seq:
        unit._db.execute(
            "INSERT INTO reached VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "seq = max(seq, excluded.seq)",
            (before.node, before.incarnation, before.scope, reached),
        )
    life.incarnation = incarnation
    life.tills.clear()
    unit.meta("incarnation", incarnation.to_bytes(5, "big"))
    unit.root(key.node, life.store, key.public)
    began = IncarnationBegan(
        head.stream if head else None, head.seq if head else 0, head.hash if head else b"", cause
    )
    unit.append(began, incarnation.to_bytes(16, "big"))
    settle(unit)


def over(unit: "Unit") -> str:
    """Say why the current life is over; empty while it is not."""
    stream = unit._life.stream(unit._key.node)
    row = unit._journal.held(stream)
    if row is not None and row.frozen:
        return "fork"
    return "closed" if stream in fences(unit._db) else ""


def fences(db: sqlite3.Connection) -> dict[StreamId, Fence]:
    """Return central's fences, by the stream they close."""
    found = {}
    for node, life, scope, seq, digest, successor, its_life in db.execute(
        "SELECT s.node, s.incarnation, s.scope, f.seq, f.hash, t.node, t.incarnation "
        "FROM fences f JOIN streams s ON s.id = f.stream JOIN streams t ON t.id = f.successor"
    ):
        stream = StreamId(node, life, scope)
        found[stream] = Fence(stream, seq, digest, StreamId(successor, its_life, scope))
    return found


def settle(unit: "Unit") -> bool:
    """Bring every closed stream to where its fence says it ends. See the top of this page.

    Returns:
        Whether a stream became shorter by that.
    """
    journal, own = unit._journal, unit._key.node
    current = unit._life.stream(own)
    lost: list[StreamId] = []
    moved = False
    for fence in fences(unit._db).values():
        row = journal.held(fence.stream)
        if row is None or fence.stream == current:
            continue
        keep = _keep(unit, fence, row)
        if keep is None or keep < row.base:  # what was dropped cannot be cut: head office had it
            continue
        if keep < row.head.seq:
            journal.cut(fence.stream, keep, unit._key)
            moved = True
        if own == fence.stream.node:
            if keep == fence.seq:
                _give_up_waiting(unit._db, row.id)
            lost.append(fence.stream)
        journal.thaw(fence.stream)
    if moved:
        rebuild(unit._views, unit._db, journal.ids())
    for stream in lost:
        _append_again(unit, stream, "closed")
    unit._settle()
    return moved


def append_kept(unit: "Unit") -> int:
    """Append in our stream what was cut off others' and nobody has appended again; return how much.

    A person orders this, where its author will not be heard any more: two nodes that do it
    by themselves would move the goods of one sale twice.
    """
    before = unit.next_seq
    for id_, stream in unit._journal.ids():
        if unit._db.execute(
            "SELECT 1 FROM severed WHERE stream = ? AND state = 'kept'", (id_,)
        ).fetchone():
            _append_again(unit, stream, "closed")
    return unit.next_seq - before


def _give_up_waiting(db: sqlite3.Connection, id_: int) -> None:
    """The stream is whole: what was awaited after damage is in it by now, or never will be."""
    db.execute(
        "UPDATE severed SET state = CASE WHEN EXISTS (SELECT 1 FROM facts "
        "WHERE place = (severed.stream << 40 | severed.seq) AND facts.hash = severed.hash) "
        "THEN 'spared' ELSE 'kept' END WHERE stream = ? AND state = 'awaited'",
        (id_,),
    )


def _keep(unit: "Unit", fence: Fence, row: Row) -> int | None:
    """Return up to which number what we hold of a closed stream stands; None: not known yet."""
    journal, head = unit._journal, row.head
    if fence.seq < row.base:
        return None
    if head.seq >= fence.seq and journal.hash_at(fence.stream, fence.seq) == fence.hash:
        return fence.seq
    parted = journal.parted(fence.stream)
    if parted is not None:
        return min(parted - 1, head.seq)
    if head.seq >= fence.seq and not row.frozen:
        # Another branch than the one that holds: the next conversation finds where they part.
        journal.freeze(fence.stream, fence.seq, fence.hash)
        return None
    return None if row.frozen else head.seq


def _append_again(unit: "Unit", stream: StreamId, why: str) -> None:
    """Append in our current life what was cut off a stream and is nowhere else."""
    db, id_ = unit._db, unit._journal.row(stream).id
    rows = db.execute(
        "SELECT rowid, seq, hlc, kind, version, event, body, hash FROM severed "
        "WHERE stream = ? AND state = 'kept' ORDER BY seq",  # what cannot be read is 'lost'
        (id_,),
    ).fetchall()
    lost = [
        seq
        for (seq,) in db.execute(
            "SELECT seq FROM severed WHERE stream = ? AND state = 'lost' ORDER BY seq", (id_,)
        )
    ]
    if why != "damaged":
        lost = []
    wanted = []
    for rowid, seq, hlc, kind, version, event, body, digest in rows:
        fact = Fact(seq, hlc, kind, version, event, body)
        spare = kind in _NOT_AGAIN or _is_here(unit, fact)
        state = "spared" if spare else "again"
        db.execute("UPDATE severed SET state = ? WHERE rowid = ?", (state, rowid))
        if not spare:
            wanted.append((fact, digest))
    for start in range(0, len(wanted) or bool(lost), AGAIN_AT_ONCE):
        part = wanted[start : start + AGAIN_AT_ONCE]
        told = AppendedAgain(
            stream, [fact.seq for fact, _ in part], [digest for _, digest in part], lost, why
        )
        unit.append(told, _event_of(stream, part, lost))
        lost = []
        for fact, _ in part:
            unit.append_as_it_was(_explicit(fact, stream))
    if wanted:
        # What it took there with a right of that stream it may have none for in this one.
        unit.holder.settle(unit._views.shelf.cells(unit.number(unit.stream)))


def _event_of(stream: StreamId, part: Sequence[tuple[Fact, bytes]], lost: Sequence[int]) -> bytes:
    """Return an event that is the same whenever the same facts are appended again."""
    first = part[0][1] if part else b"".join(seq.to_bytes(8, "big") for seq in lost)
    return fact_hash(genesis(stream), Fact(1, 0, "stream.again", 1, bytes(16), first))[:16]


def _is_here(unit: "Unit", fact: Fact) -> bool:
    """Whether a fact that makes a business event of its own stands in another stream, too."""
    if fact.kind.startswith("sale."):
        return False  # later stages of a sale: told twice they are told once
    return unit.sale_place(fact.event) is not None or unit.document(fact.event) is not None


def _explicit(fact: Fact, stream: StreamId) -> Fact:
    """Name the receipt series of a sale: written elsewhere, it must not change with the place."""
    try:
        body = vocabulary.decode(fact)
    except BadFact:
        return fact
    if not isinstance(body, Sale) or body.series:
        return fact
    named = msgspec.structs.replace(body, series=body.series_in(stream))
    return msgspec.structs.replace(fact, body=vocabulary.encode(named))


def mend(unit: "Unit", stream: StreamId, stored: int) -> tuple[int, list[int]]:
    """Repair a damaged stream that is over, or somebody else's.

    A hash on disk that is wrong while its fact is right is written anew. Where a fact
    is lost, the stream is cut before it: what central holds comes back by the exchange,
    and what it lacks of ours is appended again as far as it can be read.

    Args:
        unit: The transaction.
        stream: Not the current one.
        stored: How far central has acknowledged it.

    Returns:
        Up to which number the stream stands now, and the numbers that are lost for ever
        as far as is known here.
    """
    db, journal = unit._db, unit._journal
    base.mend(db)
    row = journal.row(stream)
    own = stream.node == unit._key.node
    good, lost, wrong = _scan(db, row, unit._key.private.public_key() if own else None)
    for seq, digest in wrong.items():
        db.execute("UPDATE facts SET hash = ? WHERE place = ?", (digest, place(row.id, seq)))
    journal.cut(stream, good, unit._key)  # with nothing to cut it signs the head anew
    gone = [seq for seq in lost if seq > stored] if own else []
    marks = {
        seq: "awaited" if own else "spared"
        for seq in range(good + 1, row.head.seq + 1)
        if seq <= stored or not own
    } | dict.fromkeys(lost, "lost")
    db.executemany(
        "UPDATE severed SET state = ? WHERE stream = ? AND seq = ? AND state = 'kept'",
        [(state, row.id, seq) for seq, state in marks.items()],
    )
    if journal.row(stream).head.seq < row.head.seq:
        journal.thaw(stream)  # what is left is compared anew
        rebuild(unit._views, db, journal.ids())
        if own:
            _append_again(unit, stream, "damaged")
        unit._settle()
    return good, gone


def is_damaged(db: sqlite3.Connection, row: Row, key: Ed25519PublicKey | None) -> bool:
    """Whether a stream on disk is not what was written; `key`: ours, if the stream is."""
    _, lost, wrong = _scan(db, row, key)
    return bool(lost or wrong)


def _scan(
    db: sqlite3.Connection, row: Row, key: Ed25519PublicKey | None
) -> tuple[int, list[int], dict[int, bytes]]:
    """Read a stream from its beginning, or from its base.

    Args:
        db: The file.
        row: The stream.
        key: Our key, if the stream is ours: a signed head vouches for its hash.

    Returns:
        The number before the first lost fact (the last, if none is), the lost numbers, and
        the right hashes of facts up to there whose kept hash is wrong.
    """
    strict, db.text_factory = db.text_factory, lambda raw: raw.decode(errors="replace")
    try:
        rows = db.execute(
            "SELECT place & 0xFFFFFFFFFF, hlc, kind, version, event, body, hash, signature "
            "FROM facts WHERE place BETWEEN ? AND ? ORDER BY place",
            (place(row.id, row.base + 1), whole(row.id)[1]),
        ).fetchall()
        stands_on = db.execute(
            "SELECT hash FROM facts WHERE place = ?", (place(row.id, row.base),)
        ).fetchone()
    finally:
        db.text_factory = strict
    before = stands_on[0] if stands_on else genesis(row.head.stream)
    lost: list[int] = []
    wrong: dict[int, bytes] = {}
    for at, (*columns, kept, signature) in enumerate(rows):
        fact = Fact(*columns)
        made = _hash(before, fact)
        after = rows[at + 1] if at + 1 < len(rows) else None
        if made == kept:
            before = kept
        elif made is not None and (
            (after and _hash(made, Fact(*after[:-2])) == after[-2])
            or (key and _is_signed(key, Head(row.head.stream, fact.seq, made), signature))
        ):
            wrong[fact.seq] = before = made  # the next fact stands on it: only its hash is wrong
        else:
            lost.append(fact.seq)
            before = kept
    good = lost[0] - 1 if lost else row.head.seq
    return good, lost, {seq: digest for seq, digest in wrong.items() if seq <= good}


def _hash(before: object, fact: Fact) -> bytes | None:
    try:
        return fact_hash(before, fact)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - a flipped bit can make anything of a row
        return None


def _is_signed(key: Ed25519PublicKey, head: Head, signature: object) -> bool:
    try:
        verify_head(key, head, signature)  # type: ignore[arg-type]
    except (SyncError, TypeError, ValueError):
        return False
    return True


def lives(db: sqlite3.Connection, own: bytes, current: StreamId) -> list[LifeView]:
    """Return what is known of our own streams, the life of now last."""
    rows = db.execute(
        "SELECT id, incarnation, scope FROM streams WHERE node = ? ORDER BY id", (own,)
    ).fetchall()
    ends: dict[StreamId, tuple[int, str]] = {}
    heads: dict[StreamId, int] = {}
    ids: dict[StreamId, int] = {}
    for id_, incarnation, scope in rows:
        stream = StreamId(own, incarnation, scope)
        (last,) = db.execute(
            "SELECT max(place) & 0xFFFFFFFFFF FROM facts WHERE place BETWEEN ? AND ?", whole(id_)
        ).fetchone()
        heads[stream], ids[stream] = last or 0, id_
        if last and (began := _began(db, id_)) and began.previous:
            ends[began.previous] = (began.seq, began.cause)
    closed = fences(db)
    found = []
    for stream in sorted(heads, key=lambda stream: stream == current):
        seq, cause = ends.get(stream, (None, ""))
        fence = closed.get(stream)
        reached = db.execute(
            "SELECT seq FROM reached WHERE node = ? AND incarnation = ? AND scope = ?",
            (stream.node, stream.incarnation, stream.scope),
        ).fetchone()
        receipts = dict(
            db.execute(
                "SELECT series, max(number) FROM sales WHERE stream = ? GROUP BY series",
                (ids[stream],),
            )
        )
        found.append(
            LifeView(
                stream,
                heads[stream],
                seq,
                cause,
                max(heads[stream], reached[0] if reached else 0),
                fence.seq if fence else None,
                receipts,
            )
        )
    return found


def _began(db: sqlite3.Connection, id_: int) -> IncarnationBegan | None:
    try:
        body = vocabulary.decode(fact_at(db, id_, 1))
    except (BadFact, NotKept, TypeError):
        return None  # damaged, or not kept any more
    return body if isinstance(body, IncarnationBegan) else None


def kept_aside(db: sqlite3.Connection) -> int:
    """Return how many facts were cut off and stand in no stream that we know of."""
    (count,) = db.execute("SELECT count(*) FROM severed WHERE state = 'kept'").fetchone()
    return int(count)
