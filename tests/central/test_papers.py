"""Transfers between two stores, and count sheets, as head office knows them."""

from uuid import UUID

import msgspec
import pytest

from central import orders
from central.cli import show
from central.ledger import papers, upkeep, waiting
from central.office import open_office
from sync import facts
from sync.facts.count import CountOpened, CountPosted, PostedLine, PostedLines, posting
from sync.facts.node import StoreDescribed
from sync.facts.returned import ReturnedLine, SaleReturned
from sync.facts.rights import CellLines
from sync.facts.sale import Payment
from sync.facts.stock import GoodsMoved, Movement, TransferAnnounced

OUT, IN, SHEET = bytes([1]) * 16, bytes([2]) * 16, bytes([3]) * 16


def sent(to="S2", **amounts):
    return GoodsMoved(Movement.SENT, 5, 1, CellLines.by_cell(amounts), "", to)


def arrived(of="S1", reference=OUT, **amounts):
    lines = CellLines.by_cell(amounts)
    return GoodsMoved(Movement.ARRIVED, 9, 1, lines, "", of, reference)


def told(desk, store=None):
    with desk.ledger._database.reading() as connection:
        return papers.transfers(connection, store)


def waits(desk):
    with desk.ledger._database.reading() as connection:
        return waiting.pending(connection)


def announced(desk, store):
    """What central has written into a store's scope of what is under way to it."""
    found = []
    with desk.ledger._database.reading() as connection:
        for row in connection.exec_driver_sql(
            "SELECT kind, version, event, body FROM facts WHERE store = ? AND kind = ?",
            (store, "transfer.announced"),
        ):
            body = facts._DECODERS[row.kind, row.version].decode(row.body)
            found.append((row.event, body))
    return found


def test_what_was_sent_is_announced_once_where_it_goes(desk):
    one, two, other = desk.member("S1"), desk.member("S1"), desk.member("S2")
    one.write(sent(a=3000), OUT)
    two.write(sent(a=3000), OUT)  # the same paper, keyed in on two nodes
    desk.take(one.batch())
    desk.take(two.batch(), one.batch())
    lines = CellLines.by_cell({"a": 3000})
    assert announced(desk, "S2") == [(OUT, TransferAnnounced("S1", 5, lines))]
    (transfer,) = told(desk)
    assert (transfer.transfer, transfer.state) == (str(UUID(bytes=OUT)), "in_transit")
    assert (transfer.announced, transfer.arrived_ms) == (True, None)
    assert waits(desk) == [waiting.Pending("transfer", "S2", 1, 5)]
    other.write(arrived(a=3000), IN)
    desk.take(other.batch())
    assert waits(desk) == []
    (transfer,) = told(desk, "S2")
    assert transfer.state == "arrived"
    assert transfer.lines == [papers.TransferLine("a", 3000, 3000)]
    assert told(desk, "S1") == [transfer]


def test_what_arrived_otherwise_than_it_was_sent_is_for_a_person(desk):
    one, other = desk.member("S1"), desk.member("S2")
    other.write(arrived(a=2000, b=1000), IN)
    desk.take(other.batch())
    assert [t.state for t in told(desk)] == ["not_sent"]
    one.write(sent(a=3000), OUT)
    desk.take(one.batch())
    (transfer,) = told(desk)
    assert transfer.state == "differs"
    assert transfer.lines == [
        papers.TransferLine("a", 3000, 2000),
        papers.TransferLine("b", 0, 1000),
    ]


def test_what_goes_to_a_store_nobody_knows_is_announced_when_it_is_known(desk):
    one = desk.member("S1")
    one.write(sent("S9", a=1000), OUT)
    desk.take(one.batch())
    assert told(desk)[0].announced is False

    def work(unit):
        from central.ledger import author  # noqa: PLC0415

        author.write(unit, "S9", [(SHEET, StoreDescribed("S9", "Nowy"))])
        return papers.announce(unit, ["S9"]), papers.announce(unit, ["S9"])

    assert desk.write(work) == (1, 0)
    assert told(desk)[0].announced is True
    assert [event for event, _ in announced(desk, "S9")] == [OUT]


