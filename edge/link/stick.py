"""The exchange by hand: a file for head office, and the one that comes back.

What is written stands on what head office has confirmed, never on an earlier stick: one that
was lost costs nothing. What is read may be old or read twice: it only ever adds.
"""

import asyncio
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge.clock import Clock
from edge.link import tls
from edge.link.conversation import Conversation, Peer
from edge.link.trust import PeerRefused, Trusted
from edge.store.lives import GreetAgain, NewLifeNeeded
from edge.store.store import CENTRAL, Store
from sync.chain import ALL
from sync.clock import Trust
from sync.errors import RemoteProtocolError
from sync.exchange import stick
from sync.exchange.stick import BadStick, Header, Lock
from sync.identity import Identity, fingerprint

NEWEST = "newest stick"
"""Key in `meta`: when the newest stick of head office that was read was written."""


@dataclass(frozen=True, slots=True)
class Written:
    """A stick was written."""

    facts: int
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A stick was read."""

    facts: int
    """That were not here before."""

    size: int
    """Bytes."""

    writer: str
    written_ms: int


class Stick:
    """Writes and reads sticks of one node."""

    def __init__(
        self,
        data: Path,
        store: Store,
        clock: Clock,
        *,
        incarnation: Callable[[], int],
        software: str,
    ) -> None:
        """Prepare; nothing is read yet."""
        self._data, self._store, self._clock = data, store, clock
        self._incarnation, self._software = incarnation, software
        self._trusted = Trusted(data, store, clock)

    async def write(self, path: Path) -> Written:
        """Write all that head office has not confirmed, and how far we are in its streams.

        The file is there whole, or not at all.

        Raises:
            OSError: It cannot be written.
            BadIdentity: The node's certificates cannot be read.
            StoreDamaged: Our own chain is not what was written.
        """
        office, office_key = await self._store.office()
        receivers = {office: office_key} if office else {}
        receivers |= {node: key for node, (_, key) in (await self._store.members()).items()}
        key = Lock(secrets.token_bytes(32))
        now = self._clock.now()
        header = Header(
            fingerprint(self._trusted.authority),
            self._store.store,
            tls.der(tls.certificate(self._data)),
            now.ms if now.trust else 0,
            key.for_nodes(receivers, secrets.token_bytes(32)),
        )
        while True:
            try:
                talk = self._talk(Peer(CENTRAL, Trust.NONE, late=True))
                talk.lock = key.close
                talk.assume()
                facts = talk.lacks
                beside = path.with_name(f".{path.name}.new")
                try:
                    with beside.open("wb") as file:
                        writing = stick.Writer(file, header)
                        writing.add(talk.greet())
                        while (payload := await talk.next()) is not None:
                            writing.add(payload)
                        size = writing.end(self._store.key.private)
                        await asyncio.to_thread(_flush, file)
                    beside.replace(path)
                    await asyncio.to_thread(_keep, path.parent)
                finally:
                    beside.unlink(missing_ok=True)
                break
            except GreetAgain:
                continue  # something was mended: what stands now is shorter
        return Written(facts, size)

    async def read(self, path: Path) -> Taken:
        """Take in a stick: all of its frame is checked first.

        Raises:
            BadStick: It is none for us, and nothing was stored; or something in it is not what
                its author signed, and it says what was kept.
            BadIdentity: Head office's authority cannot be read.
            OSError: It cannot be read.
        """
        with path.open("rb") as file:
            try:
                header, writer = await self._checked(file)
            except (BadStick, PeerRefused) as error:
                raise BadStick(f"{path.name}: {error} Nothing was stored.") from error
            before = sum(head.seq for head in self._store.heads())
            peer = await self._writer(header, writer)
            opened = Lock.of(header, self._store.key.node, self._store.key.private)
            while True:
                talk = self._talk(peer)
                talk.unlock = opened.open if opened else lambda _: {}
                talk.greet()
                try:
                    for payload in stick.payloads(file):
                        await talk.take(payload)
                    break
                except NewLifeNeeded as need:
                    if need.stream == self._store.stream:
                        await self._store.begin_life(self._incarnation(), str(need))
                except GreetAgain:
                    continue
                except RemoteProtocolError as error:
                    kept = sum(head.seq for head in self._store.heads()) - before
                    raise BadStick(
                        f"{path.name}: {error} {kept} facts before it were kept."
                    ) from error
        await self._store.keep_peer()
        facts = sum(head.seq for head in self._store.heads()) - before
        return Taken(facts, path.stat().st_size, peer.name, header.written_ms)

    async def _checked(self, file: BinaryIO) -> tuple[Header, Identity]:
        # A big one takes a while to be summed; tills go on meanwhile.
        header, writer = await asyncio.to_thread(stick.check, file, self._trusted.authority)
        if header.store != self._store.store:
            raise BadStick(
                f"it is for store {header.store}, expected one for {self._store.store}; "
                "take it where it belongs."
            )
        if writer.node == self._store.key.node:
            raise BadStick(
                "it was written here; take it to head office (karb-central sync --from FILE)."
            )
        if writer.store != ALL:
            await self._trusted.check(writer)
        return header, writer

    async def _writer(self, header: Header, writer: Identity) -> Peer:
        """Say who speaks: head office's newest word stands, all else only adds."""
        if writer.store != ALL:
            return Peer(writer.node.hex(), Trust.NONE, late=True)
        newest = int.from_bytes(await self._store.meta(NEWEST), "big")
        if header.written_ms <= newest:
            return Peer(CENTRAL, Trust.NONE, late=True)
        word = header.written_ms.to_bytes(8, "big")
        await self._store.write(lambda unit: unit.meta(NEWEST, word))
        return Peer(CENTRAL, Trust.NONE)

    def _talk(self, peer: Peer) -> Conversation:
        talk = Conversation(
            self._store,
            self._clock,
            self._software,
            peer,
            relay_after_ms=0,
            trusted=self._trusted,
        )
        talk.unlimited()
        return talk


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
