"""What `karb devices` does by itself: where no node runs, and for simulators."""

import asyncio
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from edge import folder
from edge.cli.say import FAILED, REFUSED, USAGE, Failure
from edge.config import BadConfig, Config, load, masked, with_device, without_device, write_devices
from hw.discovery import Found, scan, simulated
from hw.errors import DeviceMisconfigured
from hw.ports import IDENTITIES, find, holder
from hw.registry import SIMULATORS, DeviceConfig, suggestion
from hw.registry import load as make


def look(interfaces: list[str]) -> list[dict[str, Any]]:
    """Look what is there."""
    return [_shown(one) for one in asyncio.run(scan(interfaces))]


def held_by(found: dict[str, Any]) -> str | None:
    """Return the process that has a port; None when it is ours, or none is seen."""
    place = str(found["url"]).partition("?")[0].removeprefix("serial:")
    path = find(place) if place.startswith(IDENTITIES) else place
    if found["holder"] is not None or found["device"] is not None or path is None:
        held: str | None = found["holder"]
        return held
    return holder(path) if path.startswith("/") else None


def rows(data: Path) -> list[dict[str, Any]]:
    """Return the devices as configured."""
    config = _config(data)
    return [_configured(device, config) for device in config.devices]


def put(data: Path, id_: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Configure a device."""
    device = DeviceConfig(id=id_, **asked)
    return _configured(device, _changed(data, device))


def bind(data: Path, id_: str, till: str | None) -> dict[str, Any]:
    """Give a device to a till, or to all."""
    device = next((one for one in _config(data).devices if one.id == id_), None)
    if device is None:
        raise Failure(REFUSED, f"{id_}: expected a device of this node; see karb devices list.")
    device = replace(device, till=till, shared=till is None)
    return _configured(device, _changed(data, device))


def remove(data: Path, id_: str) -> None:
    """Let go of a device."""
    _changed(data, id_)


def simulate(driver: str, arguments: list[str], *, pty: bool) -> None:
    """Run a simulator until it is interrupted."""
    target = SIMULATORS.get(driver)
    if target is None:
        raise Failure(
            USAGE,
            f"{driver!r}: expected one of {', '.join(SIMULATORS)}. "
            f"{suggestion(driver, SIMULATORS)}",
        )
    if pty:
        arguments = [*arguments, "--link", str(_link(driver))]
    module, _, name = target.partition(":")
    asyncio.run(getattr(import_module(module), name)(arguments))


def _link(driver: str) -> Path:
    """Where a scan looks for it."""
    place = simulated()
    place.mkdir(mode=0o700, exist_ok=True)
    names = (place / f"{driver}-{n}" for n in range(1, 1000))
    return next(link for link in names if not link.exists())


def _config(data: Path) -> Config:
    try:
        return load(data)
    except BadConfig as error:
        raise Failure(USAGE, str(error)) from error


def _changed(data: Path, device: DeviceConfig | str) -> Config:
    """Change `devices.toml` while no node runs; by id: remove it."""
    config = _config(data)
    try:
        with folder.locked(data):
            if isinstance(device, str):
                after = without_device(config, device)
            else:
                after = with_device(config, device)
                make(device)
            write_devices(after)
    except (BadConfig, DeviceMisconfigured, folder.AlreadyRunning) as error:
        raise Failure(REFUSED, str(error)) from error
    except OSError as error:
        raise Failure(FAILED, f"{data}: cannot be written ({error.strerror}).") from error
    return after


def _shown(found: Found) -> dict[str, Any]:
    return {
        "url": found.url,
        "drivers": found.drivers,
        "label": found.label,
        "bound_by": found.bound_by,
        "holder": found.holder,
        "device": None,
    }


def _configured(device: DeviceConfig, config: Config) -> dict[str, Any]:
    return {
        "id": device.id,
        "driver": device.driver,
        "url": device.url,
        "till": device.till,
        "shared": device.shared,
        "stand_in": device.stand_in,
        "options": masked(device.options),
        "added": device.id in config.added,
        "state": "not running",
        "problem": None,
        "cure": None,
    }
