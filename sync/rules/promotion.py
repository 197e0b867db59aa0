"""A promotion as head office says it: plain data, and when it holds.

Money is an int in grosz (`_minor`), quantity an int in thousandths (`_milli`), a
percentage an int in basis points (2000 is 20 %). What a basket gets is told by
`sync.rules.offers`.

Alcohol: art. 2(1)(2) and 13(1) of the Polish act on sobriety of 26 October 1982 forbid selling
alcohol at a premium or advertising it so, beer within limits aside; tobacco may not be promoted
at all (art. 8 of the act of 9 November 1995). So a promotion leaves out every article that asks
for the buyer's age, unless head office has looked at the law and said `with_age`.
"""

from datetime import datetime
from enum import IntEnum
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from sync.rules.hours import within

Whole = Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]
"""As in facts (`sync.facts.columns`)."""

MAX_NAMED = 5000
"""Articles and groups that a promotion may name."""

MAX_NAME = 64
MAX_PARTS = 10
MOST = 1 << 40
DAY_MINUTES = 1440
WHOLE_PERCENT = 10_000


class Kind(IntEnum):
    """What it gives. Written into facts: never renumber."""

    PERCENT = 1
    """`basis_points` off each article."""

    AMOUNT = 2
    """`amount_minor` off each whole unit, and in proportion off a weighed one."""

    PRICE = 3
    """A whole unit costs `amount_minor`, if that is less."""

    N_FOR_M = 4
    """Of every `take` pieces `pay` are paid: dearest with dearest, the cheapest of each free."""

    MIX = 5
    """One set of pieces, so many of each part, costs `amount_minor`, if that is less."""

    TIERED = 6
    """`basis_points` of the highest tier whose quantity of all named was bought."""

    RECEIPT_PERCENT = 7
    """`basis_points` off what is left to pay, from `least_minor` on."""

    RECEIPT_AMOUNT = 8
    """`amount_minor` off what is left to pay, from `least_minor` on."""


OF_RECEIPT = frozenset({Kind.RECEIPT_PERCENT, Kind.RECEIPT_AMOUNT})
OF_SETS = frozenset({Kind.N_FOR_M, Kind.MIX})
STACKING = frozenset({Kind.PERCENT, Kind.AMOUNT}) | OF_RECEIPT
"""Kinds that may be given besides another."""


class Part(Struct, frozen=True, array_like=True):
    """Some articles; nothing named: all of them."""

    skus: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    take: Whole = 1
    """Pieces of it in one set; of `MIX` only."""


class Tier(Struct, frozen=True, array_like=True):
    """From this quantity on, so much."""

    from_milli: Whole
    basis_points: Whole


class Moment(NamedTuple):
    """When, where and to whom something is sold."""

    at_ms: int
    weekday: int
    """By the store's wall: 1 is Monday, 7 Sunday."""

    minute: int
    """Of the day by the store's wall, 0 to 1439."""

    store: str = ""
    channel: str = "store"
    customer_groups: frozenset[str] = frozenset()
    coupons: frozenset[str] = frozenset()

    @classmethod
    def of(cls, local: datetime, store: str, channel: str = "store") -> "Moment":
        """Return a moment for anybody.

        Args:
            local: The time in the store's zone, aware.
            store: Its id.
            channel: Where it is sold.
        """
        at_ms = int(local.timestamp() * 1000)
        return cls(at_ms, local.isoweekday(), local.hour * 60 + local.minute, store, channel)


