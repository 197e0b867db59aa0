"""One conversation with one peer.

The session knows what the peer has said it holds and what is on its way; it does
not know the journal. A carrier asks `owed` what to read from the journal next,
hands the batch to `send`, and gives what arrives to `receive`.

======== ===================== ========================================
state    may be received       may be sent
======== ===================== ========================================
NEW      Hello                 Hello
GREETED  all but Hello         all but Hello
======== ===================== ========================================
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import accumulate, pairwise
from typing import TypeVar

from sync.chain import EVENT_BYTES, Batch, Fact, Head, StreamId
from sync.clock import COUNTER_BITS
from sync.errors import LocalProtocolError, NotAllowed, RemoteProtocolError
from sync.exchange import wire
from sync.exchange.messages import (
    MAX_STREAMS,
    OLDEST,
    PROTOCOL,
    Ack,
    Facts,
    Forked,
    Hello,
    Message,
    Position,
    Pruned,
    Slow,
    StreamRef,
    Vector,
)
from sync.exchange.shred import assemble, shred

MAX_BATCH_FACTS = 1000
MAX_BATCH_BYTES = 512 * 1024
"""Bodies of one batch, unpacked. A journal signs heads at least this often."""

WORTH_SHREDDING = 4
"""Facts from which on a batch is smaller as columns."""

MAX_IN_FLIGHT = 8
"""Batches on their way and not yet acknowledged."""

MAX_CERTIFICATE = 4096
"""Bytes of a certificate that introduces an author."""

_COUNTER = (1 << COUNTER_BITS) - 1
_T = TypeVar("_T")


class Standing(Enum):
    """How a peer's position in a stream compares with ours."""

    SAME = auto()
    BEHIND = auto()
    """The peer lacks facts that we hold."""

    AHEAD = auto()
    """We lack facts that the peer holds."""

    FORKED = auto()
    """Same number, another hash: two branches."""


@dataclass(frozen=True, slots=True)
class Greeted:
    """The peer said hello."""

    hello: Hello
    vector: Mapping[StreamId, Head]


@dataclass(frozen=True, slots=True)
class Received:
    """A batch arrived; nothing of it is checked but its shape."""

    batch: Batch
    keys: Mapping[bytes, bytes]
    author: bytes = b""
    """Certificate (DER) of the author, where the peer sent one along; not judged."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The peer holds this much more."""

    stored: Mapping[StreamId, int]
    safe: Mapping[StreamId, int]
    office: Mapping[StreamId, int] = field(default_factory=dict)
    """What head office has stored, as the peer heard."""


@dataclass(frozen=True, slots=True)
class Resynced:
    """A batch of ours did not fit; `owed` now starts from where the peer really is."""

    vector: Mapping[StreamId, Head]
    refused: Sequence[StreamId] = ()
    """Streams the peer takes nothing of; nothing more of them is owed."""


@dataclass(frozen=True, slots=True)
class ForkSeen:
    """The peer holds another branch of a stream of ours."""

    stream: StreamId
    seq: int
    first: bool = False
    """Whether `seq` is where the branches part; else they part there or before."""


@dataclass(frozen=True, slots=True)
class SlowedDown:
    """The peer asks us to wait."""

    ms: int


@dataclass(frozen=True, slots=True)
class BelowBase:
    """The peer has dropped what we lack of a stream: it is at head office."""

    stream: StreamId
    base: int


Event = Greeted | Received | Acknowledged | Resynced | ForkSeen | SlowedDown | BelowBase


def standing(
    theirs: Head, ours: Head | None, hash_at: Callable[[StreamId, int], bytes | None]
) -> Standing:
    """Compare a position of the peer's with our journal.

    Args:
        theirs: What the peer says it holds.
        ours: Our own head of that stream; None if we hold nothing of it.
        hash_at: Our hash of a number of a stream; None if we do not hold it (any more).
    """
    if ours is None or theirs.seq > ours.seq:
        return Standing.AHEAD
    known = ours.hash if theirs.seq == ours.seq else hash_at(theirs.stream, theirs.seq)
    if known is not None and known != theirs.hash:
        return Standing.FORKED
    return Standing.SAME if theirs.seq == ours.seq else Standing.BEHIND


