"""The shops of the rights bench: who buys what when, what is on the shelf, what is cut off.

Baskets are the real ones of the busiest stores, their order kept, laid evenly at random
over the opening hours of `DAYS` days; as many before them are the history that demand is
guessed from. Petrol is left out. Everything else is drawn from a seed:

* the web: `WEB` orders for each line sold at a counter, one whole unit each; the article and
  the store are those of a line drawn from all lines. Half are to be collected in that store,
  half may come from any store that keeps the article. Handed over 2 to 72 hours later.
* stock: what counters and web will want of an article in a store, times 0.7 to 2.2,
  rounded up; of four or more a third comes with a delivery on the fifth morning.
* outages: of a store's uplink for 1 to 48 hours (log-uniform), up in between for as long as
  gives the share wanted; of the LAN between its two tills for 1 to 6 hours, `LAN_CUT` of the
  time, which takes the second till off the uplink too. Tills serve in turn, at random.
"""

import math
import random
from dataclasses import dataclass, field
from functools import cache
from itertools import chain

from edge.demo import baskets, sample

DAYS = 7
OPENS, CLOSES = 8, 22
WEB = 0.15
LAN_CUT = 0.03
HOUR = 3600

Cell = tuple[int, str]
"""Store and article."""


@dataclass(frozen=True, slots=True)
class Basket:
    """What a shopper brings to a till."""

    store: int
    till: int
    lines: tuple[tuple[str, int], ...]
    """Article and thousandths."""


@dataclass(slots=True, eq=False)
class Order:
    """What the web wants of somebody's shelf."""

    sku: str
    milli: int
    stores: tuple[int, ...]
    """Where it may come from."""

    hand_at: float
    store: int = -1
    told: bool = False
    """The store has heard of it."""

    aside: bool = False
    """Picked: it lies behind the counter."""

    ended: str = ""
    """``handed`` over, ``broken``, or neither yet."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What comes in, article to thousandths."""

    store: int
    lines: dict[str, int]


@dataclass(frozen=True, slots=True)
class Link:
    """A link that changes."""

    store: int
    lan: bool
    up: bool


@dataclass
class World:
    """Everything that will happen, in order of time; the same for every way of promising."""

    stores: int
    source: str
    events: list[tuple[float, object]] = field(default_factory=list)
    per_day: dict[Cell, float] = field(default_factory=dict)
    """Whole units sold a day at the counter, as history has it."""

    lines: int = 0
    orders: int = 0
    cells: int = 0


@cache
def _baskets(per_store: int, *, made_up: bool) -> tuple[tuple, str]:
    """Return baskets of twenty stores: history and future, store by store."""
    if baskets.available() and not made_up:
        return baskets.read(20, 2 * per_store), "Complete Journey"
    return sample.read(20, 2 * per_store), "made-up sample"


def world(stores: int, per_store: int, cut: float, seed: int, *, made_up: bool = False) -> World:
    """Draw a world.

    Args:
        stores: How many, at most twenty.
        per_store: Baskets of each.
        cut: Share of the time that a store has no uplink.
        seed: Of everything that is drawn.
        made_up: Baskets of the made-up sample, even where the real ones are at hand.
    """
    found, source = _baskets(per_store, made_up=made_up)
    made = World(stores, source)
    rng = random.Random(f"{seed}")
    bought: dict[int, list[list[tuple[str, int]]]] = {}
    for basket in found:
        bought.setdefault(basket.store_id, []).append(
            [(r.sku, r.quantity_milli) for r in basket.lines if r.quantity_milli % 1000 == 0]
        )
    wanted: dict[Cell, int] = {}
    for store, all_of_it in enumerate(list(bought.values())[:stores]):
        half = len(all_of_it) // 2
        for sku, milli in chain.from_iterable(all_of_it[:half]):
            made.per_day[store, sku] = made.per_day.get((store, sku), 0) + milli / 1000 / DAYS
        for at, lines in zip(_opening_hours(rng, half), all_of_it[half:], strict=False):
            if lines:
                made.events.append((at, Basket(store, rng.randrange(2), tuple(lines))))
                made.lines += len(lines)
            for sku, milli in lines:
                wanted[store, sku] = wanted.get((store, sku), 0) + milli
    _web(made, wanted, rng)
    _stock(made, wanted, rng)
    for store in range(stores):
        # Each link's own seed: the same shoppers meet more or fewer outages.
        uplink, lan = (random.Random(f"{seed}/{store}/{link}") for link in ("uplink", "lan"))
        for at, up in _outages(uplink, cut, 1, 48):
            made.events.append((at, Link(store, lan=False, up=up)))
        for at, up in _outages(lan, LAN_CUT if cut else 0, 1, 6):
            made.events.append((at, Link(store, lan=True, up=up)))
    made.events.sort(key=lambda event: event[0])
    made.cells = len(wanted)
    return made


def _opening_hours(rng: random.Random, n: int) -> list[float]:
    day = CLOSES - OPENS
    drawn = sorted(rng.random() * DAYS * day for _ in range(n))
    return [(at // day * 24 + OPENS + at % day) * HOUR for at in drawn]


def _web(made: World, wanted: dict[Cell, int], rng: random.Random) -> None:
    lines = [(e.store, sku) for _, e in made.events for sku, _ in e.lines]
    keeps: dict[str, list[int]] = {}
    for store, sku in wanted:
        keeps.setdefault(sku, []).append(store)
    for _ in range(int(made.lines * WEB)):
        at = rng.random() * (DAYS * 24 - 12) * HOUR
        store, sku = rng.choice(lines)
        stores = (store,) if rng.random() < 0.5 else tuple(rng.sample(keeps[sku], len(keeps[sku])))
        hand_at = at + rng.uniform(2, 72) * HOUR
        made.events.append((at, Order(sku, 1000, stores, hand_at)))
        wanted[store, sku] += 1000
        made.orders += 1


def _stock(made: World, wanted: dict[Cell, int], rng: random.Random) -> None:
    lines: dict[tuple[float, int], dict[str, int]] = {}
    for (store, sku), milli in wanted.items():
        stock = math.ceil(milli / 1000 * rng.uniform(0.7, 2.2)) * 1000
        later = stock // 3000 * 1000 if stock >= 4000 else 0
        lines.setdefault((0.0, store), {})[sku] = stock - later
        if later:
            lines.setdefault(((4 * 24 + OPENS - 2) * HOUR, store), {})[sku] = later
    made.events += [(at, Delivery(store, found)) for (at, store), found in lines.items()]


def _outages(rng: random.Random, share: float, least: float, most: float):
    """Yield when a link goes down and comes back; hours that an outage takes at least, at most."""
    if not share:
        return
    mean = (most - least) / math.log(most / least) * HOUR
    at = -rng.random() * mean / share
    while at < DAYS * 24 * HOUR:
        at += rng.expovariate(1) * mean * (1 - share) / share
        back = at + math.exp(rng.uniform(math.log(least), math.log(most))) * HOUR
        if back > 0:
            yield max(at, 1.0), False
            yield back, True
        at = back
