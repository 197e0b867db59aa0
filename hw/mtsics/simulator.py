"""A scale that speaks MT-SICS, on a pty or a socket.

    python -m hw.mtsics.simulator --listen 127.0.0.1:4305

prints where a driver finds it, and obeys lines on standard input: what lies on it
(`hw.simulated_pan`: `put 735`, `moving on`, `busy on`) and accidents of the line
(`hw.simulated_line`; orders are `SI`, `I4`; the protocol has no checksum, so nobody could tell a
damaged digit from a true one).
"""

import asyncio
import sys

from hw.mtsics.codec import CRLF, Lines, answer
from hw.simulated_line import SWITCHES, Cable, Line, present
from hw.simulated_pan import Pan
from hw.weight import Reading


class MtsicsSimulator:
    """One scale; what lies on it outlives its lines."""

    def __init__(self, *, serial: str = "1126493049") -> None:
        self.serial = serial
        self.pan = Pan()
        self.cable = Cable(self._serve, switches=SWITCHES - {"damage"})

    async def close(self) -> None:
        """Switch off."""
        await self.cable.close()

    async def _serve(self, line: Line) -> None:
        lines = Lines()
        while data := await line.read():
            for order in lines.feed(data):
                if not line.dropped(order):
                    line.answer(order, self._answer(order))

    def _answer(self, order: str) -> bytes:
        if order == "I4":
            return f'I4 A "{self.serial}"'.encode("ascii") + CRLF
        return answer(self.pan.read() if order in {"S", "SI"} else Reading("garbled"))


def obey(simulator: MtsicsSimulator, line: str) -> None:
    """Do what one line of the console says.

    Raises:
        ValueError: It says nothing we know.
    """
    words = line.split()
    if not (simulator.pan.obey(words) or simulator.cable.obey(words)):
        raise ValueError(f"unknown: {line!r}; see the head of hw/mtsics/simulator.py")


async def main(arguments: list[str]) -> None:
    """Run until interrupted."""
    simulator = MtsicsSimulator()
    await present(
        "mtsics",
        simulator.cable,
        lambda line: obey(simulator, line),
        arguments,
        listen="127.0.0.1:4305",
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
