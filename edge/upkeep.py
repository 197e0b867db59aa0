"""Once a day, a while after the start: old facts are dropped (`edge.store.prune`)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from edge.clock import Clock
from edge.store.connection import StoreError
from edge.store.store import Store

_log = structlog.get_logger()

FIRST_S = 3600.0
EVERY_S = 24 * 3600.0


@asynccontextmanager
async def kept_tidy(store: Store, clock: Clock) -> AsyncIterator[None]:
    """Drop old facts now and then until the end."""
    keeper = asyncio.create_task(_prune(store, clock), name="upkeep")
    try:
        yield
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper


async def _prune(store: Store, clock: Clock) -> None:
    await asyncio.sleep(FIRST_S)
    while True:
        try:
            pruned = await store.prune(clock.now())
            _log.info("facts.pruned", dropped=pruned.facts, why_not=pruned.why_not)
        except (StoreError, OSError) as error:
            _log.warning("facts.not_pruned", reason=str(error))
        await asyncio.sleep(EVERY_S)
