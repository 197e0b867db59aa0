"""What a sale is before it has a number: articles, prices, change.

From a client's request, filled from the catalogue as it is now, or from a basket, whose
prices are those scanned. Money is an int in grosz (`_minor`), quantity an int in
thousandths (`_milli`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.store.unit import ArticleView, PersonKey, Unit
from edge.till.basket import Sell, with_change
from edge.till.errors import BadBuyer, BadSale, NotCovered, UnknownArticle
from edge.till.request import BuyerRequest, LineRequest, PaymentRequest, SaleRequest
from sync.facts.person import Buyer, Sealed, seal
from sync.facts.sale import Discount, Fiscal, Payment, SaleLine

FIRST_SHIFT = "1"
"""Of a till that nobody opened a shift at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A sale before it has a number and a time."""

    till: str
    cashier: str
    lines: tuple[SaleLine, ...]
    payments: tuple[Payment, ...]
    channel: str = "store"
    shift: str = ""
    """Empty: the one that the till is in."""
    customer: bytes | None = None
    buyer: Sealed | None = None
    fiscal: Fiscal | None = None
    approved_by: str = ""
    """The manager who lets it go beyond the right; empty: nobody."""

    @property
    def total_minor(self) -> int:
        """What the buyer owes, deposits included."""
        return sum(line.total_minor + line.deposits_minor for line in self.lines)


def priced(unit: Unit, request: SaleRequest, buyer: PersonKey | None) -> Draft:
    """Fill what the catalogue knows into a request.

    Raises:
        UnknownArticle: A line names none.
        BadSale: A discount is more than its line.
        NotCovered: The payments are not what the lines cost.
        BadBuyer: The NIP is mistyped.
    """
    at_ms = unit.now.ms
    lines = tuple(
        _line(unit.article(line.sku, at_ms), line, f"/lines/{n}")
        for n, line in enumerate(request.lines)
    )
    owed = sum(line.total_minor + line.deposits_minor for line in lines)
    fiscal = request.fiscal
    return Draft(
        till=request.till,
        cashier=request.cashier,
        lines=lines,
        payments=settle_change(request.payments, owed),
        channel=request.channel,
        shift=request.shift,
        customer=request.customer.bytes if request.customer else None,
        buyer=sealed(unit, request.buyer, buyer),
        fiscal=Fiscal(fiscal.by, fiscal.device, fiscal.document) if fiscal else None,
        approved_by=request.approved_by,
    )


def from_basket(till: str, sell: Sell, approved_by: str = "", buyer: Sealed | None = None) -> Draft:
    """Return the draft of a basket that is being paid; its prices are those scanned."""
    return Draft(
        till=till,
        cashier=sell.cashier,
        lines=sell.lines,
        payments=sell.payments,
        buyer=buyer,
        approved_by=approved_by,
    )


def sealed(unit: Unit, buyer: BuyerRequest | None, key: PersonKey | None) -> Sealed | None:
    """Seal whom a receipt is made out to, and keep the key; None: nobody was named.

    Raises:
        BadBuyer: The NIP is mistyped.
    """
    if buyer is None or key is None:
        return None
    made = seal(checked(buyer), key.person, key.key, key.nonce)
    unit.person_key(key.person, key.key)
    return made


def settle_change(payments: Sequence[PaymentRequest], owed_minor: int) -> tuple[Payment, ...]:
    """Return the payments with their change: what each pays adds up to what is owed.

    Raises:
        NotCovered: Too little, too much by something else than cash, or less handed
            over than paid.
    """
    made: list[Payment] = []
    for n, payment in enumerate(payments):
        more = (payment.tendered_minor or payment.amount_minor) - payment.amount_minor
        if payment.tendered_minor is not None and (more < 0 or (more and payment.method != "cash")):
            raise NotCovered(
                f"Payment {n}: tendered {payment.tendered_minor} grosz by {payment.method} for "
                f"{payment.amount_minor}; only cash may be more, and none less.",
                "Leave tendered_minor out, or correct it.",
                field=f"/payments/{n}/tendered_minor",
            )
        made.append(Payment(payment.method, payment.amount_minor, more, payment.reference))
    excess = sum(payment.amount_minor for payment in made) - owed_minor
    if excess < 0:
        raise NotCovered(
            f"Payments of {owed_minor + excess} grosz: expected {owed_minor}, deposits included.",
            f"{-excess} are missing.",
            field="/payments",
        )
    made, excess = with_change(made, excess)
    if excess:
        raise NotCovered(
            f"Payments: {excess} grosz more than the {owed_minor} owed, and no cash to change.",
            "Only cash may be more than is owed.",
            field="/payments",
        )
    return tuple(made)


def _line(article: ArticleView | None, line: LineRequest, field: str) -> SaleLine:
    if article is None:
        raise UnknownArticle(
            f"Article {line.sku!r}: expected one of the catalogue, found none.",
            "Import it at head office, or correct the line.",
            field=f"{field}/sku",
        )
    listed = article.unit_minor == line.unit_minor
    sold = SaleLine(
        sku=article.sku,
        quantity_milli=line.quantity_milli,
        unit_minor=line.unit_minor,
        discounts=tuple(Discount(given.reason, given.amount_minor) for given in line.discounts),
        name=printed_name(article, listed=listed),
        unit=article.unit,
        vat=article.vat,
        price_version=article.price_version if listed else 0,
        deposit_minor=article.deposit_minor,
        age_checked=line.age_checked,
    )
    if sold.total_minor < 0:
        raise BadSale(
            f"Line {line.sku!r}: discounts are {-sold.total_minor} grosz more than its price, "
            "expected at most the price.",
            "Give a smaller discount.",
            field=f"{field}/discounts",
        )
    return sold


def printed_name(article: ArticleView, *, listed: bool) -> str:
    """Return the name a line must carry; empty where its price version tells it.

    Args:
        article: As in force now.
        listed: Whether the line is sold at the catalogue's price.
    """
    return "" if listed and article.fiscal_name == article.listed_name else article.fiscal_name


def checked(buyer: BuyerRequest) -> Buyer:
    """Return whom a receipt is made out to, the check digit verified.

    Raises:
        BadBuyer: The NIP is mistyped.
    """
    from stdnum.exceptions import ValidationError  # noqa: PLC0415 - few receipts name a buyer
    from stdnum.pl import nip as rules  # noqa: PLC0415

    try:
        return Buyer(nip=rules.validate(buyer.nip), name=buyer.name)
    except ValidationError as error:
        raise BadBuyer(
            f"NIP of {len(buyer.nip)} characters: expected ten digits with a right check digit.",
            "Type it again from the buyer's papers.",
            field="/buyer/nip",
        ) from error
