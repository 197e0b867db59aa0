"""What every scanner driver must do."""

import asyncio

import pytest

from hw.errors import DeviceUnavailable
from tests.contract.rigs import EvdevScannerRig, FramedScannerRig, SerialScannerRig
from tests.hw.until import PATIENCE_S, until

EAN = "5901234123457"


RIGS = [SerialScannerRig, FramedScannerRig, EvdevScannerRig]


@pytest.fixture(params=RIGS, ids=["serial", "framed", "evdev"])
async def rig(request, tmp_path):
    rig = request.param(tmp_path)
    rig.driver = await rig.start()
    yield rig
    await rig.driver.close()
    await rig.stop()


async def take(driver, count):
    scans = []
    async with asyncio.timeout(PATIENCE_S):
        async for scan in driver.scans():
            scans.append(scan)
            if len(scans) == count:
                return scans
    raise AssertionError


async def test_gives_what_was_scanned(rig):
    await rig.driver.open()
    await rig.simulator.scan(EAN)
    [scan] = await take(rig.driver, 1)
    assert (scan.data, scan.device, scan.till) == (EAN, "scanner", "1")
    assert 0 <= asyncio.get_running_loop().time() - scan.at_s < PATIENCE_S


async def test_a_burst_loses_nothing_and_keeps_order(rig):
    codes = [f"{number:013}" for number in range(1000)]
    await rig.driver.open()

    async def burst():
        for code in codes:
            await rig.simulator.scan(code)

    _, scans = await asyncio.gather(burst(), take(rig.driver, len(codes)))
    assert [scan.data for scan in scans] == codes


async def test_gs1_separators_and_polish_letters_survive(rig):
    code = "]d2010590123412345710ŁÓDŹ\x1d21ABC"
    await rig.driver.open()
    await rig.simulator.scan(code)
    assert [scan.data for scan in await take(rig.driver, 1)] == [code]


async def test_noise_is_no_scan(rig):
    await rig.driver.open()
    await rig.simulator.noise()
    await rig.simulator.scan(EAN)
    assert [scan.data for scan in await take(rig.driver, 1)] == [EAN]


async def test_half_a_code_does_not_spoil_the_next(rig):
    await rig.driver.open()
    await rig.simulator.scan_cut("99999999")
    splitter = rig.driver._splitter
    await until(lambda: splitter.dropped == 1, what="the half was forgotten after silence")
    await rig.simulator.scan(EAN)
    assert [scan.data for scan in await take(rig.driver, 1)] == [EAN]


async def test_unplugging_is_told_and_replugging_works(rig):
    await rig.driver.open()
    await rig.simulator.scan(EAN)
    await take(rig.driver, 1)
    rig.simulator.unplug()
    with pytest.raises(DeviceUnavailable):
        await take(rig.driver, 1)
    assert isinstance(await rig.driver.lost(), DeviceUnavailable)
    await rig.driver.close()
    with pytest.raises(DeviceUnavailable):
        await rig.driver.open()
    rig.simulator.plug()
    await rig.driver.open()
    await rig.simulator.scan("96385074")
    assert [scan.data for scan in await take(rig.driver, 1)] == ["96385074"]


async def test_codes_read_before_the_loss_are_given(rig):
    await rig.driver.open()
    await rig.simulator.scan(EAN)
    await until(lambda: rig.driver._waiting, what="read by the driver")
    rig.simulator.unplug()
    await rig.driver.lost()
    assert [scan.data for scan in await take(rig.driver, 1)] == [EAN]


async def test_the_port_is_ours_alone(rig):
    await rig.driver.open()
    other = type(rig)(rig.folder)
    from hw.registry import load  # noqa: PLC0415 - only here

    second = load(other.config)
    with pytest.raises(DeviceUnavailable, match="locked"):
        await second.open()


async def test_close_is_harmless_whenever(rig):
    await rig.driver.close()
    await rig.driver.open()
    await rig.driver.close()
    await rig.driver.close()
    await rig.driver.open()
    await rig.simulator.scan(EAN)
    assert len(await take(rig.driver, 1)) == 1


async def test_twenty_scans_a_second_for_a_minute_lose_none(rig):
    """As fast as they can be sent: time only helps."""
    codes = [f"{5_900_000_000_000 + number}" for number in range(1200)]
    await rig.driver.open()
    taken = asyncio.create_task(take(rig.driver, len(codes)))
    for code in codes:
        await rig.simulator.scan(code)
    assert [scan.data for scan in await taken] == codes
