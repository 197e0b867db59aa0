"""Many msgpack bodies as columns, and back, byte for byte.

A hundred sales have the same shape: written field by field instead of body by
body, what is alike stands together and the compressor finds it (the idea of
column stores; Melnik et al., *Dremel*, VLDB 2010). It knows nothing of kinds:
lists are taken apart, all else is a leaf.

A column is one of

* ``[LEAF, values]``: one value stands for all if all are alike;
* ``[TEXT, lengths, text]``: strings, joined; one length stands for all;
* ``[STEPS, first, differences]``: ints that grow, such as numbers and times;
* ``[RECORD, column, …]``: lists of one length, a column for each position;
* ``[LISTS, lengths, column]``: lists of any length, their elements behind each other.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, islice
from operator import le, sub
from typing import Any

import msgspec

from sync.errors import RemoteProtocolError

_WIDEST = 1 << 63
"""From here on a difference of two ints may be more than msgpack can write."""

LEAF, TEXT, STEPS, RECORD, LISTS = range(5)

MAX_WORK = 64 << 20
"""Bytes of memory, counted roughly, that one batch may assemble into. The values of an honest
one, at most some 800 KiB of bodies, cost 80 for each byte at the very worst."""

_PLACE, _LIST, _TEXT, _INT = 8, 64, 56, 32
"""What a place in a list costs, and an object of each kind besides."""

MAX_DEPTH = 32

_EXACT = {str, int, bytes, bool, type(None)}
"""Types of which equal values are written alike: 0.0 is equal to -0.0, {1: 1} to {1: True}."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def shred(bodies: Sequence[bytes]) -> list[Any] | None:
    """Turn bodies into a column; None if they would not come back byte for byte."""
    try:
        values = [_decode(body) for body in bodies]
        if any(_encode(value) != body for value, body in zip(values, bodies, strict=True)):
            return None
        return _shred(values, 0)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def assemble(column: Any, n: int) -> list[bytes]:
    """Turn a column back into `n` bodies.

    Raises:
        RemoteProtocolError: It is no column of `n` values.
    """
    try:
        return [_encode(value) for value in _Assembler().assemble(column, n)]
    except (TypeError, ValueError, IndexError, KeyError, OverflowError, AttributeError) as error:
        raise RemoteProtocolError(f"Column: {error}") from error


def _alike(values: list[Any]) -> bool:
    return values[0] == values[-1] and values.count(values[0]) == len(values)


def _few(values: list[Any]) -> list[Any]:
    return values[:1] if _alike(values) else values


def _shred(values: list[Any], depth: int) -> list[Any]:
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    if not values:
        return [LEAF, []]
    # This runs for every value of every sale that is sent: no loop of Python's own.
    kinds = set(map(type, values))
    if len(kinds) > 1:
        return [LEAF, values]
    if kinds == {list}:
        lengths = list(map(len, values))
        if _alike(lengths) and lengths[0]:
            return [RECORD, *(_shred(list(part), depth + 1) for part in zip(*values, strict=True))]
        return [LISTS, _few(lengths), _shred(list(chain.from_iterable(values)), depth + 1)]
    if kinds <= _EXACT and _alike(values):
        return [LEAF, values[:1]]
    if kinds == {str}:
        return [TEXT, _few(list(map(len, values))), "".join(values)]
    if (
        kinds == {int}
        and 0 <= values[-1] - values[0] < _WIDEST
        and all(map(le, values, islice(values, 1, None)))
    ):
        return [STEPS, values[0], _few(list(map(sub, islice(values, 1, None), values)))]
    return [LEAF, values]


class _Assembler:
    """Takes columns apart under a budget: a few bytes must not become gigabytes."""

    def __init__(self) -> None:
        self.budget = MAX_WORK

    def spend(self, n: int) -> None:
        if n < 0 or n > self.budget:
            raise ValueError(f"more than {MAX_WORK} bytes in one batch")
        self.budget -= n

    def spread(self, values: list[Any], n: int) -> list[Any]:
        if len(values) == n:
            return values
        if len(values) != 1:
            raise ValueError(f"expected 1 or {n} values, got {len(values)}")
        self.spend(n * len(_encode(values[0])))
        return values * n

    def lengths(self, values: list[int], n: int) -> list[int]:
        lengths = self.spread(values, n)
        if min(lengths, default=0) < 0:
            raise ValueError("a negative length")
        return lengths

    def assemble(self, column: Any, n: int, depth: int = 0) -> Iterable[Any]:
        if depth > MAX_DEPTH:
            raise ValueError("too deep")
        self.spend(n * _PLACE)
        kind, *rest = column
        if kind == LEAF:
            (values,) = rest
            return self.spread(values, n)
        if kind == TEXT:
            lengths, text = rest
            self.spend(n * _TEXT)
            ends = list(accumulate(self.lengths(lengths, n)))
            if (ends[-1] if ends else 0) != len(text):
                raise ValueError("a text is of another length")
            return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        if kind == STEPS:
            first, steps = rest
            if any(type(value) is not int for value in (first, *steps)):
                raise ValueError("steps that are not whole numbers")  # texts would add up, too
            self.spend(n * _INT)
            return list(accumulate(self.spread(steps, n - 1), initial=first))
        if kind == RECORD:
            if not rest:
                raise ValueError("a record without columns")
            self.spend(n * _LIST)
            parts = [self.assemble(part, n, depth + 1) for part in rest]
            return list(map(list, zip(*parts, strict=True)))
        if kind == LISTS:
            lengths, part = rest
            self.spend(n * _LIST)
            lengths = self.lengths(lengths, n)
            values = iter(self.assemble(part, sum(lengths), depth + 1))
            return [list(islice(values, length)) for length in lengths]
        raise ValueError(f"kind {kind!r}")
