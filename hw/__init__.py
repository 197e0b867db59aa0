"""Devices: bytes in, outcomes out. Nothing here knows what a sale is.

What lives here:

- `device`: the small protocols the rest of Karb sees (`Scanner`, `ReceiptPrinter`).
- `slip`, `layout`: what a printer is asked to print, and how it fits the paper.
- `outcome`, `errors`: how an order to a device ends, and how a device fails.
- `registry`: the literal table of drivers. A driver is imported only when configured,
  so a missing library of one device cannot stop the till.
- `supervisor`: connects, reconnects and reports; one task per device.
- `transports/`: serial ports and sockets, chosen by URL.
- `scanner/`, `escpos/`: one folder per protocol, always with a pure `codec`, a `driver`
  and a `simulator` that speaks the same bytes on a real socket or pseudo-terminal
  (`console` reads the accidents a person types at it; `escpos/machine` is the simulated
  printer without its cable).

It may import the standard library, structlog, serialx and (in `escpos/codec` only)
python-escpos. It never imports `edge`, `sync` or `central`, and never calls back into
them except through the function the supervisor was given for scans.

To add a device:

1. a folder named after its protocol, with `codec`, `driver` and `simulator`;
2. a row in `registry.DRIVERS`;
3. a recording of the real device's bytes in `tests/recordings/`, when one can be had;
4. a rig in `tests/contract/rigs.py`, and the contract suite of its kind green.
"""
