"""`scanner.evdev`: a scanner that pretends to be a keyboard; its keys reach nobody else.

Options are those of every scanner (`hw.scanning`). A code ends with Enter or Tab.
"""

from hw.device import Scanner
from hw.evdev.codec import KeyReader
from hw.registry import DeviceConfig, positive
from hw.scanning import LineScanner


class EvdevScanner(LineScanner):
    """One scanner, at `input:`."""

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config, KeyReader(max_chars=int(positive(config, "max_bytes", 512))))


_: type[Scanner] = EvdevScanner
