"""Commands → frames, frames → answers, receipts → commands. Pure.

    STX name TAB (field TAB)* [@token TAB] #CRC ETX

A field is two letters and its value; its bytes are 0x20 to 0xFF of WINDOWS-1250, so no text
can end a field or a frame: what has control characters is refused here. A `#` may stand in
a value; the checksum follows the last one.
"""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from hw.errors import DeviceUnavailable
from hw.fiscal import (
    CODE_PAGE,
    LETTERS,
    DepositLine,
    FiscalLine,
    FiscalReceipt,
    Means,
    Vat,
    VatTable,
    printable,
)

STX, TAB, ETX = b"\x02", b"\x09", b"\x03"

MAX_FRAME = 4096
"""Bytes; beyond it there is no frame, only noise. The longest we use is a QR code's."""

TOKENS = 10_000

MEANS: Mapping[Means, int] = {
    "cash": 0,
    "card": 2,
    "cheque": 3,
    "voucher": 4,
    "credit": 5,
    "other": 6,
    "mobile": 6,
    "transfer": 8,
}
"""`trpayment ty`; a phone is "other" and goes by its name."""

EXEMPT, UNUSED = 10_000, 10_100
"""Rates 100,00 and 101,00 in `vatget`."""


@dataclass(frozen=True, slots=True)
class Command:
    """One order to the printer. `!` before the name: to be answered out of turn."""

    name: str
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """What was received, either way."""

    name: str
    """Of the command it answers; `ERR` when the printer could not read the frame."""

    fields: Mapping[str, str]
    token: int | None = None
    error: int | None = None

    def text(self, field: str) -> str:
        """A field that must be there.

        Raises:
            DeviceUnavailable: It is not: this is no printer of this protocol.
        """
        if field not in self.fields:
            raise self._odd(field, "text")
        return self.fields[field]

    def number(self, field: str) -> int:
        """A field that must be a whole number.

        Raises:
            DeviceUnavailable: It is not.
        """
        text = self.text(field)
        if not (text.isascii() and text.isdigit()):
            raise self._odd(field, "a whole number")
        return int(text)

    def flag(self, field: str) -> bool:
        """A field that must be a BOOL.

        Raises:
            DeviceUnavailable: It is not.
        """
        if (text := self.text(field)) not in {"0", "1", *"tTyYnN"}:
            raise self._odd(field, f"T or N, not {text!r}")
        return truth(text)

    def _odd(self, field: str, expected: str) -> DeviceUnavailable:
        return DeviceUnavailable(
            f"Printer's answer to {self.name}: expected {field} to be {expected}, "
            f"got {dict(self.fields)!r}.",
            cure="Make sure that it is a POSNET ONLINE printer.",
        )


def checksum(body: bytes) -> bytes:
    """CRC-16 with polynomial 1021 and start 0000, as four upper-case hex digits."""
    return b"%04X" % binascii.crc_hqx(body, 0)


def command(name: str, **fields: str | int | bool) -> Command:
    """Make a command; fields go in the order given, booleans as 1 and 0."""
    return Command(name, tuple((field, _value(value)) for field, value in fields.items()))


def encode(order: Command, token: int | None = None, *, error: int | None = None) -> bytes:
    """One frame.

    Raises:
        DeviceRefused: A value has characters the printer cannot take.
    """
    parts = [order.name.encode("ascii")]
    if token is not None:
        parts.append(b"@%04d" % token)
    if error is not None:
        parts.append(b"?%d" % error)
    parts += [
        name.encode("ascii") + printable(value, MAX_FRAME).encode(CODE_PAGE)
        for name, value in order.fields
    ]
    body = b"".join(part + TAB for part in parts)
    return STX + body + b"#" + checksum(body) + ETX


