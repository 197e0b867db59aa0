"""What every thread may see of the ledger: heads and members as of the last commit.

The writing thread replaces whole dictionaries; readers take one and look at it in
peace. Listeners are woken in their own event loop, and lose nothing if one is missed:
they compare heads with what they have sent.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, Row, select

from central.ledger.tables import NODES, REVOKED
from central.ledger.unit import Cursor, Member, Unit
from sync.chain import Head, StreamId


def load_members(connection: Connection) -> dict[bytes, Member]:
    """Return every node head office has certified."""
    revoked = {
        (row.store, row.subject)
        for row in connection.execute(select(REVOKED.c.store, REVOKED.c.subject))
    }
    return {
        row.subject: member
        for row in connection.execute(select(NODES))
        if (member := _member(row, revoked=(row.store, row.subject) in revoked)) is not None
    }


def members_of(unit: Unit) -> Mapping[bytes, Member]:
    """Return every node head office has certified, this transaction included.

    What was told is looked up, the others stay: the thousandth machine is enrolled as fast
    as the first.
    """
    known, connection = unit.state.members, unit.connection
    if unit.members_anew:
        return load_members(connection)
    if not unit.members_told:
        return known
    before = {(known[node].store, node) for _, node in unit.members_told if node in known}
    found = {}
    for store, node in sorted(unit.members_told | before):  # as `load_members` meets them
        here = (NODES.c.store == store, NODES.c.subject == node)
        row = connection.execute(select(NODES).where(*here)).one_or_none()
        gone = (REVOKED.c.store == store, REVOKED.c.subject == node)
        revoked = connection.execute(select(REVOKED.c.subject).where(*gone)).first() is not None
        if row is not None and (member := _member(row, revoked=revoked)) is not None:
            found[node] = member
    return {**known, **found}


def _member(row: Row[Any], *, revoked: bool) -> Member | None:
    key = x509.load_der_x509_certificate(row.certificate).public_key()
    if not isinstance(key, Ed25519PublicKey):
        return None
    return Member(row.subject, row.store, key, row.certificate, row.name, revoked)


_Listener = tuple[asyncio.AbstractEventLoop, asyncio.Event]


class Published:
    """Heads by scope, members, and who wants to hear of news."""

    def __init__(self, cursors: Mapping[StreamId, Cursor], members: Mapping[bytes, Member]) -> None:
        """Start from what was read at opening."""
        self._scopes: dict[str, dict[StreamId, Cursor]] = {}
        self._listeners: dict[str | None, dict[_Listener, None]] = {}
        self.members: Mapping[bytes, Member] = members
        self.over: Mapping[StreamId, frozenset[bytes]] = {}
        """Streams that are over and not closed yet, and the nodes heard since (`fences`)."""

        self._over_of: Mapping[str, Mapping[StreamId, frozenset[bytes]]] = {}

        self.update(cursors, None)

    def cursors(self, *scopes: str) -> dict[StreamId, Cursor]:
        """Return where the streams of some scopes stand."""
        found: dict[StreamId, Cursor] = {}
        for scope in scopes:
            found.update(self._scopes.get(scope, {}))
        return found

    def heads(self, *scopes: str) -> list[Head]:
        """Return the heads of the streams of some scopes."""
        return [cursor.head for cursor in self.cursors(*scopes).values()]

    def over_of(self, *scopes: str) -> dict[StreamId, frozenset[bytes]]:
        """Return what of some scopes is over, and the nodes heard since."""
        found: dict[StreamId, frozenset[bytes]] = {}
        for scope in scopes:
            found.update(self._over_of.get(scope, {}))
        return found

    def show_over(self, over: Mapping[StreamId, frozenset[bytes]]) -> None:
        """Show what is over: all of it."""
        by_scope: dict[str, dict[StreamId, frozenset[bytes]]] = {}
        for stream, heard in over.items():
            by_scope.setdefault(stream.scope, {})[stream] = heard
        self.over, self._over_of = over, by_scope

    def all_scopes(self) -> Mapping[str, Mapping[StreamId, Cursor]]:
        """Return every scope's streams."""
        return MappingProxyType(self._scopes)

    def update(
        self,
        moved: Mapping[StreamId, Cursor],
        members: Mapping[bytes, Member] | None,
        over: Mapping[StreamId, frozenset[bytes]] | None = None,
    ) -> None:
        """Show what a commit has changed, and wake who listens to a scope it is about.

        Args:
            moved: Streams that moved.
            members: All of them, if they changed.
            over: All streams that are over; None: as before.
        """
        woken_scopes = {stream.scope for stream in moved}
        if over is not None:
            before = self.over
            self.show_over(over)
            woken_scopes.update(
                stream.scope
                for stream in {*before, *over}
                if before.get(stream) != over.get(stream)
            )
        by_scope: dict[str, dict[StreamId, Cursor]] = {}
        for stream, cursor in moved.items():
            by_scope.setdefault(stream.scope, {})[stream] = cursor
        scopes = dict(self._scopes)
        for scope, cursors in by_scope.items():
            scopes[scope] = {**scopes.get(scope, {}), **cursors}
        self._scopes = scopes
        if members is not None:
            self.members = members
        woken: dict[asyncio.AbstractEventLoop, list[asyncio.Event]] = {}
        for told in (None, *woken_scopes):
            for loop, listener in tuple(self._listeners.get(told, ())):
                woken.setdefault(loop, []).append(listener)
        for loop, listeners in woken.items():
            with suppress(RuntimeError):  # its loop was closed: nobody listens there any more
                loop.call_soon_threadsafe(_set_all, listeners)

    def listen(self, *scopes: str) -> asyncio.Event:
        """Return an event that is set when a stream of some scopes has moved, or is over.

        `forget` it in the end. Without scopes it is set at every commit.
        """
        listener = asyncio.Event()
        for scope in scopes or (None,):
            self._listeners.setdefault(scope, {})[asyncio.get_running_loop(), listener] = None
        return listener

    def forget(self, listener: asyncio.Event) -> None:
        """Stop waking a listener."""
        ours = (asyncio.get_running_loop(), listener)
        for scope in [scope for scope, known in self._listeners.items() if ours in known]:
            del self._listeners[scope][ours]
            if not self._listeners[scope]:
                del self._listeners[scope]


def _set_all(listeners: Iterable[asyncio.Event]) -> None:
    for listener in listeners:
        listener.set()
