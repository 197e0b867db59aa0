"""Pictures → ESC/POS: a logo, a QR code or letters that the printer itself does not have. Pure.

A printer obeys `DLE EOT`, `DLE ENQ` and `DLE DC4` even in the middle of a picture, so no picture
may hold their bytes: one dot more is less harm than a drawer that opens.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from hw.errors import DeviceMisconfigured
from hw.paper import Raster, Text, qr_matrix, typeface, written

if TYPE_CHECKING:  # only for a picture; see `hw.paper`
    from PIL.Image import Image

BAND = 255
"""Rows in one command; the highest that every model takes."""

MAX_LOGO_BYTES = 512 * 1024
MAX_LOGO_ROWS = 600
"""Dots; some 75 mm of paper."""

_SQUARE = 6
"""Dots of a QR code's smallest square."""

_DLE, _REAL_TIME = 0x10, (0x04, 0x05, 0x14)


def command(picture: Raster) -> bytes:
    """`GS v 0` for a picture, in bands."""
    wide, out = picture.width // 8, bytearray()
    dots = _harmless(picture.dots)
    for top in range(0, picture.height, BAND):
        rows = dots[top * wide : (top + BAND) * wide]
        out += b"\x1dv0\x00" + wide.to_bytes(2, "little")
        out += (len(rows) // wide).to_bytes(2, "little") + rows
    return bytes(out)


def can_write(cell: int) -> bool:
    """Whether this machine has a font to draw letters with."""
    try:
        typeface(cell)
    except (OSError, ImportError):
        return False
    return True


def letters(lines: list[Text], width: int, cell: int) -> Raster:
    """Lines of text, drawn: `width` dots wide, `cell` for a character of normal size."""
    from PIL import Image  # noqa: PLC0415 - as above

    pieces = [written(line, width, cell=cell, leading=round(cell * 2.4)) for line in lines]
    whole = Image.new("L", (width, sum(piece.height for piece in pieces)), 255)
    top = 0
    for piece in pieces:
        whole.paste(piece, (0, top))
        top += piece.height
    return _black(whole)


def qr(data: str) -> Raster:
    """A QR code."""
    from PIL import Image  # noqa: PLC0415 - as above

    matrix = qr_matrix(data)
    small = Image.new("L", (len(matrix), len(matrix)), 255)
    small.putdata([0 if dark else 255 for row in matrix for dark in row])
    side = _SQUARE * len(matrix)
    return _black(small.resize((side, side), Image.Resampling.NEAREST))


def logo(file: Path, width: int) -> Raster:
    """The shop's logo, made black and white and no wider than the paper.

    Args:
        file: A picture.
        width: Dots of the paper.

    Raises:
        DeviceMisconfigured: It cannot be read, or is no picture that fits on paper.
    """
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - as above

    wrong = DeviceMisconfigured(
        f"Logo {file}: expected a picture (PNG or JPEG) of at most {MAX_LOGO_BYTES // 1024} KB and "
        f"{MAX_LOGO_ROWS} dots high on paper {width} dots wide.",
        cure="Give another file, or leave the option logo out.",
    )
    try:
        if file.stat().st_size > MAX_LOGO_BYTES:
            raise wrong
        with Image.open(file, formats=("PNG", "JPEG")) as opened:
            # A file of a few bytes can claim to be as large as a field.
            if opened.width * opened.height > 16_000_000:
                raise wrong
            seen = opened.convert("RGBA")
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
        raise wrong from error
    paper = Image.new("RGBA", seen.size, "white")
    paper.alpha_composite(seen)
    grey = paper.convert("L")
    if grey.width > width:
        grey = grey.resize((width, max(1, round(grey.height * width / grey.width))))
    if grey.height > MAX_LOGO_ROWS:
        raise wrong
    return _black(grey)


def _black(grey: "Image") -> Raster:
    """Dots from greys, the width rounded up to whole bytes with white."""
    from PIL import Image, ImageOps  # noqa: PLC0415 - as above

    wide = Image.new("L", (-(-grey.width // 8) * 8, grey.height), 255)
    wide.paste(grey, (0, 0))
    dots = ImageOps.invert(wide).point(lambda level: 255 * (level > 127)).convert("1")
    return Raster(wide.width, dots.tobytes())


def _harmless(dots: bytes) -> bytes:
    out = bytearray(dots)
    for place in range(len(out) - 1):
        if out[place] == _DLE and out[place + 1] in _REAL_TIME:
            out[place] |= 0x08
    return bytes(out)
