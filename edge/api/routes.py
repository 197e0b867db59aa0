"""The API as one literal table: aiohttp routes by it, `/openapi.json` describes it."""

from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from edge.api import (
    answers,
    articles,
    customers,
    deposits,
    drawer,
    events,
    fiscal,
    gateway,
    node,
    orders,
    parked,
    pay,
    quotes,
    returns,
    sales,
    shifts,
    staff,
    stockroom,
    tills,
)
from edge.api.call import Handler
from edge.stockroom.counting import CountAnswer, CountLineAnswer
from edge.stockroom.documents import DocumentAnswer
from edge.stockroom.orders import AnswerRequest
from edge.stockroom.request import (
    CountLineRequest,
    CountPostRequest,
    CountRequest,
    DocumentRequest,
    MovedLineRequest,
    TransferOutRequest,
)
from edge.till.deposits import DepositsAnswer, VoucherAnswer
from edge.till.request import (
    DepositsRequest,
    DiscountRequest,
    LineRequest,
    PaymentRequest,
    PayRequest,
    ReturnRequest,
    SaleRequest,
    TillId,
    VoucherRequest,
    Word,
)
from edge.till.returns import ReturnAnswer, ReturnsPage
from edge.till.selling import SaleAnswer
from sync.contract.openapi import Parameter, Route
from sync.merge.profile import Profile
from sync.rules.quote import Quote, QuoteLineRequest, QuoteRequest

UUID_PATTERN = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"

_UUID = Parameter(
    name="uuid",
    where="path",
    type=Annotated[str, Meta(pattern=UUID_PATTERN)],
    description="Made by the client: the same id again is the same thing again.",
)
_PAYMENT = Parameter(
    name="payment",
    where="path",
    type=Annotated[int, Meta(ge=0, le=1000)],
    description="Index in the sale's payments, from 0.",
)
_SKU = Parameter(
    name="sku",
    where="path",
    type=Annotated[str, Meta(min_length=1, max_length=64)],
    description="Of an article, or one of its codes.",
)
_CODE = Parameter(
    name="code",
    where="path",
    type=Annotated[str, Meta(min_length=1, max_length=128)],
    description="As scanned or typed.",
)
_AFTER = Parameter(
    name="after",
    where="query",
    type=Annotated[str, Meta(max_length=64)],
    description="The 'next' of the page before",
)
_LIMIT = Parameter(
    name="limit",
    where="query",
    type=Annotated[int, Meta(ge=1, le=500)],
    description="100 unless told",
)
_TILL = Parameter(name="till", where="path", type=TillId, description="As in karb.toml.")
_USER = Parameter(name="user", where="path", type=staff.User, description="As in sales.")
_LINE = Parameter(
    name="line",
    where="path",
    type=Annotated[int, Meta(ge=1, le=1_000_000_000)],
    description="Number of the line in the basket.",
)

_SERIES = Parameter(
    name="series",
    where="path",
    type=Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$", max_length=40)],
    description="Of receipts, as printed before the stroke.",
)
_NUMBER = Parameter(
    name="number",
    where="path",
    type=Annotated[int, Meta(ge=1, le=1 << 40)],
    description="Of the receipt, as printed behind the stroke.",
)
_DAY = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", max_length=10)]
_FROM = Parameter(
    name="from", where="query", type=_DAY, description="First business day; today unless told"
)
_TO = Parameter(
    name="to", where="query", type=_DAY, description="Last business day; today unless told"
)
_RECORD = Parameter(
    name="record",
    where="query",
    type=Literal["returns", "mistakes"],
    description="Which of the two records; returns unless told",
)

_DEVICE = Parameter(
    name="device", where="path", type=gateway.Id, description="As in karb devices list."
)
_CURSOR = Parameter(
    name="after",
    where="query",
    type=Annotated[str, Meta(max_length=64)],
    description="The 'next' of the answer before; without it, only what is to come",
)
_JOB_EXAMPLE = gateway.JobRequest(
    till="T1",
    kind="kitchen",
    elements=(gateway.TextPart(text="2 x żurek", double=True), gateway.CutPart()),
)

