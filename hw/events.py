"""What happened at the devices, for clients that look now and then.

A cursor says how far a client has read: `RUN-NUMBER`. One that slept gets all it missed; one
that slept too long, or over a restart, is told that something is missing, and looks at the
state instead. Bounded: the oldest go.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hw.errors import DeviceRefused

KEPT = 2_000

EventKind: TypeAlias = Literal["scan", "badge", "drawer", "device", "job", "sale"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened."""

    cursor: str
    kind: EventKind
    device: str
    till: str | None
    """None: it concerns all tills."""

    at_ms: int
    """Unix milliseconds."""

    data: dict[str, str]


class Events:
    """The last ones, by number."""

    def __init__(self, run: str, kept: int = KEPT) -> None:
        """Begin.

        Args:
            run: A word of this run of the program: the cursors of another say nothing here.
            kept: How many are kept.
        """
        self._run = run
        self._number = 0
        self._events: deque[Event] = deque(maxlen=kept)
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def cursor(self) -> str:
        """Where a client begins that wants only what is to come."""
        return f"{self._run}-{self._number}"

    def add(
        self,
        kind: EventKind,
        device: str,
        till: str | None,
        at_ms: int,
        **data: str | None,
    ) -> None:
        """Keep what happened, and wake who waits. Never waits itself."""
        self._number += 1
        told = {name: text for name, text in data.items() if text is not None}
        self._events.append(
            Event(cursor=self.cursor, kind=kind, device=device, till=till, at_ms=at_ms, data=told)
        )
        waiting, self._waiting = self._waiting, set()
        for one in waiting:
            if not one.done():
                one.set_result(None)

    def after(self, cursor: str, limit: int = 500) -> tuple[list[Event], bool]:
        """What happened after a cursor, in order; whether something between is missing.

        Raises:
            DeviceRefused: It is no cursor.
        """
        run, dash, number = cursor.rpartition("-")
        if not dash or not number.isascii() or not number.isdigit() or len(number) > 18:
            raise DeviceRefused(
                f"Cursor {cursor[:40]!r}: expected one that an earlier answer gave.",
                cure="Leave it out to begin now.",
            )
        first = self._number - len(self._events)
        missed = run != self._run or not first <= int(number) <= self._number
        begin = 0 if missed else int(number) - first
        return [
            self._events[n] for n in range(begin, min(len(self._events), begin + limit))
        ], missed

    async def news(self, cursor: str) -> None:
        """Wait until something happened after a cursor."""
        if cursor == self.cursor:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            try:
                await future
            finally:
                self._waiting.discard(future)

    def of(self, device: str, limit: int = 50) -> list[Event]:
        """The last ones of a device, the oldest first."""
        return [event for event in self._events if event.device == device][-limit:]
