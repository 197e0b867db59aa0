from datetime import date

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.store.unit import ArticleView, PersonKey, Place, SaleView, TillTaken
from edge.till.business_day import day_text
from edge.till.errors import (
    BadBuyer,
    BadSale,
    Conflict,
    NoFiscalEvidence,
    NotCovered,
    UnknownArticle,
)
from edge.till.pricing import settle_change
from edge.till.request import PaymentRequest, SaleRequest
from edge.till.selling import answer, digest, record
from sync.chain import StreamId
from sync.clock import Reading, Trust
from sync.facts import encode
from sync.facts.person import unseal
from sync.facts.sale import Sale, Stage
from sync.rules.vat import receipt_vat, vat_in_gross_minor
from tests.edge.till.shop import ARTICLES, NOON_MS, PRICES, described, opened

EVENT = bytes(range(16))
OTHER = bytes(reversed(range(16)))
KEY = PersonKey(person=b"p" * 16, key=b"k" * 32, nonce=b"n" * 12)
UNIT_MINOR = {price.sku: price.unit_minor for price in PRICES}


class OneUnit:
    """A unit of work in memory: enough of `edge.store.unit.Unit` for one till."""

    def __init__(self, **store):
        self.settings = described(**store)
        self.now = Reading(NOON_MS, Trust.CENTRAL)
        self.sales, self.digests, self.numbers, self.keys = {}, {}, {}, {}
        self.documents = {}
        self.holder = self  # of rights; no stock is kept here

    def shortage(self, _amounts):
        return {}

    def hours(self):
        return {}

    def article(self, code_or_sku, at_ms):
        assert at_ms == self.now.ms
        for a in ARTICLES:
            if code_or_sku in (a.sku, *a.codes):
                unit_minor = UNIT_MINOR.get(a.sku)
                return ArticleView(
                    a.sku, a.name, a.fiscal_name, a.unit, a.vat, a.codes, a.deposit_minor,
                    a.age_min, unit_minor, 1000, a.fiscal_name,
                )  # fmt: skip
        return None

    def shift(self, till):  # noqa: ARG002 - as a unit's
        return None

    def claim_till(self, till):
        if till == "THEIRS":
            raise TillTaken("taken")

    def next_number(self, till):
        self.numbers[till] = self.numbers.get(till, 0) + 1
        return self.numbers[till]

    def append(self, body, event, digest=None):
        assert body.reason() == ""
        self.digests[event] = digest
        self.sales[event] = body
        return Place(StreamId(b"n" * 16, 77, "KRK1"), len(self.sales))

    def person_key(self, person, key):
        self.keys[person] = key

    def document(self, event):
        return self.documents.get(event)

    def sale(self, event):
        sale = self.sales.get(event)
        if sale is None:
            return None
        series = sale.series_in(StreamId(b"n" * 16, 77, "KRK1"))
        return SaleView(
            event, sale.stage, sale, series, sale.number, sale.total_minor,
            self.digests.get(event), {},
        )  # fmt: skip


def request(*lines, payments=None, **more):
    """A request for (sku, quantity_milli, unit_minor) lines, paid in cash to the grosz."""
    body = {
        "till": "K1",
        "cashier": "anna",
        "lines": [
            {"sku": sku, "quantity_milli": milli, "unit_minor": unit} for sku, milli, unit in lines
        ],
        "payments": payments or [],
        **more,
    }
    return msgspec.convert(body, SaleRequest)


def cash(minor, **more):
    return {"method": "cash", "amount_minor": minor} | more


MILK = ("MLEKO", 2000, 389)


def test_a_sale_is_filled_from_the_catalogue():
    unit = OneUnit()
    recorded = record(unit, EVENT, request(MILK, ("WODA", 1000, 219), payments=[cash(2000)]))
    (milk, water) = recorded.sale.lines.rows()
    assert (milk.name, milk.unit, milk.vat, milk.price_version) == ("", "szt", "5", 1000)
    assert water.deposit_minor == 50
    (payment,) = recorded.sale.payments
    assert (payment.amount_minor, payment.change_minor) == (1047, 953)
    sale = recorded.sale
    assert (sale.business_day, sale.shift, sale.taxpayer) == (20260921, "1", "1234563218")
    assert recorded.new
    told = answer(recorded)
    assert told.receipt_series.startswith("K1-")
    assert (told.receipt_number, told.total_minor, told.change_minor) == (1, 1047, 953)
    assert (told.business_day, told.trust, told.stage) == ("2026-09-21", "central", "closed")


def test_a_price_that_is_not_the_catalogues_carries_the_name_and_no_version():
    recorded = record(OneUnit(), EVENT, request(("MLEKO", 1000, 350), payments=[cash(350)]))
    (row,) = recorded.sale.lines.rows()
    assert (row.name, row.price_version) == ("Mleko 3,2% 1 l", 0)


