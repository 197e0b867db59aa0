"""The stockroom: what is there, documents of goods that move, transfers, counts."""

from uuid import UUID

from edge.api import answers
from edge.api.call import Call, Node, Reply
from edge.stockroom import counting, documents
from edge.store.holder import StockView
from edge.store.transit import TransferView
from edge.till.business_day import rfc3339
from edge.till.errors import NotFound

PAGE = 100
"""Articles of a page, unless told."""


async def get_stock(node: Node, call: Call) -> Reply:
    """Tell how much of an article is on the shelf, and how old that knowledge is."""
    now_ms = node.clock.now().ms
    article = await node.store.article(call.path["sku"], now_ms)
    sku = article.sku if article else call.path["sku"]
    stock = await node.store.stock(sku)
    if stock is not None:
        body = _stock(stock, now_ms)
    elif article is not None:
        # Nothing ever came in or went out: that is what our books say as of now.
        body = answers.StockAnswer(sku, 0, now_ms, 0)
    else:
        raise NotFound(
            f"Article {sku[:40]!r}: expected one of the catalogue, found none.",
            "Import it at head office, or correct the sku.",
        )
    return Reply(200, body)


async def list_stock(node: Node, call: Call) -> Reply:
    """Tell how much there is of each article that ever moved, a page at a time."""
    limit = call.path.get("limit", PAGE)
    found = await node.store.stocks(call.path.get("after", ""), limit)
    now_ms = node.clock.now().ms
    return Reply(
        200,
        answers.StockPage(
            tuple(_stock(view, now_ms) for view in found),
            found[-1].sku if len(found) == limit else None,
        ),
    )


async def put_document(node: Node, call: Call) -> Reply:
    """Record goods that came, went or travel."""
    event, request = _event(call), call.body
    document = await node.store.write(lambda unit: documents.record(unit, event, request))
    return Reply(201 if document.new else 200, documents.answer(document))


async def get_transfers(node: Node, call: Call) -> Reply:
    """Tell what is under way to this store, and what it has sent lately."""
    del call
    coming, sent = await node.store.transfers()
    return Reply(
        200,
        answers.TransfersAnswer(tuple(map(_transfer, coming)), tuple(map(_transfer, sent))),
    )


async def put_count(node: Node, call: Call) -> Reply:
    """Open a sheet."""
    event, request = _event(call), call.body
    new, told = await node.store.write(
        lambda unit: (counting.open_sheet(unit, event, request), counting.answer(unit, event))
    )
    return Reply(201 if new else 200, told)


async def put_count_line(node: Node, call: Call) -> Reply:
    """Record how much of an article is there."""
    event, sku, request = _event(call), call.path["sku"], call.body
    counted = await node.store.write(lambda unit: counting.count(unit, event, sku, request))
    return Reply(201 if counted.new else 200, counting.line_answer(counted))


async def post_count(node: Node, call: Call) -> Reply:
    """Let the books follow a sheet."""
    event, request = _event(call), call.body
    new, told = await node.store.write(
        lambda unit: (counting.post(unit, event, request), counting.answer(unit, event))
    )
    return Reply(201 if new else 200, told)


async def get_count(node: Node, call: Call) -> Reply:
    """Tell all of a sheet, and whom it waits for."""
    event = _event(call)
    return Reply(200, await node.store.write(lambda unit: counting.answer(unit, event)))


def _stock(view: StockView, now_ms: int) -> answers.StockAnswer:
    return answers.StockAnswer(
        view.sku,
        view.quantity_milli,
        view.as_of_ms,
        max(0, now_ms - view.as_of_ms) // 1000,
        view.right_milli,
        view.reserved_milli,
        view.uncovered_milli,
    )


def _transfer(view: TransferView) -> answers.TransferAnswer:
    return answers.TransferAnswer(
        str(UUID(bytes=view.event)),
        view.place,
        rfc3339(view.at_ms),
        tuple(answers.TransferLine(sku, milli) for sku, milli in sorted(view.amounts.items())),
    )


def _event(call: Call) -> bytes:
    return UUID(call.path["uuid"]).bytes
