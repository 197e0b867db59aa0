"""A secret for one node, that whoever finds it cannot read.

The node's Ed25519 key serves for the agreement too, in its Montgomery form (the map of
RFC 7748, 4.1, as libsodium's `crypto_sign_ed25519_pk_to_curve25519`); that one key may do
both is shown by Thormarker, *On using the same key pair for Ed25519 and an X25519 based KEM*
(2021). Sealed: 32 bytes of an ephemeral X25519 key, then ChaCha20-Poly1305 under
HKDF-SHA-256 of what the two agree on.
"""

from hashlib import sha512

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sync.errors import BadIdentity
from sync.identity import raw_public

_P = 2**255 - 19
_PUBLIC_BYTES = 32
_ONCE = bytes(12)
"""The nonce: every key derived here encrypts one thing."""


def seal(secret: bytes, public_key: bytes, ephemeral: bytes) -> bytes:
    """Seal for the node of an Ed25519 public key; `ephemeral` is 32 fresh random bytes.

    Raises:
        BadIdentity: The key is none that can be agreed with.
    """
    ours = X25519PrivateKey.from_private_bytes(ephemeral)
    shown = ours.public_key().public_bytes_raw()
    try:
        shared = ours.exchange(X25519PublicKey.from_public_bytes(_montgomery(public_key)))
    except ValueError as error:
        raise BadIdentity(f"Key {public_key.hex()}: nothing can be sealed for it.") from error
    return shown + ChaCha20Poly1305(_key(shared, shown, public_key)).encrypt(_ONCE, secret, None)


def unseal(sealed: bytes, key: Ed25519PrivateKey) -> bytes:
    """Open what was sealed for the node of `key`.

    Raises:
        BadIdentity: It was sealed for somebody else, or changed.
    """
    shown, ciphertext = sealed[:_PUBLIC_BYTES], sealed[_PUBLIC_BYTES:]
    ours = X25519PrivateKey.from_private_bytes(sha512(key.private_bytes_raw()).digest()[:32])
    try:
        shared = ours.exchange(X25519PublicKey.from_public_bytes(shown))
        derived = _key(shared, shown, raw_public(key.public_key()))
        return ChaCha20Poly1305(derived).decrypt(_ONCE, ciphertext, None)
    except (InvalidTag, ValueError) as error:
        raise BadIdentity("Sealed for another node, or changed on its way.") from error


def lock(key: bytes, name: bytes, secret: bytes) -> bytes:
    """Encrypt the one secret of that name under a key of 32 bytes."""
    return ChaCha20Poly1305(_derived(key, b"karb.lock.1" + name)).encrypt(_ONCE, secret, name)


def unlock(key: bytes, name: bytes, locked: bytes) -> bytes | None:
    """Decrypt; None if it is another's, or was changed."""
    try:
        return ChaCha20Poly1305(_derived(key, b"karb.lock.1" + name)).decrypt(_ONCE, locked, name)
    except (InvalidTag, ValueError):
        return None


def _key(shared: bytes, shown: bytes, public_key: bytes) -> bytes:
    return _derived(shared, b"karb.seal.1" + shown + public_key)


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, None, purpose).derive(secret)


def _montgomery(public_key: bytes) -> bytes:
    y = int.from_bytes(public_key, "little") & ((1 << 255) - 1)
    return ((1 + y) * pow(1 - y, -1, _P) % _P).to_bytes(32, "little")
