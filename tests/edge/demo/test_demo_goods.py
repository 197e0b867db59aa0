"""What the shops of the demo sell."""

from collections import Counter

import pytest

from edge.demo import baskets, goods
from edge.demo.goods import SPARE_MILLI, absorbs
from edge.till import basket as rules
from edge.till.basket import Basket, ChangeQuantity, GiveDiscount, Item, Scanned
from sync.rules.money import line_total_minor


@pytest.fixture
def made_up(monkeypatch):
    monkeypatch.setattr("edge.demo.baskets.available", lambda: False)
    return goods.choose(3, 40, seed=5)


def test_without_the_data_the_sample_serves(made_up):
    assert not made_up.real
    assert [shop.id for shop in made_up.shops] == ["S1", "S2", "S3"]
    assert all(len(shop.baskets) == len(shop.ids) == 40 for shop in made_up.shops)


def test_ids_are_the_same_every_time_and_nobody_elses(made_up):
    assert goods.choose(3, 40, seed=5) == made_up
    ids = [id_ for shop in made_up.shops for id_ in shop.ids]
    others = [id_ for shop in goods.choose(3, 40, seed=6).shops for id_ in shop.ids]
    assert len(set(ids + others)) == 240


def test_the_till_makes_exactly_these_lines(made_up):
    """Scanned one after the other, nothing is added to a line it does not belong to."""
    for shop in made_up.shops:
        for shopped in shop.baskets:
            till = Basket()
            for n, line in enumerate(shopped.lines, 1):
                item = Item(
                    sku=line.sku, name="", unit="", vat="5", unit_minor=line.list_unit_minor
                )
                events = [Scanned(item=item)]
                events.append(ChangeQuantity(line=n, quantity_milli=line.quantity_milli))
                full = line_total_minor(line.quantity_milli, line.list_unit_minor)
                if full > line.value_minor:
                    given = full - line.value_minor
                    events.append(GiveDiscount(line=n, reason="x", amount_minor=given))
                till, effects = rules.step(till, *events)
                assert not effects
            assert [(row.item.sku, row.sold().total_minor) for row in till.lines] == [
                (line.sku, line.value_minor) for line in shopped.lines
            ]


def test_joining_lines_changes_no_sum(made_up):
    for shop in made_up.shops:
        for shopped in shop.baskets:
            whole = Counter(line.sku for line in shopped.lines if absorbs(line))
            assert all(count == 1 for count in whole.values())
        totals = made_up.totals(shop, 40)
        assert totals.quantity_milli == shop.sold(40).total()
        assert totals.baskets == 40


def test_the_delivery_leaves_the_spare(made_up):
    shop = made_up.shops[0]
    sold = shop.sold(len(shop.baskets))
    assert {sku: milli - sold[sku] for sku, milli in shop.delivery().items()} == dict.fromkeys(
        sold, SPARE_MILLI
    )


def test_deposits_are_paid_too(made_up):
    shop = made_up.shops[0]
    with_deposit = [
        shopped for shopped in shop.baskets if any(x.sku in shop.deposits for x in shopped.lines)
    ]
    assert with_deposit
    assert all(shop.due(one).total_minor > one.value_minor for one in with_deposit)


@pytest.mark.skipif(not baskets.available(), reason="needs the extra demo")
def test_real_baskets_are_summed_by_the_data_itself():
    found = goods.choose(1, 30, seed=1)
    (shop,) = found.shops
    totals = found.totals(shop, 20)
    due = [shop.due(one) for one in shop.baskets[:20]]
    assert found.real
    assert totals.baskets == 20
    assert totals.value_minor == sum(one.total_minor for one in due)
    assert totals.quantity_milli == sum(one.quantity_milli for one in due)
    assert totals.lines == sum(one.lines for one in due)
