import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.till.receipt import Paper, money, quantity, slip
from hw.layout import fit_columns, fit_line
from hw.slip import Columns, Cut, Rule, Slip, TextLine
from sync.facts.person import Buyer
from sync.facts.sale import Discount, Fiscal, Payment, Sale, SaleLine, SaleLines, Stage
from tests.edge.till.shop import NOON_MS, described

LINES = (
    SaleLine("MLEKO", 2000, 389, unit="szt", vat="5", price_version=7),
    SaleLine("WODA", 6000, 219, unit="szt", vat="23", deposit_minor=50, price_version=7),
    SaleLine("JABLKA", 642, 499, unit="kg", vat="5", price_version=7),
    SaleLine(
        "KAWA", 1000, 6499, (Discount("karta stałego klienta", 800),), "Kawa ziarnista 1 kg",
        "szt", "23",
    ),
    SaleLine("KSIEGA", 1000, 1000, name="Porada", vat="zw"),
)  # fmt: skip
NAMES = {"MLEKO": "Mleko 3,2% 1 l", "WODA": "Woda 1,5 l", "JABLKA": "Jabłka Ligol"}


def sale_of(lines=LINES, **more):
    total = sum(line.total_minor + line.deposits_minor for line in lines)
    given = {
        "stage": Stage.CLOSED,
        "number": 42,
        "at_ms": NOON_MS,
        "trust": 5,
        "lines": SaleLines.of(tuple(lines)),
        "payments": (Payment("cash", total, 11),),
        "till": "T1",
        "cashier": "anna",
        "shift": "1",
        "business_day": 20260921,
        "taxpayer": "1234563218",
    } | more
    return Sale(**given)


def paper(**more):
    return Paper(**({"store": described(), "names": NAMES, "series": "T1-ABCDEFGH"} | more))


def on_paper(made: Slip, width):
    lines = []
    for element in made.elements:
        match element:
            case TextLine(text=text, double=double):
                lines += fit_line(text, width // (1 + double))
            case Columns(left=left, right=right, double=double):
                lines += fit_columns(left, right, width // (1 + double))
            case Rule():
                lines.append("-" * width)
            case Cut():
                lines.append("")
    return lines


@pytest.mark.parametrize("width", [42, 32])
def test_a_slip_says_all_there_is_to_say(width):
    made = slip("job", sale_of(), paper())
    lines = on_paper(made, width)
    assert all(len(line) <= width for line in lines)
    text = " ".join(" ".join(lines).split())
    assert lines[0] == "NIEFISKALNY"
    for said in (
        "Sklep 07 Kraków",
        "NIP 1234563218",
        "2026-09-21",
        "16:13:20",
        "Mleko 3,2% 1 l 2 szt x 3,89 7,78C",
        "0,642 kg x 4,99",
        "Rabat karta stałego klienta -8,00A",
        "Sprzedaż A 23% 70,13",
        "PTU A 23% 13,11",
        "Sprzedaż C 5% 10,98",
        "PTU C 5% 0,52",
        "Sprzedaż E zw 10,00",
        "PTU E zw 0,00",
        "Suma PTU 13,63",
        "Kaucje 3,00",
        "SUMA PLN 94,11",
        "Gotówka 94,22",
        "Reszta 0,11",
        "T1-ABCDEFGH/42",
        "Kasjer anna",
    ):
        assert said in text
    assert isinstance(made.elements[-1], Cut)


def test_a_copy_says_so_first():
    made = slip("job", sale_of(), paper(copy=True))
    assert on_paper(made, 42)[:2] == ["KOPIA", "NIEFISKALNY"]


def test_english_and_any_other_language():
    text = "\n".join(on_paper(slip("job", sale_of(), paper(language="en")), 42))
    assert "NON-FISCAL / NIEFISKALNY" in text
    assert "TOTAL PLN" in text
    assert "94.11" in text
    assert "SUMA PLN" in "\n".join(on_paper(slip("job", sale_of(), paper(language="xx")), 42))


def test_a_fiscal_sale_is_not_called_otherwise():
    sale = sale_of(fiscal=Fiscal("karb", "EAZ1234567890", "1042"))
    text = "\n".join(on_paper(slip("job", sale, paper()), 42))
    assert "NIEFISKALNY" not in text
    assert "EAZ1234567890" in text


def test_the_buyer_stands_on_it_while_the_key_exists():
    text = "\n".join(on_paper(slip("j", sale_of(), paper(buyer=Buyer("1234563218", "Żółw"))), 42))
    assert "Nabywca: Żółw 1234563218" in text


def test_an_untrusted_time_is_called_so():
    assert "Czas niepotwierdzony" in on_paper(slip("j", sale_of(trust=0), paper()), 42)


def test_a_line_of_no_known_rate_costs_the_table_and_not_the_slip():
    made = slip("j", sale_of((SaleLine("X", 1000, 100, vat="7"),), business_day=0), paper())
    text = "\n".join(on_paper(made, 42))
    assert "PTU" not in text
    assert "SUMA PLN" in text


def test_amounts_as_text():
    assert money(0, "pl") == "0,00"
    assert money(-5, "pl") == "-0,05"
    assert money(1_234_567, "en") == "12345.67"
    assert quantity(1500, "kg", "pl") == "1,5 kg"
    assert quantity(2000, "", "en") == "2"


TEXT = st.text(min_size=1, max_size=80)


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            SaleLine,
            sku=TEXT,
            quantity_milli=st.integers(1, 10**9),
            unit_minor=st.integers(0, 10**9),
            name=st.text(max_size=300),
            unit=st.text(max_size=8),
            vat=st.sampled_from(("23", "8", "5", "0", "zw", "np", "?")),
            deposit_minor=st.integers(0, 1000),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from((42, 32)),
    st.sampled_from(("pl", "en")),
)
def test_any_sale_fits_and_its_total_is_not_cut(lines, width, language):
    sale = sale_of(lines)
    printed = on_paper(slip("j", sale, paper(language=language)), width)
    assert all(len(line) <= width for line in printed)
    # An amount is never broken but where it is wider than the paper itself.
    total = money(sale.total_minor, language)
    assert total in "".join(line.strip() for line in printed)
