"""Where neighbours call: a port of its own, certificates shown on both sides.

`POST /v1/exchange` and `GET /v1/exchange/live`, as head office serves them.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from aiohttp import WSCloseCode, web

from edge.config import Listen
from edge.link import tls
from edge.link.carrier import LinkUnreachable
from edge.link.discovery import Discovery
from edge.link.peers import HEARTBEAT_S, Peers
from edge.link.trust import PeerRefused
from edge.store.connection import StoreError
from sync.contract.problem import CONTENT_TYPE, encode, problem
from sync.errors import BadIdentity, RemoteProtocolError
from sync.exchange import wire
from sync.identity import Identity

MAX_BODY = 16 << 20
"""Bytes of one request."""

TRY_AGAIN_S = 30.0
"""How often it is tried to listen where that cannot be done: an address may come late."""

RENEW_S = 60.0
"""How often the certificate is looked at."""

BINARY = "application/octet-stream"

_log = structlog.get_logger()


class LanServer:
    """Listens between `start` and `close`."""

    def __init__(self, data: Path, peers: Peers) -> None:
        """Prepare; `start` begins."""
        self._data, self._peers = data, peers
        self._runner: web.AppRunner | None = None
        self._context: ssl.SSLContext | None = None
        self._written_ns = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self, listen: Listen, discovery: Callable[[int], Discovery] | None) -> None:
        """Begin to listen, as soon as that can be: no sale waits for a network.

        Args:
            listen: Where.
            discovery: Makes what announces the port; None: it is announced nowhere.
        """
        self._task = asyncio.create_task(self._run(listen, discovery), name="lan")

    async def _run(self, listen: Listen, discovery: Callable[[int], Discovery] | None) -> None:
        while True:
            try:
                port = await self.listen(listen)
                break
            except (OSError, BadIdentity) as error:
                why = f"cannot listen on {listen}: {error}"
                if self._peers.lan != why:
                    _log.error("lan.failed", reason=why)
                self._peers.lan = why
            await asyncio.sleep(TRY_AGAIN_S)
        self._peers.lan = f"listening on {Listen(listen.host, port)}"
        _log.info("lan.listening", port=port)
        async with AsyncExitStack() as stack:
            if discovery is not None:
                made = discovery(port)
                await made.start()
                stack.push_async_callback(made.close)
            while True:
                await asyncio.sleep(RENEW_S)
                self.renew()

    async def listen(self, listen: Listen) -> int:
        """Listen; return the port, chosen if it was 0.

        Raises:
            OSError: The address is taken or not ours.
            BadIdentity: The node's certificates cannot be read.
        """
        context = tls.server_context(self._data)
        written_ns = self._written()
        app = web.Application(client_max_size=MAX_BODY)
        app.add_routes(
            [web.post("/v1/exchange", self._exchange), web.get("/v1/exchange/live", self._live)]
        )
        app.on_response_prepare.append(_name_no_versions)
        runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=1.0, auto_decompress=False
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, listen.host, listen.port, ssl_context=context).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner, self._context, self._written_ns = runner, context, written_ns
        return int(runner.addresses[0][1])

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    def renew(self) -> None:
        """Show a certificate that was renewed meanwhile in the handshakes to come."""
        if self._context is not None and self._written() != self._written_ns:
            self._context.load_cert_chain(self._data / tls.CERTIFICATE, self._data / tls.KEY)
            self._written_ns = self._written()

    def _written(self) -> int:
        return (self._data / tls.CERTIFICATE).stat().st_mtime_ns

    async def _peer(self, request: web.Request) -> Identity:
        transport = request.transport
        tls_end = transport.get_extra_info("ssl_object") if transport else None
        shown = tls_end.getpeercert(True) if tls_end else None
        identity = await self._peers.trusted.neighbour(shown)
        await self._peers.introduce(identity, shown or b"")
        return identity

    async def _exchange(self, request: web.Request) -> web.Response:
        try:
            identity = await self._peer(request)
            return web.Response(
                body=await self._peers.answer(identity, await request.read()), content_type=BINARY
            )
        except PeerRefused as error:
            return _refusal(403, error)
        except RemoteProtocolError as error:
            return _refusal(400, error)
        except StoreError as error:
            return _refusal(503, error)

    async def _live(self, request: web.Request) -> web.StreamResponse:
        try:
            identity = await self._peer(request)
        except PeerRefused as error:
            return _refusal(403, error)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return _refusal(426, "Expected a WebSocket here.")
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, compress=False, max_msg_size=wire.MAX_PAYLOAD, timeout=1.0
        )
        await socket.prepare(request)
        code, why = int(WSCloseCode.OK), ""
        try:
            await self._peers.hold(identity, socket, identity.node)
        except LinkUnreachable as error:
            why = str(error)
        except PeerRefused as error:
            code, why = WSCloseCode.POLICY_VIOLATION, str(error)
        except RemoteProtocolError as error:
            code, why = WSCloseCode.PROTOCOL_ERROR, str(error)
        except StoreError as error:
            code, why = WSCloseCode.TRY_AGAIN_LATER, str(error)
        except Exception as error:  # noqa: BLE001 - the caller is told, and calls again
            _log.exception("peer.bug")
            code, why = WSCloseCode.INTERNAL_ERROR, type(error).__name__
        # A close frame has room for 123 bytes of reason.
        await socket.close(code=code, message=why.encode()[:120])
        return socket


def _refusal(status: int, why: Exception | str) -> web.Response:
    return web.Response(
        status=status, body=encode(problem(status, str(why))), content_type=CONTENT_TYPE
    )


async def _name_no_versions(request: web.Request, response: web.StreamResponse) -> None:
    del request
    response.headers["Server"] = "karb"
