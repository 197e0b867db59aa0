"""Nodes and stores: who may write, and what a store is.

Written by central alone, but for `IncarnationBegan`, which every node writes first
in a new life, and `AppendedAgain`, which a node writes when a branch of its own lost.
"""

import msgspec

from sync.chain import HASH_BYTES, NODE_BYTES, StreamId
from sync.facts.columns import Whole


class StoreDescribed(msgspec.Struct, frozen=True, array_like=True):
    """What head office says of a store; the latest one holds."""

    store: str
    name: str
    zone: str = "Europe/Warsaw"
    """IANA time zone of the business day."""

    currency: str = "PLN"
    taxpayer: str = ""
    """NIP of the seller."""

    fiscal: bool = False
    """A fiscal store records no sale without fiscal evidence."""

    day_starts_minute: Whole = 0
    """Minutes after local midnight at which a business day begins."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        return "" if self.store and self.name else "a store needs an id and a name"


class NodeEnrolled(msgspec.Struct, frozen=True, array_like=True):
    """Central certified a node; others learn its key from here."""

    node: bytes
    store: str
    certificate: bytes
    """DER."""

    name: str = ""
    """What the installer called the machine."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        return "" if len(self.node) == NODE_BYTES else "a node's name has 16 bytes"


class NodeRevoked(msgspec.Struct, frozen=True, array_like=True):
    """Nothing more is taken from this node."""

    node: bytes
    why: str = ""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        return "" if len(self.node) == NODE_BYTES else "a node's name has 16 bytes"


class IncarnationBegan(msgspec.Struct, frozen=True, array_like=True):
    """The first fact of a node's life after another one ended."""

    previous: StreamId | None
    """The stream of the life before; None for the first life."""

    seq: Whole
    """How far the node itself knew it."""

    hash: bytes
    cause: str
    """``enrolled``, ``restored``, ``other machine``, ``other file``, ``older file``,
    ``peer knew more``, ``fork``, ``closed``, ``damaged``."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        return "" if self.seq >= 0 else "a number is never negative"


class StreamClosed(msgspec.Struct, frozen=True, array_like=True):
    """Central's fence, written once a stream: this is where it ends, and who goes on.

    Of two branches it says which one holds. What comes after `seq` on any branch is no
    part of the stream; `successor` inherits its rights as they stood at `seq`.
    """

    stream: StreamId
    seq: Whole
    hash: bytes
    """Of fact `seq`; of nothing (`chain.genesis`) where `seq` is 0."""

    successor: StreamId
    why: str = ""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if self.successor == self.stream:
            return f"stream {self.stream} cannot succeed itself"
        if self.successor.scope != self.stream.scope:
            return f"stream {self.stream}: its successor is of scope {self.successor.scope!r}"
        return "" if self.seq >= 0 and len(self.hash) == HASH_BYTES else "a fence needs a place"


class AppendedAgain(msgspec.Struct, frozen=True, array_like=True):
    """The next `len(seqs)` facts of this stream were first written in another, and lost there.

    Each has its own event and so is counted once, whoever holds both.
    """

    stream: StreamId
    """Where they stood: a branch that lost, or what a damaged disk could still read."""

    seqs: list[Whole]
    """Their numbers there, in order."""

    hashes: list[bytes]
    """Their hashes there: anyone who kept the branch can find them in it."""

    lost: list[Whole]
    """Numbers of the branch that could not be read any more."""

    why: str = ""
    """``closed``, ``fork`` or ``damaged``."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if len(self.seqs) != len(self.hashes):
            return f"{len(self.seqs)} numbers, {len(self.hashes)} hashes"
        if any(number < 1 for number in (*self.seqs, *self.lost)):
            return "a number is above zero"
        return ""
