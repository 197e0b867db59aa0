"""What head office does on a disk that fails."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from central.config import Folder
from central.founding import create
from central.ledger import author, upkeep
from central.ledger.database import Database
from central.ledger.errors import LedgerUnavailable, MaybePutBack, OutcomeUnknown, Refused
from central.ledger.ingest import Stored
from central.ledger.ledger import Ledger
from central.stock import promising
from central.stock.promising import Promised
from central.stock.request import PromiseLine, PromiseRequest
from sync.chain import ALL, Batch
from sync.facts.catalogue import Article, ArticleColumns, Articles, Price, PriceColumns, Prices
from sync.facts.rights import CellLines, Move, RightsMoved
from sync.facts.stock import GoodsReceived, ReceivedLine, ReceivedLines
from tests.crash import office, older
from tests.crash.cuts import Told
from tests.crash.faults import Attempt, Look, Scene, before, left_in
from tests.crash.image import lay
from tests.crash.shop import SKUS, Author
from tests.crash.trial import room
from tests.edge.store.rig import NOW, sale

ROUNDS = 4
STARTS = 3
COPY = "copy-1"
PATIENCE_S = 60


@contextmanager
def around() -> Any:
    with ExitStack() as stack:
        stack.enter_context(office.one_place())
        stack.enter_context(office.in_order())
        yield


def come_back(image: Path, refused: Iterable[bytes]) -> Iterable[str]:
    with closing(sqlite3.connect(image / office.DATABASE)) as db:
        there = {
            e for (e,) in db.execute("SELECT event FROM facts UNION SELECT root FROM promises")
        }
    return [f"doubled: {e.hex()} was refused, and is there" for e in refused if e in there]


def judge(image: Path, look: Look) -> Iterable[str]:
    yield from office.start(image, list(look.told), 1, whole=True)
    yield from come_back(image, look.refused)
    with closing(sqlite3.connect(image / office.DATABASE)) as db:
        there = {root for (root,) in db.execute("SELECT root FROM promises")}
    for kind, *what in look.told:
        if kind == "promise" and what[0] not in there:
            yield f"lost: promise {what[0].hex()}"


def crashed(folder: Path, live: Callable[[office.Day], None]) -> Told:
    """Live at head office, and leave it as a crash does; return what it acknowledged."""
    create(Folder(folder), [])
    day = office.Day(None, Folder(folder), Random(7))
    day.open()
    try:
        day.enrol()
        live(day)
        content = left_in(folder)
    finally:
        day.close()
    lay(folder, content)
    return day.ran


def _stocked(day: office.Day) -> None:
    """Two of the stores' machines speak, and head office holds rights of what one has."""
    rows = tuple(Article(sku, sku, sku, "szt", "23") for sku in SKUS)
    told = Articles(1, ArticleColumns.of(rows))
    day.write(lambda unit: author.write(unit, ALL, [(day.draw(), told)]))
    lines = ReceivedLines.of(tuple(ReceivedLine(sku, 90_000) for sku in SKUS))
    gift = CellLines.by_cell(dict.fromkeys(SKUS, 40_000))
    own = day.ledger.own.stream(office.STORES[0])
    batch = day.authors[0].batch(
        (GoodsReceived(NOW, 5, lines), day.draw()),
        (RightsMoved(Move.GIVEN, gift, own), day.draw()),
    )
    day.ledger._writer.take([office.incoming(day.authors[0], batch)]).result(PATIENCE_S)
    for one in day.authors[:2] * 3:
        batch = one.batch(*((sale(next(one.numbers), "T1"), day.draw()) for _ in range(2)))
        day.ledger._writer.take([office.incoming(one, batch)]).result(PATIENCE_S)
        day.ran += [("fact", f.event, f.seq, f.body, f.kind) for f in batch.facts]
    day.prices()


