-- Who works here: the latest word on each, and their shifts with what moved in the drawer.
CREATE TABLE staff (
    user TEXT PRIMARY KEY, hlc INTEGER NOT NULL, place TEXT NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE shifts (
    shift BLOB NOT NULL, stream INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
    till TEXT NOT NULL, PRIMARY KEY (shift, stream, seq)
) WITHOUT ROWID;
-- Local: the shift that a till of this node is in, and PINs that were tried.
CREATE TABLE open_shifts (
    till TEXT PRIMARY KEY, shift BLOB NOT NULL, number INTEGER NOT NULL,
    float_minor INTEGER NOT NULL,
    opened_ms INTEGER NOT NULL, hlc INTEGER NOT NULL, cashier TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE pin_failures (
    user TEXT PRIMARY KEY, failures INTEGER NOT NULL, until_ms INTEGER NOT NULL
) WITHOUT ROWID;
