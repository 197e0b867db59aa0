import contextlib
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.chain import Head, StreamId, genesis
from sync.errors import LocalProtocolError, NotAllowed, RemoteProtocolError, TooLarge
from sync.exchange import wire
from sync.exchange.messages import Ack, Facts, Forked, Hello, Slow, Vector
from sync.exchange.session import (
    MAX_CERTIFICATE,
    MAX_IN_FLIGHT,
    Acknowledged,
    ForkSeen,
    Greeted,
    Received,
    Resynced,
    Session,
    SlowedDown,
    Standing,
    standing,
)
from tests.sync.strategies import NODE, STREAM, batch_of, facts


def session(*scopes, reads=("S1", "")):
    return Session(scopes or ("S1", ""), (("sale", 1),), lambda scope: scope in reads)


def greeted(ours=(), theirs=()):
    """Return two sessions that have greeted."""
    a, b = session(), session()
    hello_a, hello_b = a.hello(ours, 1), b.hello(theirs, 2)
    a.receive(hello_b)
    b.receive(hello_a)
    return a, b


@given(st.data(), st.integers(1, 9))
@settings(max_examples=60)
def test_a_batch_arrives_as_it_was_and_is_acknowledged(data, n):
    batch, hashes = batch_of(data.draw(facts(n)))
    head = Head(STREAM, n, hashes[-1])
    a, b = greeted([head])
    assert a.owed([head]) == [(STREAM, 0)]
    event = b.receive(a.send(batch, {bytes(16): bytes(32)}))
    assert isinstance(event, Received)
    assert list(event.batch.facts) == list(batch.facts)
    assert (event.batch.stream, event.batch.signature) == (STREAM, batch.signature)
    assert event.keys == {bytes(16): bytes(32)}
    assert a.owed([head]) == []
    assert a.lacks([head]) == n
    assert a.receive(b.acknowledge({STREAM: n}, {STREAM: 1})) == Acknowledged(
        {STREAM: n}, {STREAM: 1}
    )
    assert a.lacks([head]) == 0
    assert b.owed([head]) == [], "what a peer sent us is not sent back to it"


@given(st.data())
@settings(max_examples=30)
def test_a_stream_named_later_is_known_by_its_place_afterwards(data):
    made = data.draw(facts(4))
    first, hashes = batch_of(made[:2])
    second, _ = batch_of(made[2:], before=hashes[-1])
    a, b = greeted()
    long, short = a.send(first), a.send(second)
    assert wire.decode(long).stream == STREAM.name()
    assert wire.decode(short).stream == 0
    assert b.receive(long).batch.stream == b.receive(short).batch.stream == STREAM


@given(st.data())
@settings(max_examples=20)
def test_the_window_is_bounded_and_opens_again(data):
    made = data.draw(facts(MAX_IN_FLIGHT + 1))
    _, hashes = batch_of(made)
    head = Head(STREAM, len(made), hashes[-1])
    a, b = greeted([head])
    for at in range(MAX_IN_FLIGHT):
        assert a.owed([head]) == [(STREAM, at)]
        before = hashes[at - 1] if at else genesis(STREAM)
        b.receive(a.send(batch_of(made[at : at + 1], before=before)[0]))
    assert a.owed([head]) == []
    a.receive(b.acknowledge({STREAM: 1}, {}))
    assert a.owed([head]) == [(STREAM, MAX_IN_FLIGHT)]


@given(st.data())
@settings(max_examples=20)
def test_a_batch_that_did_not_fit_is_sent_again_from_where_the_peer_is(data):
    made = data.draw(facts(3))
    batch, hashes = batch_of(made)
    head = Head(STREAM, 3, hashes[-1])
    a, b = greeted([head])
    b.receive(a.send(batch))
    event = a.receive(b.resync([Head(STREAM, 1, hashes[0])]))
    assert isinstance(event, Resynced)
    assert a.owed([head]) == [(STREAM, 1)]


OTHER = StreamId(NODE, 99, "S1")


