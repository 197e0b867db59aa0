"""What a store keeps: the journal, the views derived from it, and what is only local.

The only SQL of the edge. `store` is the way in; `writer` the one thread that
writes; `journal` the facts; `views` what they add up to; `verify` the check that
both are whole. `migrations` are numbered SQL files, applied once, in order.
"""
