"""Count sheets within a unit of work: what was counted, how far everybody was, what it means.

A line was counted when each stream of the place was at some number, and `edge.store.books`
says what the books had then. That number is, in the counting node's own stream, where the
line stands; in another node's, what that node marked; in those of nobody who could mark
(central's, a revoked node's, an earlier life of the counting node's), the last one up to the
line's moment by the clock, and never less than the counting node knew.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from edge.store.books import Books, Cut, Known, Moment, decoded, nodes_of, streams
from edge.store.journal import fact_at, place, whole
from edge.store.shelf import Shelf
from sync import facts as vocabulary
from sync.chain import EVENT_BYTES, Fact, StreamId
from sync.facts.count import (
    CountedLine,
    CountedLines,
    CountMarked,
    CountOpened,
    CountPosted,
    CountTaken,
    PostedLine,
    posting,
)

if TYPE_CHECKING:
    from edge.store.unit import Unit

MARKED_AT_ONCE = 1000
"""Lines of one mark: bounds a fact."""


class Line(NamedTuple):
    """The latest count of an article on a sheet."""

    sku: str
    counted_milli: int
    attempt: int
    stream: int
    seq: int
    hlc: int
    node: bytes
    """Who counted."""


class Waiting(NamedTuple):
    """What a sheet waits for before it can be posted: node to how many lines."""

    marks: dict[bytes, int]
    """Nodes that have not said yet how far they were."""

    facts: dict[bytes, int]
    """Nodes that have said so, and whose facts up to there are not all here."""


class Sheets:
    """The count sheets of this node's place, within a unit."""

    def __init__(self, unit: "Unit", db: sqlite3.Connection, shelf: Shelf, node: bytes) -> None:
        """Work in the transaction of `unit`."""
        self._unit, self._db, self._shelf, self._node = unit, db, shelf, node

    # --- what there is ---------------------------------------------------------------

    def opened(self, event: bytes) -> CountOpened | None:
        """Return a sheet; None if no such one was heard of."""
        found = self._unit.document(event)
        body = vocabulary.decode(found.fact) if found else None
        return body if isinstance(body, CountOpened) else None

    def posted(self, event: bytes) -> CountPosted | None:
        """Return what was posted of a sheet; None if it was not."""
        found = self._unit.document(posting(event))
        body = vocabulary.decode(found.fact) if found else None
        return body if isinstance(body, CountPosted) else None

    def lines(self, event: bytes) -> dict[str, Line]:
        """Return the latest count of each article of a sheet."""
        rows = self._db.execute(
            "SELECT l.sku, l.counted_milli, l.attempt, l.stream, l.seq, l.hlc, s.node "
            "FROM count_lines l JOIN streams s ON s.id = l.stream WHERE l.sheet = ? "
            "ORDER BY l.hlc, s.node, s.incarnation, l.seq",
            (event,),
        )
        return {row[0]: Line(*row) for row in rows}

    def line(self, event: bytes, sku: str) -> Line | None:
        """Return the latest count of an article on a sheet."""
        row = self._db.execute(
            "SELECT l.sku, l.counted_milli, l.attempt, l.stream, l.seq, l.hlc, s.node "
            "FROM count_lines l JOIN streams s ON s.id = l.stream WHERE l.sheet = ? AND l.sku = ? "
            "ORDER BY l.hlc DESC, s.node DESC, s.incarnation DESC, l.seq DESC LIMIT 1",
            (event, sku),
        ).fetchone()
        return Line(*row) if row else None

    def counted(self, event: bytes) -> int:
        """Return how many articles of a sheet were counted."""
        (count,) = self._db.execute(
            "SELECT count(DISTINCT sku) FROM count_lines WHERE sheet = ?", (event,)
        ).fetchone()
        return int(count)

    def group(self, sku: str) -> str:
        """Return the group of an article; empty if it has none."""
        row = self._db.execute(
            "SELECT grouping FROM articles WHERE sku = ? ORDER BY revision DESC LIMIT 1", (sku,)
        ).fetchone()
        return row[0] if row else ""

    def nodes(self) -> set[bytes]:
        """Return the nodes of the place that are not revoked."""
        return nodes_of(self._db, self._unit.stream.scope)

    def home(self) -> bytes:
        """Return the node that posts: the lowest of the place."""
        return min(self.nodes(), default=self._node)

    def waiting(self, lines: Mapping[str, Line]) -> Waiting:
        """Return whom lines wait for."""
        marks: dict[bytes, int] = {}
        missing: dict[bytes, int] = {}
        nodes, here = self.nodes(), self._here()
        for line in lines.values():
            marked = self._marked(line, here)
            for node in nodes - {line.node} - marked.keys():
                marks[node] = marks.get(node, 0) + 1
            cut = self._cut(line, marked, here)
            for node in {s.node for s, n in cut.items() if s not in here or here[s].held < n}:
                missing[node] = missing.get(node, 0) + 1
        return Waiting(marks, missing)

    # --- steps -----------------------------------------------------------------------

    def take(self, event: bytes, lines: Sequence[CountedLine], who: str = "") -> None:
        """Record what was counted just now."""
        now = self._unit.now
        others = {s: known.held for s, known in self._here().items() if s != self._unit.stream}
        body = CountTaken(
            now.ms,
            int(now.trust),
            CountedLines.of(tuple(lines)),
            tuple(others.keys()),
            tuple(others.values()),
            who,
        )
        self._unit.append(body, event)

    def react(self, stream: StreamId, fresh: Sequence[Fact]) -> None:
        """Mark the lines that came in of another node: so far we were when they were counted."""
        if stream.node == self._node:
            return
        taken = [
            (fact, body)
            for fact in fresh
            if fact.kind == "count.taken"
            and isinstance(body := decoded(fact), CountTaken)
            and self.posted(fact.event) is None
        ]
        own = {s: known.id for s, known in self._here().items() if s.node == self._node}
        for at in range(0, len(taken), MARKED_AT_ONCE):
            part = taken[at : at + MARKED_AT_ONCE]
            numbers = tuple(
                tuple(
                    max(self._number_at(id_, fact.hlc), _known(body).get(name, 0))
                    for fact, body in part
                )
                for name, id_ in own.items()
            )
            lines = tuple(fact.seq for fact, _ in part)
            name = self._unit.stream.name() + self._unit.next_seq.to_bytes(8, "big")
            event = sha256(b"karb.mark.1" + name).digest()[:EVENT_BYTES]
            self._unit.append(CountMarked(stream, lines, tuple(own), numbers), event)

    def compare(self, event: bytes, lines: Mapping[str, Line]) -> tuple[PostedLine, ...]:
        """Return what each line of a sheet makes of the books.

        Articles that another sheet counted later and has posted are left out: what was
        counted last holds.
        """
        newest = {
            sku: self._db.execute(
                "SELECT max(hlc) FROM count_posted WHERE sku = ? AND sheet != ?", (sku, event)
            ).fetchone()[0]
            for sku in lines
        }
        lines = {sku: line for sku, line in lines.items() if (newest[sku] or 0) <= line.hlc}
        here = self._here()
        cuts: dict[tuple[int, int], Cut] = {}
        for line in lines.values():
            if (line.stream, line.seq) not in cuts:
                cuts[line.stream, line.seq] = self._cut(line, self._marked(line, here), here)
        books = Books(self._unit, self._db, self._shelf).at(
            {sku: Moment(cuts[line.stream, line.seq], line.hlc) for sku, line in lines.items()}
        )
        return tuple(
            PostedLine(sku, line.counted_milli, line.counted_milli - books[sku], line.hlc)
            for sku, line in sorted(lines.items())
        )

    # --- how far everybody was -------------------------------------------------------

    def _cut(
        self, line: Line, marked: Mapping[bytes, Cut], here: Mapping[StreamId, Known]
    ) -> dict[StreamId, int]:
        """Return how far each stream of the place was when a line was counted."""
        body = decoded(fact_at(self._db, line.stream, line.seq))
        known = _known(body) if isinstance(body, CountTaken) else {}
        cut: dict[StreamId, int] = {}
        for stream in {**here, **known}:
            if stream in here and here[stream].id == line.stream:
                cut[stream] = line.seq
            elif stream.node in marked and stream.node != line.node:
                cut[stream] = marked[stream.node].get(stream, 0)
            else:
                told = self._number_at(here[stream].id, line.hlc) if stream in here else 0
                cut[stream] = max(known.get(stream, 0), told)
        return cut

    def _marked(
        self, line: Line, here: Mapping[StreamId, Known]
    ) -> dict[bytes, dict[StreamId, int]]:
        """Return which nodes marked a line, and how far they were."""
        names = {known.id: stream for stream, known in here.items()}
        marked: dict[bytes, dict[StreamId, int]] = {}
        for node, id_, number in self._db.execute(
            "SELECT node, stream, number FROM count_marks WHERE line_stream = ? AND line_seq = ?",
            (line.stream, line.seq),
        ):
            marked.setdefault(node, {})[names[id_]] = number
        return marked

    def _number_at(self, id_: int, hlc: int) -> int:
        """Return the number of a stream's last fact up to a moment; 0 if there was none."""
        begin, found = place(id_, 0), place(id_, 0)
        (last,) = self._db.execute(
            "SELECT max(place) FROM facts WHERE place BETWEEN ? AND ?", whole(id_)
        ).fetchone()
        low, high = begin, last or begin  # hlc grows with the number: halve what is in between
        while low < high:
            middle = (low + high + 1) // 2
            row = self._db.execute(  # of what was dropped some numbers are not here
                "SELECT place, hlc FROM facts WHERE place BETWEEN ? AND ? "
                "ORDER BY place DESC LIMIT 1",
                (low + 1, middle),
            ).fetchone()
            if row is None:
                low = middle
            elif row[1] <= hlc:
                low, found = middle, row[0]
            else:
                high = row[0] - 1
        return int(found - begin)

    def _here(self) -> dict[StreamId, Known]:
        """Return the streams of the place as they are here."""
        return streams(self._db, self._unit.stream.scope)


def _known(body: CountTaken) -> dict[StreamId, int]:
    """Return how far a counting node knew other streams."""
    return dict(zip(body.streams, body.numbers, strict=True))
