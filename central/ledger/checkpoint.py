"""Making a store's checkpoint: every view of a store's node, from head office's own tables.

`SHELVES` names, for each view of `sync.checkpoint.VIEWS`, what gives its rows; the store's
side has a table of the same names (`edge/store/base.py`). What is of all stores, above all the
catalogue, is packed once and kept until head office writes again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

from sqlalchemy import Connection, Table, case, func, select

from central.ledger import bulk, journal
from central.ledger.tables import (
    ARTICLES,
    DUPLICATES,
    FACTS,
    FENCES,
    PERSON_KEYS,
    PRICES,
    QUARANTINE,
    SALE_MARKS,
    SALES,
    UNREADABLE,
    VAT_RATES,
)
from central.ledger.unit import Cursor, Own
from sync import checkpoint, facts
from sync.chain import ALL, Fact, StreamId
from sync.checkpoint import KEEP_MS, SALE_KINDS, SETTLED_KINDS, Cut, Manifest, Packed, Part
from sync.clock import COUNTER_BITS
from sync.errors import BadFact
from sync.facts.sale import Sale, SaleClosed, SaleVoided, Stage
from sync.merge.sales import stage_now
from sync.merge.taken import Taken

_STEP = 1000
_HOUR_MS = 3_600_000
_CHUNK = 1 << 16
_FACT = ("node", "incarnation", "seq", "hlc", "kind", "version", "event", "body", "hash")

Rows = Iterable[Sequence[Any]]
Key = tuple[bytes, int]
"""Node and incarnation of a stream of the scope."""


@dataclass(slots=True)
class Asked:
    """Of which scope, and what several views are made of."""

    connection: Connection
    scope: str
    ends: dict[Key, int]
    """Streams of the scope, and how far the checkpoint goes."""

    places: dict[Key, int]
    """Where they stand in the manifest."""

    whole: dict[Key, int]
    """Above which number every fact of a sale travels whole."""

    taken: dict[Key, Taken] = field(default_factory=dict)
    """What sales moved, by stream; filled while ``goods`` are read."""

    tills: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Till to the hour in which it sold last, and the node it did so on; likewise."""


class Made(NamedTuple):
    """A checkpoint, ready to be sent. Close it in the end."""

    heads: bytes
    """The first two frames."""

    parts: IO[bytes]
    size: int
    """Bytes of all of it."""

    def chunks(self) -> Iterator[bytes]:
        """Give its bytes."""
        yield self.heads
        self.parts.seek(0)
        while chunk := self.parts.read(_CHUNK):
            yield chunk


class Common(NamedTuple):
    """What was packed of the scope of all stores, and as of where its streams stood."""

    cuts: tuple[Cut, ...]
    packed: list[Packed]


def make(
    connection: Connection, own: Own, store: str, now_ms: int, common: Common | None
) -> tuple[Made, Common]:
    """Make the checkpoint of a store as of this moment.

    Args:
        connection: Sees one moment.
        own: Signs it.
        store: Whose.
        now_ms: The time.
        common: What was packed before of the scope of all stores.

    Returns:
        The checkpoint, and what of it the next one may use.
    """
    cursors = [
        (stream, cursor)
        for stream, cursor in sorted(
            journal.load_cursors(connection).items(), key=lambda pair: (pair[0].scope, pair[0])
        )
        if stream.scope in (ALL, store) and cursor.head.seq
    ]
    of_all, ours = (_asked(connection, cursors, scope, now_ms) for scope in (ALL, store))
    cuts = tuple(
        Cut(stream.name(), cursor.head.seq, cursor.head.hash, asked.whole.get(_key(stream), 0))
        for asked in (of_all, ours)
        for stream, cursor in cursors
        if stream.scope == asked.scope
    )
    shared = cuts[: len(of_all.ends)]
    if common is None or common.cuts != shared:
        common = Common(shared, list(_packed(of_all)))
    notes: list[Part] = []
    with ExitStack() as stack:
        parts = stack.enter_context(TemporaryFile())
        for source in (common.packed, _packed(ours)):
            for one in source:
                notes.append(one.part)
                parts.write(checkpoint.framed(one.frame))
        stack.pop_all()  # whoever sends it closes it
    manifest = Manifest(
        checkpoint.FORMAT,
        now_ms,
        own.node,
        (store, ALL),
        checkpoint.versions(),
        cuts,
        tuple(notes),
    )
    heads = b"".join(map(checkpoint.framed, checkpoint.sealed(manifest, own.key)))
    return Made(heads, parts, len(heads) + parts.tell()), common


def person_keys(connection: Connection, store: str) -> dict[bytes, bytes]:
    """Return the keys of the persons that a store's facts tell of, of those not forgotten."""
    c = PERSON_KEYS.c
    return {
        row.person: row.key
        for row in connection.execute(
            select(c.person, c.key).where(c.store.in_((ALL, store)), c.key.is_not(None))
        )
    }


