CREATE TABLE sale_hours (
    scope TEXT NOT NULL, target TEXT NOT NULL, hlc INTEGER NOT NULL, place TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (scope, target)
) WITHOUT ROWID;
