"""What the rest of Karb may expect of a device, whatever its make.

Every kind shares one life cycle: `open`, then work until `lost` returns, then `close`,
then perhaps `open` again. A kind adds the few calls that make it what it is. A new kind
is a protocol beside these, with orders that end in an `Outcome`.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol, runtime_checkable

from hw.errors import HwError
from hw.fiscal import Counters, FiscalReceipt, FiscalStatus, TaxOffice, VatTable
from hw.outcome import FiscalOutcome, Outcome
from hw.payment import Approval, Availability, PaymentIntent, PaymentOutcome, Totals
from hw.slip import Slip
from hw.weight import NoWeight, Weight


@dataclass(frozen=True, slots=True)
class Health:
    """The device is connected, but something is wrong with it; or all is well."""

    problem: str | None = None
    cure: str | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """One code, as the scanner read it."""

    data: str
    """Raw text, symbology prefixes and FNC1 (`\\x1d`) included; checking it is not our job."""

    at_s: float
    """Event loop clock, seconds. For intervals, never for a date."""

    device: str
    till: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a customer display."""

    left: str = ""
    """Cut where there is no room."""

    right: str = ""
    """Whole, flush right: a price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One card that was held to a reader."""

    uid: str
    """Its number, hexadecimal; empty when it has none of its own (telephones)."""

    text: str | None
    """What is written on it; None: nothing that can be read."""

    at_s: float
    """Event loop clock, seconds."""

    device: str
    till: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawerChange:
    """A cash drawer is another than it was."""

    state: Literal["open", "closed", "open_too_long"]
    open_s: float
    """For how long it is, or was, open."""

    device: str
    """The printer it hangs on."""

    till: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrinterStatus:
    """What the printer says of itself; each flag true when it is so."""

    offline: bool = False
    cover_open: bool = False
    paper_end: bool = False
    paper_low: bool = False
    """Near-end sensor: it still prints."""

    drawer_high: bool = False
    """Level of pin 3 of the drawer's plug; what it means depends on the drawer."""

    error: bool = False
    """Knife, head temperature or another fault."""

    @property
    def trouble(self) -> Literal["paper_end", "cover_open", "error", "offline"] | None:
        """What stops it from printing; the most telling cause first."""
        if self.paper_end:
            return "paper_end"
        if self.cover_open:
            return "cover_open"
        if self.error:
            return "error"
        return "offline" if self.offline else None


class Device(Protocol):
    """The life cycle every kind shares. One caller (the supervisor) drives it."""

    @property
    def id(self) -> str:
        """Name from the configuration."""
        ...

    @property
    def till(self) -> str | None:
        """The till it belongs to; None when shared by all."""
        ...

    async def open(self) -> None:
        """Connect, and make sure that it is the expected kind of device.

        Raises:
            DeviceUnavailable: Not there, or silent; try again.
            DeviceMisconfigured: A setting is wrong; ask a person.
        """
        ...

    async def lost(self) -> HwError:
        """Wait until the connection is lost; say why. Only after `open`."""
        ...

    async def close(self) -> None:
        """Let go of the port; harmless when not open."""
        ...

    def health(self) -> Health:
        """What is wrong with the connected device, as last seen."""
        ...


@runtime_checkable
class Scanner(Device, Protocol):
    """Reads codes."""

    def scans(self) -> AsyncIterator[Scan]:
        """Every code since `open`, in order, until the connection is lost.

        Raises:
            DeviceUnavailable: It was lost; all codes read before it have been given.
        """
        ...


@runtime_checkable
class CardReader(Device, Protocol):
    """Reads badges and loyalty cards. A card says who somebody claims to be; it proves nothing."""

    def cards(self) -> AsyncIterator[Card]:
        """Every card since `open`, in order, until the reader is lost.

        Raises:
            DeviceUnavailable: It was lost; all cards read before it have been given.
        """
        ...


@runtime_checkable
class CashDrawer(Device, Protocol):
    """A drawer that says whether it is open. It opens by a printing job (`hw.slip.OpenDrawer`)."""

    @property
    def drawer_open(self) -> bool | None:
        """As last seen; None: nobody can tell."""
        ...

    def drawer_changes(self) -> AsyncIterator[DrawerChange]:
        """Every change since `open`, in order, until the device is lost.

        Raises:
            DeviceUnavailable: It was lost.
        """
        ...


@runtime_checkable
class ReceiptPrinter(Device, Protocol):
    """Prints slips, one at a time, in the order asked."""

    async def print(self, job: Slip) -> Outcome:
        """Print one slip. Safe to call in any state; never raises a device error.

        If the calling task is cancelled, the outcome is `Unknown`.
        """
        ...

    async def status(self) -> PrinterStatus:
        """Ask the printer.

        Raises:
            DeviceUnavailable: Not connected, or no answer. Silence is not "paper OK".
        """
        ...


