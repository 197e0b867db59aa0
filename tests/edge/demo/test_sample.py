import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import ean

from central.catalogue.importer import parse
from edge.demo import sample
from sync.rules.money import line_total_minor


def test_central_imports_the_catalogue_as_it_is():
    catalogue = sample.articles()
    rows = parse(msgspec.json.encode({"articles": catalogue}), "application/json")
    assert len(rows) == len(catalogue) >= 120
    for row, article in zip(rows, catalogue, strict=True):
        assert (row.sku, row.name, row.unit, row.vat, row.price_minor, row.codes) == (
            article.sku,
            article.name,
            article.unit,
            article.vat,
            article.price_minor,
            article.codes,
        )
        assert (row.deposit_minor, row.age_min, row.group) == (
            article.deposit_minor,
            article.age_min,
            article.group,
        )
        assert row.fiscal_name == row.name


def test_the_catalogue_is_polish():
    catalogue = sample.articles()
    letters = "".join(article.name for article in catalogue).lower()
    assert set("ąćęłńóśźż") <= set(letters)
    assert {article.vat for article in catalogue} == {"23", "8", "5", "zw"}
    for article in catalogue:
        assert article.codes[0].startswith("590")
        assert ean.is_valid(article.codes[0])
        assert article.name.startswith(("Piwo", "Radler")) == (article.group == "Piwo")
        if article.group == "Piwo":
            assert (article.age_min, article.deposit_minor) == (18, 50)
        if article.group == "Napoje":
            assert (article.age_min, article.deposit_minor) == (0, 50)


@settings(max_examples=25)
@given(st.integers(1, 3), st.integers(0, 20), st.integers())
def test_baskets_follow_from_the_seed_and_the_catalogue(stores, per_store, seed):
    baskets = sample.read(stores, per_store, seed)
    assert baskets == sample.read(stores, per_store, seed)
    assert [basket.store_id for basket in baskets] == [
        store for store in range(1, stores + 1) for _ in range(per_store)
    ]
    assert len({basket.basket_id for basket in baskets}) == len(baskets)
    price = {article.sku: article for article in sample.articles()}
    for basket in baskets:
        assert 1 <= len(basket.lines) <= 20
        for line in basket.lines:
            assert line.code == price[line.sku].codes[0]
            assert line.list_unit_minor == price[line.sku].price_minor
            assert line.quantity_milli > 0
            full = line_total_minor(line.quantity_milli, line.list_unit_minor)
            assert 0 < line.value_minor <= full


def test_another_seed_gives_other_baskets():
    assert sample.read(1, 20, 1) != sample.read(1, 20, 2)


def test_some_lines_are_weighed_and_some_discounted():
    lines = [line for basket in sample.read(1, 200, 7) for line in basket.lines]
    assert any(line.quantity_milli % 1000 for line in lines)
    discounted = [
        line
        for line in lines
        if line.value_minor < line_total_minor(line.quantity_milli, line.list_unit_minor)
    ]
    assert 0.05 < len(discounted) / len(lines) < 0.2
