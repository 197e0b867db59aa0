"""Documents that several people edit at once: changes from anywhere become one value.

The only importer of `automerge`, and only of `automerge.core`. A document has three maps,
made by one first change that is the same bytes everywhere (`BASE`), so that two nodes
which create the same document apart have created one:

* ``fields``: what there is one of. Two who write the same field: one wins, by
  Automerge's order, never by a clock.
* ``items``: entries by key (a line's id, a card's code), each a single plain value,
  so that two entries never hide each other.
* ``sums``: numbers several writers add to. Each writer keeps one int of its own and the
  value is their sum: Automerge's counter cannot be used from Python.

A document is opened from the *set* of its changes, in an order that follows from them
alone, and is thrown away after use: nothing of a unit that is rolled back can stay behind.

Foreign bytes never reach the library before `sync.facts.change.read` has passed them. Of
60,000 spoiled changes with the checksum repaired (`tests/sync/hostile_changes.py`, seeds 11
to 16; a part of it is a test) 11,474 passed that check and none ended or stalled the process:
so catching is enough, and no process of its own is spent on decoding. What the library
raises, `PanicException` included, is caught; a change that brings it out is set aside (with
those numbered alike, 1,424), and all that builds on it, the same at every node.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from sync.errors import BadFact, SyncError
from sync.facts.change import MAX_CHANGE, MAX_OPS, Change, read

BASE = bytes.fromhex(
    "856f4a83c73c4001013c00106b6172622e646f63756d656e742e31000101000000051513340142025602700"
    "27d066669656c6473056974656d730473756d7303030003000300"
)
BASE_HASH = bytes.fromhex("c73c4001a0aa9a2970796a7e2a98c75f25ac10d26bb83c479ff3f9019fa1bf78")

FIELDS, ITEMS, SUMS = "fields", "items", "sums"

MAX_BYTES = 1 << 20
"""Bytes of all changes of one generation together."""

MAX_CHANGES = 4096
MAX_UNFIT = 32
"""Changes of a document that are looked for and set aside, one after the other."""

COMPACT_AT = 200
"""Changes of a generation from which on the next one should begin."""

_BUILDS = "builds on a change that was set aside"

_OVERHEAD = 64
"""Above what an edit takes beside its key and its text; a sum has its writer in the key."""

Scalar = str | int | bool


class DocumentFull(SyncError):
    """No further change fits; begin a new generation, or another document."""


class Put(NamedTuple):
    """Write a field or an item."""

    container: str
    key: str
    value: Scalar


class Drop(NamedTuple):
    """Take a field or an item away."""

    container: str
    key: str


class Add(NamedTuple):
    """Add to a sum."""

    key: str
    amount: int


Edit = Put | Drop | Add


@dataclass(frozen=True, slots=True)
class Value:
    """What a document says."""

    fields: dict[str, Scalar]
    items: dict[str, Scalar]
    sums: dict[str, int]

    def edits(self) -> list[Edit]:
        """Return what makes an empty document say this: how a generation begins."""
        return [
            *(Put(FIELDS, key, value) for key, value in self.fields.items()),
            *(Put(ITEMS, key, value) for key, value in self.items.items()),
            *(Add(key, amount) for key, amount in self.sums.items()),
        ]


@dataclass(frozen=True, slots=True)
class Document:
    """A document as opened from some changes."""

    value: Value
    heads: frozenset[bytes]
    unusable: dict[bytes, str]
    """Changes set aside, by the name they were given, and why."""

    waiting: frozenset[bytes]
    """Changes whose predecessors are not here yet, by the name they were given."""

    size: int
    """Bytes of the changes in it."""

    changes: int
    _bytes: bytes
    """The first change of all, and then these: loading them again gives what was opened."""

    def change(self, actor: bytes, edits: Iterable[Edit]) -> bytes | None:
        """Return the change that makes these edits; None if they change nothing.

        The document stays as it is: the change counts once it is stored and opened.

        Args:
            actor: 16 bytes, fresh for each start of the program: an actor that went on
                after a backup was restored would number two changes alike.
            edits: All of them, or nothing.

        Raises:
            DocumentFull: It would outgrow what a document may be.
            ValueError: The library cannot store such a value.
        """
        try:
            made: bytes | None = _guarded(partial(self._change, actor, list(edits)))
        except _Unfit as error:
            raise ValueError(f"document: {error}") from error
        if made is None:
            return None
        if (
            len(made) > MAX_CHANGE
            or self.size + len(made) > MAX_BYTES
            or self.changes >= MAX_CHANGES
        ):
            raise DocumentFull(
                f"Document of {self.changes} changes, {self.size} bytes: a change of {len(made)} "
                f"bytes does not fit; expected at most {MAX_CHANGES} changes of {MAX_CHANGE} "
                f"bytes, {MAX_BYTES} in all. Begin another document."
            )
        try:
            read(made)  # what we write is what everybody takes
        except BadFact as error:
            raise ValueError(f"document: {error}") from error
        return made

    def _change(self, actor: bytes, edits: list[Edit]) -> bytes | None:
        core = _core()
        document: Any = core.Document.load(self._bytes)
        document.set_actor(actor)
        wrote = False
        with document.transaction() as tx:
            ids = {name: tx.get(core.ROOT, name)[1] for name in (FIELDS, ITEMS, SUMS)}
            for edit in edits:
                match edit:
                    case Add(key, amount):
                        own = f"{key}#{actor.hex()}"
                        found = tx.get(ids[SUMS], own)
                        if amount:
                            tx.put(ids[SUMS], own, core.ScalarType.Int, _plain(found, 0) + amount)
                            wrote = True
                    case Put(container, key, value):
                        if not _same(_plain(tx.get(ids[container], key), None), value):
                            tx.put(ids[container], key, _type(value), value)
                            wrote = True
                    case Drop(container, key):
                        if tx.get(ids[container], key) is not None:
                            tx.delete(ids[container], key)
                            wrote = True
        if not wrote:
            return None
        made: bytes = document.get_last_local_change().raw_bytes
        return made


def _core() -> Any:
    """Load the library when the first document is opened: most tills never see one."""
    import automerge.core  # noqa: PLC0415 - 2.3 MB

    return automerge.core


def _type(value: Scalar) -> Any:
    types = _core().ScalarType
    if isinstance(value, bool):
        return types.Boolean
    return types.Str if isinstance(value, str) else types.Int


def opened(changes: Mapping[bytes, bytes] | Iterable[bytes] = ()) -> Document:
    """Open a document from a set of changes, in whatever order they come.

    Args:
        changes: Changes by a name of the caller's, or plain ones, named by themselves.
            Unfit ones among them are set aside and named, never raised.
    """
    named = changes if isinstance(changes, Mapping) else {change: change for change in changes}
    unusable: dict[bytes, str] = {}
    heads: dict[bytes, tuple[Change, bytes, bytes]] = {}
    for name, raw in sorted(named.items()):
        try:
            head = read(raw)
        except BadFact as error:
            unusable[name] = str(error)
        else:
            heads.setdefault(head.hash, (head, raw, name))
    ordered, waiting = _order(heads)
    fit: list[bytes] = []
    size, alike = len(BASE), _numbered_alike(heads)
    left: set[bytes] = set()
    for hash_ in ordered:
        head, raw, name = heads[hash_]
        size += len(raw)
        if hash_ in alike:
            unusable[name] = "its writer numbered two changes alike"
        elif left.intersection(head.deps):
            unusable[name] = _BUILDS
        elif len(fit) >= MAX_CHANGES or size > MAX_BYTES:
            unusable[name] = "beyond what a document may hold"
        else:
            fit.append(hash_)
            continue
        left.add(hash_)
    whole = BASE + b"".join(heads[hash_][1] for hash_ in fit)
    try:
        value, tips = _guarded(partial(_loaded, whole))
    except _Unfit:
        whole, value, tips = _without_unfit(fit, heads, unusable)
    return Document(
        value=value,
        heads=tips,
        unusable=unusable,
        waiting=frozenset(heads[hash_][2] for hash_ in waiting),
        size=len(whole) - len(BASE),
        changes=sum(heads[hash_][2] not in unusable for hash_ in fit),
        _bytes=whole,
    )


def pieces(edits: Iterable[Edit]) -> Iterator[list[Edit]]:
    """Cut edits into as many changes as they need; most need one."""
    part: list[Edit] = []
    size = 0
    for edit in edits:
        value = edit.value if isinstance(edit, Put) else 0
        size += _OVERHEAD + len(edit.key.encode())
        size += len(value.encode()) if isinstance(value, str) else 0
        if part and (size > MAX_CHANGE // 2 or len(part) >= MAX_OPS // 2):
            yield part
            part, size = [], 0
        part.append(edit)
    if part:
        yield part


def begun(value: Value, actor: bytes) -> bytes:
    """Return the change that begins a generation which says `value`; history is left behind.

    Raises:
        DocumentFull: It says too much for one change.
        ValueError: It says nothing.
    """
    edits = value.edits()
    if len(edits) > MAX_OPS:
        raise DocumentFull(f"Document of {len(edits)} values: expected at most {MAX_OPS}.")
    made = opened().change(actor, edits)
    if made is None:
        raise ValueError("document: it says nothing, there is nothing to begin with")
    return made


def _numbered_alike(heads: Mapping[bytes, tuple[Change, bytes, bytes]]) -> set[bytes]:
    """Return the changes whose writer has another one of that number; the lowest hash stays."""
    first: dict[tuple[bytes, int], bytes] = {}
    for hash_, (head, _, _) in sorted(heads.items()):
        first.setdefault((head.actor, head.seq), hash_)
    return set(heads) - set(first.values())


def _order(
    heads: Mapping[bytes, tuple[Change, bytes, bytes]],
) -> tuple[list[bytes], list[bytes]]:
    """Return hashes so that each stands behind what it builds on, and those that wait."""
    missing = {
        hash_: {dep for dep in head.deps if dep != BASE_HASH}
        for hash_, (head, _, _) in heads.items()
    }
    after: dict[bytes, list[bytes]] = {}
    for hash_, deps in missing.items():
        for dep in deps:
            after.setdefault(dep, []).append(hash_)
    ready = [hash_ for hash_, deps in missing.items() if not deps]
    heapq.heapify(ready)
    ordered = []
    while ready:
        hash_ = heapq.heappop(ready)
        ordered.append(hash_)
        for follower in after.get(hash_, ()):
            missing[follower].discard(hash_)
            if not missing[follower]:
                heapq.heappush(ready, follower)
    done = set(ordered)
    return ordered, sorted(hash_ for hash_ in heads if hash_ not in done)


def _without_unfit(
    ordered: Sequence[bytes],
    heads: Mapping[bytes, tuple[Change, bytes, bytes]],
    unusable: dict[bytes, str],
) -> tuple[bytes, Value, frozenset[bytes]]:
    """Find the changes that the library cannot bear, and open without them.

    The first one is found by halving, then the next behind it; what builds on them goes
    with them. Behind `MAX_UNFIT` of them nothing is tried any more: somebody means harm.
    """
    whole, rest = BASE, list(ordered)
    left: set[bytes] = set()
    while rest:
        try:
            more = whole + b"".join(heads[hash_][1] for hash_ in rest)
            return (more, *_guarded(partial(_loaded, more)))
        except _Unfit as error:
            good, bad, reason = 0, len(rest), str(error)
        while bad - good > 1:
            middle = (good + bad) // 2
            more = whole + b"".join(heads[hash_][1] for hash_ in rest[:middle])
            try:
                _guarded(partial(_loaded, more))
            except _Unfit as error:
                bad, reason = middle, str(error)
            else:
                good = middle
        whole += b"".join(heads[hash_][1] for hash_ in rest[:good])
        left.add(rest[good])
        unusable[heads[rest[good]][2]] = f"the library refuses it: {reason}"[:200]
        rest, after = [], rest[good + 1 :]
        for hash_ in after:
            if left.intersection(heads[hash_][0].deps):
                left.add(hash_)
                unusable[heads[hash_][2]] = _BUILDS
            elif len(left) >= MAX_UNFIT:
                unusable[heads[hash_][2]] = f"behind {MAX_UNFIT} changes that were set aside"
            else:
                rest.append(hash_)
    return (whole, *_loaded(whole))


class _Unfit(Exception):
    """The library raised, or panicked."""


def _guarded(call: Callable[[], Any]) -> Any:
    """Call into the library; a panic of it is a `BaseException`, and the document is dropped."""
    try:
        return call()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise _Unfit(str(error)) from error


def _loaded(data: bytes) -> tuple[Value, frozenset[bytes]]:
    document = _core().Document.load(data)
    return _value(document), frozenset(document.get_heads())


def _value(document: Any) -> Value:
    ids = [document.get(_core().ROOT, name)[1] for name in (FIELDS, ITEMS, SUMS)]
    fields, items = (
        {key: _plain(document.get(id_, key), "") for key in document.keys(id_)} for id_ in ids[:2]
    )
    sums: dict[str, int] = {}
    for key in document.keys(ids[2]):
        amount = _plain(document.get(ids[2], key), 0)
        if isinstance(amount, bool) or not isinstance(amount, int):
            raise TypeError(f"sum {key!r} is no number")
        name = key.rpartition("#")[0]
        sums[name] = sums.get(name, 0) + amount
    return Value(fields, items, sums)


def _plain(found: Any, missing: Any) -> Any:
    return missing if found is None else found[0][1]


def _same(there: Any, value: Scalar) -> bool:
    return type(there) is type(value) and there == value
