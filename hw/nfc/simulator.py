"""A card in the field of a reader, over UDP: a Type 2 tag (NTAG, MIFARE Ultralight).

    python -m hw.nfc.simulator --listen 127.0.0.1:54321

prints its address; a reader at `udp:127.0.0.1:54321` looks for cards there. Typed lines put one
on it and take it off: `card UID [TEXT]` (hexadecimal, four or seven bytes), `leave`, `leave after
N` (in the Nth exchange from now), `mute on | off` (it is there and says nothing), `noise on | off`
(damaged bytes in each answer).
"""

import argparse
import asyncio
import sys
from binascii import Error, unhexlify
from functools import reduce
from operator import xor

from hw.console import serve
from hw.nfc.codec import message_of

PAGES = 64
_READ = 0x30


class Tag:
    """The card itself. Pure: what it hears → what it says."""

    def __init__(self, uid: bytes, text: str | None = None) -> None:
        """Write it.

        Raises:
            ValueError: Its number has another length, or the text does not fit.
        """
        if len(uid) not in {4, 7}:
            raise ValueError(f"card {uid.hex()}: expected four or seven bytes")
        self.uid = uid
        written = b"\x03\x00\xfe" if text is None else _tlv(message_of(text))
        head = (uid + bytes(7))[:7]
        self._memory = (
            head[:3] + b"\x00" + head[3:] + b"\x00\x48\x00\x00" + b"\xe1\x10\x1d\x00"
        ) + written
        if len(self._memory) > 4 * PAGES:
            raise ValueError(f"card {uid.hex()}: expected a text of at most some 220 bytes")
        self._memory = self._memory.ljust(4 * PAGES, b"\x00")
        self._asleep = self._selected = False

    def answer(self, heard: bytes) -> bytes | None:
        """What it says; None: nothing. What it does not know silences it until it is sensed."""
        levels = self._levels()
        if heard in {b"\x26", b"\x52"}:
            self._asleep = self._selected = False
            return b"\x44\x00" if len(levels) == 2 else b"\x04\x00"
        if self._asleep:
            return None
        for number, part in enumerate(levels):
            select = bytes((0x93 + 2 * number,))
            if heard == select + b"\x20":
                return part
            if heard == select + b"\x70" + part:
                self._selected = number + 1 == len(levels)
                return b"\x00" if self._selected else b"\x04"
        if self._selected and len(heard) == 2 and heard[0] == _READ and heard[1] < PAGES:
            return (self._memory * 2)[4 * heard[1] :][:16]
        self._asleep = True
        return None

    def _levels(self) -> list[bytes]:
        parts = [self.uid] if len(self.uid) == 4 else [b"\x88" + self.uid[:3], self.uid[3:]]
        return [part + bytes((reduce(xor, part),)) for part in parts]


class NfcSimulator(asyncio.DatagramProtocol):
    """The field of one reader, with a card in it or none."""

    def __init__(self) -> None:
        self.tag: Tag | None = None
        self.leave_after: int | None = None
        self.mute = False
        self.noise = False
        self._transport: asyncio.DatagramTransport | None = None

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Switch on; the address, with the port chosen if it was 0."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(host, port)
        )
        name = self._transport.get_extra_info("sockname")
        return name[0], name[1]

    async def close(self) -> None:
        """Switch off."""
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A reader asks: `106A 26`, technology and bytes."""
        technology, _, told = data.partition(b" ")
        try:
            heard = unhexlify(told)
        except Error:
            return
        if self.tag is None or self._transport is None or technology != b"106A":
            return
        if self.leave_after is not None:
            self.leave_after -= 1
            if self.leave_after < 0:
                self.tag = self.leave_after = None
                return
        answer = self.tag.answer(heard)
        if answer is not None and not self.mute:
            if self.noise:
                answer = bytes(byte ^ 0xFF for byte in answer)
            self._transport.sendto(b"106A " + answer.hex().encode(), addr)


def _tlv(message: bytes) -> bytes:
    size = len(message)
    head = bytes((size,)) if size < 255 else b"\xff" + size.to_bytes(2, "big")
    return b"\x03" + head + message + b"\xfe"


def obey(simulator: NfcSimulator, line: str) -> None:
    """Do what one line of the console says.

    Raises:
        ValueError: It says nothing we know.
    """
    match line.split(maxsplit=2):
        case ["card", uid]:
            simulator.tag = Tag(unhexlify(uid))
        case ["card", uid, text]:
            simulator.tag = Tag(unhexlify(uid), text)
        case ["leave"]:
            simulator.tag = None
        case ["leave", "after", count]:
            simulator.leave_after = int(count)
        case [("mute" | "noise") as name, ("on" | "off") as switch]:
            setattr(simulator, name, switch == "on")
        case _:
            raise ValueError(f"unknown: {line!r}; see the head of hw/nfc/simulator.py")


async def main(arguments: list[str]) -> None:
    """Run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m hw.nfc.simulator")
    parser.add_argument("--listen", default="127.0.0.1:54321", metavar="HOST:PORT")
    options = parser.parse_args(arguments)
    host, _, port = options.listen.rpartition(":")
    simulator = NfcSimulator()
    try:
        address = await simulator.listen(host, int(port))
        await serve(address, lambda line: obey(simulator, line))
    finally:
        await simulator.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