@given(st.data(), st.booleans())
@settings(max_examples=20)
def test_a_refused_stream_holds_up_no_other_until_it_is_welcome(data, named):
    """By the place of its name, or, before the peer has named it, by the name itself."""
    made = data.draw(facts(MAX_IN_FLIGHT + 1))
    batch, hashes = batch_of(made)
    heads = [Head(STREAM, len(made), hashes[-1]), Head(OTHER, 5, bytes(32))]
    a, b = greeted(heads if named else ())
    for at in range(MAX_IN_FLIGHT):  # the whole window is full of it
        before = hashes[at - 1] if at else genesis(STREAM)
        b.receive(a.send(batch_of(made[at : at + 1], before=before)[0]))
    assert a.owed(heads) == []
    event = a.receive(b.refuse([STREAM]))
    assert (event.refused, dict(event.vector)) == ([STREAM], {})
    assert a.owed(heads) == [(OTHER, 0)]
    assert a.lacks(heads) == 5, "nobody asks again and again for what is not taken"
    event = a.receive(b.resync([Head(STREAM, 0, genesis(STREAM))]))
    assert event.refused == []
    assert a.owed(heads) == [(STREAM, 0), (OTHER, 0)]
    assert b.receive(a.send(batch)).batch.facts == list(batch.facts)


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_head_offices_word_goes_on_from_node_to_node(stored, safe):
    a, b = greeted()
    event = b.receive(a.acknowledge({STREAM: 3}, {STREAM: safe}, {STREAM: stored}))
    assert event == Acknowledged({STREAM: 3}, {STREAM: safe}, {STREAM: stored})
    assert b.owed([Head(STREAM, 3, bytes(32))]) == [], "the peer holds what it says it holds"
    assert b.owed([Head(STREAM, 4, bytes(32))]) == [(STREAM, 3)]


@given(st.data(), st.binary(max_size=600))
@settings(max_examples=20)
def test_a_certificate_travels_with_the_batch_and_is_not_judged_here(data, certificate):
    batch, _ = batch_of(data.draw(facts(1)))
    a, b = greeted()
    assert b.receive(a.send(batch, {}, certificate)).author == certificate


@given(st.data())
@settings(max_examples=10)
def test_no_certificate_is_beyond_measure(data):
    batch, _ = batch_of(data.draw(facts(1)))
    a, b = greeted()
    with pytest.raises(RemoteProtocolError, match="4097 bytes"):
        b.receive(a.send(batch, {}, bytes(MAX_CERTIFICATE + 1)))


def test_what_an_older_program_says_is_still_understood():
    """Its messages end before the fields that came later."""
    a, b = greeted()
    plain = msgspec.msgpack.encode([3, [[STREAM.name(), 7]], []])
    assert b.receive(b"\0" + plain) == Acknowledged({STREAM: 7}, {}, {})
    plain = msgspec.msgpack.encode([4, [[STREAM.name(), 7, bytes(32)]]])
    assert b.receive(b"\0" + plain).refused == []
    fresh = session()
    plain = msgspec.msgpack.encode([1, 1, 1, ["S1"], [], [], None, "karb 0"])
    assert fresh.receive(b"\0" + plain).hello.name == ""
    # And it passes over what it does not know.
    newer = msgspec.msgpack.encode([3, [[STREAM.name(), 8]], [], [], "more"])
    assert b.receive(b"\0" + newer).stored == {STREAM: 8}
    assert a.frozen == set()


def test_hello_comes_first_and_once():
    a, b = session(), session()
    with pytest.raises(LocalProtocolError):
        a.acknowledge({}, {})
    hello = a.hello([], None)
    with pytest.raises(LocalProtocolError):
        a.hello([], None)
    assert isinstance(b.receive(hello), Greeted)
    with pytest.raises(RemoteProtocolError, match="anything but Hello"):
        b.receive(hello)
    with pytest.raises(RemoteProtocolError, match="expected Hello"):
        session().receive(wire.encode(Slow(1)))


def test_a_scope_the_certificate_does_not_cover_is_refused():
    with pytest.raises(NotAllowed, match="S2"):
        session().receive(session("S2").hello([], None))


def test_facts_of_other_scopes_and_frozen_streams_are_not_sent():
    other, frozen = StreamId(NODE, 1, "S2"), StreamId(NODE, 2, "S1")
    a, _ = greeted()
    a.frozen.add(frozen)
    heads = [Head(other, 5, bytes(32)), Head(frozen, 5, bytes(32))]
    assert a.owed(heads) == []
    assert a.lacks(heads) == 0


def test_another_protocol_is_refused_with_the_cure():
    hello = wire.encode(Hello(8, 9, (), (), ()))
    with pytest.raises(RemoteProtocolError, match="upgrade the older side"):
        session().receive(hello)


def test_forks_and_requests_to_wait_are_heard():
    a, b = greeted()
    assert a.receive(b.fork(STREAM, 3, b"a", b"b")) == ForkSeen(STREAM, 3)
    assert STREAM in a.frozen
    assert a.receive(b.slow_down(250)) == SlowedDown(250)


def test_standing_tells_behind_ahead_and_forked():
    def hashes(_stream, number):
        return {1: b"one", 2: b"two"}.get(number)

    ours = Head(STREAM, 2, b"two")
    assert standing(Head(STREAM, 2, b"two"), ours, hashes) is Standing.SAME
    assert standing(Head(STREAM, 1, b"one"), ours, hashes) is Standing.BEHIND
    assert standing(Head(STREAM, 3, b"?"), ours, hashes) is Standing.AHEAD
    assert standing(Head(STREAM, 3, b"?"), None, hashes) is Standing.AHEAD
    assert standing(Head(STREAM, 1, b"uno"), ours, hashes) is Standing.FORKED
    assert standing(Head(STREAM, 2, b"due"), ours, hashes) is Standing.FORKED


