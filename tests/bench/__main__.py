"""Prints the tables of the benches named on the command line, or of all."""

import sys
from importlib import import_module

from rich.console import Console
from rich.table import Table

BENCHES = {
    "edge": ("tests.bench.edge_sales", "An edge node: durable sales"),
    "central": ("tests.bench.central_ingest", "Central: a backlog taken in over TLS"),
    "wire": ("tests.bench.wire", "Bytes per sale on the wire"),
    "merge": ("tests.bench.merge_cost", "A stock delta merged, beside document libraries"),
    "catalogue": ("tests.bench.catalogue", "A large catalogue, and one price to many stores"),
    "promotions": ("tests.bench.promotions", "A basket of 40 lines and 500 live promotions"),
    "devices": ("tests.bench.devices", "Devices: scans, printers, jobs"),
    "memory": ("tests.bench.memory", "Memory of an edge node"),
}


def main() -> int:
    """Run what was asked for."""
    wanted = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in wanted if name not in BENCHES]
    if unknown:
        print(f"{unknown[0]!r}: expected one of {', '.join(BENCHES)}.", file=sys.stderr)
        return 2
    console = Console(width=150)
    for name in wanted:
        module, title = BENCHES[name]
        table = Table("what", "figure", "ratio", title=title, title_justify="left")
        for row in import_module(module).run():
            table.add_row(*row)
        console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
