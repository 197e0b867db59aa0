"""Documents as tables: what facts put there, and what is opened from there.

The derived tables hold changes as they travelled, so nothing personal is readable in
them. What is looked up by (a customer's codes) and what a person should look at is kept
beside them, made again whenever a document has moved; the codes as keyed digests.
"""

import hmac
import sqlite3
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

from edge.keys import NodeKey
from sync.chain import Fact, StreamId
from sync.errors import BadFact
from sync.facts.basket import BasketEnded, BasketRecalled
from sync.facts.document import (
    BASKET,
    CUSTOMER,
    DocumentChanged,
    DocumentSettled,
    GenerationBegan,
    names,
)
from sync.facts.person import PersonForgotten, Sealed
from sync.merge import profile as profiles
from sync.merge.basket import Recall, parked
from sync.merge.document import Document
from sync.merge.history import Content, Generation, History, Oddity, Settlement, joined, misplaced

DERIVED = (
    "document_changes",
    "document_generations",
    "document_settlements",
    "basket_recalls",
    "basket_ends",
    "document_persons",
    "forgotten",
)

DocumentBody = (
    DocumentChanged
    | GenerationBegan
    | DocumentSettled
    | PersonForgotten
    | BasketRecalled
    | BasketEnded
)

HANDLE_KEY = b"karb.handles.1"
"""What the key of a node's digests is made for."""


class Odd(NamedTuple):
    """What a person should look at."""

    document: bytes
    what: str
    names: frozenset[bytes]


