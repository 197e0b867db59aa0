"""A browser's session: a cookie that holds a token made for that browser alone.

The token is drawn when the browser is paired and kept here only as a digest, so a session
outlives a restart, and one that is taken from the table is over. Scripts cannot read the
cookie, and another site's page cannot make a browser send it.
"""

from aiohttp import web

LIFE_S = 400 * 24 * 3600
"""Browsers keep no cookie longer."""

_OWN = (None, "same-origin", "none")
"""What `Sec-Fetch-Site` says of a request that a page of this node, or a person, made."""


def name(node: bytes) -> str:
    """Name the cookie after the node: several of them may be on one machine, at other ports."""
    return f"karb-{node.hex()[:12]}"


def token_of(request: web.Request, cookie: str) -> str | None:
    """Return the token in a request's cookie; None if another site's page made it."""
    if request.headers.get("Sec-Fetch-Site") not in _OWN:
        return None
    return request.cookies.get(cookie)


def give(response: web.StreamResponse, cookie: str, token: str, *, secure: bool) -> None:
    """Have a browser keep a token."""
    response.set_cookie(
        cookie, token, max_age=LIFE_S, path="/", secure=secure, httponly=True, samesite="Strict"
    )


def take(response: web.StreamResponse, cookie: str) -> None:
    """Have a browser forget it."""
    response.del_cookie(cookie, path="/", httponly=True, samesite="Strict")
