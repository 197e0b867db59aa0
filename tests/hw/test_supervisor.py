import asyncio

import pytest
from structlog.testing import capture_logs

from hw.errors import DeviceMisconfigured
from hw.escpos.simulator import EscposSimulator
from hw.outcome import Done, Refused, Unknown, concluded
from hw.registry import DeviceConfig
from hw.scanner.simulator import ScannerSimulator
from hw.slip import Cut, Slip, TextLine
from hw.supervisor import Supervisor
from tests.hw.until import PATIENCE_S, until


class Bench:
    """A supervisor with its happenings recorded, and no waiting between attempts."""

    def __init__(self, *configs, **options):
        self.scans = asyncio.Queue()
        self.changes = asyncio.Queue()
        self.waits = []
        self.supervisor = Supervisor(
            configs,
            on_scan=options.pop("on_scan", self.scans.put_nowait),
            on_change=self.changes.put_nowait,
            sleep=self.sleep,
            jitter=lambda: 1.0,
            **options,
        )

    async def sleep(self, seconds):
        self.waits.append(seconds)
        await asyncio.sleep(0.001)

    async def __aenter__(self):
        await self.supervisor.start()
        return self

    async def __aexit__(self, *_):
        await self.supervisor.close()

    async def until(self, device, state):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                change = await self.changes.get()
                if (change.id, change.state) == (device, state):
                    return change

    async def next_scan(self):
        return await asyncio.wait_for(self.scans.get(), PATIENCE_S)


def scanner(simulator, **fields):
    return DeviceConfig(**{"id": "s", "driver": "scanner.serial", "url": simulator.url} | fields)


def printer(url, **fields):
    return DeviceConfig(**{"id": "p", "driver": "printer.escpos", "url": url} | fields)


@pytest.fixture
def simulated(tmp_path):
    return ScannerSimulator(tmp_path / "scanner")


async def test_unplug_and_replug(simulated):
    simulated.plug()
    with capture_logs() as logs:
        async with Bench(scanner(simulated, till="7")) as bench:
            await bench.until("s", "connected")
            await simulated.scan("111")
            scan = await bench.next_scan()
            assert (scan.data, scan.device, scan.till) == ("111", "s", "7")
            for round_ in range(3):
                simulated.unplug()
                lost = await bench.until("s", "lost")
                assert lost.problem
                assert lost.cure
                simulated.plug()
                back = await bench.until("s", "connected")
                assert (back.problem, back.cure) == (None, None)
                await simulated.scan(f"after {round_}")
                assert (await bench.next_scan()).data == f"after {round_}"
    simulated.unplug()
    events = [entry["event"] for entry in logs]
    assert events == ["device.connected"] + ["device.lost", "device.connected"] * 3


async def test_absence_is_logged_once_and_waits_grow_to_the_cap(simulated):
    with capture_logs() as logs:
        async with Bench(scanner(simulated), first_wait_s=0.25, longest_wait_s=3.0) as bench:
            await bench.until("s", "lost")
            await until(lambda: len(bench.waits) >= 8)
            assert bench.waits[:6] == [0.25, 0.5, 1.0, 2.0, 3.0, 3.0]
            simulated.plug()
            await bench.until("s", "connected")
    simulated.unplug()
    assert [entry["event"] for entry in logs] == ["device.lost", "device.connected"]
    assert logs[0]["cure"]


async def test_waits_are_jittered(simulated):
    draws = iter([0.5, 0.0, 0.25])
    bench = Bench(scanner(simulated))
    bench.supervisor._jitter = lambda: next(draws, 1.0)
    async with bench:
        await until(lambda: len(bench.waits) >= 3)
    assert bench.waits[:3] == [0.125, 0.0, 0.25]


async def test_a_dead_device_delays_no_other(simulated):
    dead = EscposSimulator()
    host, port = await dead.listen()
    dead.cable.hang(on=True)
    simulated.plug()
    configs = [
        printer(f"tcp:{host}:{port}", till="1", options={"answer_timeout_s": "0.2"}),
        DeviceConfig(id="x", driver="no.such", url="tcp:x:1"),
        scanner(simulated, till="1"),
    ]
    async with Bench(*configs) as bench:
        await bench.until("s", "connected")
        await simulated.scan("5901234123457")
        assert (await bench.next_scan()).data == "5901234123457"
        states = {status.id: status for status in bench.supervisor.statuses()}
        assert list(states) == ["p", "x", "s"]
        assert states["x"].state == "misconfigured"
        assert "no.such" in states["x"].problem
        assert states["p"].state != "connected"
        refused = await bench.supervisor.printer("1").print(Slip("j", (Cut(),)))
        assert isinstance(refused, Refused)
    simulated.unplug()
    await dead.close()


