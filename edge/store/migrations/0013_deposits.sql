CREATE TABLE deposits (
    event BLOB PRIMARY KEY, stream INTEGER NOT NULL, seq INTEGER NOT NULL, sale BLOB,
    till TEXT NOT NULL, at_ms INTEGER NOT NULL, business_day INTEGER NOT NULL,
    applied_minor INTEGER NOT NULL, paid_minor INTEGER NOT NULL,
    digest BLOB  -- local: of the request that made it
) WITHOUT ROWID;
CREATE INDEX deposits_by_sale ON deposits (sale) WHERE sale IS NOT NULL;
