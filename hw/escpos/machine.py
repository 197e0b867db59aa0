"""The printer behind the simulator: ESC/POS bytes in, receipts and answers out. Pure.

It obeys the commands byte for byte: real-time ones (`DLE …`) the moment they arrive,
even in the middle of other data, as real printers do; the rest in order, and only while
it has paper and its cover is closed. Commands it does not know are counted, not guessed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hw.paper import Bars, Mark, Qr, Raster, Text

CODE_PAGES = {0: "cp437", 2: "cp850", 16: "cp1252", 18: "cp852"}

SYMBOLOGIES = {2: "ean13", 3: "ean8", 67: "ean13", 68: "ean8", 73: "code128"}
"""Of `GS k m`, those that can be drawn."""

_FIXED = {
    **dict.fromkeys((b"\x1b@", b"\x1b2", b"\x1c.", b"\x1c&"), 2),
    **dict.fromkeys((b"\x1b" + bytes((c,)) for c in b"!E-aMG{R3Jdt"), 3),
    **dict.fromkeys((b"\x1d" + bytes((c,)) for c in b"!BhwfHrab"), 3),
    b"\x1bp": 5,
}
"""Commands of fixed length, and that length."""


def needed(data: bytes) -> int:
    """Bytes of the command at the front of `data`, as far as `data` can tell.

    When it is more than there are, wait for that many and ask again.
    """
    if data[0] == 0x10:
        return 3
    if data[0] not in {0x1B, 0x1C, 0x1D}:
        return 1
    command = data[:2]
    if command in _FIXED or command not in _VARIABLE:
        return _FIXED.get(command, 2)
    return _VARIABLE[command](data)


def _cut_length(data: bytes) -> int:
    return 4 if data[2:3] in {b"A", b"B"} else 3


def _barcode_length(data: bytes) -> int:
    if len(data) < 4:
        return 4
    if data[2] >= 65:
        return 4 + data[3]
    return (data.find(b"\x00", 3) + 1) or len(data) + 1


def _extended_length(data: bytes) -> int:
    return 5 if len(data) < 5 else 5 + data[3] + 256 * data[4]


def _raster_length(data: bytes) -> int:
    if len(data) < 8:
        return 8
    return 8 + (data[4] + 256 * data[5]) * (data[6] + 256 * data[7])


_VARIABLE: dict[bytes, Callable[[bytes], int]] = {
    b"\x1dV": _cut_length,
    b"\x1dk": _barcode_length,
    b"\x1d(": _extended_length,
    b"\x1dv": _raster_length,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line."""

    text: str
    bold: bool = False
    double: bool = False
    align: int = 0
    """0 left, 1 centre, 2 right."""

    mark: Mark | None = None
    """What it is, when it is no text."""

    @property
    def drawn(self) -> Mark:
        """How it looks."""
        return self.mark or Text(self.text, self.bold, self.double, self.align)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What lay on the paper when it was cut."""

    lines: tuple[Line, ...]
    job: str | None = None
    """Process id asked for right after the cut; None when none was."""

    @property
    def text(self) -> str:
        """Its lines, without the blank ones at both ends."""
        return "\n".join(line.text for line in self.lines).strip("\n")

    @property
    def paper(self) -> list[Mark]:
        """As it looks."""
        return [line.drawn for line in self.lines]


@dataclass(slots=True)
class Machine:
    """Paper, sensors and print head, shared by all who are connected."""

    columns: int = 48
    paper_out: bool = False
    paper_low: bool = False
    cover_open: bool = False
    lines_left: int | None = None
    """Paper runs out after so many more lines; None: it lasts."""

    receipts: list[Receipt] = field(default_factory=list)
    paper: list[Line] = field(default_factory=list)
    """Printed, not yet cut."""

    proves: bool = True
    """Echoes process ids (`GS ( H`); some models do not know them."""

    drawer_open: bool = False
    drawer_pulses: int = 0
    unknown: list[bytes] = field(default_factory=list)
    """Commands it did not know."""

    style: Line = field(default_factory=lambda: Line(""))
    encoding: str = "cp437"
    head: str = ""
    """Text of the line that is not printed yet."""

    @property
    def stopped(self) -> bool:
        """It keeps what it gets, and prints when somebody has helped it."""
        return self.paper_out or self.cover_open

    def status(self, n: int) -> int:
        """Answer to `DLE EOT n`."""
        low, end = 0x0C * self.paper_low, self.paper_out
        return 0x12 | {
            1: 0x08 * self.stopped | 0x04 * self.drawer_open,
            2: 0x04 * self.cover_open | 0x20 * end,
            3: 0,
            4: low | 0x6C * end,
        }.get(n, 0)

    def reset(self) -> None:
        """`ESC @`: forget modes and the unprinted line; the paper stays."""
        self.style, self.encoding, self.head = Line(""), "cp437", ""

    def write(self, text: str) -> None:
        """Put characters on the line, printing it when full."""
        width = self.columns // 2 if self.style.double else self.columns
        for char in text:
            if len(self.head) == width:
                self.feed()
            self.head += char

    def feed(self) -> None:
        """Print the line and move the paper."""
        self.paper.append(replace(self.style, text=self.head))
        self.head = ""
        self._moved()

    def _moved(self) -> None:
        if self.lines_left is not None:
            self.lines_left -= 1
            if self.lines_left <= 0:
                self.paper_out, self.lines_left = True, None

    def element(self, text: str, mark: Mark | None = None) -> None:
        """Print something that is not text on a line of its own."""
        if self.head:
            self.feed()
        self.paper.append(replace(self.style, text=text, mark=mark))
        self._moved()

    def cut(self) -> None:
        """Print what is left and cut."""
        if self.head:
            self.feed()
        self.receipts.append(Receipt(tuple(self.paper)))
        self.paper = []


class Interpreter:
    """One connection's bytes."""

    def __init__(self, machine: Machine, send: Callable[[bytes], None]) -> None:
        self._machine = machine
        self._send = send
        self._buffer = b""
        self._recent = b""
        """The last two bytes seen, for real-time commands split between pieces."""

        self._qr = b""
        self.just_cut = False
        """The command before this one was a cut."""

        self._commands: dict[bytes, Callable[[bytes], None]] = {
            b"\x1b@": lambda _: machine.reset(),
            b"\x1bt": self._code_page,
            b"\x1b!": self._mode,
            b"\x1bE": lambda on: self._style(bold=bool(on[0] & 1)),
            b"\x1ba": lambda where: self._style(align=where[0] % 48),
            b"\x1d!": lambda size: self._style(double=size[0] == 0x11),
            b"\x1bd": self._feed,
            b"\x1bp": self._pulse,
            b"\x1dV": lambda _: machine.cut(),
            b"\x1dr": self._paper,
            b"\x1d(": self._extended,
            b"\x1dk": self._barcode,
            b"\x1dv": self._raster,
        }

    def feed(self, data: bytes) -> None:
        """Take bytes: answer real-time commands now, do the rest in order."""
        for byte in data:
            if self._recent == b"\x10\x04" and 1 <= byte <= 4:
                self._send(bytes((self._machine.status(byte),)))
            self._recent = self._recent[-1:] + bytes((byte,))
        self._buffer += data
        self.work()

    def work(self) -> None:
        """Do what has arrived, unless the printer is stopped."""
        while self._buffer and not self._machine.stopped:
            length = needed(self._buffer)
            if length > len(self._buffer):
                return
            command, self._buffer = self._buffer[:length], self._buffer[length:]
            self._obey(command)
            self.just_cut = command[:2] == b"\x1dV"

    def _obey(self, command: bytes) -> None:
        known = self._commands.get(command[:2])
        if known is not None:
            known(command[2:])
        elif command == b"\n":
            self._machine.feed()
        elif len(command) == 1 and command[0] >= 0x20:
            self._machine.write(command.decode(self._machine.encoding, "replace"))
        elif command[0] != 0x10 and command not in {b"\r", b"\x00"} and command[:2] not in _FIXED:
            self._machine.unknown.append(command)

    def _code_page(self, page: bytes) -> None:
        self._machine.encoding = CODE_PAGES.get(page[0], "ascii")

    def _mode(self, mode: bytes) -> None:
        self._style(bold=bool(mode[0] & 0x08), double=mode[0] & 0x30 == 0x30)

    def _style(self, **changes: Any) -> None:
        self._machine.style = replace(self._machine.style, **changes)

    def _feed(self, lines: bytes) -> None:
        for _ in range(lines[0]):
            self._machine.feed()

    def _pulse(self, _: bytes) -> None:
        self._machine.drawer_pulses += 1
        self._machine.drawer_open = True

    def _paper(self, n: bytes) -> None:
        machine = self._machine
        self._send(bytes((machine.drawer_open if n[0] % 48 == 2 else 0x03 * machine.paper_low,)))

    def _barcode(self, rest: bytes) -> None:
        data = (rest[2:] if rest[0] >= 65 else rest[1:-1]).decode("ascii", "replace")
        shown = data.removeprefix("{B").replace("{{", "{")
        symbology = SYMBOLOGIES.get(rest[0])
        self._machine.element(f"[barcode {data}]", Bars(shown, symbology) if symbology else None)

    def _raster(self, rest: bytes) -> None:
        picture = Raster(8 * (rest[2] + 256 * rest[3]), rest[6:])
        self._machine.element(f"[image {picture.width}x{picture.height}]", picture)

    def _extended(self, rest: bytes) -> None:
        """`GS ( …`: process id, QR code, graphics."""
        kind, data = rest[:1], rest[3:]
        if kind == b"H" and data[:2] == b"00" and len(data) == 6:
            self._process_id(data[2:])
        elif kind == b"k" and data[:2] == b"1P":
            self._qr = data[3:]
        elif kind == b"k" and data[:2] == b"1Q":
            code = Qr(self._qr.decode("utf-8", "replace"))
            self._machine.element(f"[qr {code.data}]", code)
        elif kind == b"L" and data[:2] == b"02":
            self._machine.element("[image]")
        elif kind not in {b"k", b"L"}:
            self._machine.unknown.append(b"\x1d(" + rest)

    def _process_id(self, identity: bytes) -> None:
        receipts = self._machine.receipts
        if self.just_cut and receipts:
            receipts[-1] = replace(receipts[-1], job=identity.decode("ascii", "replace"))
        if self._machine.proves:
            self._send(b"\x37\x22" + identity + b"\x00")
