from typing import get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import facts as vocabulary
from sync.chain import Fact, StreamId
from sync.errors import BadFact
from sync.facts import columns
from sync.facts.basket import BasketEnded, BasketRecalled
from sync.facts.catalogue import (
    Article,
    ArticleColumns,
    Articles,
    Price,
    PriceColumns,
    Prices,
    VatRate,
    VatRates,
)
from sync.facts.count import (
    CountedLine,
    CountedLines,
    CountMarked,
    CountOpened,
    CountPosted,
    CountTaken,
    Covers,
    PostedLine,
    PostedLines,
)
from sync.facts.deposit import DepositsTaken, PackagingLine, Voucher
from sync.facts.document import (
    BASKET,
    CUSTOMER,
    DocumentChanged,
    DocumentSettled,
    GenerationBegan,
)
from sync.facts.hours import SaleHours
from sync.facts.node import (
    AppendedAgain,
    IncarnationBegan,
    NodeEnrolled,
    NodeRevoked,
    StoreDescribed,
    StreamClosed,
)
from sync.facts.order import (
    Answer,
    Ending,
    OrderAnswered,
    OrderPlaced,
    PromiseBroken,
    PromiseEnded,
    PromiseMade,
)
from sync.facts.person import Buyer, PersonForgotten, Sealed, seal, unseal
from sync.facts.promotion import PromotionTold
from sync.facts.returned import ReturnedLine, SaleReturned
from sync.facts.rights import (
    CellLines,
    Mode,
    Move,
    RightsMoved,
    RightsWanted,
    StockPolicy,
)
from sync.facts.sale import (
    MOST,
    Discount,
    Fiscal,
    Payment,
    PaymentSettled,
    Sale,
    SaleClosed,
    SaleFiscalised,
    SaleLine,
    SaleLines,
    SaleVoided,
    Stage,
)
from sync.facts.shift import CashMoved, Drawer, ShiftClosed, ShiftOpened
from sync.facts.staff import Role, StaffActed, UserDescribed
from sync.facts.stock import (
    GoodsMoved,
    GoodsReceived,
    Movement,
    ReceivedLine,
    ReceivedLines,
    TransferAnnounced,
)
from sync.merge.document import FIELDS, Put, opened
from sync.rules.hours import Hours
from sync.rules.promotion import Kind, Part, Promotion
from sync.rules.shift import totals
from tests.sync.strategies import STREAM, sales

CHANGE = opened().change(b"a" * 16, [Put(FIELDS, "note", "Ola")])
SEALED = seal(CHANGE, b"p" * 16, bytes(32), bytes(12))


def fact(body, raw=None):
    kind, version = vocabulary.kind_of(body)
    return Fact(1, 1, kind, version, bytes(16), raw or vocabulary.encode(body))


RECEIVED = GoodsReceived(
    1, 5, ReceivedLines.of((ReceivedLine("1", 1000), ReceivedLine("2", 500, 99)))
)

