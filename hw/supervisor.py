"""Keeps every configured device connected, and knows how each of them is.

One task per device: open, work until lost, close, wait, again. Waiting doubles up to a
cap, with full jitter, so that tills whose switch was restarted do not all knock at once.
A loss is logged once, and so is the return.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import structlog

from hw.device import Device, Health, ReceiptPrinter, Scan, Scanner
from hw.errors import DeviceMisconfigured, DeviceUnavailable, HwError
from hw.registry import DeviceConfig, load

State: TypeAlias = Literal["connecting", "connected", "lost", "misconfigured", "failed"]
"""`failed` is a bug of ours: the device's task ended. The rest goes on without it."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """How one device is, in words for a person."""

    id: str
    driver: str
    till: str | None
    state: State
    problem: str | None
    """What is wrong now; a connected printer may be out of paper."""

    cure: str | None


@dataclass(slots=True)
class _Watched:
    """A configured device and what became of it."""

    config: DeviceConfig
    device: Device | None = None
    state: State = "connecting"
    error: HwError | None = None
    task: asyncio.Task[None] | None = None


class Supervisor:
    """Owns the devices between `start` and `close`."""

    def __init__(
        self,
        configs: Sequence[DeviceConfig],
        *,
        on_scan: Callable[[Scan], None],
        on_change: Callable[[DeviceStatus], None] = lambda _: None,
        first_wait_s: float = 0.25,
        longest_wait_s: float = 5.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Take the configuration; nothing is opened yet.

        Args:
            configs: The devices; ids must differ.
            on_scan: Gets every scan, in the order read; must not wait (a queue's
                `put_nowait`).
            on_change: Gets the status when a device's state changes.
            first_wait_s: Upper bound of the first wait; doubled after each failure.
            longest_wait_s: The cap of that bound.
            sleep: For tests that do not wait.
            jitter: Random number from 0 to 1.

        Raises:
            DeviceMisconfigured: Two devices have the same id.
        """
        self._watched: dict[str, _Watched] = {}
        for config in configs:
            if config.id in self._watched:
                raise DeviceMisconfigured(
                    f"Device id {config.id!r} is given twice; expected every id once.",
                    cure="Rename one of the devices.",
                )
            self._watched[config.id] = _Watched(config)
        self._on_scan = on_scan
        self._on_change = on_change
        self._first_wait_s = first_wait_s
        self._longest_wait_s = longest_wait_s
        self._sleep = sleep
        self._jitter = jitter

    async def start(self) -> None:
        """Begin to connect; returns at once, whether or not anything is plugged in."""
        for watched in self._watched.values():
            try:
                watched.device = load(watched.config)
            except DeviceMisconfigured as error:
                self._note(watched, "misconfigured", error)
                continue
            watched.task = asyncio.create_task(
                self._watch(watched, watched.device), name=f"device {watched.config.id}"
            )

    async def close(self) -> None:
        """Let go of every device; returns when all tasks have ended."""
        tasks = [w.task for w in self._watched.values() if w.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def printer(self, till: str) -> ReceiptPrinter | None:
        """The till's own printer, else a shared one; None when none is configured.

        It is given whether connected or not: an unconnected one refuses.
        """
        printers = [
            w.device for w in self._watched.values() if isinstance(w.device, ReceiptPrinter)
        ]
        own = [printer for printer in printers if printer.till == till]
        shared = [printer for printer in printers if printer.till is None]
        return next(iter(own + shared), None)

    def statuses(self) -> list[DeviceStatus]:
        """All devices, in the order configured."""
        return [_status(watched) for watched in self._watched.values()]

    async def _watch(self, watched: _Watched, device: Device) -> None:
        now = asyncio.get_running_loop().time
        failures = 0
        try:
            while True:
                began = now()
                try:
                    await device.open()
                    self._note(watched, "connected", None)
                    error = await self._work(device)
                except HwError as failure:
                    error = failure
                finally:
                    await device.close()
                wrong = isinstance(error, DeviceMisconfigured)
                self._note(watched, "misconfigured" if wrong else "lost", error)
                # One that connects and falls off at once is not well: no fresh start for it.
                failures = 0 if now() - began > self._longest_wait_s else failures
                bound = min(self._longest_wait_s, self._first_wait_s * 2.0**failures)
                failures = min(failures + 1, 32)
                await self._sleep(self._jitter() * bound)
        except Exception:
            watched.state = "failed"
            watched.error = HwError(
                f"Device {device.id} was given up after an error inside Karb.",
                cure="Restart Karb, and report what its log says.",
            )
            _log.exception("device.failed", device=device.id)
            raise

    async def _work(self, device: Device) -> HwError:
        """Until the connection is lost."""
        if not isinstance(device, Scanner):
            return await device.lost()
        try:
            async for scan in device.scans():
                self._on_scan(scan)
        except DeviceUnavailable as error:
            return error
        raise AssertionError(f"{device.id}: scans() ended without saying why")

    def _note(self, watched: _Watched, state: State, error: HwError | None) -> None:
        before, watched.state, watched.error = watched.state, state, error
        if state == before:
            return
        if error is not None:
            _log.warning(
                f"device.{state}",
                device=watched.config.id,
                problem=error.problem,
                cure=error.cure,
            )
        else:
            _log.info("device.connected", device=watched.config.id)
        self._on_change(_status(watched))


def _status(watched: _Watched) -> DeviceStatus:
    health = Health()
    if watched.error is not None:
        health = Health(watched.error.problem, watched.error.cure)
    elif watched.state == "connected" and watched.device is not None:
        health = watched.device.health()
    return DeviceStatus(
        id=watched.config.id,
        driver=watched.config.driver,
        till=watched.config.till,
        state=watched.state,
        problem=health.problem,
        cure=health.cure,
    )
