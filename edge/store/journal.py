"""The streams this node holds: appending its own, taking in others', reading both.

Everything here runs inside a transaction that somebody else opens and commits.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.keys import NodeKey
from edge.store.connection import StoreDamaged
from sync.chain import (
    Batch,
    Fact,
    Head,
    StreamId,
    fact_hash,
    genesis,
    sign,
    verify,
    verify_head,
)
from sync.errors import BrokenChain, NotAllowed, SyncError
from sync.exchange.session import MAX_BATCH_BYTES, MAX_BATCH_FACTS

SIGN_EVERY_FACTS = 64
SIGN_EVERY_BYTES = MAX_BATCH_BYTES // 2
SIGN_EVERY_MS = 100
"""How often a head is signed on disk: at each commit, but where they come faster than this
not before so many facts or bytes. A batch that ends elsewhere is signed as it leaves."""

SEQ_BITS = 40
_LAST = (1 << SEQ_BITS) - 1
_COLUMNS = "place & 0xFFFFFFFFFF, hlc, kind, version, event, body"


class UnknownAuthor(SyncError):
    """No certificate of the stream's node is known here yet."""


class DamagedFact(StoreDamaged):
    """A fact on disk is not what was written."""

    def __init__(self, stream: StreamId, seq: int, message: str) -> None:
        """Name the first one."""
        super().__init__(message)
        self.stream, self.seq = stream, seq


class NotKept(NotAllowed):
    """It was recorded, long ago; what it said is at head office and no longer here."""


class Gap(SyncError):
    """The batch starts past the next number; answered with the vector."""


class Frozen(NotAllowed):
    """Two branches of the stream are known: nothing more of it is taken."""


class Fork(SyncError):
    """Two signed facts with one number."""

    def __init__(self, stream: StreamId, seq: int, ours: bytes, theirs: bytes) -> None:
        """Name both branches by the hash of their fact `seq`."""
        super().__init__(f"Stream {stream}: two facts have number {seq}; the stream is frozen.")
        self.stream, self.seq, self.ours, self.theirs = stream, seq, ours, theirs


class Row(NamedTuple):
    """A stream as kept: its number in this file, and how far it is held."""

    id: int
    head: Head
    frozen: bool
    base: int = 0
    """Up to this number not every fact is here, though that one is; 0: all of them are."""


