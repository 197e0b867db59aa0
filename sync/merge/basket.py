"""A basket put aside: its lines as a document, and who may sell it.

A line is one item (article and price as scanned, never edited) and a sum (its quantity:
two tills that each add one piece have added two). Money in grosz (`_minor`), quantity in
thousandths (`_milli`).
"""

from collections.abc import Mapping
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from sync.facts.sale import MOST, Discount
from sync.merge.document import FIELDS, ITEMS, Add, Edit, Put, Value

_Minor = Annotated[int, Meta(ge=0, lt=MOST)]


class Article(msgspec.Struct, frozen=True):
    """What was scanned, at the price of that moment."""

    sku: Annotated[str, Meta(min_length=1, max_length=64)]
    name: str
    unit: str
    vat: str
    unit_minor: _Minor
    carried_name: str = ""
    deposit_minor: _Minor = 0
    age_min: Annotated[int, Meta(ge=0, le=150)] = 0
    price_version: Annotated[int, Meta(ge=0, le=1 << 53)] = 0
    group: str = ""


class Line(NamedTuple):
    """A line of a basket that is put aside."""

    id: str
    """Made by whoever added it; never two alike."""

    article: Article
    quantity_milli: int
    discounts: tuple[Discount, ...] = ()
    age_checked: int = 0


class Parked(NamedTuple):
    """What the document says."""

    till: str
    cashier: str
    note: str
    at_ms: int
    lines: tuple[Line, ...]
    unreadable: tuple[str, ...]
    """Lines that cannot be what they say."""


def park(till: str, cashier: str, note: str, at_ms: int, lines: tuple[Line, ...]) -> list[Edit]:
    """Return what puts a basket aside."""
    said: dict[str, str | int] = {"till": till, "cashier": cashier, "note": note, "at_ms": at_ms}
    return [
        *(Put(FIELDS, key, value) for key, value in said.items()),
        *(edit for line in lines for edit in add(line)),
    ]


def add(line: Line) -> list[Edit]:
    """Return what adds a line."""
    edits: list[Edit] = [
        Put(ITEMS, f"line/{line.id}", msgspec.json.encode(line.article).decode()),
        Add(line.id, line.quantity_milli),
    ]
    edits += [
        Put(ITEMS, f"discount/{line.id}/{n:02}", msgspec.json.encode(discount).decode())
        for n, discount in enumerate(line.discounts)
    ]
    if line.age_checked:
        edits.append(Put(ITEMS, f"age/{line.id}", line.age_checked))
    return edits


def parked(value: Value) -> Parked:
    """Read a basket; lines in the order of their ids. Total: what makes no sense is named."""
    lines, unreadable = [], []
    discounts: dict[str, list[Discount]] = {}
    for key, item in sorted(value.items.items()):
        what, _, rest = key.partition("/")
        if what == "discount":
            line = rest.partition("/")[0]
            try:
                given = msgspec.json.decode(_text(item), type=Discount)
            except (msgspec.DecodeError, RecursionError):
                unreadable.append(line)
            else:
                discounts.setdefault(line, []).append(given)
    for key, item in sorted(value.items.items()):
        what, _, line = key.partition("/")
        if what != "line":
            continue
        milli = value.sums.get(line, 0)
        if milli <= 0:
            continue  # taken out by whoever took the last piece
        try:
            article = msgspec.json.decode(_text(item), type=Article)
        except (msgspec.DecodeError, RecursionError):
            unreadable.append(line)
            continue
        age = value.items.get(f"age/{line}", 0)
        if milli >= MOST or any(not 0 < d.amount_minor < MOST for d in discounts.get(line, ())):
            unreadable.append(line)
            continue
        checked = age if isinstance(age, int) and 0 <= age <= article.age_min else 0
        lines.append(Line(line, article, milli, tuple(discounts.get(line, ())), int(checked)))
    fields = value.fields
    at_ms = fields.get("at_ms", 0)
    return Parked(
        _text(fields.get("till", "")),
        _text(fields.get("cashier", "")),
        _text(fields.get("note", "")),
        at_ms if isinstance(at_ms, int) else 0,
        tuple(lines),
        tuple(sorted(set(unreadable))),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


class Recall(NamedTuple):
    """A till took the basket back."""

    name: bytes
    till: str
    node: bytes
    at_ms: int
    covered: frozenset[bytes]


class Standing(NamedTuple):
    """Where a basket is."""

    state: str
    """``parked``, ``recalled``, ``contested``, ``sold`` or ``let go``."""

    holder: bytes | None
    """The recall that may sell it."""

    sales: tuple[bytes, ...]
    oddities: tuple[tuple[str, frozenset[bytes]], ...]
    """What a person should look at, and the names of what it is about."""


def standing(recalls: Mapping[bytes, Recall], ends: Mapping[bytes, bytes], keep: bytes) -> Standing:
    """Return where a basket is, from everything known of it, in whatever order it came.

    Args:
        recalls: By their names.
        ends: Recall to the sale it became; empty: nothing was bought.
        keep: The recall that a person said may sell; empty: nobody said.
    """
    sales = tuple(sorted({sale for sale in ends.values() if sale}))
    taken = {name for name in recalls if ends.get(name, None) != b""}
    unsold = {name for name in taken if name not in ends}
    odd: list[tuple[str, frozenset[bytes]]] = []
    if len(sales) > 1:
        odd.append(("sold twice", frozenset(sales)))
    if len(taken) > 1 and keep not in taken:
        odd.append(("recalled twice", frozenset(taken)))
    if keep in taken and any(sale for name, sale in ends.items() if name != keep):
        odd.append(("sold by another", frozenset(sales)))
    if sales:
        return Standing("sold", None, sales, tuple(odd))
    if not recalls:
        return Standing("parked", None, (), ())
    if not taken:
        return Standing("let go", None, (), ())
    if keep in unsold:
        return Standing("recalled", keep, (), tuple(odd))
    if len(taken) == 1:
        return Standing("recalled", next(iter(unsold)), (), tuple(odd))
    return Standing("contested", None, (), tuple(odd))
