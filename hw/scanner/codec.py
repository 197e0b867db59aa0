"""Bytes of a serial scanner → codes. Pure.

A code is: optional prefix, text, suffix. Between codes there may be noise. The same
bytes give the same codes however they are split.
"""

import unicodedata

from hw.errors import DeviceMisconfigured

FNC1 = "\x1d"
"""Separates the fields of a GS1 code; the one control character that means something."""

MAX_CODE_BYTES = 4_296
"""The longest QR code, in characters."""


class CodeSplitter:
    """Collects bytes until the suffix, then gives the code."""

    def __init__(
        self, *, prefix: bytes = b"", suffix: bytes | None = None, max_bytes: int = 512
    ) -> None:
        """Configure as the scanner is.

        Args:
            prefix: Sent before each code; what precedes it is noise.
            suffix: Sent after each code; None: CR, LF or both.
            max_bytes: A longer code is noise.

        Raises:
            DeviceMisconfigured: The suffix is empty, or the limit is senseless.
        """
        if suffix == b"":
            raise DeviceMisconfigured(
                "Scanner suffix is empty: expected at least one byte to end a code.",
                cure="Program the scanner to send CR after each code.",
            )
        if not 1 <= max_bytes <= MAX_CODE_BYTES:
            raise DeviceMisconfigured(
                f"Scanner code limit is {max_bytes} bytes: expected 1 to {MAX_CODE_BYTES}.",
                cure="Leave the limit out.",
            )
        self.dropped = 0
        """Codes thrown away: too long, without the prefix, or broken off."""

        self._prefix = prefix
        self._suffixes = (b"\r", b"\n") if suffix is None else (suffix,)
        self._max = max_bytes
        self._buffer = bytearray()
        self._overrun = False

    def feed(self, data: bytes) -> list[str]:
        """Take bytes; the codes they complete, in order."""
        codes: list[str] = []
        self._buffer += data
        while (end := self._find_suffix()) is not None:
            start, after = end
            code = self._accept(bytes(self._buffer[:start]))
            del self._buffer[:after]
            if code:
                codes.append(code)
        self._forget_overrun()
        return codes

    @property
    def pending(self) -> bool:
        """A code has begun and not ended."""
        return bool(self._buffer) or self._overrun

    def break_off(self) -> None:
        """Forget a code that never got its end (the scanner fell silent or was pulled)."""
        if self.pending:
            self.dropped += 1
        self._buffer.clear()
        self._overrun = False

    def _find_suffix(self) -> tuple[int, int] | None:
        """Where the first suffix starts and ends."""
        found = [
            (start, start + len(suffix))
            for suffix in self._suffixes
            if (start := self._buffer.find(suffix)) >= 0
        ]
        return min(found, default=None)

    def _accept(self, raw: bytes) -> str:
        """The text of one code; empty when it is none."""
        too_long = self._overrun or len(raw) > self._max
        self._overrun = False
        if not raw and not too_long:
            return ""  # the LF of a CR LF
        _, prefix, body = raw.rpartition(self._prefix) if self._prefix else (b"", b"", raw)
        text = "".join(
            char
            for char in body.decode("utf-8", "ignore")
            if char == FNC1 or unicodedata.category(char) != "Cc"
        )
        if too_long or prefix != self._prefix or not text:
            self.dropped += 1
            return ""
        return text

    def _forget_overrun(self) -> None:
        """Keep memory bounded, but enough to see a suffix that is only half here."""
        keep = max(map(len, self._suffixes)) - 1
        if len(self._buffer) > self._max + keep:
            self._overrun = True
            del self._buffer[: len(self._buffer) - keep]
