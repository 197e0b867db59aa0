"""The exchange by hand, at head office: a stick of a store read, and one written for it."""

import asyncio
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import structlog
from cryptography.hazmat.primitives.serialization import Encoding

from central.ledger import carried
from central.ledger.carried import Carried
from central.ledger.errors import Refused
from central.ledger.ingest import Fork, Gap, Incoming, Nonsense, Outcome, Stored, Unwelcome
from central.ledger.ledger import Ledger, wall_ms
from central.nodes.authority import Authority
from central.nodes.conversation import Conversation
from central.nodes.peers import Peers, Revoked
from sync.chain import ALL, StreamId
from sync.errors import RemoteProtocolError
from sync.exchange import stick
from sync.exchange.session import Greeted
from sync.exchange.stick import BadStick, Header, Lock
from sync.identity import Identity, fingerprint, raw_public

log = structlog.get_logger()


@dataclass(slots=True)
class _Found:
    """What was on a stick."""

    fresh: int = 0
    not_taken: set[str] = field(default_factory=set)
    vector: dict[StreamId, int] = field(default_factory=dict)

    def note(self, outcome: Outcome) -> None:
        """Count what became of a batch.

        Raises:
            RemoteProtocolError: It was nonsense.
        """
        match outcome:
            case Stored(_, fresh):
                self.fresh += fresh
            case Unwelcome(stream):
                self.not_taken.add(f"{stream}: its node is revoked, or not known")
            case Fork(stream, seq):
                self.not_taken.add(f"{stream}: two facts have number {seq}")
            case Gap(head):
                self.not_taken.add(f"{head.stream}: expected number {head.seq + 1} next")
            case Nonsense(error):
                raise error


class Stick:
    """Reads and writes sticks."""

    def __init__(self, ledger: Ledger, authority: Authority, peers: Peers) -> None:
        """Work on an open ledger."""
        self._ledger, self._authority, self._peers = ledger, authority, peers

    async def read(self, path: Path) -> dict[str, object]:
        """Take in what a store sends; its whole frame is checked first.

        A refusal is on record, and head office's status shows it.

        Raises:
            Refused: It is no stick for us, or something in it is not what its author signed.
        """
        try:
            file = path.open("rb")
        except OSError as error:
            raise Refused(f"{path}: cannot be read ({error.strerror}).") from error
        with file:
            header: Header | None = None
            found = _Found()
            try:
                checked = await asyncio.to_thread(stick.check, file, self._authority.certificate)
                header, writer = checked
                self._welcome(writer)
                await self._take(file, header, writer, found)
            except (BadStick, RemoteProtocolError, Revoked) as error:
                fresh = found.fresh
                kept = f"{fresh} facts before it were kept." if fresh else "Nothing was stored."
                reason = f"{path.name}: {error} {kept}"
                await self._refused(header, path.name, reason)
                raise Refused(reason) from error
            row = Carried(
                header.store,
                wall_ms(),
                path.name,
                writer.node,
                header.written_ms,
                found.fresh,
                "",
                found.vector,
            )
            await self._ledger.write(lambda unit: carried.keep(unit, row))
        size = path.stat().st_size
        self._peers.heard(writer, bytes_in=size, at_ms=header.written_ms)
        return {
            "file": str(path),
            "store": header.store,
            "node": writer.node.hex(),
            "written_ms": header.written_ms,
            "facts": found.fresh,
            "not_taken": sorted(found.not_taken),
        }

    async def _take(
        self, file: BinaryIO, header: Header, writer: Identity, found: "_Found"
    ) -> None:
        """Take in what a checked stick brings.

        Raises:
            RemoteProtocolError: Something in it is not what its author signed.
        """
        talk = Conversation(self._ledger, writer, self._peers.introduced)
        talk.hello()
        key = Lock.of(header, self._ledger.own.node, self._ledger.own.key)
        for payload in stick.payloads(file):
            event = await talk.read(payload)
            if isinstance(event, Greeted):
                found.vector = {s: head.seq for s, head in event.vector.items()}
                await talk.compare(event)
            if isinstance(event, Incoming):
                keys = key.open(event.keys) if key else {}
                for outcome in await self._ledger.take([replace(event, keys=keys)]):
                    found.note(outcome)

    async def write(self, path: Path, store: str) -> dict[str, object]:
        """Write what the store's nodes lack, by the last stick of each, and what is stored here.

        The file is there whole, or not at all.

        Raises:
            Refused: There is no such store, or the file cannot be written.
        """
        members = self._ledger.published.members.values()
        receivers = {
            member.node: raw_public(member.public_key)
            for member in members
            if member.store == store and not member.revoked
        }
        if not receivers:
            raise Refused(
                f"--store {store!r}: expected a store with a machine; karb-central node list "
                "shows them."
            )
        key = Lock(secrets.token_bytes(32))
        header = Header(
            fingerprint(self._authority.certificate),
            store,
            self._authority.node_certificate.public_bytes(Encoding.DER),
            wall_ms(),
            key.for_nodes(receivers, secrets.token_bytes(32)),
        )
        talk = Conversation(self._ledger, _store(store))
        known = await self._ledger.read(lambda connection: carried.known(connection, store))
        talk.begin_late(known, key.close)
        beside = path.with_name(f".{path.name}.new")
        batches = 0
        try:
            with beside.open("wb") as file:
                writing = stick.Writer(file, header)
                writing.add(talk.hello())
                for payload in talk.news_of_safety():
                    writing.add(payload)
                while (batch := await talk.next_batch()) is not None:
                    writing.add(batch)
                    batches += 1
                size = writing.end(self._ledger.own.key)
                await asyncio.to_thread(_flush, file)
            beside.replace(path)
            await asyncio.to_thread(_keep, path.parent)
        except OSError as error:
            raise Refused(f"{path}: cannot be written ({error.strerror}).") from error
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
        return {"file": str(path), "store": store, "batches": batches, "size": size}

    def _welcome(self, writer: Identity) -> None:
        if writer.store == ALL:
            raise BadStick(
                "it was written here, for a store; take it there (karb sync --from FILE)."
            )
        member = self._ledger.published.members.get(writer.node)
        if member is not None and member.revoked:
            raise Revoked(f"its writer, node {writer.node.hex()}, was revoked.")

    async def _refused(self, header: Header | None, name: str, reason: str) -> None:
        log.warning("stick refused", file=name, reason=reason)
        ours = header is not None and header.authority == fingerprint(self._authority.certificate)
        store = header.store if header is not None and ours else ""
        row = Carried(store, wall_ms(), name, b"", 0, 0, reason[:500], {})
        await self._ledger.write(lambda unit: carried.keep(unit, row))


def _store(store: str) -> Identity:
    """Stand for whichever node of a store will read it."""
    return Identity(
        node=b"", store=store, public_key=b"", serial=0, not_before_ms=0, not_after_ms=0
    )


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _keep(folder: Path) -> None:
    """Have the name on disk, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
