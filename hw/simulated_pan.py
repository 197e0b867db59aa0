"""What lies on a simulated scale.

Lines of the console: `put GRAMS` (below zero, too), `moving on | off`, `busy on | off` (it cannot
weigh now).
"""

from hw.weight import Reading

CAPACITY_G = 15_000


class Pan:
    """A pan, and what shakes it."""

    def __init__(self, capacity_g: int = CAPACITY_G) -> None:
        self._capacity_g = capacity_g
        self.grams = 0
        self.moving = self.busy = False

    def read(self) -> Reading:
        """What the scale shows now."""
        if self.busy:
            return Reading("busy")
        if self.grams > self._capacity_g:
            return Reading("over")
        if self.grams < 0:
            return Reading("under")
        return Reading("unstable" if self.moving else "stable", self.grams)

    def obey(self, words: list[str]) -> bool:
        """Do what the console says; whether it was said to the pan.

        Raises:
            ValueError: It is no number of grams.
        """
        match words:
            case ["put", grams]:
                self.grams = int(grams)
            case ["moving" | "busy" as name, "on" | "off" as switch]:
                setattr(self, name, switch == "on")
            case _:
                return False
        return True
