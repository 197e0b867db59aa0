"""What a unit of work may do: append facts, and touch what is only local."""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from struct import Struct
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from edge.keys import NodeKey
from edge.store import (
    base,
    documents,
    lives,
    orders,
    prune,
    refunds,
    shifts,
    staff,
    start,
    taken_back,
)
from edge.store.checkouts import Checkouts
from edge.store.holder import Holder
from edge.store.journal import Journal, NotKept, fact_at, facts_of, find_fact, whole
from edge.store.sheets import Sheets
from edge.store.transit import announced, arrival
from edge.store.views import Views, settled_payments
from sync import facts as vocabulary
from sync.chain import ALL, Batch, Fact, StreamId
from sync.checkpoint import SETTLED_KINDS, Opened
from sync.clock import Reading, hlc_ms, merge, tick
from sync.errors import NotAllowed
from sync.facts import Body
from sync.facts.document import DocumentChanged
from sync.facts.hours import SaleHours
from sync.facts.node import StoreDescribed
from sync.facts.person import NONCE_BYTES, Sealed, seal
from sync.facts.promotion import PromotionTold
from sync.facts.sale import Sale, Stage
from sync.facts.shift import CashMoved, ShiftClosed, ShiftOpened, ShiftTotals
from sync.facts.stock import TransferAnnounced
from sync.merge.document import Document, Edit, Value, pieces
from sync.merge.history import History
from sync.rules.hours import Hours
from sync.rules.promotion import Promotion
from sync.rules.vat import Rate, told

OWN_TIME = "own time"
"""Key in `meta`: the clock of an own fact, and the time it was written at, where they differ."""

_OWN_TIME = Struct(">QQ")


class TillTaken(NotAllowed):
    """The till belongs to another node of this store."""


class NotReadable(NotAllowed):
    """A personal document cannot be opened here."""


class PersonKey(NamedTuple):
    """Random bytes made outside the unit, so that it can run twice."""

    person: bytes
    """16 bytes."""

    key: bytes
    """32 bytes."""

    nonce: bytes
    """12 bytes."""

    def after(self) -> "PersonKey":
        """Return the same with the nonce that follows: what is long is sealed in pieces."""
        following = (int.from_bytes(self.nonce, "big") + 1) % (1 << 8 * NONCE_BYTES)
        return self._replace(nonce=following.to_bytes(NONCE_BYTES, "big"))


class Place(NamedTuple):
    """Where a fact stands."""

    stream: StreamId
    seq: int


class SaleView(NamedTuple):
    """A sale as kept here."""

    event: bytes
    stage: Stage
    body: Sale
    series: str
    number: int
    total_minor: int
    digest: bytes | None
    """Of the request that made it here; None if it came from another node."""

    settled: dict[int, bool]
    """Payments that are known: index to approved."""


class ArticleView(NamedTuple):
    """An article and its price, as in force at a moment."""

    sku: str
    name: str
    fiscal_name: str
    unit: str
    vat: str
    codes: tuple[str, ...]
    deposit_minor: int
    age_min: int
    unit_minor: int | None
    """None: it has no price yet."""

    price_version: int
    listed_name: str
    """The fiscal name that revision `price_version` of the catalogue had: a sale line
    leaves its name empty where the receipt prints this one."""

    group: str = ""


class DocumentView(NamedTuple):
    """A document as kept here."""

    event: bytes
    kind: str
    fact: Fact
    digest: bytes | None


