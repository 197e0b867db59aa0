"""The table of drivers, and how a configured device becomes an object.

A row is a promise: the class takes a `DeviceConfig` and is a `hw.device.Device`. It is
imported only when configured.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from os.path import realpath
from typing import TypeVar, cast

from hw.device import Device
from hw.errors import DeviceMisconfigured
from hw.memory import Memory

_Word = TypeVar("_Word", bound=str)

DRIVERS: Mapping[str, str] = {
    "display.line": "hw.linedisplay.driver:LineDisplay",
    "fiscal.noviapi": "hw.noviapi.driver:NoviapiPrinter",
    "fiscal.posnet": "hw.posnet.driver:PosnetPrinter",
    "printer.escpos": "hw.escpos.driver:EscposPrinter",
    "reader.nfc": "hw.nfc.driver:NfcReader",
    "scale.mtsics": "hw.mtsics.driver:MtsicsScale",
    "scale.toledo8217": "hw.toledo.driver:ToledoScale",
    "scanner.evdev": "hw.evdev.driver:EvdevScanner",
    "scanner.serial": "hw.scanner.driver:SerialScanner",
    "terminal.ecreft": "hw.ecreft.driver:EcreftTerminal",
    "terminal.nexo": "hw.nexo.driver:NexoTerminal",
    "terminal.standalone": "hw.standalone.driver:StandaloneTerminal",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig:
    """One device, as a person configured it."""

    id: str
    driver: str
    """A key of `DRIVERS`."""

    url: str
    """Where it is plugged in: `serial:/dev/…`, `tcp:host:port` or `http://host:port`."""

    till: str | None = None
    """None: shared by all tills."""

    shared: bool = False
    """Every till may use it, one at a time. A device of no till is one till's only where the
    node has but one."""

    stand_in: str | None = None
    """Printer that does its work while it cannot."""

    options: Mapping[str, str] = field(default_factory=dict)
    """Driver's own settings, as written; each driver lists its own."""


MATCHES: Mapping[str, tuple[str, ...]] = {
    "fiscal.posnet": ("usb:1424",),
    "printer.escpos": (
        "usb:04b8",  # Epson
        "usb:0519",  # Star
        "usb:1504",  # Bixolon
        "usbclass:07",  # any printer on USB
        "mdns:_pdl-datastream._tcp.local.",
    ),
    "reader.nfc": (
        "usb:054c:02e1",  # Sony RC-S330
        "usb:054c:0193",  # Sony PN531
        "usb:054c:06c1",  # Sony RC-S380
        "usb:054c:06c3",
        "usb:072f:2200",  # ACS ACR122U
        "usb:04cc:2533",  # NXP PN533
        "usb:04e6:5591",  # SCM SCL3711
    ),
    "scale.mtsics": ("usb:0eb8",),  # Mettler-Toledo
    "scale.toledo8217": ("usb:0eb8",),
    "scanner.evdev": ("hid:05e0", "hid:0c2e", "hid:05f9", "hid:065a", "hid:1eab"),  # as below
    "scanner.serial": (
        "usb:05e0",  # Zebra, Symbol
        "usb:0c2e",  # Honeywell
        "usb:05f9",  # Datalogic
        "usb:065a",  # Opticon
        "usb:1eab",  # Newland
        "serial",
    ),
}
"""By what a scan takes a device for a driver's: `usb:vendor`, `usb:vendor:product`,
`usbclass:class` (of an interface), `mdns:type`, `hid:vendor` for what types like a keyboard, or
`serial` for any serial port that nobody else
claims."""

SIMULATORS: Mapping[str, str] = {
    "display.line": "hw.linedisplay.simulator:main",
    "fiscal.noviapi": "hw.noviapi.simulator:main",
    "fiscal.posnet": "hw.posnet.simulator:main",
    "printer.escpos": "hw.escpos.simulator:main",
    "reader.nfc": "hw.nfc.simulator:main",
    "scale.mtsics": "hw.mtsics.simulator:main",
    "scale.toledo8217": "hw.toledo.simulator:main",
    "scanner.evdev": "hw.evdev.simulator:main",
    "scanner.serial": "hw.scanner.simulator:main",
    "terminal.ecreft": "hw.ecreft.simulator:main",
    "terminal.nexo": "hw.nexo.simulator:main",
}
"""Driver to what `karb devices simulate` starts: `main(arguments)`, which prints where a driver
finds it and obeys lines typed at it; `--listen HOST:PORT` for a socket, `--link PATH` for a serial
line."""


def place(url: str) -> str:
    """What stands at a URL, whatever its settings: two devices cannot stand in one place."""
    where = url.partition("?")[0].rstrip("/")
    scheme, _, rest = where.partition(":")
    on_this_machine = scheme in {"serial", "input"} and rest[:1] == "/"
    return f"{scheme}:{realpath(rest)}" if on_this_machine else where.lower()


def load(config: DeviceConfig, memory: Memory | None = None) -> Device:
    """Make the device, not yet open.

    Args:
        config: As a person wrote it.
        memory: Where a driver that must remember its orders keeps them.

    Raises:
        DeviceMisconfigured: Unknown driver, library not installed, or a wrong option.
    """
    target = DRIVERS.get(config.driver)
    if target is None:
        raise DeviceMisconfigured(
            f"Device {config.id}: driver {config.driver!r} is unknown; "
            f"expected one of {', '.join(DRIVERS)}.",
            cure=suggestion(config.driver, DRIVERS),
        )
    module, _, name = target.partition(":")
    try:
        driver = getattr(import_module(module), name)
    except ImportError as error:
        raise DeviceMisconfigured(
            f"Device {config.id}: driver {config.driver} needs {error.name}, "
            "which is not installed.",
            cure="Install Karb with all its requirements.",
        ) from error
    remembers = memory is not None and "memory" in signature(driver).parameters
    return cast("Device", driver(config, memory) if remembers else driver(config))


def check_options(config: DeviceConfig, known: Collection[str]) -> None:
    """Refuse options the driver does not have: a typing error must not be ignored.

    Raises:
        DeviceMisconfigured: An option is not in `known`.
    """
    for name in config.options:
        if name not in known:
            raise DeviceMisconfigured(
                f"Device {config.id}: option {name!r} is unknown; "
                f"expected one of {', '.join(known)}.",
                cure=suggestion(name, known),
            )


def positive(config: DeviceConfig, name: str, default: float) -> float:
    """A numeric option greater than zero.

    Raises:
        DeviceMisconfigured: It is not.
    """
    text = config.options.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise DeviceMisconfigured(
            f"Device {config.id}: option {name} is {text!r}; expected a number above zero.",
            cure=f"Leave it out for {default:g}.",
        )
    return value


def chosen(config: DeviceConfig, name: str, known: Sequence[_Word]) -> _Word:
    """An option that is one of a few words; the first when it is left out.

    Raises:
        DeviceMisconfigured: It is another.
    """
    text = config.options.get(name, known[0])
    for word in known:
        if word == text:
            return word
    raise DeviceMisconfigured(
        f"Device {config.id}: option {name} is {text!r}; expected {' or '.join(known)}.",
        cure=suggestion(text, known),
    )


def suggestion(word: str, known: Collection[str]) -> str:
    """A hint for a misspelt word."""
    near = get_close_matches(word, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else "Correct the spelling."
