"""Sheets: who marks, who posts, what waits, and what a person may decide."""

import pytest

from edge.clock import Clock
from edge.stockroom.request import GoodsReceivedRequest, ReceivedLineRequest
from edge.till import stages
from edge.till.errors import BadDocument, Conflict, NotFound, NotPossible, UnknownArticle
from sync.facts.node import NodeRevoked, StreamClosed
from sync.facts.sale import Stage
from tests.edge.stockroom.place import (
    NODES,
    counting_line,
    event,
    opening,
    place,
    posting_of,
    recording,
    selling,
    telling,
)

SHEET = 1
MANAGER = {"approved_by": "kierowniczka"}


@pytest.fixture
async def shop(tmp_path):
    async with place(tmp_path) as shop:
        await shop.home.write(recording(10, delivery("a", 10_000)))
        await shop.home.write(opening(SHEET))
        await shop.meet()
        yield shop


def delivery(sku, milli):
    return GoodsReceivedRequest(lines=(ReceivedLineRequest(sku=sku, quantity_milli=milli),))


async def books(node, sku="a"):
    found = await node.stock(sku)
    return found.quantity_milli, found.right_milli, found.uncovered_milli


async def test_a_count_is_exact_while_both_nodes_sell(shop):
    await shop.home.write(selling(11, "a", 1000, till="T1"))
    await shop.other.write(selling(12, "a", 2000, till="T2"))
    await shop.other.write(counting_line(SHEET, "a", 6000))  # one is missing
    await shop.home.write(selling(13, "a", 1000, till="T1"))
    await shop.other.write(selling(14, "a", 1000, till="T2"))
    assert (await shop.home.write(telling(SHEET))).state == "open"  # it has not heard of the line
    await shop.meet()
    told = await shop.home.write(telling(SHEET))
    assert (told.state, told.waits, told.home) == ("ready", (), NODES[0].node.hex())
    assert await shop.home.write(posting_of(SHEET))
    await shop.meet()
    told = await shop.other.write(telling(SHEET))
    assert told.state == "posted"
    assert [(r.sku, r.difference_milli) for r in told.posted.lines] == [("a", -1000)]
    for node in (*shop.nodes, shop.central):
        assert (await books(node))[0] == 4000
    await shop.sound()


async def test_a_sheet_waits_for_every_node_and_names_it(shop):
    await shop.home.write(counting_line(SHEET, "a", 10_000))
    await shop.other.write(selling(11, "a", 1000, till="T2"))
    told = await shop.home.write(telling(SHEET))
    name = NODES[1].node.hex()
    assert told.state == "waiting"
    assert [(w.node, w.lines, w.what) for w in told.waits] == [(name, 1, "mark")]
    with pytest.raises(Conflict, match=f"{name} has not told.*by_time"):
        await shop.home.write(posting_of(SHEET))
    with pytest.raises(BadDocument, match="manager"):
        await shop.home.write(posting_of(SHEET, by_time=True))
    assert await shop.home.write(posting_of(SHEET, by_time=True, **MANAGER))
    told = await shop.home.write(telling(SHEET))
    assert told.posted.by_time == (name,)
    assert "Count these articles once more" in told.notice
    await shop.meet()
    assert (await books(shop.central))[0] == 9000  # the sale came after the count
    await shop.sound()


async def test_another_node_posts_only_if_a_manager_says_so(shop):
    await shop.other.write(counting_line(SHEET, "a", 9000))
    await shop.meet()
    with pytest.raises(Conflict, match=f"posted by node {NODES[0].node.hex()}"):
        await shop.other.write(posting_of(SHEET))
    assert await shop.other.write(posting_of(SHEET, here=True, **MANAGER))
    # The other node has no right to what is missing: it is beyond, until a right is found.
    assert await books(shop.other) == (9000, 0, 1000)
    await shop.meet()
    await shop.sound()


async def test_two_nodes_post_one_sheet_and_it_counts_once(shop):
    await shop.home.write(recording(20, delivery("b", 5000)))
    await shop.meet()
    await shop.other.write(counting_line(SHEET, "a", 9000))
    await shop.other.write(counting_line(SHEET, "b", 6000))
    await shop.meet()
    assert await shop.home.write(posting_of(SHEET))
    assert await shop.other.write(posting_of(SHEET, here=True, **MANAGER))
    assert not await shop.home.write(posting_of(SHEET))
    await shop.meet()
    for node in (*shop.nodes, shop.central):
        assert [(await books(node, sku))[0] for sku in "ab"] == [9000, 6000]
    await shop.sound()


