"""Slips → ESC/POS bytes, and the printer's answers → events. Pure.

python-escpos is the encoder; it is imported only when an `Encoder` is made, and without
what a slip of text never needs: an imaging library, and a parser of YAML for a table of
printers that is JSON. With them it costs 8 MB and half a second.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from os import environ
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any, TypeAlias

from hw.device import PrinterStatus
from hw.errors import DeviceMisconfigured, DeviceRefused
from hw.escpos import raster
from hw.layout import fit_columns, fit_line, printable
from hw.paper import Text
from hw.registry import suggestion
from hw.slip import (
    Align,
    Barcode,
    Columns,
    Cut,
    Element,
    Logo,
    OpenDrawer,
    QrCode,
    Rule,
    Slip,
    TextLine,
)

MIN_COLUMNS = 16

_FONT_A = 12
"""Dots that a character of normal size is wide, on most models."""

_DRAWN = "iso8859_2"
"""Letters that are drawn where the printer has no page for them."""

_ID_ALPHABET = b"ABCDEGHIJKLMNOPQSTUWXYabcdeghijklmnopqstuwxy014589"
"""Printable bytes that cannot be taken for a status byte or for the head of an answer."""

_PAPER_BYTES = b"\x00\x03"
"""Paper there, and nearly out. A printer without paper answers no `GS r`: it waits for a roll."""

_ID_HEAD = b"\x37\x22"
_ID_LENGTH = 4


@dataclass(frozen=True, slots=True)
class StatusByte:
    """Answer to one `DLE EOT n`; it does not say which n was asked."""

    value: int


@dataclass(frozen=True, slots=True)
class Processed:
    """Everything before this process id has been printed."""

    process_id: bytes


@dataclass(frozen=True, slots=True)
class PaperByte:
    """Answer to one `GS r 1`, which waits its turn: everything before it has been printed."""

    value: int


Answer: TypeAlias = StatusByte | Processed | PaperByte


def status_request(n: int) -> bytes:
    """`DLE EOT n`: 1 printer, 2 why offline, 4 paper. Answered at once, even when stopped."""
    return bytes((0x10, 0x04, n))


def is_status(byte: int) -> bool:
    """Whether it can be an answer to `DLE EOT n`, by its fixed bits."""
    return byte & 0x93 == 0x12


def process_id(job: str) -> bytes:
    """Four printable bytes naming a job."""
    digest = hashlib.blake2b(job.encode(), digest_size=8).digest()
    number = int.from_bytes(digest, "big")
    letters = bytearray()
    for _ in range(_ID_LENGTH):
        number, index = divmod(number, len(_ID_ALPHABET))
        letters.append(_ID_ALPHABET[index])
    return bytes(letters)


def proof_request(identity: bytes) -> bytes:
    """`GS ( H`, function 48: echo `identity` when all before it is printed."""
    return b"\x1d(H\x06\x00\x30\x30" + identity


PAPER_QUESTIONS = 3
"""So often the weak proof is asked for: a byte of noise must not pass for it."""


def paper_requests() -> bytes:
    """`GS r 1`, for models without `GS ( H`: answered in turn, and it does not say what for."""
    return b"\x1dr\x01" * PAPER_QUESTIONS


def printer_status(printer: int, cause: int, paper: int) -> PrinterStatus:
    """Combine the answers to `DLE EOT` 1, 2 and 4."""
    return PrinterStatus(
        offline=bool(printer & 0x08),
        cover_open=bool(cause & 0x04),
        paper_end=bool(cause & 0x20 or paper & 0x60),
        paper_low=bool(paper & 0x0C),
        drawer_high=bool(printer & 0x04),
        error=bool(cause & 0x40),
    )


class AnswerParser:
    """Picks the printer's answers out of whatever bytes arrive, split anyhow."""

    def __init__(self, *, paper: bool = False) -> None:
        """Begin.

        Args:
            paper: Take the answers to `GS r 1`, too; elsewhere such bytes are noise.
        """
        self._rest = b""
        self._paper_bytes = _PAPER_BYTES if paper else b""

    def feed(self, data: bytes) -> list[Answer]:
        """Take bytes; the answers they complete. Bytes that fit nothing are noise."""
        self._rest += data
        return list(self._take())

    def _take(self) -> Iterator[Answer]:
        while self._rest:
            frame = self._rest[: len(_ID_HEAD) + _ID_LENGTH + 1]
            if _may_be_echo(frame):
                if len(frame) < len(_ID_HEAD) + _ID_LENGTH + 1:
                    return
                self._rest = self._rest[len(frame) :]
                yield Processed(frame[len(_ID_HEAD) : -1])
                continue
            self._rest = self._rest[1:]
            if is_status(frame[0]):
                yield StatusByte(frame[0])
            elif frame[0] in self._paper_bytes:
                yield PaperByte(frame[0])