def test_a_code_is_sold_as_its_article():
    code = ARTICLES[0].codes[0]
    recorded = record(OneUnit(), EVENT, request((code, 1000, 389), payments=[cash(389)]))
    assert recorded.sale.lines.rows()[0].sku == "MLEKO"


def test_the_same_again_is_the_same_answer_and_no_second_number():
    unit = OneUnit()
    first = record(unit, EVENT, request(MILK, payments=[cash(778)]))
    second = record(unit, EVENT, request(MILK, payments=[cash(778)], channel="store"))
    assert not second.new
    assert answer(second) == answer(first)
    assert unit.numbers == {"K1": 1}
    with pytest.raises(Conflict, match="another sale"):
        record(unit, EVENT, request(MILK, payments=[cash(800)]))


def test_a_sale_heard_of_from_elsewhere_is_compared_by_what_it_says():
    unit = OneUnit()
    record(unit, EVENT, request(MILK, payments=[cash(1000)]))
    unit.digests.clear()
    assert not record(unit, EVENT, request(MILK, payments=[cash(1000)])).new
    for other in (
        request(MILK, payments=[cash(900)]),
        request(("MLEKO", 1000, 389), payments=[cash(1000)]),
        request(MILK, payments=[cash(1000)], cashier="ola"),
        request(MILK, payments=[cash(1)]),
        request(MILK, payments=[cash(1000)], shift="2"),
        request(MILK, payments=[cash(1000)], buyer={"nip": "1234563218"}),
    ):
        with pytest.raises(Conflict):
            record(unit, EVENT, other)


