"""What the law wants shown beside a reduced price (`sync.rules.omnibus`), from what is kept here.

Of a promotion whose terms were changed under its id only the last ones are known: head office
gives new terms a new id.
"""

import sqlite3

import msgspec

from sync.clock import hlc_ms
from sync.facts.promotion import PromotionTold
from sync.rules import omnibus
from sync.rules.omnibus import Shown
from sync.rules.promotion import Promotion

_PROMOTION = msgspec.msgpack.Decoder(PromotionTold)


def reduced(db: sqlite3.Connection, sku: str, store: str, at_ms: int) -> Shown | None:
    """Return what must be shown of an article; None: its price is not reduced.

    Args:
        db: Where prices and promotions are.
        sku: The article.
        store: Where it is sold.
        at_ms: When it is asked, Unix milliseconds.
    """
    prices = db.execute(
        "SELECT from_ms, revision, unit_minor FROM prices WHERE sku = ?", (sku,)
    ).fetchall()
    row = db.execute(
        "SELECT grouping, age_min FROM articles WHERE sku = ? AND from_ms <= ? "
        "ORDER BY from_ms DESC, revision DESC LIMIT 1",
        (sku, at_ms),
    ).fetchone()
    group, age_min = row or ("", 0)
    spans = omnibus.listed(prices, at_ms)
    spans += omnibus.promoted(spans, _promotions(db), sku, group, store, age_min)
    return omnibus.shown(spans, at_ms)


def _promotions(db: sqlite3.Connection) -> list[Promotion]:
    """Return the promotions told; one that was withdrawn held until then."""
    rows = db.execute("SELECT hlc, body FROM promotions").fetchall()
    told = [(hlc, _PROMOTION.decode(body)) for hlc, body in rows]
    found = [omnibus.lasted(t.promotion, hlc_ms(hlc) if t.withdrawn else None) for hlc, t in told]
    return [promotion for promotion in found if promotion is not None]
