"""Slips on paper, in the order sold. A dead printer makes no sale wait.

    intended ──▶ sending ──▶ printed
        ▲           ├──────▶ unknown ──(printed again, headed KOPIA)──▶ copy
        └─ refused ◀┘

``intended`` is written in the sale's own transaction and ``sending`` is on disk before the
first byte leaves, so after a crash ``intended`` is known not to be on paper, and
``sending`` is not known. What is unknown is never printed again as an original.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from edge.store.connection import StoreError
from edge.store.journal import NotKept
from edge.store.store import Store
from edge.store.unit import SaleView, Unit
from edge.till.receipt import Paper, slip
from hw.device import ReceiptPrinter
from hw.errors import DeviceRefused, DeviceUnavailable
from hw.outcome import Done, Outcome, Refused, Unknown
from sync.facts.node import StoreDescribed

INTENDED = "intended"
SENDING = "sending"
PRINTED = "printed"
UNKNOWN = "unknown"
REFUSED = "refused"
COPY = "copy"

MAX_REFUSALS = 5
"""A slip refused so often by a printer that says it is ready is itself at fault."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One slip to put on paper."""

    event: bytes
    copy: bool = False
    replaces: bool = False
    """A copy that stands for an original nobody knows to be on paper."""


class Printing:
    """The slips of one till, one after the other."""

    def __init__(
        self,
        till: str,
        store: Store,
        printer: Callable[[], ReceiptPrinter | None],
        *,
        language: str,
        fresh: Callable[[], str],
        longest_wait_s: float = 5.0,
    ) -> None:
        """Take what is needed; `run` prints.

        Args:
            till: Whose slips.
            store: Where their states are kept.
            printer: The till's printer, if one is configured.
            language: Of the slips.
            fresh: Makes a word never used before: each attempt is named anew.
            longest_wait_s: Cap of the doubling wait between questions to a printer that refused.
        """
        self._till, self._store, self._printer = till, store, printer
        self._language, self._fresh = language, fresh
        self._longest_wait_s = longest_wait_s
        self._jobs: deque[Job] = deque()
        self._news = asyncio.Event()
        self._back = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._on_paper = asyncio.Lock()
        """Held from before a slip is noted as ``sending`` until its outcome is noted."""

    @property
    def possible(self) -> bool:
        """Whether the till has a printer at all."""
        return self._printer() is not None

    @property
    def waiting(self) -> int:
        """Slips not on paper yet."""
        return len(self._jobs)

    def add(self, job: Job) -> None:
        """Print a slip after those before it. Its sale is on disk."""
        self._jobs.append(job)
        self._idle.clear()
        self._news.set()

    def wake(self) -> None:
        """Try again now: the printer is back."""
        self._back.set()

    async def pause(self, grace_s: float) -> None:
        """Begin no other slip; wait a while for the one that is being printed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._on_paper.acquire()

    async def drained(self) -> None:
        """Wait until no slip waits."""
        await self._idle.wait()

    async def resume(self) -> None:
        """Take up what a crash or a restart left behind. Call once, before `run`."""
        left = [
            view
            for view in await self._store.slips(INTENDED, REFUSED, SENDING)
            if view.till == self._till
        ]
        numbered: list[tuple[int, Job]] = []
        for view in left:
            doubtful = view.state == SENDING
            if doubtful:
                await self._note(view.event, UNKNOWN)
            sale = await self._sale(view.event)
            if sale is not None:
                numbered.append((sale.number, Job(view.event, copy=doubtful, replaces=doubtful)))
        for _, job in sorted(numbered, key=lambda pair: pair[0]):
            self.add(job)

    async def run(self) -> None:
        """Print until cancelled."""
        while True:
            while self._jobs:
                await self._until_settled(self._jobs[0])
                self._jobs.popleft()
            self._idle.set()
            self._news.clear()
            await self._news.wait()

    async def _until_settled(self, job: Job) -> None:
        sale = await self._sale(job.event)
        refusals = 0
        while sale is not None:
            self._back.clear()
            async with self._on_paper:
                outcome = await self._attempt(job, sale)
                if await self._note_outcome(job, outcome):
                    return
            if isinstance(outcome, Refused) and refusals >= MAX_REFUSALS:
                return  # listed in the status; tried again at the next start
            await self._ready_again()
            refusals += 1

    async def _sale(self, event: bytes) -> SaleView | None:
        try:
            return await self._store.sale(event)
        except NotKept as error:  # a copy was asked for in the moment that its lines were dropped
            _log.warning("slip.not_kept", till=self._till, problem=str(error))
            return None

    async def _attempt(self, job: Job, sale: SaleView) -> Outcome | None:
        """Try once; None when there is nothing to print on, or no way to note it."""
        try:
            return await self._print(job, sale)
        except DeviceRefused as error:  # no paper is long enough for it
            return Refused(error.problem, error.cure)
        except StoreError as error:
            # Without its state on disk nothing may be printed: it could come out twice.
            _log.error("slip.not_noted", till=self._till, problem=str(error))
            return None

    async def _note_outcome(self, job: Job, outcome: Outcome | None) -> bool:
        """Keep what became of a slip; return whether that was the end of it."""
        match outcome:
            case Done():
                await self._settle(job, PRINTED)
                return True
            case Unknown(problem=problem, cure=cure):
                _log.warning("slip.unknown", till=self._till, problem=problem, cure=cure)
                await self._settle(job, UNKNOWN)
                return True
            case Refused(problem=problem, cure=cure):
                _log.warning("slip.refused", till=self._till, problem=problem, cure=cure)
                await self._settle(job, REFUSED)
        return False

    async def _print(self, job: Job, sale: SaleView) -> Outcome | None:
        printer = self._printer()
        if printer is None:
            return None
        names = await self._names(sale)

        def begin(unit: Unit) -> StoreDescribed:
            if not job.copy:
                unit.slip(job.event, self._till, SENDING)
            return unit.settings

        paper = Paper(
            store=await self._store.write(begin),
            names=names,
            rates=await self._store.vat_table(),
            series=sale.series,
            language=self._language,
            copy=job.copy,
        )
        return await printer.print(slip(self._fresh(), sale.body, paper))

    async def _ready_again(self) -> None:
        """Wait until the printer says that it can print, or somebody says so."""
        wait_s = self._longest_wait_s / 16
        while not self._back.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._back.wait()
            wait_s = min(2 * wait_s, self._longest_wait_s)
            printer = self._printer()
            with suppress(DeviceUnavailable):
                if printer is not None and (await printer.status()).trouble is None:
                    return

    async def _names(self, sale: SaleView) -> dict[str, str]:
        """Names of the lines that carry none: those their price version had."""
        names = {}
        for sku in {row.sku for row in sale.body.lines.rows() if not row.name}:
            article = await self._store.article(sku, sale.body.at_ms)
            if article is not None:
                names[sku] = article.listed_name or article.fiscal_name
        return names

    async def _settle(self, job: Job, state: str) -> None:
        if job.copy:
            state = COPY if state == PRINTED and job.replaces else ""
        if not state:
            return
        try:
            await self._note(job.event, state)
        except StoreError as error:
            # Its last state stays ``sending``: at the next start it is printed as a copy.
            _log.error("slip.not_noted", till=self._till, state=state, problem=str(error))

    async def _note(self, event: bytes, state: str) -> None:
        await self._store.write(lambda unit: unit.slip(event, self._till, state))
