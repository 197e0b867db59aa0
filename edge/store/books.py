"""The books at a moment: what was physically there when each stream was at some number.

The stock now, less what each stream of the place moved after its number. Some facts belong
to another moment than the one they are written at. What takes back a record that counted
twice belongs to that record, and is counted even before its author has written it; the
record that counts had happened as soon as any record of the same event had. What a count
made of an article belongs to the moment it was counted. Quantities are ints in thousandths
(`_milli`).
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from edge.store.holder import compensation
from edge.store.journal import SEQ_BITS, NotKept, place
from edge.store.shelf import MOVING, Shelf
from sync import facts as vocabulary
from sync.chain import Fact, StreamId
from sync.errors import BadFact
from sync.facts import Body
from sync.facts.count import CountPosted
from sync.facts.sale import Sale
from sync.facts.stock import OUTWARD, GoodsMoved, GoodsReceived, Movement
from sync.merge import stock

if TYPE_CHECKING:
    from edge.store.unit import Unit

Cut = Mapping[StreamId, int]
"""Streams of the place to how far they were at some moment."""

Place = tuple[StreamId, int]
"""Where a fact stands."""

Moved = tuple[int, Mapping[str, int]]
"""A sign, and article to thousandths."""


class Moment(NamedTuple):
    """When an article was looked at."""

    cut: Cut
    hlc: int
    """Counts of the article before it had corrected the books by then, whenever posted."""


class Known(NamedTuple):
    """A stream of the place as it is here."""

    id: int
    """Its number in this file."""

    held: int
    """How far it is here."""

    whole: int
    """Above this number every fact that moves goods is here."""


class Books:
    """The physical stock of this node's place, within a unit."""

    def __init__(self, unit: "Unit", db: sqlite3.Connection, shelf: Shelf) -> None:
        """Work in the transaction of `unit`."""
        self._unit, self._db, self._shelf = unit, db, shelf

    def at(self, moments: Mapping[str, Moment]) -> dict[str, int]:
        """Return what was there of each article at its moment.

        Raises:
            NotKept: One is longer ago than the facts that are here.
        """
        corrected = {sku: self._corrected(sku) for sku in moments}
        books = {
            sku: sum(stock.physical(row) for row in self._shelf.rows(sku).values())
            for sku in moments
        }
        for stands, moved in self._since(moments):
            for sign, amounts in moved:
                for sku in amounts.keys() & moments.keys():
                    if not _before(stands, corrected[sku], moments[sku]):
                        books[sku] -= sign * amounts[sku]
        for stands, (sign, amounts) in self._to_take_back():
            for sku in amounts.keys() & moments.keys():
                if _before(stands, corrected[sku], moments[sku]):
                    books[sku] += sign * amounts[sku]
        return books

    def _since(
        self, moments: Mapping[str, Moment]
    ) -> Iterator[tuple[Sequence[Place], Sequence[Moved]]]:
        """Yield what moved after the earliest moment: where it stands, and what it moved."""
        if not moments:
            return
        for stream, (id_, _, whole) in streams(self._db, self._unit.stream.scope).items():
            cuts = {sku: moment.cut.get(stream, 0) for sku, moment in moments.items()}
            earliest = min(cuts.values())
            if earliest < whole:
                sku = min(cuts, key=cuts.__getitem__)
                raise NotKept(
                    f"Article {sku!r}: counted so long ago that this node no longer has all that "
                    "moved since; count it again."
                )
            for fact, body in self._moving(id_, earliest):
                first = self._shelf.first_of_stream(id_, fact)
                moved = [
                    (stock.PHYSICAL[column] * sign, amounts)
                    for column, amounts, sign in self._shelf.moves(id_, fact, body, first=first)
                    if column in stock.PHYSICAL
                ]
                if moved:
                    yield self._stands(stream, fact, body), moved

    def _moving(self, id_: int, after: int) -> Iterator[tuple[Fact, Body]]:
        """Yield the facts of a stream after a number that move goods."""
        for columns in self._db.execute(
            "SELECT place & 0xFFFFFFFFFF, hlc, kind, version, event, body FROM facts "
            "WHERE place BETWEEN ? AND ? ORDER BY place",
            (place(id_, after + 1), place(id_, (1 << SEQ_BITS) - 1)),
        ):
            fact = Fact(*columns)
            if fact.kind in MOVING and (body := decoded(fact)) is not None:
                yield fact, body

    def _to_take_back(self) -> Iterator[tuple[Sequence[Place], Moved]]:
        """Yield what its author has yet to take back: where the record stands, and how."""
        nodes, done = nodes_of(self._db, self._unit.stream.scope), set()
        for event, record, id_, seq, node, incarnation in self._db.execute(
            "SELECT d.event, d.record, d.stream, d.seq, s.node, s.incarnation FROM duplicates d "
            "JOIN streams s ON s.id = d.stream WHERE s.scope = ? ORDER BY d.stream, d.seq",
            (self._unit.stream.scope,),
        ).fetchall():
            marker = compensation(node, event)
            if marker in done or node not in nodes or self._unit.document(marker) is not None:
                continue
            stands = [(StreamId(node, incarnation, self._unit.stream.scope), seq)]
            for movement, amounts in self._unit.holder.to_take_back(id_, seq, event, record):
                done.add(marker)
                yield stands, (-1 if movement in OUTWARD else 1, amounts)

    def _stands(self, stream: StreamId, fact: Fact, body: Body) -> list[Place]:
        """Return where a fact stands: it had happened when any of these had."""
        own = (stream, fact.seq)
        event = fact.event
        if isinstance(body, GoodsMoved) and body.reference:
            once = compensation(stream.node, body.reference)
            if event in (once, compensation(stream.node, once)):
                losers = self._losers(body.reference)
                return [loser for loser in losers if loser[0].node == stream.node][:1] or [own]
            if body.movement is Movement.ARRIVED:
                event = body.reference
        if isinstance(body, Sale | GoodsReceived | GoodsMoved | CountPosted):
            losers = self._losers(event)
            if own not in losers:
                return [own, *losers]
        return [own]

    def _losers(self, event: bytes) -> list[Place]:
        """Return the records of an event that do not count, because another one does."""
        scope = self._unit.stream.scope
        return [
            (StreamId(node, incarnation, scope), seq)
            for node, incarnation, seq in self._db.execute(
                "SELECT s.node, s.incarnation, d.seq FROM duplicates d "
                "JOIN streams s ON s.id = d.stream WHERE d.event = ? AND s.scope = ? "
                "ORDER BY d.stream, d.seq",
                (event, scope),
            )
        ]

    def _corrected(self, sku: str) -> dict[Place, int]:
        """Return the postings that corrected an article, and when it was counted for each."""
        scope = self._unit.stream.scope
        return {
            (StreamId(node, incarnation, scope), seq): hlc
            for node, incarnation, seq, hlc in self._db.execute(
                "SELECT s.node, s.incarnation, p.seq, p.hlc FROM count_posted p "
                "JOIN streams s ON s.id = p.stream WHERE p.sku = ?",
                (sku,),
            )
        }