async def test_a_clock_that_runs_ahead_does_not_hide_what_was_known(tmp_path, monkeypatch):
    async with place(tmp_path) as shop:
        ahead = Clock.now
        fast = shop.other._writer.book._clock

        def now(self):
            told = ahead(self)
            return told._replace(ms=told.ms + 600_000) if self is fast else told

        monkeypatch.setattr(Clock, "now", now)
        await shop.home.write(opening(SHEET))
        await shop.other.write(recording(10, delivery("a", 10_000)))
        await shop.other.write(selling(11, "a", 2000, till="T2"))
        await shop.meet()
        # Dated before the sale by the clock, and yet after it: this node knew of it.
        await shop.home.write(counting_line(SHEET, "a", 8000))
        await shop.other.write(selling(12, "a", 1000, till="T2"))
        await shop.meet()
        assert await shop.home.write(posting_of(SHEET))
        told = await shop.home.write(telling(SHEET))
        assert [r.difference_milli for r in told.posted.lines] == [0]
        assert (await books(shop.home))[0] == 7000


async def test_a_line_counted_again_is_the_line(shop):
    first = await shop.home.write(counting_line(SHEET, "59a", 9000))  # by its code
    again = await shop.home.write(counting_line(SHEET, "a", 9000))
    assert (first.new, again.new, again.line) == (True, False, first.line)
    await shop.home.write(selling(11, "a", 1000, till="T1"))
    second = await shop.home.write(counting_line(SHEET, "a", 9000, attempt=2))
    assert second.new
    await shop.meet()
    await shop.home.write(posting_of(SHEET))
    assert (await books(shop.home))[0] == 9000
    with pytest.raises(Conflict, match="posted already"):
        await shop.home.write(counting_line(SHEET, "b", 1000))
    assert not (await shop.home.write(counting_line(SHEET, "a", 9000, attempt=2))).new


async def test_a_revoked_node_is_not_waited_for(shop):
    await shop.other.write(selling(11, "a", 1000, till="T2"))
    await shop.meet()
    await shop.home.write(counting_line(SHEET, "a", 9000))
    gone = NodeRevoked(NODES[1].node, "stolen")
    await shop.central.write(lambda unit: unit.append(gone, event(90)))
    await shop.carry(shop.central, shop.home)
    assert await shop.home.write(posting_of(SHEET))
    assert (await books(shop.home))[0] == 9000


async def test_a_sale_in_stages_leaves_with_its_closing(shop):
    await shop.home.write(selling(11, "a", 1000, till="T1", stage=Stage.TENDERED, method="card"))
    await shop.home.write(counting_line(SHEET, "a", 10_000))
    await shop.home.write(
        lambda unit: stages.settle(unit, event(11), 0, approved=True, decided_by="terminal")
    )
    await shop.meet()
    await shop.home.write(posting_of(SHEET))
    assert (await books(shop.home))[0] == 9000
    await shop.sound()


async def test_a_former_life_is_counted_as_far_as_it_is_known(shop):
    await shop.other.write(selling(11, "a", 1000, till="T2"))
    former = shop.other.stream
    await shop.other.begin_life(55, "other machine")
    await shop.other.write(selling(12, "a", 1000, till="T2"))
    await shop.meet()
    head = {h.stream: h for h in shop.central.heads()}[former]
    fence = StreamClosed(former, head.seq, head.hash, shop.other.stream, "other machine")
    await shop.central.write(lambda unit: unit.append(fence, event(91)))
    await shop.home.write(counting_line(SHEET, "a", 8000))
    await shop.other.write(selling(13, "a", 1000, till="T2"))
    await shop.meet()
    await shop.home.write(posting_of(SHEET))
    await shop.meet()
    told = await shop.home.write(telling(SHEET))
    assert [r.difference_milli for r in told.posted.lines] == [0]
    for node in (*shop.nodes, shop.central):
        assert (await books(node))[0] == 7000
    await shop.sound()


async def test_what_cannot_be_counted(shop):
    with pytest.raises(NotFound, match="expected a sheet"):
        await shop.home.write(counting_line(77, "a", 1000))
    with pytest.raises(NotFound):
        await shop.home.write(posting_of(77))
    with pytest.raises(UnknownArticle):
        await shop.home.write(counting_line(SHEET, "zzz", 1000))
    with pytest.raises(NotPossible, match="expected a counted article"):
        await shop.home.write(posting_of(SHEET))
    with pytest.raises(Conflict, match="another sheet or document"):
        await shop.home.write(opening(10))  # a delivery
    with pytest.raises(Conflict, match="another sheet"):
        await shop.home.write(opening(SHEET, group="nabiał"))
    assert not await shop.other.write(opening(SHEET))  # heard of, and the same
    await shop.home.write(opening(2, group="nabiał"))
    await shop.home.write(counting_line(2, "b", 0))
    with pytest.raises(BadDocument, match="group 'nabiał'"):
        await shop.home.write(counting_line(2, "c", 1000))
    await shop.home.write(opening(3, skus=("a", "59b")))
    with pytest.raises(BadDocument, match="its 2 articles"):
        await shop.home.write(counting_line(3, "c", 1000))
    await shop.home.write(counting_line(3, "b", 1000))
    assert (await shop.home.write(telling(3))).not_counted == ("a",)
    with pytest.raises(BadDocument, match="one or the other"):
        await shop.home.write(opening(4, skus=("a",), group="nabiał"))
