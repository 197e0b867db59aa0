"""What is plugged in is known by what it is, in whatever socket it is."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hw.discovery import Watch, ports_found, scan
from hw.errors import DeviceMisconfigured, DeviceUnavailable
from hw.evdev.simulator import EvdevSimulator
from hw.ports import find, holder, serial_ports
from hw.registry import DRIVERS, MATCHES, SIMULATORS
from hw.scanner.simulator import ScannerSimulator
from hw.transports import open_transport
from tests.hw.until import PATIENCE_S, until

UEVENT = Path("/sys/class/tty/ttyS0/uevent")


class Machine:
    """A tree as the kernel lays it out under /sys."""

    def __init__(self, root):
        self.root = root

    def plug(self, name, socket, vendor, model, **told):
        device = self.root / "devices/pci0000:00/usb1" / socket
        port = device / f"{socket}:1.0" / name / "tty" / name
        port.mkdir(parents=True)
        for file, text in {"idVendor": vendor, "idProduct": model, **told}.items():
            (device / file).write_text(f"{text}\n")
        (device / f"{socket}:1.0" / "bInterfaceNumber").write_text("00\n")
        (port / "device").symlink_to(device / f"{socket}:1.0" / name)
        links = self.root / "class/tty"
        links.mkdir(parents=True, exist_ok=True)
        (links / name).symlink_to(port)

    def type_on(self, name, socket, vendor, model, keys="fffffffffffffffe", **told):
        device = self.root / "devices/pci0000:00/usb1" / socket
        node = device / f"{socket}:1.0" / "0003:0001" / "input" / "input7"
        (node / "capabilities").mkdir(parents=True)
        for file, text in {"idVendor": vendor, "idProduct": model, **told}.items():
            (device / file).write_text(f"{text}\n")
        (device / f"{socket}:1.0" / "bInterfaceNumber").write_text("00\n")
        (node / "capabilities" / "key").write_text(f"1000000000007 ff9f207ac14057ff {keys}\n")
        (node / name).mkdir()
        (node / name / "device").symlink_to(node)
        links = self.root / "class/input"
        links.mkdir(parents=True, exist_ok=True)
        (links / name).symlink_to(node / name)

    def unplug(self, name):
        (self.root / "class/tty" / name).unlink()

    def plug_usb(self, socket, vendor, model, interface, **told):
        device = self.root / "bus/usb/devices" / socket
        (device / f"{socket}:1.0").mkdir(parents=True)
        for file, text in {"idVendor": vendor, "idProduct": model, **told}.items():
            (device / file).write_text(f"{text}\n")
        (device / f"{socket}:1.0" / "bInterfaceClass").write_text(f"{interface}\n")


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path / "sys")


def test_every_table_speaks_of_drivers_that_exist():
    assert set(MATCHES) <= set(DRIVERS)
    assert set(SIMULATORS) <= set(DRIVERS)


def test_a_device_that_comes_back_in_another_socket_is_the_same(machine):
    machine.plug("ttyACM0", "1-1", "1424", "100B", serial="ZBF2101002392", product="Posnet")
    machine.plug("ttyUSB0", "1-2", "1a86", "7523", product="USB Serial")
    [fiscal, cable] = serial_ports(machine.root)
    assert (fiscal.identity, fiscal.own) == ("usb:1424:100b:ZBF2101002392", True)
    assert (cable.identity, cable.own) == ("port:1-2:1.0", False)
    machine.unplug("ttyACM0")
    assert find(fiscal.identity, machine.root) is None
    machine.plug("ttyACM3", "1-7", "1424", "100B", serial="ZBF2101002392")
    assert find(fiscal.identity, machine.root) == "/dev/ttyACM3"
    assert find("port:1-2:1.0", machine.root) == "/dev/ttyUSB0"


def test_a_printer_on_usb_is_found_and_a_camera_is_not(machine, tmp_path):
    machine.plug_usb("1-1", "04b8", "0202", "07", serial="J6DZ001", manufacturer="EPSON")
    machine.plug_usb("1-2", "0416", "5011", "07", serial="0000")
    machine.plug_usb("1-3", "046d", "0825", "0e", serial="CAM1234")
    found = ports_found(machine.root, tmp_path / "none")
    assert [(one.url, one.drivers, one.bound_by) for one in found] == [
        ("usb:04b8:0202:J6DZ001", ("printer.escpos",), "serial number"),
        ("usb:0416:5011", ("printer.escpos",), "model"),
    ]


def test_two_that_cannot_be_told_apart_are_neither(machine):
    for n in (1, 2):
        machine.plug(f"ttyUSB{n}", f"1-{n}", "067b", "2303", serial="ABCDEF")
    assert find("usb:067b:2303:ABCDEF", machine.root) is None
    assert find("port:1-2:1.0", machine.root) == "/dev/ttyUSB2"


@pytest.mark.parametrize("serial", ["", "0000", "0", " ", "\x00", "1"])
def test_a_serial_number_that_says_nothing_names_nothing(machine, serial):
    machine.plug("ttyUSB0", "1-2", "1a86", "7523", serial=serial)
    [port] = serial_ports(machine.root)
    assert port.identity == "port:1-2:1.0"


def test_a_scan_names_the_drivers_that_match_and_says_how_it_is_bound(machine, tmp_path):
    machine.plug("ttyACM0", "1-1", "1424", "100B", serial="ZBF2101002392")
    machine.plug("ttyUSB0", "1-2", "1a86", "7523")
    fiscal, cable = ports_found(machine.root, tmp_path / "none")
    assert (fiscal.drivers, fiscal.bound_by) == (("fiscal.posnet",), "serial number")
    assert (cable.drivers, cable.bound_by) == (("scanner.serial",), "socket")
    assert fiscal.url == "serial:usb:1424:100b:ZBF2101002392"


def test_a_scanner_that_types_is_found_and_a_keyboard_is_left_to_the_cashier(machine, tmp_path):
    machine.type_on("event3", "1-3", "05E0", "1200", serial="S19015")
    machine.type_on("event4", "1-4", "046d", "c31c", serial="LOGI77")
    machine.type_on("event5", "1-5", "0c2e", "0b61", keys="0", serial="BUTTONS")
    machine.type_on("event6", "1-6", "0c2e", "0b61")
    one, other = ports_found(machine.root, tmp_path / "none")
    assert (one.url, one.drivers, one.bound_by) == (
        "input:usb:05e0:1200:S19015",
        ("scanner.evdev",),
        "serial number",
    )
    assert (other.url, other.bound_by) == ("input:port:1-6:1.0", "socket")
    path = one.url.removeprefix("input:")
    assert find(path, machine.root, kind="input") == "/dev/input/event3"
    assert find(path, machine.root) is None


async def test_a_simulated_scanner_that_types_is_found_while_it_runs(tmp_path, machine):
    (tmp_path / "there").mkdir()
    simulator = EvdevSimulator(tmp_path / "there" / "scanner.evdev-1")
    os.mkfifo(tmp_path / "there" / "scanner.evdev-2")  # of one that was killed
    simulator.plug()
    [found] = ports_found(machine.root, tmp_path / "there")
    assert (found.url, found.drivers) == (simulator.url, ("scanner.evdev",))
    simulator.unplug()


@pytest.mark.parametrize("url", ["input:event3", "input:/dev/null"])
async def test_what_is_no_input_device_is_a_mistake(url):
    with pytest.raises(DeviceMisconfigured, match="expected"):
        await open_transport(url, timeout_s=1)


async def test_what_is_not_plugged_in_says_so_with_the_cure():
    with pytest.raises(DeviceUnavailable, match=r"found it in none.*karb devices scan"):
        await open_transport("serial:usb:ffff:ffff:NONE?baudrate=9600&dtr=off", timeout_s=1)


async def test_a_scan_finds_a_simulated_scanner_and_an_announced_printer(tmp_path, monkeypatch):
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf  # noqa: PLC0415

    monkeypatch.setattr("hw.discovery.simulated", lambda: tmp_path)
    simulator = ScannerSimulator(tmp_path / "scanner.serial-1")
    simulator.plug()
    (tmp_path / "scanner.serial-dead").symlink_to("/dev/pts/none")
    kind = "_pdl-datastream._tcp.local."
    network = AsyncZeroconf(interfaces=["127.0.0.1"])
    info = AsyncServiceInfo(
        kind, f"Kuchnia.{kind}", addresses=[bytes([127, 0, 0, 1])], port=9100, server="k.local."
    )
    await (await network.async_register_service(info))
    try:
        found = await scan(["127.0.0.1"])
    finally:
        await network.async_unregister_service(info)
        await network.async_close()
        simulator.unplug()
    by_url = {one.url: one for one in found}
    assert by_url["tcp:127.0.0.1:9100"].drivers == ("printer.escpos",)
    assert by_url["tcp:127.0.0.1:9100"].label == "Kuchnia"
    assert by_url[simulator.url].drivers == ("scanner.serial",)
    assert not any("dead" in url for url in by_url)


async def test_who_holds_a_port_is_named(tmp_path):
    simulator = ScannerSimulator(tmp_path / "scanner")
    simulator.plug()
    path = simulator.url.removeprefix("serial:")
    code = (
        "import fcntl, os, sys; f = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY); "
        "fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(  # noqa: ASYNC220 - it is there before anything else happens
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert await asyncio.to_thread(other.stdout.readline) == b"held\n"
        assert str(other.pid) in holder(path)
        with pytest.raises(DeviceUnavailable, match=rf"Close .*process {other.pid}"):
            await open_transport(simulator.url, timeout_s=5)
    finally:
        other.send_signal(signal.SIGKILL)
        other.communicate()
        simulator.unplug()


@pytest.mark.skipif(
    os.geteuid() != 0 or not UEVENT.exists(), reason="needs root, and a port ttyS0, for uevents"
)
async def test_the_kernel_tells_at_once_that_something_was_plugged_in():
    told = asyncio.Event()
    watch = Watch(told.set, poll_s=3600.0)
    watch.start()
    try:
        assert watch.hears
        UEVENT.write_text("add")
        await asyncio.wait_for(told.wait(), PATIENCE_S)
    finally:
        await watch.close()


async def test_where_the_kernel_is_not_heard_a_slow_look_sees_it(monkeypatch):
    seen = iter([set(), set(), {Path("ttyACM0")}])
    monkeypatch.setattr("hw.discovery._names", lambda: next(seen, {Path("ttyACM0")}))
    told = []
    watch = Watch(lambda: told.append(1), poll_s=0.001)
    watch._listen = lambda: None
    watch.start()
    try:
        await until(lambda: told)
        assert not watch.hears
    finally:
        await watch.close()
