"""Changes of documents that several people edit at once (`sync.merge.document`).

A document has a kind (`CUSTOMER`, `BASKET`) and *generations*: the first begins empty,
each later one from plain values, leaving the history behind. A change names the
generation it was made in; one that comes after the next has begun without it waits for
a person. Personal kinds carry everything sealed under the person's key.
"""

from hashlib import sha256
from typing import Annotated

import msgspec

from sync.errors import BadFact
from sync.facts.change import MAX_CHANGE, read
from sync.facts.columns import Whole
from sync.facts.person import TAG_BYTES, Sealed

CUSTOMER = "customer"
"""A person's profile. Shared by all stores, sealed."""

BASKET = "basket"
"""A basket put aside. Of one store, plain."""

SHARED = frozenset({CUSTOMER})
"""Kinds that head office passes on to every store."""

DOCUMENT_BYTES = 16
NAME_BYTES = 16
"""A change, or a generation, is named by the beginning of the SHA-256 of what it says."""

MAX_NAMES = 1 << 16
"""Bytes of names in one fact: 4096 changes."""

MAX_KIND = 20

Name = Annotated[bytes, msgspec.Meta(max_length=NAME_BYTES)]


def _name(*parts: object) -> bytes:
    return sha256(msgspec.msgpack.encode(parts)).digest()[:NAME_BYTES]


def names(joined: bytes) -> set[bytes]:
    """Cut names that stand one behind the other."""
    return {joined[at : at + NAME_BYTES] for at in range(0, len(joined), NAME_BYTES)}


def _objection(document: bytes, kind: str, *, generation: bytes, content: bytes | Sealed) -> str:
    if len(document) != DOCUMENT_BYTES or len(generation) not in (0, NAME_BYTES):
        return "a document's name, and a generation's, has 16 bytes"
    if not 0 < len(kind) <= MAX_KIND:
        return f"a document of kind {kind[:MAX_KIND]!r}"
    if isinstance(content, Sealed):
        if len(content.ciphertext) > MAX_CHANGE + TAG_BYTES:
            return f"a change of {len(content.ciphertext)} bytes, expected at most {MAX_CHANGE}"
        return content.reason()
    if kind == CUSTOMER:
        return "a person's document that is not sealed"
    try:
        read(content)
    except BadFact as error:
        return str(error)
    return ""


class DocumentChanged(msgspec.Struct, frozen=True, array_like=True):
    """Somebody edited a document."""

    document: bytes
    kind: str
    generation: Name
    """Empty for the first."""

    change: bytes | Sealed

    @property
    def name(self) -> bytes:
        """Name of the change: the same wherever it is written again."""
        return _name(self.kind, self.generation, self.change)

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        return _objection(self.document, self.kind, generation=self.generation, content=self.change)


class GenerationBegan(msgspec.Struct, frozen=True, array_like=True):
    """A document goes on from plain values; the history before them is left behind.

    Of two that follow one generation, the one with the higher number holds, then the
    one that covers more, then the lower name; the other waits for a person.
    """

    document: bytes
    kind: str
    previous: Name
    number: Whole
    """2, 3, …"""

    covered: bytes
    """Names of the changes, of whatever generation, that are in `start`."""

    start: bytes | Sealed
    """A change that builds on nothing but the first change of all documents."""

    @property
    def name(self) -> bytes:
        """Name of the generation that begins."""
        return _name(self.kind, self.previous, self.number, self.covered, self.start)

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if self.number < 2 or len(self.covered) > MAX_NAMES or len(self.covered) % NAME_BYTES:
            return f"generation {self.number} of a document"
        return _objection(self.document, self.kind, generation=self.previous, content=self.start)


class DocumentSettled(msgspec.Struct, frozen=True, array_like=True):
    """A person looked at what was odd about a document, and says that it is dealt with."""

    document: bytes
    seen: bytes
    """Names of the changes, generations and recalls that were looked at."""

    by: str
    note: str = ""
    keep: bytes = b""
    """Of several recalls of a basket, the one that may sell it; the latest word holds."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if len(self.document) != DOCUMENT_BYTES or len(self.keep) not in (0, NAME_BYTES):
            return "a document's name, and a recall's, has 16 bytes"
        if len(self.seen) > MAX_NAMES or len(self.seen) % NAME_BYTES:
            return "names of 16 bytes each"
        return "" if self.by else "somebody must have looked"
