"""A sale on paper. Pure: the sale and names in, a slip out; the printer fits it.

Until a fiscal device prints, the paper is headed NIEFISKALNY; a second one KOPIA. Money
is an int in grosz (`_minor`), quantity in thousandths (`_milli`). Deposits stand below
the goods, outside VAT (art. 29a(12a) of the Polish VAT act).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edge.till.business_day import local
from hw.slip import Columns, Cut, Element, Rule, Slip, TextLine
from sync.facts.node import StoreDescribed
from sync.facts.person import Buyer
from sync.facts.sale import Sale, SaleLine
from sync.rules.money import line_total_minor
from sync.rules.vat import POLAND, Rate, UnknownVat, VatTotal, receipt_vat

MAX_NAME = 200
"""Characters of any text from outside; the printer wraps it."""

_TEXTS: dict[str, dict[str, str]] = {
    "pl": {
        "not_fiscal": "NIEFISKALNY",
        "copy": "KOPIA",
        "nip": "NIP",
        "buyer": "Nabywca",
        "discount": "Rabat",
        "deposits": "Kaucje",
        "goods": "Suma towarów",
        "vat": "PTU",
        "in_vat": "Sprzedaż",
        "vat_sum": "Suma PTU",
        "rounding": "Zaokrąglenie",
        "total": "SUMA",
        "change": "Reszta",
        "receipt": "Paragon",
        "till": "Kasa",
        "cashier": "Kasjer",
        "untrusted": "Czas niepotwierdzony",
        "cash": "Gotówka",
        "card": "Karta",
        "blik": "BLIK",
        "transfer": "Przelew",
    },
    "en": {
        "not_fiscal": "NON-FISCAL / NIEFISKALNY",
        "copy": "COPY / KOPIA",
        "nip": "Tax no.",
        "buyer": "Buyer",
        "discount": "Discount",
        "deposits": "Deposits",
        "goods": "Goods",
        "vat": "VAT",
        "in_vat": "Sales",
        "vat_sum": "VAT total",
        "rounding": "Rounding",
        "total": "TOTAL",
        "change": "Change",
        "receipt": "Receipt",
        "till": "Till",
        "cashier": "Cashier",
        "untrusted": "Time not confirmed",
        "cash": "Cash",
        "card": "Card",
        "blik": "BLIK",
        "transfer": "Transfer",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What a slip needs beside the sale."""

    store: StoreDescribed
    names: Mapping[str, str]
    """Article to fiscal name, for lines that carry none."""

    series: str
    language: str = "pl"
    rates: tuple[Rate, ...] = POLAND
    """What VAT codes mean, from which day on."""

    copy: bool = False
    buyer: Buyer | None = None
    """None where the sale names none, or their key is gone."""


def slip(job: str, sale: Sale, paper: Paper) -> Slip:
    """Return the slip of a sale.

    Raises:
        DeviceRefused: It is longer than any paper.
    """
    return Slip(job, tuple(_elements(sale, paper, _TEXTS.get(paper.language, _TEXTS["pl"]))))


def money(amount_minor: int, language: str) -> str:
    """Return grosz as text: 1234567 is ``12345,67`` in Polish."""
    sign = "-" if amount_minor < 0 else ""
    whole, part = divmod(abs(amount_minor), 100)
    return f"{sign}{whole}{'.' if language == 'en' else ','}{part:02}"


def quantity(milli: int, unit: str, language: str) -> str:
    """Return thousandths as text: 1500 kg is ``1,5 kg``."""
    whole, part = divmod(milli, 1000)
    text = str(whole)
    if part:
        text += ("." if language == "en" else ",") + f"{part:03}".rstrip("0")
    return f"{text} {unit}".rstrip()


