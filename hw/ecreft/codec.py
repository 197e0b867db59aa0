"""ECR-EFT frames and the messages a payment needs. Pure.

    STX token FS type FS field FS … ETX LRC        LRC: exclusive or after STX, ETX included

The receiver answers ACK (good LRC) or NAK, then perhaps a message of its own. The LRC is one
raw byte of any value. Amounts are whole grosze, at most 12 digits.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from hw.card import allowed, known_means
from hw.errors import DeviceRefused
from hw.payment import Approval, Approved, Declined, PaymentIntent

STX, ETX, FS, US = 0x02, 0x03, 0x1C, 0x1F
ACK, NAK = b"\x06", b"\x15"
MAX_FRAME = 8192
LONGEST_ID, LONGEST_AMOUNT = 20, 12

_TOKEN = re.compile(rb"[0-9A-Fa-f]{1,6}")
_TYPE = re.compile(rb"[A-Z][0-9A-Z]")


@dataclass(frozen=True, slots=True)
class Message:
    """One frame with a good LRC."""

    token: str
    type: str
    fields: tuple[bytes, ...] = field(default=(), repr=False)
    """As received; they may hold anything, so they are shown to nobody."""

    def at(self, place: int) -> str:
        """A field as text; empty when it is not there."""
        return self.fields[place].decode("latin-1") if place < len(self.fields) else ""


Event: TypeAlias = Message | Literal["ack", "nak", "bad"]
"""`bad`: a frame whose LRC is wrong."""


def lrc(data: bytes) -> int:
    """Exclusive or of all bytes."""
    value = 0
    for byte in data:
        value ^= byte
    return value


def encode(token: str, kind: str, fields: Sequence[str] = ()) -> bytes:
    """One frame.

    Raises:
        DeviceRefused: A field holds what would break the frame, or it is too long.
    """
    for text in fields:
        if not (text.isascii() and (text.isprintable() or not text)):
            raise DeviceRefused(
                f"ECR-EFT {kind}: field {text!r}; expected plain characters.",
                cure="Use ids of letters and digits.",
            )
    if not (_TOKEN.fullmatch(token.encode()) and _TYPE.fullmatch(kind.encode())):
        raise DeviceRefused(
            f"ECR-EFT: token {token!r}, type {kind!r}; expected up to 6 hexadecimal digits and "
            "a letter with a letter or digit.",
            cure="Report this.",
        )
    body = b"".join(part.encode() + bytes((FS,)) for part in (token, kind, *fields))
    if len(body) > MAX_FRAME:
        raise DeviceRefused(
            f"ECR-EFT {kind}: {len(body)} bytes; expected at most {MAX_FRAME}.",
            cure="Send less at once.",
        )
    framed = body + bytes((ETX,))
    return bytes((STX,)) + framed + bytes((lrc(framed),))


class FrameParser:
    """Bytes in any pieces to events. What comes before STX and is no ACK or NAK is noise."""

    def __init__(self) -> None:
        self._body: bytearray | None = None
        self._ended = False
        """ETX has come; the next byte is the LRC, whatever it is."""

    def feed(self, data: bytes) -> list[Event]:
        """What these bytes complete."""
        events: list[Event] = []
        for byte in data:
            event = self._take(byte)
            if event is not None:
                events.append(event)
        return events

    def _take(self, byte: int) -> Event | None:
        if self._ended and self._body is not None:
            return self._finish(bytes(self._body), byte)
        if byte == STX:  # never legal inside: what was begun is noise
            self._body = bytearray()
        elif self._body is None:
            return "ack" if byte == ACK[0] else "nak" if byte == NAK[0] else None
        else:
            self._body.append(byte)
            self._ended = byte == ETX
            if len(self._body) > MAX_FRAME + 1:
                self._body = None
        return None

    def _finish(self, framed: bytes, check: int) -> Event | None:
        self._body, self._ended = None, False
        message = _decoded(framed[:-1])
        if message is not None and lrc(framed) == check:
            return message
        if check == STX:  # noise that ended in ETX: this may begin a frame
            self._body = bytearray()
            return None
        return "bad"


def _decoded(body: bytes) -> Message | None:
    parts = body.split(bytes((FS,)))
    if len(parts) < 2 or not _TOKEN.fullmatch(parts[0]) or not _TYPE.fullmatch(parts[1]):
        return None
    fields = parts[2:]
    if fields and not fields[-1]:  # the FS of the last field may be left out
        fields = fields[:-1]
    return Message(parts[0].decode().upper(), parts[1].decode(), tuple(fields))


# A payment.


def start(token: str, intent: PaymentIntent, *, register: str, name: str, status: bool) -> bytes:
    """S1: order a payment, or ask about one.

    Args:
        token: Repeated by the answer.
        intent: What is paid.
        register: Id of the cash register, at most 20 characters.
        name: Id of the payment, at most 20 characters.
        status: Type `C`, a question [M], not `S`, an order.

    Raises:
        DeviceRefused: An id or an amount is too long.
    """
    for label, text in (("register", register), ("payment id", name)):
        if not 0 < len(text) <= LONGEST_ID:
            raise DeviceRefused(
                f"ECR-EFT: {label} {text!r}; expected 1 to {LONGEST_ID} characters.",
                cure="Shorten it.",
            )
    gross = str(intent.amount_minor)
    cashback = str(intent.cashback_minor) if intent.cashback_minor else ""
    if max(len(gross), len(cashback)) > LONGEST_AMOUNT:
        raise DeviceRefused(
            f"ECR-EFT: amount {gross}, cash back {cashback or 0}; expected at most "
            f"{LONGEST_AMOUNT} digits.",
            cure="Correct the amount.",
        )
    # Net and VAT are for the terminal's own slip; the fiscal receipt has them.
    fields = ("C" if status else "S", register, name, gross, gross, "0", intent.currency, cashback)
    return encode(token, "S1", fields)


REASONS = {
    "993": ("the terminal is busy", "Wait until it is free, then pay again."),
    "999": ("the terminal does not support it", "Check the terminal's version."),
}
NOT_AN_ANSWER = frozenset({"993", "999"})
"""Codes that tell nothing of the payment asked about."""


def ending(message: Message, intent: PaymentIntent) -> Approved | Declined | None:
    """What S2 says; None when it is no S2 we can read.

    Fields taken: error, merchant, terminal, number, amount, cash back, means. The token of
    the card and the message are left where they are.
    """
    error = message.at(0)
    if message.type != "S2" or not (error.isascii() and error.isdigit() and len(error) <= 6):
        return None
    if int(error):
        problem, cure = REASONS.get(
            error, ("the payment was not accepted", "Pay again, or pay in another way.")
        )
        return Declined(f"{problem} (error {error}).".capitalize(), cure, error)
    reference = allowed("reference", message.at(4))
    approval = Approval(
        amount_minor=_amount(message.at(5), intent.amount_minor),
        cashback_minor=_amount(message.at(6), intent.cashback_minor),
        currency=intent.currency,
        reference=reference,
        merchant=allowed("merchant", message.at(2)),
        terminal=allowed("terminal", message.at(3)),
        means=known_means(message.at(7)),
    )
    return Approved(f"S2 without error, transaction {reference or 'without a number'}", approval)


def _amount(text: str, asked: int) -> int:
    """As told; as asked where it is not told."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else asked
