"""Puts what the spool holds on paper: one task a printer, so a dead one delays no other.

A printer that refuses is asked until it is ready, or until it is known to be back. What has
waited for it too long comes out of its stand-in, if it has one.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

import structlog

from hw.device import FiscalPrinter, PrinterStatus, ReceiptPrinter
from hw.errors import DeviceMisconfigured, DeviceRefused, DeviceUnavailable
from hw.memory import Note
from hw.outcome import Outcome, Refused, concluded
from hw.spool import SETTLED, Decision, Job, Order, Spool

GRACE_S = 3.0
"""How long stopping waits for paper. What is cut off is unknown at the next start."""

_T = TypeVar("_T")

_log = structlog.get_logger(__name__)


class Printers(Protocol):
    """Where paper comes out (`hw.supervisor.Supervisor`)."""

    def printer_of(self, device: str) -> ReceiptPrinter | None:
        """The printer of this id; None when it is not configured (any more)."""
        ...

    def fiscal_of(self, device: str) -> FiscalPrinter | None:
        """The fiscal printer of this id; None when it is not configured (any more)."""
        ...

    def printer(self, till: str) -> ReceiptPrinter | None:
        """The till's own, else a shared one."""
        ...

    def stand_in(self, device: str) -> str | None:
        """Which printer does its work while it cannot."""
        ...


