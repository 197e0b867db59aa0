"""`usb:VENDOR:PRODUCT` or `usb:VENDOR:PRODUCT:SERIAL`, for printers that are no serial port.

Each number has four hexadecimal digits. The serial number is that of the device itself; without
it there may be only one of the kind. The kernel's own driver (usblp) is sent away, and the
interface is ours alone. libusb waits, so one thread reads and another writes; both end with the
connection, and what a printer has not taken by then it never gets.
"""

import asyncio
import errno
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Event
from typing import Any

from hw.errors import DeviceMisconfigured, DeviceUnavailable
from hw.ports import own_serial

POLL_MS = 100
"""How long one question to the device may take; a connection ends within it."""

PIECE = 4096
"""Bytes handed over at once."""

_ADDRESS = re.compile(r"usb:([0-9a-fA-F]{4}):([0-9a-fA-F]{4})(?::([A-Za-z0-9._-]+))?")

_PRINTER_CLASS, _VENDOR_CLASS = 0x07, 0xFF

backend: Any = None
"""Through which devices are reached; None: the system's libusb."""


@dataclass(frozen=True, slots=True)
class _Pipe:
    """A claimed interface with a way in and a way out."""

    device: Any
    interface: int
    into: Any
    """Endpoint of bytes to the host."""

    out: Any


async def connect(url: str, *, timeout_s: float) -> "UsbTransport":
    """Claim the device in `url`.

    Raises:
        DeviceUnavailable: Not plugged in, or another program has it.
        DeviceMisconfigured: The URL is wrong, names several, no printer, or is not ours to open.
    """
    match = _ADDRESS.fullmatch(url)
    if match is None:
        raise DeviceMisconfigured(
            f"Device URL {url!r}: expected usb:VENDOR:PRODUCT or usb:VENDOR:PRODUCT:SERIAL, the "
            "first two of four hexadecimal digits.",
            cure="Write usb:04b8:0202, for example; karb devices scan shows what is there.",
        )
    vendor, product, serial = match.groups()
    claiming = asyncio.ensure_future(
        asyncio.to_thread(_claimed, url, int(vendor, 16), int(product, 16), serial)
    )
    try:
        async with asyncio.timeout(timeout_s):
            return UsbTransport(url, await asyncio.shield(claiming))
    except TimeoutError as error:
        raise DeviceUnavailable(
            f"{url}: expected the device to answer within {timeout_s:g} s, got nothing.",
            cure="Switch it off and on.",
        ) from error
    finally:
        if not claiming.done():  # whoever waited is gone: nobody else would let go of it
            claiming.add_done_callback(_let_go)


class UsbTransport:
    """Bytes over two endpoints; any way of ending is `DeviceUnavailable`."""

    def __init__(self, url: str, pipe: _Pipe) -> None:
        self._url, self._pipe = url, pipe
        self._ended = Event()
        self._received = asyncio.StreamReader()
        self._threads = ThreadPoolExecutor(2, f"usb {url}")
        self._loop = asyncio.get_running_loop()
        self._reading = self._loop.run_in_executor(self._threads, self._read)
        self._closed = False

    async def read(self, limit: int) -> bytes:
        """See `Transport.read`."""
        data = await self._received.read(limit)
        if not data:
            raise self._gone("it was closed")
        return data

    async def write(self, data: bytes) -> None:
        """See `Transport.write`."""
        if self._closed:
            raise self._gone("it was closed")
        work = self._loop.run_in_executor(self._threads, self._write, data)
        try:
            await asyncio.shield(work)
        except OSError as error:
            raise self._gone(str(error)) from error

    async def close(self) -> None:
        """See `Transport.close`."""
        if self._closed:
            return
        self._closed = True
        self._ended.set()
        self._received.feed_eof()
        await asyncio.to_thread(self._end)
        await asyncio.gather(self._reading, return_exceptions=True)

    def _end(self) -> None:
        self._threads.shutdown()
        _dispose(self._pipe)

    def _read(self) -> None:
        """In its thread, until the end."""
        import usb.core  # type: ignore[import-untyped]  # noqa: PLC0415 - see `_claimed`

        while not self._ended.is_set():
            try:
                data = bytes(self._pipe.into.read(PIECE, timeout=POLL_MS))
            except usb.core.USBTimeoutError:
                continue
            except OSError as error:
                if error.errno == errno.ETIMEDOUT:
                    continue
                self._tell(self._received.set_exception, self._gone(str(error)))
                return
            if data:
                self._tell(self._received.feed_data, data)

    def _write(self, data: bytes) -> None:
        """In its thread; a printer that is stopped takes nothing until it is helped."""
        import usb.core  # noqa: PLC0415 - see `_claimed`

        while data:
            if self._ended.is_set():
                raise OSError("it was closed while the device took nothing")
            try:
                data = data[self._pipe.out.write(data[:PIECE], timeout=POLL_MS) :]
            except usb.core.USBTimeoutError:
                continue

    def _tell(self, what: Any, value: Any) -> None:
        with suppress(RuntimeError):  # the loop ended first
            self._loop.call_soon_threadsafe(self._told, what, value)

    def _told(self, what: Any, value: Any) -> None:
        if not self._closed:
            what(value)

    def _gone(self, why: str) -> DeviceUnavailable:
        return DeviceUnavailable(
            f"Connection {self._url} was lost: {why}.", cure="Check the cable and the power."
        )


