"""`fiscal.posnet`: a POSNET ONLINE fiscal printer, over TCP or a serial port.

Options: those of `hw.fiscal_settings` (`answer_timeout_s` 3) and `open_timeout_s` (5).

A serial printer is set to 115200 8N1 when it leaves the factory:
`serial:/dev/ttyUSB0?baudrate=115200`.

A receipt: counters are noted, then `trinit` and the lines in block mode, then the token of
`trend` is noted, then `trend`. Whatever breaks, the printer is asked (`hw.posnet.ladder`).
"""

import asyncio
from contextlib import suppress
from datetime import date, datetime

from hw.device import Health
from hw.errors import DeviceMisconfigured, DeviceRefused, DeviceUnavailable, HwError
from hw.fiscal import (
    LETTERS,
    Counters,
    FiscalReceipt,
    FiscalStatus,
    TaxOffice,
    VatTable,
)
from hw.fiscal_settings import ASK_AGAIN, LOOK, FiscalSettings
from hw.jobs import Jobs, digest
from hw.memory import Memory
from hw.outcome import Done, Evidence, Fiscalised, FiscalOutcome, Outcome, Refused, Unknown
from hw.posnet.codec import TOKENS, Command, Frame, command, ending, opening, vat_table
from hw.posnet.ladder import Answer, Count, Verdict, judge
from hw.posnet.refusals import (
    BLOCKED_FOR_INTERFACE,
    BUSY,
    NOTHING_TO_CANCEL,
    ZERO_REPORT,
    trouble,
)
from hw.posnet.session import PosnetRefused, Session
from hw.registry import DeviceConfig, positive

NEVER = 2000
"""Year the printer tells of a link it never had."""

TOKEN_BLOCK = 500
"""Tokens of one connection. `rpt` knows a command by its token alone, so two runs of the
program must not use the same ones within the 32 answers the printer keeps."""


