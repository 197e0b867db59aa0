import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.errors import RemoteProtocolError
from sync.exchange.shred import LEAF, LISTS, RECORD, STEPS, TEXT, assemble, shred
from sync.facts import encode
from tests.sync.strategies import sales

leaf = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.text(), st.binary()
)
tree = st.recursive(leaf, lambda inner: st.lists(inner, max_size=4), max_leaves=20)


@given(st.lists(tree, min_size=1, max_size=8))
def test_bodies_come_back_byte_for_byte(values):
    bodies = [msgspec.msgpack.encode(value) for value in values]
    column = shred(bodies)
    assert column is not None
    travelled = msgspec.msgpack.decode(msgspec.msgpack.encode(column))
    assert assemble(travelled, len(bodies)) == bodies


@pytest.mark.parametrize("pair", [(0.0, -0.0), (1, True), (1, 1.0), ({1: 1}, {1: True})])
def test_what_is_equal_and_not_the_same_comes_back_as_it_was(pair):
    for values in (pair, pair[::-1], pair * 2):
        bodies = [msgspec.msgpack.encode(value) for value in values]
        assert assemble(shred(bodies), len(bodies)) == bodies


@given(st.lists(sales().map(encode), min_size=1, max_size=10))
def test_sales_come_back_byte_for_byte(bodies):
    assert assemble(msgspec.msgpack.decode(msgspec.msgpack.encode(shred(bodies))), len(bodies)) == (
        bodies
    )


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=5))
def test_bodies_that_are_not_canonical_are_left_alone(bodies):
    column = shred(bodies)
    if column is not None:
        assert assemble(column, len(bodies)) == bodies


@given(tree, st.integers(0, 2000))
def test_any_column_is_assembled_or_refused(column, n):
    with contextlib.suppress(RemoteProtocolError):
        assert len(assemble(column, n)) == n


@pytest.mark.parametrize(
    "column",
    [
        [LEAF, ["x" * 100_000]],
        [LISTS, [1 << 40], [LEAF, [1]]],
        [LISTS, [1000], [LISTS, [1000], [LISTS, [1000], [LEAF, [1]]]]],
        [RECORD] + [[LEAF, [1]]] * 100_000,
        [TEXT, [-1], ""],
        [STEPS, "", ["x" * 4000]],
        [STEPS, b"", [b"x" * 4000]],
        [STEPS, [], [[0] * 2000]],
        [STEPS, 0, [True]],
        [LISTS, [3900], [LISTS, [0], [LEAF, []]]],
        [LISTS, [500], [RECORD, [RECORD, [LEAF, [0]]]]],
        [STEPS, 0, []],
        [RECORD],
        [9, []],
        [],
        "x",
    ],
)
def test_bombs_and_nonsense_are_refused_before_they_cost_anything(column):
    with pytest.raises(RemoteProtocolError):
        assemble(column, 1000)


def test_ints_too_far_apart_for_steps_come_back():
    bodies = [msgspec.msgpack.encode([n]) for n in (-(1 << 63), 0, (1 << 64) - 1, (1 << 64) - 1)]
    assert assemble(shred(bodies), len(bodies)) == bodies
