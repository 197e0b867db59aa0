"""`reader.nfc`: an NFC reader on USB (PN531, PN533, Sony RC-S, ACR122U) or a serial port (PN532).

`url` is `usb:VENDOR:PRODUCT`, `serial:/dev/ttyUSB0`, or `udp:host:port` (a simulated card).
Options: `chip` (`pn532` or `arygon`, on a serial port), `technologies` (`106A,106B,212F`: those
looked for, in that order), `poll_s` (0.25) between two looks, `again_s` (2) within which a card
that left and came back is the same touch.
"""

import asyncio
import errno
import logging
import re
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from hw.device import Card, Health
from hw.errors import DeviceMisconfigured, DeviceUnavailable, HwError
from hw.registry import DeviceConfig, check_options, chosen, positive

JOIN_S = 10.0
"""How long closing waits for a reader that does not come back."""

_TECHNOLOGIES = frozenset({"106A", "106B", "212A", "212F", "424F"})

_PLACES = (
    (re.compile(r"usb:([0-9a-fA-F]{4}:[0-9a-fA-F]{4})"), "usb:{0}"),
    (re.compile(r"serial:/dev/tty([A-Za-z0-9]+)"), "tty:{0}:{chip}"),
    (re.compile(r"udp:([^:]+:[0-9]{1,5})"), "udp:{0}"),
)
"""Our places, and what nfcpy calls them."""


