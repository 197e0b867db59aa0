"""`scale.toledo8217`: a scale that speaks Toledo 8217, on a serial port or over TCP.

Options beside those of every scale (`hw.scale`): `unit` (kg), ``kg`` or ``g``, as the scale is set.
A serial port is opened with 9600 7E1, as these scales leave the factory, unless its URL says
otherwise.
"""

from dataclasses import replace

from hw.device import Scale
from hw.errors import DeviceMisconfigured
from hw.registry import DeviceConfig
from hw.scale import AskedScale, Readings
from hw.toledo.codec import WEIGH, FrameParser
from hw.transports.serial import with_defaults

UNITS = ("kg", "g")
_OPTIONS = ("unit",)


class ToledoScale(AskedScale):
    """One scale on one line."""

    question = WEIGH

    def __init__(self, config: DeviceConfig) -> None:
        url = with_defaults(config.url, bits="7", parity="even")
        super().__init__(replace(config, url=url), options=_OPTIONS)
        self._unit = config.options.get("unit", "kg")
        if self._unit not in UNITS:
            raise DeviceMisconfigured(
                f"Device {config.id}: option unit is {self._unit!r}; expected kg or g.",
                cure="Set the scale to kilograms, and leave the option out.",
            )

    def _codec(self) -> Readings:
        return FrameParser(self._unit)


_: type[Scale] = ToledoScale
