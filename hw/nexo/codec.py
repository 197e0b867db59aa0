"""nexo messages a payment needs. Pure.

The structures name the fields that are taken; whatever else a terminal sends is never
decoded. Amounts are decimal numbers on the wire and minor units here.
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

from hw.card import allowed, known_means
from hw.errors import DeviceUnavailable
from hw.payment import (
    Answer,
    Approval,
    Approved,
    Availability,
    Declined,
    NoAnswer,
    NotFound,
    PaymentIntent,
    Pending,
    Totals,
)

VERSION = "3.0"
REQUEST, RESPONSE = "SaleToPOIRequest", "SaleToPOIResponse"
CENT = Decimal("0.01")
LARGEST = Decimal(10**10)

_encoder = msgspec.json.Encoder(decimal_format="number")

CONDITIONS = {
    "Aborted": "It was stopped at the till",
    "Busy": "The terminal is busy",
    "Cancel": "The customer or the cashier stopped it",
    "DeviceOut": "The terminal is out of order",
    "InsertedCard": "A card is still in the terminal",
    "InvalidCard": "The card is not valid",
    "LoggedOut": "The terminal is logged out",
    "MessageFormat": "The terminal did not understand the order",
    "NotAllowed": "The terminal does not allow it",
    "PaymentRestriction": "The goods cannot be paid with this card",
    "Refusal": "The bank refused it",
    "UnavailableDevice": "A part of the terminal is not available",
    "UnavailableService": "The terminal does not offer it",
    "UnreachableHost": "The terminal does not reach its bank",
    "WrongPIN": "Wrong PIN",
}
"""Ends without a payment. One that is not here is no proof of anything [M]."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """`MessageHeader`."""

    MessageClass: str = "Service"
    MessageCategory: str
    MessageType: str
    SaleID: str
    POIID: str
    ServiceID: str = ""
    ProtocolVersion: str = VERSION


class Result(msgspec.Struct, frozen=True):
    """`Response`, without its free text."""

    Result: str = ""
    ErrorCondition: str = ""


class _Reference(msgspec.Struct, frozen=True):
    TransactionID: str = ""
    TimeStamp: str = ""


class _PoiData(msgspec.Struct, frozen=True):
    POITransactionID: _Reference = _Reference()


class _Amounts(msgspec.Struct, frozen=True):
    AuthorizedAmount: Decimal
    Currency: str = ""
    CashBackAmount: Decimal = Decimal(0)


class _AcquirerData(msgspec.Struct, frozen=True):
    ApprovalCode: str = ""
    MerchantID: str = ""
    AcquirerPOIID: str = ""


class _CardData(msgspec.Struct, frozen=True):
    PaymentBrand: str = ""


class _Instrument(msgspec.Struct, frozen=True):
    CardData: _CardData = _CardData()


class _PaymentResult(msgspec.Struct, frozen=True):
    AmountsResp: _Amounts | None = None
    PaymentAcquirerData: _AcquirerData = _AcquirerData()
    PaymentInstrumentData: _Instrument = _Instrument()


class Payment(msgspec.Struct, frozen=True):
    """`PaymentResponse` and, with fewer fields, `ReversalResponse`."""

    Response: Result = Result()
    POIData: _PoiData = _PoiData()
    PaymentResult: _PaymentResult = _PaymentResult()
    ReversedAmount: Decimal | None = None


class _RepeatedBody(msgspec.Struct, frozen=True):
    PaymentResponse: Payment | None = None
    ReversalResponse: Payment | None = None


class _Repeated(msgspec.Struct, frozen=True):
    MessageHeader: Header
    RepeatedResponseMessageBody: _RepeatedBody = _RepeatedBody()


class _Status(msgspec.Struct, frozen=True):
    Response: Result = Result()
    RepeatedMessageResponse: _Repeated | None = None


class _PoiStatus(msgspec.Struct, frozen=True):
    CommunicationOKFlag: bool | None = None


class _HostStatus(msgspec.Struct, frozen=True):
    IsReachableFlag: bool | None = None


class _Diagnosis(msgspec.Struct, frozen=True):
    Response: Result = Result()
    POIStatus: _PoiStatus = _PoiStatus()
    HostStatus: tuple[_HostStatus, ...] = ()


class _PaymentTotal(msgspec.Struct, frozen=True):
    TransactionType: str = ""
    TransactionCount: int = 0
    TransactionAmount: Decimal = Decimal(0)


class _TransactionTotal(msgspec.Struct, frozen=True):
    PaymentTotals: tuple[_PaymentTotal, ...] = ()


class _Totals(msgspec.Struct, frozen=True):
    Response: Result = Result()
    TransactionTotals: tuple[_TransactionTotal, ...] = ()


class Reply(msgspec.Struct, frozen=True):
    """`SaleToPOIResponse`."""

    MessageHeader: Header
    PaymentResponse: Payment | None = None
    ReversalResponse: Payment | None = None
    TransactionStatusResponse: _Status | None = None
    DiagnosisResponse: _Diagnosis | None = None
    GetTotalsResponse: _Totals | None = None


def message(root: str, header: Header, name: str, body: dict[str, Any]) -> bytes:
    """One message as JSON."""
    return _encoder.encode({root: {"MessageHeader": header, name: body}})


def header_json(header: Header) -> bytes:
    """A header alone."""
    return _encoder.encode(header)


def order(intent: PaymentIntent, at: str) -> tuple[str, dict[str, Any]]:
    """Category and body of an order.

    Args:
        intent: What is paid, given back or reversed.
        at: Now, ISO 8601, for the terminal's own record.
    """
    sale = {"SaleTransactionID": {"TransactionID": intent.sale, "TimeStamp": at}}
    if intent.kind == "reversal":
        original = {"TransactionID": intent.of_reference, "TimeStamp": intent.of_moment}
        return "Reversal", {
            "OriginalPOITransaction": {"POITransactionID": original},
            "ReversalReason": "MerchantCancel",
            "SaleData": sale,
        }
    amounts: dict[str, Any] = {
        "Currency": intent.currency,
        "RequestedAmount": major(intent.amount_minor + intent.cashback_minor),
    }
    if intent.cashback_minor:
        amounts["CashBackAmount"] = major(intent.cashback_minor)
    body: dict[str, Any] = {"SaleData": sale, "PaymentTransaction": {"AmountsReq": amounts}}
    if intent.kind == "refund":
        body["PaymentData"] = {"PaymentType": "Refund"}
    return "Payment", body


def question(category: str, sale_id: str, service: str) -> dict[str, Any]:
    """Body of `TransactionStatusRequest`."""
    return {
        "ReceiptReprintFlag": False,
        "MessageReference": reference(category, sale_id, service),
    }


def reference(category: str, sale_id: str, service: str) -> dict[str, str]:
    """`MessageReference`."""
    return {"MessageCategory": category, "SaleID": sale_id, "ServiceID": service}


def read_reply(plain: bytes, *, service: str, sale_id: str, poi_id: str) -> Reply:
    """One answer, to the message that was asked.

    Raises:
        DeviceUnavailable: It is none.
    """
    try:
        reply = msgspec.json.decode(plain, type=dict[str, Reply]).get(RESPONSE)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        reply = None
    head = reply.MessageHeader if reply is not None else None
    if reply is None or (head and (head.ServiceID, head.SaleID, head.POIID)) != (
        service,
        sale_id,
        poi_id,
    ):
        # From None: an error of the decoder would carry what it read.
        raise DeviceUnavailable(
            f"Terminal {poi_id}: expected the answer to message {service}, got another one.",
            cure="Look at the terminal's display.",
        ) from None
    return reply


def read_payment(told: Payment | None, intent: PaymentIntent) -> Answer:
    """What an order's answer says."""
    if told is None:
        return NoAnswer("The terminal's answer names no payment.", "Karb asks again.")
    condition = told.Response.ErrorCondition
    if told.Response.Result in {"Success", "Partial"}:
        return _approved(told, intent)
    if told.Response.Result == "Failure" and condition in CONDITIONS:
        code = "aborted" if condition in {"Aborted", "Cancel"} else condition
        return Declined(f"{CONDITIONS[condition]}.", "Pay again, or in another way.", code)
    return NoAnswer("The terminal did not say how it ended.", "Karb asks again.")


