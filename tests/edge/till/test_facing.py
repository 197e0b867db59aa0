"""What the buyer sees while the cashier scans."""

from uuid import UUID

import pytest

from edge.till.basket import Clear
from edge.till.counter import Counter
from edge.till.facing import changed, rows
from hw.device import Row
from tests.edge.till.shop import EAN, opened
from tests.edge.till.test_till import pay
from tests.hw.until import until


class Glass:
    """A display that keeps what it was told last; a real one is in the contract suite."""

    def __init__(self):
        self.rows = None

    def show(self, top, bottom):
        self.rows = (top, bottom)


@pytest.fixture
async def shop(tmp_path):
    glass = Glass()
    async with opened(tmp_path) as (store, clock):
        counter = Counter(["T1", "T2"], store, clock, language="pl", fresh=lambda: "w")
        counter.show_on(lambda till: glass if till == "T1" else None)
        await counter.start()
        try:
            yield counter.till("T1"), glass
        finally:
            await counter.close()


async def seen(glass, top, bottom):
    await until(lambda: glass.rows == (Row(*top), Row(*bottom)), what=f"{top} {bottom}")


async def test_a_sale_from_the_first_scan_to_the_next_buyer(shop):
    till, glass = shop
    await seen(glass, ("DZIEŃ DOBRY",), ())
    await till.scan(EAN[0])
    await seen(glass, ("Mleko 3,2% 1 l", "3,89"), ("SUMA", "3,89"))
    await till.scan(EAN[1])  # its deposit is in the price that the buyer sees
    await seen(glass, ("Woda niegazowana 1,5 l", "2,69"), ("SUMA", "6,58"))
    await till.scan(EAN[0])  # the line that changed, not the last one
    await seen(glass, ("2 x Mleko 3,2% 1 l", "7,78"), ("SUMA", "10,47"))
    await till.pay(pay(2000))
    await seen(glass, ("ZAPŁACONO", "10,47"), ("RESZTA", "9,53"))
    await till.scan(EAN[3])
    await seen(glass, ("Jabłka Ligol", "4,99"), ("SUMA", "4,99"))
    await till.change(Clear())
    await seen(glass, ("DZIEŃ DOBRY",), ())
    await till.scan(EAN[0])
    await till.pay(pay(389, sale=UUID(int=9)))
    await seen(glass, ("ZAPŁACONO", "3,89"), ())


async def test_a_weight_is_told(shop):
    till, _ = shop
    basket = await till.scan(f"01{EAN[3]:0>14}3103000250")
    top, bottom = rows(basket, "en", None, None)
    assert (top, bottom) == (Row("0.25 kg x Jabłka Ligol", "1.25"), Row("TOTAL", "1.25"))


async def test_which_line_changed(shop):
    till, _ = shop
    before = till.basket
    one = await till.scan(EAN[0])
    two = await till.scan(EAN[1])
    again = await till.scan(EAN[0])
    assert [changed(before, one), changed(one, two), changed(two, again)] == [1, 2, 1]
    assert changed(again, again) is None
    assert changed(two, one) is None
