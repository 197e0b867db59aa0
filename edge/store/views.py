"""What the facts add up to. Each fact is applied once, in whatever order they come.

Functions of the set of facts: `apply` over any order of delivery ends in the same
rows, and so does applying everything again to an empty database (`verify` does).
"""

import sqlite3
from collections.abc import Sequence

from cryptography import x509

from edge.store.journal import fact_at
from sync import facts as vocabulary
from sync.chain import Fact, StreamId
from sync.errors import BadFact, BadIdentity
from sync.facts import Body
from sync.facts.catalogue import Articles, Prices
from sync.facts.node import (
    IncarnationBegan,
    NodeEnrolled,
    NodeRevoked,
    StoreDescribed,
    StreamClosed,
)
from sync.facts.sale import (
    PaymentSettled,
    Sale,
    SaleClosed,
    SaleFiscalised,
    SaleSums,
    SaleVoided,
    Stage,
)
from sync.facts.stock import GoodsReceived
from sync.identity import read
from sync.merge import stock
from sync.merge.sales import stage_now, stage_of

DERIVED = (
    "nodes",
    "settings",
    "articles",
    "codes",
    "prices",
    "sales",
    "settled",
    "documents",
    "stock",
    "quarantine",
    "duplicates",
    "unreadable",
)
"""Tables that the facts alone decide (but for columns named `digest`)."""


