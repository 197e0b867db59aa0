"""What every thread may see of the ledger: heads and members as of the last commit.

The writing thread replaces whole dictionaries; readers take one and look at it in
peace. Listeners are woken in their own event loop, and lose nothing if one is missed:
they compare heads with what they have sent.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, select

from central.ledger.tables import NODES, REVOKED
from central.ledger.unit import Cursor, Member
from sync.chain import Head, StreamId


def load_members(connection: Connection) -> dict[bytes, Member]:
    """Return every node head office has certified."""
    revoked = {
        (row.store, row.subject)
        for row in connection.execute(select(REVOKED.c.store, REVOKED.c.subject))
    }
    found = {}
    for row in connection.execute(select(NODES)):
        key = x509.load_der_x509_certificate(row.certificate).public_key()
        if isinstance(key, Ed25519PublicKey):
            found[row.subject] = Member(
                row.subject,
                row.store,
                key,
                row.certificate,
                row.name,
                (row.store, row.subject) in revoked,
            )
    return found


_Listener = tuple[asyncio.AbstractEventLoop, asyncio.Event]


class Published:
    """Heads by scope, members, and who wants to hear of news."""

    def __init__(self, cursors: Mapping[StreamId, Cursor], members: Mapping[bytes, Member]) -> None:
        """Start from what was read at opening."""
        self._scopes: dict[str, dict[StreamId, Cursor]] = {}
        self._listeners: dict[str | None, set[_Listener]] = {}
        self.members: Mapping[bytes, Member] = members
        self.over: Mapping[StreamId, frozenset[bytes]] = {}
        """Streams that are over and not closed yet, and the nodes heard since (`fences`)."""

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
            before, self.over = self.over, over
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
            self._listeners.setdefault(scope, set()).add((asyncio.get_running_loop(), listener))
        return listener

    def forget(self, listener: asyncio.Event) -> None:
        """Stop waking a listener."""
        ours = (asyncio.get_running_loop(), listener)
        for scope in [scope for scope, known in self._listeners.items() if ours in known]:
            self._listeners[scope].discard(ours)
            if not self._listeners[scope]:
                del self._listeners[scope]


def _set_all(listeners: Iterable[asyncio.Event]) -> None:
    for listener in listeners:
        listener.set()
