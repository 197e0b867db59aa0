"""The paper of the simulated fiscal printers: 40 columns of text and QR codes, also as PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

WIDTH = 40
"""Characters of a line on 57 mm paper."""

_FONTS = (
    "DejaVuSansMono.ttf",
    "LiberationMono-Regular.ttf",
    "NotoSansMono-Regular.ttf",
)
"""The first one that the system has; the imaging library's own lacks Polish letters."""

_SIZE, _CELL, _LEADING, _MARGIN = 20, 12, 26, 16
"""Pixels: of the font, of a character's place, of a line, at the edges."""


@dataclass(frozen=True, slots=True)
class Qr:
    """A QR code on paper."""

    data: str


Mark: TypeAlias = str | Qr


def centred(text: str) -> str:
    """In the middle of the line, cut to it."""
    return text[:WIDTH].center(WIDTH).rstrip()


def pair(left: str, right: str) -> str:
    """Left and right of one line; the left is cut, the right never."""
    return left[: WIDTH - len(right) - 1].ljust(WIDTH - len(right)) + right


def draw(marks: Sequence[Mark], file: Path) -> None:
    """Draw the paper as a PNG.

    Raises:
        OSError: The system has none of the fonts.
    """
    # The imaging library comes with python-escpos and is slow to load.
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415

    font = next(filter(None, map(_font, _FONTS)), None)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise OSError(f"None of these fonts is installed: {', '.join(_FONTS)}")
    codes = {mark: _matrix(mark.data) for mark in marks if isinstance(mark, Qr)}
    heights = [_LEADING if isinstance(m, str) else 5 * len(codes[m]) + _LEADING for m in marks]
    width = WIDTH * _CELL + 2 * _MARGIN
    picture = Image.new("L", (width, sum(heights) + 2 * _MARGIN), 255)
    pen = ImageDraw.Draw(picture)
    top = _MARGIN
    for mark, height in zip(marks, heights, strict=True):
        if isinstance(mark, str):
            for column, char in enumerate(mark):
                pen.text((_MARGIN + column * _CELL, top), char, font=font, fill=0)
        else:
            side = 5 * len(codes[mark])
            for y, row in enumerate(codes[mark]):
                for x, dark in enumerate(row):
                    if dark:
                        left = (width - side) // 2 + 5 * x
                        pen.rectangle((left, top + 5 * y, left + 4, top + 5 * y + 4), fill=0)
        top += height
    picture.save(file)


def _font(name: str) -> object | None:
    from PIL import ImageFont  # noqa: PLC0415 - as above

    try:
        return ImageFont.truetype(name, _SIZE)
    except OSError:
        return None


def _matrix(data: str) -> list[list[bool]]:
    from qrcode.main import QRCode  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

    code = QRCode(border=0)
    code.add_data(data)
    code.make(fit=True)
    matrix: list[list[bool]] = code.get_matrix()
    return matrix
