"""What the buyer sees on the display while the cashier scans."""

from collections.abc import Callable

from edge.till.basket import ONE_MILLI, Basket, Line
from edge.till.receipt import money, quantity
from edge.till.till import Till
from hw.device import CustomerDisplay, Row
from sync.facts.sale import Sale

_TEXTS = {
    "pl": {"total": "SUMA", "change": "RESZTA", "paid": "ZAPŁACONO", "next": "DZIEŃ DOBRY"},
    "en": {"total": "TOTAL", "change": "CHANGE", "paid": "PAID", "next": "WELCOME"},
}


class Facing:
    """Keeps the display of one till true. `run` is its task."""

    def __init__(
        self, till: Till, display: Callable[[str], CustomerDisplay | None], language: str
    ) -> None:
        """Show nothing yet."""
        self._till, self._display, self._language = till, display, language
        self._watcher = till.watch()
        self._before, self._passed = till.basket, till.last

    def again(self) -> None:
        """Show it anew: a display was plugged in, perhaps another one."""
        self._watcher.set()

    async def run(self) -> None:
        """Show every change until cancelled."""
        self._watcher.set()
        while True:
            await self._watcher.wait()
            self._watcher.clear()
            self._show()

    def _show(self) -> None:
        basket, last = self._till.basket, self._till.last
        if basket.lines:
            self._passed = last  # the next empty basket is not this buyer's any more
        ended = last.sale if last is not None and last is not self._passed else None
        display = self._display(self._till.id)
        if display is not None:
            display.show(*rows(basket, self._language, changed(self._before, basket), ended))
        self._before = basket


def rows(basket: Basket, language: str, changed: int | None, last: Sale | None) -> tuple[Row, Row]:
    """Return two rows: the line last changed and what is owed, or how the last sale ended.

    Args:
        basket: As it is now.
        language: `pl` or `en`.
        changed: Id of the line last changed; None or gone: the last one.
        last: The sale that this basket follows, while it is empty.
    """
    texts = _TEXTS.get(language, _TEXTS["pl"])
    if basket.lines:
        line = next((one for one in basket.lines if one.id == changed), basket.lines[-1])
        sold = line.sold()
        price = money(sold.total_minor + sold.deposits_minor, language)
        total = Row(texts["total"], money(basket.total_minor, language))
        return Row(_name(line, language), price), total
    if last is None:
        return Row(texts["next"]), Row()
    change = sum(payment.change_minor for payment in last.payments)
    paid = Row(texts["paid"], money(last.total_minor, language))
    return paid, Row(texts["change"], money(change, language)) if change else Row()


def changed(before: Basket, after: Basket) -> int | None:
    """Return the line that is new or another than it was; the last of several."""
    were = {line.id: line for line in before.lines}
    others = [line.id for line in after.lines if were.get(line.id) != line]
    return others[-1] if others else None


def _name(line: Line, language: str) -> str:
    if line.quantity_milli == ONE_MILLI:
        return line.item.name
    unit = line.item.unit if line.quantity_milli % ONE_MILLI else ""
    return f"{quantity(line.quantity_milli, unit, language)} x {line.item.name}"
