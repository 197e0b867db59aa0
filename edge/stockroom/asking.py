"""Asking others of the place for rights, before a sale goes beyond our own."""

import asyncio
from collections.abc import Callable
from hashlib import sha256
from typing import Protocol, TypeVar

from edge.store.store import Store
from edge.store.unit import Unit
from sync.chain import EVENT_BYTES
from sync.merge.stock import Deltas

PATIENCE_S = 0.4
"""How long a buyer waits for an answer. A LAN peer answers in a few hundredths."""


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Work(Protocol[T_co]):
    """A unit of work that raises `Short` when told that others may be asked."""

    def __call__(self, unit: Unit, *, ask: bool) -> T_co:
        """Do it."""
        ...


class Short(Exception):
    """A sale goes beyond our right, and somebody may be asked first; nothing was stored."""

    def __init__(self, short: Deltas) -> None:
        """Carry how much of what is beyond the right."""
        super().__init__(f"beyond the right: {short}")
        self.short = short


class Asking:
    """Sells within our right if it can be had, and asks for it only when it is short."""

    def __init__(
        self, store: Store, fresh: Callable[[], str], patience_s: float = PATIENCE_S
    ) -> None:
        """Ask nobody, until `hears` says that somebody hears us.

        Args:
            store: Ours.
            fresh: Makes a word never used before.
            patience_s: How long a buyer waits.
        """
        self._store, self._fresh, self._patience_s = store, fresh, patience_s
        self.hears: Callable[[], bool] = lambda: False
        """Whether a peer or central would hear us now."""

    async def write(self, work: "Work[T]") -> T:
        """Run a unit of work that may go beyond our right; ask first if somebody hears.

        Raises:
            Exception: Whatever `work` raises, `Short` excepted.
        """
        if self.hears():
            try:
                return await self._store.write(lambda unit: work(unit, ask=True))
            except Short as error:
                await self.ask(error.short)
        return await self._store.write(lambda unit: work(unit, ask=False))

    async def ask(self, short: Deltas) -> bool:
        """Ask whoever hears for rights, and wait a little; return whether they came.

        The want is a fact: one that is answered too late still brings the right here, and
        covers what was taken beyond it meanwhile.
        """
        event = sha256(b"karb.want.1" + self._fresh().encode()).digest()[:EVENT_BYTES]
        before = await self._store.rights(short)
        woken = self._store.watch()
        try:
            await self._store.write(lambda unit: unit.holder.want(event, short))
            async with asyncio.timeout(self._patience_s):
                while True:
                    woken.clear()
                    now = await self._store.rights(short)
                    if all(now[cell] - before[cell] >= milli for cell, milli in short.items()):
                        return True
                    await woken.wait()
        except TimeoutError:
            return False
        finally:
            self._store.forget(woken)
