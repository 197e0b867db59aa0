"""What changes at a till and at its node, told to an open page as server-sent events.

Two events: `till` is the till's answer as the API gives it, at each change; `node` is what
stands in the line at the top, at each change and looked at once a second.
"""

import asyncio
from contextlib import suppress

import msgspec
from aiohttp import web

from edge.api import answers
from edge.api.call import Node
from edge.api.tills import till_told
from edge.till.selling import trust_name
from edge.till.till import Till

LOOK_S = 1.0
"""How often it is looked how the node is."""

QUIET_S = 15.0
"""After that long without news a line is sent all the same: who is gone is found out."""


class NodeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How the node is, as far as a cashier should know."""

    shop: str
    store: str
    link: str
    """``live``, ``polling``, ``connecting``, ``offline`` or ``refused``."""

    since_ms: int
    """When the link was last up, or last changed; Unix milliseconds."""

    waiting: int
    """Facts of our own that head office has not acknowledged."""

    oldest_waiting_s: int | None
    now_ms: int
    trust: str
    devices: tuple[answers.DeviceAnswer, ...]
    """Of this till, and shared ones."""

    open_sales: tuple[answers.OpenSale, ...]
    """Of this till: they wait for a person or a device."""

    disk_full: bool


async def told(
    request: web.Request, node: Node, till: Till, stopping: asyncio.Event
) -> web.StreamResponse:
    """Tell a page until it goes or the node stops."""
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    news = till.watch()
    stop = asyncio.create_task(stopping.wait(), name="page")
    seen: dict[str, bytes] = {}
    loop = asyncio.get_running_loop()
    looked = wrote = 0.0
    try:
        while not stop.done():
            news.clear()
            said = _new(seen, "till", await till_told(node, till))
            if loop.time() - looked >= LOOK_S:
                looked = loop.time()
                said += _new(seen, "node", await node_told(node, till.id))
            if not said and loop.time() - wrote >= QUIET_S:
                said = b":\n\n"
            if said:
                wrote = loop.time()
                async with asyncio.timeout(10):  # one that does not read holds nobody up
                    await response.write(said)
            waiting = asyncio.create_task(news.wait(), name="till news")
            await asyncio.wait({stop, waiting}, timeout=LOOK_S, return_when="FIRST_COMPLETED")
            waiting.cancel()
    except (ConnectionError, TimeoutError):
        pass  # the page was closed
    finally:
        till.forget(news)
        stop.cancel()
        with suppress(asyncio.CancelledError):
            await stop
    return response


async def node_told(node: Node, till: str) -> NodeAnswer:
    """Tell how the node is."""
    now, link = node.clock.now(), node.link.state if node.link else None
    waiting, oldest = await node.store.waiting()
    return NodeAnswer(
        shop=(await node.counter.settings()).name,
        store=node.store.store,
        link=link.state if link else "offline",
        since_ms=link.since_ms if link else 0,
        waiting=waiting,
        oldest_waiting_s=None if oldest is None else max(0, now.ms - oldest) // 1000,
        now_ms=now.ms // 60_000 * 60_000,  # to the minute: a page is told of changes
        trust=trust_name(now.trust),
        devices=tuple(
            answers.DeviceAnswer(d.id, d.driver, d.till, d.state, d.problem, d.cure)
            for d in node.devices()
            if d.till in (None, till)
        ),
        open_sales=tuple(
            answers.OpenSale(
                answers.uuid_text(sale.event),
                f"{sale.series}/{sale.number}",
                sale.body.till,
                sale.total_minor,
                step.value,
            )
            for sale, step in await node.counter.waiting()
            if sale.body.till == till
        ),
        disk_full=node.store.full,
    )


def _new(seen: dict[str, bytes], event: str, answer: msgspec.Struct) -> bytes:
    """Return an event where it says something else than the last one."""
    said = msgspec.json.encode(answer)
    if seen.get(event) == said:
        return b""
    seen[event] = said
    return b"event: " + event.encode() + b"\ndata: " + said + b"\n\n"
