"""A conversation in a file: what one side has to say, carried by hand.

* 8 bytes ``karbstk1``; 8 bytes, the length of the whole file (big-endian)
* 4 bytes of length and the header (`Header`, msgpack)
* payloads of `wire`, each behind 4 bytes of length, a greeting first; 4 bytes of zero
* SHA-256 of all from the header on and then the 8 bytes of length
* Ed25519 of the writer over ``karb.stick.1`` and that hash

The whole frame is checked before anything in it is believed; batches are verified by their
authors' signatures all the same. Persons' keys travel locked under a key of the stick's own,
which is sealed for each receiver: who finds a stick reads no personal data.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from struct import Struct
from typing import BinaryIO

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.chain import ALL, HASH_BYTES
from sync.errors import BadIdentity, SyncError
from sync.exchange.wire import MAX_PAYLOAD
from sync.identity import Identity, certificate, fingerprint, judge
from sync.sealing import lock, seal, unlock, unseal

MAGIC = b"karbstk1"
SIGNATURE_BYTES = 64
MAX_HEADER = 256 * 1024
AGAIN = "write it again with sync --to"

_SIZE = Struct(">Q")
_LENGTH = Struct(">I")
_START = len(MAGIC) + _SIZE.size
_END = _LENGTH.size + HASH_BYTES + SIGNATURE_BYTES
_CHUNK = 1 << 20


class BadStick(SyncError):
    """The file is not taken; says what was expected, and the cure."""


class Header(msgspec.Struct, frozen=True, array_like=True):
    """What a stick says of itself."""

    authority: bytes
    """SHA-256 of head office's own certificate: which chain of shops."""

    store: str
    writer: bytes
    """Certificate (DER) of who wrote it: a node of the store, or head office."""

    written_ms: int
    """Its time when it did, Unix milliseconds."""

    keys: dict[bytes, bytes] = {}
    """Node to the stick's key, sealed for it."""


class Lock:
    """Keys of persons on their way, under the stick's own key."""

    def __init__(self, key: bytes) -> None:
        """Take 32 random bytes."""
        self._key = key

    @classmethod
    def of(cls, header: Header, node: bytes, key: Ed25519PrivateKey) -> "Lock | None":
        """Open the key that a stick has for a node; None if it has none that fits."""
        try:
            return cls(unseal(header.keys.get(node, b""), key))
        except BadIdentity:
            return None

    def for_nodes(self, nodes: Mapping[bytes, bytes], ephemeral: bytes) -> dict[bytes, bytes]:
        """Seal the key for nodes (name to public key); `ephemeral` is 32 fresh random bytes."""
        return {node: seal(self._key, public, ephemeral) for node, public in nodes.items()}

    def close(self, keys: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Lock persons' keys."""
        return {person: lock(self._key, person, key) for person, key in keys.items()}

    def open(self, keys: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Unlock those that can be."""
        opened = {person: unlock(self._key, person, kept) for person, kept in keys.items()}
        return {person: key for person, key in opened.items() if key is not None}


class Writer:
    """Writes a stick into a file that is new and can seek."""

    def __init__(self, file: BinaryIO, header: Header) -> None:
        """Write the beginning."""
        self._file, self._hash, self._size = file, sha256(), _START
        file.write(MAGIC + bytes(_SIZE.size))
        self.add(msgspec.msgpack.encode(header))

    def add(self, payload: bytes) -> None:
        """Write a payload."""
        self._put(_LENGTH.pack(len(payload)) + payload)

    def end(self, key: Ed25519PrivateKey) -> int:
        """Write the end, signed; return the size in bytes."""
        self._put(_LENGTH.pack(0))
        size = _SIZE.pack(self._size + HASH_BYTES + SIGNATURE_BYTES)
        self._hash.update(size)
        digest = self._hash.digest()
        self._file.write(digest + key.sign(b"karb.stick.1" + digest))
        self._file.seek(len(MAGIC))
        self._file.write(size)
        return int(_SIZE.unpack(size)[0])

    def _put(self, piece: bytes) -> None:
        self._file.write(piece)
        self._hash.update(piece)
        self._size += len(piece)


def check(file: BinaryIO, authority: x509.Certificate) -> tuple[Header, Identity]:
    """Check a whole stick; return what it says of itself, and who wrote it.

    Args:
        file: Opened for reading; can seek.
        authority: Head office's own certificate.

    Raises:
        BadStick: It is empty, something else, cut off, damaged, or of another chain of shops.
    """
    size = file.seek(0, 2)
    file.seek(0)
    start = file.read(_START)
    if not size:
        raise BadStick(f"it is empty: expected a file of sync --to; {AGAIN}.")
    if start[: len(MAGIC)] != MAGIC[: len(start)]:
        raise BadStick("it is no file of Karb's sync --to; give that file, or write one.")
    said = _SIZE.unpack(start[len(MAGIC) :])[0] if len(start) == _START else _START + _END
    if size < said:
        raise BadStick(
            f"it is cut off: expected {said} bytes, got {size}; wait until the copy is whole and "
            f"take the stick out safely, or {AGAIN}."
        )
    digest = _digest(file, size, said)
    header = _header(file)
    if header.authority != fingerprint(authority):
        raise BadStick(
            f"it is of another chain of shops ({header.authority.hex()[:16]}), expected one of "
            f"ours ({fingerprint(authority).hex()[:16]}); take it where it belongs."
        )
    try:
        # Read long after it was written: the certificate had to be good then.
        writer = judge(certificate(header.writer), authority, header.written_ms or None)
        file.seek(size - SIGNATURE_BYTES)
        Ed25519PublicKey.from_public_bytes(writer.public_key).verify(
            file.read(), b"karb.stick.1" + digest
        )
    except (BadIdentity, ValueError) as error:
        raise BadStick(f"its writer is not known: {error}") from error
    except InvalidSignature as error:
        raise BadStick(f"its writer did not sign what is in it; {AGAIN}.") from error
    if writer.store not in (ALL, header.store):
        raise BadStick(
            f"its writer is of store {writer.store}, what it brings of {header.store}; {AGAIN}."
        )
    return header, writer


def payloads(file: BinaryIO) -> Iterator[bytes]:
    """Give the payloads of a stick that was checked."""
    file.seek(_START)
    _piece(file, MAX_HEADER)
    while piece := _piece(file, MAX_PAYLOAD):
        yield piece


def _digest(file: BinaryIO, size: int, said: int) -> bytes:
    left = size - _START - HASH_BYTES - SIGNATURE_BYTES
    damaged = BadStick(f"it is damaged: its checksum does not hold; {AGAIN}, on another stick.")
    if size != said or left < 0:
        raise damaged
    digest = sha256()
    while left:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            raise damaged
        digest.update(chunk)
        left -= len(chunk)
    digest.update(_SIZE.pack(size))
    if file.read(HASH_BYTES) != digest.digest():
        raise damaged
    return digest.digest()


def _header(file: BinaryIO) -> Header:
    file.seek(_START)
    try:
        return msgspec.msgpack.decode(_piece(file, MAX_HEADER), type=Header)
    except msgspec.DecodeError as error:
        raise BadStick(f"its header cannot be read ({error}); {AGAIN}.") from error


def _piece(file: BinaryIO, most: int) -> bytes:
    prefix = file.read(_LENGTH.size)
    length = _LENGTH.unpack(prefix)[0] if len(prefix) == _LENGTH.size else most + 1
    piece = file.read(length) if length <= most else b""
    if length > most or len(piece) != length:
        raise BadStick(f"a piece of it is of {length} bytes; {AGAIN}.")
    return piece