def _claimed(url: str, vendor: int, product: int, serial: str | None) -> _Pipe:
    # Only a till with such a device pays for the library.
    import usb.core  # noqa: PLC0415
    import usb.util  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        found = list(
            usb.core.find(find_all=True, idVendor=vendor, idProduct=product, backend=backend)
        )
    except usb.core.NoBackendError as error:
        raise DeviceMisconfigured(
            f"{url}: expected libusb 1.0 on this machine, found none.",
            cure="Install it (Debian: libusb-1.0-0).",
        ) from error
    except OSError as error:
        raise _unavailable(url, str(error)) from error
    if serial is not None:
        found = [device for device in found if _serial(device) == serial]
    if not found:
        raise _unavailable(url, "found it in none of the sockets")
    if len(found) > 1:
        raise DeviceMisconfigured(
            f"{url}: expected one such device, found {len(found)}.",
            cure="Add the serial number to the url; karb devices scan shows it.",
        )
    try:
        return _opened(url, found[0])
    except OSError as error:
        usb.util.dispose_resources(found[0])
        if error.errno in {errno.EACCES, errno.EPERM}:
            raise DeviceMisconfigured(
                f"{url}: expected leave to open the device, got {error}.",
                cure="Install systemd/70-karb.rules, and plug it in anew.",
            ) from error
        raise _unavailable(url, str(error)) from error


def _opened(url: str, device: Any) -> _Pipe:
    import usb.util  # noqa: PLC0415 - as above

    for interface, into, out in _two_way(device):
        number = interface.bInterfaceNumber
        # A backend may not know kernel drivers; claiming then says whether it is free.
        with suppress(NotImplementedError):
            if device.is_kernel_driver_active(number):
                device.detach_kernel_driver(number)
        usb.util.claim_interface(device, number)
        return _Pipe(device, number, into, out)
    usb.util.dispose_resources(device)
    raise DeviceMisconfigured(
        f"{url}: expected a printer that can answer, found no interface with both ways.",
        cure="Check vendor and product; a printer without answers cannot be used.",
    )


def _two_way(device: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Interfaces with bulk endpoints both ways, printers first."""
    import usb.util  # noqa: PLC0415 - as above

    try:
        configuration = device.get_active_configuration()
    except OSError:  # the kernel configures what it finds, but not what nobody has asked for yet
        device.set_configuration()
        configuration = device.get_active_configuration()
    found = []
    for interface in configuration:
        if interface.bInterfaceClass not in {_PRINTER_CLASS, _VENDOR_CLASS}:
            continue
        bulk = [
            end
            for end in interface
            if usb.util.endpoint_type(end.bmAttributes) == usb.util.ENDPOINT_TYPE_BULK
        ]
        ways = [usb.util.endpoint_direction(end.bEndpointAddress) for end in bulk]
        if {usb.util.ENDPOINT_IN, usb.util.ENDPOINT_OUT} <= set(ways):
            into = bulk[ways.index(usb.util.ENDPOINT_IN)]
            out = bulk[ways.index(usb.util.ENDPOINT_OUT)]
            found.append((interface, into, out))
    yield from sorted(found, key=lambda one: bool(one[0].bInterfaceClass != _PRINTER_CLASS))


def _serial(device: Any) -> str | None:
    try:
        told: str | None = device.serial_number
    except (OSError, ValueError):  # another's, which we may not open
        return None
    return own_serial(told or "")


def _unavailable(url: str, why: str) -> DeviceUnavailable:
    return DeviceUnavailable(
        f"{url}: expected this device, {why}.",
        cure="Plug it in and switch it on; close programs that use it. karb devices scan shows "
        "what is there.",
    )


def _let_go(claiming: "asyncio.Future[_Pipe]") -> None:
    if not claiming.cancelled() and claiming.exception() is None:
        _dispose(claiming.result())


def _dispose(pipe: _Pipe) -> None:
    import usb.util  # noqa: PLC0415 - as above

    with suppress(OSError):
        usb.util.release_interface(pipe.device, pipe.interface)
    with suppress(OSError):
        usb.util.dispose_resources(pipe.device)
