"""One conversation with one node: the session on one hand, the ledger on the other.

Knows nothing of HTTP: a carrier gives it payloads and takes payloads.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from central import SOFTWARE
from central.ledger import fences, journal, lives
from central.ledger.ingest import Fork, Gap, Incoming, Nonsense, Outcome, Stored, Unwelcome
from central.ledger.ledger import Ledger, wall_ms
from central.ledger.unit import Unit
from sync import facts
from sync.chain import ALL, Head, StreamId
from sync.errors import RemoteProtocolError
from sync.exchange.session import BelowBase, Event, Greeted, Received, Session, Standing, standing
from sync.identity import Identity

SLOW_AT = 64
"""Jobs waiting for the writing thread from which on a peer is asked to wait."""

SLOW_MS = 1000
SMALL = 256
"""Bytes of a payload that is read at once."""

log = structlog.get_logger()


@dataclass(slots=True)
class Conversation:
    """With one node."""

    ledger: Ledger
    peer: Identity
    introduced: Callable[[bytes], Identity | None] = lambda _: None
    """Says whose certificate (DER) that is; None: nobody's we would believe."""

    session: Session = field(init=False)
    lock: Callable[[Mapping[bytes, bytes]], Mapping[bytes, bytes]] = lambda keys: keys
    _told_safe: dict[StreamId, int] = field(default_factory=dict)
    _told_forks: dict[StreamId, bool] = field(default_factory=dict)
    """Forked streams the peer was told of; whether with the place where the branches part."""

    _greeted: bool = False

    def __post_init__(self) -> None:
        """Make the session: we want what the peer's store writes, and our own back."""
        self.session = Session(
            scopes=(ALL, self.peer.store),
            kinds=facts.readable(),
            may_read=self.peer.may_read,
            software=SOFTWARE,
        )

    @property
    def scopes(self) -> tuple[str, str]:
        """What may be talked about."""
        return ALL, self.peer.store

    def hello(self) -> bytes:
        """Return our greeting, with what is committed now."""
        return self.session.hello(self.ledger.published.heads(*self.scopes), wall_ms())

    def begin_late(
        self,
        held: Mapping[StreamId, int],
        lock: Callable[[Mapping[bytes, bytes]], Mapping[bytes, bytes]],
    ) -> None:
        """Begin to write for somebody who cannot answer.

        Args:
            held: What it held when it last told.
            lock: What becomes of persons' keys.
        """
        self.session.assume(held, self.scopes)
        self.session.window = sys.maxsize
        self.lock = lock

    async def read(self, payload: bytes) -> Event | Incoming:
        """Read a payload, a large one beside the event loop; the bodies of a batch too.

        Raises:
            RemoteProtocolError: It is nonsense here.
        """
        if len(payload) <= SMALL:  # an acknowledgement costs less than a way to a thread and back
            return self._read(payload)
        return await asyncio.to_thread(self._read, payload)

    def _read(self, payload: bytes) -> Event | Incoming:
        event = self.session.receive(payload)
        if isinstance(event, BelowBase):
            # It dropped what we had reported safe: we were put back from an older copy still.
            log.error(
                "a node no longer has what is lacking here",
                stream=str(event.stream),
                base=event.base,
                node=self.peer.node.hex(),
            )
        if isinstance(event, Received):
            author = self.introduced(event.author) if event.author else None
            return Incoming.of(event.batch, event.keys, self.peer, author)
        return event

    async def compare(self, greeted: Greeted) -> list[bytes]:
        """Compare the peer's vector with our journal; return what to say of forks."""
        await self._note_greeting(greeted)
        ours = self.ledger.published.cursors(*self.scopes)
        claims = [
            head
            for stream, head in greeted.vector.items()
            if head.seq > 0 and stream in ours and head.seq <= ours[stream].head.seq
        ]
        known = await self.ledger.read(lambda connection: journal.hashes_at(connection, claims))
        return [
            payload
            for head in claims
            if standing(head, ours[head.stream].head, lambda stream, _: known.get(stream))
            is Standing.FORKED
            for payload in self._fork(head.stream, head.seq, known[head.stream], head.hash)
        ]

    async def _note_greeting(self, greeted: Greeted) -> None:
        """Have noted what the peer holds, if that matters to a stream that is over."""
        published, own = self.ledger.published, self.ledger.own
        known = published.cursors(*self.scopes)
        news = any(
            stream.node == own.node and (stream not in known or head.seq > known[stream].head.seq)
            for stream, head in greeted.vector.items()
        )
        if news or published.over_of(*self.scopes):
            await self.ledger.write(self._hear(greeted))
        self._greeted = True

    def _hear(self, greeted: Greeted) -> Callable[[Unit], None]:
        def work(unit: Unit) -> None:
            why = fences.heard(unit, self.peer.node, greeted.vector, self.scopes)
            if why:
                lives.renew(unit, why)
                fences.note(unit.state, unit.state.cursors)
                fences.heard(unit, self.peer.node, greeted.vector, self.scopes)

        return work

    @property
    def stale(self) -> bool:
        """Whether the peer must greet again: a stream is over since it did."""
        return self._greeted and any(
            self.peer.node not in heard
            for heard in self.ledger.published.over_of(*self.scopes).values()
        )

    def settle(self, outcomes: Iterable[Outcome]) -> list[bytes]:
        """Return what to say of batches that were taken in, or not.

        Raises:
            RemoteProtocolError: One of them was nonsense.
        """
        stored: dict[StreamId, Head] = {}
        gaps: dict[StreamId, Head] = {}
        payloads = []
        for outcome in outcomes:
            match outcome:
                case Stored(head):
                    stored[head.stream] = head
                case Gap(head):
                    gaps[head.stream] = head
                case Fork(stream, seq, ours, theirs):
                    payloads += self._fork(stream, seq, ours, theirs, first=True)
                case Unwelcome(stream):
                    payloads.append(self.session.refuse([stream]))
                case Nonsense(error):
                    raise error
        if stored:
            payloads.append(self.acknowledge({s: head.seq for s, head in stored.items()}))
        if gaps:  # what had come too early is to be sent again, from where we are by now
            payloads.append(self.session.resync(stored.get(s, at) for s, at in gaps.items()))
        if self.ledger.waiting > SLOW_AT:
            payloads.append(self.session.slow_down(SLOW_MS))
        return payloads

    def _fork(
        self, stream: StreamId, seq: int, ours: bytes, theirs: bytes, *, first: bool = False
    ) -> list[bytes]:
        """Say that the peer holds another branch, and once more when it is known where it parts."""
        if self._told_forks.get(stream, False) >= first and stream in self._told_forks:
            return []
        self._told_forks[stream] = first
        return [self.session.fork(stream, seq, ours, theirs, first=first)]

    def acknowledge(self, stored: Mapping[StreamId, int]) -> bytes:
        """Return an acknowledgement, with what is safe by now."""
        safe = self._safe()
        self._told_safe.update(safe)
        return self.session.acknowledge(stored, safe)

    def news_of_safety(self) -> list[bytes]:
        """Return an acknowledgement if a backup has made more of the store's streams safe."""
        safe = {s: n for s, n in self._safe().items() if n > self._told_safe.get(s, 0)}
        if not safe:
            return []
        self._told_safe.update(safe)
        return [self.session.acknowledge({}, safe)]

    def _safe(self) -> dict[StreamId, int]:
        cursors = self.ledger.published.cursors(*self.scopes)
        return {stream: cursor.safe for stream, cursor in cursors.items() if cursor.safe}

    async def next_batch(self) -> bytes | None:
        """Return the next batch the peer lacks, central's own streams first; None: nothing.

        Raises:
            LedgerUnavailable: The journal cannot be read.
        """
        owed = self.session.owed(self.ledger.published.heads(*self.scopes))
        if not owed:
            return None
        own = self.ledger.own.node
        stream, after = min(owed, key=lambda entry: (entry[0].node != own, entry[0]))
        found = await self.ledger.packed(stream, after, self.session.ref(stream))
        if found is None:
            return None
        batch, keys, payload = found
        if not keys:
            return self.session.send_packed(batch, payload)
        return await asyncio.to_thread(self.session.send, batch, self.lock(keys))


__all__ = ["Conversation", "RemoteProtocolError"]
