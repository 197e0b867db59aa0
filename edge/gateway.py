"""The devices of a running node: configured, looked for, tried out, and listened to.

`hw` knows devices and no files of ours; the API knows requests and no devices. Here the two
meet: what a person changes is on disk before it takes effect.
"""

import asyncio
import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

from edge.config import Config, with_device, without_device, write_devices
from edge.till.paying import Moved
from hw.device import (
    Card,
    CardReader,
    CustomerDisplay,
    DrawerChange,
    FiscalPrinter,
    PaymentTerminal,
    ReceiptPrinter,
    Row,
    Scale,
    Scan,
)
from hw.discovery import Found, scan
from hw.errors import DeviceMisconfigured, DeviceRefused, DeviceUnavailable
from hw.events import Events
from hw.registry import DeviceConfig, load
from hw.slip import Cut, TextLine
from hw.spool import Job, Order
from hw.spooler import Spooler
from hw.supervisor import DeviceStatus, Supervisor
from hw.weight import Weight

CODE_LIVES_MS = 10 * 60_000
MAX_CODES = 16
MAX_WRONG = 5
"""Wrong codes until all are void: eight letters must not be found by trying."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a till that was paired may do."""

    till: str
    scopes: tuple[str, ...]
    name: str


class Pairing:
    """Codes that the node has shown and nobody has used."""

    def __init__(self, random: Callable[[int], bytes], now_ms: Callable[[], int]) -> None:
        self._random, self._now_ms = random, now_ms
        self._codes: dict[str, tuple[Grant, int]] = {}
        self._wrong = 0

    def offer(self, grant: Grant) -> str:
        """Return a code, good once and for ten minutes."""
        code = base64.b32encode(self._random(5)).decode()
        while len(self._codes) >= MAX_CODES:
            self._codes.pop(next(iter(self._codes)))
        self._codes[code] = grant, self._now_ms() + CODE_LIVES_MS
        self._wrong = 0
        return code

    def take(self, code: str) -> Grant:
        """Use a code up.

        Raises:
            DeviceRefused: It is unknown, used or too old.
        """
        text = code.strip().upper().replace("-", "").replace(" ", "").encode()
        match = next((one for one in self._codes if hmac.compare_digest(one.encode(), text)), None)
        grant, until = self._codes.pop(match) if match is not None else (None, 0)
        if grant is not None and self._now_ms() <= until:
            return grant
        self._wrong += 1
        if self._wrong >= MAX_WRONG:
            self._codes.clear()
        raise DeviceRefused(
            "Pairing code: expected one that this node has shown in the last ten minutes, once.",
            cure="Ask for a new one: karb token pair.",
        )