class Unit:
    """One unit of work, in the writer's thread; all of it is stored, or nothing."""

    def __init__(
        self,
        db: sqlite3.Connection,
        journal: Journal,
        key: NodeKey,
        now: Reading,
        life: "Life",
        views: Views,
    ) -> None:
        """Work on the open transaction of `db`."""
        self._db, self._journal, self._key, self._life = db, journal, key, life
        self._views = views
        self.now = now

        self.destroyed = False
        """A person was forgotten: nothing of the key may stay in the files."""

    @property
    def node(self) -> bytes:
        """Return our own name: 16 bytes."""
        return self._key.node

    @property
    def settings(self) -> StoreDescribed:
        """What head office says of this store."""
        return settings_view(self._db, self._life.store)

    def append(self, body: Body, event: bytes, digest: bytes | None = None) -> Place:
        """Append a fact to our stream and apply it to the views.

        Args:
            body: What happened.
            event: The business event it tells of.
            digest: Of the request that makes a sale.

        Raises:
            ValueError: The body cannot be true; a check before this one is missing.
        """
        reason = body.reason()
        if reason:
            raise ValueError(f"{type(body).__name__}: {reason}")
        kind, version = vocabulary.kind_of(body)
        stream = self._life.stream(self._key.node)
        head = self._journal.row(stream).head
        hlc = tick(self._life.hlc, self.now.ms)
        fact = Fact(head.seq + 1, hlc, kind, version, event, vocabulary.encode(body))
        id_ = self._journal.append(stream, fact, self._key)
        self._views.apply(id_, stream, fact, body, digest)
        self._settle()
        self._life.hlc = hlc
        self._life.wrote_ms = max(self._life.wrote_ms, self.now.ms)
        if hlc_ms(hlc) > self.now.ms:
            # Ordered after somebody else's fact: the fact itself no longer tells our own time.
            self.meta(OWN_TIME, _OWN_TIME.pack(hlc, self._life.wrote_ms))
        return Place(stream, fact.seq)

    def receive(
        self, batch: Batch, public_key: bytes, keys: Mapping[bytes, bytes] | None = None
    ) -> None:
        """Take in a batch of another node's, and apply what is new of it.

        Args:
            batch: As it arrived.
            public_key: Of its author.
            keys: Of the persons in it, by `Sealed.person`.

        Raises:
            Gap: It starts past the next number.
            Fork: It is of another branch.
            RemoteProtocolError: Chain or signature do not hold.
        """
        fresh = self._journal.receive(batch, public_key)
        id_ = self._journal.row(batch.stream).id
        self._life.forget()
        for fact in fresh:
            self._views.take(id_, batch.stream, fact)
            self._life.hlc = merge(self._life.hlc, fact.hlc, self.now.ms)
        for person, key in vocabulary.keys_that_open(batch.facts, keys or {}).items():
            self.person_key(person, key)
        if any(fact.kind == "stream.closed" for fact in fresh) or (
            fresh and batch.stream in lives.fences(self._db)
        ):
            lives.settle(self)
            end = self._journal.row(batch.stream).head.seq
            fresh = [fact for fact in fresh if fact.seq <= end]  # others were cut off again
        self._settle()
        self._react(batch.stream, fresh)

    def _react(self, stream: StreamId, fresh: Sequence[Fact]) -> None:
        """Answer what came in of somebody else, of this place."""
        if fresh and stream.scope == self._life.store:
            orders.react(self, self._db, self._key.node, stream, fresh)
            self.holder.react(stream, fresh)
            self.sheets.react(stream, fresh)

    def begin_from(
        self, opened: Opened, frames: Iterator[bytes], keys: Mapping[bytes, bytes]
    ) -> None:
        """Begin from a checkpoint. See `start.begin_from`.

        Args:
            opened: Its signature checked.
            frames: All of its frames.
            keys: Of the persons in its facts.

        Raises:
            RemoteProtocolError: It cannot be used here.
        """
        start.begin_from(self._db, self._journal, self._views, opened, frames)
        self._life.forget()
        for person, key in keys.items():
            self.person_key(person, key)
        lives.settle(self)
        self._settle()
        for head in opened.cuts:
            kept = [
                fact
                for fact in facts_of(self._db, self.number(head.stream))
                if fact.kind not in SETTLED_KINDS or fact.seq == head.seq
            ]
            self._life.hlc = merge(self._life.hlc, kept[-1].hlc, self.now.ms)
            self._react(head.stream, kept)

    def put_base(self, planned: prune.Plan, offset: int, first: int) -> tuple[int, int]:
        """Put some frames of a base into the file. See `prune.put_some`."""
        return prune.put_some(self._db, planned, offset, first)

    def move_base(self, planned: prune.Plan) -> None:
        """Stand on a plan's base from now on. See `prune.move`."""
        prune.move(self._db, self._journal, planned)
        self._views.shelf.fold_next()  # facts that its rows lag behind of are about to go

    def keep_goods(self, nth: int) -> bool:
        """Keep what sales take that are about to be dropped. See `base.keep_goods`."""
        return base.keep_goods(self._db, nth)

    def drop_some(self, whole: Collection[int], after: int) -> tuple[int, int | None]:
        """Drop some facts below the bases. See `prune.drop_some`."""
        return prune.drop_some(self._db, whole, after)

    def clear_some(self) -> bool:
        """Clear what is left of former bases. See `prune.clear_some`."""
        return prune.clear_some(self._db)

    def order(self, event: bytes) -> "orders.OrderView | None":
        """Return an order of head office's; None if it is not here."""
        return orders.order_view(self._db, event)

    @property
    def holder(self) -> "Holder":
        """This node as a holder of rights."""
        return Holder(self, self._db, self._views.shelf, self._key.node)

    @property
    def sheets(self) -> Sheets:
        """The count sheets of this place."""
        return Sheets(self, self._db, self._views.shelf, self._key.node)

    @property
    def checkouts(self) -> Checkouts:
        """Sales under way at tills of this node."""
        return Checkouts(self._db)

    @property
    def stream(self) -> StreamId:
        """Our own stream, of this life."""
        return self._life.stream(self._key.node)

    @property
    def next_seq(self) -> int:
        """The number that our next fact will have."""
        return self._journal.row(self.stream).head.seq + 1

    def number(self, stream: StreamId) -> int:
        """Return the number of a stream in this file."""
        return self._journal.row(stream).id

    def over(self) -> str:
        """Say why our current life is over; empty while it is not."""
        return lives.over(self)

    def begin_life(self, incarnation: int, cause: str, reached: int = 0) -> None:
        """Begin a new incarnation. See `lives.begin`."""
        self._journal.sign_heads(self._key)
        lives.begin(self, incarnation, cause, reached)

    def settle(self) -> None:
        """Bring closed streams to where their fences say. See `lives.settle`."""
        lives.settle(self)

    def mend_kept(self) -> int:
        """Write anew what is damaged of the facts up to the bases. See `base.mend`."""
        return base.mend(self._db)

    def mend(self, stream: StreamId, stored: int) -> tuple[int, list[int]]:
        """Repair a damaged stream. See `lives.mend`."""
        return lives.mend(self, stream, stored)

    def append_as_it_was(self, fact: Fact) -> None:
        """Append to our stream what was written elsewhere: same kind, event and body."""
        stream = self._life.stream(self._key.node)
        hlc = tick(self._life.hlc, self.now.ms)
        seq = self._journal.row(stream).head.seq + 1
        again = msgspec.structs.replace(fact, seq=seq, hlc=hlc)
        id_ = self._journal.append(stream, again, self._key)
        self._views.take(id_, stream, again)
        self._life.hlc = hlc

    def freeze(self, stream: StreamId, seq: int, theirs: bytes, *, first: bool = False) -> None:
        """Note that a stream has two branches; `first`: they are known to part at `seq`."""
        self._journal.freeze(stream, seq, theirs, first=first)
        if first:
            lives.settle(self)

    def next_number(self, till: str) -> int:
        """Take the next receipt number of a till: gap-free, since it rolls back with the unit."""
        numbers = self._views.shelf.numbers
        if numbers is None:
            raise RuntimeError("These views are not a node's: nothing is sold on them.")
        return numbers.next(till, self._life.incarnation)

    def sale(self, event: bytes) -> SaleView | None:
        """Return a sale recorded here or heard of."""
        nth = self._views.shelf.index.nth(event)
        return None if nth is None else sale_view(self._db, event, nth)

    def sale_place(self, event: bytes) -> tuple[int, int] | None:
        """Return stream, as numbered in this file, and number of a sale; None: it is not here."""
        return self._views.shelf.index.place(event)

    def document(self, event: bytes) -> DocumentView | None:
        """Return a document recorded here or heard of."""
        row = self._db.execute(
            "SELECT stream, seq, kind, digest FROM documents WHERE event = ?", (event,)
        ).fetchone()
        if row is None:
            return None
        return DocumentView(event, row[2], fact_at(self._db, row[0], row[1]), row[3])

    def transfer(self, event: bytes) -> TransferAnnounced | None:
        """Return what head office says is under way to us; None if it says nothing."""
        return announced(self._db, event)

    def arrival(self, transfer: bytes) -> bytes | None:
        """Return the document by which a transfer arrived here; None if it has not."""
        return arrival(self._db, transfer)

    def deposits(self, event: bytes) -> "taken_back.DepositsView | None":
        """Return packaging that was brought back, recorded here or heard of."""
        return taken_back.deposits_view(self._db, event)

    def deposits_for(self, sale: bytes) -> int:
        """Return how many grosz of packaging pay for a sale."""
        return taken_back.brought_for(self._db, sale)

    def note_deposits(self, event: bytes, digest: bytes) -> None:
        """Remember which request made a take-back."""
        self._db.execute("UPDATE deposits SET digest = ? WHERE event = ?", (digest, event))

    def returned(self, event: bytes) -> "refunds.ReturnView | None":
        """Return a return recorded here or heard of."""
        return refunds.return_view(self._db, event)

    def returns_of(self, sale: bytes) -> "list[refunds.ReturnView]":
        """Return what was given back of a sale so far, as far as it is known here."""
        return refunds.returns_of(self._db, sale)

    def note_return(self, event: bytes, digest: bytes) -> None:
        """Remember which request made a return."""
        self._db.execute("UPDATE returns SET digest = ? WHERE event = ?", (digest, event))

    def refundable(self, sale: bytes) -> None:
        """Make the right to refund a sale, if that is ours. See `refunds.make`."""
        refunds.make(self, sale)

    def hours(self) -> dict[str, tuple[Hours, ...]]:
        """Return when what is not sold here: target to its hours; read once until told anew."""
        if self._life.hours is None:
            self._life.hours = sale_hours(self._db, self._life.store)
        return self._life.hours

    def note_digest(self, event: bytes, digest: bytes) -> None:
        """Remember which request made a document."""
        self._db.execute("UPDATE documents SET digest = ? WHERE event = ?", (digest, event))

    def article(self, code_or_sku: str, at_ms: int) -> ArticleView | None:
        """Return what is sold under a code or sku, at the price in force at `at_ms`."""
        return article_view(self._db, code_or_sku, at_ms)

    def claim_till(self, till: str) -> None:
        """Check that a till sells on this node.

        Raises:
            TillTaken: Another node of the store has sold on it last, and is not revoked.
        """
        if till in self._life.tills:
            return
        row = self._db.execute(
            "SELECT tills.node FROM tills LEFT JOIN nodes ON nodes.node = tills.node "
            "WHERE till = ? AND coalesce(revoked, 0) = 0",
            (till,),
        ).fetchone()
        if row is not None and row[0] != self._key.node:
            raise TillTaken(
                f"Till {till!r}: belongs to node {row[0].hex()[:12]}; use another till, or, if "
                "that machine is gone, have head office revoke it (karb-central node revoke)."
            )
        self._life.tills.add(till)

    def shift(self, till: str) -> shifts.OpenShift | None:
        """Return the shift a till is in; None: it is in none."""
        return shifts.current(self._db, till)

    def begin_shift(self, event: bytes, opened: ShiftOpened) -> None:
        """Append that a till begins a shift, and have it be in it."""
        self.append(opened, event)
        shifts.begin(
            self._db,
            shifts.OpenShift(
                opened.till,
                event,
                opened.number,
                opened.float_minor,
                opened.at_ms,
                self._life.hlc,
                opened.cashier,
            ),
        )

    def end_shift(self, event: bytes, report: ShiftClosed) -> None:
        """Append a Z report, and have the till be in no shift."""
        self.append(report, event)
        shifts.end(self._db, report.till)

    def shift_totals(self, shift: shifts.OpenShift) -> ShiftTotals:
        """Add an open shift up, as of now."""
        return shifts.added_up(self._db, self._views.shelf.index.nth, self._key.node, shift)

    def cash_moved(self, shift: bytes, event: bytes) -> CashMoved | None:
        """Return what moved under an event in a shift; None: nothing did."""
        return shifts.moved(self._db, shift, event)

    def report(self, shift: bytes) -> ShiftClosed | None:
        """Return the Z of a shift; None: it is not closed."""
        return shifts.closed(self._db, shift)

    def users(self) -> list[staff.UserView]:
        """Return everybody who works here."""
        return staff.users(self._db)

    def failures(self, user: str) -> staff.Failures:
        """Return how often a user's PIN was tried in vain."""
        return staff.failures(self._db, user)

    def note_failure(self, user: str, now: staff.Failures) -> None:
        """Keep how often a user's PIN was tried in vain."""
        staff.note_failure(self._db, user, now)

    def slip(self, event: bytes, till: str, state: str) -> None:
        """Note how far the printing of a sale's slip is."""
        self._db.execute(
            "INSERT INTO slips VALUES (?, ?, ?) ON CONFLICT (event) DO UPDATE SET "
            "state = excluded.state",
            (event, till, state),
        )

    def add_token(
        self, digest: bytes, scope: str, name: str, till: str | None = None, grants: str = ""
    ) -> None:
        """Let whoever holds the token of this digest in.

        Args:
            digest: Of the token.
            scope: That stands in it.
            name: Who will use it.
            till: The only one it may act for; None: any.
            grants: What it may do, a blank between; empty: what its scope says.
        """
        self._db.execute(
            "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?)",
            (digest, scope, name, self.now.ms, till, grants),
        )

    def person_key(self, person: bytes, key: bytes) -> None:
        """Keep the key of a person; the first one stays, and of a forgotten one none."""
        if documents.person_is_forgotten(self._db, person):
            return
        kept = self._db.execute("INSERT OR IGNORE INTO person_keys VALUES (?, ?)", (person, key))
        if kept.rowcount:
            self._views.touched.update(documents.documents_of(self._db, person))

    def key_of(self, person: bytes) -> bytes | None:
        """Return the key of a person; None if it was never here, or is destroyed."""
        return documents.key_of(self._db, person)

    def history(self, document: bytes) -> History:
        """Return all that is known of a document that several people edit."""
        return documents.history(self._db, document)

    def opened(self, found: History) -> Document | None:
        """Open a document; None where a key of it is not here, or destroyed."""
        return documents.opened(self._db, found)

    def edit(
        self,
        document: bytes,
        kind: str,
        edits: Callable[[Value], list[Edit]],
        person: PersonKey | None = None,
    ) -> bool:
        """Edit a document, made now if it is not there; return whether anything changed.

        Args:
            document: Its id.
            kind: See `sync.facts.document`.
            edits: Given what it says, returns what to change.
            person: Fresh random bytes, where it is personal. The person and the key are
                used if the document has none here yet, the nonce always.

        Raises:
            NotReadable: A key of it is not here, or the person is forgotten.
            DocumentFull: It would outgrow what a document may be.
        """
        if self.is_forgotten(document):
            raise NotReadable(f"Document {document.hex()}: whom it is about is forgotten.")
        found, there = self._there(document, kind)
        changed = False
        for part in pieces(edits(there.value)):
            change = there.change(self._life.actor, part)
            if change is None:
                continue
            content: bytes | Sealed = change
            if person is not None:
                content = self._sealed(document, change, person)
                person = person.after()
            self.append(DocumentChanged(document, kind, found.generation, content), document)
            found, there = self._there(document, kind)
            changed = True
        return changed

    def _there(self, document: bytes, kind: str) -> tuple[History, Document]:
        found = self.history(document)
        if found.kind and found.kind != kind:
            raise NotReadable(f"Document {document.hex()}: of kind {found.kind!r}, not {kind!r}.")
        there = self.opened(found)
        if there is None:
            raise NotReadable(
                f"Document {document.hex()}: its key has not come here; ask again after the "
                "next exchange with head office."
            )
        return found, there

    def _sealed(self, document: bytes, change: bytes, fresh: PersonKey) -> Sealed:
        for person in documents.persons_of(self._db, document):
            key = self.key_of(person)
            if key is not None:
                return seal(change, person, key, fresh.nonce)
        self.person_key(fresh.person, fresh.key)
        return seal(change, fresh.person, fresh.key, fresh.nonce)

    def is_forgotten(self, document: bytes) -> bool:
        """Whether head office said to forget whom a document is about."""
        return documents.is_forgotten(self._db, document)

    def customers(self, text: str) -> list[bytes]:
        """Return the customers that a code, a phone or an e-mail stands for."""
        return documents.customers(self._db, self._key, text)

    def _settle(self) -> None:
        """Bring what is kept beside documents up to date with what was applied."""
        if self._views.touched:
            documents.settle(self._db, self._key, self._views.touched)
            self.destroyed = self.destroyed or any(map(self.is_forgotten, self._views.touched))
            self._views.touched.clear()

    def root(self, node: bytes, store: str, public_key: bytes) -> None:
        """Trust a node because enrolment said so: ourselves, and central."""
        self._db.execute("INSERT OR REPLACE INTO roots VALUES (?, ?, ?)", (node, store, public_key))

    def introduce(self, node: bytes, store: str, public_key: bytes, certificate: bytes) -> None:
        """Trust a node because it showed head office's certificate (DER, judged already)."""
        self.root(node, store, public_key)
        self._db.execute("INSERT OR REPLACE INTO introduced VALUES (?, ?)", (node, certificate))

    def peer(self, peer: str, stream: StreamId, stored: int, safe: int) -> None:
        """Note what a peer has acknowledged."""
        self._db.execute(
            "INSERT OR REPLACE INTO peers VALUES (?, ?, ?, ?)",
            (peer, self._journal.row(stream).id, stored, safe),
        )

    def fold(self) -> None:
        """Have all that lags behind the journal, and the signed head, written with this commit."""
        self._journal.sign_heads(self._key)
        self._views.shelf.fold_next()
        self._views.shelf.index.list_all()

    def forget_meta(self, key: str) -> None:
        """Forget a fact about this file."""
        self._db.execute("DELETE FROM meta WHERE key = ?", (key,))

    def meta(self, key: str, value: bytes) -> None:
        """Keep a fact about this file."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


class Life:
    """Which incarnation is written to, and the clock of its facts."""

    def __init__(
        self,
        store: str,
        incarnation: int,
        hlc: int,
        wrote_ms: int = 0,
        actor: bytes = bytes(16),
    ) -> None:
        """Start from what the file says.

        Args:
            store: The scope of our stream.
            incarnation: Of the life that was left; 0 if none began.
            hlc: Of the last fact.
            wrote_ms: When we wrote the last of our own.
            actor: 16 bytes, fresh for each start: who edits documents
                (`sync.merge.document.Document.change`).
        """
        self.actor = actor
        self.store, self.incarnation, self.hlc = store, incarnation, hlc
        self.wrote_ms = wrote_ms
        """Trusted time of our own last fact: others' clocks move `hlc`, never this."""

        self._stream: StreamId | None = None
        self.tills: set[str] = set()
        """Tills that are known to be ours, until somebody else's facts come in."""

        self.hours: dict[str, tuple[Hours, ...]] | None = None
        """When what is not sold, likewise; None: not read yet."""

    def forget(self) -> None:
        """Forget what somebody else's facts may have changed."""
        self.tills.clear()
        self.hours = None

    @classmethod
    def read(
        cls, db: sqlite3.Connection, node: bytes, store: str, now_ms: int, actor: bytes
    ) -> "Life":
        """Take up the life that the file tells of."""
        meta = dict(
            db.execute("SELECT key, value FROM meta WHERE key IN ('incarnation', ?)", (OWN_TIME,))
        )
        last: dict[bool, list[int]] = {True: [], False: []}
        for id_, author in db.execute("SELECT id, node FROM streams").fetchall():
            for (hlc,) in db.execute(
                "SELECT hlc FROM facts WHERE place BETWEEN ? AND ? ORDER BY place DESC LIMIT 1",
                whole(id_),
            ):
                last[author == node].append(hlc)
        own = max(last[True], default=0)
        ordered, wrote_ms = _OWN_TIME.unpack(meta.get(OWN_TIME, bytes(_OWN_TIME.size)))
        wrote_ms = wrote_ms if ordered == own else hlc_ms(own)
        now_ms = max(now_ms, wrote_ms)
        hlc = own
        for heard in last[False]:
            hlc = merge(hlc, heard, now_ms)
        incarnation = int.from_bytes(meta.get("incarnation", b""), "big")
        return cls(store, incarnation, hlc, wrote_ms, actor)

    def stream(self, node: bytes) -> StreamId:
        """Return our own stream."""
        stream = self._stream
        if stream is None or stream.incarnation != self.incarnation:
            stream = self._stream = StreamId(node, self.incarnation, self.store)
        return stream


