"""What is known of a person, readable only while the person's key exists.

Hashes cover the sealed bytes; keys travel beside the streams, never in them.
To forget a person is to destroy the key: every chain still verifies.
"""

from collections.abc import Iterator

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from sync.errors import BadFact

KEY_BYTES = 32
NONCE_BYTES = 12
PERSON_BYTES = 16
TAG_BYTES = 16


class Sealed(msgspec.Struct, frozen=True, array_like=True):
    """Something personal under the person's key: ChaCha20-Poly1305 (RFC 8439)."""

    person: bytes
    """16 random bytes; says nothing of who it is."""

    nonce: bytes
    """12 bytes, never used twice with one key."""

    ciphertext: bytes

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        sizes = len(self.person), len(self.nonce)
        if sizes != (PERSON_BYTES, NONCE_BYTES) or len(self.ciphertext) < TAG_BYTES:
            return "sealed bytes without a person, a nonce or a tag"
        return ""


class Buyer(msgspec.Struct, frozen=True, array_like=True):
    """Who a receipt is made out to."""

    nip: str = ""
    name: str = ""


class PersonForgotten(msgspec.Struct, frozen=True, array_like=True):
    """Head office destroyed the keys of a person; whoever reads this destroys its own.

    For ever: what a store writes of the same document later, having not heard yet, is
    forgotten with it.
    """

    document: bytes
    """The person's document: a customer's id."""

    persons: tuple[bytes, ...]
    """The keys known to head office, by `Sealed.person`."""

    why: str = ""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        sizes = {len(self.document), *map(len, self.persons)}
        return "" if sizes == {PERSON_BYTES} else "a person's name has 16 bytes"


def seal(content: object, person: bytes, key: bytes, nonce: bytes) -> Sealed:
    """Encrypt a struct or bytes; `nonce` must be fresh for this key."""
    plaintext = content if isinstance(content, bytes) else msgspec.msgpack.encode(content)
    return Sealed(person, nonce, ChaCha20Poly1305(key).encrypt(nonce, plaintext, person))


def unseal(sealed: Sealed, key: bytes) -> Buyer:
    """Decrypt who a receipt is made out to.

    Raises:
        BadFact: The key is another's, or the bytes were changed.
    """
    try:
        return msgspec.msgpack.decode(unsealed(sealed, key), type=Buyer)
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        raise BadFact(f"Person {sealed.person.hex()}: cannot be read with this key.") from error


def unsealed(sealed: Sealed, key: bytes) -> bytes:
    """Decrypt to bytes.

    Raises:
        BadFact: The key is another's, or the bytes were changed.
    """
    try:
        return ChaCha20Poly1305(key).decrypt(sealed.nonce, sealed.ciphertext, sealed.person)
    except (InvalidTag, ValueError) as error:
        raise BadFact(f"Person {sealed.person.hex()}: cannot be read with this key.") from error


def opens(sealed: Sealed, key: bytes) -> bool:
    """Whether a key is the person's."""
    try:
        unsealed(sealed, key)
    except BadFact:
        return False
    return True


def sealed_in(body: msgspec.Struct) -> Iterator[Sealed]:
    """Give whatever stands sealed in a fact's body."""
    for name in body.__struct_fields__:
        value = getattr(body, name)
        if isinstance(value, Sealed):
            yield value