@dataclass(slots=True)
class Session:
    """One side of a conversation."""

    scopes: tuple[str, ...]
    """What we want facts of."""

    kinds: tuple[tuple[str, int], ...]
    may_read: Callable[[str], bool]
    """Whether the peer may have facts of a scope (from its certificate)."""

    software: str = ""
    name: str = ""
    window: int = MAX_IN_FLIGHT
    """Batches that may be on their way."""

    peer_scopes: tuple[str, ...] = ()
    frozen: set[StreamId] = field(default_factory=set)
    """Forked streams: nothing of them is sent."""

    refused: set[StreamId] = field(default_factory=set)
    """Streams the peer does not take: held back until it says where it is in them."""

    withheld: set[StreamId] = field(default_factory=set)
    """Streams of which we have dropped what the peer lacks: it was told, and gets nothing."""

    _peer: dict[StreamId, int] = field(default_factory=dict)
    _sent: dict[StreamId, int] = field(default_factory=dict)
    _in_flight: list[tuple[StreamId, int]] = field(default_factory=list)
    _told: dict[StreamId, int] = field(default_factory=dict)
    _heard: list[StreamId] = field(default_factory=list)
    _proving: set[StreamId] = field(default_factory=set)
    """Forked streams of which our branch is on its way as evidence."""

    _greeted: bool = False
    _was_greeted: bool = False

    def hello(self, vector: Iterable[Head], time_ms: int | None) -> bytes:
        """Return our greeting; once, and before anything else.

        Raises:
            LocalProtocolError: We greeted already.
        """
        if self._greeted:
            raise LocalProtocolError("Hello: said already.")
        self._greeted = True
        positions = []
        for head in vector:
            self._told[head.stream] = len(self._told)
            positions.append(Position(head.stream.name(), head.seq, head.hash))
        return wire.encode(
            Hello(
                OLDEST,
                PROTOCOL,
                self.scopes,
                self.kinds,
                tuple(positions),
                time_ms,
                self.software,
                self.name,
            )
        )

    def assume(self, peer: Mapping[StreamId, int], scopes: tuple[str, ...]) -> None:
        """Start from what the peer said last time, to send before it greets (one round trip)."""
        self._peer.update(peer)
        self.peer_scopes = scopes

    def receive(self, payload: bytes) -> Event:
        """Read one payload.

        Raises:
            RemoteProtocolError: It is no message, or not one that fits here.
            NotAllowed: The peer asks for a scope it may not have.
        """
        message = wire.decode(payload)
        if isinstance(message, Hello) is self._was_greeted:
            raise RemoteProtocolError(
                f"{type(message).__name__}: expected "
                f"{'anything but Hello' if self._was_greeted else 'Hello'} here."
            )
        return self._dispatch(message)

    def _dispatch(self, message: Message) -> Event:
        match message:
            case Hello():
                return self._on_hello(message)
            case Facts():
                return self._on_facts(message)
            case Ack():
                return self._on_ack(message)
            case Vector():
                return self._on_vector(message)
            case Forked():
                stream = StreamId.from_name(message.stream)
                if message.first or stream not in self._proving:
                    self.frozen.add(stream)
                    self._in_flight = [entry for entry in self._in_flight if entry[0] != stream]
                return ForkSeen(stream, message.seq, message.first)
            case Slow():
                return SlowedDown(max(0, min(message.ms, 3_600_000)))
            case Pruned():
                return BelowBase(StreamId.from_name(message.stream), message.base)

    def owed(self, ours: Iterable[Head]) -> list[tuple[StreamId, int]]:
        """Return what to send next: streams, and the number after which to start.

        Empty while the window is full, or nothing is owed.
        """
        if len(self._in_flight) >= self.window:
            return []
        return [
            (head.stream, after)
            for head in ours
            if self._wanted(head.stream)
            and head.seq
            > (after := max(self._peer.get(head.stream, 0), self._sent.get(head.stream, 0)))
        ]

    def send(
        self, batch: Batch, keys: Mapping[bytes, bytes] | None = None, author: bytes = b""
    ) -> bytes:
        """Return a batch as a payload, and note it as on its way.

        Args:
            batch: What the peer lacks.
            keys: Of the persons in it.
            author: The certificate of its node, to introduce it.

        Raises:
            LocalProtocolError: We have not greeted.
        """
        return self.send_packed(batch, pack(self.ref(batch.stream), batch, keys, author))

    def ref(self, stream: StreamId) -> StreamRef:
        """Return what a stream is called in what we send next."""
        return self._told.get(stream, stream.name())

    def send_packed(self, batch: Batch, payload: bytes) -> bytes:
        """Return a batch that was packed for our `ref` of its stream, and note it as on its way.

        Raises:
            LocalProtocolError: We have not greeted.
        """
        self._expect_greeted()
        self._told.setdefault(batch.stream, len(self._told))
        self._sent[batch.stream] = batch.last
        self._in_flight.append((batch.stream, batch.last))
        return payload

    def acknowledge(
        self,
        stored: Mapping[StreamId, int],
        safe: Mapping[StreamId, int],
        office: Mapping[StreamId, int] | None = None,
    ) -> bytes:
        """Return what we hold now, and what head office is heard to hold, as a payload."""
        self._expect_greeted()
        return wire.encode(Ack(self._refs(stored), self._refs(safe), self._refs(office or {})))

    def refuse(self, streams: Iterable[StreamId]) -> bytes:
        """Return that we take nothing of some streams; `resync` takes it back."""
        self._expect_greeted()
        return wire.encode(
            Vector((), tuple(ref for ref, _ in self._refs(dict.fromkeys(streams, 0))))
        )

    def resync(self, vector: Iterable[Head]) -> bytes:
        """Return where we really are: the answer to a batch that did not fit."""
        self._expect_greeted()
        return wire.encode(
            Vector(tuple(Position(head.stream.name(), head.seq, head.hash) for head in vector))
        )

    def fork(
        self, stream: StreamId, seq: int, ours: bytes, theirs: bytes, *, first: bool = False
    ) -> bytes:
        """Tell the peer that it holds another branch than we do; freeze the stream."""
        self._expect_greeted()
        self.frozen.add(stream)
        return wire.encode(Forked(stream.name(), seq, ours, theirs, first))

    def prove(self, stream: StreamId, after: int) -> None:
        """Send our branch of a forked stream from a number on: the peer sees where it parts.

        What the peer holds already it takes for a repeat; the first fact of ours that it
        has not is signed evidence of the fork.
        """
        self._proving.add(stream)
        self.frozen.discard(stream)
        self._peer[stream] = after
        self._sent.pop(stream, None)

    def below_base(self, stream: StreamId, base: int) -> bytes:
        """Tell the peer that what it lacks of a stream is no longer kept here."""
        self._expect_greeted()
        self.withheld.add(stream)
        return wire.encode(Pruned(stream.name(), base))

    def slow_down(self, ms: int) -> bytes:
        """Ask the peer to wait."""
        self._expect_greeted()
        return wire.encode(Slow(ms))

    def holds(self, stream: StreamId) -> int:
        """Return how far the peer holds a stream, by what it has said in this conversation."""
        return self._peer.get(stream, 0)

    def lacks(self, ours: Iterable[Head]) -> int:
        """Return how many facts in the peer's scopes it has not acknowledged."""
        return sum(
            max(0, head.seq - self._peer.get(head.stream, 0))
            for head in ours
            if self._wanted(head.stream)
        )

    def _wanted(self, stream: StreamId) -> bool:
        return (
            stream.scope in self.peer_scopes
            and stream not in self.frozen
            and stream not in self.refused
            and stream not in self.withheld
        )

    def _expect_greeted(self) -> None:
        if not self._greeted:
            raise LocalProtocolError("Hello comes first.")

    def _refs(self, numbers: Mapping[StreamId, int]) -> tuple[tuple[StreamRef, int], ...]:
        places = {stream: place for place, stream in enumerate(self._heard)}
        return tuple(
            (places.get(stream, stream.name()), number) for stream, number in numbers.items()
        )

    def _on_hello(self, hello: Hello) -> Greeted:
        if hello.newest < OLDEST or hello.oldest > PROTOCOL:
            raise RemoteProtocolError(
                f"Protocol {hello.oldest} to {hello.newest}: we speak {OLDEST} to {PROTOCOL}; "
                "upgrade the older side."
            )
        refused = [scope for scope in hello.scopes if not self.may_read(scope)]
        if refused:
            raise NotAllowed(f"Scope {refused[0]!r}: the peer's certificate does not cover it.")
        if len(hello.vector) > MAX_STREAMS:
            raise RemoteProtocolError(f"Vector of {len(hello.vector)}: the most is {MAX_STREAMS}.")
        self._was_greeted = True
        self.peer_scopes = hello.scopes
        vector = _vector(hello.vector)
        self._heard.extend(vector)
        self._peer = {stream: head.seq for stream, head in vector.items()}
        return Greeted(hello, vector)

    def _on_facts(self, message: Facts) -> Received:
        if isinstance(message.stream, bytes):
            stream = StreamId.from_name(message.stream)
            if len(self._heard) >= MAX_STREAMS:
                raise RemoteProtocolError(f"More than {MAX_STREAMS} streams in one conversation.")
            self._heard.append(stream)
        else:
            stream = self._resolve(message.stream, self._heard)
        batch = _to_batch(stream, message)
        if len(message.keys) > len(batch.facts):
            raise RemoteProtocolError(f"{len(message.keys)} keys for {len(batch.facts)} facts.")
        if len(message.author) > MAX_CERTIFICATE:
            raise RemoteProtocolError(f"A certificate of {len(message.author)} bytes.")
        # What a peer sends us it holds itself.
        self._peer[stream] = max(self._peer.get(stream, 0), batch.last)
        return Received(batch, message.keys, message.author)

    def _on_ack(self, message: Ack) -> Acknowledged:
        told = list(self._told)
        stored = {self._resolve(ref, told): seq for ref, seq in message.stored}
        safe = {self._resolve(ref, told): seq for ref, seq in message.safe}
        office = {self._resolve(ref, told): seq for ref, seq in message.office}
        for stream, seq in stored.items():
            self._peer[stream] = max(self._peer.get(stream, 0), seq)
        self._in_flight = [
            (stream, last) for stream, last in self._in_flight if last > self._peer.get(stream, 0)
        ]
        return Acknowledged(stored, safe, office)

    def _on_vector(self, message: Vector) -> Resynced:
        vector = _vector(message.positions)
        for stream, head in vector.items():
            self._peer[stream] = head.seq
            self._sent.pop(stream, None)
            self.withheld.discard(stream)
        told = list(self._told)
        refused = [self._resolve(ref, told) for ref in message.refused]
        self.refused.difference_update(vector)
        self.refused.update(refused)
        done = {*vector, *refused}
        self._in_flight = [entry for entry in self._in_flight if entry[0] not in done]
        return Resynced(vector, refused)

    @staticmethod
    def _resolve(ref: StreamRef, named: Sequence[StreamId]) -> StreamId:
        if isinstance(ref, bytes):
            return StreamId.from_name(ref)
        if not 0 <= ref < len(named):
            raise RemoteProtocolError(f"Stream {ref}: only {len(named)} were named.")
        return named[ref]


