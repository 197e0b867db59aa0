-- 1: `seq` is the first number that differs, the branch is still here; 2: that was settled.
ALTER TABLE forks ADD COLUMN first INTEGER NOT NULL DEFAULT 0;

-- Local: facts that stood beyond a fence or on a damaged stretch, kept as they were.
CREATE TABLE severed (
    stream INTEGER NOT NULL, seq INTEGER NOT NULL, hlc, kind, version, event, body, hash, signature,
    -- 'kept', 'again' (appended again), 'spared' (is in another stream), 'lost' (unreadable),
    -- 'awaited' (central has it: it comes back)
    state TEXT NOT NULL,
    PRIMARY KEY (stream, seq, hash)
);
-- Local: how far a stream of ours is known to have gone, though its facts are not here.
CREATE TABLE reached (
    node BLOB NOT NULL, incarnation INTEGER NOT NULL, scope TEXT NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (node, incarnation, scope)
) WITHOUT ROWID;
