"""Wait for what must happen, without a fixed sleep."""

import asyncio

PATIENCE_S = 10
"""How long a test waits for what must happen; never how long it waits for nothing."""


async def until(condition, *, what="condition"):
    """Turn the loop until `condition()` holds."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - descriptors and driver state have no event
                await asyncio.sleep(0.001)
    except TimeoutError:
        raise AssertionError(f"never happened: {what}") from None
