"""Baskets put aside, taken back, added to; and what a person should look at."""

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from edge.api import answers
from edge.api.call import Call, Node, Reply
from edge.api.refusals import Refused, scan_problem
from edge.api.tills import check_cashier, shown, till_of
from edge.till import parking
from edge.till.basket import Scanned
from edge.till.errors import NotFound, UnknownArticle
from edge.till.request import Milli, Text, Word
from sync.facts.document import DocumentSettled
from sync.merge.basket import Parked, parked
from sync.merge.history import History, joined

RECALL_BYTES = 16


class ParkRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Put the till's basket aside."""

    basket: UUID
    """Made by the client, so that a lost answer can be asked for again."""

    cashier: Word
    note: Text = ""
    """Such as a name or a table: how it is found again."""


class RecallRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take a basket back to the till."""

    basket: UUID
    cashier: Word
    take_over: bool = False
    """Even if it is at another till: the cashier has seen that nobody sells it there."""


class AddRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line to add to a basket that is put aside."""

    line: UUID
    """Made by the client: the same line again adds nothing."""

    code: Annotated[str, Meta(min_length=1, max_length=128)]
    quantity_milli: Milli = 1000


class ParkedLine(msgspec.Struct, frozen=True):
    """A line of a basket that is put aside."""

    sku: str
    name: str
    quantity_milli: int
    unit: str
    unit_minor: int


class RecallAnswer(msgspec.Struct, frozen=True):
    """A till that took a basket back."""

    recall: str
    till: str
    node: str
    at_ms: int


class ParkedAnswer(msgspec.Struct, frozen=True):
    """A basket that waits, or is at a till again."""

    basket: str
    state: str
    """``parked``, ``recalled``, or ``contested``: at several tills at once."""

    till: str
    """Where it was put aside."""

    cashier: str
    note: str
    at_ms: int
    lines: tuple[ParkedLine, ...]
    unreadable_lines: int
    recalls: tuple[RecallAnswer, ...]


class BasketsAnswer(msgspec.Struct, frozen=True):
    """Baskets that are not sold."""

    baskets: tuple[ParkedAnswer, ...]


class OddAnswer(msgspec.Struct, frozen=True):
    """Something that a person should look at."""

    document: str
    kind: str
    what: str
    """``late change``, ``lost generation``, ``unusable change``, ``unreadable line``,
    ``recalled twice``, ``sold twice`` or ``sold by another``."""

    names: tuple[str, ...]
    """Hexadecimal: changes, recalls or sales it is about."""

    recalls: tuple[RecallAnswer, ...]


class OddsAnswer(msgspec.Struct, frozen=True):
    """What waits for a person."""

    exceptions: tuple[OddAnswer, ...]


class SettleRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person has looked, and says that it is dealt with."""

    by: Word
    note: Text = ""
    keep: UUID | None = None
    """Of several recalls of a basket, the one that may sell it."""


async def post_park(node: Node, call: Call) -> Reply:
    """Put the basket of a till aside."""
    till, asked = till_of(node, call), call.body
    await check_cashier(node, call, till, asked.cashier)
    await till.park(parking.Park(basket=asked.basket.bytes, cashier=asked.cashier, note=asked.note))
    return await shown(node, till)


async def post_recall(node: Node, call: Call) -> Reply:
    """Take a basket back."""
    till, asked = till_of(node, call), call.body
    await check_cashier(node, call, till, asked.cashier)
    await till.recall(
        parking.Recall(
            basket=asked.basket.bytes,
            recall=node.random(RECALL_BYTES),
            cashier=asked.cashier,
            take_over=asked.take_over,
        )
    )
    return await shown(node, till)


async def get_parked(node: Node, call: Call) -> Reply:
    """List the baskets that are not sold."""
    del call
    found = []
    for history in await node.store.baskets():
        _, document, _ = await node.store.document(history.document)
        if document is not None:
            found.append(_basket(history, parked(document.value)))
    return Reply(200, BasketsAnswer(tuple(found)))


async def post_line(node: Node, call: Call) -> Reply:
    """Add a line to a basket that is put aside."""
    basket, asked = UUID(call.path["uuid"]).bytes, call.body
    scanned = await node.counter.resolve(asked.code)
    if not isinstance(scanned, Scanned):
        if isinstance(scanned.error, UnknownArticle):
            raise Refused(scan_problem(scanned.error))
        raise scanned.error
    await node.store.write(
        lambda unit: parking.add_line(unit, basket, asked.line.hex, scanned, asked.quantity_milli)
    )
    history, document, _ = await node.store.document(basket)
    if document is None:
        raise NotFound("Basket: it cannot be read any more.", "Look at the baskets that wait.")
    return Reply(200, _basket(history, parked(document.value)))


async def get_exceptions(node: Node, call: Call) -> Reply:
    """List what a person should look at."""
    del call
    found = []
    for odd in await node.store.oddities():
        history, _, _ = await node.store.document(odd.document)
        found.append(
            OddAnswer(
                answers.uuid_text(odd.document),
                history.kind,
                odd.what,
                tuple(sorted(name.hex() for name in odd.names)),
                _recalls(history),
            )
        )
    return Reply(200, OddsAnswer(tuple(found)))


async def post_settlement(node: Node, call: Call) -> Reply:
    """Say that what is odd about a document is dealt with."""
    document, asked = UUID(call.path["uuid"]).bytes, call.body
    keep = asked.keep.bytes if asked.keep else b""
    odd = [one for one in await node.store.oddities() if one.document == document]
    history, _, _ = await node.store.document(document)
    if not odd or (keep and keep not in history.recalls):
        raise NotFound(
            f"Document {call.path['uuid']}: expected an exception, and a recall of it in keep.",
            "Look at GET /v1/exceptions.",
        )
    seen = joined({name for one in odd for name in one.names})
    told = DocumentSettled(document, seen, asked.by, asked.note, keep)
    await node.store.write(lambda unit: unit.append(told, document))
    return await get_exceptions(node, call)


def _basket(history: History, told: Parked) -> ParkedAnswer:
    return ParkedAnswer(
        answers.uuid_text(history.document),
        history.standing.state,
        told.till,
        told.cashier,
        told.note,
        told.at_ms,
        tuple(
            ParkedLine(
                line.article.sku,
                line.article.name,
                line.quantity_milli,
                line.article.unit,
                line.article.unit_minor,
            )
            for line in told.lines
        ),
        len(told.unreadable),
        _recalls(history),
    )


def _recalls(history: History) -> tuple[RecallAnswer, ...]:
    return tuple(
        RecallAnswer(answers.uuid_text(one.name), one.till, one.node.hex(), one.at_ms)
        for one in sorted(history.recalls.values())
    )
