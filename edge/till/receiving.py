"""Goods coming in: a delivery becomes the fact `GoodsReceived`. Inside a unit of work."""

from dataclasses import dataclass
from uuid import UUID

import msgspec

from edge.store.unit import DocumentView, Unit
from edge.till.business_day import rfc3339
from edge.till.errors import BadDocument, Conflict, UnknownArticle
from edge.till.request import GoodsReceivedRequest
from edge.till.selling import digest, trust_name
from sync.chain import MAX_BODY
from sync.errors import BadFact
from sync.facts import decode, encode
from sync.facts.stock import GoodsReceived, ReceivedLine, ReceivedLines
from sync.merge.stock import received


class DocumentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a recorded document, the first time and every time after."""

    uuid: str
    kind: str
    lines: int
    quantity_milli: int
    """Sum over the lines, in thousandths."""

    at: str
    """RFC 3339, UTC."""

    trust: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A delivery as it stands in the journal."""

    event: bytes
    body: GoodsReceived
    new: bool


def receive(unit: Unit, event: bytes, request: GoodsReceivedRequest) -> Received:
    """Record a delivery; the same request under the same event gives the same answer.

    Raises:
        Conflict: The event is another document, or a sale.
        UnknownArticle: A line names no article of the catalogue.
        BadDocument: It is too large, or cannot be true.
    """
    fingerprint = digest(request)
    found = unit.document(event)
    if found is not None:
        return _again(found, request, fingerprint)
    if unit.sale(event) is not None:
        raise Conflict(
            f"Document {UUID(bytes=event)}: this id is a sale.",
            "Give every document an id of its own.",
        )
    at_ms = unit.now.ms
    lines = []
    for n, line in enumerate(request.lines):
        article = unit.article(line.sku, at_ms)
        if article is None:
            raise UnknownArticle(
                f"Article {line.sku!r}: expected one of the catalogue, found none.",
                "Import it at head office, or correct the line.",
                field=f"/lines/{n}/sku",
            )
        lines.append(ReceivedLine(article.sku, line.quantity_milli, line.unit_cost_minor))
    body = GoodsReceived(
        at_ms,
        int(unit.now.trust),
        ReceivedLines.of(tuple(lines)),
        supplier=request.supplier,
        reference=request.reference,
    )
    if len(encode(body)) > MAX_BODY:
        raise BadDocument(
            f"Delivery: expected at most {MAX_BODY} bytes.", "Record it as two.", field="/lines"
        )
    unit.append(body, event)
    unit.holder.received(event, received(body))
    unit.note_digest(event, fingerprint)
    return Received(event=event, body=body, new=True)


def answer(delivery: Received) -> DocumentAnswer:
    """Tell of a recorded delivery."""
    rows = delivery.body.lines.rows()
    return DocumentAnswer(
        uuid=str(UUID(bytes=delivery.event)),
        kind="goods_received",
        lines=len(rows),
        quantity_milli=sum(row.quantity_milli for row in rows),
        at=rfc3339(delivery.body.at_ms),
        trust=trust_name(delivery.body.trust),
    )


def _again(found: DocumentView, request: GoodsReceivedRequest, fingerprint: bytes) -> Received:
    try:
        body = decode(found.fact)
    except BadFact:
        body = None
    if isinstance(body, GoodsReceived):
        same = found.digest == fingerprint if found.digest else _alike(body, request)
        if same:
            return Received(event=found.event, body=body, new=False)
    raise Conflict(
        f"Document {UUID(bytes=found.event)}: this id is another document.",
        "Give every document an id of its own.",
    )


def _alike(body: GoodsReceived, request: GoodsReceivedRequest) -> bool:
    """Whether a delivery heard of from elsewhere says what the request says."""
    said = tuple((row.sku, row.quantity_milli, row.unit_cost_minor) for row in body.lines.rows())
    asked = tuple((row.sku, row.quantity_milli, row.unit_cost_minor) for row in request.lines)
    return (said, body.supplier, body.reference) == (asked, request.supplier, request.reference)
