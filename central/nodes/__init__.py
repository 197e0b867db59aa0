"""Nodes: certified here (`authority`, `enrolment`), watched (`peers`), exchanged with.

`conversation` is one sans-I/O session over the ledger; `carrier` moves its bytes in
one POST or a WebSocket; `checkpoints` hands out where a new node begins.
"""
