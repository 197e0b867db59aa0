"""Orders of head office: picked, handed out, short or unwanted. Inside a unit of work.

What an answer does to the goods stands beside it: handed out they are gone (`DONE`);
short, what was held is freed and written off; unwanted, it is free to be sold again.
Quantities in thousandths (`_milli`).
"""

from hashlib import sha256
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from edge.store.orders import OrderView
from edge.store.unit import Unit
from edge.till.errors import BadDocument, Conflict, NotFound
from sync.chain import EVENT_BYTES
from sync.facts.order import Answer, OrderAnswered
from sync.facts.rights import MOST, CellLines
from sync.facts.stock import GoodsMoved, Movement
from sync.merge.stock import Deltas

UUID_PATTERN = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"

_ANSWERS = {answer.name.lower(): answer for answer in Answer}


class AnsweredLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An article of an order and how much of it."""

    sku: Annotated[str, Meta(min_length=1, max_length=64)]
    quantity_milli: Annotated[int, Meta(gt=0, lt=MOST)]


class AnswerRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of an order, or of a part of it."""

    id: Annotated[str, Meta(pattern=UUID_PATTERN)]
    """Made by the client: the same id again is the same answer again."""

    answer: Literal["picked", "handed", "short", "cancelled"]
    who: Annotated[str, Meta(min_length=1, max_length=100)]
    lines: Annotated[tuple[AnsweredLine, ...], Meta(min_length=1, max_length=1000)] | None = None
    """What the answer is about; null: all that is left."""

    why: Annotated[str, Meta(max_length=500)] = ""


def answer(unit: Unit, event: bytes, request: AnswerRequest) -> OrderView:
    """Record an answer; the same again changes nothing.

    Raises:
        NotFound: There is no such order here.
        Conflict: The id is another answer, another node holds the goods, or less is left.
        BadDocument: A line is not of the order.
    """
    view = unit.order(event)
    if view is None:
        raise NotFound(
            f"Order {UUID(bytes=event)}: expected one of head office, found none.",
            "GET /v1/orders lists them.",
        )
    said = UUID(request.id).bytes
    what = _ANSWERS[request.answer]
    for earlier in view.answers:
        if earlier.body.id == said:
            _same(earlier.body, what, request)
            return view
    held = {stream.node for stream in view.held_by}
    if unit.stream.node not in held:
        at = ", ".join(sorted(node.hex()[:12] for node in held)) or "no node yet"
        raise Conflict(
            f"Order {UUID(bytes=event)}: its goods are held by {at}.", "Answer it there."
        )
    amounts = _amounts(view, what, request)
    body = OrderAnswered(
        what,
        unit.now.ms,
        int(unit.now.trust),
        CellLines.by_cell(amounts),
        said,
        request.who,
        request.why,
    )
    unit.append(body, event)
    match what:
        case Answer.HANDED:
            unit.holder.hand(event, amounts)
        case Answer.CANCELLED:
            unit.holder.free(event, amounts)
        case Answer.SHORT:
            unit.holder.free(event, amounts)
            gone = sha256(b"karb.short.1" + event + said).digest()[:EVENT_BYTES]
            why = request.why or "an order was short of it"
            unit.holder.moved(
                gone,
                GoodsMoved(
                    Movement.WRITTEN_OFF,
                    unit.now.ms,
                    int(unit.now.trust),
                    body.lines,
                    why,
                    reference=event,
                ),
            )
    answered = unit.order(event)
    return answered or view


def _amounts(view: OrderView, what: Answer, request: AnswerRequest) -> Deltas:
    left = view.left
    if what is Answer.PICKED:
        picked = view.answered(Answer.PICKED)
        left = {c: rest for c, milli in left.items() if (rest := milli - picked.get(c, 0)) > 0}
    if request.lines is None:
        if not left:
            raise Conflict(
                f"Order {UUID(bytes=view.event)}: nothing of it is left to be {request.answer}.",
                "Look at it: GET /v1/orders/{uuid}.",
            )
        return left
    asked: Deltas = {}
    for n, line in enumerate(request.lines):
        if line.sku not in view.body.lines.cell:
            raise BadDocument(
                f"Article {line.sku!r}: expected one of the order, found none.",
                "Correct the line.",
                field=f"/lines/{n}/sku",
            )
        asked[line.sku] = asked.get(line.sku, 0) + line.quantity_milli
        if asked[line.sku] > left.get(line.sku, 0):
            raise Conflict(
                f"{asked[line.sku]} thousandths of {line.sku!r}: expected at most "
                f"{left.get(line.sku, 0)}, which are left to be {request.answer}.",
                "Correct the line.",
                field=f"/lines/{n}/quantity_milli",
            )
    return asked


def _same(earlier: OrderAnswered, what: Answer, request: AnswerRequest) -> None:
    asked: Deltas | None = None
    if request.lines is not None:
        asked = {}
        for line in request.lines:
            asked[line.sku] = asked.get(line.sku, 0) + line.quantity_milli
    same = (earlier.answer, earlier.who, earlier.why) == (what, request.who, request.why)
    if not same or asked not in (None, earlier.lines.amounts()):
        raise Conflict(
            f"Answer {request.id}: this id is another answer.",
            "Give every answer an id of its own.",
        )
