"""Orders of head office: read back from the facts, and held for as they come in."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge.store.journal import fact_at
from sync import facts as vocabulary
from sync.chain import Fact, StreamId
from sync.clock import hlc_ms
from sync.errors import BadFact
from sync.facts.order import Answer, OrderAnswered, OrderPlaced
from sync.facts.rights import Move, RightsMoved
from sync.merge.stock import Deltas

if TYPE_CHECKING:
    from edge.store.unit import Unit

_ENDING = (Answer.HANDED, Answer.SHORT, Answer.CANCELLED)


@dataclass(frozen=True, slots=True)
class AnswerView:
    """What was said of an order."""

    body: OrderAnswered
    at_ms: int


@dataclass(slots=True)
class OrderView:
    """An order and what became of it."""

    event: bytes
    body: OrderPlaced
    answers: list[AnswerView] = field(default_factory=list)
    held_by: set[StreamId] = field(default_factory=set)

    def answered(self, answer: Answer) -> Deltas:
        """Return how much of each article was answered so."""
        total: Deltas = {}
        for said in self.answers:
            if said.body.answer is answer:
                for cell, milli in said.body.lines.amounts().items():
                    total[cell] = total.get(cell, 0) + milli
        return total

    @property
    def left(self) -> Deltas:
        """What is still to be handed out, or told to be short or unwanted."""
        left = self.body.lines.amounts()
        for answer in _ENDING:
            for cell, milli in self.answered(answer).items():
                left[cell] = left.get(cell, 0) - milli
        return {cell: milli for cell, milli in left.items() if milli > 0}

    @property
    def state(self) -> str:
        """One word: ``open``, ``picked``, ``handed``, ``short`` or ``cancelled``."""
        said = {view.body.answer for view in self.answers}
        if self.left:
            return "picked" if Answer.PICKED in said else "open"
        for answer in (Answer.SHORT, Answer.HANDED, Answer.CANCELLED):
            if answer in said:
                return answer.name.lower()
        return "open"


def order_view(db: sqlite3.Connection, event: bytes) -> OrderView | None:
    """Return an order; None if it is not here. Of two the one in the lowest stream counts."""
    found = []
    for stream, body, _ in _bodies(db, "orders", event):
        if isinstance(body, OrderPlaced):
            found.append((stream, body))
    if not found:
        return None
    view = OrderView(event, min(found, key=lambda one: one[0])[1])
    for _, body, at_ms in sorted(_bodies(db, "order_answers", event), key=lambda one: one[2]):
        if isinstance(body, OrderAnswered):
            view.answers.append(AnswerView(body, at_ms))
    central = view.body.made_in.node  # it held them too, while it was a promise
    held = {stream for stream, *_ in _bodies(db, "reserved", event)}
    view.held_by = {stream for stream in held if stream.node != central}
    return view


def order_views(db: sqlite3.Connection) -> list[OrderView]:
    """Return every order, those placed first at the beginning."""
    events = db.execute("SELECT DISTINCT event FROM orders").fetchall()
    views = [order_view(db, event) for (event,) in events]
    return sorted((view for view in views if view), key=lambda view: (view.body.at_ms, view.event))


def react(
    unit: "Unit", db: sqlite3.Connection, node: bytes, stream: StreamId, fresh: Sequence[Fact]
) -> None:
    """Hold goods for the orders that came in, in the same transaction.

    The right comes beside the order. Should it come later, the goods are held all the
    same: central gave them away for this order and for nothing else. Where a former life
    of this node turns out to have held them too, what this one holds is freed.
    """
    ours = unit.stream
    for fact in fresh:
        try:
            body = vocabulary.decode(fact)
        except BadFact:
            continue
        if isinstance(body, OrderPlaced) and body.holder.node == node:
            view = order_view(db, fact.event)
            if view and not any(stream.node == node for stream in view.held_by):
                unit.append(RightsMoved(Move.HELD, body.lines), fact.event)
        elif isinstance(body, RightsMoved) and body.move is Move.HELD:
            view = order_view(db, fact.event)
            if stream.node == node and stream != ours and view and ours in view.held_by:
                unit.append(RightsMoved(Move.FREED, body.lines), fact.event)


def _bodies(
    db: sqlite3.Connection, table: str, event: bytes
) -> Iterable[tuple[StreamId, object, int]]:
    rows = db.execute(
        f"SELECT t.stream, t.seq, s.node, s.incarnation, s.scope FROM {table} t "
        "JOIN streams s ON s.id = t.stream WHERE t.event = ?",
        (event,),
    ).fetchall()
    for id_, seq, node, incarnation, scope in rows:
        fact = fact_at(db, id_, seq)
        yield StreamId(node, incarnation, scope), vocabulary.decode(fact), hlc_ms(fact.hlc)
