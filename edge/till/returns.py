"""A request becomes the fact that goods of a sale were given back, or that it was a mistake.

Runs inside a unit of work. Each line of a sale is given back once, whoever asks where: the
right to refund it is spent with it (`edge.store.refunds`), and a node that has it not, and
cannot get it from the one that has, refuses. Money is an int in grosz (`_minor`), quantity an
int in thousandths (`_milli`).

Tenders: what goes back by a card, by BLIK or by any tender but cash is at most what of the
sale was paid by it, less what went back by it before. Cash may stand for what was paid
otherwise only where a manager says so (`approved_by`).
"""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

import msgspec

from edge.stockroom.asking import Short
from edge.store.refunds import ReturnView, cell, given_back
from edge.store.unit import SaleView, Unit
from edge.till.business_day import business_day, day_text, local, rfc3339
from edge.till.errors import BadReturn, BeyondRight, Conflict, NotFound
from edge.till.request import ReturnRequest
from edge.till.selling import digest, shift_of, trust_name
from sync.facts.returned import ReturnedLine, SaleReturned
from sync.facts.rights import CellLine, CellLines
from sync.facts.sale import Payment, SaleLine, Stage
from sync.facts.stock import GoodsMoved, Movement
from sync.merge.stock import Deltas
from sync.rules.refund import CannotRefund, refund_minor
from sync.rules.vat import POLAND, Rate, UnknownVat, receipt_vat


class ReturnedLineAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a line that was given back."""

    line: int
    sku: str
    name: str
    quantity_milli: int
    goods_minor: int
    deposit_minor: int
    vat: str
    restocked: bool


class ReturnedVat(msgspec.Struct, frozen=True, kw_only=True):
    """One rate of what was given back."""

    vat: str
    gross_minor: int
    vat_minor: int


class ReturnedPayment(msgspec.Struct, frozen=True, kw_only=True):
    """Money that went back."""

    method: str
    amount_minor: int
    reference: str


class ReturnAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A line of one of the two records: returns, and obvious mistakes."""

    uuid: str
    sale: str
    receipt: str
    """Series and number of the receipt it is about."""

    fiscal: str
    """Number of its fiscal receipt; empty: none."""

    sold_at: str
    """RFC 3339, UTC."""

    at: str
    trust: str
    business_day: str
    """As 2026-01-31."""

    till: str
    cashier: str
    approved_by: str
    mistake: bool
    reason: str
    correction: str
    """Of a mistake: the receipt that is right; empty: nothing was sold."""

    lines: tuple[ReturnedLineAnswer, ...]
    vat: tuple[ReturnedVat, ...]
    payments: tuple[ReturnedPayment, ...]
    goods_minor: int
    deposits_minor: int
    total_minor: int


