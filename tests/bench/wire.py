"""Bytes per sale on the wire, on the real baskets: every byte under the HTTP client.

Two sessions over a real TLS 1.3 connection with both certificates, framed as the
live WebSocket frames them; counted are the bytes that leave the sockets, both
ways, acknowledgements included, the handshake apart.
"""

import json
import os

import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.chain import Batch, Fact, Head, StreamId, extend, genesis, sign
from sync.exchange.session import Session
from sync.facts import encode
from tests.bench import data

TLS_RECORD = 22
"""Header, content type and tag of a TLS 1.3 record (RFC 8446, 5.2)."""


def _frame(payload: int, *, masked: bool) -> int:
    """Return what a WebSocket frame (RFC 6455, 5.2) adds to a payload."""
    return 2 + (0 if payload < 126 else 2 if payload < 1 << 16 else 8) + (4 if masked else 0)


def _facts(baskets):
    return [
        Fact(
            number,
            (data.START_MS + number * 45_017) << 16,
            "sale",
            1,
            os.urandom(16),
            encode(data.sale(rows, number, data.START_MS + number * 45_017)),
        )
        for number, rows in enumerate(baskets, start=1)
    ]


def _each_alone(facts):
    """Number facts picked from all over the day as if they had come one after another."""
    return [
        Fact(number, fact.hlc, fact.kind, fact.version, fact.event, fact.body)
        for number, fact in enumerate(facts, start=1)
    ]


def _measure(facts, per_batch):
    """Return bytes per sale: (under TLS: frames and payloads), (in TLS records)."""
    key = Ed25519PrivateKey.generate()
    stream = StreamId(os.urandom(16), 12345, "S1")
    hashes = extend(genesis(stream), facts)

    def session():
        return Session(("S1", ""), (("sale", 1),), lambda _scope: True)

    here, there = session(), session()
    hellos = here.hello([Head(stream, 0, genesis(stream))], 1), there.hello([], 2)
    there.receive(hellos[0])
    here.receive(hellos[1])
    plain = records = 0
    count = len(facts) // per_batch * per_batch
    for at in range(0, count, per_batch):
        part = facts[at : at + per_batch]
        head = Head(stream, part[-1].seq, hashes[part[-1].seq - 1])
        payload = here.send(Batch(stream, part, sign(key, head)))
        there.receive(payload)
        ack = there.acknowledge({stream: part[-1].seq}, {})
        here.receive(ack)
        for said, masked in ((payload, True), (ack, False)):
            plain += len(said) + _frame(len(said), masked=masked)
            records += TLS_RECORD * (1 + len(said) // 16384)
    return plain / count, (plain + records) / count


def run():
    """Yield what, figure and ratio."""
    baskets, source = data.lines(stores=20, per_store=250)
    facts = _facts(baskets)
    n = len(facts)
    lines = sum(map(len, baskets)) / n
    as_json = (
        sum(
            len(
                json.dumps(
                    {
                        "till": "T1",
                        "cashier": "anna",
                        "lines": [
                            {
                                "sku": r.sku,
                                "quantity_milli": r.quantity_milli,
                                "unit_minor": r.unit_minor,
                            }
                            for r in rows
                        ],
                        "payments": [{"method": "cash", "amount_minor": 1}],
                    }
                )
            )
            for rows in baskets
        )
        / n
    )
    bodies = sum(len(fact.body) for fact in facts) / n
    packed = len(zstandard.compress(b"".join(fact.body for fact in facts[:100]), 19)) / 100
    yield f"{n} baskets ({source})", f"{lines:.1f} lines each", ""
    yield "as JSON", f"{as_json:.0f} B", "1.00 (reference)"
    yield "bodies, msgpack", f"{bodies:.0f} B", f"{bodies / as_json:.2f}"
    yield "bodies, 100 together, zstd 19", f"{packed:.1f} B", f"{packed / as_json:.2f}"
    for per_batch, aim in ((1, 250), (10, None), (100, 90), (250, 90)):
        part = facts if per_batch > 1 else _each_alone(facts[::10])
        under, over = _measure(part, per_batch)
        goal = f", aim ≤ {aim}" if aim else ""
        yield (
            f"exchange, {per_batch} a batch, with ids, signatures, frames and acks",
            f"{under:.1f} B (with TLS records {over:.1f})",
            f"{under / as_json:.3f}{goal}",
        )
