"""`display.line`: a customer display of two lines, on a serial port or over TCP.

Options: `columns` (20), `code_page` (ascii; cp437, cp850, cp852, cp1252) and, where the display
numbers its tables otherwise than Epson, `code_page_number`; `write_timeout_s` (2),
`open_timeout_s` (5).
"""

import asyncio

from hw.device import CustomerDisplay, Health, Row
from hw.errors import DeviceMisconfigured, DeviceUnavailable, HwError
from hw.linedisplay.codec import CODE_PAGES, begin, frame
from hw.registry import DeviceConfig, check_options, positive, suggestion
from hw.transports import open_transport
from hw.transports.link import Link

_OPTIONS = ("columns", "code_page", "code_page_number", "write_timeout_s", "open_timeout_s")
_MAX_COLUMNS = 80


class LineDisplay:
    """One display on one line."""

    def __init__(self, config: DeviceConfig) -> None:
        check_options(config, _OPTIONS)
        self.id = config.id
        self.till = config.till
        self._url = config.url
        self._columns = min(int(positive(config, "columns", 20)) or 1, _MAX_COLUMNS)
        page = config.options.get("code_page", "ascii")
        if page not in CODE_PAGES:
            raise DeviceMisconfigured(
                f"Device {config.id}: option code_page is {page!r}; expected one of "
                f"{', '.join(CODE_PAGES)}.",
                cure=suggestion(page, CODE_PAGES),
            )
        number, self._encoding = CODE_PAGES[page]
        self._number = _byte(config, "code_page_number", number)
        self._write_timeout_s = positive(config, "write_timeout_s", 2.0)
        self._open_timeout_s = positive(config, "open_timeout_s", 5.0)
        self._rows = (Row(), Row())
        self._changed = asyncio.Event()
        self._link: Link | None = None
        self._writer: asyncio.Task[None] | None = None

    def show(self, top: Row, bottom: Row) -> None:
        """See `CustomerDisplay.show`."""
        self._rows = (top, bottom)
        self._changed.set()

    async def open(self) -> None:
        """See `Device.open`."""
        transport = await open_transport(self._url, timeout_s=self._open_timeout_s)
        self._link = Link(transport, lambda _: None, lambda: None)
        self._changed.set()  # what it showed before, it shows again
        self._writer = asyncio.create_task(self._write(self._link), name=f"display {self.id}")

    async def lost(self) -> HwError:
        """See `Device.lost`."""
        if self._link is None:
            return DeviceUnavailable(f"Display {self.id} is not open.", cure="Open it first.")
        return await self._link.lost()

    async def close(self) -> None:
        """See `Device.close`."""
        writer, self._writer = self._writer, None
        link, self._link = self._link, None
        if writer is not None:
            writer.cancel()
            await asyncio.wait([writer])
        if link is not None:
            await link.close()

    def health(self) -> Health:
        """See `Device.health`."""
        return Health()

    async def _write(self, link: Link) -> None:
        """Send what is to be shown, the last first: what was overtaken is never sent."""
        data = begin(self._number)
        while True:
            await self._changed.wait()
            self._changed.clear()
            data += frame(self._rows, self._columns, self._encoding)
            try:
                async with asyncio.timeout(self._write_timeout_s):
                    await link.write(data)
            except TimeoutError:
                link.fail(
                    DeviceUnavailable(
                        f"Display {self.id}: expected it to take {len(data)} bytes within "
                        f"{self._write_timeout_s:g} s, it does not.",
                        cure="Check its power and its cable.",
                    )
                )
                return
            except DeviceUnavailable:
                return
            data = b""


def _byte(config: DeviceConfig, name: str, default: int) -> int:
    text = config.options.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text[:4]) < 256):
        raise DeviceMisconfigured(
            f"Device {config.id}: option {name} is {text!r}; expected 0 to 255.",
            cure="Leave it out, or look in the display's manual.",
        )
    return int(text)


_: type[CustomerDisplay] = LineDisplay
