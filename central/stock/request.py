"""What is asked for and what is told of promises, over HTTP. Thousandths (`_milli`)."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from central.ledger.promised import Line, Part
from central.orders import PolicySet
from sync.chain import life
from sync.facts.order import Answer, Ending

UUID_PATTERN = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
MOST_MILLI = 1 << 40
MAX_LINES = 200
MAX_EXPIRES_S = 30 * 24 * 3600

PromiseId = Annotated[str, Meta(pattern=UUID_PATTERN)]
StoreId = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]


class PromiseLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An article and how much of it."""

    sku: Annotated[str, Meta(min_length=1, max_length=64)]
    quantity_milli: Annotated[int, Meta(gt=0, lt=MOST_MILLI)]


class PromiseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Goods to hold for somebody, for a while."""

    id: PromiseId
    """Made by the client: the same id again is the same promise again."""

    channel: Annotated[str, Meta(min_length=1, max_length=40)]
    """``web``, ``allegro``, …"""

    lines: Annotated[tuple[PromiseLine, ...], Meta(min_length=1, max_length=MAX_LINES)]
    expires_s: Annotated[int, Meta(ge=1, le=MAX_EXPIRES_S)]
    """After this many seconds what is not confirmed is free again."""

    stores: Annotated[tuple[StoreId, ...], Meta(min_length=1, max_length=500)] | None = None
    """Only these, the best first; null: any, as few as possible."""

    split: bool = False
    """An article may come from several places."""

    @property
    def event(self) -> bytes:
        """The id as facts carry it."""
        return UUID(self.id).bytes

    def amounts(self) -> dict[str, int]:
        """Return article to quantity, lines of one article added up."""
        found: dict[str, int] = {}
        for line in self.lines:
            found[line.sku] = found.get(line.sku, 0) + line.quantity_milli
        return found


class PolicyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an article is promised; what is left out stays."""

    target: Annotated[str, Meta(min_length=1, max_length=80)]
    """A sku, ``group:NAME``, or ``*``."""

    store: StoreId | None = None
    """At one store only."""

    mode: Literal["strict", "lenient"] | None = None
    floor_milli: Annotated[int, Meta(ge=0, lt=MOST_MILLI)] | None = None
    web_percent: Annotated[int, Meta(ge=0, le=100)] | None = None

    def order(self) -> PolicySet:
        """Return it as the command a person gives."""
        return PolicySet(self.target, self.store, self.mode, self.floor_milli, self.web_percent)


class LineTold(msgspec.Struct, frozen=True):
    """An article at a place, and what became of it there."""

    sku: str
    quantity_milli: int
    picked_milli: int
    handed_milli: int
    short_milli: int
    cancelled_milli: int
    given_up_milli: int
    """Of the short: broken by a person."""


class PartTold(msgspec.Struct, frozen=True):
    """A promise at one place."""

    store: str
    state: str
    """``held``, ``released``, ``expired``, ``moved``; confirmed: ``ordered``, ``picked``,
    ``handed``, ``short``, ``cancelled``."""

    order: str
    """Its number at the store."""

    instead_of: str
    """The store that could not serve it; empty: it was here from the first."""

    life: str
    """Of head office, when it was made."""

    lines: list[LineTold]


class PromiseTold(msgspec.Struct, frozen=True):
    """A promise as it stands."""

    id: str
    state: str
    """``held``, ``confirmed``, ``released`` or ``expired``."""

    channel: str
    expires_ms: int
    places: list[PartTold]
    unknown_at: list[str]
    """Stores that hold a part of it which has not come back since head office was restored."""


def tell(root: bytes, parts: list[Part]) -> PromiseTold:
    """Tell of a promise."""
    known = [part for part in parts if part.known]
    first = known[0] if known else parts[0]
    ended = {part.ended for part in known} or {part.ended for part in parts}
    if Ending.CONFIRMED in ended:
        state = "confirmed"
    elif None in ended:
        state = "held"
    else:
        state = "expired" if Ending.EXPIRED in ended else "released"
    return PromiseTold(
        str(UUID(bytes=root)),
        state,
        first.channel,
        first.expires_ms,
        [_part(part) for part in known],
        sorted({place for part in known for place in part.places} - {part.store for part in known}),
    )


def _part(part: Part) -> PartTold:
    return PartTold(
        part.store,
        state_of(part),
        str(UUID(bytes=part.event)),
        part.instead_at,
        life(part.made_in.incarnation),
        [
            LineTold(
                cell,
                line.milli,
                line.answered.get(Answer.PICKED, 0),
                line.answered.get(Answer.HANDED, 0),
                line.answered.get(Answer.SHORT, 0),
                line.answered.get(Answer.CANCELLED, 0),
                line.broken,
            )
            for cell, line in part.lines.items()
        ],
    )


_ENDED = {
    None: "held",
    Ending.RELEASED: "released",
    Ending.EXPIRED: "expired",
    Ending.MOVED: "moved",
}


def state_of(part: Part) -> str:
    """Return how a part is, in one word."""
    if part.ended is not Ending.CONFIRMED:
        return _ENDED[part.ended]
    answers = {answer for line in part.lines.values() for answer in line.answered}
    if any(_open(line) for line in part.lines.values()):
        return "picked" if Answer.PICKED in answers else "ordered"
    for answer, word in (
        (Answer.SHORT, "short"),
        (Answer.HANDED, "handed"),
        (Answer.CANCELLED, "cancelled"),
    ):
        if answer in answers:
            return word
    return "ordered"


def _open(line: Line) -> bool:
    return line.left > 0