class Encoder:
    """Turns slips into bytes for one model of printer."""

    def __init__(
        self,
        *,
        profile: str = "default",
        columns: int | None = None,
        kanji_off: bool = False,
        logo: Path | None = None,
    ) -> None:
        """Load the printer's profile. Slow (see above): call it off the event loop.

        Args:
            profile: Name in python-escpos' table.
            columns: Characters of normal size on a line; None: as the profile says.
            kanji_off: Cancel double-byte mode, in which Chinese models turn two Polish
                letters into one ideograph.
            logo: Picture for `Logo`; None: nothing is printed there.

        Raises:
            DeviceMisconfigured: No such profile, senseless columns, or no such picture.
        """
        self._escpos = _import_escpos()
        try:
            capabilities = self._escpos.Dummy(profile=profile).profile
        except KeyError as error:
            known = self._escpos.CAPABILITIES["profiles"]
            raise DeviceMisconfigured(
                f"Printer profile {profile!r} is unknown; "
                f"expected one of {', '.join(sorted(known))}.",
                cure=suggestion(profile, known),
            ) from error
        self._profile = profile
        self._columns = columns or capabilities.get_columns("a")
        if self._columns < MIN_COLUMNS:
            raise DeviceMisconfigured(
                f"Printer columns are {columns}: expected at least {MIN_COLUMNS}.",
                cure="Use 42 or 48 for 80 mm paper, 32 for 58 mm.",
            )
        self._kanji_off = kanji_off
        # The profiles know which number the model gives CP852, the DOS page with the
        # Polish letters. A model without it gets them drawn; one that cannot print pictures
        # either, or a machine without a font, plain letters: better than question marks.
        self._polish = "CP852" in capabilities.get_code_pages()
        self._native_qr = capabilities.supports("qrCode")
        self._pictures = capabilities.supports("bitImageRaster")
        self._width, self._cell = _dots(capabilities.profile_data["media"], self._columns)
        self._draws = not self._polish and self._pictures and raster.can_write(self._cell)
        self._encoding = "cp852" if self._polish else _DRAWN if self._draws else "ascii"
        self._logo = b""
        if logo is not None:
            if not self._pictures:
                raise DeviceMisconfigured(
                    f"Logo {logo}: printer profile {profile} prints no pictures.",
                    cure="Leave the option logo out.",
                )
            self._logo = raster.command(raster.logo(logo, self._width))

    def encode(self, slip: Slip) -> bytes:
        """Bytes of the whole slip, from a known state of the printer; no proof request.

        Raises:
            DeviceRefused: The printer's profile cannot print one of the elements.
        """
        out = self._escpos.Dummy(profile=self._profile)
        out.hw("INIT")
        if self._kanji_off:
            out._raw(b"\x1c.")  # noqa: SLF001 - the library has no name for FS .
        if self._polish:
            out.charcode("CP852")
        for element in slip.elements:
            try:
                self._add(out, element)
            except (self._escpos.Error, ValueError) as error:
                raise DeviceRefused(
                    f"Slip {slip.job}: printer profile {self._profile} cannot print "
                    f"{element!r}: {error}.",
                    cure="Choose another profile, or print it as text.",
                ) from error
        data: bytes = out.output
        return data

    def _add(self, out: Any, element: Element) -> None:
        match element:
            case TextLine(text=text, bold=bold, double=double, align=align):
                lines = fit_line(self._shown(text), self._width_of(double=double))
                self._text(out, lines, bold=bold, double=double, align=align)
            case Columns(left=left, right=right, bold=bold, double=double):
                left, right = self._shown(left), self._shown(right)
                lines = fit_columns(left, right, self._width_of(double=double))
                self._text(out, lines, bold=bold, double=double)
            case Rule():
                self._text(out, ["-" * self._columns])
            case QrCode(data=data):
                self._qr(out, data)
            case Barcode():
                _barcode(out, element)
            case Logo():
                out.set(align="center")
                out._raw(self._logo)  # noqa: SLF001 - the library draws it anew each time
            case Cut():
                out.cut()
            case OpenDrawer(pin=pin):
                out.cashdraw(pin)

    def _text(
        self,
        out: Any,
        lines: list[str],
        *,
        bold: bool = False,
        double: bool = False,
        align: Align = "left",
    ) -> None:
        """Lines as text, or drawn where the printer lacks one of the letters."""
        if not self._draws or all(line.isascii() for line in lines):
            _style(out, bold=bold, double=double, align=align)
            for line in lines:
                out.text(f"{line}\n")
            return
        where = ("left", "center", "right").index(align)
        texts = [Text(line, bold, double, where) for line in lines]
        _style(out)
        picture = raster.letters(texts, self._width, self._cell)
        out._raw(raster.command(picture))  # noqa: SLF001 - see above

    def _qr(self, out: Any, data: str) -> None:
        if not self._native_qr and not self._pictures:
            self._text(out, fit_line(self._shown(data), self._columns))
            return
        out.set(align="center")
        if self._native_qr:
            out.qr(data, size=6, native=True)
        else:
            out._raw(raster.command(raster.qr(data)))  # noqa: SLF001 - see above
        out.text("\n")  # a code is read only with white around it

    def _shown(self, text: str) -> str:
        return printable(text, self._encoding)

    def _width_of(self, *, double: bool) -> int:
        return self._columns // 2 if double else self._columns


