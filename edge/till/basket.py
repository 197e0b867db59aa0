"""What is being bought: a pure step, state and event in, state and effects out.

    OPEN ──Pay──▶ PAYING ──Paid──▶ OPEN, empty
      ▲              └────NotPaid────┐
      └──────────────────────────────┘

While paying nothing changes: what is sold is what was shown. A refused event leaves the
state as it was. A part that a terminal took while another was declined stays (`held`): the
next payment counts it, or it is given back. Money is an int in grosz (`_minor`), quantity
in thousandths (`_milli`).
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

from edge.till.errors import NotCovered, NotFound, NotPossible, TillError, UnknownArticle
from sync.facts.sale import Discount, Payment, SaleLine
from sync.merge.sales import NEEDS_APPROVAL
from sync.rules.barcode import BadBarcode
from sync.rules.money import line_total_minor
from sync.rules.offers import Bought, Given, Offers
from sync.rules.promotion import Moment

MAX_LINES = 500
MAX_QUANTITY_MILLI = 10**9
"""A million pieces of one article."""

MAX_TOTAL_MINOR = 10**12

ONE_MILLI = 1000

METHODS = frozenset({"cash", "voucher"}) | NEEDS_APPROVAL
"""How a basket can be paid at the till."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An article as the catalogue had it when it was scanned; its price holds till paid."""

    sku: str
    name: str
    unit: str
    vat: str
    unit_minor: int
    carried_name: str = ""
    """What the sale line says; empty where its price version tells the name."""

    deposit_minor: int = 0
    age_min: int = 0
    price_version: int = 0
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One article in the basket."""

    id: int
    """1, 2, 3 … never given twice in one basket."""

    item: Item
    quantity_milli: int = ONE_MILLI
    discounts: tuple[Discount, ...] = ()
    age_checked: int = 0
    """Years the cashier confirmed."""

    offered: tuple[Given, ...] = ()
    """What promotions give, made anew with every change (`offer`)."""

    @property
    def gross_minor(self) -> int:
        """Goods before discounts, without deposits."""
        return line_total_minor(self.quantity_milli, self.item.unit_minor)

    @property
    def discounts_minor(self) -> int:
        """What the cashier let go."""
        return sum(discount.amount_minor for discount in self.discounts)

    def sold(self) -> SaleLine:
        """Return the line of the sale."""
        item = self.item
        return SaleLine(
            sku=item.sku,
            quantity_milli=self.quantity_milli,
            unit_minor=item.unit_minor,
            discounts=self.discounts
            + tuple(Discount(given.name, given.amount_minor) for given in self.offered),
            name=item.carried_name,
            unit=item.unit,
            vat=item.vat,
            price_version=item.price_version,
            deposit_minor=item.deposit_minor,
            age_checked=self.age_checked,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """A code was read and is this article."""

    item: Item
    quantity_milli: int | None = None
    """What its label says; None: as many as `counted_milli`."""

    discounts: tuple[Discount, ...] = ()
    counted_milli: int = ONE_MILLI
    """How many, or how heavy, where the cashier said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotScanned:
    """A code was read and cannot be sold: unknown, misread, or without a price."""

    error: TillError


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeQuantity:
    """The cashier counted or weighed."""

    line: int
    quantity_milli: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveDiscount:
    """The cashier lets a part of the price go, and says why."""

    line: int
    reason: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmAge:
    """The cashier has seen that the buyer is old enough, or takes that back."""

    line: int
    confirmed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Not bought after all."""

    line: int


@dataclass(frozen=True, slots=True)
class Clear:
    """Nothing of it is bought after all; or it was put aside."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """Which basket that was put aside the lines come from."""

    basket: bytes
    recall: bytes
    """What this taking back is called (`sync.facts.basket.BasketRecalled`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """A basket that was put aside is taken back; this one must be empty."""

    recalled: Recalled
    lines: tuple[Line, ...]
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Tender:
    """One part of what the buyer pays with: of cash what is handed over, else exactly so much."""

    method: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a terminal took for this basket, under a sale that came to nothing else."""

    sale: bytes
    payment: int
    """Index in that sale's payments."""

    method: str
    amount_minor: int
    reference: str
    attempt: str
    device: str
    decided_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pay:
    """The buyer pays what is owed beyond what is held."""

    sale: bytes
    """16 bytes made by whoever asks, so that a lost answer can be asked for again."""

    tenders: tuple[Tender, ...]
    cashier: str


@dataclass(frozen=True, slots=True)
class Paid:
    """The sale is on disk, and no terminal has a say in it any more."""


@dataclass(frozen=True, slots=True)
class NotPaid:
    """The sale came to nothing; the basket is as it was."""

    held: tuple[Held, ...] = ()
    """What a terminal took all the same, with what was held before."""

    notice: str = ""
    tendered: bool = False
    """A sale was written: the basket put aside that it came from is that sale's."""


@dataclass(frozen=True, slots=True)
class Released:
    """What was held is being given back."""


Event: TypeAlias = (
    Scanned
    | NotScanned
    | ChangeQuantity
    | GiveDiscount
    | ConfirmAge
    | Remove
    | Clear
    | Restore
    | Pay
    | Paid
    | NotPaid
    | Released
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """The state of one till between two buyers."""

    lines: tuple[Line, ...] = ()
    next_line: int = 1
    paying: bytes | None = None
    """Id of the sale being written."""

    recalled: Recalled | None = None
    """Where the lines come from, if they were put aside before."""

    held: tuple[Held, ...] = ()
    as_tendered: bool = False
    """Made again from a sale after a restart: its discounts stay as they were, and promotions
    give no more."""

    notice: str = ""
    """What the cashier should read; empty after the next thing that goes well."""

    @property
    def total_minor(self) -> int:
        """What the buyer owes, deposits included."""
        sold = [line.sold() for line in self.lines]
        return sum(line.total_minor + line.deposits_minor for line in sold)

    @property
    def to_pay_minor(self) -> int:
        """What is still to be paid; below zero if more is held than owed."""
        return self.total_minor - sum(part.amount_minor for part in self.held)

    @property
    def deposits_minor(self) -> int:
        """The part of it outside VAT that comes back with the empties."""
        return sum(line.sold().deposits_minor for line in self.lines)

    @property
    def to_confirm(self) -> tuple[int, ...]:
        """Lines whose buyer's age nobody has confirmed."""
        return tuple(line.id for line in self.lines if line.age_checked < line.item.age_min)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sell:
    """Effect: write this sale, then say `Paid` or `NotPaid`."""

    sale: bytes
    cashier: str
    lines: tuple[SaleLine, ...]
    payments: tuple[Payment, ...]
    """Those held first, in their order."""

    held: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True)
class Refuse:
    """Effect: tell whoever asked."""

    error: TillError


Effect: TypeAlias = Sell | Refuse


def step(basket: Basket, *events: Event) -> tuple[Basket, tuple[Effect, ...]]:
    """Return what the basket becomes, and what is to be done. Total: it never raises.

    Of several events all happen, or none.
    """
    after = basket
    effects: tuple[Effect, ...] = ()
    try:
        for event in events:
            after, more = _step(after, event)
            effects += more
    except TillError as error:
        return replace(basket, notice=str(error)), (Refuse(error),)
    return after, effects


def offer(basket: Basket, offers: Offers, moment: Moment) -> Basket:
    """Give what promotions give at this moment; what is being paid stays as it was shown."""
    if basket.paying is not None or basket.as_tendered:
        return basket
    bought = [
        Bought(
            line.item.sku,
            line.quantity_milli,
            line.item.unit_minor,
            line.item.group,
            line.item.age_min,
            line.discounts_minor,
        )
        for line in basket.lines
    ]
    cuts = offers.given(bought, moment)
    return replace(
        basket,
        lines=tuple(
            replace(line, offered=tuple(cut for cut in cuts if cut.line == at))
            for at, line in enumerate(basket.lines)
        ),
    )


def _step(basket: Basket, event: Event) -> tuple[Basket, tuple[Effect, ...]]:
    match event:
        case Paid():
            return Basket(), ()
        case NotPaid(held=held, notice=notice, tendered=tendered):
            back = replace(
                basket,
                paying=None,
                held=held or basket.held,
                notice=notice,
                recalled=None if tendered else basket.recalled,
            )
            return back, ()
        case Released():
            return replace(basket, held=()), ()
    if basket.paying is not None:
        raise NotPossible(
            "Basket: expected no payment under way, there is one.", "Wait until it is through."
        )
    match event:
        case Scanned():
            return _add(basket, event), ()
        case NotScanned(error=error):
            raise error
        case Clear():
            return _cleared(basket), ()
        case Restore():
            return _restore(basket, event), ()
        case Pay():
            return _pay(basket, event)
        case _:
            return _change(basket, event), ()


def _cleared(basket: Basket) -> Basket:
    if basket.held:
        raise NotPossible(
            f"Basket: {sum(part.amount_minor for part in basket.held)} grosz are paid already.",
            "Pay the rest, or cancel the payment: it is given back.",
        )
    return Basket()


def _restore(basket: Basket, event: Restore) -> Basket:
    if basket.lines:
        raise NotPossible(
            f"Basket: expected an empty one, it has {len(basket.lines)} lines.",
            "Sell it or put it aside first.",
        )
    if len(event.lines) > MAX_LINES:
        raise NotPossible(
            f"Basket of {len(event.lines)} lines: expected at most {MAX_LINES}.",
            "Sell it in parts.",
        )
    lines = len(event.lines)
    made = Basket(lines=event.lines, next_line=lines + 1, recalled=event.recalled)
    return replace(_bounded(made), notice=event.notice)


def _add(basket: Basket, scanned: Scanned) -> Basket:
    item, counted = scanned.item, scanned.counted_milli
    labelled = scanned.quantity_milli is not None or counted % ONE_MILLI
    for line in () if labelled else basket.lines:
        # What was weighed is another piece; what has a discount got it for these pieces.
        if line.item == item and not line.discounts and line.quantity_milli % ONE_MILLI == 0:
            return _with(basket, replace(line, quantity_milli=line.quantity_milli + counted))
    if len(basket.lines) >= MAX_LINES:
        raise NotPossible(
            f"Basket: expected at most {MAX_LINES} lines.", "Take payment and begin another."
        )
    milli = counted if scanned.quantity_milli is None else scanned.quantity_milli
    if not 0 < milli <= MAX_QUANTITY_MILLI:
        raise NotPossible(
            f"Label of {milli} thousandths: expected 1 to {MAX_QUANTITY_MILLI}.", "Weigh it again."
        )
    line = Line(id=basket.next_line, item=item, quantity_milli=milli, discounts=scanned.discounts)
    added = replace(
        basket,
        lines=(*basket.lines, line),
        next_line=basket.next_line + 1,
        notice="",
    )
    return _bounded(added)


def _change(basket: Basket, event: ChangeQuantity | GiveDiscount | ConfirmAge | Remove) -> Basket:
    line = next((line for line in basket.lines if line.id == event.line), None)
    if line is None:
        there = ", ".join(str(line.id) for line in basket.lines) or "none, it is empty"
        raise NotFound(
            f"Line {event.line}: expected a line of the basket ({there}).", "Look at it again."
        )
    match event:
        case ChangeQuantity(quantity_milli=milli):
            if not 0 < milli <= MAX_QUANTITY_MILLI:
                raise NotPossible(
                    f"Quantity {milli} thousandths: expected 1 to {MAX_QUANTITY_MILLI}.",
                    "To take a line out, remove it.",
                    field="/quantity_milli",
                )
            return _with(basket, replace(line, quantity_milli=milli))
        case GiveDiscount(reason=reason, amount_minor=amount):
            if amount <= 0:
                raise NotPossible(
                    f"Discount {amount} grosz: expected more than zero.",
                    "Give the amount that is let go.",
                    field="/discount/amount_minor",
                )
            given = (*line.discounts, Discount(reason, amount))
            return _with(basket, replace(line, discounts=given))
        case ConfirmAge(confirmed=confirmed):
            age = line.item.age_min if confirmed else 0
            return _with(basket, replace(line, age_checked=age))
        case Remove():
            rest = tuple(other for other in basket.lines if other.id != line.id)
            return replace(basket, lines=rest, notice="")


def _with(basket: Basket, changed: Line) -> Basket:
    """Put a changed line in its place, if it can be."""
    if changed.discounts_minor > changed.gross_minor:
        raise NotPossible(
            f"Line {changed.id}: discounts of {changed.discounts_minor} grosz, expected at most "
            f"its price, {changed.gross_minor}.",
            "Give a smaller discount, or remove the line.",
        )
    lines = tuple(changed if line.id == changed.id else line for line in basket.lines)
    return _bounded(replace(basket, lines=lines, notice=""))


def _bounded(basket: Basket) -> Basket:
    if basket.total_minor > MAX_TOTAL_MINOR:
        raise NotPossible(
            f"Basket: {basket.total_minor} grosz, expected at most {MAX_TOTAL_MINOR}.",
            "Look at the quantities.",
        )
    return basket


def _pay(basket: Basket, pay: Pay) -> tuple[Basket, tuple[Effect, ...]]:
    if not basket.lines:
        raise NotPossible("Basket: expected a line, it is empty.", "Scan something first.")
    many = len(pay.tenders) != 1
    for n, tender in enumerate(pay.tenders):
        if tender.method not in METHODS:
            raise NotPossible(
                f"Method {tender.method!r}: expected one of {', '.join(sorted(METHODS))}.",
                "Choose one of them.",
                field=f"/payments/{n}/method" if many else "/method",
            )
    if basket.to_confirm:
        lines = ", ".join(map(str, basket.to_confirm))
        raise NotPossible(
            f"Lines {lines}: expected the buyer's age confirmed.",
            "Look at the buyer's papers, confirm, or remove the lines.",
        )
    due = basket.to_pay_minor
    if due < 0:
        raise NotPossible(
            f"Basket: {-due} grosz more are paid already than it costs.",
            "Cancel the payment: it is given back; then pay anew.",
        )
    held = tuple(
        Payment(method=part.method, amount_minor=part.amount_minor, reference=part.reference)
        for part in basket.held
    )
    sell = Sell(
        sale=pay.sale,
        cashier=pay.cashier,
        lines=tuple(line.sold() for line in basket.lines),
        payments=held + _payments(pay.tenders, due, field="/payments" if many else ""),
        held=basket.held,
    )
    return replace(basket, paying=pay.sale, notice=""), (sell,)


def _payments(tenders: tuple[Tender, ...], due: int, field: str) -> tuple[Payment, ...]:
    """Return what each tender pays, and the change of cash."""
    field = field or "/tendered_minor"
    paid = sum(tender.amount_minor for tender in tenders)
    if paid < due:
        raise NotCovered(
            f"Payment of {paid} grosz: expected at least {due}.",
            f"{due - paid} are missing.",
            field=field,
        )
    made = [Payment(method=tender.method, amount_minor=tender.amount_minor) for tender in tenders]
    made, left = with_change(made, paid - due)
    if left:
        methods = ", ".join(dict.fromkeys(tender.method for tender in tenders))
        raise NotCovered(
            f"Payment of {paid} grosz by {methods}: expected {due}; only cash gives change.",
            "Charge exactly the total.",
            field=field,
        )
    return tuple(made)


def with_change(payments: list[Payment], excess_minor: int) -> tuple[list[Payment], int]:
    """Give what is too much back from cash, the last first; return what no cash can change."""
    made = list(payments)
    for n in reversed(range(len(made))):
        payment = made[n]
        back = min(excess_minor, payment.amount_minor) if payment.method == "cash" else 0
        made[n] = Payment(
            payment.method,
            payment.amount_minor - back,
            payment.change_minor + back,
            payment.reference,
        )
        excess_minor -= back
    return made, excess_minor


def unknown_code(code: str) -> UnknownArticle:
    """The error of a scan that is no article here."""
    return UnknownArticle(
        f"Code {code[:40]!r}: expected an article of the catalogue, found none.",
        "Scan it again, or sell it by another code; tell head office that it is missing.",
        field="/code",
    )


def misread(error: BadBarcode) -> UnknownArticle:
    """The error of a number that cannot be one."""
    return UnknownArticle(
        f"Code {error.value!r}: expected {error.expected}.",
        f"{error.cure[:1].upper()}{error.cure[1:] or 'Scan it again'}.",
        field="/code",
    )


def without_price(sku: str) -> UnknownArticle:
    """The error of an article that head office has not priced."""
    return UnknownArticle(
        f"Article {sku!r}: expected a price in force, found none.",
        "Ask head office for a price.",
        field="/code",
    )