_SALE_EXAMPLE = SaleRequest(
    till="K1",
    cashier="anna",
    lines=(
        LineRequest(
            sku="MLEKO-1L",
            quantity_milli=2000,
            unit_minor=389,
            discounts=(DiscountRequest(reason="krótka data", amount_minor=100),),
        ),
    ),
    payments=(PaymentRequest(method="cash", amount_minor=1000),),
)

_QUOTE_EXAMPLE = QuoteRequest(
    lines=(QuoteLineRequest(sku="MLEKO-1L", quantity_milli=2000),), coupons=("WIOSNA",)
)

_TRANSFER_EXAMPLE = TransferOutRequest(
    lines=(MovedLineRequest(sku="MLEKO-1L", quantity_milli=12_000),), to_store="KRK2"
)


class Entry(NamedTuple):
    """A row of the table: what is said about it, and who answers."""

    route: Route
    handler: Handler


def _till(method: str, path: str, summary: str, **more: Any) -> Route:
    """A route on a till's basket; it answers with the basket."""
    parameters = (_TILL, *more.pop("parameters", ()))
    return Route(
        method=method,
        path=f"/v1/tills/{{till}}{path}",
        summary=summary,
        answers=more.pop("answers", {200: answers.TillAnswer}),
        scope=more.pop("scope", "sell"),
        parameters=parameters,
        tags=("till",),
        **more,
    )


def _device(method: str, path: str, summary: str, answer: Any, **more: Any) -> Route:
    """A route on one device."""
    return Route(
        method=method,
        path=f"/v1/devices/{{device}}{path}",
        summary=summary,
        answers=more.pop("answers", {200: answer}),
        scope=more.pop("scope", "admin"),
        parameters=(_DEVICE,),
        tags=("devices",),
        problems=(409, 503),
        **more,
    )


