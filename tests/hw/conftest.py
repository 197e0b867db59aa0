"""No test of a device may leave a task or a thread of ours behind."""

import asyncio

import pytest


@pytest.fixture(autouse=True)
async def no_leaks():
    before = asyncio.all_tasks()
    yield
    for _ in range(10):  # closing transports need a few turns of the loop
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        if not left:
            return
        await asyncio.wait(left, timeout=0.1)
    pytest.fail(f"tasks left running: {left}")
