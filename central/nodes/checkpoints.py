"""Handing a store's checkpoint to a node that holds nothing of it yet."""

import asyncio
from dataclasses import dataclass, field

from central.ledger import checkpoint
from central.ledger.checkpoint import Common, Made
from central.ledger.ledger import Ledger, wall_ms


@dataclass(slots=True)
class Checkpoints:
    """Makes them one at a time: what a large store's weighs, it weighs once."""

    ledger: Ledger
    _common: Common | None = None
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def of(self, store: str) -> Made:
        """Return the checkpoint of a store as of now.

        Raises:
            LedgerUnavailable: The ledger cannot be read.
        """
        async with self._one_at_a_time:
            made, self._common = await self.ledger.read(
                lambda connection: checkpoint.make(
                    connection, self.ledger.own, store, wall_ms(), self._common
                )
            )
        return made
