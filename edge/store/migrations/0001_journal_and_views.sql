CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;

-- The journal.
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    node BLOB NOT NULL,
    incarnation INTEGER NOT NULL,
    scope TEXT NOT NULL,
    frozen INTEGER NOT NULL DEFAULT 0,
    UNIQUE (node, incarnation, scope)
);
-- A fact's place is its stream shifted left by 40, plus its number: one integer key keeps a
-- stream together and a fact in one page.
CREATE TABLE facts (
    place INTEGER PRIMARY KEY,
    hlc INTEGER NOT NULL,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    event BLOB NOT NULL,
    body BLOB NOT NULL,
    hash BLOB NOT NULL,
    signature BLOB
);
CREATE VIEW journal AS
    SELECT place >> 40 AS stream, place & 0xFFFFFFFFFF AS seq, hlc, kind, version, event, body,
    hash, signature FROM facts;
CREATE TABLE unreadable (
    stream INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, version INTEGER NOT NULL,
    PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
CREATE TABLE forks (
    stream INTEGER NOT NULL, seq INTEGER NOT NULL, ours BLOB NOT NULL, theirs BLOB NOT NULL,
    signature BLOB, PRIMARY KEY (stream, seq, theirs)
) WITHOUT ROWID;

-- Views: functions of the set of facts, rebuilt from them at will.
CREATE TABLE nodes (
    node BLOB PRIMARY KEY, store TEXT NOT NULL, public_key BLOB NOT NULL, revoked INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE settings (
    store TEXT PRIMARY KEY, hlc INTEGER NOT NULL, place TEXT NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE articles (
    sku TEXT NOT NULL, revision INTEGER NOT NULL, name TEXT NOT NULL, fiscal_name TEXT NOT NULL,
    unit TEXT NOT NULL, vat TEXT NOT NULL, codes TEXT NOT NULL, deposit_minor INTEGER NOT NULL,
    age_min INTEGER NOT NULL, grouping TEXT NOT NULL,
    PRIMARY KEY (sku, revision)
) WITHOUT ROWID;
CREATE TABLE codes (
    code TEXT NOT NULL, sku TEXT NOT NULL, revision INTEGER NOT NULL,
    PRIMARY KEY (code, revision, sku)
) WITHOUT ROWID;
CREATE TABLE prices (
    sku TEXT NOT NULL, from_ms INTEGER NOT NULL, revision INTEGER NOT NULL,
    unit_minor INTEGER NOT NULL,
    PRIMARY KEY (sku, from_ms, revision)
) WITHOUT ROWID;
CREATE TABLE sales (
    event BLOB PRIMARY KEY,
    stream INTEGER, seq INTEGER,  -- of the sale itself; NULL while only later stages are here
    stage INTEGER NOT NULL,
    later INTEGER NOT NULL,  -- the furthest stage that facts after the sale itself vouch for
    till TEXT, series TEXT, number INTEGER, at_ms INTEGER, business_day INTEGER, cashier TEXT,
    channel TEXT, lines INTEGER, quantity_milli INTEGER, total_minor INTEGER,
    digest BLOB  -- local: of the request that made it
) WITHOUT ROWID;
CREATE TABLE settled (
    event BLOB NOT NULL, payment INTEGER NOT NULL, stream INTEGER NOT NULL, seq INTEGER NOT NULL,
    approved INTEGER NOT NULL,
    PRIMARY KEY (event, payment)
) WITHOUT ROWID;
CREATE TABLE documents (
    event BLOB PRIMARY KEY, stream INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
    digest BLOB
) WITHOUT ROWID;
CREATE TABLE stock (
    sku TEXT PRIMARY KEY, quantity_milli INTEGER NOT NULL, as_of_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE quarantine (
    stream INTEGER NOT NULL, seq INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
CREATE TABLE duplicates (
    event BLOB NOT NULL, stream INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (event, stream, seq)
) WITHOUT ROWID;

-- Local: this node's own business, in no stream.
CREATE TABLE roots (
    node BLOB PRIMARY KEY, store TEXT NOT NULL, public_key BLOB NOT NULL  -- ourselves and central
) WITHOUT ROWID;
CREATE TABLE series (
    till TEXT NOT NULL, incarnation INTEGER NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (till, incarnation)
) WITHOUT ROWID;
CREATE INDEX open_sales ON sales (stage) WHERE stage < 4;
CREATE TABLE slips (event BLOB PRIMARY KEY, till TEXT NOT NULL, state TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX slips_by_state ON slips (state) WHERE state IN ('intended', 'sending', 'refused');
CREATE TABLE tokens (
    digest BLOB PRIMARY KEY, scope TEXT NOT NULL, name TEXT NOT NULL, made_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE person_keys (person BLOB PRIMARY KEY, key BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE peers (
    peer TEXT NOT NULL, stream INTEGER NOT NULL, stored INTEGER NOT NULL, safe INTEGER NOT NULL,
    PRIMARY KEY (peer, stream)
) WITHOUT ROWID;
