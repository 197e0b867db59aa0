"""What a basket gets by the promotions that hold, and which promotion gave what to which line.

The same everywhere: a till, a web shop's quote and a test call `Offers.given`. What it gives
is a function of what is bought, not of the order in which it was scanned, nor of how it is cut
into lines.

1. **Article promotions** that do not stack: a piece gets one of them at most. The deepest cut
   goes first (what it saves, of what its goods cost), equal cuts by the lower id; it takes its
   pieces, and the next is judged by those that are left. Of one article a percentage, an amount,
   a price and a tier compete by themselves; sets (n for m, mix) by whole sets. This is no search
   for the best of all combinations, which would be a packing problem nobody could explain.
2. **Article promotions that stack**, by id, each on what is left of the price.
3. **Receipt promotions**: of those that do not stack the one that saves most, then those that
   stack, by id; each on what is left of the goods it names, spread by largest remainder.

Never below zero. Deposits take no part. A line on which a cashier let something go takes part
in receipt promotions only. Sets are of whole pieces; what was weighed is no piece. What a set
saves is spread over its pieces by their prices, so that each gives back its share when returned,
and each VAT rate bears its own.

>>> from sync.rules.promotion import Part
>>> both = Part(skus=("CHLEB", "MASLO"))
>>> third = Promotion("3za2", "3 za 2", Kind.N_FOR_M, (both,), take=3, pay=2)
>>> bread, butter = Bought("CHLEB", 2000, 500), Bought("MASLO", 1000, 800)
>>> now = Moment(0, 1, 0)
>>> [(cut.line, cut.amount_minor) for cut in Offers([third]).given([bread, butter], now)]
[(0, 278), (1, 222)]
>>> fifth = Promotion("20%", "-20%", Kind.PERCENT, (Part(skus=("MASLO",)),), basis_points=2000)
>>> [(cut.promotion, cut.amount_minor) for cut in Offers([fifth]).given([bread, butter], now)]
[('20%', 160)]
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from sync.rules.money import divide_half_away, line_total_minor, spread_minor
from sync.rules.promotion import OF_RECEIPT, OF_SETS, WHOLE_PERCENT, Kind, Moment, Promotion

ONE_MILLI = 1000
_DEPTH = 10**9


class Bought(NamedTuple):
    """A line of a basket."""

    sku: str
    quantity_milli: int
    unit_minor: int
    group: str = ""
    age_min: int = 0
    given_minor: int = 0
    """What a cashier let go already."""


class Given(NamedTuple):
    """What a promotion gives to a line."""

    line: int
    """Index of the line."""

    promotion: str
    name: str
    amount_minor: int
    """Positive."""


@dataclass(slots=True)
class _Bundle:
    """All lines of one article at one price: pieces, or what was weighed."""

    sku: str
    group: str
    age_min: int
    unit_minor: int
    weighed: bool
    settled: bool
    """A cashier let something go."""

    lines: list[int] = field(default_factory=list)
    rests: list[int] = field(default_factory=list)
    """What is left to pay of each line."""

    left_milli: int = 0
    """What no promotion that does not stack has taken."""

    milli: int = 0
    gross_minor: int = 0
    rest_minor: int = 0
    cuts: list[tuple[int, int]] = field(default_factory=list)
    """Promotion and amount, in the order given."""

    @property
    def free_minor(self) -> int:
        """What that costs."""
        if self.weighed:
            return self.gross_minor if self.left_milli else 0
        return self.left_milli // ONE_MILLI * self.unit_minor

    def cut(self, promotion: int, amount_minor: int) -> None:
        """Take something off."""
        if amount_minor:
            self.cuts.append((promotion, amount_minor))
            self.rest_minor -= amount_minor


class _Plan(NamedTuple):
    """What one promotion would give now."""

    saving_minor: int
    worth_minor: int
    uses: tuple[tuple[int, int], ...]
    """Bundle, and thousandths taken of it."""

    @property
    def depth(self) -> int:
        """The deeper the smaller, so that a heap has the deepest first."""
        return -(self.saving_minor * _DEPTH // self.worth_minor)


_Hits = list[list[int]]
"""Bundles of each part, the dearest first."""


class Offers:
    """Promotions, found by article and group. Build it once, ask it for each basket."""

    def __init__(self, promotions: Iterable[Promotion]) -> None:
        """Index promotions; of two with one id the last counts."""
        latest = {promotion.id: promotion for promotion in promotions}
        self.promotions = tuple(latest[id_] for id_ in sorted(latest))
        self._skus: dict[str, list[tuple[int, int]]] = {}
        self._groups: dict[str, list[tuple[int, int]]] = {}
        self._all: list[tuple[int, int]] = []
        for index, promotion in enumerate(self.promotions):
            for number, part in enumerate(promotion.parts):
                here = (index, number)
                for sku in part.skus:
                    self._skus.setdefault(sku, []).append(here)
                for group in part.groups:
                    self._groups.setdefault(group, []).append(here)
                if not part.skus and not part.groups:
                    self._all.append(here)

    def given(self, bought: Sequence[Bought], moment: Moment) -> tuple[Given, ...]:
        """Return what each line gets, by lines, and in the order in which it was given."""
        bundles = _bundles(bought)
        hits = self._hits(bundles, moment)
        articles = {at: hit for at, hit in hits.items() if self._of_article(at)}
        single = [at for at in articles if not self.promotions[at].stacks]
        self._compete(bundles, {at: articles[at] for at in single})
        for at in sorted(articles.keys() - set(single)):
            for number in chain.from_iterable(articles[at]):
                bundle = bundles[number]
                bundle.cut(at, min(bundle.rest_minor, self._stacked(at, bundle)))
        self._receipt(bundles, {at: hits[at] for at in hits if at not in articles})
        return self._trace(bundles)

    def _of_article(self, at: int) -> bool:
        return self.promotions[at].kind not in OF_RECEIPT

    def _hits(self, bundles: Sequence[_Bundle], moment: Moment) -> dict[int, _Hits]:
        """Return the promotions that hold, and the bundles of each of their parts."""
        holds: dict[int, bool] = {}
        found: dict[int, _Hits] = {}
        for number, bundle in enumerate(bundles):
            first: dict[int, int] = {}
            named = (self._skus.get(bundle.sku, ()), self._groups.get(bundle.group, ()), self._all)
            for at, part in chain.from_iterable(named):
                if part <= first.get(at, part):
                    first[at] = part
            for at, part in first.items():
                promotion = self.promotions[at]
                if at not in holds:
                    holds[at] = promotion.holds(moment)
                if not holds[at] or (bundle.age_min and not promotion.with_age):
                    continue
                if bundle.settled and promotion.kind not in OF_RECEIPT:
                    continue
                found.setdefault(at, [[] for _ in promotion.parts])[part].append(number)
        return found

    def _compete(self, bundles: Sequence[_Bundle], hits: dict[int, _Hits]) -> None:
        """Give every piece the deepest cut there is for it."""
        rivals: list[tuple[int, int, int]] = []  # depth, promotion, bundle or -1

        def enter(at: int, number: int) -> None:
            plan = self._plan(bundles, at, hits[at], number)
            if plan is not None:
                heapq.heappush(rivals, (plan.depth, at, number))

        for at, hit in hits.items():
            for number in (-1,) if self.promotions[at].kind in OF_SETS else hit[0]:
                enter(at, number)
        while rivals:
            depth, at, number = heapq.heappop(rivals)
            plan = self._plan(bundles, at, hits[at], number)
            if plan is None:
                continue
            if plan.depth > depth:  # others have taken pieces: it is worth less by now
                heapq.heappush(rivals, (plan.depth, at, number))
                continue
            _take(bundles, at, plan)
            if number < 0:
                enter(at, number)

    def _plan(self, bundles: Sequence[_Bundle], at: int, hits: _Hits, number: int) -> _Plan | None:
        """Return what a promotion would give now, of one bundle or of sets; None: nothing."""
        promotion = self.promotions[at]
        if number >= 0:
            bundle = bundles[number]
            worth = bundle.free_minor
            saving = min(worth, _off(promotion, bundle, worth, _milli(bundles, hits)))
            return _Plan(saving, worth, ((number, bundle.left_milli),)) if saving > 0 else None
        if promotion.kind is Kind.N_FOR_M:
            return _n_for_m(promotion, bundles, hits[0])
        return _mix(promotion, bundles, hits)

    def _stacked(self, at: int, bundle: _Bundle) -> int:
        promotion = self.promotions[at]
        if promotion.kind is Kind.PERCENT:
            return divide_half_away(bundle.rest_minor * promotion.basis_points, WHOLE_PERCENT)
        return line_total_minor(bundle.milli, promotion.amount_minor)

    def _receipt(self, bundles: Sequence[_Bundle], hits: dict[int, _Hits]) -> None:
        """Give what the whole receipt gets."""
        single = [(self._off_receipt(bundles, at, hits), -at) for at in hits]
        best = max((one for one in single if not self.promotions[-one[1]].stacks), default=(0, 0))
        stacking = [at for at in sorted(hits) if self.promotions[at].stacks]
        for at in ([-best[1]] if best[0] else []) + stacking:
            numbers = hits[at][0]
            rests = [bundles[number].rest_minor for number in numbers]
            shares = spread_minor(self._off_receipt(bundles, at, hits), rests)
            for number, share in zip(numbers, shares, strict=True):
                bundles[number].cut(at, share)

    def _off_receipt(self, bundles: Sequence[_Bundle], at: int, hits: dict[int, _Hits]) -> int:
        promotion = self.promotions[at]
        worth = sum(bundles[number].rest_minor for number in hits[at][0])
        if worth < promotion.least_minor:
            return 0
        if promotion.kind is Kind.RECEIPT_PERCENT:
            return divide_half_away(worth * promotion.basis_points, WHOLE_PERCENT)
        return min(worth, promotion.amount_minor)

    def _trace(self, bundles: Sequence[_Bundle]) -> tuple[Given, ...]:
        given: list[Given] = []
        for bundle in bundles:
            for at, amount in bundle.cuts:
                promotion = self.promotions[at]
                for place, share in enumerate(spread_minor(amount, bundle.rests)):
                    if share:
                        bundle.rests[place] -= share
                        line = bundle.lines[place]
                        given.append(Given(line, promotion.id, promotion.name, share))
        return tuple(sorted(given, key=lambda one: one.line))


def _take(bundles: Sequence[_Bundle], at: int, plan: _Plan) -> None:
    """Give what a promotion gives, and let nothing else have its pieces."""
    worths = []
    for number, milli in plan.uses:
        before = bundles[number].free_minor
        bundles[number].left_milli -= milli
        worths.append(before - bundles[number].free_minor)
    shares = spread_minor(plan.saving_minor, worths)
    for (number, _), share in zip(plan.uses, shares, strict=True):
        bundles[number].cut(at, share)


def _bundles(bought: Sequence[Bought]) -> list[_Bundle]:
    """Put the lines of one article at one price together; the dearest first."""
    found: dict[tuple[int, str, str, int, bool, bool], _Bundle] = {}
    for line, one in enumerate(bought):
        weighed, settled = one.quantity_milli % ONE_MILLI != 0, one.given_minor > 0
        key = (-one.unit_minor, one.sku, one.group, one.age_min, weighed, settled)
        bundle = found.get(key)
        if bundle is None:
            bundle = _Bundle(one.sku, one.group, one.age_min, one.unit_minor, weighed, settled)
            found[key] = bundle
        gross = line_total_minor(one.quantity_milli, one.unit_minor)
        bundle.lines.append(line)
        bundle.rests.append(gross - one.given_minor)
        bundle.milli += one.quantity_milli
        bundle.left_milli += one.quantity_milli
        bundle.gross_minor += gross
        bundle.rest_minor += gross - one.given_minor
    return [found[key] for key in sorted(found)]


def _milli(bundles: Sequence[_Bundle], hits: _Hits) -> int:
    return sum(bundles[number].milli for number in hits[0])


def _off(promotion: Promotion, bundle: _Bundle, worth: int, bought_milli: int) -> int:
    """Return what a promotion of single articles takes off what is left of a bundle."""
    points = promotion.basis_points
    match promotion.kind:
        case Kind.AMOUNT:
            return line_total_minor(bundle.left_milli, promotion.amount_minor)
        case Kind.PRICE:
            return worth - line_total_minor(bundle.left_milli, promotion.amount_minor)
        case Kind.TIERED:
            reached = [t.basis_points for t in promotion.tiers if t.from_milli <= bought_milli]
            points = max(reached, default=0)
    return divide_half_away(worth * points, WHOLE_PERCENT)


def _n_for_m(promotion: Promotion, bundles: Sequence[_Bundle], hits: list[int]) -> _Plan | None:
    take, free = promotion.take, promotion.take - promotion.pay
    pieces = sum(bundles[number].left_milli // ONE_MILLI for number in _pieces(bundles, hits))
    whole = pieces // take * take
    saving = worth = passed = 0
    uses = []
    for number in _pieces(bundles, hits):
        bundle = bundles[number]
        used = min(bundle.left_milli // ONE_MILLI, whole - passed)
        if used <= 0:
            continue
        # Of the first x pieces, free are the last of each whole set, and those begun.
        nothing = _free(passed + used, take, free) - _free(passed, take, free)
        saving += nothing * bundle.unit_minor
        worth += used * bundle.unit_minor
        uses.append((number, used * ONE_MILLI))
        passed += used
    return _Plan(saving, worth, tuple(uses)) if saving > 0 else None


def _free(pieces: int, take: int, free: int) -> int:
    return pieces // take * free + max(0, pieces % take - (take - free))


def _mix(promotion: Promotion, bundles: Sequence[_Bundle], hits: _Hits) -> _Plan | None:
    """Return the dearest set there is, as often as it is there."""
    uses: list[tuple[int, int]] = []
    for part, numbers in zip(promotion.parts, hits, strict=True):
        wanted = part.take
        for number in _pieces(bundles, numbers):
            used = min(wanted, bundles[number].left_milli // ONE_MILLI)
            if used:
                uses.append((number, used))
                wanted -= used
            if not wanted:
                break
        if wanted:
            return None
    worth = sum(bundles[number].unit_minor * used for number, used in uses)
    saving = worth - promotion.amount_minor
    if saving <= 0:
        return None
    times = min(bundles[number].left_milli // ONE_MILLI // used for number, used in uses)
    taken = tuple((number, used * times * ONE_MILLI) for number, used in uses)
    return _Plan(saving * times, worth * times, taken)


def _pieces(bundles: Sequence[_Bundle], numbers: Iterable[int]) -> list[int]:
    return [number for number in numbers if not bundles[number].weighed]
