"""What waits for a person, and the figures: worked out from the views, kept nowhere."""

from uuid import UUID

import msgspec

from central.ledger import promised, shelves
from central.ledger.ledger import Moment
from sync.chain import life
from sync.facts.order import Ending

MOST = 1000


class Waiting(msgspec.Struct, frozen=True):
    """Something only a person can decide."""

    kind: str
    """``short``: an order that nobody can serve; ``gone``: less is there than is reserved;
    ``below zero``: a holder gave or promised what it did not hold; ``late``: facts beyond
    the end of their stream."""

    store: str
    sku: str
    """Empty: not about one article."""

    quantity_milli: int
    promise: str
    """Its id; empty: not about one promise."""

    holder: str
    """A node and its life; empty: not about one."""

    detail: str
    cure: str


class Figures(msgspec.Struct, frozen=True):
    """How well promising works."""

    oversold_milli: int
    """Promised or given by somebody who did not hold it: 0, unless a ledger was lost."""

    uncovered_milli: int
    """Sold over the counter beyond any right: a discrepancy of the books."""

    refused: int
    """Promises asked for and not made, by article."""

    served_elsewhere: int
    """Of these, refusals that unused rights elsewhere could have served."""

    short_milli: int
    elsewhere_milli: int
    """Of the short: what others held unused at that moment."""

    open: int
    """Promises by place."""

    confirmed: int
    released: int
    expired: int
    moved: int
    articles: list["RefusedArticle"]
    """The most often refused first, at most 100."""


class RefusedArticle(msgspec.Struct, frozen=True):
    """Refusals of one article."""

    sku: str
    refused: int
    served_elsewhere: int
    asked_milli: int
    short_milli: int
    elsewhere_milli: int
    last_ms: int


def exceptions(connection: Moment, own: bytes) -> list[Waiting]:
    """Return all that waits for a person."""
    found = []
    for part, missing in promised.short(connection):
        root = str(UUID(bytes=part.root))
        found += [
            Waiting(
                "short",
                part.store,
                cell,
                milli,
                root,
                "",
                "The store was short of it, and no other place can promise it.",
                f"bring goods in, or: karb-central promise give-up {root} --store {part.store}",
            )
            for cell, milli in missing.items()
        ]
    for shelf in shelves.reserved_now(connection):
        lacking = shelf.reserved - max(0, shelf.physical)
        if lacking > 0:
            found.append(
                Waiting(
                    "gone",
                    shelf.store,
                    shelf.cell,
                    lacking,
                    "",
                    "",
                    f"{shelf.reserved} thousandths are reserved, {shelf.physical} are there.",
                    "have the store look; what it is short of is promised elsewhere",
                )
            )
    for shelf in shelves.below_zero(connection):
        for holder, right in shelf.rights().items():
            if right < 0:
                name = "web" if holder.node == own else holder.node.hex()
                found.append(
                    Waiting(
                        "below zero",
                        shelf.store,
                        shelf.cell,
                        -right,
                        "",
                        f"{name} {life(holder.incarnation)}",
                        "It gave, promised or sold more than it held.",
                        "count the article; as much is kept back until it is covered",
                    )
                )
    return found[:MOST]


def figures(connection: Moment) -> Figures:
    """Return how well promising works."""
    counts = promised.counts(connection)
    sums = promised.refusal_sums(connection)
    return Figures(
        oversold_milli=sum(shelf.oversold for shelf in shelves.below_zero(connection)),
        uncovered_milli=shelves.uncovered_milli(connection),
        refused=sums.refused,
        served_elsewhere=sums.served_elsewhere,
        short_milli=sums.short_milli,
        elsewhere_milli=sums.elsewhere_milli,
        open=counts.get(None, 0),
        confirmed=counts.get(Ending.CONFIRMED, 0),
        released=counts.get(Ending.RELEASED, 0),
        expired=counts.get(Ending.EXPIRED, 0),
        moved=counts.get(Ending.MOVED, 0),
        articles=[
            RefusedArticle(
                row.sku,
                row.refused,
                row.served_elsewhere,
                row.asked_milli,
                row.short_milli,
                row.elsewhere_milli,
                row.last_ms,
            )
            for row in promised.refusals(connection, 100)
        ],
    )
