"""The rows of rights: who may promise how much of what, as the writer has it in hand.

A sale moves ten rows that lie in ten pages, which is most of what it costs to write it.
So rows move in memory and are *folded* into their table now and then, in the transaction
of a commit, with the number up to which they then cover each stream. A row is a function
of one stream (`sync.merge.stock`), so what a crash takes from memory is added again from
the facts above that number: the table and the tail of the journal are the row.

Everything here runs in the writer's thread but `Shelf.live`, which readers look into.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from edge.store.journal import fact_at, whole
from sync import facts as vocabulary
from sync.chain import Fact, StreamId
from sync.clock import hlc_ms
from sync.errors import BadFact
from sync.facts import Body
from sync.facts.sale import Sale, SaleClosed, SaleSums, SaleVoided, Stage
from sync.facts.stock import GoodsReceived
from sync.merge import stock
from sync.merge.stock import Column, Deltas

Row = Sequence[int]
"""The columns of `sync.merge.stock.Column`, then the time (ms) of the last fact that moved it."""

_AS_OF = stock.WIDTH
_EMPTY = (0,) * (stock.WIDTH + 1)
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

_FOLD_ROWS = 2048
_FOLD_GROUPS = 2000
"""Rows that moved, and commits, after which they are folded: bounds memory and the tail."""

_CACHED = 4096
"""Rows in memory, folded ones included: about two megabytes."""

_ROWS = 128
"""Rows of one statement."""


class Shelf:
    """The rows of one file."""

    def __init__(
        self,
        db: sqlite3.Connection,
        number: Callable[[StreamId], int],
        facts: sqlite3.Connection | None = None,
    ) -> None:
        """Read the fences, and add the tail of the journal to what was folded.

        Args:
            db: Where the rows are.
            number: Numbers a stream in this file.
            facts: Where the facts are, if not there too.
        """
        self._db, self.number, self._facts = db, number, facts or db
        self.live: dict[tuple[str, int], Row] = {}
        """Committed rows as they are, by cell and stream: those that the table lags behind of
        and others that moved lately."""

        self._dirty: set[tuple[str, int]] = set()
        """Those that the table lags behind of."""

        self._open: dict[tuple[str, int], list[int]] = {}
        self._undo: list[tuple[tuple[str, int] | None, list[int], int, int, int]] = []
        self._fold = False
        self._groups = 0
        self._untracked: set[str] = set()
        self._stale = self._rebuilt = False
        self.fences: dict[int, tuple[int, int]] = {}
        """Closed stream to where it ends and its successor."""

        self._estates: dict[int, tuple[int, ...]] = {}
        self._reload()

    def _reload(self) -> None:
        """Start from the table and the tail of the journal."""
        self.live, self._open = {}, {}
        self._dirty.clear()
        self._undo.clear()
        self.fences = self._read_fences()
        self._estates.clear()
        for stream, fact in self._tail(folded=True):
            self._again(stream, fact)
        self._groups = 1
        self.committed()

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
        if isinstance(body, SaleClosed | SaleVoided):
            self._note_closing(stream, fact, body)
        moves = self.moves(stream, fact, body, first=first, sums=sums)
        if not moves:
            return
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
        sums: SaleSums | None = None,
    ) -> list[tuple[Column, Deltas, int]]:
        """Return how a fact in its place moves the row of its stream: column, amounts, a sign.

        Args: see `apply`. What a sale's closing moves is known once it was applied.
        """
        fence = self.fences.get(stream)
        if fence is not None and fact.seq > fence[0]:
            return []  # beyond the end of its stream: a person decides
        match body:
            case Sale() if sums is not None:
                closed = first and body.stage is Stage.CLOSED
                return [(Column.USED, sums.by_sku, 1)] if closed else []
            case Sale() | GoodsReceived():
                return stock.moves(body) if first else []
            case SaleClosed() | SaleVoided():
                return self._closing_moves(stream, fact, body)
        return stock.moves(body)

    def _closing_moves(
        self, stream: int, fact: Fact, body: SaleClosed | SaleVoided
    ) -> list[tuple[Column, Deltas, int]]:
        """Let the goods of a tendered sale go with the fact of its own stream that closes it."""
        closed, voided = self._closing(stream, fact.event)
        if isinstance(body, SaleClosed):
            moved = closed == fact.seq and (voided is None or voided > closed)
        else:
            moved = voided == fact.seq and closed is not None and closed < voided
        sale = self._tendered(stream, fact) if moved else None
        if sale is None:
            return []
        column = Column.USED if isinstance(body, SaleClosed) else Column.MADE
        return [(column, sale.lines.sums().by_sku, 1)]

    def _note_closing(self, stream: int, fact: Fact, body: SaleClosed | SaleVoided) -> None:
        """Keep which fact of its stream closed or voided a tendered sale: the first one."""
        fence = self.fences.get(stream)
        if fence is not None and fact.seq > fence[0]:
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

    def _tendered(self, stream: int, fact: Fact) -> Sale | None:
        row = self._db.execute(
            "SELECT min(seq) FROM (SELECT seq FROM sales WHERE event = ?1 AND stream = ?2 "
            "UNION ALL SELECT seq FROM duplicates WHERE event = ?1 AND stream = ?2 "
            "AND record = 'sales')",
            (fact.event, stream),
        ).fetchone()
        if row[0] is None or row[0] >= fact.seq:
            return None
        sale = vocabulary.decode(fact_at(self._facts, stream, row[0]))
        return sale if isinstance(sale, Sale) and sale.stage is Stage.TENDERED else None

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
            before = row[_AS_OF]
            undo.append((None, row, column, milli * sign, before))
            row[column] += milli * sign
            if at_ms > before:
                row[_AS_OF] = at_ms
        if column == Column.MADE:
            self._untracked.difference_update(deltas)

    # --- reading ---------------------------------------------------------------------

    def row(self, cell: str, stream: int) -> Row:
        """Return the row of one holder, this transaction included."""
        return self._open.get((cell, stream)) or self._committed(cell, stream)

    def rows(self, cell: str) -> dict[int, Row]:
        """Return the rows of every holder of a cell, this transaction included."""
        found: dict[int, Row] = table_rows(self._db, cell)
        for rows in (self.live, self._open):
            for (id_,) in self._db.execute("SELECT id FROM streams"):
                if (row := rows.get((cell, id_))) is not None:
                    found[id_] = row
        return found

    def right(self, cell: str, holder: int) -> int:
        """Return what a holder may still promise, with what it inherited; 0 if it is closed."""
        if holder in self.fences:
            return 0
        return sum([stock.right(self.row(cell, member)) for member in self.estate(holder)])

    def right_in(self, rows: Mapping[int, Row], holder: int) -> int:
        """Return the same of rows read elsewhere."""
        if holder in self.fences:
            return 0
        return sum([stock.right(rows[id_]) for id_ in self.estate(holder) if id_ in rows])

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
        row = self.live.get((cell, stream))
        if row is not None:
            return row
        found: Row | None = self._db.execute(
            "SELECT made, used, held, freed, done, gave, got, over, covered, as_of_ms "
            "FROM rights WHERE cell = ? AND stream = ?",
            (cell, stream),
        ).fetchone()
        return found or _EMPTY

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

    def roll_back(self) -> None:
        """Undo what moved since `begin`."""
        for key, row, column, by, before in reversed(self._undo):
            if key is not None:
                del self._open[key]
            else:
                row[column] -= by
                row[_AS_OF] = before
        self._undo.clear()
        if self._rebuilt:
            self._reload()
        elif self._stale:
            self.fences = self._read_fences()
            self._estates.clear()

    def abandon(self) -> None:
        """Undo what moved since the last commit."""
        self._open.clear()
        self._undo.clear()
        if self._groups == 0:
            self._groups = _FOLD_GROUPS  # it had been folded: fold again soon
        if self._rebuilt or self._stale:
            self._reload()

    def seal(self, heads: Iterable[tuple[int, int]]) -> None:
        """Fold, before the commit, if there is much to fold.

        Args:
            heads: Number of each stream in this file, and how far it is held.
        """
        self.settle_fences()
        self._groups += 1
        if self._fold or len(self._dirty) > _FOLD_ROWS or self._groups > _FOLD_GROUPS:
            self.fold(heads)

    def committed(self) -> None:
        """What moved is on disk, as rows or as the facts that moved them."""
        live = self.live
        if self._groups == 0:  # folded
            self._dirty.clear()
            if len(live) > _CACHED:
                live = self.live = {}
        else:
            self._dirty.update(self._open)
        for key, row in self._open.items():
            live[key] = tuple(row)
        self._open.clear()
        self._undo.clear()
        self._stale = self._rebuilt = False

    def fold(self, heads: Iterable[tuple[int, int]]) -> None:
        """Write all rows that the table lags behind of, and how far they cover each stream."""
        rows = [(*key, *self.live[key]) for key in self._dirty if key not in self._open]
        rows += [(*key, *row) for key, row in self._open.items()]
        rows.sort()
        for at in range(0, len(rows), _ROWS):
            part = rows[at : at + _ROWS]
            marks = ", ".join(["(" + ", ".join("?" * (_AS_OF + 3)) + ")"] * len(part))
            self._db.execute(
                f"INSERT OR REPLACE INTO rights VALUES {marks}",
                [value for row in part for value in row],
            )
        self._db.executemany(
            "UPDATE streams SET folded = ? WHERE id = ?", [(seq, id_) for id_, seq in heads]
        )
        self._fold, self._groups = False, 0

    def whole(self) -> list[tuple[str | int, ...]]:
        """Return every row as the table would have it, were all folded; for a check."""
        table = {
            (cell, stream): tuple(row)
            for cell, stream, *row in self._db.execute("SELECT * FROM rights")
        }
        table.update({key: tuple(row) for key, row in self.live.items()})
        return sorted((cell, stream, *row) for (cell, stream), row in table.items())

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

    def cells(self, stream: int) -> set[str]:
        """Return the cells of which a holder has a row."""
        found = {
            cell
            for (cell,) in self._db.execute("SELECT cell FROM rights WHERE stream = ?", (stream,))
        }
        found.update(cell for cell, holder in self.live if holder == stream)
        found.update(cell for cell, holder in self._open if holder == stream)
        return found

    def rebuild(self) -> None:
        """Make every row again from the facts: a fence may have cut a stream that had gone on."""
        self._db.execute("DELETE FROM rights")
        self._db.execute("DELETE FROM closings")
        self.live, self._open = {}, {}
        self._dirty.clear()
        self._undo.clear()
        self.fences = self._read_fences()
        self._estates.clear()
        for stream, fact in self._tail(folded=False):
            self._again(stream, fact)
        self._fold = self._rebuilt = True
        self._stale = False

    def _tail(self, *, folded: bool) -> Iterator[tuple[int, Fact]]:
        # What the program before this one could not read moves rows when it is applied again.
        unread = set(self._db.execute("SELECT stream, seq FROM unreadable"))
        for stream, covered in self._db.execute("SELECT id, folded FROM streams").fetchall():
            first, last = whole(stream)
            for columns in self._facts.execute(
                "SELECT place & 0xFFFFFFFFFF, hlc, kind, version, event, body FROM facts "
                "WHERE place BETWEEN ? AND ? ORDER BY place",
                (first + covered if folded else first, last),
            ):
                fact = Fact(*columns)
                if fact.kind in MOVING and (stream, fact.seq) not in unread:
                    yield stream, fact

    def _again(self, stream: int, fact: Fact) -> None:
        try:
            body = vocabulary.decode(fact)
        except BadFact:
            return  # in quarantine
        if body is not None:
            self.apply(stream, fact, body, first=first_of_stream(self._db, stream, fact))


def table_rows(db: sqlite3.Connection, cell: str) -> dict[int, Row]:
    """Return the rows of a cell as folded: stream to row."""
    return {
        stream: row
        for stream, *row in db.execute(
            "SELECT stream, made, used, held, freed, done, gave, got, over, covered, as_of_ms "
            "FROM rights WHERE cell = ?",
            (cell,),
        )
    }


def first_of_stream(db: sqlite3.Connection, stream: int, fact: Fact) -> bool:
    """Whether no earlier fact of a stream records the same event."""
    if fact.kind not in ("sale", "goods.received"):
        return True
    table = "sales" if fact.kind == "sale" else "documents"
    row = db.execute(
        f"SELECT 1 FROM (SELECT seq FROM {table} WHERE event = ?1 AND stream = ?2 "
        "UNION ALL SELECT seq FROM duplicates WHERE event = ?1 AND stream = ?2 AND record = ?4) "
        "WHERE seq < ?3",
        (fact.event, stream, fact.seq, table),
    ).fetchone()
    return row is None
