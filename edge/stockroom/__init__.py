"""The stockroom: goods that come, go, travel and are counted, and rights asked of others.

* `documents`: deliveries, write-offs, returns, transfers; each one a fact.
* `counting`: count sheets, filled in while selling goes on.
* `orders`: what head office promised of this store's goods, and what became of it.
* `asking`: asks others of the place for rights, before a sale goes beyond our own.
* `request`: what a client may ask to have recorded.

All but `asking` run inside a unit of work; how rights move is `edge.store.holder`, what the
books had at some moment is `edge.store.sheets`. May import `edge.store`, `sync`, and of
`edge.till` what a request and a refusal look like.
"""