EXAMPLES = [
    StoreDescribed("S1", "Kraków 1"),
    NodeEnrolled(bytes(16), "S1", b"der"),
    NodeRevoked(bytes(16), "lost"),
    IncarnationBegan(STREAM, 3, bytes(32), "fork"),
    StreamClosed(STREAM, 3, bytes(32), StreamId(STREAM.node, 8, STREAM.scope), "fork"),
    RECEIVED,
    AppendedAgain(STREAM, [3, 5], [bytes(32), bytes(32)], [4], "damaged"),
    Articles(1, ArticleColumns.of((Article("1", "Chleb", "CHLEB", "szt", "5", ("5901",)),))),
    Prices(1, PriceColumns.of((Price("1", 499), Price("2", 1299, 5)))),
    VatRates(2, (VatRate("23", 2200, 20270101), VatRate("zw", 0, 20270101, exempt=True))),
    PromotionTold(
        3,
        Promotion("P1", "3 za 2", Kind.N_FOR_M, (Part(("1",), ("nabiał",)),), take=3, pay=2),
    ),
    SaleHours("group:alkohole", (Hours(1320, 360, (5, 6)),)),
    GoodsMoved(Movement.SENT, 1, 5, CellLines.by_cell({"1": 1000}), place="S2"),
    RightsMoved(Move.GIVEN, CellLines.by_cell({"1": 1000, "2": 5}), STREAM),
    TransferAnnounced("S2", 1, CellLines.by_cell({"1": 1000})),
    CountOpened(1, 5, "Spis", Covers.LIST, "", ("1", "2")),
    CountTaken(1, 5, CountedLines.of((CountedLine("1", 0),)), (STREAM,), (7,), "anna"),
    CountMarked(STREAM, (3, 4), (STREAM,), ((1, 2),)),
    CountPosted(1, 5, bytes(16), PostedLines.of((PostedLine("1", 5, -5, 7),)), (bytes(16),)),
    RightsWanted(CellLines.by_cell({"1": 1000})),
    StockPolicy("group:alkohole", Mode.STRICT, 2000, 30),
    PromiseMade("web", 1, 2, CellLines.by_cell({"1": 1000}), bytes(32), ("S1", "S2")),
    PromiseEnded(STREAM, Ending.EXPIRED),
    PromiseBroken(CellLines.by_cell({"1": 1000}), "anna", "the buyer was told"),
    OrderPlaced(STREAM, STREAM, "web", 1, CellLines.by_cell({"1": 1000})),
    OrderAnswered(Answer.SHORT, 1, 5, CellLines.by_cell({"1": 1000}), bytes(16), "jan", "broken"),
    PaymentSettled(0, approved=True),
    SaleFiscalised(Fiscal("karb", "ZBF 1", "7")),
    SaleClosed(1, 5),
    SaleVoided(1, 5, "no"),
    DepositsTaken(
        1,
        5,
        20260131,
        "T1",
        "anna",
        "1",
        (PackagingLine("1", "Woda", 3, 50),),
        (Voucher("A1", 100),),
        50,
        200,
        bytes(16),
    ),
    SaleReturned(
        bytes(16),
        "T1-A/1",
        1,
        20260131,
        2,
        5,
        20260131,
        "T1",
        "anna",
        "1",
        (ReturnedLine(0, "1", "Chleb", 1000, 499, "5"),),
        (Payment("cash", 499),),
        "czerstwy",
    ),
    DocumentChanged(bytes(16), BASKET, b"", CHANGE),
    DocumentChanged(bytes(16), CUSTOMER, b"g" * 16, SEALED),
    GenerationBegan(bytes(16), CUSTOMER, b"", 2, b"n" * 32, SEALED),
    DocumentSettled(bytes(16), b"n" * 16, "kierownik", "oddane na półkę", b"r" * 16),
    PersonForgotten(bytes(16), (b"p" * 16,), "asked to"),
    BasketRecalled(bytes(16), "T1", "ola", 1, 5, b"n" * 16),
    BasketEnded(bytes(16), b"r" * 16, b"s" * 16),
    UserDescribed("anna", Role.CASHIER, True, SEALED, 1, 5),
    StaffActed("jan", "T1", "approved", 1, 5, "więcej, niż wolno", "anna"),
    ShiftOpened("T1", 1, "anna", 20_000, 1, 5, 20260131),
    CashMoved(bytes(16), "T1", Drawer.DROP, 10_000, "sejf", "anna", 1, 5),
    ShiftClosed("T1", 1, "anna", 10_000, totals(20_000, ()), 1, 2, 5),
]


@pytest.mark.parametrize("body", EXAMPLES, ids=lambda body: type(body).__name__)
def test_every_kind_comes_back(body):
    assert vocabulary.decode(fact(body)) == body


def test_every_kind_has_an_example():
    assert {type(body) for body in EXAMPLES} | {Sale} == set(vocabulary.KINDS.values())


@given(sales())
def test_a_sale_comes_back_and_adds_up(sale):
    assert vocabulary.decode(fact(sale)) == sale
    assert sale.total_minor == sum(payment.amount_minor for payment in sale.payments)
    assert SaleLines.of(sale.lines.rows()) == sale.lines


