"""The journal and its views: the only SQL of central.

* `tables`, `migrations`, `database`: what is kept, and opening it.
* `unit`, `writer`, `published`: one thread writes; others read, and see commits only.
* `journal`, `ingest`, `author`, `lives`: streams of facts, taken in or written here.
* `views`, `effects`, `sales`, `deliveries`, `papers`, `reference`: what the facts come to.
* `reading`, `selling`, `assortment`: questions; `codes`, `tokens`, `contacts`: truth beside the
  journal. `upkeep`: rebuild, verify, back up.
* `ledger`: the face of it all, for asyncio.
"""
