"""What a store keeps: the journal, the views derived from it, and what is only local.

The only SQL of the edge. `store` is the way in; `writer` the one thread that
writes; `journal` the facts; `views` what they add up to; `verify` the check that
both are whole. `index` and `numbers`, and rows of `shelf`, lag behind the journal in memory.
`shelf` and `holder` are rights, `sheets` counts, `books` the stock at a
moment, `transit` goods between stores. `base` is what the views stand on where old facts
are not here: `start` begins from head office's checkpoint, `prune` drops what is old and
safe. `lives` is what becomes of streams that are over, `witness` notices a file that was
put back, `backup` makes one to put back.
`migrations` are numbered SQL files, applied once, in order.
"""
