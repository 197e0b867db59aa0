"""What two nodes must agree on: the vocabulary, the sums, the merges, the exchange.

Pure. Nothing here knows a socket, a database, a clock, an event loop or a random
number: bytes, facts, times, ids and keys come in as arguments, so that a
simulation replays from a seed and central and a store compute the same thing.

* `facts`: what can happen in a shop, as versioned bodies. Written for ever.
* `rules`: the sums everyone must compute alike (money, VAT, barcodes, stages).
* `merge`: how facts of several nodes become one state.
* `exchange`: the conversation of two nodes, bytes in and bytes out.
* `checkpoint`: what a store's views say, signed: where a new node begins.
* `contract`: the HTTP faces both programs share (problems, OpenAPI, tokens).
* `chain`, `clock`, `identity`: numbered, hashed and signed; ordered; and by whom.

May import: the standard library, msgspec, cryptography, zstandard, python-stdnum.
Imports none of `edge`, `central`, `hw`.
"""