def apply(db: sqlite3.Connection, stream: StreamId, fact: Fact, body: DocumentBody) -> bytes:
    """Apply a fact of a document; return the document it tells of.

    Raises:
        BadFact: It is none that may stand in this stream.
    """
    reason = misplaced(body, stream.scope)
    if reason:
        raise BadFact(reason)
    match body:
        case DocumentChanged():
            _insert(
                db,
                "document_changes",
                (body.document, body.name, body.kind, body.generation),
                body.change,
            )
        case GenerationBegan():
            _insert(
                db,
                "document_generations",
                (
                    body.document,
                    body.name,
                    body.kind,
                    body.previous,
                    body.number,
                    joined(names(body.covered)),
                ),
                body.start,
            )
        case DocumentSettled():
            db.execute(
                "INSERT OR IGNORE INTO document_settlements VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    body.document,
                    fact.hlc,
                    f"{stream}/{fact.seq:020}",
                    joined(names(body.seen)),
                    body.keep,
                    body.by,
                    body.note,
                ),
            )
        case BasketRecalled():
            row = (
                body.basket,
                fact.event,
                body.till,
                body.cashier,
                stream.node,
                body.at_ms,
                joined(names(body.covered)),
            )
            db.execute("INSERT OR IGNORE INTO basket_recalls VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            return _moved(db, body.basket)
        case BasketEnded():
            db.execute(
                "INSERT INTO basket_ends VALUES (?, ?, ?) ON CONFLICT (document, recall) "
                "DO UPDATE SET sale = max(sale, excluded.sale)",
                (body.basket, body.recall, body.sale),
            )
            return _moved(db, body.basket)
        case PersonForgotten():
            db.execute("INSERT OR IGNORE INTO forgotten VALUES (?)", (body.document,))
            _persons(db, body.document, body.persons)
    return _moved(db, body.document)


def _insert(db: sqlite3.Connection, table: str, row: tuple[object, ...], content: Content) -> None:
    person, nonce, raw = _columns(content)
    values = (*row, person, nonce, raw)
    marks = ", ".join("?" * len(values))
    db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", values)
    if person is not None:
        _persons(db, row[0], [person])


def _persons(db: sqlite3.Connection, document: object, persons: Iterable[bytes]) -> None:
    db.executemany(
        "INSERT OR IGNORE INTO document_persons VALUES (?, ?)",
        [(document, person) for person in persons],
    )


def _moved(db: sqlite3.Connection, document: bytes) -> bytes:
    """Drop what need not be kept; of a forgotten person everything, the keys first."""
    if is_forgotten(db, document):
        db.execute(
            "DELETE FROM person_keys WHERE person IN "
            "(SELECT person FROM document_persons WHERE document = ?)",
            (document,),
        )
        for table in ("document_changes", "document_generations", "customer_handles"):
            db.execute(f"DELETE FROM {table} WHERE document = ?", (document,))
        return document
    left = db.execute(
        "SELECT 1 FROM document_generations WHERE document = ?1 "
        "UNION ALL SELECT 1 FROM basket_ends WHERE document = ?1 LIMIT 1",
        (document,),
    ).fetchone()
    for name in history(db, document).left_behind if left else ():
        db.execute("DELETE FROM document_changes WHERE document = ? AND name = ?", (document, name))
    return document


def is_forgotten(db: sqlite3.Connection, document: bytes) -> bool:
    """Whether head office said to forget whom a document is about."""
    row = db.execute("SELECT 1 FROM forgotten WHERE document = ?", (document,)).fetchone()
    return row is not None


def person_is_forgotten(db: sqlite3.Connection, person: bytes) -> bool:
    """Whether the key of a person must not be kept."""
    row = db.execute(
        "SELECT 1 FROM document_persons JOIN forgotten USING (document) WHERE person = ?",
        (person,),
    ).fetchone()
    return row is not None


def history(db: sqlite3.Connection, document: bytes) -> History:
    """Return all that is known of a document."""
    found = History(document)

    def rows(what: str, table: str) -> list[tuple[Any, ...]]:
        return db.execute(f"SELECT {what} FROM {table} WHERE document = ?", (document,)).fetchall()

    for name, kind, generation, *content in rows(
        "name, kind, generation, person, nonce, content", "document_changes"
    ):
        found.kind = max(found.kind, kind)
        found.changes[name] = (generation, _content(*content))
    for name, kind, previous, number, covered, *content in rows(
        "name, kind, previous, number, covered, person, nonce, content", "document_generations"
    ):
        found.kind = max(found.kind, kind)
        found.generations[name] = Generation(
            name, previous, number, frozenset(names(covered)), _content(*content)
        )
    for name, till, node, at_ms, covered in rows(
        "name, till, node, at_ms, covered", "basket_recalls"
    ):
        found.recalled(Recall(name, till, node, at_ms, frozenset(names(covered))))
    found.ends = dict(rows("recall, sale", "basket_ends"))
    found.settlements = [
        Settlement((hlc, place), frozenset(names(seen)), keep)
        for hlc, place, seen, keep in rows("hlc, place, seen, keep", "document_settlements")
    ]
    return found


def opened(db: sqlite3.Connection, found: History) -> Document | None:
    """Open a document; None where a key is missing."""
    return found.open(lambda person: key_of(db, person))


def key_of(db: sqlite3.Connection, person: bytes) -> bytes | None:
    """Return the key of a person; None if it was never here, or is destroyed."""
    row = db.execute("SELECT key FROM person_keys WHERE person = ?", (person,)).fetchone()
    return row[0] if row else None


def settle(db: sqlite3.Connection, key: NodeKey, documents: Iterable[bytes]) -> None:
    """Make again what is kept beside documents that have moved, or whose keys have come."""
    handle_key = _handle_key(key)
    for document in documents:
        db.execute("DELETE FROM document_oddities WHERE document = ?", (document,))
        db.execute("DELETE FROM customer_handles WHERE document = ?", (document,))
        if is_forgotten(db, document):
            continue
        found = history(db, document)
        sold = found.kind == BASKET and found.standing.state in ("sold", "let go")
        value = None if sold else opened(db, found)
        odd = found.oddities(value)
        if value is not None and found.kind == BASKET:
            odd += [
                Oddity("unreadable line", frozenset({sha256(line.encode()).digest()[:16]}))
                for line in parked(value.value).unreadable
            ]
        db.executemany(
            "INSERT OR IGNORE INTO document_oddities VALUES (?, ?, ?)",
            [(document, what, joined(about)) for what, about in odd],
        )
        if value is not None and found.kind == CUSTOMER:
            db.executemany(
                "INSERT OR IGNORE INTO customer_handles VALUES (?, ?)",
                [
                    (_handle(handle_key, text), document)
                    for text in profiles.handles(profiles.profile(value.value))
                ],
            )


def customers(db: sqlite3.Connection, key: NodeKey, text: str) -> list[bytes]:
    """Return the customers that a code, a phone or an e-mail stands for."""
    handle_key = _handle_key(key)
    found = {
        document
        for spelled in profiles.sought(text)
        for (document,) in db.execute(
            "SELECT document FROM customer_handles WHERE handle = ?",
            (_handle(handle_key, spelled),),
        )
    }
    return sorted(found)


def baskets(db: sqlite3.Connection) -> list[History]:
    """Return the baskets that are not sold: put aside, at a till, or contested."""
    rows = db.execute("SELECT DISTINCT document FROM document_changes WHERE kind = 'basket'")
    found = [history(db, document) for (document,) in rows.fetchall()]
    return [one for one in found if one.standing.state in ("parked", "recalled", "contested")]


def oddities(db: sqlite3.Connection) -> list[Odd]:
    """Return what people should look at."""
    return [
        Odd(document, what, frozenset(names(about)))
        for document, what, about in db.execute(
            "SELECT document, what, names FROM document_oddities ORDER BY document, what, names"
        )
    ]


def persons_of(db: sqlite3.Connection, document: bytes) -> list[bytes]:
    """Return under whose keys parts of a document are sealed: one person may have several."""
    rows = db.execute(
        "SELECT person FROM document_persons WHERE document = ? ORDER BY person", (document,)
    )
    return [person for (person,) in rows]


def documents_of(db: sqlite3.Connection, person: bytes) -> list[bytes]:
    """Return the documents that are sealed under a person's key."""
    rows = db.execute("SELECT document FROM document_persons WHERE person = ?", (person,))
    return [document for (document,) in rows]


def _handle_key(key: NodeKey) -> bytes:
    """Make the key of the digests from the node's own: a copy of the file alone tells nothing."""
    return hmac.digest(key.private.private_bytes_raw(), HANDLE_KEY, sha256)


def _handle(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), sha256)[:16]


def _columns(content: Content) -> tuple[bytes | None, bytes | None, bytes]:
    if isinstance(content, Sealed):
        return content.person, content.nonce, content.ciphertext
    return None, None, content


def _content(person: bytes | None, nonce: bytes | None, raw: bytes) -> Content:
    return raw if person is None else Sealed(person, nonce or b"", raw)
