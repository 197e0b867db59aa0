"""The tables. `store` leads every key; nothing counts across stores.

Views are what `rebuild` can make again from `streams`, `facts` and the authors'
certificates; the rest is truth of its own. A `place` is (store, node, incarnation,
seq): where a fact stands.
"""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, Table, Text, text

from sync.merge.stock import Column as Counted

METADATA = MetaData()


def _text(name: str, **more: object) -> "Column[str]":
    return Column(name, Text, nullable=False, **more)  # type: ignore[arg-type]


def _int(name: str, **more: object) -> "Column[int]":
    return Column(name, BigInteger, nullable=False, **more)  # type: ignore[arg-type]


def _blob(name: str, **more: object) -> "Column[bytes]":
    return Column(name, LargeBinary, nullable=False, **more)  # type: ignore[arg-type]


def _stream() -> tuple[Column[str], Column[bytes], Column[int]]:
    return (
        _text("store", primary_key=True),
        _blob("node", primary_key=True),
        _int("incarnation", primary_key=True, autoincrement=False),
    )


def _place() -> tuple[Column[str], Column[bytes], Column[int], Column[int]]:
    return (*_stream(), _int("seq", primary_key=True, autoincrement=False))


def _author() -> tuple[Column[bytes], Column[int], Column[int]]:
    """Name which fact made a row, where the place is not its key."""
    return (_blob("node"), _int("incarnation"), _int("seq"))


def _table(name: str, *columns: "Column[str] | Column[bytes] | Column[int] | Index") -> Table:
    return Table(name, METADATA, *columns, sqlite_with_rowid=False)


# --- the journal -----------------------------------------------------------------

STREAMS = _table(
    "streams",
    *_stream(),
    _int("seq"),
    _blob("hash"),
    _int("hlc"),
    _int("safe"),  # backed up this far
    _int("frozen"),  # 1: forked, nothing more is taken
)
FACTS = _table(
    "facts",
    *_place(),
    _int("hlc"),
    _text("kind"),
    _int("version"),
    _blob("event"),
    _blob("body"),
    _blob("hash"),
    Column("signature", LargeBinary),  # at heads only
)
FORKS = _table(
    "forks",
    *_place(),
    _blob("theirs", primary_key=True),
    _blob("ours"),
    _int("our_head"),
    _blob("our_head_hash"),
    _blob("our_signature"),
    _int("their_head"),
    _blob("their_head_hash"),
    _blob("their_signature"),
    _int("seen_ms"),
)

SEVERED = _table(
    "severed",  # what stood beyond a fence, kept as it was
    *_place(),
    _blob("hash", primary_key=True),
    _int("hlc"),
    _text("kind"),
    _int("version"),
    _blob("event"),
    _blob("body"),
    Column("signature", LargeBinary),
)

# --- views -----------------------------------------------------------------------

