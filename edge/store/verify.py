"""Is everything still what was written? Chains, signatures, and views rebuilt beside it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.store import base
from edge.store.connection import StoreDamaged, connect_read_only, migrate
from edge.store.journal import SEQ_BITS, place, whole
from edge.store.shelf import Shelf
from edge.store.views import DERIVED, LOCAL, Views
from sync.chain import Fact, Head, StreamId, check_shape, fact_hash, genesis, verify_head
from sync.errors import BadFact, SyncError

MAX_FINDINGS = 100

_NOT_AS_LISTED = (
    "SELECT (SELECT count(*) FROM sales s LEFT JOIN sale_events e ON e.event = s.event "
    "WHERE coalesce(e.nth, 0) <> s.nth AND (e.nth IS NOT NULL OR s.nth <= l.nth)) "
    "+ (SELECT count(*) FROM sale_events e LEFT JOIN sales s ON s.nth = e.nth "
    "WHERE s.event IS NOT e.event) FROM listed l"
)
"""What is listed stands there, and what is not may still have to be (`edge.store.index`)."""


class Verdict(NamedTuple):
    """What a verification found."""

    streams: int
    facts: int
    heads: int
    """Signatures checked."""

    findings: list[str]
    """One line each; empty if everything holds."""

    @property
    def sound(self) -> bool:
        """Whether everything holds."""
        return not self.findings


def verify_file(path: Path, *, copy: bool = False) -> Verdict:
    """Verify a database file, a copy perhaps. Reads only.

    Raises:
        FileNotFoundError: There is no such file.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file.")
    alone = copy and not path.with_name(path.name + "-wal").exists()
    db = connect_read_only(path, immutable=alone)
    db.text_factory = lambda raw: raw.decode(errors="replace")
    try:
        db.execute("BEGIN")  # one moment, while the writer goes on
        return verify_connection(db)
    except sqlite3.Error as error:
        return Verdict(0, 0, 0, [f"Database file: {error}; restore it from a backup."])
    finally:
        db.close()