class ReturnsPage(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two records, of some business days."""

    first_day: str
    last_day: str
    mistakes: bool
    returns: tuple[ReturnAnswer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """A return as it stands in the journal."""

    event: bytes
    body: SaleReturned
    new: bool


def record(unit: Unit, event: bytes, request: ReturnRequest, *, ask: bool = False) -> Returned:
    """Record a return; the same request under the same event gives the same answer.

    Raises:
        Short: The right to refund is elsewhere, and `ask` says that others may be asked first.
        BeyondRight: The right is elsewhere, or spent.
        NotFound: No such sale, or no such line of it.
        Conflict: The event is something else.
        BadReturn: It cannot be true.
        NotKept: The sale was closed so long ago that its lines are at head office only.
    """
    fingerprint = digest(request)
    found = unit.returned(event)
    if found is not None:
        if found.digest == fingerprint or (found.digest is None and _alike(found.body, request)):
            return Returned(event=event, body=found.body, new=False)
        raise Conflict(
            f"Return {UUID(bytes=event)}: this id is another return.",
            "Give every return an id of its own.",
        )
    if unit.sale(event) is not None or unit.document(event) is not None:
        raise Conflict(
            f"Return {UUID(bytes=event)}: this id is a sale or a document.",
            "Give every return an id of its own.",
        )
    sale = _sale(unit, request)
    body, amounts = _body(unit, sale, request, ask=ask)
    unit.append(body, event)
    unit.holder.use(event, amounts)
    back: Deltas = {}
    for line in body.lines:
        if line.restocked:
            back[line.sku] = back.get(line.sku, 0) + line.quantity_milli
    if back:
        lines = CellLines.of(tuple(CellLine(sku, milli) for sku, milli in back.items()))
        moved = GoodsMoved(
            Movement.RETURNED, body.at_ms, body.trust, lines, body.reason_given, "", body.sale
        )
        unit.holder.moved(event, moved)
    unit.note_return(event, fingerprint)
    return Returned(event=event, body=body, new=True)


def answer(event: bytes, body: SaleReturned, rates: tuple[Rate, ...] = POLAND) -> ReturnAnswer:
    """Tell all of a return."""
    return ReturnAnswer(
        uuid=str(UUID(bytes=event)),
        sale=str(UUID(bytes=body.sale)),
        receipt=body.receipt,
        fiscal=body.fiscal,
        sold_at=rfc3339(body.sold_at_ms),
        at=rfc3339(body.at_ms),
        trust=trust_name(body.trust),
        business_day=day_text(body.business_day),
        till=body.till,
        cashier=body.cashier,
        approved_by=body.approved_by,
        mistake=body.mistake,
        reason=body.reason_given,
        correction=body.correction,
        lines=tuple(
            ReturnedLineAnswer(
                line=line.line,
                sku=line.sku,
                name=line.name,
                quantity_milli=line.quantity_milli,
                goods_minor=line.goods_minor,
                deposit_minor=line.deposit_minor,
                vat=line.vat,
                restocked=line.restocked,
            )
            for line in body.lines
        ),
        vat=vat_of(body, rates),
        payments=tuple(
            ReturnedPayment(method=p.method, amount_minor=p.amount_minor, reference=p.reference)
            for p in body.payments
        ),
        goods_minor=sum(line.goods_minor for line in body.lines),
        deposits_minor=sum(line.deposit_minor for line in body.lines),
        total_minor=body.total_minor,
    )


def vat_of(body: SaleReturned, rates: tuple[Rate, ...] = POLAND) -> tuple[ReturnedVat, ...]:
    """Return the VAT in what was given back, per rate, at the rates of the day of the sale.

    Nothing if a line's code was of no rate then, rather than no record at all.
    """
    day = date(body.sold_day // 10_000, body.sold_day // 100 % 100, body.sold_day % 100)
    try:
        totals = receipt_vat(((line.vat, line.goods_minor) for line in body.lines), day, rates)
    except UnknownVat:
        return ()
    return tuple(
        ReturnedVat(vat=total.code, gross_minor=total.gross_minor, vat_minor=total.vat_minor)
        for total in totals
    )


def _sale(unit: Unit, request: ReturnRequest) -> SaleView:
    """Return the sale that is given back.

    Raises:
        NotFound: It is not here.
        BadReturn: It is not closed.
    """
    sale = unit.sale(request.sale.bytes)
    if sale is None:
        raise NotFound(
            f"Sale {request.sale}: expected one of this store, found none.",
            "Return the goods at the store that sold them, or look at the number again.",
            field="/sale",
        )
    if sale.stage is not Stage.CLOSED:
        raise BadReturn(
            f"Sale {request.sale}: {sale.stage.name.lower()}, expected a closed one.",
            "Finish it, or let it go, first.",
            field="/sale",
        )
    return sale


def _body(
    unit: Unit, sale: SaleView, request: ReturnRequest, *, ask: bool
) -> tuple[SaleReturned, Deltas]:
    """Return the fact, and the right it spends."""
    rows = sale.body.lines.rows()
    wanted = _wanted(request, rows)
    amounts = {cell(sale.event, line): milli for line, (milli, _) in wanted.items()}
    unit.refundable(sale.event)
    left = {line: unit.holder.right(cell(sale.event, line)) for line in wanted}
    _within(unit, sale, request, wanted, left, ask=ask)
    lines = tuple(
        _line(unit, sale, line, rows[line], left[line], milli, restocked=restocked)
        for line, (milli, restocked) in wanted.items()
    )
    settings, now = unit.settings, unit.now
    payments = _payments(unit, sale, request, sum(x.goods_minor + x.deposit_minor for x in lines))
    sold = local(sale.body.at_ms, settings)
    body = SaleReturned(
        sale=sale.event,
        receipt=f"{sale.series}/{sale.number}",
        sold_at_ms=sale.body.at_ms,
        sold_day=sold.year * 10_000 + sold.month * 100 + sold.day,
        at_ms=now.ms,
        trust=int(now.trust),
        business_day=business_day(now.ms, settings),
        till=request.till,
        cashier=request.cashier,
        shift=request.shift or shift_of(unit, request.till),
        lines=lines,
        payments=payments,
        reason_given=request.reason,
        approved_by=request.approved_by,
        mistake=request.mistake,
        correction=request.correction,
        fiscal=sale.body.fiscal.document if sale.body.fiscal else "",
    )
    return body, amounts


def _wanted(request: ReturnRequest, rows: tuple[SaleLine, ...]) -> dict[int, tuple[int, bool]]:
    """Return line to thousandths and whether the goods are fit to be sold again."""
    if request.correction and not request.mistake:
        raise BadReturn(
            f"Correction {request.correction!r}: expected of a mistake only.",
            "Leave it out, or say that it was a mistake.",
            field="/correction",
        )
    if not request.lines:  # all of it
        return {n: (row.quantity_milli, True) for n, row in enumerate(rows)}
    wanted: dict[int, tuple[int, bool]] = {}
    for at, line in enumerate(request.lines):
        if line.line >= len(rows):
            raise NotFound(
                f"Line {line.line}: expected 0 to {len(rows) - 1} of the sale.",
                "Look at the receipt.",
                field=f"/lines/{at}/line",
            )
        if line.line in wanted:
            raise BadReturn(
                f"Line {line.line}: expected once, got it twice.",
                "Add the quantities up.",
                field=f"/lines/{at}/line",
            )
        milli = line.quantity_milli or rows[line.line].quantity_milli
        wanted[line.line] = (milli, line.restocked)
    return wanted


def _within(
    unit: Unit,
    sale: SaleView,
    request: ReturnRequest,
    wanted: dict[int, tuple[int, bool]],
    left: dict[int, int],
    *,
    ask: bool,
) -> None:
    """Refuse what this node has no right to refund.

    Raises:
        Short: Others may be asked first.
        BeyondRight: It is elsewhere, or spent.
    """
    short = {
        cell(sale.event, line): milli - left[line]
        for line, (milli, _) in wanted.items()
        if milli > left[line]
    }
    if not short:
        return
    rows = sale.body.lines.rows()
    back = _known_back(unit, sale)
    for at, (line, (milli, _)) in enumerate(wanted.items()):
        bought = rows[line].quantity_milli
        if milli > bought - back.get(line, 0):
            raise BeyondRight(
                f"Line {line}, {rows[line].sku!r}: {milli} thousandths, expected at most "
                f"{bought - back.get(line, 0)}; {back.get(line, 0)} of {bought} were given back.",
                "Look at the earlier returns of this receipt.",
                field=f"/lines/{at}/quantity_milli" if request.lines else "/sale",
            )
    if ask:
        raise Short(short)
    line = next(line for line, (milli, _) in wanted.items() if milli > left[line])
    raise BeyondRight(
        f"Line {line}, {rows[line].sku!r}: the right to refund it is with another node of the "
        "store, which does not answer.",
        "Return it at the till that sold it, or when that node can be reached again.",
        field="/sale",
    )


def _known_back(unit: Unit, sale: SaleView) -> dict[int, int]:
    """Return what of each line was given back already, as far as it is known here."""
    back: dict[int, int] = {}
    for view in unit.returns_of(sale.event):
        for line in view.body.lines:
            back[line.line] = back.get(line.line, 0) + line.quantity_milli
    return back


def _line(
    unit: Unit,
    sale: SaleView,
    line: int,
    row: SaleLine,
    left_milli: int,
    milli: int,
    *,
    restocked: bool,
) -> ReturnedLine:
    name = row.name
    if not name:
        article = unit.article(row.sku, sale.body.at_ms)
        name = (article.listed_name or article.fiscal_name) if article else row.sku
    try:
        goods = refund_minor(row.total_minor, row.quantity_milli, left_milli, milli)
        deposit = refund_minor(row.deposits_minor, row.quantity_milli, left_milli, milli)
    except CannotRefund as error:
        raise BadReturn(f"Line {line}: {error}", "Look at the receipt.", field="/lines") from error
    return ReturnedLine(line, row.sku, name, milli, goods, row.vat, deposit, restocked)


def _payments(
    unit: Unit, sale: SaleView, request: ReturnRequest, due_minor: int
) -> tuple[Payment, ...]:
    """Return how the money goes back.

    Raises:
        BadReturn: It is not what is due, or does not go back the way it came.
    """
    payments = tuple(
        Payment(p.method, p.amount_minor, 0, p.reference)
        for p in request.payments
        if p.amount_minor
    )
    back = sum(payment.amount_minor for payment in payments)
    if back != due_minor:
        raise BadReturn(
            f"Payments: expected {due_minor} grosz in all, got {back}.",
            "Give back what the lines are worth.",
            field="/payments",
        )
    left = {"cash": 0}
    for payment in sale.body.payments:
        left[payment.method] = left.get(payment.method, 0) + payment.amount_minor
    for method, amount in given_back(unit.returns_of(sale.event)).items():
        left[method] = left.get(method, 0) - amount
    asked: dict[str, int] = {}
    for payment in payments:
        asked[payment.method] = asked.get(payment.method, 0) + payment.amount_minor
    for method, amount in asked.items():
        if amount <= max(0, left.get(method, 0)) or (method == "cash" and request.approved_by):
            continue
        raise BadReturn(
            f"{method}: {amount} grosz, expected at most {max(0, left.get(method, 0))}, which is "
            "left of what was paid so.",
            "Give it back the way it was paid, or in cash with a manager's word (approved_by).",
            field="/payments",
        )
    return payments


def _alike(body: SaleReturned, request: ReturnRequest) -> bool:
    """Whether a return heard of from elsewhere says what the request says."""
    lines = {line.line: line.quantity_milli for line in body.lines}
    asked = {line.line: line.quantity_milli or lines.get(line.line) for line in request.lines}
    return (
        body.sale == request.sale.bytes
        and (not asked or asked == lines)
        and (body.till, body.cashier, body.reason_given, body.mistake)
        == (request.till, request.cashier, request.reason, request.mistake)
        and [(p.method, p.amount_minor) for p in body.payments]
        == [(p.method, p.amount_minor) for p in request.payments if p.amount_minor]
    )


def view_answer(view: ReturnView, rates: tuple[Rate, ...]) -> ReturnAnswer:
    """Tell all of a return that is kept."""
    return answer(view.event, view.body, rates)
