"""What became of cut points: counted by way and outcome, and printed by a command."""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Tally:
    """What came of the cut points of one way."""

    points: int = 0
    outcomes: Counter = field(default_factory=Counter)
    unknown: list = field(default_factory=list)
    """Where Karb did not know although the device could be asked."""


def command(module, prove, rigs, what, because=None):
    """Run the proof for the drivers that are named, or all; print what was counted.

    Args:
        module: Its name, for the usage.
        prove: Of a driver's name, a folder and `every`: bytes both ways, and tallies by way.
        rigs: The drivers there are.
        what: What crosses the line, and to whom: "a sale", "printer".
        because: Driver to why some cut points end unknown.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("drivers", nargs="*", choices=[*rigs, []], default=[])
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each Nth byte only")
    options = parser.parse_args()
    for name in options.drivers or rigs:
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            size, tallies = asyncio.run(prove(name, Path(folder), every=options.every))
            print(table(name, size, tallies, what, because))
            print(f"  {time.monotonic() - began:.1f} s", flush=True)


def table(name, size, tallies, what, because=None):
    """What `command` prints of one driver."""
    order, device = what
    rows = [f"{name}: {order} is {size[0]} bytes to the {device}, {size[1]} back"]
    for way, tally in tallies.items():
        counts = ", ".join(f"{kind} {n}" for kind, n in sorted(tally.outcomes.items()))
        rows.append(
            f"  {way:20} {tally.points:6} cut points: {counts}; unknown {len(tally.unknown)}"
        )
    if because and because[name]:
        rows.append(f"  unknown where {because[name]}")
    return "\n".join(rows)
