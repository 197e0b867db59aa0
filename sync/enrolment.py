"""How a machine becomes a node: the one-time code, and what is said over it.

The code carries a secret and half the fingerprint of head office's authority, so
the very first contact is verified already: whoever answers must show a
certificate with that fingerprint. It is written in base32 (RFC 4648) in groups of
five, with two bytes of check sum, to be typed from a sheet of paper.
"""

import base64
import re
from dataclasses import dataclass, field
from hashlib import sha256

import msgspec
from cryptography import x509

from sync.errors import BadIdentity
from sync.identity import fingerprint

SECRET_BYTES = 10
AUTHORITY_BYTES = 16
_CHECK_BYTES = 2
_GROUP = 5
_LENGTH = (SECRET_BYTES + AUTHORITY_BYTES + _CHECK_BYTES) * 8 // 5 + 1
_CURE = "copy it again from head office, or ask there for a new one (karb-central enrol-code)"
_MISREAD = str.maketrans({"0": "O", "1": "I", "8": "B"})
"""Base32 has no 0, 1 or 8: who types one read a letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentCode:
    """What an installer carries from head office to a machine."""

    secret: bytes = field(repr=False)
    """10 random bytes: good once, for one store, for a few minutes."""

    authority: bytes
    """The first 16 bytes of SHA-256 of the authority's certificate."""

    def __post_init__(self) -> None:
        """Refuse what is no code.

        Raises:
            BadIdentity: A part is of another length.
        """
        if len(self.secret) != SECRET_BYTES or len(self.authority) != AUTHORITY_BYTES:
            raise BadIdentity(
                f"Enrolment code: expected {SECRET_BYTES} and {AUTHORITY_BYTES} bytes, "
                f"got {len(self.secret)} and {len(self.authority)}."
            )

    @property
    def text(self) -> str:
        """As printed: base32 in groups of five."""
        body = self.secret + self.authority
        letters = base64.b32encode(body + _check(body)).decode().rstrip("=")
        return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))

    @classmethod
    def parse(cls, text: str) -> "EnrolmentCode":
        """Read a code as people type it: any case, spaces, 0 for O, 1 for I, 8 for B.

        Raises:
            BadIdentity: It is too long or short, or was misread somewhere.
        """
        letters = re.sub(r"[\s\-‐-―]+", "", text[:400]).upper().translate(_MISREAD)  # noqa: RUF001 - every dash a word processor makes
        if len(letters) != _LENGTH:
            raise BadIdentity(
                f"Enrolment code: expected {_LENGTH} letters and digits, got {len(letters)}; "
                f"{_CURE}."
            )
        try:
            raw = base64.b32decode(letters + "=" * (-len(letters) % 8))
        except ValueError as error:  # letters of another alphabet raise it bare
            raise BadIdentity(
                f"Enrolment code: expected letters A to Z and digits 2 to 7; {_CURE}."
            ) from error
        body, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
        if check != _check(body):
            raise BadIdentity(f"Enrolment code: its check sum is wrong, it was misread; {_CURE}.")
        return cls(secret=body[:SECRET_BYTES], authority=body[SECRET_BYTES:])

    def vouches_for(self, authority: x509.Certificate) -> bool:
        """Whether `authority` is the one the code was made by."""
        return fingerprint(authority)[:AUTHORITY_BYTES] == self.authority


def _check(body: bytes) -> bytes:
    return sha256(b"karb.code.1" + body).digest()[:_CHECK_BYTES]


class EnrolRequest(msgspec.Struct, frozen=True):
    """What the machine asks: `POST /v1/enrol`, JSON, without a client certificate."""

    secret: str
    """Of the code, hex."""

    csr: str
    """PEM, self-signed by the Ed25519 key made on the machine."""

    name: str = ""
    """What the installer calls the machine."""


class EnrolAnswer(msgspec.Struct, frozen=True):
    """What head office answers."""

    certificate: str
    """PEM: the node's."""

    authority: str
    """PEM: the one the code vouches for."""

    central: str
    """PEM: central's own node certificate, whose key signs central's streams."""

    store: str
    store_name: str
    zone: str
    """IANA time zone of the business day."""

    currency: str


class RenewRequest(msgspec.Struct, frozen=True):
    """`POST /v1/renew`, JSON, with a valid client certificate."""

    csr: str
    """PEM, of the same key."""


class RenewAnswer(msgspec.Struct, frozen=True):
    """The new certificate; the old one stays good until its end."""

    certificate: str
    """PEM."""
