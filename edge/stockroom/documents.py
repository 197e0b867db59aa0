"""Goods that come, go, return and travel: a document becomes a fact. Inside a unit of work."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec

from edge.stockroom.request import (
    DocumentRequest,
    GoodsReceivedRequest,
    MovedLineRequest,
    ReceivedLineRequest,
    ReturnedRequest,
    TransferInRequest,
    TransferOutRequest,
    WrittenOffRequest,
)
from edge.store.unit import DocumentView, Unit
from edge.till.business_day import rfc3339
from edge.till.errors import BadDocument, BeyondRight, Conflict, UnknownArticle
from edge.till.selling import digest, trust_name
from sync.chain import MAX_BODY
from sync.errors import BadFact
from sync.facts import decode, encode
from sync.facts.rights import CellLine, CellLines, Mode
from sync.facts.stock import (
    OUTWARD,
    GoodsMoved,
    GoodsReceived,
    Movement,
    ReceivedLine,
    ReceivedLines,
)
from sync.merge.stock import received

_KINDS = {
    Movement.WRITTEN_OFF: "written_off",
    Movement.RETURNED: "returned",
    Movement.SENT: "transfer_out",
    Movement.ARRIVED: "transfer_in",
}


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
class Document:
    """A document as it stands in the journal."""

    event: bytes
    body: GoodsReceived | GoodsMoved
    new: bool


def record(unit: Unit, event: bytes, request: DocumentRequest) -> Document:
    """Record a document; the same request under the same event gives the same answer.

    Raises:
        Conflict: The event is something else, or its transfer has arrived already.
        UnknownArticle: A line names no article of the catalogue.
        BeyondRight: An article's policy is strict, and no manager has let it go.
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
    body = _body(unit, request)
    if len(encode(body)) > MAX_BODY:
        raise BadDocument(
            f"Document: expected at most {MAX_BODY} bytes.", "Record it as two.", field="/lines"
        )
    if isinstance(body, GoodsReceived):
        unit.append(body, event)
        unit.holder.received(event, received(body))
    else:
        approved_by = getattr(request, "approved_by", "")
        if body.movement in OUTWARD and not approved_by:
            _within_right(unit, body)
        if isinstance(request, TransferInRequest):
            _arrives_once(unit, event, request)
        unit.holder.moved(event, body, approved_by)
    unit.note_digest(event, fingerprint)
    return Document(event=event, body=body, new=True)


def answer(document: Document) -> DocumentAnswer:
    """Tell of a recorded document."""
    body = document.body
    if isinstance(body, GoodsReceived):
        kind, amounts = "goods_received", [row.quantity_milli for row in body.lines.rows()]
    else:
        kind, amounts = _KINDS[body.movement], [row.milli for row in body.lines.rows()]
    return DocumentAnswer(
        uuid=str(UUID(bytes=document.event)),
        kind=kind,
        lines=len(amounts),
        quantity_milli=sum(amounts),
        at=rfc3339(body.at_ms),
        trust=trust_name(body.trust),
    )


def known_sku(unit: Unit, sku: str, field: str) -> str:
    """Return the sku of an article named by sku or code.

    Raises:
        UnknownArticle: There is none.
    """
    article = unit.article(sku, unit.now.ms)
    if article is None:
        raise UnknownArticle(
            f"Article {sku!r}: expected one of the catalogue, found none.",
            "Import it at head office, or correct the line.",
            field=field,
        )
    return article.sku


def _body(unit: Unit, request: DocumentRequest) -> GoodsReceived | GoodsMoved:
    at_ms, trust = unit.now.ms, int(unit.now.trust)
    skus = [known_sku(unit, line.sku, f"/lines/{n}/sku") for n, line in enumerate(_lines(request))]
    if isinstance(request, GoodsReceivedRequest):
        rows = tuple(
            ReceivedLine(sku, line.quantity_milli, line.unit_cost_minor)
            for sku, line in zip(skus, request.lines, strict=True)
        )
        return GoodsReceived(
            at_ms,
            trust,
            ReceivedLines.of(rows),
            supplier=request.supplier,
            reference=request.reference,
        )
    lines = CellLines.of(
        tuple(
            CellLine(sku, line.quantity_milli)
            for sku, line in zip(skus, request.lines, strict=True)
        )
    )
    match request:
        case WrittenOffRequest():
            return GoodsMoved(Movement.WRITTEN_OFF, at_ms, trust, lines, request.reason)
        case ReturnedRequest():
            sale = request.sale.bytes if request.sale else b""
            if sale and unit.document(sale) is not None:
                raise BadDocument(
                    f"Sale {request.sale}: this id is a document.",
                    "Give the id of the sale, or leave it out.",
                    field="/sale",
                )
            return GoodsMoved(
                Movement.RETURNED, at_ms, trust, lines, request.reason, reference=sale
            )
        case TransferOutRequest():
            place = _other(unit, request.to_store, "/to_store")
            return GoodsMoved(Movement.SENT, at_ms, trust, lines, request.reason, place)
        case TransferInRequest():
            place = _other(unit, request.from_store, "/from_store")
            reference = request.transfer.bytes
            return GoodsMoved(Movement.ARRIVED, at_ms, trust, lines, "", place, reference)


