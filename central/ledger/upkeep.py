"""Looking after the ledger: rebuild the views, verify the journal, back it up."""

import asyncio
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, delete, func, select, text
from sqlalchemy.exc import DBAPIError

from central.ledger import journal, views
from central.ledger.errors import LedgerUnavailable, Refused
from central.ledger.ledger import Ledger
from central.ledger.lives import RESTORED
from central.ledger.tables import FACTS, VIEWS
from central.ledger.unit import Cursor, Unit
from sync.chain import ALL, Fact, Head, StreamId, fact_hash, genesis, verify_head
from sync.errors import BadSignature

_REBUILD = 2000
MAX_FAULTS = 100


def rebuild(unit: Unit) -> int:
    """Make every view again from the journal alone; return how many facts that took."""
    for table in VIEWS:
        unit.connection.execute(delete(table))
    unit.members_changed = True
    done = 0
    for stream in sorted(journal.load_cursors(unit.connection)):
        for part in _parts(unit.connection, stream):
            scope, node, incarnation = stream.scope, stream.node, stream.incarnation
            views.apply(
                unit,
                [
                    views.Entry((scope, node, incarnation, fact.seq), fact, views.read(fact))
                    for fact in part
                ],
            )
            done += len(part)
    return done


def _parts(connection: Connection, stream: StreamId) -> Iterator[list[Fact]]:
    after = 0
    while part := journal.facts_after(connection, stream, after, _REBUILD):
        yield part
        after = part[-1].seq


async def verify(ledger: Ledger) -> dict[str, Any]:
    """Check every number, hash and signature, and the file itself; name what is wrong."""
    keys = {member.node: member.public_key for member in ledger.published.members.values()} | {
        ledger.own.node: ledger.own.key.public_key()
    }
    return await ledger.read(lambda connection: _verify(connection, keys))


def _verify(connection: Connection, keys: Mapping[bytes, Ed25519PublicKey]) -> dict[str, Any]:
    faults: list[str] = []
    facts = streams = 0
    try:
        for stream, cursor in sorted(journal.load_cursors(connection).items()):
            streams += 1
            for fault in _verify_stream(connection, cursor.head, keys.get(stream.node)):
                faults.append(fault)
                if len(faults) >= MAX_FAULTS:
                    break
            facts += cursor.head.seq
        kept = connection.execute(select(func.count()).select_from(FACTS)).scalar()
        if kept != facts and len(faults) < MAX_FAULTS:
            faults.append(f"{kept} facts are in the journal, its streams say {facts}.")
        faults += [
            f"File: {row[0]}."
            for row in connection.execute(text("PRAGMA integrity_check(10)"))
            if row[0] != "ok"
        ]
    except (DBAPIError, UnicodeDecodeError) as error:
        told = error.orig if isinstance(error, DBAPIError) else error
        faults.append(f"File: {told}; restore the last backup.")
    return {"streams": streams, "facts": facts, "faults": faults[:MAX_FAULTS]}


def _verify_stream(
    connection: Connection, head: Head, key: Ed25519PublicKey | None
) -> Iterator[str]:
    stream = head.stream
    if key is None:
        yield f"Stream {stream}: its node is not known, its signatures cannot be checked."
    stored = computed = genesis(stream)
    number, signed = 0, True
    for fact, digest, signature in journal.walk(connection, stream):
        number += 1
        if fact.seq != number:
            yield f"Stream {stream}: expected fact {number}, found {fact.seq}."
            number = fact.seq
        # After a fault the chain goes on from what is stored or from what was computed,
        # whichever the next fact stands on: one flipped bit is then one fault, well named.
        after_stored = fact_hash(stored, fact)
        after_computed = after_stored if computed == stored else fact_hash(computed, fact)
        if digest not in (after_stored, after_computed):
            yield (
                f"Stream {stream}: fact {fact.seq} ({fact.kind[:40]}, event "
                f"{fact.event.hex()}) does not make the hash stored with it."
            )
        stored, computed = digest, after_computed if after_computed == digest else after_stored
        signed = signature is not None
        if signature is not None and key is not None:
            try:
                verify_head(key, Head(stream, fact.seq, digest), signature)
            except BadSignature as error:
                yield str(error)
    if number != head.seq or stored != head.hash:
        yield f"Stream {stream}: ends at fact {number}, expected {head.seq} with another hash."
    if not signed:
        yield f"Stream {stream}: its last fact {number} is not signed."


async def backup(ledger: Ledger, file: str) -> dict[str, Any]:
    """Copy the ledger while it is written; what the copy holds is safe from then on.

    The copy has no keys of persons, so that who is forgotten stays forgotten in it;
    they stand beside it in ``FILE.keys``.

    Raises:
        Refused: The file exists, or cannot be made.
        LedgerUnavailable: Copying failed.
    """
    target = Path(file)
    if target.exists():
        raise Refused(f"{file}: exists already; name a new file.")
    if not target.parent.is_dir():
        raise Refused(f"{file}: {str(target.parent)!r} is no folder.")
    heads = await asyncio.to_thread(_copy, ledger.path, target)

    def work(unit: Unit) -> None:
        for stream, seq in heads.items():
            cursor = unit.cursor(stream)
            if seq > cursor.safe:
                unit.cursors[stream] = Cursor(cursor.head, cursor.hlc, seq, cursor.frozen)

    await ledger.write(work)
    return {
        "file": file,
        "bytes": target.stat().st_size,
        "streams": len(heads),
        "facts": sum(heads.values()),
    }


def _copy(source: Path, target: Path) -> dict[StreamId, int]:
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        uri = f"file:{quote(str(source.absolute()))}?mode=ro"
        with (
            closing(sqlite3.connect(uri, uri=True)) as ours,
            closing(sqlite3.connect(partial)) as copy,
        ):
            ours.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE").fetchall()
            copy.execute("PRAGMA secure_delete=ON").fetchall()
            keys = copy.execute("SELECT * FROM person_keys").fetchall()
            copy.execute("DELETE FROM person_keys")
            copy.execute("INSERT OR REPLACE INTO own VALUES (?, ?, ?)", (ALL, RESTORED, "1"))
            copy.commit()
            copy.execute("VACUUM")
            heads = {
                StreamId(node, incarnation, store): seq
                for store, node, incarnation, seq in copy.execute(
                    "SELECT store, node, incarnation, seq FROM streams"
                )
            }
        if keys:
            _write(target.with_name(target.name + ".keys"), msgspec.msgpack.encode(keys))
        _sync(partial)
        partial.rename(target)
        _sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        partial.unlink(missing_ok=True)
        raise LedgerUnavailable(f"{target}: {error}; no backup was made.") from error
    return heads


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