async def test_printer_comes_back_after_an_unknown(simulated):
    simulator = EscposSimulator()
    host, port = await simulator.listen()
    async with Bench(printer(f"tcp:{host}:{port}", till="1")) as bench:
        await bench.until("p", "connected")
        till = bench.supervisor.printer("1")
        assert isinstance(await till.print(Slip("a", (TextLine(text="a"), Cut()))), Done)
        simulator.faults.drop_before = "job"
        await till.print(Slip("b", (TextLine(text="b"), Cut())))
        await bench.until("p", "lost")
        await bench.until("p", "connected")
        assert isinstance(await till.print(Slip("c", (TextLine(text="c"), Cut()))), Done)
        simulator.set_cover(opened=True)
        await till.print(Slip("d", (Cut(),)))
        [status] = bench.supervisor.statuses()
        assert (status.state, status.cure) == ("connected", "Close the cover.")
    assert [receipt.text for receipt in simulator.machine.receipts] == ["a", "c"]
    await simulator.close()


async def test_whose_printer():
    configs = [
        printer("tcp:127.0.0.1:1", id="shared"),
        printer("tcp:127.0.0.1:2", id="own", till="1"),
    ]
    async with Bench(*configs) as bench:
        assert bench.supervisor.printer("1").id == "own"
        assert bench.supervisor.printer("2").id == "shared"
    async with Bench(configs[1]) as bench:
        assert bench.supervisor.printer("2") is None


async def test_a_wrong_setting_found_on_opening_is_told():
    with capture_logs() as logs:
        async with Bench(printer("tcp:127.0.0.1:1", options={"profile": "TM-T88v"})) as bench:
            status = await bench.until("p", "misconfigured")
    assert "TM-T88V" in status.cure
    assert [entry["event"] for entry in logs] == ["device.misconfigured"]


async def test_our_own_bug_stops_one_device_and_is_logged(simulated):
    simulated.plug()

    def explode(_scan):
        raise ZeroDivisionError

    with capture_logs() as logs:
        async with Bench(scanner(simulated), on_scan=explode) as bench:
            await bench.until("s", "connected")
            await simulated.scan("1")
            await until(lambda: bench.supervisor.statuses()[0].state == "failed")
            assert "Restart" in bench.supervisor.statuses()[0].cure
    simulated.unplug()
    assert [entry["event"] for entry in logs] == ["device.connected", "device.failed"]


def test_two_devices_with_one_id_are_a_mistake():
    with pytest.raises(DeviceMisconfigured, match="twice"):
        Supervisor([printer("tcp:h:1"), printer("tcp:h:2")], on_scan=print)


async def test_two_devices_in_one_place_are_refused_and_the_first_goes_on(simulated):
    simulated.plug()
    one = scanner(simulated, till="1")
    real = f"serial:{simulated.url.removeprefix('serial:')}?baudrate=115200"
    with pytest.raises(DeviceMisconfigured, match="is s's"):
        Bench(one, scanner(simulated, id="t", url=real))
    async with Bench(one) as bench:
        await bench.until("s", "connected")
        with pytest.raises(DeviceMisconfigured, match="is s's"):
            await bench.supervisor.add(scanner(simulated, id="t", url=real))
        await simulated.scan("111")
        assert (await bench.next_scan()).data == "111"
    simulated.unplug()


async def test_devices_come_and_go_while_it_runs(simulated):
    simulated.plug()
    async with Bench() as bench:
        await bench.supervisor.add(scanner(simulated, till="1"))
        await bench.until("s", "connected")
        await bench.supervisor.add(scanner(simulated, till="2"))
        await bench.until("s", "connected")
        await simulated.scan("111")
        assert (await bench.next_scan()).till == "2"
        await bench.supervisor.remove("s")
        assert bench.supervisor.statuses() == []
        await bench.supervisor.remove("s")
    simulated.unplug()


async def test_what_is_plugged_in_is_not_waited_for(simulated):
    async with Bench(scanner(simulated)) as bench:
        bench.sleep_for_ever = asyncio.Event()
        bench.supervisor._sleep = lambda _: bench.sleep_for_ever.wait()
        await bench.until("s", "lost")
        simulated.plug()
        await until(
            lambda: bench.supervisor.nudge() or bench.supervisor.statuses()[0].state == "connected"
        )
    simulated.unplug()


@pytest.mark.parametrize("escape", [RuntimeError("bug"), KeyError("x"), None])
async def test_no_driver_escapes_without_an_outcome(escape):
    async def order():
        if escape is not None:
            raise escape
        return "printed"

    with capture_logs() as logs:
        outcome = await concluded("p", order())
    assert isinstance(outcome, Unknown)
    assert logs[0]["log_level"] == "error"