QUARANTINE = _table("quarantine", *_place(), _text("kind"), _int("version"), _text("reason"))
UNREADABLE = _table("unreadable", *_place(), _text("kind"), _int("version"))
SALES = _table(  # its lines stand in its fact's body, and only there
    "sales",
    _text("store", primary_key=True),
    _int("sale", primary_key=True, autoincrement=False),  # drawn from the store's feed
    *_author(),
    _blob("event"),
    _int("change"),  # its place in the feed now; like `sale` no part of the view's value
    _int("stage"),
    _text("till"),
    _text("series"),
    _int("number"),
    _int("at_ms"),
    _int("trust"),
    _int("business_day"),
    _text("cashier"),
    _text("channel"),
    _int("lines"),
    _int("quantity_milli"),
    _int("total_minor"),
    Index("sales_event", "store", "event", unique=True),
    Index("sales_change", "store", "change"),
    Index("sales_at", "at_ms"),
)
SALE_MARKS = _table(
    "sale_marks",
    _text("store", primary_key=True),
    _blob("event", primary_key=True),
    _blob("node", primary_key=True),
    _int("incarnation", primary_key=True, autoincrement=False),
    _int("seq", primary_key=True, autoincrement=False),
    _int("stage"),  # 0: a payment was settled
    _int("payment"),
    _int("approved"),
)
DELIVERIES = _table(
    "deliveries",
    *_place(),
    _blob("event"),
    _int("at_ms"),
    _text("supplier"),
    _text("reference"),
    _int("lines"),
    Index("deliveries_event", "store", "event", unique=True),
)
PAPERS = _table(
    "papers",  # of transfers, count sheets, returns; `central.ledger.papers` says what
    _text("store", primary_key=True),
    _blob("event", primary_key=True),
    _int("what", primary_key=True, autoincrement=False),
    *_author(),
    _text("other"),  # the other store of a transfer
    _int("at_ms"),
    Index("papers_other", "other", "what"),
)
DUPLICATES = _table(
    "duplicates",
    *_place(),
    _blob("event"),
    _text("kind"),
    Index("duplicates_event", "store", "event"),
)
RIGHTS = _table(  # `sync.merge.rights`; a row is a function of its stream, but for `got`
    "rights",
    _text("store", primary_key=True),
    _text("cell", primary_key=True),
    _blob("node", primary_key=True),
    _int("incarnation", primary_key=True, autoincrement=False),
    *(_int(column.name.lower()) for column in Counted),
    _int("as_of_ms"),
)
Index("rights_cell", RIGHTS.c.cell)
Index(
    "rights_reserved", RIGHTS.c.cell, RIGHTS.c.store, sqlite_where=text("held - freed - done > 0")
)
POLICIES = _table(
    "policies",
    _text("store", primary_key=True),
    _text("target", primary_key=True),
    _int("mode"),
    _int("floor_milli"),
    _int("web_percent"),
    _int("hlc"),
    *_author(),
)
WANTED = _table(  # what each holder asked for last
    "wanted",
    _text("store", primary_key=True),
    _text("cell", primary_key=True),
    _blob("node", primary_key=True),
    _int("incarnation", primary_key=True, autoincrement=False),
    _int("seq"),
    _blob("event"),
    _int("milli"),
    Column("of_node", LargeBinary),  # null: anybody
    Column("of_incarnation", BigInteger),
    _int("at_ms"),
    Index("wanted_at", "at_ms"),
)
GIFTS = _table(  # under which events central gave
    "gifts", _text("store", primary_key=True), _blob("event", primary_key=True)
)
PROMISES = _table(  # by the stream of central's that made them
    "promises",
    _text("store", primary_key=True),
    _blob("event", primary_key=True),
    _blob("node", primary_key=True),
    _int("incarnation", primary_key=True, autoincrement=False),
    _int("seq"),  # 0: its end is here, itself not yet
    _blob("root"),
    _blob("instead_of"),
    _text("instead_at"),
    _text("channel"),
    _blob("digest"),
    _text("places"),  # joined by a space
    _int("at_ms"),
    _int("expires_ms"),
    _int("ended"),  # `Ending`; 0: open
    _int("ended_ms"),
    _blob("holder_node"),  # who got the right of an order; empty: nobody
    _int("holder_incarnation"),
    Index("promises_root", "root"),
)
Index("promises_open", PROMISES.c.expires_ms, sqlite_where=text("ended = 0"))
PROMISE_LINES = _table(
    "promise_lines",
    _text("store", primary_key=True),
    _blob("event", primary_key=True),
    _blob("node", primary_key=True),
    _int("incarnation", primary_key=True, autoincrement=False),
    _text("cell", primary_key=True),
    _int("milli"),
    _int("at_ms"),
    Index("promise_lines_cell", "store", "cell", "at_ms"),
)
ORDER_ANSWERS = _table(
    "order_answers",
    *_place(),
    _text("cell", primary_key=True),
    _blob("event"),
    _int("answer"),
    _int("milli"),
    _int("at_ms"),
    _text("who"),
    _text("why"),
    Index("order_answers_event", "store", "event"),
)
Index(
    "order_answers_short",
    ORDER_ANSWERS.c.event,
    ORDER_ANSWERS.c.store,
    sqlite_where=text("answer = 3"),
)
BROKEN = _table(  # what a person gave up
    "broken",
    *_place(),
    _text("cell", primary_key=True),
    _blob("event"),
    _int("milli"),
    _text("who"),
    _text("why"),
    Index("broken_event", "store", "event"),
)
TOTALS = _table(
    "totals",
    _text("store", primary_key=True),
    _int("sales"),
    _int("lines"),
    _int("quantity_milli"),
    _int("total_minor"),
)
ARTICLES = _table(
    "articles",
    _text("store", primary_key=True),
    _text("sku", primary_key=True),
    _int("revision", primary_key=True, autoincrement=False),
    _text("name"),
    _text("fiscal_name"),
    _text("unit"),
    _text("vat"),
    _text("codes"),  # joined by a space
    _int("deposit_minor"),
    _int("age_min"),
    _text("product_group"),
    *_author(),
    _int("from_ms", server_default="0"),
    _text("compared", server_default=""),  # of the fiscal name, see `sync.rules.fiscal_name`
    Index("articles_revision", "store", "revision"),
    Index("articles_compared", "store", "compared"),
)
PRICES = _table(
    "prices",
    _text("store", primary_key=True),
    _text("sku", primary_key=True),
    _int("revision", primary_key=True, autoincrement=False),
    _int("from_ms", primary_key=True, autoincrement=False),
    _int("unit_minor"),
    *_author(),
    _int("told_ms", server_default="0"),  # when the fact was written
    Index("prices_revision", "store", "revision"),
)
SALE_HOURS = _table(
    "sale_hours",
    _text("store", primary_key=True),
    _text("target", primary_key=True),
    _blob("body"),
    _int("hlc"),
    *_author(),
)
VAT_RATES = _table(
    "vat_rates",
    _text("store", primary_key=True),
    _text("code", primary_key=True),
    _int("since", primary_key=True, autoincrement=False),
    _int("revision", primary_key=True, autoincrement=False),
    _int("basis_points"),
    _int("exempt"),
    *_author(),
)
PROMOTIONS = _table(
    "promotions",
    _text("store", primary_key=True),
    _text("id", primary_key=True),
    _int("revision"),
    _blob("body"),
    _int("hlc"),
    *_author(),
)
STALE_PRICES = _table(
    "stale_prices",
    _text("store", primary_key=True),
    _blob("event", primary_key=True),
    _int("line", primary_key=True, autoincrement=False),
    _int("due_minor"),  # what a whole unit cost at that moment, by head office's books
    _int("due_version"),
)
STORES = _table(
    "stores",
    _text("store", primary_key=True),
    _text("name"),
    _text("zone"),
    _text("currency"),
    _text("taxpayer"),
    _int("fiscal"),
    _int("day_starts_minute"),
    _int("hlc"),
    *_author(),
)
NODES = _table(
    "nodes",
    _text("store", primary_key=True),
    _blob("subject", primary_key=True),  # the node the row tells of; `node` wrote it
    _text("name"),
    _blob("certificate"),
    _int("hlc"),
    *_author(),
)
REVOKED = _table(
    "revoked",
    _text("store", primary_key=True),
    _blob("subject", primary_key=True),
    _text("why"),
    _int("hlc"),
    *_author(),
)


