"""What the API says. Money in grosz (`_minor`), quantity in thousandths (`_milli`)."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from edge.store.checkouts import INTENDED, AttemptView, CheckoutView
from edge.store.unit import SaleView
from edge.till.basket import Basket, Line
from edge.till.request import Milli, PositiveMinor, Word
from edge.till.selling import Recorded, SaleAnswer
from edge.till.selling import answer as tell
from sync.facts.sale import Fiscal
from sync.rules.vat import Rate, UnknownVat, receipt_vat


class SoldDiscount(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a line's price that was let go."""

    reason: str
    amount_minor: int
    promotion: str = ""
    """Which one gave it, while it is in the basket; empty: a person."""


class SoldLine(msgspec.Struct, frozen=True):
    """A line of a sale."""

    sku: str
    name: str
    """Empty: the article's at `price_version`."""

    quantity_milli: int
    unit: str
    unit_minor: int
    vat: str
    price_version: int
    deposit_minor: int
    age_checked: int
    discounts: tuple[SoldDiscount, ...]
    total_minor: int
    """After discounts, without deposits."""


class SoldPayment(msgspec.Struct, frozen=True):
    """A payment of a sale."""

    method: str
    amount_minor: int
    change_minor: int
    reference: str
    approved: bool | None
    """None: nobody has said yet, or nobody has to."""


class SoldFiscal(msgspec.Struct, frozen=True):
    """Proof that a fiscal device took the sale."""

    by: str
    device: str
    document: str
    memory_id: int
    """Number in the device's protected memory; 0: not told."""


class SaleDetail(SaleAnswer, frozen=True, kw_only=True):
    """A sale with all that was sold."""

    till: str
    cashier: str
    channel: str
    shift: str
    currency: str
    lines: tuple[SoldLine, ...]
    payments: tuple[SoldPayment, ...]
    invoice_requested: bool
    """The receipt is made out to a buyer's NIP: from 2027 that asks for an invoice."""

    fiscal: SoldFiscal | None = None


class ReceiptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The sale of a receipt, and what was given back of it as far as this node knows."""

    sale: SaleDetail
    returned_milli: tuple[int, ...]
    """Of each line, in thousandths."""

    returns: tuple[str, ...]
    """Their ids."""


class StockAnswer(msgspec.Struct, frozen=True):
    """A quantity is never told without its age."""

    sku: str
    quantity_milli: int
    as_of_ms: int
    """Unix milliseconds of the last fact that touched it; now, if none ever did."""

    age_s: int
    right_milli: int = 0
    """What this node may sell or promise without asking anybody."""

    reserved_milli: int = 0
    """What is there and promised to somebody."""

    uncovered_milli: int = 0
    """What left beyond anybody's right, with no right found for it yet."""


class StockPage(msgspec.Struct, frozen=True):
    """Articles by sku; each with the age of what is known."""

    stock: tuple[StockAnswer, ...]
    next: str | None
    """What to ask after for the next page; null: this is the last."""


class TransferLine(msgspec.Struct, frozen=True):
    """An article that was sent."""

    sku: str
    quantity_milli: int


class TransferAnswer(msgspec.Struct, frozen=True):
    """Goods that left one store for another."""

    transfer: str
    """Id of the document they left with."""

    store: str
    """The other store."""

    sent_at: str
    """RFC 3339, UTC, by the sender's clock."""

    lines: tuple[TransferLine, ...]


class TransfersAnswer(msgspec.Struct, frozen=True):
    """Transfers of this store; head office knows what became of them."""

    coming: tuple[TransferAnswer, ...]
    """Under way to this store, as head office has told; not arrived by what is known here."""

    sent: tuple[TransferAnswer, ...]
    """Sent from here, the last ones."""


class VatAnswer(msgspec.Struct, frozen=True):
    """One rate of the basket."""

    code: str
    gross_minor: int
    vat_minor: int


class BasketLine(msgspec.Struct, frozen=True):
    """A line of the basket."""

    line: int
    """Its number in addresses; never given twice in one basket."""

    sku: str
    name: str
    unit: str
    vat: str
    quantity_milli: int
    unit_minor: int
    deposit_minor: int
    discounts: tuple[SoldDiscount, ...]
    total_minor: int
    """After discounts, without deposits."""

    age_min: int
    age_checked: int


class AttemptAnswer(msgspec.Struct, frozen=True):
    """A payment that a terminal is asked for."""

    payment: int
    """Index in the sale's payments."""

    method: str
    amount_minor: int
    device: str
    state: str
    """``waiting`` for its turn, ``charging``: the terminal is at it, ``approved``,
    ``declined``, ``unknown``: it may have been charged, ``moved`` to the sale that was paid
    instead, ``undo``: to be given back, ``by_hand``: a person must give it back, ``undone``."""

    problem: str
    cure: str


