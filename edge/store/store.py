"""The store of one node: the way in to the journal, the views and what is local.

Writes go through `write`, one function per unit of work; reads go through a
connection that can do nothing else.
"""

import asyncio
import contextlib
import sqlite3
from ast import literal_eval
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiosqlite
import structlog

from edge.clock import Clock
from edge.keys import NodeKey
from edge.store import (
    articles,
    backup,
    base,
    documents,
    lives,
    prune,
    reduced,
    refunds,
    shifts,
    staff,
    transit,
)
from edge.store import verify as verification
from edge.store.backup import RESTORED, Copied
from edge.store.checkouts import CheckoutView, checkout_view, checkout_views
from edge.store.connection import Connect, StoreError, connect, migrate, unusable
from edge.store.holder import StockView
from edge.store.index import SaleIndex
from edge.store.journal import DamagedFact, Journal, UnknownAuthor, fact_at, read_batch
from edge.store.lives import GreetAgain, LifeView, NewLifeNeeded
from edge.store.numbers import Numbers
from edge.store.orders import OrderView, order_view, order_views
from edge.store.prune import Pruned
from edge.store.shelf import Shelf
from edge.store.unit import (
    ArticleView,
    Life,
    SaleView,
    Unit,
    article_view,
    promotions,
    sale_view,
    settings_view,
    vat_table,
)
from edge.store.verify import Verdict
from edge.store.views import Views, reapply
from edge.store.witness import Witness, place
from edge.store.writer import Writer
from sync import checkpoint
from sync import facts as vocabulary
from sync.chain import ALL, Batch, Head, StreamId
from sync.checkpoint import Opened
from sync.clock import Reading, hlc_ms
from sync.errors import BadSignature, NotAllowed, SyncError
from sync.facts.change import ACTOR_BYTES
from sync.facts.node import StoreDescribed
from sync.facts.sale import Stage
from sync.facts.shift import ShiftClosed, ShiftTotals
from sync.identity import Identity
from sync.merge.document import Document
from sync.merge.history import History
from sync.rules.omnibus import Shown
from sync.rules.promotion import Promotion
from sync.rules.vat import Rate

T = TypeVar("T")
_log = structlog.get_logger()

CENTRAL = "central"
"""Name of head office among the peers."""

FIRST_LIFE = "enrolled"

_BEFORE_STOCK = "\x1f\U0010ffff"
"""Sorts after the cells of every other kind of right, and before every sku."""


class TokenView(NamedTuple):
    """Whose token it is, and what it opens."""

    name: str
    scope: str
    till: str | None = None
    """The only one it may act for; None: any."""

    grants: str = ""
    """What it may do, a blank between; empty: what its scope says."""


class SlipView(NamedTuple):
    """A slip and how far its printing is."""

    event: bytes
    till: str
    state: str


class Figures(NamedTuple):
    """Counts for the status page."""

    sales: int
    facts: int
    waiting: int
    """Own facts that central has not acknowledged."""

    oldest_waiting_ms: int | None
    """When the oldest of them was written."""

    slips: dict[str, int]
    quarantined: int
    unreadable: int
    frozen: int
    articles: int


_TURN = "turn"
"""Key in ``meta``: how many commits have moved no head, and are told by this alone."""

_Mark = tuple[Any, int, int, int]
"""Heads, incarnation, clock and own time, to go back to."""


