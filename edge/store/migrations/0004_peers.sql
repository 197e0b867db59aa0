-- A node's newest certificate, to introduce it to whoever has not heard of it, and its name.
ALTER TABLE nodes ADD COLUMN certificate BLOB NOT NULL DEFAULT x'';
ALTER TABLE nodes ADD COLUMN ends_ms INTEGER NOT NULL DEFAULT 0;  -- of the certificate
ALTER TABLE nodes ADD COLUMN name TEXT NOT NULL DEFAULT '';

-- Local: certificates that came with a handshake or a batch, before any fact told of the node.
CREATE TABLE introduced (node BLOB PRIMARY KEY, certificate BLOB NOT NULL) WITHOUT ROWID;

-- A view: whose a till is. Whoever sold on it in the latest hour; of two in one hour, the node
-- with the greater name. An hour and not a moment: so a sale seldom writes here.
CREATE TABLE tills (
    till TEXT PRIMARY KEY, hour INTEGER NOT NULL, node BLOB NOT NULL
) WITHOUT ROWID;
INSERT INTO tills
    SELECT till, hour, max(node) FROM (
        SELECT till, at_ms / 3600000 AS hour, node,
            max(at_ms / 3600000) OVER (PARTITION BY till) AS latest
        FROM sales JOIN streams ON streams.id = sales.stream
    ) WHERE hour = latest GROUP BY till;