def _document() -> tuple[Column[str], Column[bytes]]:
    """Scope and id; what all stores share is of scope `chain.ALL`."""
    return _text("store", primary_key=True), _blob("document", primary_key=True)


def _content() -> tuple[Column[bytes], Column[bytes], Column[bytes]]:
    """As it travelled: sealed where it names a person."""
    return Column("person", LargeBinary), Column("nonce", LargeBinary), _blob("content")


DOCUMENT_CHANGES = _table(
    "document_changes",
    *_document(),
    _blob("name", primary_key=True),
    _text("kind"),
    _blob("generation"),
    *_content(),
    _int("told"),  # 1: in head office's own stream of this scope
    Index("document_changes_told", "store", "told"),
    Index("document_changes_document", "document"),
)
DOCUMENT_GENERATIONS = _table(
    "document_generations",
    *_document(),
    _blob("name", primary_key=True),
    _text("kind"),
    _blob("previous"),
    _int("number"),
    _blob("covered"),
    *_content(),
)
DOCUMENT_SETTLEMENTS = _table(
    "document_settlements",
    *_document(),
    _int("hlc", primary_key=True, autoincrement=False),
    _text("place", primary_key=True),
    _blob("seen"),
    _blob("keep"),
    _text("who"),
    _text("note"),
)
BASKET_RECALLS = _table(
    "basket_recalls",
    *_document(),
    _blob("name", primary_key=True),
    _text("till", primary_key=True),
    _text("cashier", primary_key=True),
    _blob("writer", primary_key=True),  # the node of the till
    _int("at_ms", primary_key=True, autoincrement=False),
    _blob("covered", primary_key=True),
)
BASKET_ENDS = _table("basket_ends", *_document(), _blob("recall", primary_key=True), _blob("sale"))
DOCUMENT_PERSONS = _table(
    "document_persons",
    *_document(),
    _blob("person", primary_key=True),
    Index("document_persons_person", "person"),
    Index("document_persons_document", "document"),
)
FORGOTTEN = _table("forgotten", *_document())
LIVES = _table(
    "lives",  # a stream whose first fact says which other one it follows
    *_stream(),
    _blob("ended_node"),
    _int("ended_incarnation"),
    _int("ended_seq"),
    _blob("ended_hash"),
    _text("cause"),
    _int("hlc"),
)
FENCES = _table(
    "fences",
    _text("store", primary_key=True),
    _blob("closed_node", primary_key=True),
    _int("closed_incarnation", primary_key=True, autoincrement=False),
    _int("closed_seq"),
    _blob("closed_hash"),
    _blob("successor_node"),
    _int("successor_incarnation"),
    _text("why"),
    _int("hlc"),
    *_author(),
)

