"""This node as a holder of rights: what it may promise, and how it answers others.

All of it in one unit of work: rights move in the transaction of what they belong to.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edge.store import refunds
from edge.store.journal import fact_at
from edge.store.shelf import Shelf, goods_of
from sync import facts as vocabulary
from sync.chain import ALL, EVENT_BYTES, Fact, StreamId
from sync.clock import hlc_ms
from sync.errors import BadFact
from sync.facts import Body
from sync.facts.count import CountPosted
from sync.facts.node import StreamClosed
from sync.facts.rights import CellLines, Move, RightsMoved, RightsWanted, StockPolicy
from sync.facts.sale import Sale, SaleClosed, Stage
from sync.facts.stock import OUTWARD, GoodsMoved, GoodsReceived, Movement
from sync.merge import rights, stock
from sync.merge.rights import NotHeld
from sync.merge.stock import Column, Deltas

if TYPE_CHECKING:
    from edge.store.unit import Unit

WANT_LASTS_MS = 3_600_000
"""A want older than this is nobody's any more: whoever asked has decided without."""


class StockView(NamedTuple):
    """How much of an article is on the shelf, by this node's books."""

    sku: str
    quantity_milli: int
    """What is really there, reserved or not."""

    right_milli: int
    """What this node may promise or sell of it without asking."""

    reserved_milli: int
    uncovered_milli: int
    """What left beyond anybody's right, and no right was found for yet."""

    as_of_ms: int
    """Time of the last fact that touched it."""