_DEVICES: tuple[Entry, ...] = (
    Entry(
        Route(
            method="GET",
            path="/v1/devices",
            summary="How the devices are",
            answers={200: gateway.DevicesAnswer},
            scope="admin",
            problems=(503,),
            tags=("devices",),
        ),
        gateway.get_devices,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/devices/scan",
            summary="Look what is plugged in, and what announces itself",
            answers={200: gateway.ScanAnswer},
            scope="admin",
            problems=(503,),
            tags=("devices",),
        ),
        gateway.post_scan,
    ),
    Entry(
        _device(
            "PUT",
            "",
            "Configure a device, and begin to use it",
            None,
            request=gateway.DeviceRequest,
            answers={201: gateway.DeviceDetail, 200: gateway.DeviceDetail},
        ),
        gateway.put_device,
    ),
    Entry(
        _device(
            "PUT",
            "/till",
            "Give a device to a till, or to all",
            gateway.DeviceDetail,
            request=gateway.BindRequest,
        ),
        gateway.put_binding,
    ),
    Entry(
        _device("DELETE", "", "Let go of a device for good", gateway.RemovedAnswer),
        gateway.delete_device,
    ),
    Entry(_device("POST", "/test", "Try a device out", gateway.TestAnswer), gateway.post_test),
    Entry(_device("GET", "/log", "What happened at a device", gateway.LogAnswer), gateway.get_log),
    Entry(
        Route(
            method="PUT",
            path="/v1/jobs/{uuid}",
            summary="Print something, or open the drawer; the same again does nothing more",
            request=gateway.JobRequest,
            request_example=_JOB_EXAMPLE,
            answers={201: gateway.JobAnswer, 200: gateway.JobAnswer},
            scope="print",
            parameters=(_UUID,),
            problems=(409, 503),
            tags=("jobs",),
        ),
        gateway.put_job,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/jobs/{uuid}",
            summary="What became of a job",
            answers={200: gateway.JobAnswer},
            scope="print",
            parameters=(_UUID,),
            problems=(503,),
            tags=("jobs",),
        ),
        gateway.get_job,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/jobs",
            summary="What waits, is being printed, or asks for a person",
            answers={200: gateway.JobsAnswer},
            scope="print",
            problems=(503,),
            tags=("jobs",),
        ),
        gateway.get_jobs,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/jobs/{uuid}/decision",
            summary="Say what no machine can tell, or let another printer do it",
            request=gateway.JobDecision,
            answers={200: gateway.JobAnswer},
            scope="print",
            parameters=(_UUID,),
            problems=(409, 503),
            tags=("jobs",),
        ),
        gateway.post_decision,
    ),
    Entry(
        Route(
            method="PUT",
            path="/v1/fiscal-receipts/{uuid}",
            summary="Order a fiscal receipt; the same again orders nothing more",
            request=fiscal.FiscalRequest,
            answers={201: fiscal.FiscalAnswer, 200: fiscal.FiscalAnswer},
            scope="fiscal",
            parameters=(_UUID,),
            problems=(409, 503),
            tags=("jobs",),
        ),
        fiscal.put_receipt,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/fiscal-receipts/{uuid}",
            summary="What became of a fiscal receipt, with its evidence",
            answers={200: fiscal.FiscalAnswer},
            scope="fiscal",
            parameters=(_UUID,),
            problems=(503,),
            tags=("jobs",),
        ),
        fiscal.get_receipt,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/fiscal-receipts/{uuid}/decision",
            summary="Say what is on the paper, where no machine can tell",
            request=fiscal.FiscalDecision,
            answers={200: fiscal.FiscalAnswer},
            scope="fiscal",
            parameters=(_UUID,),
            problems=(409, 503),
            tags=("jobs",),
        ),
        fiscal.post_receipt_decision,
    ),
    Entry(
        Route(
            method="PUT",
            path="/v1/charges/{uuid}",
            summary="Take a payment at the terminal; the same again charges nothing more",
            request=pay.ChargeRequest,
            answers={200: pay.ChargeAnswer},
            scope="pay",
            parameters=(_UUID,),
            problems=(409, 422, 503),
            tags=("jobs",),
        ),
        pay.put_charge,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/charges/{uuid}/question",
            summary="Ask the terminal what became of a payment",
            request=pay.ChargeQuestion,
            answers={200: pay.ChargeAnswer},
            scope="pay",
            parameters=(_UUID,),
            problems=(409, 422, 503),
            tags=("jobs",),
        ),
        pay.post_charge_question,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/charges/{uuid}/decision",
            summary="Say what the terminal's slip says, where no machine can tell",
            request=pay.ChargeDecision,
            answers={200: pay.ChargeAnswer},
            scope="pay",
            parameters=(_UUID,),
            problems=(409, 422, 503),
            tags=("jobs",),
        ),
        pay.post_charge_decision,
    ),
    Entry(
        _till(
            "GET",
            "/drawer",
            "Whether the drawer is open",
            scope="read",
            answers={200: drawer.DrawerAnswer},
            problems=(422, 503),
        ),
        drawer.get_drawer,
    ),
    Entry(
        _till(
            "POST",
            "/drawer",
            "Open the drawer without a sale; the same again opens nothing",
            request=drawer.DrawerRequest,
            answers={201: drawer.DrawerAnswer, 200: drawer.DrawerAnswer},
            problems=(409, 422, 503),
        ),
        drawer.post_drawer,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/events",
            summary="What happened at the devices since",
            answers={200: events.EventsAnswer},
            scope="read",
            parameters=(_CURSOR,),
            problems=(409, 503),
            tags=("devices",),
        ),
        events.get_events,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/pairing-codes",
            summary="Make a code that pairs a till",
            request=gateway.CodeRequest,
            answers={201: gateway.CodeAnswer},
            scope="admin",
            problems=(404, 503),
            tags=("node",),
        ),
        gateway.post_code,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/pairings",
            summary="Change a code for the till's token",
            request=gateway.PairRequest,
            answers={201: gateway.PairAnswer},
            problems=(403, 503),
            tags=("node",),
        ),
        gateway.post_pairing,
    ),
)

