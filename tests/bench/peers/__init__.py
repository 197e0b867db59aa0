"""Karb beside NATS JetStream, Turso sync and PouchDB: one till, one outage, the same faults.

    make bench-peers
    make bench-peers ARGS="--rounds 1 --sales 500 karb nats-always"

Each system runs as it would in a shop: an edge that records sales one by one and answers
each, a centre as a process of its own, and between the two a line that can be cut and counts
bytes (`edge.demo.link`). `contest` is the script, the same for all; a module a system says how
it is set up (its best documented settings); the `*_edge` files are what runs at the edge. The
peers install themselves into `.peers/`, apart from the product; nothing of them is kept here.
"""