VIEWS = (
    QUARANTINE,
    UNREADABLE,
    SALES,
    SALE_MARKS,
    DELIVERIES,
    PAPERS,
    DUPLICATES,
    RIGHTS,
    POLICIES,
    WANTED,
    GIFTS,
    PROMISES,
    PROMISE_LINES,
    ORDER_ANSWERS,
    BROKEN,
    TOTALS,
    ARTICLES,
    PRICES,
    VAT_RATES,
    PROMOTIONS,
    SALE_HOURS,
    STALE_PRICES,
    STORES,
    NODES,
    REVOKED,
    DOCUMENT_CHANGES,
    DOCUMENT_GENERATIONS,
    DOCUMENT_SETTLEMENTS,
    BASKET_RECALLS,
    BASKET_ENDS,
    DOCUMENT_PERSONS,
    FORGOTTEN,
    LIVES,
    FENCES,
)

# --- outside the journal ---------------------------------------------------------

OWN = _table(
    "own", _text("store", primary_key=True), _text("name", primary_key=True), _text("value")
)
REFUSALS = _table(  # promises that could not be made, added up
    "refusals",
    _text("store", primary_key=True),
    _text("cell", primary_key=True),
    _int("refused"),
    _int("asked_milli"),
    _int("short_milli"),
    _int("elsewhere_milli"),  # of the short: what others held unused at that moment
    _int("served_elsewhere"),  # refusals that such a right could have served whole
    _int("last_ms"),
)
FEEDS = _table("feeds", _text("store", primary_key=True), _int("change"))
CODES = _table(
    "codes",
    _text("store", primary_key=True),
    _blob("digest", primary_key=True),
    _int("expires_ms"),
    Column("used_by", LargeBinary),  # the node that came with it
    Index("codes_digest", "digest"),
)
TOKENS = _table(
    "tokens",
    _text("store", primary_key=True),
    _blob("digest", primary_key=True),
    _text("name"),
    _text("scope"),
    _int("made_ms"),
)
PERSON_KEYS = _table(
    "person_keys",
    _text("store", primary_key=True),
    _blob("person", primary_key=True),
    Column("key", LargeBinary),  # null: forgotten, for ever
    *_author(),
    Index("person_keys_place", "store", "node", "incarnation", "seq"),
    Index("person_keys_person", "person"),
)
CONTACTS = _table(
    "contacts",
    _text("store", primary_key=True),
    _blob("node", primary_key=True),
    _int("heard_ms"),
    _int("bytes_in"),
    _int("bytes_out"),
)
STICKS = _table(
    "sticks",
    _text("store", primary_key=True),
    _int("read_ms", primary_key=True, autoincrement=False),
    _text("file", primary_key=True),
    _blob("node"),
    _int("written_ms"),
    _int("facts"),
    _text("reason"),  # why it was refused; empty: taken
    _blob("vector"),
)
