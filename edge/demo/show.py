"""The evening from beginning to end; it reads like a list.

Selling; at a third one shop of two nodes and another shop lose their links, and the two nodes
are tried (`neighbours`); one node is killed at the half; healed when all is sold, waited for
until nothing waits anywhere, everything stopped, and the sums taken from the closed files. In
a terminal the shops open again afterwards, for the visitor to try.
"""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import uvloop

from edge.demo import goods
from edge.demo.baskets import DataMissing
from edge.demo.cashier import Muddle
from edge.demo.evening import FEWEST, Evening
from edge.demo.keys import interactive
from edge.demo.processes import DemoFailed
from edge.demo.screen import Screen
from edge.demo.till_client import Refused

MORE = 200
"""Baskets of each shop kept for the visitor's part."""

_PLAIN = (DemoFailed, DataMissing, Muddle, Refused, TimeoutError, OSError)
"""What can go wrong and is told without a traceback."""


def present(stores: int, baskets: int, seed: int, *, once: bool) -> int:
    """Show it; return the exit status."""
    screen = Screen()
    if stores < 1 or baskets < FEWEST:
        screen.tell(
            f"--stores {stores} --baskets {baskets}: expected 1 or more stores, and {FEWEST} or "
            "more baskets: the two nodes of a store sell one each, and hand one over."
        )
        return 2
    alone = once or not interactive()
    folder = Path(tempfile.mkdtemp(prefix="karb-demo-"))
    keep = False
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            status = runner.run(_show(screen, folder, (stores, baskets, seed), alone=alone))
            keep = status != 0
            return status
    except KeyboardInterrupt:
        screen.tell("Stopped by hand.")
        return 128 + signal.SIGINT
    except asyncio.CancelledError:
        screen.tell("Stopped by a signal.")
        return 128 + signal.SIGTERM
    except _PLAIN as error:
        keep = True
        words = str(error) or "Something took too long."
        screen.console.print(words, style="red", markup=False, soft_wrap=True)
        return 1
    except BaseException:
        keep = True
        raise
    finally:
        if keep:
            screen.console.print(f"Logs and files are kept in {folder}", soft_wrap=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def _show(screen: Screen, folder: Path, size: tuple[int, int, int], *, alone: bool) -> int:
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    stores, baskets, seed = size
    chosen = await asyncio.to_thread(goods.choose, stores, baskets + MORE * (not alone), seed)
    async with _opened(Evening(screen, folder, chosen, baskets, seed)) as evening:
        await evening.install()
        await evening.sell()
        well = await evening.settle()
        if not alone:
            await evening.open_again()
            await evening.play()
            well = await evening.settle() and well
    return 0 if well else 1


@asynccontextmanager
async def _opened(evening: Evening) -> AsyncIterator[Evening]:
    """Whatever happens inside, everything that was started is stopped after it."""
    async with aiohttp.ClientSession() as http:
        evening.furnish(http)
        try:
            yield evening
        finally:
            evening.screen.close_bars()
            await evening.close()
