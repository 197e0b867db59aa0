"""One unit of work on the writing thread: a connection and what it is about to change.

What other threads may see of it (heads, members, who has news) is published after
the commit and not before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection, insert, select, update

from central.ledger.tables import FEEDS
from sync.chain import ALL, Head, StreamId, genesis
from sync.identity import raw_public


class Listed(NamedTuple):
    """A price as head office has told it."""

    from_ms: int
    revision: int
    unit_minor: int
    told_ms: int

    @property
    def begins_ms(self) -> int:
        """When it holds by head office's books."""
        return self.from_ms or self.told_ms

    @property
    def rank(self) -> tuple[int, int, int]:
        """Of the prices that have begun the highest holds."""
        return self.from_ms, self.revision, self.unit_minor


_NONE: dict[str, tuple[Listed, ...]] = {}
_NO_PRICES: dict[str, dict[str, tuple[Listed, ...]]] = {}


@dataclass(frozen=True, slots=True)
class Member:
    """A node head office has certified."""

    node: bytes
    store: str
    public_key: Ed25519PublicKey
    certificate: bytes
    """DER, the newest."""

    name: str
    revoked: bool


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a stream stands."""

    head: Head
    hlc: int
    safe: int
    frozen: bool


@dataclass(frozen=True, slots=True)
class Own:
    """Central as an author."""

    node: bytes
    key: Ed25519PrivateKey
    incarnation: int

    def stream(self, scope: str) -> StreamId:
        """Return central's stream of a scope in this life."""
        return StreamId(self.node, self.incarnation, scope)

    @property
    def public(self) -> bytes:
        """32 raw bytes."""
        return raw_public(self.key.public_key())


@dataclass(frozen=True, slots=True)
class Fence:
    """Where a stream ends, and which one succeeds it."""

    seq: int
    hash: bytes
    successor: StreamId


@dataclass(slots=True)
class State:
    """What the writing thread knows without asking the database."""

    own: Own
    fences: dict[StreamId, Fence] = field(default_factory=dict)
    over: dict[StreamId, dict[bytes, int]] = field(default_factory=dict)
    """Streams that are over and not closed yet; for each, the nodes that were heard since,
    and how far they said they hold it. See `ledger.fences`."""

    cursors: dict[StreamId, Cursor] = field(default_factory=dict)
    members: Mapping[bytes, Member] = field(default_factory=dict)
    last_hlc: int = 0
    prices: dict[str, dict[str, tuple[Listed, ...]]] = field(default_factory=dict)
    """Scope to article to all its prices: what was in force when is asked of every sale."""


@dataclass(slots=True)
class Unit:
    """A transaction under way."""

    connection: Connection
    state: State
    now_ms: int
    cursors: dict[StreamId, Cursor] = field(default_factory=dict)
    """Moved in this transaction."""

    hlc: int = 0
    members_told: set[tuple[str, bytes]] = field(default_factory=set)
    """Store and node of those certified or revoked in this transaction."""

    members_anew: bool = False
    """Views are made again: all members are read again."""

    destroyed: bool = False
    """A person was forgotten: nothing of the key may stay in the files."""
    prices: dict[str, dict[str, tuple[Listed, ...]]] = field(default_factory=dict)
    """Told in this transaction."""

    prices_anew: bool = False
    """Views are made again: of prices only those told in this transaction count."""

    lives_changed: bool = False
    """A life ended or a stream was closed."""

    greeted: set[str] = field(default_factory=set)
    """Scopes of which a node has said how far it holds streams."""

    _changes: dict[str, int] = field(default_factory=dict)

    @property
    def members_changed(self) -> bool:
        """Whether a node was certified or revoked in this transaction."""
        return bool(self.members_told) or self.members_anew

    def cursor(self, stream: StreamId) -> Cursor:
        """Return where a stream stands now, this transaction included."""
        found = self.cursors.get(stream) or self.state.cursors.get(stream)
        return found or Cursor(Head(stream, 0, genesis(stream)), 0, 0, frozen=False)

    def note_price(self, scope: str, sku: str, listed: Listed) -> None:
        """Remember a price that is told in this transaction."""
        own = self.prices.setdefault(scope, {})
        own[sku] = (*own.get(sku, ()), listed)

    def forget_prices(self) -> None:
        """Let only prices count that are told from now on: views are made again."""
        self.prices, self.prices_anew = {}, True

    def prices_of(self, store: str, sku: str) -> tuple[Listed, ...]:
        """Return the prices of an article that a store has heard of."""
        return tuple(listed for by_sku in self.price_lists(store) for listed in by_sku.get(sku, ()))

    def price_lists(self, store: str) -> list[Mapping[str, tuple[Listed, ...]]]:
        """Return what `prices_of` adds up, as it stands now: article to prices."""
        return [
            by_sku
            for known in (_NO_PRICES if self.prices_anew else self.state.prices, self.prices)
            for scope in (ALL, store)
            if (by_sku := known.get(scope))
        ]

    def next_change(self, store: str) -> int:
        """Return the next number of the store's feed.

        Numbers are drawn by the one writer of the store inside its transaction, so
        a reader that has seen one will never be shown a lower one later.
        """
        last = self._changes.get(store)
        if last is None:
            last = (
                self.connection.execute(
                    select(FEEDS.c.change).where(FEEDS.c.store == store)
                ).scalar()
                or 0
            )
        self._changes[store] = last + 1
        return last + 1

    def flush(self) -> None:
        """Write what was counted in memory."""
        for store, change in self._changes.items():
            moved = self.connection.execute(
                update(FEEDS).where(FEEDS.c.store == store).values(change=change)
            )
            if not moved.rowcount:
                self.connection.execute(insert(FEEDS).values(store=store, change=change))
        self._changes.clear()

    def mark(self) -> "Unit":
        """Return a copy to fall back on when the next job fails."""
        return replace(
            self,
            cursors=dict(self.cursors),
            prices={scope: dict(by_sku) for scope, by_sku in self.prices.items()},
            members_told=set(self.members_told),
            _changes=dict(self._changes),
        )

    def restore(self, mark: "Unit") -> None:
        """Forget what was noted since `mark`."""
        self.cursors, self.hlc, self.prices = mark.cursors, mark.hlc, mark.prices
        self.members_told, self._changes = mark.members_told, mark._changes  # noqa: SLF001 - its own kind
        self.members_anew = mark.members_anew
        self.lives_changed, self.prices_anew = mark.lives_changed, mark.prices_anew

    def keep_prices(self) -> None:
        """Let the state know the prices told in this transaction, which is committed."""
        if self.prices_anew:
            self.state.prices.clear()
        for scope, by_sku in self.prices.items():
            known = self.state.prices.setdefault(scope, {})
            for sku, listed in by_sku.items():
                known[sku] = tuple({*known.get(sku, ()), *listed})

    def scopes(self) -> Iterable[str]:
        """Return the scopes that have news."""
        return {stream.scope for stream in self.cursors}
