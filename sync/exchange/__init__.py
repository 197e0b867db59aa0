"""The conversation of two nodes: bytes and facts in, bytes and events out.

`messages` says what can be said, `wire` how it looks in bytes, `session` who may
say what when and what is still owed. Nothing here waits: a carrier (HTTPS,
WebSocket, LAN, a file on a stick) moves the bytes, a journal holds the facts.

1. Both sides greet: protocol range, readable kinds, wanted scopes, and a vector,
   `stream -> (highest contiguous number, its hash)`.
2. Each sends what the other's vector lacks, in batches that end on signed heads.
3. Each acknowledges what it has stored, and what is safe (backed up or replicated).
"""