class Promotion(Struct, frozen=True, array_like=True):
    """What head office gives. Stands in facts: fields are only ever appended."""

    id: str
    name: str
    """As the slip prints it."""

    kind: Kind
    parts: tuple[Part, ...] = (Part(),)
    """Which articles; an article that several name belongs to the first. Only `MIX` has more
    than one."""

    basis_points: Whole = 0
    amount_minor: Whole = 0
    take: Whole = 0
    pay: Whole = 0
    tiers: tuple[Tier, ...] = ()
    least_minor: Whole = 0
    """What the named goods must come to, other promotions taken off, deposits left out."""

    from_ms: Whole = 0
    until_ms: Whole = 0
    """Unix milliseconds; it holds before this moment. 0: without end."""

    weekdays: tuple[Whole, ...] = ()
    """1 is Monday; none: every day."""

    from_minute: Whole = 0
    until_minute: Whole = 0
    """Minutes of the day on the store's wall; the same twice: all day. Past midnight it belongs
    to the weekday on which it began."""

    stores: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    """None: all."""

    customer_group: str = ""
    coupon: str = ""
    """Who it is for, and what they show; empty: anybody, nothing."""

    stacks: bool = False
    """Given besides others, not instead of them."""

    with_age: bool = False
    """Articles that ask for the buyer's age, too."""

    def holds(self, moment: Moment) -> bool:
        """Whether it is given at a moment."""
        if moment.at_ms < self.from_ms or (self.until_ms and moment.at_ms >= self.until_ms):
            return False
        if self.stores and moment.store not in self.stores:
            return False
        if self.channels and moment.channel not in self.channels:
            return False
        if self.customer_group and self.customer_group not in moment.customer_groups:
            return False
        if self.coupon and self.coupon not in moment.coupons:
            return False
        hours = (self.from_minute, self.until_minute, self.weekdays)
        return within(*hours, moment.weekday, moment.minute)

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        for found in (self._words(), self._goods(), self._worth(), self._times()):
            if found:
                return f"promotion {self.id!r}: {found}"
        return ""

    def _words(self) -> str:
        for name, text in (("id", self.id), ("name", self.name)):
            if not 0 < len(text) <= MAX_NAME or not text.isprintable():
                return f"{name} {text[:MAX_NAME]!r}, expected 1 to {MAX_NAME} printable characters"
        return ""

    def _goods(self) -> str:
        most = MAX_PARTS if self.kind is Kind.MIX else 1
        if not 1 <= len(self.parts) <= most:
            return f"{len(self.parts)} parts, expected 1 to {most} for {self.kind.name.lower()}"
        named = sum(len(part.skus) + len(part.groups) for part in self.parts)
        if named > MAX_NAMED:
            return f"{named} articles and groups, expected at most {MAX_NAMED}"
        for part in self.parts:
            if not 1 <= part.take <= 1000:
                return f"{part.take} pieces of a part, expected 1 to 1000"
            if "" in part.skus or "" in part.groups:
                return "an article or group without a name"
        return ""

    def _worth(self) -> str:
        if self.stacks and self.kind not in STACKING:
            return f"stacks, which {self.kind.name.lower()} cannot"
        if not 0 <= self.least_minor < MOST or (self.least_minor and self.kind not in OF_RECEIPT):
            return f"least_minor {self.least_minor}, expected 0, or more of a receipt's"
        match self.kind:
            case Kind.PERCENT | Kind.RECEIPT_PERCENT:
                if not 0 < self.basis_points <= WHOLE_PERCENT:
                    return f"basis_points {self.basis_points}, expected 1 to {WHOLE_PERCENT}"
            case Kind.AMOUNT | Kind.RECEIPT_AMOUNT | Kind.PRICE | Kind.MIX:
                if not 0 < self.amount_minor < MOST:
                    return f"amount_minor {self.amount_minor}, expected more than 0"
            case Kind.N_FOR_M:
                if not 0 < self.pay < self.take <= 1000:
                    return f"take {self.take}, pay {self.pay}, expected 0 < pay < take <= 1000"
            case Kind.TIERED:
                return self._tiers()
        return ""

    def _tiers(self) -> str:
        if not 1 <= len(self.tiers) <= 20:
            return f"{len(self.tiers)} tiers, expected 1 to 20"
        before = Tier(0, 0)
        for tier in self.tiers:
            if not before.from_milli < tier.from_milli < MOST:
                return f"tier from {tier.from_milli}, expected more than {before.from_milli}"
            if not before.basis_points < tier.basis_points <= WHOLE_PERCENT:
                return (
                    f"tier of {tier.basis_points} basis points, expected more than "
                    f"{before.basis_points}, at most {WHOLE_PERCENT}"
                )
            before = tier
        return ""

    def _times(self) -> str:
        if self.from_ms < 0 or (self.until_ms and self.until_ms <= self.from_ms):
            return f"from {self.from_ms} until {self.until_ms}, expected an end after the beginning"
        if any(not 1 <= day <= 7 for day in self.weekdays):
            return f"weekdays {self.weekdays}, expected 1 (Monday) to 7"
        for minute in (self.from_minute, self.until_minute):
            if not 0 <= minute <= DAY_MINUTES:
                return f"minute {minute}, expected 0 to {DAY_MINUTES}"
        return ""