class Holder:
    """The rights of this node, within a unit."""

    def __init__(self, unit: "Unit", db: sqlite3.Connection, shelf: Shelf, node: bytes) -> None:
        """Work in the transaction of `unit`."""
        self._unit, self._db, self._shelf, self._node = unit, db, shelf, node

    @property
    def _own(self) -> int:
        return self._unit.number(self._unit.stream)

    # --- what there is ---------------------------------------------------------------

    def right(self, cell: str) -> int:
        """Return what this node may promise of a cell, what it inherited included."""
        return self._shelf.right(cell, self._own)

    def shortage(self, amounts: Mapping[str, int]) -> Deltas:
        """Return how much of `amounts` is beyond the right, of the cells stock is kept of."""
        shelf, own = self._shelf, self._own
        short: Deltas = {}
        for cell, milli in amounts.items():
            right = shelf.right(cell, own)
            if right < milli and shelf.tracked(cell):
                short[cell] = milli - max(right, 0)
        return short

    def uncovered(self, cell: str, but: int | None = None) -> int:
        """Return what left a place beyond any right; as much is kept back.

        Args:
            cell: Which.
            but: A holder whose part does not count: the one that asks for it.
        """
        return stock.uncovered_at(self._shelf.rows(cell), self._shelf.heir, but)

    def stock(self, sku: str) -> StockView | None:
        """Return the stock of an article; None if no fact ever touched it."""
        shelf = self._shelf
        rows = shelf.rows(sku)
        if not rows:
            return None
        return StockView(
            sku,
            sum(map(stock.physical, rows.values())),
            shelf.right(sku, self._own),
            sum(map(stock.reserved, rows.values())),
            stock.uncovered_at(rows, shelf.heir) if shelf.kept(rows) else 0,
            max(row[-1] for row in rows.values()),
        )

    def policy(self, sku: str) -> StockPolicy:
        """Return the policy that holds for an article here."""
        scope = self._unit.stream.scope
        told: dict[str, dict[str, StockPolicy]] = {scope: {}, ALL: {}}
        for at, target, body in self._db.execute("SELECT scope, target, body FROM policies"):
            if at in told:
                told[at][target] = msgspec.msgpack.decode(body, type=StockPolicy)
        row = self._db.execute(
            "SELECT grouping FROM articles WHERE sku = ? ORDER BY revision DESC LIMIT 1", (sku,)
        ).fetchone()
        return stock.policy_for(sku, row[0] if row else "", told[scope], told[ALL])

    def inherits(self, stream: int) -> bool:
        """Whether what a stream holds is ours: our own, or one that ended and left it to us."""
        return stream in self._shelf.estate(self._own)

    def brought(self, cell: str) -> int:
        """Return what we, and those whose rights are ours now, ever brought in of a cell."""
        estate = self._shelf.estate(self._own)
        return sum(self._shelf.row(cell, id_)[Column.MADE] for id_ in estate)

    def spent(self, cell: str) -> bool:
        """Whether anybody is known to have used some of a cell."""
        return any(row[Column.USED] for row in self._shelf.rows(cell).values())

    # --- steps of our own ------------------------------------------------------------

    def make(self, event: bytes, amounts: Deltas) -> None:
        """Bring in rights that no goods stand for, such as those to refund a sale."""
        self._moved(Move.MADE, event, amounts)

    def use(self, event: bytes, amounts: Deltas) -> None:
        """Spend rights.

        Raises:
            NotHeld: More than there is; nothing was written.
        """
        self._need(amounts)
        self._moved(Move.USED, event, amounts)

    def take_over(self, event: bytes, short: Deltas, why: str = "") -> None:
        """Note that of what an event uses so much is beyond the right. Before the event's fact."""
        if short:
            self._moved(Move.OVER, event, short, why=why)

    def give(self, event: bytes, to: StreamId, amounts: Deltas) -> None:
        """Hand rights to another holder.

        Raises:
            NotHeld: More than there is; nothing was written.
        """
        self._need(amounts)
        self._moved(Move.GIVEN, event, amounts, to)

    def hold(self, event: bytes, amounts: Deltas) -> None:
        """Reserve.

        Raises:
            NotHeld: More than there is; nothing was written.
        """
        self._need(amounts)
        self._moved(Move.HELD, event, amounts)

    def free(self, event: bytes, amounts: Deltas) -> None:
        """Release what was reserved.

        Raises:
            NotHeld: Less is reserved; nothing was written.
        """
        self._need_reserved(amounts)
        self._moved(Move.FREED, event, amounts)

    def hand(self, event: bytes, amounts: Deltas) -> None:
        """Hand over what was reserved.

        Raises:
            NotHeld: Less is reserved; nothing was written.
        """
        self._need_reserved(amounts)
        self._moved(Move.DONE, event, amounts)

    def want(self, event: bytes, amounts: Deltas, of: StreamId | None = None) -> None:
        """Ask others for rights."""
        self._unit.append(RightsWanted(CellLines.by_cell(amounts), of), event)

    def moved(self, event: bytes, body: GoodsMoved, approved_by: str = "") -> None:
        """Record goods that came or went; what goes beyond the right is taken over."""
        amounts = body.lines.amounts()
        if body.movement in OUTWARD:
            self.take_over(event, self.shortage(amounts), why=approved_by)
        self._unit.append(body, event)
        if body.movement is Movement.ARRIVED:
            self.received(event, amounts)
        else:
            self.settle(amounts)

    def posted(self, event: bytes, body: CountPosted) -> None:
        """Let the books follow a count; what is missing beyond the right is taken over."""
        self.take_over(event, self.shortage(body.missing()), why=body.approved_by)
        self._unit.append(body, event)
        self.settle({**body.found(), **body.missing()})

    def received(self, event: bytes, amounts: Deltas) -> None:
        """After a delivery: cover what was taken beyond the right, give central its share."""
        self.settle(amounts)
        central = self.central()
        if central is None:
            return
        share = {
            cell: part
            for cell, milli in amounts.items()
            if (
                part := stock.web_share(
                    self.policy(cell), milli, self.right(cell) - self.uncovered(cell)
                )
            )
        }
        if share:
            self.give(event, central, share)

    def settle(self, cells: Iterable[str]) -> None:
        """Own up to what was taken with no right, and cover what there is a right for now."""
        over: Deltas = {}
        for cell in cells:
            right = self.right(cell)
            if right < 0 and self._shelf.tracked(cell):
                over[cell] = -right
        self._moved(Move.OVER, self._fresh(), over)
        covered: Deltas = {}
        for cell in cells:
            row = self._shelf.row(cell, self._own)
            amount = rights.coverable(self.right(cell), row[Column.OVER] - row[Column.COVERED])
            if amount:
                covered[cell] = amount
        self._moved(Move.COVERED, self._fresh(), covered)

    # --- answers to others -----------------------------------------------------------

    def react(self, stream: StreamId, fresh: Sequence[Fact]) -> None:
        """Answer what came in of somebody else of this place, in the same transaction."""
        self._shelf.grew()
        self._shelf.settle_fences()
        cells: dict[str, None] = {}
        for fact in fresh:
            try:
                body = vocabulary.decode(fact)
            except BadFact:
                continue
            match body:
                case GoodsReceived() | GoodsMoved() | CountPosted():
                    for _, amounts, _ in stock.moves(body):
                        cells.update(dict.fromkeys(amounts))
                case RightsMoved() if body.to == self._unit.stream:
                    cells.update(dict.fromkeys(body.lines.amounts()))
                case StreamClosed() if body.successor == self._unit.stream:
                    cells.update(dict.fromkeys(self._shelf.cells(self._unit.number(body.stream))))
                case RightsWanted():
                    self._answer(stream, fact, body)
            if isinstance(body, Sale | GoodsReceived | GoodsMoved | CountPosted):
                self.compensate(fact.event)
            if isinstance(body, GoodsMoved) and body.movement is Movement.ARRIVED:
                self.compensate(body.reference)
        self.settle(cells)

    def _answer(self, asker: StreamId, fact: Fact, want: RightsWanted) -> None:
        """Give what we can spare to one who asks."""
        ours = self._unit.stream
        if (
            asker.node == self._node
            or want.of not in (None, ours)
            or hlc_ms(fact.hlc) + WANT_LASTS_MS < self._unit.now.ms
        ):
            return
        from_central = asker.node == self._central_node()
        id_ = self._unit.number(asker)
        gives: Deltas = {}
        wanted = want.lines.amounts()
        for sale in dict.fromkeys(filter(None, map(refunds.sale_of, wanted))):
            refunds.make(self._unit, sale)
        for cell, asked in wanted.items():
            spare = self.right(cell) - self.uncovered(cell, but=id_)
            if rights.kind_of(cell)[0] != rights.STOCK:
                if spare > 0:
                    gives[cell] = spare  # whole: who has it knows what is left
                continue
            kept = self.policy(cell).floor_milli if from_central else 0
            amount = rights.to_give(spare, asked, self._sharers(), kept, stock.PIECE)
            if amount:
                gives[cell] = amount
        if gives:
            self.give(fact.event, asker, gives)

    def compensate(self, event: bytes) -> None:
        """Take back what our record of an event moved, where another node's record counts."""
        mine = self._db.execute(
            "SELECT d.stream, d.seq, d.record FROM duplicates d JOIN streams s ON s.id = d.stream "
            "WHERE d.event = ? AND s.node = ? ORDER BY d.stream, d.seq",
            (event, self._node),
        ).fetchall()
        for id_, seq, record in mine:
            marker = compensation(self._node, event)
            if self._unit.document(marker) is not None:
                return
            now = self._unit.now
            for movement, amounts in self.to_take_back(id_, seq, event, record):
                lines = CellLines.by_cell(amounts)
                told = GoodsMoved(movement, now.ms, int(now.trust), lines, "twice", "", event)
                self.moved(marker, told)
                marker = compensation(self._node, marker)  # a count may go both ways

    def to_take_back(
        self, id_: int, seq: int, event: bytes, record: str
    ) -> list[tuple[Movement, Deltas]]:
        """Return what takes back a record of an event that another node's record counts for.

        Args:
            id_: Its stream, as numbered in this file.
            seq: Its number.
            event: Which.
            record: Which rule says that there are two: `Views` notes it.
        """
        if record == "sales":
            sale = goods_of(self._db, id_, seq)
            stands = sale is not None and self._counted(id_, event, sale[0])
            return [(Movement.FOUND, sale[1])] if sale and stands else []
        return _taken_back(vocabulary.decode(fact_at(self._db, id_, seq)), record)

    def _counted(self, id_: int, event: bytes, stage: Stage) -> bool:
        """Whether the goods of a stream's record of a sale went: it was closed, and stands."""
        if stage is Stage.CLOSED:
            return True
        row = self._db.execute(
            "SELECT 1 FROM closings WHERE stream = ? AND event = ? AND closed IS NOT NULL "
            "AND voided IS NULL",
            (id_, event),
        ).fetchone()
        return row is not None

    def close(self, event: bytes, body: SaleClosed) -> None:
        """Close a tendered sale; where it stands in another stream, its goods are used in ours."""
        row = self._shelf.index.place(event)
        sale = goods_of(self._db, *row) if row else None
        if row is not None and sale is not None and sale[0] is Stage.TENDERED:
            amounts = sale[1]
            self.take_over(event, self.shortage(amounts))
            if row[0] != self._own:
                self._moved(Move.USED, event, amounts)
        self._unit.append(body, event)
        self.compensate(event)

    # --- others ----------------------------------------------------------------------

    def central(self) -> StreamId | None:
        """Return central as a holder at this place: its newest stream here; None if unheard of."""
        node, ours = self._central_node(), self._unit.stream
        row = self._db.execute(
            "SELECT s.incarnation FROM streams s JOIN facts f ON f.place = "
            "(SELECT max(place) FROM facts WHERE place BETWEEN (s.id << 40) "
            "AND (s.id << 40 | 0xFFFFFFFFFF)) "
            "WHERE s.node = ? AND s.scope = ? AND s.id NOT IN (SELECT stream FROM fences) "
            "ORDER BY f.hlc DESC LIMIT 1",
            (node, ours.scope),
        ).fetchone()
        return StreamId(node, row[0], ours.scope) if row and node else None

    def _central_node(self) -> bytes:
        row = self._db.execute("SELECT node FROM roots WHERE store = ?", (ALL,)).fetchone()
        return row[0] if row else b""

    def _sharers(self) -> int:
        (count,) = self._db.execute(
            "SELECT count(*) FROM nodes WHERE store = ? AND revoked = 0",
            (self._unit.stream.scope,),
        ).fetchone()
        return max(2, int(count))

    def _need(self, amounts: Deltas) -> None:
        for cell, milli in amounts.items():
            right = self.right(cell)
            if not 0 < milli <= right:
                raise NotHeld(
                    f"Right of {milli} thousandths of {cell!r}: expected 1 to {max(right, 0)}, "
                    "which this node holds."
                )

    def _need_reserved(self, amounts: Deltas) -> None:
        for cell, milli in amounts.items():
            held = sum(
                stock.reserved(self._shelf.row(cell, id_)) for id_ in self._shelf.estate(self._own)
            )
            if not 0 < milli <= held:
                raise NotHeld(
                    f"{milli} thousandths of {cell!r}: expected 1 to {max(held, 0)}, "
                    "which are reserved here."
                )

    def _moved(
        self,
        move: Move,
        event: bytes,
        amounts: Deltas,
        to: StreamId | None = None,
        why: str = "",
    ) -> None:
        if amounts:
            self._unit.append(RightsMoved(move, CellLines.by_cell(amounts), to, why), event)

    def _fresh(self) -> bytes:
        """Name an event of our own making: no other fact has its number."""
        name = self._unit.stream.name() + self._unit.next_seq.to_bytes(8, "big")
        return sha256(b"karb.event.1" + name).digest()[:EVENT_BYTES]


def compensation(node: bytes, event: bytes) -> bytes:
    """Name the event under which a node takes back its record of an event."""
    return sha256(b"karb.compensation.1" + node + event).digest()[:EVENT_BYTES]


def _taken_back(body: Body | None, record: str) -> list[tuple[Movement, Deltas]]:
    match body:
        case GoodsReceived():
            return [(Movement.LOST, stock.received(body))]
        case GoodsMoved() if (body.movement is Movement.ARRIVED) is (record == "arrivals"):
            # Of an arrival counts which there is of the transfer, not of the paper.
            back = Movement.FOUND if body.movement in OUTWARD else Movement.LOST
            return [(back, body.lines.amounts())]
        case CountPosted():
            both = [(Movement.LOST, body.found()), (Movement.FOUND, body.missing())]
            return [(movement, amounts) for movement, amounts in both if amounts]
    return []
