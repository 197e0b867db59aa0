r"""What a customer display is told, and the bytes for it. Pure.

    ESC @          begin anew               US \x01     overwrite, never scroll
    ESC t n        code table n             US C 0      no cursor
    US $ x y       cursor to column x, line y, both from 1

Each frame puts the cursor and writes whole lines, so that one that was spoilt is mended by the
next, and nothing flickers. A letter that the code table lacks is shown by what it is made of (ą as
a, € as EUR); one that is made of nothing is left out. Control characters are never sent.
"""

from hw.device import Row
from hw.layout import printable

ESC, US = b"\x1b", b"\x1f"
LINES = 2

CODE_PAGES = {
    "ascii": (0, "ascii"),
    "cp437": (0, "cp437"),
    "cp850": (2, "cp850"),
    "cp852": (18, "cp852"),
    "cp1252": (16, "cp1252"),
}
"""Name to the number of its table [M] and Python's name of it. Every display has the first."""


def begin(number: int) -> bytes:
    """Return what a display is told first.

    Args:
        number: Of its code table.
    """
    return ESC + b"@" + ESC + b"t" + bytes((number,)) + US + b"\x01" + US + b"C\x00"


def frame(rows: tuple[Row, Row], columns: int, encoding: str) -> bytes:
    """Return what shows two rows in place of what was there."""
    return b"".join(
        US + b"$" + bytes((1, line)) + fitted(row, columns, encoding).encode(encoding)
        for line, row in enumerate(rows, start=1)
    )


def fitted(row: Row, columns: int, encoding: str) -> str:
    """Return a row as a line: the right text whole and flush right, the left one cut to fit."""
    left, right = shown(row.left, encoding), shown(row.right, encoding)[:columns]
    room = columns - len(right) - bool(right)
    return left[: max(room, 0)].ljust(columns - len(right)) + right


def shown(text: str, encoding: str) -> str:
    """Return text in characters that the display has."""
    known = "".join(
        made for char in text if (made := printable(char, encoding)) != "?" or char == "?"
    )
    return " ".join(known.split())
