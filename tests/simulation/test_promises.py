"""Two stores, two tills each, a web shop on the same shelves, links cut half the time."""

import pytest

from sync.merge.rights import Counter
from tests.bench.books import Lenient, Locked, Strict, Tuning, Uncoordinated
from tests.bench.rights import Shops, fresh
from tests.bench.shops import world

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_strict_breaks_no_promise_and_lenient_refuses_no_sale(seed):
    of = world(2, 40, 0.5, seed, made_up=True)
    for kind in (Strict, Lenient):
        shops = Shops(fresh(of), lambda w, links, kind=kind: kind(w, links, Tuning()), seed)
        tally = shops.play()
        assert tally.promises
        assert tally.promises + tally.web_refused == of.orders
        assert tally.sold + tally.empty + tally.refused == tally.lines == of.lines
        if kind is Strict:
            assert (tally.broken, shops.books.over) == (0, 0)
        else:
            assert tally.refused == 0
        for cell, known in shops.books.cells.items():
            truth = Counter()
            for one in known:
                truth.merge(one)
            assert truth.physical == shops.shelf[cell]
            assert truth.reserved == 0
            assert truth.bound <= truth.made


@pytest.mark.parametrize("kind", [Uncoordinated, Locked])
def test_books_without_rights_end_with_what_is_on_the_shelf(kind):
    of = world(2, 40, 0.5, 1, made_up=True)
    shops = Shops(fresh(of), kind, 1)
    tally = shops.play()
    assert tally.promises + tally.web_refused == of.orders
    for cell, sums in shops.books.sums.items():
        assert sum(sums) == shops.shelf[cell]
        assert shops.books.promised.get(cell, 0) == 0
    assert tally.refused == 0 or kind is Locked


def test_the_same_seed_plays_the_same_world():
    def figures():
        of = world(3, 40, 0.4, 5, made_up=True)
        shops = Shops(fresh(of), lambda w, links: Lenient(w, links, Tuning()), 5)
        return shops.play(), shops.books.messages, shops.books.bytes

    assert figures() == figures()
