"""Receipts → NoviAPI's JSON, its answers → values. Pure.

All numbers are texts with a dot. Amounts here are grosz, quantities thousandths.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, TypeAlias, get_args

from hw.errors import DeviceUnavailable
from hw.fiscal import DepositLine, FiscalLine, FiscalReceipt, Means, Vat, VatTable
from hw.fiscal import printable as text

Body: TypeAlias = dict[str, Any]

State: TypeAlias = Literal["STORED", "QUEUED", "PENDING", "DONE", "ERROR", "UNKNOWN"]

MEANS: Mapping[Means, str] = {
    "cash": "cash",
    "card": "card",
    "cheque": "cheque",
    "voucher": "coupon",
    "credit": "credit",
    "transfer": "transfer",
    "mobile": "mobile",
    "other": "other",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a printer tells of one request."""

    state: State
    memory_id: int | None
    """JPKID: number of the document in its protected memory."""

    error: tuple[int, str] | None
    """Why the request failed."""

    trouble: str | None
    """What is wrong with the printer now."""

    status: Body
    """What was asked with a status request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """`status` of type `device`."""

    table: VatTable
    totals: Mapping[str, int]
    """Gross of receipts by letter since the last daily report, grosz."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FiscalMemory:
    """`status` of type `fiscal_memory`."""

    unique_number: str
    reports: int
    fiscal: bool
    """It has a date of fiscalisation [M: told so only after it]."""


def receipt_body(receipt: FiscalReceipt, table: VatTable) -> Body:
    """The body of `POST /receipt`.

    There is no storno: what was taken back is left out, and the sums are the same.

    Raises:
        DeviceRefused: A text is too long or has characters the printer lacks, or the
            printer has no such rate.
    """
    summary = {"total": money(receipt.total_minor), "pay_in": money(receipt.paid_minor)}
    if receipt.change_minor:
        summary["change"] = money(receipt.change_minor)
    body: Body = {
        "items": [{"article": _article(line, table)} for line in receipt.kept()]
        + [_container(line) for line in receipt.deposits],
        "payments": [_payment(t.means, t.amount_minor, t.name) for t in receipt.payments],
        "summary": summary,
    }
    if not body["payments"]:
        del body["payments"]
    buyer: Body = {"nip": receipt.nip} if receipt.nip else {}
    if receipt.e_paragon:
        # The hub of the Ministry of Finance; the mode is the printer's own setting.
        buyer["e_document"] = {"transaction_id": text(receipt.e_paragon, 100), "protocol": "MF"}
    if buyer:
        body["buyer"] = buyer
    info: Body = {}
    if receipt.cashier:
        info["cashier_name"] = text(receipt.cashier, 32)
    if receipt.register:
        info["cash_number"] = text(receipt.register, 8)
    if receipt.number:
        info["system_number"] = {"print_as": "text", "value": text(receipt.number, 512)}
    if info:
        body["system_info"] = info
    if receipt.qr:
        body["printout_lines"] = [{"qrcode": {"text": text(receipt.qr, 1852), "masked": False}}]
    return {"receipt": body}


def report_body(day: date) -> Body:
    """The body of `POST /daily_report`."""
    return {"daily_report": {"date": day.strftime("%d/%m/%Y")}}


def money(minor: int) -> str:
    """Grosz as the printer reads them: 1299 is `12.99`."""
    return f"{minor // 100}.{minor % 100:02}"


def decimal(milli: int) -> str:
    """Thousandths as the printer reads them: 1500 is `1.5`."""
    return f"{milli // 1000}.{milli % 1000:03}".rstrip("0").rstrip(".")


def scaled(value: object, places: int) -> int:
    """A decimal number as a whole one of its smallest part; finer parts are cut.

    Raises:
        ValueError: It is no decimal number.
    """
    whole, _, part = str(value).replace(",", ".").partition(".")
    digits = (whole or "0") + (part + "0" * places)[:places]
    if not (digits.isascii() and digits.isdigit() and (part.isdigit() or not part)):
        raise ValueError(f"expected a decimal number, got {value!r}")
    return int(digits)


