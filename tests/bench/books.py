"""Four ways to decide who gets the last one, over the same links.

A message is one that the way of promising needs beside the facts that everybody writes
anyway (sales, deliveries, orders). Its bytes are those of the encoded body; of the lock's
questions and answers, those of the body that would ask and answer it.
"""

from dataclasses import dataclass, field
from functools import cache

from sync import facts
from sync.chain import StreamId
from sync.facts.rights import CellLines, Move, RightsMoved, RightsWanted, StockPolicy
from sync.merge import rights, stock
from sync.merge.rights import Counter
from tests.bench.shops import Cell, Order, World

TILLS = (0, 1)
CENTRAL = 2


@dataclass
class Links:
    """What hears what now. A till without LAN has no uplink either, but for the first."""

    stores: int
    up: list[bool] = field(init=False)
    lan: list[bool] = field(init=False)

    def __post_init__(self):
        self.up, self.lan = [True] * self.stores, [True] * self.stores

    def central(self, store: int, till: int) -> bool:
        return self.up[store] and (till == 0 or self.lan[store])

    def together(self, store: int) -> list[int]:
        """Return who hears the first till, itself included."""
        return [0] + [1] * self.lan[store] + [CENTRAL] * self.up[store]


class Books:
    """What a way of promising must answer."""

    name: str

    def __init__(self, world: World, links: Links):
        self.world, self.links = world, links
        self.messages = self.bytes = 0
        self.said: dict[tuple, dict[str, int]] = {}

    def deliver(self, store: int, lines: dict[str, int]) -> None:
        """Book what came in."""

    def sell(self, store: int, till: int, sku: str, milli: int) -> bool:
        """Book a sale; False: refused."""
        raise NotImplementedError

    def promise(self, order: Order, stores: tuple[int, ...]) -> int | None:
        """Promise from one of the stores; None: refused."""
        raise NotImplementedError

    def tell(self, order: Order) -> None:
        """The store hears of an order."""

    def hand(self, order: Order) -> None:
        """It was handed over."""

    def drop(self, order: Order) -> None:
        """It will not be handed over from there."""

    def before_change(self, store: int) -> None:
        """A link of the store is about to change."""

    def say(
        self, move: Move | None, cell: Cell, by: int, milli: int, to: StreamId | None = None
    ) -> None:
        """Write a line of a fact: a move of a row, or the wish for one."""
        lines = self.said.setdefault((move, cell[0], by, to), {})
        lines[cell[1]] = lines.get(cell[1], 0) + milli

    def commit(self) -> None:
        """End a transaction: what one node says of one kind to one other is one fact."""
        for (move, _, _, to), amounts in self.said.items():
            lines = CellLines.by_cell(amounts)
            body = RightsWanted(lines, to) if move is None else RightsMoved(move, lines, to)
            self.messages += 1
            self.bytes += len(facts.encode(body))
        self.said.clear()


class Kept(Books):
    """Books kept by adding up: what came in less what went, per till, and who has heard it."""

    def __init__(self, world: World, links: Links):
        super().__init__(world, links)
        self.sums: dict[Cell, list[int]] = {}
        self.heard: dict[Cell, list[int]] = {}
        self.promised: dict[Cell, int] = {}
        self.unheard: list[set[Cell]] = [set() for _ in range(world.stores)]

    def move(self, store: int, till: int, sku: str, milli: int) -> None:
        cell = store, sku
        self.hear(cell)
        self.sums.setdefault(cell, [0, 0])[till] += milli
        self.unheard[store].add(cell)
        self.hear(cell)

    def hear(self, cell: Cell) -> None:
        """Let central hear what the links carry."""
        heard, sums = self.heard.setdefault(cell, [0, 0]), self.sums.get(cell, (0, 0))
        for till in TILLS:
            if self.links.central(cell[0], till):
                heard[till] = sums[till]

    def before_change(self, store: int) -> None:
        for cell in tuple(self.unheard[store]):
            self.hear(cell)
            if self.heard[cell] == self.sums[cell]:
                self.unheard[store].discard(cell)

    def free(self, cell: Cell) -> int:
        self.hear(cell)
        return sum(self.heard[cell]) - self.promised.get(cell, 0)

    def deliver(self, store: int, lines: dict[str, int]) -> None:
        for sku, milli in lines.items():
            self.move(store, 0, sku, milli)

    def promise(self, order: Order, stores: tuple[int, ...]) -> int | None:
        store = max(stores, key=lambda store: self.free((store, order.sku)))
        if self.free((store, order.sku)) < order.milli:
            return None
        cell = store, order.sku
        self.promised[cell] = self.promised.get(cell, 0) + order.milli
        return store

    def hand(self, order: Order) -> None:
        self.drop(order)
        self.move(order.store, 0, order.sku, -order.milli)

    def drop(self, order: Order) -> None:
        self.promised[order.store, order.sku] -= order.milli


