"""A pseudo-terminal that looks like a device on a serial port. For simulators.

The path given to the driver is a link, like those udev makes in `/dev/serial/by-id`:
it stays the same when the device is pulled out and plugged in again, although the
terminal behind it is another one.
"""

import asyncio
import os
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

READ_SIZE = 4096


class PtyPort:
    """The device's end of the cable."""

    def __init__(self, link: Path, on_bytes: Callable[[bytes], None]) -> None:
        self.link = link
        """What the driver opens."""

        self._on_bytes = on_bytes
        self._master: int | None = None
        self._slave: int | None = None
        self._room: asyncio.Future[None] | None = None
        """Done when a writer that was behind may go on, or the cable was pulled."""

    @property
    def url(self) -> str:
        """For `open_transport`."""
        return f"serial:{self.link}"

    def plug(self) -> None:
        """Connect the cable. Only in a running event loop, and only when unplugged."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(self._slave))
        # Our own slave descriptor stays open: without it the master fails with EIO
        # whenever no driver has the port open.
        asyncio.get_running_loop().add_reader(self._master, self._readable)

    def unplug(self) -> None:
        """Pull the cable: the driver's side fails at once. Harmless when repeated."""
        if self._master is None or self._slave is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._master)
        loop.remove_writer(self._master)
        self._go_on()
        self.link.unlink(missing_ok=True)
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = None

    def write(self, data: bytes) -> int:
        """Send what fits in the system's buffer now; the number of bytes sent."""
        if self._master is None:
            return 0
        try:
            return os.write(self._master, data)
        except BlockingIOError:
            return 0

    async def write_all(self, data: bytes) -> None:
        """Send everything, waiting for the driver to read when it is behind."""
        while data and self._master is not None:
            data = data[self.write(data) :]
            if data:
                await self._writable()

    async def _writable(self) -> None:
        if self._master is None:
            return
        loop = asyncio.get_running_loop()
        self._room = loop.create_future()
        loop.add_writer(self._master, self._go_on)
        try:
            await self._room
        finally:
            if self._master is not None:
                loop.remove_writer(self._master)

    def _go_on(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _readable(self) -> None:
        with suppress(OSError):
            if self._master is not None:
                self._on_bytes(os.read(self._master, READ_SIZE))
