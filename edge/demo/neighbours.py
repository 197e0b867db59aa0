"""The two nodes of one store, with no internet: what each must know of the other, tried live.

Both tills are free meanwhile, and each trial begins when the one before has ended. It waits
for what must come about, whoever is killed meanwhile, and keeps what it saw; one that does
not come about, or comes about wrongly, makes the demo fail.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

from edge.demo.cashier import MAX_TROUBLE, Muddle
from edge.demo.goods import SPARE_MILLI
from edge.demo.head_office import HeadOffice
from edge.demo.machine import Machine
from edge.demo.shop import Shop
from edge.demo.till_client import Away, Conflict, Refused, Shown, Status

T = TypeVar("T")

PATIENCE_S = 90.0
"""A trial that has not come about by then never will."""

LOOK_S = 0.1
DELIVERED = 3
"""Articles of the delivery that both nodes book."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing that two nodes of a store must be able to do."""

    what: str
    result: str
    """What was seen."""

    well: bool


class Wrong(Exception):
    """What came about is not what must; the message says both."""


class Neighbours:
    """The trials of one store."""

    def __init__(self, shop: Shop, office: HeadOffice, tell: Callable[[Trial], None]) -> None:
        """Try a shop of two nodes; each trial is told when it has ended."""
        self.shop = shop
        self.trials: list[Trial] = []
        self._a, self._b = shop.machines
        self._office, self._tell = office, tell
        self._seen = ""
        """What was seen last of a trial that is under way."""

    async def apart(self, rounds: int) -> None:
        """With both links cut: sell `rounds` baskets at each, hand one over, book, refuse."""
        await self._try("they find each other on the LAN", self._meet)
        await self._try("both sell from one shelf", lambda: self._sell(rounds))
        await self._try("a basket put aside goes on at the other", self._hand_over)
        await self._try("one delivery booked on both counts once", self._deliver)
        await self._try("a till belongs to one node", self._refuse)

    async def one_link(self) -> None:
        """Heal the second node's link: it must carry the first one's facts."""
        await self._try("one link carries both", self._carry)

    async def _try(self, what: str, work: Callable[[], Awaitable[str]]) -> None:
        self._seen = "nothing"
        try:
            async with asyncio.timeout(PATIENCE_S):
                trial = Trial(what, await work(), well=True)
        except TimeoutError:
            trial = Trial(what, f"after {PATIENCE_S:.0f} s: {self._seen}", well=False)
        except (Wrong, Muddle, Refused) as error:
            trial = Trial(what, str(error), well=False)
        self.trials.append(trial)
        self._tell(trial)

    async def _meet(self) -> str:
        async def met() -> bool:
            a, b = await self._both()
            live = [_to(a, b) == "live", _to(b, a) == "live"]
            self._seen = f"links {a.link} and {b.link}, neighbours {_to(a, b)} and {_to(b, a)}"
            return all(live) and "live" not in (a.link, b.link)

        await _until(met)
        return f"{self._a.name} and {self._b.name} hear each other, and no head office"

    async def _sell(self, rounds: int) -> str:
        before = [machine.course.sold for machine in self.shop.machines]
        for _ in range(rounds):
            await asyncio.gather(*(self.shop.sell_next(one) for one in self.shop.machines))
        each = [
            f"{machine.till_id} sold {machine.course.sold - n}"
            for machine, n in zip(self.shop.machines, before, strict=True)
        ]
        await _until(self._know_all)
        articles = await self._one_stock()
        return (
            f"{' and '.join(each)}; both know all {self.shop.sold} sales, and the stock of all "
            f"{articles} articles is right at both"
        )

    async def _hand_over(self) -> str:
        """Ring a basket up at one till, put it aside, take it back and sell it at the other."""
        shop, a, b = self.shop, self._a, self._b
        number, shop.taken = shop.taken, shop.taken + 1
        basket, sale = shop.goods.baskets[number], shop.goods.ids[number]
        due = shop.goods.due(basket)
        for attempt in range(MAX_TROUBLE):
            aside = uuid5(NAMESPACE_URL, f"{sale}/aside/{attempt}")
            try:
                if attempt:
                    await asyncio.gather(a.back(), b.back())
                    if await b.till.recorded(sale):
                        break
                    await asyncio.gather(a.till.clear(), b.till.clear())
                rung_up = await a.cashier.ring_up(basket, due)
                await a.till.park(aside, a.cashier.name)
                await _until(partial(self._waits, aside))
                taken_back = await b.till.recall(aside, b.cashier.name)
                if _content(taken_back) != _content(rung_up):
                    raise Wrong(
                        f"Put aside at {a.till_id}: {_content(rung_up)}; taken back at "
                        f"{b.till_id}: {_content(taken_back)}."
                    )
                await b.till.pay(sale, due.total_minor, b.cashier.name)
            except (Away, Muddle, Refused) as error:
                self._seen = str(error)
            else:
                break
        else:
            raise Wrong(f"Sale {sale}: begun {MAX_TROUBLE} times; the last time: {self._seen}")
        b.course.sold += 1
        await _until(self._know_all)
        lines = len(basket.lines)
        return f"{lines} lines put aside at {a.till_id}, taken back and paid at {b.till_id}"

    async def _deliver(self) -> str:
        """Book one delivery on both while they cannot hear each other, and let them meet."""
        shop = self.shop
        document = uuid5(NAMESPACE_URL, f"{shop.goods.ids[0]}/delivery/late")
        skus = sorted(shop.goods.delivery())[:DELIVERED]
        await _until(self._know_all)
        before, _ = await self._both()
        for machine in shop.machines:
            machine.plug.cut()
        goods = dict.fromkeys(skus, SPARE_MILLI)
        await asyncio.gather(*(one.deliver(document, goods) for one in shop.machines))
        shop.brought.update(goods)
        shop.twice.add(document.bytes)
        for machine in shop.machines:
            machine.plug.heal()

        async def met() -> bool:
            now = await self._both()
            self._seen = f"{now[0].facts} and {now[1].facts} facts, {before.facts} before"
            # One fact of each at least: the other's delivery is there.
            return await self._know_all() and now[0].facts >= before.facts + 2

        await _until(met)
        await self._one_stock()
        return f"booked on both with the LAN cut, {len(skus)} articles; counted once on both"

    async def _refuse(self) -> str:
        """Record a sale at the other node's till: it must be refused, at both."""
        shop, said = self.shop, []
        line = shop.goods.baskets[0].lines[0]
        for here, there in ((self._b, self._a), (self._a, self._b)):
            sale = uuid5(NAMESPACE_URL, f"{shop.goods.ids[0]}/not at {here.name}")

            async def refused(
                here: Machine = here, there: Machine = there, sale: UUID = sale
            ) -> bool:
                try:
                    await here.till.put_sale(sale, there.till_id, (line.sku, 100))
                except Conflict as error:
                    self._seen = str(error)
                    return there.till_id in self._seen
                raise Wrong(f"{here.name} sold at {there.till_id}: expected 409.")

            await _until(refused)
            if await _insist(partial(here.till.recorded, sale)):
                raise Wrong(f"{here.name} answered 409 and recorded the sale all the same.")
            said.append(f"{there.till_id} at {here.name}: 409")
        return ", ".join(said)

    async def _carry(self) -> str:
        shop, a, b = self.shop, self._a, self._b
        carried = (await a.status()).waiting
        b.link.heal()

        async def there() -> bool:
            await b.sync()
            received = (await self._office.received()).get(shop.goods.id)
            sales = received.sales if received else 0
            of_a, of_b = await self._both()
            self._seen = (
                f"head office has {sales} of {shop.sold} sales; {of_a.waiting} and "
                f"{of_b.waiting} facts wait; links {of_a.link} and {of_b.link}"
            )
            return sales == shop.sold and not of_a.waiting and not of_b.waiting

        await _until(there)
        if a.link.whole or (await a.status()).link == "live":
            raise Wrong(f"{a.name} has a link: expected it cut.")
        return (
            f"{b.name} alone is linked: head office has all {shop.sold} sales, and of "
            f"{a.name}'s {carried} facts none waits"
        )

    async def _both(self) -> tuple[Status, Status]:
        a, b = await asyncio.gather(self._a.status(), self._b.status())
        return a, b

    async def _know_all(self) -> bool:
        """Tell whether both know every sale, and neither waits for the other."""
        a, b = await self._both()
        self._seen = f"{a.sales} and {b.sales} sales known, expected {self.shop.sold}"
        return a.sales == b.sales == self.shop.sold and acquainted(a, b)

    async def _waits(self, basket: UUID) -> bool:
        """Tell whether the second node shows a basket that was put aside."""
        waiting = {one.basket: one.state for one in await self._b.till.parked()}
        self._seen = f"basket {basket} is {waiting.get(str(basket), 'not there')}"
        return waiting.get(str(basket)) == "parked"

    async def _one_stock(self) -> int:
        """Compare every article's stock at both with what must be left; return how many.

        Raises:
            Wrong: One is not that.
        """
        left = self.shop.left()
        for machine in self.shop.machines:
            for sku, milli in left.items():
                there = await _insist(partial(machine.till.stock, sku))
                if there != milli:
                    raise Wrong(
                        f"{machine.name} has {there} thousandths of {sku}, expected {milli}."
                    )
        return len(left)


def acquainted(a: Status, b: Status) -> bool:
    """Tell whether two nodes have all that the other has."""
    return a.facts == b.facts and _waits_for(a, b) == _waits_for(b, a) == 0


def _waits_for(here: Status, there: Status) -> int | None:
    """Return how many facts `there` has not acknowledged to `here`; None: they never met."""
    return next((peer.waiting for peer in here.peers if peer.node == there.node), None)


def _to(here: Status, there: Status) -> str:
    return next((peer.state for peer in here.peers if peer.node == there.node), "never met")


def _content(shown: Shown) -> list[tuple[str, int, int]]:
    return [(line.sku, line.quantity_milli, line.total_minor) for line in shown.lines]


async def _until(seen: Callable[[], Awaitable[bool]]) -> None:
    """Look until something is seen; who does not answer is asked again."""
    while True:
        with suppress(Away):
            if await seen():
                return
        await asyncio.sleep(LOOK_S)


async def _insist(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until it is answered."""
    while True:
        with suppress(Away):
            return await ask()
        await asyncio.sleep(LOOK_S)
