"""Stock as head office sees it, and what it promises of it.

* `shelf`: one article at one place, from the rows of its holders (pure).
* `placing`: which places serve what is asked (pure).
* `policy`: how articles are promised.
* `promising`: making, confirming, releasing; each inside one transaction.
* `keeping`: what happens by itself: expiry, rights asked for and given, orders moved.
* `inbox`: what waits for a person, and the figures. `request`: what the API takes and tells.
* `desk`: what a person orders by command.
"""
