"""`fiscal.noviapi`: a Novitus fiscal printer with NoviAPI; `url` is `http://host:8888`.

Options: those of `hw.fiscal_settings` (`answer_timeout_s` 5).

A receipt: totals are read, `POST` stores it, its id and the totals are noted, `PUT` has it
printed. Whatever breaks, the printer is asked about the id; if it has forgotten it (its
queue was erased), the totals tell: they moved by exactly this receipt, or not at all.
"""

import asyncio
from datetime import date, datetime
from urllib.parse import urlsplit

from hw.device import Health
from hw.errors import DeviceMisconfigured, DeviceRefused, DeviceUnavailable, HwError
from hw.fiscal import Counters, FiscalReceipt, FiscalStatus, TaxOffice, VatTable
from hw.fiscal_settings import ASK_AGAIN, LOOK, FiscalSettings
from hw.jobs import Jobs, digest
from hw.memory import Memory, Note
from hw.noviapi.codec import (
    Body,
    Check,
    DeviceState,
    FiscalMemory,
    read_device,
    read_fiscal_memory,
    read_last_id,
    receipt_body,
    report_body,
)
from hw.noviapi.session import InTheWay, NotThere, Session
from hw.outcome import Done, Evidence, Fiscalised, FiscalOutcome, Outcome, Refused, Unknown
from hw.registry import DeviceConfig


