"""The stockroom: what a store has a right to, and asking others for more.

Receiving, counting and transfers are documents that move rights; decisions are made in
a unit of work (`edge.store.holder`). May import `edge.store` and `sync`.
"""
