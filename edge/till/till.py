"""One till: one task around the pure basket, taking scans and commands one at a time.

A cash sale is one commit; only after it the slip goes to `printing`. While a sale is on
its way to the disk the next buyer's scans wait in the queue.
"""

import asyncio
from dataclasses import dataclass, replace

import structlog

from edge.clock import Clock
from edge.stockroom.asking import Asking
from edge.store.store import Store
from edge.store.unit import Unit
from edge.till import basket as rules
from edge.till import parking
from edge.till.basket import (
    ONE_MILLI,
    Basket,
    Clear,
    Event,
    NotPaid,
    Paid,
    Refuse,
    Restore,
    Scanned,
    Sell,
)
from edge.till.errors import NotPossible
from edge.till.parking import Park, Recall
from edge.till.pricing import from_basket
from edge.till.printing import INTENDED, Job, Printing
from edge.till.request import PayRequest
from edge.till.scanning import Scanning
from edge.till.selling import Recorded, again, digest
from edge.till.staff import Person
from edge.till.stages import tender
from edge.till.told import Told
from sync.facts.sale import Stage
from sync.rules.offers import Offers
from sync.rules.promotion import Moment

MAX_WAITING = 200
"""Scans and commands of one till that nobody has looked at yet: beyond it commands are refused."""

