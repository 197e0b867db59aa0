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
    uncovered = Σ (over - covered) + Σ max(-right, 0)

*Merging* is the pointwise maximum, so it is commutative, associative and idempotent, and
loss, repetition and reordering of messages do not matter.

*Theorem.* If each holder consumes, holds and gives only what its own row and the ``given``
of others that it has heard of allow (right(h) ≥ 0 after every own step), then in every
cell, at every moment and in any partition, Σ (used + held - freed + covered) ≤ Σ made.
*Proof.* What h has not heard of is somebody's ``given[·][h]``, which only adds to
right(h); so the true right(h) is never below what h believes, and is ≥ 0. Summed over all
holders the ``given`` cancel: Σ right = Σ made - Σ (used + held - freed + covered) ≥ 0.

*Fences.* A holder that is closed passes what right it had at the fence, and whatever is
given to it later, to its successor: the rights of a closed holder and its successor are
summed, and the theorem holds for the sum, since of the closed one only the row at the fence
counts. The successor counts what it inherits once it knows that row whole; till then it
knows less, never more. What a closed holder gave beyond the fence was nobody's to give
(*disowned*): a receiver that spent it before it heard of the fence has a right below zero,
which counts as uncovered, and Σ (used + held - freed + covered) ≤ Σ made + disowned.

For all that is known, physical - reserved = Σ max(right, 0) - uncovered: as long as whoever
holds rights keeps the uncovered back, what is promised is there.

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
    """Return the kind and key of a cell's name, whatever somebody wrote there."""
    if not name.startswith(_MARK):
        return STOCK, name
    kind, _, key = name[len(_MARK) :].partition(_MARK)
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

    def upto(self, fence: "Row[H]") -> "Row[H]":
        """Return the pointwise minimum: what of this row stands before a fence."""
        return Row(
            made=min(self.made, fence.made),
            used=min(self.used, fence.used),
            held=min(self.held, fence.held),
            freed=min(self.freed, fence.freed),
            done=min(self.done, fence.done),
            over=min(self.over, fence.over),
            covered=min(self.covered, fence.covered),
            given={
                to: min(amount, fence.given[to])
                for to, amount in self.given.items()
                if to in fence.given
            },
        )


@dataclass(frozen=True, slots=True)
class Fence(Generic[H]):
    """Where a holder ends. Written once, by one writer."""

    successor: H
    row: Row[H]
    """The holder's at the fence; what it grew beyond does not count."""


