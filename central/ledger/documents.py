"""The views of documents that several people edit, and passing them on to every store.

Rows hold changes as they travelled: what is personal stays sealed and is opened only to
be read. Kinds that all stores share (`sync.facts.document.SHARED`) have their rows at
scope `ALL`, whichever store wrote them; what a store wrote head office writes again, the
same bytes, into its stream for every store, and there begins the next generation when
one has grown.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, delete, func, select, update

from central.ledger import author, bulk
from central.ledger.entry import Entry
from central.ledger.tables import (
    BASKET_ENDS,
    BASKET_RECALLS,
    DOCUMENT_CHANGES,
    DOCUMENT_GENERATIONS,
    DOCUMENT_PERSONS,
    DOCUMENT_SETTLEMENTS,
    FORGOTTEN,
    PERSON_KEYS,
)
from central.ledger.unit import Unit
from sync.chain import ALL, StreamId
from sync.facts import Body
from sync.facts.basket import BasketEnded, BasketRecalled
from sync.facts.change import ACTOR_BYTES
from sync.facts.document import (
    BASKET,
    SHARED,
    DocumentChanged,
    DocumentSettled,
    GenerationBegan,
    names,
)
from sync.facts.person import NONCE_BYTES, PersonForgotten, Sealed, seal, sealed_in
from sync.merge.basket import Recall
from sync.merge.document import COMPACT_AT, DocumentFull, begun
from sync.merge.history import Content, Generation, History, Oddity, Settlement, joined

Key = tuple[str, bytes]
"""Scope and document."""

_BODIES = (
    DocumentChanged,
    GenerationBegan,
    DocumentSettled,
    PersonForgotten,
    BasketRecalled,
    BasketEnded,
)
KINDS: tuple[type, ...] = _BODIES
_SHARING = 500
"""Changes passed on at a time."""


def is_document_body(body: object) -> bool:
    """Whether a body tells of a document."""
    return isinstance(body, _BODIES)


def apply(unit: Unit, entries: Sequence[Entry]) -> None:
    """Apply facts that tell of documents."""
    rows: dict[Table, list[bulk.Row]] = {}
    moved: dict[Key, set[bytes]] = {}
    for entry in entries:
        key, whose = _rows(unit, entry, rows)
        moved.setdefault(key, set()).update(whose)
    for table, made in rows.items():
        for row in made:  # one by one: a statement may not touch a key twice
            bulk.insert(unit.connection, table, [row], _CONFLICTS[table])
    bulk.insert(
        unit.connection,
        DOCUMENT_PERSONS,
        [(*key, person) for key, whose in moved.items() for person in sorted(whose)],
        _NOTHING,
    )
    _tidy(unit, moved)


def _rows(
    unit: Unit, entry: Entry, rows: dict[Table, list[bulk.Row]]
) -> tuple[Key, Iterable[bytes]]:
    store, node, incarnation, seq = entry.place
    body = entry.body
    whose = [sealed.person for sealed in sealed_in(body)] if isinstance(body, _BODIES) else []
    match body:
        case DocumentChanged():
            scope = ALL if body.kind in SHARED else store
            told = int(scope == store and node == unit.state.own.node)
            rows.setdefault(DOCUMENT_CHANGES, []).append(
                (
                    scope,
                    body.document,
                    body.name,
                    body.kind,
                    body.generation,
                    *_columns(body.change),
                    told,
                )
            )
            return (scope, body.document), whose
        case GenerationBegan():
            rows.setdefault(DOCUMENT_GENERATIONS, []).append(
                (
                    store,
                    body.document,
                    body.name,
                    body.kind,
                    body.previous,
                    body.number,
                    joined(names(body.covered)),
                    *_columns(body.start),
                )
            )
            return (store, body.document), whose
        case DocumentSettled():
            place = f"{StreamId(node, incarnation, store)}/{seq:020}"
            for scope in {store, ALL}:  # a store's word on what all stores share
                rows.setdefault(DOCUMENT_SETTLEMENTS, []).append(
                    (
                        scope,
                        body.document,
                        entry.fact.hlc,
                        place,
                        joined(names(body.seen)),
                        body.keep,
                        body.by,
                        body.note,
                    )
                )
            return (store, body.document), whose
        case BasketRecalled():
            rows.setdefault(BASKET_RECALLS, []).append(
                (
                    store,
                    body.basket,
                    entry.fact.event,
                    body.till,
                    body.cashier,
                    node,
                    body.at_ms,
                    joined(names(body.covered)),
                )
            )
            return (store, body.basket), whose
        case BasketEnded():
            rows.setdefault(BASKET_ENDS, []).append((store, body.basket, body.recall, body.sale))
            return (store, body.basket), whose
        case PersonForgotten():
            rows.setdefault(FORGOTTEN, []).append((store, body.document))
            return (store, body.document), body.persons
    raise TypeError(f"{type(body).__name__}: tells of no document")


def _tidy(unit: Unit, moved: Iterable[Key]) -> None:
    """Drop what need not be kept; of a forgotten person everything, the keys first."""
    connection = unit.connection
    documents = {document for _, document in moved}
    forgotten, left = _some(connection, FORGOTTEN, documents), set()
    for document in sorted(forgotten):
        for part in bulk.chunks(persons(connection, document)):
            connection.execute(
                update(PERSON_KEYS).where(PERSON_KEYS.c.person.in_(part)).values(key=None)
            )
        unit.destroyed = True
        for table in (DOCUMENT_CHANGES, DOCUMENT_GENERATIONS):
            connection.execute(delete(table).where(table.c.document == document))
    for table in (DOCUMENT_GENERATIONS, BASKET_ENDS):
        left |= _some(connection, table, documents - forgotten)
    for scope, document in moved:
        if document not in left:
            continue
        names_ = sorted(history(connection, scope, document).left_behind)
        for part in bulk.chunks(names_):
            connection.execute(
                delete(DOCUMENT_CHANGES).where(
                    DOCUMENT_CHANGES.c.store == scope,
                    DOCUMENT_CHANGES.c.document == document,
                    DOCUMENT_CHANGES.c.name.in_(part),
                )
            )


def _some(connection: Connection, table: Table, documents: Iterable[bytes]) -> set[bytes]:
    """Return those documents that a table has rows of."""
    found: set[bytes] = set()
    for part in bulk.chunks(sorted(documents)):
        found.update(
            connection.execute(
                select(table.c.document).where(table.c.document.in_(part)).distinct()
            ).scalars()
        )
    return found


def forgotten_persons(connection: Connection, whose: Iterable[bytes]) -> set[bytes]:
    """Return those whose keys must not be kept."""
    found: set[bytes] = set()
    for part in bulk.chunks(whose):
        found.update(
            connection.execute(
                select(DOCUMENT_PERSONS.c.person)
                .join(FORGOTTEN, FORGOTTEN.c.document == DOCUMENT_PERSONS.c.document)
                .where(DOCUMENT_PERSONS.c.person.in_(part))
            ).scalars()
        )
    return found


def share(unit: Unit) -> None:
    """Tell every store what one of them wrote, and begin generations that are due."""
    if unit.cursor(unit.state.own.stream(ALL)).frozen:
        return  # the next start begins a new life, and tells then
    question = (
        select(DOCUMENT_CHANGES)
        .where(DOCUMENT_CHANGES.c.store == ALL, DOCUMENT_CHANGES.c.told == 0)
        .order_by(DOCUMENT_CHANGES.c.document, DOCUMENT_CHANGES.c.name)
        .limit(_SHARING)
    )
    shared: set[bytes] = set()
    while waiting := unit.connection.execute(question).all():
        told = [
            (row.document, DocumentChanged(row.document, row.kind, row.generation, _content(row)))
            for row in waiting
        ]
        tell(unit, ALL, told)
        shared.update(row.document for row in waiting)
    for document in sorted(shared):
        found = history(unit.connection, ALL, document)
        if found.grown:
            _begin_generation(unit, found)


def tell(unit: Unit, scope: str, told: Sequence[tuple[bytes, Body]]) -> None:
    """Write facts of head office's, the keys of the persons in them going with them."""
    stream = unit.state.own.stream(scope)
    first = unit.cursor(stream).head.seq + 1
    author.write(unit, scope, told)
    places = {
        sealed.person: seq
        for seq, (_, body) in reversed(list(enumerate(told, first)))
        for sealed in sealed_in(body)
    }
    keys = keys_of(unit.connection, places)
    bulk.insert(
        unit.connection,
        PERSON_KEYS,
        [
            (scope, person, key, stream.node, stream.incarnation, places[person])
            for person, key in sorted(keys.items())
        ],
        _NOTHING,
    )