class _Desk:
    """Who brings things to head office, and keeps what it was told."""

    def __init__(self, tried: Attempt) -> None:
        self.tried = tried
        self.day = office.Day(None, Folder(tried.folder), tried.rng)
        self.authors = self.day.authors[2:]  # these have not spoken yet
        self.waiting: dict[int, tuple[Batch, list[tuple[Any, ...]]]] = {}
        self.ledger: Ledger | None = None

    def open(self) -> bool:
        """Start; return whether it did."""
        try:
            self.ledger = Ledger.open(
                self.day.folder.ledger, self.day.authority.node_key, lambda: next(self.day._ticks)
            )
        except LedgerUnavailable:
            self.ledger = None
            self.tried.count("did not start")
            if left := [t for t in threading.enumerate() if t.name == "ledger-writer"]:
                self.tried.wrong.append(f"stuck: {len(left)} writers go on after a failed start")
            return False
        return True

    def opened(self) -> None:
        """Start, on a disk that fails already; give up soon, mend it, and start."""
        for number in range(STARTS + 1):
            if number == STARTS:
                self.tried.heal()
            if self.open():
                return
        raise AssertionError

    def round(self) -> None:
        """Bring batches, a promise and prices to one commit."""
        if self.ledger is None and not self.open():
            return
        assert self.ledger is not None
        tried, writer = self.tried, self.ledger._writer
        gate: Any = writer._waiting
        gate.hold()
        first = self._bring(0)
        promise = self._promise()
        second = self._bring(1)
        event = self.day.draw()
        columns = PriceColumns.of(tuple(Price(sku, tried.rng.randint(1, 999)) for sku in SKUS))
        told = (event, Prices(tried.rng.randint(1, 1 << 30), columns))
        prices = writer.submit(lambda unit: author.write(unit, ALL, [told]))
        gate.let_in()
        self._heard(("own", event), prices)
        self._heard(("promise", promise[0]), promise[1])
        for number, answer in enumerate((first, second)):
            self._stored(number, answer)
        if self.ledger.lost.done():  # it ends by its own hand, and is started again
            self.close()

    def close(self) -> None:
        if self.ledger is not None:
            self.ledger.close()
            self.ledger = None

    def _promise(self) -> tuple[bytes, Future[Any]]:
        assert self.ledger is not None
        id_ = UUID(bytes=self.day.draw(), version=4)
        line = PromiseLine(self.tried.rng.choice(SKUS), 1000)
        request = PromiseRequest(str(id_), "web", (line,), 3600)
        return id_.bytes, self.ledger._writer.submit(lambda unit: promising.make(unit, request))

    def _bring(self, number: int) -> Future[Any]:
        assert self.ledger is not None
        one: Author = self.authors[number]
        if number not in self.waiting:
            told: list[tuple[Any, bytes]] = [
                (sale(next(one.numbers), "T1", skus=SKUS[:2]), self.day.draw()) for _ in range(2)
            ]
            batch = one.batch(*told)
            words = [("fact", f.event, f.seq, f.body, f.kind) for f in batch.facts]
            self.waiting[number] = batch, words
        return self.ledger._writer.take([office.incoming(one, self.waiting[number][0])])

    def _heard(self, words: tuple[str, bytes], answer: Future[Any]) -> None:
        try:
            made = answer.result(PATIENCE_S)
        except OutcomeUnknown:
            self.tried.count("unknown")
        except LedgerUnavailable:
            self.tried.refuse(words[1])
        else:
            if words[0] == "promise" and not isinstance(made, Promised):
                self.tried.wrong.append(f"stuck: not promised: {made}")
            self.tried.acknowledge(words)

    def _stored(self, number: int, answer: Future[Any]) -> None:
        batch, words = self.waiting[number]
        try:
            (outcome,) = answer.result(PATIENCE_S)
        except OutcomeUnknown:
            self.tried.count("unknown")  # brought again
        except LedgerUnavailable:
            self.tried.refuse(*(fact.event for fact in batch.facts), for_good=False)
        else:
            if not isinstance(outcome, Stored):
                self.tried.wrong.append(f"stuck: {outcome}")
            self.tried.acknowledge(*words)
            del self.waiting[number]

    def leave(self, state: str = "") -> None:
        self.tried.heal()
        self.tried.look(state)
        self.close()


def _taking(tried: Attempt) -> None:
    desk = _Desk(tried)
    desk.open()
    tried.arm()
    for number in range(ROUNDS + 2):
        if number >= ROUNDS:
            tried.heal()
        desk.round()
    if desk.waiting:
        tried.wrong.append("stuck: a store's batch is not taken on a sound disk")
    desk.leave()


def _starting(tried: Attempt) -> None:
    desk = _Desk(tried)
    tried.arm()
    desk.opened()
    desk.round()
    tried.heal()
    desk.round()
    desk.leave()


def _copying(tried: Attempt) -> None:
    desk = _Desk(tried)
    desk.open()
    tried.arm()
    if not _copied(desk):
        tried.count("refused")
        if not tried.fault.for_ever and (left := sorted(tried.folder.glob(f"{COPY}*"))):
            tried.wrong.append(f"corrupt: no backup was made, and there is {left}")
    tried.look("copied")
    tried.heal()
    if desk.ledger is None or desk.ledger.lost.done():
        desk.close()
        desk.open()
    desk.round()
    if ("copy", COPY) not in tried.told and not _copied(desk):
        tried.wrong.append("stuck: no backup on a sound disk")
    desk.leave()