class PosnetPrinter:
    """One printer. One job at a time; a job that broke is settled before the next."""

    def __init__(self, config: DeviceConfig, memory: Memory | None = None) -> None:
        self._settings = FiscalSettings(
            config, memory, answer_timeout_s=3.0, more=("open_timeout_s",)
        )
        self._open_timeout_s = positive(config, "open_timeout_s", 5.0)
        self.id = config.id
        self.till = config.till
        self._url = config.url
        self._jobs = Jobs(self._settings.memory, config.id)
        self._lock = asyncio.Lock()
        self._session: Session | None = None
        self._closed = True
        self._status: FiscalStatus | None = None

    async def open(self) -> None:
        """See `Device.open`."""
        async with self._lock:
            await self._jobs.load()
            self._closed = False
            session = await self._alive()
            self._status = await self._ask_status(session)

    async def issue(self, receipt: FiscalReceipt) -> FiscalOutcome:
        """See `FiscalPrinter.issue`."""
        return _fiscal(await self._order(receipt.job, digest(receipt), receipt))

    async def daily_report(self, job: str, day: date) -> Outcome:
        """See `FiscalPrinter.daily_report`."""
        # Without the date the printer would ask a person for it.
        order = command("dailyrep", da=day.isoformat())
        return await self._order(job, digest(order), order)

    async def monthly_report(self, job: str, month: date) -> Outcome:
        """See `FiscalPrinter.monthly_report`."""
        order = command("monthlyrep", da=month.isoformat())
        return await self._order(job, digest(order), order)

    async def ask(self, job: str) -> Outcome:
        """See `FiscalPrinter.ask`."""
        async with self._lock:
            try:
                return await self._jobs.asked(job, self._resolve)
            except DeviceMisconfigured as error:
                return Unknown(error.problem, error.cure)

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
        return vat_table((await self._read(command("vatget"))).fields)

    async def counters(self) -> Counters:
        """See `FiscalPrinter.counters`."""
        async with self._lock:
            session = self._opened()
            count = await _count(session)
            totals = await session.ask(command("stot"))
        return Counters(
            daily_reports=count.reports,
            receipts=count.receipts,
            cancelled=count.cancelled,
            last_document=count.document,
            by_letter_minor=tuple(
                (letter, totals.number(f"p{letter.lower()}")) for letter in LETTERS
            ),
        )

    async def clock(self) -> datetime | None:
        """See `FiscalPrinter.clock`."""
        return _moment(await self._read(command("rtcget")), "tm")

    async def tax_office(self) -> TaxOffice | None:
        """See `FiscalPrinter.tax_office`."""
        told = await self._read(command("repositoryeventhubstate"))
        return TaxOffice(
            reached_at=_moment(told, "ds"),
            failed_at=_moment(told, "df"),
            sending=told.flag("ac"),
        )

    async def lost(self) -> HwError:
        """See `Device.lost`. A loss that a job in progress mends itself is none."""
        while True:
            session = self._opened()
            try:
                async with asyncio.timeout(self._settings.poll_s):
                    error = await session.lost()
            except TimeoutError:
                with suppress(DeviceUnavailable):  # then the link is lost, and says why
                    await self.status()
                continue
            async with self._lock:
                if self._session is session or self._session is None:
                    return error

    async def close(self) -> None:
        """See `Device.close`."""
        self._closed = True
        await self._drop()

    def health(self) -> Health:
        """See `Device.health`."""
        status = self._status
        if status is not None and status.problem is not None:
            return Health(f"Printer {self.id}: {status.problem}.", status.cure)
        if status is not None and status.paper_low:
            return Health(f"Printer {self.id}: the paper is nearly out.", "Have a roll ready.")
        waiting = self._jobs.unsettled()
        if waiting:
            return Health(f"Printer {self.id}: job {waiting[0]} is not settled.", ASK_AGAIN)
        return Health()

    async def _order(self, job: str, order: str, what: FiscalReceipt | Command) -> Outcome:
        """Anything that prints, from an order to its outcome."""
        async with self._lock:
            settled = False
            try:
                await self._jobs.load()
                outcome = await self._jobs.told(job, order) or await self._jobs.earlier(
                    job, self._resolve
                )
                if outcome is None and isinstance(what, FiscalReceipt):
                    outcome = await self._issue(what, order)
                elif outcome is None and isinstance(what, Command):
                    outcome = await self._report(job, order, what)
                settled = True
            except (DeviceRefused, DeviceUnavailable, DeviceMisconfigured, PosnetRefused) as error:
                settled = True
                outcome = Refused(error.problem, error.cure)
            finally:
                if not settled:
                    await self._drop()  # a cancelled exchange; its answers must find nobody
            assert outcome is not None  # noqa: S101 - one of the branches has set it
            return outcome

    async def _issue(self, receipt: FiscalReceipt, order: str) -> Outcome:
        """Print a receipt that is proven not to have been printed.

        Raises:
            HwError: Nothing was begun.
        """
        session = await self._ready()
        table = vat_table((await session.ask(command("vatget"))).fields)
        orders = opening(receipt, table)
        base = await _count(session)
        job = receipt.job
        await self._jobs.keep(
            job, "begun", kind="receipt", order=order, device=session.device, base=base.note()
        )
        try:
            for each in orders:
                await session.ask(each)
            token = session.next_token()
            await self._jobs.keep(job, "closing", token=token)
            await session.ask(ending(receipt), token=token, patience_s=self._settings.job_timeout_s)
            return await self._judged(session, job, base, "ok", is_open=False)
        except PosnetRefused as error:
            return await self._resolve(job, Refused(error.problem, error.cure))
        except DeviceUnavailable:
            return await self._resolve(job)

    async def _report(self, job: str, order: str, what: Command) -> Outcome:
        session = await self._ready()
        base = await _count(session)
        token = session.next_token()
        await self._jobs.keep(
            job,
            "closing",
            kind=what.name,
            order=order,
            device=session.device,
            base=base.note(),
            token=token,
        )
        try:
            await session.ask(what, token=token, patience_s=self._settings.job_timeout_s)
            return await self._jobs.settle(job, Done(f"{what.name} answered"))
        except PosnetRefused as error:
            return await self._jobs.settle(job, _report_refused(error))
        except DeviceUnavailable:  # or the note could not be written
            return await self._resolve(job)

    async def _resolve(self, job: str, why: Refused | None = None) -> Outcome:
        """Ask what became of a job, as long as there is hope of an answer.

        Args:
            job: It is begun or closing.
            why: What the printer said, if it refused a step.
        """
        loop = asyncio.get_running_loop()
        deadline, wait_s = loop.time() + self._settings.resolve_timeout_s, 0.02
        while True:
            try:
                return await self._find_out(await self._alive(), job, why)
            except (DeviceUnavailable, DeviceMisconfigured, PosnetRefused) as failure:
                error = failure
            if self._closed or loop.time() + wait_s > deadline:
                return Unknown(error.problem, ASK_AGAIN)
            await asyncio.sleep(wait_s)
            wait_s = min(1.0, 2 * wait_s)

    async def _find_out(self, session: Session, job: str, why: Refused | None) -> Outcome:
        note = await self._jobs.note_of(job)
        if note["device"] != session.device:
            raise DeviceMisconfigured(
                f"Printer {self.id}: job {job} went to {note['device']}, this is {session.device}.",
                cure="Connect that printer again.",
            )
        base = Count(**note["base"])
        if note["kind"] != "receipt":
            return await self._find_out_report(session, job, note["kind"], note["token"], base)
        answer = await _answer(session, note["token"]) if note["stage"] == "closing" else "none"
        is_open = (await session.ask(command("strns"))).number("to") == 1
        if note["stage"] == "begun":
            # `trend` was never sent: whatever is open is cancelled, and nothing has happened.
            if is_open:
                await self._cancel(session)
            return await self._jobs.settle(job, why or _broke_off(self.id, job))
        return await self._judged(session, job, base, answer, is_open=is_open, why=why)

    async def _judged(
        self,
        session: Session,
        job: str,
        base: Count,
        answer: Answer,
        *,
        is_open: bool,
        why: Refused | None = None,
    ) -> Outcome:
        now = await _count(session)
        verdict = judge(base, now, answer=answer, is_open=is_open, shared=self._settings.shared)
        if verdict == "open":
            await self._cancel(session)
            now = await _count(session)
            verdict = judge(base, now, answer=answer, is_open=False, shared=self._settings.shared)
        if verdict == "issued":
            return await self._jobs.settle(job, self._evidence(session, base, now, answer))
        if verdict == "nothing":
            return await self._jobs.settle(job, why or _broke_off(self.id, job))
        return await self._jobs.settle(job, _contradiction(self.id, job, base, now, verdict))

    def _evidence(self, session: Session, base: Count, now: Count, answer: str) -> Fiscalised:
        alone = now.reports == base.reports and now.receipts == base.receipts + 1
        said = "trend answered" if answer == "ok" else "its answer was lost"
        evidence = Evidence(
            device=session.device,
            # With another one's receipts after ours, the last number is not ours.
            document=str(now.last) if alone else "",
            memory_id=now.document if alone else None,
            report=base.reports + 1,
            fiscal=session.fiscal,
        )
        return Fiscalised(f"{said}, receipts {base.receipts} to {now.receipts}", evidence)

    async def _find_out_report(
        self, session: Session, job: str, kind: str, token: int, base: Count
    ) -> Outcome:
        told = await session.repeat(token, kind)
        if told is not None and told.error is None:
            return await self._jobs.settle(job, Done(f"{kind} answered"))
        if told is not None and told.error is not None:
            return await self._jobs.settle(job, _report_refused(PosnetRefused(kind, told.error)))
        now = await _count(session)
        if kind == "dailyrep" and now.reports == base.reports + 1:
            return await self._jobs.settle(job, Done(f"daily reports {now.reports}"))
        if kind == "dailyrep" and now.reports == base.reports:
            return await self._jobs.settle(job, _broke_off(self.id, job))
        return await self._jobs.settle(
            job, Unknown(f"Printer {self.id}: nothing on it counts this report.", LOOK)
        )

    async def _cancel(self, session: Session) -> None:
        """Cancel what is open, if it is ours: another computer's is out of its reach."""
        try:
            await session.ask(command("prncancel"), patience_s=self._settings.job_timeout_s)
        except PosnetRefused as error:
            others = {BUSY, BLOCKED_FOR_INTERFACE} if self._settings.shared else set()
            if error.number not in NOTHING_TO_CANCEL | others:
                raise

    async def _ready(self) -> Session:
        """A printer that can print now.

        Raises:
            DeviceRefused: It cannot.
            DeviceUnavailable: It is not there.
        """
        if self._closed:
            self._opened()
        session = await self._alive()
        try:
            status = await self._ask_status(session)
        except DeviceUnavailable:
            # It may have fallen while nobody spoke; nothing is begun yet.
            session = await self._alive()
            status = await self._ask_status(session)
        self._status = status
        if status.transaction_open:
            raise DeviceRefused(
                f"Printer {self.id}: a transaction is open on it that Karb did not begin.",
                cure="Cancel it on the printer or in the program that began it.",
            )
        if status.problem is not None:
            raise DeviceRefused(f"Printer {self.id}: {status.problem}.", cure=status.cure or "")
        return session

    async def _alive(self) -> Session:
        """The connection, made anew if it was lost.

        Raises:
            DeviceUnavailable: It cannot be made, or the driver was closed.
            DeviceMisconfigured: Another printer than expected, or one that must not be used.
        """
        if self._session is not None and not self._session.is_lost:
            return self._session
        if self._closed:
            return self._opened()
        await self._drop()
        first = int((await self._jobs.own("tokens")).get("next", 1)) % TOKENS
        await self._jobs.keep_own("tokens", {"next": (first + TOKEN_BLOCK) % TOKENS})
        session = Session(
            self.id, answer_timeout_s=self._settings.answer_timeout_s, first_token=first
        )
        try:
            await session.open(self._url, timeout_s=self._open_timeout_s)
            # Not `nu` of the statuses: that one can be reprogrammed (`progid`).
            session.device = (await session.ask(command("getrealid"))).text("nu").strip()
            session.fiscal = (await session.ask(command("scomm"))).flag("fs")
            self._settings.check(session.device, fiscal=session.fiscal)
        except PosnetRefused as error:
            await session.close()
            raise DeviceMisconfigured(error.problem, cure=error.cure) from error
        except BaseException:
            await session.close()
            raise
        self._session = session
        return session

    async def _ask_status(self, session: Session) -> FiscalStatus:
        mechanism = await session.ask(command("!sprn"))
        display = await session.ask(command("!sdev"))
        stopped = trouble(mechanism.number("pr"), display.number("ds"))
        if stopped is not None:  # it would not answer the next question
            return FiscalStatus(
                unique_number=session.device,
                fiscal=session.fiscal,
                paper_low=display.flag("pe"),
                problem=stopped[0],
                cure=stopped[1],
            )
        common = await session.ask(command("scomm"))
        read_only = common.flag("td")
        return FiscalStatus(
            unique_number=session.device,
            fiscal=common.flag("fs"),
            read_only=read_only,
            transaction_open=common.number("ts") != 0,
            paper_low=display.flag("pe"),
            problem="it is read-only: its fiscal life is over" if read_only else None,
            cure="Sell on a reserve device; call the service." if read_only else None,
        )

    async def _read(self, question: Command) -> Frame:
        async with self._lock:
            try:
                return await self._opened().ask(question)
            except PosnetRefused as error:
                raise DeviceUnavailable(error.problem, cure=error.cure) from error

    async def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> Session:
        if self._session is None:
            raise DeviceUnavailable(
                f"Printer {self.id} at {self._url} is not connected.",
                cure="Switch it on and check its cable; Karb connects by itself.",
            )
        return self._session


