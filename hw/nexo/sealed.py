"""The envelope of a local nexo message: NexoBlob and SecurityTrailer. Pure.

Keys: PBKDF2-HMAC-SHA1 of the passphrase, salt `AdyenNexoV1Salt`, 4000 rounds, 80 bytes: 32
of HMAC key, 32 of cipher key, 16 of initialisation vector. Blob: AES-256-CBC with PKCS#7
padding, the vector xored with the message's nonce. `Hmac`: HMAC-SHA256 of the plain text.
The header travels in the clear beside the blob; the one inside is the one that counts.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from hw.errors import DeviceUnavailable

SALT, ROUNDS = b"AdyenNexoV1Salt", 4000
HMAC_KEY, CIPHER_KEY, VECTOR = 32, 32, 16
CRYPTO_VERSION = 1


@dataclass(frozen=True, slots=True)
class SharedKey:
    """What the terminal and the till share, set in Adyen's customer area."""

    identifier: str
    version: int
    hmac_key: bytes = field(repr=False)
    cipher_key: bytes = field(repr=False)
    vector: bytes = field(repr=False)

    @classmethod
    def derive(cls, identifier: str, version: int, passphrase: str) -> "SharedKey":
        """Some milliseconds of work; once a start."""
        length = HMAC_KEY + CIPHER_KEY + VECTOR
        data = hashlib.pbkdf2_hmac("sha1", passphrase.encode(), SALT, ROUNDS, length)
        ends = HMAC_KEY, HMAC_KEY + CIPHER_KEY
        return cls(identifier, version, data[: ends[0]], data[ends[0] : ends[1]], data[ends[1] :])


class Trailer(msgspec.Struct, frozen=True):
    """`SecurityTrailer`."""

    AdyenCryptoVersion: int
    KeyIdentifier: str
    KeyVersion: int
    Nonce: str
    Hmac: str


class Envelope(msgspec.Struct, frozen=True):
    """What travels: one of these under `SaleToPOIRequest` or `SaleToPOIResponse`."""

    MessageHeader: msgspec.Raw
    NexoBlob: str
    SecurityTrailer: Trailer


def seal(key: SharedKey, root: str, header: bytes, plain: bytes, nonce: bytes) -> bytes:
    """Encrypt one message.

    Args:
        key: Shared with the terminal.
        root: `SaleToPOIRequest` or `SaleToPOIResponse`.
        header: The message's header as JSON, for the outside.
        plain: The whole message as JSON.
        nonce: 16 random bytes, never used before.
    """
    padder = PKCS7(algorithms.AES256.block_size).padder()
    padded = padder.update(plain) + padder.finalize()
    encryptor = _cipher(key, nonce).encryptor()
    trailer = Trailer(
        AdyenCryptoVersion=CRYPTO_VERSION,
        KeyIdentifier=key.identifier,
        KeyVersion=key.version,
        Nonce=base64.b64encode(nonce).decode(),
        Hmac=base64.b64encode(hmac.digest(key.hmac_key, plain, "sha256")).decode(),
    )
    blob = base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()
    return msgspec.json.encode({root: Envelope(msgspec.Raw(header), blob, trailer)})


def unseal(key: SharedKey, root: str, data: bytes) -> bytes:
    """The message inside; proven to come from one who has the key.

    Raises:
        DeviceUnavailable: It is no such envelope, or not made with this key.
    """
    plain = _opened(key, root, data)
    if plain is None:
        raise DeviceUnavailable(
            "Terminal: expected an answer sealed with the shared key, got something else.",
            cure="Compare key identifier, version and passphrase with Adyen's customer area.",
        )
    return plain


def _opened(key: SharedKey, root: str, data: bytes) -> bytes | None:
    try:
        envelope = msgspec.json.decode(data, type=dict[str, Envelope])[root]
        trailer = envelope.SecurityTrailer
        nonce = base64.b64decode(trailer.Nonce, validate=True)
        blob = base64.b64decode(envelope.NexoBlob, validate=True)
        given = base64.b64decode(trailer.Hmac, validate=True)
        if (trailer.KeyIdentifier, trailer.KeyVersion) != (key.identifier, key.version):
            return None
        decryptor = _cipher(key, nonce).decryptor()
        padded = decryptor.update(blob) + decryptor.finalize()
        unpadder = PKCS7(algorithms.AES256.block_size).unpadder()
        plain = unpadder.update(padded) + unpadder.finalize()
    except (msgspec.DecodeError, KeyError, ValueError, RecursionError):
        return None
    return plain if hmac.compare_digest(hmac.digest(key.hmac_key, plain, "sha256"), given) else None


def _cipher(key: SharedKey, nonce: bytes) -> Cipher[modes.CBC]:
    if len(nonce) != VECTOR:
        raise ValueError(f"Nonce: expected {VECTOR} bytes, got {len(nonce)}.")
    mixed = bytes(a ^ b for a, b in zip(key.vector, nonce, strict=True))
    return Cipher(algorithms.AES256(key.cipher_key), modes.CBC(mixed))
