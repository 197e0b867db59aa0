"""When the uplink tries again."""

import asyncio

from edge.link import uplink
from edge.link.carrier import LinkUnreachable
from edge.link.uplink import Uplink
from tests.edge.store import rig

NEVER = 100_000


async def attempts_of(tmp_path, monkeypatch, sales):
    """Return how often head office was tried, where it takes sales before, while and after it is.

    `sales`: called with the store at each attempt, before it fails.
    """
    monkeypatch.setattr(uplink, "QUIET_S", 0.0)
    monkeypatch.setattr(uplink, "FIRST_WAIT_S", 3600.0)
    tried = []
    async with rig.opened(tmp_path) as store:
        link = Uplink(
            tmp_path,
            "https://127.0.0.1:9",
            store,
            rig.clock(),
            random=lambda: 1.0,
            incarnation=lambda: 2,
            software="test",
        )

        async def attempt():
            tried.append(True)
            await sales(store, len(tried))
            raise LinkUnreachable("No answer.")

        link._renew_if_due = attempt
        await store.write(rig.selling(b"a" * 16))  # the first attempt knows of it
        await link.start()
        for _ in range(NEVER):
            await asyncio.sleep(0)
            if link.state.next_attempt_ms is not None and not link._woken.is_set():
                break
        after = len(tried)
        await store.write(rig.selling(b"b" * 16))
        for _ in range(NEVER):
            await asyncio.sleep(0)
            if len(tried) > after:
                break
        await link.close()
    return after, len(tried)


async def test_what_an_attempt_knew_of_ends_no_pause_and_a_sale_after_it_does(
    tmp_path, monkeypatch
):
    async def no_sale(_store, _attempt):
        pass

    assert await attempts_of(tmp_path, monkeypatch, no_sale) == (1, 2)


async def test_a_sale_while_head_office_is_being_tried_is_tried_again_for(tmp_path, monkeypatch):
    async def one_sale(store, attempt):
        if attempt == 1:
            await store.write(rig.selling(b"c" * 16))

    assert await attempts_of(tmp_path, monkeypatch, one_sale) == (2, 3)


async def test_who_is_told_to_stop_just_when_there_is_news_stops(tmp_path, monkeypatch):
    monkeypatch.setattr(uplink, "QUIET_S", 0.0)
    async with rig.opened(tmp_path) as store:
        for turns in range(6):
            link = Uplink(
                tmp_path,
                "https://127.0.0.1:9",
                store,
                rig.clock(),
                random=lambda: 1.0,
                incarnation=lambda: 2,
                software="test",
            )
            pause = asyncio.create_task(link._pause(3600))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            link._woken.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            told = pause.cancel()
            done, _ = await asyncio.wait({pause}, timeout=5)
            assert done
            assert pause.cancelled() is told
