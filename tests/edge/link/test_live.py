"""The sending side of a live conversation."""

import asyncio
from types import SimpleNamespace

import pytest

from edge.link.conversation import Conversation
from edge.link.live import _Live
from sync.chain import ALL
from tests.edge.store import rig
from tests.edge.store.test_base import stream_of


class Socket:
    """Takes what is sent."""

    closed = False

    async def send_bytes(self, payload):
        del payload


@pytest.mark.parametrize("turns", range(6))
async def test_who_is_told_to_stop_just_when_there_is_news_stops(tmp_path, turns):
    author = rig.key(5)
    stream, _, _, batch = stream_of(author, 3)
    async with rig.opened(tmp_path) as store:
        await store.write(lambda unit: unit.root(author.node, "S1", author.public))
        await store.receive(batch(1, 3), {})
        talk = Conversation(store, rig.clock(), "test")
        talk.greet()
        talk._session.assume({}, ("S1", ALL))
        woken = asyncio.Event()
        traffic = SimpleNamespace(bytes_in=0, bytes_out=0)
        live = _Live(Socket(), talk, woken, traffic, _nothing, asyncio.Lock())
        pusher = asyncio.create_task(live.push())
        for _ in range(100_000):
            await asyncio.sleep(0)
            if talk.due_ms is not None and not live._turn.locked():
                break
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert stream.node != store.stream.node, "another's facts are held back for a while"
        woken.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        pusher.cancel()
        done, _ = await asyncio.wait({pusher}, timeout=5)
        assert done, "it took the news for a reason to go on, and would have gone on for ever"
        assert pusher.cancelled()


async def _nothing():
    pass
