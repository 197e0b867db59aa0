"""The one thread that writes: it takes every waiting job, commits once, then answers.

Jobs are functions of a `Unit`; each runs in a savepoint, so one that fails takes
nothing of the others with it. Batches from stores that wait side by side are taken
in together (`ingest`). What other threads may see is published after the commit.

Should the thread itself fail, nobody waits in vain: all are told, `lost` says so to
whoever watches, and the process is to end (`central.app`).
"""

import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from central.ledger import fences, journal, views
from central.ledger.errors import LedgerUnavailable, OutcomeUnknown
from central.ledger.ingest import Incoming, Outcome, ingest
from central.ledger.published import Published, members_of
from central.ledger.unit import State, Unit
from central.ledger.witness import Witness
from sync.clock import merge

T = TypeVar("T")

MAX_GROUP_FACTS = 8000
"""Facts of one commit: bounds how long a reader's news and a small job wait."""


@dataclass(slots=True)
class Job(Generic[T]):
    """Something to do in a transaction, and who waits for it."""

    work: Callable[[Unit], T]
    answer: "Future[T]"


@dataclass(slots=True)
class Arrival:
    """Batches of one conversation, and who waits for them."""

    batches: list[Incoming]
    answer: "Future[list[Outcome]]"


_Waiting = Job[Any] | Arrival | None

log = structlog.get_logger()


