"""Who may reach the API through a browser, and for which till.

A page of somewhere else must not reach a till by the cashier's browser: what names its origin
must name this node, or one of `origins` in `karb.toml`. And this node must be called by a name
that cannot be made to point at it from outside: an address, or this machine's own name. What a
stranger sent is not said back.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from socket import gethostname
from typing import Any
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from edge.api.refusals import Refused
from edge.config import Config
from sync.contract.problem import mistake, problem

METHODS = "GET, PUT, POST, DELETE"
HEADERS = "Authorization, Content-Type"
KEPT_S = "600"
"""How long a browser may keep the answer to what it asked before the request."""


def guard(config: Config) -> Middleware:
    """Return what refuses strange names and origins, and answers browsers that ask first."""
    machine = gethostname().lower()
    names = {"localhost", machine, f"{machine}.local", config.listen.host.lower()}
    names |= {urlsplit(origin).hostname or "" for origin in config.origins}

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get(hdrs.HOST, "")
        _check_host(host, names)
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            return await handler(request)
        own = urlsplit(origin).netloc.lower() == host.lower()
        if not own and origin not in config.origins:
            raise Refused(
                problem(
                    403,
                    "Origin: expected a page of this node; name it under origins in karb.toml if "
                    "it may use the API.",
                )
            )
        allowed = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if request.method == hdrs.METH_OPTIONS:
            asked = {
                "Access-Control-Allow-Methods": METHODS,
                "Access-Control-Allow-Headers": HEADERS,
                "Access-Control-Max-Age": KEPT_S,
            }
            return web.Response(status=204, headers=allowed | asked)
        try:
            answer = await handler(request)
        except Refused as refused:
            refused.headers |= allowed
            raise
        if not answer.prepared:
            answer.headers.update(allowed)
        return answer

    return guarded


def check_till(till: str, path: Mapping[str, Any], body: Any) -> None:
    """Keep a till's token to that till.

    Raises:
        Refused: The request names another, or names none where it could.
    """
    for where, asked in (("the address", path), ("the body", body)):
        named = asked.get("till", till) if isinstance(asked, Mapping) else _named(asked, till)
        if named != till:
            raise Refused(
                problem(
                    403,
                    f"Till {str(named)[:40]!r} in {where}: this token acts for {till!r} alone.",
                    errors=[mistake("till", str(named)[:40], till)],
                )
            )


def _named(body: Any, till: str) -> Any:
    return getattr(body, "till", till)


def _check_host(host: str, names: set[str]) -> None:
    try:
        name = (urlsplit(f"//{host}").hostname or "").lower()
        ip_address(name.partition("%")[0])
    except ValueError:
        if name in names:
            return
        raise Refused(
            problem(
                403,
                "Host: expected an address or this machine's name; name the page under origins in "
                "karb.toml.",
            )
        ) from None
