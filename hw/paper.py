"""The paper of the simulated printers: text, codes and pictures in columns, also as PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:  # it comes with python-escpos and is slow to load
    from PIL import Image, ImageFont

WIDTH = 40
"""Characters of a line on 57 mm paper."""

_FONTS = (
    "DejaVuSansMono{}.ttf",
    "LiberationMono{}.ttf",
    "NotoSansMono{}.ttf",
)
"""The first one that the system has; the imaging library's own lacks Polish letters."""

CELL, LEADING = 12, 26
"""Dots: of a character's place, of a line."""

_MARGIN = 16
_MODULE, _BAR = 5, 2
"""Dots: of a QR code's smallest square, of a bar code's thinnest bar."""


@dataclass(frozen=True, slots=True)
class Text:
    """A line that is not plain."""

    text: str
    bold: bool = False
    double: bool = False
    align: int = 0
    """0 left, 1 centre, 2 right."""


@dataclass(frozen=True, slots=True)
class Qr:
    """A QR code on paper."""

    data: str


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar code on paper."""

    data: str
    symbology: str
    """As the drawing library calls it: ``ean13``, ``ean8``, ``code128``."""


@dataclass(frozen=True, slots=True)
class Raster:
    """A picture on paper, dot by dot."""

    width: int
    """Dots; a multiple of eight."""

    dots: bytes
    """Row by row from the top, eight to a byte, the leftmost highest; 1 is black."""

    @property
    def height(self) -> int:
        """Rows."""
        return 8 * len(self.dots) // self.width if self.width else 0


Mark: TypeAlias = str | Text | Qr | Bars | Raster


def centred(text: str) -> str:
    """In the middle of the line, cut to it."""
    return text[:WIDTH].center(WIDTH).rstrip()


def pair(left: str, right: str) -> str:
    """Left and right of one line; the left is cut, the right never."""
    return left[: WIDTH - len(right) - 1].ljust(WIDTH - len(right)) + right


def draw(marks: Sequence[Mark], file: Path, *, columns: int = WIDTH) -> None:
    """Draw the paper as a PNG.

    Raises:
        OSError: The system has none of the fonts.
    """
    from PIL import Image  # noqa: PLC0415 - see above

    pieces = [_piece(mark, columns * CELL) for mark in marks]
    picture = Image.new(
        "L", (columns * CELL + 2 * _MARGIN, sum(p.height for p in pieces) + 2 * _MARGIN), 255
    )
    top = _MARGIN
    for piece in pieces:
        picture.paste(piece, (_MARGIN + (columns * CELL - piece.width) // 2, top))
        top += piece.height
    picture.save(file)


def written(line: Text, width: int, *, cell: int = CELL, leading: int = LEADING) -> "Image.Image":
    """One line of text as a picture of grey dots, as wide as the paper.

    Args:
        line: What is written.
        width: Dots of the paper.
        cell: Dots of a character of normal size.
        leading: Dots from one line to the next.

    Raises:
        OSError: The system has none of the fonts.
    """
    from PIL import Image, ImageDraw  # noqa: PLC0415 - see above

    size = 1 + line.double
    cell, height = cell * size, leading * size
    picture = Image.new("L", (width, height), 255)
    pen = ImageDraw.Draw(picture)
    left = (0, (width - cell * len(line.text)) // 2, width - cell * len(line.text))[line.align]
    font = typeface(cell, bold=line.bold)
    for column, char in enumerate(line.text):
        pen.text((left + column * cell, 0), char, font=font, fill=0)
    return picture


def qr_matrix(data: str) -> list[list[bool]]:
    """The squares of a QR code, without its margin."""
    from qrcode.main import QRCode  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

    code = QRCode(border=0)
    code.add_data(data)
    code.make(fit=True)
    matrix: list[list[bool]] = code.get_matrix()
    return matrix


@lru_cache
def typeface(cell: int, *, bold: bool = False) -> "ImageFont.FreeTypeFont":
    """A font with Polish letters, each as wide as `cell`.

    Raises:
        OSError: The system has none.
    """
    from PIL import ImageFont  # noqa: PLC0415 - see above

    size = round(cell / 0.602)  # the width of these fonts' letters, in parts of their height
    for name in _FONTS:
        for weight in ("-Bold", "") if bold else ("", "-Regular"):
            try:
                return ImageFont.truetype(name.format(weight), size)
            except OSError:
                continue
    names = ", ".join(name.format("") for name in _FONTS)
    raise OSError(f"None of these fonts is installed: {names}")


def _piece(mark: Mark, width: int) -> "Image.Image":
    from PIL import Image, ImageOps  # noqa: PLC0415 - see above

    match mark:
        case str():
            return written(Text(mark), width)
        case Text():
            return written(mark, width)
        case Qr(data=data):
            return _squares(qr_matrix(data), _MODULE, _MODULE)
        case Bars(data=data, symbology=symbology):
            return _bars(data, symbology, width)
        case Raster(dots=dots):
            return ImageOps.invert(
                Image.frombytes("1", (mark.width, mark.height), dots).convert("L")
            )


def _squares(rows: Sequence[Sequence[Any]], wide: int, high: int) -> "Image.Image":
    """Black where it is true; the room of a line stays below."""
    from PIL import Image, ImageDraw  # noqa: PLC0415 - see above

    picture = Image.new("L", (wide * len(rows[0]), high * len(rows) + LEADING), 255)
    pen: ImageDraw.ImageDraw = ImageDraw.Draw(picture)
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            if dark:
                left, top = wide * x, high * y
                pen.rectangle((left, top, left + wide - 1, top + high - 1), fill=0)
    return picture


def _bars(data: str, symbology: str, width: int) -> "Image.Image":
    """The bars, and what they say below them."""
    import barcode  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

    code = barcode.get(symbology, data)
    [modules] = code.build()
    picture = _squares([[module == "1" for module in modules]], _BAR, 64)
    picture.paste(
        written(Text(str(code), align=1), width).crop(_middle(width, picture.width)), (0, 64)
    )
    return picture


def _middle(width: int, part: int) -> tuple[int, int, int, int]:
    left = (width - part) // 2
    return left, 0, left + part, LEADING
