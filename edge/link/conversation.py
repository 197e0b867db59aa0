"""One conversation: the pure session on one side, the store on the other.

With head office or with another node of the store: what differs is whose time it is,
and that nodes tell each other what head office has said.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from edge.clock import Clock
from edge.link.trust import Trusted
from edge.store.journal import Fork, Frozen, Gap, UnknownAuthor
from edge.store.lives import GreetAgain, NewLifeNeeded
from edge.store.store import CENTRAL, Store
from sync import facts as vocabulary
from sync.chain import ALL, Head, StreamId, genesis
from sync.clock import Trust
from sync.errors import BadIdentity, NotAllowed
from sync.exchange.session import (
    Acknowledged,
    BelowBase,
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

RELAY_AFTER_MS = 2000
"""Others' facts are carried on live only once their author had this long to do it itself."""

Keys = Mapping[bytes, bytes]
"""Persons to their keys."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end."""

    name: str
    """As in the table `peers`: `CENTRAL`, or a node in hexadecimal."""

    trust: Trust
    """What its time is worth."""

    late: bool = False
    """What it says may be old: it was carried by hand. It only ever adds."""


HEAD_OFFICE = Peer(CENTRAL, Trust.CENTRAL)


def neighbour(node: bytes) -> Peer:
    """Return another node of the store as a peer."""
    return Peer(node.hex(), Trust.PEER)


