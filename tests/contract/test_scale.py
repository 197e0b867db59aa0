"""What every scale driver must do: a weight to sell by, or none with the reason. Never a guess."""

import asyncio

import pytest

from hw.errors import DeviceMisconfigured, DeviceUnavailable
from hw.weight import NoWeight, Weight
from tests.contract.rigs import MtsicsRig, SerialMtsicsRig, SerialToledoRig, ToledoRig
from tests.hw.until import PATIENCE_S, until

RIGS = [ToledoRig, SerialToledoRig, MtsicsRig, SerialMtsicsRig]
NAMES = ["toledo", "toledo serial", "mtsics", "mtsics serial"]


@pytest.fixture(params=RIGS, ids=NAMES)
async def rig(request, tmp_path):
    rig = request.param(tmp_path)
    rig.scale = await rig.start()
    await rig.scale.open()
    yield rig
    await rig.scale.close()
    await rig.stop()


async def weigh(scale):
    return await asyncio.wait_for(scale.weigh(), PATIENCE_S)


async def reason(rig):
    told = await weigh(rig.scale)
    assert isinstance(told, NoWeight), told
    assert told.problem
    assert told.cure
    return told.reason


@pytest.mark.parametrize("grams", [1, 5, 735, 1000, 14_999, 15_000])
async def test_a_weight_at_rest(rig, grams):
    rig.obey(f"put {grams}")
    before = asyncio.get_running_loop().time()
    told = await weigh(rig.scale)
    assert isinstance(told, Weight)
    assert told.grams == grams
    assert before <= told.at_s <= asyncio.get_running_loop().time()
    assert rig.scale.health().problem is None


async def test_there_is_no_weight_and_the_reason_is_told(rig):
    assert await reason(rig) == "empty"
    rig.obey("put 735")
    rig.obey("moving on")
    assert await reason(rig) == "unstable"
    rig.obey("moving off")
    rig.obey("put 15001")
    assert await reason(rig) == "over"
    assert rig.scale.health().problem
    rig.obey("put -20")
    assert await reason(rig) == "under"
    rig.obey("put 735")
    rig.obey("busy on")
    assert await reason(rig) == "busy"
    rig.obey("busy off")
    assert (await weigh(rig.scale)).grams == 735
    assert rig.scale.health().problem is None


async def test_a_weight_that_comes_to_rest_in_time_is_waited_for(rig):
    rig.scale._settle_s = 5.0
    rig.obey("put 500")
    rig.obey("moving on")
    weighing = asyncio.create_task(rig.scale.weigh())
    await asyncio.sleep(0)
    rig.obey("moving off")
    assert (await asyncio.wait_for(weighing, PATIENCE_S)).grams == 500


async def test_noise_and_repeated_answers_change_nothing(rig):
    for accident in ("noise", "twice"):
        rig.obey(f"{accident} on")
        for grams in (120, 3456):
            rig.obey(f"put {grams}")
            assert (await weigh(rig.scale)).grams == grams
        rig.obey(f"{accident} off")


async def test_an_old_answer_is_never_taken_for_a_new_one(rig):
    """The goods before were heavier; their answer comes first now."""
    rig.obey("put 9000")
    assert (await weigh(rig.scale)).grams == 9000
    rig.obey("stale on")
    rig.obey("put 250")
    assert (await weigh(rig.scale)).grams == 250
    rig.obey("put 0")
    assert await reason(rig) == "empty"


@pytest.mark.parametrize("accident", ["drop-before", "drop-after", "half"])
async def test_a_line_that_falls_is_no_weight_and_told_as_lost(rig, accident):
    rig.obey("put 735")
    rig.obey(f"{accident} {rig.order}")
    assert await reason(rig) == "unavailable"
    assert isinstance(await rig.scale.lost(), DeviceUnavailable)
    await rig.scale.close()
    assert await reason(rig) == "unavailable"
    await rig.scale.open()
    assert (await weigh(rig.scale)).grams == 735


