"""Keeps every configured device connected, and knows how each of them is.

One task per device: open, work until lost, close, wait, again. Waiting doubles up to a
cap, with full jitter, so that tills whose switch was restarted do not all knock at once.
A loss is logged once, and so is the return.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

import structlog

from hw.device import (
    Card,
    CardReader,
    CashDrawer,
    CustomerDisplay,
    Device,
    DrawerChange,
    FiscalPrinter,
    Health,
    PaymentTerminal,
    ReceiptPrinter,
    Scale,
    Scan,
    Scanner,
)
from hw.errors import DeviceMisconfigured, DeviceUnavailable, HwError
from hw.memory import Memory
from hw.registry import DeviceConfig, load, place

State: TypeAlias = Literal["connecting", "connected", "lost", "misconfigured", "failed"]
"""`failed` is a bug of ours: the device's task ended. The rest goes on without it."""

_D = TypeVar("_D", bound=Device)

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
    nudged: asyncio.Event = field(default_factory=asyncio.Event)


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
            configs: The devices; ids and places must differ.
            on_scan: Gets every scan, in the order read; must not wait (a queue's
                `put_nowait`).
            on_change: Gets the status when a device's state changes.
            first_wait_s: Upper bound of the first wait; doubled after each failure.
            longest_wait_s: The cap of that bound.
            sleep: For tests that do not wait.
            jitter: Random number from 0 to 1.

        Raises:
            DeviceMisconfigured: Two devices have the same id, or stand in the same place.
        """
        self._watched: dict[str, _Watched] = {}
        for config in configs:
            self._check_new(config)
            self._watched[config.id] = _Watched(config)
        self._on_scan = on_scan
        self._on_change = on_change
        self.memory: Callable[[str], Memory | None] = lambda _: None
        """Where a device's driver keeps what must outlive the process. Set before `start`."""

        self.on_card: Callable[[Card], None] = lambda _: None
        """Gets every card, in the order read; must not wait. Set before `start`."""

        self.on_drawer: Callable[[DrawerChange], None] = lambda _: None
        """Gets what changes at cash drawers, likewise."""

        self._first_wait_s = first_wait_s
        self._longest_wait_s = longest_wait_s
        self._sleep = sleep
        self._jitter = jitter

    async def start(self) -> None:
        """Begin to connect; returns at once, whether or not anything is plugged in."""
        for watched in self._watched.values():
            self._begin(watched)

    async def close(self) -> None:
        """Let go of every device; returns when all tasks have ended."""
        await _ended(*self._watched.values())

    async def add(self, config: DeviceConfig) -> None:
        """Take one more device, or one that was configured otherwise, while running.

        Raises:
            DeviceMisconfigured: Another device stands in the same place; nothing is changed.
        """
        self._check_new(config, instead_of=config.id)
        before = self._watched.pop(config.id, None)
        watched = self._watched[config.id] = _Watched(config)
        if before is not None:
            await _ended(before)
        self._begin(watched)

    async def remove(self, id_: str) -> None:
        """Let go of a device for good; harmless when there is none."""
        watched = self._watched.pop(id_, None)
        if watched is not None:
            await _ended(watched)

    def nudge(self) -> None:
        """Something was plugged in: try at once what waits to be tried again."""
        for watched in self._watched.values():
            watched.nudged.set()

    def device(self, id_: str) -> Device | None:
        """A device, connected or not; None when there is none of this id that could be made."""
        watched = self._watched.get(id_)
        return watched.device if watched is not None else None

    def config(self, id_: str) -> DeviceConfig | None:
        """How a device is configured."""
        watched = self._watched.get(id_)
        return watched.config if watched is not None else None

    def printer_of(self, device: str) -> ReceiptPrinter | None:
        """The printer of this id; None when there is none."""
        found = self.device(device)
        return found if isinstance(found, ReceiptPrinter) else None

    def fiscal_of(self, device: str) -> FiscalPrinter | None:
        """The fiscal printer of this id; None when there is none."""
        found = self.device(device)
        return found if isinstance(found, FiscalPrinter) else None

    def terminal_of(self, device: str) -> PaymentTerminal | None:
        """The payment terminal of this id; None when there is none."""
        found = self.device(device)
        return found if isinstance(found, PaymentTerminal) else None

    def stand_in(self, device: str) -> str | None:
        """Which printer of its kind does its work while it cannot; None: it waits."""
        config = self.config(device)
        name = config.stand_in if config is not None else None
        if name is None:
            return None
        if self.fiscal_of(device) is not None:
            return name if self.fiscal_of(name) is not None else None
        return name if self.printer_of(name) is not None else None

    def printer(self, till: str) -> ReceiptPrinter | None:
        """The till's own printer, else a shared one; None when none is configured.

        It is given whether connected or not: an unconnected one refuses.
        """
        devices = [w.device for w in self._watched.values()]
        return _of_till([d for d in devices if isinstance(d, ReceiptPrinter)], till)

    def fiscal_printer(self, till: str) -> FiscalPrinter | None:
        """The till's own fiscal printer, else a shared one; None when none is configured.

        It is given whether connected or not: an unconnected one refuses.
        """
        devices = [w.device for w in self._watched.values()]
        return _of_till([d for d in devices if isinstance(d, FiscalPrinter)], till)

    def payment_terminal(self, till: str) -> PaymentTerminal | None:
        """The till's own payment terminal, else a shared one; None when none is configured.

        It is given whether connected or not: an unconnected one refuses.
        """
        devices = [w.device for w in self._watched.values()]
        return _of_till([d for d in devices if isinstance(d, PaymentTerminal)], till)

    def scale(self, till: str) -> Scale | None:
        """The till's own scale, else a shared one; None when none is configured.

        It is given whether connected or not: an unconnected one says that it has no weight.
        """
        devices = [w.device for w in self._watched.values()]
        return _of_till([d for d in devices if isinstance(d, Scale)], till)

    def display(self, till: str) -> CustomerDisplay | None:
        """The till's own customer display, else a shared one; None when none is configured."""
        devices = [w.device for w in self._watched.values()]
        return _of_till([d for d in devices if isinstance(d, CustomerDisplay)], till)

    def statuses(self) -> list[DeviceStatus]:
        """All devices, in the order configured."""
        return [_status(watched) for watched in self._watched.values()]

    def _check_new(self, config: DeviceConfig, instead_of: str | None = None) -> None:
        for known in self._watched.values():
            if known.config.id == instead_of:
                continue
            if known.config.id == config.id:
                raise DeviceMisconfigured(
                    f"Device id {config.id!r} is given twice; expected every id once.",
                    cure="Rename one of the devices.",
                )
            if place(known.config.url) == place(config.url):
                raise DeviceMisconfigured(
                    f"Device {config.id}: expected a place of its own, {config.url} is "
                    f"{known.config.id}'s ({known.config.url}).",
                    cure="Remove one of the two, or correct its url.",
                )

    def _begin(self, watched: _Watched) -> None:
        try:
            watched.device = load(watched.config, self.memory(watched.config.id))
        except DeviceMisconfigured as error:
            self._note(watched, "misconfigured", error)
            return
        watched.task = asyncio.create_task(
            self._watch(watched, watched.device), name=f"device {watched.config.id}"
        )

    async def _rest(self, watched: _Watched, wait_s: float) -> None:
        """Wait, or until something was plugged in."""
        watched.nudged.clear()
        sleeping = asyncio.ensure_future(self._sleep(wait_s))
        nudged = asyncio.ensure_future(watched.nudged.wait())
        try:
            await asyncio.wait([sleeping, nudged], return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            nudged.cancel()
            await asyncio.gather(sleeping, nudged, return_exceptions=True)

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
                await self._rest(watched, self._jitter() * bound)
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
        try:
            if isinstance(device, Scanner):
                async for scan in device.scans():
                    self._on_scan(scan)
            elif isinstance(device, CardReader):
                async for card in device.cards():
                    self.on_card(card)
            elif isinstance(device, CashDrawer):
                async for change in device.drawer_changes():
                    self.on_drawer(change)
            else:
                return await device.lost()
        except DeviceUnavailable as error:
            return error
        raise AssertionError(f"{device.id}: it ended without saying why")

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


async def _ended(*watched: _Watched) -> None:
    tasks = [one.task for one in watched if one.task is not None]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _of_till(devices: Sequence[_D], till: str) -> _D | None:
    own = [device for device in devices if device.till == till]
    shared = [device for device in devices if device.till is None]
    return next(iter(own + shared), None)


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