@pytest.mark.parametrize(
    ("asked", "error", "field"),
    [
        (request(("BRAK", 1000, 1), payments=[cash(1)]), UnknownArticle, "/lines/0/sku"),
        (request(MILK, payments=[cash(777)]), NotCovered, "/payments"),
        (request(MILK), NotCovered, "/payments"),
        (
            request(MILK, payments=[{"method": "card", "amount_minor": 779}]),
            NotCovered,
            "/payments",
        ),
        (
            request(MILK, payments=[cash(778, tendered_minor=777)]),
            NotCovered,
            "/payments/0/tendered_minor",
        ),
        (
            request(MILK, payments=[cash(778, method="card", tendered_minor=800)]),
            NotCovered,
            "/payments/0/tendered_minor",
        ),
        (
            request(MILK, payments=[cash(778)], buyer={"nip": "1234563217"}),
            BadBuyer,
            "/buyer/nip",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_true_is_refused_and_named(asked, error, field):
    unit = OneUnit()
    with pytest.raises(error) as caught:
        record(unit, EVENT, asked, KEY)
    assert caught.value.field == field
    assert caught.value.cure
    assert unit.sales == {}


def test_a_discount_is_no_more_than_its_line():
    asked = request(MILK, payments=[cash(0)])
    lines = msgspec.to_builtins(asked)
    lines["lines"][0]["discounts"] = [{"reason": "x", "amount_minor": 779}]
    with pytest.raises(BadSale):
        record(OneUnit(), EVENT, msgspec.convert(lines, SaleRequest))


def test_a_fiscal_store_demands_the_number_of_the_fiscal_receipt():
    unit = OneUnit(fiscal=True)
    with pytest.raises(NoFiscalEvidence):
        record(unit, EVENT, request(MILK, payments=[cash(778)]))
    proof = {"by": "Elzab", "device": "EAZ1234567890", "document": "1042"}
    recorded = record(unit, EVENT, request(MILK, payments=[cash(778)], fiscal=proof))
    assert recorded.sale.fiscal.document == "1042"


def test_the_buyer_is_sealed_under_a_key_of_its_own():
    unit = OneUnit()
    buyer = {"nip": "123-456-32-18", "name": "Żółw sp. z o.o."}
    recorded = record(unit, EVENT, request(MILK, payments=[cash(778)], buyer=buyer), KEY)
    written = encode(recorded.sale)
    assert b"1234563218" not in written.replace(b"1234563218", b"", 1)  # but the seller's own
    assert "Żółw".encode() not in written
    known = unseal(recorded.sale.buyer, unit.keys[KEY.person])
    assert (known.nip, known.name) == ("1234563218", "Żółw sp. z o.o.")


def test_the_id_of_a_document_is_no_sale_s():
    unit = OneUnit()
    unit.documents[EVENT] = "a delivery"
    with pytest.raises(Conflict, match="is a document"):
        record(unit, EVENT, request(MILK, payments=[cash(778)]))
    assert not unit.sales


def test_a_till_of_another_node_is_refused():
    with pytest.raises(TillTaken):
        record(OneUnit(), EVENT, request(MILK, payments=[cash(778)], till="THEIRS"))


def test_a_sale_too_big_for_a_fact_is_refused():
    lines = [
        {
            "sku": "MLEKO",
            "quantity_milli": 1000,
            "unit_minor": 389,
            "discounts": [{"reason": f"{line}/{n:060}", "amount_minor": 1} for n in range(20)],
        }
        for line in range(400)
    ]
    body = {"till": "K1", "cashier": "a", "lines": lines, "payments": [cash(400 * 369)]}
    with pytest.raises(BadSale, match="bytes"):
        record(OneUnit(), EVENT, msgspec.convert(body, SaleRequest))


def test_spelling_and_order_of_fields_do_not_count():
    one = msgspec.json.decode(b'{"till":"K1","cashier":"a","lines":[],"payments":[]}', type=dict)
    one["lines"] = [{"sku": "A", "quantity_milli": 1, "unit_minor": 1}]
    two = dict(reversed(one.items())) | {"channel": "store", "shift": ""}
    assert digest(msgspec.convert(one, SaleRequest)) == digest(msgspec.convert(two, SaleRequest))
    assert digest(msgspec.convert(one, SaleRequest), "T1") != digest(
        msgspec.convert(one, SaleRequest), "T2"
    )


PAYMENTS = st.lists(
    st.builds(
        PaymentRequest,
        method=st.sampled_from(("cash", "card", "voucher")),
        amount_minor=st.integers(0, 5000),
        tendered_minor=st.none() | st.integers(0, 6000),
    ),
    max_size=4,
)


@given(PAYMENTS, st.integers(0, 10_000))
def test_what_is_paid_is_what_is_owed_and_no_grosz_is_lost(payments, owed):
    try:
        made = settle_change(payments, owed)
    except NotCovered:
        return
    assert sum(payment.amount_minor for payment in made) == owed
    for asked, payment in zip(payments, made, strict=True):
        handed = max(asked.amount_minor, asked.tendered_minor or 0)
        assert payment.amount_minor + payment.change_minor == handed
        assert payment.change_minor == 0 or payment.method == "cash"
        assert payment.amount_minor >= 0


LINES = st.lists(
    st.tuples(
        st.sampled_from(("MLEKO", "WODA", "PIWO", "JABLKA")),
        st.integers(1, 50_000),
        st.integers(0, 10_000),
    ),
    min_size=1,
    max_size=30,
)


@settings(deadline=None)
@given(LINES, st.integers(0, 500))
def test_the_payments_are_the_lines_and_vat_is_taken_once_per_rate(lines, more):
    probe = request(*lines, payments=[cash(10**9)])
    total = record(OneUnit(), OTHER, probe).sale.total_minor
    sale = record(OneUnit(), EVENT, request(*lines, payments=[cash(total + more)])).sale
    rows = sale.lines.rows()
    assert sum(payment.amount_minor for payment in sale.payments) == total
    assert total == sum(row.total_minor + row.deposits_minor for row in rows)
    assert sale.reason() == ""
    totals = receipt_vat(
        ((row.vat, row.total_minor) for row in rows),
        day=date.fromisoformat(day_text(sale.business_day)),
    )
    assert sum(t.gross_minor for t in totals) == sum(row.total_minor for row in rows)
    assert all(t.vat_minor == vat_in_gross_minor(t.gross_minor, t.basis_points) for t in totals)


async def test_numbers_have_no_gap_though_sales_are_refused(tmp_path):
    async with opened(tmp_path) as (store, _):
        numbers = []
        for n in range(6):
            event = n.to_bytes(16, "big") + b""
            asked = request(MILK, payments=[cash(778 if n % 2 else 1)])
            try:
                recorded = await store.write(lambda u, e=event, a=asked: record(u, e, a))
            except NotCovered:
                continue
            numbers.append(recorded.sale.number)
        assert numbers == [1, 2, 3]
        found = await store.sale((5).to_bytes(16, "big"))
        assert found is not None
        assert (found.stage, found.number) == (Stage.CLOSED, 3)
        assert (await store.stock("MLEKO")).quantity_milli == -6000
        assert isinstance(found.body, Sale)


async def test_the_same_again_after_a_restart(tmp_path):
    asked = request(MILK, payments=[cash(1000)])
    async with opened(tmp_path) as (store, _):
        first = await store.write(lambda unit: record(unit, EVENT, asked))
    async with opened(tmp_path) as (store, _):
        second = await store.write(lambda unit: record(unit, EVENT, asked))
    assert answer(first) == answer(second)
    assert (first.new, second.new) == (True, False)