class Spooler:
    """The printing jobs of a node, between `start` and `close`."""

    def __init__(
        self,
        path: Path,
        printers: Printers,
        *,
        now_ms: Callable[[], int],
        longest_wait_s: float = 5.0,
        stand_in_after_s: float = 30.0,
    ) -> None:
        """Take what is needed; `start` opens the file.

        Args:
            path: Of the jobs' file.
            printers: Where paper comes out.
            now_ms: Unix milliseconds.
            longest_wait_s: Cap of the doubling wait between questions to a printer that refused.
            stand_in_after_s: How long a printer may be in trouble before another does its work.
        """
        self._path, self._printers, self._now_ms = path, printers, now_ms
        self.retry_s = self._longest_wait_s = longest_wait_s
        self._stand_in_after_s = stand_in_after_s
        self._thread = ThreadPoolExecutor(1, "spool")
        self._spool: Spool | None = None
        self.broken: DeviceMisconfigured | None = None
        """Why the file cannot be used; then nothing prints, and all else goes on."""

        self._workers: dict[str, _Worker] = {}
        self._listeners: list[Callable[[Job], None]] = []

    def listen(self, heard: Callable[[Job], None]) -> None:
        """Tell `heard` of every job that is settled. It must not wait."""
        self._listeners.append(heard)

    @property
    def new(self) -> bool:
        """Whether the file was made in this run: no job before it is known of."""
        return self._opened().new

    async def start(self) -> None:
        """Open the file, take up what was left, begin to print; or note why it is `broken`."""
        if self._spool is None:
            try:
                self._spool = await self._run(lambda: Spool(self._path))
            except DeviceMisconfigured as error:
                self.broken = error
                _log.error("jobs.broken", problem=error.problem, cure=error.cure)
                return
            for job in await self._run(lambda: self._opened().recover(self._now_ms())):
                self._tell(job)
            for device in await self._run(self._opened().devices):
                self._worker(device)

    async def close(self) -> None:
        """Begin nothing; wait a while for the paper that is coming out; close the file."""
        workers = list(self._workers.values())
        await asyncio.gather(*(worker.close() for worker in workers))
        self._workers.clear()
        if (spool := self._spool) is not None:
            self._spool = None
            await self._run(spool.close)
        self._thread.shutdown()

    async def add(self, order: Order) -> tuple[Job, bool]:
        """Keep an order, on disk when this returns; the job, and whether it is new.

        Raises:
            DeviceRefused: The id is another order's.
            DeviceUnavailable: It could not be written; nothing is kept.
        """
        spool = self._opened()
        job, new = await self._run(lambda: spool.add(order, self._now_ms()))
        self._worker(job.device).news.set()
        return job, new

    async def job(self, id_: str) -> Job:
        """A job.

        Raises:
            DeviceRefused: There is none of this id.
        """
        spool = self._opened()
        return await self._run(lambda: spool.get(id_))

    async def listed(self) -> list[Job]:
        """What waits, is being sent, or asks for a person."""
        return await self._run(self._opened().listed)

    async def decide(self, id_: str, decision: Decision, by: str) -> Job:
        """A person has looked.

        Raises:
            DeviceRefused: No such job, or it cannot be said of one in its state.
        """
        spool = self._opened()
        job = await self._run(lambda: spool.decide(id_, decision, by, self._now_ms()))
        _log.info("job.decided", job=id_, decision=decision, by=by)
        if job.state in SETTLED:
            self._tell(job)
        self._worker(job.device).news.set()
        return job

    async def move(self, id_: str, target: str, by: str) -> Job:
        """Let another printer do one job that waits, as a person says.

        Raises:
            DeviceRefused: It does not wait, may not move, or there is no such printer.
        """
        spool = self._opened()
        job = await self._run(lambda: spool.get(id_))
        if self._printer_for(job, target) is None:
            raise DeviceRefused(
                f"Device {target[:40]!r}: expected a printer of this node.",
                cure="Look at karb devices list.",
            )
        if not await self._run(lambda: spool.move(job.device, target, id_)):
            raise DeviceRefused(
                f"Job {id_}: expected one that waits and may move; it is {job.kind}, {job.state}.",
                cure="Say first what became of it.",
            )
        decision = f"move to {target}"
        await self._run(lambda: spool.sign(id_, decision, by, self._now_ms()))
        _log.info("job.decided", job=id_, decision=decision, by=by)
        self._worker(target).news.set()
        return await self._run(lambda: spool.get(id_))

    async def settle(self, id_: str, *, document: str | None, by: str) -> Job:
        """A person has looked at the paper of a fiscal receipt that no machine can tell about.

        Args:
            id_: Of the job.
            document: Number on the receipt; None: there is none.
            by: Who says so.

        Raises:
            DeviceRefused: No such job, no such printer, or the device itself can tell.
        """
        spool = self._opened()
        job = await self._run(lambda: spool.get(id_))
        printer = self._printers.fiscal_of(job.device)
        if printer is None or job.state != "sending":
            raise DeviceRefused(
                f"Job {id_}: expected a fiscal receipt nobody can tell about; it is {job.kind}, "
                f"{job.state}.",
                cure="Look at what became of it.",
            )
        outcome = await concluded(job.device, printer.settle(id_, document=document, by=by))
        said = f"receipt {document}" if document else "no receipt"
        await self._run(lambda: spool.sign(id_, said, by, self._now_ms()))
        after = await self._run(lambda: spool.end(id_, outcome, self._now_ms()))
        _log.info("job.decided", job=id_, document=document, by=by)
        if after.state in SETTLED:
            self._tell(after)
        self.wake()
        return after

    def wake(self) -> None:
        """Try again now: a printer is back, or there is another."""
        for worker in self._workers.values():
            worker.back.set()
            worker.news.set()

    def memory(self, device: str) -> "SpoolMemory":
        """Where a driver keeps what must outlive its process (`hw.memory.Memory`)."""
        return SpoolMemory(self, device)

    async def kept(self, work: Callable[[Spool], _T]) -> _T:
        """Do something with the file, in its thread."""
        spool = self._opened()
        return await self._run(lambda: work(spool))

    async def step(self, device: str, back: asyncio.Event) -> bool:
        """Do one job; False when none waits."""
        spool, now = self._opened(), self._now_ms()
        asked = await self._run(lambda: spool.asking(device))
        if asked is not None:
            await self._ask(device, asked, back)
            return True
        for job in await self._run(lambda: spool.expire(device, now)):
            self._tell(job)
        waiting = await self._run(lambda: spool.next(device))
        if waiting is None:
            return False
        back.clear()
        printer = self._printer_for(waiting, device)
        if printer is None:
            await self._without(device, waiting, back)
            return True
        id_ = waiting.id
        begun = await self._run(lambda: spool.begin(id_))
        if begun is None:
            return True
        outcome = await self._print(printer, begun)
        after = await self._run(lambda: spool.end(id_, outcome, self._now_ms()))
        if after.state in SETTLED:
            self._tell(after)
        if isinstance(outcome, Refused) and after.state == "waiting":
            _log.warning("job.refused", job=id_, problem=outcome.problem, cure=outcome.cure)
            await self._ready_again(device, printer, back)
        return True

    async def _ask(self, device: str, job: Job, back: asyncio.Event) -> None:
        """Ask a fiscal printer what became of a receipt, until it can tell."""
        spool = self._opened()
        back.clear()
        printer = self._printers.fiscal_of(device)
        if printer is None:  # another could print it a second time: only this one knows
            await self._pause(back, self._longest_wait_s)
            return
        outcome = await concluded(device, printer.ask(job.id))
        after = await self._run(lambda: spool.end(job.id, outcome, self._now_ms()))
        if after.state in SETTLED:
            self._tell(after)
        elif after.state == "sending":
            await self._pause(back, self._longest_wait_s)

    def _printer_for(self, job: Job, device: str) -> ReceiptPrinter | FiscalPrinter | None:
        if job.kind == "fiscal":
            return self._printers.fiscal_of(device)
        return self._printers.printer_of(device)

    async def _print(self, printer: ReceiptPrinter | FiscalPrinter, job: Job) -> Outcome:
        try:
            if isinstance(printer, FiscalPrinter):
                return await concluded(printer.id, printer.issue(job.receipt()))
            return await concluded(printer.id, printer.print(job.slip()))
        except DeviceRefused as error:  # no paper is long enough for it
            return Refused(error.problem, error.cure)

    async def _without(self, device: str, job: Job, back: asyncio.Event) -> None:
        """The printer is not configured any more: its till's printer takes over, or all wait."""
        other = self._printers.printer(job.till) if job.till and job.kind != "fiscal" else None
        if other is None or not await self._move(device, other.id):
            await self._pause(back, self._longest_wait_s)

    async def _ready_again(
        self, device: str, printer: ReceiptPrinter | FiscalPrinter, back: asyncio.Event
    ) -> None:
        """Wait until the printer says that it can print, somebody says so, or another does."""
        now = asyncio.get_running_loop().time
        since, wait_s, spool = now(), self._longest_wait_s / 16, self._opened()
        while not back.is_set():
            await self._pause(back, wait_s)
            wait_s = min(2 * wait_s, self._longest_wait_s)
            for job in await self._run(lambda: spool.expire(device, self._now_ms())):
                self._tell(job)
            with suppress(DeviceUnavailable):
                status = await printer.status()
                trouble = status.trouble if isinstance(status, PrinterStatus) else status.problem
                if trouble is None:
                    return
            stand_in = self._printers.stand_in(device)
            if stand_in is not None and now() - since >= self._stand_in_after_s:
                await self._move(device, stand_in)
                return

    async def _move(self, device: str, target: str) -> bool:
        spool = self._opened()
        moved = await self._run(lambda: spool.move(device, target))
        for job in moved:
            _log.warning("job.moved", job=job.id, printer=device, to=target)
        self._worker(target).news.set()
        return bool(moved)

    async def _pause(self, back: asyncio.Event, wait_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await back.wait()

    def _tell(self, job: Job) -> None:
        if job.state not in ("done", "expired"):
            _log.warning("job.settled", job=job.id, state=job.state, problem=job.problem)
        for heard in self._listeners:
            heard(job)

    def _worker(self, device: str) -> "_Worker":
        if device not in self._workers:
            self._workers[device] = _Worker(self, device)
        return self._workers[device]

    def _opened(self) -> Spool:
        if self.broken is not None:
            raise DeviceUnavailable(self.broken.problem, cure=self.broken.cure)
        if self._spool is None:
            raise DeviceUnavailable("Printing has not begun, or is over.", cure="Ask again.")
        return self._spool

    async def _run(self, work: Callable[[], _T]) -> _T:
        # Shielded: what was begun in the thread is noted, whoever still waits for it.
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        return await asyncio.shield(future)


class _Worker:
    """The task of one printer."""

    def __init__(self, spooler: Spooler, device: str) -> None:
        self.news, self.back = asyncio.Event(), asyncio.Event()
        self._spooler, self._device = spooler, device
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name=f"printing on {device}")

    async def close(self) -> None:
        """End after the job that is being printed, or soon."""
        self._stopping = True
        self.news.set()
        self.back.set()
        await asyncio.wait([self._task], timeout=GRACE_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._stopping:
            self.news.clear()
            try:
                while not self._stopping and await self._spooler.step(self._device, self.back):
                    pass
            except (DeviceUnavailable, DeviceMisconfigured) as error:
                # Without its state on disk nothing may be printed: it could come out twice.
                _log.error("job.not_noted", printer=self._device, problem=str(error))
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._spooler.retry_s):
                        await self.news.wait()
                continue
            if not self._stopping:
                await self.news.wait()


class SpoolMemory:
    """A driver's notes in the file of the jobs; see `hw.memory.Memory`."""

    def __init__(self, spooler: Spooler, device: str) -> None:
        self._spooler, self._device = spooler, device

    async def load(self, key: str) -> Note:
        """See `Memory.load`."""
        return await self._spooler.kept(lambda spool: spool.note(self._device, key))

    async def pending(self) -> list[str]:
        """See `Memory.pending`."""
        return await self._spooler.kept(lambda spool: spool.pending(self._device))

    async def save(self, key: str, note: Note, *, pending: bool = False) -> None:
        """See `Memory.save`."""
        await self._spooler.kept(
            lambda spool: spool.keep_note(self._device, key, note, pending=pending)
        )
