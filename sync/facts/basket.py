"""A basket put aside: who took it back to a till, and what became of it.

Its lines are a document of kind `sync.facts.document.BASKET`. Taking it back is a fact
with a name of its own, not an edit: two nodes that are apart may both take it, and then
there are two, and neither sells before a person has said which (`sync.merge.basket`).
"""

import msgspec

from sync.facts.columns import Whole
from sync.facts.document import DOCUMENT_BYTES, MAX_NAMES, NAME_BYTES


class BasketRecalled(msgspec.Struct, frozen=True, array_like=True):
    """A till took a basket back. The fact's event is the recall's own name."""

    basket: bytes
    till: str
    cashier: str
    at_ms: Whole
    trust: Whole
    covered: bytes
    """Names of the changes that were in it; a line added elsewhere meanwhile is not."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        if len(self.basket) != DOCUMENT_BYTES or not self.till:
            return "a recall needs a basket and a till"
        if len(self.covered) > MAX_NAMES or len(self.covered) % NAME_BYTES:
            return "names of 16 bytes each"
        return "" if self.at_ms >= 0 else f"time {self.at_ms}"


class BasketEnded(msgspec.Struct, frozen=True, array_like=True):
    """What became of a recalled basket."""

    basket: bytes
    recall: bytes
    """Event of the `BasketRecalled`."""

    sale: bytes
    """Event of the sale; empty: nothing of it was bought."""

    def reason(self) -> str:
        """Why this cannot be true; empty if it can."""
        sizes = len(self.basket), len(self.recall)
        if sizes != (DOCUMENT_BYTES, NAME_BYTES) or len(self.sale) not in (0, NAME_BYTES):
            return "a basket, a recall and a sale have names of 16 bytes"
        return ""