class Conversation:
    """Takes payloads in and gives payloads out; knows nothing of how they travel."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        software: str,
        peer: Peer = HEAD_OFFICE,
        *,
        name: str = "",
        relay_after_ms: int = RELAY_AFTER_MS,
        trusted: Trusted | None = None,
    ) -> None:
        """Begin; nothing is said yet.

        Args:
            store: What is talked about.
            clock: Hears the peer's time.
            software: What this program calls itself.
            peer: Who is at the other end.
            name: What the installer called this machine.
            relay_after_ms: How long others' facts wait for their author to bring them.
            trusted: Judges certificates that come with a batch; None: nobody is introduced.
        """
        self._store, self._clock, self.peer = store, clock, peer
        self._relay_after_ms, self._trusted = relay_after_ms, trusted
        self.lock: Callable[[Keys], Keys] = dict
        """What becomes of persons' keys on their way out."""

        self.unlock: Callable[[Keys], Keys] = dict
        """And on their way in."""

        self.scopes = (store.store, ALL)
        self._session = Session(
            scopes=self.scopes,
            kinds=vocabulary.readable(),
            may_read=lambda scope: scope in self.scopes,
            software=software,
            name=name,
            frozen=set() if peer.name == CENTRAL else set(store.frozen()),
        )
        self._proved: set[StreamId] = set()
        """Forked streams of which the peer was told, or is being shown our branch."""

        self._cuts = store.cuts
        self.slow_ms = 0
        """How long the peer asked us to wait."""

        self.peer_name = ""
        """What its installer calls it; empty until it has greeted."""

        self.due_ms: int | None = None
        """In how long something held back by `next` is due; None: nothing is."""

        self._office = b""
        self._since: dict[StreamId, tuple[int, int]] = {}
        self._introduced: set[StreamId] = set()
        self._refused: set[StreamId] = set()
        self._told: dict[StreamId, int] = {}
        """What the peer knows that we hold, of streams of others."""

        self._told_office: dict[StreamId, tuple[int, int]] = {}
        self._beyond: dict[StreamId, tuple[int, bytes]] = {}
        """What the peer said it holds beyond us, and its hash there; empty: it did not say."""

    def greet(self) -> bytes:
        """Return our greeting."""
        now = self._clock.now()
        # What one neighbour told us, another one asks of it, or of somebody better.
        hearsay = now.trust is Trust.PEER and self.peer.name != CENTRAL
        self._cuts = self._store.cuts
        heads = self._store.heads()
        self._told = {head.stream: head.seq for head in heads}
        return self._session.hello(heads, now.ms if now.trust and not hearsay else None)

    def assume(self) -> None:
        """Begin to send before the peer has greeted, from what it held last time."""
        self._session.assume(self._store.peer_holds(self.peer.name), self.scopes)

    def unlimited(self) -> None:
        """Have any number of batches on their way: nobody answers."""
        self._session.window = sys.maxsize

    async def take(self, payload: bytes) -> list[bytes]:
        """Take what the peer said; return what to say to it.

        Raises:
            RemoteProtocolError: It talks nonsense; nothing of this was stored.
            NewLifeNeeded: It knows more of our stream than we do, or another branch of it, or
                has closed it.
            GreetAgain: Something we said we hold was cut off.
        """
        said = await self._take(payload)
        if self._store.cuts != self._cuts:
            raise GreetAgain("A branch that lost was cut off.")
        return said

    async def _take(self, payload: bytes) -> list[bytes]:
        event = self._session.receive(payload)
        match event:
            case Greeted():
                if event.hello.time_ms is not None and self.peer.trust:
                    self._clock.hear(self.peer.trust, event.hello.time_ms)
                self.peer_name = "".join(c for c in event.hello.name[:64] if c.isprintable())
                return await self._compare(event.vector.values())
            case Resynced():
                if event.refused:
                    _log.warning(
                        "batch.not_taken",
                        peer=self.peer.name,
                        streams=[str(stream) for stream in event.refused],
                    )
                return await self._compare(event.vector.values())
            case Received():
                return await self._store_batch(event)
            case Acknowledged():
                self._acknowledged(event)
            case ForkSeen():
                return await self._fork(event.stream, event.seq, b"", first=event.first)
            case BelowBase():
                _log.info("stream.below_base", stream=str(event.stream), base=event.base)
            case SlowedDown():
                self.slow_ms = event.ms
        return []

    async def next(self) -> bytes | None:
        """Return the next batch the peer lacks; None if it lacks nothing, or enough is on its way.

        Head office's facts go first, for they introduce nodes; then our own. Where it lacks
        what was dropped here, it is told so, and that is all it gets of that stream.

        Raises:
            NewLifeNeeded: Our own chain is not what was written; it is not sent.
            GreetAgain: Another was not, and is mended.
        """
        owed = self._session.owed(self._store.heads())
        if not owed:
            self.due_ms = None
            return None
        if not self._office:
            self._office, _ = await self._store.office()
        office = self._office
        own = self._store.key.node
        owed.sort(key=lambda entry: (entry[0].node != office, entry[0].node != own, entry[0]))
        for stream, after in self._due(owed):
            base = self._store.base(stream)
            if after < base:
                _log.warning("stream.asked_below_base", stream=str(stream), asked=after, base=base)
                return self._session.below_base(stream, base)
            found = await self._store.batch(stream, after)
            if found is not None:
                batch, keys = found
                author = b""
                if stream.node not in (own, office) and stream not in self._introduced:
                    author = await self._store.certificate(stream.node)
                    self._introduced.add(stream)
                return self._session.send(batch, self.lock(keys), author)
        return None

    async def news(self) -> list[bytes]:
        """Return what the peer may want to hear that is no fact.

        That we hold others' facts, so that it need not send them; that we would take now what
        we refused; and, to a neighbour, what head office has acknowledged.
        """
        said = []
        welcome = [stream for stream in self._refused if await self._store.takes(stream)]
        if welcome:
            ours = {head.stream: head for head in self._store.heads()}
            said.append(
                self._session.resync(
                    ours.get(stream) or Head(stream, 0, genesis(stream)) for stream in welcome
                )
            )
            self._refused.difference_update(welcome)
        await self._catch_up()
        held = {
            head.stream: head.seq
            for head in self._store.heads()
            if head.stream.node != self._store.key.node
            and head.stream.scope in self.scopes
            and head.seq > self._told.get(head.stream, 0)
        }
        self._told |= held
        office: dict[StreamId, tuple[int, int]] = {}
        if self.peer.name != CENTRAL:
            office = {
                stream: at
                for stream, at in self._store.central_holds().items()
                if stream.scope in self.scopes and self._told_office.get(stream) != at
            }
            self._told_office |= office
        if held or office:
            stored = {stream: stored for stream, (stored, _) in office.items() if stored}
            safe = {stream: safe for stream, (_, safe) in office.items() if safe}
            said.append(self._session.acknowledge(held, safe, stored))
        return said

    @property
    def lacks(self) -> int:
        """How many facts the peer has not acknowledged."""
        return self._session.lacks(self._store.heads())

    def _due(self, owed: list[tuple[StreamId, int]]) -> list[tuple[StreamId, int]]:
        """Leave out what its author, or somebody nearer to it, will bring any moment."""
        now = self._clock.elapsed()
        own = self._store.key.node
        since = {}
        due = []
        self.due_ms = None
        for stream, after in owed:
            if stream.node == own or not self._relay_after_ms:
                due.append((stream, after))
                continue
            seen = self._since.get(stream)
            since[stream] = seen if seen and seen[0] == after else (after, now)
            left = since[stream][1] + self._relay_after_ms - now
            if left <= 0:
                due.append((stream, after))
            else:
                self.due_ms = left if self.due_ms is None else min(self.due_ms, left)
        self._since = since
        return due

    def _acknowledged(self, event: Acknowledged) -> None:
        ours = {head.stream for head in self._store.heads()}
        # Of two acknowledgements that overtook each other the higher holds.
        stored = {stream: self._session.holds(stream) for stream in event.stored if stream in ours}
        safe = {stream: seq for stream, seq in event.safe.items() if stream in ours}
        for stream in event.stored.keys() - ours:
            self._beyond[stream] = event.stored[stream], b""
        if self.peer.late:
            self._note(stored)
            self._store.hear_of_central({} if self.peer.name == CENTRAL else event.office, safe)
        elif self.peer.name == CENTRAL:
            self._store.note_peer(stored, safe)
        else:
            self._store.note_peer(stored, {}, self.peer.name)
            self._store.hear_of_central(event.office, safe)

    async def _store_batch(self, event: Received) -> list[bytes]:
        stream = event.batch.stream
        try:
            await self._introduce(stream, event.author)
            # What is carried by hand comes through other hands.
            office = self.peer.name == CENTRAL and not self.peer.late
            await self._store.receive(event.batch, self.unlock(event.keys), from_office=office)
        except Gap:
            return [self._session.resync([head for head in self._store.heads() if head.seq])]
        except UnknownAuthor as error:
            _log.info("batch.author_unknown", stream=str(stream), reason=str(error))
            return self._refuse(stream)
        except Fork as fork:
            return await self._fork(stream, fork.seq, fork.theirs, first=True, tell=True)
        except Frozen:
            return [self._session.fork(stream, event.batch.first, b"", b"")]
        except NotAllowed as error:
            _log.warning("batch.refused", stream=str(stream), reason=str(error))
            return self._refuse(stream)
        if any(fact.kind == "stream.closed" for fact in event.batch.facts) and (
            why := await self._store.life_over()
        ):
            raise NewLifeNeeded(why, self._store.stream)
        held = {head.stream: head.seq for head in self._store.heads()}
        self._note({stream: event.batch.last})  # what it sends, it holds
        self._told[stream] = held[stream]
        return [self._session.acknowledge({stream: held[stream]}, {})]

    def _refuse(self, stream: StreamId) -> list[bytes]:
        """Take nothing of a stream, and let the others go on."""
        self._refused.add(stream)
        return [self._session.refuse([stream])]

    async def _introduce(self, stream: StreamId, certificate: bytes) -> None:
        if not certificate or self._trusted is None or await self._store.knows(stream.node):
            return
        try:
            identity = self._trusted.author(certificate)
        except BadIdentity as error:
            _log.warning("author.not_introduced", stream=str(stream), reason=str(error))
            return
        if identity.node == stream.node:
            await self._store.introduce(identity, certificate)

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
                    "peer knew more" if verdict is Standing.AHEAD else "fork", head.stream
                )
            if verdict is Standing.FORKED:
                said += await self._fork(head.stream, head.seq, head.hash)
            elif mine is not None and verdict is not Standing.AHEAD:
                # Where the peer is ahead, whether it has our branch is not known yet.
                held[head.stream] = min(head.seq, mine.seq)
            elif head.seq:
                self._beyond[head.stream] = head.seq, head.hash
        self._note(held)
        return said

    async def _catch_up(self) -> None:
        """Note what the peer holds beyond us where that has come from somebody else by now.

        The peer will not say it again, and never has to be sent it: unnoted, it would wait for
        ever in the eyes of who looks at the status.
        """
        ours = {head.stream: head.seq for head in self._store.heads()}
        known = self._store.peer_holds(self.peer.name)
        for stream, (seq, theirs) in list(self._beyond.items()):
            if ours.get(stream, 0) >= seq:
                del self._beyond[stream]
                if theirs in (b"", await self._store.hash_at(stream, seq)):
                    self._note({stream: max(seq, known.get(stream, 0))})

    def _note(self, held: Mapping[StreamId, int]) -> None:
        if self.peer.late:
            known = self._store.peer_holds(self.peer.name)
            held = {s: max(seq, known.get(s, 0)) for s, seq in held.items()}
        self._store.note_peer(held, {}, self.peer.name)

    async def _fork(
        self, stream: StreamId, seq: int, theirs: bytes, *, first: bool = False, tell: bool = False
    ) -> list[bytes]:
        """Note a fork; say that we see it, or show head office our branch, so that it does.

        It may be that our own end of the chain is not what was written: that is mended, and
        compared again. Of a neighbour only what is signed (`tell`) is believed for good, for
        it may be damaged itself, and be mended. Where the branches part is central's to say:
        of a neighbour's branch it is not known whether it holds.

        Raises:
            NewLifeNeeded: It is our stream.
            GreetAgain: Ours was damaged, and is mended.
        """
        _log.error("stream.forked", stream=str(stream), number=seq, first=first)
        office = self.peer.name == CENTRAL
        if stream not in self._store.frozen():
            await self._store.doubt(stream)
        ours = await self._store.hash_at(stream, seq) or b""
        if office or tell:
            await self._store.write(
                lambda unit: unit.freeze(stream, seq, theirs, first=first and office)
            )
        if stream == self._store.stream:
            raise NewLifeNeeded("fork", stream)
        if tell or not office:
            if stream in self._proved:
                return []  # said once is enough: the other side answers in kind
            self._proved.add(stream)
            return [self._session.fork(stream, seq, ours, theirs, first=first)]
        if not first and stream not in self._proved:
            self._proved.add(stream)
            held = next(head.seq for head in self._store.heads() if head.stream == stream)
            agreed = self._store.peer_holds().get(stream, 0)
            self._session.prove(stream, max(0, min(agreed, held - 1, seq - 1)))
        return []
