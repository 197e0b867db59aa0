"""Promises kept and broken, with rights and without: real baskets, seeded outages.

    make bench-rights [ARGS="--short"]

A simulation in virtual time. Goods are physical: a shopper can only bring to the till what
lies on the shelf, and what was picked for an order does not lie there. The shops, the web's
demand and the outages are those of `tests.bench.shops`; the ways of promising, on the real
`sync.merge.rights`, are those of `tests.bench.books`.
"""

import argparse
import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from sync.merge import stock
from tests.bench.books import Books, Karb, Lenient, Links, Locked, Strict, Tuning, Uncoordinated
from tests.bench.shops import DAYS, Basket, Cell, Delivery, Link, Order, World, world

SEED = 2026
PER_STORE, SHORT = 400, 100
CUT = 0.3
SWEEP_STORES, SWEEP_CUT = (2, 5, 10, 20), (0.0, 0.2, 0.4, 0.6)
MINUTE = 60

Way = Callable[[World, Links], Books]


@dataclass
class Tally:
    """What became of sales and promises."""

    lines: int = 0
    sold: int = 0
    sold_cut_off: int = 0
    empty: int = 0
    refused: int = 0
    promises: int = 0
    broken: int = 0
    moved: int = 0
    web_refused: int = 0
    available: int = 0
    """Of the refused, those for which some acceptable shelf had a unit promised to nobody."""

    ran_out: set[Cell] = field(default_factory=set)


class Shops:
    """Plays a world against a way of promising."""

    def __init__(self, of: World, way: Way, seed: int):
        self.links = Links(of.stores)
        self.books = way(of, self.links)
        self.world = of
        self.rng = random.Random(f"{seed}/staff")
        self.tally = Tally()
        self.shelf: dict[Cell, int] = defaultdict(int)
        self.promised: dict[Cell, int] = defaultdict(int)
        """Of what lies on the shelf."""

        self.untold: list[list[Order]] = [[] for _ in range(of.stores)]
        self.number = count()
        self.later: list[tuple[float, int, Callable[[Order, float], None], Order]] = []

    def play(self) -> Tally:
        """Let all of it happen."""
        for at, event in self.world.events:
            self.catch_up(at)
            match event:
                case Delivery():
                    for sku, milli in event.lines.items():
                        self.shelf[event.store, sku] += milli
                    self.books.deliver(event.store, event.lines)
                case Basket():
                    self.sell(event)
                case Link():
                    self.change(event, at)
                case Order():
                    self.order(event, at)
            self.books.commit()
        self.catch_up(float("inf"))
        return self.tally

    def catch_up(self, at: float) -> None:
        while self.later and self.later[0][0] <= at:
            due, _, act, order = heapq.heappop(self.later)
            act(order, due)
            self.books.commit()

    def plan(self, at: float, act: Callable[[Order, float], None], order: Order) -> None:
        heapq.heappush(self.later, (at, next(self.number), act, order))

    def take(self, cell: Cell, milli: int) -> None:
        self.shelf[cell] -= milli
        if not self.shelf[cell]:
            self.tally.ran_out.add(cell)

    def sell(self, basket: Basket) -> None:
        tally = self.tally
        for sku, wanted in basket.lines:
            cell = basket.store, sku
            tally.lines += 1
            milli = min(wanted, self.shelf[cell])
            if not milli:
                tally.empty += 1
            elif self.books.sell(basket.store, basket.till, sku, milli):
                self.take(cell, milli)
                tally.sold += 1
                tally.sold_cut_off += not self.links.central(basket.store, basket.till)
            else:
                tally.refused += 1

    def change(self, link: Link, at: float) -> None:
        self.books.before_change(link.store)
        (self.links.lan if link.lan else self.links.up)[link.store] = link.up
        if self.links.up[link.store]:
            waiting, self.untold[link.store] = self.untold[link.store], []
            for order in waiting:
                self.tell(order, at)

    def order(self, order: Order, at: float) -> None:
        """The web asks."""
        store = self.books.promise(order, order.stores)
        if store is None:
            self.tally.web_refused += 1
            cells = [(store, order.sku) for store in order.stores]
            free = max(self.shelf[cell] - self.promised[cell] for cell in cells)
            self.tally.available += free >= order.milli
            return
        self.tally.promises += 1
        self.settle(order, store, at)
        self.plan(order.hand_at, self.hand, order)

    def settle(self, order: Order, store: int, at: float) -> None:
        order.store, order.told, order.aside = store, False, False
        self.promised[store, order.sku] += order.milli
        if self.links.up[store]:
            self.tell(order, at)
        else:
            self.untold[store].append(order)

    def tell(self, order: Order, at: float) -> None:
        self.books.tell(order)
        order.told = True
        if order.ended:
            self.close(order)
        else:
            self.plan(at + self.rng.uniform(5, 40) * MINUTE, self.pick, order)

    def pick(self, order: Order, at: float) -> None:
        """The staff takes it off the shelf; if it is not there, another store may have one."""
        cell = order.store, order.sku
        if order.aside or order.ended or not order.told:
            return
        if self.shelf[cell] >= order.milli:
            self.take(cell, order.milli)
            self.promised[cell] -= order.milli
            order.aside = True
        elif self.links.up[order.store]:
            self.move(order, at)

    def move(self, order: Order, at: float) -> bool:
        others = tuple(store for store in order.stores if store != order.store)
        if not others or (store := self.books.promise(order, others)) is None:
            return False
        self.books.drop(order)
        self.promised[order.store, order.sku] -= order.milli
        self.tally.moved += 1
        self.settle(order, store, at)
        return True

    def hand(self, order: Order, at: float) -> None:
        """The buyer, or the carrier, is there."""
        cell = order.store, order.sku
        if not order.aside and self.shelf[cell] >= order.milli:
            self.take(cell, order.milli)
            self.promised[cell] -= order.milli
            order.aside = True
        if not order.aside:
            if order.told and self.links.up[order.store] and self.move(order, at):
                self.plan(at + 120 * MINUTE, self.hand, order)
                return
            self.promised[cell] -= order.milli
            self.tally.broken += 1
        order.ended = "handed" if order.aside else "broken"
        if order.told:
            self.close(order)

    def close(self, order: Order) -> None:
        """Book the end, which the store does once it has heard of the order."""
        (self.books.hand if order.ended == "handed" else self.books.drop)(order)


