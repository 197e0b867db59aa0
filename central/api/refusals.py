"""Every refusal as a problem document, unhandled failures included."""

from collections.abc import Awaitable, Callable

import msgspec
import structlog
from aiohttp import web

from central.catalogue.importer import BadImport, ImportTooLarge, UnknownFormat
from central.ledger.errors import Forgotten, LedgerUnavailable, NotFound, Refused
from central.nodes.authority import BadRequest
from central.nodes.enrolment import CodeRefused, NodeRefused
from central.nodes.peers import NoCertificate, Revoked
from central.stock.promising import BadPromise, Conflict
from sync.contract.problem import CONTENT_TYPE, Mistake, encode, problem
from sync.errors import NotAllowed, RemoteProtocolError, TooLarge

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = structlog.get_logger()


class Denied(Exception):
    """The caller may not: 401 without, 403 with a token that does not do."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Bad(Exception):
    """The request cannot be answered as it is."""

    def __init__(self, status: int, detail: str, *mistakes: Mistake) -> None:
        super().__init__(detail)
        self.status, self.mistakes = status, mistakes


class TooMany(Exception):
    """Too many attempts."""

    def __init__(self, detail: str, wait_s: int) -> None:
        super().__init__(detail)
        self.wait_s = wait_s


_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (BadRequest, 422),
    (CodeRefused, 403),
    (NodeRefused, 403),
    (NotFound, 404),
    (Forgotten, 410),
    (Conflict, 409),
    (Refused, 422),
    (NoCertificate, 401),
    (Revoked, 403),
    (NotAllowed, 403),
    (TooLarge, 413),
    (RemoteProtocolError, 400),
    (LedgerUnavailable, 503),
)
"""The first that fits; special ones stand before general ones."""


def refuse(
    status: int,
    detail: str,
    mistakes: tuple[Mistake, ...] = (),
    headers: dict[str, str] | None = None,
) -> web.Response:
    """Return a problem document."""
    return web.Response(
        status=status,
        body=encode(problem(status, detail, errors=mistakes)),
        content_type=CONTENT_TYPE,
        headers=headers,
    )


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong into a problem document; leak nothing."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _http(request, error)
    except ConnectionError:
        raise
    except Exception as error:
        told = _told(error)
        if told is None:
            log.exception("request failed", method=request.method, path=request.path)
            return refuse(500, "Head office failed; nothing was stored. Its log names the reason.")
        return told


def _told(error: Exception) -> web.Response | None:
    match error:
        case Denied():
            headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
            return refuse(error.status, str(error), headers=headers)
        case Bad():
            return refuse(error.status, str(error), error.mistakes)
        case TooMany():
            return refuse(429, str(error), headers={"Retry-After": str(error.wait_s)})
        case BadPromise():
            return refuse(422, str(error), error.mistakes)
        case BadImport():
            return refuse(_import_status(error), str(error), error.mistakes)
        case msgspec.ValidationError():
            return refuse(422, f"The body: {error}.")
        case msgspec.DecodeError():
            return refuse(400, f"The body is not JSON: {error}; send valid JSON in UTF-8.")
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return refuse(status, str(error))
    return None


def _import_status(error: BadImport) -> int:
    if isinstance(error, UnknownFormat):
        return 415
    return 413 if isinstance(error, ImportTooLarge) else 422


def _http(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        raise error
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return refuse(
            405,
            f"{request.method} {request.path[:120]}: expected {allowed}.",
            headers={"Allow": allowed},
        )
    if error.status == 404:
        return refuse(404, f"{request.path[:120]}: not here; /openapi.json lists what is.")
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return refuse(413, f"The body is too large: {error.text or ''}; send it in parts.")
    return refuse(error.status, error.reason)
