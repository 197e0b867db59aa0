"""MT-SICS: bytes to readings and back. Pure.

SI CR LF            asks for the weight there is now; S would wait until it is at rest
S S      1.234 kg   at rest (some answer SI S …)
S D      1.234 kg   still moving
S I                 it cannot weigh now
S +    S -          over, under its range
I4 CR LF            asks for the serial number: I4 A "123"
ES  ET  EL          the command was not understood, was damaged, cannot be carried out
"""

import re

from hw.weight import Reading, State, grams

CRLF = b"\r\n"
WEIGH = b"SI" + CRLF
WHO = b"I4" + CRLF
MAX_LINE = 96

_WEIGHT = re.compile(r"SI? ([SD]) +(-?)([0-9]+\.?[0-9]*) +(kg|g) *\Z")
_NO_WEIGHT = re.compile(r"SI? ([I+-])\Z")
_NOT_UNDERSTOOD = re.compile(r"E[STL]\Z")
_SERIAL = re.compile(r'I4 (?:A "([^"]{1,40})"|[IL])\Z')
_STATES: dict[str, State] = {"I": "busy", "+": "over", "-": "under"}


class Lines:
    """Collects bytes to lines; one that is too long is noise."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> list[str]:
        """Take bytes; the lines they complete, in order."""
        lines = []
        for byte in data:
            if byte not in CRLF:
                self._line.append(byte)
                if len(self._line) > MAX_LINE:
                    self._too_long = True
                    self._line.clear()
                continue
            if self._line and not self._too_long:
                lines.append(self._line.decode("ascii", "replace"))
            self._line.clear()
            self._too_long = False
        return lines


class Weights:
    """Of all that a scale says, the answers to `WEIGH`."""

    def __init__(self) -> None:
        self._lines = Lines()

    def feed(self, data: bytes) -> list[Reading]:
        """Take bytes; the answers they complete, in order."""
        told = map(reading, self._lines.feed(data))
        return [one for one in told if one is not None]


class Serials:
    """Of all that a scale says, the answers to `WHO`."""

    def __init__(self) -> None:
        self._lines = Lines()

    def feed(self, data: bytes) -> list[str]:
        """Take bytes; serial numbers, empty where the scale tells none."""
        told = []
        for line in self._lines.feed(data):
            found = _SERIAL.search(line)
            if found is not None:
                told.append((found[1] or "").strip())
            elif _NOT_UNDERSTOOD.search(line):
                told.append("")
        return told


def reading(line: str) -> Reading | None:
    """Read one line; None when it answers something else (a scale says I4 when switched on)."""
    if (found := _WEIGHT.search(line)) is not None:
        stability, sign, digits, unit = found.groups()
        weight = grams(digits, unit)
        if weight is None:
            return Reading("garbled")
        if stability == "D":
            return Reading("unstable")
        return Reading("under") if sign and weight else Reading("stable", weight)
    if (found := _NO_WEIGHT.search(line)) is not None:
        return Reading(_STATES[found[1]])
    return None if _SERIAL.search(line) else Reading("garbled")


def answer(told: Reading) -> bytes:
    """Return what a scale sends, for the simulator."""
    weight = f"{f'{told.grams // 1000}.{told.grams % 1000:03}':>10} kg"
    states = {
        "stable": f"S S {weight}",
        "unstable": f"S D {weight}",
        "busy": "S I",
        "over": "S +",
        "under": "S -",
        "garbled": "ES",
    }
    return states[told.state].encode("ascii") + CRLF
