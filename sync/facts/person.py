"""What is known of a person, readable only while the person's key exists.

Hashes cover the sealed bytes; keys travel beside the streams, never in them.
To forget a person is to destroy the key: every chain still verifies.
"""

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from sync.errors import BadFact

KEY_BYTES = 32
NONCE_BYTES = 12
PERSON_BYTES = 16


class Sealed(msgspec.Struct, frozen=True, array_like=True):
    """A personal body under the person's key: ChaCha20-Poly1305 (RFC 8439)."""

    person: bytes
    """16 random bytes; says nothing of who it is."""

    nonce: bytes
    """12 bytes, never used twice with one key."""

    ciphertext: bytes


class Buyer(msgspec.Struct, frozen=True, array_like=True):
    """Who a receipt is made out to."""

    nip: str = ""
    name: str = ""


def seal(buyer: Buyer, person: bytes, key: bytes, nonce: bytes) -> Sealed:
    """Encrypt `buyer`; `nonce` must be fresh for this key."""
    plaintext = msgspec.msgpack.encode(buyer)
    return Sealed(person, nonce, ChaCha20Poly1305(key).encrypt(nonce, plaintext, person))


def unseal(sealed: Sealed, key: bytes) -> Buyer:
    """Decrypt.

    Raises:
        BadFact: The key is another's, or the bytes were changed.
    """
    try:
        plaintext = ChaCha20Poly1305(key).decrypt(sealed.nonce, sealed.ciphertext, sealed.person)
        return msgspec.msgpack.decode(plaintext, type=Buyer)
    except (InvalidTag, ValueError, msgspec.DecodeError) as error:
        raise BadFact(f"Person {sealed.person.hex()}: cannot be read with this key.") from error
