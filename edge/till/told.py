"""What head office says of this store and its promotions, at hand for every scan."""

from edge.clock import Clock
from edge.store.store import Store
from edge.till.business_day import local
from sync.chain import ALL, Head
from sync.facts.node import StoreDescribed
from sync.rules.offers import Offers
from sync.rules.promotion import Moment


class Told:
    """Read again only when facts have come in that could change it: ours never do."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Read nothing yet."""
        self._store, self._clock = store, clock
        self._settings: tuple[set[Head], StoreDescribed] | None = None
        self._offers: tuple[set[Head], Offers] | None = None

    async def settings(self) -> StoreDescribed:
        """Return what head office says of this store."""
        ours = self._store.key.node
        heard = {head for head in self._store.heads() if head.stream.node != ours}
        if self._settings is None or self._settings[0] != heard:
            self._settings = heard, await self._store.settings()
        return self._settings[1]

    async def offers(self) -> tuple[Offers, Moment]:
        """Return the promotions, and the moment at which to ask them."""
        heard = {head for head in self._store.heads() if head.stream.scope == ALL}
        if self._offers is None or self._offers[0] != heard:
            self._offers = heard, Offers(await self._store.promotions())
        settings = await self.settings()
        when = local(self._clock.now().ms, settings)
        return self._offers[1], Moment.of(when, settings.store)
