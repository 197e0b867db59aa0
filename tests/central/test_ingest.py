"""What becomes of a batch, whatever it is; and that a refusal changes nothing stored."""

from dataclasses import replace

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.ledger import author, journal, sales
from central.ledger.ingest import Fork, Gap, Incoming, Nonsense, Stored, Unwelcome
from central.ledger.ledger import Ledger
from central.ledger.tables import FACTS, FORKS, QUARANTINE, SALES, STREAMS, TOTALS, UNREADABLE
from sync import facts
from sync.chain import Batch, Head, extend, genesis
from sync.errors import BadSignature, BrokenChain, NotAllowed, RemoteProtocolError
from sync.facts.node import NodeRevoked, StoreDescribed
from tests.central.machine import Writer, delivery, sale

EVENT = bytes(16)


def totals(desk):
    return {row[0]: row[1:] for row in desk.rows(TOTALS)}


def everything(desk):
    return desk.rows(STREAMS), desk.rows(FACTS), desk.views(), desk.rows(FORKS)


def test_a_batch_is_stored_once(desk):
    writer = desk.member()
    for number in range(1, 6):
        writer.write(sale(("A", 1000, 599), ("B", 2500, 100), number=number))
    (first,) = desk.take(writer.batch())
    (again,) = desk.take(writer.batch())
    assert first == Stored(writer.head, 5)
    assert again == Stored(writer.head, 0)
    assert totals(desk) == {"S1": (5, 10, 17500, 5 * (599 + 250))}


def test_batches_side_by_side_are_one_commit(desk):
    writers = [desk.member(f"S{n}") for n in range(3)]
    for writer in writers:
        for number in range(1, 4):
            writer.write(sale(number=number))
    batches = [writer.batch(n, n) for n in (1, 2, 3) for writer in writers]
    assert {type(outcome) for outcome in desk.take(*batches)} == {Stored}
    assert totals(desk) == {f"S{n}": (3, 3, 3000, 1797) for n in range(3)}


def test_a_gap_says_where_we_are(desk):
    writer = desk.member()
    for number in range(1, 4):
        writer.write(sale(number=number))
    desk.take(writer.batch(1, 1))
    before = everything(desk)
    assert desk.take(writer.batch(3, 3)) == [Gap(Head(writer.stream, 1, writer.hashes[0]))]
    assert everything(desk) == before
    assert desk.take(writer.batch(2, 3)) == [Stored(writer.head, 2)]


def test_an_overlap_brings_its_tail(desk):
    writer = desk.member()
    for number in range(1, 7):
        writer.write(sale(number=number))
    desk.take(writer.batch(1, 3))
    assert desk.take(writer.batch(2, 5)) == [Stored(Head(writer.stream, 5, writer.hashes[4]), 2)]
    assert desk.take(writer.batch(1, 6)) == [Stored(writer.head, 1)]
    assert totals(desk)["S1"][0] == 6


def test_an_overlap_within_one_commit(desk):
    writer = desk.member()
    for number in range(1, 5):
        writer.write(sale(number=number))
    outcomes = desk.take(writer.batch(1, 3), writer.batch(1, 3), writer.batch(2, 4))
    assert [outcome.fresh for outcome in outcomes] == [3, 0, 1]


def test_a_fork_freezes_the_stream_and_keeps_both_heads(desk):
    writer = desk.member()
    for number in range(1, 4):
        writer.write(sale(number=number))
    desk.take(writer.batch())
    clone = Writer(writer.key, "S1", 7)
    clone.facts, clone.hashes = writer.facts[:1], writer.hashes[:1]
    clone.write(sale(("Z", 1000, 1), number=2))
    clone.write(sale(("Z", 1000, 1), number=3))
    expected = Fork(writer.stream, 2, writer.hashes[1], clone.hashes[1])
    assert desk.take(clone.batch(2)) == [expected]
    ((_, _, _, seq, theirs, ours, our_head, our_hash, our_signature, *rest),) = desk.rows(FORKS)
    assert (seq, theirs, ours, our_head, our_hash) == (
        2,
        clone.hashes[1],
        writer.hashes[1],
        3,
        writer.hashes[2],
    )
    assert our_signature == writer.batch().signature
    assert rest[:3] == [3, clone.hashes[2], clone.batch().signature]
    writer.write(sale(number=4))
    (outcome,) = desk.take(writer.batch(4))
    assert outcome.fresh == 1, "the branch that is here goes on"
    assert desk.take(clone.batch(2)) == [expected]
    assert desk.ledger.published.cursors("S1")[writer.stream].frozen
    assert totals(desk)["S1"][0] == 4