def fresh(of: World) -> World:
    """Return the world with its orders as new."""
    for _, event in of.events:
        if isinstance(event, Order):
            event.store, event.told, event.aside, event.ended = -1, False, False, ""
    return of


def ways(tuning: Tuning) -> list[Way]:
    def with_rights(kind: type[Karb]) -> Way:
        return lambda of, links: kind(of, links, tuning)

    return [Uncoordinated, with_rights(Strict), with_rights(Lenient), Locked]


def play(of: World, way: Way, seed: int) -> tuple[Books, Tally]:
    shops = Shops(fresh(of), way, seed)
    tally = shops.play()
    return shops.books, tally


COLUMNS = (
    "promises",
    "broken",
    "moved",
    "counter sales refused",
    "web promises refused",
    "though available",
    "sold while cut off",
    "messages / 1,000 lines",
    "bytes / line",
)
DEFINITIONS = """\
A promise is one unit of one article that the web was told it will get. It is broken when at
hand-over, 2 to 72 hours later, the unit is not physically there, and moved when the staff does
not find it and another store that may serve it promises it anew.
Counter sales refused: lines a shopper brought to the till and was not sold. Where the shelf is
empty nobody can bring anything; that is no refusal.
Though available: web promises refused, as a share of all asked for, while on a shelf that may
serve it lay a unit promised to nobody.
Messages, bytes: facts of rights (a lock: questions and answers) beside those of sales, orders and
deliveries, and their encoded bodies; per line sold.
Aims: strict breaks none; lenient refuses none at the counter and breaks < 1 ‰; connected, though
available ≤ 2 %."""


