"""Head office: takes every store's facts in, hands catalogue and prices out, certifies nodes.

The way in is `python -m central`, or `karb-central`: `cli` reads the command, `config`
the folder, and `app` builds the rest, one screen that reads like a list.

* `ledger`: the journal and its views, and the one thread that writes; the only SQL here.
* `nodes`: the authority, enrolment, and the exchange with stores.
* `catalogue`: what is sold and for how much, from a spreadsheet into facts.
* `stock`: what stores have, and what head office promises of it.
* `orders`, `office`: what a person at head office can order, and carrying it out; the
  commands and the API both call it. `founding`: making one where there was none.
* `api`: HTTP: JSON for programs, the status page for people.
* `web`: the page's files, served as they are.
* `cli`: the commands.

A sale's way in: `nodes.carrier` (bytes) → `sync.exchange` (facts) → `ledger.ingest` (checked
and appended) → `ledger.views` (counted), in one transaction; then the acknowledgement.

May import `sync`; never `edge` or `hw`.
"""

from importlib.metadata import version

VERSION = version("karb")
SOFTWARE = f"karb-central {VERSION}"
"""What central calls itself in greetings."""
