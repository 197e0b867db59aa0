"""A cash drawer on a printer's plug, watched: open, closed, open too long. Pure.

The plug tells a level. Which one means open depends on the drawer, so a person says it; until
then nobody can tell, and nothing is claimed.
"""

from typing import Literal, TypeAlias

Change: TypeAlias = tuple[Literal["open", "closed", "open_too_long"], float]
"""What it is now, and for how many seconds it is, or was, open."""


class DrawerWatch:
    """One drawer."""

    def __init__(self, open_level: str, too_long_s: float) -> None:
        """Nothing is seen yet.

        Args:
            open_level: ``high`` or ``low``, of pin 3 while it is open; ``none``: there is no
                drawer, or none can tell.
            too_long_s: From when on it is open too long.
        """
        self._open_level, self.too_long_s = open_level, too_long_s
        self._since: float | None = None
        self._told = False
        self.open: bool | None = None
        """As last seen."""

    @property
    def watched(self) -> bool:
        """Whether there is anything to see."""
        return self._open_level != "none"

    @property
    def too_long(self) -> bool:
        """Whether it is open, and has been said to be so too long."""
        return bool(self.open) and self._told

    def seen(self, *, high: bool, now_s: float) -> list[Change]:
        """Take a level; what has changed.

        Args:
            high: The level of pin 3.
            now_s: Any clock that only goes on.
        """
        if not self.watched:
            return []
        before, self.open = self.open, high == (self._open_level == "high")
        changes: list[Change] = []
        if not self.open:
            if before:
                changes.append(("closed", now_s - (now_s if self._since is None else self._since)))
            self._since, self._told = None, False
            return changes
        if self._since is None:
            self._since = now_s
            changes.append(("open", 0.0))
        if not self._told and now_s - self._since >= self.too_long_s:
            self._told = True
            changes.append(("open_too_long", now_s - self._since))
        return changes

    def lost(self) -> None:
        """The printer is gone: how long the drawer was open until it is back nobody can say."""
        self.open = self._since = None
        self._told = False