def test_the_bytes_of_version_1_do_not_move():
    sale = Sale(
        Stage.CLOSED,
        42,
        1_790_000_000_000,
        5,
        SaleLines.of((SaleLine("5901", 1500, 1299, unit="kg", vat="5"),)),
        (Payment("cash", 1949, 51),),
        "T1",
        "anna",
        "1",
        20260131,
    )
    assert vocabulary.encode(sale).hex() == (
        "dc0012042acf000001a0c4506c00059b0191a43539303191cd05dc91cd0513919091a091a26b6791a13591"
        "00910091009194a463617368cd079d33a0a25431a4616e6e61a131ce01352523a573746f7265a0a3504c4ea"
        "000c0c0c0"
    )
    assert sale.series_in(StreamId(bytes(16), 1, "S1")) == "T1-AAAAAAAB"


def test_unknown_kinds_and_newer_versions_are_not_read_and_no_error():
    body = fact(SaleClosed(1, 5))
    assert vocabulary.decode(msgspec.structs.replace(body, kind="sale.gift")) is None
    assert vocabulary.decode(msgspec.structs.replace(body, version=2)) is None


@given(st.binary(max_size=200), st.sampled_from(sorted(vocabulary.KINDS)))
def test_any_bytes_are_a_body_or_quarantined(raw, name):
    made = Fact(1, 1, name[0], name[1], bytes(16), raw)
    try:
        vocabulary.decode(made)
    except BadFact as error:
        assert name[0] in str(error)  # noqa: PT017 - either way is right


@given(sales(), st.data())
def test_a_sale_that_does_not_add_up_is_quarantined(sale, data):
    first = sale.payments[0]
    wrong = first.amount_minor + data.draw(st.integers(1, 100))
    short = msgspec.structs.replace(
        sale, payments=(msgspec.structs.replace(first, amount_minor=wrong), *sale.payments[1:])
    )
    with pytest.raises(BadFact, match="payments are"):
        vocabulary.decode(fact(short))


@given(sales(), st.integers(0, 9), st.data())
def test_a_sale_with_an_uneven_column_is_quarantined(sale, column, data):
    name = msgspec.structs.fields(SaleLines)[1 + column].name
    values = getattr(sale.lines, name)
    longer = data.draw(st.integers(2, 8).filter(lambda n: n != sale.lines.n))
    uneven = msgspec.structs.replace(sale.lines, **{name: (values * longer)[:longer]})
    with pytest.raises(BadFact, match=r"Fact 1, sale version 1: Column: expected 1 or"):
        vocabulary.decode(fact(msgspec.structs.replace(sale, lines=uneven)))


small = st.sampled_from([-1, 0, 1, 499, 1000, 1500, MOST - 1, MOST])
odd_lines = st.builds(
    SaleLine,
    st.just("A"),
    small,
    small,
    st.lists(st.builds(Discount, st.just("x"), small), max_size=2).map(tuple),
    deposit_minor=st.sampled_from([0, 0, 50, MOST]),
)


@given(st.lists(odd_lines, min_size=1, max_size=4).map(tuple))
def test_each_line_of_a_sale_must_be_possible(rows):
    """Whether its lines are looked at one by one or, plain as most are, in columns."""
    possible = all(
        0 < row.quantity_milli < MOST
        and 0 <= row.unit_minor < MOST
        and 0 <= row.deposit_minor < MOST
        and all(discount.amount_minor > 0 for discount in row.discounts)
        and 0 <= row.total_minor < MOST
        for row in rows
    )
    total = sum(row.total_minor + row.deposits_minor for row in rows)
    paid = Payment("cash", min(max(total, 0), 1 << 53))
    sale = Sale(Stage.CLOSED, 1, 1, 2, SaleLines.of(rows), (paid,), "T1", "anna", "1", 20260131)
    if possible and total <= 1 << 53:
        assert sale.reason() == ""
    else:
        assert sale.reason()


