"""What happens in one evening: head office and the shops, sold from, cut, killed and healed."""

import asyncio
import random
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

from edge.demo import paper, sums
from edge.demo.goods import Goods
from edge.demo.head_office import HeadOffice, Received
from edge.demo.keys import keys
from edge.demo.machine import Machine
from edge.demo.neighbours import Neighbours, acquainted
from edge.demo.processes import DemoFailed
from edge.demo.screen import Screen
from edge.demo.shop import Shop
from edge.demo.sums import Sums, Verdict
from edge.demo.web import BUYER_EVERY, WEB_SHARE, WebShop

PAUSE_S = 1.5
"""Between two buyers while the visitor plays."""

LOOK_S = 0.4
DRAIN_S = 120.0
RACE_S = 10.0
"""The two nodes' shop stays cut off so long at most for the race of two buyers on the web."""

MOST_ROUNDS = 10
FEWEST = 3
"""Baskets that the shop of two nodes needs: one at each till, and one that goes from one to
the other."""


class Evening:
    """Head office, the shops, and what happens to them."""

    def __init__(
        self, screen: Screen, folder: Path, chosen: Goods, per_shop: int, seed: int
    ) -> None:
        """Plan it; nothing runs yet."""
        self.screen = screen
        self._folder, self._goods = folder, chosen
        self._fate = random.Random(seed)  # noqa: S311 - a draw to be repeated
        self._per_shop, self._seed = per_shop, seed
        self._shops: list[Shop] = []
        self._ahead = [self._cut_another, self._kill_one]
        """What has not happened yet: after a third, after a half."""

        self._quit, self._closed = asyncio.Event(), asyncio.Event()

    def furnish(self, http: aiohttp.ClientSession) -> None:
        """Set head office and the shops up, not yet running."""
        self._office = HeadOffice(self._folder, http, self._died)
        self._shops = [
            Shop(self._folder, one, self._office, http, self._died, nodes=1 + (n == 0))
            for n, one in enumerate(self._goods.shops)
        ]
        self._two = Neighbours(self._shops[0], self._office, self.screen.trial)
        self._web = WebShop(self._office, self._shops, self._seed)

    async def install(self) -> None:
        """Make head office and the shops, from the first command to goods on the shelves."""
        what = "real shoppers' baskets"
        if not self._goods.real:
            what = "a made-up Polish shop (no data package here)"
        self.screen.tell(
            f"[bold]Karb[/]: {len(self._shops)} shops, {len(self._goods.articles)} articles; {what}"
        )
        await self._office.install()
        await self._office.share_with_web(WEB_SHARE)
        self.screen.tell(
            f"head office runs at {self._office.address}; enrolling the shops, "
            f"{self._shops[0].goods.name} with two nodes"
        )
        catalogue = self._office.import_catalogue(self._goods.articles)
        await _together(catalogue, *(shop.install() for shop in self._shops))
        await _together(*(shop.stock_up(len(self._goods.articles)) for shop in self._shops))
        await self._nothing_waits()
        self.screen.tell("goods are on the shelves; the shops open")

    async def sell(self) -> None:
        """Sell every basket, while things happen; then heal."""
        self.screen.open_bars(self._shops, self._per_shop)
        watch = asyncio.create_task(self._watch())
        web = asyncio.create_task(self._serve_web())
        others = (self._serve(shop, self._per_shop) for shop in self._shops[1:])
        await _together(self._serve_two(), *others)
        watch.cancel()
        self._closed.set()
        await web
        await asyncio.gather(watch, return_exceptions=True)
        self.screen.close_bars()

    async def settle(self) -> bool:
        """Heal, wait until nothing waits, stop everything, and judge; tell whether all is well."""
        behind = ", ".join(
            f"{machine.course.waiting} at {machine.name}"
            for shop in self._shops
            for machine in shop.cut
        )
        if behind:
            self.screen.tell(f"[green]links healed[/]; facts that waited: {behind}")
        self._heal()
        await self._nothing_waits()
        await self._hand_over()
        received = await self._nothing_waits()
        self.screen.tell("nothing waits anywhere; everything is stopped and the files closed")
        await _together(*(shop.stop() for shop in self._shops))
        await self._office.process.stop()
        verdicts = await asyncio.to_thread(self._judge)
        self.screen.tables(self._shops, received, verdicts)
        self.screen.trials(self._two)
        self.screen.web(self._web.tally)
        well = all(trial.well for trial in self._two.trials) and not self._web.tally.broken
        return well and not any(verdict.differences for verdict in verdicts)

    async def open_again(self) -> None:
        """Start everything that was stopped."""
        await self._office.start()
        await _together(*(shop.start() for shop in self._shops))
        await _together(*(shop.back() for shop in self._shops))

    async def play(self) -> None:
        """Let the visitor cut, kill and heal, until `q`."""
        self.screen.invite(self._office.page)
        self.screen.open_bars(self._shops, len(self._shops[0].goods.baskets))
        watch = asyncio.create_task(self._watch())
        with keys(self._pressed):
            serving = (
                self._serve(shop, len(shop.goods.baskets), slow=True) for shop in self._shops
            )
            self._closed.clear()
            web = asyncio.create_task(self._serve_web())
            await _together(self._quit.wait(), *serving)
            self._closed.set()
            await web
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        self.screen.close_bars()

    async def close(self) -> None:
        """Stop and let go of everything."""
        await asyncio.gather(*(shop.stop() for shop in self._shops), return_exceptions=True)
        await self._office.process.stop()
        await asyncio.gather(*(shop.close() for shop in self._shops), return_exceptions=True)

    async def _serve(self, shop: Shop, until: int, *, slow: bool = False) -> None:
        """Sell so many baskets of a shop in all, at each of its tills whatever comes next."""
        await _together(
            *(self._attend(shop, machine, until, slow=slow) for machine in shop.machines)
        )

    async def _attend(self, shop: Shop, machine: Machine, until: int, *, slow: bool) -> None:
        while shop.taken < min(until, len(shop.goods.baskets)) and not self._quit.is_set():
            await shop.sell_next(machine)
            if slow:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._quit.wait(), PAUSE_S)
            else:
                self._happen()

    async def _serve_two(self) -> None:
        """Sell at the shop of two nodes; at a third, cut both links, and try what they must do."""
        shop, whole = self._shops[0], self._per_shop
        rounds = max(1, min(MOST_ROUNDS, whole // 15))
        await self._serve(shop, min(whole // 3, whole - 2 * rounds - 1))
        for machine in shop.machines:
            self._cut(machine)
        await self._two.apart(rounds)
        with suppress(TimeoutError):
            async with asyncio.timeout(RACE_S):
                while not self._web.tally.raced:  # noqa: ASYNC110 - head office decides
                    await asyncio.sleep(LOOK_S)
        self.screen.tell(f"[green]the link of {shop.machines[-1].name} is healed[/]")
        await self._two.one_link()
        self._happen()
        await self._serve(shop, whole)

    async def _serve_web(self) -> None:
        """Let buyers come on the web while the shops sell, and two race for a last unit."""
        while not self._closed.is_set():
            sold = sum(shop.sold for shop in self._shops)
            if self._shops[0].cut_off and not self._web.tally.raced:
                await self._web.race(self._shops[0])
            elif self._web.tally.asked * BUYER_EVERY <= sold:
                await self._web.next_buyer()
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), 0.1)

    async def _hand_over(self) -> None:
        """Let the shops hand over what was promised on the web.

        Raises:
            DemoFailed: The orders do not come.
        """
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._web.hand_over()
        except TimeoutError:
            raise DemoFailed(f"After {DRAIN_S:.0f} s an order of the web has not come.") from None

    def _happen(self) -> None:
        sold = sum(shop.sold for shop in self._shops)
        share = 2 if len(self._ahead) == 1 else 3
        if self._ahead and sold * share >= self._per_shop * len(self._shops):
            self._ahead.pop(0)()

    def _cut_another(self) -> None:
        for shop in self._shops[1:]:
            if not shop.cut:
                self._cut(self._fate.choice(shop.machines))
                return

    def _kill_one(self) -> None:
        self._kill([machine for shop in self._shops for machine in shop.cut] or self._machines)

    @property
    def _machines(self) -> list[Machine]:
        return [machine for shop in self._shops for machine in shop.machines]

    def _cut(self, machine: Machine) -> None:
        self.screen.tell(f"[yellow]✂ the link of {machine.name} is cut[/]")
        machine.link.cut()

    def _heal(self) -> None:
        for machine in self._machines:
            machine.link.heal()

    def _kill(self, machines: list[Machine]) -> None:
        machine = self._fate.choice(machines)
        self.screen.tell(f"[red]☠ kill -9[/] {machine.edge.pid}: the node {machine.name}")
        machine.edge.kill()

    def _pressed(self, key: str) -> None:
        whole = [machine for machine in self._machines if machine.link.whole]
        if key == "q":
            self._quit.set()
        elif key == "k":
            self._kill(self._machines)
        elif key == "c" and whole:
            self._cut(self._fate.choice(whole))
        elif key == "h" and len(whole) < len(self._machines):
            self.screen.tell("[green]links healed[/]")
            self._heal()

    def _died(self, name: str, code: int) -> None:
        how = f"killed by signal {-code}" if code < 0 else f"ended with {code}"
        self.screen.tell(f"[red]{name}[/] was {how}; it is started again")

    async def _watch(self) -> None:
        while True:
            await asyncio.gather(*(shop.look() for shop in self._shops))
            self.screen.move_bars(self._shops)
            await asyncio.sleep(LOOK_S)

    async def _nothing_waits(self) -> dict[str, Received]:
        """Wait until head office has every sale, and every slip is settled.

        Raises:
            DemoFailed: It takes too long; the message says what waits.
        """
        open_: list[str] = ["everything"]
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while True:
                    open_ = await self._open()
                    received = await self._office.received()
                    for shop in self._shops:
                        there = received.get(shop.goods.id)
                        if there is None or there.sales != shop.sold:
                            open_.append(f"head office has not all sales of {shop.goods.name}")
                    if not open_:
                        return received
                    await asyncio.sleep(0.1)
        raise DemoFailed(f"After {DRAIN_S:.0f} s something still waits: {'; '.join(open_)}.")

    async def _open(self) -> list[str]:
        """Look what waits in the shops, and have what can be sent sent."""
        open_ = []
        for shop in self._shops:
            statuses = [await machine.status() for machine in shop.machines]
            await shop.look()
            if len(statuses) == 2 and not acquainted(statuses[0], statuses[1]):
                open_.append(f"one node of {shop.goods.name} has not all of the other")
        late = [machine for machine in self._machines if machine.course.waiting]
        await _together(*(machine.sync() for machine in late))
        open_ += [f"{machine.course.waiting} facts of {machine.name}" for machine in late]
        return open_ + [
            f"{machine.course.slips_waiting} slips of {machine.name}"
            for machine in self._machines
            if machine.course.slips_waiting
        ]

    def _judge(self) -> list[Verdict]:
        verdicts = []
        for shop in self._shops:
            own, count = shop.goods, shop.sold
            by_data = self._goods.totals(own, count)
            wanted = Sums(
                by_data.baskets, by_data.lines, by_data.quantity_milli, by_data.value_minor
            )
            nodes = []
            for machine in shop.machines:
                file, slips = sums.of_edge(machine.database, machine.till_id)
                papers = paper.read(machine.papers)
                nodes.append(sums.Node(name=machine.name, file=file, slips=slips, papers=papers))
            moved = shop.brought.copy()
            moved.subtract(self._web.tally.due[own.id])
            there = sums.of_central(self._office.ledger, own.id)
            verdicts.append(
                sums.judge(own, count, wanted, nodes, there, moved=moved, twice=shop.twice)
            )
        return verdicts


async def _together(*works: Coroutine[Any, Any, Any]) -> None:
    """Do all at once; the first that fails ends the others and is what went wrong."""
    # No TaskGroup: that of Python 3.11 leaves its parent marked as cancelled, and an
    # `asyncio.timeout` after it then ends in CancelledError.
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
