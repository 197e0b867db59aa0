"""Fit text to paper: which characters it can show, and where lines break.

Pure. Text is made printable first and fitted second, because a replacement may be
longer than what it replaces.
"""

import unicodedata
from textwrap import wrap

_REPLACEMENTS = str.maketrans(
    {
        "€": "EUR",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{MINUS SIGN}": "-",
        "…": "...",
        "„": '"',
        "”": '"',
        "“": '"',
        "«": '"',
        "»": '"',
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "ł": "l",
        "Ł": "L",
        "ß": "ss",
        "\N{MULTIPLICATION SIGN}": "x",
    }
)
"""Only consulted for characters the code page lacks."""


def printable(text: str, encoding: str) -> str:
    """Replace what `encoding` lacks, and everything a device could take for a command.

    The result holds only printable ASCII and printable characters of `encoding`.
    """
    return "".join(_shown(char, encoding) for char in unicodedata.normalize("NFC", text))


def fit_line(text: str, width: int) -> list[str]:
    """Break a paragraph at words (inside a word if it must) into lines of `width`."""
    return wrap(text, width) or [""]


def fit_columns(left: str, right: str, width: int) -> list[str]:
    """Left text wrapped, right text whole and flush right on the last line."""
    left, right = " ".join(left.split()), " ".join(right.split())
    if len(left) + 1 + len(right) <= width:
        return [left + right.rjust(width - len(left))]
    lines = wrap(left, width)
    tail = wrap(right, width)
    if lines and len(tail) == 1 and len(lines[-1]) + 1 + len(right) <= width:
        return [*lines[:-1], lines[-1] + right.rjust(width - len(lines[-1]))]
    return lines + [part.rjust(width) for part in tail]


def _shown(char: str, encoding: str) -> str:
    if char in "\t\n\r\v\f" or unicodedata.category(char).startswith("Z"):
        return " "
    if unicodedata.category(char).startswith("C"):
        return ""
    if char.isascii() or _has(encoding, char):
        return char
    replaced = char.translate(_REPLACEMENTS)
    if replaced == char:
        replaced = "".join(c for c in unicodedata.normalize("NFKD", char) if c.isascii())
    return replaced if replaced.isascii() and replaced.isprintable() and replaced else "?"


def _has(encoding: str, char: str) -> bool:
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