@dataclass(slots=True)
class Counter(Generic[H]):
    """One cell as somebody knows it: the rows of its holders, and who succeeds whom.

    The steps (`make` to `cover`) are a holder's own and check the right first; `merge`
    takes in what others know.
    """

    rows: dict[H, Row[H]] = field(default_factory=dict)
    """As heard, whatever fences say; `row` is what counts of them."""

    closed: dict[H, Fence[H]] = field(default_factory=dict)

    def row(self, holder: H) -> Row[H]:
        """Return what counts of a holder's row."""
        row = self.rows.get(holder) or Row()
        fence = self.closed.get(holder)
        return row if fence is None else row.upto(fence.row)

    def heir(self, holder: H) -> H:
        """Return who holds what was a holder's: itself, or the last of its successors."""
        return self._line(holder)[-1]

    def right(self, holder: H) -> int:
        """Return what a holder may still promise; 0 for a closed one."""
        return self._rights().get(holder, 0)

    @property
    def physical(self) -> int:
        """What is really there, reserved or not."""
        return sum(r.made - r.used - r.done - r.over for r in self._counted())

    @property
    def reserved(self) -> int:
        """What is there and promised to somebody."""
        return sum(r.held - r.freed - r.done for r in self._counted())

    @property
    def uncovered(self) -> int:
        """What left beyond any right: as much is kept back by whoever holds rights."""
        beyond = sum(r.over - r.covered for r in self._counted())
        return beyond + sum(-right for right in self._rights().values() if right < 0)

    @property
    def made(self) -> int:
        """What was ever brought in."""
        return sum(row.made for row in self._counted())

    @property
    def bound(self) -> int:
        """What the theorem bounds by `made`."""
        return sum(r.used + r.held - r.freed + r.covered for r in self._counted())

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
        """Release what the holder, or one it succeeds, reserved.

        Raises:
            NotHeld: Less is reserved.
        """
        self._check_held(holder, amount)
        self._grow(holder, freed=amount)

    def hand(self, holder: H, amount: int) -> None:
        """Hand over what the holder, or one it succeeds, reserved.

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
        _check_growth("given", amount)
        self._check(holder, amount)
        row = self.rows.get(holder) or Row()
        given = {**row.given, to: row.given.get(to, 0) + amount}
        self.rows[holder] = replace(row, given=given)

    def cover(self, holder: H) -> int:
        """Cover what the holder took beyond its right, as far as it has right; return it."""
        row = self.row(holder)
        amount = coverable(self.right(holder), row.over - row.covered)
        if amount:
            self._grow(holder, covered=amount)
        return amount

    def close(self, holder: H, successor: H, row: Row[H] | None = None) -> None:
        """Take note of a fence; it is written once, and the first one holds.

        Args:
            holder: Who ends.
            successor: Who inherits.
            row: The holder's at the fence; None: as known here.
        """
        self.closed.setdefault(holder, Fence(successor, self.row(holder) if row is None else row))

    def merge(self, other: "Counter[H]") -> None:
        """Take in all that another knows."""
        for holder, row in other.rows.items():
            mine = self.rows.get(holder)
            if mine is not row:
                self.rows[holder] = row if mine is None else mine.merge(row)
        for holder, fence in other.closed.items():
            self.closed.setdefault(holder, fence)

    def _counted(self) -> list[Row[H]]:
        return [self.row(holder) for holder in self.rows]

    def _line(self, holder: H) -> list[H]:
        """Return a holder and its successors, in order."""
        line = [holder]
        while (fence := self.closed.get(line[-1])) is not None and fence.successor not in line:
            line.append(fence.successor)
        return line

    def _rights(self) -> dict[H, int]:
        """Return the right of everybody who is not closed, what it inherits included."""
        own: dict[H, int] = {}
        for holder in self.rows:
            row = self.row(holder)
            right = row.made - row.used - row.held + row.freed - row.covered
            own[holder] = own.get(holder, 0) + right - sum(row.given.values())
            for to, amount in row.given.items():
                own[to] = own.get(to, 0) + amount
        total: dict[H, int] = {}
        for holder, right in own.items():
            if (heir := self._known_heir(holder)) is not None:
                total[heir] = total.get(heir, 0) + right
        return total

    def _known_heir(self, holder: H) -> H | None:
        """Return who counts what was a holder's; None while a row on the way is not whole."""
        if not self.closed:
            return holder
        *before, heir = self._line(holder)
        whole = all(self.row(h) == self.closed[h].row for h in before)
        return heir if whole and heir not in self.closed else None

    def _check(self, holder: H, amount: int) -> None:
        right = self.right(holder)
        if amount > right:
            raise NotHeld(f"Right of {amount}: expected at most {max(right, 0)}, which is held.")

    def _check_held(self, holder: H, amount: int) -> None:
        estate = [self.row(h) for h in self.rows if self._known_heir(h) == holder]
        held = sum(row.held - row.freed - row.done for row in estate)
        if amount > held:
            raise NotHeld(f"Reserved {amount}: expected at most {held}, which is reserved.")

    def _grow(self, holder: H, **by: int) -> None:
        for name, amount in by.items():
            _check_growth(name, amount)
        row = self.rows.get(holder) or Row()
        self.rows[holder] = replace(
            row, **{name: getattr(row, name) + amount for name, amount in by.items()}
        )


def _check_growth(name: str, amount: int) -> None:
    if amount < 0:
        raise NotHeld(f"{name} {amount}: expected zero or more; counters only grow.")


def coverable(right: int, uncovered: int) -> int:
    """Return how much of what was taken beyond the right can be covered now."""
    return max(0, min(right, uncovered))


def to_give(spare: int, asked: int, sharers: int, kept: int = 0, step: int = 1) -> int:
    """Return what a holder gives to one that asks: enough, and its share of the rest.

    Rights follow demand: who asks will ask again, so an even share goes with the answer.
    The floor holds the share back, not the answer: what is asked for is for somebody who is
    waiting, and the giver learns of it at once.

    Args:
        spare: What the giver can do without, the uncovered kept back.
        asked: What the other needs now.
        sharers: Holders that sell from the same shelf, the giver included.
        kept: The giver's floor.
        step: What the share is a multiple of: half a piece is no use to either.
    """
    share = max(0, spare - kept) // max(sharers, 1)
    return max(0, min(spare, max(asked, share - share % step)))


def floor(per_day: float, outage_days: float, z: float = 2.33) -> int:
    """Return the right a counter keeps to outlast an outage: λτ + z·√(λτ).

    Args:
        per_day: λ, demand a day, in whole units; well below one for most articles.
        outage_days: τ, the longest outage to be survived.
        z: 2.33 covers 99 outages of 100.
    """
    expected = per_day * outage_days
    return max(0, round(expected + z * math.sqrt(expected)))
