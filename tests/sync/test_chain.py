import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.chain import (
    Fact,
    Head,
    StreamId,
    extend,
    fact_hash,
    genesis,
    life,
    sign,
    verify,
    verify_head,
)
from sync.errors import BadSignature, BrokenChain, RemoteProtocolError, SyncError
from tests.sync.strategies import KEY, NODE, STREAM, batch_of, events, facts

PUBLIC = KEY.public_key()
START = Head(STREAM, 0, genesis(STREAM))


def test_the_formats_written_for_ever_do_not_move():
    fact = Fact(1, 1_790_000_000_000 << 16, "sale", 1, bytes(16), b"\x93\x01\x02\x03")
    assert NODE.hex() == "9e51e9d773e0c2aa60a942a34c958dab"
    assert STREAM.name().hex() == f"{NODE.hex()}0000000000000007{b'S1'.hex()}"
    assert genesis(STREAM).hex() == (
        "ace47d2d17650769e56a49ac16ec672484a00c9428fd031cf1d2e8f8835ee94c"
    )
    digest = fact_hash(genesis(STREAM), fact)
    assert digest.hex() == "1d621032ca97f62405588a7dd7f55a7e1a21965ac5b646b0c4a7769520a17775"
    assert sign(KEY, Head(STREAM, 1, digest)).hex() == (
        "68df53fff9c7fff86575395a8d1d5f3c5a45399228da3261fcc3bd39e65bd20b"
        "29cbb3e0fc252f829c60f6264c5e26b00a46739554bfac34f415d630c36e1601"
    )


@given(st.data(), st.integers(1, 8))
def test_what_was_signed_verifies(data, n):
    batch, hashes = batch_of(data.draw(facts(n)))
    assert verify(batch, START, PUBLIC) == hashes


@given(st.data(), st.integers(1, 5), st.integers(0, 5))
def test_any_change_of_any_field_is_found(data, n, field):
    made = data.draw(facts(n))
    batch, _ = batch_of(made)
    at = data.draw(st.integers(0, n - 1))
    old = made[at]
    change = [
        {"seq": old.seq + 1},
        {"hlc": old.hlc ^ 1},
        {"kind": old.kind + "x"},
        {"version": old.version + 1},
        {"event": bytes([old.event[0] ^ 1]) + old.event[1:]},
        {"body": old.body + b"\0"},
    ][field]
    changed = [*made[:at], msgspec.structs.replace(old, **change), *made[at + 1 :]]
    with pytest.raises(SyncError):
        verify(msgspec.structs.replace(batch, facts=changed), START, PUBLIC)


@given(st.data())
def test_a_batch_must_start_at_the_next_number_and_end_on_its_signed_head(data):
    made = data.draw(facts(4))
    batch, hashes = batch_of(made)
    with pytest.raises(BrokenChain):
        verify(msgspec.structs.replace(batch, facts=made[1:]), START, PUBLIC)
    with pytest.raises(BadSignature):
        verify(msgspec.structs.replace(batch, facts=made[:-1]), START, PUBLIC)
    with pytest.raises(BrokenChain):
        verify(msgspec.structs.replace(batch, facts=[]), START, PUBLIC)
    other = StreamId(NODE, 8, "S1")
    with pytest.raises(BadSignature):
        verify(msgspec.structs.replace(batch, stream=other), Head(other, 0, genesis(other)), PUBLIC)
    with pytest.raises(BadSignature):
        verify_head(PUBLIC, Head(STREAM, 4, hashes[3]), bytes(64))


@given(st.data(), st.integers(1, 6), st.integers(1, 6))
def test_a_chain_may_be_extended_in_pieces(data, n, m):
    made = data.draw(facts(n + m))
    whole = extend(START.hash, made)
    first = extend(START.hash, made[:n])
    assert first + extend(first[-1], made[n:]) == whole


@given(st.binary(max_size=100))
def test_any_bytes_as_a_stream_name_are_read_or_refused(name):
    try:
        stream = StreamId.from_name(name)
    except RemoteProtocolError:
        return
    assert stream.name() == name


@given(events, st.integers(0, (1 << 40) - 1), st.text(max_size=40))
def test_a_stream_name_comes_back(node, incarnation, scope):
    try:
        scope.encode()
    except UnicodeEncodeError:
        return
    stream = StreamId(node, incarnation, scope)
    assert StreamId.from_name(stream.name()) == stream
    assert len(life(incarnation)) == 8
