"""A Pi has little memory: what starting up left behind goes back to the system.

Importing the libraries leaves megabytes of free but kept heap in glibc's arenas
(measured: 5 MB after python-escpos alone; `make bench ARGS=memory`).
"""

import asyncio
import ctypes
import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import chain, repeat

_M_ARENA_MAX = -8
"""malloc.h"""

_AFTER_S = (2.0, 20.0)
_EVERY_S = 600.0


def share_one_heap() -> None:
    """Let all threads allocate from one arena; before the first thread starts."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)


@asynccontextmanager
async def kept_small() -> AsyncIterator[None]:
    """Give free memory back soon after the start, and now and then until the end."""
    keeper = asyncio.create_task(_give_back(), name="memory")
    try:
        yield
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper


def log_without_colours() -> None:
    """Import structlog without rich and pygments: 4 MB for tracebacks that nobody sees here."""
    if "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # what an uninstalled package looks like
    import structlog.dev  # noqa: F401, PLC0415 - see above

    del sys.modules["rich"]


async def _give_back() -> None:
    for pause in chain(_AFTER_S, repeat(_EVERY_S)):
        await asyncio.sleep(pause)
        settle()


def settle() -> None:
    """Give free memory back, and let the collector pass over what is here to stay.

    Without it a full collection walks every module's objects in the middle of a sale.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(5000, 20, 20)  # a sale makes hundreds of objects, and no cycle
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc has it, musl does not
        libc.malloc_trim(0)
