"""One shop in the demo: its goods, and the one or two nodes that sell them."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

import aiohttp

from edge.demo.goods import ShopGoods
from edge.demo.head_office import HeadOffice
from edge.demo.machine import Machine
from edge.demo.processes import DemoFailed
from edge.demo.till_client import DELIVERY_LINES, Order

CATALOGUE_S = 90.0


class Shop:
    """Everything that stands in one shop."""

    def __init__(
        self,
        folder: Path,
        goods: ShopGoods,
        office: HeadOffice,
        http: aiohttp.ClientSession,
        on_death: Callable[[str, int], None],
        *,
        nodes: int = 1,
    ) -> None:
        """Prepare it with so many nodes."""
        self.goods = goods
        self.machines = [
            Machine(folder, goods, number, office, http, on_death) for number in range(1, nodes + 1)
        ]
        self.taken = 0
        """Baskets that a cashier took to sell, in the order of the data."""

        self.longest_backlog = 0
        """Facts of all its nodes that waited for a link at once."""

        self.brought: Counter[str] = Counter()
        """Thousandths by sku that came in after the first delivery."""

        self.twice: set[bytes] = set()
        """Events that were booked on both nodes, to be counted once."""

        self._wire_began = 0
        self._office = office

    @property
    def sold(self) -> int:
        """Baskets sold."""
        return sum(machine.course.sold for machine in self.machines)

    @property
    def waiting(self) -> int:
        """Facts that wait for a link."""
        return sum(machine.course.waiting for machine in self.machines)

    @property
    def cut(self) -> list[Machine]:
        """Nodes without a link."""
        return [machine for machine in self.machines if not machine.link.whole]

    @property
    def cut_off(self) -> bool:
        """No node has a link."""
        return len(self.cut) == len(self.machines)

    @property
    def wire_per_sale(self) -> int:
        """Bytes to head office and back, TLS and all, by the sale."""
        return round((self._wire() - self._wire_began) / self.sold) if self.sold else 0

    def left(self) -> dict[str, int]:
        """Return thousandths by sku that must be there when what was taken is sold."""
        sold = self.goods.sold(self.taken)
        return {
            sku: milli + self.brought[sku] - sold[sku]
            for sku, milli in self.goods.delivery().items()
        }

    async def install(self) -> None:
        """Enrol its nodes, the first one first, plug in their devices and run them."""
        urls = [await machine.plug_in() for machine in self.machines]
        await self._office.add_store(self.goods.id, self.goods.name)
        for machine, own in zip(self.machines, urls, strict=True):
            await machine.install([url for url in urls if url != own])

    async def start(self) -> None:
        """Switch everything on."""
        await asyncio.gather(*(machine.start() for machine in self.machines))

    async def stop(self) -> None:
        """Switch everything off."""
        await asyncio.gather(*(machine.stop() for machine in self.machines))

    async def close(self) -> None:
        """Let go of devices and lines."""
        await asyncio.gather(*(machine.close() for machine in self.machines))

    async def back(self) -> None:
        """Wait until every till can be worked at."""
        await asyncio.gather(*(machine.back() for machine in self.machines))

    async def stock_up(self, articles: int) -> None:
        """Wait for the catalogue, then record the delivery at one node; safe to repeat.

        Raises:
            DemoFailed: The catalogue does not come.
        """
        delivery = iter(self.goods.delivery().items())
        parts = iter(lambda: dict(islice(delivery, DELIVERY_LINES)), {})
        with suppress(TimeoutError):
            async with asyncio.timeout(CATALOGUE_S):
                for machine in self.machines:
                    while (await machine.status()).articles < articles:  # noqa: ASYNC110 - another process
                        await asyncio.sleep(0.1)
                for n, part in enumerate(parts):
                    document = uuid5(NAMESPACE_URL, f"{self.goods.ids[0]}/delivery/{n}")
                    await self.machines[0].deliver(document, part)
                return
        raise DemoFailed(
            f"{self.goods.id}: expected {articles} articles from head office; "
            f"see {self.machines[-1].log}."
        )

    async def orders(self) -> tuple[Order, ...]:
        """List the orders that wait to be handed over."""
        return await self.machines[0].orders()

    async def hand(self, order: str, answer: UUID) -> bool:
        """Hand an order over, at the node that holds its goods; tell whether the shop could."""
        for machine in self.machines:
            if await machine.hand(order, answer):
                return True
        return False

    async def look(self) -> None:
        """See how the evening goes."""
        await asyncio.gather(*(machine.look() for machine in self.machines))
        self.longest_backlog = max(self.longest_backlog, self.waiting)

    async def sell_next(self, machine: Machine) -> None:
        """Serve the next buyer, at one of the tills."""
        if not self.taken:
            self._wire_began = self._wire()
        number, self.taken = self.taken, self.taken + 1
        basket = self.goods.baskets[number]
        await machine.cashier.sell(self.goods.ids[number], basket, self.goods.due(basket))
        machine.course.sold += 1

    def _wire(self) -> int:
        return sum(machine.link.total_bytes for machine in self.machines)
