"""An ECR-EFT payment terminal on a real socket, or on a pty.

    python -m hw.ecreft.simulator --listen 127.0.0.1:5002

prints the address it listens on. Accidents are switched by lines on standard input: those of
the line (`hw.simulated_line`; orders are `S1`, `C`, `T1`, `P1`), and `decline CODE | off`,
`host online | offline`, `cashback on | off`, `busy on | off`, `customer waits | pays |
leaves`, `means NAME`.

It puts the card's number where a careless terminal might: into the token, the message, and a
field that no version has.
"""

import asyncio
import sys

from hw.acquirer import CARD, Acquirer, Transaction
from hw.ecreft.codec import ACK, NAK, FrameParser, Message, encode
from hw.simulated_line import Cable, Line, present

ABORTED, OFFLINE, BUSY, NOT_KNOWN, UNSUPPORTED = "180", "110", "993", "404", "999"
"""Error numbers of S2. Of these the sources name only 993 and 999."""

SENDS = 3


class EcreftSimulator:
    """One terminal; its books outlive its lines."""

    def __init__(self, *, device: str = "EFT-0001") -> None:
        self.device = device
        self.books = Acquirer()
        self.cable = Cable(self._serve)
        self._work: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Switch off; the books stay."""
        for task in (tasks := list(self._work)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.cable.close()

    async def _serve(self, line: Line) -> None:
        parser = FrameParser()
        while data := await line.read():
            for event in parser.feed(data):
                if event == "bad":
                    line.write(NAK)
                elif event == "nak":
                    line.again(SENDS)
                elif isinstance(event, Message):
                    self._take(line, event)

    def _take(self, line: Line, message: Message) -> None:
        kind = "C" if message.type == "S1" and message.at(0) == "C" else message.type
        if line.dropped(kind):
            return
        line.write(ACK)
        if kind == "S1":
            # Beside the line: a payment goes on when the line falls.
            task = asyncio.create_task(self._pay(line, message), name="simulated payment")
            self._work.add(task)
            task.add_done_callback(self._work.discard)
        elif kind == "C":
            self._tell(line, message)
        elif kind == "P1":
            self.books.abort()
        elif kind == "T1":
            fields = ("170", "KARB", "SIMULATOR", self.device)
            line.answer("T1", encode(message.token, "T2", fields))

    async def _pay(self, line: Line, message: Message) -> None:
        token, name = message.token, message.at(2)
        if self.books.busy or self.books.at_work is not None:
            line.answer("S1", encode(token, "S2", (BUSY,)))
            return
        line.write(encode(token, "I1", ("20",)))
        await self.books.customer_is_done(name)
        line.write(encode(token, "I1", ("50",)))
        done = self.books.carry_out(
            name,
            "sale",
            int(message.at(3)),
            cashback_minor=int(message.at(7) or 0),
            currency=message.at(6),
        )
        line.answer("S1", encode(token, "S2", _end(done)))

    def _tell(self, line: Line, message: Message) -> None:
        """S1 of type C, read as a question about an earlier payment [M]."""
        token, name = message.token, message.at(2)
        done = self.books.find(name)
        if self.books.at_work == name:
            line.answer("C", encode(token, "I1", ("20",)))
        elif done is None:
            line.answer("C", encode(token, "S2", (NOT_KNOWN,)))
        else:
            line.answer("C", encode(token, "S2", _end(done)))


def _end(done: Transaction) -> tuple[str, ...]:
    """Fields of S2."""
    if done.result != "approved":
        error = {"aborted": ABORTED, "offline": OFFLINE}.get(done.reason, done.reason)
        return (error, "", "", "", "", "", "", "", f"KARTA {CARD}")
    return (
        "0",
        CARD.encode().hex(),
        "123456789",
        "POS00001",
        done.reference,
        str(done.amount_minor),
        str(done.cashback_minor),
        done.means,
        f"KARTA {CARD}",
        CARD,
    )


def obey(simulator: EcreftSimulator, line: str) -> None:
    """Do what one line of the console says.

    Raises:
        ValueError: It says nothing we know.
    """
    words = line.split()
    if not (simulator.cable.obey(words) or simulator.books.obey(words)):
        raise ValueError(f"unknown: {line!r}; see the head of hw/ecreft/simulator.py")


async def main(arguments: list[str]) -> None:
    """Run until interrupted."""
    simulator = EcreftSimulator()
    await present(
        "ecreft",
        simulator.cable,
        lambda line: obey(simulator, line),
        arguments,
        listen="127.0.0.1:5002",
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
