CREATE TABLE returns (
    event BLOB PRIMARY KEY, stream INTEGER NOT NULL, seq INTEGER NOT NULL, sale BLOB NOT NULL,
    till TEXT NOT NULL, at_ms INTEGER NOT NULL, business_day INTEGER NOT NULL,
    mistake INTEGER NOT NULL, total_minor INTEGER NOT NULL,
    digest BLOB  -- local: of the request that made it
) WITHOUT ROWID;
CREATE INDEX returns_by_sale ON returns (sale);
CREATE INDEX returns_by_day ON returns (business_day);
