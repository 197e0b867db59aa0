"""What the facts add up to. Each fact is applied once, in whatever order they come.

Functions of the set of facts: `apply` over any order of delivery ends in the same
rows, and so does applying everything again to an empty database (`verify` does).
"""

import sqlite3
from collections.abc import Mapping, Sequence

from edge.keys import NodeKey
from edge.store import documents
from edge.store.journal import find_fact
from edge.store.shelf import Shelf
from sync import facts as vocabulary
from sync.chain import ALL, Fact, StreamId
from sync.errors import BadFact, BadIdentity
from sync.facts import Body
from sync.facts.authority import HEAD_OFFICES, objection
from sync.facts.basket import BasketEnded, BasketRecalled
from sync.facts.catalogue import Articles, Prices, VatRates
from sync.facts.count import CountMarked, CountOpened, CountPosted, CountTaken
from sync.facts.deposit import DepositsTaken
from sync.facts.document import DocumentChanged, DocumentSettled, GenerationBegan
from sync.facts.hours import SaleHours
from sync.facts.node import (
    AppendedAgain,
    IncarnationBegan,
    NodeEnrolled,
    NodeRevoked,
    StoreDescribed,
    StreamClosed,
)
from sync.facts.order import (
    OrderAnswered,
    OrderPlaced,
    PromiseBroken,
    PromiseEnded,
    PromiseMade,
)
from sync.facts.person import PersonForgotten
from sync.facts.promotion import PromotionTold
from sync.facts.returned import SaleReturned
from sync.facts.rights import Move, RightsMoved, RightsWanted, StockPolicy
from sync.facts.sale import (
    PaymentSettled,
    Sale,
    SaleClosed,
    SaleFiscalised,
    SaleSums,
    SaleVoided,
    Stage,
)
from sync.facts.shift import CashMoved, ShiftClosed, ShiftOpened
from sync.facts.staff import StaffActed, UserDescribed
from sync.facts.stock import GoodsMoved, GoodsReceived, Movement, TransferAnnounced
from sync.identity import certificate, read
from sync.merge.sales import stage_now, stage_of

DERIVED = (
    "nodes",
    "settings",
    "articles",
    "codes",
    "prices",
    "vat_rates",
    "promotions",
    "sale_hours",
    "sales",
    "tills",
    "settled",
    "documents",
    "returns",
    "deposits",
    "rights",
    "closings",
    "policies",
    "wanted",
    "given",
    "fences",
    "count_lines",
    "count_marks",
    "count_posted",
    "transfers",
    "arrivals",
    "orders",
    "order_answers",
    "reserved",
    "staff",
    "shifts",
    "quarantine",
    "duplicates",
    "unreadable",
    *documents.DERIVED,
)
"""Tables that the facts alone decide, but for the columns in `LOCAL`."""

LOCAL = frozenset({"digest", "nth"})
"""Columns of this file alone: digests of requests, and the order in which sales came to it."""

_HOUR_MS = 3_600_000


_NOTED = {Move.GIVEN: "given", Move.HELD: "reserved"}
"""Rights whose event is looked for later, and where it is noted."""