def read_status(told: _Status | None, intent: PaymentIntent, service: str) -> Answer:
    """What became of an order, as the terminal answers the question about it."""
    if told is None:
        return NoAnswer("The terminal's answer names no status.", "Karb asks again.")
    repeated, condition = told.RepeatedMessageResponse, told.Response.ErrorCondition
    if told.Response.Result == "Success" and repeated is not None:
        if repeated.MessageHeader.ServiceID != service:
            return NoAnswer("The terminal told of another payment.", "Karb asks again.")
        body = repeated.RepeatedResponseMessageBody
        return read_payment(body.PaymentResponse or body.ReversalResponse, intent)
    if told.Response.Result == "Failure" and condition == "InProgress":
        return Pending("The terminal is at it.")
    if told.Response.Result == "Failure" and condition == "NotFound":
        return NotFound()
    return NoAnswer("The terminal did not say what became of it.", "Karb asks again.")


def _approved(told: Payment, intent: PaymentIntent) -> Answer:
    amounts, acquirer = told.PaymentResult.AmountsResp, told.PaymentResult.PaymentAcquirerData
    cashback = minor(amounts.CashBackAmount) if amounts else 0
    if amounts is None and intent.kind != "reversal":
        return NoAnswer("The terminal approved without an amount.", "Karb asks again.")
    taken = minor(amounts.AuthorizedAmount) - cashback if amounts else intent.amount_minor
    reference = told.POIData.POITransactionID
    approval = Approval(
        amount_minor=taken,
        cashback_minor=cashback,
        currency=intent.currency,
        auth_code=allowed("auth_code", acquirer.ApprovalCode),
        reference=allowed("reference", reference.TransactionID),
        moment=allowed("moment", reference.TimeStamp),
        merchant=allowed("merchant", acquirer.MerchantID),
        terminal=allowed("terminal", acquirer.AcquirerPOIID),
        means=known_means(told.PaymentResult.PaymentInstrumentData.CardData.PaymentBrand),
    )
    return Approved(f"nexo {approval.reference or 'without a reference'}", approval)