class UnderWay(msgspec.Struct, frozen=True):
    """A sale that a terminal or a fiscal printer has a part in, and is not over."""

    sale: str
    receipt: str
    till: str
    stage: str
    total_minor: int
    waits_for: str
    """``payment``, ``fiscalise``, ``close``; ``nothing``: what was paid is being given back."""

    payments: tuple[AttemptAnswer, ...]
    printer: str
    """The fiscal printer; empty: none."""

    cancelled_by: str
    aside: bool
    """The till serves others meanwhile."""

    began_ms: int
    problem: str
    """What stands in the way of its receipt."""

    cure: str


class HeldAnswer(msgspec.Struct, frozen=True):
    """What a terminal took for this basket while another part was declined."""

    sale: str
    method: str
    amount_minor: int
    reference: str


class IncidentAnswer(msgspec.Struct, frozen=True):
    """What only a person can end, or should know of."""

    sale: str
    receipt: str
    till: str
    kind: str
    """``payment``: unknown whether money moved; ``give_back``: money of a sale that came to
    nothing is with us; ``fiscal``: the receipt is not printed, or nobody knows; ``held``: money
    was taken for a sale that nobody finished."""

    payment: int | None
    amount_minor: int
    device: str
    problem: str
    cure: str
    since_ms: int
    """Unix milliseconds at which the sale was written."""


class IncidentsAnswer(msgspec.Struct, frozen=True):
    """What nags until somebody sees to it."""

    incidents: tuple[IncidentAnswer, ...]


class ReceiptFound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person saw on the fiscal printer's paper."""

    decided_by: Word
    document: Word | None = None
    """Number of the receipt; null: there is none."""


class CancelRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who says that a sale shall come to nothing."""

    decided_by: Word


class TillAnswer(msgspec.Struct, frozen=True):
    """A till and its basket."""

    till: str
    lines: tuple[BasketLine, ...]
    total_minor: int
    """What the buyer owes, deposits included."""

    deposits_minor: int
    vat: tuple[VatAnswer, ...]
    to_confirm: tuple[int, ...]
    """Lines whose buyer's age must be confirmed before payment."""

    notice: str
    """What the cashier should read."""

    slips_waiting: int
    last: SaleAnswer | None
    """The sale before this basket, since the program started."""

    recalled: str | None = None
    """Id of the basket that was put aside before and whose lines these are."""

    staffed: bool = False
    """Whether anybody is known to work here: then a page sells for who is logged in alone."""

    cashier: str = ""
    """Who stands at the till, by a PIN; empty: nobody."""

    cashier_name: str = ""
    manager: bool = False
    """Whether that is one."""

    locked: bool = False
    shift: int = 0
    """Number of the shift the till is in; 0: none."""

    version: int = 0
    """Grows with every change since the program started: of two answers the later one."""

    paying: str | None = None
    """The sale whose payment is under way: the basket takes nothing until it is through."""

    to_pay_minor: int = 0
    """What is still to be paid, beyond what is held."""

    held: tuple[HeldAnswer, ...] = ()
    under_way: tuple[UnderWay, ...] = ()
    """Sales of this till that are not over, that begun first first."""


class ScanRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A code, as scanned or typed."""

    code: Annotated[str, Meta(min_length=1, max_length=128)]
    quantity_milli: Milli = 1000
    """How many, or how heavy, where it was counted or weighed before."""


class DiscountChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A discount to give."""

    reason: Word
    amount_minor: PositiveMinor


class LineChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to change in a line; in the order quantity, age, discount."""

    quantity_milli: Milli | None = None
    discount: DiscountChange | None = None
    age_checked: bool | None = None
    """True: the buyer is old enough."""


class OutcomeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of a payment, as a person found out."""

    approved: bool
    decided_by: Word


class CopyAnswer(msgspec.Struct, frozen=True):
    """A copy is on its way to the printer."""

    till: str
    slips_waiting: int


class TokenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token to make."""

    scope: Literal["read", "sell", "print", "fiscal", "pay"]
    name: Word


class TokenAnswer(msgspec.Struct, frozen=True):
    """Shown once."""

    token: str
    scope: str
    name: str


class SyncAnswer(msgspec.Struct, frozen=True):
    """What an exchange with head office did."""

    sent: int
    """Facts that went up."""

    waiting: int


class StickRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stick to write or to read, in the node's own folder: the command carries it further."""

    file: Annotated[str, Meta(pattern="^stick-[0-9a-f]{16}$")]
    way: Literal["to", "from"]


class StickAnswer(msgspec.Struct, frozen=True):
    """A stick was written, or read."""

    facts: int
    """That head office had not confirmed; or that were not here before."""

    size: int
    """Bytes."""

    writer: str
    """``central``, or a node in hexadecimal; empty: we did."""

    written_ms: int


