"""The console of the simulators: lines typed while the loop runs."""

import asyncio
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
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


async def serve(address: tuple[str, int] | str, obey: Callable[[str], None]) -> None:
    """Print where a simulator listens, then obey what is typed until its end.

    Args:
        address: Host and port, or the path of a serial port.
        obey: Does what one line says; raises `ValueError` when it says nothing it knows.
    """
    where = address if isinstance(address, str) else f"{address[0]}:{address[1]}"
    sys.stdout.write(f"{where}\n")
    sys.stdout.flush()
    async for line in Lines(sys.stdin):
        try:
            obey(line)
        except ValueError as error:
            sys.stderr.write(f"{error}\n")
