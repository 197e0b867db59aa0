ALTER TABLE articles ADD COLUMN from_ms INTEGER NOT NULL DEFAULT 0;
CREATE TABLE vat_rates (
    code TEXT NOT NULL, since INTEGER NOT NULL, revision INTEGER NOT NULL,
    basis_points INTEGER NOT NULL, exempt INTEGER NOT NULL,
    PRIMARY KEY (code, since, revision)
) WITHOUT ROWID;