def verify_connection(db: sqlite3.Connection) -> Verdict:
    """Verify an open database; as of one moment, if a transaction is open.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    with closing(database_beside()) as beside:
        return _verify(db, beside)


def database_beside() -> sqlite3.Connection:
    """Return an empty database in which views can be made again.

    It has no name: SQLite keeps it in memory up to its cache, then in a file that nobody sees.
    A catalogue of a hundred thousand articles would not fit in a small machine.
    """
    beside = sqlite3.connect("", isolation_level=None)
    beside.execute("PRAGMA temp_store = FILE")
    migrate(beside)
    return beside


def _verify(db: sqlite3.Connection, beside: sqlite3.Connection) -> Verdict:
    findings: list[str] = []
    beside.execute("BEGIN")
    shelf = Shelf(beside, lambda stream: _number(beside, stream), facts=db)
    shelf.from_base = lambda: base.pour(db, beside, base.OF_RIGHTS)
    views = Views(beside, shelf, facts=db)
    keys: dict[bytes, bytes] = {
        node: key
        for table in ("nodes", "roots")
        for node, key in db.execute(f"SELECT node, public_key FROM {table}")
        if isinstance(key, bytes)
    }
    rows = db.execute("SELECT * FROM streams ORDER BY id").fetchall()
    facts = heads = 0
    beside.executemany(
        "INSERT INTO streams (id, node, incarnation, scope) VALUES (?, ?, ?, ?)",
        [row[:4] for row in rows],
    )
    starts, unapplied = _based(db, beside, findings)
    for id_, node, incarnation, scope, *_ in rows:
        stream = StreamId(node, incarnation, scope)
        last = starts.get(id_, Head(stream, 0, genesis(stream)))
        try:
            for fact in base.to_apply(db, id_, last.seq, unapplied, only_below=True):
                views.take(id_, stream, fact)
            for fact, head, signed in _checked(db, id_, last, keys.get(node), findings):
                facts, heads, last = facts + 1, heads + signed, head
                views.take(id_, stream, fact)
                shelf.committed()
        except (sqlite3.Error, TypeError, ValueError, SyncError) as error:
            findings.append(f"Stream {stream}, after fact {last.seq}: {error}")
        if len(findings) >= MAX_FINDINGS:
            break
    if not findings:
        if shelf.fences:
            shelf.rebuild()  # what stands beyond one may have been applied before it
        shelf.seal(tuple)
        shelf.committed()
        findings += _compare(db, beside)
        if Shelf(db, lambda stream: _number(db, stream)).whole() != shelf.whole():
            findings.append("View rights: rows are not what the facts say.")
        (unlisted,) = db.execute(_NOT_AS_LISTED).fetchone()
        if unlisted:
            findings.append(f"Index of sales: {unlisted} do not stand where it says.")
        findings += [
            f"Database file: {line}"
            for (line,) in db.execute("PRAGMA integrity_check(10)")
            if line != "ok"
        ]
    return Verdict(len(rows), facts, heads, findings[:MAX_FINDINGS])


def _based(
    db: sqlite3.Connection, beside: sqlite3.Connection, findings: list[str]
) -> tuple[dict[int, Head], base.Unapplied]:
    """Pour the base into the views beside; return where each stream stands on it.

    Compares what the base has whole with what is here of it.
    """
    stands: dict[int, tuple[Head, int]] = {}
    for id_, node, incarnation, scope, seq, complete, digest in db.execute(
        "SELECT s.id, node, incarnation, scope, seq, whole, f.hash FROM bases b "
        "JOIN streams s ON s.id = b.stream LEFT JOIN facts f ON f.place = (s.id << 40) + seq"
    ):
        head = Head(StreamId(node, incarnation, scope), seq, digest or b"")
        stands[id_] = head, complete
    heads = {id_: head for id_, (head, _) in stands.items()}
    try:
        unapplied = base.pour(db, beside, frozenset(base.COLUMNS))
        opened = base.opened(db)
    except (StoreDamaged, SyncError, sqlite3.Error, TypeError, ValueError) as error:
        findings.append(f"Base: {error}")
        return heads, frozenset()
    cuts = opened.manifest.cuts if opened else ()
    told = {head.stream: (head, complete) for head, complete in stands.values()}
    if {head.stream: (head, cut.whole) for cut in cuts if (head := cut.head())} != told:
        findings.append("Base: not the one that the streams stand on.")
    for (at,) in db.execute(
        "SELECT place FROM facts JOIN bases ON place > stream << 40 "
        f"AND place <= (stream << 40) + seq WHERE kind NOT IN {base.SETTLED}"
    ):
        if beside.execute("SELECT 1 FROM facts WHERE place = ?", (at,)).fetchone() is None:
            findings.append(f"Fact at place {at}: below the base, which does not have it.")
    findings += _differing(db, beside, "facts")
    gone = "NOT EXISTS (SELECT 1 FROM facts WHERE facts.place = ?1)"  # else it is still to go
    findings += _differing(db, beside, "goods", gone)
    return heads, unapplied


def _differing(
    db: sqlite3.Connection, beside: sqlite3.Connection, table: str, only: str = "1"
) -> Iterator[str]:
    """Name the rows by place that are not here as the base has them."""
    columns = base.COLUMNS[table].removesuffix(", signature")
    for row in beside.execute(f"SELECT {columns} FROM {table} ORDER BY place"):
        here = db.execute(f"SELECT {columns} FROM {table} WHERE place = ?1", row[:1]).fetchone()
        if here != row and db.execute(f"SELECT 1 WHERE {only} AND ?1", row[:1]).fetchone():
            at, seq = row[0] >> SEQ_BITS, row[0] & ((1 << SEQ_BITS) - 1)
            yield f"Kept {table}, stream {at} in this file, fact {seq}: not what the base has."


def _number(db: sqlite3.Connection, stream: StreamId) -> int:
    row = db.execute(
        "SELECT id FROM streams WHERE node = ? AND incarnation = ? AND scope = ?",
        (stream.node, stream.incarnation, stream.scope),
    ).fetchone()
    if row is None:
        raise BadFact(f"Stream {stream}: never introduced here.")
    return int(row[0])


def _checked(
    db: sqlite3.Connection,
    id_: int,
    start: Head,
    public_key: bytes | None,
    findings: list[str],
) -> Iterator[tuple[Fact, Head, bool]]:
    """Yield each fact after `start` that is what was written, with its head; name the others."""
    stream, number, previous = start.stream, start.seq, start.hash
    key = Ed25519PublicKey.from_public_bytes(public_key) if public_key else None
    for seq, hlc, kind, version, event, body, kept, signature in db.execute(
        "SELECT place & 0xFFFFFFFFFF, hlc, kind, version, event, body, hash, signature "
        "FROM facts WHERE place BETWEEN ? AND ? ORDER BY place",
        (place(id_, number + 1), whole(id_)[1]),
    ):
        number += 1
        name = f"Stream {stream}, fact {seq} ({kind!s:.40})"
        if seq != number:
            findings.append(f"{name}: expected number {number}; facts are missing.")
            return
        try:
            fact = Fact(seq, hlc, kind, version, event, body)
            check_shape(fact)
            made = fact_hash(previous, fact)
        except Exception as error:  # noqa: BLE001 - a flipped bit can make anything of a row
            findings.append(f"{name}: not what was written ({error}).")
            return
        if made != kept:
            of = f"event {event.hex()}" if isinstance(event, bytes) else "its event is lost too"
            findings.append(f"{name}, {of}: not what was written; its hash does not hold.")
            previous = kept if isinstance(kept, bytes) else made
            continue
        head = Head(stream, seq, made)
        if signature is not None and key is not None:
            try:
                verify_head(key, head, signature)
            except (SyncError, TypeError, ValueError) as error:
                findings.append(f"{name}: {error}")
        elif signature is not None:
            findings.append(f"{name}: the key of its node is not known.")
            key = None
        previous = made
        yield fact, head, signature is not None


def _compare(db: sqlite3.Connection, beside: sqlite3.Connection) -> list[str]:
    """Compare the views with the ones that the facts make."""
    findings = []
    for table in DERIVED:
        if table == "rights":
            continue  # lags behind, see below
        columns = [
            name
            for _, name, *_ in beside.execute(f"PRAGMA table_info({table})")
            if name not in LOCAL
        ]
        query = f"SELECT {', '.join(columns)} FROM {table} ORDER BY {', '.join(columns)}"
        lived, made = db.execute(query).fetchall(), beside.execute(query).fetchall()
        if lived != made:
            odd = sorted(set(lived) ^ set(made), key=repr)
            first = odd[0] if odd else "the same rows in another number"
            findings.append(f"View {table}: {len(odd)} rows are not what the facts say: {first!r}")
    return findings
