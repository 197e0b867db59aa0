import asyncio
import socket

import pytest

from hw.errors import DeviceMisconfigured, DeviceUnavailable
from hw.escpos.simulator import EscposSimulator
from hw.transports import open_transport, usb
from hw.transports.link import Link
from hw.transports.pty import PtyPort
from tests.contract.usb_printer import UsbSocket


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/dev/ttyUSB0",
        "usb:1234",
        "usb:04b8:02",
        "usb:04b8:0202:",
        "usb:04b8:0202:a b",
        "tcp",
        "tcp:",
        "tcp:host",
        "tcp:host:0",
        "tcp:host:99999",
        "tcp:host:9100/x",
        "tcp:user@host:9100",
        "tcp:[::1:9100",
        "serial:ttyUSB0",
        "serial:/dev/x?baud=9600",
        "serial:/dev/x?baudrate=fast",
        "serial:/dev/x?baudrate=0",
        "serial:/dev/x?parity=mark",
        "serial:/dev/x?bits",
    ],
)
async def test_a_wrong_url_is_named_with_what_was_expected(url):
    with pytest.raises(DeviceMisconfigured) as caught:
        await open_transport(url, timeout_s=1)
    assert repr(url) in caught.value.problem
    assert "expected" in caught.value.problem
    assert caught.value.cure


async def test_nobody_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        with pytest.raises(DeviceUnavailable, match="expected a device to answer"):
            await open_transport(f"tcp:127.0.0.1:{taken.getsockname()[1]}", timeout_s=5)


async def test_no_such_port(tmp_path):
    with pytest.raises(DeviceUnavailable, match="No such file"):
        await open_transport(f"serial:{tmp_path}/none", timeout_s=5)


async def test_a_file_is_no_serial_port(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DeviceMisconfigured):
        await open_transport(f"serial:{tmp_path}/file", timeout_s=5)


@pytest.mark.parametrize("settings", ["", "?baudrate=115200", "?bits=7&parity=even&stopbits=2"])
async def test_bytes_pass_both_ways_over_a_serial_port(tmp_path, settings):
    got: asyncio.Queue[bytes] = asyncio.Queue()
    port = PtyPort(tmp_path / "port", got.put_nowait)
    port.plug()
    transport = await open_transport(port.url + settings, timeout_s=5)
    await transport.write(b"\x10\x04\x01")
    assert await asyncio.wait_for(got.get(), 5) == b"\x10\x04\x01"
    await port.write_all(b"\r\n\x03\x1a\x7f\x00\xff"[: 6 if "bits=7" in settings else 7])
    assert (await asyncio.wait_for(transport.read(100), 5)).startswith(b"\r\n\x03\x1a\x7f\x00")
    port.unplug()
    with pytest.raises(DeviceUnavailable, match="lost"):
        await asyncio.wait_for(transport.read(100), 5)
    await transport.close()
    await transport.close()


async def test_pulling_the_cable_frees_a_writer_that_waits(tmp_path):
    port = PtyPort(tmp_path / "port", lambda _: None)
    port.plug()
    writing = asyncio.create_task(port.write_all(b"x" * 1_000_000))  # nobody reads
    await asyncio.sleep(0)
    assert not writing.done()
    port.unplug()
    await asyncio.wait_for(writing, 5)


class Pipe:
    """A transport for tests of what is above it."""

    def __init__(self):
        self.incoming: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.closed = 0

    async def read(self, _limit):
        item = await self.incoming.get()
        if isinstance(item, Exception):
            raise item
        return item

    async def write(self, data):
        pass

    async def close(self):
        self.closed += 1


async def test_a_link_whose_reader_stumbles_is_lost():
    pipe, lost = Pipe(), asyncio.Event()
    link = Link(pipe, lambda data: 1 / len(data[1:]), lost.set)
    pipe.incoming.put_nowait(b"ab")
    pipe.incoming.put_nowait(b"a")
    await asyncio.wait_for(lost.wait(), 5)
    assert "stopped" in link.why_lost.problem
    with pytest.raises(DeviceUnavailable):
        await link.write(b"x")
    with pytest.raises(ZeroDivisionError):
        link._reader.result()
    await link.close()


async def test_closing_a_link_tells_those_who_wait():
    pipe = Pipe()
    link = Link(pipe, lambda _: None, lambda: None)
    waiting = asyncio.create_task(link.lost())
    await asyncio.sleep(0)
    await link.close()
    assert isinstance(await waiting, DeviceUnavailable)
    assert pipe.closed == 1


async def test_usb_says_what_is_not_there_or_cannot_be_told_apart():
    cable = EscposSimulator().cable
    one, other = UsbSocket(cable, "ONE"), UsbSocket(cable, "TWO")
    one.plug()
    other.plug(port=one.port)
    usb.backend = one.backend()
    try:
        with pytest.raises(DeviceMisconfigured, match="found 2"):
            await open_transport("usb:04b8:0202", timeout_s=5)
        for url in ("usb:04b8:0202:THREE", "usb:04b8:0203"):
            with pytest.raises(DeviceUnavailable, match="none of the sockets"):
                await open_transport(url, timeout_s=5)
        transport = await open_transport("usb:04b8:0202:TWO", timeout_s=5)
        await transport.write(b"\x10\x04\x01")
        assert await transport.read(100) == b"\x12"
        await transport.close()
        with pytest.raises(DeviceUnavailable):
            await transport.write(b"late")
        with pytest.raises(DeviceUnavailable):
            await transport.read(1)
    finally:
        usb.backend.close()
        usb.backend = None
        await cable.close()
        one.unplug()
        other.unplug()