class Gateway:
    """What the API asks of the devices."""

    def __init__(
        self,
        config: Config,
        devices: Supervisor,
        spooler: Spooler,
        events: Events,
        pairing: Pairing,
        *,
        now_ms: Callable[[], int],
        listen_s: float = 2.5,
    ) -> None:
        """Join what is given; nothing is started.

        Args:
            config: As read; devices that commands add are added to it.
            devices: Drives them.
            spooler: Prints.
            events: What happened.
            pairing: Codes for tills.
            now_ms: Unix milliseconds.
            listen_s: How long a scan listens on the network.
        """
        self.config = config
        self.devices, self.spooler, self.events, self.pairing = devices, spooler, events, pairing
        self._now_ms, self._listen_s = now_ms, listen_s
        self._changing = asyncio.Lock()

    def scanned(self, scan: Scan) -> None:
        """Tell of a scan."""
        self.events.add("scan", scan.device, scan.till, self._now_ms(), code=scan.data)

    def touched(self, card: Card) -> None:
        """Tell of a badge or a loyalty card. Who holds it has proved nothing yet."""
        self.events.add(
            "badge",
            card.device,
            card.till,
            self._now_ms(),
            id=card.uid or card.text,
            uid=card.uid or None,
            text=card.text,
        )

    def drawer_changed(self, change: DrawerChange) -> None:
        """Tell of a cash drawer."""
        open_s = f"{change.open_s:.0f}"
        self.events.add(
            "drawer",
            change.device,
            change.till,
            self._now_ms(),
            state=change.state,
            open_s=open_s,
        )

    def drawer_asked(self, printer: str, till: str, reason: str, by: str) -> None:
        """Tell that somebody has a drawer opened, and why."""
        self.events.add(
            "drawer", printer, till, self._now_ms(), state="asked", reason=reason, by=by
        )

    def changed(self, status: DeviceStatus) -> None:
        """Tell that a device is another than it was."""
        self.events.add(
            "device",
            status.id,
            status.till,
            self._now_ms(),
            state=status.state,
            problem=status.problem,
            cure=status.cure,
        )

    def settled(self, job: Job) -> None:
        """Tell how a job ended."""
        self.events.add(
            "job",
            job.device,
            job.till,
            self._now_ms(),
            job=job.id,
            state=job.state,
            problem=job.problem or None,
            cure=job.cure or None,
        )

    def sold(self, news: Moved) -> None:
        """Tell that a sale under way is further than it was."""
        parts = {part.payment: part for part in news.notes.attempts}
        at = parts.get(news.charging) if news.charging is not None else None
        self.events.add(
            "sale",
            at.device if at is not None else news.notes.printer,
            news.till,
            self._now_ms(),
            sale=str(UUID(bytes=news.event)),
            receipt=f"{news.sale.series}/{news.sale.number}",
            stage=news.sale.stage.name.lower(),
            what=news.what,
            payment=None if at is None else str(at.payment),
            problem=news.notes.problem or None,
            cure=news.notes.cure or None,
        )

    async def put(self, device: DeviceConfig) -> bool:
        """Configure a device and begin to use it; whether it is new.

        Raises:
            BadConfig: It is not allowed.
            DeviceMisconfigured: Its driver refuses it.
            OSError: It cannot be written down; nothing is changed.
        """
        async with self._changing:
            after = with_device(self.config, device)
            load(device)  # what the driver refuses is not written down
            new = not any(one.id == device.id for one in self.config.devices)
            before = self.config
            await asyncio.to_thread(write_devices, after)
            self.config = after
            try:
                await self.devices.add(device)
            except DeviceMisconfigured:
                self.config = before
                await asyncio.to_thread(write_devices, before)
                raise
            self.spooler.wake()
            return new

    async def remove(self, id_: str) -> None:
        """Let go of a device for good.

        Raises:
            BadConfig: No command added it.
            OSError: It cannot be written down; nothing is changed.
        """
        async with self._changing:
            after = without_device(self.config, id_)
            await asyncio.to_thread(write_devices, after)
            self.config = after
            await self.devices.remove(id_)
            self.spooler.wake()

    async def bind(self, id_: str, till: str | None) -> None:
        """Give a device to a till, or to all.

        Raises:
            DeviceRefused: There is no such device.
            BadConfig: It is not allowed.
            OSError: It cannot be written down; nothing is changed.
        """
        device = next((one for one in self.config.devices if one.id == id_), None)
        if device is None:
            raise DeviceRefused(
                f"Device {id_[:40]!r}: expected one of this node.", cure="See karb devices list."
            )
        await self.put(replace(device, till=till, shared=till is None))

    async def scan(self) -> list[Found]:
        """Look what is there."""
        return await scan(
            self.config.lan.interfaces if self.config.lan else (), listen_s=self._listen_s
        )

    async def test(self, id_: str, word: str) -> str:
        """Try a device out; what it did.

        Args:
            id_: Of the device.
            word: Names the job.

        Raises:
            DeviceRefused: There is no such device.
            DeviceUnavailable: It does not answer.
        """
        device = self.devices.device(id_)
        status = next((one for one in self.devices.statuses() if one.id == id_), None)
        if status is None:
            raise DeviceRefused(
                f"Device {id_[:40]!r}: expected one of this node.", cure="See karb devices list."
            )
        if device is None or status.state != "connected":
            raise DeviceUnavailable(
                status.problem or f"Device {id_}: expected it connected, it is {status.state}.",
                cure=status.cure or "Wait a moment, and look again.",
            )
        if isinstance(device, FiscalPrinter):
            await device.status()
            return "it answers; nothing was printed, for a fiscal printer prints no tests"
        if isinstance(device, PaymentTerminal):
            await device.availability()
            return "it answers; nothing was charged"
        if isinstance(device, Scale):
            weighed = await device.weigh()
            if isinstance(weighed, Weight):
                return f"it weighs {weighed.grams} g"
            return f"it answers: {weighed.problem} {weighed.cure}"
        if isinstance(device, CustomerDisplay):
            device.show(Row(f"Karb: {id_}"), Row("ąćęłńóśźż", "12,34"))
            return "it shows a line of letters until the basket changes; look at it"
        if isinstance(device, ReceiptPrinter):
            lines = (
                TextLine(text="NIEFISKALNY", align="center"),
                TextLine(text=f"Karb: {id_}"),
                TextLine(text="ąćęłńóśźż ĄĆĘŁŃÓŚŹŻ"),
            )
            order = Order(
                id=f"test/{word}",
                kind="label",
                device=id_,
                till=device.till,
                elements=(*lines, Cut()),
            )
            await self.spooler.add(order)
            return f"job {order.id} goes to it; karb devices log {id_} tells how it ended"
        if isinstance(device, CardReader):
            return f"it is connected; hold a card to it, and look at karb devices log {id_}"
        return "it is connected; scan something, and look at karb devices log"
