"""HTTP for tills, kiosks and foreign clients: JSON under `/v1`, refusals as RFC 9457.

* `routes`: the one literal table; aiohttp routes by it and `/openapi.json` describes it.
* `server`: sockets, tokens, bodies and errors; knows nothing of sales.
* `sales`, `orders`, `tills`, `node`: the handlers, a few lines each around `edge.till`.
* `answers`: what they say. What they are asked stands in `edge.till.request`.
* `refusals`: an error becomes a problem document.

Tokens have a scope, and a wider one includes the narrower: read ⊂ sell ⊂ admin. The
admin token is made at each start and lies in the data folder, for the commands.
"""
