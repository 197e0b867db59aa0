"""Bearer tokens: ``karb_<scope>_<32 characters of base32>``.

The secret is 160 random bits passed in, so a plain SHA-256 of the token is enough to
store: there is no short secret to guess. The prefix lets a leak be found by a search.
No message here ever repeats a secret.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass, field

from sync.errors import SyncError

SECRET_BYTES = 20

MAX_TOKEN = 64
"""Longest text looked at."""

_SCOPE = re.compile(r"[a-z][a-z0-9-]{0,15}")
_TOKEN = re.compile(r"karb_([a-z][a-z0-9-]{0,15})_([a-z2-7]{32})")
_SHAPE = "karb_<scope>_<32 letters and digits>"


class BadToken(SyncError):
    """Not a token of ours; nothing was compared with any stored one."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token whose form is right; whether it is known, its digest tells."""

    scope: str
    text: str = field(repr=False)
    """The secret itself. Shown once, to the person who made it."""

    @property
    def digest(self) -> bytes:
        """32 bytes to store and to look up."""
        return hashlib.sha256(self.text.encode("ascii")).digest()

    def matches(self, digest: bytes) -> bool:
        """Compare with a stored digest in constant time."""
        return hmac.compare_digest(self.digest, digest)


def make(scope: str, secret: bytes, scopes: Collection[str]) -> Token:
    """Make a token from random bytes.

    Raises:
        BadToken: The scope is none of `scopes`, or there are not 20 random bytes.
    """
    if scope not in scopes or not _SCOPE.fullmatch(scope):
        raise BadToken(f"Scope {scope[:40]!r}: expected one of {_listed(scopes)}.")
    if len(secret) != SECRET_BYTES:
        raise BadToken(f"Expected {SECRET_BYTES} random bytes, got {len(secret)}.")
    return Token(scope, f"karb_{scope}_{base64.b32encode(secret).decode('ascii').lower()}")


def parse(text: str, scopes: Collection[str]) -> Token:
    """Read a token.

    Raises:
        BadToken: Its form is wrong, or its scope is none of `scopes`.
    """
    if len(text) > MAX_TOKEN:
        raise BadToken(f"Token of {len(text)} characters: expected {_SHAPE}; copy it whole, once.")
    found = _TOKEN.fullmatch(text)
    if found is None:
        raise BadToken(f"Token of {len(text)} characters: expected {_SHAPE}; copy it whole.")
    if found[1] not in scopes:
        raise BadToken(
            f"Token of scope {found[1]!r}: expected one of {_listed(scopes)}; "
            "make one with `token create --scope`."
        )
    return Token(found[1], text)


def from_header(value: str | None, scopes: Collection[str]) -> Token:
    """Read the token out of an ``Authorization`` header.

    Raises:
        BadToken: There is no header, it is not ``Bearer``, or the token's form is wrong.
    """
    if not value:
        raise BadToken("No Authorization header: expected 'Bearer " + _SHAPE + "'.")
    kind, _, text = value.partition(" ")
    if kind.lower() != "bearer":
        raise BadToken(
            "Authorization header is not of the kind Bearer: expected 'Bearer " + _SHAPE + "'."
        )
    return parse(text.strip(" "), scopes)


def _listed(scopes: Collection[str]) -> str:
    return ", ".join(sorted(scopes)) or "none"