def read_availability(told: _Diagnosis | None) -> Availability:
    """What the terminal says of its own hosts."""
    if told is None or told.Response.Result != "Success":
        return Availability()
    hosts = [host.IsReachableFlag for host in told.HostStatus if host.IsReachableFlag is not None]
    online = any(hosts) if hosts else told.POIStatus.CommunicationOKFlag
    problem = None if online or online is None else "The terminal does not reach its bank."
    # One host takes both, so what holds of it holds of both.
    return Availability(cards=online, blik=online, problem=problem)


def read_totals(told: _Totals | None) -> Totals | None:
    """What the terminal has counted."""
    if told is None or told.Response.Result != "Success":
        return None
    rows = [row for total in told.TransactionTotals for row in total.PaymentTotals]
    debit = [row for row in rows if row.TransactionType == "Debit"]
    back = [row for row in rows if row.TransactionType in {"Credit", "ReverseDebit"}]
    return Totals(
        sales=sum(row.TransactionCount for row in debit),
        sales_minor=sum(minor(row.TransactionAmount) for row in debit),
        refunds=sum(row.TransactionCount for row in back),
        refunds_minor=sum(minor(row.TransactionAmount) for row in back),
    )


def major(amount_minor: int) -> Decimal:
    """An amount for the wire; two decimals, as PLN and EUR have."""
    return (Decimal(amount_minor) / 100).quantize(CENT)


def minor(amount: Decimal) -> int:
    """An amount from the wire.

    Raises:
        DeviceUnavailable: No sale comes to that.
    """
    if not 0 <= amount <= LARGEST:
        raise DeviceUnavailable(
            f"Terminal: expected an amount from 0 to {LARGEST}, got one beyond.",
            cure="Look at the terminal's slip.",
        )
    return int((amount * 100).to_integral_value(ROUND_HALF_UP))
