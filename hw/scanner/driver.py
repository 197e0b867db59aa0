"""`scanner.serial`: a scanner on a serial port.

Options beside those of every scanner (`hw.scanning`): `prefix` and `suffix` around each code,
written as hexadecimal bytes (`02`, `0d0a`; suffix by default CR, LF or both).
"""

from hw.device import Scanner
from hw.errors import DeviceMisconfigured
from hw.registry import DeviceConfig, positive
from hw.scanner.codec import CodeSplitter
from hw.scanning import LineScanner

_OPTIONS = ("prefix", "suffix")


class SerialScanner(LineScanner):
    """One scanner on one port."""

    def __init__(self, config: DeviceConfig) -> None:
        splitter = CodeSplitter(
            prefix=_hex(config, "prefix") or b"",
            suffix=_hex(config, "suffix"),
            max_bytes=int(positive(config, "max_bytes", 512)),
        )
        super().__init__(config, splitter, options=_OPTIONS)


def _hex(config: DeviceConfig, name: str) -> bytes | None:
    text = config.options.get(name)
    if text is None:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise DeviceMisconfigured(
            f"Device {config.id}: option {name} is {text!r}; expected hexadecimal bytes.",
            cure="Write 0d for CR, 0d0a for CR LF, 02 for STX.",
        ) from error


_: type[Scanner] = SerialScanner