def _elements(sale: Sale, paper: Paper, texts: Mapping[str, str]) -> Iterator[Element]:
    rows = sale.lines.rows()
    language = paper.language
    yield from _head(sale, paper, texts)
    yield Rule()
    for row in rows:
        yield from _line(row, paper, texts)
    yield Rule()
    goods = sum(row.total_minor for row in rows)
    deposits = sum(row.deposits_minor for row in rows)
    totals = _vat(rows, sale, paper)
    for total in totals:
        rate = f"{total.basis_points / 100:g}%" if total.basis_points else total.code
        name = f"{_letter(total.code)} {rate}"
        yield Columns(left=f"{texts['in_vat']} {name}", right=money(total.gross_minor, language))
        yield Columns(left=f"{texts['vat']} {name}", right=money(total.vat_minor, language))
    if totals:
        vat = sum(total.vat_minor for total in totals)
        yield Columns(left=texts["vat_sum"], right=money(vat, language))
    if deposits:
        yield Columns(left=texts["goods"], right=money(goods, language))
        yield Columns(left=texts["deposits"], right=money(deposits, language))
    if sale.rounding_minor:
        yield Columns(left=texts["rounding"], right=money(sale.rounding_minor, language))
    due = money(sale.total_minor, language)
    yield Columns(left=f"{texts['total']} {sale.currency}", right=due, bold=True, double=True)
    for payment in sale.payments:
        handed = payment.amount_minor + payment.change_minor
        name = texts.get(payment.method, payment.method)
        yield Columns(left=name, right=money(handed, language))
    change = sum(payment.change_minor for payment in sale.payments)
    if change:
        yield Columns(left=texts["change"], right=money(change, language))
    yield Rule()
    yield from _foot(sale, paper, texts)
    yield Cut()


def _head(sale: Sale, paper: Paper, texts: Mapping[str, str]) -> Iterator[Element]:
    if paper.copy:
        yield TextLine(text=texts["copy"], bold=True, double=True, align="center")
    if sale.fiscal is None:
        yield TextLine(text=texts["not_fiscal"], bold=True, align="center")
    yield TextLine(text=paper.store.name[:MAX_NAME], align="center")
    if sale.taxpayer:
        yield TextLine(text=f"{texts['nip']} {sale.taxpayer[:MAX_NAME]}", align="center")
    at = local(sale.at_ms, paper.store)
    yield Columns(left=f"{at:%Y-%m-%d}", right=f"{at:%H:%M:%S}")
    if not sale.trust:
        yield TextLine(text=texts["untrusted"])


def _line(row: SaleLine, paper: Paper, texts: Mapping[str, str]) -> Iterator[Element]:
    language = paper.language
    name = row.name or paper.names.get(row.sku, row.sku)
    gross = line_total_minor(row.quantity_milli, row.unit_minor)
    many = f"{quantity(row.quantity_milli, row.unit, language)} x {money(row.unit_minor, language)}"
    yield Columns(
        left=f"{name[:MAX_NAME]} {many}", right=f"{money(gross, language)}{_letter(row.vat)}"
    )
    for given in row.discounts:
        yield Columns(
            left=f"  {texts['discount']} {given.reason[:MAX_NAME]}",
            right=f"{money(-given.amount_minor, language)}{_letter(row.vat)}",
        )


def _foot(sale: Sale, paper: Paper, texts: Mapping[str, str]) -> Iterator[Element]:
    if paper.buyer is not None:
        buyer = " ".join(part for part in (paper.buyer.name, paper.buyer.nip) if part)
        yield TextLine(text=f"{texts['buyer']}: {buyer[:MAX_NAME]}", bold=True)
    yield Columns(left=texts["receipt"], right=f"{paper.series}/{sale.number}")
    yield Columns(left=f"{texts['till']} {sale.till}", right=f"{texts['cashier']} {sale.cashier}")
    if sale.fiscal is not None:
        yield Columns(left=sale.fiscal.device[:MAX_NAME], right=sale.fiscal.document[:MAX_NAME])


def _vat(rows: tuple[SaleLine, ...], sale: Sale, paper: Paper) -> tuple[VatTotal, ...]:
    """Totals per rate; none if a line's code is of no rate, rather than no slip at all.

    The day is that on the wall, not the business day: a rate changes at midnight.
    """
    try:
        day = local(sale.at_ms, paper.store).date()
        return receipt_vat(((row.vat, row.total_minor) for row in rows), day, paper.rates)
    except (UnknownVat, ValueError):
        return ()


_LETTERS = {"23": "A", "8": "B", "5": "C", "0": "D", "zw": "E"}
"""As Polish fiscal printers are set up; what is outside VAT has none."""


def _letter(code: str) -> str:
    return _LETTERS.get(code, "")
