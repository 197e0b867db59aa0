"""Baskets put aside and taken back: at this till, at another one, at another node.

Taking back is refused while the basket is known to be at another till, unless a cashier
takes it over. Two nodes that are apart can both take it: then neither sells it before a
person has said which (`sync.merge.basket.standing`), and if both had sold, that is shown
until a person has looked at it.
"""

from dataclasses import dataclass
from uuid import UUID

from edge.store.unit import Unit
from edge.till.basket import ONE_MILLI, Basket, Item, Line, Recalled, Scanned
from edge.till.errors import Conflict, NotFound, NotPossible
from sync.facts.basket import BasketEnded, BasketRecalled
from sync.facts.document import BASKET, DocumentSettled
from sync.merge import basket as rules
from sync.merge.basket import Parked
from sync.merge.document import DocumentFull
from sync.merge.history import History, joined


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """Put the till's basket aside."""

    basket: bytes
    """16 bytes made by whoever asks, so that a lost answer can be asked for again."""

    cashier: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """Take a basket back to the till."""

    basket: bytes
    recall: bytes
    """16 fresh bytes: what this taking back is called."""

    cashier: str
    take_over: bool
    """Even if it is at another till: the cashier has seen that nobody sells it there."""


def park(unit: Unit, till: str, basket: Basket, asked: Park) -> bool:
    """Put a basket aside; return whether that was done now.

    Raises:
        Conflict: The id is another document.
        NotPossible: The basket is empty, or being paid.
    """
    found = unit.history(asked.basket)
    if found.kind == BASKET:
        return False
    if found.kind or unit.sale(asked.basket) or unit.document(asked.basket):
        raise Conflict(
            f"Basket {_uuid(asked.basket)}: this id is something else.",
            "Give every basket an id of its own.",
        )
    if not basket.lines or basket.paying is not None:
        raise NotPossible(
            "Basket: expected lines, and no payment under way.", "Scan something first."
        )
    lines = tuple(
        rules.Line(
            f"{line.id:06}", _article(line.item), line.quantity_milli, line.discounts,
            line.age_checked,
        )
        for line in basket.lines
    )  # fmt: skip
    edits = rules.park(till, asked.cashier, asked.note, unit.now.ms, lines)
    try:
        unit.edit(asked.basket, BASKET, lambda _: edits)
    except DocumentFull as error:
        raise NotPossible(f"{error}", "Sell this one in parts.") from error
    if basket.recalled is not None:
        end(unit, basket.recalled, b"")  # it goes on under the new id
    return True


def add_line(unit: Unit, basket: bytes, line: str, scanned: Scanned, quantity_milli: int) -> None:
    """Add to a basket that is put aside; the same line again adds nothing.

    Raises:
        NotFound: There is no such basket.
        NotPossible: Several of what a label says how much it is.
        Conflict: It is at a till again, sold, or let go.
    """
    found = _found(unit.history(basket), basket)
    if found.standing.state != "parked":
        raise Conflict(
            f"Basket {_uuid(basket)}: expected one that is put aside, it is "
            f"{found.standing.state}.",
            "Scan it at the till that has it, or begin another basket.",
        )
    if scanned.quantity_milli is not None and quantity_milli != ONE_MILLI:
        raise NotPossible(
            f"Quantity {quantity_milli} thousandths: expected 1000, the label says how much it is.",
            "Scan each label.",
            field="/quantity_milli",
        )
    milli = quantity_milli if scanned.quantity_milli is None else scanned.quantity_milli
    edits = rules.add(rules.Line(line, _article(scanned.item), milli, scanned.discounts))
    try:
        unit.edit(basket, BASKET, lambda value: [] if f"line/{line}" in value.items else edits)
    except DocumentFull as error:
        raise NotPossible(f"{error}", "Begin another basket.") from error


