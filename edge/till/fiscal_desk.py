"""The fiscal printers of a node: whether one may be used, and what became of a receipt.

Nothing is decided about sales here (`edge.till.paying` does that); a receipt that may be on
paper is asked about, and one is moved to a reserve only when it is proven not to be.
"""

import asyncio
from uuid import UUID

import structlog

from edge.clock import Clock
from edge.store.checkouts import CheckoutView
from edge.store.store import Store
from edge.store.unit import SaleView
from edge.till import fiscal
from edge.till.business_day import business_day, local
from edge.till.errors import NoFiscalEvidence, NotPossible
from edge.till.told import Told
from hw.device import FiscalPrinter
from hw.errors import DeviceRefused, HwError
from hw.fiscal import FiscalReceipt
from hw.outcome import Done, Fiscalised, Outcome, Refused, Unknown, concluded
from hw.supervisor import Supervisor
from sync.errors import BadFact
from sync.facts.person import unseal

FORGOTTEN = "The notes of what was ordered from devices are gone (jobs.db)."
LOOK_AT_PAPER = "Look at the printer's paper, and say in Karb whether the receipt is there."

_log = structlog.get_logger(__name__)


class FiscalDesk:
    """Where receipts are ordered, each at most once."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        told: Told,
        devices: Supervisor,
        *,
        forgot: bool,
        stand_in_s: float,
    ) -> None:
        """Join what is given.

        Args:
            store: Where sales are.
            clock: Trusted time.
            told: What head office says of this store.
            devices: Of this node.
            forgot: Their notes are new: that they know of nothing proves nothing.
            stand_in_s: How long a printer may refuse until its reserve is asked.
        """
        self._store, self._clock, self._told, self._devices = store, clock, told, devices
        self.forgot, self._stand_in_s = forgot, stand_in_s
        self._checked: dict[str, tuple[int, str]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._refused_since: dict[bytes, float] = {}

    async def ready(self, till: str) -> str:
        """Return the fiscal printer that can take a sale of a till now.

        Raises:
            NoFiscalEvidence: The till has none.
            NotPossible: It cannot print, or its VAT rates are others than ours.
        """
        printer = self._devices.fiscal_printer(till)
        if printer is None:
            raise NoFiscalEvidence(
                f"Till {till!r}: expected a fiscal printer, it has none; this store is fiscal.",
                "Configure one (karb devices add), or print elsewhere and record the sale with "
                "its number (PUT /v1/sales).",
            )
        try:
            await self._check(printer)
        except HwError as error:
            raise NotPossible(error.problem, error.cure) from error
        return printer.id

    async def issued(self, sale: SaleView, notes: CheckoutView, *, fresh: bool) -> Outcome:
        """Have a receipt printed, or be told what became of it. Never raises a device error.

        Args:
            sale: Approved.
            notes: Which printer, and the receipt.
            fresh: Nothing of it was ordered by a program before this one.
        """
        printer = self._devices.fiscal_of(notes.printer)
        if printer is None:
            return Refused(
                f"Fiscal printer {notes.printer}: is no longer there.",
                "Configure it again, or cancel the sale.",
            )
        if self.forgot and not fresh:
            return Unknown(f"{FORGOTTEN} Nobody knows whether it is printed.", LOOK_AT_PAPER)
        try:
            receipt = await self._receipt(sale, notes)
        except (DeviceRefused, BadFact) as error:
            return Refused(str(error), "Cancel the sale.")
        async with self._locks.setdefault(printer.id, asyncio.Lock()):  # in the order sold
            outcome = await concluded(printer.id, printer.issue(receipt))
        if not isinstance(outcome, Refused):
            self._refused_since.pop(sale.event, None)
        if isinstance(outcome, Fiscalised) and not outcome.evidence.fiscal:
            return Unknown(
                f"Fiscal printer {printer.id}: is in training mode, and what it printed is no "
                "fiscal receipt.",
                "Use a fiscalised printer, and say in Karb what number the receipt has.",
            )
        if isinstance(outcome, Done) and not isinstance(outcome, Fiscalised):
            return Unknown(f"Fiscal printer {printer.id}: gave no evidence.", LOOK_AT_PAPER)
        return outcome

    async def asked(self, sale: SaleView, notes: CheckoutView, *, fresh: bool) -> Outcome:
        """Ask what became of a receipt; nothing is printed."""
        printer = self._devices.fiscal_of(notes.printer)
        if fresh and printer is None:
            return Refused(f"Fiscal printer {notes.printer}: is no longer there.", "")
        if printer is None or (self.forgot and not fresh):
            problem = FORGOTTEN if printer is not None else f"Printer {notes.printer} is gone."
            return Unknown(f"{problem} Nobody knows whether it is printed.", LOOK_AT_PAPER)
        return await concluded(printer.id, printer.ask(job_of(sale.event)))

    async def told(
        self, sale: SaleView, notes: CheckoutView, document: str | None, by: str
    ) -> Outcome | None:
        """Pass on a person's word about a receipt; None: no printer is there to be told."""
        printer = self._devices.fiscal_of(notes.printer)
        if printer is None:
            return None
        return await printer.settle(job_of(sale.event), document=document, by=by)

    async def reserve(self, sale: SaleView, notes: CheckoutView) -> str | None:
        """Return which printer a receipt moves to that is proven not to be printed; None: none."""
        now = asyncio.get_running_loop().time()
        since = self._refused_since.setdefault(sale.event, now)
        name = self._devices.stand_in(notes.printer)
        other = self._devices.fiscal_of(name) if name is not None else None
        if other is None or now - since < self._stand_in_s:
            return None
        try:
            await self._check(other)
        except (HwError, NotPossible):
            return None
        self._refused_since.pop(sale.event, None)
        _log.warning("fiscal.moved", sale=job_of(sale.event), printer=notes.printer, to=name)
        return name

    async def _receipt(self, sale: SaleView, notes: CheckoutView) -> FiscalReceipt:
        receipt, buyer = fiscal.noted(notes.receipt), sale.body.buyer
        key = await self._store.person_key(buyer.person) if buyer is not None else None
        if buyer is None or key is None:  # forgotten meanwhile: nobody knows the NIP any more
            return receipt
        return fiscal.made_out(receipt, unseal(buyer, key).nip)

    async def _check(self, printer: FiscalPrinter) -> None:
        """Whether a printer may print fiscal receipts now; its letters once a business day.

        Raises:
            HwError: It does not answer.
            NotPossible: It cannot, or its rates are others than ours.
        """
        settings, at_ms = await self._told.settings(), self._clock.now().ms
        day = business_day(at_ms, settings)
        checked = self._checked.get(printer.id)
        if checked is not None and checked[0] == day and printer.health().problem is None:
            return
        status = await printer.status()
        if status.problem is not None:
            raise NotPossible(status.problem, status.cure or "Look at the printer.")
        if not status.fiscal:
            raise NotPossible(
                f"Fiscal printer {printer.id}: {status.unique_number} is in training mode, and "
                "this store is fiscal.",
                "Use a fiscalised printer.",
            )
        if checked == (day, status.unique_number):
            return
        rates, table = await self._store.vat_table(), await printer.vat_table()
        wrong = fiscal.objections(table, rates, local(at_ms, settings).date())
        if wrong:
            raise NotPossible(
                f"Fiscal printer {printer.id}: its VAT rates are others than ours: "
                f"{'; '.join(wrong)}.",
                "Have the service programme the printer, or head office correct the rates; "
                "until then nothing is sold on it.",
            )
        self._checked[printer.id] = day, status.unique_number


def job_of(event: bytes) -> str:
    """Return what a fiscal printer calls a sale's receipt."""
    return str(UUID(bytes=event))
