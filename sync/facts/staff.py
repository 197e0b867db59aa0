"""Who works in a store, and what they did that somebody may ask about later.

The name and what proves a person stand sealed under the person's key, which travels beside the
streams (`sync.facts.person`): no PIN and nothing that could be tried against one is in a stream.
"""

from enum import IntEnum

import msgspec

from sync.facts.columns import Whole
from sync.facts.person import Sealed


class Role(IntEnum):
    """What somebody may do. Written into facts: never renumber."""

    CASHIER = 1
    MANAGER = 2


class Credentials(msgspec.Struct, frozen=True, array_like=True):
    """What stands sealed in `UserDescribed`."""

    name: str
    verifier: str
    """Argon2id of the PIN, in its usual text form; the PIN was keyed before (`edge.till.staff`)."""

    badge: str = ""
    """What a scanner or a reader says of the badge; it identifies and proves nothing."""


class UserDescribed(msgspec.Struct, frozen=True, array_like=True):
    """Somebody who works here; the latest one of a user holds."""

    user: str
    """As it stands in sales; never given to another person."""

    role: Whole
    active: bool
    sealed: Sealed
    at_ms: Whole
    trust: Whole
    by: str = ""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if not 0 < len(self.user) <= 64 or self.role < 1 or self.at_ms < 0:
            return f"user {self.user[:40]!r} of role {self.role}"
        return self.sealed.reason()


class StaffActed(msgspec.Struct, frozen=True, array_like=True):
    """Somebody came, went, was locked out, or let something through."""

    user: str
    till: str
    act: str
    """``in``, ``out``, ``locked``, or ``approved``."""

    at_ms: Whole
    trust: Whole
    what: str = ""
    """Of an approval: what was let through."""

    asked_by: str = ""
    """Of an approval: who asked; never the same person."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if not self.user or not self.act or self.at_ms < 0:
            return f"{self.user[:40]!r} did {self.act[:40]!r} at {self.at_ms}"
        return "nobody approves what they ask for" if self.asked_by == self.user else ""
