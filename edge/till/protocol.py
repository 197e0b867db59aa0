"""The protocol of a return on paper, for both signatures. Pure: the record in, a slip out.

Polish law wants a return in the record to be backed by a protocol that seller and buyer have
signed, where the receipt itself stays with the buyer (regulation on cash registers of 29 April
2019, par. 3). It is no fiscal document and says so.
"""

from collections.abc import Iterator, Mapping

from edge.till.business_day import day_text, local
from edge.till.receipt import MAX_NAME, money, quantity
from edge.till.returns import vat_of
from hw.slip import Columns, Cut, Element, Rule, TextLine
from sync.facts.node import StoreDescribed
from sync.facts.returned import SaleReturned
from sync.rules.vat import POLAND, Rate

_TEXTS: dict[str, dict[str, str]] = {
    "pl": {
        "not_fiscal": "NIEFISKALNY",
        "return": "PROTOKÓŁ PRZYJĘCIA ZWROTU",
        "mistake": "KOREKTA OCZYWISTEJ POMYŁKI",
        "receipt": "Paragon",
        "fiscal": "Nr fiskalny",
        "sold": "Data sprzedaży",
        "taken": "Data zwrotu",
        "gross": "Wartość brutto",
        "vat": "w tym VAT",
        "deposit": "Kaucja",
        "total": "DO ZWROTU",
        "reason": "Przyczyna",
        "correction": "Prawidłowa rejestracja",
        "nothing": "brak, sprzedaży nie było",
        "approved": "Zatwierdził",
        "cash": "Gotówka",
        "card": "Karta",
        "blik": "BLIK",
        "transfer": "Przelew",
        "seller": "podpis sprzedawcy",
        "buyer": "podpis kupującego",
        "till": "Kasa",
        "cashier": "Kasjer",
    },
    "en": {
        "not_fiscal": "NON-FISCAL / NIEFISKALNY",
        "return": "RETURN OF GOODS",
        "mistake": "CORRECTION OF AN OBVIOUS MISTAKE",
        "receipt": "Receipt",
        "fiscal": "Fiscal no.",
        "sold": "Sold on",
        "taken": "Returned on",
        "gross": "Gross value",
        "vat": "of which VAT",
        "deposit": "Deposit",
        "total": "TO PAY BACK",
        "reason": "Reason",
        "correction": "Right registration",
        "nothing": "none, nothing was sold",
        "approved": "Approved by",
        "cash": "Cash",
        "card": "Card",
        "blik": "BLIK",
        "transfer": "Transfer",
        "seller": "seller's signature",
        "buyer": "buyer's signature",
        "till": "Till",
        "cashier": "Cashier",
    },
}


def protocol(
    body: SaleReturned, store: StoreDescribed, language: str, rates: tuple[Rate, ...] = POLAND
) -> tuple[Element, ...]:
    """Return what goes on paper."""
    language = language if language in _TEXTS else "pl"
    return tuple(_elements(body, store, language, _TEXTS[language], rates))


def _elements(
    body: SaleReturned,
    store: StoreDescribed,
    language: str,
    texts: Mapping[str, str],
    rates: tuple[Rate, ...],
) -> Iterator[Element]:
    yield TextLine(text=texts["not_fiscal"], bold=True, align="center")
    yield TextLine(text=texts["mistake" if body.mistake else "return"], bold=True, align="center")
    yield TextLine(text=store.name[:MAX_NAME], align="center")
    yield Rule()
    yield Columns(left=texts["receipt"], right=body.receipt)
    if body.fiscal:
        yield Columns(left=texts["fiscal"], right=body.fiscal[:MAX_NAME])
    yield Columns(left=texts["sold"], right=day_text(body.sold_day))
    yield Columns(left=texts["taken"], right=f"{local(body.at_ms, store):%Y-%m-%d %H:%M}")
    yield Rule()
    for line in body.lines:
        many = quantity(line.quantity_milli, "", language)
        yield Columns(
            left=f"{line.name[:MAX_NAME]} x {many}", right=money(line.goods_minor, language)
        )
        if line.deposit_minor:
            yield Columns(left=f"  {texts['deposit']}", right=money(line.deposit_minor, language))
    yield Rule()
    for total in vat_of(body, rates):
        yield Columns(
            left=f"{texts['gross']} {total.vat}", right=money(total.gross_minor, language)
        )
        yield Columns(left=f"  {texts['vat']}", right=money(total.vat_minor, language))
    yield Columns(
        left=texts["total"], right=money(body.total_minor, language), bold=True, double=True
    )
    for payment in body.payments:
        name = texts.get(payment.method, payment.method)
        yield Columns(left=name, right=money(payment.amount_minor, language))
    yield TextLine(text=f"{texts['reason']}: {body.reason_given[:MAX_NAME]}")
    if body.mistake:
        right = body.correction[:MAX_NAME] or texts["nothing"]
        yield TextLine(text=f"{texts['correction']}: {right}")
    if body.approved_by:
        yield TextLine(text=f"{texts['approved']}: {body.approved_by[:MAX_NAME]}")
    yield Columns(left=f"{texts['till']} {body.till}", right=f"{texts['cashier']} {body.cashier}")
    for who in ("seller", "buyer"):
        yield TextLine(text="")
        yield TextLine(text="." * 24, align="center")
        yield TextLine(text=texts[who], align="center")
    yield Cut()
