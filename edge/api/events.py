"""What happened at the devices, told by page and by an open line."""

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from edge.api.call import Call, Node, Reply
from edge.api.gateway import gateway_of
from edge.gateway import Gateway
from hw.events import Event

PAGE = 500


class EventAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    cursor: str
    kind: str
    """``scan``, ``badge``, ``drawer``, ``device``, ``job``, or ``sale``: one under way is further
    than it was."""

    device: str
    """Empty: none has a part in it now."""

    till: str | None
    at_ms: int
    data: dict[str, str]


class EventsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What happened after a cursor."""

    events: tuple[EventAnswer, ...]
    next: str
    """The cursor to ask with next."""

    missed: bool
    """Something between the cursor and the first event is gone: look at the state."""


async def get_events(node: Node, call: Call) -> Reply:
    """Tell what happened since."""
    gateway = gateway_of(node)
    return Reply(200, _page(gateway, call.path.get("after") or gateway.events.cursor, call.till))


async def tell(
    line: web.WebSocketResponse, gateway: Gateway, cursor: str, till: str | None
) -> None:
    """Send pages of events as they happen, until cancelled or the client is gone."""
    first = True
    while not line.closed:
        page = _page(gateway, cursor, till)
        if page.events or page.missed or first:
            first = False
            try:
                async with asyncio.timeout(10):  # one that does not read holds nobody up
                    await line.send_bytes(msgspec.json.encode(page))
            except (TimeoutError, ConnectionError):
                await line.close()
                return
        if page.next == cursor or not page.events:
            await gateway.events.news(page.next)
        cursor = page.next


def _page(gateway: Gateway, cursor: str, till: str | None) -> EventsAnswer:
    events, missed = gateway.events.after(cursor, PAGE)
    last = events[-1].cursor if events else gateway.events.cursor
    return EventsAnswer(
        events=tuple(_answer(event) for event in events if event.till in (None, till) or not till),
        next=last,
        missed=missed,
    )


def _answer(event: Event) -> EventAnswer:
    told: Any = {name: getattr(event, name) for name in EventAnswer.__struct_fields__}
    return EventAnswer(**told)