def pack(
    ref: StreamRef,
    batch: Batch,
    keys: Mapping[bytes, bytes] | None = None,
    author: bytes = b"",
) -> bytes:
    """Return a batch as a payload, for every conversation that calls its stream `ref`."""
    return wire.encode(_to_facts(ref, batch, dict(keys or {}), author))


def _vector(positions: Iterable[Position]) -> dict[StreamId, Head]:
    vector = {}
    for position in positions:
        stream = StreamId.from_name(position.stream)
        vector[stream] = Head(stream, position.seq, position.hash)
    return vector


def _column(values: list[_T]) -> list[_T]:
    return values[:1] if values.count(values[0]) == len(values) else values


def _spread(column: list[_T], n: int) -> list[_T]:
    return column * n if len(column) == 1 else column


def _to_facts(ref: StreamRef, batch: Batch, keys: dict[bytes, bytes], author: bytes) -> Facts:
    facts = batch.facts
    bodies = [fact.body for fact in facts]
    column = shred(bodies) if len(facts) >= WORTH_SHREDDING else None
    times = [fact.hlc >> COUNTER_BITS for fact in facts]
    return Facts(
        ref,
        batch.first,
        batch.signature,
        times[:1] + [after - before for before, after in pairwise(times)],
        _column([fact.hlc & _COUNTER for fact in facts]),
        _column([fact.kind for fact in facts]),
        _column([fact.version for fact in facts]),
        b"".join(fact.event for fact in facts),
        bodies if column is None else [],
        column,
        keys,
        author,
    )


