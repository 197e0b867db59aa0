"""When the uplink tries again."""

import asyncio

from edge.link import uplink
from edge.link.uplink import Uplink
from tests.edge.store import rig


def to_nobody(data, store):
    return Uplink(
        data,
        "https://127.0.0.1:9",
        store,
        rig.clock(),
        random=lambda: 1.0,
        incarnation=lambda: 2,
        software="test",
    )


async def test_a_sale_in_the_quiet_time_after_an_attempt_ends_the_pause_too(tmp_path, monkeypatch):
    monkeypatch.setattr(uplink, "QUIET_S", 0.3)
    async with rig.opened(tmp_path) as store:
        link = to_nobody(tmp_path, store)
        await store.write(rig.selling(b"a" * 16))  # the attempt knew of it
        pause = asyncio.create_task(link._pause(3600))
        await asyncio.sleep(0)
        await store.write(rig.selling(b"b" * 16))
        await asyncio.wait_for(pause, 10)


async def test_what_an_attempt_knew_of_ends_no_pause(tmp_path, monkeypatch):
    monkeypatch.setattr(uplink, "QUIET_S", 0.0)
    async with rig.opened(tmp_path) as store:
        link = to_nobody(tmp_path, store)
        await store.write(rig.selling(b"a" * 16))
        pause = asyncio.create_task(link._pause(3600))
        done, _ = await asyncio.wait({pause}, timeout=0.1)
        assert not done
        pause.cancel()
        await asyncio.gather(pause, return_exceptions=True)
