"""Baskets put aside in the stores, and what people should look at."""

from uuid import UUID

import msgspec
from sqlalchemy import Connection

from central.ledger import documents
from sync.chain import ALL
from sync.merge.basket import parked
from sync.merge.history import History


class Line(msgspec.Struct, frozen=True):
    """A line of a basket that is put aside."""

    sku: str
    name: str
    quantity_milli: int
    unit_minor: int


class Recalled(msgspec.Struct, frozen=True):
    """A till that took a basket back."""

    recall: str
    till: str
    node: str
    at_ms: int


class Basket(msgspec.Struct, frozen=True):
    """A basket that is not sold."""

    store: str
    basket: str
    state: str
    """``parked``, ``recalled``, or ``contested``: at several tills at once."""

    till: str
    note: str
    at_ms: int
    lines: list[Line]
    recalls: list[Recalled]


class Odd(msgspec.Struct, frozen=True):
    """Something that a person should look at."""

    store: str
    """Empty: of all stores."""

    document: str
    kind: str
    what: str
    """``late change``, ``lost generation``, ``unusable change``, ``recalled twice``,
    ``sold twice`` or ``sold by another``."""

    names: list[str]
    """Hexadecimal: changes, recalls or sales it is about."""

    recalls: list[Recalled]


def baskets(connection: Connection, store: str | None) -> list[Basket]:
    """Return the baskets that are not sold, of one store or of all."""
    found = []
    for scope, one in documents.baskets(connection, store):
        there = one.open(lambda _: None)
        if there is None:
            continue
        told = parked(there.value)
        found.append(
            Basket(
                scope,
                str(UUID(bytes=one.document)),
                one.standing.state,
                told.till,
                told.note,
                told.at_ms,
                [
                    Line(
                        line.article.sku,
                        line.article.name,
                        line.quantity_milli,
                        line.article.unit_minor,
                    )
                    for line in told.lines
                ],
                _recalls(one),
            )
        )
    return found


def exceptions(connection: Connection) -> list[Odd]:
    """Return what people should look at."""
    return [
        Odd(
            "" if scope == ALL else scope,
            str(UUID(bytes=one.document)),
            one.kind,
            odd.what,
            sorted(name.hex() for name in odd.names),
            _recalls(one),
        )
        for scope, one, odd in documents.oddities(connection)
    ]


def _recalls(one: History) -> list[Recalled]:
    return [
        Recalled(str(UUID(bytes=recall.name)), recall.till, recall.node.hex(), recall.at_ms)
        for recall in sorted(one.recalls.values())
    ]