class VerdictAnswer(msgspec.Struct, frozen=True):
    """What a verification of the journal found."""

    sound: bool
    streams: int
    facts: int
    heads: int
    """Signatures checked."""

    findings: tuple[str, ...]


class PrunedAnswer(msgspec.Struct, frozen=True):
    """What became of old facts."""

    dropped: int
    """Facts; head office has them safely."""

    streams: int
    why_not: str
    """Empty, or why nothing more was dropped."""


class BaseAnswer(msgspec.Struct, frozen=True):
    """What the views stand on besides the facts that are here."""

    streams: int
    facts: int
    """How many are below it; most of them are at head office only."""

    bytes: int
    """What it takes on disk."""


class ClockAnswer(msgspec.Struct, frozen=True):
    """The node's idea of the time."""

    now_ms: int
    trust: str


class LinkAnswer(msgspec.Struct, frozen=True):
    """The way to head office."""

    state: str
    """``live``, ``polling``, ``connecting``, ``offline`` or ``refused``."""

    since_ms: int
    last_error: str
    attempts: int
    next_attempt_ms: int | None
    bytes_out: int
    bytes_in: int


class PeerAnswer(msgspec.Struct, frozen=True):
    """Another node of the store."""

    node: str
    """Empty while nobody has answered at its address."""

    name: str
    address: str
    state: str
    """``live``, ``connecting``, ``offline``, ``refused``, or ``away``: head office knows it, and
    no way to it is known here."""

    heard_s: int | None
    """Seconds since it last said anything; null: never since this program started."""

    waiting: int
    """Facts of the store that it has not acknowledged to us."""

    last_error: str
    bytes_out: int
    bytes_in: int


class DeviceAnswer(msgspec.Struct, frozen=True):
    """One device."""

    id: str
    driver: str
    till: str | None
    state: str
    problem: str | None
    cure: str | None


class OpenSale(msgspec.Struct, frozen=True):
    """A sale that is not finished."""

    uuid: str
    receipt: str
    till: str
    total_minor: int
    waits_for: str
    """``payment``: a person must say what became of it; ``fiscalise``: the printer."""


class HeadAnswer(msgspec.Struct, frozen=True):
    """How far a stream is held."""

    stream: str
    seq: int
    hash: str


class LifeAnswer(msgspec.Struct, frozen=True):
    """One life of this node: a stream of its own, from 1."""

    stream: str
    facts: int
    """How many of it are here."""

    ended: str
    """Why the next life began; empty: this is the life of now."""

    came_back: int
    """Facts that this disk had lost, and others have given back."""

    missing: int
    """Facts that are known to have been written, and are not here. More may have been: what
    never left the lost disk and was not noted beside it, nobody can know."""

    closed_at: int | None
    """Where head office ends it; null: not decided."""

    receipts: dict[str, int]
    """Receipt series to the highest number that is here; after it begins what may be missing."""


class AgainAnswer(msgspec.Struct, frozen=True):
    """Facts kept aside were appended."""

    appended: int


class BackupAnswer(msgspec.Struct, frozen=True):
    """A copy was made, in the data folder: whoever asked moves it to where it is to stay."""

    file: str
    bytes: int
    streams: int
    facts: int


class StatusAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How the node is."""

    node: str
    name: str
    store: str
    link: str
    """``live``: head office hears of every sale at once."""

    waiting: int
    """Facts of our own that head office has not acknowledged."""

    oldest_waiting_s: int | None
    version: str
    clock: ClockAnswer
    exchange: LinkAnswer | None
    lan: str
    """Where the store's other nodes call, or why they cannot; empty: nowhere."""

    peers: tuple[PeerAnswer, ...]
    tills: tuple[str, ...]
    devices: tuple[DeviceAnswer, ...]
    slips: dict[str, int]
    """Count by state: ``intended``, ``sending``, ``printed``, ``unknown``, ``refused``,
    ``copy``."""

    open_sales: tuple[OpenSale, ...]
    sales: int
    facts: int
    articles: int
    quarantined: int
    unreadable: int
    frozen_streams: int
    lives: tuple[LifeAnswer, ...]
    """The life of now is the last."""

    kept_aside: int
    """Facts of a branch that lost, kept here and appended nowhere: a person has to look."""

    mended: tuple[str, ...]
    """What was damaged on disk since the start, and what became of it."""

    base: BaseAnswer
    disk_full: bool
    disk_free_bytes: int
    heads: tuple[HeadAnswer, ...]


class HealthAnswer(msgspec.Struct, frozen=True):
    """The program answers."""

    status: Literal["ok"]


