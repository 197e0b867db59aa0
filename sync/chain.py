"""Streams of facts: numbered without a gap, hashed one onto the other, signed at heads.

The formats on this page are written into every journal for ever.

* stream name: 16 bytes node, 8 bytes incarnation (big-endian), the scope in UTF-8
* hash of number 0: SHA-256 of ``karb.stream.1`` and the stream name
* hash of fact n: SHA-256 of ``karb.fact.1``, the hash of n - 1, then n (u64), hlc
  (u64), version (u16), length of kind (u8), kind in UTF-8, event (16 bytes), body
* signature of a head: Ed25519 (RFC 8032) over ``karb.head.1``, n (u64), the hash,
  the stream name
"""

import base64
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from struct import Struct
from struct import error as struct_error

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.errors import BadSignature, BrokenChain, RemoteProtocolError

ALL = ""
"""The scope of facts meant for every store."""

NODE_BYTES = 16
INCARNATION_BITS = 40
MAX_SCOPE = 40
"""Characters of a store's id."""

HASH_BYTES = 32
EVENT_BYTES = 16
MAX_KIND = 40
MAX_BODY = 256 * 1024
"""Bytes of one fact's body."""

_HEADER = Struct(">QQHB")
_NAME = Struct(">16sQ")
_SEQ = Struct(">Q")


class StreamId(msgspec.Struct, frozen=True, order=True, array_like=True):
    """One node's facts for one scope, in one life of that node."""

    node: bytes
    """16 bytes, see `identity.node_id`."""

    incarnation: int
    """40 random bits drawn when the life began: two clones never draw the same."""

    scope: str
    """A store's id, or `ALL`."""

    def name(self) -> bytes:
        """Return the name in bytes, as hashed and signed."""
        return _NAME.pack(self.node, self.incarnation) + self.scope.encode()

    @classmethod
    def from_name(cls, name: bytes) -> "StreamId":
        """Read a name back.

        Raises:
            RemoteProtocolError: It is too short or its scope is not UTF-8.
        """
        try:
            node, incarnation = _NAME.unpack_from(name)
            stream = cls(node, incarnation, name[_NAME.size :].decode())
        except (ValueError, struct_error) as error:
            raise RemoteProtocolError(f"Stream name {name.hex()!r}: not a stream name.") from error
        if incarnation >> INCARNATION_BITS or len(stream.scope) > MAX_SCOPE:
            raise RemoteProtocolError(f"Stream name {name.hex()!r}: out of bounds.")
        return stream

    def __str__(self) -> str:
        return f"{self.node.hex()[:12]}.{life(self.incarnation)}.{self.scope or '*'}"


class Fact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something that happened, as its author wrote it. Never changes."""

    seq: int
    """1, 2, 3 … within the stream."""

    hlc: int
    kind: str
    version: int
    event: bytes
    """16 bytes: the business event; several facts may tell of one."""

    body: bytes
    """msgpack of a struct in `sync.facts`, kept even where nobody here can read it."""


class Head(msgspec.Struct, frozen=True, array_like=True):
    """How far a stream is known: its number and the hash of it."""

    stream: StreamId
    seq: int
    hash: bytes


class Batch(msgspec.Struct, frozen=True):
    """Consecutive facts of one stream, ending on a signed head."""

    stream: StreamId
    facts: Sequence[Fact]
    signature: bytes
    """Of the head that the last fact makes."""

    @property
    def first(self) -> int:
        """Number of the first fact."""
        return self.facts[0].seq

    @property
    def last(self) -> int:
        """Number of the last fact."""
        return self.facts[-1].seq


@lru_cache(maxsize=64)
def life(incarnation: int) -> str:
    """Return an incarnation as eight characters fit for a receipt."""
    return base64.b32encode(incarnation.to_bytes(5, "big")).decode()


def genesis(stream: StreamId) -> bytes:
    """Return the hash that stands before a stream's first fact."""
    return sha256(b"karb.stream.1" + stream.name()).digest()


def fact_hash(previous: bytes, fact: Fact) -> bytes:
    """Return the hash of `fact` on top of `previous`."""
    kind = fact.kind.encode()
    header = _HEADER.pack(fact.seq, fact.hlc, fact.version, len(kind))
    return sha256(
        b"".join((b"karb.fact.1", previous, header, kind, fact.event, fact.body))
    ).digest()


def extend(previous: bytes, facts: Iterable[Fact]) -> list[bytes]:
    """Return the hash of each of `facts` in turn."""
    hashes = []
    for fact in facts:
        previous = fact_hash(previous, fact)
        hashes.append(previous)
    return hashes


def _signed(head: Head) -> bytes:
    return b"".join((b"karb.head.1", _SEQ.pack(head.seq), head.hash, head.stream.name()))


def sign(key: Ed25519PrivateKey, head: Head) -> bytes:
    """Return the 64 bytes that vouch for `head` and everything before it."""
    return key.sign(_signed(head))


def verify_head(public_key: Ed25519PublicKey, head: Head, signature: bytes) -> None:
    """Check that the node of `public_key` vouched for `head`.

    Raises:
        BadSignature: It did not.
    """
    try:
        public_key.verify(signature, _signed(head))
    except InvalidSignature as error:
        raise BadSignature(
            f"Stream {head.stream}: number {head.seq} is not signed by its node."
        ) from error


def check_shape(fact: Fact) -> None:
    """Refuse a fact that no author can have written.

    Raises:
        RemoteProtocolError: A field is out of its bounds.
    """
    if not (
        0 < fact.seq < 1 << 63
        and 0 <= fact.hlc < 1 << 63
        and 0 < fact.version < 1 << 16
        and 0 < len(fact.kind.encode()) <= MAX_KIND
        and len(fact.event) == EVENT_BYTES
        and len(fact.body) <= MAX_BODY
    ):
        raise RemoteProtocolError(
            f"Fact {fact.seq} of kind {fact.kind[:MAX_KIND]!r}: a field is out of bounds."
        )


def verify(batch: Batch, before: Head, public_key: Ed25519PublicKey) -> list[bytes]:
    """Check that `batch` continues `before` and is signed; return the hash of each fact.

    Raises:
        RemoteProtocolError: A fact has an impossible shape.
        BrokenChain: It does not start at the next number, or numbers are not consecutive.
        BadSignature: Its head was not signed by the stream's node.
    """
    for number, fact in enumerate(batch.facts, start=before.seq + 1):
        check_shape(fact)
        if fact.seq != number:
            raise BrokenChain(
                f"Stream {batch.stream}: expected number {number}, got {fact.seq}; "
                "nothing of the batch was stored."
            )
    if not batch.facts:
        raise BrokenChain(f"Stream {batch.stream}: an empty batch continues nothing.")
    hashes = extend(before.hash, batch.facts)
    verify_head(public_key, Head(batch.stream, batch.last, hashes[-1]), batch.signature)
    return hashes
