"""The fiscal module behind the simulated printers: totals, counters, memory and paper. Pure.

It counts and refuses as a real one does, and keeps what a real one keeps: the counters and
the protected memory outlive a loss of power, the open document does not [M: some models
have a battery and go on]. Refusals carry POSNET's error numbers, which the other protocol
turns into its own.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from hw.fiscal import LETTERS, Vat
from hw.layout import fit_columns
from hw.paper import WIDTH, Qr, centred, pair

DAY_LIMIT_MINOR = 499_999_999_99
"""Of one rate between two daily reports."""

MAX_NAMES = 60_000
"""Articles whose rate is remembered [M: by model]."""

_COMPARED = frozenset(".,%/\\")


class MachineRefuses(Exception):
    """The module does not take it; `number` is POSNET's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass(frozen=True, slots=True)
class Document:
    """One document in the protected memory."""

    kind: Literal["receipt", "cancelled", "report", "other"]
    number: int
    """In the protected memory (JPKID)."""

    printed_number: int
    """Of the receipt since the last daily report; 0 for others."""

    by_letter: tuple[tuple[str, int], ...]
    paper: tuple[str | Qr, ...]

    @property
    def text(self) -> str:
        """The paper as text, a QR code by its data."""
        return "\n".join(
            f"[qr {mark.data}]" if isinstance(mark, Qr) else mark for mark in self.paper
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sold:
    """A line as the device took it."""

    name: str
    letter: str
    milli: int
    price: int
    total: int
    """Before the discount."""

    discount: int = 0
    discount_name: str = ""
    unit: str = ""


@dataclass(slots=True)
class Draft:
    """The document that is open. Lost with the power."""

    lines: list[Sold] = field(default_factory=list)
    stornos: list[Sold] = field(default_factory=list)
    packs: list[tuple[str, int, int, bool]] = field(default_factory=list)
    """Name, pieces, price, returned."""

    paid: list[tuple[str, int]] = field(default_factory=list)
    change: int = 0
    nip: str = ""
    electronic: str = ""

    def totals(self) -> dict[str, int]:
        """Gross of each letter."""
        sums = dict.fromkeys(LETTERS, 0)
        for line in self.lines:
            sums[line.letter] += line.total - line.discount
        for line in self.stornos:
            sums[line.letter] -= line.total - line.discount
        return sums

    def packs_minor(self, *, returned: bool) -> int:
        """Deposits one way."""
        return sum(count * price for _, count, price, back in self.packs if back == returned)

    @property
    def due(self) -> int:
        """What is to be paid."""
        deposits = self.packs_minor(returned=False) - self.packs_minor(returned=True)
        return sum(self.totals().values()) + deposits

    @property
    def paid_minor(self) -> int:
        """What was handed over."""
        return sum(amount for _, amount in self.paid)


@dataclass(slots=True)
class Footer:
    """What is printed under the next document."""

    cashier: str = "KIEROWNIK"
    register: str = "001"
    number: str = ""
    qr: str = ""


class FiscalMachine:
    """One device; whoever is connected shares it."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        unique_number: str = "ZBF 1801007587",
        fiscal: bool = True,
        rates: Iterable[tuple[str, Vat]] = (),
    ) -> None:
        self.now = now
        self.unique_number = unique_number
        self.fiscal = fiscal
        self.read_only = False
        self.rates: dict[str, Vat] = dict(rates) or {
            "A": Vat(2300),
            "B": Vat(800),
            "C": Vat(500),
            "D": Vat(0),
            "E": Vat(0, exempt=True),
        }
        self.totals = dict.fromkeys(LETTERS, 0)
        self.names: dict[str, tuple[Vat, bool]] = {}
        """Name as compared → rate it was last sold at, and whether it may not rise again."""

        self.reports = 0
        self.receipts = 0
        self.cancelled = 0
        self.last = 0
        self.headers = 0
        self.resets = 0
        self.documents: list[Document] = []
        self.draft: Draft | None = None
        self.footer = Footer()
        self.last_totals = dict.fromkeys(LETTERS, 0)
        self.first_sale: datetime | None = None
        self.reported_at: datetime | None = None

    @property
    def empty(self) -> bool:
        """No totals since the last daily report."""
        return not any(self.totals.values())

    def last_document(self, kind: str = "receipt") -> int:
        """Number in the protected memory of the last of a kind; 0: none."""
        return next((d.number for d in reversed(self.documents) if d.kind == kind), 0)

    def open(self) -> None:
        """Begin a receipt.

        Raises:
            MachineRefuses: One is open, the day is not closed, or no sale is allowed.
        """
        if self.draft is not None:
            raise MachineRefuses(2038)
        self.may_sell()
        self.draft = Draft()
        self.last_totals = dict.fromkeys(LETTERS, 0)

    def may_sell(self) -> None:
        """Whether the law lets it sell now.

        Raises:
            MachineRefuses: It does not.
        """
        if self.read_only:
            raise MachineRefuses(2036)
        if self.fiscal and self.first_sale and self.first_sale.date() < self.now().date():
            raise MachineRefuses(383)

    def check_line(self, sold: Sold) -> None:
        """Refuse a line that is wrong in itself, or against what was sold before.

        Raises:
            MachineRefuses: With the number of what is wrong.
        """
        if sold.letter not in self.rates:
            raise MachineRefuses(2000)
        if sold.price <= 0:
            raise MachineRefuses(2006)
        if sold.milli <= 0:
            raise MachineRefuses(2007)
        if sold.total != (sold.milli * sold.price + 500) // 1000:
            raise MachineRefuses(2802)
        if sold.total == 0:
            raise MachineRefuses(2009)
        if not 0 <= sold.discount < sold.total:
            raise MachineRefuses(1985)
        self._check_name(sold)

    def sell(self, sold: Sold) -> None:
        """Add a line to the open receipt.

        Raises:
            MachineRefuses: None is open, or the line is wrong.
        """
        draft = self.opened()
        self.check_line(sold)
        draft.lines.append(sold)
        self._learn(sold)

    def take_back(self, sold: Sold) -> None:
        """Storno of an equal line.

        Raises:
            MachineRefuses: None is open, or no such line is left.
        """
        draft = self.opened()
        if draft.lines.count(sold) <= draft.stornos.count(sold):
            raise MachineRefuses(2851)
        draft.stornos.append(sold)

    def opened(self) -> Draft:
        """The open receipt.

        Raises:
            MachineRefuses: None is open.
        """
        if self.draft is None:
            raise MachineRefuses(2005)
        return self.draft

    def check_end(self) -> Draft:
        """Whether the open receipt may be finished as it stands.

        Raises:
            MachineRefuses: With the number of what is wrong; it stays open.
        """
        draft = self.opened()
        totals = draft.totals()
        if not draft.lines:
            raise MachineRefuses(1992)
        if sum(totals.values()) <= 0 or min(totals.values()) < 0:
            raise MachineRefuses(2041)
        if any(self.totals[a] + gross > DAY_LIMIT_MINOR for a, gross in totals.items()):
            raise MachineRefuses(2010)
        if draft.paid and draft.paid_minor - draft.change < draft.due:
            raise MachineRefuses(2054)
        return draft

    def finish(self) -> Document:
        """Write the receipt into the memories and print it.

        Raises:
            MachineRefuses: See `check_end`.
        """
        draft = self.check_end()
        totals = draft.totals()
        if not draft.paid:
            draft.paid.append(("GOTÓWKA", draft.due))
        draft.change = draft.change or draft.paid_minor - draft.due
        for letter, gross in totals.items():
            self.totals[letter] += gross
        self.receipts += 1
        self.last += 1
        self.first_sale = self.first_sale or self.now()
        self.last_totals = totals
        self.draft = None
        return self._keep("receipt", tuple(self._receipt(draft)), totals, self.last)

    def cancel(self) -> Document:
        """Cancel what is open.

        Raises:
            MachineRefuses: Nothing is.
        """
        if self.draft is None:
            raise MachineRefuses(2064)
        draft, self.draft = self.draft, None
        self.cancelled += 1
        self.last += 1
        paper = (*self._head("PARAGON FISKALNY"), *self._items(draft), *self._struck())
        return self._keep("cancelled", paper, dict.fromkeys(LETTERS, 0), self.last)

    def daily_report(self) -> Document:
        """Print the day's report and begin a new day.

        Raises:
            MachineRefuses: A receipt is open, or there is nothing to report (382).
        """
        if self.draft is not None:
            raise MachineRefuses(2038)
        if self.read_only:
            raise MachineRefuses(2036)
        if self.fiscal and self.empty and self.reports:
            raise MachineRefuses(382)
        self.reports += 1
        taxed = [
            pair(f"SPRZEDAŻ OPODATKOWANA PTU {letter}", _money(self.totals[letter]))
            for letter in self.rates
        ]
        paper = (
            *self._head("RAPORT FISKALNY"),
            centred(f"DOBOWY NR {self.reports}"),
            *taxed,
            pair("ŁĄCZNA SPRZEDAŻ BRUTTO", _money(sum(self.totals.values()))),
            pair(f"PARAGONY {self.receipts}", f"ANULOWANE {self.cancelled}"),
            *self._foot(0),
        )
        self.totals = dict.fromkeys(LETTERS, 0)
        self.receipts = self.cancelled = self.last = 0
        self.first_sale = None
        self.reported_at = self.now()
        return self._keep("report", paper, self.totals, 0)

    def monthly_report(self, year: int, month: int) -> Document:
        """Print the report of a month; nothing is counted."""
        title = (*self._head("RAPORT FISKALNY"), centred(f"MIESIĘCZNY {year}-{month:02}"))
        return self._keep("other", (*title, *self._foot(0)), dict.fromkeys(LETTERS, 0), 0)

    def lose_power(self) -> None:
        """The open document is gone; counters and memories stay."""
        self.draft = None
        self.last_totals = dict.fromkeys(LETTERS, 0)
        self.footer = Footer()

    def of_receipts(self) -> list[Document]:
        """Finished receipts, in order."""
        return [document for document in self.documents if document.kind == "receipt"]

    def _check_name(self, sold: Sold) -> None:
        rate = self.rates[sold.letter]
        before = self.names.get(_compared(sold.name))
        if before is None:
            if len(self.names) >= MAX_NAMES:
                raise MachineRefuses(2101)
            return
        known, fallen = before
        if fallen and _height(rate) > _height(known):
            raise MachineRefuses(2106)

    def _learn(self, sold: Sold) -> None:
        """A name that fell to a lower rate may not rise again (POT-I-DEV-37, `trline` note 13)."""
        key, rate = _compared(sold.name), self.rates[sold.letter]
        known, fallen = self.names.get(key, (rate, False))
        self.names[key] = (rate, fallen or _height(rate) < _height(known))

    def _keep(
        self,
        kind: Literal["receipt", "cancelled", "report", "other"],
        paper: tuple[str | Qr, ...],
        totals: dict[str, int],
        printed: int,
    ) -> Document:
        document = Document(
            kind,
            len(self.documents) + 1,
            printed,
            tuple((letter, gross) for letter, gross in totals.items() if gross),
            paper,
        )
        self.documents.append(document)
        self.footer = Footer(self.footer.cashier, self.footer.register)
        return document

    def _head(self, title: str) -> tuple[str | Qr, ...]:
        self.headers += 1
        return (
            centred("SKLEP WZORCOWY KARB"),
            centred("ul. Żabia 7, 31-100 Kraków"),
            pair("NIP 5222628262", f"nr:{self.headers}"),
            centred(title if self.fiscal else "N I E F I S K A L N Y"),
        )

    def _items(self, draft: Draft) -> Iterable[str | Qr]:
        for sold, sign in [(s, 1) for s in draft.lines] + [(s, -1) for s in draft.stornos]:
            if sign < 0:
                yield centred("#STORNO#")
            count = f"{_amount(sold.milli)} {sold.unit}".rstrip()
            right = f"{count} x{_money(sold.price)} {_money(sign * sold.total)}{sold.letter}"
            yield from fit_columns(sold.name, right, WIDTH)
            if sold.discount:
                yield from fit_columns(
                    f"OPUST {sold.discount_name}",
                    f"{_money(-sign * sold.discount)}{sold.letter}",
                    WIDTH,
                )

    def _receipt(self, draft: Draft) -> Iterable[str | Qr]:
        yield from self._head("PARAGON FISKALNY")
        yield from self._items(draft)
        yield from self._taxes(draft)
        yield from self._deposits(draft)
        yield _RULE
        yield "ROZLICZENIE PŁATNOŚCI"
        for name, amount in draft.paid:
            yield pair(name, f"{_money(amount)} PLN")
        if draft.change:
            yield pair("RESZTA GOTÓWKA", f"{_money(draft.change)} PLN")
        yield from self._foot(self.last, draft)

    def _taxes(self, draft: Draft) -> Iterable[str | Qr]:
        totals = draft.totals()
        yield _RULE
        tax = 0
        for letter, rate in self.rates.items():
            gross = totals[letter]
            if not gross:
                continue
            words = "SPRZEDAŻ ZWOLNIONA" if rate.exempt else "SPRZEDAŻ OPODATKOWANA"
            yield pair(f"{words} {letter}", _money(gross))
            if not rate.exempt:
                part = vat_minor(gross, rate.basis_points)
                tax += part
                yield pair(
                    f"PTU {letter} {rate.basis_points // 100},{rate.basis_points % 100:02} %",
                    _money(part),
                )
        yield pair("SUMA PTU", _money(tax))
        yield pair("SUMA PLN", _money(sum(totals.values())))

    def _deposits(self, draft: Draft) -> Iterable[str | Qr]:
        if not draft.packs:
            return
        yield _RULE
        for back, title in ((False, "WYDANIA"), (True, "PRZYJĘCIA")):
            packs = [pack for pack in draft.packs if pack[3] == back]
            if packs:
                yield f"OPAKOWANIA ZWROTNE {title}"
            for name, count, price, _ in packs:
                amount = _money(-count * price if back else count * price)
                yield from fit_columns(name, f"{count}x{_money(price)} {amount}", WIDTH)
        balance = draft.packs_minor(returned=False) - draft.packs_minor(returned=True)
        yield pair("OPAKOWANIA ZWROTNE SUMA", _money(balance))
        yield pair("DO ZAPŁATY", f"{_money(draft.due)} PLN")

    def _foot(self, number: int, draft: Draft | None = None) -> Iterable[str | Qr]:
        when = self.now().strftime("%Y-%m-%d %H:%M")
        serial = f"{number:05} " if number else ""
        yield pair(f"{serial}#{self.footer.register} {self.footer.cashier}"[: WIDTH - 17], when)
        if draft is not None and draft.nip:
            yield centred(f"NIP NABYWCY: {draft.nip}")
        if self.footer.number:
            yield centred(self.footer.number)
        if self.footer.qr:
            yield Qr(self.footer.qr)
        yield centred(f"{{PL}} {self.unique_number}" if self.fiscal else "N I E F I S K A L N Y")

    @staticmethod
    def _struck() -> tuple[str | Qr, ...]:
        return (centred("TRANSAKCJA ANULOWANA"),)


def vat_minor(gross_minor: int, basis_points: int) -> int:
    """VAT inside a gross sum, half up: once per rate and receipt."""
    whole = 10_000 + basis_points
    return (2 * gross_minor * basis_points + whole) // (2 * whole)


_RULE = "- " * (WIDTH // 2)


def _compared(name: str) -> str:
    """What of a name is compared (`trline` note 12)."""
    return "".join(char for char in name.upper() if char.isalnum() or char in _COMPARED)


def _height(rate: Vat) -> int:
    """Exempt is below 0 %."""
    return -1 if rate.exempt else rate.basis_points


def _money(minor: int) -> str:
    sign, minor = "-" if minor < 0 else "", abs(minor)
    return f"{sign}{minor // 100},{minor % 100:02}"


def _amount(milli: int) -> str:
    return f"{milli // 1000},{milli % 1000:03}".rstrip("0").rstrip(",")
