"""Looking after the ledger: rebuild the views, verify the journal, back it up."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError

from central.ledger import comparing, journal
from central.ledger.errors import LedgerUnavailable, MaybePutBack, Refused
from central.ledger.ledger import Ledger
from central.ledger.lives import RESTORED
from central.ledger.tables import FACTS
from central.ledger.unit import Cursor, Unit
from central.ledger.views import rebuild
from sync.chain import ALL, Head, StreamId, fact_hash, genesis, verify_head
from sync.errors import BadSignature

MAX_FAULTS = 100

BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database, by how the names end."""


async def verify(ledger: Ledger) -> dict[str, Any]:
    """Check every number, hash and signature, and the file itself; name what is wrong.

    The views are made again from a copy of the journal, beside the ledger, and compared.

    Raises:
        LedgerUnavailable: There is no room for the copy.
    """
    keys = {member.node: member.public_key for member in ledger.published.members.values()} | {
        ledger.own.node: ledger.own.key.public_key()
    }
    told = await ledger.read(lambda connection: _verify(connection, keys))
    if not told["faults"]:
        told["faults"] = await asyncio.to_thread(comparing.compare, ledger.path, ledger.own)
    return told


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

    try:
        await ledger.write(work)
    except LedgerUnavailable:
        _discard(target)
        raise
    return {
        "file": file,
        "bytes": target.stat().st_size,
        "streams": len(heads),
        "facts": sum(heads.values()),
    }


def _copy(source: Path, target: Path) -> dict[StreamId, int]:
    partial = target.with_name(target.name + ".partial")
    try:
        for ending in ("", *BESIDE):  # of an attempt that was cut off
            partial.with_name(partial.name + ending).unlink(missing_ok=True)
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
        _discard(target)
        raise LedgerUnavailable(f"{target}: {error}; no backup was made.") from error
    return heads


def _discard(target: Path) -> None:
    """Leave nothing of a backup that was not made."""
    beside = [f"{target.name}.partial{ending}" for ending in ("", *BESIDE)]
    for name in (target.name, f"{target.name}.keys", *beside):
        with suppress(OSError):
            target.with_name(name).unlink(missing_ok=True)


def restore(file: Path, ledger: Path) -> dict[str, Any]:
    """Put a copy in place of the ledger, while nobody has it open; what was there is kept.

    Raises:
        Refused: It is no sound ledger; nothing was changed.
        LedgerUnavailable: It could not be put there; nothing was changed.
        MaybePutBack: It is in place, and may be gone after a power cut.
    """
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as copy:
            (sound,) = copy.execute("PRAGMA quick_check(1)").fetchone()
            facts, streams = copy.execute(
                "SELECT coalesce(sum(seq), 0), count(*) FROM streams"
            ).fetchone()
    except sqlite3.Error as error:
        raise Refused(f"{file}: {error}; expected a copy made by karb-central backup.") from error
    if sound != "ok":
        raise Refused(f"{file}: is damaged ({sound}); take an older copy.")
    fresh = ledger.with_name(ledger.name + ".new")
    replaced = False
    try:
        for ending in ("", *BESIDE):  # of an attempt that was cut off
            fresh.with_name(fresh.name + ending).unlink(missing_ok=True)
        _sync(fresh.parent)
        shutil.copyfile(file, fresh)
        fresh.chmod(0o600)
        with closing(sqlite3.connect(fresh)) as copy:
            copy.execute("INSERT OR REPLACE INTO own VALUES (?, ?, ?)", (ALL, RESTORED, "1"))
            keys = file.with_name(file.name + ".keys")
            if keys.exists():
                rows = msgspec.msgpack.decode(keys.read_bytes())
                marks = ", ".join("?" * len(rows[0])) if rows else ""
                copy.executemany(f"INSERT OR IGNORE INTO person_keys VALUES ({marks})", rows)
            copy.commit()
        _sync(fresh)
        with _aside(ledger) as aside:
            fresh.replace(ledger)
            replaced = True
        _sync(ledger.parent)
    except (OSError, sqlite3.Error, msgspec.DecodeError) as error:
        if replaced:
            raise MaybePutBack(
                f"{file}: was put in place, but the disk failed ({error}) and may not keep it. "
                "Check the disk, and put it back again."
            ) from error
        raise LedgerUnavailable(
            f"{file}: could not be put back ({error}). Nothing was changed."
        ) from error
    return {"file": str(file), "streams": streams, "facts": facts, "aside": str(aside)}


@contextmanager
def _aside(ledger: Path) -> Iterator[Path]:
    """Keep what is there under another name as well, while another file takes its place.

    What stands beside a ledger is gone meanwhile: a WAL that a crash has left would be taken
    for that of the file which takes its place, and tear it. It is there again if none does.
    """
    number = 1
    while (aside := ledger.with_name(f"before-restore-{number}")).exists():
        number += 1
    aside.mkdir(mode=0o700)
    _fold(ledger)
    parts = [ledger.with_name(ledger.name + ending) for ending in ("", *BESIDE)]
    for part in parts:
        if part.exists():
            os.link(part, aside / part.name)
    _sync(aside)
    _sync(aside.parent)
    try:
        for part in parts[1:]:
            part.unlink(missing_ok=True)
        _sync(ledger.parent)
        yield aside
    except OSError:
        for part in parts[1:]:
            if (aside / part.name).exists() and not part.exists():
                os.link(aside / part.name, part)
        raise


def _fold(ledger: Path) -> None:
    """Make a ledger that was cut off one file again, if it is sound.

    Raises:
        sqlite3.Error: The disk failed. A damaged one is left as it is: its parts are kept.
    """
    if not any(ledger.with_name(ledger.name + ending).exists() for ending in BESIDE):
        return
    uri = ledger.absolute().as_uri()
    try:
        with closing(sqlite3.connect(f"{uri}?mode=ro", uri=True)) as db:
            sound = db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) or 0
        if code & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        sound = False
    if sound:
        with closing(sqlite3.connect(f"{uri}?mode=rw", uri=True)) as db:
            db.execute("PRAGMA synchronous=FULL").fetchall()
            db.execute("PRAGMA secure_delete=ON").fetchall()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


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


__all__ = ["backup", "rebuild", "verify"]