async def _reading(path: Path) -> aiosqlite.Connection:
    """Open the connection that only reads."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    reader = await aiosqlite.connect(uri, uri=True, isolation_level=None)
    try:
        await reader.execute("PRAGMA cache_size = -512")
    except sqlite3.Error:
        await reader.close()
        raise
    return reader


class _Book:
    """The journal as the writer sees it."""

    def __init__(
        self,
        db: sqlite3.Connection,
        key: NodeKey,
        clock: Clock,
        store: str,
        actor: bytes,
        witness: Witness,
    ) -> None:
        migrate(db)
        self._db, self._key, self._clock, self._witness = db, key, clock, witness
        self.journal = Journal(db)
        self.life = Life.read(db, key.node, store, clock.now().ms, actor)
        clock.wrote(self.life.wrote_ms)
        self.index, self.numbers = SaleIndex(db, lags=True), Numbers(db, key.node)
        self.shelf = Shelf(
            db,
            lambda stream: self.journal.row(stream).id,
            index=self.index,
            numbers=self.numbers,
        )
        self.shelf.from_base = lambda: base.pour(db, db, base.OF_RIGHTS)
        self.views = Views(db, self.shelf)
        self._mark = self._group = self._note()
        self._now: Reading | None = None
        """Of the group: its units are of one moment."""
        self._sealed: list[Head] = []
        row = db.execute("SELECT value FROM meta WHERE key = ?", (_TURN,)).fetchone()
        self._turn = int.from_bytes(row[0], "big") if row else 0
        """Of the last commit that wrote something and moved no head."""

        self._changes: int | None = None
        """How many rows this connection had changed when the group began."""

        self.heads = self.journal.heads()
        """As committed: what a peer may be told is stored here."""

        self._pause = False
        """The group is a pause: a little of what lags behind is written with it."""

        self._unit: Unit | None = None
        self.purge = True  # a run that was cut off may have left something to destroy

    def _note(self) -> _Mark:
        life = self.life
        return self.journal.mark(), life.incarnation, life.hlc, life.wrote_ms

    def _back_to(self, mark: _Mark) -> None:
        kept, self.life.incarnation, self.life.hlc, self.life.wrote_ms = mark
        self.journal.back_to(kept)
        self.views.tills.clear()
        self._now = None

    def unit(self, *, undone_alone: bool) -> Unit:
        if undone_alone:
            self._mark = self._note()
            for part in (self.index, self.numbers, self.shelf):
                part.begin()
        if self._now is None:
            self._now = self._clock.now()
        if self._changes is None:
            self._changes = self._db.total_changes
        self.views.touched.clear()
        self.purge = self.purge or (self._unit is not None and self._unit.destroyed)
        self._unit = Unit(self._db, self.journal, self._key, self._now, self.life, self.views)
        return self._unit

    def abandon(self) -> None:
        self._changes = None
        self._back_to(self._group)
        for part in (self.index, self.numbers, self.shelf):
            part.abandon()

    def roll_back(self) -> None:
        self._back_to(self._mark)
        for part in (self.index, self.numbers, self.shelf):
            part.roll_back()

    def rest(self) -> Callable[[Unit], None] | None:
        self._pause = self.shelf.lags or self.index.lags
        return _nothing if self._pause else None

    def seal(self) -> None:
        self.journal.sign_now_and_then(self._key, self._clock.elapsed())
        self.shelf.seal(self.journal.places, pause=self._pause)
        self.index.seal(pause=self._pause)
        self._pause = False
        self._sealed = self.journal.heads()
        if self._sealed == self.heads and self._db.total_changes != self._changes:
            # Nothing else would tell afterwards whether this commit is there.
            self._turn += 1
            value = self._turn.to_bytes(8, "big")
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_TURN, value))

    def survived(self, db: sqlite3.Connection) -> bool:
        held = {head.stream: head for head in Journal(db).heads()}
        row = db.execute("SELECT value FROM meta WHERE key = ?", (_TURN,)).fetchone()
        return (
            bool(self._sealed)
            and all(held.get(h.stream) == h for h in self._sealed)
            and (int.from_bytes(row[0], "big") if row else 0) == self._turn
        )

    def committed(self) -> None:
        self.heads = self._sealed
        for part in (self.index, self.numbers, self.shelf):
            part.committed()
        self._group = self._note()
        self._now = self._changes = None
        self._clock.wrote(self.life.wrote_ms)
        self.purge = self.purge or (self._unit is not None and self._unit.destroyed)
        row = self.journal.held(self.life.stream(self._key.node))
        if row is not None:
            self._witness.note(self.life.incarnation, row.head.seq)

    def written_back(self) -> None:
        self._witness.in_file()


class Store:
    """One node's store. Made by `open`."""

    def __init__(
        self,
        path: Path,
        key: NodeKey,
        store: str,
        writer: Writer,
        reader: aiosqlite.Connection,
        witness: Witness,
    ) -> None:
        """Hold what `open` opened."""
        self._witness = witness
        self.mended: list[str] = []
        """What was damaged on disk and repaired since the start, a line each."""
        self.path, self.key, self.store = path, key, store
        self._writer, self._reader = writer, reader
        self._peers: dict[str, dict[StreamId, tuple[int, int]]] = {CENTRAL: {}}
        self._noted: set[tuple[str, StreamId]] = set()
        """What peers hold that is not on disk yet."""
        self._watchers: dict[asyncio.Event, None] = {}
        self._pruning = asyncio.Lock()

    @classmethod
    async def open(
        cls,
        path: Path,
        key: NodeKey,
        store: str,
        clock: Clock,
        *,
        connect: Connect = connect,
        incarnation: int,
        machine: str = "",
    ) -> "Store":
        """Open, migrate, and begin a new life if this is one.

        Args:
            path: The database file; made if it is not there.
            key: The node's key.
            store: The node's store: the scope of its stream.
            clock: Trusted time.
            connect: Opens the writing connection.
            incarnation: 40 bits, random and fresh for each start: the name of the life if one
                begins now, and of who edits documents.
            machine: What tells this machine from another; a change begins a life.

        Raises:
            StoreError: The file is a newer program's, damaged, or cannot be opened.
        """
        drawn = b"karb.actor.1" + key.node + incarnation.to_bytes(8, "big")
        actor = sha256(drawn).digest()[:ACTOR_BYTES]
        witness = Witness(path)
        try:
            doubt = await asyncio.to_thread(witness.look)
            writer = await asyncio.to_thread(
                Writer, path, connect, lambda db: _Book(db, key, clock, store, actor, witness)
            )
        except (sqlite3.Error, OSError, SyncError, TypeError, ValueError) as error:
            raise unusable(path, error) from error
        try:
            reader = await _reading(path)
        except sqlite3.Error as error:
            await writer.close()
            raise unusable(path, error) from error
        self = cls(path, key, store, writer, reader, witness)
        try:
            await self._begin(incarnation, machine, doubt)
            await self._load_peers()
        except BaseException:
            await self.close()
            raise
        return self

    async def _begin(self, incarnation: int, machine: str, doubt: str) -> None:
        meta: dict[str, bytes] = dict(await self._rows("SELECT key, value FROM meta"))
        here = await asyncio.to_thread(place, self.path)
        cause, reached = self._cause(meta, machine, here, doubt)
        cause = cause or await self.write(lambda unit: unit.over())
        if cause:
            # Before anything else is appended, and in one commit with what it was noticed by.
            def begin(unit: Unit) -> None:
                unit.begin_life(incarnation, cause, reached)
                unit.forget_meta(RESTORED)
                unit.meta("place", here)

            await self.write(begin)
        else:
            await self.write(lambda unit: unit.settle())
        kinds = repr(vocabulary.readable()).encode()

        def settle(unit: Unit) -> None:
            unit.meta("place", here)
            if machine:
                unit.meta("machine", machine.encode())
            if meta.get("kinds") != kinds:
                unit.meta("kinds", kinds)
                db = self._writer.db
                if set(_kinds(meta.get("kinds", b""))) - set(vocabulary.readable()):
                    # An upgrade was rolled back: what it had applied is to wait for the next one.
                    base.rebuild(self._book.views, db, self._journal.ids())
                    return
                waiting = db.execute(
                    "SELECT u.stream, u.seq, s.node, s.incarnation, s.scope FROM unreadable u "
                    "JOIN streams s ON s.id = u.stream"
                ).fetchall()
                self._book.shelf.fold_next()
                told = [
                    (id_, StreamId(node, life, scope), fact_at(db, id_, seq))
                    for id_, seq, node, life, scope in waiting
                ]  # such a fact is never dropped
                reapply(self._book.views, db, self.key, told)
                for _, stream, fact in told:
                    if stream.scope == self.store:  # a sheet waits for our marks
                        unit.sheets.react(stream, [fact])

        if (
            meta.get("kinds") != kinds
            or meta.get("machine", b"").decode() != machine
            or meta.get("place") != here
        ):
            await self.write(settle)

    def _cause(
        self, meta: Mapping[str, bytes], machine: str, here: bytes, doubt: str
    ) -> tuple[str, int]:
        """Say why a new life must begin, empty if none, and how far the old one had gone."""
        seen = self._witness.before
        life = int.from_bytes(meta.get("incarnation", b""), "big")
        reached = seen.seq if seen is not None and seen.incarnation == life else 0
        if not life:
            return FIRST_LIFE, 0
        if RESTORED in meta:
            return RESTORED, reached
        if machine and meta.get("machine", b"").decode() not in ("", machine):
            return "other machine", reached
        if doubt or meta.get("place", here) != here:
            return doubt or "other file", reached
        row = self._journal.held(self.stream)
        lived = {stream.incarnation for _, stream in self._journal.ids()}
        if seen is not None and (
            seen.incarnation not in lived or reached > (row.head.seq if row else 0)
        ):
            return "older file", reached
        return "", 0

    async def begin_life(self, incarnation: int, cause: str) -> None:
        """Begin a new incarnation: a new stream, and new receipt series, from 1.

        Raises:
            ValueError: This incarnation was lived already.
        """
        await self.write(lambda unit: unit.begin_life(incarnation, cause))

    async def life_over(self) -> str:
        """Say why the current life is over; empty while it is not."""
        return await self._read(
            lambda db: (
                "fork"
                if self.stream in self.frozen()
                else "closed"
                if self.stream in lives.fences(db)
                else ""
            )
        )

    async def lives(self) -> list[LifeView]:
        """Return what is known of our own streams, the life of now last."""
        return await self._read(lambda db: lives.lives(db, self.key.node, self.stream))

    async def kept_aside(self) -> int:
        """Return how many facts were cut off a closed stream and stand in no other known here."""
        return await self._read(lives.kept_aside)

    async def close(self) -> None:
        """Write what is noted, what lags behind the journal, and close."""
        with contextlib.suppress(StoreError):  # both are made again from the journal
            await self.keep_peer()
            await self._writer.write(lambda unit: unit.fold())
        await self._reader.close()
        await self._writer.close()
        self._witness.close()

    @property
    def full(self) -> bool:
        """Whether selling has stopped because the disk is full."""
        return self._writer.full

    @property
    def stream(self) -> StreamId:
        """Our own stream, of this life."""
        return self._book.life.stream(self.key.node)

    async def write(self, work: Callable[[Unit], T]) -> T:
        """Run `work` on a unit in the writer's thread; return once it is on disk.

        Raises:
            DiskFull: No room; nothing was stored.
            StoreError: The disk failed, and nothing of this was stored.
            Exception: Whatever `work` raised; nothing was stored.
        """
        result = await self._writer.write(work)
        self._wake()
        return result

    def _wake(self) -> None:
        for watcher in list(self._watchers):
            watcher.set()

    def watch(self) -> asyncio.Event:
        """Return an event that is set after each commit; the link waits on it."""
        watcher = asyncio.Event()
        self._watchers[watcher] = None
        return watcher

    def forget(self, watcher: asyncio.Event) -> None:
        """Set a watcher's event no more."""
        self._watchers.pop(watcher, None)

    async def rights(self, cells: Iterable[str]) -> dict[str, int]:
        """Return what this node may promise of some cells, in thousandths, as written last."""
        return await self._writer.read(
            lambda unit: {cell: unit.holder.right(cell) for cell in cells}
        )

    def heads(self) -> list[Head]:
        """Return the vector: how far each stream is held, committed."""
        return list(self._book.heads)

    @property
    def cuts(self) -> int:
        """How often a stream became shorter: what was said of it before is void."""
        return self._journal.cuts

    def frozen(self) -> set[StreamId]:
        """Return the forked streams."""
        return self._journal.frozen()

    @property
    def _book(self) -> _Book:
        return self._writer.book  # type: ignore[return-value]

    @property
    def _journal(self) -> Journal:
        return self._book.journal

    async def hash_at(self, stream: StreamId, seq: int) -> bytes | None:
        """Return the hash of a number we hold."""
        rows = await self._rows(
            "SELECT hash FROM streams JOIN facts ON place = (streams.id << 40) + ?4 "
            "WHERE node = ?1 AND incarnation = ?2 AND scope = ?3",
            (stream.node, stream.incarnation, stream.scope, seq),
        )
        return rows[0][0] if rows else None

    def base(self, stream: StreamId) -> int:
        """Return the number up to which not every fact of a stream is here; 0: all are."""
        return self._journal.base(stream)

    async def base_size(self) -> tuple[int, int, int]:
        """Return how many streams and facts the base stands for, and its bytes."""
        rows = await self._rows(
            "SELECT count(*), coalesce(sum(seq), 0), "
            "(SELECT coalesce(sum(length(frame)), 0) FROM base_frames) FROM bases"
        )
        return rows[0]

    @property
    def fresh(self) -> bool:
        """Whether this node has nothing from anybody else yet: what a checkpoint is for."""
        return not any(head.seq for head in self.heads() if head.stream.node != self.key.node)

    async def begin_from(self, file: Path, keys: Mapping[bytes, bytes]) -> Opened:
        """Begin from a checkpoint of head office's, in a file; all of it or nothing.

        Args:
            file: The checkpoint.
            keys: Of the persons in its facts.

        Raises:
            RemoteProtocolError: It is damaged, somebody else's, of another version or of
                another store, or does not go with what is here; nothing was changed.
            DiskFull, StoreError: It could not be stored.
        """
        central = dict(
            await self._rows(
                "SELECT node, public_key FROM roots WHERE store = ? AND node NOT IN "
                "(SELECT node FROM nodes WHERE revoked = 1)",
                (ALL,),
            )
        )

        def look() -> Opened:
            with file.open("rb") as source:
                frames = checkpoint.frames(source.read)
                signature, told = next(frames, b""), next(frames, b"")
            return checkpoint.opened(signature, told, central, (self.store, ALL))

        opened = await asyncio.to_thread(look)

        def work(unit: Unit) -> None:
            with file.open("rb") as source:
                unit.begin_from(opened, checkpoint.frames(source.read), keys)

        await self.write(work)
        return opened

    async def prune(self, now: Reading) -> Pruned:
        """Drop facts that are old, safe at head office and read by no view.

        Raises:
            DiskFull, StoreError: It could not be stored; what was done is whole.
        """
        async with self._pruning:
            return await self._prune(now)

    async def _prune(self, now: Reading) -> Pruned:
        if mended := await self.write(lambda unit: unit.mend_kept()):
            self.mended.append(f"{mended} facts below the base were not what was written.")
            _log.error("store.mended", told=self.mended[-1])
        left = await self._drop()  # of a time that was cut off
        if not now.trust:
            return Pruned(left, 0, "nobody has vouched for the time yet")
        safe = await self._safe()
        parts = self.path.with_name("base.partial")
        try:
            planned = await asyncio.to_thread(
                prune.plan, self.path, self.key, (self.store, ALL), safe, now.ms, parts
            )
            offset, number, end = 0, 0, parts.stat().st_size
            while not number or offset < end:
                offset, number = await self.write(
                    lambda unit, at=offset, n=number: unit.put_base(planned, at, n)  # type: ignore[misc]
                )
            await self.write(lambda unit: unit.move_base(planned))
        except prune.NotNow as why:
            return Pruned(left, 0, str(why))
        except sqlite3.Error as error:  # it reads beside the writer
            raise unusable(self.path, error) from error
        finally:
            parts.unlink(missing_ok=True)
        return Pruned(left + await self._drop(), len(planned.bases))

    async def _safe(self) -> dict[StreamId, int]:
        """Return up to where nobody will miss the facts of each stream.

        Head office keeps them safely, and every neighbour that was ever met, and is not
        revoked, has them: it may have no way to head office but this node.
        """
        safe = {stream: min(at) for stream, at in self._peers[CENTRAL].items()}
        for peer in [peer for peer in self._peers if peer != CENTRAL]:
            if not await self.revoked(bytes.fromhex(peer)):
                held = self.peer_holds(peer)
                safe = {stream: min(seq, held.get(stream, 0)) for stream, seq in safe.items()}
        return safe

    async def _drop(self) -> int:
        """Drop what the base stands for, a little at a time; return how many facts."""
        whole = await self._read(base.whole_facts)
        if await self._read(lambda db: prune.is_done(db, whole)):
            return 0
        dropped, nth = 0, 0
        after: int | None = 0
        while await self.write(lambda unit, n=nth: unit.keep_goods(n)):  # type: ignore[misc]
            nth += 1
        while after is not None:
            some, after = await self.write(lambda unit, at=after: unit.drop_some(whole, at))  # type: ignore[misc]
            dropped += some
        while await self.write(lambda unit: unit.clear_some()):
            pass
        return dropped

    async def batch(self, stream: StreamId, after: int) -> tuple[Batch, dict[bytes, bytes]] | None:
        """Return what to send of a stream after a number, and the keys of its persons.

        Raises:
            NewLifeNeeded: Our current stream is damaged on disk.
            GreetAgain: Another was, and is mended.
        """
        own = self.key if stream.node == self.key.node else None
        try:
            batch = await self._read(lambda db: _read_batch(db, stream, after, own))
        except DamagedFact as damage:
            if stream == self.stream:
                raise NewLifeNeeded("damaged", stream) from damage
            await self._mend(damage)
            raise GreetAgain(str(damage)) from damage
        if batch is None:
            return None
        keys = {}
        for person in vocabulary.persons(batch.facts):
            if key := await self.person_key(person):
                keys[person] = key
        return batch, keys

    async def _mend(self, damage: DamagedFact) -> None:
        stream = damage.stream
        stored = self._peers[CENTRAL].get(stream, (0, 0))[0]
        good, lost = await self.write(lambda unit: unit.mend(stream, stored))
        told = f"{damage} Stands up to {good}; "
        told += f"lost: {', '.join(map(str, lost))}." if lost else "nothing is known to be lost."
        self.mended.append(told)
        _log.error("store.mended", told=told)

    async def receive(
        self, batch: Batch, keys: Mapping[bytes, bytes], *, from_office: bool = False
    ) -> None:
        """Store a batch that arrived.

        Args:
            batch: As it arrived.
            keys: Of the persons in it.
            from_office: Whether head office itself brought it: of who was revoked it has what
                it took before.

        Raises:
            UnknownAuthor: Its node has not been introduced yet.
            Gap, Fork: See `Journal.receive`.
            NotAllowed: Its node may not write into that scope, or is revoked.
            RemoteProtocolError: Chain or signature do not hold.
            NewLifeNeeded, GreetAgain: It is our own end of the chain that does not.
        """
        author = batch.stream.node
        rows = await self._rows(
            "SELECT store, public_key, 0 FROM roots WHERE node = ? "
            "UNION ALL SELECT store, public_key, revoked FROM nodes WHERE node = ?",
            (author, author),
        )
        if not rows or not rows[0][1]:
            raise UnknownAuthor(f"Node {author.hex()}: no certificate of it is known here.")
        store, public_key, _ = rows[0]
        if any(revoked for *_, revoked in rows) and not (
            from_office or await self._closed(batch.stream)
        ):
            raise NotAllowed(f"Node {author.hex()}: revoked by head office.")
        if store not in (ALL, batch.stream.scope):
            raise NotAllowed(f"Node {author.hex()} of {store}: wrote into {batch.stream.scope!r}.")

        try:
            await self.write(lambda unit: unit.receive(batch, public_key, keys))
        except BadSignature as error:
            # Perhaps it is our end of the chain that is not what was written.
            await self.doubt(batch.stream, str(error))
            raise

    async def doubt(self, stream: StreamId, why: str = "A peer disagrees.") -> None:
        """Look whether what is here of a stream is what was written; mend it if not.

        Raises:
            NewLifeNeeded: It is not, and is our current stream.
            GreetAgain: It was not, and is mended.
        """
        row = self._journal.held(stream)
        own = self.key.private.public_key() if stream.node == self.key.node else None
        if row is None or not await self._read(lambda db: lives.is_damaged(db, row, own)):
            return
        if stream == self.stream:
            raise NewLifeNeeded("damaged", stream)
        await self._mend(DamagedFact(stream, row.head.seq, f"{why} Ours is damaged."))
        raise GreetAgain(why)

    async def introduce(self, identity: Identity, certificate: bytes) -> None:
        """Keep the certificate (DER) of a node of which no fact has told; it has been judged."""
        if not await self.knows(identity.node):
            await self.write(
                lambda unit: unit.introduce(
                    identity.node, identity.store, identity.public_key, certificate
                )
            )

    async def knows(self, node: bytes) -> bool:
        """Whether facts of a node can be verified here, and it is not revoked."""
        rows = await self._rows(
            "SELECT length(public_key), 0 FROM roots WHERE node = ? "
            "UNION ALL SELECT length(public_key), revoked FROM nodes WHERE node = ?",
            (node, node),
        )
        return any(size for size, _ in rows) and not any(revoked for _, revoked in rows)

    async def takes(self, stream: StreamId) -> bool:
        """Whether facts of a stream are taken from anybody.

        Of who was revoked, once head office has closed the stream: then it is known what counts.
        """
        return await self.knows(stream.node) or await self._closed(stream)

    async def _closed(self, stream: StreamId) -> bool:
        return await self._read(lambda db: stream in lives.fences(db))

    async def revoked(self, node: bytes) -> bool:
        """Whether head office has revoked a node."""
        rows = await self._rows("SELECT revoked FROM nodes WHERE node = ?", (node,))
        return bool(rows and rows[0][0])

    async def certificate(self, node: bytes) -> bytes:
        """Return a node's newest certificate (DER); empty if none came by."""
        rows = await self._rows(
            "SELECT certificate FROM nodes WHERE node = ? AND certificate != x'' "
            "UNION ALL SELECT certificate FROM introduced WHERE node = ?",
            (node, node),
        )
        return rows[0][0] if rows else b""

    async def members(self) -> dict[bytes, tuple[str, bytes]]:
        """Return the other nodes of the store that are not revoked: name and public key."""
        return {
            node: (name, key)
            for node, name, key in await self._rows(
                "SELECT node, name, public_key FROM nodes "
                "WHERE store = ? AND revoked = 0 AND node != ? UNION ALL "
                "SELECT node, '', public_key FROM roots WHERE store = ? AND node != ? "
                "AND node NOT IN (SELECT node FROM nodes)",
                (self.store, self.key.node) * 2,
            )
        }

    async def meta(self, key: str) -> bytes:
        """Return what is kept about this file; empty if nothing is."""
        rows = await self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0][0] if rows else b""

    async def office(self) -> tuple[bytes, bytes]:
        """Return the name and the public key of head office's node; empty before enrolment."""
        rows = await self._rows("SELECT node, public_key FROM roots WHERE store = ?", (ALL,))
        return rows[0] if rows else (b"", b"")

    def note_peer(
        self,
        stored: Mapping[StreamId, int],
        safe: Mapping[StreamId, int],
        peer: str = CENTRAL,
    ) -> None:
        """Note what a peer holds; kept on disk by `keep_peer`, not once per acknowledgement."""
        held = self._peers.setdefault(peer, {})
        before = dict(held)
        for stream, seq in stored.items():
            held[stream] = (seq, held.get(stream, (0, 0))[1])
        for stream, seq in safe.items():
            held[stream] = (held.get(stream, (0, 0))[0], seq)
        moved = {stream for stream, at in held.items() if before.get(stream) != at}
        self._noted |= {(peer, stream) for stream in moved}
        if moved and peer == CENTRAL:
            self._wake()  # whoever has no link to head office wants to hear of it

    def hear_of_central(self, stored: Mapping[StreamId, int], safe: Mapping[StreamId, int]) -> None:
        """Note what somebody else says central holds: only ever more, of what we hold ourselves.

        When central itself speaks, `note_peer` sets right what is wrong here.
        """
        ours = {head.stream: head.seq for head in self.heads()}
        held = self._peers[CENTRAL]

        def more(said: Mapping[StreamId, int], at: int) -> dict[StreamId, int]:
            return {
                stream: min(seq, ours[stream])
                for stream, seq in said.items()
                if min(seq, ours.get(stream, 0)) > held.get(stream, (0, 0))[at]
            }

        self.note_peer(more(stored, 0), more(safe, 1))

    def peer_holds(self, peer: str = CENTRAL) -> dict[StreamId, int]:
        """Return what a peer has acknowledged of each stream."""
        return {stream: stored for stream, (stored, _) in self._peers.get(peer, {}).items()}

    def central_holds(self) -> dict[StreamId, tuple[int, int]]:
        """Return how far central has stored each stream, and how far that is safe there."""
        return dict(self._peers[CENTRAL])

    async def keep_peer(self) -> None:
        """Put on disk what peers have acknowledged. Losing it costs a question, no fact."""
        if not self._noted:
            return
        noted, self._noted = self._noted, set()
        rows = [(peer, stream, *self._peers[peer][stream]) for peer, stream in noted]

        def work(unit: Unit) -> None:
            for row in rows:
                unit.peer(*row)

        await self._writer.write(work)

    async def _load_peers(self) -> None:
        for peer, node, life, scope, stored, safe in await self._rows(
            "SELECT peer, node, incarnation, scope, stored, safe FROM peers "
            "JOIN streams ON streams.id = peers.stream"
        ):
            self._peers.setdefault(peer, {})[StreamId(node, life, scope)] = (stored, safe)

    async def sale(self, event: bytes) -> SaleView | None:
        """Return a sale; None if it is not here."""

        def look(db: sqlite3.Connection) -> SaleView | None:
            nth = self._book.index.find(db, event)
            return None if nth is None else sale_view(db, event, nth)

        return await self._read(look)

    async def sale_by_receipt(self, series: str, number: int) -> SaleView | None:
        """Return the sale that a receipt is of; None if it is not here."""

        def look(db: sqlite3.Connection) -> SaleView | None:
            found = refunds.sale_by_receipt(db, series, number)
            return None if found is None else sale_view(db, *found)

        return await self._read(look)

    async def returned(self, event: bytes) -> refunds.ReturnView | None:
        """Return a return; None if it is not here."""
        return await self._read(lambda db: refunds.return_view(db, event))

    async def returns_of(self, sale: bytes) -> list[refunds.ReturnView]:
        """Return what was given back of a sale so far, as far as it is known here."""
        return await self._read(lambda db: refunds.returns_of(db, sale))

    async def returns(
        self, first_day: int, last_day: int, *, mistake: bool
    ) -> list[refunds.ReturnView]:
        """Return one of the two records. See `refunds.returns_between`."""
        return await self._read(
            lambda db: refunds.returns_between(db, first_day, last_day, mistake=mistake)
        )

    async def article(self, code_or_sku: str, at_ms: int) -> ArticleView | None:
        """Return an article at the price in force at `at_ms`; None if nobody sells it."""
        return await self._read(lambda db: article_view(db, code_or_sku, at_ms))

    async def search(self, text: str, at_ms: int, limit: int) -> list[ArticleView]:
        """Return articles by a part of their name. See `articles.search`."""
        return await self._read(lambda db: articles.search(db, text, at_ms, limit))

    async def vat_table(self) -> tuple[Rate, ...]:
        """Return what VAT codes mean, from which day on."""
        return await self._read(vat_table)

    async def promotions(self) -> tuple[Promotion, ...]:
        """Return every promotion that was told and not withdrawn, whenever it holds."""
        return await self._read(promotions)

    async def reduced(self, sku: str, at_ms: int) -> Shown | None:
        """Return what the law wants shown of a reduced price. See `reduced.reduced`."""
        return await self._read(lambda db: reduced.reduced(db, sku, self.store, at_ms))

    async def stock(self, sku: str) -> StockView | None:
        """Return the stock of an article; None if no fact ever touched it."""
        return await self._writer.read(lambda unit: unit.holder.stock(sku))

    async def stocks(self, after: str, limit: int) -> list[StockView]:
        """Return the stock of the articles after one, by sku, as many as asked for at most."""
        after = max(after, _BEFORE_STOCK)

        def look(unit: Unit) -> list[StockView]:
            views = map(unit.holder.stock, self._book.shelf.cells_after(after, limit))
            return [view for view in views if view is not None]

        return await self._writer.read(look)

    async def transfers(self) -> tuple[list[transit.TransferView], list[transit.TransferView]]:
        """Return what is under way to this store, and what it has sent lately."""
        return await self._read(lambda db: (transit.coming(db), transit.sent(db)))

    async def orders(self) -> list[OrderView]:
        """Return every order of head office's, those placed first at the beginning."""
        return await self._read(order_views)

    async def order(self, event: bytes) -> OrderView | None:
        """Return an order of head office's; None if it is not here."""
        return await self._read(lambda db: order_view(db, event))

    async def token(self, digest: bytes) -> TokenView | None:
        """Return whose token this is."""
        rows = await self._rows(
            "SELECT name, scope, till, grants FROM tokens WHERE digest = ?", (digest,)
        )
        return TokenView(*rows[0]) if rows else None

    async def settings(self) -> StoreDescribed:
        """Return what head office says of this store."""
        return await self._read(lambda db: settings_view(db, self.store))

    async def person_key(self, person: bytes) -> bytes | None:
        """Return the key of a person; None if it was never here, or is destroyed."""
        rows = await self._rows("SELECT key FROM person_keys WHERE person = ?", (person,))
        return rows[0][0] if rows else None

    async def document(self, document: bytes) -> tuple[History, Document | None, bool]:
        """Return a document that several people edit: its history, itself, if it is forgotten.

        The document is None where a key of it is not here, or destroyed.
        """

        def query(db: sqlite3.Connection) -> tuple[History, Document | None, bool]:
            found = documents.history(db, document)
            return found, documents.opened(db, found), documents.is_forgotten(db, document)

        return await self._read(query)

    async def customers(self, text: str) -> list[bytes]:
        """Return the customers that a code, a phone or an e-mail stands for."""
        return await self._read(lambda db: documents.customers(db, self.key, text))

    async def baskets(self) -> list[History]:
        """Return the baskets put aside that are not sold."""
        return await self._read(documents.baskets)

    async def oddities(self) -> list[documents.Odd]:
        """Return what a person should look at."""
        return await self._read(documents.oddities)

    async def open_sales(self) -> list[SaleView]:
        """Return the sales that are neither closed nor voided."""
        events = await self._rows(
            "SELECT event FROM sales WHERE stage < ? AND stream IS NOT NULL", (Stage.CLOSED,)
        )
        views = [await self.sale(event) for (event,) in events]
        return [view for view in views if view is not None]

    async def users(self) -> list[staff.UserView]:
        """Return everybody who works here."""
        return await self._read(staff.users)

    async def shift(self, till: str) -> shifts.OpenShift | None:
        """Return the shift a till is in; None: it is in none."""
        return await self._read(lambda db: shifts.current(db, till))

    async def shift_totals(self, shift: shifts.OpenShift) -> ShiftTotals:
        """Add an open shift up, as of now."""

        def look(db: sqlite3.Connection) -> ShiftTotals:
            index = self._book.index
            return shifts.added_up(db, lambda event: index.find(db, event), self.key.node, shift)

        return await self._read(look)

    async def reports(self, till: str, limit: int) -> list[ShiftClosed]:
        """Return the last Z reports of a till, the latest first."""
        return await self._read(lambda db: shifts.reports(db, till, limit))

    async def checkouts(self) -> list[CheckoutView]:
        """Return the sales under way at this node's tills."""
        return await self._read(checkout_views)

    async def checkout(self, event: bytes) -> CheckoutView | None:
        """Return a sale under way, or one that was; None where no device had a part in it."""
        return await self._read(lambda db: checkout_view(db, event))

    async def slips(self, *states: str) -> list[SlipView]:
        """Return the slips in some states."""
        marks = ", ".join("?" * len(states))
        rows = await self._rows(f"SELECT * FROM slips WHERE state IN ({marks})", states)
        return [SlipView(*row) for row in rows]

    async def waiting(self) -> tuple[int, int | None]:
        """Return how many of our own facts head office lacks, and when the oldest was written.

        Unix milliseconds; None where nothing waits.
        """
        waiting, oldest = 0, None
        for head in self.heads():
            if head.stream.node != self.key.node:
                continue
            stored = self._peers[CENTRAL].get(head.stream, (0, 0))[0]
            waiting += max(0, head.seq - stored)
            if head.seq > stored:
                rows = await self._rows(
                    "SELECT hlc FROM streams JOIN facts ON place = (streams.id << 40) + ?4 "
                    "WHERE node = ?1 AND incarnation = ?2 AND scope = ?3",
                    (*_key(head.stream), stored + 1),
                )
                written = hlc_ms(rows[0][0]) if rows else None
                if written is not None and (oldest is None or written < oldest):
                    oldest = written
        return waiting, oldest

    async def figures(self) -> Figures:
        """Return the counts of the status page."""
        waiting, oldest = await self.waiting()

        async def count(what: str) -> int:
            return int((await self._rows(f"SELECT count(*) FROM {what}"))[0][0])

        return Figures(
            sales=await count("sales"),
            facts=sum(head.seq for head in self.heads()),
            waiting=waiting,
            oldest_waiting_ms=oldest,
            slips=dict(await self._rows("SELECT state, count(*) FROM slips GROUP BY state")),
            quarantined=await count("quarantine"),
            unreadable=await count("unreadable"),
            frozen=len(self.frozen()),
            articles=await count("(SELECT DISTINCT sku FROM articles)"),
        )

    async def append_kept(self) -> int:
        """Append what was cut off others' streams, as a person ordered; return how many facts."""
        return await self.write(lives.append_kept)

    async def backup(self, target: Path) -> Copied:
        """Copy the database beside the running writer. See `backup.copy`.

        Raises:
            BadCopy: The file exists, or cannot be written.
        """
        return await asyncio.to_thread(backup.copy, self.path, target)

    async def verify(self) -> Verdict:
        """Check the whole journal and the views against it, beside the running writer."""
        return await asyncio.to_thread(verification.verify_file, self.path)

    async def _rows(self, sql: str, values: Iterable[object] = ()) -> list[tuple[Any, ...]]:
        try:
            return list(await self._reader.execute_fetchall(sql, tuple(values)))  # type: ignore[arg-type]
        except sqlite3.Error as error:
            raise unusable(self.path, error) from error

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a whole query in one hop to the reading connection's thread."""
        try:
            result: T = await self._reader._execute(query, self._reader._conn)  # type: ignore[no-untyped-call]  # noqa: SLF001 - aiosqlite has no public call for it
        except sqlite3.Error as error:
            raise unusable(self.path, error) from error
        return result


def _nothing(_: Unit) -> None:
    """Do nothing: a pause is for what is written when a group is sealed."""


def _read_batch(
    db: sqlite3.Connection, stream: StreamId, after: int, own: NodeKey | None
) -> Batch | None:
    try:
        return read_batch(db, stream, after, own=own)
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):  # a flipped bit can make a text that is none
            raise
        raise DamagedFact(stream, after + 1, f"Stream {stream}, after {after}: {error}.") from error


def _kinds(noted: bytes) -> tuple[tuple[str, int], ...]:
    """Return the kinds that the program before this one could read, as noted."""
    return literal_eval(noted.decode()) if noted else ()


def _key(stream: StreamId) -> tuple[bytes, int, str]:
    return stream.node, stream.incarnation, stream.scope
