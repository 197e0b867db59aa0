"""The bounded counter: who may promise how much of something scarce.

Generic over the cell: the stock of an article at a place, a coupon, a customer's points,
a gift card, the refunds of a receipt, a pick-up code. Each cell has *holders*, the streams
of nodes. Each holder owns one row of counters that only grow and that only it writes:

``made``     brought in: a delivery, a coupon issued, a balance paid in
``used``     consumed: sold, written off, redeemed
``held``     reserved
``freed``    reserved and released again
``done``     reserved and handed over
``given[g]`` rights handed to holder ``g``
``over``     taken beyond the right: the goods left, nobody had the right
``covered``  the part of ``over`` for which a right was found later

    right(h)  = made + Σ given[g][h] - Σ given[h][g] - used - held + freed - covered
    physical  = Σ (made - used - done - over)
    reserved  = Σ (held - freed - done)
    uncovered = Σ (over - covered)

*Merging* is the pointwise maximum, so it is commutative, associative and idempotent, and
loss, repetition and reordering of messages do not matter.

*Theorem.* If each holder consumes, holds and gives only what its own row and the ``given``
of others that it has heard of allow (right(h) ≥ 0 after every own step), then in every
cell, at every moment and in any partition, Σ (used + held - freed + covered) ≤ Σ made.
*Proof.* What h has not heard of is somebody's ``given[·][h]``, which only adds to
right(h); so the true right(h) is never below what h believes, and is ≥ 0. Summed over all
holders the ``given`` cancel: Σ right = Σ made - Σ (used + held - freed + covered) ≥ 0.

*Fences.* A holder that is closed passes what right it had, and whatever is given to it
later, to its successor: the rights of a closed holder and its successor are summed, and
the theorem holds for the sum since the closed one takes no more steps.

Source: O'Neil, *The Escrow Transactional Method* (ACM TODS, 1986); Balegas et al.,
*Extending Eventually Consistent Cloud Databases for Enforcing Numeric Invariants* (SRDS
2015). Amounts are ints, of goods in thousandths (`_milli`).
"""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from sync.errors import SyncError

H = TypeVar("H", bound=Hashable)

STOCK = "stock"
_MARK = "\x1f"
"""Unit separator: no sku and no code has it."""


class NotHeld(SyncError):
    """More was asked of a right than there is of it; nothing changed."""


def cell(kind: str, key: str) -> str:
    """Name a cell within its place: the bare sku for stock, else kind and key."""
    return key if kind == STOCK else f"{_MARK}{kind}{_MARK}{key}"


def kind_of(name: str) -> tuple[str, str]:
    """Return the kind and key of a cell's name."""
    if not name.startswith(_MARK):
        return STOCK, name
    _, kind, key = name.split(_MARK, 2)
    return kind, key


@dataclass(frozen=True, slots=True)
class Row(Generic[H]):
    """One holder's counters in one cell. They only grow, and only the holder writes them."""

    made: int = 0
    used: int = 0
    held: int = 0
    freed: int = 0
    done: int = 0
    over: int = 0
    covered: int = 0
    given: Mapping[H, int] = field(default_factory=dict)

    def merge(self, other: "Row[H]") -> "Row[H]":
        """Return the pointwise maximum."""
        return Row(
            made=max(self.made, other.made),
            used=max(self.used, other.used),
            held=max(self.held, other.held),
            freed=max(self.freed, other.freed),
            done=max(self.done, other.done),
            over=max(self.over, other.over),
            covered=max(self.covered, other.covered),
            given={
                to: max(self.given.get(to, 0), other.given.get(to, 0))
                for to in {**self.given, **other.given}
            },
        )


