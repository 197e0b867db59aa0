"""One till: one task around the pure basket, taking scans and commands one at a time.

A cash sale is one commit; only after it the slip goes to `printing`. While a sale is on
its way to the disk the next buyer's scans wait in the queue. Where a terminal or a fiscal
printer has a part in a sale, it is written tendered and goes on in `paying`: the basket is
held until no terminal has a say any more, and comes back if one says no.
"""

import asyncio
from dataclasses import dataclass, replace
from functools import partial

import structlog

from edge.stockroom.asking import Asking
from edge.store.checkouts import APPROVED
from edge.store.store import Store
from edge.store.unit import PersonKey, SaleView
from edge.till import basket as rules
from edge.till import parking, tendering
from edge.till.basket import (
    ONE_MILLI,
    Basket,
    Clear,
    Event,
    Item,
    NotPaid,
    Paid,
    Refuse,
    Released,
    Restore,
    Scanned,
    Sell,
    Tender,
)
from edge.till.errors import BadSale, NotPossible
from edge.till.parking import Park, Recall
from edge.till.paying import Moved, Paying, held_of
from edge.till.printing import Job, Printing
from edge.till.request import PayRequest
from edge.till.scanning import Scanning
from edge.till.selling import Recorded, again, digest
from edge.till.staff import Person
from edge.till.tendering import Tendering
from edge.till.told import Told
from sync.facts.sale import SaleLine, Stage
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


@dataclass(frozen=True, slots=True)
class _Pay:
    """A payment, and what sealing whom the receipt is made out to takes."""

    request: PayRequest
    buyer: PersonKey | None


_Asked = _Counted | tuple[Event, ...] | _Pay | Park | Recall


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
        printing: Printing,
        asking: Asking,
        told: Told,
        scanning: Scanning,
        paying: Paying,
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
        self._store, self._asking, self._told = store, asking, told
        self._scanning = scanning
        self._paying = paying
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

    async def pay(self, request: PayRequest, buyer: PersonKey | None = None) -> Recorded:
        """Sell the basket; asked again, give the same answer and sell nothing.

        Args:
            request: How it is paid.
            buyer: Fresh bytes, where the request names one.

        Raises:
            NotPossible: Empty, an age is not confirmed, or the fiscal printer cannot.
            NotCovered: Too little, or too much by something else than cash.
            BadSale: The sale cannot be true.
            Conflict: The id is another sale's.
            TillTaken: The till belongs to another node.
            StoreError: The disk failed; the basket is as it was.
        """
        recorded = await self._ask(_Pay(request, buyer))
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

    def moved(self, news: Moved) -> None:
        """Hear how far a sale under way is. Never waits."""
        self._hear(news)
        self._news()

    def _hear(self, news: Moved) -> None:
        event = news.event
        if news.what in ("paid", "closed"):
            ours = self.basket.paying == event
            if ours:
                self._step(Paid())
            if ours or (self.last is not None and self.last.event == event):
                sale = news.sale
                self.last = Recorded(
                    event=event, sale=sale.body, series=sale.series, stage=sale.stage, new=False
                )
        elif news.what == "back":
            if self.basket.paying == event:
                why = next((p.problem for p in news.notes.attempts if p.problem), "")
                held = held_of(news.sale, news.notes)
                self._step(NotPaid(held=held, notice=why, tendered=True))
            elif news.sale.stage is Stage.VOIDED and event in {p.sale for p in self.basket.held}:
                self._step(Released())

    async def restore(self, sale: SaleView) -> None:
        """Show the lines of a sale whose payment the last run left under way."""
        if self.basket.lines:
            return
        lines = [
            rules.Line(
                id=n,
                item=await self._item(row, sale.body.at_ms),
                quantity_milli=row.quantity_milli,
                discounts=row.discounts,
                age_checked=row.age_checked,
            )
            for n, row in enumerate(sale.body.lines.rows(), start=1)
        ]
        self.basket = Basket(
            lines=tuple(lines), next_line=len(lines) + 1, paying=sale.event, as_tendered=True
        )

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
            case _Pay(request=request, buyer=buyer):
                return await self._pay(request, buyer)
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

    async def _pay(self, request: PayRequest, buyer: PersonKey | None) -> Recorded:
        event = request.sale.bytes
        fingerprint = digest(request, self.id, buyer.key if buyer else b"")
        found = await self._store.sale(event)
        if found is not None:
            return again(event, found, same=await self._same(found, request))
        printer = await self._paying.ready(self.id)
        rates = await self._store.vat_table()
        pay = rules.Pay(sale=event, tenders=_tenders(request), cashier=request.cashier)
        sell = self._step(pay)
        if sell is None:
            raise AssertionError("a payment was neither refused nor sold")
        asked = Tendering(
            event=event,
            till=self.id,
            request=request,
            sell=sell,
            buyer=buyer,
            fingerprint=fingerprint,
            recalled=self.basket.recalled,
            names=_names(self.basket),
            rates=rates,
            printer=printer,
            slip=self.printing.possible and not printer,
            plan=lambda draft: self._paying.plan(self.id, event, draft),
        )
        try:
            recorded, parts = await self._asking.write(partial(tendering.write, asked=asked))
        except BaseException:
            # Cancelled while committing: the sale may stand, and asking again will tell.
            self._step(NotPaid(notice=self.basket.notice))
            raise
        if all(part.state == APPROVED for part in parts):
            self._step(Paid())  # no terminal has a say in it
            self.last = recorded
        if asked.slip and recorded.new and recorded.stage is Stage.CLOSED:
            self.printing.add(Job(event))
        if parts or printer:
            self._paying.begin(event)
        return recorded

    async def _same(self, found: SaleView, request: PayRequest) -> bool:
        """Whether a sale that is there is what is asked for."""
        buyer = found.body.buyer
        key = await self._store.person_key(buyer.person) if buyer is not None else b""
        if key is None:  # forgotten meanwhile
            return True
        return found.digest == digest(request, self.id, key)

    async def _item(self, row: SaleLine, at_ms: int) -> Item:
        """Return a sale's line as it was scanned, as far as the catalogue still tells."""
        article = await self._store.article(row.sku, at_ms)
        name = article.listed_name if article is not None else ""
        return Item(
            sku=row.sku,
            name=row.name or name or row.sku,
            carried_name=row.name,
            unit=row.unit,
            vat=row.vat,
            unit_minor=row.unit_minor,
            deposit_minor=row.deposit_minor,
            age_min=article.age_min if article is not None else row.age_checked,
            price_version=row.price_version,
            group=article.group if article is not None else "",
        )


def _tenders(request: PayRequest) -> tuple[Tender, ...]:
    """Return the parts of a payment, however it was asked for.

    Raises:
        BadSale: By one method and by several at once.
    """
    many = tuple(Tender(part.method, part.amount_minor) for part in request.payments)
    if request.method is None and request.tendered_minor is None:
        return many
    if many or request.method is None or request.tendered_minor is None:
        raise BadSale(
            "Payment: expected method and tendered_minor, or payments, got some of each.",
            "Send either.",
            field="/payments" if many else "/method",
        )
    return (Tender(request.method, request.tendered_minor),)


def _names(basket: Basket) -> dict[str, str]:
    """Return what articles are called whose line carries no name."""
    return {line.item.sku: line.item.name for line in basket.lines if not line.item.carried_name}
