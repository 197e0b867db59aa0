"""Who may say what: some kinds are head office's alone.

A node's certificate lets it write in its store's streams, and the exchange carries what
it wrote to its neighbours. That must not let it change prices there: whoever applies facts asks
here first, edge and central alike, and sets aside what is objected to.
"""

from sync.chain import StreamId
from sync.facts.catalogue import Articles, Prices, VatRates
from sync.facts.hours import SaleHours
from sync.facts.node import NodeEnrolled, NodeRevoked, StoreDescribed, StreamClosed
from sync.facts.order import OrderPlaced, PromiseBroken, PromiseEnded, PromiseMade
from sync.facts.promotion import PromotionTold
from sync.facts.rights import StockPolicy
from sync.facts.stock import TransferAnnounced

HEAD_OFFICES = (
    Articles,
    Prices,
    VatRates,
    PromotionTold,
    SaleHours,
    StoreDescribed,
    NodeEnrolled,
    NodeRevoked,
    StreamClosed,
    StockPolicy,
    PromiseMade,
    PromiseEnded,
    PromiseBroken,
    OrderPlaced,
    TransferAnnounced,
)
"""Only head office may say these."""


def objection(body: object, kind: str, stream: StreamId, *, head_office: bool) -> str:
    """Say why a fact does not count, though it can be read; empty if it does.

    Args:
        body: What it says.
        kind: Its kind, for the reason.
        stream: Where it stands.
        head_office: Whether head office's node wrote it.
    """
    if not isinstance(body, HEAD_OFFICES):
        return ""
    if not head_office:
        return f"{kind}: written by a node; only head office may say this"
    told = stream.scope
    if isinstance(body, StoreDescribed | NodeEnrolled):
        told = body.store
    elif isinstance(body, StreamClosed):
        told = body.stream.scope
    if told != stream.scope:
        return f"{kind}: tells of {told!r} among facts of {stream.scope!r}"
    return ""
