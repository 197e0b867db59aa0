"""`tcp:host:port`, for printers and terminals on the network."""

import asyncio
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from hw.errors import DeviceMisconfigured, DeviceUnavailable
from hw.transports.stream import StreamTransport


async def connect(url: str, *, timeout_s: float) -> StreamTransport:
    """Connect to `tcp:host:port`.

    Raises:
        DeviceUnavailable: Nobody answers there.
        DeviceMisconfigured: The URL is not of this form.
    """
    host, port = _address(url)
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
    except OSError as error:  # TimeoutError is one
        raise DeviceUnavailable(
            f"{url}: expected a device to answer within {timeout_s:g} s, got {error!r}.",
            cure="Check its power, its network cable and its address.",
        ) from error
    _notice_dead_peer(writer.get_extra_info("socket"))
    return StreamTransport(url, reader, writer)


def _address(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{url.removeprefix('tcp:')}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.path or parts.query or parts.username:
        raise DeviceMisconfigured(
            f"Device URL {url!r}: expected tcp:host:port.",
            cure="Write tcp:192.168.1.50:9100, for example.",
        )
    return host, port


def _notice_dead_peer(sock: socket.socket) -> None:
    """A printer whose plug was pulled sends no goodbye; ask after it, seconds apart."""
    settings = (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 10),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    )
    for level, name, value in settings:
        with suppress(AttributeError, OSError):  # not every system has every knob
            sock.setsockopt(level, getattr(socket, name), value)
