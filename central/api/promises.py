"""Promises over HTTP: made, confirmed, released; the figures and what waits for a person."""

from collections.abc import Callable
from uuid import UUID

from aiohttp import web

from central.api.machines import json, read_json
from central.api.refusals import Bad
from central.ledger import promised
from central.ledger.errors import NotFound
from central.ledger.unit import Unit
from central.office import Office
from central.stock import desk, inbox, promising
from central.stock.promising import Conflict, NotPromised, Promised
from central.stock.request import PolicyRequest, PromiseRequest, tell
from sync.contract.problem import mistake

MAX_BODY = 256 * 1024


class Promises:
    """The routes of promises."""

    def __init__(self, office: Office) -> None:
        """Promise in the name of an office."""
        self._office = office

    async def make(self, request: web.Request) -> web.Response:
        """Hold goods for somebody; the same again holds nothing more."""
        asked = await read_json(request, PromiseRequest, MAX_BODY)
        made = await self._office.ledger.write(lambda unit: promising.make(unit, asked))
        if isinstance(made, NotPromised):
            raise Bad(409, made.detail, *made.mistakes)
        return json(tell(asked.event, made.parts), 201 if made.new else 200)

    async def show(self, request: web.Request) -> web.Response:
        """A promise as it stands."""
        root = _id(request)
        parts = await self._office.ledger.read(
            lambda connection: promised.of_promise(connection, root)
        )
        return json(tell(root, _known(root, parts)))

    async def confirm(self, request: web.Request) -> web.Response:
        """Turn a promise into orders of its stores; again it is the same."""
        return await self._end(request, promising.confirm)

    async def release(self, request: web.Request) -> web.Response:
        """Free what a promise holds; again it is the same."""
        return await self._end(request, promising.release)

    async def _end(
        self, request: web.Request, how: Callable[[Unit, bytes], Promised | Conflict]
    ) -> web.Response:
        root = _id(request)

        def work(unit: Unit) -> Promised | Conflict:
            _known(root, promised.of_promise(unit.connection, root))
            return how(unit, root)

        ended = await self._office.ledger.write(work)
        if isinstance(ended, Conflict):
            raise ended
        return json(tell(root, ended.parts))

    async def figures(self, _request: web.Request) -> web.Response:
        """How well promising works."""
        return json(await self._office.ledger.read(inbox.figures))

    async def policies(self, _request: web.Request) -> web.Response:
        """How articles are promised."""
        return json({"policies": await desk.policies(self._office.ledger)})

    async def set_policy(self, request: web.Request) -> web.Response:
        """Say how an article is promised."""
        asked = await read_json(request, PolicyRequest)
        return json(await desk.carry_out(self._office.ledger, asked.order()))


def _id(request: web.Request) -> bytes:
    text = request.match_info["id"]
    try:
        if len(text) == 36:
            return UUID(text).bytes
    except ValueError:
        pass
    wrong = mistake("id", text, "a UUID")
    raise Bad(400, f"Path: {wrong}", wrong)


def _known(root: bytes, parts: list[promised.Part]) -> list[promised.Part]:
    if not parts:
        raise NotFound(f"Promise {UUID(bytes=root)}: not known here; POST /v1/promises makes one.")
    return parts
