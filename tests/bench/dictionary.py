"""Makes `sync/exchange/small.zdict`, the dictionary for single live sales.

Run once per packing number, never again for the same one: both ends must hold
the same bytes. Trained on sales of a made-up catalogue, so it holds nobody's data.

    python -m tests.bench.dictionary
"""

import random
from pathlib import Path

import zstandard

from sync.chain import Batch, Fact, StreamId
from sync.exchange import messages, session, wire
from sync.facts import encode
from sync.facts.sale import Discount, Payment, Sale, SaleLine, SaleLines, Stage

BYTES = 16384


def sale(rng: random.Random, number: int, at_ms: int) -> Sale:
    """Return a plausible sale."""
    lines = []
    for _ in range(min(40, 1 + int(rng.expovariate(1 / 8)))):
        quantity = rng.choice((1000, 1000, 1000, 1000, 2000, 3000, rng.randrange(100, 3000)))
        unit = rng.choice((99, 199, 249, 299, 349, 399, 499, 599, 999, rng.randrange(50, 5000)))
        worth = (quantity * unit + 500) // 1000
        cut = rng.randrange(1, worth) if worth > 1 and rng.random() < 0.3 else 0
        lines.append(
            SaleLine(
                sku=str(rng.choice((rng.randrange(10_000, 20_000_000), rng.randrange(100)))),
                quantity_milli=quantity,
                unit_minor=unit,
                discounts=(Discount("promotion", cut),) if cut else (),
                unit=rng.choice(("szt", "szt", "szt", "kg")),
                vat=rng.choice(("23", "5", "8", "23")),
                price_version=at_ms // 1000 - rng.randrange(10_000_000),
                deposit_minor=rng.choice((0, 0, 0, 0, 0, 50)),
            )
        )
    total = sum(line.total_minor + line.deposits_minor for line in lines)
    method = rng.choice(("cash", "card", "cash", "blik"))
    change = rng.choice((0, -total % 1000, -total % 5000)) if method == "cash" else 0
    till = f"T{rng.randrange(1, 9)}"
    return Sale(
        Stage.CLOSED,
        number,
        at_ms,
        rng.choice((5, 5, 5, 2, 0)),
        SaleLines.of(tuple(lines)),
        (Payment(method, total, change),),
        till,
        rng.choice(("anna", "jan", "k1", "k2", "cashier")),
        f"{till}-1",
        20260101 + rng.randrange(12) * 100 + rng.randrange(28),
    )


def live_messages(rng: random.Random, count: int) -> list[bytes]:
    """Return the plain bytes of live messages, as `wire` would pack them."""
    plain: list[bytes] = []
    encoder = wire._ENCODER
    for _ in range(count):
        at_ms = rng.randrange(1_790_000_000_000, 1_990_000_000_000)
        stream = StreamId(rng.randbytes(16), rng.getrandbits(40), f"S{rng.randrange(300)}")
        number = rng.randrange(1, 100_000)
        fact = Fact(
            number, at_ms << 16, "sale", 1, rng.randbytes(16), encode(sale(rng, number, at_ms))
        )
        batch = Batch(stream, [fact], rng.randbytes(64))
        plain.append(encoder.encode(session._to_facts(rng.randrange(3), batch, {})))
        plain.append(encoder.encode(messages.Ack(((rng.randrange(3), number),))))
    return plain


def main() -> None:
    """Train and write."""
    rng = random.Random(20260131)
    trained = zstandard.train_dictionary(BYTES, live_messages(rng, 8000), level=19)
    target = Path(wire.__file__).with_name("small.zdict")
    target.write_bytes(trained.as_bytes())
    fresh = random.Random(7)
    sizes = [
        len(zstandard.ZstdCompressor(level=19, dict_data=trained).compress(m))
        for m in live_messages(fresh, 500)
    ]
    pair = 2 * sum(sizes) / len(sizes)
    print(f"{target.name}: {BYTES} bytes; a live message and its ack: {pair:.0f} bytes")


if __name__ == "__main__":
    main()