def _begin_generation(unit: Unit, found: History) -> None:
    keys = keys_of(unit.connection, persons(unit.connection, found.document))
    document = found.open(keys.get)
    if document is None or (document.waiting and len(found.live) < 2 * COMPACT_AT):
        return  # what waits for a change that is not here yet would come late
    try:
        start: Content = begun(document.value, secrets.token_bytes(ACTOR_BYTES))
    except (DocumentFull, ValueError):
        return  # it says too much for one change, or nothing
    sealed = [content for content in found.live.values() if isinstance(content, Sealed)]
    if sealed:
        person = min(content.person for content in sealed)
        start = seal(start, person, keys[person], secrets.token_bytes(NONCE_BYTES))
    current = found.current
    covered = joined(set(found.live) - set(document.unusable) - document.waiting)
    number = current.number + 1 if current else 2
    body = GenerationBegan(found.document, found.kind, found.generation, number, covered, start)
    tell(unit, ALL, [(found.document, body)])


def forget(unit: Unit, document: bytes, why: str) -> tuple[int, bool]:
    """Forget whom a document is about, at every node; return how many keys that takes.

    Returns:
        The number of keys, and whether the document was known and not forgotten yet.
    """
    known = persons(unit.connection, document)
    if not known or is_forgotten(unit.connection, document):
        return len(known), False
    told = PersonForgotten(document, tuple(known), why)
    author.write(unit, ALL, [(document, told)])
    return len(known), True