class Views:
    """The views of one file. Runs inside somebody else's transaction."""

    def __init__(
        self, db: sqlite3.Connection, shelf: Shelf, facts: sqlite3.Connection | None = None
    ) -> None:
        """Work on `db`.

        Args:
            db: Where the views are.
            shelf: The rows of rights.
            facts: Where the facts are, if not there too.
        """
        self._db, self.shelf, self._facts = db, shelf, facts or db
        self.touched: set[bytes] = set()
        """Documents that have moved: `documents.settle` makes what is kept beside them."""
        self.tills: dict[str, tuple[int, bytes]] = {}
        """Hour and node that the table `tills` has at the least; cleared when a unit fails."""

    def take(self, id_: int, stream: StreamId, fact: Fact) -> None:
        """Apply a fact of unknown worth: decode, and set aside what cannot be applied."""
        try:
            body = vocabulary.decode(fact)
            if body is None:
                self._db.execute(
                    "INSERT OR IGNORE INTO unreadable VALUES (?, ?, ?, ?)",
                    (id_, fact.seq, fact.kind, fact.version),
                )
                return
            self.apply(id_, stream, fact, body)
        except (BadFact, BadIdentity, ValueError) as error:
            self._db.execute(
                "INSERT OR IGNORE INTO quarantine VALUES (?, ?, ?)", (id_, fact.seq, str(error))
            )

    def apply(  # noqa: C901, PLR0912, PLR0915 - one case a kind
        self, id_: int, stream: StreamId, fact: Fact, body: Body, digest: bytes | None = None
    ) -> None:
        """Apply a fact whose body is known to be sound.

        Args:
            id_: Its stream, as numbered in this file.
            stream: Its stream.
            fact: Itself.
            body: Its body.
            digest: Of the request that made a sale here.

        Raises:
            BadFact: Its author may not say this.
        """
        if isinstance(body, HEAD_OFFICES):
            ours = self._of_head_office(stream.node)
            if reason := objection(body, fact.kind, stream, head_office=ours):
                raise BadFact(reason)
        first, sums = True, None
        match body:
            case Sale():
                sums = body.lines.sums()
                first = self._sale(id_, stream, fact, body, sums, digest)
            case SaleClosed() | SaleVoided() | SaleFiscalised():
                self._follow(fact.event, stage_of(body, {}, None))
            case PaymentSettled():
                self._settle(id_, fact, body)
            case SaleReturned():
                told = {
                    "sale": body.sale,
                    "till": body.till,
                    "at_ms": body.at_ms,
                    "business_day": body.business_day,
                    "mistake": int(body.mistake),
                    "total_minor": body.total_minor,
                }
                self._first("returns", id_, fact, told)
            case DepositsTaken():
                brought = {
                    "sale": body.sale or None,
                    "till": body.till,
                    "at_ms": body.at_ms,
                    "business_day": body.business_day,
                    "applied_minor": body.applied_minor,
                    "paid_minor": body.paid_minor,
                }
                self._first("deposits", id_, fact, brought)
            case GoodsReceived():
                first = self._document(id_, fact, "goods_received")
            case GoodsMoved():
                self._document(id_, fact, body.movement.name.lower())
                if body.movement is Movement.ARRIVED and body.reference not in (b"", fact.event):
                    self._arrival(id_, fact, body)
            case TransferAnnounced():
                self._announced(id_, stream, fact)
            case CountOpened():
                self._document(id_, fact, "count_opened")
            case CountTaken() | CountMarked() | CountPosted():
                self._count(id_, stream, fact, body)
            case RightsMoved():
                if table := _NOTED.get(body.move):
                    self._note(table, id_, fact)
            case OrderPlaced():
                self._db.execute(
                    "INSERT INTO orders VALUES (?, ?, ?) ON CONFLICT (event, stream) DO UPDATE "
                    "SET seq = min(seq, excluded.seq)",
                    (fact.event, id_, fact.seq),
                )
            case OrderAnswered():
                self._note("order_answers", id_, fact)
            case RightsWanted():
                self._db.execute(
                    "INSERT OR IGNORE INTO wanted VALUES (?, ?, ?, ?)",
                    (fact.event, id_, fact.seq, fact.hlc),
                )
            case StockPolicy():
                self._latest(
                    "policies", ("scope", "target"), (stream.scope, body.target), stream, fact
                )
            case StreamClosed():
                self._fence(stream, fact, body)
            case Articles():
                self._articles(body)
            case Prices():
                add_prices(
                    self._db,
                    [(p.sku, p.from_ms, body.revision, p.unit_minor) for p in body.prices.rows()],
                )
            case VatRates():
                add_vat_rates(
                    self._db,
                    [
                        (r.code, r.since, body.revision, r.basis_points, int(r.exempt))
                        for r in body.rates
                    ],
                )
            case PromotionTold():
                self._latest("promotions", ("id",), (body.promotion.id,), stream, fact)
            case SaleHours():
                self._latest(
                    "sale_hours", ("scope", "target"), (stream.scope, body.target), stream, fact
                )
            case NodeEnrolled():
                identity = read(certificate(body.certificate))
                self._db.execute(
                    "INSERT INTO nodes VALUES (?, ?, ?, 0, ?, ?, ?) ON CONFLICT (node) DO UPDATE "
                    "SET store = excluded.store, public_key = excluded.public_key, "
                    "certificate = excluded.certificate, ends_ms = excluded.ends_ms, "
                    "name = excluded.name WHERE (excluded.ends_ms, excluded.certificate, "
                    "excluded.name) > (ends_ms, certificate, name)",
                    (
                        body.node,
                        body.store,
                        identity.public_key,
                        body.certificate,
                        identity.not_after_ms,
                        body.name,
                    ),
                )
            case NodeRevoked():
                self._db.execute(
                    "INSERT INTO nodes (node, store, public_key, revoked) VALUES (?, '', x'', 1) "
                    "ON CONFLICT (node) DO UPDATE SET revoked = 1",
                    (body.node,),
                )
            case UserDescribed():
                self._latest("staff", ("user",), (body.user,), stream, fact)
            case ShiftOpened() | ShiftClosed() | CashMoved():
                shift = body.shift if isinstance(body, CashMoved) else fact.event
                self._db.execute(
                    "INSERT OR IGNORE INTO shifts VALUES (?, ?, ?, ?, ?)",
                    (shift, id_, fact.seq, fact.kind, body.till),
                )
            case StoreDescribed():
                self._latest("settings", ("store",), (body.store,), stream, fact)
            case (
                DocumentChanged()
                | GenerationBegan()
                | DocumentSettled()
                | PersonForgotten()
                | BasketRecalled()
                | BasketEnded()
            ):
                self.touched.add(documents.apply(self._db, stream, fact, body))
            case (
                IncarnationBegan()
                | AppendedAgain()
                | PromiseMade()
                | PromiseEnded()
                | PromiseBroken()
                | StaffActed()
            ):
                pass  # tells people and peers; adds nothing up
        self.shelf.apply(id_, fact, body, first=first, sums=sums)

    def _note(self, table: str, id_: int, fact: Fact) -> None:
        self._db.execute(
            f"INSERT OR IGNORE INTO {table} VALUES (?, ?, ?)", (fact.event, id_, fact.seq)
        )

    def _latest(
        self,
        table: str,
        key: tuple[str, ...],
        values: tuple[str, ...],
        stream: StreamId,
        fact: Fact,
    ) -> None:
        """Keep the latest fact of a key: central's order, not the order of arrival."""
        self._db.execute(
            f"INSERT INTO {table} VALUES ({'?, ' * len(key)}?, ?, ?) "
            f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET "
            "hlc = excluded.hlc, place = excluded.place, body = excluded.body "
            "WHERE (excluded.hlc, excluded.place) > (hlc, place)",
            (*values, fact.hlc, f"{stream}/{fact.seq:020}", fact.body),
        )

    def _of_head_office(self, node: bytes) -> bool:
        """Whether enrolment said that a node is head office."""
        found = self._facts.execute("SELECT 1 FROM roots WHERE node = ? AND store = ?", (node, ALL))
        return found.fetchone() is not None

    def _fence(self, stream: StreamId, fact: Fact, body: StreamClosed) -> None:
        """Take note of a fence; should there be two, the one written first holds."""
        id_, successor = self.shelf.number(body.stream), self.shelf.number(body.successor)
        moved = self._db.execute(
            "INSERT INTO fences VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (stream) DO UPDATE SET "
            "seq = excluded.seq, hash = excluded.hash, successor = excluded.successor, "
            "hlc = excluded.hlc, place = excluded.place "
            "WHERE (excluded.hlc, excluded.place) < (hlc, place)",
            (id_, body.seq, body.hash, successor, fact.hlc, f"{stream}/{fact.seq:020}"),
        )
        if moved.rowcount:
            self.shelf.fence(id_, body.seq, successor)

    def _articles(self, body: Articles) -> None:
        add_articles(
            self._db,
            [
                (
                    row.sku,
                    body.revision,
                    row.name,
                    row.fiscal_name,
                    row.unit,
                    row.vat,
                    " ".join(row.codes),
                    row.deposit_minor,
                    row.age_min,
                    row.group,
                    body.from_ms,
                )
                for row in body.articles.rows()
            ],
        )

    def _document(self, id_: int, fact: Fact, kind: str) -> bool:
        """Keep which fact records a document; return whether it is the first of its stream."""
        found = self._db.execute(
            "SELECT stream, seq FROM documents WHERE event = ?", (fact.event,)
        ).fetchone()
        first = found is None or self.shelf.first_of_stream(id_, fact)
        if found is not None and not self._wins("documents", fact.event, found, (id_, fact.seq)):
            return first
        self._db.execute(
            "INSERT INTO documents (event, stream, seq, kind) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (event) DO UPDATE SET stream = excluded.stream, seq = excluded.seq, "
            "kind = excluded.kind",
            (fact.event, id_, fact.seq, kind),
        )
        return first

    def _first(self, table: str, id_: int, fact: Fact, values: Mapping[str, object]) -> None:
        """Keep a fact in a table of one row an event; of two records the lowest place counts."""
        found = self._db.execute(
            f"SELECT stream, seq FROM {table} WHERE event = ?", (fact.event,)
        ).fetchone()
        if found and not self._wins(table, fact.event, found, (id_, fact.seq)):
            return
        row = {"stream": id_, "seq": fact.seq, **values}
        self._db.execute(
            f"INSERT INTO {table} (event, {', '.join(row)}) VALUES (?{', ?' * len(row)}) "
            f"ON CONFLICT (event) DO UPDATE SET "
            f"{', '.join(f'{name} = excluded.{name}' for name in row)}",
            (fact.event, *row.values()),
        )

    def _arrival(self, id_: int, fact: Fact, body: GoodsMoved) -> None:
        """Keep which fact says that a transfer arrived: the lowest place."""
        found = self._db.execute(
            "SELECT stream, seq FROM arrivals WHERE reference = ?", (body.reference,)
        ).fetchone()
        if found and not self._wins("arrivals", body.reference, found, (id_, fact.seq)):
            return
        self._db.execute(
            "INSERT OR REPLACE INTO arrivals VALUES (?, ?, ?)", (body.reference, id_, fact.seq)
        )

    def _announced(self, id_: int, stream: StreamId, fact: Fact) -> None:
        """Keep what is under way; told twice by two lives of central, the lowest place holds."""
        self._db.execute(
            "INSERT INTO transfers VALUES (?, ?, ?, ?) ON CONFLICT (event) DO UPDATE SET "
            "stream = excluded.stream, seq = excluded.seq, place = excluded.place "
            "WHERE excluded.place < place",
            (fact.event, id_, fact.seq, f"{stream}/{fact.seq:020}"),
        )

    def _count(
        self, id_: int, stream: StreamId, fact: Fact, body: CountTaken | CountMarked | CountPosted
    ) -> None:
        """Keep the lines of a sheet, how far others were, and what was posted."""
        match body:
            case CountTaken():
                self._db.executemany(
                    "INSERT OR IGNORE INTO count_lines VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [
                        (fact.event, r.sku, id_, fact.seq, fact.hlc, r.counted_milli, r.attempt)
                        for r in body.lines.rows()
                    ],
                )
            case CountMarked():
                line_stream = self.shelf.number(body.of)
                self._db.executemany(
                    "INSERT INTO count_marks VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                    "number = max(number, excluded.number)",
                    [
                        (line_stream, line, stream.node, self.shelf.number(marked), number)
                        for marked, numbers in zip(body.streams, body.numbers, strict=True)
                        if marked.node == stream.node and marked.scope == stream.scope
                        for line, number in zip(body.lines, numbers, strict=True)
                    ],
                )
            case CountPosted():
                self._document(id_, fact, "count_posted")
                self._db.executemany(
                    "INSERT OR IGNORE INTO count_posted VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [
                        (
                            r.sku,
                            body.sheet,
                            id_,
                            fact.seq,
                            r.hlc,
                            r.counted_milli,
                            r.difference_milli,
                        )
                        for r in body.lines.rows()
                    ],
                )

    def _sale(
        self,
        id_: int,
        stream: StreamId,
        fact: Fact,
        body: Sale,
        sums: SaleSums,
        digest: bytes | None,
    ) -> bool:
        """Keep a sale; return whether it is the first record of its event in its stream."""
        event = fact.event
        self._sold_on(body.till, (body.at_ms // _HOUR_MS, stream.node))
        stage = body.stage if body.stage is Stage.CLOSED else stage_now(body, {}, 0)
        row = (
            body.till,
            body.series_in(stream),
            body.number,
            body.at_ms,
            body.business_day,
            body.cashier,
            body.channel,
            body.lines.n,
            sums.quantity_milli,
            sums.goods_minor + sums.deposits_minor + body.rounding_minor,
        )
        index = self.shelf.index
        nth = index.nth(event)
        if nth is None:
            made = self._db.execute(
                "INSERT INTO sales VALUES (NULL, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (event, id_, fact.seq, stage, *row, digest),
            )
            index.add(event, made.lastrowid or 0)
            return True
        winner, seq, later = self._db.execute(
            "SELECT stream, seq, later FROM sales WHERE nth = ?", (nth,)
        ).fetchone()
        first = True
        if winner is not None:
            first = self.shelf.first_of_stream(id_, fact)
            if not self._wins("sales", event, (winner, seq), (id_, fact.seq)):
                return first
        stage = stage_now(body, settled_payments(self._db, event), later)
        self._db.execute(
            "UPDATE sales SET stream = ?, seq = ?, stage = ?, till = ?, series = ?, number = ?, "
            "at_ms = ?, business_day = ?, cashier = ?, channel = ?, lines = ?, "
            "quantity_milli = ?, total_minor = ?, digest = coalesce(?, digest) WHERE nth = ?",
            (id_, fact.seq, stage, *row, digest, nth),
        )
        return first

    def _sold_on(self, till: str, owner: tuple[int, bytes]) -> None:
        if owner > self.tills.get(till, (0, b"")):
            self._db.execute(
                "INSERT INTO tills VALUES (?, ?, ?) ON CONFLICT (till) DO UPDATE SET "
                "hour = excluded.hour, node = excluded.node "
                "WHERE (excluded.hour, excluded.node) > (hour, node)",
                (till, *owner),
            )
            self.tills[till] = owner

    def _follow(self, event: bytes, vouched: Stage) -> None:
        """Take note that a later fact vouches for a stage, or that a payment is settled."""
        index = self.shelf.index
        nth = index.nth(event)
        if nth is None:
            made = self._db.execute(
                "INSERT INTO sales (event, stage, later) VALUES (?, ?, ?)",
                (event, stage_now(None, {}, vouched), vouched),
            )
            index.add(event, made.lastrowid or 0)
            return
        stream, seq, before, known = self._db.execute(
            "SELECT stream, seq, stage, later FROM sales WHERE nth = ?", (nth,)
        ).fetchone()
        later = max(known, vouched)
        if before >= Stage.CLOSED:  # no payment can matter any more, and its fact may be gone
            stage = Stage(max(before, later))
        else:
            sale = self._fact(stream, seq) if stream is not None else None
            sale = sale if isinstance(sale, Sale) else None
            stage = stage_now(sale, settled_payments(self._db, event), later)
        self._db.execute("UPDATE sales SET stage = ?, later = ? WHERE nth = ?", (stage, later, nth))

    def _fact(self, stream: int, seq: int) -> Body | None:
        fact = find_fact(self._facts, stream, seq)
        return vocabulary.decode(fact) if fact else None

    def _settle(self, id_: int, fact: Fact, body: PaymentSettled) -> None:
        found = self._db.execute(
            "SELECT stream, seq FROM settled WHERE event = ? AND payment = ?",
            (fact.event, body.payment),
        ).fetchone()
        if found is not None and self._place(*found) > self._place(id_, fact.seq):
            return  # the last word of the stream counts
        self._db.execute(
            "INSERT OR REPLACE INTO settled VALUES (?, ?, ?, ?, ?)",
            (fact.event, body.payment, id_, fact.seq, body.approved),
        )
        self._follow(fact.event, stage_of(body, {}, None))

    def _wins(self, record: str, event: bytes, found: Sequence[int], new: tuple[int, int]) -> bool:
        """Whether a second record of one event counts instead of the first; notes the loser."""
        wins = self._place(*new) < self._place(found[0], found[1])
        loser = found if wins else new
        self._db.execute(
            "INSERT OR IGNORE INTO duplicates VALUES (?, ?, ?, ?)", (event, *loser, record)
        )
        return wins

    def _place(self, id_: int, seq: int) -> tuple[StreamId, int]:
        node, incarnation, scope = self._db.execute(
            "SELECT node, incarnation, scope FROM streams WHERE id = ?", (id_,)
        ).fetchone()
        return StreamId(node, incarnation, scope), seq


def settled_payments(db: sqlite3.Connection, event: bytes) -> dict[int, bool]:
    """Return which payments of a sale are known: index to approved."""
    rows = db.execute("SELECT payment, approved FROM settled WHERE event = ?", (event,))
    return {payment: bool(approved) for payment, approved in rows}


def add_articles(db: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Add rows of articles, and their codes; of two that tell of one revision the greater holds.

    Some hundred rows a statement: SQLite lets go of the interpreter at every row of an
    executemany, and parses a statement of as many rows once.
    """
    values = "name, fiscal_name, unit, vat, codes, deposit_minor, age_min, grouping, from_ms"
    _add(db, "articles", "sku, revision", rows, values)
    codes = [(code, row[0], row[1]) for row in rows for code in str(row[6]).split()]
    _add(db, "codes", "code, revision, sku", codes, "")


def add_prices(db: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Add rows of prices; of two that tell of one moment and revision the greater holds."""
    _add(db, "prices", "sku, from_ms, revision", rows, "unit_minor")


def add_vat_rates(db: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Add rows of VAT rates; of two that tell of one day and revision the greater holds."""
    _add(db, "vat_rates", "code, since, revision", rows, "basis_points, exempt")


def _add(
    db: sqlite3.Connection, table: str, key: str, rows: Sequence[tuple[object, ...]], values: str
) -> None:
    if values:
        names = values.split(", ")
        told = ", ".join(f"{name} = excluded.{name}" for name in names)
        theirs = ", ".join(f"excluded.{name}" for name in names)
        ours = ", ".join(f"{table}.{name}" for name in names)
        conflict = f"DO UPDATE SET {told} WHERE ({theirs}) > ({ours})"
    else:
        conflict = "DO NOTHING"
    at = 0
    for size in _SIZES:
        while len(rows) - at >= size:
            mark = f"({', '.join('?' * len(rows[at]))})"
            db.execute(
                f"INSERT INTO {table} VALUES {', '.join([mark] * size)} "
                f"ON CONFLICT ({key}) {conflict}",
                [cell for row in rows[at : at + size] for cell in row],
            )
            at += size


_SIZES = (256, 16, 1)
"""Rows of a statement: few sizes, so that each is found again among the prepared ones."""


def reapply(
    views: Views,
    db: sqlite3.Connection,
    key: NodeKey,
    streams: Sequence[tuple[int, StreamId, Fact]],
) -> None:
    """Apply facts that could not be read before an upgrade."""
    for id_, stream, fact in streams:
        db.execute("DELETE FROM unreadable WHERE stream = ? AND seq = ?", (id_, fact.seq))
        views.take(id_, stream, fact)
    documents.settle(db, key, views.touched)
