r"""Keys of a scanner that pretends to be a keyboard → codes, and back. Pure.

The kernel's event is two longs of time, then type, code (16 bits each) and value (32): 24 bytes
on a 64-bit machine. Of all events only key presses count, and which modifiers are held then.

GS1's separator, which no keyboard has, comes as Ctrl and ], as F8, or as a number typed on the
keypad while Alt is held (Alt 0 2 9), according to how the scanner is programmed; it becomes
``\x1d``. Other characters typed by number are read as Windows does, for whom it is meant: with a
leading zero by code page 1250, without by 852.
"""

import struct
from collections.abc import Iterator

EVENT = struct.Struct("llHHi")
"""Seconds, microseconds, type, code, value; as long as the machine's own."""

EV_SYN, EV_KEY, EV_MSC = 0, 1, 4
SYN_DROPPED = 3
"""The kernel had no room: events are missing."""

TAB, ENTER, KEYPAD_ENTER, CAPS, F8 = 15, 28, 96, 58, 66
L_CTRL, R_CTRL, L_SHIFT, R_SHIFT, L_ALT, ALT_GR = 29, 97, 42, 54, 56, 100
SHIFTS, CTRLS = frozenset({L_SHIFT, R_SHIFT}), frozenset({L_CTRL, R_CTRL})
MODIFIERS = SHIFTS | CTRLS | {L_ALT, ALT_GR}
GS = "\x1d"

_ROWS = (
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (57, " ", " "),
    (86, "\\", "|"),
)
"""First key of a row, what its keys give, and with Shift."""

_KEYPAD = {
    **dict(zip((71, 72, 73, 75, 76, 77, 79, 80, 81, 82), "7894561230", strict=True)),
    **dict(zip((55, 74, 78, 83, 98), "*-+./", strict=True)),
}
_POLISH = dict(zip("acelnosxz", "ąćęłńóśźż", strict=True))

PLAIN = {first + n: char for first, keys, _ in _ROWS for n, char in enumerate(keys)} | _KEYPAD
SHIFTED = {first + n: char for first, _, keys in _ROWS for n, char in enumerate(keys)}

MAX_NUMBER = 5
"""Digits typed while Alt is held; more are no character."""


class KeyReader:
    """Collects key presses to codes."""

    def __init__(self, *, max_chars: int = 512) -> None:
        """Begin; a longer code is noise."""
        self.dropped = 0
        """Codes thrown away: too long, or broken off."""

        self._max = max_chars
        self._partial = b""
        self._typed: list[str] = []
        self._held: set[int] = set()
        self._caps = self._overrun = False
        self._number = ""

    def feed(self, data: bytes) -> list[str]:
        """Take bytes; the codes they complete, in order."""
        data = self._partial + data
        whole = len(data) - len(data) % EVENT.size
        self._partial = data[whole:]
        codes = []
        for _, _, kind, code, value in EVENT.iter_unpack(data[:whole]):
            if kind == EV_SYN and code == SYN_DROPPED:
                self._lose()
            elif kind == EV_KEY and value in {0, 1}:  # 2: the kernel repeats a key that is held
                done = self._pressed(code) if value else self._released(code)
                if done:
                    codes.append(done)
        return codes

    @property
    def pending(self) -> bool:
        """A code has begun and not ended."""
        return bool(self._typed or self._partial or self._overrun or self._number)

    def break_off(self) -> None:
        """Forget a code that never got its end, and keys that were never let go."""
        if self.pending:
            self.dropped += 1
        self._typed.clear()
        self._held.clear()
        self._partial, self._number = b"", ""
        self._caps = self._overrun = False

    def _lose(self) -> None:
        """Something is missing: what is being typed is no code any more."""
        self._typed.clear()
        self._held.clear()
        self._number = ""
        self._overrun = True

    def _pressed(self, key: int) -> str:
        """The code that a key ends; empty: none."""
        if key in MODIFIERS:
            self._held.add(key)
        elif key == CAPS:
            self._caps = not self._caps
        elif key in {ENTER, KEYPAD_ENTER, TAB}:
            return self._end()
        elif L_ALT in self._held and _KEYPAD.get(key, "").isdigit():
            self._number += _KEYPAD[key]
        else:
            self._add(self._char(key))
        return ""

    def _released(self, key: int) -> str:
        self._held.discard(key)
        if key == L_ALT and self._number:
            self._add(numbered(self._number))
            self._number = ""
        return ""

    def _char(self, key: int) -> str:
        if key == F8:
            return GS
        plain = PLAIN.get(key, "")
        if self._held & CTRLS:
            return GS if plain == "]" else ""
        if ALT_GR in self._held:
            plain = _POLISH.get(plain, "")
            shifted = plain.upper()
        else:
            shifted = SHIFTED.get(key, plain)
        caps = self._caps and plain.isalpha()
        return shifted if bool(self._held & SHIFTS) != caps else plain

    def _add(self, char: str) -> None:
        if len(self._typed) >= self._max:
            self._overrun = True
            self._typed.clear()
        elif char and not self._overrun:
            self._typed.append(char)

    def _end(self) -> str:
        """What was typed; the keys held stay held."""
        code, lost = "".join(self._typed), self._overrun
        self._typed.clear()
        self._number, self._overrun = "", False
        if lost:
            self.dropped += 1
            return ""
        return code


def numbered(digits: str) -> str:
    """Return the character typed by its number; empty when there is none."""
    number = int(digits) if len(digits) <= MAX_NUMBER else 256
    if number > 255:
        return ""
    if number == ord(GS):
        return GS
    char = bytes((number,)).decode("cp1250" if digits[0] == "0" else "cp852", "ignore")
    return char if char.isprintable() else ""


def typed(text: str, end: int = ENTER) -> bytes:
    """Return the events of a scanner that types a code, for the simulator.

    Raises:
        ValueError: There is no way to type one of its characters.
    """
    keys = [stroke for char in text for stroke in _strokes(char)]
    return b"".join(event(EV_KEY, *stroke) for stroke in (*keys, (end, 1), (end, 0)))


def event(kind: int, code: int, value: int) -> bytes:
    """Return an event as the kernel gives it, with the end of its group."""
    return EVENT.pack(0, 0, kind, code, value) + EVENT.pack(0, 0, EV_SYN, 0, 0)


def _strokes(char: str) -> Iterator[tuple[int, int]]:
    held, key = _way(char)
    yield from ((one, 1) for one in held)
    if key is not None:
        yield from ((key, 1), (key, 0))
    else:
        pad = {digit: code for code, digit in _KEYPAD.items()}
        for digit in f"0{char.encode('cp1250')[0]}":
            yield from ((pad[digit], 1), (pad[digit], 0))
    yield from ((one, 0) for one in reversed(held))


def _way(char: str) -> tuple[tuple[int, ...], int | None]:
    """Which keys to hold, and which to press; None: the number of the character."""
    keys = {plain: key for key, plain in reversed(PLAIN.items()) if key not in _KEYPAD}
    if char == GS:
        return (L_CTRL,), keys["]"]
    if char in keys:
        return (), keys[char]
    for key, shifted in SHIFTED.items():
        if shifted == char:
            return (L_SHIFT,), key
    for base, letter in _POLISH.items():
        if char in {letter, letter.upper()}:
            return ((ALT_GR,) if char == letter else (L_SHIFT, ALT_GR)), keys[base]
    try:
        char.encode("cp1250")
    except UnicodeEncodeError as error:
        raise ValueError(f"{char!r} cannot be typed") from error
    return (L_ALT,), None