@runtime_checkable
class FiscalPrinter(Device, Protocol):
    """Issues fiscal receipts, each sale at most once.

    An order is named by its caller (`job`) and noted on disk before its first byte leaves.
    The same job again is the same order: what is done is told again, what is not known is
    asked about first, and only what is proven not to have happened is tried anew.
    """

    async def issue(self, receipt: FiscalReceipt) -> FiscalOutcome:
        """Print a fiscal receipt, or say what became of it.

        Safe in any state; never raises a device error. `Unknown` means that the device
        cannot be asked now: ask again with `ask`, until it can.
        """
        ...

    async def ask(self, job: str) -> Outcome:
        """What became of a job: the device is asked, nothing is printed.

        `Refused` when nothing of it happened, or nothing is known of such a job. A
        transaction of this job that was left open is cancelled.
        """
        ...

    async def settle(self, job: str, *, document: str | None, by: str) -> Outcome:
        """A person has looked at the paper of a job that no machine can tell about.

        Args:
            job: It must be unknown.
            document: Number on the receipt; None: there is none.
            by: Who says so.
        """
        ...

    async def daily_report(self, job: str, day: date) -> Outcome:
        """Print the fiscal report of the day; `Done` too when there was nothing to report."""
        ...

    async def monthly_report(self, job: str, month: date) -> Outcome:
        """Print the report of a month. Nothing is counted: printing it twice is harmless."""
        ...

    async def status(self) -> FiscalStatus:
        """Ask the printer.

        Raises:
            DeviceUnavailable: Not connected, or no answer.
        """
        ...

    async def vat_table(self) -> VatTable:
        """The rates in the device, asked now.

        Raises:
            DeviceUnavailable: Not connected, or no answer.
        """
        ...

    async def counters(self) -> Counters:
        """What it has counted, asked now.

        Raises:
            DeviceUnavailable: Not connected, or no answer.
        """
        ...

    async def clock(self) -> datetime | None:
        """The device's own time, with its offset: a source of trusted time.

        None where the protocol does not tell.

        Raises:
            DeviceUnavailable: Not connected, or no answer.
        """
        ...

    async def tax_office(self) -> TaxOffice | None:
        """How its sending to the Central Repository fares; None where it does not tell.

        Raises:
            DeviceUnavailable: Not connected, or no answer.
        """
        ...


@runtime_checkable
class PaymentTerminal(Device, Protocol):
    """Takes cards and BLIK, each attempt at most once.

    An attempt is noted on disk before its first byte leaves. What was sent and not answered
    is asked about, never sent again; while it is unknown the terminal takes no other
    payment. `open` asks about everything that is not resolved. No card number comes out.
    """

    async def pay(self, intent: PaymentIntent) -> PaymentOutcome:
        """Take money, or say what became of it.

        Safe in any state; never raises a device error. The same attempt again is the same
        order and is told again. After `Refused` another try is another attempt. A caller
        who is cancelled leaves an attempt that is unknown.
        """
        ...

    async def refund(self, intent: PaymentIntent) -> PaymentOutcome:
        """Give money back; `Refused` where the protocol has no refund."""
        ...

    async def status_of(self, attempt: str) -> PaymentOutcome:
        """What became of an attempt. Nothing is charged by asking."""
        ...

    async def reverse(self, attempt: str) -> Outcome:
        """The sale is cancelled: undo the attempt, whatever it turns out to have been.

        `Done`: no money moved, or it was given back. `Refused`: it was paid, and a person
        must give it back (one of `tasks`). `Unknown`: not known yet; if an approval comes
        to light later it is reversed by itself, or becomes one of `tasks`.
        """
        ...

    async def abort(self, attempt: str) -> None:
        """Ask the terminal to stop waiting for the customer; `pay` then says how it ended."""
        ...

    async def settle(self, attempt: str, approval: Approval | None, *, by: str) -> PaymentOutcome:
        """A person has looked at the slip of an attempt that no machine can tell about.

        Args:
            attempt: It must be unknown, or one of `tasks` (then None: given back).
            approval: What the slip says; None: there was no payment.
            by: Who says so.
        """
        ...

    @property
    def unresolved(self) -> list[str]:
        """Attempts of which it is not known whether money moved."""
        ...

    @property
    def tasks(self) -> list[str]:
        """Attempts that were paid for cancelled sales: to be given back."""
        ...

    async def availability(self) -> Availability:
        """Whether cards and BLIK can be taken, as the terminal says of its own host.

        Raises:
            DeviceUnavailable: Not connected, or no answer.
        """
        ...

    async def reconcile(self) -> Totals | None:
        """What the terminal has counted; None where the protocol does not tell.

        Raises:
            DeviceUnavailable: Not connected, or no answer.
        """
        ...


@runtime_checkable
class Scale(Device, Protocol):
    """Weighs."""

    async def weigh(self) -> Weight | NoWeight:
        """What lies on it, or why there is no weight to sell by.

        A weight is net, above zero, at rest, and no older than this call. Safe in any state;
        never raises a device error. It may wait a few seconds for the weight to come to rest.
        """
        ...


@runtime_checkable
class CustomerDisplay(Device, Protocol):
    """Shows the buyer two lines."""

    def show(self, top: Row, bottom: Row) -> None:
        """Show this until something else is to be shown.

        Never waits and never fails: what a display that is not connected was to show last, it
        shows once it is. What was overtaken meanwhile is not shown.
        """
        ...