def read_check(body: object) -> Check:
    """The answer to `GET /…/{id}`.

    Raises:
        DeviceUnavailable: It is not such an answer.
    """
    try:
        request, device = _inside(body, "request"), _inside(body, "device")
        error = request.get("error")
        trouble = device.get("error") if device.get("status") == "ERROR" else None
        if request["status"] not in get_args(State):
            raise _odd(body)
        memory_id = request.get("jpkid")
        return Check(
            state=request["status"],
            memory_id=None if memory_id is None else int(memory_id),
            error=(int(error["code"]), str(error["description"])) if error else None,
            trouble=str(trouble["description"]) if trouble else None,
            status=(request.get("response") or {}).get("status") or {},
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as wrong:
        raise _odd(body) from wrong


def read_json(data: bytes) -> object:
    """An answer's body.

    Raises:
        ValueError: It is no JSON, or nothing but brackets.
    """
    try:
        told: object = json.loads(data)
    except RecursionError as error:
        raise ValueError("an answer of nothing but brackets") from error
    return told


def read_id(body: object) -> str:
    """The id in the answer to a `POST`.

    Raises:
        DeviceUnavailable: There is none.
    """
    try:
        return str(_inside(body, "request")["id"])
    except (KeyError, TypeError) as wrong:
        raise _odd(body) from wrong


def read_device(status: Body) -> DeviceState:
    """Rates and totals.

    Raises:
        DeviceUnavailable: They are not there.
    """
    try:
        device = _inside(status, "device")
        rates = [(rate["name"], _rate(rate["value"])) for rate in device["tax_rates"]]
        return DeviceState(
            table=VatTable(tuple((a, vat) for a, vat in rates if vat is not None)),
            totals={t["tax_rate"]: scaled(t["receipt"], 2) for t in device["totals"]},
        )
    except (KeyError, TypeError, ValueError, OverflowError) as wrong:
        raise _odd(status) from wrong


def read_fiscal_memory(status: Body) -> FiscalMemory:
    """Who the printer is.

    Raises:
        DeviceUnavailable: It is not told.
    """
    try:
        memory = _inside(status, "fiscal_memory")
        return FiscalMemory(
            unique_number=str(memory["unique_number"]).strip(),
            reports=int(memory["daily_reports_count"]),
            fiscal=bool(memory.get("start_fiscal_date")),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as wrong:
        raise _odd(status) from wrong


def read_last_id(status: Body) -> int:
    """Number of the last document in the protected memory.

    Raises:
        DeviceUnavailable: It is not told.
    """
    try:
        return int(_inside(status, "protected_memory")["last_jpkid"])
    except (KeyError, TypeError, ValueError, OverflowError) as wrong:
        raise _odd(status) from wrong


def read_error(body: object) -> str:
    """What an error answer says, for a person."""
    told = body.get("exception") if isinstance(body, dict) else None
    if not isinstance(told, dict):
        return "no reason given"
    errors = told.get("errors")
    more = f" ({'; '.join(map(str, errors))})" if isinstance(errors, list) and errors else ""
    allowed = told.get("allowed_refresh_date")
    later = f", not before {allowed}" if allowed else ""
    return f"{told.get('description', 'no reason given')}{more}{later}"


def _article(line: FiscalLine, table: VatTable) -> Body:
    article: Body = {
        "name": text(line.name, 60),
        "ptu": table.letter(line.vat),
        "quantity": decimal(line.quantity_milli),
        "price": money(line.unit_minor),
        "value": money(line.gross_minor),
    }
    if line.unit:
        article["unit"] = text(line.unit, 4)
    if line.discount_minor:
        discount: Body = {"type": "value_discount", "value": money(line.discount_minor)}
        if line.discount_name:
            discount["name"] = text(line.discount_name, 20)
        article["discount_markup"] = discount
    return article


def _container(line: DepositLine) -> Body:
    """[M] `value` is of all pieces, as an article's; if not, the printer finds the sum wrong."""
    kind = "container_return" if line.returned else "container"
    return {
        kind: {
            "name": text(line.name, 60),
            "quantity": str(line.count),
            "value": money(line.total_minor),
        }
    }


def _payment(means: Means, amount_minor: int, name: str) -> Body:
    named = {"name": text(name, 24)} if name and means != "cash" else {}
    return {MEANS[means]: {**named, "value": money(amount_minor)}}


def _rate(value: object) -> Vat | None:
    """`ZW` is exempt; a letter that is not in use has no number [M]."""
    if str(value).strip().upper() == "ZW":
        return Vat(0, exempt=True)
    try:
        return Vat(scaled(str(value).strip().rstrip("%").strip(), 2))
    except ValueError:
        return None


def _inside(body: object, key: str) -> Body:
    inner = body[key] if isinstance(body, dict) else None
    if not isinstance(inner, dict):
        raise TypeError(key)
    return inner


def _odd(body: object) -> DeviceUnavailable:
    return DeviceUnavailable(
        f"Printer's answer {str(body)[:200]!r}: expected what NoviApi 1.0.4 describes.",
        cure="Make sure that it is a NoviAPI printer, and that nothing stands in between.",
    )
