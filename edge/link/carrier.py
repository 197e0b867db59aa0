"""Bytes to central and back, over HTTPS."""

import asyncio
import contextlib
import json
import os
import ssl
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from sync.errors import TooLarge
from sync.exchange import wire
from sync.identity import CENTRAL_HOST

_ALERT = "alert"
"""Stands in what OpenSSL says when it was the other side that would not."""

TIMEOUT = aiohttp.ClientTimeout(total=60, connect=10)
_DOWNLOAD = aiohttp.ClientTimeout(total=None, connect=10, sock_read=120)
"""A large store's checkpoint takes a while to make, and to travel."""


class LinkUnreachable(Exception):
    """No answer: no network, no central, or the answer broke off. Try again later."""


class LinkRefused(Exception):
    """Central answered, and would not; a person has to act."""


class LiveRefused(LinkRefused):
    """Something between carries requests and no WebSocket: exchange by request instead."""


async def request(
    client: aiohttp.ClientSession,
    method: str,
    url: str,
    context: ssl.SSLContext,
    **body: Any,
) -> bytes:
    """Make one request; return the body of a 200 or 201.

    Raises:
        LinkUnreachable: No answer, one that broke off, or central is in trouble itself.
        LinkRefused: Central would not; the message is its own.
    """
    host = CENTRAL_HOST if context.check_hostname else None
    try:
        async with client.request(
            method, url, ssl=context, server_hostname=host, timeout=TIMEOUT, **body
        ) as answer:
            data = await answer.read()
            if answer.status in (200, 201):
                return data
            said = _said(answer.status, data)
            if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise LinkUnreachable(said)
            raise LinkRefused(said)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _failure(url, error) from error


async def exchange(
    client: aiohttp.ClientSession, central: str, context: ssl.SSLContext, payloads: Sequence[bytes]
) -> list[bytes]:
    """Carry payloads to central in one round trip; return its own.

    Raises:
        LinkUnreachable, LinkRefused: As `request`.
        RemoteProtocolError: The answer was cut off.
    """
    answer = await request(
        client,
        "POST",
        f"{central}/v1/exchange",
        context,
        data=wire.join(payloads),
        headers={"Content-Type": "application/octet-stream"},
    )
    return wire.split(answer)


async def download(
    client: aiohttp.ClientSession, url: str, context: ssl.SSLContext, file: Path, most: int
) -> int:
    """Fetch into a file, piece by piece; return its bytes.

    Raises:
        LinkUnreachable, LinkRefused: As `request`.
        TooLarge: It is longer than `most`.
        OSError: The file cannot be written.
    """
    size = 0
    try:
        async with client.get(
            url, ssl=context, server_hostname=CENTRAL_HOST, timeout=_DOWNLOAD
        ) as answer:
            if answer.status != HTTPStatus.OK:
                said = _said(answer.status, await answer.read())
                if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise LinkUnreachable(said)
                raise LinkRefused(said)
            with file.open("wb") as target:
                async for piece in answer.content.iter_chunked(1 << 16):
                    size += len(piece)
                    if size > most:
                        raise TooLarge(f"{url}: more than {most} bytes.")
                    target.write(piece)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _failure(url, error) from error
    return size


@contextlib.asynccontextmanager
async def live_socket(
    client: aiohttp.ClientSession, central: str, context: ssl.SSLContext, heartbeat_s: float
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Hold a WebSocket to central open.

    Raises:
        LiveRefused: Not by WebSocket.
        LinkUnreachable, LinkRefused: As `request`.
    """
    url = f"{central}/v1/exchange/live"
    try:
        async with asyncio.timeout(10):
            socket = await client.ws_connect(
                url,
                ssl=context,
                server_hostname=CENTRAL_HOST if context.check_hostname else None,
                heartbeat=heartbeat_s,
                max_msg_size=wire.MAX_PAYLOAD,
                compress=0,
            )
    except aiohttp.WSServerHandshakeError as error:
        # Why it would not, a handshake does not tell: the answer to a plain request does.
        if error.status in (401, 403):
            await request(client, "GET", url, context)
        raise LiveRefused(
            f"{urlsplit(url).netloc}: no live link (answered {error.status})."
        ) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _failure(url, error, neighbour=not context.check_hostname) from error
    try:
        yield socket
    finally:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(1):
                await socket.close()


def _failure(
    url: str, error: Exception, *, neighbour: bool = False
) -> LinkUnreachable | LinkRefused:
    """Say what is the matter, in words that are the same each time it is the matter."""
    address = urlsplit(url).netloc
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "") or "no certificate"
        if neighbour:
            return LinkRefused(
                f"{address}: no machine of this chain of shops ({reason}); look at the address."
            )
        return LinkRefused(
            f"{address}: not this chain's head office ({reason}); "
            "check the address, or enrol this machine again."
        )
    tls = _tls_error(error)
    if tls is not None and _ALERT in tls:
        return LinkRefused(
            f"{address}: does not take this machine's certificate ({tls}); check the address, "
            "or enrol this machine again."
        )
    return LinkUnreachable(f"{address}: no answer ({tls or _reason(error)}); selling goes on.")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    inner = getattr(error, "os_error", error)
    if isinstance(inner, aiohttp.ServerDisconnectedError | ConnectionResetError | BrokenPipeError):
        return "it hung up"
    number = inner.errno if isinstance(inner, OSError) else None
    # Resolvers and TLS number their errors otherwise than `errno` does: those have no name there.
    return os.strerror(number).lower() if number and number > 0 else type(inner).__name__


def _tls_error(error: BaseException | None) -> str | None:
    """Return what TLS says is the matter, if it is TLS that failed."""
    while error is not None:
        inner = getattr(error, "os_error", error)
        if isinstance(inner, ssl.SSLError) and inner.reason:
            return inner.reason.replace("_", " ").lower()
        error = error.__cause__ or error.__context__
    return None


def _said(status: int, data: bytes) -> str:
    try:
        told = json.loads(data)
        return f"{told['detail']} ({status})"
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"Central answered {status}."