class Uncoordinated(Kept):
    """(a) A PN-counter: everybody sells, the web promises what it believes is there."""

    name = "no coordination"

    def sell(self, store: int, till: int, sku: str, milli: int) -> bool:
        self.move(store, till, sku, -milli)
        return True


class Locked(Kept):
    """(d) Every sale and promise asks head office, which knows it all and lets one at a time."""

    name = "lock at central"

    def sell(self, store: int, till: int, sku: str, milli: int) -> bool:
        if not self.links.central(store, till):
            return False
        self.say(None, (store, sku), till, milli, _holder(store, CENTRAL))
        allowed = self.free((store, sku)) >= milli
        self.say(Move.USED if allowed else Move.FREED, (store, sku), CENTRAL, milli)
        if allowed:
            self.move(store, till, sku, -milli)
        return allowed


@dataclass(frozen=True)
class Tuning:
    """The policy of a chain."""

    web_percent: int = stock.WEB_PERCENT
    """Of what comes in above the floor, head office's."""

    outage_days: float = stock.OUTAGE_DAYS
    """The outage the floor is sized for, with z = 2.33 (`rights.floor`)."""

    floor_answers_too: bool = False
    """The floor holds back even what is asked for by somebody who waits."""

    def __str__(self):
        return (
            f"Policy: {self.web_percent} % to the web of what comes in above the floor; "
            f"floor for {self.outage_days:g} days, z = 2.33"
        )


