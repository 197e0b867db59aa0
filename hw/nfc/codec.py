"""What a card says → by what it is known. Pure; ndeflib decodes what is written on it."""

import ndef  # type: ignore[import-untyped]

MAX_TEXT = 200
"""Characters; what is longer is no name of a card."""


def uid_of(raw: bytes) -> str:
    """The number of a card, in hexadecimal; empty when it has none of its own.

    Telephones make up another one each time: four bytes beginning with 08 (ISO 14443-3).
    """
    return "" if len(raw) == 4 and raw[0] == 0x08 else raw.hex()


def text_of(message: bytes) -> str | None:
    """The first text that is written on it; None when there is none that can be read.

    Args:
        message: NDEF records, as they are on the card.
    """
    try:
        records = list(ndef.message_decoder(message, errors="strict"))
    except (ndef.DecodeError, ValueError, IndexError):
        return None
    for record in records:
        if isinstance(record, ndef.TextRecord):
            text = "".join(char for char in record.text if char.isprintable()).strip()
            if text:
                return text[:MAX_TEXT]
    return None


def message_of(text: str) -> bytes:
    """NDEF records that say this text."""
    return b"".join(ndef.message_encoder([ndef.TextRecord(text)]))