def figures(books: Books, tally: Tally) -> tuple[str, ...]:
    """Return the columns of a row."""
    asked = tally.promises + tally.web_refused
    return (
        f"{tally.promises:,}",
        _of(tally.broken, tally.promises, 1000, "‰"),
        f"{tally.moved:,}",
        _of(tally.refused, tally.refused + tally.sold),
        _of(tally.web_refused, asked),
        _of(tally.available, asked),
        f"{100 * tally.sold_cut_off / max(tally.sold, 1):.1f} %",
        f"{1000 * books.messages / max(tally.sold, 1):,.0f}",
        f"{books.bytes / max(tally.sold, 1):.1f}",
    )


def _of(part: int, whole: int, times: int = 100, sign: str = "%") -> str:
    return f"{part:,} ({times * part / max(whole, 1):.2f} {sign})"


def compare(tuning: Tuning, per_store: int, seed: int, told: Progress) -> Iterator[Table]:
    """Yield the four ways side by side, connected and not."""
    stiff = replace(tuning, floor_answers_too=True)
    sides = [(way, "") for way in ways(tuning)]
    sides.insert(3, (ways(stiff)[2], ", the floor holds answers back, too"))
    task = told.add_task("twenty stores", total=2 * len(sides))
    for cut in (0.0, CUT):
        of = world(20, per_store, cut, seed)
        rows, ran_out = [], 0
        for way, how in sides:
            books, tally = play(of, way, seed)
            rows.append((books.name + how, *figures(books, tally)))
            ran_out = len(tally.ran_out)
            told.advance(task)
        title = (
            f"{f'cut off {cut:.0%} of the time' if cut else 'connected'}: 20 stores, "
            f"{of.lines:,} lines of {of.source} in {DAYS} days, {of.orders:,} orders from the web, "
            f"{of.cells:,} articles in stores, {ran_out / of.cells:.0%} run out"
        )
        table = Table("", *COLUMNS, title=title, title_justify="left")
        for row in rows:
            table.add_row(*row)
        yield table


def sweep(tuning: Tuning, per_store: int, seed: int, told: Progress) -> Table:
    """Return what grows with the stores and the outages (the axes of Balegas et al. 2015)."""
    table = Table(
        "stores, three holders each",
        "cut off",
        "(a) broken",
        "(b) broken",
        "(b) counter refused",
        "(b) though available",
        "(c) broken",
        "(c) over",
        "(c) asks / 1,000 lines",
        "(c) though available",
        "(d) counter refused",
        title="Contention: stores and outages grow; (a) none, (b) strict, (c) lenient, (d) lock",
        title_justify="left",
    )
    task = told.add_task("sweep", total=len(SWEEP_STORES) * len(SWEEP_CUT) * 4)
    for stores in SWEEP_STORES:
        for cut in SWEEP_CUT:
            of = world(stores, per_store, cut, seed)
            played = []
            for way in ways(tuning):
                played.append(play(of, way, seed))
                told.advance(task)
            (_, none), (_, strict), (books, lenient), (_, lock) = played
            table.add_row(
                str(stores),
                f"{cut:.0%}",
                _of(none.broken, none.promises, 1000, "‰"),
                f"{strict.broken}",
                _of(strict.refused, strict.refused + strict.sold),
                _of(strict.available, of.orders),
                _of(lenient.broken, lenient.promises, 1000, "‰"),
                f"{books.over // stock.PIECE:,}",
                f"{1000 * books.asks / max(lenient.sold, 1):.0f}",
                _of(lenient.available, of.orders),
                _of(lock.refused, lock.refused + lock.sold),
            )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="a quarter of the baskets")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--web-percent", type=int, default=Tuning.web_percent)
    parser.add_argument("--outage-days", type=float, default=Tuning.outage_days)
    asked = parser.parse_args()
    tuning = Tuning(asked.web_percent, asked.outage_days)
    per_store, swept = (SHORT, SHORT // 4) if asked.short else (PER_STORE, SHORT)
    console = Console(width=170)
    console.print(f"{tuning}, seed {asked.seed}", highlight=False)
    with Progress(console=console, transient=True) as told:
        for table in compare(tuning, per_store, asked.seed, told):
            console.print(table)
        console.print(sweep(tuning, swept, asked.seed, told))
    console.print(DEFINITIONS, highlight=False)


if __name__ == "__main__":
    main()
