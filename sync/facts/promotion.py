"""What head office gives: one promotion a fact, in the stream of all stores.

The latest word on an id holds, by head office's order. A promotion carries its own times, so
one told on Monday for Friday midnight begins there at an offline store, too; one that is to
change on a day is ended on it, and told under another id from then on.
"""

import msgspec

from sync.facts.columns import Whole
from sync.rules.promotion import Promotion


class PromotionTold(msgspec.Struct, frozen=True, array_like=True):
    """A promotion is so from now on, or is no more."""

    revision: Whole
    """Of the catalogue's numbers (`sync.facts.catalogue`): the highest told is the version of
    the rules."""

    promotion: Promotion
    withdrawn: bool = False
    """Nobody gets it, whatever its times say."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        return self.promotion.reason() if self.revision >= 0 else f"revision {self.revision}"