def _lines(request: DocumentRequest) -> Sequence[ReceivedLineRequest | MovedLineRequest]:
    return request.lines


def _other(unit: Unit, store: str, field: str) -> str:
    if store == unit.stream.scope:
        raise BadDocument(
            f"Store {store!r}: expected another one than this.",
            "Goods that stay need no transfer.",
            field=field,
        )
    return store


def _within_right(unit: Unit, body: GoodsMoved) -> None:
    """Refuse what goes beyond the right of an article whose policy is strict."""
    for sku, milli in unit.holder.shortage(body.lines.amounts()).items():
        if unit.holder.policy(sku).mode is Mode.STRICT:
            raise BeyondRight(
                f"Article {sku!r}: {milli} thousandths more than this node may let go; the rest "
                "is promised, or held by a node that does not answer.",
                "Take it out, or have a manager approve it (approved_by).",
                field="/lines",
            )


def _arrives_once(unit: Unit, event: bytes, request: TransferInRequest) -> None:
    """Refuse a second arrival of one transfer, and one from elsewhere than it was sent."""
    reference = request.transfer.bytes
    if reference == event:
        raise BadDocument(
            f"Document {request.transfer}: expected an id of its own, got its transfer's.",
            "Give every document an id of its own.",
            field="/transfer",
        )
    arrived = unit.arrival(reference)
    if arrived is not None:
        raise Conflict(
            f"Transfer {request.transfer}: arrived already, by document {UUID(bytes=arrived)}.",
            "If more of it came, count the articles (PUT /v1/counts/{uuid}).",
            field="/transfer",
        )
    announced = unit.transfer(reference)
    if announced is not None and announced.place != request.from_store:
        raise BadDocument(
            f"Store {request.from_store!r}: expected {announced.place!r}, which sent transfer "
            f"{request.transfer}.",
            "Look at the paper.",
            field="/from_store",
        )


def _again(found: DocumentView, request: DocumentRequest, fingerprint: bytes) -> Document:
    try:
        body = decode(found.fact)
    except BadFact:
        body = None
    if isinstance(body, GoodsReceived | GoodsMoved):
        same = found.digest == fingerprint if found.digest else _alike(body, request)
        if same:
            return Document(event=found.event, body=body, new=False)
    raise Conflict(
        f"Document {UUID(bytes=found.event)}: this id is another document.",
        "Give every document an id of its own.",
    )


def _alike(body: GoodsReceived | GoodsMoved, request: DocumentRequest) -> bool:
    """Whether a document heard of from elsewhere says what the request says."""
    if isinstance(body, GoodsReceived):
        if not isinstance(request, GoodsReceivedRequest):
            return False
        rows = body.lines.rows()
        said = tuple((row.sku, row.quantity_milli, row.unit_cost_minor) for row in rows)
        asked = tuple((row.sku, row.quantity_milli, row.unit_cost_minor) for row in request.lines)
        return (said, body.supplier, body.reference) == (asked, request.supplier, request.reference)
    if isinstance(request, GoodsReceivedRequest):
        return False
    moved = tuple((row.cell, row.milli) for row in body.lines.rows())
    told = (body.movement, moved, body.why, body.place, body.reference)
    lines = tuple((row.sku, row.quantity_milli) for row in request.lines)
    match request:
        case WrittenOffRequest():
            return told == (Movement.WRITTEN_OFF, lines, request.reason, "", b"")
        case ReturnedRequest():
            sale = request.sale.bytes if request.sale else b""
            return told == (Movement.RETURNED, lines, request.reason, "", sale)
        case TransferOutRequest():
            return told == (Movement.SENT, lines, request.reason, request.to_store, b"")
        case TransferInRequest():
            reference = request.transfer.bytes
            return told == (Movement.ARRIVED, lines, "", request.from_store, reference)