@dataclass(slots=True)
class Counter(Generic[H]):
    """One cell as somebody knows it: the rows of its holders, and who succeeds whom.

    The steps (`make` to `cover`) are a holder's own and check the right first; `merge`
    takes in what others know.
    """

    rows: dict[H, Row[H]] = field(default_factory=dict)
    closed: dict[H, H] = field(default_factory=dict)
    """Closed holder to its successor."""

    def row(self, holder: H) -> Row[H]:
        """Return a holder's own row."""
        return self.rows.get(holder) or Row()

    def heir(self, holder: H) -> H:
        """Return who holds what was a holder's: itself, or the last of its successors."""
        seen = {holder}
        while (after := self.closed.get(holder)) is not None and after not in seen:
            seen.add(after)
            holder = after
        return holder

    def right(self, holder: H) -> int:
        """Return what a holder may still promise; 0 for a closed one."""
        if holder in self.closed:
            return 0
        estate = {h for h in {*self.rows, *self.closed, holder} if self.heir(h) == holder}
        total = 0
        for member in estate:
            row = self.row(member)
            total += row.made - row.used - row.held + row.freed - row.covered
            total -= sum(row.given.values())
        for row in self.rows.values():
            total += sum(amount for to, amount in row.given.items() if to in estate)
        return total

    @property
    def physical(self) -> int:
        """What is really there, reserved or not."""
        return sum(r.made - r.used - r.done - r.over for r in self.rows.values())

    @property
    def reserved(self) -> int:
        """What is there and promised to somebody."""
        return sum(r.held - r.freed - r.done for r in self.rows.values())

    @property
    def uncovered(self) -> int:
        """What left beyond any right: as much is kept back by whoever holds rights."""
        return sum(r.over - r.covered for r in self.rows.values())

    @property
    def made(self) -> int:
        """What was ever brought in."""
        return sum(row.made for row in self.rows.values())

    @property
    def bound(self) -> int:
        """What the theorem bounds by `made`."""
        return sum(r.used + r.held - r.freed + r.covered for r in self.rows.values())

    def spare(self, holder: H) -> int:
        """Return what a holder may promise anew: its right, less what is uncovered."""
        return max(0, self.right(holder) - self.uncovered)

    def make(self, holder: H, amount: int) -> None:
        """Bring in."""
        self._grow(holder, made=amount)

    def use(self, holder: H, amount: int) -> None:
        """Consume.

        Raises:
            NotHeld: The right is smaller.
        """
        self._check(holder, amount)
        self._grow(holder, used=amount)

    def take(self, holder: H, amount: int) -> int:
        """Consume what right there is and take the rest beyond it; return that rest."""
        allowed = min(max(self.right(holder), 0), amount)
        self._grow(holder, used=allowed, over=amount - allowed)
        return amount - allowed

    def hold(self, holder: H, amount: int) -> None:
        """Reserve.

        Raises:
            NotHeld: The right is smaller.
        """
        self._check(holder, amount)
        self._grow(holder, held=amount)

    def free(self, holder: H, amount: int) -> None:
        """Release what was reserved.

        Raises:
            NotHeld: Less is reserved.
        """
        self._check_held(holder, amount)
        self._grow(holder, freed=amount)

    def hand(self, holder: H, amount: int) -> None:
        """Hand over what was reserved.

        Raises:
            NotHeld: Less is reserved.
        """
        self._check_held(holder, amount)
        self._grow(holder, done=amount)

    def give(self, holder: H, to: H, amount: int) -> None:
        """Hand rights to another holder.

        Raises:
            NotHeld: The right is smaller, or the receiver is the giver.
        """
        if self.heir(to) == holder:
            raise NotHeld(f"Right of {amount}: a holder cannot give it to itself.")
        self._check(holder, amount)
        row = self.row(holder)
        given = {**row.given, to: row.given.get(to, 0) + amount}
        self.rows[holder] = replace(row, given=given)

    def cover(self, holder: H) -> int:
        """Cover what the holder took beyond its right, as far as it has right; return it."""
        row = self.row(holder)
        amount = coverable(self.right(holder), row.over - row.covered)
        if amount:
            self._grow(holder, covered=amount)
        return amount

    def close(self, holder: H, successor: H) -> None:
        """Take note of a fence; it is written once, and the first one holds."""
        self.closed.setdefault(holder, successor)

    def merge(self, other: "Counter[H]") -> None:
        """Take in all that another knows."""
        for holder, row in other.rows.items():
            self.rows[holder] = self.row(holder).merge(row)
        for holder, successor in other.closed.items():
            self.close(holder, successor)

    def _check(self, holder: H, amount: int) -> None:
        right = self.right(holder)
        if amount > right:
            raise NotHeld(f"Right of {amount}: expected at most {max(right, 0)}, which is held.")

    def _check_held(self, holder: H, amount: int) -> None:
        row = self.row(holder)
        held = row.held - row.freed - row.done
        if amount > held:
            raise NotHeld(f"Reserved {amount}: expected at most {held}, which is reserved.")

    def _grow(self, holder: H, **by: int) -> None:
        wrong = [name for name, amount in by.items() if amount < 0]
        if wrong:
            raise NotHeld(f"{wrong[0]} {by[wrong[0]]}: expected zero or more; counters only grow.")
        row = self.row(holder)
        self.rows[holder] = replace(
            row, **{name: getattr(row, name) + amount for name, amount in by.items()}
        )


def coverable(right: int, uncovered: int) -> int:
    """Return how much of what was taken beyond the right can be covered now."""
    return max(0, min(right, uncovered))


def to_give(spare: int, asked: int, sharers: int) -> int:
    """Return what a holder gives to one that asks: enough, and its share of the rest.

    Rights follow demand: who asks will ask again, so an even share goes with the answer.

    Args:
        spare: What the giver can do without, its floor and the uncovered kept back.
        asked: What the other needs now.
        sharers: Holders that sell from the same shelf, the giver included.
    """
    return max(0, min(spare, max(asked, spare // max(sharers, 1))))


def floor(per_day: int, outage_days: float, z: float = 2.33) -> int:
    """Return the right a counter keeps to outlast an outage: λτ + z·√(λτ).

    Args:
        per_day: λ, demand a day, in whole units.
        outage_days: τ, the longest outage to be survived.
        z: 2.33 covers 99 outages of 100.
    """
    expected = per_day * outage_days
    return max(0, round(expected + z * math.sqrt(expected)))