class NoviapiPrinter:
    """One printer. One job at a time; a job that broke is settled before the next."""

    def __init__(self, config: DeviceConfig, memory: Memory | None = None) -> None:
        self._settings = FiscalSettings(config, memory, answer_timeout_s=5.0)
        self.id = config.id
        self.till = config.till
        self._url = config.url
        self._jobs = Jobs(self._settings.memory, config.id)
        self._lock = asyncio.Lock()
        self._session: Session | None = None
        self._device: FiscalMemory | None = None
        """Who answered at `open`."""

        self._status: FiscalStatus | None = None

    async def open(self) -> None:
        """See `Device.open`."""
        parts = urlsplit(self._url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise DeviceMisconfigured(
                f"Device URL {self._url!r}: expected http://host:port.",
                cure="Write http://192.168.1.50:8888, for example.",
            )
        async with self._lock:
            await self._jobs.load()
            if self._session is None:
                self._session = Session(
                    self.id,
                    self._url,
                    timeout_s=self._settings.answer_timeout_s,
                    token=await self._jobs.own("token"),
                    keep_token=self._keep_token,
                )
            try:
                self._status = await self._ask_status(self._session)
            except BaseException:
                await self._drop()
                raise

    async def issue(self, receipt: FiscalReceipt) -> FiscalOutcome:
        """See `FiscalPrinter.issue`."""
        outcome = await self._order(receipt.job, digest(receipt), receipt)
        assert not isinstance(outcome, Done) or isinstance(outcome, Fiscalised)  # noqa: S101
        return outcome

    async def daily_report(self, job: str, day: date) -> Outcome:
        """See `FiscalPrinter.daily_report`."""
        return await self._order(job, digest(day), day)

    async def monthly_report(self, job: str, month: date) -> Outcome:
        """See `FiscalPrinter.monthly_report`. NoviAPI 1.0.4 has none."""
        return Refused(
            f"Printer {self.id}: report of {month:%Y-%m} (job {job}): NoviAPI has no monthly "
            "report.",
            "Print it from the printer's menu.",
        )

    async def ask(self, job: str) -> Outcome:
        """See `FiscalPrinter.ask`."""
        async with self._lock:
            return await self._jobs.asked(job, lambda broken: self._resolve(broken, confirm=False))

    async def settle(self, job: str, *, document: str | None, by: str) -> Outcome:
        """See `FiscalPrinter.settle`."""
        async with self._lock:
            try:
                return await self._jobs.by_person(job, document, self._settings.number, by)
            except (DeviceUnavailable, DeviceMisconfigured) as error:
                return Unknown(error.problem, error.cure)

    async def status(self) -> FiscalStatus:
        """See `FiscalPrinter.status`."""
        async with self._lock:
            self._status = await self._ask_status(self._opened())
            return self._status

    async def vat_table(self) -> VatTable:
        """See `FiscalPrinter.vat_table`."""
        async with self._lock:
            return (await self._device_state(self._opened())).table

    async def counters(self) -> Counters:
        """See `FiscalPrinter.counters`. NoviAPI tells no number of receipts."""
        async with self._lock:
            session = self._opened()
            state = await self._device_state(session)
            memory = read_fiscal_memory(await self._told(session, "fiscal_memory"))
            last = read_last_id(await self._told(session, "protected_memory"))
        return Counters(
            daily_reports=memory.reports,
            last_document=last,
            by_letter_minor=tuple(state.totals.items()),
        )

    async def clock(self) -> datetime | None:
        """See `FiscalPrinter.clock`. NoviAPI 1.0.4 does not tell."""
        return None

    async def tax_office(self) -> TaxOffice | None:
        """See `FiscalPrinter.tax_office`. NoviAPI 1.0.4 does not tell."""
        return None

    async def lost(self) -> HwError:
        """See `Device.lost`. There is no connection to lose: the printer is asked now and then."""
        session = self._opened()
        while True:
            await asyncio.sleep(self._settings.poll_s)
            try:
                await session.hello()
            except DeviceUnavailable as error:
                async with self._lock:  # a job in progress asks by itself
                    return error

    async def close(self) -> None:
        """See `Device.close`."""
        await self._drop()

    def health(self) -> Health:
        """See `Device.health`."""
        if self._status is not None and self._status.problem is not None:
            return Health(f"Printer {self.id}: {self._status.problem}.", self._status.cure)
        waiting = self._jobs.unsettled()
        if waiting:
            return Health(f"Printer {self.id}: job {waiting[0]} is not settled.", ASK_AGAIN)
        return Health()

    async def _order(self, job: str, order: str, what: FiscalReceipt | date) -> Outcome:
        """Anything that prints, from an order to its outcome."""
        async with self._lock:
            try:
                await self._jobs.load()
                outcome = await self._jobs.told(job, order) or await self._jobs.earlier(
                    job, lambda broken: self._resolve(broken, confirm=broken == job)
                )
                if outcome is not None:
                    return outcome
                if isinstance(what, FiscalReceipt):
                    return await self._issue(what, order)
                return await self._report(job, order, what)
            except (DeviceRefused, DeviceUnavailable, DeviceMisconfigured) as error:
                return Refused(error.problem, error.cure)

    async def _issue(self, receipt: FiscalReceipt, order: str) -> Outcome:
        """Print a receipt that is proven not to have been printed.

        Raises:
            HwError: Nothing was confirmed.
        """
        session, state = await self._ready()
        body = receipt_body(receipt, state.table)
        expect = {
            state.table.letter(vat): gross for vat, gross in receipt.by_rate().items() if gross
        }
        return await self._confirmed(
            session, receipt.job, "receipt", body, order, base=dict(state.totals), expect=expect
        )

    async def _report(self, job: str, order: str, day: date) -> Outcome:
        session, state = await self._ready()
        body = report_body(day)
        base = dict(state.totals)
        try:
            return await self._confirmed(session, job, "daily_report", body, order, base=base)
        except InTheWay:
            if self._settings.shared:
                raise
            # Orders of ours that were stored and never confirmed, after a broken line.
            await session.empty_queue()
            return await self._confirmed(session, job, "daily_report", body, order, base=base)

    async def _confirmed(
        self,
        session: Session,
        job: str,
        kind: str,
        body: Body,
        order: str,
        **facts: dict[str, int],
    ) -> Outcome:
        """Store, note, confirm, and see what becomes of it.

        Raises:
            HwError: Nothing was confirmed.
        """
        memory = self._known()
        number = await session.store(kind, body)
        await self._jobs.keep(
            job,
            "closing",
            kind=kind,
            order=order,
            request=number,
            device=memory.unique_number,
            reports=memory.reports,
            **facts,
        )
        known: FiscalMemory | None = memory
        try:
            await session.confirm(kind, number)
        except (DeviceUnavailable, DeviceRefused):
            known = None  # who knows who answers next
        return await self._resolve(job, confirm=True, known=known)

    async def _resolve(
        self, job: str, *, confirm: bool, known: FiscalMemory | None = None
    ) -> Outcome:
        """Ask what became of a job, as long as there is hope of an answer.

        Args:
            job: It is begun or closing.
            confirm: Have it done if the confirmation did not arrive; otherwise withdraw it.
            known: Who took the confirmation a moment ago.
        """
        loop = asyncio.get_running_loop()
        began, wait_s = loop.time(), 0.02
        while True:
            patience_s = self._settings.resolve_timeout_s
            try:
                check = await self._find_out(self._opened(), job, confirm=confirm, known=known)
                if not isinstance(check, Check):
                    return check
                problem = check.trouble or "it has not begun to print"
                problem, patience_s = f"Printer {self.id}: {problem}.", self._settings.job_timeout_s
            except (DeviceUnavailable, DeviceRefused, DeviceMisconfigured) as error:
                problem, known = error.problem, None
            if self._session is None or loop.time() + wait_s > began + patience_s:
                return Unknown(problem, ASK_AGAIN)
            await asyncio.sleep(wait_s)
            wait_s = min(1.0, 2 * wait_s)

    async def _find_out(
        self, session: Session, job: str, *, confirm: bool, known: FiscalMemory | None
    ) -> Outcome | Check:
        """What became of it; the check while it is not over."""
        note = await self._jobs.note_of(job)
        kind, number = note["kind"], note["request"]
        memory = known or await self._identify(session)
        if note["device"] != memory.unique_number:
            raise DeviceMisconfigured(
                f"Printer {self.id}: job {job} went to {note['device']}, this is "
                f"{memory.unique_number}.",
                cure="Connect that printer again.",
            )
        try:
            check = await session.check(kind, number, wait_s=self._settings.job_timeout_s)
            if check.state == "STORED" and confirm:
                await session.confirm(kind, number)
                return check
            if check.state == "STORED":
                await session.withdraw(kind, number)
                return await self._jobs.settle(job, _withdrawn(self.id, job))
        except NotThere:
            return await self._by_totals(session, job, note, memory, None)
        if check.state in {"QUEUED", "PENDING"}:
            return check
        if check.state == "DONE" and kind == "receipt":
            return await self._jobs.settle(job, self._evidence(memory, note, check.memory_id))
        if check.state == "DONE":
            return await self._jobs.settle(job, Done(f"report done, JPKID {check.memory_id}"))
        return await self._by_totals(session, job, note, memory, check)

    async def _by_totals(
        self, session: Session, job: str, note: Note, memory: FiscalMemory, check: Check | None
    ) -> Outcome | Check:
        """The printer does not vouch for the request: its totals must."""
        failed = check.error if check is not None else None
        nothing = (
            Refused(
                f"Printer {self.id}: {failed[1]} (error {failed[0]}).",
                "Correct what it names and try again.",
            )
            if failed
            else _withdrawn(self.id, job)
        )
        totals = (await self._device_state(session)).totals
        base: dict[str, int] = note["base"]
        grown = {a: totals.get(a, 0) - base.get(a, 0) for a in {*totals, *base}}
        moved = {letter: minor for letter, minor in grown.items() if minor}
        same_day = memory.reports == note["reports"]
        if note["kind"] == "daily_report":
            if memory.reports == note["reports"] + 1:
                return await self._jobs.settle(job, Done(f"daily reports {memory.reports}"))
            if same_day and failed and not any(totals.values()):
                nothing_due = Done("nothing to report since the last daily report")
                return await self._jobs.settle(job, nothing_due)
            return await self._jobs.settle(job, nothing if same_day else self._lost_track(job))
        if same_day and not moved and check is not None and not failed:
            return check  # it knows the request, and not what became of it
        if same_day and not moved:
            return await self._jobs.settle(job, nothing)
        if same_day and moved == note["expect"] and not failed and not self._settings.shared:
            last = read_last_id(await self._told(session, "protected_memory"))
            return await self._jobs.settle(job, self._evidence(memory, note, last))
        return await self._jobs.settle(job, self._lost_track(job))

    def _evidence(self, memory: FiscalMemory, note: Note, memory_id: int | None) -> Fiscalised:
        evidence = Evidence(
            device=memory.unique_number,
            # NoviAPI does not tell the number on the paper.
            document="" if memory_id is None else str(memory_id),
            memory_id=memory_id,
            report=note["reports"] + 1,
            fiscal=memory.fiscal,
        )
        return Fiscalised(f"request {note['request']} done", evidence)

    def _lost_track(self, job: str) -> Unknown:
        return Unknown(
            f"Printer {self.id}: job {job}: it has forgotten the request, and its totals moved "
            "by something else.",
            LOOK,
        )

    async def _ready(self) -> tuple[Session, DeviceState]:
        """A printer that can print now.

        Raises:
            DeviceRefused: It cannot.
            DeviceUnavailable: It is not there.
        """
        session = self._opened()
        status = self._status = await self._ask_status(session)
        if status.problem is not None:
            raise DeviceRefused(f"Printer {self.id}: {status.problem}.", cure=status.cure or "")
        return session, await self._device_state(session)

    async def _ask_status(self, session: Session) -> FiscalStatus:
        check = await session.status("fiscal_memory")
        if check.status:
            self._device = self._checked(read_fiscal_memory(check.status))
        known = self._known()
        trouble = check.trouble
        return FiscalStatus(
            unique_number=known.unique_number,
            fiscal=known.fiscal,
            problem=trouble,
            cure="Look at the printer." if trouble else None,
        )

    async def _identify(self, session: Session) -> FiscalMemory:
        check = await session.status("fiscal_memory")
        if not check.status:
            raise DeviceUnavailable(
                f"Printer {self.id}: {check.trouble}.", cure="Put it right; Karb asks again."
            )
        self._device = self._checked(read_fiscal_memory(check.status))
        return self._device

    def _checked(self, memory: FiscalMemory) -> FiscalMemory:
        self._settings.check(memory.unique_number, fiscal=memory.fiscal)
        return memory

    async def _device_state(self, session: Session) -> DeviceState:
        return read_device(await self._told(session, "device"))

    async def _told(self, session: Session, what: str) -> Body:
        check = await session.status(what)
        if not check.status:
            raise DeviceUnavailable(
                f"Printer {self.id}: {check.trouble}.", cure="Put it right; Karb asks again."
            )
        return check.status

    async def _keep_token(self, token: Note) -> None:
        await self._jobs.keep_own("token", token)

    async def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _known(self) -> FiscalMemory:
        if self._device is None:
            raise DeviceUnavailable(
                f"Printer {self.id}: it has not said who it is.", cure="Look at its display."
            )
        return self._device

    def _opened(self) -> Session:
        if self._session is None:
            raise DeviceUnavailable(
                f"Printer {self.id} at {self._url} is not connected.",
                cure="Switch it on and check its network; Karb connects by itself.",
            )
        return self._session


def _withdrawn(printer: str, job: str) -> Refused:
    return Refused(
        f"Printer {printer}: job {job} was not begun; nothing of it counts.", "Try again."
    )