class FrameParser:
    """Picks whole, undamaged frames out of whatever bytes arrive, split anyhow."""

    def __init__(self) -> None:
        self.damaged = 0
        """Frames dropped for their checksum or form."""

        self._rest = b""

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes; the frames they complete. What is between frames is noise."""
        self._rest += data
        frames = []
        while (end := self._rest.find(ETX)) >= 0:
            piece, self._rest = self._rest[:end], self._rest[end + 1 :]
            # A frame that broke off is followed by the next one's STX: begin at the last.
            _, start, body = piece.rpartition(STX)
            if start and (frame := self._read(body)) is not None:
                frames.append(frame)
        start_at = self._rest.rfind(STX)
        self._rest = self._rest[start_at:] if start_at >= 0 else b""
        if len(self._rest) > MAX_FRAME:
            self._rest = b""
            self.damaged += 1
        return frames

    def _read(self, body: bytes) -> Frame | None:
        told, hash_sign, crc = body.rpartition(b"#")
        parts = told.split(TAB)
        good = hash_sign and checksum(told) == crc and len(parts) > 1
        # Before the checksum stands a TAB, except after an error number in the specification.
        if not good or (parts[-1] and not parts[-1].startswith(b"?")):
            self.damaged += 1
            return None
        fields: dict[str, str] = {}
        token = error = None
        for part in filter(None, parts[1:]):
            head, tail = part[:1], part[1:]
            if head == b"@" and tail.isdigit():
                token = int(tail)
            elif head == b"?" and tail.isdigit():
                error = int(tail)
            else:
                field = part[:2].decode("ascii", "replace")
                fields[field] = part[2:].decode(CODE_PAGE, "replace")
        name = parts[0].decode("ascii", "replace")
        if error is None and name == "ERR" and fields.get("er", "").isdigit():
            error = int(fields["er"])
        return Frame(name, fields, token, error)


def opening(receipt: FiscalReceipt, table: VatTable) -> list[Command]:
    """All of a receipt but its end, in order.

    [M] That `bb` of `ftrcfg` prints the code with the next receipt, and 0 of it none; that an
    electronic receipt ordered inside a transaction ends with it when it is cancelled; that the
    value of a line is rounded half up. If not, the printer refuses a sum or prints a code more.

    Raises:
        DeviceRefused: A text is too long or has characters the printer lacks, or the
            printer has no such rate.
    """
    footer = command(
        "ftrcfg",
        ca=False,  # this cashier and till on the next print only
        bb=1 if receipt.qr else 0,
    )
    named = (("cc", receipt.cashier, 32), ("cn", receipt.register, 8), ("sn", receipt.number, 30))
    extra = tuple((field, printable(text, most)) for field, text, most in named if text)
    orders = [Command(footer.name, footer.fields + extra)]
    if receipt.qr:
        orders.append(command("qrcode", px=4, tx=printable(receipt.qr, 271)))
    orders.append(command("trinit", bm=True))
    orders += [_line(line, table) for line in receipt.lines]
    orders += [_deposit(line) for line in receipt.deposits]
    if receipt.nip:
        orders.append(command("trnipset", ni=receipt.nip))
    if receipt.e_paragon:
        orders.append(command("eparagonidznext", id=printable(receipt.e_paragon, 128)))
    orders += [
        _payment(MEANS[tender.means], tender.amount_minor, tender.name)
        for tender in receipt.payments
    ]
    if receipt.change_minor:
        orders.append(_payment(0, receipt.change_minor, "", change=True))
    for order in orders:
        encode(order)  # nothing is sent of a receipt that cannot be sent whole
    return orders


def ending(receipt: FiscalReceipt) -> Command:
    """`trend` with every control total the printer offers to check."""
    return command(
        "trend",
        to=receipt.total_minor,
        op=receipt.deposits_out_minor,
        om=receipt.deposits_in_minor,
        fp=receipt.paid_minor,
        re=receipt.change_minor,
        fe=True,
    )


def vat_table(fields: Mapping[str, str]) -> VatTable:
    """Fields `va` to `vg` of `vatget`, as in `va23,00`.

    Raises:
        DeviceUnavailable: They are no percentages.
    """
    rates = []
    for letter in LETTERS:
        text = fields.get(f"v{letter.lower()}", "101,00")
        value = _percent(letter, text)
        if value != UNUSED:
            exempt = value == EXEMPT
            rates.append((letter, Vat(0 if exempt else value, exempt=exempt)))
    return VatTable(tuple(rates))


def rate_field(vat: Vat | None) -> str:
    """A rate as `vatget` tells it; None: the letter is not in use."""
    value = UNUSED if vat is None else EXEMPT if vat.exempt else vat.basis_points
    return f"{value // 100},{value % 100:02}"


def decimal(milli: int) -> str:
    """Thousandths as the printer reads a quantity: 1500 is `1.5`."""
    whole, part = divmod(milli, 1000)
    return f"{whole}.{part:03}".rstrip("0").rstrip(".")


def milli(text: str) -> int:
    """The other way; anything finer than a thousandth is cut.

    Raises:
        ValueError: It is no number.
    """
    whole, _, part = text.replace(",", ".").partition(".")
    return int(whole or 0) * 1000 + int((part + "000")[:3])


def truth(text: str) -> bool:
    """A BOOL, as either side writes it."""
    return text[:1] in {"1", "t", "T", "Y", "y"}


def _percent(letter: str, text: str) -> int:
    whole, _, cents = text.replace(".", ",").partition(",")
    digits = whole + (cents + "00")[:2]
    if not (digits.isascii() and digits.isdigit()):
        raise DeviceUnavailable(
            f"Printer's VAT rate {letter}: expected a percentage, got {text[:20]!r}.",
            cure="Make sure that it is a POSNET ONLINE printer.",
        )
    return int(digits)


def _line(line: FiscalLine, table: VatTable) -> Command:
    order = command(
        "trline",
        na=printable(line.name, 80),
        vt=LETTERS.index(table.letter(line.vat)),
        pr=line.unit_minor,
        wa=line.gross_minor,
        il=decimal(line.quantity_milli),
        st=line.storno,
    )
    more = [("jm", printable(line.unit, 4))] if line.unit else []
    if line.discount_minor:
        more += [("rd", "1"), ("rn", printable(line.discount_name, 25))]
        more += [("rw", str(line.discount_minor))]
    return Command(order.name, order.fields + tuple(more))


def _deposit(line: DepositLine) -> Command:
    return command(
        "trpack",
        ne=line.returned,
        pr=line.unit_minor,
        il=line.count,
        wa=line.total_minor,
        de=printable(line.name, 50),
    )


def _payment(kind: int, amount_minor: int, name: str, *, change: bool = False) -> Command:
    order = command("trpayment", ty=kind, wa=amount_minor, re=change)
    named = (("na", printable(name, 25)),) if name else ()
    return Command(order.name, order.fields + named)


def _value(value: str | int) -> str:
    return str(int(value)) if isinstance(value, int) else value
