"""Promotions: a file of JSON, checked whole, and what of it is new becomes facts of all stores."""

import re
import secrets
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from central.catalogue.columns import BadCell, moment
from central.catalogue.importer import BadImport
from central.catalogue.publish import next_revision
from central.ledger import assortment, author, reading, shelves
from central.ledger.unit import Unit
from sync.chain import ALL, EVENT_BYTES
from sync.contract.problem import Mistake, mistake
from sync.facts.promotion import PromotionTold
from sync.rules.promotion import MAX_NAMED, Kind, Part, Promotion, Tier

MAX_BYTES = 4 << 20
MAX_ROWS = 5000

_Word = Annotated[str, Meta(min_length=1, max_length=64)]
_Words = Annotated[list[_Word], Meta(max_length=MAX_NAMED)]
_Whole = Annotated[int, Meta(ge=0, le=10**9)]
_Clock = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
_KIND = Literal[
    "percent", "amount", "price", "n_for_m", "mix", "tiered", "receipt_percent", "receipt_amount"
]


class PartDocument(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Some articles; nothing named: all of them."""

    skus: _Words = []
    groups: _Words = []
    take: Annotated[int, Meta(ge=1, le=1000)] = 1
    """Pieces of it in one set, of ``mix``."""


class TierDocument(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """From this quantity on, so much."""

    from_milli: Annotated[int, Meta(ge=1, le=10**9)]
    basis_points: Annotated[int, Meta(ge=1, le=10_000)]


class PromotionDocument(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A promotion as JSON spells it; `sync.rules.promotion` says what each field means."""

    id: _Word
    name: _Word
    kind: _KIND
    parts: Annotated[list[PartDocument], Meta(min_length=1, max_length=10)] | None = None
    """None: all articles."""

    basis_points: Annotated[int, Meta(ge=0, le=10_000)] = 0
    amount_minor: _Whole = 0
    take: _Whole = 0
    pay: _Whole = 0
    tiers: Annotated[list[TierDocument], Meta(max_length=20)] = []
    least_minor: _Whole = 0
    since: str = ""
    """ISO date or date-time; without an offset it is Polish local time. Empty: at once."""

    until: str = ""
    """It holds before this moment; empty: without end."""

    weekdays: Annotated[list[Annotated[int, Meta(ge=1, le=7)]], Meta(max_length=7)] = []
    """1 is Monday; none: every day."""

    from_time: _Clock | None = None
    until_time: _Clock | None = None
    """On the store's wall, as ``14:00``; past midnight it belongs to the day it began on."""

    stores: Annotated[list[_Word], Meta(max_length=MAX_NAMED)] = []
    channels: Annotated[list[_Word], Meta(max_length=100)] = []
    customer_group: Annotated[str, Meta(max_length=64)] = ""
    coupon: Annotated[str, Meta(max_length=64)] = ""
    stacks: bool = False
    with_age: bool = False
    """Articles that ask for the buyer's age, too: look at the law first."""

    withdrawn: bool = False


class PromotionsDocument(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON body of an import."""

    promotions: Annotated[list[PromotionDocument], Meta(min_length=1, max_length=MAX_ROWS)]


class PromotionsPublished(msgspec.Struct, frozen=True):
    """What became of an import."""

    rows: int
    changed: int
    """New, changed or withdrawn."""

    revision: int
    """Under which; 0: nothing was."""


def parse(data: bytes) -> list[tuple[Promotion, bool]]:
    """Read a file: promotions, and whether each is withdrawn.

    Raises:
        BadImport: Something is wrong with it; nothing of it may be used.
    """
    if len(data) > MAX_BYTES:
        raise BadImport([mistake("file", f"{len(data)} bytes", f"at most {MAX_BYTES} bytes")])
    try:
        whole = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadImport([mistake("file", data[:40], f"JSON in UTF-8 ({error})")]) from error
    rows = whole.get("promotions") if isinstance(whole, dict) and len(whole) == 1 else None
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ROWS:
        expected = f'an object with "promotions" alone, a list of 1 to {MAX_ROWS}'
        raise BadImport([mistake("file", whole, expected)])
    read: list[tuple[Promotion, bool]] = []
    wrong: list[Mistake] = []
    first: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        try:
            document = msgspec.convert(row, PromotionDocument)
            promotion = _promotion(document)
        except (msgspec.ValidationError, BadCell) as error:
            wrong.append(_wrong(number, row, error))
            continue
        if reason := promotion.reason():
            wrong.append(mistake(f"row {number}", promotion.id, "a promotion that can be", reason))
        if (before := first.setdefault(promotion.id, number)) != number:
            expected = f"an id of its own, row {before} has it"
            wrong.append(mistake(f"row {number}, id", promotion.id, expected))
        read.append((promotion, document.withdrawn))
    if wrong:
        raise BadImport(wrong, len(wrong))
    return read


def publish(unit: Unit, read: Sequence[tuple[Promotion, bool]]) -> PromotionsPublished:
    """Write what is new or changed as facts of all stores.

    Raises:
        BadImport: An article, a group or a store is not known; nothing is written.
    """
    wrong = list(_unknown(unit, read))
    if wrong:
        raise BadImport(wrong, len({one.where.split(",")[0] for one in wrong}))
    known = assortment.promotions(unit.connection)
    changed = [
        (promotion, withdrawn)
        for promotion, withdrawn in read
        if (last := known.get(promotion.id)) is None
        or (last.promotion, last.withdrawn) != (promotion, withdrawn)
    ]
    if not changed:
        return PromotionsPublished(len(read), 0, 0)
    revision = next_revision(unit)
    author.write(
        unit,
        ALL,
        [(secrets.token_bytes(EVENT_BYTES), PromotionTold(revision, *one)) for one in changed],
    )
    return PromotionsPublished(len(read), len(changed), revision)


def _promotion(said: PromotionDocument) -> Promotion:
    if (said.from_time is None) is not (said.until_time is None):
        raise BadCell("from_time and until_time, or neither", value=said.from_time or "nothing")
    return Promotion(
        said.id,
        said.name,
        Kind[said.kind.upper()],
        tuple(Part(tuple(p.skus), tuple(p.groups), p.take) for p in said.parts or [PartDocument()]),
        said.basis_points,
        said.amount_minor,
        said.take,
        said.pay,
        tuple(Tier(tier.from_milli, tier.basis_points) for tier in said.tiers),
        said.least_minor,
        _begins(said.since),
        _begins(said.until),
        tuple(sorted(set(said.weekdays))),
        _minutes(said.from_time),
        _minutes(said.until_time),
        tuple(said.stores),
        tuple(said.channels),
        said.customer_group,
        said.coupon,
        said.stacks,
        said.with_age,
    )


def _begins(text: str) -> int:
    try:
        return moment(text) or 0
    except BadCell as bad:
        raise BadCell(bad.expected, bad.cure, text) from bad


def _minutes(text: str | None) -> int:
    return int(text[:2]) * 60 + int(text[3:]) if text else 0


_AT = re.compile(r" - at `\$(.*)`$")


def _wrong(number: int, row: Any, error: Exception) -> Mistake:
    """Name the row, the value and what was expected of it."""
    if isinstance(error, BadCell):
        return mistake(f"row {number}", error.value or row, error.expected, error.cure)
    said = str(error)
    found = _AT.search(said)
    path = found[1].lstrip(".") if found else ""
    value = row
    for step in re.findall(r"[^.\[\]]+", path):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
    expected = _AT.sub("", said).removeprefix("Expected ")
    return mistake(f"row {number}, {path}" if path else f"row {number}", value, expected)


def _unknown(unit: Unit, read: Sequence[tuple[Promotion, bool]]) -> Iterator[Mistake]:
    parts = [(n, part) for n, (one, _) in enumerate(read, start=1) for part in one.parts]
    skus = shelves.known_articles(unit.connection, {sku for _, part in parts for sku in part.skus})
    groups = {
        group
        for group in {group for _, part in parts for group in part.groups}
        if shelves.knows_group(unit.connection, group)
    }
    for number, part in parts:
        for sku in part.skus:
            if sku not in skus:
                yield mistake(
                    f"row {number}, skus", sku, "an article of the catalogue", "import it first"
                )
        for group in part.groups:
            if group not in groups:
                expected = "the group of an article of the catalogue"
                yield mistake(f"row {number}, groups", group, expected, "import one first")
    for number, (one, _) in enumerate(read, start=1):
        for store in one.stores:
            if reading.store(unit.connection, store) is None:
                expected = "a store of karb-central status"
                yield mistake(f"row {number}, stores", store, expected, "add it first")
