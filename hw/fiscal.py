"""What a fiscal printer is asked to do, and what it says of itself: checked once, here.

A receipt handed over is finished: its sums add up before a byte leaves, because a device
that finds a difference leaves a transaction open (POSNET 2805). Money is an int in grosz
(`_minor`), quantity an int in thousandths (`_milli`); prices include VAT.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias

from hw.errors import DeviceRefused

Means: TypeAlias = Literal[
    "cash", "card", "cheque", "voucher", "credit", "transfer", "mobile", "other"
]
"""How it was paid, in the words fiscal printers share."""

LETTERS = "ABCDEFG"
"""Of the rates, in the order of every device's table."""

MAX_LINES = 255
"""NoviAPI takes 255 items, POSNET 500 lines; one receipt must fit both."""

MAX_MINOR = 99_999_999_99
"""The smallest of the devices' bounds on one amount (POSNET `Kwota`)."""


CODE_PAGE = "cp1250"
"""What the paper of Polish fiscal printers can show: POSNET's default page, and the page
NoviAPI's own XML packets are in [M: NoviAPI itself is UTF-8 and does not say]."""


@dataclass(frozen=True, slots=True)
class Vat:
    """A rate by what it is, never by its letter: the letter is the device's business."""

    basis_points: int
    """2300 is 23 %."""

    exempt: bool = False

    def __str__(self) -> str:
        """As a person says it."""
        return "exempt" if self.exempt else f"{self.basis_points / 100:g} %"


LAW: tuple[tuple[str, Vat], ...] = (
    ("A", Vat(2300)),
    ("B", Vat(800)),
    ("C", Vat(500)),
    ("D", Vat(0)),
    ("E", Vat(0, exempt=True)),
)
"""Which letter means what, by the regulation of 29.04.2019 par. 6(1)(5); F and G are free."""


