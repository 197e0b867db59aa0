"""The second judge: it must say zero when all is well, and must not when it is not."""

import json
import re
import shutil
import sqlite3
from contextlib import closing

import pytest

from edge.demo import goods, paper, sums
from edge.demo.sums import Sums
from edge.store.connection import migrate
from sync import facts
from tests.central.machine import sale

COUNT = 5
SERIES = "K1-ABCDEFGH"
CENTRAL_TABLES = """
CREATE TABLE sales (store, sale, node, incarnation, seq, event, stage, total_minor);
CREATE TABLE facts (store, node, incarnation, seq, body);
CREATE TABLE rights (store, cell, made, used, done, over);
CREATE TABLE quarantine (store, node);
CREATE TABLE duplicates (store, node, event);
"""


@pytest.fixture
def chosen(monkeypatch):
    monkeypatch.setattr("edge.demo.baskets.available", lambda: False)
    return goods.choose(2, COUNT + 1, seed=3)


@pytest.fixture
def shop(chosen):
    return chosen.shops[0]


@pytest.fixture
def evening(tmp_path, chosen, shop):
    """What a perfect evening leaves behind."""
    sold = shop.sold(COUNT)
    left = [(sku, milli - sold[sku]) for sku, milli in shop.delivery().items()]
    sales = list(zip(shop.ids[:COUNT], shop.baskets, strict=False))
    with closing(sqlite3.connect(tmp_path / "edge")) as edge, edge:
        migrate(edge)
        edge.executemany("INSERT INTO rights VALUES (?, 1, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)", left)
        for number, (id_, basket) in enumerate(sales, 1):
            due = shop.due(basket)
            edge.execute(
                "INSERT INTO sales (event, stage, later, till, series, number, lines,"
                " quantity_milli, total_minor) VALUES (?, 4, 0, 'K1', ?, ?, ?, ?, ?)",
                (id_.bytes, SERIES, number, due.lines, due.quantity_milli, due.total_minor),
            )
            state = {1: "copy", 2: "unknown"}.get(number, "printed")
            edge.execute("INSERT INTO slips VALUES (?, 'K1', ?)", (id_.bytes, state))
    with closing(sqlite3.connect(tmp_path / "central")) as central, central:
        central.executescript(CENTRAL_TABLES)
        rows = [(shop.id, *row) for row in left]
        central.executemany("INSERT INTO rights VALUES (?, ?, ? + 7, 3, 2, 2)", rows)
        central.execute("INSERT INTO rights VALUES ('another', '1001', 5, 0, 0, 0)")
        for number, (id_, basket) in enumerate(sales):
            total = shop.due(basket).total_minor
            central.execute(
                "INSERT INTO sales VALUES (?, ?, x'01', 7, ?, ?, 4, ?)",
                (shop.id, number, number, id_.bytes, total),
            )
            lines = [(line.sku, line.quantity_milli, 0) for line in basket.lines]
            central.execute(
                "INSERT INTO facts VALUES (?, x'01', 7, ?, ?)",
                (shop.id, number, facts.encode(sale(*lines))),
            )
    slips = [slip(number) for number in (2, 3, 4, 5)] + [slip(1, "KOPIA\n")]
    keep(tmp_path / "paper", *slips)
    return tmp_path


def slip(number, head=""):
    return f"    {head}   NIEFISKALNY\nKawa   12,00A\nParagon    {SERIES}/{number}\nKasa K1"


def keep(path, *texts):
    with path.open("a") as file:
        for text in texts:
            file.write(json.dumps({"text": text, "job": None, "at": 0}) + "\n")


def judged(folder, chosen, shop, tills=("K1",), **more):
    """Judge a shop whose nodes' files are ``edge``, ``edge2``; the second printed on ``paper2``."""
    totals = chosen.totals(shop, COUNT)
    wanted = Sums(totals.baskets, totals.lines, totals.quantity_milli, totals.value_minor)
    nodes = []
    for till, n in zip(tills, ("", "2"), strict=False):
        file, slips = sums.of_edge(folder / f"edge{n}", till)
        papers = paper.read([folder / f"paper{n}"])
        nodes.append(sums.Node(name=f"S1-{till}", file=file, slips=slips, papers=papers))
    central = sums.of_central(folder / "central", shop.id)
    return sums.judge(shop, COUNT, wanted, nodes, central, **more)