def test_a_few_bytes_do_not_become_many_rows():
    bomb = msgspec.msgpack.encode([1, 5, [1 << 60, ["a"], [1], [None]]])
    with pytest.raises(BadFact, match="Rows: expected 0 to"):
        vocabulary.decode(fact(RECEIVED, raw=bomb))
    with pytest.raises(BadFact, match="Column: expected 1 or 3"):
        list(columns.unpack(3, (["a", "b"],)))


@given(st.text(), st.text(), st.binary(min_size=16, max_size=16))
def test_a_person_is_readable_with_the_key_alone(nip, name, person):
    try:
        (nip + name).encode()
    except UnicodeEncodeError:
        return
    sealed = seal(Buyer(nip, name), person, bytes(32), bytes(12))
    assert unseal(sealed, bytes(32)) == Buyer(nip, name)
    with pytest.raises(BadFact):
        unseal(sealed, b"\1" * 32)
    with pytest.raises(BadFact):
        unseal(
            msgspec.structs.replace(sealed, person=b"\1" * 16 if person[0] != 1 else bytes(16)),
            bytes(32),
        )


@given(sales(), st.booleans(), st.integers(0, 200))
def test_who_must_be_named_is_found_without_reading_a_sale_whole(sale, made_out, cut):
    person = b"b" * 16
    buyer = seal(Buyer("", ""), person, bytes(32), bytes(12)) if made_out else None
    body = vocabulary.encode(msgspec.structs.replace(sale, buyer=buyer))
    told = [
        Fact(number, 0, kind, 1, bytes(16), written)
        for number, (kind, written) in enumerate(
            [("sale", body), ("sale", body[:-cut] if cut else b""), ("x", body)], start=1
        )
    ]
    assert vocabulary.persons(told[:1]) == ({person} if made_out else set())
    assert vocabulary.persons(told[1:]) == set()
    found = vocabulary.keys_that_open(told, {person: bytes(32)})
    assert found == ({person: bytes(32)} if made_out else {})


def test_every_kind_that_may_be_sealed_is_known_as_personal():
    for (kind, _), body in vocabulary.KINDS.items():
        hints = get_type_hints(body).values()
        sealed = any(hint is Sealed or Sealed in get_args(hint) for hint in hints)
        assert sealed is (kind in vocabulary.PERSONAL), kind


def test_the_persons_of_a_batch_are_those_of_any_kind():
    one = Sealed(b"1" * 16, bytes(12), bytes(16))
    told = [
        fact(DocumentChanged(bytes(16), CUSTOMER, b"", one)),
        fact(SaleClosed(1, 5)),
        fact(DocumentChanged(bytes(16), BASKET, b"", CHANGE)),
        fact(DocumentChanged(bytes(16), BASKET, b"", CHANGE), raw=b"nonsense"),
    ]
    assert vocabulary.persons(told) == {b"1" * 16}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (DocumentChanged(b"short", BASKET, b"", CHANGE), "16 bytes"),
        (DocumentChanged(bytes(16), "", b"", CHANGE), "of kind"),
        (DocumentChanged(bytes(16), BASKET, b"x", CHANGE), "16 bytes"),
        (DocumentChanged(bytes(16), BASKET, b"", CHANGE[:-1]), "checksum"),
        (DocumentChanged(bytes(16), CUSTOMER, b"", CHANGE), "not sealed"),
        (DocumentChanged(bytes(16), CUSTOMER, b"", Sealed(b"", b"", b"")), "without a person"),
        (GenerationBegan(bytes(16), BASKET, b"", 1, b"", CHANGE), "generation 1"),
        (GenerationBegan(bytes(16), BASKET, b"", 2, b"odd", CHANGE), "generation 2"),
        (DocumentSettled(bytes(16), b"", ""), "somebody"),
        (BasketEnded(bytes(16), bytes(16), b"x"), "16 bytes"),
        (BasketRecalled(bytes(16), "", "ola", 1, 5, b""), "a till"),
        (PersonForgotten(bytes(16), (b"",)), "16 bytes"),
    ],
)
def test_what_cannot_be_of_a_document_is_quarantined_by_its_bytes(body, why):
    with pytest.raises(BadFact, match=why):
        vocabulary.decode(fact(body))
