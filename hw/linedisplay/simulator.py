"""A customer display of two lines of twenty, on a pty or a socket.

    python -m hw.linedisplay.simulator --link ./display

prints where a driver finds it; `screen` on standard input prints what it shows. Other lines are
accidents of the line (`hw.simulated_line`); it never answers, so those of answers do nothing.
"""

import asyncio
import sys

from hw.linedisplay.codec import CODE_PAGES, ESC, LINES, US
from hw.simulated_line import Cable, Line, present

COLUMNS = 20
HOME, CLEAR = 0x0B, 0x0C
_LENGTHS = {b"\x1b@": 2, b"\x1bt": 3, b"\x1f\x01": 2, b"\x1fC": 3, b"\x1f$": 4}
"""Bytes of the commands it knows; of others it drops two."""


class Screen:
    """What is shown, without the cable."""

    def __init__(self, columns: int = COLUMNS) -> None:
        self._columns = columns
        self._encodings = dict(CODE_PAGES.values()) | {0: "cp437"}
        self._partial = b""
        self.strange = 0
        """Bytes that were neither text nor a command it knows."""

        self._begin()

    @property
    def lines(self) -> tuple[str, ...]:
        """Each as wide as the display."""
        return tuple("".join(line) for line in self._cells)

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        rest = self._partial + data
        while rest:
            took = self._take(rest)
            if not took:
                break
            rest = rest[took:]
        self._partial = rest

    def _take(self, rest: bytes) -> int:
        """How many bytes were taken; 0: the rest of a command is missing."""
        first = rest[:1]
        if first not in {ESC, US}:
            self._put(rest[0])
            return 1
        if len(rest) < 2 or len(rest) < _LENGTHS.get(rest[:2], 2):
            return 0
        self._command(rest[:2], rest[2:4])
        return _LENGTHS.get(rest[:2], 2)

    def _command(self, name: bytes, arguments: bytes) -> None:
        if name == ESC + b"@":
            self._begin()
        elif name == ESC + b"t":
            self._encoding = self._encodings.get(arguments[0], "cp437")
        elif name == US + b"$":
            column, line = arguments
            if 1 <= column <= self._columns and 1 <= line <= LINES:
                self._at = (line - 1) * self._columns + column - 1
        elif name not in _LENGTHS:
            self.strange += 2

    def _put(self, byte: int) -> None:
        if byte == CLEAR:
            self._begin()
        elif byte == HOME:
            self._at = 0
        elif byte < 0x20:
            self.strange += 1
        else:
            line, column = divmod(self._at, self._columns)
            self._cells[line][column] = bytes((byte,)).decode(self._encoding, "replace")
            self._at = (self._at + 1) % (self._columns * LINES)

    def _begin(self) -> None:
        self._cells = [[" "] * self._columns for _ in range(LINES)]
        self._at = 0
        self._encoding = "cp437"


class LineDisplaySimulator:
    """One display; switched off it shows nothing."""

    def __init__(self) -> None:
        self.screen = Screen()
        self.cable = Cable(self._serve, switches=())

    async def close(self) -> None:
        """Switch off."""
        await self.cable.close()

    async def _serve(self, line: Line) -> None:
        self.screen = Screen()
        while data := await line.read():
            self.screen.feed(data)


def obey(simulator: LineDisplaySimulator, line: str) -> None:
    """Do what one line of the console says.

    Raises:
        ValueError: It says nothing we know.
    """
    words = line.split()
    if words == ["screen"]:
        sys.stdout.write("".join(f"|{text}|\n" for text in simulator.screen.lines))
        sys.stdout.flush()
    elif not simulator.cable.obey(words):
        raise ValueError(f"unknown: {line!r}; see the head of hw/linedisplay/simulator.py")


async def main(arguments: list[str]) -> None:
    """Run until interrupted."""
    simulator = LineDisplaySimulator()
    await present(
        "linedisplay",
        simulator.cable,
        lambda line: obey(simulator, line),
        arguments,
        listen="127.0.0.1:9200",
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