def settings_view(db: sqlite3.Connection, store: str) -> StoreDescribed:
    """Return what head office says of a store; its bare id until it has said anything."""
    row = db.execute("SELECT body FROM settings WHERE store = ?", (store,)).fetchone()
    if row is None:
        return StoreDescribed(store, store)
    return msgspec.msgpack.decode(row[0], type=StoreDescribed)


def sale_hours(db: sqlite3.Connection, store: str) -> dict[str, tuple[Hours, ...]]:
    """Return target to the hours in which it is not sold at a store."""
    told: dict[str, tuple[Hours, ...]] = {}
    for scope in (ALL, store):  # what is said of the place holds
        for (body,) in db.execute("SELECT body FROM sale_hours WHERE scope = ?", (scope,)):
            said = _HOURS.decode(body)
            told[said.target] = said.forbidden
    return {target: hours for target, hours in told.items() if hours}


def sale_view(db: sqlite3.Connection, event: bytes, nth: int) -> SaleView | None:
    """Return a sale with its body; None while the sale itself is not here.

    Args:
        db: Where it is.
        event: Which.
        nth: Its row.

    Raises:
        NotKept: It was closed so long ago that its lines are at head office only.
    """
    row = db.execute(
        "SELECT stream, seq, stage, series, number, total_minor, digest FROM sales "
        "WHERE nth = ? AND event = ? AND stream IS NOT NULL",
        (nth, event),
    ).fetchone()
    if row is None:
        return None
    stream, seq, stage, series, number, total, digest = row
    fact = find_fact(db, stream, seq)
    if fact is None:
        raise NotKept(
            f"Sale {UUID(bytes=event)}: recorded as receipt {series}/{number}, {total} grosz; its "
            "lines are no longer kept on this node. Head office has them: GET /v1/sales there."
        )
    body = vocabulary.decode(fact)
    if not isinstance(body, Sale):
        return None
    settled = settled_payments(db, event)
    return SaleView(event, Stage(stage), body, series, number, total, digest, settled)


