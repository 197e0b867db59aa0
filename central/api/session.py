"""A browser's session: a cookie that says which token it stands for, and until when.

Signed, not stored, so that it outlives a restart; the token's digest is looked up
again at every request, so a token that is gone takes its sessions with it. The cookie
never holds the token itself.
"""

import base64
import binascii
import hmac
from hashlib import sha256
from struct import Struct
from struct import error as struct_error

NAME = "karb"
LIFE_S = 30 * 24 * 3600

_BODY = Struct(">32sQ")


def make(key: bytes, digest: bytes, now_ms: int) -> str:
    """Return a cookie's value."""
    body = _BODY.pack(digest, now_ms + LIFE_S * 1000)
    return base64.urlsafe_b64encode(body + _mac(key, body)).decode()


def read(key: bytes, value: str, now_ms: int) -> bytes | None:
    """Return the digest of the token a cookie stands for; None: forged or out of date."""
    try:
        raw = base64.urlsafe_b64decode(value[:200])
        body, mac = raw[: _BODY.size], raw[_BODY.size :]
        digest, until_ms = _BODY.unpack(body)
    except (ValueError, binascii.Error, struct_error):
        return None
    if not hmac.compare_digest(mac, _mac(key, body)) or until_ms < now_ms:
        return None
    return bytes(digest)


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, b"karb.cookie.1" + body, sha256)