def _copied(desk: _Desk) -> bool:
    assert desk.ledger is not None
    try:
        asyncio.run(upkeep.backup(desk.ledger, str(desk.tried.folder / COPY)))
    except (LedgerUnavailable, Refused):
        return False
    desk.tried.acknowledge(("copy", COPY))
    return True


def _before_taking(folder: Path) -> Told:
    return crashed(folder, _stocked)


def _before_restoring(folder: Path) -> Told:
    def live(day: office.Day) -> None:
        for _ in range(3):
            day.take()
        (folder / day.copy()).rename(folder / "kept")
        day.ran.append(("kept",))
        for _ in range(3):
            day.take()

    return crashed(folder, live)


def _restoring(tried: Attempt) -> None:
    tried.arm()
    state = _put_back(tried)
    tried.look(state)
    tried.heal()
    if state != "put back":
        state = _put_back(tried)
        if state != "put back":
            tried.wrong.append(f"stuck: on a sound disk it is {state}")
        tried.look(state)


def _put_back(tried: Attempt) -> str:
    try:
        upkeep.restore(tried.folder / "kept", tried.folder / office.DATABASE)
    except MaybePutBack:
        tried.count("unknown")
        return "put back or not"
    except (LedgerUnavailable, Refused):
        tried.count("refused")
        return "not put back"
    tried.count("acknowledged")
    return "put back"


def judge_restored(image: Path, look: Look) -> Iterable[str]:
    """One of the two, whole, and the one that was told."""
    told = list(look.told)
    at = told.index(("kept",))
    copied, later = told[:at], told[at + 1 :]
    with closing(sqlite3.connect(image / office.DATABASE)) as db:
        there = {event for (event,) in db.execute("SELECT event FROM facts")}
    is_former = any(words[1] in there for words in later)
    if look.state == "not put back" and not is_former:
        yield "lost: the former ledger, though nothing was put back"
    if look.state == "put back" and is_former:
        yield "corrupt: the former ledger is there, though another was put back"
    yield from office.start(image, copied + later if is_former else copied, 1, whole=True)


def _before_migrating(folder: Path) -> Told:
    with room() as full:
        crashed(full, _stocked)
        older.office(folder / office.DATABASE, full / office.DATABASE)
    return []


def _migrating(tried: Attempt) -> None:
    tried.arm()
    for number in range(STARTS + 1):
        if number == STARTS:
            tried.heal()
        database = Database(tried.folder / office.DATABASE)
        try:
            database.open().close()
        except LedgerUnavailable:
            tried.count("refused")
            tried.look("cut off")
        else:
            tried.count("acknowledged")
            tried.look("migrated")
            break
        finally:
            database.close()


def up_to_date(path: Path) -> tuple[list[Any], Any, Any]:
    """Bring a ledger's tables up to date; return its facts, its schema, and whether it is sound."""
    database = Database(path)
    try:
        database.open().close()
    finally:
        database.close()
    with closing(sqlite3.connect(path)) as db:
        facts = db.execute("SELECT * FROM facts ORDER BY store, node, incarnation, seq").fetchall()
        return facts, older.schema(db), db.execute("PRAGMA quick_check(1)").fetchone()


@cache
def migrated() -> tuple[list[Any], Any, Any]:
    """Return what an undisturbed migration leaves."""
    content, _ = before("head office's tables are migrated")
    with room() as folder:
        lay(folder, content)
        made = up_to_date(folder / office.DATABASE)
        assert made[0]
        return made


def judge_migrated(image: Path, look: Look) -> Iterable[str]:
    """Every fact is there, and the tables are the new ones after the next start."""
    with closing(sqlite3.connect(image / office.DATABASE)) as db:
        done = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'promotions'").fetchone()
    if look.state == "migrated" and not done:
        yield "lost: the migration"
    if up_to_date(image / office.DATABASE) != migrated():
        yield "corrupt: after the next start it is not what an undisturbed migration leaves"


def _scene(
    act: Callable[[Attempt], None],
    lived: Callable[[Path], Told],
    judged: Callable[[Path, Look], Iterable[str]] = judge,
) -> Scene:
    return Scene(around, lived, act, judged, come_back)


SCENES = {
    "head office takes and promises": _scene(_taking, _before_taking),
    "head office starts after a crash": _scene(_starting, _before_taking),
    "head office is backed up": _scene(_copying, _before_taking),
    "head office is put back": _scene(_restoring, _before_restoring, judge_restored),
    "head office's tables are migrated": _scene(_migrating, _before_migrating, judge_migrated),
}
