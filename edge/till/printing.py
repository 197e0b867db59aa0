"""Slips on paper, in the order sold. A dead printer makes no sale wait.

    intended ──▶ (the spool) ──▶ printed
                     ├─────────▶ unknown ──(printed again, headed KOPIA)──▶ copy
                     └─────────▶ refused

``intended`` is written in the sale's own transaction; the slip then goes to the spool
(`hw.spool`) under an id made of the sale's, so that it is one job however often it is handed
over. How far printing is, the spool knows; here stands how it ended.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from edge.store.connection import StoreError
from edge.store.store import Store
from edge.store.unit import SaleView
from edge.till.errors import NotPossible
from edge.till.receipt import Paper, slip
from hw.device import ReceiptPrinter
from hw.errors import DeviceRefused, DeviceUnavailable
from hw.slip import Element
from hw.spool import SETTLED, Order
from hw.spool import Job as Printed
from hw.spooler import Spooler

INTENDED = "intended"
SENDING = "sending"
"""Of programs before there was a spool: perhaps on paper."""

PRINTED = "printed"
UNKNOWN = "unknown"
REFUSED = "refused"
COPY = "copy"

_ENDS = {"done": PRINTED, "unknown": UNKNOWN}
"""What else a job may come to is: not on paper."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One slip to put on paper."""

    event: bytes
    copy: bool = False
    word: str = ""
    """Tells one copy from the next."""

    @property
    def id(self) -> str:
        """Under which the spool knows it."""
        return f"{'copy' if self.copy else 'slip'}/{self.event.hex()}{self.word and '/'}{self.word}"


