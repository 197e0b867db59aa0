"""This machine's clocks, and how far to trust them."""

import time
from collections.abc import Callable
from pathlib import Path

from sync.clock import Reading, Trust, TrustedTime

_RTC = Path("/sys/class/rtc/rtc0")


def wall_ms() -> int:
    """Return the system clock, Unix milliseconds."""
    return time.time_ns() // 1_000_000


def elapsed_ms() -> int:
    """Return milliseconds since boot, sleep included; no jump of the wall clock moves it."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def has_rtc() -> bool:
    """Whether the machine keeps time while it is off."""
    return _RTC.exists()


class Clock:
    """Trusted time over real or given clocks. Read from two threads; each call is one step."""

    def __init__(
        self,
        wall: Callable[[], int] = wall_ms,
        elapsed: Callable[[], int] = elapsed_ms,
        *,
        rtc: bool = False,
    ) -> None:
        """Start; `rtc` says that the wall clock survived the night by itself."""
        self._wall, self._elapsed = wall, elapsed
        self._time = TrustedTime()
        if rtc:
            self.hear(Trust.RTC, wall())

    def now(self) -> Reading:
        """Return the time and who vouches for it."""
        return self._time.now(self._wall(), self._elapsed())

    def elapsed(self) -> int:
        """Return milliseconds that no jump of a clock moves."""
        return self._elapsed()

    def hear(self, source: Trust, ms: int) -> None:
        """Take the time from somebody."""
        self._time.hear(source, ms, self._elapsed())

    def wrote(self, ms: int) -> None:
        """Never run behind a fact of our own."""
        self._time.wrote(ms)