class Journal:
    """The facts of one file.

    Keeps the heads of the streams in memory; `mark` and `back_to` let a unit of
    work that was rolled back leave no trace in them either.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        """Read the heads."""
        self._db = db
        self._rows: dict[StreamId, Row] = {}
        bases = dict(db.execute("SELECT stream, seq FROM bases").fetchall())
        for id_, node, incarnation, scope, frozen in db.execute(
            "SELECT id, node, incarnation, scope, frozen FROM streams"
        ).fetchall():
            stream = StreamId(node, incarnation, scope)
            last = db.execute(
                "SELECT place & 0xFFFFFFFFFF, hash FROM facts WHERE place BETWEEN ? AND ? "
                "ORDER BY place DESC LIMIT 1",
                whole(id_),
            ).fetchone()
            self._rows[stream] = Row(
                id_, Head(stream, *(last or (0, genesis(stream)))), bool(frozen), bases.get(id_, 0)
            )
        self.cuts = 0
        """How often a stream became shorter: what was said of it before is void."""

        self._unsigned: dict[StreamId, tuple[int, int]] = {}
        """Facts and bytes of own streams since their last signed head."""

        self._signed_ms = -SIGN_EVERY_MS

    def mark(self) -> tuple[dict[StreamId, Row], dict[StreamId, tuple[int, int]]]:
        """Return what `back_to` needs."""
        return dict(self._rows), dict(self._unsigned)

    def back_to(self, mark: tuple[dict[StreamId, Row], dict[StreamId, tuple[int, int]]]) -> None:
        """Forget what happened since `mark`; the caller rolls the database back."""
        self._rows, self._unsigned = dict(mark[0]), dict(mark[1])

    def heads(self) -> list[Head]:
        """Return how far each stream is held: the vector."""
        return [row.head for row in self._rows.values()]

    def places(self) -> list[tuple[int, int]]:
        """Return the number of each stream in this file, and how far it is held."""
        return [(row.id, row.head.seq) for row in self._rows.values()]

    def frozen(self) -> set[StreamId]:
        """Return the streams that are known to have two branches."""
        return {stream for stream, row in self._rows.items() if row.frozen}

    def row(self, stream: StreamId) -> Row:
        """Return a stream's row, made now if this is the first fact of it."""
        row = self._rows.get(stream)
        if row is None:
            cursor = self._db.execute(
                "INSERT INTO streams (node, incarnation, scope) VALUES (?, ?, ?)",
                (stream.node, stream.incarnation, stream.scope),
            )
            row = self._rows[stream] = Row(
                cursor.lastrowid or 0, Head(stream, 0, genesis(stream)), False
            )
        return row

    def append(self, stream: StreamId, fact: Fact, key: NodeKey) -> int:
        """Append a fact of our own; return the stream's number in this file.

        The head is signed by `sign_now_and_then`, before the commit, and here if the
        unsigned tail grows long.
        """
        id_, before, frozen, base = self.row(stream)
        seq, hlc, kind, version, event, body = msgspec.structs.astuple(fact)
        digest = fact_hash(before.hash, fact)
        head = Head(stream, seq, digest)
        facts, size = self._unsigned.get(stream, (0, 0))
        facts, size = facts + 1, size + len(body)
        signature = None
        if facts >= SIGN_EVERY_FACTS or size >= SIGN_EVERY_BYTES:
            signature, facts, size = sign(key.private, head), 0, 0
        self._db.execute(
            "INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (id_ << SEQ_BITS | seq, hlc, kind, version, event, body, digest, signature),
        )
        self._rows[stream] = Row(id_, head, frozen, base)
        self._unsigned[stream] = (facts, size)
        return id_

    def sign_now_and_then(self, key: NodeKey, elapsed_ms: int) -> None:
        """Sign as `sign_heads` does, unless that was done just now. Before each commit.

        Args:
            key: Ours.
            elapsed_ms: Of a clock that nobody sets.
        """
        if self._unsigned and not 0 <= elapsed_ms - self._signed_ms < SIGN_EVERY_MS:
            self._signed_ms = elapsed_ms
            self.sign_heads(key)

    def sign_heads(self, key: NodeKey) -> None:
        """Sign the heads of own streams that moved."""
        for stream, (facts, _) in self._unsigned.items():
            row = self._rows[stream]
            if facts:
                self._db.execute(
                    "UPDATE facts SET signature = ? WHERE place = ?",
                    (sign(key.private, row.head), place(row.id, row.head.seq)),
                )
        self._unsigned.clear()

    def receive(self, batch: Batch, public_key: bytes) -> list[Fact]:
        """Take in somebody's batch; return the facts that are new, already stored.

        Raises:
            Gap: It starts past the next number.
            Fork: A number we hold has another hash in it.
            Frozen: Two branches of it are known, and not which one holds.
            RemoteProtocolError: The chain or the signature does not hold.
        """
        row = self.row(batch.stream)
        if row.frozen:
            raise Frozen(f"Stream {batch.stream}: frozen, two branches are known.")
        if batch.first > row.head.seq + 1:
            raise Gap(f"Stream {batch.stream}: expected {row.head.seq + 1}, got {batch.first}.")
        if batch.last <= row.base:
            return []  # here already, and no longer to be compared with
        before = self.hash_at(batch.stream, batch.first - 1)
        if before is None and batch.first <= row.base:
            raise Gap(f"Stream {batch.stream}: send from {row.base + 1}, what is below is dropped.")
        if before is None:
            raise BrokenChain(f"Stream {batch.stream}: number {batch.first - 1} is not kept.")
        author = Ed25519PublicKey.from_public_bytes(public_key)
        hashes = verify(batch, Head(batch.stream, batch.first - 1, before), author)
        known = min(batch.last, row.head.seq)
        for fact, digest in zip(batch.facts, hashes, strict=True):
            if fact.seq <= known:
                ours = self.hash_at(batch.stream, fact.seq)
                if ours != digest and not (ours is None and fact.seq < row.base):
                    raise Fork(batch.stream, fact.seq, ours or b"", digest)
        fresh = [
            (fact, digest)
            for fact, digest in zip(batch.facts, hashes, strict=True)
            if fact.seq > known
        ]
        if fresh:
            self._insert(row.id, fresh, batch.signature)
            self._rows[batch.stream] = row._replace(head=Head(batch.stream, batch.last, hashes[-1]))
        return [fact for fact, _ in fresh]

    def freeze(self, stream: StreamId, seq: int, theirs: bytes, *, first: bool = False) -> None:
        """Take nothing more of a stream.

        Args:
            stream: It has two branches.
            seq: A number that has two hashes.
            theirs: The one in the other branch.
            first: Whether the branches part at `seq`; else there or before.
        """
        row = self.row(stream)
        ours = self.hash_at(stream, seq) or b""
        self._db.execute(
            "INSERT OR IGNORE INTO forks (stream, seq, ours, theirs, first) VALUES (?, ?, ?, ?, 0)",
            (row.id, seq, ours, theirs),
        )
        if first:
            self._db.execute(
                "UPDATE forks SET first = 1 WHERE stream = ? AND seq = ? AND theirs = ?",
                (row.id, seq, theirs),
            )
        self._db.execute("UPDATE streams SET frozen = 1 WHERE id = ?", (row.id,))
        self._rows[stream] = row._replace(frozen=True)

    def parted(self, stream: StreamId) -> int | None:
        """Return where the branches of a forked stream part, once somebody has told."""
        row = self._rows.get(stream)
        if row is None:
            return None
        (seq,) = self._db.execute(
            "SELECT min(seq) FROM forks WHERE stream = ? AND first = 1", (row.id,)
        ).fetchone()
        return seq  # type: ignore[no-any-return]

    def thaw(self, stream: StreamId) -> None:
        """Take and send again: which branch holds is known, and this is it."""
        row = self.row(stream)
        if row.frozen:
            self._db.execute("UPDATE forks SET first = 2 WHERE stream = ?", (row.id,))
            self._db.execute("UPDATE streams SET frozen = 0 WHERE id = ?", (row.id,))
            self._rows[stream] = row._replace(frozen=False)

    def cut(self, stream: StreamId, keep: int, key: NodeKey) -> None:
        """Move what stands after number `keep` out of the stream, and keep it aside.

        Of somebody else's stream the end must be a signed head, or it could not be passed
        on: what stands after the last one goes, too, and comes again.
        """
        row = self.row(stream)
        wanted, own = keep, stream.node == key.node
        if not own:
            (keep,) = self._db.execute(
                "SELECT coalesce(max(place) & 0xFFFFFFFFFF, ?) FROM facts "
                "WHERE place BETWEEN ? AND ? AND signature IS NOT NULL",
                (row.base, place(row.id, row.base + 1), place(row.id, keep)),
            ).fetchone()
        if keep < row.base:
            raise ValueError(f"Stream {stream}: cannot end at {keep}, below its base {row.base}.")
        self.cuts += 1
        beyond = (place(row.id, keep + 1), place(row.id, _LAST))
        self._db.execute(
            "INSERT OR IGNORE INTO severed SELECT ?, place & 0xFFFFFFFFFF, hlc, kind, version, "
            "event, body, hash, signature, 'kept' FROM facts WHERE place BETWEEN ? AND ?",
            (row.id, *beyond),
        )
        self._db.execute(
            "UPDATE severed SET state = 'spared' WHERE stream = ? AND seq BETWEEN ? AND ?",
            (row.id, keep + 1, wanted),
        )
        self._db.execute("DELETE FROM facts WHERE place BETWEEN ? AND ?", beyond)
        digest = self.hash_at(stream, keep)
        if digest is None:
            raise ValueError(f"Stream {stream}: number {keep} is not kept, nothing can end there.")
        head = Head(stream, keep, digest)
        self._rows[stream] = row._replace(head=head)
        self._unsigned.pop(stream, None)
        if keep and own:
            self._db.execute(
                "UPDATE facts SET signature = ? WHERE place = ?",
                (sign(key.private, head), place(row.id, keep)),
            )

    def ids(self) -> list[tuple[int, StreamId]]:
        """Return the streams with their numbers in this file."""
        return [(row.id, stream) for stream, row in self._rows.items()]

    def held(self, stream: StreamId) -> Row | None:
        """Return a stream's row; None if nothing of it is here."""
        return self._rows.get(stream)

    def base(self, stream: StreamId) -> int:
        """Return the number up to which not every fact of a stream is here; 0: all are."""
        row = self._rows.get(stream)
        return row.base if row else 0

    def stand_on(self, bases: Mapping[StreamId, tuple[int, int]]) -> None:
        """Note up to which numbers facts may be dropped, or were never here.

        Args:
            bases: Of each stream the number, whose fact is here, and the one above which
                every fact that tells of a sale is.
        """
        for stream, (seq, whole) in bases.items():
            row = self.row(stream)
            self._db.execute("INSERT OR REPLACE INTO bases VALUES (?, ?, ?)", (row.id, seq, whole))
            digest = self.hash_at(stream, seq)
            if digest is None:
                raise ValueError(f"Stream {stream}: number {seq} is not here, no base can be.")
            head = row.head if row.head.seq > seq else Head(stream, seq, digest)
            self._rows[stream] = row._replace(head=head, base=seq)

    def hash_at(self, stream: StreamId, seq: int) -> bytes | None:
        """Return the hash of a number; None if it is not held."""
        row = self._rows.get(stream)
        if row is None:
            return None
        if seq == 0:
            return genesis(stream)
        found = self._db.execute(
            "SELECT hash FROM facts WHERE place = ?", (place(row.id, seq),)
        ).fetchone()
        return found[0] if found else None

    def _insert(
        self, stream: int, facts: Iterable[tuple[Fact, bytes]], signature: bytes | None
    ) -> None:
        rows = [
            [place(stream, f.seq), f.hlc, f.kind, f.version, f.event, f.body, digest, None]
            for f, digest in facts
        ]
        rows[-1][-1] = signature
        self._db.executemany("INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)


def place(stream: int, seq: int) -> int:
    """Return the key of a fact in this file."""
    return stream << SEQ_BITS | seq


def whole(stream: int) -> tuple[int, int]:
    """Return the first and last key that a stream's facts may have."""
    return place(stream, 1), place(stream, _LAST)


def find_fact(db: sqlite3.Connection, stream: int, seq: int) -> Fact | None:
    """Return one fact by its place in this file; None if it is not here (any more)."""
    row = db.execute(
        f"SELECT {_COLUMNS} FROM facts WHERE place = ?", (place(stream, seq),)
    ).fetchone()
    return Fact(*row) if row else None


def fact_at(db: sqlite3.Connection, stream: int, seq: int) -> Fact:
    """Return one fact by its place in this file, of a kind that is never dropped.

    Raises:
        NotKept: It is not here.
    """
    fact = find_fact(db, stream, seq)
    if fact is None:
        raise NotKept(f"Fact {seq} of stream {stream} in this file: not here any more.")
    return fact


def facts_of(db: sqlite3.Connection, stream: int, last: int | None = None) -> Iterator[Fact]:
    """Yield the facts of a stream, by its number in this file, up to a number."""
    for row in db.execute(
        f"SELECT {_COLUMNS} FROM facts WHERE place BETWEEN ? AND ? ORDER BY place",
        (place(stream, 1), place(stream, _LAST if last is None else last)),
    ):
        yield Fact(*row)


def read_batch(
    db: sqlite3.Connection, stream: StreamId, after: int, *, own: NodeKey | None
) -> Batch | None:
    """Return the next facts of a stream after a number, up to a signed head.

    The last one of ours is signed here where it was not on disk.

    A chain is verified before it leaves the house.

    Args:
        db: The file.
        stream: Which stream.
        after: The number before the first fact wanted.
        own: Our key, if the stream is ours: a signature on disk is looked at as well.

    Raises:
        DamagedFact: A fact is not what was written.
    """
    # Of what is below a stream's base nobody may ask: see `Conversation.next`.
    found = db.execute(
        "SELECT id FROM streams WHERE node = ? AND incarnation = ? AND scope = ?",
        (stream.node, stream.incarnation, stream.scope),
    ).fetchone()
    if found is None:
        return None
    facts: list[Fact] = []
    hashes: list[bytes] = []
    size = whole = 0
    signature: bytes | None = b""
    for *columns, digest, signed in db.execute(
        f"SELECT {_COLUMNS}, hash, signature FROM facts WHERE place BETWEEN ? AND ? "
        "ORDER BY place LIMIT ?",
        (place(found[0], after + 1), place(found[0], _LAST), MAX_BATCH_FACTS),
    ):
        fact = Fact(*columns)
        size += len(fact.body or b"")
        if size > MAX_BATCH_BYTES and whole:
            break
        facts.append(fact)
        hashes.append(digest)
        if own is not None or signed is not None:
            whole, signature = len(facts), signed
    if not whole:
        return None
    facts, hashes = facts[:whole], hashes[:whole]
    _check(db, stream, found[0], facts, hashes)
    if own is not None:
        head = Head(stream, facts[-1].seq, hashes[-1])
        if signature is None:
            return Batch(stream, facts, sign(own.private, head))
        try:
            verify_head(own.private.public_key(), head, signature)
        except (SyncError, TypeError, ValueError) as error:
            raise DamagedFact(stream, facts[-1].seq, f"Stream {stream}: {error}") from error
    return Batch(stream, facts, signature or b"")


def _check(
    db: sqlite3.Connection, stream: StreamId, id_: int, facts: list[Fact], hashes: list[bytes]
) -> None:
    first = facts[0].seq
    before = genesis(stream)
    if first > 1:
        row = db.execute(
            "SELECT hash FROM facts WHERE place = ?", (place(id_, first - 1),)
        ).fetchone()
        before = row[0] if row else b""
    for fact, expected in zip(facts, hashes, strict=True):
        try:
            made = fact_hash(before, fact)
        except Exception:  # noqa: BLE001 - a flipped bit can make anything of a row
            made = b""
        if expected != made:
            raise DamagedFact(
                stream,
                fact.seq,
                f"Stream {stream}, fact {fact.seq} ({fact.kind!s:.40}): not what was written.",
            )
        before = made