async def _count(session: Session) -> Count:
    told = await session.ask(command("scnt"))
    # Type 0: receipts, finished ones only.
    last = await session.ask(command("eclastdocnoget", ty="0"))
    return Count(
        reports=told.number("rd"),
        receipts=told.number("bn"),
        cancelled=told.number("bc"),
        last=told.number("bt"),
        document=last.number("di"),
    )


async def _answer(session: Session, token: int) -> Answer:
    told = await session.repeat(token, "trend")
    if told is None:
        return "none"
    return "ok" if told.error is None else "error"


def _fiscal(outcome: Outcome) -> FiscalOutcome:
    assert not isinstance(outcome, Done) or isinstance(outcome, Fiscalised)  # noqa: S101
    return outcome


def _report_refused(error: PosnetRefused) -> Outcome:
    if error.number == ZERO_REPORT:
        return Done("nothing to report since the last daily report")
    return Refused(error.problem, error.cure)


def _broke_off(printer: str, job: str) -> Refused:
    return Refused(
        f"Printer {printer}: job {job} broke off and was cancelled; nothing of it counts.",
        "Try again.",
    )


def _contradiction(printer: str, job: str, base: Count, now: Count, verdict: Verdict) -> Unknown:
    return Unknown(
        f"Printer {printer}: job {job}: its counters prove nothing ({verdict}): "
        f"{dict(base.note())} before, {dict(now.note())} now.",
        LOOK,
    )


def _moment(told: Frame, field: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(told.text(field))
    except ValueError:
        return None
    return None if moment.year <= NEVER else moment
