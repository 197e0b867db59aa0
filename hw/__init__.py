"""Devices: bytes in, outcomes out. Nothing here knows what a sale is.

What lives here:

- `device`: the small protocols the rest of Karb sees (`Scanner`, `ReceiptPrinter`,
  `FiscalPrinter`, `PaymentTerminal`, `Scale`,
  `CustomerDisplay`).
- `slip`, `layout`: what a printer is asked to print, and how it fits the paper.
- `fiscal`: what a fiscal printer is asked, and what it says of itself.
- `fiscal_settings`: the options both fiscal drivers have.
- `jobs`, `memory`: what was ordered and how far it came, noted before each next step; the
  seam through which the program gives a driver its own store.
- `payment`, `terminal`: a payment attempt, step by step, and what every terminal's driver
  does alike; `card`: the allow-list that keeps card numbers out.
- `scanning`: what every scanner's driver does alike.
- `weight`, `scale`: what a weight to sell by is, and what every scale's driver does alike.
- `answer`: what comes back over HTTP, never more than it may be.
- `outcome`, `errors`: how an order to a device ends, and how a device fails.
- `drawer`: a cash drawer on a printer's plug, watched.
- `registry`: the literal table of drivers. A driver is imported only when configured,
  so a missing library of one device cannot stop the till.
- `spool`, `spooler`: printing jobs in a file of their own, and the tasks that put them on paper.
- `supervisor`: connects, reconnects and reports; one task per device.
- `transports/`: serial ports, USB, sockets and keyboards, chosen by URL.
- `scanner/`, `escpos/`, `posnet/`, `noviapi/`, `ecreft/`, `nexo/`, `standalone/`, `toledo/`,
  `mtsics/`, `evdev/`, `linedisplay/`, `nfc/`: one folder per
  protocol, always with a pure
  `codec`, a `driver` and a `simulator` that speaks the same bytes on a real socket or
  pseudo-terminal (`console` reads the accidents a person types at it; `machine` is the
  simulated printer without its cable, `simulated_line` the one cable of them all,
  `fiscal_machine` what both fiscal ones have inside, `fiscal_faults` what can go wrong with
  them, `paper` what comes out, `acquirer` the books of the simulated terminals,
  `simulated_pan` what lies on the simulated scales).

It may import the standard library, structlog, serialx, in `transports/usb` pyusb, in `noviapi`
and `nexo` aiohttp, in `nexo` msgspec and cryptography, in `nfc` nfcpy and ndeflib, in
`escpos/codec` python-escpos, in `paper` and `escpos/raster` the three libraries that come with
it. It never imports `edge`, `sync` or `central`, and never calls back into them except through
the function the supervisor was given for scans.

To add a device:

1. a folder named after its protocol, with `codec`, `driver` and `simulator`;
2. a row in `registry.DRIVERS`;
3. a recording of the real device's bytes in `tests/recordings/`, when one can be had;
4. a rig in `tests/contract/rigs.py`, and the contract suite of its kind green.
"""
