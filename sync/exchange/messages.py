"""What two nodes say to each other. Array-form msgpack, told apart by the first value."""

from typing import Any

import msgspec

PROTOCOL = 1
"""The version this program speaks; it also understands those down to `OLDEST`."""

OLDEST = 1

MAX_STREAMS = 20_000
"""Streams one vector may name."""

StreamRef = int | bytes
"""A stream: its place in the list of streams its speaker has named so far, or, the
first time, its name."""


class Position(msgspec.Struct, frozen=True, array_like=True):
    """How far a node holds a stream."""

    stream: bytes
    """`StreamId.name()`"""

    seq: int
    hash: bytes
    """Of that number; peers find forks by it."""


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The first message of each side."""

    oldest: int
    newest: int
    """Protocol versions understood."""

    scopes: tuple[str, ...]
    """Scopes the speaker wants facts of."""

    kinds: tuple[tuple[str, int], ...]
    """Kinds and versions it can apply; others it keeps and relays."""

    vector: tuple[Position, ...]
    time_ms: int | None = None
    """Its trusted time; None while it has none."""

    software: str = ""
    name: str = ""
    """What its installer calls the machine."""


class Facts(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A batch, as columns: what is alike stands side by side for the compressor."""

    stream: StreamRef
    first: int
    """Number of the first fact."""

    signature: bytes
    hlc_ms: list[int]
    """Of the first fact, then differences."""

    hlc_count: list[int]
    kind: list[str]
    """One value if all are alike; likewise `version` and `hlc_count`."""

    version: list[int]
    event: bytes
    """16 bytes a fact."""

    body: list[bytes]
    """The bodies, or nothing where `column` has them."""

    column: Any = None
    """All bodies as one column (`sync.exchange.shred`)."""

    keys: dict[bytes, bytes] = {}
    """Keys of the persons in these bodies. Outside the hashes: see `sync.facts.person`."""

    author: bytes = b""
    """Certificate (DER) of the stream's node, in the first batch of a stream somebody else
    wrote: head office's signature on it introduces a node the other has not heard of."""


class Ack(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """What the speaker holds of the hearer's streams."""

    stored: tuple[tuple[StreamRef, int], ...]
    """Committed on disk."""

    safe: tuple[tuple[StreamRef, int], ...] = ()
    """Committed, and backed up or replicated: what the author may prune in time."""

    office: tuple[tuple[StreamRef, int], ...] = ()
    """What head office has stored, as far as a node of a store has heard; `safe` is then
    head office's too."""


class Vector(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A batch did not fit: this is where the speaker really is."""

    positions: tuple[Position, ...]
    refused: tuple[StreamRef, ...] = ()
    """Streams it takes nothing of: of a node revoked, or not known (yet). The others go on."""


class Forked(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Two signed heads of one stream and number: the stream is frozen."""

    stream: bytes
    seq: int
    ours: bytes
    theirs: bytes
    first: bool = False
    """Whether `seq` is where the branches part; else they part there or before."""


class Slow(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """Please wait before you send more."""

    ms: int


class Pruned(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """What the hearer lacks of a stream begins before what the speaker keeps of it.

    Old facts are dropped once head office has them safely: they, or a checkpoint, are to
    be had there.
    """

    stream: bytes
    """`StreamId.name()`"""

    base: int
    """Facts up to this number are not to be had from the speaker."""


Message = Hello | Facts | Ack | Vector | Forked | Slow | Pruned
