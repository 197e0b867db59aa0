"""Write-offs, returns and transfers: what they move, and that they do it once."""

from uuid import UUID

import pytest

from edge.stockroom.request import (
    GoodsReceivedRequest,
    MovedLineRequest,
    ReceivedLineRequest,
    ReturnedRequest,
    TransferInRequest,
    TransferOutRequest,
    WrittenOffRequest,
)
from edge.till.errors import BadDocument, BeyondRight, Conflict, UnknownArticle
from sync.facts.rights import CellLines, Mode, StockPolicy
from sync.facts.stock import TransferAnnounced
from tests.edge.stockroom.place import event, place, recording

TRANSFER = 50


def lines(sku="a", milli=1000):
    return (MovedLineRequest(sku=sku, quantity_milli=milli),)


def delivery(milli=10_000):
    return GoodsReceivedRequest(lines=(ReceivedLineRequest(sku="a", quantity_milli=milli),))


def arrival(milli=3000, of="S2", transfer=TRANSFER):
    return TransferInRequest(
        lines=lines(milli=milli), from_store=of, transfer=UUID(bytes=event(transfer))
    )


async def books(node, sku="a"):
    found = await node.stock(sku)
    return found.quantity_milli, found.right_milli, found.uncovered_milli


async def announce(shop, milli=3000):
    body = TransferAnnounced("S2", 1, CellLines.by_cell({"a": milli}))
    await shop.central.write(lambda unit: unit.append(body, event(TRANSFER)))


@pytest.fixture
async def shop(tmp_path):
    async with place(tmp_path) as shop:
        await shop.home.write(recording(1, delivery()))
        await shop.meet()
        yield shop


@pytest.mark.parametrize(
    ("request_", "after"),
    [
        (WrittenOffRequest(lines=lines(), reason="stłuczka"), 9000),
        (TransferOutRequest(lines=lines(), to_store="S2"), 9000),
        (ReturnedRequest(lines=lines(), sale=UUID(int=7)), 11_000),
        (arrival(1000), 11_000),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_document_moves_goods_once(shop, request_, after):
    assert (await shop.home.write(recording(2, request_))).new
    assert not (await shop.home.write(recording(2, request_))).new
    assert await books(shop.home) == (after, after, 0)
    with pytest.raises(Conflict, match="another document"):
        await shop.home.write(recording(2, delivery()))
    # Keyed in on the other node too, before it has heard of it: one of them takes it back.
    await shop.other.write(recording(2, request_))
    await shop.meet()
    for node in (*shop.nodes, shop.central):
        assert (await books(node))[0] == after
    assert not (await shop.other.write(recording(2, request_))).new
    await shop.sound()


async def test_the_other_node_knows_a_document_without_its_digest(shop):
    request = TransferOutRequest(lines=lines(), to_store="S2")
    await shop.home.write(recording(2, request))
    await shop.meet()
    assert not (await shop.other.write(recording(2, request))).new
    with pytest.raises(Conflict):
        await shop.other.write(recording(2, TransferOutRequest(lines=lines(), to_store="S3")))


async def test_what_goes_beyond_the_right_is_on_record(shop):
    await shop.other.write(recording(2, WrittenOffRequest(lines=lines(), reason="stłuczka")))
    assert await books(shop.other) == (9000, 0, 1000)
    await shop.meet()
    await shop.sound()


async def test_a_strict_article_needs_a_manager(tmp_path):
    async with place(tmp_path, StockPolicy("*", Mode.STRICT)) as shop:
        await shop.home.write(recording(1, delivery(1000)))
        out = TransferOutRequest(lines=lines(milli=2000), to_store="S2")
        with pytest.raises(BeyondRight, match="1000 thousandths more"):
            await shop.home.write(recording(2, out))
        allowed = TransferOutRequest(
            lines=lines(milli=2000), to_store="S2", approved_by="kierowniczka"
        )
        assert (await shop.home.write(recording(2, allowed))).new
        assert await books(shop.home) == (-1000, 0, 1000)
        await shop.sound()


async def test_what_is_under_way_is_shown_until_it_arrives(shop):
    await announce(shop)
    await shop.meet()
    (coming,), sent = await shop.home.transfers()
    assert (coming.event, coming.place, coming.amounts) == (event(TRANSFER), "S2", {"a": 3000})
    assert sent == []
    with pytest.raises(BadDocument, match="expected 'S2', which sent"):
        await shop.home.write(recording(2, arrival(of="S3")))
    await shop.home.write(recording(2, arrival(2500)))  # half a unit broke
    await shop.home.write(recording(3, TransferOutRequest(lines=lines(), to_store="S2")))
    await shop.meet()
    for node in shop.nodes:
        coming, (sent,) = await node.transfers()
        assert coming == []
        assert (sent.event, sent.place) == (event(3), "S2")
        assert (await books(node))[0] == 11_500
    with pytest.raises(Conflict, match=str(UUID(bytes=event(2)))):
        await shop.other.write(recording(4, arrival()))
    await shop.sound()


async def test_one_transfer_that_two_nodes_book_under_two_papers_arrives_once(shop):
    await shop.home.write(recording(2, arrival(3000)))
    await shop.other.write(recording(3, arrival(2000)))
    await shop.meet()
    told = {(await books(node))[0] for node in (*shop.nodes, shop.central)}
    assert told == {13_000}  # the home's stream is the lower one
    await announce(shop)
    await shop.meet()
    assert (await shop.other.transfers())[0] == []
    await shop.sound()


async def test_what_cannot_be(shop):
    with pytest.raises(BadDocument, match="expected another one"):
        await shop.home.write(recording(2, TransferOutRequest(lines=lines(), to_store="S1")))
    with pytest.raises(BadDocument, match="id of its own"):
        await shop.home.write(recording(TRANSFER, arrival()))
    sale = UUID(bytes=event(1))
    with pytest.raises(BadDocument, match="this id is a document"):
        await shop.home.write(recording(2, ReturnedRequest(lines=lines(), sale=sale)))
    with pytest.raises(UnknownArticle) as told:
        await shop.home.write(recording(2, WrittenOffRequest(lines=lines("zzz"), reason="x")))
    assert told.value.field == "/lines/0/sku"
    assert await books(shop.home) == (10_000, 10_000, 0)


async def test_stock_is_listed_page_by_page(shop):
    for n, sku in enumerate("bc"):
        await shop.home.write(recording(5 + n, WrittenOffRequest(lines=lines(sku), reason="x")))
    assert [view.sku for view in await shop.home.stocks("", 10)] == ["a", "b", "c"]
    assert [view.sku for view in await shop.home.stocks("", 2)] == ["a", "b"]
    assert [view.sku for view in await shop.home.stocks("b", 2)] == ["c"]
    assert (await shop.home.stocks("", 1))[0] == await shop.home.stock("a")
