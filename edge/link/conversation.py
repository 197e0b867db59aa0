"""One conversation with central: the pure session on one side, the store on the other."""

from collections.abc import Iterable

import structlog

from edge.clock import Clock
from edge.store.journal import Fork, Gap, UnknownAuthor
from edge.store.store import Store
from sync import facts as vocabulary
from sync.chain import ALL, Head, StreamId
from sync.clock import Trust
from sync.errors import NotAllowed
from sync.exchange.session import (
    Acknowledged,
    ForkSeen,
    Greeted,
    Received,
    Resynced,
    Session,
    SlowedDown,
    Standing,
    standing,
)

_log = structlog.get_logger()


class NewLifeNeeded(Exception):
    """Central knows more of our stream than we do: this disk is not the latest one."""


class Conversation:
    """Takes payloads in and gives payloads out; knows nothing of how they travel."""

    def __init__(self, store: Store, clock: Clock, software: str) -> None:
        """Begin; nothing is said yet."""
        self._store, self._clock = store, clock
        self.scopes = (store.store, ALL)
        self._session = Session(
            scopes=self.scopes,
            kinds=vocabulary.readable(),
            may_read=lambda scope: scope in self.scopes,
            software=software,
            frozen=set(store.frozen()),
        )
        self.slow_ms = 0
        """How long central asked us to wait."""

    def greet(self) -> bytes:
        """Return our greeting."""
        now = self._clock.now()
        return self._session.hello(self._store.heads(), now.ms if now.trust else None)

    def assume(self) -> None:
        """Begin to send before central has greeted, from what it held last time."""
        self._session.assume(self._store.peer_holds(), self.scopes)

    async def take(self, payload: bytes) -> list[bytes]:
        """Take what central said; return what to say to it.

        Raises:
            RemoteProtocolError: Central talks nonsense; nothing of this was stored.
            NewLifeNeeded: It knows more of our stream than we do.
        """
        event = self._session.receive(payload)
        match event:
            case Greeted():
                if event.hello.time_ms is not None:
                    self._clock.hear(Trust.CENTRAL, event.hello.time_ms)
                return await self._compare(event.vector.values())
            case Resynced():
                return await self._compare(event.vector.values())
            case Received():
                return await self._store_batch(event)
            case Acknowledged():
                self._store.note_peer(event.stored, event.safe)
            case ForkSeen():
                return await self._fork(event.stream, event.seq, b"")
            case SlowedDown():
                self.slow_ms = event.ms
        return []

    async def next(self) -> bytes | None:
        """Return the next batch central lacks; None if it lacks nothing, or enough is on its way.

        Raises:
            StoreDamaged: Our own chain is not what was written; it is not sent.
        """
        for stream, after in self._session.owed(self._store.heads()):
            found = await self._store.batch(stream, after)
            if found is not None:
                return self._session.send(*found)
        return None

    @property
    def lacks(self) -> int:
        """How many facts central has not acknowledged."""
        return self._session.lacks(self._store.heads())

    async def _store_batch(self, event: Received) -> list[bytes]:
        stream = event.batch.stream
        try:
            await self._store.receive(event.batch, event.keys)
        except Gap:
            return [self._session.resync([head for head in self._store.heads() if head.seq])]
        except UnknownAuthor as error:
            _log.info("batch.author_unknown", stream=str(stream), reason=str(error))
            return []
        except Fork as fork:
            return await self._fork(stream, fork.seq, fork.theirs)
        except NotAllowed as error:
            _log.warning("batch.refused", stream=str(stream), reason=str(error))
            return []
        held = {head.stream: head.seq for head in self._store.heads()}
        self._store.note_peer({stream: event.batch.last}, {})  # what it sends, it holds
        return [self._session.acknowledge({stream: held[stream]}, {})]

    async def _compare(self, theirs: Iterable[Head]) -> list[bytes]:
        ours = {head.stream: head for head in self._store.heads()}
        said = []
        held: dict[StreamId, int] = {}
        for head in theirs:
            mine = ours.get(head.stream)
            known = await self._store.hash_at(head.stream, head.seq) if head.seq else head.hash
            verdict = standing(head, mine, lambda _stream, _seq, known=known: known)  # type: ignore[misc]
            if head.stream == self._store.stream and verdict in (Standing.AHEAD, Standing.FORKED):
                raise NewLifeNeeded(
                    "peer knew more" if verdict is Standing.AHEAD else "fork",
                )
            if verdict is Standing.FORKED:
                said += await self._fork(head.stream, head.seq, head.hash)
            elif mine is not None:
                held[head.stream] = min(head.seq, mine.seq)
        self._store.note_peer(held, {})
        return said

    async def _fork(self, stream: StreamId, seq: int, theirs: bytes) -> list[bytes]:
        _log.error("stream.forked", stream=str(stream), number=seq)
        ours = await self._store.hash_at(stream, seq) or b""
        await self._store.write(lambda unit: unit.freeze(stream, seq, theirs))
        if stream == self._store.stream:
            raise NewLifeNeeded("fork")
        return [self._session.fork(stream, seq, ours, theirs)]
