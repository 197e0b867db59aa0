"""What labels of the shop's own scales sell."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.till.counter import Counter
from edge.till.errors import NotPossible, UnknownArticle
from edge.till.parking import Park
from edge.till.scanning import bought
from sync.facts.catalogue import Article, ArticleColumns, Articles, Price, PriceColumns, Prices
from sync.rules import in_store
from sync.rules.barcode import check_digit
from sync.rules.money import line_total_minor
from tests.edge.till.shop import EAN, opened, tell
from tests.edge.till.test_till import pay


def label(body):
    return body + check_digit(body)


FIXED = label("291111199999")
"""A code of the scales' prefix that the shop has given to an article whole."""

GOODS = (
    Article("2912345", "Schab", "Schab b/k", "kg", "5", (label("230000200000"),)),
    Article("SER", "Ser gouda", "Ser gouda plastry", "KG.", "5", (label("291234600000"),)),
    Article("PACZEK", "Pączek", "Pączek z różą", "szt", "5", (label("230000300000"),)),
    Article("SZAFRAN", "Szafran", "Szafran nitki", "g", "5", (label("290000400000"),)),
    Article("KOSZ", "Kosz", "Kosz prezentowy", "szt", "23", (FIXED,)),
)
PRICES = (
    Price("2912345", 2499),
    Price("SER", 3999),
    Price("PACZEK", 350),
    Price("SZAFRAN", 2000),
    Price("KOSZ", 9900),
)


async def told_catalogue(store, articles, prices):
    bodies = (
        Articles(2000, ArticleColumns.of(articles)),
        Prices(2000, PriceColumns.of(prices)),
    )
    await tell(store, *((n.to_bytes(16, "big"), body) for n, body in enumerate(bodies, start=91)))


async def counted(folder, code, **more):
    """The line that a scan puts into an empty basket."""
    async with opened(folder) as (store, clock):
        await told_catalogue(store, GOODS, PRICES)
        counter = Counter(["T1"], store, clock, language="pl", fresh=lambda: "w", **more)
        await counter.start()
        try:
            till = counter.till("T1")
            made = await till.scan(code)
            recorded = await till.pay(pay(made.total_minor))
            [sold] = recorded.sale.lines.rows()
            assert recorded.sale.total_minor == made.total_minor
            return made.lines[0], sold, (await store.stock(sold.sku)).quantity_milli
        finally:
            await counter.close()


@pytest.mark.parametrize(
    ("code", "sku", "milli", "total"),
    [
        (label("291234501468"), "2912345", 1468, 3669),  # 1.468 x 24.99
        (label("291234600250"), "SER", 250, 1000),  # 0.250 x 39.99
        (label("290000400003"), "SZAFRAN", 3000, 6000),  # 3 g x 20.00
        (label("230000201250"), "2912345", 500, 1250),  # 12.50 buys 0.500 of 24.99
        (label("230000301100"), "PACZEK", 1000, 1100),  # one piece at its own price
        (label("230000300350"), "PACZEK", 1000, 350),
        (FIXED, "KOSZ", 1000, 9900),  # not 99.999 kg of something
    ],
)
async def test_a_label_sells_what_it_says(tmp_path, code, sku, milli, total):
    line, sold, stock = await counted(tmp_path, code)
    assert (line.item.sku, line.quantity_milli, sold.total_minor) == (sku, milli, total)
    assert stock == -milli


async def test_no_gram_costs_exactly_the_label_and_a_discount_makes_it_so(tmp_path):
    price = next(
        price for price in range(1000, 2000) if line_total_minor(bought(price, 2499), 2499) != price
    )
    _, sold, _ = await counted(tmp_path, label(f"2300002{price:05}"))
    assert sold.total_minor == price
    [given_] = sold.discounts
    assert (given_.reason, 0 < given_.amount_minor < 3) == ("cena z etykiety", True)


async def test_the_price_of_a_piece_on_its_own_label_is_no_revision_of_the_catalogue(tmp_path):
    _, sold, _ = await counted(tmp_path, label("230000301100"))
    assert (sold.price_version, sold.name, sold.unit_minor) == (0, "Pączek z różą", 1100)


