"""What nodes ask: the authority, enrolment, renewal, and the exchange."""

import asyncio
from typing import TypeVar

import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from central.api.access import Throttle
from central.api.refusals import Bad
from central.ledger import checkpoint
from central.ledger.errors import Refused
from central.nodes import carrier
from central.nodes.carrier import Live
from central.nodes.checkpoints import Checkpoints
from central.office import Office
from sync.checkpoint import CONTENT_TYPE, keys_packed
from sync.enrolment import EnrolRequest, RenewAnswer, RenewRequest
from sync.identity import Identity

T = TypeVar("T")

BINARY = "application/octet-stream"
MAX_JSON = 64 * 1024
_GOODBYE_S = 1.5


class Machines:
    """The routes of nodes."""

    def __init__(self, office: Office) -> None:
        """Serve from an office."""
        self._office = office
        self._throttle = Throttle(most=10)
        self._live: set[Live] = set()
        self._checkpoints = Checkpoints(office.ledger)

    async def authority(self, _request: web.Request) -> web.Response:
        """Hand out the authority's certificate; the code in hand says whether to believe it."""
        pem = self._office.authority.certificate.public_bytes(Encoding.PEM)
        return web.Response(body=pem, content_type="application/x-pem-file")

    async def enrol(self, request: web.Request) -> web.Response:
        """Trade a code and a signing request for a certificate."""
        address = request.remote or "?"
        self._throttle.check(address)
        asked = await read_json(request, EnrolRequest)
        try:
            answer = await self._office.enrolment.enrol(asked)
        except Refused:
            self._throttle.failed(address)
            raise
        return json(answer)

    async def renew(self, request: web.Request) -> web.Response:
        """Trade a good certificate for one that lasts longer."""
        peer = self._peer(request)
        asked = await read_json(request, RenewRequest)
        return json(RenewAnswer(await self._office.enrolment.renew(peer, asked.csr)))

    async def exchange(self, request: web.Request) -> web.Response:
        """Take in what a node brings, and answer with what it lacks."""
        peer = self._peer(request)
        if request.content_type != BINARY:
            raise Bad(415, f"Content-Type {request.content_type!r}: expected {BINARY}.")
        body = await read_body(request, carrier.MAX_BODY)
        answer = await carrier.exchange(self._office.ledger, self._office.peers, peer, body)
        return web.Response(body=answer, content_type=BINARY)

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Exchange for as long as the link holds."""
        peer = self._peer(request)
        live = Live(self._office.ledger, self._office.peers, peer)
        self._live.add(live)
        try:
            return await live.serve(request)
        finally:
            self._live.discard(live)

    async def checkpoint(self, request: web.Request) -> web.StreamResponse:
        """Give a node what its store's views say, signed, in place of all the facts."""
        peer = self._peer(request)
        made = await self._checkpoints.of(peer.store)
        with made.parts:
            answer = web.StreamResponse()
            answer.content_type = CONTENT_TYPE
            answer.content_length = made.size
            await answer.prepare(request)
            for chunk in made.chunks():
                await answer.write(chunk)
            self._office.peers.heard(peer, bytes_in=1, bytes_out=made.size)
            await answer.write_eof()
        return answer

    async def checkpoint_keys(self, request: web.Request) -> web.Response:
        """Give a node the keys of the persons of its store, which no checkpoint has."""
        peer = self._peer(request)
        keys = await self._office.ledger.read(
            lambda connection: checkpoint.person_keys(connection, peer.store)
        )
        return web.Response(body=keys_packed(keys), content_type=BINARY)

    async def hang_up(self) -> None:
        """End every live connection: head office stops. Who does not listen is not waited for."""
        if self._live:
            goodbyes = [asyncio.create_task(live.hang_up()) for live in self._live]
            _, late = await asyncio.wait(goodbyes, timeout=_GOODBYE_S)
            for goodbye in late:
                goodbye.cancel()
            await asyncio.gather(*goodbyes, return_exceptions=True)

    def _peer(self, request: web.Request) -> Identity:
        transport = request.transport
        ssl_object = transport.get_extra_info("ssl_object") if transport else None
        certificate = ssl_object.getpeercert(True) if ssl_object else None
        return self._office.peers.identify(certificate)


async def read_body(request: web.Request, most: int) -> bytes:
    """Read a body.

    Raises:
        Bad: It is packed, over the cap, or was cut off.
    """
    coding = request.headers.get("Content-Encoding", "identity")
    if coding.lower() != "identity":
        raise Bad(415, f"Content-Encoding {coding[:40]!r}: expected none; send it unpacked.")
    said = request.content_length
    if said is not None and said > most:
        raise Bad(413, f"Body of {said} bytes: expected at most {most}; send it in parts.")
    body = bytearray()
    try:
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > most:
                raise Bad(413, f"Body over {most} bytes: send it in parts.")
    except (ConnectionError, web.RequestPayloadError) as error:
        raise Bad(400, "The body broke off; send all of it.") from error
    return bytes(body)


async def read_json(request: web.Request, kind: type[T], most: int = MAX_JSON) -> T:
    """Read a body of JSON.

    Raises:
        Bad: It is of another type, or too long.
        msgspec.DecodeError: It is not JSON, or not of the kind.
    """
    if request.content_type != "application/json":
        raise Bad(415, f"Content-Type {request.content_type!r}: expected application/json.")
    return decoded(await read_body(request, most), kind)


def decoded(body: bytes, kind: type[T]) -> T:
    """Read JSON.

    Raises:
        Bad: It is no text, or too deep.
        msgspec.DecodeError: It is not JSON, or not of the kind.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except UnicodeDecodeError as error:
        raise Bad(
            400, f"The body is not UTF-8 at byte {error.start}; send valid JSON in UTF-8."
        ) from error
    except RecursionError as error:
        raise Bad(400, "The body is nested too deep; send JSON of the kind asked for.") from error


def json(value: object, status: int = 200) -> web.Response:
    """Return a value as JSON."""
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )
