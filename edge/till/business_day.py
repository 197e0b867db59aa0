"""Which business day a moment belongs to, by the store's own clock on the wall."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sync.facts.node import StoreDescribed

FALLBACK = "Europe/Warsaw"
"""A misspelt zone must not stop a shop: it would sell nothing until head office is back."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = 250_000_000_000_000
"""In the year 9892; later than that is not shown, whatever another node wrote."""


@lru_cache(maxsize=8)
def zone(name: str) -> ZoneInfo:
    """Return a zone by its IANA name; that of `FALLBACK` if there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo(FALLBACK)


def utc(at_ms: int) -> datetime:
    """Return Unix milliseconds as a time, held within what can be shown."""
    return _EPOCH + timedelta(milliseconds=min(max(at_ms, 0), _LAST_MS))


def local(at_ms: int, store: StoreDescribed) -> datetime:
    """Return Unix milliseconds as the time on the store's wall."""
    return utc(at_ms).astimezone(zone(store.zone))


def rfc3339(at_ms: int) -> str:
    """Return Unix milliseconds as text, in UTC."""
    return utc(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def business_day(at_ms: int, store: StoreDescribed) -> int:
    """Return the day as 20260131.

    A day begins when the wall clock first shows `day_starts_minute`, so the night the
    clocks change is one day like any other.
    """
    now = local(at_ms, store)
    day = now.date()
    if now.hour * 60 + now.minute < store.day_starts_minute:
        day -= timedelta(days=1)
    return day.year * 10_000 + day.month * 100 + day.day


def day_text(day: int) -> str:
    """Return 20260131 as 2026-01-31."""
    return f"{day // 10_000:04}-{day // 100 % 100:02}-{day % 100:02}"