def _asked(
    connection: Connection, cursors: Sequence[tuple[StreamId, Cursor]], scope: str, now_ms: int
) -> Asked:
    ends = {_key(s): cursor.head.seq for s, cursor in cursors if s.scope == scope}
    places = {_key(s): at for at, (s, _) in enumerate(cursors) if s.scope == scope}
    c = FACTS.c
    old = connection.execute(
        select(c.node, c.incarnation, func.max(c.seq))
        .where(
            c.store == scope,
            c.kind.in_(sorted(SALE_KINDS)),
            c.hlc < (now_ms - KEEP_MS) << COUNTER_BITS,
        )
        .group_by(c.node, c.incarnation)
    )
    whole = {(node, incarnation): seq for node, incarnation, seq in old}
    return Asked(connection, scope, ends, places, whole)


def _key(stream: StreamId) -> Key:
    return stream.node, stream.incarnation


def _packed(asked: Asked) -> Iterator[Packed]:
    for view, rows in SHELVES.items():
        yield from checkpoint.pack(view, rows(asked))


def _facts(asked: Asked) -> Rows:
    """Facts that the reader applies itself, and those that it must have besides."""
    c = FACTS.c
    columns = [*(c[name] for name in _FACT), c.signature]
    there: set[tuple[Key, int]] = set()
    for row in asked.connection.execute(
        select(*columns)
        .where(c.store == asked.scope, c.kind.not_in(sorted(SETTLED_KINDS)))
        .execution_options(yield_per=_STEP)
    ):
        there.add(((row[0], row[1]), row[2]))
        yield asked.places[row[0], row[1]], *row[2:]
    for (node, incarnation), end in asked.ends.items():
        mine = (c.store == asked.scope, c.node == node, c.incarnation == incarnation)
        young = (c.kind.in_(sorted(SALE_KINDS)), c.seq > asked.whole.get((node, incarnation), 0))
        for row in asked.connection.execute(
            select(*columns).where(*mine, *young).execution_options(yield_per=_STEP)
        ):
            there.add(((node, incarnation), row.seq))
            yield asked.places[node, incarnation], *row[2:]
        more = {end, *_needed(asked, (node, incarnation))}
        lacking = sorted(seq for seq in more if ((node, incarnation), seq) not in there)
        for part in bulk.chunks(lacking):
            for row in asked.connection.execute(select(*columns).where(*mine, c.seq.in_(part))):
                yield asked.places[node, incarnation], *row[2:]


def _needed(asked: Asked, key: Key) -> Iterator[int]:
    """Give the numbers of a stream's facts that stand for themselves, however old they are."""
    c = SALES.c
    yield from asked.connection.execute(
        select(c.seq).where(
            c.store == asked.scope,
            c.node == key[0],
            c.incarnation == key[1],
            c.stage < int(Stage.CLOSED),
        )
    ).scalars()
    for node, incarnation, seq in _set_aside(asked):
        if (node, incarnation) == key:
            yield seq


def _set_aside(asked: Asked) -> Iterator[tuple[bytes, int, int]]:
    for table in (UNREADABLE, QUARANTINE):
        c = table.c
        for row in asked.connection.execute(
            select(c.node, c.incarnation, c.seq).where(
                c.store == asked.scope, c.kind.in_(sorted(SETTLED_KINDS))
            )
        ):
            yield row.node, row.incarnation, row.seq


def _unapplied(asked: Asked) -> Rows:
    for node, incarnation, seq in _set_aside(asked):
        yield asked.places[node, incarnation], seq


def _rows(table: Table, *names: str) -> Callable[[Asked], Rows]:
    """Give columns of a table, as they are."""

    def rows(asked: Asked) -> Rows:
        yield from asked.connection.execute(
            select(*(table.c[name] for name in names))
            .where(table.c.store == asked.scope)
            .order_by(*table.primary_key.columns)
            .execution_options(yield_per=_STEP)
        )

    return rows


_FURTHEST = func.max(case((SALE_MARKS.c.stage == 0, 1), else_=SALE_MARKS.c.stage))
"""The furthest stage that facts after the sale itself vouch for."""


def _sales(asked: Asked) -> Rows:
    c = SALES.c
    later = {
        row[0]: int(row[1])
        for row in asked.connection.execute(
            select(SALE_MARKS.c.event, _FURTHEST)
            .where(SALE_MARKS.c.store == asked.scope)
            .group_by(SALE_MARKS.c.event)
        )
    }
    open_now = _stages(asked, later)
    for row in asked.connection.execute(
        select(
            *(c.event, c.node, c.incarnation, c.seq, c.stage, c.till, c.series, c.number, c.at_ms),
            *(c.business_day, c.cashier, c.channel, c.lines, c.quantity_milli, c.total_minor),
        )
        .where(c.store == asked.scope)
        .execution_options(yield_per=_STEP)
    ):
        event, node, incarnation, seq, stage, *rest = row
        stage = open_now.get(event, stage)
        yield event, asked.places[node, incarnation], seq, stage, later.pop(event, 0), *rest
    for event, furthest in later.items():  # of sales that are not here themselves
        yield event, None, None, max(furthest, int(Stage.TENDERED)), furthest, *[None] * 10


