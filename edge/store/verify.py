"""Is everything still what was written? Chains, signatures, and views rebuilt beside it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.store.connection import connect_read_only, migrate
from edge.store.journal import whole
from edge.store.shelf import Shelf
from edge.store.views import DERIVED, Views
from sync.chain import Fact, Head, StreamId, check_shape, fact_hash, genesis, verify_head
from sync.errors import BadFact, SyncError

MAX_FINDINGS = 100


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
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as beside:
            return _verify(db, beside)
    except sqlite3.Error as error:
        return Verdict(0, 0, 0, [f"Database file: {error}; restore it from a backup."])
    finally:
        db.close()


def _verify(db: sqlite3.Connection, beside: sqlite3.Connection) -> Verdict:
    findings: list[str] = []
    migrate(beside)
    beside.execute("BEGIN")
    shelf = Shelf(beside, lambda stream: _number(beside, stream), facts=db)
    views = Views(beside, shelf, facts=db)
    keys: dict[bytes, bytes] = {
        node: key
        for table in ("nodes", "roots")
        for node, key in db.execute(f"SELECT node, public_key FROM {table}")
        if isinstance(key, bytes)
    }
    rows = db.execute("SELECT * FROM streams ORDER BY id").fetchall()
    facts = heads = 0
    for row in rows:
        beside.execute("INSERT INTO streams VALUES (?, ?, ?, ?, ?, ?)", row)
    for id_, node, incarnation, scope, *_ in rows:
        stream = StreamId(node, incarnation, scope)
        last = Head(stream, 0, b"")
        try:
            for fact, head, signed in _checked(db, id_, stream, keys.get(node), findings):
                facts, heads, last = facts + 1, heads + signed, head
                views.take(id_, stream, fact)
                shelf.committed()
        except (sqlite3.Error, TypeError, ValueError, SyncError) as error:
            findings.append(f"Stream {stream}, after fact {last.seq}: {error}")
        if len(findings) >= MAX_FINDINGS:
            break
    if not findings:
        shelf.seal(tuple)
        shelf.committed()
        findings += _compare(db, beside)
        if Shelf(db, lambda stream: _number(db, stream)).whole() != shelf.whole():
            findings.append("View rights: rows are not what the facts say.")
        findings += [
            f"Database file: {line}"
            for (line,) in db.execute("PRAGMA integrity_check(10)")
            if line != "ok"
        ]
    return Verdict(len(rows), facts, heads, findings[:MAX_FINDINGS])


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
    stream: StreamId,
    public_key: bytes | None,
    findings: list[str],
) -> Iterator[tuple[Fact, Head, bool]]:
    """Yield each fact that is what was written, with its head; name the others."""
    previous, number = genesis(stream), 0
    key = Ed25519PublicKey.from_public_bytes(public_key) if public_key else None
    for seq, hlc, kind, version, event, body, kept, signature in db.execute(
        "SELECT place & 0xFFFFFFFFFF, hlc, kind, version, event, body, hash, signature "
        "FROM facts WHERE place BETWEEN ? AND ? ORDER BY place",
        whole(id_),
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
            if name != "digest"
        ]
        query = f"SELECT {', '.join(columns)} FROM {table} ORDER BY {', '.join(columns)}"
        lived, made = db.execute(query).fetchall(), beside.execute(query).fetchall()
        if lived != made:
            odd = sorted(set(lived) ^ set(made), key=repr)
            first = odd[0] if odd else "the same rows in another number"
            findings.append(f"View {table}: {len(odd)} rows are not what the facts say: {first!r}")
    return findings