def is_forgotten(connection: Connection, document: bytes) -> bool:
    """Whether head office said to forget whom a document is about."""
    question = select(FORGOTTEN.c.document).where(FORGOTTEN.c.document == document)
    return connection.execute(question).first() is not None


def keys_of(connection: Connection, whose: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return the keys of persons that are here and not destroyed."""
    found: dict[bytes, bytes] = {}
    for part in bulk.chunks(whose):
        question = select(PERSON_KEYS.c.person, PERSON_KEYS.c.key).where(
            PERSON_KEYS.c.person.in_(part), PERSON_KEYS.c.key.is_not(None)
        )
        found.update((row.person, row.key) for row in connection.execute(question))
    return found


def persons(connection: Connection, document: bytes) -> list[bytes]:
    """Return under whose keys parts of a document are sealed: one person may have several."""
    question = select(DOCUMENT_PERSONS.c.person).where(DOCUMENT_PERSONS.c.document == document)
    return sorted(set(connection.execute(question).scalars()))


def history(connection: Connection, scope: str, document: bytes) -> History:
    """Return all that is known of a document of a scope."""
    found = History(document)

    def rows(table: Table) -> Iterable[Row[Any]]:
        question: Select[Any] = select(table)
        return connection.execute(
            question.where(table.c.store == scope, table.c.document == document)
        )

    for row in rows(DOCUMENT_CHANGES):
        found.kind = max(found.kind, row.kind)
        found.changes[row.name] = (row.generation, _content(row))
    for row in rows(DOCUMENT_GENERATIONS):
        found.kind = max(found.kind, row.kind)
        found.generations[row.name] = Generation(
            row.name, row.previous, row.number, frozenset(names(row.covered)), _content(row)
        )
    for row in rows(BASKET_RECALLS):
        found.recalled(
            Recall(row.name, row.till, row.writer, row.at_ms, frozenset(names(row.covered)))
        )
    found.ends = {row.recall: row.sale for row in rows(BASKET_ENDS)}
    found.settlements = [
        Settlement((row.hlc, row.place), frozenset(names(row.seen)), row.keep)
        for row in rows(DOCUMENT_SETTLEMENTS)
    ]
    return found


def baskets(connection: Connection, store: str | None) -> list[tuple[str, History]]:
    """Return the baskets that are not sold."""
    question = (
        select(DOCUMENT_CHANGES.c.store, DOCUMENT_CHANGES.c.document)
        .where(DOCUMENT_CHANGES.c.kind == BASKET)
        .distinct()
        .order_by(DOCUMENT_CHANGES.c.store, DOCUMENT_CHANGES.c.document)
    )
    if store is not None:
        question = question.where(DOCUMENT_CHANGES.c.store == store)
    found = [
        (scope, history(connection, scope, one)) for scope, one in connection.execute(question)
    ]
    waiting = ("parked", "recalled", "contested")
    return [(scope, one) for scope, one in found if one.standing.state in waiting]


def oddities(connection: Connection) -> list[tuple[str, History, Oddity]]:
    """Return what people should look at, of documents that can be odd by their tables."""
    changes, generations = DOCUMENT_CHANGES, DOCUMENT_GENERATIONS
    same = (generations.c.store == changes.c.store) & (generations.c.document == changes.c.document)
    of_it = select(generations.c.name).where(same, generations.c.name == changes.c.generation)
    questions: list[Select[Any]] = [
        # Baskets that wait, or have changes that were in none that was sold.
        _keys(changes).where(changes.c.kind == BASKET),
        # Made in a generation that is not the one there is, or not here.
        _keys(changes).join(generations, same).where(changes.c.generation != generations.c.name),
        _keys(changes).where(changes.c.generation != b"", ~of_it.exists()),
        _several(generations),
        _several(BASKET_RECALLS),
    ]
    asked = {(scope, one) for question in questions for scope, one in connection.execute(question)}
    found = []
    for scope, document in sorted(asked):
        history_ = history(connection, scope, document)
        there = history_.open(lambda _: None) if history_.kind == BASKET else None
        found += [(scope, history_, odd) for odd in history_.oddities(there)]
    return found


def _keys(table: Table) -> Select[Any]:
    return select(table.c.store, table.c.document).distinct()


def _several(table: Table) -> Select[Any]:
    """Documents that have more than one row."""
    key = (table.c.store, table.c.document)
    return select(*key).group_by(*key).having(func.count() > 1)


def _columns(content: Content) -> tuple[bytes | None, bytes | None, bytes]:
    if isinstance(content, Sealed):
        return content.person, content.nonce, content.ciphertext
    return None, None, content


def _content(row: Row[Any]) -> Content:
    if row.person is None:
        return bytes(row.content)
    return Sealed(row.person, row.nonce, row.content)


_NOTHING = "ON CONFLICT DO NOTHING"
_CONFLICTS: Mapping[Table, str] = {
    DOCUMENT_CHANGES: "ON CONFLICT (store, document, name) DO UPDATE SET "
    "told = CASE WHEN excluded.told > document_changes.told "
    "THEN excluded.told ELSE document_changes.told END",
    DOCUMENT_GENERATIONS: _NOTHING,
    DOCUMENT_SETTLEMENTS: _NOTHING,
    BASKET_RECALLS: _NOTHING,
    BASKET_ENDS: "ON CONFLICT (store, document, recall) DO UPDATE SET "
    "sale = CASE WHEN excluded.sale > basket_ends.sale "
    "THEN excluded.sale ELSE basket_ends.sale END",
    FORGOTTEN: _NOTHING,
}