@pytest.mark.parametrize(
    ("code", "refusal", "told"),
    [
        (label("291234500000"), NotPossible, "above zero"),
        (label("290000000100"), UnknownArticle, "expected an article"),
        ("2912345014682", UnknownArticle, "expected check digit 1, got 2"),
        ("5901234123456", UnknownArticle, "expected check digit 7, got 6"),
        (f"01{EAN[0]:0>14}3103001000", NotPossible, "expected a number of szt, got 1000 g"),
        (f"02{EAN[3]:0>14}3712", NotPossible, "expected a weight, got 12 pieces"),
    ],
)
async def test_what_cannot_be_sold_says_why_and_changes_nothing(tmp_path, code, refusal, told):
    async with opened(tmp_path) as (store, clock):
        await told_catalogue(store, GOODS, PRICES)
        counter = Counter(["T1"], store, clock, language="en", fresh=lambda: "w")
        await counter.start()
        try:
            with pytest.raises(refusal, match=told):
                await counter.till("T1").scan(code)
            assert counter.till("T1").basket.lines == ()
            assert told in counter.till("T1").basket.notice
        finally:
            await counter.close()


async def test_a_maker_s_label_of_weight_and_price(tmp_path):
    """The weight counts, and nobody pays more than the label says."""
    number = f"01{EAN[3]:0>14}3103001000"
    _, dear, _ = await counted(_folder(tmp_path, "1"), f"{number}3922000600")
    _, cheap, _ = await counted(_folder(tmp_path, "2"), f"{number}3922000400")
    assert (dear.total_minor, dear.quantity_milli, dear.discounts) == (499, 1000, ())
    assert (cheap.total_minor, cheap.quantity_milli) == (400, 1000)


async def test_each_label_is_a_line_of_its_own_and_a_scale_may_be_set_otherwise(tmp_path):
    async with opened(tmp_path) as (store, clock):
        await told_catalogue(store, GOODS, PRICES)
        labels = in_store.DEFAULT | {"28": "TTTTVWWWWW"}
        counter = Counter(["T1"], store, clock, language="pl", fresh=lambda: "w", labels=labels)
        await counter.start()
        try:
            till = counter.till("T1")
            for _ in range(2):
                await till.scan(label("291234501000"))
            assert [line.quantity_milli for line in till.basket.lines] == [1000, 1000]
            with pytest.raises(UnknownArticle, match="check digit 6 inside"):
                await till.scan(label("28" + "1234" + "5" + "14685"))
        finally:
            await counter.close()


async def test_a_label_goes_into_a_basket_that_is_put_aside(tmp_path):
    from edge.till import parking  # noqa: PLC0415 - only here

    async with opened(tmp_path) as (store, clock):
        await told_catalogue(store, GOODS, PRICES)
        counter = Counter(["T1"], store, clock, language="pl", fresh=lambda: "w")
        await counter.start()
        try:
            till, basket = counter.till("T1"), UUID(int=7).bytes
            await till.scan("SER")
            await till.park(Park(basket=basket, cashier="anna", note=""))
            scanned = await counter.resolve(label("291234501468"))
            await store.write(lambda unit: parking.add_line(unit, basket, "x", scanned, 1000))
            with pytest.raises(NotPossible, match="the label says"):
                await store.write(lambda unit: parking.add_line(unit, basket, "y", scanned, 2000))
            recall = parking.Recall(
                basket=basket, recall=bytes(16), cashier="anna", take_over=False
            )
            back = await till.recall(recall)
            assert sorted(line.quantity_milli for line in back.lines) == [1000, 1468]
        finally:
            await counter.close()


def _folder(under, name):
    (under / name).mkdir()
    return under / name


@given(st.integers(1, 99_999), st.integers(1, 10**6))
def test_what_a_price_buys_costs_it_to_the_grosz_or_the_next_thousandth(price, unit):
    milli = bought(price, unit)
    total = line_total_minor(milli, unit)
    assert total >= price
    if total > price:
        assert line_total_minor(milli - 1, unit) < price
