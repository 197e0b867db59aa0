"""The program in a store: sells, prints, keeps what happened, and tells head office.

The way in is `python -m edge`, or `karb`: `cli` reads the command, `config` the file,
and `app` builds the rest, one screen that reads like a list.

* `config`: `karb.toml` into frozen dataclasses, once.
* `till`: what happens at the counter; decisions are pure, tasks stand around them.
* `stockroom`: goods that come, go, travel and are counted.
* `store`: the journal and its views in SQLite; the only SQL of the edge.
* `api`: HTTP for tills, kiosks and foreign clients.
* `link`: the exchange with head office.
* `upkeep`: once a day, old facts are dropped.
* `cli`: the commands.

A sale's path: `api` or a scanner → `till.basket` → `till.selling` inside one unit of
work of `store` → after the commit `till.printing` and `link`. Nothing on that path waits
for the network.

May import `sync` and `hw`; never `central`.
"""
