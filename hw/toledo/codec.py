r"""Toledo 8217: bytes to readings and back. Pure.

    W                             asks for the weight
    STX digits [N] CR             at rest, as ``\x0200.735\r``; N: net
    STX ? status CR               no weight, and why

Status, by bit: 0 in motion, 1 over capacity, 2 under zero, 3 outside the range in which it sets
itself to zero, 4 centre of zero, 5 net, 6 command not understood (some scales always set it, to
keep the byte printable) [M]. Digits without a point are refused: the point must not be guessed.
"""

import re

from hw.weight import Reading, grams

STX, CR = b"\x02", b"\r"
WEIGH = b"W"
MAX_FRAME = 32
"""Bytes between STX and CR; more is noise."""

MOTION, OVER, UNDER, NO_ZERO, ZERO, NET, BAD = (1 << bit for bit in range(7))

_WEIGHT = re.compile(rb"\s*([0-9]+\.[0-9]+)N?")
_STATUS = re.compile(rb"\s*\?([\x00-\x7f])", re.DOTALL)


class FrameParser:
    """Collects bytes to answers."""

    def __init__(self, unit: str = "kg") -> None:
        """Begin.

        Args:
            unit: ``kg`` or ``g``: what the digits count; the protocol does not tell.
        """
        self._unit = unit
        self._frame: bytearray | None = None
        """What came since STX; None: nothing has begun."""

    def feed(self, data: bytes) -> list[Reading]:
        """Take bytes; the answers they complete, in order."""
        readings = []
        for byte in data:
            if byte == STX[0] and not self._in_status:
                self._frame = bytearray()
            elif self._frame is None:
                continue
            elif byte == CR[0] and not self._in_status:
                readings.append(self._read(bytes(self._frame)))
                self._frame = None
            elif len(self._frame) >= MAX_FRAME:
                self._frame = None
            else:
                self._frame.append(byte)
        return readings

    @property
    def _in_status(self) -> bool:
        """Whether the next byte is a status, which may look like STX or CR."""
        return self._frame is not None and self._frame.endswith(b"?")

    def _read(self, body: bytes) -> Reading:
        if (weight := _WEIGHT.fullmatch(body)) is not None:
            told = grams(weight[1].decode("ascii"), self._unit)
            return Reading("garbled") if told is None else Reading("stable", told)
        if (status := _STATUS.fullmatch(body)) is None:
            return Reading("garbled")
        bits = status[1][0]
        if bits & OVER:
            return Reading("over")
        if bits & UNDER:
            return Reading("under")
        if bits & MOTION:
            return Reading("unstable")
        return Reading("busy")


def answer(reading: Reading, unit: str = "kg") -> bytes:
    """Return what a scale sends, for the simulator."""
    bits = {"unstable": MOTION, "over": OVER, "under": UNDER, "busy": NO_ZERO, "garbled": BAD}
    if reading.state == "stable":
        digits = f"{reading.grams:05}"
        text = f"{digits[:-3]}.{digits[-3:]}" if unit == "kg" else f"{digits}.0"
        return STX + text.encode("ascii") + CR
    return STX + b"?" + bytes((bits[reading.state] | 0x40,)) + CR
