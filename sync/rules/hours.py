"""Hours in which something may not be sold, by the clock on the store's wall.

Polish councils may forbid the sale of alcohol to be taken away between 22:00 and 6:00 (art. 12(4)
of the act on sobriety of 26 October 1982); a till stops it by itself. Minutes are of the day, 0 to
1439.

>>> night = Hours(22 * 60, 6 * 60)
>>> [forbidden([night], 5, minute) is night for minute in (1319, 1320, 359, 360)]
[False, True, True, False]
>>> str(night)
'22:00-06:00'
"""

import re
from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct

Minute = Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]
DAY_MINUTES = 1440

_TEXT = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


class Hours(Struct, frozen=True, array_like=True):
    """A part of the day. Stands in facts: fields are only ever appended."""

    from_minute: Minute
    until_minute: Minute
    """Not in it any more; the same twice: all day. Past midnight it belongs to the weekday on
    which it began."""

    weekdays: tuple[Minute, ...] = ()
    """1 is Monday; none: every day."""

    def __str__(self) -> str:
        """As people write it."""
        start, end = (f"{m // 60:02}:{m % 60:02}" for m in (self.from_minute, self.until_minute))
        days = f" ({','.join(map(str, self.weekdays))})" if self.weekdays else ""
        return f"{start}-{end}{days}"

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if not (0 <= self.from_minute < DAY_MINUTES and 0 <= self.until_minute < DAY_MINUTES):
            return f"minutes {self.from_minute} to {self.until_minute}, expected 0 to 1439"
        if any(not 1 <= day <= 7 for day in self.weekdays):
            return f"weekdays {list(self.weekdays)}, expected 1 to 7"
        return ""


def read(text: str, weekdays: Iterable[int] = ()) -> Hours:
    """Read hours as people write them: ``22:00-06:00``.

    Raises:
        ValueError: They are written otherwise.
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"hours {text[:20]!r}: expected them as 22:00-06:00")
    start, start_minute, end, end_minute = map(int, found.groups())
    hours = Hours(start * 60 + start_minute, end * 60 + end_minute, tuple(weekdays))
    if reason := hours.reason():
        raise ValueError(reason)
    return hours


def forbidden(hours: Iterable[Hours], weekday: int, minute: int) -> Hours | None:
    """Return the hours that hold at a moment; None: none does."""
    for one in hours:
        if within(one.from_minute, one.until_minute, one.weekdays, weekday, minute):
            return one
    return None


def within(
    from_minute: int, until_minute: int, weekdays: tuple[int, ...], weekday: int, minute: int
) -> bool:
    """Whether a moment is in a part of the day; past midnight it is still the day before's."""
    if from_minute < until_minute and not from_minute <= minute < until_minute:
        return False
    if from_minute > until_minute:
        if until_minute <= minute < from_minute:
            return False
        if minute < until_minute:
            weekday = weekday - 1 or 7
    return not weekdays or weekday in weekdays
