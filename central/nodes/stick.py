"""The exchange by hand, at head office: a stick of a store read, and one written for it."""

import os
import secrets
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.serialization import Encoding

from central.ledger import carried
from central.ledger.carried import Carried
from central.ledger.errors import Refused
from central.ledger.ingest import Incoming, Nonsense, Stored, Unwelcome
from central.ledger.ledger import Ledger, wall_ms
from central.nodes.authority import Authority
from central.nodes.conversation import Conversation
from central.nodes.peers import Peers, Revoked
from sync.chain import ALL
from sync.errors import RemoteProtocolError
from sync.exchange import stick
from sync.exchange.session import Greeted
from sync.exchange.stick import BadStick, Header, Lock
from sync.identity import Identity, fingerprint, raw_public

log = structlog.get_logger()


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
            fresh = 0
            not_taken: set[str] = set()
            try:
                header, writer = stick.check(file, self._authority.certificate)
                self._welcome(writer)
                talk = Conversation(self._ledger, writer, self._peers.introduced)
                talk.hello()
                key = Lock.of(header, self._ledger.own.node, self._ledger.own.key)
                vector = {}
                for payload in stick.payloads(file):
                    event = await talk.read(payload)
                    if isinstance(event, Greeted):
                        vector = {s: head.seq for s, head in event.vector.items()}
                        await talk.compare(event)
                    if not isinstance(event, Incoming):
                        continue
                    keys = key.open(event.keys) if key else {}
                    for outcome in await self._ledger.take([replace(event, keys=keys)]):
                        match outcome:
                            case Stored(_, n):
                                fresh += n
                            case Unwelcome(stream):
                                not_taken.add(str(stream))
                            case Nonsense(nonsense):
                                raise nonsense
                            case other:
                                not_taken.add(str(other))
            except (BadStick, RemoteProtocolError, Revoked) as error:
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
                fresh,
                "",
                vector,
            )
            await self._ledger.write(lambda unit: carried.keep(unit, row))
        self._peers.heard(writer, bytes_in=path.stat().st_size)
        return {
            "file": str(path),
            "store": header.store,
            "node": writer.node.hex(),
            "written_ms": header.written_ms,
            "facts": fresh,
            "not_taken": sorted(not_taken),
        }

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
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            _keep(path.parent)
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


def _keep(folder: Path) -> None:
    """Have the name on disk, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
