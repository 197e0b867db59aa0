"""Promises of head office, and the orders that stores make of them.

A promise holds goods at one or several places for somebody who buys elsewhere: head
office writes `PromiseMade` beside what it holds (`RightsMoved` HELD) into its stream of
each of these stores, under the promise's id. Confirmed it becomes `OrderPlaced` there,
with the right going to the store; else it ends (`PromiseEnded`) and what was held is
freed. The store tells what became of an order (`OrderAnswered`). Quantities are ints in
thousandths (`_milli`).
"""

from enum import IntEnum

import msgspec

from sync.chain import EVENT_BYTES, StreamId
from sync.facts.columns import Whole
from sync.facts.rights import CellLines

DIGEST_BYTES = 32


class PromiseMade(msgspec.Struct, frozen=True, array_like=True):
    """Goods are held at the place of the stream. Written by central."""

    channel: str
    at_ms: Whole
    expires_ms: Whole
    lines: CellLines
    """What is held at this place."""

    digest: bytes
    """SHA-256 of what was asked: the same id with another request is refused."""

    places: tuple[str, ...]
    """Every store the promise holds goods at, this one included."""

    root: bytes = b""
    """The promise that this one carries on elsewhere; empty: this is it."""

    instead_of: bytes = b""
    """Event of the part that could not be served; empty: none."""

    instead_at: str = ""
    """The store of that part."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        for named in (self.root, self.instead_of):
            if named and len(named) != EVENT_BYTES:
                return f"an event of {len(named)} bytes"
        if len(self.digest) != DIGEST_BYTES:
            return f"a digest of {len(self.digest)} bytes"
        return self.lines.reason()


class Ending(IntEnum):
    """How a promise ended. Written into facts: never renumber; of two the higher holds."""

    RELEASED = 1
    """Whoever asked for it gave it back."""

    EXPIRED = 2
    MOVED = 3
    """Another place promises instead."""

    CONFIRMED = 4
    """It is an order now: what `OrderPlaced` says, and never `PromiseEnded`."""


class PromiseEnded(msgspec.Struct, frozen=True, array_like=True):
    """A promise came to nothing here; what was held is free. Written by central."""

    made_in: StreamId
    """The stream that holds its `PromiseMade`: maybe of a life of central's before."""

    how: Ending
    why: str = ""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        return "confirmed is what an order says" if self.how is Ending.CONFIRMED else ""


class OrderPlaced(msgspec.Struct, frozen=True, array_like=True):
    """A promise was confirmed: the store is to hand these goods out. Written by central."""

    made_in: StreamId
    """The stream that holds its `PromiseMade`."""

    holder: StreamId
    """Who gets the right; the node of this stream holds the goods for the order."""

    channel: str
    at_ms: Whole
    lines: CellLines

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        return self.lines.reason()


class Answer(IntEnum):
    """What a store says of an order. Written into facts: never renumber."""

    PICKED = 1
    """It lies ready."""

    HANDED = 2
    """The buyer, or the carrier, has it."""

    SHORT = 3
    """It is not there; what stood in the books is written off."""

    CANCELLED = 4
    """Nobody wants it any more."""


class OrderAnswered(msgspec.Struct, frozen=True, array_like=True):
    """What became of an order, or of a part of it. Written by the store's node."""

    answer: Answer
    at_ms: Whole
    trust: Whole
    lines: CellLines
    """What the answer is about."""

    id: bytes
    """16 bytes, made by whoever said it: the same answer again is one answer."""

    who: str = ""
    why: str = ""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if len(self.id) != EVENT_BYTES:
            return f"an id of {len(self.id)} bytes"
        return self.lines.reason()


class PromiseBroken(msgspec.Struct, frozen=True, array_like=True):
    """A person gave up what a store was short of. Written by central."""

    lines: CellLines
    who: str
    why: str = ""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        return self.lines.reason() or ("" if self.who else "a promise is broken by a person")
