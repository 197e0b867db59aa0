"""A USB printer in user space: the simulated printer on a virtual device, reached by USB/IP.

The device and the host's half are two libraries that we did not write; libusb and the kernel are
what is missing of the true way.
"""

import asyncio
import socket
from contextlib import suppress

from usbip import In, Interface, Out, USBDevice
from usbip.transport import USBIP
from usbip_backend import USBIPBackend

from hw.simulated_line import Cable

NAK_S = 0.02
"""The host's library cannot give up a read: the device ends it, as if there were nothing to say."""

VENDOR, PRODUCT, SERIAL = 0x04B8, 0x0202, "J6DZ001"


class _Printer(Interface):
    bInterfaceClass, bInterfaceSubClass, bInterfaceProtocol = 0x07, 0x01, 0x02  # noqa: N815
    bulk_out = Out(0x01, "bulk", mps=64)
    bulk_in = In(0x82, "bulk", mps=64)

    def __init__(self, hear):
        super().__init__()
        self.hear = hear

    def on_out(self, _ep, data):
        self.hear(data)

    def on_control(self, _setup, _data=b""):
        return b""


class Backend(USBIPBackend):
    """Tells the serial number, too: the library leaves it out of its descriptors."""

    def get_device_descriptor(self, dev):
        told = super().get_device_descriptor(dev)
        told.iSerialNumber = self._get_device_descriptor_raw(dev)[16]
        return told

    def close(self):
        for line in self._conns.values():
            line.close()


class UsbSocket:
    """Where a cable of a simulator is plugged in."""

    def __init__(self, cable: Cable, serial: str = SERIAL):
        self._cable, self._serial = cable, serial
        self._device = None
        self.port = 0

    def plug(self, port=0):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = port or free.getsockname()[1]
        loop = asyncio.get_running_loop()
        received = asyncio.Queue()

        def hear(data):
            with suppress(RuntimeError):  # the loop ended first
                loop.call_soon_threadsafe(received.put_nowait, bytes(data))

        self._device = USBDevice(
            VENDOR, PRODUCT, manufacturer="K", product="P", serial=self._serial
        )
        printer = self._printer = self._device.add(_Printer(hear))
        self._device.plug(via=USBIP("127.0.0.1", self.port))
        self._ticking = asyncio.create_task(_naks(printer.bulk_in), name="usb device")

        def drop():
            self.unplug()
            received.put_nowait(b"")

        self._cable.join(received.get, printer.bulk_in.write, drop)

    def unplug(self):
        if self._device is not None:
            self._ticking.cancel()
            self._printer.bulk_in.stall()  # a read that waits would wait until it is over
            self._device.unplug()
            self._device = None

    def backend(self):
        return Backend("127.0.0.1", self.port)


async def _naks(bulk_in):
    while True:
        await asyncio.sleep(NAK_S)
        if bulk_in._pending and not bulk_in._q:
            bulk_in.write(b"")
