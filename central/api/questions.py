"""What programs ask: stores, status, stock, sales, quarantine; and the catalogue they send."""

import re
from uuid import UUID

from aiohttp import web

from central.api.machines import json, read_body, read_json
from central.api.refusals import Bad
from central.catalogue import quoting
from central.catalogue.importer import MAX_BYTES
from central.catalogue.promotions import MAX_BYTES as MAX_PROMOTIONS
from central.config import STORE
from central.ledger import assortment, baskets, customers, papers, reading, selling, waiting
from central.ledger.errors import NotFound
from central.ledger.ledger import wall_ms
from central.office import Office
from central.stock import inbox
from central.stock.request import UUID_PATTERN
from sync.contract.problem import mistake
from sync.rules.quote import QuoteRequest

MAX_SKU = 64
MAX_QUOTE = 256 * 1024

_UUID = re.compile(UUID_PATTERN)


class Questions:
    """The routes of programs."""

    def __init__(self, office: Office) -> None:
        """Answer from an office."""
        self._office = office

    async def stores(self, _request: web.Request) -> web.Response:
        """Every store."""
        return json({"stores": await self._office.stores()})

    async def status(self, _request: web.Request) -> web.Response:
        """How things stand."""
        return json(await self._office.status())

    async def stock(self, request: web.Request) -> web.Response:
        """Quantities with their age."""
        store = await self._store(request, required=False)
        sku = request.query.get("sku")
        if sku is not None and not 0 < len(sku) <= MAX_SKU:
            raise _bad("sku", sku, f"1 to {MAX_SKU} characters")
        seen = self._office.seen()
        rows = await self._office.ledger.read(
            lambda connection: reading.stock(connection, seen, wall_ms(), store, sku)
        )
        return json({"stock": rows})

    async def transfers(self, request: web.Request) -> web.Response:
        """What stores sent each other, and what of it arrived."""
        store = await self._store(request, required=False)
        return json({"transfers": await self._office.transfers(store)})

    async def counts(self, request: web.Request) -> web.Response:
        """Count sheets, and what they made of the books."""
        store = await self._store(request, required=False)
        found = await self._office.ledger.read(lambda connection: papers.sheets(connection, store))
        return json({"counts": found})

    async def returns(self, request: web.Request) -> web.Response:
        """What was given back, and obvious mistakes."""
        store = await self._store(request, required=False)
        found = await self._office.ledger.read(
            lambda connection: papers.returned(connection, store)
        )
        return json({"returns": found})

    async def sales(self, request: web.Request) -> web.Response:
        """A store's sales, from a place in its feed on."""
        store = await self._store(request, required=True)
        incarnation = self._office.ledger.own.incarnation
        limit = _whole(request, "limit", 100, selling.MAX_LIMIT)
        after = request.query.get("after", "")
        try:
            start = selling.read_cursor(after, incarnation) if after else 0
        except selling.BadCursor as error:
            raise Bad(400, str(error)) from error
        page = await self._office.ledger.read(
            lambda connection: selling.page(connection, store or "", start, limit, incarnation)
        )
        return json(page)

    async def quarantine(self, _request: web.Request) -> web.Response:
        """Facts that cannot be what they say."""
        return json({"quarantine": await self._office.ledger.read(reading.quarantine)})

    async def customer(self, request: web.Request) -> web.Response:
        """A customer's profile, while the key to it exists."""
        text = request.match_info["uuid"]
        if not _UUID.fullmatch(text):
            wrong = mistake("uuid", text, "a UUID")
            raise Bad(400, f"Address: {wrong}", wrong)
        id_ = UUID(text).bytes
        return json(
            await self._office.ledger.read(lambda connection: customers.customer(connection, id_))
        )

    async def parked(self, request: web.Request) -> web.Response:
        """Baskets put aside and not sold."""
        store = await self._store(request, required=False)
        found = await self._office.ledger.read(
            lambda connection: baskets.baskets(connection, store)
        )
        return json({"baskets": found})

    async def exceptions(self, _request: web.Request) -> web.Response:
        """What people should look at."""
        own = self._office.ledger.own.node
        return json(
            {
                "exceptions": await self._office.ledger.read(baskets.exceptions),
                "stock": await self._office.ledger.read(
                    lambda connection: inbox.exceptions(connection, own)
                ),
            }
        )

    async def waiting(self, _request: web.Request) -> web.Response:
        """What waits, by kind and store."""
        return json({"waiting": await self._office.ledger.read(waiting.pending)})

    async def catalogue(self, request: web.Request) -> web.Response:
        """Take in a catalogue: all of it or nothing."""
        content_type = request.headers.get("Content-Type", "")
        body = await read_body(request, MAX_BYTES)
        return json(await self._office.import_catalogue(body, content_type))

    async def promotions(self, request: web.Request) -> web.Response:
        """Take in promotions: all of them or nothing."""
        if request.content_type != "application/json":
            raise Bad(415, f"Content-Type {request.content_type!r}: expected application/json.")
        body = await read_body(request, MAX_PROMOTIONS)
        return json(await self._office.import_promotions(body))

    async def quote(self, request: web.Request) -> web.Response:
        """Price a basket as a store's tills would."""
        id_ = await self._store(request, required=True)
        asked = await read_json(request, QuoteRequest, MAX_QUOTE)
        skus = {line.sku for line in asked.lines}
        books, store = await self._office.ledger.read(
            lambda connection: (
                assortment.books(connection, skus),
                reading.store(connection, id_ or ""),
            )
        )
        if store is None:
            raise NotFound(f"Store {id_!r}: not known here; GET /v1/stores lists them.")
        try:
            return json(quoting.price(books, store, asked, wall_ms()))
        except quoting.NotQuoted as error:
            raise Bad(422, str(error), *error.mistakes) from error

    async def _store(self, request: web.Request, *, required: bool) -> str | None:
        store = request.query.get("store")
        if store is None:
            if required:
                raise _bad("store", "nothing", "a store's id", "GET /v1/stores lists them")
            return None
        if not STORE.fullmatch(store):
            raise _bad("store", store, "a store's id", "GET /v1/stores lists them")
        known = await self._office.ledger.read(lambda connection: reading.store(connection, store))
        if known is None:
            raise NotFound(f"Store {store!r}: not known here; GET /v1/stores lists them.")
        return store


def _whole(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most:
        return int(text)
    raise _bad(name, text, f"a whole number from 1 to {most}")


def _bad(name: str, value: str, expected: str, cure: str = "") -> Bad:
    wrong = mistake(name, value, expected, cure)
    return Bad(400, f"Query: {wrong}", wrong)
