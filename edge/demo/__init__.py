"""`karb demo`: a chain of shops at work, its links cut, its programs killed, nothing lost.

The real commands run as processes, and are spoken to as anybody would: commands, HTTP, a
serial line, a printer's socket. Two judges compare at the end: Karb's own answers, and
plain `sqlite3` over the closed files against the data set.

    cashier ──scans──▶ pty ──▶ karb run ──▶ link cutter ──▶ karb-central run
        └────HTTP──────────────▶   └──▶ printer simulator

* `show`: the evening from beginning to end; it reads like a list. `evening`: its parts.
* `baskets`, `sample`: something to sell: real shoppers' baskets, or made-up Polish ones;
  `goods` shares them out to shops.
* `head_office`, `shop`, `machine`: what is installed and run; `processes` keeps it alive.
* `link`: a line to head office or a plug in the LAN, to be cut; it counts bytes.
* `neighbours`: what two nodes of one store must do while nobody else hears them.
* `cashier`: sells a basket exactly once, whatever dies meanwhile; `till_client`: HTTP.
* `sums`, `paper`: the second judge; `screen`, `keys`: what the visitor sees and presses.

Imports `sync.rules`, `hw` simulators and edge's own file names; never `central`.
"""


def main(stores: int = 3, baskets: int = 150, seed: int = 1, *, once: bool = False) -> int:
    """Show it; return the exit status, 0 only if every difference is zero.

    Args:
        stores: How many shops.
        baskets: How many each sells before the sums are taken.
        seed: Of which baskets, and of what is cut and killed.
        once: End after the table, even in a terminal.
    """
    from edge.demo.show import present  # noqa: PLC0415 - baskets alone need none of it

    return present(stores, baskets, seed, once=once)
