"""A basket of forty lines against five hundred live promotions, by `sync.rules.offers`."""

import random
from collections.abc import Sequence
from time import perf_counter

from sync.rules.offers import Bought, Offers
from sync.rules.promotion import Kind, Moment, Part, Promotion, Tier

LINES, LIVE, ARTICLES, GROUPS = 40, 500, 400, 25
TIMES = 200
MOST_MS = 5.0
_TARGET = f"≤ {MOST_MS:g} ms"
_NOW = Moment(1_000, 1, 600)


def run() -> list[tuple[str, str, str]]:
    """Measure; the seed is fixed, the machine is not."""
    chance = random.Random(7)
    rows = []
    for what, named in (
        (f"{LIVE} live, each of 12 articles or a group of {ARTICLES // GROUPS}", False),
        (f"{LIVE} live, each naming every article of the basket", True),
    ):
        told = [_promotion(number, chance, everything=named) for number in range(LIVE)]
        baskets = [_basket(chance) for _ in range(TIMES)]
        started = perf_counter()
        offers = Offers(told)
        built = (perf_counter() - started) * 1000
        taken, hit = [], 0
        for basket in baskets:
            started = perf_counter()
            cuts = offers.given(basket, _NOW)
            taken.append((perf_counter() - started) * 1000)
            hit += len({cut.promotion for cut in cuts})
        rows += [
            (what, _said(taken), _TARGET),
            ("  promotions given, a basket", f"{hit / TIMES:.1f}", ""),
            ("  index made", f"{built:.1f} ms", "once a change"),
        ]
    return rows


def _said(taken: Sequence[float]) -> str:
    ordered = sorted(taken)
    return f"{ordered[len(ordered) // 2]:.2f} ms, p99 {ordered[len(ordered) * 99 // 100]:.2f}"


def _basket(chance: random.Random) -> list[Bought]:
    made = []
    for article in chance.sample(range(ARTICLES), LINES):
        weighed = chance.random() < 0.15
        milli = chance.randint(50, 2500) if weighed else chance.choice((1, 1, 1, 2, 3, 6)) * 1000
        price = 199 + article * 17 % 3000
        made.append(Bought(f"S{article}", milli, price, f"G{article % GROUPS}"))
    return made


def _promotion(number: int, chance: random.Random, *, everything: bool) -> Promotion:
    kind = Kind(1 + number % 8)

    def part() -> Part:
        if everything:
            return Part()
        if chance.random() < 0.3:
            return Part(groups=(f"G{chance.randrange(GROUPS)}",))
        return Part(skus=tuple(f"S{article}" for article in chance.sample(range(ARTICLES), 12)))

    return Promotion(
        f"P{number:03}",
        f"Promocja {number}",
        kind,
        (part(), part()) if kind is Kind.MIX else (part(),),
        basis_points=chance.randint(100, 5000),
        amount_minor=chance.randint(50, 2500),
        take=3,
        pay=2,
        tiers=(Tier(3000, 500), Tier(6000, 1000)),
    )
