-- Facts of a stream up to `seq` are not all here; that one is. The base has applied those of the
-- settled kinds (`sync.checkpoint`). Above `whole` every fact that tells of a sale is here.
CREATE TABLE bases (
    stream INTEGER PRIMARY KEY, seq INTEGER NOT NULL, whole INTEGER NOT NULL
);
-- The base itself: frames of a checkpoint. Those of the generation named in `meta` count; others
-- are being written, or left over.
CREATE TABLE base_frames (
    generation INTEGER NOT NULL, n INTEGER NOT NULL, frame BLOB NOT NULL,
    PRIMARY KEY (generation, n)
);
-- What a sale takes (msgpack of a map) whose fact is no longer here, by the fact's place.
CREATE TABLE goods (place INTEGER PRIMARY KEY, stage INTEGER NOT NULL, taken BLOB NOT NULL);
