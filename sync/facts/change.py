"""One change of a document, as its bytes say: read here before any library is let near it.

A change is a chunk of Automerge's storage format (https://automerge.org/automerge-binary-format-spec):
magic, checksum, type 1, length, then header and columns of operations. Of that format
only what `sync.merge.document` writes is taken: plain values put under, or deleted from,
the keys of the three maps that every document has. Everything else is refused by the
bytes alone, so every node refuses the same; above all a run length nobody could mean:
64 well-formed bytes can ask the library for a thousand million operations (measured: a
million cost it a second and 400 MB, a thousand million never end).
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from sync.errors import BadFact

MAX_CHANGE = 64 * 1024
"""Bytes of one change."""

MAX_OPS = 4096
MAX_DEPS = 256
MAX_ACTORS = 256
MAX_KEY = 512
"""Bytes of a key."""

MAX_EXPANDED = 1 << 20
"""Bytes that a change's keys may unpack to: equal ones stand there once."""

HASH_BYTES = 32
ACTOR_BYTES = 16

CONTAINERS = 3
"""The maps that `sync.merge.document.BASE` makes are operations 1 to 3 of its actor."""

BASE_ACTOR = b"karb.document.1\0"

_MAGIC = bytes.fromhex("856f4a83")
_TYPE = 1
_PUT, _DELETE = 1, 3
_FALSE, _TRUE, _INT, _TEXT = 1, 2, 4, 6

_OBJECT_ACTOR, _OBJECT = 0x01, 0x02
_KEY, _INSERT, _ACTION = 0x15, 0x34, 0x42
_META, _RAW = 0x56, 0x57
_PREDECESSORS, _PREDECESSOR_ACTOR, _PREDECESSOR = 0x70, 0x71, 0x73
_COLUMNS = (
    _OBJECT_ACTOR,
    _OBJECT,
    _KEY,
    _INSERT,
    _ACTION,
    _META,
    _RAW,
    _PREDECESSORS,
    _PREDECESSOR_ACTOR,
    _PREDECESSOR,
)


class Change(NamedTuple):
    """What stands at the head of a change."""

    hash: bytes
    deps: tuple[bytes, ...]
    """Hashes of the changes it builds on."""

    actor: bytes
    seq: int
    start_op: int
    ops: int


