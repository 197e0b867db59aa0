"""The table of drivers, and how a configured device becomes an object.

A row is a promise: the class takes a `DeviceConfig` and is a `hw.device.Device`. It is
imported only when configured.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from typing import cast

from hw.device import Device
from hw.errors import DeviceMisconfigured

DRIVERS: Mapping[str, str] = {
    "fiscal.noviapi": "hw.noviapi.driver:NoviapiPrinter",
    "fiscal.posnet": "hw.posnet.driver:PosnetPrinter",
    "printer.escpos": "hw.escpos.driver:EscposPrinter",
    "scanner.serial": "hw.scanner.driver:SerialScanner",
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

    options: Mapping[str, str] = field(default_factory=dict)
    """Driver's own settings, as written; each driver lists its own."""


def load(config: DeviceConfig) -> Device:
    """Make the device, not yet open.

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
    return cast("Device", driver(config))


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


def suggestion(word: str, known: Collection[str]) -> str:
    """A hint for a misspelt word."""
    near = get_close_matches(word, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else "Correct the spelling."
