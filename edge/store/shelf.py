"""The rows of rights: who may promise how much of what, as the writer has it in hand.

A sale moves ten rows that lie in ten pages, which is most of what it costs to write it.
So rows move in memory and are *folded* into their table now and then, in the transactions
of commits, with the number up to which they then cover each stream. A row is a function
of one stream (`sync.merge.stock`), so what a crash takes from memory is added again from
the facts above that number: the table and the tail of the journal are the row.

Folding thousands of rows would hold up whoever sells just then, so it goes in rounds: all that
moved otherwise than by a sale at once (it is little), then some rows with each commit, each
with the number up to which it has the sales; at the end of the round that is the least of all.

Everything here runs in the writer's thread: whoever wants to know asks in a unit.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from edge.store.index import SaleIndex
from edge.store.journal import find_fact, place, whole
from edge.store.numbers import Numbers
from edge.store.sold import AS_OF, Row, Sold
from sync import facts as vocabulary
from sync.chain import Fact, StreamId
from sync.checkpoint import SETTLED_KINDS, goods_taken
from sync.clock import hlc_ms
from sync.errors import BadFact
from sync.facts import Body
from sync.facts.sale import Sale, SaleClosed, SaleSums, SaleVoided, Stage
from sync.facts.stock import GoodsReceived
from sync.merge import stock
from sync.merge.stock import Column, Deltas

_COLUMNS = "made, used, held, freed, done, gave, got, over, covered, as_of_ms"
_EMPTY = (0,) * (AS_OF + 1)
MOVING = frozenset(
    {
        "goods.received",
        "goods.moved",
        "count.posted",
        "rights",
        "sale",
        "sale.closed",
        "sale.voided",
    }
)
"""Kinds that move a row."""

_FOLD_ROWS = 8192
_FOLD_FACTS = 5000
"""Rows that moved, and facts that moved them, after which they are folded: bounds memory
(two megabytes) and the tail. Goods are sold again and again: the longer, the fewer rows."""

_CACHED = 2048
"""Rows in memory that the table does not lag behind of: about a megabyte."""

_FOLD_LEAST = 500
"""Facts before that: so often the rows are not even counted. A pause folds as many."""

SLICE = 384
"""Rows folded in one commit of a round: a millisecond."""

_SIZES = (128, 16, 1)
"""Rows of one statement: few sizes, so that each is found again among the prepared ones."""


class Shelf:
    """The rows of one file."""

    def __init__(
        self,
        db: sqlite3.Connection,
        number: Callable[[StreamId], int],
        facts: sqlite3.Connection | None = None,
        *,
        index: SaleIndex | None = None,
        numbers: Numbers | None = None,
    ) -> None:
        """Read the fences, and add the tail of the journal to what was folded.

        Args:
            db: Where the rows are.
            number: Numbers a stream in this file.
            facts: Where the facts are, if not there too.
            index: Of the sales.
            numbers: Of receipts; they lag behind as the rows do.
        """
        self._db, self.number, self._facts = db, number, facts or db
        self.index = index or SaleIndex(db)
        self.numbers = numbers
        self._live: dict[tuple[str, int], Row] = {}
        """Committed rows by cell and stream, but for what is `_sold`: those that the table lags
        behind of, and others read lately."""

        self._dirty: set[tuple[str, int]] = set()
        """Those that the table lags behind of."""

        self._sold = Sold()
        self._open: dict[tuple[str, int], list[int]] = {}
        self._undo: list[tuple[tuple[str, int] | None, list[int], int, int, int]] = []
        self._fold = self._folded = False
        self._moved = 0
        """Facts that moved dirty rows since these were folded."""

        self._due: list[tuple[str, int]] = []
        """Rows of this round that are still to be folded, those that come first last."""

        self._due_heads: list[tuple[int, int]] = []
        self._due_sales = 0
        self._begun = False
        self._written: list[tuple[tuple[str, int], int, int]] = []
        """Rows folded in this transaction: key, what was added to `used`, time."""
        self._untracked: set[str] = set()
        self._stale = self._rebuilt = False
        self.fences: dict[int, tuple[int, int]] = {}
        """Closed stream to where it ends and its successor."""

        self._estates: dict[int, tuple[int, ...]] = {}
        self.from_base: Callable[[], Collection[tuple[int, int]]] = frozenset
        """Pours what the base (`edge.store.base`) says of sales into the empty tables; returns
        the facts below it that it has not applied."""

        self._reload()

    def _reload(self) -> None:
        """Start from the table and the tail of the journal."""
        self._live, self._open = {}, {}
        self._dirty.clear()
        self._sold.clear()
        self._undo.clear()
        self._moved = 0
        self._end_round()
        self.fences = self._read_fences()
        self._estates.clear()
        streams = {
            id_: (StreamId(*name), sold, folded)
            for id_, *name, sold, folded in self._db.execute(
                "SELECT id, node, incarnation, scope, sold, folded FROM streams"
            )
        }
        further: dict[int, dict[str, int]] = {}
        for cell, id_, sold in self._db.execute(
            "SELECT cell, stream, r.sold FROM rights r JOIN streams s ON s.id = stream "
            "WHERE r.sold > s.sold"
        ):
            further.setdefault(id_, {})[cell] = sold
        for id_, fact in self._tail(frozenset(), folded=True):
            stream, sold, folded = streams[id_]
            body = self._decoded(fact)
            if body is None:
                continue
            if self.numbers is not None:
                self.numbers.again(stream, body)
            if isinstance(body, Sale):
                if fact.seq > sold:
                    self._sell_again(id_, fact, body, further.get(id_, {}))
            elif fact.seq > folded:
                self._again(id_, fact, body)
            self._sold.committed()
        self._folded = False
        self.committed()

    def _sell_again(self, id_: int, fact: Fact, body: Sale, further: Mapping[str, int]) -> None:
        """Take what a sale takes from the rows that have not got it."""
        if body.stage is not Stage.CLOSED or self._beyond(id_, fact):
            return
        if self.first_of_stream(id_, fact):
            taken = body.lines.sums().by_sku
            if further:
                taken = {c: milli for c, milli in taken.items() if fact.seq > further.get(c, 0)}
            self._sold.add(id_, taken, body.at_ms)

    # --- moving ----------------------------------------------------------------------

    def apply(
        self,
        stream: int,
        fact: Fact,
        body: Body,
        *,
        first: bool,
        sums: SaleSums | None = None,
    ) -> None:
        """Move the row of the stream in which a fact stands.

        Args:
            stream: Of the fact, as numbered in this file.
            fact: Itself.
            body: Its body.
            first: It is the first record of its event in its stream.
            sums: Of a sale's lines, if they are known already.
        """
        if isinstance(body, Sale):
            # What nearly every fact is; and it takes from its own row only.
            if first and body.stage is Stage.CLOSED and not self._beyond(stream, fact):
                self._sold.add(stream, (sums or body.lines.sums()).by_sku, body.at_ms)
            return
        if isinstance(body, SaleClosed | SaleVoided):
            self._note_closing(stream, fact, body)
        moves = self.moves(stream, fact, body, first=first)
        if not moves:
            return
        self._moved += 1
        at_ms: int = getattr(body, "at_ms", hlc_ms(fact.hlc))
        for column, amounts, sign in moves:
            self._move(stream, column, amounts, sign, at_ms)
        if (receiver := stock.receiver(body)) is not None:
            self._move(self.number(receiver), Column.GOT, moves[0][1], 1, at_ms)

    def moves(
        self,
        stream: int,
        fact: Fact,
        body: Body,
        *,
        first: bool,
    ) -> list[tuple[Column, Deltas, int]]:
        """Return how a fact in its place moves the row of its stream: column, amounts, a sign.

        Args: see `apply`. What a sale's closing moves is known once it was applied.
        """
        if self._beyond(stream, fact):
            return []
        match body:
            case Sale() | GoodsReceived():
                return stock.moves(body) if first else []
            case SaleClosed() | SaleVoided():
                return self._closing_moves(stream, fact, body)
        return stock.moves(body)

    def _beyond(self, stream: int, fact: Fact) -> bool:
        """Whether a fact stands beyond the end of its stream: then a person decides."""
        fence = self.fences.get(stream)
        return fence is not None and fact.seq > fence[0]

    def _closing_moves(
        self, stream: int, fact: Fact, body: SaleClosed | SaleVoided
    ) -> list[tuple[Column, Deltas, int]]:
        """Let the goods of a tendered sale go with the fact of its own stream that closes it."""
        closed, voided = self._closing(stream, fact.event)
        if isinstance(body, SaleClosed):
            moved = closed == fact.seq and (voided is None or voided > closed)
        else:
            moved = voided == fact.seq and closed is not None and closed < voided
        taken = self._tendered(stream, fact) if moved else None
        if taken is None:
            return []
        column = Column.USED if isinstance(body, SaleClosed) else Column.MADE
        return [(column, taken, 1)]

    def _note_closing(self, stream: int, fact: Fact, body: SaleClosed | SaleVoided) -> None:
        """Keep which fact of its stream closed or voided a tendered sale: the first one."""
        if self._beyond(stream, fact):
            return
        if self._tendered(stream, fact) is None:
            return
        closed, voided = self._closing(stream, fact.event)
        if (closed if isinstance(body, SaleClosed) else voided) is None:
            column = "closed" if isinstance(body, SaleClosed) else "voided"
            self._db.execute(
                f"INSERT INTO closings (stream, event, {column}) VALUES (?1, ?2, ?3) "
                f"ON CONFLICT (stream, event) DO UPDATE SET {column} = excluded.{column}",
                (stream, fact.event, fact.seq),
            )

    def _tendered(self, stream: int, fact: Fact) -> Deltas | None:
        """Return what the sale takes that a fact closes; None: it was not written tendered."""
        first = self._first(stream, fact.event, "sales")
        if first is None or first >= fact.seq:
            return None
        written = goods_of(self._facts, stream, first)
        return written[1] if written and written[0] is Stage.TENDERED else None

    def _closing(self, stream: int, event: bytes) -> tuple[int | None, int | None]:
        found: tuple[int | None, int | None] = self._db.execute(
            "SELECT closed, voided FROM closings WHERE stream = ? AND event = ?", (stream, event)
        ).fetchone() or (None, None)
        return found

    def _move(
        self, stream: int, column: int, deltas: Mapping[str, int], sign: int, at_ms: int
    ) -> None:
        rows, undo = self._open, self._undo
        for cell, milli in deltas.items():
            key = (cell, stream)
            row = rows.get(key)
            if row is None:
                row = rows[key] = list(self._committed(cell, stream))
                undo.append((key, row, 0, 0, 0))
            before = row[AS_OF]
            undo.append((None, row, column, milli * sign, before))
            row[column] += milli * sign
            if at_ms > before:
                row[AS_OF] = at_ms
        if column == Column.MADE:
            self._untracked.difference_update(deltas)

    # --- reading ---------------------------------------------------------------------

    def row(self, cell: str, stream: int) -> Row:
        """Return the row of one holder, this transaction included."""
        key = (cell, stream)
        base = self._open.get(key) or self._committed(cell, stream)
        return self._sold.on_top(cell, stream, base)

    def rows(self, cell: str) -> dict[int, Row]:
        """Return the rows of every holder of a cell, this transaction included."""
        found: dict[int, Row] = {
            stream: row
            for stream, *row in self._db.execute(
                f"SELECT stream, {_COLUMNS} FROM rights WHERE cell = ?", (cell,)
            )
        }
        for (id_,) in self._db.execute("SELECT id FROM streams"):
            row = self._open.get((cell, id_)) or self._live.get((cell, id_))
            if row is not None and row is not _EMPTY:
                found[id_] = row
        for id_ in self._sold.streams(cell):
            found.setdefault(id_, _EMPTY)
        return {id_: self._sold.on_top(cell, id_, row) for id_, row in found.items()}

    def right(self, cell: str, holder: int) -> int:
        """Return what a holder may still promise, with what it inherited; 0 if it is closed."""
        if holder in self.fences:
            return 0
        return sum([stock.right(self.row(cell, member)) for member in self.estate(holder)])

    def estate(self, holder: int) -> tuple[int, ...]:
        """Return the holder and those closed ones it succeeds and knows to their end."""
        estate = self._estates.get(holder)
        if estate is None:
            members = [holder]
            for member in members:
                members += [
                    stream
                    for stream, (seq, successor) in self.fences.items()
                    if successor == member and stream not in members and self._held(stream) >= seq
                ]
            estate = self._estates[holder] = tuple(members)
        return estate

    def tracked(self, cell: str) -> bool:
        """Whether stock is kept of an article: goods of it ever came in here."""
        if cell in self._untracked:
            return False
        if self.kept(self.rows(cell)):
            return True
        if len(self._untracked) > _CACHED:
            self._untracked.clear()
        self._untracked.add(cell)
        return False

    def heir(self, holder: int) -> int:
        """Return who holds what was a holder's: itself, or the last of its successors."""
        seen = {holder}
        while (fence := self.fences.get(holder)) is not None and fence[1] not in seen:
            holder = fence[1]
            seen.add(holder)
        return holder

    @staticmethod
    def kept(rows: Mapping[int, Row]) -> bool:
        """Whether goods of a cell ever came in, by the rows of its holders."""
        return any(row[Column.MADE] for row in rows.values())

    def _committed(self, cell: str, stream: int) -> Row:
        key = (cell, stream)
        row = self._live.get(key)
        if row is None:
            if len(self._live) - len(self._dirty) > _CACHED:
                self._live = {key: self._live[key] for key in self._dirty}
            row = self._db.execute(
                f"SELECT {_COLUMNS} FROM rights WHERE cell = ? AND stream = ?", key
            ).fetchone()
            row = self._live[key] = row or _EMPTY
        return row

    def _held(self, stream: int) -> int:
        """How far a stream is held, as far as the facts are here."""
        (seq,) = self._facts.execute(
            "SELECT max(place) & 0xFFFFFFFFFF FROM facts WHERE place BETWEEN ? AND ?",
            whole(stream),
        ).fetchone()
        return seq or 0

    # --- transactions ----------------------------------------------------------------

    def begin(self) -> None:
        """Begin a unit: `roll_back` goes back to here."""
        self._undo.clear()
        self._sold.begin()

    def roll_back(self) -> None:
        """Undo what moved since `begin`."""
        self._sold.roll_back()
        for key, row, column, by, before in reversed(self._undo):
            if key is not None:
                del self._open[key]
            else:
                row[column] -= by
                row[AS_OF] = before
        self._undo.clear()
        if self._rebuilt:
            self._reload()
        elif self._stale:
            self.fences = self._read_fences()
            self._estates.clear()

    def abandon(self) -> None:
        """Undo what moved since the last commit."""
        self._sold.abandon()
        self._open.clear()
        self._undo.clear()
        self._fold, self._folded = self._fold or self._folded, False
        self._written.clear()
        if self._begun:
            self._end_round()
        if self._rebuilt or self._stale:
            self._reload()

    @property
    def lags(self) -> bool:
        """Whether there is enough to fold to be worth a pause."""
        return bool(self._due) or self._moved + self._sold.sales > _FOLD_LEAST

    def seal(self, heads: Callable[[], Iterable[tuple[int, int]]], *, pause: bool = False) -> None:
        """Fold some, before the commit, if there is much to fold.

        Args:
            heads: Gives the number of each stream in this file, and how far it is held.
            pause: Or a little, if nobody waits.
        """
        self.settle_fences()
        facts = self._moved + self._sold.sales
        if self._fold:
            self.fold(heads())
        elif self._due:
            self._fold_some(dict(heads()))
        elif facts > _FOLD_FACTS or (
            facts > _FOLD_LEAST and (pause or len(self._dirty) + len(self._sold) > _FOLD_ROWS)
        ):
            self._begin_round(heads())

    def committed(self) -> None:
        """What moved is on disk, as rows or as the facts that moved them."""
        self._sold.committed()
        live = self._live
        for key, row in self._open.items():
            live[key] = tuple(row)
        if self._begun:  # all but what sales took is in the table
            self._open.clear()
            self._dirty.clear()
            self._moved = 0
        if self._written:
            self._forget_written()
        if self._folded:
            for key in self._sold.moved():
                live.pop(key, None)  # the table knows better
            self._sold.clear()
            self._dirty.clear()
            self._folded, self._moved = False, 0
            self._end_round()
        else:
            self._dirty.update(self._open)
        self._open.clear()
        self._undo.clear()
        self._stale = self._rebuilt = self._begun = False

    def fold(self, heads: Iterable[tuple[int, int]]) -> None:
        """Write all rows that the table lags behind of, and how far they cover each stream."""
        moved = {*self._dirty, *self._open}
        self._write_moved(sorted((*key, *self.row(*key)) for key in moved))
        self._write_sold(
            sorted(
                (*key, used, at_ms, 0) for key, used, at_ms in self._sold.sums() if key not in moved
            )
        )
        self._db.executemany(
            "UPDATE streams SET folded = ?1, sold = ?1 WHERE id = ?2",
            [(seq, id_) for id_, seq in heads],
        )
        if self.numbers is not None:
            self.numbers.fold()
        self._fold, self._folded = False, True

    def _begin_round(self, heads: Iterable[tuple[int, int]]) -> None:
        """Write what moved otherwise than by sales, and note which rows sales have moved."""
        open_, live = self._open, self._live
        keys = sorted({*self._dirty, *open_})
        self._write_moved([(*key, *(open_.get(key) or live[key])) for key in keys])
        self._due = sorted(set(self._sold.moved()), reverse=True)
        self._due_heads, self._due_sales = list(heads), self._sold.all_sales
        self._db.executemany(
            "UPDATE streams SET folded = ? WHERE id = ?",
            [(seq, id_) for id_, seq in self._due_heads],
        )
        if self.numbers is not None:
            self.numbers.fold()
        self._begun = True

    def _fold_some(self, heads: Mapping[int, int]) -> None:
        """Write some rows of the round with all that sales took of them till now."""
        some = self._due[: -SLICE - 1 : -1]
        for cell, stream in some:
            row = self._sold.on_top(cell, stream, _EMPTY)
            self._written.append(((cell, stream), row[Column.USED], row[AS_OF]))
        self._write_sold([(*key, used, at_ms, heads[key[1]]) for key, used, at_ms in self._written])
        if len(some) == len(self._due):
            self._db.executemany(
                "UPDATE streams SET sold = ? WHERE id = ?",
                [(seq, id_) for id_, seq in self._due_heads],
            )

    def _forget_written(self) -> None:
        """Let go of what the table has got."""
        for key, used, at_ms in self._written:
            self._sold.drop(*key)
            if key in self._dirty or key in self._open:
                row = list(self._live[key])
                row[Column.USED] += used
                row[AS_OF] = max(row[AS_OF], at_ms)
                self._live[key] = tuple(row)
            else:
                self._live.pop(key, None)  # the table knows better
        del self._due[-len(self._written) :]
        self._written.clear()
        if not self._due:
            self._sold.sales -= self._due_sales
            self._end_round()

    def _end_round(self) -> None:
        self._due, self._due_heads, self._due_sales = [], [], 0
        self._written.clear()
        self._begun = False

    def _write_moved(self, rows: Sequence[tuple[object, ...]]) -> None:
        columns = _COLUMNS.split(", ")
        told = ", ".join(f"{name} = excluded.{name}" for name in columns)
        self._write(
            f"INSERT INTO rights (cell, stream, {_COLUMNS}) VALUES {{0}} "
            f"ON CONFLICT (cell, stream) DO UPDATE SET {told}",
            f"({', '.join('?' * (len(columns) + 2))})",
            rows,
        )

    def _write_sold(self, rows: Sequence[tuple[object, ...]]) -> None:
        """Write what sales took: cell, stream, thousandths, time, number up to which."""
        self._write(
            f"INSERT INTO rights (cell, stream, {_COLUMNS}, sold) VALUES {{0}} "
            "ON CONFLICT (cell, stream) DO UPDATE SET used = used + excluded.used, "
            "as_of_ms = max(as_of_ms, excluded.as_of_ms), sold = max(sold, excluded.sold)",
            "(?, ?, 0, ?, 0, 0, 0, 0, 0, 0, 0, ?, ?)",
            rows,
        )

    def _write(self, statement: str, marks: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Write rows, many a statement: a step of SQLite lets go of the interpreter."""
        at = 0
        for size in _SIZES:
            many = statement.format(", ".join([marks] * size))
            while len(rows) - at >= size:
                part = rows[at : at + size]
                self._db.execute(many, [value for row in part for value in row])
                at += size

    def whole(self) -> list[tuple[str | int, ...]]:
        """Return every row as the table would have it, were all folded; for a check."""
        keys = set(self._db.execute("SELECT cell, stream FROM rights"))
        keys.update(self._dirty, self._open, self._sold.moved())
        return sorted((*key, *self.row(*key)) for key in keys)

    def fold_next(self) -> None:
        """See to it that this very group is folded: facts below the folded number move rows."""
        self._fold = True

    # --- fences ----------------------------------------------------------------------

    def fence(self, stream: int, seq: int, successor: int) -> None:
        """Take note of where a stream ends and who inherits."""
        self.fences[stream] = (seq, successor)
        self._estates.clear()
        self._stale = True

    def _read_fences(self) -> dict[int, tuple[int, int]]:
        return {
            stream: (seq, successor)
            for stream, seq, successor in self._db.execute(
                "SELECT stream, seq, successor FROM fences"
            )
        }

    def grew(self) -> None:
        """Others' facts came in: an estate may be known to its end now."""
        if self.fences:
            self._estates.clear()

    def settle_fences(self) -> None:
        """Let the rows follow a fence that has come in; once the facts around it are applied."""
        if self._stale:
            self.rebuild()

    def cells_after(self, cell: str, limit: int) -> list[str]:
        """Return the next cells that have a row, in order."""
        found = {
            after
            for (after,) in self._db.execute(
                "SELECT DISTINCT cell FROM rights WHERE cell > ? ORDER BY cell LIMIT ?",
                (cell, limit),
            )
        }
        moved = (self._dirty, self._open, self._sold.moved())
        found.update(after for keys in moved for after, _ in keys if after > cell)
        return sorted(found)[:limit]

    def cells(self, stream: int) -> set[str]:
        """Return the cells of which a holder has a row."""
        found = {
            cell
            for (cell,) in self._db.execute("SELECT cell FROM rights WHERE stream = ?", (stream,))
        }
        moved = (self._dirty, self._open, self._sold.moved())
        found.update(cell for keys in moved for cell, holder in keys if holder == stream)
        return found

    def rebuild(self) -> None:
        """Make every row again from the facts: a fence may have cut a stream that had gone on."""
        self._db.execute("DELETE FROM rights")
        self._db.execute("DELETE FROM closings")
        unapplied = self.from_base()
        self._end_round()
        self._live, self._open = {}, {}
        self._dirty.clear()
        self._sold.clear()
        self._undo.clear()
        self.fences = self._read_fences()
        self._estates.clear()
        for stream, fact in self._tail(unapplied, folded=False):
            if (body := self._decoded(fact)) is not None:
                self._again(stream, fact, body)
            self._sold.committed()  # `roll_back` starts from the file
        self._fold = self._rebuilt = True
        self._stale = False

    def _tail(
        self, unapplied: Collection[tuple[int, int]], *, folded: bool
    ) -> Iterator[tuple[int, Fact]]:
        bases = dict(self._facts.execute("SELECT stream, seq FROM bases").fetchall())
        # What the program before this one could not read moves rows when it is applied again.
        unread = set(self._db.execute("SELECT stream, seq FROM unreadable"))
        for stream, covered in self._db.execute(
            "SELECT id, min(folded, sold) FROM streams"
        ).fetchall():
            first, last = whole(stream)
            for columns in self._facts.execute(
                "SELECT place & 0xFFFFFFFFFF, hlc, kind, version, event, body FROM facts "
                "WHERE place BETWEEN ? AND ? ORDER BY place",
                (first + covered if folded else first, last),
            ):
                fact = Fact(*columns)
                if (
                    fact.seq <= bases.get(stream, 0)
                    and fact.kind in SETTLED_KINDS
                    and (stream, fact.seq) not in unapplied
                ):
                    continue  # the base has it
                if fact.kind in MOVING and (stream, fact.seq) not in unread:
                    yield stream, fact

    @staticmethod
    def _decoded(fact: Fact) -> Body | None:
        try:
            return vocabulary.decode(fact)
        except BadFact:
            return None  # in quarantine

    def _again(self, stream: int, fact: Fact, body: Body) -> None:
        self.apply(stream, fact, body, first=self.first_of_stream(stream, fact))

    def first_of_stream(self, stream: int, fact: Fact) -> bool:
        """Whether no earlier fact of a stream records the same event."""
        if fact.kind not in ("sale", "goods.received"):
            return True
        table = "sales" if fact.kind == "sale" else "documents"
        first = self._first(stream, fact.event, table)
        return first is None or first >= fact.seq

    def _first(self, stream: int, event: bytes, table: str) -> int | None:
        """Return the first record of an event in a stream: the number of its fact."""
        if table == "sales":
            found = self.index.place(event)
        else:
            found = self._db.execute(
                "SELECT stream, seq FROM documents WHERE event = ?", (event,)
            ).fetchone()
        (first,) = self._db.execute(
            "SELECT min(seq) FROM duplicates WHERE event = ? AND stream = ? AND record = ?",
            (event, stream, table),
        ).fetchone()
        numbers = [found[1]] if found is not None and found[0] == stream else []
        return min([*numbers, first] if first is not None else numbers, default=None)


def goods_of(db: sqlite3.Connection, stream: int, seq: int) -> tuple[Stage, Deltas] | None:
    """Return how a sale was written and what it takes; None if no sale stands there.

    Args:
        db: Where the facts are, and the goods of those that were dropped.
        stream: As numbered in this file.
        seq: Its number.
    """
    fact = find_fact(db, stream, seq)
    if fact is not None:
        sale = vocabulary.decode(fact)
        return (sale.stage, sale.lines.sums().by_sku) if isinstance(sale, Sale) else None
    row = db.execute(
        "SELECT stage, taken FROM goods WHERE place = ?", (place(stream, seq),)
    ).fetchone()
    return (Stage(row[0]), goods_taken(row[1])) if row else None
