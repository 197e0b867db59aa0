"""When some articles may not be sold. One writer, head office; the latest per target holds."""

import msgspec

from sync.rules.hours import Hours

MAX_HOURS = 20


class SaleHours(msgspec.Struct, frozen=True, array_like=True):
    """Hours in which an article, or a group, is not sold at the places of the stream's scope.

    What is said of a place holds before what is said of all places, target by target.
    """

    target: str
    """``sku:…`` or ``group:…``."""

    forbidden: tuple[Hours, ...]
    """None: it is sold at any hour."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        kind, _, name = self.target.partition(":")
        if kind not in ("sku", "group") or not name:
            return f"target {self.target!r}: expected sku:… or group:…"
        if len(self.forbidden) > MAX_HOURS:
            return f"{len(self.forbidden)} hours, expected at most {MAX_HOURS}"
        return next(filter(None, (hours.reason() for hours in self.forbidden)), "")