def _before(stands: Sequence[Place], corrected: Mapping[Place, int], moment: Moment) -> bool:
    """Whether what stands somewhere had happened at a moment."""
    return any(
        seq <= moment.cut.get(stream, 0) or corrected.get((stream, seq), moment.hlc) < moment.hlc
        for stream, seq in stands
    )


def streams(db: sqlite3.Connection, scope: str) -> dict[StreamId, Known]:
    """Return the streams of a place as they are here."""
    return {
        StreamId(node, incarnation, scope): Known(id_, held or 0, whole or 0)
        for id_, node, incarnation, held, whole in db.execute(
            "SELECT id, node, incarnation, (SELECT max(place) & 0xFFFFFFFFFF FROM facts "
            "WHERE place BETWEEN (id << 40) AND (id << 40 | 0xFFFFFFFFFF)), whole "
            "FROM streams LEFT JOIN bases ON stream = id WHERE scope = ? ORDER BY id",
            (scope,),
        )
    }


def nodes_of(db: sqlite3.Connection, scope: str) -> set[bytes]:
    """Return the nodes of a place that are not revoked."""
    return {
        node
        for (node,) in db.execute(
            "SELECT node FROM (SELECT node FROM nodes WHERE store = ?1 "
            "UNION SELECT node FROM roots WHERE store = ?1) "
            "WHERE node NOT IN (SELECT node FROM nodes WHERE revoked = 1)",
            (scope,),
        )
    }


def decoded(fact: Fact) -> Body | None:
    """Read a fact; None if it is in quarantine, or nobody here can read it."""
    try:
        return vocabulary.decode(fact)
    except BadFact:
        return None
