"""`printer.escpos`: a receipt printer on the network, USB or a serial port.

Options: `profile` (python-escpos' name of the model, `default`), `columns` (as the
profile says), `kanji_off` (`yes` for Chinese models), `logo` (a picture's file), `proof`
(`process_id`; `paper_status` for models without `GS ( H`), `answer_timeout_s` (2) for a
status, `job_timeout_s` (30) from the first byte of a job to its proof, `poll_s` (15)
between questions when idle, `open_timeout_s` (5). A drawer on its plug: `drawer` (`high` or `low`:
the level of pin 3 while it is open; left out, nobody asks), `drawer_poll_s` (1) between two
looks, `drawer_too_long_s` (60).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from hw.device import DrawerChange, Health, PrinterStatus
from hw.drawer import DrawerWatch
from hw.errors import DeviceRefused, DeviceUnavailable, HwError
from hw.escpos.codec import (
    PAPER_QUESTIONS,
    Answer,
    AnswerParser,
    Encoder,
    PaperByte,
    Processed,
    StatusByte,
    paper_requests,
    printer_status,
    process_id,
    proof_request,
    status_request,
)
from hw.outcome import Done, Outcome, Refused, Unknown
from hw.registry import DeviceConfig, check_options, chosen, positive
from hw.slip import Slip
from hw.transports import open_transport
from hw.transports.link import Link

MAX_ANSWERS = 64
"""Answers nobody waits for; beyond it the oldest go."""

LOOK_AT_PAPER = "Look at the paper: if the receipt is not complete, print it again."

_TROUBLE = {
    "paper_end": ("the paper has run out", "Load paper."),
    "cover_open": ("the cover is open", "Close the cover."),
    "error": ("it reports a fault", "Clear jammed paper, or switch it off and on."),
    "offline": ("it is offline", "Press its FEED button, or switch it off and on."),
}

_OPTIONS = (
    "profile",
    "columns",
    "kanji_off",
    "logo",
    "proof",
    "answer_timeout_s",
    "job_timeout_s",
    "poll_s",
    "open_timeout_s",
    "drawer",
    "drawer_poll_s",
    "drawer_too_long_s",
)

_A = TypeVar("_A", bound=Answer)


class EscposPrinter:
    """One printer. One exchange at a time; a link that failed once is not used again."""

    def __init__(self, config: DeviceConfig) -> None:
        check_options(config, _OPTIONS)
        self.id = config.id
        self.till = config.till
        self._url = config.url
        self._profile = config.options.get("profile", "default")
        self._columns = int(positive(config, "columns", 0)) or None
        self._kanji_off = config.options.get("kanji_off") == "yes"
        self._logo = config.options.get("logo")
        self._weak = chosen(config, "proof", ("process_id", "paper_status")) == "paper_status"
        self._answer_timeout_s = positive(config, "answer_timeout_s", 2.0)
        self._job_timeout_s = positive(config, "job_timeout_s", 30.0)
        self._poll_s = positive(config, "poll_s", 15.0)
        self._open_timeout_s = positive(config, "open_timeout_s", 5.0)
        level = chosen(config, "drawer", ("none", "high", "low"))
        self._drawer = DrawerWatch(level, positive(config, "drawer_too_long_s", 60.0))
        self._drawer_poll_s = positive(config, "drawer_poll_s", 1.0)
        self._encoder: Encoder | None = None
        self._lock = asyncio.Lock()
        self._link: Link | None = None
        self._answers: asyncio.Queue[Answer | None] = asyncio.Queue()
        self._parser = AnswerParser()
        self._status = PrinterStatus()

    async def open(self) -> None:
        """See `Device.open`."""
        if self._encoder is None:
            self._encoder = await asyncio.to_thread(self._make_encoder)
        transport = await open_transport(self._url, timeout_s=self._open_timeout_s)
        async with self._lock:
            self._parser = AnswerParser(paper=self._weak)
            self._link = Link(transport, self._on_bytes, self._on_lost)
            self._status = await self._ask_status(self._link)

    async def print(self, job: Slip) -> Outcome:
        """See `ReceiptPrinter.print`."""
        async with self._lock:
            try:
                link, encoder = self._opened()
                data = encoder.encode(job)
                status = self._status = await self._ask_status(link)
            except (DeviceRefused, DeviceUnavailable) as error:
                return Refused(error.problem, error.cure)
            if status.trouble is not None:
                return Refused(*_explain(self.id, status))
            return await self._send(link, data, process_id(job.job))

    async def status(self) -> PrinterStatus:
        """See `ReceiptPrinter.status`."""
        async with self._lock:
            link, _ = self._opened()
            self._status = await self._ask_status(link)
            return self._status

    async def lost(self) -> HwError:
        """See `Device.lost`. Asks for the status now and then: silence is a loss too."""
        try:
            async for _ in self.drawer_changes():
                pass
        except DeviceUnavailable as error:
            return error
        raise AssertionError(f"{self.id}: it ended without saying why")

    @property
    def drawer_open(self) -> bool | None:
        """See `CashDrawer.drawer_open`."""
        return self._drawer.open

    async def drawer_changes(self) -> AsyncIterator[DrawerChange]:
        """See `CashDrawer.drawer_changes`."""
        link, _ = self._opened()
        now = asyncio.get_running_loop().time
        wait_s = self._drawer_poll_s if self._drawer.watched else self._poll_s
        while True:
            for state, open_s in self._drawer.seen(high=self._status.drawer_high, now_s=now()):
                yield DrawerChange(state=state, open_s=open_s, device=self.id, till=self.till)
            error = None
            try:
                async with asyncio.timeout(wait_s):
                    error = await link.lost()
            except TimeoutError:
                with suppress(DeviceUnavailable):  # then the link is lost, and says why
                    await self.status()
            if error is not None:
                self._drawer.lost()
                raise DeviceUnavailable(error.problem, cure=error.cure)

    async def close(self) -> None:
        """See `Device.close`."""
        await self._drop()

    def health(self) -> Health:
        """See `Device.health`."""
        if self._status.trouble is not None:
            return Health(*_explain(self.id, self._status))
        if self._status.paper_low:
            return Health(f"Printer {self.id}: the paper is nearly out.", "Have a roll ready.")
        if self._drawer.too_long:
            return Health(
                f"Printer {self.id}: the drawer has been open for more than "
                f"{self._drawer.too_long_s:g} s.",
                "Close the drawer.",
            )
        return Health()

    async def _send(self, link: Link, data: bytes, identity: bytes) -> Outcome:
        """From the first byte on, every ending but the echo is `Unknown`."""
        done = False
        try:
            async with asyncio.timeout(self._job_timeout_s):
                if self._weak:
                    await self._paper_told(link, data)
                    proof = "paper status told in its turn"
                else:
                    await link.write(data + proof_request(identity))
                    while (await self._next(link, Processed)).process_id != identity:
                        pass
                    proof = f"process id {identity.decode()} echoed"
            done = True
            return Done(proof)
        except TimeoutError:
            problem = await self._why_silent(link)
        except DeviceUnavailable as error:
            problem = error.problem
        finally:
            if not done:
                # The rest of this exchange must not be mistaken for the next one's.
                await self._drop()
        return Unknown(problem, LOOK_AT_PAPER)

    async def _paper_told(self, link: Link, data: bytes) -> None:
        """Send; wait for all answers to the questions behind it, of which no other waits."""
        self._forget()
        await link.write(data + paper_requests())
        for _ in range(PAPER_QUESTIONS):
            await self._next(link, PaperByte)

    async def _why_silent(self, link: Link) -> str:
        try:
            self._status = await self._ask_status(link)
        except DeviceUnavailable as error:
            return error.problem
        if self._status.trouble is not None:
            return _explain(self.id, self._status)[0]
        hint = "" if self._weak else " If it never comes, set the option proof to paper_status."
        return (
            f"Printer {self.id}: expected a proof of printing within {self._job_timeout_s:g} s, "
            f"got none, although it says that all is well.{hint}"
        )

    async def _ask_status(self, link: Link) -> PrinterStatus:
        done = False
        try:
            printer, cause, paper = [await self._ask(link, n) for n in (1, 2, 4)]
            done = True
            return printer_status(printer, cause, paper)
        except DeviceUnavailable as error:
            link.fail(error)
            raise
        finally:
            if not done:
                # A late answer says not what it answers: it would pass for the next one.
                await self._drop()

    async def _ask(self, link: Link, n: int) -> int:
        self._forget()
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                await link.write(status_request(n))
                return (await self._next(link, StatusByte)).value
        except TimeoutError as error:
            raise DeviceUnavailable(
                f"Printer {self.id} at {self._url}: expected an answer to DLE EOT {n} within "
                f"{self._answer_timeout_s:g} s, got none.",
                cure="Switch it on; make sure that it is an ESC/POS printer with a two-way link.",
            ) from error

    def _forget(self) -> None:
        """Late answers must not answer the next question."""
        while not self._answers.empty():
            self._answers.get_nowait()

    async def _next(self, link: Link, kind: type[_A]) -> _A:
        while True:
            answer = await self._answers.get()
            if isinstance(answer, kind):
                return answer
            if answer is None and (error := link.why_lost) is not None:
                raise DeviceUnavailable(error.problem, cure=error.cure)

    def _on_bytes(self, data: bytes) -> None:
        for answer in self._parser.feed(data):
            if self._answers.qsize() >= MAX_ANSWERS:
                self._answers.get_nowait()
            self._answers.put_nowait(answer)

    def _on_lost(self) -> None:
        self._answers.put_nowait(None)

    async def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    def _opened(self) -> tuple[Link, Encoder]:
        if self._link is None or self._encoder is None:
            raise DeviceUnavailable(
                f"Printer {self.id} at {self._url} is not connected.",
                cure="Switch it on and check its cable; Karb connects by itself.",
            )
        return self._link, self._encoder

    def _make_encoder(self) -> Encoder:
        return Encoder(
            profile=self._profile,
            columns=self._columns,
            kanji_off=self._kanji_off,
            logo=Path(self._logo) if self._logo else None,
        )


def _explain(printer: str, status: PrinterStatus) -> tuple[str, str]:
    problem, cure = _TROUBLE[status.trouble or "offline"]
    return f"Printer {printer}: {problem}.", cure