def _to_batch(stream: StreamId, message: Facts) -> Batch:
    n = len(message.hlc_ms)
    if not 0 < n <= MAX_BATCH_FACTS:
        raise RemoteProtocolError(f"Batch of {n} facts: expected 1 to {MAX_BATCH_FACTS}.")
    if message.first < 1:
        raise RemoteProtocolError(f"Batch from number {message.first}: streams begin at 1.")
    bodies = message.body if message.column is None else assemble(message.column, n)
    if len(message.event) != n * EVENT_BYTES or len(bodies) != n:
        raise RemoteProtocolError(f"Batch of {n} facts: its columns are of other lengths.")
    counts = _spread(message.hlc_count, n)
    kinds = _spread(message.kind, n)
    versions = _spread(message.version, n)
    if not len(counts) == len(kinds) == len(versions) == n:
        raise RemoteProtocolError(f"Batch of {n} facts: its columns are of other lengths.")
    if not 0 <= min(counts) <= max(counts) <= _COUNTER:
        raise RemoteProtocolError(f"Batch of {n} facts: a clock's counter is out of bounds.")
    facts = [
        Fact(
            message.first + at,
            (ms << COUNTER_BITS) | count,
            kind,
            version,
            message.event[at * EVENT_BYTES : (at + 1) * EVENT_BYTES],
            body,
        )
        for at, (ms, count, kind, version, body) in enumerate(
            zip(accumulate(message.hlc_ms), counts, kinds, versions, bodies, strict=True)
        )
    ]
    return Batch(stream, facts, message.signature)