def _style(out: Any, *, bold: bool = False, double: bool = False, align: Align = "left") -> None:
    out.set(
        align=align,
        bold=bold,
        normal_textsize=not double,
        double_width=double,
        double_height=double,
    )


def _dots(media: Mapping[str, Any], columns: int) -> tuple[int, int]:
    """Dots of the paper, and of a character: as the profile says, else as most models have."""
    width = media.get("width", {}).get("pixels")
    if not isinstance(width, int) or width < 8 * columns:
        width = _FONT_A * columns
    return width, width // columns


def _barcode(out: Any, element: Barcode) -> None:
    """Not through the library's `barcode()`: that one talks to standard output."""
    if element.symbology == "code128":
        # Code set B; a brace is the code's own escape and stands for itself when doubled.
        code, name, function = "{B" + element.data.replace("{", "{{"), "CODE128", "B"
    else:
        code, name, function = element.data, element.symbology.upper(), "A"
    out._hw_barcode(code, name, 64, 2, "BELOW", "A", True, function)  # noqa: SLF001 - as above


def _may_be_echo(frame: bytes) -> bool:
    """Whether these bytes are an echoed process id, or may become one."""
    head, identity, end = frame[:2], frame[2:6], frame[6:]
    return (
        _ID_HEAD.startswith(head)
        and all(0x20 <= byte <= 0x7E for byte in identity)
        and end in {b"", b"\x00"}
    )


@dataclass(frozen=True, slots=True)
class _Escpos:
    """The few names of python-escpos we use."""

    Dummy: Any
    CAPABILITIES: Any
    Error: Any


def _import_escpos() -> _Escpos:
    with _importing:
        light = "escpos.escpos" not in sys.modules and "ESCPOS_CAPABILITIES_FILE" not in environ
        with _stand_ins() if light else nullcontext():
            # The library has no type hints.
            from escpos import capabilities  # type: ignore[import-untyped]  # noqa: PLC0415
            from escpos.exceptions import Error  # type: ignore[import-untyped]  # noqa: PLC0415
            from escpos.printer import Dummy  # type: ignore[import-untyped]  # noqa: PLC0415

    if "ESCPOS_CAPABILITIES_PICKLE_DIR" not in environ:
        # Every import leaves a temporary folder behind; on a till that is never
        # rebooted they would add up.
        shutil.rmtree(capabilities.pickle_dir, ignore_errors=True)
    return _Escpos(Dummy, capabilities.CAPABILITIES, Error)


_importing = Lock()


class _Later(ModuleType):
    """A module that is imported when something of it is wanted."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module(self.__name__), name)


def _image(source: Any) -> Any:
    """Make the library's image, for whoever else in the process asks the library for one."""
    return import_module("escpos.image").EscposImage(source)


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Let the library be imported without what it would only need for pictures."""
    yaml, image = ModuleType("yaml"), ModuleType("escpos.image")
    yaml.safe_load, image.EscposImage = json.load, _image  # type: ignore[attr-defined]
    places: dict[str, ModuleType | None] = {
        "yaml": yaml,
        "escpos.image": image,
        "qrcode": _Later("qrcode"),
        "PIL": None,  # what an uninstalled package looks like
    }
    placed = {name: module for name, module in places.items() if name not in sys.modules}
    sys.modules.update(placed)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in placed:
            del sys.modules[name]
