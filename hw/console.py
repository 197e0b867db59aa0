"""The console of the simulators: lines typed while the loop runs."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TextIO


class Lines:
    """Non-empty lines of a text stream; after its end it waits for SIGTERM or SIGINT.

    A thread reads, because asyncio cannot watch a file or `/dev/null`.
    """

    def __init__(self, source: TextIO) -> None:
        self._source = source

    async def __aiter__(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | None] = asyncio.Queue()

        def read() -> None:
            with suppress(RuntimeError):  # the loop ended first
                for line in self._source:
                    loop.call_soon_threadsafe(queue.put_nowait, line.strip())

        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, queue.put_nowait, None)
        # A daemon: it may sit in a read that nothing can interrupt.
        threading.Thread(target=read, name="console", daemon=True).start()
        while (line := await queue.get()) is not None:
            if line:
                yield line
