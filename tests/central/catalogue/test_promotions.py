"""Promotions from head office's file to facts: what is refused is named, what is known is left."""

import json

import msgspec
import pytest

from central.catalogue.importer import BadImport
from central.catalogue.importer import parse as catalogue
from central.catalogue.promotions import parse, publish
from central.catalogue.publish import publish as publish_catalogue
from central.ledger import assortment
from central.ledger.tables import PROMOTIONS
from sync.facts.promotion import PromotionTold
from sync.rules.promotion import Kind, Part

THREE = {
    "id": "3ZA2",
    "name": "3 za 2",
    "kind": "n_for_m",
    "take": 3,
    "pay": 2,
    "parts": [{"skus": ["1"], "groups": ["nabiał"]}],
    "since": "2026-12-01",
    "until": "2026-12-24T20:00",
    "weekdays": [6, 5],
    "from_time": "22:00",
    "until_time": "02:00",
}


def read(*rows):
    return parse(json.dumps({"promotions": rows}).encode())


def send(desk, *rows):
    told = read(*rows)
    return desk.write(lambda unit: publish(unit, told))


@pytest.fixture
def stocked(desk):
    rows = catalogue("sku;nazwa;vat;cena;grupa\n1;Mleko;5;3,00;nabiał\n".encode(), "text/csv")
    desk.write(lambda unit: publish_catalogue(unit, rows))
    return desk


def test_a_row_is_read_as_it_is_meant():
    ((told, withdrawn),) = read(THREE)
    assert not withdrawn
    assert told.kind is Kind.N_FOR_M
    assert told.parts == (Part(("1",), ("nabiał",)),)
    assert (told.weekdays, told.from_minute, told.until_minute) == ((5, 6), 1320, 120)
    assert told.until_ms - told.from_ms == (23 * 24 + 20) * 3_600_000


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "bogus"}, "row 1, kind: got 'bogus'"),
        ({"take": "3"}, "row 1, take: got '3', expected `int`"),
        ({"since": "jutro"}, "row 1: got 'jutro', expected a date"),
        ({"pay": 3}, "take 3, pay 3, expected 0 < pay < take"),
        ({"weekdays": [0]}, "row 1, weekdays[0]: got '0'"),
        ({"until_time": None}, "from_time and until_time, or neither"),
        ({"from_time": "25:00"}, "row 1, from_time: got '25:00'"),
        ({"until": "2026-11-30"}, "expected an end after the beginning"),
        ({"parts": [{"sku": ["1"]}]}, "unknown field `sku`"),
        ({"price": 3}, "unknown field `price`"),
        ({"id": ""}, "row 1, id: got ''"),
        ({"name": "x\ny"}, "printable"),
    ],
)
def test_what_is_wrong_is_named_with_its_row_and_value(change, said):
    with pytest.raises(BadImport) as refusal:
        read(THREE | change)
    assert said in str(refusal.value.mistakes[0])
    assert len(refusal.value.mistakes) == 1


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"promotions": []}', b'{"promotions": 1}', b"\xff\xfe", b"[" * 9999],
)
def test_a_file_that_is_none_is_refused(data):
    with pytest.raises(BadImport):
        parse(data)


def test_two_rows_of_one_id_are_refused():
    with pytest.raises(BadImport, match="row 2, id: got '3ZA2', expected an id of its own, row 1"):
        read(THREE, THREE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parts": [{"skus": ["9"]}]}, "row 1, skus: got '9'"),
        ({"parts": [{"groups": ["x"]}]}, "row 1, groups: got 'x'"),
        ({"stores": ["NIGDZIE"]}, "row 1, stores: got 'NIGDZIE'"),
    ],
)
def test_what_nobody_knows_is_refused_and_nothing_is_written(stocked, change, said):
    with pytest.raises(BadImport, match="nothing was imported") as refusal:
        send(stocked, THREE | change, THREE | {"id": "OK"})
    assert said in str(refusal.value.mistakes[0])
    assert stocked.rows(PROMOTIONS) == []


def test_only_what_is_new_is_written_and_the_latest_word_holds(stocked):
    first = send(stocked, THREE, THREE | {"id": "B"})
    assert (first.rows, first.changed) == (2, 2)
    again = send(stocked, THREE, THREE | {"id": "B"})
    assert (again.changed, again.revision) == (0, 0)
    last = send(stocked, THREE | {"withdrawn": True}, THREE | {"id": "B"})
    assert last.changed == 1
    assert last.revision > first.revision
    with stocked.ledger._database.reading() as connection:
        known = assortment.promotions(connection)
        assert assortment.last_revision(connection) == last.revision
    assert {id_: told.withdrawn for id_, told in known.items()} == {"3ZA2": True, "B": False}
    bodies = [msgspec.msgpack.decode(row["body"], type=PromotionTold) for row in rows(stocked)]
    assert {told.promotion.id for told in bodies} == set(known)


def rows(desk):
    return [dict(zip(PROMOTIONS.columns.keys(), row, strict=True)) for row in desk.rows(PROMOTIONS)]