@pytest.fixture
def two(evening):
    """The same evening at a shop of two nodes: K2 sold and printed the fourth and fifth."""
    doctor(evening, "edge", "UPDATE sales SET till = 'K2', series = 'K2-X' WHERE number > 3")
    doctor(evening, "edge", "UPDATE sales SET number = number - 3 WHERE till = 'K2'")
    shutil.copy(evening / "edge", evening / "edge2")
    of_two = "(SELECT event FROM sales WHERE till = 'K2')"
    doctor(evening, "edge", f"DELETE FROM slips WHERE event IN {of_two}")
    doctor(evening, "edge2", f"DELETE FROM slips WHERE event NOT IN {of_two}")
    (evening / "paper").unlink()
    keep(evening / "paper", slip(2), slip(3), slip(1, "KOPIA\n"))
    keep(evening / "paper2", *(slip(n).replace(SERIES, "K2-X") for n in (1, 2)))
    return evening


def doctor(folder, file, statement):
    with closing(sqlite3.connect(folder / file)) as database, database:
        assert database.execute(statement).rowcount


def test_a_perfect_evening(evening, chosen, shop):
    verdict = judged(evening, chosen, shop)
    assert verdict.differences == ()
    (edge,) = verdict.nodes
    assert verdict.wanted == edge.sums == verdict.central.sums
    assert verdict.wanted.sales == COUNT
    assert edge.stock_right == verdict.central.stock_right == verdict.articles
    assert verdict.tills == (sums.Till("S1-K1", COUNT, 4, 1, 1),)


def test_a_perfect_evening_of_two_nodes(two, chosen, shop):
    verdict = judged(two, chosen, shop, ("K1", "K2"))
    assert verdict.differences == ()
    assert [found.sums for found in verdict.nodes] == [verdict.wanted] * 2
    assert verdict.tills == (sums.Till("S1-K1", 3, 2, 1, 1), sums.Till("S1-K2", 2, 2, 0, 0))


@pytest.mark.parametrize(
    ("file", "statement", "said"),
    [
        ("edge2", "DELETE FROM sales WHERE till = 'K1' AND number = 1", "S1-K2: 1 sales lost"),
        ("edge2", "UPDATE rights SET made = made + 1", "S1-K2: stock of"),
        ("edge2", "UPDATE sales SET till = 'K1'", "sales not of one till"),
        ("edge", "UPDATE sales SET till = 'K3' WHERE till = 'K1'", "3 sales not of one till"),
        ("edge2", "DELETE FROM slips", "its slip is missing"),
    ],
)
def test_either_file_of_two_nodes_can_differ(two, chosen, shop, file, statement, said):
    doctor(two, file, statement)
    differences = judged(two, chosen, shop, ("K1", "K2")).differences
    assert any(re.search(said, one) for one in differences), differences


def test_what_was_booked_twice_must_be_there_twice_and_nothing_else(evening, chosen, shop):
    doctor(evening, "edge", "INSERT INTO duplicates VALUES (x'11', 1, 1, 'documents')")
    doctor(evening, "central", "INSERT INTO duplicates VALUES ('S1', 1, x'11')")
    assert judged(evening, chosen, shop, twice={b"\x11"}).differences == ()
    for twice in (set(), {b"\x12"}, {b"\x11", b"\x12"}):
        assert len(judged(evening, chosen, shop, twice=twice).differences) == 2


def test_goods_that_moved_beside_the_sales_are_expected(evening, chosen, shop):
    sku = min(shop.delivery())
    doctor(evening, "edge", f"UPDATE rights SET made = made + 7 WHERE cell = '{sku}'")
    doctor(
        evening,
        "central",
        f"UPDATE rights SET made = made + 7 WHERE store = 'S1' AND cell = '{sku}'",
    )
    assert judged(evening, chosen, shop, moved={sku: 7}).differences == ()
    assert len(judged(evening, chosen, shop, moved={sku: -7}).differences) == 2


