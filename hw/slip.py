"""What a receipt printer is asked to print: neutral elements, checked once, here.

Any printed text may hold any character; the codec replaces what the paper cannot show.
Data inside codes is different: a replaced character would be another code, so it is
refused when the element is made.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from hw.errors import DeviceRefused

Align: TypeAlias = Literal["left", "center", "right"]
Symbology: TypeAlias = Literal["ean13", "ean8", "code128"]

MAX_ELEMENTS = 2_000
MAX_TEXT = 1_000
"""Characters in one text."""

MAX_QR_BYTES = 700
"""More is unreadable on 58 mm paper. It also keeps the length bytes of the QR command
clear of `10 04` and `10 05`, which printers obey even in the middle of data."""

_CODES: dict[Symbology, str] = {
    "ean13": r"[0-9]{13}",
    "ean8": r"[0-9]{8}",
    "code128": r"[\x20-\x7e]{1,40}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLine:
    """One paragraph; wrapped at words when wider than the paper."""

    text: str
    bold: bool = False
    double: bool = False
    """Twice as high and twice as wide; half as many characters fit."""

    align: Align = "left"

    def __post_init__(self) -> None:
        """Refuse what would never end.

        Raises:
            DeviceRefused: The text is too long.
        """
        _check_length(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """A name on the left, an amount on the right. The amount is never cut off."""

    left: str
    right: str
    bold: bool = False
    double: bool = False

    def __post_init__(self) -> None:
        """Refuse what would never end.

        Raises:
            DeviceRefused: A text is too long.
        """
        _check_length(self.left)
        _check_length(self.right)


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the paper."""


@dataclass(frozen=True, slots=True)
class QrCode:
    """A QR code, centred."""

    data: str

    def __post_init__(self) -> None:
        """Refuse what a printer would obey instead of printing.

        Raises:
            DeviceRefused: Empty, too long, or with control characters other than newline.
        """
        size = len(self.data.encode("utf-8", "replace"))
        if not 1 <= size <= MAX_QR_BYTES:
            raise DeviceRefused(
                f"QR code of {size} bytes: expected 1 to {MAX_QR_BYTES}.",
                cure="Print a shorter link.",
            )
        if not all(char == "\n" or char.isprintable() for char in self.data):
            raise DeviceRefused(
                f"QR code {self.data[:40]!r}: expected printable text.",
                cure="Remove the control characters.",
            )


@dataclass(frozen=True, slots=True)
class Barcode:
    """A bar code, centred, with its digits below."""

    data: str
    symbology: Symbology = "ean13"

    def __post_init__(self) -> None:
        """Refuse a code that the symbology cannot carry.

        Raises:
            DeviceRefused: Another length or alphabet than the symbology has.
        """
        if not re.fullmatch(_CODES[self.symbology], self.data):
            raise DeviceRefused(
                f"Bar code {self.data[:40]!r}: expected {self.symbology}, that is "
                f"{_CODES[self.symbology]}.",
                cure="Correct the code or print it as text.",
            )


@dataclass(frozen=True, slots=True)
class Logo:
    """The shop's picture, centred; nothing where the printer was given none."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Feed past the knife and cut."""


@dataclass(frozen=True, slots=True)
class OpenDrawer:
    """Pulse the cash drawer wired to the printer."""

    pin: Literal[2, 5] = 2


Element: TypeAlias = TextLine | Columns | Rule | QrCode | Barcode | Logo | Cut | OpenDrawer


_ELEMENTS: dict[str, type[Element]] = {
    "text": TextLine,
    "columns": Columns,
    "rule": Rule,
    "qr": QrCode,
    "barcode": Barcode,
    "logo": Logo,
    "cut": Cut,
    "drawer": OpenDrawer,
}
"""Their names where elements are kept or asked for; they stand in files, and stay."""

_NAMES = {kind: name for name, kind in _ELEMENTS.items()}


def dumped(elements: Iterable[Element]) -> bytes:
    """Elements as JSON, to be kept; the same elements give the same bytes."""
    rows = [{"element": _NAMES[type(one)], **asdict(one)} for one in elements]
    return json.dumps(rows, ensure_ascii=True, separators=(",", ":")).encode()


def loaded(kept: bytes) -> tuple[Element, ...]:
    """What `dumped` kept.

    Raises:
        DeviceRefused: It is something else, or an element refuses what it is made of.
    """
    try:
        return tuple(_ELEMENTS[row.pop("element")](**row) for row in json.loads(kept))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DeviceRefused(
            f"Kept slip: expected elements of a slip, got {kept[:40]!r} ({error}).",
            cure="Order it anew.",
        ) from error


@dataclass(frozen=True, slots=True)
class Slip:
    """One printing job."""

    job: str
    """Names this attempt. A reprint is another attempt and needs another name, so that a
    late confirmation of the first cannot pass for the second."""

    elements: tuple[Element, ...]

    def __post_init__(self) -> None:
        """Refuse what could not be asked about afterwards, or would never end.

        Raises:
            DeviceRefused: No job name, no elements, or too many.
        """
        if not self.job:
            raise DeviceRefused("Slip without a job name.", cure="Give every attempt a name.")
        if not 1 <= len(self.elements) <= MAX_ELEMENTS:
            raise DeviceRefused(
                f"Slip {self.job}: expected 1 to {MAX_ELEMENTS} elements, "
                f"got {len(self.elements)}.",
                cure="Print it in parts.",
            )


def _check_length(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise DeviceRefused(
            f"Text {text[:40]!r}…: expected at most {MAX_TEXT} characters, got {len(text)}.",
            cure="Print it in parts.",
        )