@given(st.binary(max_size=400))
@settings(max_examples=400)
def test_any_payload_is_a_message_or_refused(payload):
    a, _ = greeted()
    with contextlib.suppress(RemoteProtocolError):
        a.receive(payload)


@given(st.data())
@settings(max_examples=300)
def test_any_message_of_the_right_types_is_taken_or_refused(data):
    """Types are msgspec's business; what the numbers mean is the session's."""
    number = st.integers(-5, 1 << 62)
    ref = st.one_of(st.integers(-3, 3), st.binary(max_size=40))
    message = data.draw(
        st.one_of(
            st.builds(
                Facts,
                stream=ref,
                first=number,
                signature=st.binary(max_size=70),
                hlc_ms=st.lists(number, max_size=3),
                hlc_count=st.lists(number, max_size=3),
                kind=st.lists(st.text(max_size=3), max_size=3),
                version=st.lists(number, max_size=3),
                event=st.binary(max_size=48),
                body=st.lists(st.binary(max_size=9), max_size=3),
                column=st.one_of(st.none(), st.lists(number, max_size=3)),
                keys=st.just({}),
            ),
            st.builds(Ack, stored=st.lists(st.tuples(ref, number), max_size=2).map(tuple)),
            st.builds(Vector, positions=st.just(())),
            st.builds(
                Forked,
                stream=st.binary(max_size=40),
                seq=number,
                ours=st.just(b""),
                theirs=st.just(b""),
            ),
            st.builds(Slow, ms=number),
        )
    )
    a, b = greeted()
    del b
    with contextlib.suppress(RemoteProtocolError):
        a.receive(wire.encode(message))


def test_oversized_truncated_and_exploding_payloads_are_refused():
    with pytest.raises(TooLarge):
        wire.decode(bytes(wire.MAX_PAYLOAD + 1))
    bomb = zstandard.ZstdCompressor().compress(bytes(64 << 20))
    with pytest.raises(RemoteProtocolError):
        wire.decode(b"\1" + bomb[4:])
    small = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(64 << 20))
    for kind in (b"\1", b"\2"):
        with pytest.raises(RemoteProtocolError):
            wire.decode(kind + small[4:])
    told = b"\xa0" + (1 << 30).to_bytes(4, "little")  # single segment, its size in four bytes
    for frame in (bomb[4:], told + bytes(40)):
        for kind in (b"\1", b"\2"):
            with pytest.raises(TooLarge):
                wire.decode(kind + frame)
    deep = b"\x91" * 100_000 + b"\x01"
    with pytest.raises(RemoteProtocolError):
        wire.decode(b"\0" + deep)
    whole = wire.join([b"abc", b"de"])
    assert wire.split(whole) == [b"abc", b"de"]
    for cut in range(1, len(whole)):
        if cut != 7:
            with pytest.raises(RemoteProtocolError):
                wire.split(whole[:cut])
    with pytest.raises(TooLarge):
        wire.split(b"\xff\xff\xff\xff")


@given(st.lists(st.integers(0, 255), max_size=50), st.data())
@settings(max_examples=200)
def test_a_payload_with_flipped_bits_is_taken_or_refused(flips, data):
    batch, _ = batch_of(data.draw(facts(5)))
    a, b = greeted()
    payload = bytearray(a.send(batch))
    for flip in flips:
        payload[flip % len(payload)] ^= 1 << (flip % 8)
    with contextlib.suppress(RemoteProtocolError):
        b.receive(bytes(payload))


def test_msgpack_of_every_message_comes_back():
    for message in (
        Hello(1, 1, ("S1",), (("sale", 1),), (), 5, "karb"),
        Facts(b"x", 1, b"s", [1], [0], ["sale"], [1], bytes(16), [b"b"]),
        Ack(((0, 5), (b"name", 6)), ((0, 1),)),
        Vector(()),
        Forked(b"n", 1, b"a", b"b"),
        Slow(5),
    ):
        assert wire.decode(wire.encode(message)) == message
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(message)) is not None


def test_many_threads_may_pack_and_unpack_at_once():
    """A context of zstd shared by two threads mixes their messages up."""
    messages = [
        Facts(bytes([n]) * 32, n, bytes(64), [n], [0], ["sale"], [1], bytes(16), [bytes(n * 40)])
        for n in range(1, 40)
    ]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(20):
            packed = list(threads.map(wire.encode, messages))
            assert list(threads.map(wire.decode, packed)) == messages