def sale_detail(sale: SaleView, proof: Fiscal | None = None) -> SaleDetail:
    """Tell all of a sale.

    Args:
        sale: As kept here.
        proof: Of its fiscal receipt, if it has one.
    """
    body = sale.body
    recorded = Recorded(
        event=sale.event, sale=body, series=sale.series, stage=sale.stage, new=False
    )
    return SaleDetail(
        **msgspec.structs.asdict(tell(recorded)),
        till=body.till,
        cashier=body.cashier,
        channel=body.channel,
        shift=body.shift,
        currency=body.currency,
        lines=tuple(
            SoldLine(
                sku=row.sku,
                name=row.name,
                quantity_milli=row.quantity_milli,
                unit=row.unit,
                unit_minor=row.unit_minor,
                vat=row.vat,
                price_version=row.price_version,
                deposit_minor=row.deposit_minor,
                age_checked=row.age_checked,
                discounts=tuple(SoldDiscount(d.reason, d.amount_minor) for d in row.discounts),
                total_minor=row.total_minor,
            )
            for row in body.lines.rows()
        ),
        payments=tuple(
            SoldPayment(
                method=payment.method,
                amount_minor=payment.amount_minor,
                change_minor=payment.change_minor,
                reference=payment.reference,
                approved=sale.settled.get(n),
            )
            for n, payment in enumerate(body.payments)
        ),
        invoice_requested=body.buyer is not None,
        fiscal=SoldFiscal(*msgspec.structs.astuple(proof)) if proof is not None else None,
    )


def under_way(sale: SaleView, notes: CheckoutView, charging: int | None, waits: str) -> UnderWay:
    """Tell of a sale under way.

    Args:
        sale: As the journal has it.
        notes: What devices were asked.
        charging: The payment that its terminal is at.
        waits: For what.
    """
    return UnderWay(
        sale=uuid_text(sale.event),
        receipt=f"{sale.series}/{sale.number}",
        till=notes.till,
        stage=sale.stage.name.lower(),
        total_minor=sale.total_minor,
        waits_for=waits,
        payments=tuple(
            AttemptAnswer(
                part.payment,
                sale.body.payments[part.payment].method,
                sale.body.payments[part.payment].amount_minor,
                part.device,
                _attempt(part, charging=part.payment == charging),
                part.problem,
                part.cure,
            )
            for part in notes.attempts
        ),
        printer=notes.printer,
        cancelled_by=notes.cancelled,
        aside=notes.aside,
        began_ms=notes.began_ms,
        problem=notes.problem,
        cure=notes.cure,
    )


def _attempt(part: AttemptView, *, charging: bool) -> str:
    if part.state == INTENDED:
        return "charging" if charging else "waiting"
    return part.state


def till_answer(
    till: str,
    basket: Basket,
    rates: tuple[Rate, ...],
    day: date,
    *,
    slips_waiting: int,
    last: Recorded | None,
    version: int = 0,
) -> TillAnswer:
    """Tell of a basket on a day by the calendar, at the VAT rates known here."""
    return TillAnswer(
        till=till,
        lines=tuple(map(_basket_line, basket.lines)),
        total_minor=basket.total_minor,
        deposits_minor=basket.deposits_minor,
        vat=_vat(basket, rates, day),
        to_confirm=basket.to_confirm,
        notice=basket.notice,
        slips_waiting=slips_waiting,
        last=tell(last) if last else None,
        recalled=uuid_text(basket.recalled.basket) if basket.recalled else None,
        version=version,
        paying=uuid_text(basket.paying) if basket.paying else None,
        to_pay_minor=basket.to_pay_minor,
        held=tuple(
            HeldAnswer(uuid_text(part.sale), part.method, part.amount_minor, part.reference)
            for part in basket.held
        ),
    )


def uuid_text(event: bytes) -> str:
    """Return 16 bytes as a UUID."""
    return str(UUID(bytes=event))


def _basket_line(line: Line) -> BasketLine:
    item = line.item
    return BasketLine(
        line=line.id,
        sku=item.sku,
        name=item.name,
        unit=item.unit,
        vat=item.vat,
        quantity_milli=line.quantity_milli,
        unit_minor=item.unit_minor,
        deposit_minor=item.deposit_minor,
        discounts=tuple(SoldDiscount(d.reason, d.amount_minor) for d in line.discounts)
        + tuple(SoldDiscount(g.name, g.amount_minor, g.promotion) for g in line.offered),
        total_minor=line.sold().total_minor,
        age_min=item.age_min,
        age_checked=line.age_checked,
    )


def _vat(basket: Basket, rates: tuple[Rate, ...], day: date) -> tuple[VatAnswer, ...]:
    try:
        totals = receipt_vat(
            ((line.item.vat, line.sold().total_minor) for line in basket.lines), day, rates
        )
    except UnknownVat:
        return ()
    return tuple(VatAnswer(total.code, total.gross_minor, total.vat_minor) for total in totals)
