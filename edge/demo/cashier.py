"""A cashier who sells every basket exactly once, whatever dies meanwhile.

The sale's id is chosen before; a basket lives in the node's memory and dies with it, a
sale is on disk or was never made. So after any trouble:

    asked: is the sale recorded? ── yes ──▶ done
               └── no ──▶ empty the basket, scan it all again, pay under the same id

Cash is handed over to the grosz: a stray scan makes the basket dearer, the payment is
refused, and nothing wrong is sold.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol
from uuid import UUID

from edge.demo.baskets import Basket, BasketLine
from edge.demo.goods import Due
from edge.demo.till_client import Away, Conflict, Refused, Shown, ShownLine
from sync.rules.money import line_total_minor

AT_ONCE = 20
"""Codes scanned before looking at the basket."""

SEEN_S = 3.0
"""A scan shows by then, or is lost."""

MAX_TROUBLE = 50
"""Times one basket may be begun again."""


class Till(Protocol):
    """What a cashier asks of a till (`edge.demo.till_client.TillClient`)."""

    async def shown(self) -> Shown: ...  # noqa: D102 - see TillClient
    async def clear(self) -> Shown: ...  # noqa: D102
    async def change(self, line: int, change: dict[str, Any]) -> Shown: ...  # noqa: D102
    async def pay(self, sale: UUID, tendered_minor: int, cashier: str) -> None: ...  # noqa: D102
    async def recorded(self, sale: UUID) -> bool: ...  # noqa: D102


class Muddle(Exception):
    """The basket is not what was scanned."""


class Cashier:
    """One person at one till."""

    def __init__(
        self,
        name: str,
        till: Till,
        scan: Callable[[str], Awaitable[None]],
        back: Callable[[], Awaitable[None]],
    ) -> None:
        """Take the place.

        Args:
            name: On receipts.
            till: To look at, correct and be paid at.
            scan: Reads a code; nobody says whether it arrived.
            back: Waits until the till can be worked at.
        """
        self.name = name
        self.again = 0
        """Baskets begun again."""

        self._till, self._scan, self._back = till, scan, back

    async def sell(self, sale: UUID, basket: Basket, due: Due) -> None:
        """Sell a basket; return when its sale is on disk.

        Raises:
            Muddle: It was begun again too often.
            Conflict: The id is another sale's.
            TimeoutError: The till does not come back.
        """
        for attempt in range(MAX_TROUBLE):
            try:
                if attempt:
                    self.again += 1
                    await self._back()
                    if await self._till.recorded(sale):
                        return
                    await self._till.clear()
                await self.ring_up(basket, due)
                await self._till.pay(sale, due.total_minor, self.name)
            except Conflict:
                raise
            except (Away, Muddle, Refused) as error:
                trouble = error
            else:
                return
        raise Muddle(f"Sale {sale}: begun {MAX_TROUBLE} times; the last time: {trouble}")

    async def ring_up(self, basket: Basket, due: Due) -> Shown:
        """Scan a basket into an empty till; return what it shows when all is as it must be.

        Raises:
            Muddle: It is not.
            Away, Refused: The till.
        """
        shown: Shown | None = None
        for lines in rounds(basket.lines):
            before = len(shown.lines) if shown else 0
            shown = await self._scanned(lines, before)
            for line, seen in zip(lines, shown.lines[before:], strict=True):
                change = correction(line, seen, adult=seen.line not in shown.to_confirm)
                if change:
                    shown = await self._till.change(seen.line, change)
        if shown is None:
            raise Muddle(f"Basket {basket.basket_id} is empty.")
        check(shown, basket.lines, due)
        return shown

    async def _scanned(self, lines: Sequence[BasketLine], before: int) -> Shown:
        """Scan, and look until all of it is there."""
        for line in lines:
            await self._scan(line.code)
        expected = [line.sku for line in lines]
        until = time.monotonic() + SEEN_S
        wait_s = 0.002 * len(lines)
        while True:
            await asyncio.sleep(wait_s)
            shown = await self._till.shown()
            seen = [line.sku for line in shown.lines[before:]]
            if seen == expected:
                return shown
            if seen != expected[: len(seen)] or time.monotonic() > until:
                raise Muddle(f"Scanned {expected}, the till shows {seen}: {shown.notice}")
            wait_s = 0.01


def rounds(lines: Sequence[BasketLine]) -> Iterator[list[BasketLine]]:
    """Split a basket so that no round has an article twice, or is long."""
    part: list[BasketLine] = []
    for line in lines:
        if len(part) == AT_ONCE or any(line.sku == other.sku for other in part):
            yield part
            part = []
        part.append(line)
    if part:
        yield part


def correction(line: BasketLine, seen: ShownLine, *, adult: bool) -> dict[str, Any]:
    """Return what to correct in a line that was scanned once."""
    change: dict[str, Any] = {}
    if line.quantity_milli != seen.quantity_milli:
        change["quantity_milli"] = line.quantity_milli
    discount = line_total_minor(line.quantity_milli, line.list_unit_minor) - line.value_minor
    if discount:
        change["discount"] = {"reason": "promotion", "amount_minor": discount}
    if not adult:
        change["age_checked"] = True
    return change


def check(shown: Shown, lines: Sequence[BasketLine], due: Due) -> None:
    """Look over the basket before taking money.

    Raises:
        Muddle: It is not what the buyer has.
    """
    got = [(line.sku, line.quantity_milli, line.total_minor) for line in shown.lines]
    want = [(line.sku, line.quantity_milli, line.value_minor) for line in lines]
    if got != want or shown.total_minor != due.total_minor:
        wrong = [(one, other) for one, other in zip(got, want, strict=False) if one != other]
        raise Muddle(
            f"The till shows {len(got)} lines worth {shown.total_minor} grosz, expected "
            f"{len(want)} worth {due.total_minor}; first {wrong[:1]}."
        )
