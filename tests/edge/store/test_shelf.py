"""What lags behind the journal: whatever is written when, and wherever it is cut off, all is there.

Rows of rights, the index of sales and the numbers of receipts.
"""

import asyncio
import shutil
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.store import base
from edge.store import index as indexes
from edge.store import shelf as shelves
from edge.store import writer as writing
from edge.store.verify import verify_file
from sync.facts.rights import CellLines
from sync.facts.sale import PaymentSettled, SaleClosed, SaleVoided, Stage
from sync.facts.stock import GoodsMoved, GoodsReceived, Movement, ReceivedLine, ReceivedLines
from tests.edge.store.rig import NOW, opened, sale, selling


def delivery(**skus):
    lines = tuple(ReceivedLine(sku, milli) for sku, milli in skus.items())
    return GoodsReceived(NOW, 5, ReceivedLines.of(lines))


def event(number):
    return number.to_bytes(16, "big")


steps = st.lists(
    st.one_of(
        st.tuples(st.just("sell"), st.sampled_from(["a", "b", "ab"])),
        st.tuples(st.just("deliver"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("tender"), st.sampled_from(["a", "b"])),
        st.tuples(st.sampled_from(["close", "void", "fold", "pause", "rebuild"]), st.just("")),
        st.tuples(st.sampled_from(["crash", "kill", "fail", "fail beside"]), st.just("")),
    ),
    min_size=1,
    max_size=25,
)

NOW_AND_THEN = {
    shelves: {"_FOLD_FACTS": 4, "_FOLD_LEAST": 1, "SLICE": 1},
    indexes: {"LIST_MANY": 3, "LIST_LEAST": 1, "SLICE": 1},
}
"""Instead of thousands: a round then takes several commits, and stories have some."""


@given(steps)
@settings(max_examples=60, deadline=None)
def test_a_crash_anywhere_leaves_the_rows_that_the_facts_make(tmp_path_factory, story):
    with pytest.MonkeyPatch.context() as patch:
        for module, figures in NOW_AND_THEN.items():
            for name, figure in figures.items():
                patch.setattr(module, name, figure)
        asyncio.run(_live(tmp_path_factory.mktemp("shelf"), story))


async def _live(folder, story):  # noqa: C901, PLR0912, PLR0915 - one case a step
    generation, number, open_sales = 0, 0, []
    receipts: dict[int, int] = {}
    ones = 0
    expected = {"a": 0, "b": 0}
    here = folder / "0"
    here.mkdir()
    manager = opened(here)
    store = await manager.__aenter__()
    try:
        for what, skus in story:
            number += 1
            match what:
                case "sell":
                    receipt = await store.write(selling(event(number), skus=tuple(skus)))
                    receipts[number] = receipt
                    for sku in skus:
                        expected[sku] -= 1000
                case "deliver":
                    await store.write(
                        lambda u, n=number, s=skus: u.append(delivery(**{s: 5000}), event(n))
                    )
                    expected[skus] += 5000
                case "tender":
                    work = selling(
                        event(number), skus=tuple(skus), stage=Stage.TENDERED, method="card"
                    )
                    receipts[number] = await store.write(work)
                    open_sales.append((number, skus))
                case "close" if open_sales:
                    done, sku = open_sales.pop()

                    def close(unit, done=done):
                        unit.append(PaymentSettled(0, approved=True), event(done))
                        unit.holder.close(event(done), SaleClosed(NOW, 5))

                    await store.write(close)
                    expected[sku] -= 1000
                case "void" if open_sales:
                    done, _ = open_sales.pop()
                    await store.write(
                        lambda u, n=done: u.append(SaleVoided(NOW, 5, "no"), event(n))
                    )
                case "fail":
                    with pytest.raises(ZeroDivisionError):
                        await store.write(lambda u, n=number: (selling(event(n))(u), 1 / 0))
                case "fail beside":
                    results = await asyncio.gather(
                        store.write(selling(event(number))),
                        store.write(lambda u, n=number: (selling(event(n * 1000))(u), 1 / 0)),
                        store.write(selling(event(number * 1001))),
                        return_exceptions=True,
                    )
                    receipts[number], _, receipts[number * 1001] = results
                    ones += 2
                case "fold":
                    await store.write(lambda u: u.fold())
                case "pause":
                    work = store._book.rest()
                    if work is not None:
                        await store.write(work)
                case "rebuild":
                    await store.write(lambda u: base.rebuild(u._views, u._db, u._journal.ids()))
                case "kill":  # the same life goes on, from what commits have written
                    await store._reader.close()
                    await store._writer.close()
                    store._witness.drop()
                    manager = opened(here)
                    store = await manager.__aenter__()
                case "crash":  # and this is another file, so another life
                    generation += 1
                    there = folder / str(generation)
                    there.mkdir()
                    for file in here.iterdir():
                        shutil.copy(file, there)
                    await manager.__aexit__(None, None, None)
                    here, manager = there, opened(there, incarnation=100 + generation)
                    store = await manager.__aenter__()
            views = await _views(store, receipts)
            assert {n: view.number for n, view in views.items()} == receipts
        for series in {view.series for view in views.values()}:
            numbers = sorted(view.number for view in views.values() if view.series == series)
            assert numbers == list(range(1, len(numbers) + 1))
        assert (await store.figures()).sales == len(views)
        found = await store.stock("1")
        assert (found.quantity_milli if found else 0) == -1000 * ones
        for sku, milli in expected.items():
            found = await store.stock(sku)
            assert (found.quantity_milli if found else 0) == milli
        assert (await store.verify()).findings == []
    finally:
        await manager.__aexit__(None, None, None)
    assert verify_file(here / "karb.sqlite").findings == []


async def _views(store, receipts):
    """Ask for every sale by its event, of the reader and of the writer."""
    views = {number: await store.sale(event(number)) for number in receipts}
    assert views == await store._writer.read(lambda u: {n: u.sale(event(n)) for n in receipts})
    return views


async def test_rows_are_folded_now_and_then(tmp_path, monkeypatch):
    monkeypatch.setattr(shelves, "_FOLD_FACTS", 3)
    monkeypatch.setattr(indexes, "LIST_MANY", 3)
    async with opened(tmp_path) as store:
        for number in range(8):
            await store.write(selling(event(number + 1)))
        assert store._book.shelf._sold.sales < 6
        assert len(store._book.index._kept) < 6
        assert (await store.stock("1")).quantity_milli == -8000
    db = sqlite3.connect(tmp_path / "karb.sqlite")
    (folded,) = db.execute("SELECT folded FROM streams").fetchone()
    (used,) = db.execute("SELECT used FROM rights WHERE cell = '1'").fetchone()
    db.close()
    assert (folded, used) == (9, 8000)  # the life's first fact, and eight sales


async def test_a_pause_folds_what_lags_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(shelves, "_FOLD_LEAST", 3)
    monkeypatch.setattr(writing, "CHECKPOINT_IDLE", 3)
    async with opened(tmp_path) as store:
        for number in range(5):
            await store.write(selling(event(number + 1)))

        async def folded():
            return (await store._rows("SELECT folded FROM streams"))[0][0]

        async with asyncio.timeout(20):
            while await folded() < 6:  # noqa: ASYNC110 - nobody is told of a pause
                await asyncio.sleep(0.01)
        assert (await store.stock("1")).quantity_milli == -5000
        assert (await store.verify()).findings == []


async def test_beyond_the_right_is_on_record_once_stock_is_kept(tmp_path):
    async with opened(tmp_path) as store:

        def sell(number, quantity):
            def work(unit):
                body = sale(number, skus=("a",), quantity=quantity)
                unit.holder.take_over(event(number), unit.holder.shortage({"a": quantity}))
                unit.append(body, event(number))

            return work

        def deliver(number, milli):
            def work(unit):
                unit.append(delivery(a=milli), event(number))
                unit.holder.received(event(number), {"a": milli})

            return work

        await store.write(sell(1, 2000))  # nobody keeps stock of it yet
        assert (await store.stock("a"))[1:5] == (-2000, -2000, 0, 0)
        await store.write(deliver(2, 1000))
        assert (await store.stock("a"))[1:5] == (-1000, 0, 0, 1000)
        await store.write(deliver(3, 5000))
        assert (await store.stock("a"))[1:5] == (4000, 4000, 0, 0)
        await store.write(sell(4, 5000))
        assert (await store.stock("a"))[1:5] == (-1000, 0, 0, 1000)
        lost = GoodsMoved(Movement.WRITTEN_OFF, NOW, 5, CellLines.by_cell({"a": 500}), "broken")
        await store.write(lambda unit: unit.holder.moved(event(5), lost))
        assert (await store.stock("a"))[1:5] == (-1500, 0, 0, 1500)
        assert (await store.verify()).findings == []