def recall(unit: Unit, till: str, asked: Recall) -> tuple[Recalled, Parked]:
    """Take a basket back; asked again by the same till, give the same answer.

    Raises:
        NotFound: There is no such basket.
        Conflict: It is at another till, sold, or let go.
        NotPossible: It cannot be read.
    """
    found = _found(unit.history(asked.basket), asked.basket)
    where = found.standing
    if where.state in ("sold", "let go"):
        raise Conflict(
            f"Basket {_uuid(asked.basket)}: expected one that waits, it is {where.state}.",
            "Look at the baskets that wait.",
        )
    there = unit.opened(found)
    if there is None:
        raise NotPossible(f"Basket {_uuid(asked.basket)}: cannot be read.", "Scan it again.")
    holder = found.recalls.get(where.holder or b"")
    if holder is not None and (holder.node, holder.till) == (unit.node, till):
        return Recalled(asked.basket, holder.name), rules.parked(there.value)
    if found.recalls and not asked.take_over:
        tills = ", ".join(sorted({one.till for one in found.recalls.values()}))
        raise Conflict(
            f"Basket {_uuid(asked.basket)}: expected one that is put aside, it is at till {tills}.",
            "Sell it there, or take it over once nobody sells it there.",
        )
    now = unit.now
    # What waits for a change that is not here, or makes no sense, is not in the basket.
    covered = joined(set(found.live) - there.waiting - set(there.unusable))
    unit.append(
        BasketRecalled(asked.basket, till, asked.cashier, now.ms, int(now.trust), covered),
        asked.recall,
    )
    if found.recalls:
        seen = joined({*found.recalls, asked.recall})
        unit.append(
            DocumentSettled(asked.basket, seen, asked.cashier, "taken over", asked.recall),
            asked.basket,
        )
    return Recalled(asked.basket, asked.recall), rules.parked(there.value)


def check(unit: Unit, recalled: Recalled) -> None:
    """Refuse to sell a basket that is not this till's alone.

    Raises:
        Conflict: It was sold, or is at another till too and nobody has said which sells.
    """
    where = unit.history(recalled.basket).standing
    if where.holder == recalled.recall:
        return
    name = _uuid(recalled.basket)
    if where.sales:
        raise Conflict(
            f"Basket {name}: sold already, as sale {', '.join(map(_uuid, where.sales))}.",
            "Empty this basket; do not hand the goods out twice.",
        )
    if where.state == "recalled":
        raise Conflict(f"Basket {name}: another till sells it.", "Empty this basket.")
    raise Conflict(
        f"Basket {name}: taken back at several tills at once, expected at one.",
        "A manager must say at which it is sold: POST /v1/exceptions.",
    )


def end(unit: Unit, recalled: Recalled, sale: bytes) -> None:
    """Say what became of a recalled basket: a sale, or nothing (empty)."""
    unit.append(BasketEnded(recalled.basket, recalled.recall, sale), recalled.basket)


def restored(parked: Parked) -> tuple[tuple[Line, ...], str]:
    """Return the lines of a basket taken back, and what the cashier should read.

    Quantities may have been changed elsewhere: a discount that is now more than its
    line is not given.
    """
    lines, notices = [], []
    for n, line in enumerate(parked.lines, start=1):
        made = Line(
            id=n,
            item=_item(line.article),
            quantity_milli=line.quantity_milli,
            discounts=line.discounts,
            age_checked=line.age_checked,
        )
        if made.discounts_minor > made.gross_minor:
            notices.append(f"{line.article.sku}: discount taken back, it is more than the line.")
            made = Line(
                id=n,
                item=made.item,
                quantity_milli=line.quantity_milli,
                age_checked=line.age_checked,
            )
        lines.append(made)
    if parked.unreadable:
        notices.append(f"{len(parked.unreadable)} lines cannot be read: scan them again.")
    return tuple(lines), " ".join(notices)


def _found(found: History, basket: bytes) -> History:
    if found.kind != BASKET:
        raise NotFound(
            f"Basket {_uuid(basket)}: expected one that is put aside, found none.",
            "Look at the baskets that wait.",
        )
    return found


def _article(item: Item) -> rules.Article:
    return rules.Article(
        sku=item.sku,
        name=item.name,
        unit=item.unit,
        vat=item.vat,
        unit_minor=item.unit_minor,
        carried_name=item.carried_name,
        deposit_minor=item.deposit_minor,
        age_min=item.age_min,
        price_version=item.price_version,
        group=item.group,
    )


def _item(article: rules.Article) -> Item:
    return Item(
        sku=article.sku,
        name=article.name,
        unit=article.unit,
        vat=article.vat,
        unit_minor=article.unit_minor,
        carried_name=article.carried_name,
        deposit_minor=article.deposit_minor,
        age_min=article.age_min,
        price_version=article.price_version,
        group=article.group,
    )


def _uuid(event: bytes) -> str:
    return str(UUID(bytes=event))
