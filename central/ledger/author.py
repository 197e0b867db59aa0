"""Central writes facts too: its streams, of all stores and of each, signed at heads."""

from collections.abc import Sequence

from central.ledger import journal, views
from central.ledger.entry import Entry
from central.ledger.errors import LedgerUnavailable
from central.ledger.unit import Unit
from sync import facts
from sync.chain import Fact, Head, extend, sign
from sync.clock import tick
from sync.facts import Body

SIGN_FACTS = 64
SIGN_BYTES = 256 * 1024
"""A head is signed at least this often, so that batches can be small."""


def write(unit: Unit, scope: str, told: Sequence[tuple[bytes, Body]]) -> Head:
    """Append facts to central's stream of a scope, and apply them.

    Args:
        unit: The transaction.
        scope: A store's id, or `chain.ALL`.
        told: Event (16 bytes) and body, in order.

    Raises:
        LedgerUnavailable: The stream has forked.
    """
    stream = unit.state.own.stream(scope)
    cursor = unit.cursor(stream)
    if cursor.frozen:
        raise LedgerUnavailable(
            f"Stream {stream}: a store holds another branch of it, the ledger was put back from "
            "a copy; start karb-central again, and it begins a new life."
        )
    hlc = max(unit.state.last_hlc, unit.hlc, cursor.hlc)
    made: list[Fact] = []
    for seq, (event, body) in enumerate(told, start=cursor.head.seq + 1):
        hlc = tick(hlc, unit.now_ms)
        kind, version = facts.kind_of(body)
        made.append(Fact(seq, hlc, kind, version, event, facts.encode(body)))
    unit.hlc = hlc
    start = size = 0
    for at, fact in enumerate(made, start=1):
        size += len(fact.body)
        full = at - start >= SIGN_FACTS or size >= SIGN_BYTES
        if full or at == len(made):
            _append(unit, scope, made[start:at])
            start, size = at, 0
    views.apply(
        unit,
        [
            Entry((scope, stream.node, stream.incarnation, fact.seq), fact, body)
            for fact, (_, body) in zip(made, told, strict=True)
        ],
        new=True,
    )
    return unit.cursor(stream).head


def _append(unit: Unit, scope: str, part: Sequence[Fact]) -> None:
    own = unit.state.own
    stream = own.stream(scope)
    hashes = extend(unit.cursor(stream).head.hash, part)
    signature = sign(own.key, Head(stream, part[-1].seq, hashes[-1]))
    journal.write(unit, journal.append(unit, stream, part, hashes, signature))
