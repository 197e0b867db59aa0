"""Stores on real SQLite files, with keys and clocks given."""

import contextlib
from itertools import count

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.clock import Clock
from edge.keys import NodeKey
from edge.store.store import Store
from sync.facts.sale import Payment, Sale, SaleLine, SaleLines, Stage

NOW = 1_790_000_000_000


def key(number=0):
    return NodeKey.of(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


def clock():
    ticks = count(NOW, 7)
    return Clock(lambda: next(ticks), lambda: 0)


@contextlib.asynccontextmanager
async def opened(folder, *, number=0, incarnation=1, store="S1", **more):
    made = await Store.open(
        folder / "karb.sqlite", key(number), store, clock(), incarnation=incarnation, **more
    )
    try:
        yield made
    finally:
        await made.close()


def sale(number=1, till="T1", skus=("1",), quantity=1000, stage=Stage.CLOSED, method="cash"):
    rows = tuple(SaleLine(sku, quantity, 500, unit="szt", vat="23") for sku in skus)
    total = sum(row.total_minor for row in rows)
    return Sale(
        stage,
        number,
        NOW,
        5,
        SaleLines.of(rows),
        (Payment(method, total),),
        till,
        "anna",
        "1",
        20260131,
    )


def selling(event, till="T1", **more):
    """Return the work of one sale, and its number."""

    def work(unit):
        number = unit.next_number(till)
        unit.append(sale(number, till, **more), event)
        return number

    return work
