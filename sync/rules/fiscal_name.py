r"""The name of an article as a Polish fiscal printer takes it.

A fiscal printer remembers which name it sold at which rate, and refuses the name at
another rate (POSNET errors 2105 and 2106). What it compares is not what was typed: the
name cut to its width, case aside, and of what is no letter or digit only ``. , % / \``.
So two articles may share a name only if they share a VAT code; head office sees to it
when it takes a catalogue in, and every store prints what was checked.
"""

import unicodedata

WIDTH = 40
"""Characters of a name, unless a narrower printer is to be served."""

NARROWEST = 10

_POLISH = frozenset("ĄĆĘŁŃÓŚŹŻ")
_COUNTS = frozenset(".,%/\\")


class _Paper(dict[int, str]):
    """What stands on paper for a character; each is worked out once."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if char.isascii() or char in _POLISH:
            made = char if char.isprintable() else " "
        elif char.isspace():
            made = " "
        else:
            bare = unicodedata.normalize("NFKD", char).upper()
            made = "".join(part for part in bare if part.isascii() and part.isprintable())
        self[code] = made
        return made


class _Key(dict[int, str]):
    """What a printer compares of a character on paper."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = made = char if char.isalnum() or char in _COUNTS else ""
        return made


_PAPER, _KEY = _Paper(), _Key()


def printed(name: str, width: int = WIDTH) -> str:
    """Return a name as it stands on paper: upper case, Polish letters, single blanks, cut.

    Letters that a Polish code page lacks lose their accents; what even then is not there
    is left out.
    """
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    return " ".join(name.upper().translate(_PAPER).split())[:width].rstrip()


def compared(name: str, width: int = WIDTH) -> str:
    """Return what of a name the printer compares: two names of one value are one to it."""
    return printed(name, width).translate(_KEY)
