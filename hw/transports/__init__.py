"""Carry bytes to and from a device; the URL says how.

`serial:/dev/ttyUSB0?baudrate=9600`, `tcp:printer.local:9100`, `usb:04b8:0202` and
`input:/dev/input/event3`. A transport knows nothing of the bytes it carries. Add one: a
module with `connect(url, timeout_s=…)` and a row here.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from hw.errors import DeviceMisconfigured
from hw.transports import evdev, serial, tcp, usb


class Transport(Protocol):
    """A two-way stream of bytes."""

    async def read(self, limit: int) -> bytes:
        """Between 1 and `limit` bytes, as soon as any are there.

        Raises:
            DeviceUnavailable: The other side is gone.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Hand all bytes to the system. They may still be lost.

        Raises:
            DeviceUnavailable: The other side is gone; some bytes may have left.
        """
        ...

    async def close(self) -> None:
        """Drop the connection and what was not sent. Harmless when repeated."""
        ...


_SCHEMES: Mapping[str, Callable[..., Awaitable[Transport]]] = {
    "input": evdev.connect,
    "serial": serial.connect,
    "tcp": tcp.connect,
    "usb": usb.connect,
}


async def open_transport(url: str, *, timeout_s: float) -> Transport:
    """Connect to `url`, giving up after `timeout_s`.

    Raises:
        DeviceUnavailable: Nothing there, or it is in use; try again.
        DeviceMisconfigured: The URL is wrong, or access is not allowed.
    """
    scheme, colon, _ = url.partition(":")
    connect = _SCHEMES.get(scheme)
    if connect is None or not colon:
        raise DeviceMisconfigured(
            f"Device URL {url!r}: expected it to start with "
            f"{' or '.join(f'{known}:' for known in _SCHEMES)}.",
            cure="Write serial:/dev/ttyUSB0, tcp:host:9100 or usb:04b8:0202, for example.",
        )
    return await connect(url, timeout_s=timeout_s)