@dataclass(frozen=True, slots=True)
class VatTable:
    """The rates programmed in a device; a letter that is not in use is not here."""

    rates: tuple[tuple[str, Vat], ...]

    def letter(self, vat: Vat) -> str:
        """The first letter with this rate.

        Raises:
            DeviceRefused: The device has no such rate.
        """
        for letter, rate in self.rates:
            if rate == vat:
                return letter
        has = ", ".join(f"{letter} {rate}" for letter, rate in self.rates)
        raise DeviceRefused(
            f"VAT rate {vat}: expected one of the printer's table ({has or 'empty'}).",
            cure="Correct the article's VAT code, or have the service programme the rate.",
        )

    def disagreements(self, expected: Iterable[tuple[str, Vat]] = LAW) -> tuple[str, ...]:
        """Where the device differs from what the tenant (or the law) expects, in words.

        To be asked before the first sale of a day.
        """
        has = dict(self.rates)
        return tuple(
            f"letter {letter}: expected {rate}, the printer has {has.get(letter, 'none')}"
            for letter, rate in expected
            if has.get(letter) != rate
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FiscalLine:
    """Goods of one rate."""

    name: str
    quantity_milli: int
    unit_minor: int
    """Price of one whole unit, VAT included."""

    vat: Vat
    unit: str = ""
    """`szt.`, `kg`; at most 4 characters."""

    discount_minor: int = 0
    """Off the whole line, all its discounts together."""

    discount_name: str = ""
    storno: bool = False
    """Takes back an equal line that stands before it."""

    def __post_init__(self) -> None:
        """Refuse what no device would take.

        Raises:
            DeviceRefused: Nameless, worthless, or discounted to nothing.
        """
        shown = self.name[:40]
        if not self.name.strip():
            raise DeviceRefused("Line without a name.", cure="Give the article a fiscal name.")
        if not (0 < self.quantity_milli <= MAX_MINOR and 0 < self.unit_minor <= MAX_MINOR):
            raise DeviceRefused(
                f"Line {shown!r}: expected a quantity and a price above zero, got "
                f"{self.quantity_milli} thousandths at {self.unit_minor} grosz.",
                cure="Leave out of the fiscal receipt what costs nothing.",
            )
        if not 0 <= self.discount_minor < self.gross_minor <= MAX_MINOR:
            raise DeviceRefused(
                f"Line {shown!r}: expected a discount from 0 to less than the line's "
                f"{self.gross_minor} grosz, got {self.discount_minor}.",
                cure="A fiscal printer takes no line worth nothing; leave it out.",
            )

    @property
    def gross_minor(self) -> int:
        """Quantity times price, halves up, before the discount."""
        return (self.quantity_milli * self.unit_minor + 500) // 1000

    @property
    def total_minor(self) -> int:
        """What the line adds to the receipt; below zero for a storno."""
        total = self.gross_minor - self.discount_minor
        return -total if self.storno else total


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositLine:
    """Returnable packaging (kaucja): outside VAT and outside the fiscal total."""

    name: str
    count: int
    unit_minor: int
    returned: bool = False
    """The buyer brought it back."""

    def __post_init__(self) -> None:
        """Refuse what is nothing.

        Raises:
            DeviceRefused: No name, or a number or deposit of zero or less.
        """
        if not self.name.strip() or not (0 < self.count < 10_000 and self.total_minor > 0):
            raise DeviceRefused(
                f"Deposit {self.name[:40]!r}: expected a name, 1 to 9999 pieces and a deposit "
                f"above zero, got {self.count} at {self.unit_minor} grosz.",
                cure="Correct the deposit of the article.",
            )

    @property
    def total_minor(self) -> int:
        """Of all pieces; never below zero."""
        return self.count * self.unit_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Tender:
    """One payment, as much as was handed over."""

    means: Means
    amount_minor: int
    name: str = ""
    """Of the card scheme, voucher or wallet, as printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FiscalReceipt:
    """One sale, to be printed at most once."""

    job: str
    """The sale's own id. The same id is never two receipts, however often it is asked for."""

    lines: tuple[FiscalLine, ...]
    payments: tuple[Tender, ...]
    total_minor: int
    """Of the goods, after discounts and stornos: what VAT is taken of."""

    change_minor: int = 0
    """Given back in cash."""

    deposits: tuple[DepositLine, ...] = ()
    nip: str = ""
    """Buyer's tax number, 10 digits; must be known before the receipt is closed."""

    e_paragon: str = ""
    """The buyer's id for an electronic receipt (KID, IDZ); printed on paper if empty."""

    cashier: str = ""
    register: str = ""
    """Number of the till, at most 8 characters."""

    number: str = ""
    """Karb's own receipt number, printed at the end."""

    qr: str = ""
    """Printed as a QR code at the end."""

    def __post_init__(self) -> None:
        """Refuse what would leave a transaction open on the device.

        Raises:
            DeviceRefused: No id or lines, a storno of nothing, or sums that do not add up.
        """
        if not self.job:
            raise DeviceRefused("Receipt without an id.", cure="Give it the id of the sale.")
        if not 1 <= len(self.lines) + len(self.deposits) <= MAX_LINES or not self.lines:
            raise DeviceRefused(
                f"Receipt {self.job}: expected 1 to {MAX_LINES} lines, got {len(self.lines)} "
                f"and {len(self.deposits)} deposits.",
                cure="Sell in parts.",
            )
        self._check_storno()
        self._check_sums()
        if self.nip and not (len(self.nip) == 10 and self.nip.isascii() and self.nip.isdigit()):
            raise DeviceRefused(
                f"Receipt {self.job}: buyer's NIP {self.nip[:20]!r}: expected 10 digits.",
                cure="Write it without dashes and country.",
            )

    @property
    def deposits_out_minor(self) -> int:
        """Deposits the buyer pays."""
        return sum(line.total_minor for line in self.deposits if not line.returned)

    @property
    def deposits_in_minor(self) -> int:
        """Deposits the buyer gets back."""
        return sum(line.total_minor for line in self.deposits if line.returned)

    @property
    def paid_minor(self) -> int:
        """All that was handed over."""
        return sum(tender.amount_minor for tender in self.payments)

    def kept(self) -> tuple[FiscalLine, ...]:
        """Lines that no storno takes back: for devices that know no storno."""
        kept: list[FiscalLine] = []
        for line in self.lines:
            if line.storno:
                kept.remove(replace(line, storno=False))
            else:
                kept.append(line)
        return tuple(kept)

    def by_rate(self) -> dict[Vat, int]:
        """Gross of each rate, after discounts, in grosz."""
        sums: dict[Vat, int] = {}
        for line in self.kept():
            sums[line.vat] = sums.get(line.vat, 0) + line.total_minor
        return sums

    def _check_storno(self) -> None:
        try:
            self.kept()
        except ValueError:
            raise DeviceRefused(
                f"Receipt {self.job}: a storno takes back no line that stands before it.",
                cure="Repeat name, quantity, price, VAT and discount of the line.",
            ) from None

    def _check_sums(self) -> None:
        goods = sum(line.total_minor for line in self.lines)
        due = self.total_minor + self.deposits_out_minor - self.deposits_in_minor
        got = self.paid_minor - self.change_minor
        if goods != self.total_minor or not 0 < goods <= MAX_MINOR:
            raise DeviceRefused(
                f"Receipt {self.job}: total {self.total_minor} grosz: expected the lines' sum "
                f"{goods}, above zero.",
                cure="Add the lines up again after their discounts.",
            )
        if due != got or self.change_minor < 0 or min(map(_amount, self.payments), default=1) <= 0:
            raise DeviceRefused(
                f"Receipt {self.job}: payments less change are {got} grosz: expected {due}, "
                "goods and deposits, each payment above zero.",
                cure="Correct payments and change.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FiscalStatus:
    """What the printer says of itself, and why it cannot print if it cannot."""

    unique_number: str
    """Given at its making; on every receipt it prints."""

    fiscal: bool
    """It has been fiscalised: what it prints counts before the tax office."""

    read_only: bool = False
    transaction_open: bool = False
    paper_low: bool = False
    problem: str | None = None
    """Why nothing can be printed now; None: it is ready."""

    cure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What the device has counted. Each is None where its protocol does not tell."""

    daily_reports: int
    receipts: int | None = None
    """Finished since the last daily report."""

    cancelled: int | None = None
    """Cancelled since then."""

    last_document: int | None = None
    """Number in the protected memory of the last receipt, or of the last document of any kind
    where the device does not tell them apart; grows for ever."""

    by_letter_minor: tuple[tuple[str, int], ...] = ()
    """Gross of each rate since the last daily report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxOffice:
    """The link of the device to the Central Repository: it sends by itself; we watch."""

    reached_at: datetime | None
    """When it last sent with success; None: never."""

    failed_at: datetime | None
    sending: bool

    def waiting_s(self, now: datetime) -> float | None:
        """Seconds since the last success, if something has failed since; 0 when all is well.

        None when it has never succeeded.
        """
        if self.reached_at is None:
            return None
        if self.failed_at is None or self.failed_at <= self.reached_at:
            return 0.0
        return (now - self.reached_at).total_seconds()


def printable(text: str, most: int) -> str:
    """The same text, if a fiscal printer can take it as it is. Nothing is replaced or cut.

    Raises:
        DeviceRefused: It is too long, or has control characters or letters the paper lacks.
    """
    if len(text) > most:
        raise DeviceRefused(
            f"Text {text[:40]!r}: expected at most {most} characters, got {len(text)}.",
            cure="Shorten it.",
        )
    for char in text:
        byte = char.encode(CODE_PAGE, "ignore")
        if not byte or byte[0] < 0x20 or byte[0] == 0x7F:
            raise DeviceRefused(
                f"Text {text[:80]!r}: expected printable characters of WINDOWS-1250, got {char!r}.",
                cure="Give the article a fiscal name of letters the printer has.",
            )
    return text


def _amount(tender: Tender) -> int:
    return tender.amount_minor
