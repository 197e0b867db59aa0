"""The journal and its views: the only SQL of central.

* `tables`, `migrations`, `database`: what is kept, and opening it.
* `unit`, `writer`, `published`: one thread writes; others read, and see commits only.
* `journal`, `ingest`, `author`: streams of facts, taken in or written here.
* `lives`, `fences`, `witness`: central's own lives, how a stream that is over is closed, and how
  a ledger that was put back is noticed.
* `views`, `effects`, `entry`: what the facts come to, by subject: `sales`, `deliveries`,
  `papers`, `rights`, `promises`, `reference`.
* `checkpoint`: what a store's views say, for a new node to begin from.
* `stale`: lines sold at a price that was over.
* `reading`, `selling`, `assortment`, `shelves`, `promised`: questions; `codes`, `tokens`,
  `contacts`: truth beside the journal. `upkeep`, `comparing`: verify, back up, restore.
* `ledger`: the face of it all, for asyncio.
"""
