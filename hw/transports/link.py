"""An open transport with one task that reads it, so that a loss is noticed at once."""

import asyncio
from collections.abc import Callable

from hw.errors import DeviceUnavailable, HwError
from hw.transports import Transport

READ_SIZE = 4096


class Link:
    """Reads until the transport fails or `close`.

    Hands every piece to `on_bytes`; calls `on_lost` once, when `why_lost` has the reason.
    """

    def __init__(
        self,
        transport: Transport,
        on_bytes: Callable[[bytes], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._on_bytes = on_bytes
        self._on_lost = on_lost
        self._lost: asyncio.Future[HwError] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(), name="device reader")

    async def write(self, data: bytes) -> None:
        """Send; all, some or none of it may have left when this raises.

        Raises:
            DeviceUnavailable: The connection is gone.
        """
        if self._lost.done():
            error = self._lost.result()
            raise DeviceUnavailable(error.problem, cure=error.cure)
        await self._transport.write(data)

    async def lost(self) -> HwError:
        """Wait for the end of the connection; why it ended."""
        return await asyncio.shield(self._lost)

    @property
    def why_lost(self) -> HwError | None:
        """Why it ended; None while it lives."""
        return self._lost.result() if self._lost.done() else None

    def fail(self, error: HwError) -> None:
        """Declare it lost: it is open, but not to be trusted any more."""
        if not self._lost.done():
            self._lost.set_result(error)
            self._on_lost()

    async def close(self) -> None:
        """Stop reading and drop the connection. Harmless when repeated."""
        self.fail(DeviceUnavailable("Connection was closed by Karb.", cure="Open it again."))
        self._reader.cancel()
        try:
            # Not a plain await: that would also swallow a cancellation meant for us.
            await asyncio.wait([self._reader])
        finally:
            await self._transport.close()

    async def _read(self) -> None:
        try:
            while True:
                self._on_bytes(await self._transport.read(READ_SIZE))
        except DeviceUnavailable as error:
            self.fail(error)
        finally:  # a link nobody reads is no link, whatever stopped the reading
            self.fail(DeviceUnavailable("Reading stopped.", cure="Open it again."))
