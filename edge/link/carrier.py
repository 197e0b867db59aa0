"""Bytes to central and back, over HTTPS."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp

from sync.exchange import wire
from sync.identity import CENTRAL_HOST

TIMEOUT = aiohttp.ClientTimeout(total=60, connect=10)


class LinkUnreachable(Exception):
    """No answer: no network, no central, or the answer broke off. Try again later."""


class LinkRefused(Exception):
    """Central answered, and would not; a person has to act."""


async def request(
    client: aiohttp.ClientSession,
    method: str,
    url: str,
    context: ssl.SSLContext,
    **body: Any,
) -> bytes:
    """Make one request; return the body of a 200 or 201.

    Raises:
        LinkUnreachable: No answer, or one that broke off.
        LinkRefused: Another status; the message is central's own.
    """
    host = CENTRAL_HOST if context.check_hostname else None
    try:
        async with client.request(
            method, url, ssl=context, server_hostname=host, timeout=TIMEOUT, **body
        ) as answer:
            data = await answer.read()
            if answer.status in (200, 201):
                return data
            raise LinkRefused(_refusal(answer.status, data))
    except aiohttp.ClientConnectorCertificateError as error:
        raise LinkRefused(
            f"{url}: not this chain's head office ({error.certificate_error}); "
            "check the address, or enrol this machine again."
        ) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise LinkUnreachable(_unreachable(url, error)) from error


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


@contextlib.asynccontextmanager
async def live_socket(
    client: aiohttp.ClientSession, central: str, context: ssl.SSLContext, heartbeat_s: float
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Hold a WebSocket to central open.

    Raises:
        LinkUnreachable, LinkRefused: As `request`.
    """
    url = f"{central}/v1/exchange/live"
    try:
        async with asyncio.timeout(10):
            socket = await client.ws_connect(
                url,
                ssl=context,
                server_hostname=CENTRAL_HOST,
                heartbeat=heartbeat_s,
                max_msg_size=wire.MAX_PAYLOAD,
                compress=0,
            )
    except aiohttp.WSServerHandshakeError as error:
        raise LinkRefused(f"{url}: status {error.status}, {error.message}.") from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise LinkRefused(f"{url}: {error.certificate_error}.") from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise LinkUnreachable(_unreachable(url, error)) from error
    try:
        yield socket
    finally:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(socket.close(), 1)


def _unreachable(url: str, error: Exception) -> str:
    return f"{url}: no answer ({type(error).__name__}: {error}); selling goes on."


def _refusal(status: int, data: bytes) -> str:
    try:
        told = json.loads(data)
        return f"{told['detail']} ({status})"
    except (ValueError, KeyError, TypeError):
        return f"Central answered {status}."
