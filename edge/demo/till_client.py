"""HTTP to one shop's node, as any client would speak it: JSON and a token."""

import asyncio
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import aiohttp
import msgspec

T = TypeVar("T")

TIMEOUT_S = 10.0
BACK_S = 60.0
"""A node that was killed is back long before."""

DELIVERY_LINES = 500


class Away(Exception):
    """The node does not answer: it is down, or went down while answering."""


class Refused(Exception):
    """The node answered, and would not."""


class Conflict(Refused):
    """An id is taken by something else."""


class ShownLine(msgspec.Struct, frozen=True):
    """What is used of a basket's line."""

    line: int
    sku: str
    quantity_milli: int
    total_minor: int


class Shown(msgspec.Struct, frozen=True):
    """What is used of a till."""

    lines: tuple[ShownLine, ...]
    total_minor: int
    to_confirm: tuple[int, ...]
    notice: str


class Device(msgspec.Struct, frozen=True):
    """What is used of a device."""

    id: str
    state: str


class Peer(msgspec.Struct, frozen=True):
    """What is used of another node of the store."""

    node: str
    state: str
    waiting: int
    """Facts it has not acknowledged."""


class Status(msgspec.Struct, frozen=True):
    """What is used of a node's status."""

    node: str
    link: str
    waiting: int
    sales: int
    facts: int
    articles: int
    peers: tuple[Peer, ...]
    slips: dict[str, int]
    devices: tuple[Device, ...]


class OrderLine(msgspec.Struct, frozen=True):
    """An article of an order."""

    sku: str
    left_milli: int


class Order(msgspec.Struct, frozen=True):
    """An order of head office."""

    uuid: str
    held: bool
    lines: tuple[OrderLine, ...]


class Orders(msgspec.Struct, frozen=True):
    """Those that wait for an answer."""

    orders: tuple[Order, ...]


class Parked(msgspec.Struct, frozen=True):
    """A basket that was put aside."""

    basket: str
    state: str
    lines: tuple[Any, ...]


class _Baskets(msgspec.Struct, frozen=True):
    baskets: tuple[Parked, ...]


class _Stock(msgspec.Struct, frozen=True):
    quantity_milli: int


class TillClient:
    """One till of one node."""

    def __init__(self, http: aiohttp.ClientSession, address: str, till: str) -> None:
        """Speak to an address; `token` must be set before anything is asked."""
        self.token = ""
        self._http, self._address, self._till = http, address, till
        self._timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)

    async def shown(self) -> Shown:
        """Look at the basket."""
        return _read(await self._ask("GET", f"/v1/tills/{self._till}"), Shown)

    async def clear(self) -> Shown:
        """Empty the basket."""
        return _read(await self._ask("DELETE", f"/v1/tills/{self._till}/basket"), Shown)

    async def change(self, line: int, change: Mapping[str, Any]) -> Shown:
        """Correct a line."""
        path = f"/v1/tills/{self._till}/lines/{line}"
        return _read(await self._ask("PATCH", path, change), Shown)

    async def pay(self, sale: UUID, tendered_minor: int, cashier: str) -> None:
        """Sell the basket for cash; the same again sells nothing more."""
        payment = {
            "sale": str(sale),
            "method": "cash",
            "tendered_minor": tendered_minor,
            "cashier": cashier,
        }
        await self._ask("POST", f"/v1/tills/{self._till}/payments", payment)

    async def recorded(self, sale: UUID) -> bool:
        """Ask whether a sale is on disk."""
        return await self._ask("GET", f"/v1/sales/{sale}", missing=True) is not None

    async def park(self, basket: UUID, cashier: str) -> None:
        """Put the basket aside; the same again changes nothing."""
        body = {"basket": str(basket), "cashier": cashier, "note": "goes on at the other till"}
        await self._ask("POST", f"/v1/tills/{self._till}/park", body)

    async def recall(self, basket: UUID, cashier: str) -> Shown:
        """Take a basket back that was put aside."""
        body = {"basket": str(basket), "cashier": cashier}
        return _read(await self._ask("POST", f"/v1/tills/{self._till}/recall", body), Shown)

    async def parked(self) -> tuple[Parked, ...]:
        """List the baskets of the store that are put aside and not sold."""
        return _read(await self._ask("GET", "/v1/parked"), _Baskets).baskets

    async def put_sale(self, sale: UUID, till: str, line: tuple[str, int]) -> None:
        """Record a finished sale of one piece, as a foreign client does, at whatever till.

        Args:
            sale: Its id.
            till: May be another than ours.
            line: Article and price of one piece in grosz.
        """
        sku, unit_minor = line
        body = {
            "till": till,
            "cashier": "demo",
            "lines": [{"sku": sku, "quantity_milli": 1000, "unit_minor": unit_minor}],
            "payments": [{"method": "cash", "amount_minor": unit_minor}],
        }
        await self._ask("PUT", f"/v1/sales/{sale}", body)

    async def stock(self, sku: str) -> int:
        """Ask how much of an article is there, in thousandths."""
        path = f"/v1/stock/{quote(sku, safe='')}"
        return _read(await self._ask("GET", path), _Stock).quantity_milli

    async def deliver(self, document: UUID, goods: Mapping[str, int]) -> None:
        """Record goods received; the same again changes nothing."""
        lines = [{"sku": sku, "quantity_milli": milli} for sku, milli in goods.items()]
        body = {"kind": "goods_received", "supplier": "Karb demo", "lines": lines}
        await self._ask("PUT", f"/v1/documents/{document}", body)

    async def orders(self) -> tuple[Order, ...]:
        """List the orders of head office that wait for an answer."""
        return _read(await self._ask("GET", "/v1/orders"), Orders).orders

    async def hand(self, order: str, answer: UUID, who: str) -> None:
        """Hand an order over; the same answer again changes nothing."""
        body = {"id": str(answer), "answer": "handed", "who": who}
        await self._ask("POST", f"/v1/orders/{order}/answer", body)

    async def status(self) -> Status:
        """Ask how the node is."""
        return _read(await self._ask("GET", "/v1/status"), Status)

    async def back(self, scanner: str) -> None:
        """Wait until the node answers and its scanner is plugged in.

        Raises:
            TimeoutError: It does not come back.
        """
        async with asyncio.timeout(BACK_S):
            while True:
                try:
                    devices = (await self.status()).devices
                    if any(one.id == scanner and one.state == "connected" for one in devices):
                        return
                except Away:
                    pass
                await asyncio.sleep(0.1)

    async def _ask(
        self, method: str, path: str, body: Any = None, *, missing: bool = False
    ) -> bytes | None:
        headers = {"Authorization": f"Bearer {self.token}"}
        data = None
        if body is not None:
            data = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        try:
            async with self._http.request(
                method, self._address + path, data=data, headers=headers, timeout=self._timeout
            ) as answer:
                said = await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Away(f"{self._address}: {error!r}") from error
        if answer.status < 400:
            return said
        if answer.status == 404 and missing:
            return None
        if answer.status >= 500:
            raise Away(f"{self._address}: {answer.status}: {said[:500]!r}")
        kind = Conflict if answer.status == 409 else Refused
        raise kind(f"{method} {path}: {answer.status}: {said[:500].decode(errors='replace')}")


def _read(said: bytes | None, kind: type[T]) -> T:
    return msgspec.json.decode(said or b"", type=kind)