class _Reader:
    """Bytes from a place on; whoever reads past the end is told."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, n: int) -> bytes:
        end = self.at + n
        if end > len(self.data):
            raise BadFact("a change that breaks off")
        part, self.at = self.data[self.at : end], end
        return part

    def unsigned(self) -> int:
        value = shift = 0
        while True:
            (byte,) = self.take(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
            if shift > 63:
                raise BadFact("a change with a number beyond 64 bits")
        if value >> 64 or (shift > 7 and not byte):
            raise BadFact("a change with a number that is not in its shortest form")
        return value

    def signed(self) -> int:
        value = shift = 0
        before = 0
        while True:
            (byte,) = self.take(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
            if shift > 63:
                raise BadFact("a change with a number beyond 64 bits")
            before = byte
        if byte & 0x40:
            value -= 1 << shift
        if not -(1 << 63) <= value < 1 << 63 or (
            shift > 7 and ((byte == 0 and not before & 0x40) or (byte == 0x7F and before & 0x40))
        ):
            raise BadFact("a change with a number that is not in its shortest form")
        return value

    @property
    def done(self) -> bool:
        return self.at == len(self.data)


def read(data: bytes) -> Change:
    """Read a change.

    Raises:
        BadFact: It is none that a node of ours can have made.
    """
    if len(data) > MAX_CHANGE:
        raise BadFact(f"a change of {len(data)} bytes, expected at most {MAX_CHANGE}")
    chunk = _Reader(data)
    if chunk.take(4) != _MAGIC:
        raise BadFact("no change: it does not begin like one")
    checksum, hashed = chunk.take(4), data[chunk.at :]
    digest = sha256(hashed).digest()
    if digest[:4] != checksum:
        raise BadFact("a change whose checksum does not hold")
    if chunk.take(1)[0] != _TYPE or chunk.unsigned() != len(data) - chunk.at:
        raise BadFact("not exactly one plain change")
    deps = tuple(chunk.take(HASH_BYTES) for _ in range(_bounded(chunk.unsigned(), MAX_DEPS)))
    actor = _actor(chunk)
    seq, start_op = chunk.unsigned(), chunk.unsigned()
    if not (0 < seq < 1 << 32 and CONTAINERS < start_op < 1 << 32):
        raise BadFact(f"a change numbered {seq}, its first operation {start_op}")
    if chunk.signed() != 0 or chunk.unsigned() != 0:
        raise BadFact("a change with a time or a message")
    actors = [actor, *(_actor(chunk) for _ in range(_bounded(chunk.unsigned(), MAX_ACTORS)))]
    if not deps or actors[1:] != sorted(set(actors[1:])) or actor in actors[1:]:
        raise BadFact("a change that builds on nothing, or names an actor twice")
    columns = _columns(chunk)
    if not chunk.done:
        raise BadFact("a change with something behind it")
    return Change(digest, deps, actor, seq, start_op, _check(columns, actors, start_op))


def _bounded(n: int, most: int) -> int:
    if n > most:
        raise BadFact(f"a change with {n} of something, expected at most {most}")
    return n


def _actor(chunk: _Reader) -> bytes:
    if chunk.unsigned() != ACTOR_BYTES:
        raise BadFact(f"a change by an actor whose name has not {ACTOR_BYTES} bytes")
    return chunk.take(ACTOR_BYTES)


def _columns(chunk: _Reader) -> dict[int, _Reader]:
    sizes = [
        (chunk.unsigned(), chunk.unsigned())
        for _ in range(_bounded(chunk.unsigned(), len(_COLUMNS)))
    ]
    names = [name for name, _ in sizes]
    if names != sorted(set(names)) or not set(names) <= set(_COLUMNS):
        raise BadFact("a change with columns we never write")
    found = {name: _Reader(chunk.take(size)) for name, size in sizes}
    return {name: found.get(name, _Reader(b"")) for name in _COLUMNS}


def _check(columns: dict[int, _Reader], actors: list[bytes], start_op: int) -> int:
    """Check every operation; return how many there are."""
    actions = list(_numbers(columns[_ACTION], MAX_OPS))
    ops = len(actions)
    whole = {
        _OBJECT_ACTOR: list(_numbers(columns[_OBJECT_ACTOR], ops)),
        _OBJECT: list(_numbers(columns[_OBJECT], ops)),
        _META: list(_numbers(columns[_META], ops)),
        _PREDECESSORS: list(_numbers(columns[_PREDECESSORS], ops)),
    }
    if not ops or any(len(values) != ops for values in whole.values()):
        raise BadFact("a change whose columns are not of one length")
    if _keys(columns[_KEY], ops) != ops or _inserts(columns[_INSERT]) != ops:
        raise BadFact("a change that does not put or delete keys of maps")
    base = actors.index(BASE_ACTOR) if BASE_ACTOR in actors else -1
    if base < 1 or set(whole[_OBJECT_ACTOR]) != {base}:
        raise BadFact("a change of something that is no map of the document")
    if not all(0 < number <= CONTAINERS for number in whole[_OBJECT]):
        raise BadFact("a change of something that is no map of the document")
    _values(actions, whole[_META], columns[_RAW])
    total = sum(whole[_PREDECESSORS])
    before = list(_numbers(columns[_PREDECESSOR_ACTOR], _bounded(total, MAX_OPS * 4)))
    counters = list(_deltas(columns[_PREDECESSOR], total))
    if len(before) != total or len(counters) != total:
        raise BadFact("a change whose columns are not of one length")
    if any(index >= len(actors) or index == base for index in before):
        raise BadFact("a change that replaces what nobody wrote")
    if any(not CONTAINERS < number < start_op + ops for number in counters):
        raise BadFact("a change that replaces what nobody wrote")
    return ops


def _values(actions: list[int], meta: list[int], raw: _Reader) -> None:
    for action, described in zip(actions, meta, strict=True):
        kind, size = described & 0xF, described >> 4
        if action == _DELETE:
            if described:
                raise BadFact("a change that deletes and puts at once")
        elif action != _PUT:
            raise BadFact(f"a change that does {action}, expected to put or delete")
        elif kind == _TEXT:
            try:
                raw.take(size).decode()
            except UnicodeDecodeError as error:
                raise BadFact("a change with a text that is not UTF-8") from error
        elif kind == _INT:
            _integer(_Reader(raw.take(size)))
        elif kind not in (_FALSE, _TRUE) or size:
            raise BadFact(f"a change with a value of type {kind}")
    if not raw.done:
        raise BadFact("a change with something behind its values")


def _integer(number: _Reader) -> None:
    number.signed()
    if not number.done:
        raise BadFact("a change with a number that is not in its shortest form")


def _runs(column: _Reader, most: int) -> Iterator[tuple[int, bool]]:
    """Give the runs of a column: how many rows, and whether they are of one value."""
    rows = 0
    while not column.done:
        n = column.signed()
        if not n:
            raise BadFact("a change with a row left empty")
        rows = _bounded(rows + abs(n), most)
        yield abs(n), n > 0


def _numbers(column: _Reader, most: int) -> Iterator[int]:
    for n, same in _runs(column, most):
        if same:
            yield from [column.unsigned()] * n
        else:
            for _ in range(n):
                yield column.unsigned()


def _deltas(column: _Reader, most: int) -> Iterator[int]:
    value = 0
    for n, same in _runs(column, most):
        step = column.signed() if same else 0
        for _ in range(n):
            value += step if same else column.signed()
            yield value


def _keys(column: _Reader, most: int) -> int:
    rows = size = 0
    for n, same in _runs(column, most):
        for _ in range(1 if same else n):
            length = _bounded(column.unsigned(), MAX_KEY)
            try:
                column.take(length).decode()
            except UnicodeDecodeError as error:
                raise BadFact("a change with a key that is not UTF-8") from error
            size = _bounded(size + length * (n if same else 1), MAX_EXPANDED)
        rows += n
    return rows


def _inserts(column: _Reader) -> int:
    """Return the rows of a column that says false throughout."""
    rows = column.unsigned()
    if not column.done:
        raise BadFact("a change of lists")
    return rows
