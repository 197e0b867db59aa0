"""What every customer display's driver must do: the buyer sees what is true now."""

import asyncio

import pytest

from hw.device import Row
from hw.errors import DeviceUnavailable
from tests.contract.rigs import LineDisplayRig, SerialLineDisplayRig
from tests.hw.until import PATIENCE_S, until

TOTAL = Row("SUMA", "12,99")


@pytest.fixture(params=[LineDisplayRig, SerialLineDisplayRig], ids=["tcp", "serial"])
async def rig(request, tmp_path):
    rig = request.param(tmp_path)
    rig.display = await rig.start()
    yield rig
    await rig.display.close()
    await rig.stop()


async def seen(rig, top, bottom):
    await until(lambda: [*map(str.split, rig.lines)] == [top.split(), bottom.split()], what=top)


async def test_what_is_shown_is_seen(rig):
    await rig.display.open()
    rig.display.show(Row("Mleko 3,2%", "3,89"), TOTAL)
    await until(lambda: "12,99" in rig.lines[1])
    assert rig.lines == (
        "Mleko 3,2%".ljust(rig.columns - 4) + "3,89",
        "SUMA".ljust(rig.columns - 5) + "12,99",
    )
    rig.display.show(Row("X"), Row())
    await seen(rig, "X", "")


async def test_a_long_name_is_cut_and_its_price_is_not(rig):
    await rig.display.open()
    rig.display.show(Row("Ser gouda plastry 150 g opakowanie", "123,45"), Row("", "9" * 40))
    await until(lambda: "123,45" in rig.lines[0])
    assert rig.lines[0].endswith(" 123,45")
    assert rig.lines[0].startswith("Ser gouda")
    assert rig.lines[1] == "9" * rig.columns


async def test_of_many_the_last_is_seen(rig):
    await rig.display.open()
    for n in range(2000):
        rig.display.show(Row(f"{n}"), TOTAL)
    await seen(rig, "1999", "SUMA 12,99")


async def test_letters_it_lacks_are_shown_by_what_they_are_made_of(rig):
    await rig.display.open()
    rig.display.show(Row("Łosoś wędz. 漢 ½", "5 €"), Row("A\x1b@\x1f$\x01\x01\x0cB\r\nC\x00?"))
    await until(lambda: "A" in rig.lines[1])
    assert rig.lines[0].split() == ["Losos", "wedz.", "12", "5", "EUR"]
    assert rig.lines[1].split() == ["A@$", "B", "C?"]
    assert rig.simulator.screen.strange == 0


async def test_it_shows_what_is_true_when_it_comes_back(rig):
    rig.display.show(Row("before it was there"), Row())
    await rig.display.open()
    await seen(rig, "before it was there", "")
    rig.obey("power")
    assert isinstance(await asyncio.wait_for(rig.display.lost(), PATIENCE_S), DeviceUnavailable)
    rig.display.show(Row("while it was away"), TOTAL)
    await rig.display.close()
    await rig.display.open()
    await seen(rig, "while it was away", "SUMA 12,99")


async def test_cut_at_every_byte_it_comes_back_with_the_truth(rig):
    for byte in range(1, 58, 3):
        await rig.display.open()
        rig.obey(f"cut-in {byte}")
        rig.display.show(Row(f"cut {byte}"), TOTAL)
        await asyncio.wait_for(rig.display.lost(), PATIENCE_S)
        await rig.display.close()
        await rig.display.open()
        await seen(rig, f"cut {byte}", "SUMA 12,99")
        await rig.display.close()


async def test_close_is_harmless_whenever(rig):
    await rig.display.close()
    assert isinstance(await rig.display.lost(), DeviceUnavailable)
    await rig.display.open()
    await rig.display.close()
    await rig.display.close()
    rig.display.show(Row("later"), Row())
    await rig.display.open()
    await seen(rig, "later", "")


async def test_a_display_of_polish_letters_shows_them(tmp_path):
    rig = LineDisplayRig(tmp_path)
    display = await rig.start(code_page="cp852")
    try:
        await display.open()
        display.show(Row("ŻÓŁĆ gęś", "1,00"), Row())
        await until(lambda: rig.lines[0].startswith("ŻÓŁĆ gęś"), what="its letters")
    finally:
        await display.close()
        await rig.stop()