def test_a_fork_nobody_signed_is_nonsense(desk):
    writer = desk.member()
    writer.write(sale())
    desk.take(writer.batch())
    other = Writer(Ed25519PrivateKey.generate(), "S1", 7)
    other.write(sale(("Z", 1000, 1)))
    before = everything(desk)
    batch = other.batch()
    (outcome,) = desk.take(
        Batch(writer.stream, batch.facts, batch.signature), peer=desk.identity(writer.stream)
    )
    assert isinstance(outcome, Nonsense)
    assert isinstance(outcome.error, BadSignature)
    assert everything(desk) == before


def changed(batch: Batch, at: int, **fields) -> Batch:
    listed = list(batch.facts)
    listed[at] = msgspec.structs.replace(listed[at], **fields)
    return msgspec.structs.replace(batch, facts=listed)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda b: msgspec.structs.replace(b, signature=bytes(64)), BadSignature),
        (lambda b: changed(b, 1, body=b.facts[0].body), BadSignature),
        (lambda b: changed(b, 1, hlc=5), BadSignature),
        (lambda b: changed(b, 1, event=EVENT), BadSignature),
        (lambda b: changed(b, 1, seq=9), BrokenChain),
        (lambda b: changed(b, 1, kind=""), RemoteProtocolError),
        (lambda b: changed(b, 1, version=1 << 16), RemoteProtocolError),
        (lambda b: changed(b, 1, event=b"short"), RemoteProtocolError),
        (lambda b: msgspec.structs.replace(b, facts=[]), (BrokenChain, IndexError)),
    ],
)
def test_nonsense_changes_nothing(desk, spoil, error):
    writer = desk.member()
    for number in range(1, 4):
        writer.write(sale(number=number))
    spoilt = spoil(writer.batch())
    if not spoilt.facts:
        return  # the session refuses an empty batch before it gets here
    before = everything(desk)
    (outcome,) = desk.take(spoilt)
    assert isinstance(outcome, Nonsense)
    assert isinstance(outcome.error, error)
    assert everything(desk) == before
    assert desk.take(writer.batch()) == [Stored(writer.head, 3)]


def test_nonsense_leaves_its_neighbours_alone(desk):
    good, bad = desk.member("S1"), desk.member("S2")
    good.write(sale())
    bad.write(sale())
    spoilt = msgspec.structs.replace(bad.batch(), signature=bytes(64))
    first, second = desk.take(spoilt, good.batch())
    assert isinstance(first, Nonsense)
    assert isinstance(second, Stored)


def test_nobody_writes_for_another_store(desk):
    desk.member("S2")
    writer = desk.member("S1")
    foreign = Writer(writer.key, "S2", 7)
    foreign.write(sale())
    shared = Writer(writer.key, "", 7)
    shared.write(sale())
    before = everything(desk)
    for batch in (foreign.batch(), shared.batch()):
        (outcome,) = desk.take(batch, peer=desk.identity(writer.stream))
        assert isinstance(outcome.error, NotAllowed)
    assert everything(desk) == before


def test_strangers_and_the_revoked_are_refused(desk):
    stranger = Writer(Ed25519PrivateKey.generate(), "S1")
    stranger.write(sale())
    writer = desk.member("S1")
    writer.write(sale())
    (outcome,) = desk.take(stranger.batch(), peer=desk.identity(writer.stream))
    assert outcome == Unwelcome(stranger.stream)
    told = NodeRevoked(writer.stream.node, "stolen")
    desk.write(lambda unit: author.write(unit, "S1", [(EVENT, told)]))
    (outcome,) = desk.take(writer.batch())
    assert outcome == Unwelcome(writer.stream)


def test_a_certificate_that_came_along_introduces_an_author_but_its_own_stream_only(desk):
    """As after head office was put back from a copy older than the node's enrolment."""
    stranger = Writer(Ed25519PrivateKey.generate(), "S1")
    stranger.write(sale())
    desk.keys[stranger.stream.node] = stranger.key
    shown = desk.identity(stranger.stream)
    peer = desk.identity(desk.member("S1").stream)
    for introduced, taken in (
        (replace(shown, store="S2"), NotAllowed),
        (peer, Unwelcome),
        (shown, Stored),
    ):
        incoming = Incoming.of(stranger.batch(), {}, peer, introduced)
        (outcome,) = desk.ledger._writer.take([incoming]).result(20)
        assert type(getattr(outcome, "error", outcome)) is taken


def test_anyone_may_carry_anyones_facts(desk):
    one, two = desk.member("S1"), desk.member("S1")
    one.write(sale())
    assert desk.take(one.batch(), peer=desk.identity(two.stream)) == [Stored(one.head, 1)]


POISON = {
    "not msgpack": b"\xc1",
    "another shape": msgspec.msgpack.encode({"a": 1}),
    "payments short": facts.encode(msgspec.structs.replace(sale(), payments=())),
    "a number no database holds": facts.encode(msgspec.structs.replace(sale(), number=1 << 63)),
    "a time no database holds": facts.encode(msgspec.structs.replace(sale(), at_ms=(1 << 64) - 1)),
    "dear beyond measure": facts.encode(sale(("A", (1 << 40) - 1, 1 << 30))),
    "deep": b"\x91" * 5000 + b"\x90",
}


