"""Pages for people: log in with a token, see how things stand."""

import asyncio
from functools import cache
from importlib.resources import files

import msgspec
from aiohttp import web

from central import VERSION
from central.api import session
from central.api.access import Access, Throttle
from central.ledger.ledger import wall_ms
from central.office import Office
from sync.contract import token

LANGUAGES = ("pl", "en")
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_MIN_S, _MAX_S = 0.5, 2.0
"""A status is told at most and at least so often."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Pages:
    """The routes of people."""

    def __init__(self, office: Office, access: Access) -> None:
        """Show an office to whom access lets in."""
        self._office, self._access = office, access
        self._throttle = Throttle(most=10)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End the streams of events: head office stops."""
        self._stopping.set()

    async def status(self, request: web.Request) -> web.StreamResponse:
        """The status page; who is not logged in is sent to do so."""
        if not await self._access.knows_browser(request):
            raise web.HTTPSeeOther("/login")
        return _page(request, "status.html")

    async def login(self, request: web.Request) -> web.StreamResponse:
        """The form, or, with a token in the address, straight in."""
        shown = request.query.get("token")
        return _page(request, "login.html") if shown is None else await self._enter(request, shown)

    async def enter(self, request: web.Request) -> web.StreamResponse:
        """Take the form's token."""
        form = await request.post()
        return await self._enter(request, str(form.get("token", "")))

    async def leave(self, _request: web.Request) -> web.StreamResponse:
        """Forget who is there."""
        response = web.Response(status=303, headers={"Location": "/login"})
        response.del_cookie(session.NAME, path="/", secure=True, httponly=True, samesite="Strict")
        return response

    async def _enter(self, request: web.Request, text: str) -> web.StreamResponse:
        address = request.remote or "?"
        self._throttle.check(address)
        try:
            shown = token.parse(text.strip(), ("read", "write"))
        except token.BadToken:
            shown = None
        if shown is None or await self._access.scope_of(shown) is None:
            self._throttle.failed(address)
            return _page(request, "login.html", status=403, wrong=True)
        response = web.Response(status=303, headers={**_HEADERS, "Location": "/"})
        response.set_cookie(
            session.NAME,
            session.make(self._access.cookie_key, shown.digest, wall_ms()),
            max_age=session.LIFE_S,
            path="/",
            secure=True,
            httponly=True,
            samesite="Strict",
        )
        return response

    async def file(self, request: web.Request) -> web.StreamResponse:
        """A file of the pages."""
        name = request.match_info["name"]
        found = _files().get(name)
        if found is None:
            raise web.HTTPNotFound
        return web.Response(
            body=found,
            content_type=_TYPES[name[name.rindex(".") :]],
            charset="utf-8",
            headers={**_HEADERS, "Cache-Control": "no-cache"},
        )

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The status as it changes, as server-sent events."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        news = self._office.ledger.published.listen()
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not stopping.done():
                news.clear()
                status = msgspec.json.encode(await self._office.status())
                await response.write(b"data: " + status + b"\n\n")
                await asyncio.wait({stopping}, timeout=_MIN_S)
                waiting = asyncio.create_task(news.wait())
                await asyncio.wait(
                    {stopping, waiting}, timeout=_MAX_S, return_when=asyncio.FIRST_COMPLETED
                )
                waiting.cancel()
        except ConnectionError:
            pass  # the page was closed
        finally:
            stopping.cancel()
            self._office.ledger.published.forget(news)
        return response


def _language(request: web.Request) -> str:
    """Return the first language of ours that is asked for."""
    asked = request.query.get("lang", "") or request.headers.get("Accept-Language", "")
    for part in asked.lower().split(","):
        language = part.strip().split(";")[0].split("-")[0]
        if language in LANGUAGES:
            return language
    return "en"


def _page(
    request: web.Request, name: str, *, status: int = 200, wrong: bool = False
) -> web.Response:
    text = _pages()[name, _language(request)]
    text = text.replace("{{wrong}}", "" if wrong else "hidden")
    return web.Response(
        status=status, text=text, content_type="text/html", charset="utf-8", headers=_HEADERS
    )


@cache
def _pages() -> dict[tuple[str, str], str]:
    """Return the pages in each language; each text stands in the page as ``pl¦en``."""
    folder = files("central") / "web"
    return {
        (name, language): _translate((folder / name).read_text("utf-8"), place)
        for name in ("status.html", "login.html")
        for place, language in enumerate(LANGUAGES)
    }


def _translate(text: str, place: int) -> str:
    parts = text.replace("{{version}}", VERSION).split("[[")
    whole = parts[:1]
    for part in parts[1:]:
        both, _, rest = part.partition("]]")
        whole += [both.split("¦")[place], rest]
    return "".join(whole)


@cache
def _files() -> dict[str, bytes]:
    folder = files("central") / "web"
    return {
        entry.name: entry.read_bytes()
        for entry in folder.iterdir()
        if entry.name[entry.name.rfind(".") :] in _TYPES
    }
