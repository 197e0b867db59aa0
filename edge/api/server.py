"""Sockets, tokens, bodies and errors: everything about HTTP, nothing about sales.

Every answer of 400 and above is a problem document, those aiohttp makes by itself too, but
for what never reaches us: its 400 to bytes that are no HTTP, its 417 to an unknown `Expect`.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler as WebHandler

from edge.api import access, refusals
from edge.api.call import INCLUDES, SCOPES, TILL, Call, Node, Reply
from edge.api.events import tell
from edge.api.refusals import Refused
from edge.api.routes import TABLE, Entry
from edge.config import Listen
from edge.pages import session
from edge.pages.pages import Pages
from edge.till.errors import TillError
from sync.contract import openapi, token
from sync.contract.problem import CONTENT_TYPE, Problem, encode, mistake, problem

MAX_BODY = 1 << 20
"""Bytes of a request's body."""

PROTOCOL = "karb.v1"
TOKEN_PROTOCOL = "karb.token."  # noqa: S105 - what precedes one
"""What a page names beside `PROTOCOL` when it opens a line, followed by its token."""

_JSON = "application/json"
_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_ENCODER = msgspec.json.Encoder()

_log = structlog.get_logger(__name__)


class Server:
    """The API of one node between `start` and `close`."""

    def __init__(self, node: Node, admin: token.Token) -> None:
        """Set up the routes.

        Args:
            node: What the handlers work on.
            admin: The token of this run, for the commands.
        """
        self._node, self._admin = node, admin
        self._document = openapi.encode(
            openapi.document(
                (entry.route for entry in TABLE),
                title="Karb, a node in a store",
                version=node.version,
                description="Money in grosz (`_minor`), quantities in thousandths (`_milli`). "
                "`/v1/events/live` is a WebSocket of the pages of `/v1/events`; a browser names "
                f"the protocols `{PROTOCOL}` and `{TOKEN_PROTOCOL}<token>`.",
            )
        )
        self._lines: set[web.WebSocketResponse] = set()
        guard = access.guard(node.config)
        app = web.Application(middlewares=[_told_as_problem, guard], client_max_size=MAX_BODY)
        app.on_response_prepare.append(_name_no_versions)
        for entry in TABLE:
            app.router.add_route(entry.route.method, entry.route.path, self._web_handler(entry))
        app.router.add_route("GET", "/openapi.json", self._get_document)
        app.router.add_route("GET", "/v1/events/live", self._get_live)
        self._cookie = session.name(node.store.key.node)
        self._pages = Pages(node, self._authorise, self._cookie)
        self._pages.add(app.router)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=5.0,
            auto_decompress=False,  # packed bodies are refused, so none can be a bomb
        )

    async def start(self, listen: Listen, cert: Path | None = None, key: Path | None = None) -> int:
        """Listen; return the port, chosen if it was 0.

        Raises:
            OSError: The address is taken or not ours; the certificate cannot be read.
        """
        context = None
        if cert is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            try:
                context.load_cert_chain(cert, key)
            except OSError as error:
                raise OSError(
                    f"{cert} and {key}: expected a certificate in PEM and its key, which cannot "
                    "be read or do not fit each other"
                ) from error
        await self._runner.setup()
        try:
            site = web.TCPSite(self._runner, listen.host, listen.port, ssl_context=context)
            await site.start()
        except BaseException:
            await self._runner.cleanup()
            raise
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Let open requests finish, for a few seconds."""
        self._pages.stop()
        for line in tuple(self._lines):
            await line.close(code=1001, message=b"The node is stopping.")
        await self._runner.cleanup()

    async def _get_document(self, request: web.Request) -> web.Response:
        del request
        return web.Response(body=self._document, content_type=_JSON)

    def _web_handler(self, entry: Entry) -> Callable[[web.Request], Awaitable[web.Response]]:
        decoder = None if entry.route.request is None else _decoder(entry.route.request)

        async def answer(request: web.Request) -> web.Response:
            till = None
            if entry.route.scope is not None:
                till = await self._authorise(request, entry.route.scope)
            page = hdrs.AUTHORIZATION not in request.headers
            path = _path(entry, request)
            raw = b"" if decoder is None else await _read(request)
            body = None if decoder is None else _decoded(decoder, raw)
            if till is not None:
                access.check_till(till, path, body)
            try:
                reply = await entry.handler(
                    self._node, Call(path=path, body=body, till=till, page=page)
                )
            except TillError as error:
                known = refusals.of(error, raw)
                if known is None:
                    raise
                raise Refused(known) from error
            return _response(reply)

        return answer

    async def _authorise(self, request: web.Request, scope: str) -> str | None:
        """Check the token; the only till it may act for."""
        try:
            given = token.from_header(_bearer(request, self._cookie), (*SCOPES, TILL))
        except token.BadToken as error:
            raise Refused(problem(401, str(error)), _CHALLENGE) from error
        if self._admin.matches(given.digest):
            return None
        held = await self._node.store.token(given.digest)
        if held is None:
            raise Refused(
                problem(401, "Token: not known here; make one with `karb token create`."),
                _CHALLENGE,
            )
        may = frozenset(held.grants.split()) or INCLUDES.get(held.scope, frozenset())
        if scope not in may:
            raise Refused(
                problem(
                    403,
                    f"Token of scope {held.scope!r}: expected {scope!r}; make one with "
                    f"`karb token create --scope {scope}`."
                    if scope != "admin"
                    else f"Token of scope {held.scope!r}: expected that of the karb commands on "
                    "this machine.",
                )
            )
        return held.till

    async def _get_live(self, request: web.Request) -> web.StreamResponse:
        """Tell events as they happen, until the client goes."""
        till = await self._authorise(request, "read")
        gateway = self._node.gateway
        if gateway is None:
            raise Refused(problem(503, "This node was started without devices."))
        cursor = request.query.get("after") or gateway.events.cursor
        gateway.events.after(cursor)  # a wrong one is refused before the line is up
        line = web.WebSocketResponse(heartbeat=20.0, max_msg_size=1024, protocols=(PROTOCOL,))
        await line.prepare(request)
        self._lines.add(line)
        telling = asyncio.create_task(tell(line, gateway, cursor, till), name="events")
        try:
            async for _ in line:
                pass  # it has nothing to say; its goodbye ends this
        finally:
            self._lines.discard(line)
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        return line


@web.middleware
async def _told_as_problem(request: web.Request, handler: WebHandler) -> web.StreamResponse:
    """Turn whatever goes wrong into a problem document."""
    try:
        return await handler(request)
    except Refused as refused:
        return _problem_response(refused.problem, refused.headers)
    except web.HTTPRequestEntityTooLarge:
        return _problem_response(_too_large())
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        said = problem(405, f"Method {request.method}: expected {allowed} at this address.")
        return _problem_response(said, {"Allow": allowed})
    except web.HTTPNotFound:
        said = problem(404, "No such address: expected one of /openapi.json.")
        return _problem_response(said)
    except web.HTTPException as error:
        return _problem_response(problem(error.status, error.reason))
    except Exception as error:  # noqa: BLE001 - a bug must not leak what is inside
        known = refusals.of(error)
        if known is None:
            _log.exception("api.failed", method=request.method, path=request.path)
            known = problem(
                500, "The program failed; nothing was stored. Its log names the reason."
            )
        return _problem_response(known)


async def _name_no_versions(request: web.Request, response: web.StreamResponse) -> None:
    """Say what this is, and not which Python and which libraries it runs on."""
    del request
    response.headers[hdrs.SERVER] = "karb"


def _bearer(request: web.Request, cookie: str) -> str | None:
    """The Authorization header; a page that opens a line cannot send one, and names a protocol.

    A page of this node sends neither: it has a cookie.
    """
    given = request.headers.get(hdrs.AUTHORIZATION)
    if given is None:
        said = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(",")
        names = [name.strip() for name in said if name.strip().startswith(TOKEN_PROTOCOL)]
        held = names[0].removeprefix(TOKEN_PROTOCOL) if names else session.token_of(request, cookie)
        given = f"Bearer {held}" if held is not None else None
    return given


async def _read(request: web.Request) -> bytes:
    """Read a body of JSON.

    Raises:
        Refused: It is too large, cut off, or says that it is something else.
    """
    if request.content_length is not None and request.content_length > MAX_BODY:
        raise Refused(_too_large(request.content_length))
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise Refused(problem(415, "Content-Encoding: expected none; send plain JSON."))
    if request.content_type != _JSON or hdrs.CONTENT_TYPE not in request.headers:
        got = request.headers.get(hdrs.CONTENT_TYPE, "")
        raise Refused(
            problem(
                415,
                f"Content-Type {got[:80]!r}: expected {_JSON}.",
                errors=[mistake("Content-Type", got, _JSON)],
            )
        )
    try:
        return await request.read()
    except (ConnectionError, web.RequestPayloadError) as error:
        raise Refused(problem(400, "The body broke off; send all of it.")) from error


def _too_large(size: int | None = None) -> Problem:
    of = f"of {size} bytes" if size is not None else "is too large"
    return problem(413, f"Body {of}: expected at most {MAX_BODY} bytes; send it in parts.")


def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Refused(refusals.mistaken(error, body)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(refusals.unreadable(error, body)) from error


def _check_query(entry: Entry, request: web.Request) -> None:
    """Refuse what a question does not take, where it takes anything; a typo must not be lost."""
    known = {one.name for one in entry.route.parameters if one.where == "query"}
    if not known:
        return
    query = request.query
    wrong = next((n for n in query if n not in known or len(query.getall(n)) > 1), None)
    if wrong is not None:
        expected = f"each of {', '.join(sorted(known))} once and nothing else"
        raise Refused(
            problem(
                400,
                f"Query {wrong[:40]!r}: expected {expected}.",
                errors=[mistake(wrong[:40], query.get(wrong, ""), expected)],
            )
        )


def _path(entry: Entry, request: web.Request) -> dict[str, Any]:
    """Return what stands in the address: its places, and what of the query is given or must be."""
    _check_query(entry, request)
    values = {}
    for parameter in entry.route.parameters:
        optional = parameter.where == "query" and not parameter.required
        if optional and parameter.name not in request.query:
            continue
        text = (
            request.query.get(parameter.name, "")
            if parameter.where == "query"
            else request.match_info[parameter.name]
        )
        try:
            values[parameter.name] = msgspec.convert(text, parameter.type, strict=False)
        except msgspec.ValidationError as error:
            raise Refused(
                problem(
                    400,
                    f"{parameter.name} in the address: {error}.",
                    errors=[mistake(parameter.name, text, str(error))],
                )
            ) from error
    return values


def _response(reply: Reply) -> web.Response:
    body = reply.body if isinstance(reply.body, bytes) else _ENCODER.encode(reply.body)
    return web.Response(status=reply.status, body=body, content_type=_JSON)


def _problem_response(said: Problem, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=said.status, body=encode(said), content_type=CONTENT_TYPE, headers=headers
    )