def article_view(db: sqlite3.Connection, code_or_sku: str, at_ms: int) -> ArticleView | None:
    """Return an article by sku, or by a code it has at that moment."""
    row = _article(db, code_or_sku, at_ms)
    if row is None:
        for (owner,) in db.execute(
            "SELECT DISTINCT sku FROM codes WHERE code = ? ORDER BY revision DESC, sku",
            (code_or_sku,),
        ).fetchall():
            row = _article(db, owner, at_ms)
            if row is not None and code_or_sku in row[6].split():
                break
        else:
            return None
    if row is None:
        return None
    sku, revision, name, fiscal_name, unit, vat, codes, deposit, age, group = row
    price = db.execute(
        "SELECT unit_minor, revision FROM prices WHERE sku = ? AND from_ms <= ? "
        "ORDER BY from_ms DESC, revision DESC LIMIT 1",
        (sku, at_ms),
    ).fetchone()
    unit_minor, version = price or (None, revision)
    found = db.execute(
        "SELECT fiscal_name FROM articles WHERE sku = ? AND revision <= ? "
        "ORDER BY revision DESC LIMIT 1",
        (sku, version),
    ).fetchone()
    return ArticleView(
        sku,
        name,
        fiscal_name,
        unit,
        vat,
        tuple(codes.split()),
        deposit,
        age,
        unit_minor,
        version,
        found[0] if found else "",
        group,
    )