class Karb(Books):
    """Rights: each till and head office has its own of each article of each store."""

    strict: bool

    def __init__(self, world: World, links: Links, tuning: Tuning):
        super().__init__(world, links)
        self.tuning = tuning
        self.asks = self.over = 0
        self.cells: dict[Cell, tuple[Counter[StreamId], ...]] = {}
        self.stale: list[set[Cell]] = [set() for _ in range(world.stores)]
        self.policies: dict[Cell, StockPolicy] = {}

    def cell(self, cell: Cell) -> tuple[Counter[StreamId], ...]:
        """Return what each of the three knows, after what the links carry now."""
        known = self.cells.get(cell)
        if known is None:
            known = self.cells[cell] = (Counter(), Counter(), Counter())
        elif cell in self.stale[cell[0]]:
            self.meet(cell)
        return known

    def meet(self, cell: Cell) -> None:
        """Let those who hear each other tell each other all of a cell that moved."""
        known, together = self.cells[cell], self.links.together(cell[0])
        first, *others = (known[n] for n in together)
        for other in others:
            first.merge(other)
        for other in others:
            other.merge(first)
        if len(together) == len(known):
            self.stale[cell[0]].discard(cell)
        else:
            self.stale[cell[0]].add(cell)

    def before_change(self, store: int) -> None:
        for cell in tuple(self.stale[store]):
            self.meet(cell)

    def policy(self, cell: Cell) -> StockPolicy:
        found = self.policies.get(cell)
        if found is None:
            per_day = self.world.per_day.get(cell, 0.5 / 7)
            keep = rights.floor(per_day, self.tuning.outage_days) * stock.PIECE
            found = self.policies[cell] = StockPolicy(
                "*", floor_milli=keep, web_percent=self.tuning.web_percent
            )
        return found

    def give(self, cell: Cell, giver: int, to: int, asked: int, kept: int = 0) -> None:
        """Let a holder answer another that it hears, as far as it can spare."""
        known = self.cells[cell]
        spare = known[giver].spare(_holder(cell[0], giver))
        amount = rights.to_give(spare, asked, 2, kept, stock.PIECE)
        self.pass_on(cell, giver, to, amount)

    def pass_on(self, cell: Cell, giver: int, to: int, amount: int) -> None:
        if amount <= 0:
            return
        store = cell[0]
        self.cells[cell][giver].give(_holder(store, giver), _holder(store, to), amount)
        self.say(Move.GIVEN, cell, giver, amount, _holder(store, to))
        self.meet(cell)
        self.cover(cell)

    def cover(self, cell: Cell) -> None:
        for n in self.links.together(cell[0]):
            if done := self.cells[cell][n].cover(_holder(cell[0], n)):
                self.say(Move.COVERED, cell, n, done)

    def deliver(self, store: int, lines: dict[str, int]) -> None:
        for sku, milli in lines.items():
            self.put(store, sku, milli)

    def put(self, store: int, sku: str, milli: int) -> None:
        """Book a line of a delivery, and share the right to it out."""
        cell = store, sku
        known = self.cell(cell)
        home = _holder(store, 0)
        known[0].make(home, milli)
        self.cover(cell)
        self.pass_on(
            cell, 0, CENTRAL, stock.web_share(self.policy(cell), milli, known[0].right(home))
        )
        if self.links.lan[store]:
            half = known[0].right(home) // 2
            self.pass_on(cell, 0, 1, half - half % stock.PIECE)
        self.meet(cell)

    def sell(self, store: int, till: int, sku: str, milli: int) -> bool:
        cell = store, sku
        known = self.cell(cell)[till]
        me = _holder(store, till)
        if known.right(me) < milli and self.links.lan[store]:
            self.ask(cell, till, 1 - till, milli - known.right(me))
        if known.right(me) < milli and self.links.central(store, till):
            self.ask(cell, till, CENTRAL, milli - known.right(me))
        if self.strict and known.right(me) < milli:
            return False
        if over := known.take(me, milli):
            self.over += over
            self.say(Move.OVER, cell, till, over)
        self.meet(cell)
        return True

    def ask(self, cell: Cell, asker: int, giver: int, milli: int, kept: int = 0) -> None:
        self.asks += 1
        self.say(None, cell, asker, milli, _holder(cell[0], giver))
        self.give(cell, giver, asker, milli, kept)

    def promise(self, order: Order, stores: tuple[int, ...]) -> int | None:
        cells = [(store, order.sku) for store in stores]
        central = {cell: self.cell(cell)[CENTRAL] for cell in cells}
        # First where most is known to be free, then where head office has a right of its own.
        cells.sort(key=lambda cell: central[cell].reserved - central[cell].physical)
        heard = [cell for cell in cells if self.links.up[cell[0]]]
        own = sorted(cells, key=lambda cell: -central[cell].spare(_holder(cell[0], CENTRAL)))
        for cell in (*heard, *own):
            if self.hold(cell, order, central[cell]):
                return cell[0]
        return None

    def hold(self, cell: Cell, order: Order, central: Counter[StreamId]) -> bool:
        store = cell[0]
        me = _holder(store, CENTRAL)
        # Tills that are heard are asked in turn, as long as what they have is known to help.
        for till in TILLS:
            missing = order.milli - central.spare(me)
            till_has = central.spare(_holder(store, till))
            if missing > 0 and till_has > 0 and self.links.central(store, till):
                floor = self.policy(cell).floor_milli
                if self.tuning.floor_answers_too and till_has - floor < missing:
                    continue
                self.ask(cell, CENTRAL, till, missing, floor)
        if central.spare(me) < order.milli:
            return False
        central.hold(me, order.milli)
        self.say(Move.HELD, cell, CENTRAL, order.milli)
        self.meet(cell)
        return True

    def tell(self, order: Order) -> None:
        store, cell = order.store, (order.store, order.sku)
        known = self.cell(cell)
        known[CENTRAL].free(_holder(store, CENTRAL), order.milli)
        self.say(Move.FREED, cell, CENTRAL, order.milli)
        self.cells[cell][CENTRAL].give(_holder(store, CENTRAL), _holder(store, 0), order.milli)
        self.say(Move.GIVEN, cell, CENTRAL, order.milli, _holder(store, 0))
        self.meet(cell)
        known[0].hold(_holder(store, 0), order.milli)
        self.say(Move.HELD, cell, 0, order.milli)
        self.meet(cell)

    def hand(self, order: Order) -> None:
        cell = order.store, order.sku
        self.cell(cell)[0].hand(_holder(order.store, 0), order.milli)
        self.say(Move.DONE, cell, 0, order.milli)
        self.meet(cell)

    def drop(self, order: Order) -> None:
        cell = order.store, order.sku
        known = self.cell(cell)
        known[0].free(_holder(order.store, 0), order.milli)
        self.say(Move.FREED, cell, 0, order.milli)
        self.cover(cell)
        self.meet(cell)


class Strict(Karb):
    """(b) Beyond the right nothing is sold."""

    name = "Karb, strict"
    strict = True


class Lenient(Karb):
    """(c) Who holds it in hand may buy it."""

    name = "Karb, lenient"
    strict = False


@cache
def _holder(store: int, n: int) -> StreamId:
    """Return the stream of a till, or of head office for that store."""
    return StreamId(bytes(15) + bytes((n + 1 if n < CENTRAL else 99,)), 1234567890 + n, f"S{store}")
