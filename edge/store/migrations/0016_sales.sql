-- A sale's row stands after the one before, not in a page of its own by its random event: the
-- sales of a commit lie in one page. Which row an event has stands in `sale_events`, which lags
-- behind (edge.store.index): it has the rows up to the `nth` in `listed`.
CREATE TABLE sales_in_order (
    nth INTEGER PRIMARY KEY,  -- in which they came to this file; tells nobody else anything
    event BLOB NOT NULL,
    stream INTEGER, seq INTEGER,  -- of the sale itself; NULL while only later stages are here
    stage INTEGER NOT NULL,
    later INTEGER NOT NULL,  -- the furthest stage that facts after the sale itself vouch for
    till TEXT, series TEXT, number INTEGER, at_ms INTEGER, business_day INTEGER, cashier TEXT,
    channel TEXT, lines INTEGER, quantity_milli INTEGER, total_minor INTEGER,
    digest BLOB  -- local: of the request that made it
);
INSERT INTO sales_in_order (event, stream, seq, stage, later, till, series, number, at_ms,
    business_day, cashier, channel, lines, quantity_milli, total_minor, digest)
    SELECT event, stream, seq, stage, later, till, series, number, at_ms,
    business_day, cashier, channel, lines, quantity_milli, total_minor, digest
    FROM sales ORDER BY at_ms;
DROP TABLE sales;
ALTER TABLE sales_in_order RENAME TO sales;
CREATE INDEX open_sales ON sales (stage) WHERE stage < 4;
CREATE TABLE sale_events (event BLOB PRIMARY KEY, nth INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO sale_events SELECT event, nth FROM sales ORDER BY event;
CREATE TABLE listed (nth INTEGER NOT NULL);
INSERT INTO listed SELECT coalesce(max(nth), 0) FROM sales;
-- Rows of rights lag behind in two ways: what sales took, up to `sold` of each stream, and all
-- else, up to `folded`. A row may be further, with the sales up to its own `sold`: rows are
-- folded some with each commit, and a crash in between must not add a sale twice.
ALTER TABLE streams ADD COLUMN sold INTEGER NOT NULL DEFAULT 0;
UPDATE streams SET sold = folded;
ALTER TABLE rights ADD COLUMN sold INTEGER NOT NULL DEFAULT 0;
