"""Prints the table."""

import argparse
import asyncio
import base64
import json
import os
import platform
import random
import sqlite3
import sys
import tempfile
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.table import Table

from sync import facts
from tests.bench import data
from tests.bench.peers import kit
from tests.bench.peers.contest import WARM, Contest, Round, write_sales
from tests.bench.peers.systems import SYSTEMS, System

SALES, ROUNDS, TRACED = 2000, 5, 200


def sales(path: Path, n: int) -> tuple[int, int, str]:
    """Write sales of real baskets; return bytes packed, bytes as JSON (a sale), the source."""
    baskets, source = data.lines(stores=20, per_store=-(-n // 20))
    rng = random.Random(0)
    rows = []
    for number, lines in enumerate(baskets[:n], start=1):
        sale = data.sale(lines, number)
        doc = {
            "till": sale.till,
            "cashier": sale.cashier,
            "number": number,
            "at_ms": sale.at_ms,
            "lines": [
                {
                    "sku": row.sku,
                    "quantity_milli": row.quantity_milli,
                    "unit_minor": row.unit_minor,
                    "vat": row.vat,
                }
                for row in lines
            ],
            "payments": [msgspec.to_builtins(p) for p in sale.payments],
        }
        packed = base64.b64encode(facts.encode(sale)).decode()
        rows.append((rng.randbytes(16).hex(), packed, doc))
    write_sales(path, rows)
    packed_size = sum(len(base64.b64decode(row[1])) for row in rows) // len(rows)
    return packed_size, sum(len(json.dumps(row[2])) for row in rows) // len(rows), source


async def once(kind: type[System], path: Path, n: int, *, faults: bool) -> Round:
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as folder:
        try:
            return await Contest(kind(Path(folder)), path, n).run(faults=faults)
        except BaseException:
            for log in sorted(Path(folder).glob("*.log")):
                print(f"--- {log.name}\n{log.read_text()[-2000:]}", file=sys.stderr)
            raise


async def traced(kind: type[System], path: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        folder = Path(name)
        return await Contest(kind(folder, folder), path, TRACED).flushes(folder)


def rows(found: dict[str, list[Round]], flushes: dict[str, dict[str, float]]):
    """Yield a row's name, and its cells in the order of the systems."""

    def each(of, form):
        return [form.format(median(of(one) for one in rounds)) for rounds in found.values()]

    yield "flushed before it is acknowledged", [SYSTEMS[name].flushed for name in found]
    for words, of in (
        ("one till", lambda one: one.alone),
        ("16 tills at once", lambda one: one.sixteen),
    ):
        yield (
            f"recorded at the edge, {words}: sales/s",
            each(lambda one, of=of: of(one)["n"] / of(one)["seconds"], "{:,.0f}"),
        )
        yield "… p50, ms", each(lambda one, of=of: of(one)["p50_ms"], "{:.2f}")
        yield "… p99, ms", each(lambda one, of=of: of(one)["p99_ms"], "{:.2f}")
    yield "reconciled after the outage: sales/s", each(lambda r: r.per_s, "{:,.0f}")
    yield (
        "seconds from the healed line and the next sale until all was there",
        each(lambda r: r.drain_s, "{:.1f}"),
    )
    yield "bytes a sale on the line, both ways", each(lambda r: r.bytes_per_sale, "{:.0f}")
    for what in ("edge, one till", "edge, sixteen", "centre"):
        yield (
            f"flushes a sale: {what}",
            [f"{flushes[name][what]:.3f}" if name in flushes else "?" for name in found],
        )
    whats = dict.fromkeys(what for rounds in found.values() for what in rounds[0].faults)
    for what in whats:
        faults = [[one.faults[what] for one in rounds if one.faults] for rounds in found.values()]
        yield (
            f"{what}: lost / doubled / stuck, of {max(map(len, faults))} runs",
            [
                " / ".join(
                    str(sum(getattr(one, which) for one in runs))
                    for which in ("lost", "doubled", "stuck")
                )
                if runs
                else "-"
                for runs in faults
            ],
        )
        yield (
            "… seconds until all was there",
            [f"{median(one.drain_s for one in runs):.1f}" if runs else "-" for runs in faults],
        )


async def measure(names: list[str], path: Path, n: int, rounds: int, faults: int):
    found: dict[str, list[Round]] = {name: [] for name in names}
    flushes = {}
    for number in range(rounds):
        for name in names:
            faulty = number < faults and SYSTEMS[name].faulty
            one = await once(SYSTEMS[name], path, n, faults=faulty)
            found[name].append(one)
            print(f"round {number + 1}, {name}: {one}", file=sys.stderr)
    for name in names:
        flushes[name] = await traced(SYSTEMS[name], path)
    return found, flushes


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__)
    parser.add_argument("--sales", type=int, default=SALES, help="a phase of a round")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--faults", type=int, default=ROUNDS, help="how many rounds have faults")
    parser.add_argument("systems", nargs="*", help=", ".join(SYSTEMS))
    asked = parser.parse_args()
    if unknown := [name for name in asked.systems if name not in SYSTEMS]:
        parser.error(f"{unknown[0]!r}: expected one of {', '.join(SYSTEMS)}.")
    missing = kit.install()
    names = asked.systems or list(SYSTEMS)
    for name in list(names):
        for why in [missing[need] for need in SYSTEMS[name].needs.split() if need in missing]:
            print(f"{name}: left out; {why}.")
            names.remove(name)
            break
    before = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as folder:
        path = Path(folder) / "sales.jsonl"
        packed, as_json, source = sales(path, WARM + 1 + 5 * max(asked.sales, TRACED))
        found, flushes = asyncio.run(measure(names, path, asked.sales, asked.rounds, asked.faults))
    after = os.getloadavg()
    title = (
        f"{asked.sales} sales a phase ({source}; {packed} B packed, {as_json} B as JSON), "
        f"medians of {asked.rounds}; {os.cpu_count()} cores, load {before[0]:.1f} before, "
        f"{after[0]:.1f} after"
    )
    table = Table("", *(SYSTEMS[name].title for name in names), title=title, title_justify="left")
    for what, cells in rows(found, flushes):
        table.add_row(what, *cells)
    table.add_row("version", *(SYSTEMS[name].version() for name in names))
    Console(width=40 + 22 * len(names)).print(table)
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
