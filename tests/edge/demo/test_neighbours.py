"""What is tried of two nodes, and what is wrong, is told and kept; nothing here runs them."""

import asyncio

import pytest

from edge.demo import goods, neighbours
from edge.demo.head_office import HeadOffice
from edge.demo.neighbours import Neighbours, Wrong, acquainted
from edge.demo.shop import Shop
from edge.demo.till_client import Peer, Refused, Status


@pytest.fixture
def two(tmp_path, monkeypatch):
    monkeypatch.setattr("edge.demo.baskets.available", lambda: False)
    (one,) = goods.choose(1, 3, seed=1).shops
    office = HeadOffice(tmp_path, None, print)
    told = []
    made = Neighbours(Shop(tmp_path, one, office, None, print, nodes=2), office, told.append)
    return made, told


@pytest.mark.parametrize(
    ("trouble", "said"),
    [(Wrong("17, expected 18"), "17, expected 18"), (Refused("409: not here"), "409: not here")],
)
async def test_what_is_wrong_is_no_success(two, trouble, said):
    made, told = two

    async def work():
        raise trouble

    await made._try("one stock", work)
    (trial,) = made.trials
    assert told == [trial]
    assert (trial.what, trial.result, trial.well) == ("one stock", said, False)


async def test_what_does_not_come_about_tells_what_was_seen(two, monkeypatch):
    monkeypatch.setattr(neighbours, "PATIENCE_S", 0.01)
    made, _ = two

    async def work():
        made._seen = "3 of 4 sales"
        await asyncio.Event().wait()

    await made._try("one stock", work)
    assert not made.trials[0].well
    assert "3 of 4 sales" in made.trials[0].result


def status(node, facts, *peers):
    return Status(
        node=node,
        link="offline",
        waiting=0,
        sales=0,
        facts=facts,
        articles=0,
        peers=tuple(Peer(name, "live", waiting) for name, waiting in peers),
        slips={},
        devices=(),
    )


def test_who_has_all_of_the_other():
    a = status("a", 5, ("b", 0), ("stranger", 9))
    assert acquainted(a, status("b", 5, ("a", 0)))
    assert not acquainted(a, status("b", 6, ("a", 0)))
    assert not acquainted(a, status("b", 5, ("a", 1)))
    assert not acquainted(a, status("b", 5))


def test_baskets_taken_at_either_till_come_off_one_shelf(two):
    shop = two[0].shop
    before = shop.left()
    shop.taken = 2
    shop.brought.update(dict.fromkeys(before, 1))
    sold = shop.goods.sold(2)
    assert shop.left() == {sku: milli + 1 - sold[sku] for sku, milli in before.items()}
    assert [machine.till_id for machine in shop.machines] == ["K1", "K2"]
