"""The machine's serial ports and keyboards: where, by what they are known, who holds them.

Linux numbers ports in the order things were plugged in, so `/dev/ttyUSB0` names nothing. A
device is known by `usb:VENDOR:PRODUCT:SERIAL`, wherever it is plugged in; one without a serial
number of its own (most CH340, many scanners) by `port:1-1.4:1.0`, the socket it is plugged
into, and whatever is plugged in there is taken for it.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SYS = Path("/sys")
PROC = Path("/proc")
IDENTITIES = ("usb:", "port:")
_TYPING = sum(1 << key for key in (*range(2, 12), 28))
"""Bits of the keys 1 to 0 and Enter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One serial port, or one keyboard."""

    path: str
    """As `/dev/ttyACM0` or `/dev/input/event3`; another one after the next start of the machine."""

    vendor: str = ""
    """USB, four hexadecimal digits; empty on a port that is soldered in."""

    product: str = ""
    serial: str = ""
    """Of the device itself; empty when it has none."""

    socket: str = ""
    """USB path and interface, as `1-1.4:1.0`."""

    label: str = ""
    """Maker and model, as the device says."""

    @property
    def identity(self) -> str:
        """By what it is found again; the path where nothing better is known."""
        if self.serial:
            return f"usb:{self.vendor}:{self.product}:{self.serial}"
        return f"port:{self.socket}" if self.socket else self.path

    @property
    def own(self) -> bool:
        """Whether the identity is the device's own, and not that of its socket."""
        return bool(self.serial)


def serial_ports(sys: Path = SYS) -> list[Port]:
    """Every port with a device behind it, by path."""
    ports = []
    for entry in sorted((sys / "class" / "tty").glob("*/device")):
        port = _on_usb(entry, f"/dev/{entry.parent.name}", sys)
        if port is not None:
            ports.append(port)
        elif _has_uart(entry.parent):
            ports.append(Port(path=f"/dev/{entry.parent.name}"))
    return ports


def keyboards(sys: Path = SYS) -> list[Port]:
    """Every USB device that types, by path: keyboards, and scanners that pretend to be one."""
    found = (
        _on_usb(entry, f"/dev/input/{entry.parent.name}", sys)
        for entry in sorted((sys / "class" / "input").glob("event*/device"))
        if _types(entry)
    )
    return [port for port in found if port is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsbDevice:
    """Something on USB, whether or not it is a serial port."""

    vendor: str
    product: str
    serial: str
    label: str
    classes: frozenset[str]
    """Of its interfaces, two hexadecimal digits each: ``07`` prints."""

    @property
    def identity(self) -> str:
        """By what it is found again; without a serial number any of its kind is taken for it."""
        return ":".join(filter(None, ("usb", self.vendor, self.product, self.serial)))


def usb_devices(sys: Path = SYS) -> list[UsbDevice]:
    """Everything that is plugged in, hubs included."""
    found = []
    for entry in sorted((sys / "bus" / "usb" / "devices").glob("*")):
        if not (entry / "idVendor").exists():
            continue
        classes = {_read(file).lower() for file in entry.glob("*/bInterfaceClass")}
        found.append(
            UsbDevice(
                vendor=_read(entry / "idVendor").lower(),
                product=_read(entry / "idProduct").lower(),
                serial=own_serial(_read(entry / "serial")),
                label=" ".join(
                    filter(None, (_read(entry / "manufacturer"), _read(entry / "product")))
                ),
                classes=frozenset(classes),
            )
        )
    return found


def find(identity: str, sys: Path = SYS, *, kind: Literal["tty", "input"] = "tty") -> str | None:
    """Where a device is plugged in now; None: nowhere, or it cannot be told from another."""
    found = [
        port.path
        for port in (serial_ports(sys) if kind == "tty" else keyboards(sys))
        if identity in (port.identity, f"port:{port.socket}")
    ]
    return found[0] if len(found) == 1 else None


def holder(path: str, proc: Path = PROC) -> str | None:
    """The process that has a port open, as `minicom (process 812)`; None when none is seen.

    Those of other users are seen by root only.
    """
    real = os.path.realpath(path)
    for folder in sorted(proc.glob("[0-9]*")):
        if folder.name == str(os.getpid()):
            continue
        with suppress(OSError):
            for descriptor in (folder / "fd").iterdir():
                with suppress(OSError):
                    if str(descriptor.readlink()) == real:
                        return f"{_read(folder / 'comm') or '?'} (process {folder.name})"
    return None


def _on_usb(entry: Path, path: str, sys: Path) -> Port | None:
    """The port of a USB device; None when it is none."""
    parents = _parents(entry.resolve(), sys.resolve())
    usb = next((folder for folder in parents if (folder / "idVendor").exists()), None)
    if usb is None:
        return None
    interface = next((folder for folder in parents if (folder / "bInterfaceNumber").exists()), usb)
    return Port(
        path=path,
        vendor=_read(usb / "idVendor").lower(),
        product=_read(usb / "idProduct").lower(),
        serial=own_serial(_read(usb / "serial")),
        socket=interface.name,
        label=" ".join(filter(None, (_read(usb / "manufacturer"), _read(usb / "product")))),
    )


def _types(device: Path) -> bool:
    """Whether it has Enter and the digits."""
    keys = _read(device / "capabilities" / "key").split()
    try:
        return bool(keys) and int(keys[-1], 16) & _TYPING == _TYPING
    except ValueError:
        return False


def _parents(folder: Path, root: Path) -> list[Path]:
    return [one for one in (folder, *folder.parents) if root in one.parents]


def _has_uart(tty: Path) -> bool:
    """Whether there is a chip behind a port that is soldered in; most of them are empty."""
    return _read(tty / "type") not in ("0", "")


def own_serial(serial: str) -> str:
    """What of a serial number names a device; often nothing.

    Some makers write no number but a word, or spaces; what says nothing names nothing.
    """
    text = "".join(char for char in serial if (char.isascii() and char.isalnum()) or char in "-_.")
    return "" if not text.strip("0") or len(text) < 3 else text  # "0000", "1"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
