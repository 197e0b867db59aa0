"""All the tills of a node: where scans are shared out, and where sales that wait end."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import structlog

from edge.clock import Clock
from edge.stockroom.asking import Asking
from edge.store.checkouts import CheckoutView
from edge.store.shifts import OpenShift
from edge.store.staff import UserView
from edge.store.store import Store
from edge.store.unit import SaleView, Unit
from edge.till import stages
from edge.till.basket import NotScanned, Scanned
from edge.till.errors import NotFound, NotPossible
from edge.till.facing import Facing
from edge.till.paying import Moved, Paying
from edge.till.printing import INTENDED, Job, Printing
from edge.till.protocol import protocol
from edge.till.scanning import Scanning
from edge.till.staff import Staff
from edge.till.till import Till
from edge.till.told import Told
from hw.device import CustomerDisplay, ReceiptPrinter, Scan
from hw.spooler import Spooler
from hw.supervisor import DeviceStatus, Supervisor
from sync.chain import Head
from sync.facts.node import StoreDescribed
from sync.facts.returned import SaleReturned
from sync.facts.sale import Stage
from sync.merge.sales import Next
from sync.rules import in_store

GRACE_S = 1.0
"""How long stopping waits for slips to be noted."""

_log = structlog.get_logger(__name__)


class Counter:
    """Owns the tasks of the tills and of their printing, between `start` and `close`."""

    def __init__(
        self,
        tills: Sequence[str],
        store: Store,
        clock: Clock,
        *,
        language: str,
        fresh: Callable[[], str],
        labels: in_store.Patterns = in_store.DEFAULT,
    ) -> None:
        """Set up the tills; nothing runs yet.

        Args:
            tills: Their ids.
            store: Where sales go.
            clock: Trusted time.
            language: Of slips.
            fresh: Makes a word never used before.
            labels: What the shop's own scales put into their codes.
        """
        self._store, self._clock, self._fresh = store, clock, fresh
        self.asking = Asking(store, fresh)
        self._told = Told(store, clock)
        self.staff = Staff(store, clock, fresh)
        self._floor: tuple[set[Head], list[UserView], dict[str, OpenShift | None]] | None = None
        self._language = language
        self._scanning = Scanning(store, clock, labels, language)
        self.paying = Paying(store, clock, self._told)
        self.paying.listener, self.paying.slips = self._moved, self._slips
        self.news: Callable[[Moved], None] = lambda _: None
        self._spooler: Spooler | None = None
        self._printer: Callable[[str], ReceiptPrinter | None] = lambda _: None
        self.tills = {
            till: Till(
                till,
                store,
                Printing(till, store, partial(self._printer_of, till), language=language),
                self.asking,
                self._told,
                self._scanning,
                self.paying,
            )
            for till in tills
        }
        self._tasks: list[asyncio.Task[None]] = []

        self._display: Callable[[str], CustomerDisplay | None] = lambda _: None
        self._facing = [Facing(till, self._display_of, language) for till in self.tills.values()]

    def show_on(self, display: Callable[[str], CustomerDisplay | None]) -> None:
        """Show baskets on what `hw.supervisor.Supervisor.display` gives for a till."""
        self._display = display

    def use(self, spooler: Spooler, printer: Callable[[str], ReceiptPrinter | None]) -> None:
        """Print by the spool, on what `hw.supervisor.Supervisor.printer` gives for a till."""
        self._spooler, self._printer = spooler, printer

    def equip(self, devices: Supervisor, news: Callable[[Moved], None] = lambda _: None) -> None:
        """Take cards at payment terminals and print on fiscal printers. After `use`.

        Args:
            devices: Of this node.
            news: Hears of every step of a sale under way.
        """
        self.news = news
        forgot = self._spooler is None or self._spooler.new
        self.paying.use(devices, forgot=forgot)

    async def start(self) -> None:
        """Take up what the last run left, then begin."""
        await self._resume_sales()
        for left in await self.paying.left():
            if left.till in self.tills:
                await self.tills[left.till].restore(left.sale)
        for till in self.tills.values():
            if self._spooler is not None:
                await till.printing.resume(self._spooler)
        for till in self.tills.values():
            self._tasks += [
                asyncio.create_task(till.run(), name=f"till {till.id}"),
                asyncio.create_task(till.printing.run(), name=f"printing {till.id}"),
            ]
        await self.paying.resume()

        self._tasks += [asyncio.create_task(facing.run(), name="facing") for facing in self._facing]

    async def close(self) -> None:
        """Stop. Slips that wait are in the spool, and it tells at the next start how they ended."""
        await self.paying.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S if self._tasks else None):
                for till in self.tills.values() if self._tasks else ():
                    await till.printing.noted()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def scanned(self, scan: Scan) -> None:
        """Give a scan to its till. A scanner shared by several tills serves the first."""
        till = self.tills.get(scan.till) if scan.till else next(iter(self.tills.values()), None)
        if till is None:
            _log.warning("scan.no_till", device=scan.device, till=scan.till)
            return
        till.scanned(scan.data)

    def device_changed(self, status: DeviceStatus) -> None:
        """Print what waits, ask what is not known, and show the basket: a device is back."""
        if status.state != "connected":
            return
        for facing in self._facing:
            facing.again()
        self.paying.wake()
        if self._spooler is not None:
            self._spooler.wake()

    def till(self, id_: str) -> Till:
        """Return a till.

        Raises:
            NotFound: It is not one of this node's.
        """
        till = self.tills.get(id_)
        if till is None:
            known = ", ".join(self.tills) or "none"
            raise NotFound(
                f"Till {id_[:40]!r}: expected one of this node ({known}).", "Look in karb.toml."
            )
        return till

    async def resolve(self, code: str) -> Scanned | NotScanned:
        """Ask the catalogue what a code is, at the price in force now."""
        return await self._scanning.resolve(code)

    async def settings(self) -> StoreDescribed:
        """Return what head office says of this store."""
        return await self._told.settings()

    async def floor(self, till: str) -> tuple[list[UserView], OpenShift | None]:
        """Return who works here, and the shift a till is in; read again only after a new fact."""
        heads = set(self._store.heads())
        if self._floor is None or self._floor[0] != heads:
            self._floor = heads, await self.staff.users(), {}
        _, users, shifts = self._floor
        if till not in shifts:
            shifts[till] = await self._store.shift(till)
        return users, shifts[till]

    async def waiting(self) -> list[tuple[SaleView, Next]]:
        """Return the open sales and what each waits for."""
        sales = await self._store.open_sales()
        fiscal = (await self.settings()).fiscal if sales else False
        return [(sale, stages.waits_for(sale, fiscal=fiscal)) for sale in sales]

    async def under_way(self, till: str | None = None) -> list[tuple[SaleView, CheckoutView, Next]]:
        """Return the sales that devices have a part in, and what each waits for."""
        pairs = await self.paying.under_way(till)
        fiscal = (await self.settings()).fiscal if pairs else False
        return [(sale, notes, stages.waits_for(sale, fiscal=fiscal)) for sale, notes in pairs]

    async def decide(self, event: bytes, payment: int, *, approved: bool, by: str) -> SaleView:
        """Settle a payment that no machine can tell about, and print if that ends the sale.

        Raises:
            NotFound: No such sale or payment.
            Conflict: It was decided the other way.
            NotPossible: Its terminal could not be told.
        """
        if await self.paying.decide(event, payment, approved=approved, by=by):
            return await self._sale(event)
        prints = {till.id for till in self.tills.values() if till.printing.possible}

        def work(unit: Unit) -> tuple[SaleView, bool]:
            before = unit.sale(event)
            after = stages.settle(
                unit, event, payment, approved=approved, decided_by=stages.PERSON + by
            )
            closed = before is not None and before.stage < after.stage is Stage.CLOSED
            if closed and after.body.till in prints:
                unit.slip(event, after.body.till, INTENDED)
            return after, closed

        sale, closed = await self._store.write(work)
        if closed and sale.body.till in prints:
            self.tills[sale.body.till].printing.add(Job(event))
        return sale

    async def copy(self, event: bytes) -> str:
        """Print a sale again, headed KOPIA; return the till that prints it.

        Raises:
            NotFound: No such sale here.
            NotPossible: It is not closed, or its till has no printer.
        """
        sale = await self._sale(event)
        if sale.stage is not Stage.CLOSED:
            raise NotPossible(
                f"Sale: expected a closed one, it is {sale.stage.name.lower()}.", "Finish it first."
            )
        till = self.tills.get(sale.body.till)
        if till is None or not till.printing.possible:
            raise NotPossible(
                f"Till {sale.body.till!r}: expected a printer of this node, there is none.",
                "Configure one in karb.toml.",
            )
        till.printing.add(Job(event, copy=True, word=self._fresh()))
        return till.id

    async def protocol(self, event: bytes, body: SaleReturned) -> Till:
        """Print the protocol of a return; return the till that prints it.

        Raises:
            NotPossible: Its till has no printer.
            DeviceUnavailable: Nothing can be kept on the disk.
        """
        till = self.tills.get(body.till)
        if till is None or not till.printing.possible:
            raise NotPossible(
                f"Till {body.till!r}: expected a printer of this node, there is none.",
                "Configure one in karb.toml.",
            )
        paper = protocol(body, await self.settings(), self._language, await self._store.vat_table())
        await till.printing.hand_over(f"return/{event.hex()}/{self._fresh()}", paper)
        return till

    def _display_of(self, till: str) -> CustomerDisplay | None:
        return self._display(till)

    async def _sale(self, event: bytes) -> SaleView:
        sale = await self._store.sale(event)
        if sale is None:
            raise NotFound("Sale: expected one recorded here, found none.", "Look at the id.")
        return sale

    def _slips(self, till: str) -> bool:
        return till in self.tills and self.tills[till].printing.possible

    def _moved(self, news: Moved) -> None:
        till = self.tills.get(news.till)
        if till is not None:
            till.moved(news)
            if news.what == "closed" and not news.notes.printer and till.printing.possible:
                till.printing.add(Job(news.event))
        self.news(news)

    def _printer_of(self, till: str) -> ReceiptPrinter | None:
        return self._printer(till)

    async def _resume_sales(self) -> None:
        under_way = {sale.event for sale, _ in await self.paying.under_way()}
        for sale in await self._store.open_sales():
            if sale.event in under_way:
                continue
            step = await self._store.write(partial(stages.advance, sale=sale))
            _log.warning(
                "sale.resumed",
                till=sale.body.till,
                receipt=f"{sale.series}/{sale.number}",
                waits_for=step.value,
            )