@pytest.mark.parametrize("name", POISON)
def test_poison_never_blocks_a_stream(desk, name):
    writer = desk.member()
    writer.write(sale(number=1))
    writer.raw("sale", POISON[name])
    writer.write(sale(number=2))
    assert desk.take(writer.batch()) == [Stored(writer.head, 3)]
    ((store, _, _, seq, kind, version, reason),) = desk.rows(QUARANTINE)
    assert (store, seq, kind, version) == ("S1", 2, "sale", 1)
    assert reason
    assert totals(desk)["S1"][0] == 2


def test_head_offices_words_from_a_store_are_quarantined(desk):
    writer = desk.member()
    writer.write(StoreDescribed("S1", "Mine now", fiscal=True))
    writer.write(NodeRevoked(desk.ledger.own.node, "coup"))
    desk.take(writer.batch())
    assert len(desk.rows(QUARANTINE)) == 2
    assert not any(member.revoked for member in desk.ledger.published.members.values())


def test_a_fault_of_our_own_holds_back_one_fact(desk, monkeypatch):

    original = sales._insert

    def faulty(unit, effects, place, event, body, stage):
        if body.number == 2:
            raise ZeroDivisionError("a bug")
        original(unit, effects, place, event, body, stage)

    monkeypatch.setattr(sales, "_insert", faulty)
    writer = desk.member()
    for number in range(1, 4):
        writer.write(sale(number=number))
    assert desk.take(writer.batch()) == [Stored(writer.head, 3)]
    ((*_, reason),) = desk.rows(QUARANTINE)
    assert "cannot apply" in reason
    assert totals(desk)["S1"][0] == 2
    changes = sorted(row[6] for row in desk.rows(SALES))
    assert len(set(changes)) == 2


def test_unknown_kinds_wait_for_the_upgrade(desk, monkeypatch):

    writer = desk.member()
    writer.write(delivery(("A", 5000)))
    writer.write(sale(("A", 1000, 599)))
    writer.raw("loyalty.points", b"\x90", version=3)
    known = facts.KINDS["goods.received", 1]
    decoder = facts._DECODERS.pop(("goods.received", 1))
    monkeypatch.delitem(facts.KINDS, ("goods.received", 1))
    try:
        desk.take(writer.batch())
        assert [row[4] for row in desk.rows(UNREADABLE)] == ["goods.received", "loyalty.points"]
        assert desk.views()["rights"][0][4:6] == (0, 1000)
    finally:
        facts._DECODERS["goods.received", 1] = decoder
        facts.KINDS["goods.received", 1] = known
    desk.ledger.close()
    desk.ledger = Ledger.open(desk.folder.ledger, desk.authority.node_key)
    try:
        assert [row[4] for row in desk.rows(UNREADABLE)] == ["loyalty.points"]
        assert desk.views()["rights"][0][4:6] == (5000, 1000)
    finally:
        desk.ledger.close()


def test_a_clock_beyond_all_bounds_is_kept_as_it_was(desk):
    writer = desk.member()
    body = facts.encode(sale())
    fact = writer.raw("sale", body)
    wild = msgspec.structs.replace(fact, hlc=(1 << 63) - 1)
    writer.facts, writer.hashes = [], []
    writer.facts.append(wild)

    writer.hashes = extend(genesis(writer.stream), [wild])
    desk.take(writer.batch())

    with desk.ledger._database.reading() as connection:
        assert journal.batch_after(connection, writer.stream, 0) == writer.batch()
    head = desk.write(
        lambda unit: author.write(unit, "S1", [(EVENT, StoreDescribed("S1", "Still here"))])
    )
    assert head.seq > 0
    assert desk.ledger._writer._state.last_hlc < 1 << 62


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_delivery_of_one_stream_ends_in_the_same_journal(new_desk, data):
    with new_desk() as desk:
        deliver(desk, data)


def deliver(desk, data):
    writer = desk.member("S1", data.draw(st.integers(0, (1 << 40) - 1)))
    n = data.draw(st.integers(1, 12))
    for number in range(1, n + 1):
        writer.write(sale(number=number))
    for _ in range(data.draw(st.integers(1, 8))):
        first = data.draw(st.integers(1, n))
        last = data.draw(st.integers(first, n))
        (outcome,) = desk.take(writer.batch(first, last))
        assert isinstance(outcome, Stored | Gap)
    desk.take(writer.batch())
    assert totals(desk)[writer.store][0] == n
    stored = [
        row for row in desk.rows(FACTS) if row[0] == writer.store and row[1] == writer.stream.node
    ]
    assert [row[9] for row in sorted(stored, key=lambda row: row[3])] == writer.hashes
