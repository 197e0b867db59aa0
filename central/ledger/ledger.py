"""The ledger as the rest of central sees it: await a write, a read, a batch taken in."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypeAlias, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from central.ledger import assortment, author, documents, fences, journal, lives, views
from central.ledger.database import READERS, Database, unusable
from central.ledger.ingest import Incoming, Outcome
from central.ledger.published import Published, load_members
from central.ledger.unit import Own, State, Unit
from central.ledger.witness import Witness
from central.ledger.writer import Writer, wall_ms
from sync.chain import ALL, EVENT_BYTES, Batch, Head, StreamId
from sync.exchange.messages import StreamRef
from sync.exchange.session import pack
from sync.facts.node import NodeEnrolled
from sync.identity import node_id, raw_public

T = TypeVar("T")

Moment: TypeAlias = Connection
"""What a question is asked of: the ledger as it stood at one moment."""

_Parcel = tuple[Batch, dict[bytes, bytes], bytes]
"""A batch, keys of persons in it, and its payload, empty if there are keys."""

_Wanted = tuple[StreamId, int, Head, StreamRef]
"""After which number, up to where, for who calls the stream so."""

_PARCELS = 64
"""Packed batches of all stores' streams kept at hand."""


class Ledger:
    """An open ledger. Close it in the end."""

    def __init__(
        self,
        database: Database,
        connection: Connection,
        state: State,
        witness: Witness,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        """Take an open connection; use `Ledger.open`."""
        self._database = database
        self._connection = connection
        self._state = state
        self.published = Published(state.cursors, state.members)
        self.published.show_over({stream: frozenset() for stream in state.over})
        self._witness = witness
        self._writer = Writer(connection, state, self.published, witness, now_ms)
        self._pool = ThreadPoolExecutor(READERS, "ledger-reader")
        self._parcels: dict[
            tuple[StreamId, int, Head, StreamRef], asyncio.Task[_Parcel | None]
        ] = {}

    @classmethod
    def create(cls, path: Path, key: Ed25519PrivateKey, certificate: bytes) -> None:
        """Make a new ledger: its tables, central's first life, its own certificate (DER).

        Raises:
            LedgerUnavailable: The file cannot be made.
        """
        database = Database(path)
        connection = database.open()
        try:
            with connection.begin():
                lives.begin(connection)
        finally:
            connection.close()
            database.close()
        ledger = cls.open(path, key)
        enrolled = NodeEnrolled(ledger.own.node, ALL, certificate, "central")
        try:
            ledger._writer.submit(  # noqa: SLF001 - its own
                lambda unit: author.write(unit, ALL, [(secrets.token_bytes(EVENT_BYTES), enrolled)])
            ).result()
        finally:
            ledger.close()

    @classmethod
    def open(
        cls, path: Path, key: Ed25519PrivateKey, now_ms: Callable[[], int] = wall_ms
    ) -> "Ledger":
        """Open, bring the tables up to date, and apply what is readable since an upgrade.

        Raises:
            LedgerUnavailable: There is no ledger, or it cannot be read.
        """
        if not path.exists() or not path.stat().st_size:
            raise unusable(path, "gone")
        database = Database(path)
        witness = Witness(path)
        try:
            doubt = witness.doubt()
            connection = database.open()
            with connection.begin():
                cursors = journal.load_cursors(connection)
                incarnation = lives.current(
                    connection, node_id(raw_public(key.public_key())), witness, doubt=doubt
                )
                own = Own(node_id(raw_public(key.public_key())), key, incarnation)
                state = State(own, cursors=cursors, members=load_members(connection))
                fences.load(connection, state)
                state.prices = assortment.all_prices(connection)
            state.last_hlc = max(
                (cursor.hlc for s, cursor in cursors.items() if s.node == own.node), default=0
            )
            ledger = cls(database, connection, state, witness, now_ms)
        except (DBAPIError, OSError, ValueError, TypeError) as error:
            database.close()
            raise unusable(path, getattr(error, "orig", error)) from error
        except BaseException:
            database.close()
            raise
        try:
            for work in (views.refresh, lives.announce, views.reapply, documents.share):
                ledger._writer.submit(work).result()
        except BaseException:
            with suppress(DBAPIError):
                ledger.close()
            raise
        return ledger

    @property
    def own(self) -> Own:
        """Central as an author, in its life of now."""
        return self._state.own

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    @property
    def waiting(self) -> int:
        """Jobs the writing thread has not begun."""
        return self._writer.depth

    @property
    def lost(self) -> "Future[NoReturn]":
        """Fails, with a LedgerUnavailable, when nothing will ever be written again."""
        return self._writer.lost

    async def write(self, work: Callable[[Unit], T]) -> T:
        """Do something in a transaction of its own; return after the commit.

        Raises:
            LedgerUnavailable: Nothing was stored.
            Exception: Whatever `work` raised; nothing of it was stored.
        """
        return await asyncio.wrap_future(self._writer.submit(work))

    async def take(self, batches: list[Incoming]) -> list[Outcome]:
        """Take batches in; return after the commit what became of each.

        Raises:
            LedgerUnavailable: Nothing was stored.
        """
        return await asyncio.wrap_future(self._writer.take(batches))

    async def read(self, question: Callable[[Connection], T]) -> T:
        """Ask something of one moment of the ledger."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._ask, question)

    async def packed(self, stream: StreamId, after: int, ref: StreamRef) -> _Parcel | None:
        """Return what follows a number of a stream, packed for who calls it `ref`.

        Not packed where keys of persons go with it: those are locked for each peer.

        What is of all stores is read and packed once for all who wait for it.

        Raises:
            LedgerUnavailable: The journal cannot be read.
        """
        head = self.published.cursors(stream.scope).get(stream)
        if stream.scope != ALL or head is None:
            return await self.read(lambda connection: _packed(connection, stream, after, ref))
        key = (stream, after, head.head, ref)
        task = self._parcels.get(key)
        if task is None:
            task = asyncio.create_task(
                self.read(lambda connection: _packed(connection, stream, after, ref))
            )
            self._parcels[key] = task
            while len(self._parcels) > _PARCELS:
                del self._parcels[next(iter(self._parcels))]
        try:
            found = await asyncio.shield(task)
        except BaseException:
            if task.done():  # a failure is nothing to hand out twice
                self._parcels.pop(key, None)
            raise
        if found and found[1]:  # a key that is handed out is read anew each time: it may go
            self._parcels.pop(key, None)
        return found

    def _ask(self, question: Callable[[Connection], T]) -> T:
        with self._database.reading() as connection:
            return question(connection)

    def close(self) -> None:
        """Finish what waits, then close; the writing connection is the last."""
        self._writer.close()
        self._pool.shutdown()
        self._connection.close()
        self._database.close()
        self._witness.close()


def _packed(connection: Connection, stream: StreamId, after: int, ref: StreamRef) -> _Parcel | None:
    found = journal.batch_with_keys(connection, stream, after)
    if found is None:
        return None
    batch, keys = found
    return batch, keys, b"" if keys else pack(ref, batch)


__all__ = ["Ledger", "Moment", "wall_ms"]