class Printing:
    """The slips of one till, one after the other."""

    def __init__(
        self,
        till: str,
        store: Store,
        printer: Callable[[], ReceiptPrinter | None],
        *,
        language: str,
        retry_s: float = 1.0,
    ) -> None:
        """Take what is needed; `run` prints.

        Args:
            till: Whose slips.
            store: Where it is kept how they ended.
            printer: The till's printer, if one is configured.
            language: Of the slips.
            retry_s: How long to wait for a disk that takes no job.
        """
        self._till, self._store, self._printer = till, store, printer
        self._language, self._retry_s = language, retry_s
        self._spooler: Spooler | None = None
        self._news: asyncio.Queue[Job | Printed] = asyncio.Queue()
        self._open: dict[str, Job] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def possible(self) -> bool:
        """Whether the till has a printer at all."""
        return self._spooler is not None and self._printer() is not None

    @property
    def waiting(self) -> int:
        """Slips not on paper yet."""
        return len(self._open)

    def add(self, job: Job) -> None:
        """Print a slip after those before it. Its sale is on disk."""
        self._open[job.id] = job
        self._idle.clear()
        self._news.put_nowait(job)

    async def hand_over(self, id_: str, elements: tuple[Element, ...]) -> None:
        """Print something else than a slip: once, however often it is asked for by one id.

        Raises:
            NotPossible: There is no printer.
            DeviceUnavailable: Nothing can be kept on the disk.
            DeviceRefused: It is longer than any paper.
        """
        printer = self._printer()
        if printer is None:
            raise NotPossible(
                f"Till {self._till!r}: expected a printer, there is none.",
                "Configure one in karb.toml.",
            )
        order = Order(id=id_, kind="slip", device=printer.id, till=self._till, elements=elements)
        await self._spool().add(order)

    async def drained(self) -> None:
        """Wait until no slip waits."""
        await self._idle.wait()

    async def noted(self) -> None:
        """Wait until what is known so far of slips is noted."""
        await self._news.join()

    async def resume(self, spooler: Spooler) -> None:
        """Take up what a crash or a restart left behind. Call once, before `run`."""
        self._spooler = spooler
        spooler.listen(self._heard)
        numbered: list[tuple[int, Job]] = []
        for view in await self._store.slips(INTENDED, REFUSED, SENDING):
            sale = await self._store.sale(view.event) if view.till == self._till else None
            if sale is None:
                continue
            job = await self._left(Job(view.event), doubtful=view.state == SENDING)
            numbered.append((sale.number, job))
        for _, job in sorted(numbered, key=lambda pair: pair[0]):
            self.add(job)

    async def run(self) -> None:
        """Hand over, and note how it ended, until cancelled."""
        while True:
            news = await self._news.get()
            try:
                if isinstance(news, Job):
                    await self._hand_over(news)
                else:
                    await self._settled(news)
            finally:
                self._news.task_done()

    async def _left(self, job: Job, *, doubtful: bool) -> Job:
        """What must come out of a slip whose end is not noted: itself, or a copy of it."""
        spooler = self._spool()
        try:
            found = await spooler.job(job.id)
        except DeviceRefused:  # never handed over, or the spool's file is another
            doubtful = doubtful or spooler.new
        else:
            doubtful = found.state == "unknown"
            if found.state == "held":
                await spooler.decide(job.id, "resume", "start")
        if not doubtful:
            return job
        await self._note(job.event, UNKNOWN)
        return Job(job.event, copy=True, word="start")

    def _heard(self, printed: Printed) -> None:
        if printed.till == self._till and printed.id.partition("/")[0] in ("slip", "copy"):
            self._news.put_nowait(printed)

    async def _hand_over(self, job: Job) -> None:
        printer = self._printer()
        sale = await self._store.sale(job.event)
        if printer is None or sale is None:
            self._close(job.id)
            return
        while True:
            try:
                order = Order(
                    id=job.id,
                    kind="slip",
                    device=printer.id,
                    till=self._till,
                    elements=await self._elements(job, sale),
                )
                known, _ = await self._spool().add(order)
            except DeviceRefused as error:  # no paper is long enough for it
                _log.warning("slip.refused", till=self._till, problem=str(error))
                await self._end(job.id, job.event, "" if job.copy else REFUSED)
                return
            except (DeviceUnavailable, StoreError) as error:
                # Without its state on disk nothing may be printed: it could come out twice.
                _log.error("slip.not_noted", till=self._till, problem=str(error))
                await asyncio.sleep(self._retry_s)
                continue
            break
        if known.state in SETTLED:
            await self._settled(known)

    async def _elements(self, job: Job, sale: SaleView) -> tuple[Element, ...]:
        paper = Paper(
            store=await self._store.settings(),
            names=await self._names(sale),
            rates=await self._store.vat_table(),
            series=sale.series,
            language=self._language,
            copy=job.copy,
        )
        return slip(job.id, sale.body, paper).elements

    async def _names(self, sale: SaleView) -> dict[str, str]:
        """Names of the lines that carry none: those their price version had."""
        names = {}
        for sku in {row.sku for row in sale.body.lines.rows() if not row.name}:
            article = await self._store.article(sku, sale.body.at_ms)
            if article is not None:
                names[sku] = article.listed_name or article.fiscal_name
        return names

    async def _settled(self, printed: Printed) -> None:
        """Note how a slip ended."""
        kind, _, rest = printed.id.partition("/")
        event = bytes.fromhex(rest.partition("/")[0])
        state = _ENDS.get(printed.state, REFUSED)
        with suppress(StoreError):
            if kind == "copy":
                unknown = {view.event for view in await self._store.slips(UNKNOWN)}
                state = COPY if state == PRINTED and event in unknown else ""
            await self._end(printed.id, event, state)

    async def _end(self, id_: str, event: bytes, state: str) -> None:
        try:
            if state:
                await self._note(event, state)
        except StoreError as error:
            # It stays ``intended``; at the next start the spool says how it ended.
            _log.error("slip.not_noted", till=self._till, state=state, problem=str(error))
        finally:
            self._close(id_)

    def _close(self, id_: str) -> None:
        self._open.pop(id_, None)
        if not self._open:
            self._idle.set()

    async def _note(self, event: bytes, state: str) -> None:
        await self._store.write(lambda unit: unit.slip(event, self._till, state))

    def _spool(self) -> Spooler:
        if self._spooler is None:
            raise AssertionError("printing before it was resumed")
        return self._spooler