TABLE: tuple[Entry, ...] = (
    *_DEVICES,
    Entry(
        Route(
            method="PUT",
            path="/v1/sales/{uuid}",
            summary="Record a finished sale; the same again changes nothing",
            request=SaleRequest,
            request_example=_SALE_EXAMPLE,
            answers={201: SaleAnswer, 200: SaleAnswer},
            scope="sell",
            parameters=(_UUID,),
            problems=(409, 410, 503),
            tags=("sales",),
        ),
        sales.put_sale,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/sales/{uuid}",
            summary="A sale, its lines and payments",
            answers={200: answers.SaleDetail},
            scope="read",
            parameters=(_UUID,),
            problems=(410,),
            tags=("sales",),
        ),
        sales.get_sale,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/sales/{uuid}/payments/{payment}/outcome",
            summary="Say what became of a payment that no machine can tell about",
            request=answers.OutcomeRequest,
            answers={200: answers.SaleDetail},
            scope="admin",
            parameters=(_UUID, _PAYMENT),
            problems=(409, 503),
            tags=("sales",),
        ),
        sales.post_outcome,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/sales/{uuid}/fiscal/outcome",
            summary="Say whether a receipt is on the fiscal printer's paper, once one has looked",
            request=answers.ReceiptFound,
            answers={200: answers.SaleDetail},
            scope="admin",
            parameters=(_UUID,),
            problems=(409, 503),
            tags=("sales",),
        ),
        sales.post_fiscal_outcome,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/sales/{uuid}/cancel",
            summary="Have a sale under way come to nothing: what was charged is given back",
            request=answers.CancelRequest,
            answers={200: answers.SaleDetail},
            scope="admin",
            parameters=(_UUID,),
            problems=(409, 503),
            tags=("sales",),
        ),
        sales.post_cancel,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/incidents",
            summary="Payments and receipts that only a person can end",
            answers={200: answers.IncidentsAnswer},
            scope="read",
            problems=(410, 503),
            tags=("sales",),
        ),
        sales.get_incidents,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/sales/{uuid}/copies",
            summary="Print the slip again, headed KOPIA",
            answers={202: answers.CopyAnswer},
            scope="sell",
            parameters=(_UUID,),
            problems=(410, 422, 503),
            tags=("sales",),
        ),
        sales.post_copy,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/quotes",
            summary="What a basket would cost, and which promotion gives what",
            request=QuoteRequest,
            request_example=_QUOTE_EXAMPLE,
            answers={200: Quote},
            scope="read",
            tags=("sales",),
        ),
        quotes.post_quote,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/receipts/{series}/{number}",
            summary="The sale of a receipt, and what was given back of it",
            answers={200: answers.ReceiptAnswer},
            scope="read",
            parameters=(_SERIES, _NUMBER),
            problems=(410,),
            tags=("returns",),
        ),
        returns.get_receipt,
    ),
    Entry(
        Route(
            method="PUT",
            path="/v1/deposits/{uuid}",
            summary="Take packaging back: pays for a sale, or is paid out; the same again is once",
            request=DepositsRequest,
            answers={201: DepositsAnswer, 200: DepositsAnswer},
            scope="sell",
            parameters=(_UUID,),
            problems=(409, 503),
            tags=("deposits",),
        ),
        deposits.put_deposits,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/deposits/{uuid}",
            summary="Packaging that was brought back, and where its deposit went",
            answers={200: DepositsAnswer},
            scope="read",
            parameters=(_UUID,),
            problems=(503,),
            tags=("deposits",),
        ),
        deposits.get_deposits,
    ),
    Entry(
        Route(
            method="PUT",
            path="/v1/vouchers/{code}",
            summary="Take note of a voucher that a machine of this node wrote; redeemed once",
            request=VoucherRequest,
            answers={201: VoucherAnswer, 200: VoucherAnswer},
            scope="sell",
            parameters=(
                Parameter(name="code", where="path", type=Word, description="As printed on it."),
            ),
            problems=(409, 503),
            tags=("deposits",),
        ),
        deposits.put_voucher,
    ),
    Entry(
        Route(
            method="PUT",
            path="/v1/returns/{uuid}",
            summary="Give goods of a sale back, each line once; the same again changes nothing",
            request=ReturnRequest,
            answers={201: ReturnAnswer, 200: ReturnAnswer},
            scope="sell",
            parameters=(_UUID,),
            problems=(409, 410, 503),
            tags=("returns",),
        ),
        returns.put_return,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/returns/{uuid}",
            summary="A return, or an obvious mistake",
            answers={200: ReturnAnswer},
            scope="read",
            parameters=(_UUID,),
            tags=("returns",),
        ),
        returns.get_return,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/returns/{uuid}/protocol",
            summary="Print the protocol of a return, for both signatures",
            answers={202: answers.CopyAnswer},
            scope="sell",
            parameters=(_UUID,),
            problems=(409, 422, 503),
            tags=("returns",),
        ),
        returns.post_protocol,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/returns",
            summary="The record of returns, or of obvious mistakes, of some business days",
            answers={200: ReturnsPage},
            scope="read",
            parameters=(_FROM, _TO, _RECORD),
            problems=(422,),
            tags=("returns",),
        ),
        returns.get_returns,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/articles",
            summary="Look for articles by name; without words, those with no code to scan",
            answers={200: articles.ArticlesAnswer},
            scope="read",
            parameters=(
                Parameter(
                    name="q",
                    where="query",
                    type=articles.Sought,
                    description="Parts of the name, without case and marks; or of sku or code.",
                ),
                _LIMIT,
            ),
            tags=("articles",),
        ),
        articles.get_articles,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/articles/{code}",
            summary="What a code is and costs; no basket changes",
            answers={200: articles.PriceAnswer},
            scope="read",
            parameters=(_CODE,),
            tags=("articles",),
        ),
        articles.get_price,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/stock/{sku}",
            summary="How much is on the shelf, and how old that knowledge is",
            answers={200: answers.StockAnswer},
            scope="read",
            parameters=(_SKU,),
            tags=("stock",),
        ),
        stockroom.get_stock,
    ),
    Entry(
        Route(
            method="PUT",
            path="/v1/documents/{uuid}",
            summary="Record goods that came, went or travel; the same again changes nothing",
            request=DocumentRequest,
            request_example=_TRANSFER_EXAMPLE,
            answers={201: DocumentAnswer, 200: DocumentAnswer},
            scope="sell",
            parameters=(_UUID,),
            problems=(409, 503),
            tags=("stock",),
        ),
        stockroom.put_document,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/stock",
            summary="How much there is of each article that ever moved",
            answers={200: answers.StockPage},
            scope="read",
            parameters=(_AFTER, _LIMIT),
            tags=("stock",),
        ),
        stockroom.list_stock,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/transfers",
            summary="What is under way from other stores, and what was sent to them",
            answers={200: answers.TransfersAnswer},
            scope="read",
            tags=("stock",),
        ),
        stockroom.get_transfers,
    ),
    Entry(
        Route(
            method="PUT",
            path="/v1/counts/{uuid}",
            summary="Open a count sheet; the same again changes nothing",
            request=CountRequest,
            answers={201: CountAnswer, 200: CountAnswer},
            scope="sell",
            parameters=(_UUID,),
            problems=(409, 503),
            tags=("counts",),
        ),
        stockroom.put_count,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/counts/{uuid}",
            summary="A sheet, what was counted, and what it waits for",
            answers={200: CountAnswer},
            scope="read",
            parameters=(_UUID,),
            problems=(503,),
            tags=("counts",),
        ),
        stockroom.get_count,
    ),
    Entry(
        Route(
            method="PUT",
            path="/v1/counts/{uuid}/lines/{sku}",
            summary="Say how much of an article is there now; selling may go on",
            request=CountLineRequest,
            answers={201: CountLineAnswer, 200: CountLineAnswer},
            scope="sell",
            parameters=(_UUID, _SKU),
            problems=(409, 503),
            tags=("counts",),
        ),
        stockroom.put_count_line,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/counts/{uuid}/post",
            summary="Let the books follow the sheet, once",
            request=CountPostRequest,
            answers={201: CountAnswer, 200: CountAnswer},
            scope="sell",
            parameters=(_UUID,),
            problems=(409, 503),
            tags=("counts",),
        ),
        stockroom.post_count,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/orders",
            summary="Orders of head office that wait for an answer",
            answers={200: orders.OrdersTold},
            scope="read",
            tags=("orders",),
        ),
        orders.get_orders,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/orders/{uuid}",
            summary="An order and what became of it",
            answers={200: orders.OrderTold},
            scope="read",
            parameters=(_UUID,),
            tags=("orders",),
        ),
        orders.get_order,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/orders/{uuid}/answer",
            summary="Say that it is picked, handed out, short or unwanted; again it is the same",
            request=AnswerRequest,
            answers={200: orders.OrderTold},
            scope="sell",
            parameters=(_UUID,),
            problems=(409, 503),
            tags=("orders",),
        ),
        orders.post_answer,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/staff",
            summary="Who works here",
            answers={200: staff.StaffAnswer},
            scope="read",
            tags=("staff",),
        ),
        staff.get_staff,
    ),
    Entry(
        Route(
            method="PUT",
            path="/v1/staff/{user}",
            summary="Describe somebody who works here",
            request=staff.UserRequest,
            answers={200: staff.StaffAnswer},
            scope="admin",
            parameters=(_USER,),
            problems=(503,),
            tags=("staff",),
        ),
        staff.put_user,
    ),
    Entry(
        _till(
            "POST",
            "/login",
            "Let somebody whose PIN is right work at the till",
            request=staff.LoginRequest,
            problems=(409, 503),
        ),
        staff.post_login,
    ),
    Entry(
        _till("POST", "/logout", "Lock the till; its basket stays", problems=(503,)),
        staff.post_logout,
    ),
    Entry(
        _till(
            "POST",
            "/approvals",
            "Have a manager let the next thing through",
            request=staff.ApprovalRequest,
            answers={200: staff.ApprovalAnswer},
            problems=(503,),
        ),
        staff.post_approval,
    ),
    Entry(
        _till(
            "GET",
            "/shift",
            "The shift a till is in",
            answers={200: shifts.ShiftAnswer},
            scope="read",
        ),
        shifts.get_shift,
    ),
    Entry(
        _till(
            "POST",
            "/shift",
            "Open a shift; the same again changes nothing",
            request=shifts.ShiftRequest,
            answers={200: shifts.ShiftAnswer},
            problems=(409, 503),
        ),
        shifts.post_shift,
    ),
    Entry(
        _till(
            "POST",
            "/shift/cash",
            "Cash into the drawer, out of it, or to the safe; the same again moves nothing",
            request=shifts.CashRequest,
            answers={200: shifts.ShiftAnswer},
            problems=(409, 503),
        ),
        shifts.post_cash,
    ),
    Entry(
        _till(
            "GET",
            "/shift/x",
            "What the shift adds up to so far",
            answers={200: shifts.ReportX},
            scope="read",
            problems=(422,),
        ),
        shifts.get_x,
    ),
    Entry(
        _till(
            "POST",
            "/shift/close",
            "Close the shift with what was counted: its Z; the same again gives the same Z",
            request=shifts.CloseRequest,
            answers={200: shifts.ReportZ},
            problems=(503,),
        ),
        shifts.post_close,
    ),
    Entry(
        _till(
            "GET",
            "/reports",
            "The last Z reports, the latest first",
            answers={200: shifts.ReportsAnswer},
            scope="read",
            parameters=(_LIMIT,),
        ),
        shifts.get_reports,
    ),
    Entry(_till("GET", "", "The basket", scope="read"), tills.get_till),
    Entry(
        _till("POST", "/scans", "Take a code", request=answers.ScanRequest, problems=(404,)),
        tills.post_scan,
    ),
    Entry(
        _till(
            "PATCH",
            "/lines/{line}",
            "Change quantity, confirm the buyer's age, give a discount: all or nothing",
            request=answers.LineChange,
            parameters=(_LINE,),
        ),
        tills.patch_line,
    ),
    Entry(
        _till("DELETE", "/lines/{line}", "Take a line out", parameters=(_LINE,), problems=(422,)),
        tills.delete_line,
    ),
    Entry(_till("DELETE", "/basket", "Take everything out", problems=(422,)), tills.delete_basket),
    Entry(
        _till(
            "POST",
            "/payments",
            "Sell the basket; the same again sells nothing more",
            request=PayRequest,
            answers={201: SaleAnswer, 200: SaleAnswer},
            problems=(409, 503),
        ),
        tills.post_payment,
    ),
    Entry(
        _till(
            "DELETE",
            "/payments",
            "Cancel the payment under way, or give back what was taken for this basket",
            problems=(409, 422, 503),
        ),
        tills.delete_payment,
    ),
    Entry(
        _till(
            "POST",
            "/payments/aside",
            "Serve the next buyer while it is not known what became of a sale",
            problems=(409, 422, 503),
        ),
        tills.post_aside,
    ),
    Entry(
        _till(
            "POST",
            "/park",
            "Put the basket aside; the same again changes nothing",
            request=parked.ParkRequest,
            problems=(409, 503),
        ),
        parked.post_park,
    ),
    Entry(
        _till(
            "POST",
            "/recall",
            "Take a basket back that was put aside at any till of the store",
            request=parked.RecallRequest,
            problems=(409, 503),
        ),
        parked.post_recall,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/parked",
            summary="Baskets put aside, and those taken back and not sold",
            answers={200: parked.BasketsAnswer},
            scope="read",
            tags=("parked",),
        ),
        parked.get_parked,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/parked/{uuid}/lines",
            summary="Add a line to a basket that is put aside; the same again adds nothing",
            request=parked.AddRequest,
            answers={200: parked.ParkedAnswer},
            scope="sell",
            parameters=(_UUID,),
            problems=(409, 503),
            tags=("parked",),
        ),
        parked.post_line,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/exceptions",
            summary="What a person should look at",
            answers={200: parked.OddsAnswer},
            scope="read",
            tags=("parked",),
        ),
        parked.get_exceptions,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/exceptions/{uuid}",
            summary="Say that what is odd about a document is dealt with",
            request=parked.SettleRequest,
            answers={200: parked.OddsAnswer},
            scope="admin",
            parameters=(_UUID,),
            problems=(503,),
            tags=("parked",),
        ),
        parked.post_settlement,
    ),
    Entry(
        Route(
            method="PUT",
            path="/v1/customers/{uuid}",
            summary="Make a customer's profile say this; only what differs is written",
            request=Profile,
            answers={201: customers.CustomerAnswer, 200: customers.CustomerAnswer},
            scope="sell",
            parameters=(_UUID,),
            problems=(409, 410, 503),
            tags=("customers",),
        ),
        customers.put_customer,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/customers/{uuid}",
            summary="A customer's profile, while the key to it exists",
            answers={200: customers.CustomerAnswer},
            scope="read",
            parameters=(_UUID,),
            problems=(410,),
            tags=("customers",),
        ),
        customers.get_customer,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/customers",
            summary="Customers by a card's or badge's code, a phone number or an e-mail address",
            answers={200: customers.CustomersAnswer},
            scope="read",
            parameters=(
                Parameter(
                    name="code",
                    where="query",
                    type=customers.Sought,
                    description="As scanned or typed.",
                    required=True,
                ),
            ),
            problems=(410,),
            tags=("customers",),
        ),
        customers.get_customers,
    ),
    Entry(
        Route(
            method="GET",
            path="/v1/status",
            summary="How the node is",
            answers={200: answers.StatusAnswer},
            scope="read",
            tags=("node",),
        ),
        node.get_status,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/sync",
            summary="Exchange with head office now",
            answers={200: answers.SyncAnswer},
            scope="admin",
            problems=(409, 503),
            tags=("node",),
        ),
        node.post_sync,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/stick",
            summary="Write or read a file that is carried to head office and back by hand",
            request=answers.StickRequest,
            answers={200: answers.StickAnswer},
            scope="admin",
            problems=(404, 422, 503),
            tags=("node",),
        ),
        node.post_stick,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/journal/verification",
            summary="Check every fact, hash and signature",
            answers={200: answers.VerdictAnswer},
            scope="admin",
            tags=("node",),
        ),
        node.post_verification,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/journal/pruning",
            summary="Drop facts that are old and safe at head office",
            answers={200: answers.PrunedAnswer},
            scope="admin",
            problems=(503,),
            tags=("node",),
        ),
        node.post_pruning,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/journal/again",
            summary="Append what a closed stream of a lost machine had beyond its end",
            answers={200: answers.AgainAnswer},
            scope="admin",
            problems=(503,),
            tags=("node",),
        ),
        node.post_again,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/backups",
            summary="Copy the database while it is in use",
            answers={201: answers.BackupAnswer},
            scope="admin",
            problems=(409,),
            tags=("node",),
        ),
        node.post_backup,
    ),
    Entry(
        Route(
            method="POST",
            path="/v1/tokens",
            summary="Make a token; it is shown once",
            request=answers.TokenRequest,
            answers={201: answers.TokenAnswer},
            scope="admin",
            problems=(503,),
            tags=("node",),
        ),
        node.post_token,
    ),
    Entry(
        Route(
            method="GET",
            path="/healthz",
            summary="Whether the program answers",
            answers={200: answers.HealthAnswer},
            tags=("node",),
        ),
        node.get_health,
    ),
)
