"""`input:/dev/input/event3`, for scanners that pretend to be keyboards. It only reads.

Instead of the path `usb:05e0:1200:S123` finds the device with this serial number, and
`port:1-1.4:1.0` whatever is in this socket, as with serial ports. The device is grabbed: its keys
reach nobody else, the window in front least of all. A FIFO can stand for it.
"""

import asyncio
import errno
import fcntl
import os
import stat
import struct
from functools import partial

from hw.errors import DeviceMisconfigured, DeviceUnavailable
from hw.ports import IDENTITIES, find, holder

EVENT_BYTES = struct.calcsize("llHHi")
"""The kernel gives events whole; of a FIFO they have to be asked for so."""

EVIOCGRAB = 0x40044590
"""``_IOW('E', 0x90, int)`` of linux/input.h."""


class InputTransport:
    """Events of one device, as bytes."""

    def __init__(self, url: str, descriptor: int) -> None:
        self._url = url
        self._descriptor: int | None = descriptor
        self._ready = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, self._ready.set)

    async def read(self, limit: int) -> bytes:
        """See `Transport.read`."""
        while self._descriptor is not None:
            await self._ready.wait()
            self._ready.clear()
            if self._descriptor is None:
                break
            try:
                data = os.read(self._descriptor, limit - limit % EVENT_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._gone(error.strerror or str(error)) from error
            if not data:
                raise self._gone("the other side closed it")
            return data
        raise self._gone("it was closed")

    async def write(self, data: bytes) -> None:
        """There is nothing to say to it.

        Raises:
            DeviceUnavailable: Always.
        """
        del data
        raise DeviceUnavailable(f"{self._url}: is only read.", cure="Report this to the makers.")

    async def close(self) -> None:
        """See `Transport.close`."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
            self._ready.set()

    def _gone(self, why: str) -> DeviceUnavailable:
        return DeviceUnavailable(
            f"Connection {self._url} was lost: {why}.", cure="Plug the scanner in again."
        )


async def connect(url: str, *, timeout_s: float) -> InputTransport:
    """Open the device in `url`, for us alone.

    Raises:
        DeviceUnavailable: No such device now, or another program has it.
        DeviceMisconfigured: The URL is wrong, no input device, or not ours to open.
    """
    del timeout_s  # opening it does not wait
    path = url.removeprefix("input:")
    if not path.startswith(("/", *IDENTITIES)):
        raise DeviceMisconfigured(
            f"Device URL {url!r}: expected input:/path or input:usb:….",
            cure="karb devices scan tells how to write it.",
        )
    if path.startswith(IDENTITIES):
        found = await asyncio.to_thread(partial(find, path, kind="input"))
        if found is None:
            raise DeviceUnavailable(
                f"{url}: expected this device in one of the machine's sockets, found it in none.",
                cure="Plug it in; karb devices scan shows what is there.",
            )
        path = found
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError as error:
        raise DeviceMisconfigured(
            f"{url}: expected leave to open it, got {error}.",
            cure="Install systemd/70-karb.rules, which gives scanners to Karb's group.",
        ) from error
    except OSError as error:
        raise DeviceUnavailable(
            f"{url}: expected an input device, got {error}.", cure="Plug the scanner in."
        ) from error
    try:
        _grab(descriptor)
    except OSError as error:
        os.close(descriptor)
        if error.errno not in {errno.EBUSY, errno.EWOULDBLOCK}:
            raise DeviceMisconfigured(
                f"{url}: expected an input device, got {error}.", cure="Correct the path."
            ) from error
        who = await asyncio.to_thread(holder, path)
        raise DeviceUnavailable(
            f"{url}: expected it free, it is locked by {who or 'another program'}.",
            cure=f"Close {who or 'that program'}.",
        ) from error
    return InputTransport(url, descriptor)


def _grab(descriptor: int) -> None:
    """Keep others out.

    Raises:
        OSError: Somebody else has it, or it is no input device.
    """
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        fcntl.ioctl(descriptor, EVIOCGRAB, 1)
