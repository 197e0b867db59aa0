"""A scale that speaks Toledo 8217, on a pty or a socket.

    python -m hw.toledo.simulator --link ./scale

prints where a driver finds it, and obeys lines on standard input: what lies on it
(`hw.simulated_pan`: `put 735`, `moving on`, `busy on`) and accidents of the line
(`hw.simulated_line`; the one order is `W`; the protocol has no checksum, so nobody could tell a
damaged digit from a true one).
"""

import asyncio
import sys

from hw.simulated_line import SWITCHES, Cable, Line, present
from hw.simulated_pan import Pan
from hw.toledo.codec import WEIGH, answer
from hw.weight import Reading


class ToledoSimulator:
    """One scale; what lies on it outlives its lines."""

    def __init__(self) -> None:
        self.pan = Pan()
        self.cable = Cable(self._serve, switches=SWITCHES - {"damage"})

    async def close(self) -> None:
        """Switch off."""
        await self.cable.close()

    async def _serve(self, line: Line) -> None:
        while data := await line.read():
            for byte in data:
                if line.dropped("W"):
                    break
                told = self.pan.read() if byte == WEIGH[0] else Reading("garbled")
                line.answer("W", answer(told))


def obey(simulator: ToledoSimulator, line: str) -> None:
    """Do what one line of the console says.

    Raises:
        ValueError: It says nothing we know.
    """
    words = line.split()
    if not (simulator.pan.obey(words) or simulator.cable.obey(words)):
        raise ValueError(f"unknown: {line!r}; see the head of hw/toledo/simulator.py")


async def main(arguments: list[str]) -> None:
    """Run until interrupted."""
    simulator = ToledoSimulator()
    await present(
        "toledo",
        simulator.cable,
        lambda line: obey(simulator, line),
        arguments,
        listen="127.0.0.1:8217",
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
