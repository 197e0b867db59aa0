"""What is plugged in, or announces itself on the network; and that something has changed.

`scan` looks once. `Watch` says at once that a port came or went (the kernel's own events; where
the library or the right to hear them is missing, a slow look does).
"""

import asyncio
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from hw.ports import SYS, holder, keyboards, serial_ports, usb_devices
from hw.registry import MATCHES

POLL_S = 5.0
"""Between two looks at the ports, in case an event was missed."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Something that may be a device."""

    url: str
    """For the configuration."""

    drivers: tuple[str, ...]
    """Those that may fit, the likeliest first."""

    label: str
    bound_by: str
    """By what it will be found again: ``serial number``, ``model`` (there may be but one of it),
    ``socket`` (whatever is plugged in
    there), ``path`` (may be another's after a restart), ``name`` or ``simulator``."""

    holder: str | None = None
    """Another process that has it open."""


def simulated() -> Path:
    """Folder in which simulators leave their ports, so that a scan finds them."""
    return Path(tempfile.gettempdir()) / f"karb-simulated-{os.geteuid()}"


async def scan(interfaces: Sequence[str] = (), *, listen_s: float = 2.5) -> list[Found]:
    """Look at the ports, and listen on the network for a while.

    Args:
        interfaces: Addresses of this machine to listen on; none: all.
        listen_s: How long to listen.
    """
    ports, services = await asyncio.gather(
        asyncio.to_thread(ports_found), _services(interfaces, listen_s)
    )
    return ports + services


def ports_found(sys: Path = SYS, folder: Path | None = None) -> list[Found]:
    """Serial ports, and those of running simulators."""
    found = []
    for port in serial_ports(sys):
        # A socket that is soldered in, and a path, are the same in every start.
        bound = "serial number" if port.own else "socket" if port.socket else "path"
        found.append(
            Found(
                url=f"serial:{port.identity}",
                drivers=_serial_drivers(port.vendor, port.product),
                label=f"{port.path} {port.label}".strip(),
                bound_by=bound,
                holder=holder(port.path),
            )
        )
    for device in usb_devices(sys):
        drivers = _matching(
            f"usb:{device.vendor}:{device.product}", *(f"usbclass:{one}" for one in device.classes)
        )
        if drivers:
            bound = "serial number" if device.serial else "model"
            found.append(
                Found(url=device.identity, drivers=drivers, label=device.label, bound_by=bound)
            )
    for keyboard in keyboards(sys):
        drivers = _matching(f"hid:{keyboard.vendor}")
        if drivers:  # a keyboard of the cashier is not ours to take away
            found.append(
                Found(
                    url=f"input:{keyboard.identity}",
                    drivers=drivers,
                    label=f"{keyboard.path} {keyboard.label}".strip(),
                    bound_by="serial number" if keyboard.own else "socket",
                )
            )
    for link in sorted((folder or simulated()).glob("*")):
        if _alive(link):
            driver = link.name.partition("-")[0]
            scheme = "input" if link.is_fifo() else "serial"
            found.append(
                Found(
                    url=f"{scheme}:{link}",
                    drivers=(driver,),
                    label="simulated",
                    bound_by="simulator",
                )
            )
    return found


def _alive(link: Path) -> bool:
    """Whether the simulator runs: one that was killed leaves a link to nothing, or a FIFO."""
    try:
        if link.is_fifo():
            os.close(os.open(link, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        return link.exists()
    except OSError:
        return False


def _serial_drivers(vendor: str, product: str) -> tuple[str, ...]:
    return _matching(f"usb:{vendor}:{product}", f"usb:{vendor}") or _matching("serial")


def _matching(*words: str) -> tuple[str, ...]:
    return tuple(
        driver for driver, matches in MATCHES.items() if any(match in words for match in matches)
    )


async def _services(interfaces: Sequence[str], listen_s: float) -> list[Found]:
    """Devices that announce themselves by multicast DNS."""
    # Few commands listen; a till need not carry the library.
    from zeroconf import InterfaceChoice, ServiceStateChange, Zeroconf  # noqa: PLC0415
    from zeroconf.asyncio import (  # noqa: PLC0415
        AsyncServiceBrowser,
        AsyncServiceInfo,
        AsyncZeroconf,
    )

    types = {
        match.removeprefix("mdns:"): driver
        for driver, matches in MATCHES.items()
        for match in matches
        if match.startswith("mdns:")
    }
    names: dict[str, str] = {}

    def changed(
        zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        del zeroconf
        if state_change is ServiceStateChange.Removed:
            names.pop(name, None)
        else:
            names[name] = service_type

    try:
        network = AsyncZeroconf(interfaces=list(interfaces) or InterfaceChoice.All)
    except OSError as error:
        _log.warning("discovery.no_network", problem=str(error))
        return []
    found = []
    try:
        browser = AsyncServiceBrowser(network.zeroconf, list(types), handlers=[changed])
        await asyncio.sleep(listen_s)
        await browser.async_cancel()
        for name, type_ in sorted(names.items()):
            info = AsyncServiceInfo(type_, name)
            if not await info.async_request(network.zeroconf, 1000) or not info.port:
                continue
            for address in info.parsed_addresses()[:1]:
                host = f"[{address}]" if ":" in address else address
                found.append(
                    Found(
                        url=f"tcp:{host}:{info.port}",
                        drivers=(types[type_],),
                        label=name.removesuffix(f".{type_}"),
                        bound_by="name",
                    )
                )
    finally:
        await network.async_close()
    return found


class Watch:
    """Calls back when a device came or went, between `start` and `close`."""

    def __init__(self, changed: Callable[[], None], poll_s: float = POLL_S) -> None:
        self._changed, self._poll_s = changed, poll_s
        self._task: asyncio.Task[None] | None = None
        self._stop: Callable[[], None] = lambda: None
        self.hears = False
        """Whether the kernel tells; else only the slow look does."""

    def start(self) -> None:
        """Begin. Only in a running event loop."""
        self._listen()
        self._task = asyncio.create_task(self._poll(), name="ports")

    async def close(self) -> None:
        """End."""
        self._stop()
        self._stop = lambda: None
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _listen(self) -> None:
        try:
            # It needs libudev, which a container may lack.
            import pyudev  # type: ignore[import-untyped]  # noqa: PLC0415

            monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source="kernel")
            monitor.filter_by("tty")
            monitor.filter_by("input")
            monitor.filter_by("usb", "usb_device")  # printers and readers that are neither
            monitor.start()
        except (ImportError, OSError) as error:
            _log.info("discovery.deaf", reason=str(error))
            return
        loop = asyncio.get_running_loop()
        descriptor = monitor.fileno()

        def ready() -> None:
            told = False
            while monitor.poll(0) is not None:
                told = True
            if told:
                # udev gives the new port to its group a moment after the kernel has told.
                self._changed()
                loop.call_later(0.3, self._changed)

        loop.add_reader(descriptor, ready)

        def stop() -> None:
            loop.remove_reader(descriptor)

        self._stop = stop
        self.hears = True

    async def _poll(self) -> None:
        before = _names()
        while True:
            await asyncio.sleep(self._poll_s)
            with suppress(OSError):
                now = _names()
                if now - before:
                    self._changed()
                before = now


def _names() -> set[Path]:
    places = ("class/tty", "class/input", "bus/usb/devices")
    return {path for place in places for path in (SYS / place).glob("*")}
