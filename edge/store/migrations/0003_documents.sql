-- Documents that several people edit (sync.merge.history). Contents stay as they travelled:
-- what is personal is sealed, and opened only to be read.
CREATE TABLE document_changes (
    document BLOB NOT NULL, name BLOB NOT NULL, kind TEXT NOT NULL, generation BLOB NOT NULL,
    person BLOB, nonce BLOB, content BLOB NOT NULL,
    PRIMARY KEY (document, name)
) WITHOUT ROWID;
CREATE INDEX parked ON document_changes (kind) WHERE kind = 'basket';
CREATE TABLE document_generations (
    document BLOB NOT NULL, name BLOB NOT NULL, kind TEXT NOT NULL, previous BLOB NOT NULL,
    number INTEGER NOT NULL, covered BLOB NOT NULL, person BLOB, nonce BLOB, content BLOB NOT NULL,
    PRIMARY KEY (document, name)
) WITHOUT ROWID;
CREATE TABLE document_settlements (
    document BLOB NOT NULL, hlc INTEGER NOT NULL, place TEXT NOT NULL, seen BLOB NOT NULL,
    keep BLOB NOT NULL, who TEXT NOT NULL, note TEXT NOT NULL,
    PRIMARY KEY (document, hlc, place)
) WITHOUT ROWID;
CREATE TABLE basket_recalls (
    document BLOB NOT NULL, name BLOB NOT NULL, till TEXT NOT NULL, cashier TEXT NOT NULL,
    node BLOB NOT NULL, at_ms INTEGER NOT NULL, covered BLOB NOT NULL,
    PRIMARY KEY (document, name, till, cashier, node, at_ms, covered)
) WITHOUT ROWID;
CREATE TABLE basket_ends (
    document BLOB NOT NULL, recall BLOB NOT NULL, sale BLOB NOT NULL,
    PRIMARY KEY (document, recall)
) WITHOUT ROWID;
CREATE TABLE document_persons (
    document BLOB NOT NULL, person BLOB NOT NULL,  -- under whose key a part of it is sealed
    PRIMARY KEY (document, person)
) WITHOUT ROWID;
CREATE INDEX documents_of_person ON document_persons (person);
CREATE TABLE forgotten (document BLOB PRIMARY KEY) WITHOUT ROWID;

-- Local: made again from the documents whose keys are here.
CREATE TABLE customer_handles (
    -- HMAC of a code, a phone or an e-mail under a key made from the node's
    handle BLOB NOT NULL, document BLOB NOT NULL,
    PRIMARY KEY (handle, document)
) WITHOUT ROWID;
CREATE INDEX handles_of ON customer_handles (document);
CREATE TABLE document_oddities (
    document BLOB NOT NULL, what TEXT NOT NULL, names BLOB NOT NULL,
    PRIMARY KEY (document, what, names)
) WITHOUT ROWID;
