"""The web channel of the demo: buyers who are promised goods of shops, cut off or not.

It knows of head office alone (`POST /v1/promises`), as a web shop does. What was promised
is confirmed, but for the few who change their minds, and handed over at the shop's counter
when the order has come through. Ids are made before anything is asked, so that whoever
died meanwhile is asked again.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from edge.demo.head_office import HeadOffice
from edge.demo.shop import Shop

PIECE_MILLI = 1000
BUYER_EVERY = 5
"""Sales over the counters to one buyer on the web."""

EXPIRES_S = 3600
WEB_SHARE = 10
"""Percent of each delivery that head office may promise."""

WANTED = 8
"""Articles that web buyers want: few, so that some are refused."""

FICKLE = 6
"""One in so many promised buyers changes their mind."""


class _Line(msgspec.Struct, frozen=True):
    sku: str
    quantity_milli: int


class _Place(msgspec.Struct, frozen=True):
    store: str
    state: str
    lines: tuple[_Line, ...]


class _Promise(msgspec.Struct, frozen=True):
    state: str
    places: tuple[_Place, ...]


@dataclass(slots=True)
class Tally:
    """How the web channel did."""

    asked: int = 0
    promised: int = 0
    while_cut: int = 0
    """Of them, at a shop whose link was cut at that moment."""

    refused: int = 0
    changed_their_minds: int = 0
    raced: str = ""
    """Who got the last unit; empty: nobody raced yet."""

    due: dict[str, Counter[str]] = field(default_factory=dict)
    """Store to thousandths by sku that are to be handed over."""

    answered: Counter[str] = field(default_factory=Counter)
    """Store to thousandths of its orders that were answered."""

    handed: int = 0
    """Orders handed over."""

    broken: int = 0
    """Orders a shop could not hand over."""

    elsewhere: int = 0
    """Of the refused, those that an unused right elsewhere could have served."""


class WebShop:
    """Buyers on the web, one after the other."""

    def __init__(self, office: HeadOffice, shops: Sequence[Shop], seed: int) -> None:
        """Open; nobody has come yet."""
        self._office, self._shops, self._seed = office, shops, seed
        self._fate = random.Random(seed)  # noqa: S311 - a draw to be repeated
        self._handed: set[tuple[str, str]] = set()
        self.tally = Tally(due={shop.goods.id: Counter() for shop in shops})
        popular: Counter[str] = Counter()
        for shop in shops:
            for basket in shop.goods.baskets:
                popular.update(
                    line.sku for line in basket.lines if line.quantity_milli % PIECE_MILLI == 0
                )
        self._wanted = [sku for sku, _ in popular.most_common(WANTED)]

    async def next_buyer(self) -> None:
        """Serve one buyer: an article or two, a piece or two."""
        number = self.tally.asked
        lines = {
            sku: self._fate.choice((1, 1, 2)) * PIECE_MILLI
            for sku in self._fate.sample(self._wanted, k=min(len(self._wanted), 1 + number % 2))
        }
        fickle = self._fate.randrange(FICKLE) == 0
        await self._buyer(f"buyer/{number}", lines, fickle=fickle)

    async def race(self, shop: Shop) -> None:
        """Let two buyers want the last unit that head office may promise of a shop's article."""
        left = await self._promisable(shop.goods.id)
        if not left:
            return
        sku, milli = min(left.items(), key=lambda entry: (entry[1], entry[0]))
        if milli > PIECE_MILLI:  # somebody takes all but one
            await self._buyer("first", {sku: milli - PIECE_MILLI}, store=shop.goods.id)
        names = ("Ala", "Ola")
        got = await asyncio.gather(
            *(self._buyer(name, {sku: PIECE_MILLI}, store=shop.goods.id) for name in names)
        )
        winners = [name for name, one in zip(names, got, strict=True) if one]
        self.tally.raced = winners[0] if winners else "nobody"
        self.tally.broken += len(winners) == len(names)  # one unit, promised twice

    async def hand_over(self) -> None:
        """Let every shop hand over the orders it has; what it is short of is a broken promise."""
        await asyncio.gather(*(self._at(shop) for shop in self._shops))
        _, said = await self._insist(lambda: self._office.ask("GET", "/v1/promises/figures"))
        self.tally.elsewhere = msgspec.json.decode(said)["served_elsewhere"]

    async def _buyer(
        self, name: str, lines: dict[str, int], *, store: str = "", fickle: bool = False
    ) -> bool:
        tally = self.tally
        tally.asked += 1
        promise = self._id(name)
        body: dict[str, Any] = {
            "id": str(promise),
            "channel": "web",
            "lines": [{"sku": sku, "quantity_milli": milli} for sku, milli in lines.items()],
            "expires_s": EXPIRES_S,
            "split": True,
        }
        if store:
            body["stores"] = [store]
        status, said = await self._insist(lambda: self._office.ask("POST", "/v1/promises", body))
        if status >= 400:
            tally.refused += 1
            return False
        places = msgspec.json.decode(said, type=_Promise).places
        cut = {shop.goods.id for shop in self._shops if shop.cut_off}
        tally.promised += 1
        tally.while_cut += any(place.store in cut for place in places)
        how = "release" if fickle else "confirm"
        await self._insist(lambda: self._office.ask("POST", f"/v1/promises/{promise}/{how}"))
        if fickle:
            tally.changed_their_minds += 1
            return True
        for place in places:
            for line in place.lines:
                tally.due[place.store][line.sku] += line.quantity_milli
        return True

    async def _at(self, shop: Shop) -> None:
        tally, id_ = self.tally, shop.goods.id
        while tally.answered[id_] < tally.due[id_].total():
            for order in await shop.orders():
                left = sum(line.left_milli for line in order.lines)
                if not left or not order.held or (id_, order.uuid) in self._handed:
                    continue
                self._handed.add((id_, order.uuid))
                if await shop.hand(order.uuid, self._id(f"hand/{order.uuid}")):
                    tally.handed += 1
                else:
                    tally.broken += 1
                tally.answered[id_] += left
            await asyncio.sleep(0.1)

    async def _promisable(self, store: str) -> dict[str, int]:
        _, said = await self._insist(lambda: self._office.ask("GET", f"/v1/stock?store={store}"))
        rows = msgspec.json.decode(said)["stock"]
        return {
            row["sku"]: whole
            for row in rows
            if (whole := row["web_milli"] - row["web_milli"] % PIECE_MILLI) > 0
        }

    async def _insist(self, ask: Callable[[], Awaitable[tuple[int, bytes]]]) -> tuple[int, bytes]:
        """Ask until it answers: the ids make the same question again the same thing again."""
        while True:
            status, said = await ask()
            if status and status < 500:
                return status, said
            await asyncio.sleep(0.2)

    def _id(self, name: str) -> UUID:
        return uuid5(NAMESPACE_URL, f"karb:demo/{self._seed}/web/{name}")