def _stages(asked: Asked, later: Mapping[bytes, int]) -> dict[bytes, int]:
    """Return the stages of open sales as a store has them: of each payment the last word holds."""
    settled: dict[bytes, dict[int, bool]] = {}
    for event, payment, *_, approved in _settled(asked):
        settled.setdefault(event, {})[payment] = bool(approved)
    c = SALES.c
    places = {
        (asked.scope, row.node, row.incarnation, row.seq): row.event
        for row in asked.connection.execute(
            select(c.node, c.incarnation, c.seq, c.event).where(
                c.store == asked.scope, c.stage < int(Stage.CLOSED)
            )
        )
    }
    found = {}
    for place, fact in journal.read_facts(asked.connection, places).items():
        event, body = places[place], facts.decode(fact)
        if isinstance(body, Sale):
            found[event] = int(stage_now(body, settled.get(event, {}), later.get(event, 0)))
    return found


def _settled(asked: Asked) -> Rows:
    """Of each payment the last word, as a store counts it."""
    c = SALE_MARKS.c
    last: dict[tuple[bytes, int], tuple[bytes, int, int, int]] = {}
    for row in asked.connection.execute(
        select(c.event, c.payment, c.node, c.incarnation, c.seq, c.approved).where(
            c.store == asked.scope, c.stage == 0
        )
    ):
        word = (row.node, row.incarnation, row.seq, row.approved)
        key = (row.event, row.payment)
        last[key] = max(last.get(key, word), word)
    for (event, payment), (node, incarnation, seq, approved) in last.items():
        yield event, payment, asked.places[node, incarnation], seq, approved


def _duplicates(asked: Asked) -> Rows:
    c = DUPLICATES.c
    for row in asked.connection.execute(
        select(c.event, c.node, c.incarnation, c.seq).where(
            c.store == asked.scope, c.kind == "sale"
        )
    ):
        yield row.event, asked.places[row.node, row.incarnation], row.seq


def _goods(asked: Asked) -> Rows:
    """What sales take that do not travel whole; works out what `_rights` and others tell."""
    c = FACTS.c
    twice = frozenset(
        asked.connection.execute(
            select(DUPLICATES.c.event).where(DUPLICATES.c.store == asked.scope)
        ).scalars()
    )
    fences = {
        (node, incarnation): seq
        for node, incarnation, seq in asked.connection.execute(
            select(FENCES.c.closed_node, FENCES.c.closed_incarnation, FENCES.c.closed_seq).where(
                FENCES.c.store == asked.scope
            )
        )
    }
    for node, incarnation, *columns in asked.connection.execute(
        select(c.node, c.incarnation, c.seq, c.hlc, c.kind, c.version, c.event, c.body)
        .where(c.store == asked.scope, c.kind.in_(("sale", "sale.closed", "sale.voided")))
        .order_by(c.node, c.incarnation, c.seq)
        .execution_options(yield_per=_STEP)
    ):
        key, fact = (node, incarnation), Fact(*columns)
        try:
            told = facts.decode(fact)
        except BadFact:
            continue  # in quarantine
        if isinstance(told, Sale):
            owner = (told.at_ms // _HOUR_MS, node)
            asked.tills[told.till] = max(owner, asked.tills.get(told.till, owner))
            if fact.seq <= asked.whole.get(key, 0):
                taken = checkpoint.goods(told.lines.sums().by_sku)
                yield asked.places[key], fact.seq, int(told.stage), taken
        if isinstance(told, Sale | SaleClosed | SaleVoided) and fact.seq <= fences.get(
            key, fact.seq
        ):
            asked.taken.setdefault(key, Taken(twice)).add(fact.seq, fact.event, told)


def _rights(asked: Asked) -> Rows:
    for key, taken in asked.taken.items():
        for cell, (used, made, as_of_ms) in taken.rows.items():
            yield cell, asked.places[key], used, made, as_of_ms


def _closings(asked: Asked) -> Rows:
    for key, taken in asked.taken.items():
        for event, (closed, voided) in taken.closings.items():
            yield asked.places[key], event, closed, voided


def _tills(asked: Asked) -> Rows:
    for till, owner in asked.tills.items():
        yield till, *owner


SHELVES: dict[str, Callable[[Asked], Rows]] = {
    "facts": _facts,
    "articles": _rows(
        ARTICLES,
        *("sku", "revision", "name", "fiscal_name", "unit", "vat", "codes", "deposit_minor"),
        *("age_min", "product_group", "from_ms"),
    ),
    "prices": _rows(PRICES, "sku", "from_ms", "revision", "unit_minor"),
    "vat_rates": _rows(VAT_RATES, "code", "since", "revision", "basis_points", "exempt"),
    "sales": _sales,
    "settled": _settled,
    "duplicates": _duplicates,
    "goods": _goods,
    "rights": _rights,
    "closings": _closings,
    "tills": _tills,
    "unapplied": _unapplied,
}
"""Every view of a checkpoint, and what gives its rows; those after ``goods`` live off it."""
