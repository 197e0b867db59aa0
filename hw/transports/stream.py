"""The one transport behind serial ports and sockets: a pair of asyncio streams."""

import asyncio
from contextlib import suppress

from hw.errors import DeviceUnavailable


class StreamTransport:
    """Bytes over a reader and a writer; any way of ending is `DeviceUnavailable`."""

    def __init__(
        self, url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._url = url
        self._reader = reader
        self._writer = writer

    async def read(self, limit: int) -> bytes:
        """See `Transport.read`."""
        try:
            data = await self._reader.read(limit)
        except OSError as error:
            raise self._gone(str(error)) from error
        if not data:
            raise self._gone("the other side closed it")
        return data

    async def write(self, data: bytes) -> None:
        """See `Transport.write`."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise self._gone(str(error)) from error

    async def close(self) -> None:
        """See `Transport.close`."""
        # Not close(): that would wait to flush bytes to a device that hangs, and bytes
        # delivered after we gave up on them would print a receipt nobody expects.
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()

    def _gone(self, why: str) -> DeviceUnavailable:
        return DeviceUnavailable(
            f"Connection {self._url} was lost: {why}.", cure="Check the cable and the power."
        )
