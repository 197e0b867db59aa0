-- Rights (sync.merge.rights) in place of plain quantities. A row is a function of one stream;
-- rows lag behind the journal: they cover each stream up to `folded`, and what is above that
-- is added in memory (edge.store.shelf).
DROP TABLE stock;
CREATE TABLE rights (
    cell TEXT NOT NULL, stream INTEGER NOT NULL,
    made INTEGER NOT NULL, used INTEGER NOT NULL, held INTEGER NOT NULL, freed INTEGER NOT NULL,
    done INTEGER NOT NULL, gave INTEGER NOT NULL, got INTEGER NOT NULL, over INTEGER NOT NULL,
    covered INTEGER NOT NULL, as_of_ms INTEGER NOT NULL,
    PRIMARY KEY (cell, stream)
) WITHOUT ROWID;
ALTER TABLE streams ADD COLUMN folded INTEGER NOT NULL DEFAULT 0;

-- Tendered sales that a later fact of the same stream closed or voided: by which number.
CREATE TABLE closings (
    stream INTEGER NOT NULL, event BLOB NOT NULL, closed INTEGER, voided INTEGER,
    PRIMARY KEY (stream, event)
) WITHOUT ROWID;
ALTER TABLE duplicates ADD COLUMN record TEXT NOT NULL DEFAULT '';  -- 'sales' or 'documents'
CREATE TABLE policies (
    scope TEXT NOT NULL, target TEXT NOT NULL, hlc INTEGER NOT NULL, place TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (scope, target)
) WITHOUT ROWID;
CREATE TABLE wanted (
    event BLOB NOT NULL, stream INTEGER NOT NULL, seq INTEGER NOT NULL, hlc INTEGER NOT NULL,
    PRIMARY KEY (event, stream)
) WITHOUT ROWID;
CREATE TABLE given (
    event BLOB NOT NULL, stream INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (event, stream, seq)
) WITHOUT ROWID;
CREATE TABLE fences (
    stream INTEGER PRIMARY KEY, seq INTEGER NOT NULL, hash BLOB NOT NULL,
    successor INTEGER NOT NULL, hlc INTEGER NOT NULL, place TEXT NOT NULL
) WITHOUT ROWID;