async def test_cut_at_every_byte_it_is_the_weight_or_none(rig):
    rig.obey("put 1234")
    told = set()
    for way in ("cut-in", "cut-out"):
        for byte in range(1, 44):
            rig.obey(f"{way} {byte}")
            weighed = await weigh(rig.scale)
            assert getattr(weighed, "grams", 1234) == 1234
            told.add(getattr(weighed, "reason", "weighed"))
            rig.simulator.cable.faults.cut_in = rig.simulator.cable.faults.cut_out = None
            await rig.scale.close()
            await rig.scale.open()
    assert told == {"weighed", "unavailable"}


async def test_a_scale_that_falls_silent_is_given_up_and_its_late_answer_meets_nobody(rig):
    await rig.scale.close()
    rig.scale = rig.make(answer_timeout_s="0.1")
    await rig.scale.open()
    rig.obey("put 9000")
    rig.obey("hang on")
    assert await reason(rig) == "unavailable"
    assert isinstance(await rig.scale.lost(), DeviceUnavailable)
    await rig.scale.close()
    with pytest.raises(DeviceUnavailable, match="got none"):
        await rig.scale.open()
    rig.obey("hang off")
    rig.obey("put 250")
    await rig.scale.open()
    assert (await weigh(rig.scale)).grams == 250


async def test_a_cable_that_is_pulled_is_noticed_with_nobody_weighing(rig):
    rig.obey("power")
    assert isinstance(await asyncio.wait_for(rig.scale.lost(), PATIENCE_S), DeviceUnavailable)


async def test_close_is_harmless_whenever(rig):
    await rig.scale.close()
    await rig.scale.close()
    assert await reason(rig) == "unavailable"
    await rig.scale.open()
    rig.obey("put 1")
    assert (await weigh(rig.scale)).grams == 1


async def test_two_who_ask_at_once_are_both_told(rig):
    rig.obey("put 735")
    told = await asyncio.gather(*(weigh(rig.scale) for _ in range(4)))
    assert [one.grams for one in told] == [735] * 4


async def test_another_scale_than_configured_is_refused(tmp_path):
    rig = MtsicsRig(tmp_path)
    await rig.start()
    try:
        scale = rig.make(serial_number="99")
        with pytest.raises(DeviceMisconfigured, match="expected serial number '99'"):
            await scale.open()
        scale = rig.make(serial_number=rig.simulator.serial)
        await scale.open()
        await scale.close()
    finally:
        await rig.stop()


async def test_the_independent_emulator_is_weighed_with(tmp_path):
    from mtsics.core.state import ScaleState  # noqa: PLC0415 - of this test alone
    from mtsics.profiles import load as profile  # noqa: PLC0415
    from mtsics.protocol.engine import MTSICSEngine  # noqa: PLC0415
    from mtsics.transport.tcp import TCPConfig, TCPTransport  # noqa: PLC0415

    for name, weight, grams in (
        ("ohaus-ranger7000", 12.345, 12_345),
        ("mt-ms3002s", 734.6, 735),
        ("sartorius-practum6100", 5999.9, 6000),
    ):
        state = ScaleState(config=profile(name))
        transport = TCPTransport(MTSICSEngine(state), cfg=TCPConfig(host="127.0.0.1", port=0))
        host, port = await transport.start()
        rig = MtsicsRig(tmp_path)
        rig.url = f"tcp:{host}:{port}"
        rig.scale = scale = rig.make(serial_number=state.config.serial_number)
        try:
            await scale.open()
            assert await reason(rig) == "empty"
            state.set_weight(weight)
            assert (await weigh(scale)).grams == grams
            state._stable = False
            assert await reason(rig) == "unstable"
            state.set_weight(state.config.capacity * 2)
            assert await reason(rig) == "over"
        finally:
            await scale.close()
            await transport.close()
            await until(lambda: True)
