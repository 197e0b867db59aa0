"""The one thread that writes: units of work, committed in groups.

Tills that sell at the same time share an fsync: the units of one turn of the event
loop come over together, and while a commit is on its way to the disk, those that
arrive wait in a queue; the next commit takes them all. A unit is one function, run in
one hop to this thread; it is told of its result only after the commit.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from edge.store.connection import (
    Connect,
    DiskFull,
    OutcomeUnknown,
    StoreError,
    is_disk_full,
    unusable,
)

T = TypeVar("T")

MAX_GROUP = 64
"""Units of one commit."""

RESERVE_BYTES = 4 << 20
"""What is kept free for the sales that are open when the disk is full."""

CHECKPOINT_BUSY = 4000
"""Units after which the WAL, some 12 MB by then, is written back even while others wait."""

CHECKPOINT_IDLE = 100
"""Units after which an idle moment is used to write it back."""

IDLE_S = 0.05
"""Nothing came for so long: an idle moment. A till that sells on and on has none."""


class Book(Protocol):
    """What the writer writes in: opened on a connection, closed by a commit."""

    purge: bool
    """Something was destroyed: no page of it may stay in the WAL."""

    def unit(self, *, undone_alone: bool) -> Any:
        """Begin a unit; what it returns is handed to the work.

        Args:
            undone_alone: `roll_back` may follow; else only `abandon`.
        """

    def roll_back(self) -> None:
        """Forget the unit begun last."""

    def abandon(self) -> None:
        """Forget every unit since the last commit."""

    def rest(self) -> Callable[[Any], None] | None:
        """Return what a pause is good for, a short unit of its own; None if nothing lags behind."""

    def seal(self) -> None:
        """Finish a group, inside its transaction and before its commit."""

    def survived(self, db: sqlite3.Connection) -> bool:
        """Whether the group sealed last is in the database."""

    def committed(self) -> None:
        """Hear that the group is on disk."""

    def written_back(self) -> None:
        """Hear that the main file has everything, and the WAL nothing more."""


class _Job(NamedTuple):
    work: Callable[[Any], Any]
    future: asyncio.Future[Any]


_Result = tuple[Any, Exception | None]


class Writer:
    """Owns the writing connection and its thread."""

    def __init__(self, path: Path, connect: Connect, open_book: Callable[[Any], Book]) -> None:
        """Open the database and start the thread."""
        self._path, self._connect, self._open_book = path, connect, open_book
        self._queue: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._turn: list[_Job] = []
        """Units of this turn of the event loop."""

        self._broken: Exception | None = None
        self._since = 0
        self.full = False
        """The disk is full: the reserve has been given up, nothing new is taken."""

        self._reserve = path.with_name("reserve")
        self.db = connect(path)
        try:
            self.book = open_book(self.db)
        except BaseException:
            self.db.close()
            raise
        self._keep_reserve()
        self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Callable[[Any], T]) -> T:
        """Run `work` on a unit and return its result, once it is on disk.

        `work` may run more than once (after a full disk was relieved): it must do
        nothing but write to the unit.

        Raises:
            DiskFull: No room; nothing was stored.
            StoreError: The disk failed; what survived was looked up, and this did not.
            OutcomeUnknown: The disk failed, and goes on failing: ask for it by its id later.
            Exception: Whatever `work` raised; nothing of it was stored.
        """
        if self._broken is not None:
            raise StoreError(f"The store is closed: {self._broken}") from self._broken
        if self.full:
            raise DiskFull("The disk is full: free some space and start again; sales are stopped.")
        return await self._submit(work)

    async def read(self, work: Callable[[Any], T]) -> T:
        """Run `work`, which writes nothing, on a unit, and return its result; on a full disk too.

        Raises:
            StoreError: The store is closed.
            Exception: Whatever `work` raised.
        """
        if self._broken is not None:
            raise StoreError(f"The store is closed: {self._broken}") from self._broken
        return await self._submit(work)

    def _submit(self, work: Callable[[Any], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._turn.append(_Job(work, future))
        if len(self._turn) == 1:
            loop.call_soon(self._hand_over)
        return future

    def _hand_over(self) -> None:
        """Give the thread what this turn brought: tills that were told together sell together."""
        turn, self._turn = self._turn, []
        if turn:
            self._queue.put(turn)

    async def close(self) -> None:
        """Finish what waits, write the WAL back, close."""
        self._hand_over()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._broken = self._broken or StoreError("closed")

    def _run(self) -> None:
        waiting: list[_Job] = []
        last = False
        while waiting or not last:
            if not waiting:
                turn = self._next()
                last = turn is None
                waiting = turn or []
            while len(waiting) < MAX_GROUP and not last:
                try:
                    turn = self._queue.get_nowait()
                except queue.Empty:
                    break
                last = turn is None
                waiting += turn or []
            group, waiting = waiting[:MAX_GROUP], waiting[MAX_GROUP:]
            if group:
                self._commit(group)
                self._since += len(group)
                self._checkpoint(CHECKPOINT_BUSY)
        self._checkpoint(0)
        self.db.close()

    def _next(self) -> list[_Job] | None:
        """Wait for what comes next; a pause is used to write the WAL back."""
        if self._since >= CHECKPOINT_IDLE:
            try:
                return self._queue.get(timeout=IDLE_S)
            except queue.Empty:
                if self._rest():
                    self._checkpoint(CHECKPOINT_IDLE)
        return self._queue.get()

    def _rest(self) -> bool:
        """Do in a pause what would hold up a sale later; return whether it lasted."""
        while self._queue.empty() and (work := self.book.rest()) is not None:
            try:
                self._attempt([work])
            except Exception:  # noqa: BLE001 - nobody asked for it; whoever writes next is told
                break
        return self._queue.empty()

    def _commit(self, group: list[_Job]) -> None:
        try:
            results = self._attempt([job.work for job in group])
        except sqlite3.Error as error:
            if is_disk_full(error) and self._reserve.exists():
                # The sales that are open may finish on the reserve; then selling stops.
                self._reserve.unlink()
                self.full = True
                self._commit(group)
                return
            reason: Exception = (
                DiskFull("The disk is full; nothing was stored.")
                if is_disk_full(error)
                else StoreError(f"The store could not write: {error}. Check the disk.")
            )
            results = [(None, reason) for _ in group]
        except Exception as error:  # noqa: BLE001 - told to every unit, then the thread goes on
            results = [(None, error) for _ in group]
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], _Result]]] = {}
        for job, result in zip(group, results, strict=True):
            by_loop.setdefault(job.future.get_loop(), []).append((job.future, result))
        for loop, told in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_tell, told)

    def _attempt(self, group: list[Callable[[Any], Any]]) -> list[_Result]:
        """Commit a group; without savepoints if all goes well, which it nearly always does."""
        alone = len(group) == 1
        results = None if alone else self._all_or_none(group)
        if results is None:
            results = self._each(group, alone=alone)
        try:
            self.db.execute("COMMIT")
        except sqlite3.Error as error:
            if not self._reopen():
                self._bury(error)
                raise
            self._make_sure()
        self.book.committed()
        return results

    def _bury(self, error: sqlite3.Error) -> None:
        """Write over what a refused commit may have left in the WAL.

        A flush that failed may have written all the same, and whoever starts from that file
        (after a crash or a power cut) would find what was refused. What is committed next
        takes the same place, so something is committed at once.

        Raises:
            OutcomeUnknown: That failed, too.
        """
        try:
            (version,) = self.db.execute("PRAGMA user_version").fetchone()
            self.db.execute(f"PRAGMA user_version = {version}")
        except sqlite3.Error as worse:
            if is_disk_full(error) and self._reserve.exists():
                return  # the group is tried again, in the same place
            raise OutcomeUnknown(
                f"The disk failed, and failed again ({error}; {worse}): whether this was stored "
                "is not known. Check the disk, and ask for it by its id before doing it again."
            ) from worse

    def _make_sure(self) -> None:
        """Have on disk what is seen to have survived though its flush failed.

        A flush that succeeds after one that failed proves nothing of what the first was to
        write. Written back into the database file, it is written anew.

        Raises:
            OutcomeUnknown: It cannot be; nothing more is stored in this run.
        """
        try:
            busy, pages, done = self.db.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
            reason = "readers were in the way" if busy or pages != done else ""
        except sqlite3.Error as error:
            reason = str(error)
        if reason:
            self._broken = OutcomeUnknown(
                f"The disk failed, and what was to be stored can be read, but not made sure "
                f"({reason}). Check the disk, start again, and ask for it by its id."
            )
            raise self._broken

    def _all_or_none(self, group: list[Callable[[Any], Any]]) -> list[_Result] | None:
        """Run a group up to its commit; None, and nothing is left of it, if a unit fails."""
        try:
            self.db.execute("BEGIN IMMEDIATE")
            begin = self.book.unit
            results: list[_Result] = [(work(begin(undone_alone=False)), None) for work in group]
            self.book.seal()
        except Exception:  # noqa: BLE001 - each unit is run again, and told of its own error
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            self.book.abandon()
            return None
        return results

    def _each(self, group: list[Callable[[Any], Any]], *, alone: bool) -> list[_Result]:
        """Run a group up to its commit, each unit in a savepoint of its own."""
        execute = self.db.execute
        results: list[_Result] = []
        try:
            execute("BEGIN IMMEDIATE")
            for work in group:
                if not alone:
                    execute("SAVEPOINT unit")
                unit = self.book.unit(undone_alone=True)
                try:
                    results.append((work(unit), None))
                except sqlite3.OperationalError as error:
                    if is_disk_full(error):
                        raise
                    self._undo(results, error, alone=alone)
                except Exception as error:  # noqa: BLE001 - the caller's, and told to the caller
                    self._undo(results, error, alone=alone)
                if not alone:
                    execute("RELEASE unit")
            self.book.seal()
        except BaseException:
            self._reopen()
            raise
        return results

    def _undo(self, results: list[_Result], error: Exception, *, alone: bool) -> None:
        self.db.execute("ROLLBACK" if alone else "ROLLBACK TO unit")
        if alone:
            self.db.execute("BEGIN")  # an empty transaction, for the commit that follows
        self.book.roll_back()
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, sqlite3.IntegrityError
        ):
            error = unusable(self._path, error)
        results.append((None, error))

    def _reopen(self) -> bool:
        """Start from what is on disk; return whether the last group survived there.

        Raises:
            OutcomeUnknown: The disk lets nobody look; nothing more is stored in this run.
        """
        before = self.book
        try:
            self.db.close()
            self.db = self._connect(self._path)
            survived = before.survived(self.db)
            self.book = self._open_book(self.db)
        except Exception as error:
            self._broken = OutcomeUnknown(
                f"The disk failed, and what is on it cannot be looked up ({error}). Check the "
                "disk, start again, and ask by its id for what was being stored."
            )
            raise self._broken from error
        return survived

    def _checkpoint(self, after: int) -> None:
        if self._since < after and not self.book.purge:
            return
        how = "TRUNCATE" if self.book.purge else "PASSIVE"
        try:
            busy, pages, done = self.db.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
            self.book.purge = self.book.purge and bool(busy)  # a reader looks on: next time
            if not busy and pages == done:
                self.book.written_back()
        except sqlite3.Error:
            return  # the WAL holds everything; the next idle moment tries again
        self._since = 0

    def _keep_reserve(self) -> None:
        try:
            if not self._reserve.exists() or self._reserve.stat().st_size < RESERVE_BYTES:
                self._reserve.write_bytes(bytes(RESERVE_BYTES))
        except OSError:
            self._reserve.unlink(missing_ok=True)


def _tell(told: list[tuple[asyncio.Future[Any], _Result]]) -> None:
    for future, (result, error) in told:
        if future.done():  # whoever waited has gone
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