class NfcReader:
    """One reader."""

    def __init__(self, config: DeviceConfig) -> None:
        check_options(config, ("chip", "technologies", "poll_s", "again_s"))
        self.id = config.id
        self.till = config.till
        self._url = config.url
        self._chip = chosen(config, "chip", ("pn532", "arygon"))
        self._technologies = _technologies(config)
        self._poll_s = positive(config, "poll_s", 0.25)
        self._again_s = positive(config, "again_s", 2.0)
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._cards: asyncio.Queue[Card | None] = asyncio.Queue()
        self._lost: asyncio.Future[HwError] | None = None
        self._last: tuple[str, str | None, float] = ("", None, float("-inf"))

    async def open(self) -> None:
        """See `Device.open`."""
        loop, path = asyncio.get_running_loop(), self.path()
        opened: asyncio.Future[None] = loop.create_future()
        self._lost, self._stop = loop.create_future(), threading.Event()
        self._cards = asyncio.Queue()
        # A daemon: a library that hangs must not keep the program from ending.
        self._thread = threading.Thread(
            target=self._run,
            args=(path, loop, opened, self._lost),
            name=f"nfc {self.id}",
            daemon=True,
        )
        self._thread.start()
        await opened

    async def cards(self) -> AsyncIterator[Card]:
        """See `CardReader.cards`."""
        while (card := await self._cards.get()) is not None:
            yield card
        error = await self.lost()
        raise DeviceUnavailable(error.problem, cure=error.cure)

    async def lost(self) -> HwError:
        """See `Device.lost`."""
        if self._lost is None:
            return self._gone("it is not open")
        return await asyncio.shield(self._lost)

    async def close(self) -> None:
        """See `Device.close`."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            await asyncio.to_thread(thread.join, JOIN_S)

    def health(self) -> Health:
        """See `Device.health`."""
        return Health()

    def path(self) -> str:
        """Its place, as nfcpy calls it.

        Raises:
            DeviceMisconfigured: No reader can be there.
        """
        for place, path in _PLACES:
            match = place.fullmatch(self._url)
            if match:
                return path.format(match[1], chip=self._chip)
        raise DeviceMisconfigured(
            f"Device {self.id}: url is {self._url!r}; expected usb:VENDOR:PRODUCT, "
            "serial:/dev/tty… or udp:host:port.",
            cure="karb devices scan shows readers that are plugged in.",
        )

    # In the thread.

    def _run(
        self,
        path: str,
        loop: asyncio.AbstractEventLoop,
        opened: "asyncio.Future[None]",
        lost: "asyncio.Future[HwError]",
    ) -> None:
        stop, error = self._stop, self._gone("it was closed")
        try:
            frontend = self._opened(path)
        except HwError as failure:
            _call(loop, _fail, opened, failure)
            return
        _call(loop, _settle, opened, None)
        try:
            while not stop.is_set():
                if self._looked(frontend, loop) is False:
                    error = self._gone("it does not answer")
                    break
        except OSError as failure:
            error = self._gone(str(failure))
        finally:
            with suppress(OSError):
                frontend.close()
            _call(loop, _settle, lost, error)
            _call(loop, self._cards.put_nowait, None)

    def _opened(self, path: str) -> Any:
        # Only a till with a reader pays for the library.
        import nfc  # type: ignore[import-untyped]  # noqa: PLC0415

        # It tells at length of cards that were taken away too soon.
        logging.getLogger("nfc").setLevel(logging.CRITICAL)
        try:
            return nfc.ContactlessFrontend(path)
        except OSError as error:
            if error.errno == errno.EACCES:
                raise DeviceMisconfigured(
                    f"Reader {self.id} at {self._url}: expected leave to open it, got {error}.",
                    cure="Install systemd/70-karb.rules, and plug it in anew.",
                ) from error
            why = "another program has it" if error.errno == errno.EBUSY else str(error)
            raise self._gone(why) from error
        except ImportError as error:
            raise DeviceMisconfigured(
                f"Reader {self.id} at {self._url}: expected {error.name} on this machine.",
                cure="Install libusb 1.0 (Debian: libusb-1.0-0).",
            ) from error

    def _looked(self, frontend: Any, loop: asyncio.AbstractEventLoop) -> bool | None:
        """Look for a card, tell of it, and wait until it is gone; False: the reader is lost."""

        def touched(tag: Any) -> bool:
            self._read(tag, loop)
            return True

        looked: bool | None = frontend.connect(
            rdwr={
                "targets": self._technologies,
                "on-connect": touched,
                "iterations": 1,
                "interval": self._poll_s,
            },
            terminate=self._waited,
        )
        return looked

    def _waited(self) -> bool:
        """Whether to stop, asked before each look."""
        return self._stop.wait(self._poll_s)

    def _read(self, tag: Any, loop: asyncio.AbstractEventLoop) -> None:
        # It brings a parser of records: only once a card is there.
        from hw.nfc.codec import text_of, uid_of  # noqa: PLC0415

        uid = uid_of(bytes(tag.identifier))
        written = tag.ndef  # None too when it was taken away while it was read
        text = text_of(bytes(written.octets)) if written is not None else None
        now = loop.time()
        before, self._last = self._last, (uid, text, now)
        if (uid, text) == before[:2] and now - before[2] < self._again_s:
            return
        card = Card(uid=uid, text=text, at_s=now, device=self.id, till=self.till)
        _call(loop, self._cards.put_nowait, card)

    def _gone(self, why: str) -> DeviceUnavailable:
        return DeviceUnavailable(
            f"Reader {self.id} at {self._url}: expected it there, {why}.",
            cure="Plug it in; systemd/karb.modprobe.conf keeps the kernel's own driver off it.",
        )


def _technologies(config: DeviceConfig) -> list[str]:
    names = config.options.get("technologies", "106A,106B,212F").split(",")
    if wrong := [name for name in names if name not in _TECHNOLOGIES]:
        raise DeviceMisconfigured(
            f"Device {config.id}: option technologies has {wrong[0]!r}; expected some of "
            f"{', '.join(sorted(_TECHNOLOGIES))}.",
            cure="Leave it out for those of common cards.",
        )
    return names


def _call(loop: asyncio.AbstractEventLoop, what: Any, *values: Any) -> None:
    with suppress(RuntimeError):  # the loop ended first
        loop.call_soon_threadsafe(what, *values)


def _settle(future: "asyncio.Future[Any]", value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: "asyncio.Future[Any]", error: HwError) -> None:
    if not future.done():
        future.set_exception(error)