async def test_a_store_that_is_added_is_told_what_is_under_way_to_it(folder, tmp_path):
    async with open_office(folder) as office:
        await office.carry_out(orders.StoreAdd("S1", "Pierwszy"))
        body = sent("S2", a=1000)

        def work(unit):
            from central.ledger import author  # noqa: PLC0415

            author.write(unit, "S1", [(OUT, body)])
            papers.relay(unit, [body])

        await office.ledger.write(work)
        assert (await office.transfers())[0].announced is False
        await office.carry_out(orders.StoreAdd("S2", "Drugi"))
        assert (await office.transfers())[0].announced is True


def test_a_node_cannot_announce(desk):
    other = desk.member("S2")
    other.write(TransferAnnounced("S1", 1, CellLines.by_cell({"a": 1})), OUT)
    desk.take(other.batch())
    assert "only head office" in desk.views()["quarantine"][0][-1]
    assert desk.views()["papers"] == []


def test_sheets_are_shown_with_what_they_made(desk):
    one = desk.member("S1")
    one.write(CountOpened(4, 1, "Spis"), SHEET)
    desk.take(one.batch())
    lines = PostedLines.of((PostedLine("a", 5000, -1000, 7),))
    one.write(CountPosted(8, 1, SHEET, lines, (), "kierownik"), posting(SHEET))
    desk.take(one.batch())
    with desk.ledger._database.reading() as connection:
        (sheet,) = papers.sheets(connection, "S1")
        assert papers.sheets(connection, "S2") == []
    assert (sheet.name, sheet.opened_ms, sheet.posted_ms) == ("Spis", 4, 8)
    assert sheet.lines == [papers.CountLine("a", 5000, -1000)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_any_order_and_a_rebuild_agree(desk, order):
    writers = [desk.member("S1"), desk.member("S1"), desk.member("S2")]
    writers[0].write(sent(a=3000), OUT)
    writers[1].write(sent(a=3000), OUT)
    writers[2].write(arrived(a=1000), IN)
    for at in order:
        desk.take(writers[at].batch())
    before = desk.views()
    lowest = min(writers[:2], key=lambda w: w.stream.node).stream.node
    assert [row[3] for row in before["papers"] if row[2] == papers.What.SENT] == [lowest]
    desk.write(upkeep.rebuild)
    assert desk.views() == before
    assert len(announced(desk, "S2")) == 1


def test_transfers_in_words(desk):
    one, other = desk.member("S1"), desk.member("S2")
    one.write(sent(a=3000), OUT)
    other.write(arrived(a=2500), IN)
    desk.take(one.batch(), other.batch())
    said = show.stock_transfers({"transfers": msgspec.to_builtins(told(desk))})
    assert "differs" in said
    assert "3.000" in said
    assert "2.500" in said


def test_what_stores_gave_back_is_shown_by_store(desk):
    one, other = desk.member("S1"), desk.member("S2")
    line = ReturnedLine(0, "a", "Chleb", 1000, 499, "5")
    for member, number in ((one, 1), (other, 2)):
        back = SaleReturned(
            bytes([9]) * 16, f"T1-A/{number}", 1, 20260131, number, 5, 20260131, "T1", "anna", "1",
            (line,), (Payment("cash", 499),), "czerstwy",
        )  # fmt: skip
        member.write(back, bytes([number]) * 16)
        desk.take(member.batch())
    with desk.ledger._database.reading() as connection:
        every = papers.returned(connection, None)
        assert [(r.store, r.receipt, r.total_minor) for r in every] == [
            ("S2", "T1-A/2", 499),
            ("S1", "T1-A/1", 499),
        ]
        assert [r.store for r in papers.returned(connection, "S1")] == ["S1"]
