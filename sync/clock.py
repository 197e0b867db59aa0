"""Order without clocks, and time with its trust.

Order: a hybrid logical clock, one int of 63 bits, 47 for Unix milliseconds and
16 for a counter (Kulkarni et al., *Logical Physical Clocks*, 2014). Time: what
somebody trustworthy last said, plus what has elapsed since.

Pure: the wall clock and the elapsed time are arguments.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, NewType

Hlc = NewType("Hlc", int)
"""Milliseconds since 1970 shifted left by 16, plus a counter. Orders, never dates."""

COUNTER_BITS = 16
MAX_HLC = (1 << 63) - 1
MAX_AHEAD_MS = 24 * 3600 * 1000
"""A remote value further ahead than this is stored but not merged."""


def hlc_ms(hlc: int) -> int:
    """Return the millisecond part."""
    return hlc >> COUNTER_BITS


def tick(last: int, now_ms: int) -> Hlc:
    """Return the next value for a local event: above `last`, and not before `now_ms`."""
    return Hlc(min(max(last + 1, max(now_ms, 0) << COUNTER_BITS), MAX_HLC))


def merge(last: int, heard: int, now_ms: int) -> Hlc:
    """Return `last` moved past `heard`, unless that lies more than a day ahead of `now_ms`."""
    if hlc_ms(heard) > now_ms + MAX_AHEAD_MS:
        return Hlc(last)
    return Hlc(max(last, heard))


class Trust(IntEnum):
    """Who vouches for a time, weakest first. Written into sales: never renumber."""

    NONE = 0
    MANAGER = 1
    RTC = 2
    PEER = 3
    FISCAL = 4
    CENTRAL = 5


class Reading(NamedTuple):
    """A time of day and who vouches for it."""

    ms: int
    """Unix milliseconds."""

    trust: Trust


@dataclass(slots=True)
class TrustedTime:
    """The node's idea of the time of day.

    It never runs behind `floor_ms`, the time of the node's own last fact, so a Pi
    that boots into 1970 does not date a sale before the one it made yesterday.
    """

    floor_ms: int = 0
    base_ms: int | None = None
    base_elapsed_ms: int = 0
    trust: Trust = Trust.NONE

    def hear(self, source: Trust, ms: int, elapsed_ms: int) -> None:
        """Take a time from `source`, heard at `elapsed_ms` of the monotonic clock.

        A manager's word, and a neighbour's, counts only while nobody better has spoken.
        """
        if source in (Trust.MANAGER, Trust.PEER) and self.trust > source:
            return
        self.base_ms, self.base_elapsed_ms, self.trust = ms, elapsed_ms, source

    def now(self, wall_ms: int, elapsed_ms: int) -> Reading:
        """Return the time; `wall_ms` is used only while nobody has vouched for any."""
        if self.base_ms is None:
            return Reading(max(wall_ms, self.floor_ms), Trust.NONE)
        return Reading(
            max(self.base_ms + elapsed_ms - self.base_elapsed_ms, self.floor_ms), self.trust
        )

    def wrote(self, ms: int) -> None:
        """Remember that a fact was dated `ms`."""
        self.floor_ms = max(self.floor_ms, ms)
