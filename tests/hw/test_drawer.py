"""A drawer is open, closed, or open too long; and nobody says what nobody can see."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.device import CashDrawer
from hw.drawer import DrawerWatch
from hw.errors import DeviceMisconfigured, DeviceRefused
from hw.escpos.simulator import EscposSimulator, obey
from hw.outcome import Done, Unknown
from hw.registry import DeviceConfig, load
from hw.slip import OpenDrawer, Slip
from hw.spool import Order, Spool
from tests.hw.until import PATIENCE_S

looks = st.lists(st.tuples(st.booleans(), st.floats(0, 50)), max_size=30)


@given(st.sampled_from(["high", "low"]), looks)
def test_what_is_told_is_what_is_seen(level, seen):
    watch, now, told = DrawerWatch(level, 60.0), 0.0, []
    opened_at = None
    for is_open, passed in seen:
        now += passed
        changes = watch.seen(high=is_open == (level == "high"), now_s=now)
        told += [state for state, _ in changes]
        assert watch.open == is_open
        if is_open and opened_at is None:
            opened_at = now
        assert watch.too_long == (is_open and now - opened_at >= 60)
        if not is_open:
            opened_at = None
    for before, after in zip(["closed", *told], told, strict=False):
        assert (before, after) in {
            ("closed", "open"),
            ("open", "closed"),
            ("open", "open_too_long"),
            ("open_too_long", "closed"),
        }


def test_how_long_it_was_open():
    watch = DrawerWatch("high", 60.0)
    assert watch.seen(high=False, now_s=1.0) == []
    assert watch.seen(high=True, now_s=5.0) == [("open", 0.0)]
    assert watch.seen(high=True, now_s=64.0) == []
    assert watch.seen(high=True, now_s=65.0) == [("open_too_long", 60.0)]
    assert watch.seen(high=True, now_s=90.0) == []
    assert watch.seen(high=False, now_s=95.0) == [("closed", 90.0)]


@given(looks)
def test_without_a_level_nothing_is_claimed(seen):
    watch = DrawerWatch("none", 60.0)
    assert [change for high, now in seen for change in watch.seen(high=high, now_s=now)] == []
    assert watch.open is None


@pytest.fixture
async def printer():
    simulator = EscposSimulator()
    host, port = await simulator.listen()
    options = {"drawer": "high", "drawer_poll_s": "0.02", "drawer_too_long_s": "0.05"}
    driver = load(
        DeviceConfig(
            id="p", driver="printer.escpos", url=f"tcp:{host}:{port}", till="1", options=options
        )
    )
    driver.simulator = simulator
    yield driver
    await driver.close()
    await simulator.close()


async def test_the_drawer_of_a_printer_tells_that_it_opened_and_closed(printer):
    assert isinstance(printer, CashDrawer)
    await printer.open()
    changes = printer.drawer_changes()
    first = asyncio.ensure_future(anext(changes))
    assert isinstance(await printer.print(Slip("pulse", (OpenDrawer(),))), Done)
    async with asyncio.timeout(PATIENCE_S):
        seen = [await first, await anext(changes)]
        assert printer.drawer_open
        assert "Close the drawer" in printer.health().cure
        obey(printer.simulator, "drawer closed")
        seen.append(await anext(changes))
    assert [change.state for change in seen] == ["open", "open_too_long", "closed"]
    assert (seen[0].device, seen[0].till) == ("p", "1")
    assert printer.health().problem is None
    assert printer.drawer_open is False
    await changes.aclose()


def test_a_level_that_is_none():
    with pytest.raises(DeviceMisconfigured, match="expected none or high or low"):
        load(DeviceConfig(id="p", driver="printer.escpos", url="tcp:h:1", options={"drawer": "up"}))


def test_a_drawer_nobody_knows_about_is_never_opened_by_an_old_order(tmp_path):
    spool = Spool(tmp_path / "jobs.db")
    spool.add(Order(id="d", kind="drawer", device="p", till="1", elements=(OpenDrawer(),)), 0)
    spool.begin("d")
    spool.end("d", Unknown("no answer", "look"), 1)
    with pytest.raises(DeviceRefused, match="new order"):
        spool.decide("d", "not_printed", "anna", 2)
    assert spool.next("p") is None
    assert spool.decide("d", "cancel", "anna", 3).state == "cancelled"
    spool.close()
