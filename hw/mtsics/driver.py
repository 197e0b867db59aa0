"""`scale.mtsics`: a scale that speaks MT-SICS, on a serial port or over TCP.

Options beside those of every scale (`hw.scale`): `serial_number` that it must tell of itself;
another one is refused.
"""

from hw.device import Scale
from hw.errors import DeviceMisconfigured
from hw.mtsics.codec import WEIGH, WHO, Serials, Weights
from hw.registry import DeviceConfig
from hw.scale import AskedScale, Readings

_OPTIONS = ("serial_number",)


class MtsicsScale(AskedScale):
    """One scale on one line."""

    question = WEIGH

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config, options=_OPTIONS)
        self._expected = config.options.get("serial_number", "")

    def _codec(self) -> Readings:
        return Weights()

    async def _greet(self) -> None:
        told = await self._exchange(WHO, Serials().feed)
        if self._expected and told != self._expected:
            raise DeviceMisconfigured(
                f"Scale {self.id}: expected serial number {self._expected!r} at {self._url}, got "
                f"{told!r}.",
                cure="Connect the right one, or correct option serial_number.",
            )


_: type[Scale] = MtsicsScale