def _article(db: sqlite3.Connection, sku: str, at_ms: int) -> tuple[Any, ...] | None:
    """Return the row in force."""
    columns = "sku, revision, name, fiscal_name, unit, vat, codes, deposit_minor, age_min, grouping"
    row: tuple[Any, ...] | None = db.execute(
        f"SELECT {columns} FROM articles WHERE sku = ? AND from_ms <= ? "
        "ORDER BY from_ms DESC, revision DESC LIMIT 1",
        (sku, at_ms),
    ).fetchone()
    return row


def vat_table(db: sqlite3.Connection) -> tuple[Rate, ...]:
    """Return what VAT codes mean from which day on: the law built in, and what was told."""
    rows = db.execute(
        "SELECT code, since, basis_points, exempt FROM vat_rates ORDER BY code, since, revision"
    ).fetchall()
    return told((code, since, points, bool(exempt)) for code, since, points, exempt in rows)


def promotions(db: sqlite3.Connection) -> tuple[Promotion, ...]:
    """Return the promotions that were told and not withdrawn, by id."""
    found = db.execute("SELECT body FROM promotions ORDER BY id").fetchall()
    told = [_PROMOTION.decode(body) for (body,) in found]
    return tuple(one.promotion for one in told if not one.withdrawn)


_HOURS = msgspec.msgpack.Decoder(SaleHours)
_PROMOTION = msgspec.msgpack.Decoder(PromotionTold)
