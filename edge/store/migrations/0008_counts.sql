-- Stock counts (sync.facts.count). A line counted again is another row; the latest holds.
CREATE TABLE count_lines (
    sheet BLOB NOT NULL, sku TEXT NOT NULL, stream INTEGER NOT NULL, seq INTEGER NOT NULL,
    hlc INTEGER NOT NULL, counted_milli INTEGER NOT NULL, attempt INTEGER NOT NULL,
    PRIMARY KEY (sheet, sku, stream, seq)
) WITHOUT ROWID;
CREATE TABLE count_marks (
    line_stream INTEGER NOT NULL, line_seq INTEGER NOT NULL, node BLOB NOT NULL,
    stream INTEGER NOT NULL, number INTEGER NOT NULL,  -- how far `node` was in its `stream`
    PRIMARY KEY (line_stream, line_seq, node, stream)
) WITHOUT ROWID;
CREATE TABLE count_posted (
    sku TEXT NOT NULL, sheet BLOB NOT NULL, stream INTEGER NOT NULL, seq INTEGER NOT NULL,
    hlc INTEGER NOT NULL, counted_milli INTEGER NOT NULL, difference_milli INTEGER NOT NULL,
    PRIMARY KEY (sku, sheet, stream, seq)
) WITHOUT ROWID;

-- What is under way to us, as head office says, and what has arrived: one arrival a transfer.
CREATE TABLE transfers (
    event BLOB PRIMARY KEY, stream INTEGER NOT NULL, seq INTEGER NOT NULL, place TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE arrivals (
    reference BLOB PRIMARY KEY, stream INTEGER NOT NULL, seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX documents_by_kind ON documents (kind);
