"""The pages' own addresses: who may see them, and what is sent."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from aiohttp import hdrs, web

from edge.api.call import INCLUDES, TILL, Node
from edge.api.refusals import Refused
from edge.config import LANGUAGES
from edge.pages import live, session
from hw.errors import DeviceRefused
from sync.contract import token
from sync.contract.problem import problem

_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none at all, a form of ours names no origin
    "Cache-Control": "no-store",
}
"""No script but our own files', and no text that could become one: a name in the catalogue
that looks like a page is shown as what it is."""

_PLACE = re.compile(r"\{\{(\w+)\}\}")

Authorise = Callable[[web.Request, str], Awaitable[str | None]]
"""Given the scope that it takes, returns the only till a request may act for."""


class Pages:
    """Serves the pages of one node."""

    def __init__(self, node: Node, authorise: Authorise, cookie: str) -> None:
        """Serve `node` to whom `authorise` lets in; `cookie` is the session's name."""
        self._node, self._authorise, self._cookie = node, authorise, cookie
        self._stopping = asyncio.Event()

    def add(self, router: web.UrlDispatcher) -> None:
        """Add the pages' addresses."""
        router.add_get("/", self._front)
        router.add_get("/pair", self._pair)
        router.add_post("/pair", self._enter)
        router.add_post("/leave", self._leave)
        router.add_get("/till", self._front)
        router.add_get("/till/{till}", self._till)
        router.add_get("/till/{till}/live", self._live)
        router.add_get("/pages/{name}", self._file)

    def stop(self) -> None:
        """End what open pages listen to: the node stops."""
        self._stopping.set()

    async def _front(self, request: web.Request) -> web.StreamResponse:
        """Send a browser to the till that it was paired for."""
        try:
            till = await self._authorise(request, "sell")
        except Refused:
            return self._sent("/pair")
        return self._sent(f"/till/{till or next(iter(self._node.counter.tills), '')}")

    async def _till(self, request: web.Request) -> web.StreamResponse:
        till = request.match_info["till"]
        try:
            may = await self._authorise(request, "sell")
        except Refused:
            return self._sent("/pair")
        self._node.counter.till(till)
        if may not in (None, till):
            return self._sent(f"/till/{may}")
        return self._page(request, "till.html", till=till)

    async def _live(self, request: web.Request) -> web.StreamResponse:
        """Tell a page what changes, until it is closed."""
        may = await self._authorise(request, "read")
        till = self._node.counter.till(request.match_info["till"])
        if may not in (None, till.id):
            raise Refused(problem(403, f"Till {till.id!r}: this page acts for {may!r} alone."))
        return await live.told(request, self._node, till, self._stopping)

    async def _pair(self, request: web.Request) -> web.StreamResponse:
        return self._page(request, "pair.html", code=request.query.get("code", "")[:40])

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        """Change a pairing code for a session of this browser."""
        node, form = self._node, await request.post()
        code = str(form.get("code", ""))[:80]
        if node.gateway is None:
            raise Refused(problem(503, "This node was started without devices."))
        try:
            grant = node.gateway.pairing.take(code)
        except DeviceRefused:
            return self._page(request, "pair.html", status=403, code=code, wrong=True)
        made = token.make(TILL, node.random(token.SECRET_BYTES), (TILL,))
        grants = {one for scope in grant.scopes for one in INCLUDES.get(scope, ())}
        await node.store.write(
            lambda unit: unit.add_token(
                made.digest, TILL, grant.name, grant.till, " ".join(sorted(grants))
            )
        )
        response = self._sent(f"/till/{grant.till}")
        session.give(response, self._cookie, made.text, secure=request.secure)
        return response

    async def _leave(self, request: web.Request) -> web.StreamResponse:
        """Have this browser forget what it may."""
        await self._authorise(request, "sell")
        response = self._sent("/pair")
        session.take(response, self._cookie)
        return response

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        found = _files().get(name)
        if found is None or name.endswith(".html"):
            raise web.HTTPNotFound
        return web.Response(
            body=found,
            content_type=_TYPES[name[name.rindex(".") :]],
            charset="utf-8",
            headers={**HEADERS, "Cache-Control": "no-cache"},
        )

    def _sent(self, where: str) -> web.Response:
        return web.Response(status=303, headers={**HEADERS, hdrs.LOCATION: where})

    def _page(
        self,
        request: web.Request,
        name: str,
        *,
        status: int = 200,
        wrong: bool = False,
        **said: Any,
    ) -> web.Response:
        language = _language(request, self._node.config.language)
        known = said | {"lang": language, "node": self._node.config.name}
        known["wrong"] = "" if wrong else "hidden"
        text = _translated(_files()[name].decode(), LANGUAGES.index(language))
        return web.Response(
            status=status,
            text=_PLACE.sub(lambda place: escape(str(known[place[1]])), text),
            content_type="text/html",
            charset="utf-8",
            headers=HEADERS,
        )


def _language(request: web.Request, own: str) -> str:
    """Return the language that a page was asked for in; the node's own unless told."""
    asked = request.query.get("lang", "")
    return asked if asked in LANGUAGES else own


def _translated(text: str, place: int) -> str:
    """Take of each ``[[pl¦en]]`` the text of one language."""
    first, *rest = text.split("[[")
    parts = [one.partition("]]") for one in rest]
    return first + "".join(both.split("¦")[place] + after for both, _, after in parts)


@cache
def _files() -> dict[str, bytes]:
    folder = files("edge") / "pages" / "web"
    return {
        entry.name: entry.read_bytes()
        for entry in folder.iterdir()
        if entry.name.endswith((*_TYPES, ".html"))
    }
