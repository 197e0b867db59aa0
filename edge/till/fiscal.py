"""A sale as a fiscal printer is asked to print it, and whether that printer may be used.

Pure. The letter of a rate is the printer's business: lines carry the rate. Deposits stand
outside VAT; what costs nothing is left out, for no fiscal printer takes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import get_args
from uuid import UUID

import msgspec

from edge.store.checkouts import CheckoutView
from edge.till.errors import BadSale
from hw.errors import DeviceRefused
from hw.fiscal import DepositLine, FiscalLine, FiscalReceipt, Means, Tender, Vat, VatTable
from hw.outcome import Evidence
from sync.facts.sale import Fiscal, Payment, Sale, SaleLine
from sync.rules.fiscal_name import printed
from sync.rules.vat import Rate, UnknownVat, rate

BY = "karb"
"""Who printed, in `sync.facts.sale.Fiscal`."""

LETTERS = (("A", "23"), ("B", "8"), ("C", "5"), ("D", "0"), ("E", "zw"))
"""Which letter means which code, by the regulation of 29.04.2019 par. 6(1)(5)."""

MAX_DISCOUNT_NAME = 20
MAX_UNIT = 4
MAX_CASHIER = 32
MAX_REGISTER = 8
MAX_NUMBER = 30

_MEANS: Mapping[str, Means] = {"blik": "mobile"}
_RECEIPT = msgspec.json.Decoder(FiscalReceipt)


def receipt_of(
    event: bytes, sale: Sale, series: str, names: Mapping[str, str], rates: tuple[Rate, ...]
) -> FiscalReceipt:
    """Return what is to be printed of a sale, without whom it is made out to.

    Args:
        event: Of the sale: the job's name.
        sale: As tendered.
        series: Its receipt series.
        names: Of articles whose line carries none.
        rates: What VAT codes mean.

    Raises:
        BadSale: No fiscal printer takes it.
    """
    rows = sale.lines.rows()
    day = date(sale.business_day // 10_000, sale.business_day // 100 % 100, sale.business_day % 100)
    try:
        lines = tuple(_line(row, names, day, rates) for row in rows if row.total_minor)
        return FiscalReceipt(
            job=str(UUID(bytes=event)),
            lines=lines,
            payments=tuple(_tender(payment) for payment in sale.payments if _handed(payment)),
            total_minor=sum(line.total_minor for line in lines),
            change_minor=sum(payment.change_minor for payment in sale.payments),
            deposits=_deposits(rows),
            cashier=printed(sale.cashier, MAX_CASHIER),
            register=printed(sale.till, MAX_REGISTER),
            number=f"{series}/{sale.number}"[-MAX_NUMBER:],
        )
    except DeviceRefused as error:
        raise BadSale(error.problem, error.cure, field="/lines") from error


def kept(receipt: FiscalReceipt) -> bytes:
    """Return a receipt as it is noted."""
    return msgspec.json.encode(receipt)


def noted(kept: bytes) -> FiscalReceipt:
    """Return what `kept` gave."""
    return _RECEIPT.decode(kept)


def made_out(receipt: FiscalReceipt, nip: str) -> FiscalReceipt:
    """Return the receipt with its buyer's tax number."""
    return replace(receipt, nip=nip)


def proof(evidence: Evidence) -> Fiscal:
    """Return the printer's evidence as the journal keeps it."""
    memory = evidence.memory_id or 0
    return Fiscal(BY, evidence.device, evidence.document or f"JPKID {memory}", memory)


def proof_of(notes: CheckoutView) -> Fiscal | None:
    """Return what was noted of a receipt that is printed."""
    return msgspec.msgpack.decode(notes.proof, type=Fiscal) if notes.proof else None


def objections(table: VatTable, rates: tuple[Rate, ...], day: date) -> tuple[str, ...]:
    """Return where the letters of a printer are others than ours on a day, in words."""
    expected: list[tuple[str, Vat]] = []
    for letter, code in LETTERS:
        try:
            found = rate(code, day, rates)
        except UnknownVat:
            continue
        expected.append((letter, Vat(found.basis_points, exempt=found.exempt)))
    return table.disagreements(expected)


def _line(
    row: SaleLine, names: Mapping[str, str], day: date, rates: tuple[Rate, ...]
) -> FiscalLine:
    try:
        found = rate(row.vat, day, rates)
    except UnknownVat as error:
        raise DeviceRefused(
            f"Article {row.sku!r}: {error}", cure="Correct its VAT code at head office."
        ) from error
    if row.vat == "np":
        raise DeviceRefused(
            f"Article {row.sku!r}: is outside VAT (np), and a fiscal receipt takes no such line.",
            cure="Sell it on an invoice, or correct its VAT code at head office.",
        )
    reasons = [discount.reason for discount in row.discounts]
    return FiscalLine(
        name=printed(row.name or names.get(row.sku, "")) or printed(row.sku),
        quantity_milli=row.quantity_milli,
        unit_minor=row.unit_minor,
        vat=Vat(found.basis_points, exempt=found.exempt),
        unit=row.unit if len(row.unit) <= MAX_UNIT else "",
        discount_minor=sum(discount.amount_minor for discount in row.discounts),
        discount_name=printed(", ".join(reasons), MAX_DISCOUNT_NAME),
    )


def _deposits(rows: Sequence[SaleLine]) -> tuple[DepositLine, ...]:
    counts: dict[int, int] = {}
    for row in rows:
        if not row.deposit_minor:
            continue
        count, part = divmod(row.quantity_milli, 1000)
        if part:
            raise DeviceRefused(
                f"Article {row.sku!r}: {row.quantity_milli} thousandths with a deposit; a fiscal "
                "printer counts packaging in whole pieces.",
                cure="Correct the quantity, or the article's deposit.",
            )
        counts[row.deposit_minor] = counts.get(row.deposit_minor, 0) + count
    return tuple(
        DepositLine(name=f"Kaucja {unit // 100},{unit % 100:02}", count=count, unit_minor=unit)
        for unit, count in sorted(counts.items())
    )


def _tender(payment: Payment) -> Tender:
    other: Means = "other"
    means = _MEANS.get(payment.method, payment.method)
    for known in get_args(Means):
        if known == means:
            other = known
    return Tender(means=other, amount_minor=_handed(payment))


def _handed(payment: Payment) -> int:
    return payment.amount_minor + payment.change_minor
