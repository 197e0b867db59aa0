"""`serial:/dev/ttyUSB0?baudrate=9600`, for scanners, printers and scales on a cable.

Instead of the path `usb:1a86:7523:A10KZP45` finds the device with this serial number in
whatever socket it is, and `port:1-1.4:1.0` whatever is in this socket (`karb devices scan`
tells them). Settings: `baudrate` (default 9600), `bits` (8), `parity` (none), `stopbits` (1),
`flow` (none, rtscts or xonxoff), `dtr` and `rts` (on or off; on unless told: a POSNET on USB
needs DTR, and some boards reset by it). The port is opened for us alone.
"""

import asyncio
import errno
import fcntl
import logging
import os
import termios
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from hw.errors import DeviceMisconfigured, DeviceUnavailable
from hw.ports import IDENTITIES, find, holder
from hw.transports.stream import StreamTransport

PTY = "/dev/pts/"

_CHOICES: dict[str, dict[str, dict[str, Any]]] = {
    "bits": {"7": {"byte_size": 7}, "8": {"byte_size": 8}},
    "parity": {"none": {}, "even": {"parity": "E"}, "odd": {"parity": "O"}},
    "stopbits": {"1": {"stopbits": 1}, "2": {"stopbits": 2}},
    "dtr": {"on": {"dtr_on_open": "HIGH"}, "off": {"dtr_on_open": "LOW"}},
    "rts": {"on": {"rts_on_open": "HIGH"}, "off": {"rts_on_open": "LOW"}},
    "flow": {"none": {}, "rtscts": {"rtscts": True}, "xonxoff": {"xonxoff": True}},
}
"""Setting, its allowed values, and what each means to serialx."""


def with_defaults(url: str, **settings: str) -> str:
    """Add settings to a serial URL that does not say otherwise; leave any other URL alone."""
    if not url.startswith("serial:"):
        return url
    said = dict(parse_qsl(url.partition("?")[2], keep_blank_values=True))
    more = [f"{name}={value}" for name, value in settings.items() if name not in said]
    return url + ("&" if "?" in url else "?") * bool(more) + "&".join(more)


async def connect(url: str, *, timeout_s: float) -> StreamTransport:
    """Open the port in `url` exclusively.

    Raises:
        DeviceUnavailable: No such port now, or another program holds it.
        DeviceMisconfigured: The URL is wrong, not a serial port, or not ours to open.
    """
    # Only a till with a serial device pays for the library.
    import serialx  # noqa: PLC0415

    # Its debug log holds every byte, a card number of a careless terminal included.
    logging.getLogger("serialx").setLevel(logging.INFO)
    path, settings = _parse(url)
    if path.startswith(IDENTITIES):
        path = await _plugged_in(url, path)
    if os.path.realpath(path).startswith(PTY):
        # It has no framing: setting any that is not there already fails, or does nothing.
        for name in ("byte_size", "parity", "stopbits"):
            settings.pop(name, None)
    for pin in settings.keys() & {"dtr_on_open", "rts_on_open"}:
        settings[pin] = serialx.PinState[settings[pin]]
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
        who = await asyncio.to_thread(holder, path)
        raise DeviceUnavailable(
            f"{url}: expected a free serial port, "
            + (f"{who} has it." if who else f"got {error}."),
            cure=f"Close {who}." if who else "Plug the device in, and close programs that use it.",
        ) from error
    _keep_others_out(path, writer.transport.serial.fileno())
    return StreamTransport(url, reader, writer)


def _keep_others_out(path: str, descriptor: int) -> None:
    """Programs that know no lock get a busy port, too.

    Not on a pseudo-terminal: its other end keeps it open, and the ban would outlive us.
    """
    if not os.path.realpath(path).startswith(PTY):
        with suppress(OSError):
            fcntl.ioctl(descriptor, termios.TIOCEXCL)


async def _plugged_in(url: str, identity: str) -> str:
    path = await asyncio.to_thread(find, identity)
    if path is None:
        raise DeviceUnavailable(
            f"{url}: expected this device in one of the machine's sockets, found it in none.",
            cure="Plug it in; karb devices scan shows what is there.",
        )
    return path


def _parse(url: str) -> tuple[str, dict[str, Any]]:
    path, _, query = url.removeprefix("serial:").partition("?")
    settings: dict[str, Any] = {"baudrate": 9600}
    wrong = not path.startswith(("/", *IDENTITIES))
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
            f"Device URL {url!r}: expected serial:/path or serial:usb:…, then "
            f"?baudrate=number and any of {allowed}.",
            cure="Write serial:/dev/ttyUSB0?baudrate=9600, for example.",
        )
    return path, settings
