"""An import against what is known: names of fiscal printers, dates, and only what changed."""

import pytest

from central.catalogue.importer import BadImport, parse
from central.catalogue.publish import publish
from central.catalogue.rates import publish as publish_rate
from central.catalogue.rates import read
from central.ledger import assortment
from central.ledger.errors import Refused
from central.ledger.tables import ARTICLES, PRICES, VAT_RATES
from sync.facts.catalogue import VatRate


def rows(*lines, width=40, heading="sku;nazwa;vat;cena;cena od"):
    return parse("\n".join([heading, *lines]).encode(), "text/csv", width)


def send(desk, *lines, width=40):
    listed = rows(*lines, width=width)
    return desk.write(lambda unit: publish(unit, listed, width))


@pytest.mark.parametrize(
    ("first", "second", "width"),
    [
        ("Mleko 3,2%", "MLEKO  3,2%", 40),
        ("Mleko 3,2%", "Mleko-3,2%", 40),
        ("Müsli", "Musli", 40),
        ("Czekolada gorzka 70% mini", "Czekolada gorzka 70% maxi", 20),
    ],
)
def test_one_name_at_two_rates_refuses_the_file_naming_both_rows(first, second, width):
    with pytest.raises(BadImport) as refusal:
        rows(f"1;{first};5;3,00", f"2;{second};23;3,00", width=width)
    (wrong,) = refusal.value.mistakes
    assert "row 3" in str(wrong)
    assert "row 2" in str(wrong)
    assert "VAT 5, not 23" in str(wrong)
    assert "another fiscal name" in str(wrong)
    assert len(rows(f"1;{first};5;3,00", f"2;{second};5;3,00", width=width)) == 2, "one rate"


def test_names_that_differ_only_beyond_the_printers_width_are_two_to_a_wider_one():
    line = ("1;Czekolada gorzka 70% mini;5;3,00", "2;Czekolada gorzka 70% maxi;23;3,00")
    assert len(rows(*line)) == 2


def test_a_name_that_is_known_at_another_rate_refuses_the_import(desk):
    send(desk, "1;Mleko 3,2%;5;3,00", "2;Woda;23;2,00")
    before = desk.rows(ARTICLES)
    with pytest.raises(BadImport, match="article '1'"):
        send(desk, "8;Chleb;5;4,00", "9;MLEKO 3,2%;8;3,00")
    assert desk.rows(ARTICLES) == before
    with pytest.raises(BadImport, match="article '2'"):
        send(desk, "9;Woda gazowana;8;3,00", width=4)
    send(desk, "9;MLEKO 3,2%;5;3,00")
    send(desk, "1;Mleko 3,2%;8;3,00", "9;MLEKO 3,2%;8;3,00")


def test_a_name_given_up_is_free_again(desk):
    send(desk, "1;Mleko;5;3,00")
    send(desk, "1;Mleko wiejskie;5;3,00")
    assert send(desk, "2;Mleko;23;3,00").articles == 1


def test_only_what_is_new_or_changed_is_written(desk):
    assert send(desk, "1;Mleko;5;3,00", "2;Woda;23;2,00").articles == 2
    again = send(desk, "1;Mleko;5;3,00", "2;Woda;23;2,00")
    assert (again.articles, again.prices, again.revision) == (0, 0, 0)
    one = send(desk, "1;Mleko;5;3,10", "2;Woda;23;2,00")
    assert (one.articles, one.prices) == (0, 1)
    assert len(desk.rows(PRICES)) == 3


def test_what_changes_with_a_date_changes_on_it_and_a_new_article_is_known_at_once(desk):
    send(desk, "1;Mleko;5;3,00")
    done = send(desk, "1;Mleko świeże;8;3,20;2099-01-01", "2;Nowość;23;9,00;2099-01-01")
    assert (done.articles, done.prices) == (2, 2)
    with desk.ledger._database.reading() as connection:
        told = assortment.articles(connection, ["1", "2"])
    assert [(t.from_ms > 0, t.article.vat) for t in sorted(told["1"])] == [
        (False, "5"),
        (True, "8"),
    ]
    assert [t.from_ms for t in told["2"]] == [0]
    assert send(desk, "1;Mleko świeże;8;3,20;2099-01-01").revision == 0, "said already"


def test_a_width_is_remembered_for_the_next_import(desk):
    assert desk.write(lambda unit: assortment.name_width(unit.connection)) == 40
    desk.write(lambda unit: assortment.keep_name_width(unit.connection, 28))
    assert desk.write(lambda unit: assortment.name_width(unit.connection)) == 28


def test_a_rate_is_told_once_and_shown_in_its_place(desk):
    told = read("23 %", "22", "2027-01-01")
    assert told == VatRate("23", 2200, 20270101)
    assert desk.write(lambda unit: publish_rate(unit, told))["changed"]
    assert not desk.write(lambda unit: publish_rate(unit, told))["changed"]
    assert len(desk.rows(VAT_RATES)) == 1
    with desk.ledger._database.reading() as connection:
        table = [row for row in assortment.vat_table(connection) if row.code == "23"]
    assert [row.basis_points for row in table] == [2300, 2200]


@pytest.mark.parametrize(
    ("code", "rate", "since", "says"),
    [
        ("7", "22", "2027-01-01", "expected one of 23"),
        ("23", "dużo", "2027-01-01", "expected percent"),
        ("23", "101", "2027-01-01", "expected percent"),
        ("23", "22", "1.1.2027", "expected a day"),
        ("23", "22", "1999-01-01", "no day"),
    ],
)
def test_a_rate_that_is_none_is_refused_with_the_value(code, rate, since, says):
    with pytest.raises(Refused, match=says):
        read(code, rate, since)