MAX_SCANS = 2_000
"""Beyond it scans are lost, with a line in the log: a till that is so late is not well."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Counted:
    """A code, and how much of it."""

    code: str
    quantity_milli: int = ONE_MILLI


_Asked = _Counted | tuple[Event, ...] | PayRequest | Park | Recall


@dataclass(frozen=True, slots=True)
class _Ask:
    """A scan, an event of the basket, a payment, a parking, and who waits for it."""

    what: "_Asked"
    asker: asyncio.Future[Recorded | None] | None


class Till:
    """The basket of one till. `run` is its task."""

    def __init__(
        self,
        id_: str,
        store: Store,
        clock: Clock,
        printing: Printing,
        asking: Asking,
        told: Told,
        scanning: Scanning,
    ) -> None:
        """Begin with an empty basket."""
        self.id = id_
        self.basket = Basket()
        self.last: Recorded | None = None
        """The sale before this basket, since the program started."""

        self.who: Person | None = None
        """Who stands here, since the program started; None: nobody has logged in."""

        self.locked = False
        """Who stands here has gone for a moment."""

        self.approved = ""
        """The manager who lets the next thing through."""

        self.version = 0
        """Grows whenever somebody was answered: the basket may have changed."""

        self._watchers: set[asyncio.Event] = set()
        self.printing = printing
        self._store, self._clock, self._asking, self._told = store, clock, asking, told
        self._scanning = scanning
        self._asked: asyncio.Queue[_Ask] = asyncio.Queue(MAX_SCANS)

    def scanned(self, code: str) -> None:
        """Take a code from a scanner. Never waits."""
        try:
            self._asked.put_nowait(_Ask(_Counted(code), None))
        except asyncio.QueueFull:
            _log.warning("till.scan_dropped", till=self.id, waiting=MAX_SCANS)

    async def scan(self, code: str, quantity_milli: int = ONE_MILLI) -> Basket:
        """Take a code from a client, and how much of it.

        Raises:
            UnknownArticle: It is no article that can be sold here.
            NotPossible: The basket takes nothing now.
        """
        await self._ask(_Counted(code, quantity_milli))
        return self.basket

    async def change(self, *events: Event) -> Basket:
        """Change the basket; of several changes all are made, or none.

        Raises:
            NotFound: No such line.
            NotPossible: The change cannot be.
        """
        await self._ask(events)
        return self.basket

    async def park(self, asked: Park) -> None:
        """Put the basket aside; asked again, change nothing.

        Raises:
            NotPossible: It is empty.
            Conflict: The id is something else.
            StoreError: The disk failed; the basket is as it was.
        """
        await self._ask(asked)

    async def recall(self, asked: Recall) -> Basket:
        """Take a basket back that was put aside, at whatever till of the store.

        Raises:
            NotFound: There is no such basket.
            NotPossible: This till's basket is not empty.
            Conflict: It is at another till, sold, or let go.
            StoreError: The disk failed; nothing happened.
        """
        await self._ask(asked)
        return self.basket

    async def pay(self, request: PayRequest) -> Recorded:
        """Sell the basket; asked again, give the same answer and sell nothing.

        Raises:
            NotPossible: Empty, or an age is not confirmed.
            NotCovered: Too little, or too much by something else than cash.
            BadSale: The sale cannot be true.
            Conflict: The id is another sale's.
            TillTaken: The till belongs to another node.
            StoreError: The disk failed; the basket is as it was.
        """
        recorded = await self._ask(request)
        if recorded is None:
            raise AssertionError("a payment ended without a sale and without an error")
        return recorded

    def comes(self, person: Person | None) -> None:
        """Have somebody stand here; None: nobody."""
        self.who, self.locked, self.approved = person, False, ""
        self._news()

    def lock(self) -> None:
        """Have nobody sell here until somebody proves who they are."""
        self.locked, self.approved = True, ""
        self._news()

    def _news(self) -> None:
        self.version += 1
        for watcher in self._watchers:
            watcher.set()

    def watch(self) -> asyncio.Event:
        """Return an event that is set whenever the basket may have changed."""
        watcher = asyncio.Event()
        self._watchers.add(watcher)
        return watcher

    def forget(self, watcher: asyncio.Event) -> None:
        """Stop telling a watcher."""
        self._watchers.discard(watcher)

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            ask = await self._asked.get()
            try:
                recorded = await self._answer(ask.what)
            except asyncio.CancelledError:
                if ask.asker is not None:
                    ask.asker.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - told to who asked; the till goes on
                if ask.asker is not None and not ask.asker.done():
                    ask.asker.set_exception(error)
                else:
                    _log.warning("till.refused", till=self.id, problem=str(error))
            else:
                if ask.asker is not None and not ask.asker.done():
                    ask.asker.set_result(recorded)
            self._news()

    async def _ask(self, what: _Asked) -> Recorded | None:
        if self._asked.qsize() >= MAX_WAITING:
            raise NotPossible(
                f"Till {self.id}: {MAX_WAITING} commands wait, expected fewer.", "Ask again."
            )
        asker: asyncio.Future[Recorded | None] = asyncio.get_running_loop().create_future()
        self._asked.put_nowait(_Ask(what, asker))
        return await asker

    async def _answer(self, what: _Asked) -> Recorded | None:
        match what:
            case PayRequest():
                return await self._pay(what)
            case Park():
                await self._park(what)
            case Recall():
                await self._recall(what)
            case _Counted():
                scanned = await self._scanning.resolve(what.code)
                if isinstance(scanned, Scanned):
                    scanned = replace(scanned, counted_milli=what.quantity_milli)
                self._changed(await self._told.offers(), scanned)
            case _:
                await self._change(*what)
        return None

    async def _change(self, *events: Event) -> None:
        recalled = self.basket.recalled
        self._changed(await self._told.offers(), *events)
        if recalled is not None and self.basket.recalled is None:
            await self._store.write(lambda unit: parking.end(unit, recalled, b""))

    async def _park(self, asked: Park) -> None:
        basket = self.basket
        if await self._store.write(lambda unit: parking.park(unit, self.id, basket, asked)):
            self._step(Clear())

    async def _recall(self, asked: Recall) -> None:
        basket = self.basket
        if basket.recalled is not None and basket.recalled.basket == asked.basket:
            return
        if basket.lines:
            self._step(Restore(recalled=rules.Recalled(asked.basket, b""), lines=()))
        recalled, parked = await self._store.write(
            lambda unit: parking.recall(unit, self.id, asked)
        )
        lines, notice = parking.restored(parked)
        back = Restore(recalled=recalled, lines=lines, notice=notice)
        self._changed(await self._told.offers(), back)

    def _changed(self, told: tuple[Offers, Moment], *events: Event) -> None:
        """Change the basket and what promotions give, at once: nobody sees one without both."""
        self._step(*events)
        self.basket = rules.offer(self.basket, *told)

    def _step(self, *events: Event) -> Sell | None:
        self.basket, effects = rules.step(self.basket, *events)
        for effect in effects:
            if isinstance(effect, Refuse):
                raise effect.error
        return next((effect for effect in effects if isinstance(effect, Sell)), None)

    async def _pay(self, request: PayRequest) -> Recorded:
        event, fingerprint = request.sale.bytes, digest(request, self.id)
        found = await self._store.sale(event)
        if found is not None:
            return again(event, found, same=found.digest == fingerprint)
        pay = rules.Pay(
            sale=event,
            method=request.method,
            tendered_minor=request.tendered_minor,
            cashier=request.cashier,
        )
        sell = self._step(pay)
        if sell is None:
            raise AssertionError("a payment was neither refused nor sold")
        draft = from_basket(self.id, sell, request.approved_by)
        recalled = self.basket.recalled
        prints = self.printing.possible

        def work(unit: Unit, *, ask: bool) -> Recorded:
            there = unit.sale(event)
            if there is not None:
                return again(event, there, same=there.digest == fingerprint)
            if recalled is not None:
                parking.check(unit, recalled)
            recorded = tender(unit, event, draft, fingerprint, ask=ask)
            if recalled is not None:
                parking.end(unit, recalled, event)
            if prints and recorded.stage is Stage.CLOSED:
                unit.slip(event, self.id, INTENDED)
            return recorded

        try:
            recorded = await self._asking.write(work)
        except BaseException:
            # Cancelled while committing: the sale may stand, and asking again will tell.
            self._step(NotPaid())
            raise
        self._step(Paid())
        self.last = recorded
        if prints and recorded.new and recorded.stage is Stage.CLOSED:
            self.printing.add(Job(event))
        return recorded
