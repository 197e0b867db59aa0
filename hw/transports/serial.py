"""`serial:/dev/ttyUSB0?baudrate=9600`, for scanners, printers and scales on a cable.

Settings: `baudrate` (default 9600), `bits` (8), `parity` (none), `stopbits` (1),
`flow` (none, rtscts or xonxoff). The port is opened for us alone.
"""

import asyncio
import errno
from typing import Any
from urllib.parse import parse_qsl

from hw.errors import DeviceMisconfigured, DeviceUnavailable
from hw.transports.stream import StreamTransport

_CHOICES: dict[str, dict[str, dict[str, Any]]] = {
    "bits": {"7": {"byte_size": 7}, "8": {"byte_size": 8}},
    "parity": {"none": {}, "even": {"parity": "E"}, "odd": {"parity": "O"}},
    "stopbits": {"1": {"stopbits": 1}, "2": {"stopbits": 2}},
    "flow": {"none": {}, "rtscts": {"rtscts": True}, "xonxoff": {"xonxoff": True}},
}
"""Setting, its allowed values, and what each means to serialx."""


async def connect(url: str, *, timeout_s: float) -> StreamTransport:
    """Open the port in `url` exclusively.

    Raises:
        DeviceUnavailable: No such port now, or another program holds it.
        DeviceMisconfigured: The URL is wrong, not a serial port, or not ours to open.
    """
    # Only a till with a serial device pays for the library.
    import serialx  # noqa: PLC0415

    path, settings = _parse(url)
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await serialx.open_serial_connection(path, **settings)
    except PermissionError as error:
        raise DeviceMisconfigured(
            f"{url}: expected leave to open the port, got {error}.",
            cure="Add the user Karb runs as to the group that owns the port (dialout).",
        ) from error
    except (OSError, serialx.SerialException) as error:
        if not isinstance(error, OSError) or error.errno in {errno.ENOTTY, errno.EINVAL}:
            raise DeviceMisconfigured(
                f"{url}: expected a serial port with these settings, got {error!r}.",
                cure="Check the path and the settings.",
            ) from error
        raise DeviceUnavailable(
            f"{url}: expected a free serial port, got {error}.",
            cure="Plug the device in, and close other programs that use it.",
        ) from error
    return StreamTransport(url, reader, writer)


def _parse(url: str) -> tuple[str, dict[str, Any]]:
    path, _, query = url.removeprefix("serial:").partition("?")
    settings: dict[str, Any] = {"baudrate": 9600}
    wrong = not path.startswith("/")
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "baudrate" and value.isascii() and value.isdigit() and int(value):
            settings["baudrate"] = int(value)
        elif value in _CHOICES.get(name, {}):
            settings |= _CHOICES[name][value]
        else:
            wrong = True
    if wrong:
        allowed = "; ".join(f"{name}={'|'.join(choice)}" for name, choice in _CHOICES.items())
        raise DeviceMisconfigured(
            f"Device URL {url!r}: expected serial:/path, then ?baudrate=number and any of "
            f"{allowed}.",
            cure="Write serial:/dev/ttyUSB0?baudrate=9600, for example.",
        )
    return path, settings
