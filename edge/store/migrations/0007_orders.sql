-- What head office ordered of this store, and what was answered. An order may be there twice,
-- from two lives of head office; who holds goods for it stands in `reserved`.
CREATE TABLE orders (
    event BLOB NOT NULL, stream INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (event, stream)
) WITHOUT ROWID;
CREATE TABLE order_answers (
    event BLOB NOT NULL, stream INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (event, stream, seq)
) WITHOUT ROWID;
CREATE TABLE reserved (
    event BLOB NOT NULL, stream INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (event, stream, seq)
) WITHOUT ROWID;