class Views:
    """The views of one file. Runs inside somebody else's transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Work on `db`."""
        self._db = db

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

    def apply(self, id_: int, stream: StreamId, fact: Fact, body: Body) -> None:  # noqa: C901 - one case a kind
        """Apply a fact whose body is known to be sound."""
        match body:
            case Sale():
                self._sale(id_, stream, fact, body)
            case SaleClosed() | SaleVoided() | SaleFiscalised():
                self._follow(fact.event, stage_of(body, {}, None))
            case PaymentSettled():
                self._settle(id_, fact, body)
            case GoodsReceived():
                self._received(id_, fact, body)
            case Articles():
                self._articles(body)
            case Prices():
                self._db.executemany(
                    "INSERT OR REPLACE INTO prices VALUES (?, ?, ?, ?)",
                    [(p.sku, p.from_ms, body.revision, p.unit_minor) for p in body.prices.rows()],
                )
            case NodeEnrolled():
                public = read(x509.load_der_x509_certificate(body.certificate)).public_key
                self._db.execute(
                    "INSERT INTO nodes VALUES (?, ?, ?, 0) ON CONFLICT (node) DO UPDATE SET "
                    "store = excluded.store, public_key = excluded.public_key",
                    (body.node, body.store, public),
                )
            case NodeRevoked():
                self._db.execute(
                    "INSERT INTO nodes VALUES (?, '', x'', 1) "
                    "ON CONFLICT (node) DO UPDATE SET revoked = 1",
                    (body.node,),
                )
            case StoreDescribed():
                self._db.execute(
                    "INSERT INTO settings VALUES (?, ?, ?, ?) ON CONFLICT (store) DO UPDATE SET "
                    "hlc = excluded.hlc, place = excluded.place, body = excluded.body "
                    "WHERE (excluded.hlc, excluded.place) > (hlc, place)",
                    (body.store, fact.hlc, f"{stream}/{fact.seq:020}", fact.body),
                )
            case IncarnationBegan() | StreamClosed():
                pass  # tells people and peers; adds nothing up

    def _articles(self, body: Articles) -> None:
        rows = body.articles.rows()
        self._db.executemany(
            "INSERT OR REPLACE INTO articles VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                )
                for row in rows
            ],
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO codes VALUES (?, ?, ?)",
            [(code, row.sku, body.revision) for row in rows for code in row.codes],
        )

    def _received(self, id_: int, fact: Fact, body: GoodsReceived) -> None:
        found = self._db.execute(
            "SELECT stream, seq FROM documents WHERE event = ?", (fact.event,)
        ).fetchone()
        deltas = stock.received(body)
        if found is not None:
            if not self._wins(fact.event, found, (id_, fact.seq)):
                self._move(dict.fromkeys(deltas, 0), body.at_ms)
                return
            old = vocabulary.decode(fact_at(self._db, *found))
            if isinstance(old, GoodsReceived):
                self._move(stock.inverse(stock.received(old)), old.at_ms)
        self._db.execute(
            "INSERT INTO documents (event, stream, seq, kind) VALUES (?, ?, ?, 'goods_received') "
            "ON CONFLICT (event) DO UPDATE SET stream = excluded.stream, seq = excluded.seq",
            (fact.event, id_, fact.seq),
        )
        self._move(deltas, body.at_ms)

    def _sale(self, id_: int, stream: StreamId, fact: Fact, body: Sale) -> None:
        event = fact.event
        found = self._db.execute(
            "SELECT stream, seq, stage, later FROM sales WHERE event = ?", (event,)
        ).fetchone()
        sums = body.lines.sums()
        later = 0
        if found is not None:
            later = found[3]
            if found[0] is not None:
                if not self._wins(event, found[:2], (id_, fact.seq)):
                    self._count(sums, body.at_ms, 0)
                    return
                self._recount(found, -1)
        settled = {} if found is None and body.stage is Stage.CLOSED else self.settled(event)
        stage = stage_now(body, settled, later)
        self._db.execute(
            "INSERT INTO sales VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL) "
            "ON CONFLICT (event) DO UPDATE SET stream = excluded.stream, seq = excluded.seq, "
            "stage = excluded.stage, till = excluded.till, series = excluded.series, "
            "number = excluded.number, at_ms = excluded.at_ms, "
            "business_day = excluded.business_day, cashier = excluded.cashier, "
            "channel = excluded.channel, lines = excluded.lines, "
            "quantity_milli = excluded.quantity_milli, total_minor = excluded.total_minor",
            (
                event,
                id_,
                fact.seq,
                stage,
                later,
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
            ),
        )
        self._count(sums, body.at_ms, 1 if stage is Stage.CLOSED else 0)

    def _follow(self, event: bytes, vouched: Stage) -> None:
        """Take note that a later fact vouches for a stage, or that a payment is settled."""
        found = self._db.execute(
            "SELECT stream, seq, stage, later FROM sales WHERE event = ?", (event,)
        ).fetchone()
        if found is None:
            self._db.execute(
                "INSERT INTO sales (event, stage, later) VALUES (?, ?, ?)",
                (event, stage_now(None, {}, vouched), vouched),
            )
            return
        later = max(found[3], vouched)
        sale = vocabulary.decode(fact_at(self._db, *found[:2])) if found[0] is not None else None
        sale = sale if isinstance(sale, Sale) else None
        stage = stage_now(sale, self.settled(event), later)
        self._db.execute(
            "UPDATE sales SET stage = ?, later = ? WHERE event = ?", (stage, later, event)
        )
        self._recount(found, -1)
        self._recount((*found[:2], stage), 1)

    def _recount(self, found: Sequence[int], sign: int) -> None:
        """Put the goods of a sale into stock, or take them out again, if it is closed."""
        stream, seq, stage = found[:3]
        if stream is None or stage != Stage.CLOSED:
            return
        sale = vocabulary.decode(fact_at(self._db, stream, seq))
        if isinstance(sale, Sale):
            self._count(sale.lines.sums(), sale.at_ms, sign)

    def _count(self, sums: SaleSums, at_ms: int, sign: int) -> None:
        # With sign 0 the articles still get a row and an age: how late a fact came, or that
        # it lost to another, must not show.
        self._move({sku: milli * sign for sku, milli in stock.sold(sums).items()}, at_ms)

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

    def _wins(self, event: bytes, found: Sequence[int], new: tuple[int, int]) -> bool:
        """Whether a second record of one event counts instead of the first; notes the loser."""
        wins = self._place(*new) < self._place(found[0], found[1])
        loser = found if wins else new
        self._db.execute("INSERT OR IGNORE INTO duplicates VALUES (?, ?, ?)", (event, *loser))
        return wins

    def settled(self, event: bytes) -> dict[int, bool]:
        """Return which payments of a sale are known: index to approved."""
        rows = self._db.execute("SELECT payment, approved FROM settled WHERE event = ?", (event,))
        return {payment: bool(approved) for payment, approved in rows}

    def _place(self, id_: int, seq: int) -> tuple[StreamId, int]:
        node, incarnation, scope = self._db.execute(
            "SELECT node, incarnation, scope FROM streams WHERE id = ?", (id_,)
        ).fetchone()
        return StreamId(node, incarnation, scope), seq

    def _move(self, deltas: stock.Deltas, at_ms: int) -> None:
        # One statement for all rows: SQLite lets go of the interpreter at every row of an
        # executemany, and beside a busy event loop each time means a wait.
        rows = ", ".join(["(?, ?, ?)"] * len(deltas))
        self._db.execute(
            f"INSERT INTO stock VALUES {rows} ON CONFLICT (sku) DO UPDATE SET "
            "quantity_milli = quantity_milli + excluded.quantity_milli, "
            "as_of_ms = max(as_of_ms, excluded.as_of_ms)",
            [cell for sku, milli in deltas.items() for cell in (sku, milli, at_ms)],
        )


def reapply(db: sqlite3.Connection, streams: Sequence[tuple[int, StreamId, Fact]]) -> None:
    """Apply facts that could not be read before an upgrade."""
    views = Views(db)
    for id_, stream, fact in streams:
        db.execute("DELETE FROM unreadable WHERE stream = ? AND seq = ?", (id_, fact.seq))
        views.take(id_, stream, fact)