def wall_ms() -> int:
    """Return the system clock, Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Writer:
    """Owns the writing connection."""

    def __init__(
        self,
        connection: Connection,
        state: State,
        published: Published,
        witness: Witness,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        """Start the thread; `state` must have been read from this connection."""
        self._connection = connection
        self._state = state
        self._published = published
        self._witness = witness
        self._now_ms = now_ms
        self._waiting: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._group: list[Job[Any] | Arrival] = []
        self._purge = True  # a run that was cut off may have left something to destroy
        self._ended: LedgerUnavailable | None = None
        self.lost: Future[NoReturn] = Future()
        """Fails when the thread does; is never done otherwise."""
        self.lost.set_running_or_notify_cancel()  # who watches may go, and cancels nothing
        self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """How many jobs wait."""
        return self._waiting.qsize()

    def submit(self, work: Callable[[Unit], T]) -> "Future[T]":
        """Have something done in a transaction; the future is done after the commit."""
        job: Job[T] = Job(work, Future())
        self._put(job)
        return job.answer

    def take(self, batches: list[Incoming]) -> "Future[list[Outcome]]":
        """Have batches taken in; the future is done after the commit."""
        arrival = Arrival(batches, Future())
        self._put(arrival)
        return arrival.answer

    def close(self) -> None:
        """Do what waits, then stop."""
        self._waiting.put(None)
        self._thread.join()

    def _put(self, waiting: Job[Any] | Arrival) -> None:
        self._waiting.put(waiting)
        if self._ended:  # first put, then look: `_run` does it the other way round
            self._refuse_all(self._ended)

    def _run(self) -> None:
        try:
            self._work()
            self._ended = LedgerUnavailable("The ledger is closed; nothing was stored.")
        except BaseException as error:  # whatever it is, nobody may wait for this thread any more
            log.critical("the ledger's writing thread failed", exc_info=error)
            self._ended = OutcomeUnknown(
                f"The ledger's writing thread failed ({type(error).__name__}: {error}); what "
                "it had in hand may be stored or not: look, or send it again."
            )
            self.lost.set_exception(self._ended)
        self._refuse_all(self._ended)

    def _refuse_all(self, failure: LedgerUnavailable) -> None:
        for waiting in self._group:
            if not waiting.answer.done():
                waiting.answer.set_exception(failure)
        self._group = []
        while True:
            try:
                late = self._waiting.get_nowait()
            except queue.Empty:
                return
            if late is not None and late.answer.set_running_or_notify_cancel():
                late.answer.set_exception(failure)

    def _work(self) -> None:
        while self._turn():
            pass

    def _turn(self) -> bool:
        """Commit what waits, once something does; return whether more may come."""
        group = self._group = []
        size = 0
        waiting = self._waiting.get()
        while waiting is not None:
            # From here on it cannot be cancelled: whoever waits may have hung up.
            if waiting.answer.set_running_or_notify_cancel():
                group.append(waiting)
                size += _size(waiting)
            if size >= MAX_GROUP_FACTS:
                break
            try:
                waiting = self._waiting.get_nowait()
            except queue.Empty:
                break
        if group:
            self._commit(group)
        return waiting is not None

    def _commit(self, group: list[Job[Any] | Arrival]) -> None:
        unit = Unit(self._connection, self._state, self._now_ms())
        done: list[Callable[[], None]] = []
        sealed = False
        try:
            with self._connection.begin():
                for part in _together(group):
                    done += self._do(unit, part)
                self._settle_lives(unit)
                unit.flush()
                journal.write_cursors(unit)
                sealed = True
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            if sealed:
                self._bury(error)
            failure = _told(error)
            for waiting in group:
                if not waiting.answer.done():
                    waiting.answer.set_exception(failure)
            self._roll_back()
            return
        self._publish(unit)
        self._purge = self._purge or unit.destroyed
        if self._purge:
            self._purge_wal()
        for answer in done:
            answer()

    def _bury(self, error: Exception) -> None:
        """Write over what a refused commit may have left in the WAL.

        A flush that failed may have written all the same, and whoever starts from that file
        (after a crash or a power cut) would find what was refused. What is committed next
        takes the same place, so something is committed at once.

        Raises:
            OutcomeUnknown: That failed, too: the thread is to end, and a start looks.
        """
        code = getattr(getattr(error, "orig", error), "sqlite_errorcode", 0) or 0
        if code & 0xFF == sqlite3.SQLITE_FULL:
            return  # the end of it was never written
        self._roll_back()
        raw: Any = self._connection.connection.dbapi_connection
        try:
            (version,) = raw.execute("PRAGMA user_version").fetchone()
            raw.execute(f"PRAGMA user_version = {version}")
        except sqlite3.Error as worse:
            raise OutcomeUnknown(f"{error}; and again: {worse}") from worse

    def _purge_wal(self) -> None:
        """Leave no page of a destroyed key in the WAL; a reader that looks on: next time."""
        raw: Any = self._connection.connection.dbapi_connection
        raw.execute("PRAGMA busy_timeout=200").fetchall()
        try:
            ((busy, *_),) = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._purge = bool(busy)
        except sqlite3.Error as error:
            log.warning("the WAL could not be cut off", error=str(error))
        finally:
            raw.execute("PRAGMA busy_timeout=5000").fetchall()

    def _roll_back(self) -> None:
        """Leave no transaction behind where COMMIT has failed; raise if even that fails."""
        raw: Any = self._connection.connection.dbapi_connection
        if raw.in_transaction:
            raw.rollback()

    def _do(self, unit: Unit, part: Job[Any] | list[Arrival]) -> list[Callable[[], None]]:
        """Run a job, or arrivals together; return how to answer once it is committed."""
        mark = unit.mark()
        waiting = part if isinstance(part, list) else [part]
        try:
            with self._connection.begin_nested():
                if isinstance(part, Job):
                    result = part.work(unit)
                    return [lambda: part.answer.set_result(result)]
                return _ingest(unit, part)
        except Exception as error:
            raw: Any = self._connection.connection.dbapi_connection
            if not raw.in_transaction:
                raise  # the disk failed, and SQLite has undone everything, not this job alone
            unit.restore(mark)
            failure = _told(error)
            return [
                lambda answer=job.answer: answer.set_exception(failure)  # type: ignore[misc]
                for job in waiting
            ]

    def _settle_lives(self, unit: Unit) -> None:
        """Close what is over, and let go of what a fence cuts off."""
        jobs: list[Job[Any]] = []
        moved = {stream.scope for stream in unit.cursors}
        if (
            unit.greeted
            or unit.members_changed
            or any(stream.scope in moved for stream in self._state.over)
        ):
            jobs.append(Job(fences.decide, Future()))
        jobs.append(Job(_conform, Future()))
        for job in jobs:
            if job.work is _conform and not unit.lives_changed:
                continue
            for answer in self._do(unit, job):
                answer()
            if error := job.answer.exception():
                log.error("lives could not be settled", exc_info=error)

    def _publish(self, unit: Unit) -> None:
        self._state.cursors.update(unit.cursors)
        fences.note(self._state, unit.cursors)
        if unit.lives_changed:
            with self._connection.begin():
                fences.load(self._connection, self._state)
        own = self._state.own
        if any(stream.node == own.node for stream in unit.cursors):
            self._witness.note(
                own.incarnation,
                sum(
                    cursor.head.seq
                    for stream, cursor in self._state.cursors.items()
                    if (stream.node, stream.incarnation) == (own.node, own.incarnation)
                ),
            )
        unit.keep_prices()
        for cursor in unit.cursors.values():
            self._state.last_hlc = merge(self._state.last_hlc, cursor.hlc, unit.now_ms)
        self._state.last_hlc = max(self._state.last_hlc, unit.hlc)
        if unit.members_changed:
            with self._connection.begin():
                self._state.members = members_of(unit)
        self._published.update(
            unit.cursors,
            self._state.members if unit.members_changed else None,
            {stream: frozenset(told) for stream, told in self._state.over.items()},
        )


def _ingest(unit: Unit, part: list[Arrival]) -> list[Callable[[], None]]:
    outcomes = iter(ingest(unit, [batch for arrival in part for batch in arrival.batches]))
    shares = [(arrival, [next(outcomes) for _ in arrival.batches]) for arrival in part]
    return [
        lambda arrival=arrival, share=share: arrival.answer.set_result(share)  # type: ignore[misc]
        for arrival, share in shares
    ]


def _conform(unit: Unit) -> None:
    if fences.conform(unit):
        journal.write_cursors(unit)
        views.rebuild(unit)


def _together(group: list[Job[Any] | Arrival]) -> list[Job[Any] | list[Arrival]]:
    """Put arrivals that stand side by side into one list."""
    parts: list[Job[Any] | list[Arrival]] = []
    for waiting in group:
        if isinstance(waiting, Job):
            parts.append(waiting)
        elif parts and isinstance(parts[-1], list):
            parts[-1].append(waiting)
        else:
            parts.append([waiting])
    return parts


def _size(waiting: Job[Any] | Arrival) -> int:
    if isinstance(waiting, Job):
        return 1
    return sum(len(incoming.batch.facts) for incoming in waiting.batches)


def _told(error: Exception) -> Exception:
    if isinstance(error, DBAPIError):
        return LedgerUnavailable(f"The ledger cannot be written: {error.orig}; nothing was stored.")
    return error