@pytest.mark.parametrize(
    ("file", "statement", "said"),
    [
        ("edge", "UPDATE sales SET total_minor = total_minor + 1 WHERE number = 2", r"\+1 grosz"),
        (
            "edge",
            "UPDATE sales SET quantity_milli = quantity_milli - 1 WHERE number = 2",
            "-1 thou",
        ),
        ("edge", "UPDATE sales SET lines = lines + 1 WHERE number = 1", r"\+1 lines"),
        ("edge", "DELETE FROM sales WHERE number = 5", "S1-K1: 1 sales lost"),
        ("edge", "UPDATE sales SET stage = 1 WHERE number = 5", "S1-K1: 1 facts amiss"),
        ("edge", "UPDATE sales SET event = x'00' WHERE number = 3", "1 sales of nobody: 00"),
        ("edge", "UPDATE sales SET number = 9 WHERE number = 5", "the last is number 9"),
        ("edge", "UPDATE rights SET made = made + 1", "S1-K1: stock of"),
        ("edge", "INSERT INTO quarantine VALUES (1, 1, 'bad')", "S1-K1: 1 facts amiss"),
        ("edge", "INSERT INTO duplicates VALUES (x'00', 1, 1, 'sales')", "S1-K1: 1 facts amiss"),
        ("edge", "UPDATE slips SET state = 'intended' WHERE state = 'copy'", "slip is intended"),
        ("edge", "DELETE FROM slips WHERE state = 'copy'", "its slip is missing"),
        ("edge", "UPDATE slips SET state = 'copy' WHERE state = 'unknown'", "copy, and not on"),
        ("central", "DELETE FROM sales WHERE sale = 0", "head office: 1 sales lost"),
        ("central", "DELETE FROM facts WHERE seq = 0", "head office: 1 sales lost"),
        (
            "central",
            "UPDATE facts SET body = (SELECT f.body FROM facts f WHERE f.seq = 1) WHERE seq = 0",
            "office: 1 sales not what was",
        ),
        ("central", "UPDATE sales SET total_minor = total_minor - 1 WHERE sale = 1", "-1 grosz"),
        ("central", "UPDATE rights SET made = 0 WHERE store = 'S1'", "office: stock of"),
        ("central", "INSERT INTO duplicates VALUES ('S1', 1, x'00')", "head office: 1 facts amiss"),
        ("central", "INSERT INTO quarantine VALUES ('S1', 1)", "head office: 1 facts amiss"),
    ],
)
def test_a_doctored_file_is_a_difference(evening, chosen, shop, file, statement, said):
    doctor(evening, file, statement)
    differences = judged(evening, chosen, shop).differences
    assert any(re.search(said, one) for one in differences), differences


def test_amounts_swapped_between_sales_are_a_difference(evening, chosen, shop):
    with closing(sqlite3.connect(evening / "central")) as database, database:
        totals = dict(database.execute("SELECT sale, total_minor FROM sales WHERE sale < 2"))
        assert totals[0] != totals[1]
        database.executemany(
            "UPDATE sales SET total_minor = ? WHERE sale = ?", [(totals[0], 1), (totals[1], 0)]
        )
    (difference,) = judged(evening, chosen, shop).differences
    assert "head office: 2 sales not what was bought" in difference


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (slip(3), "2 originals on paper"),
        (slip(8), "receipts of no sale"),
        ("KAWA", "1 receipts without a number"),
    ],
)
def test_paper_that_should_not_be_there(evening, chosen, shop, text, said):
    keep(evening / "paper", text)
    (difference,) = judged(evening, chosen, shop).differences
    assert said in difference


def test_a_printed_slip_that_is_not_on_paper(evening, chosen, shop):
    lines = (evening / "paper").read_text().splitlines(keepends=True)
    (evening / "paper").write_text("".join(line for line in lines if f"{SERIES}/4" not in line))
    (difference,) = judged(evening, chosen, shop).differences
    assert difference == f"receipt {SERIES}/4: printed, and not on paper"


def test_a_second_copy_is_none(evening, chosen, shop):
    keep(evening / "paper", slip(2, "KOPIA\n"))
    verdict = judged(evening, chosen, shop)
    assert verdict.differences == ()
    assert verdict.tills[0].copies == 2


def test_a_torn_line_is_no_receipt(tmp_path):
    path = tmp_path / "paper"
    keep(path, slip(1))
    whole = path.read_text()
    path.write_text(whole + whole[: len(whole) // 2])
    assert paper.read([path]).originals == {(SERIES, 1): 1}
