"""What labels say, against the GS1 reference as biip reads it."""

import contextlib
import doctest
from datetime import date

import pytest
from biip.checksums import gs1_price_weight_check_digit
from biip.gs1_messages import GS1Message
from biip.gtin import Gtin as Judge
from hypothesis import given
from hypothesis import strategies as st

from sync.rules import in_store, scan
from sync.rules.barcode import BadBarcode, canonical, check_digit
from sync.rules.in_store import DEFAULT, BadPattern, checked, inner_check_digit
from sync.rules.scan import GS, bare, read

EAN = "5901234123457"
DIGITS = "0123456789"


def coded(body):
    return body + check_digit(body)


def keys(scanned):
    return read(scanned, {}, 2026).keys


@pytest.mark.parametrize("module", [in_store, scan])
def test_the_vectors_in_the_docstrings(module):
    flags = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    done = doctest.testmod(module, optionflags=flags)
    assert done.attempted
    assert not done.failed


@pytest.mark.parametrize(
    ("scanned", "code"),
    [
        (f"{EAN}\r\n", EAN),
        (f"0{EAN}", EAN),
        ("036000291452", "036000291452"),
        ("0036000291452", "036000291452"),
        ("96385074", "96385074"),
        (f"]E0{EAN}", EAN),
        ("]E496385074", "96385074"),
        ("]C10105901234123457", EAN),
        (f"]d2{GS}010590123412345717260131{GS}10AB", EAN),
        (f"{GS}0105901234123457", EAN),
        ("010590123412345717260131", EAN),
        ("]e00105901234123457", EAN),
        ("]Q30105901234123457", EAN),
        ("]C102059012341234573724", EAN),
        ("https://id.gs1.org/01/05901234123457/10/AB", EAN),
        ("]Q1https://sklep.example/p/01/05901234123457?17=260131", EAN),
        ("]I115901234123454", "15901234123454"),
    ],
)
def test_scans(scanned, code):
    assert keys(scanned) == (code,)


@pytest.mark.parametrize(
    ("scanned", "told"),
    [
        ("", "scan again"),
        ("5901234123456", "expected check digit 7, got 6"),
        ("]C1101234", "scan the article's own barcode"),
        ("]C100159012341234567896", "scan the article's own barcode"),
        ("]C10105901234123456", "expected check digit"),
        ("]C1010590123412345", "as GS1 defines them"),
        ("]d201059012341234573103000000", "above zero"),
        ("]d201059012341234573933978000001299", "price in PLN"),
        ("]d201059012341234573103\u0660\u0660\u0660\u0660\u0660\u0661", "expected"),
        ("https://[sklep/01/05901234123457", "as GS1 defines them"),
        ("1" * 500, "at most 128"),
    ],
)
def test_bad_scans_name_the_value_and_the_cure(scanned, told):
    with pytest.raises(BadBarcode, match="Code ") as refusal:
        read(scanned, DEFAULT, 2026)
    assert told in str(refusal.value)
    assert len(str(refusal.value)) < 220


def test_all_that_a_label_of_a_maker_says():
    code = read(
        f"]e0019501234123454731030012343922001299{GS}17260200151512311042{GS}21A/7{GS}", {}, 2026
    )
    assert code.keys == ("95012341234547", canonical(coded("501234123454")))
    assert (code.grams, code.price_minor, code.batch, code.serial) == (1234, 1299, "42", "A/7")
    assert (code.expiry, code.best_before) == (date(2026, 2, 28), date(2015, 12, 31))
    assert read("]C102059012341234573724", {}, 2026).pieces == 24


def test_a_newspaper_is_known_by_its_number_and_keeps_its_issue():
    number = coded("977123456700")
    for scanned in (f"]E3{number}07", f"{number}07"):
        code = read(scanned, {}, 2026)
        assert (code.keys, code.add_on) == ((number,), "07")
    with pytest.raises(BadBarcode):
        read(f"{EAN}07", {}, 2026)


bodies = st.sampled_from([7, 11, 12, 13]).flatmap(
    lambda length: st.text(DIGITS, min_size=length, max_size=length)
)


@given(bodies.filter(lambda body: body.strip("0")))
def test_a_number_is_the_one_the_reference_reads(body):
    code = coded(body)
    [key] = keys(code)
    assert key.zfill(14) == Judge.parse(code).as_gtin_14()


@given(
    st.text(DIGITS, min_size=13, max_size=13).filter(lambda body: body.strip("0")),
    st.text("ABC/7-", min_size=1, max_size=20),
    st.text("XYZ09", min_size=1, max_size=20),
    st.integers(1, 999_999),
    st.integers(0, 5),
    st.dates(date(1980, 1, 1), date(2070, 12, 31)),
)
def test_fields_are_those_the_reference_reads(body, batch, serial, weight, decimals, expiry):
    message = f"01{coded(body)}310{decimals}{weight:06}17{expiry:%y%m%d}10{batch}{GS}21{serial}"
    told = GS1Message.parse(message).element_strings
    grams = (2 * weight * 1000 + 10**decimals) // (2 * 10**decimals)
    if not grams:
        with pytest.raises(BadBarcode):
            read(message, {}, 2026)
        return
    code = read(message, {}, 2026)
    assert code.keys[0].zfill(14) == told.get(ai="01").value
    assert abs(code.grams - told.get(ai=f"310{decimals}").decimal * 1000) <= 0.5
    assert (code.batch, code.serial, code.expiry) == (batch, serial, expiry)


@given(st.integers(0, 99), st.integers(1990, 2090))
def test_a_year_of_two_digits_is_the_nearest(told, year):
    day = read(f"01{EAN:0>14}17{told:02}0131", {}, year).expiry
    assert -49 <= day.year - year <= 50
    assert day.year % 100 == told


@given(st.text(DIGITS, min_size=4, max_size=5))
def test_the_digit_inside_is_the_reference_s(field):
    assert inner_check_digit(field) == str(gs1_price_weight_check_digit(field))


patterns = st.sampled_from(
    ["TTTTTWWWWW", "TTTTVWWWWW", "TTTTTVCCCC", "TTTTXCCCCC", "VTTTTWWWWW", "TTTTTTTNNN"]
)


@given(st.integers(20, 29), patterns, st.integers(0, 10**7 - 1), st.integers(0, 10**5 - 1))
def test_what_a_scale_put_in_comes_out(prefix, pattern, article, amount):
    measure = next(one for one in "WCN" if one in pattern)
    field = str(amount % 10 ** pattern.count(measure)).zfill(pattern.count(measure))
    number = str(article % 10 ** pattern.count("T")).zfill(pattern.count("T"))
    texts = {"T": iter(number), measure: iter(field), "X": iter("7")}
    texts["V"] = iter(inner_check_digit(field) if "V" in pattern else "")
    digits = "".join(next(texts[letter]) for letter in pattern)
    code = read(coded(f"{prefix}{digits}"), {str(prefix): pattern}, 2026)
    told = {"W": code.grams, "C": code.price_minor, "N": code.pieces}
    assert told.pop(measure) == int(field)
    assert set(told.values()) == {None}
    assert code.keys[1] == f"{prefix}{number}"
    assert canonical(code.keys[0]) == code.keys[0]
    assert code.keys == read(code.keys[0], {str(prefix): pattern}, 2026).keys


def test_a_wrong_digit_inside_is_a_misread():
    right = coded("29" + "1234" + "6" + "14685")
    assert read(right, {"29": "TTTTVWWWWW"}, 2026).grams == 14685
    with pytest.raises(BadBarcode, match="expected check digit 6 inside, got 5"):
        read(coded("29" + "1234" + "5" + "14685"), {"29": "TTTTVWWWWW"}, 2026)


def test_a_prefix_that_means_nothing_is_a_number_as_any():
    code = coded("291234501468")
    assert read(code, {}, 2026) == read(code, {"29": in_store.PLAIN}, 2026)
    assert read(code, {}, 2026).keys == (code,)


@pytest.mark.parametrize("prefix", DEFAULT)
def test_the_default_can_be_written_by_hand(prefix):
    assert checked(prefix, DEFAULT[prefix].lower()) == DEFAULT[prefix]


@pytest.mark.parametrize(
    ("prefix", "pattern"),
    [
        ("19", "TTTTTWWWWW"),
        ("2a", "TTTTTWWWWW"),
        ("29", "TTTTTWWWW"),
        ("29", "WWWWWCCCCC"),
        ("29", "TTTTVVWWWW"),
        ("29", "TTVTTTTTTT"),
        ("29", "TTTTVWWWWWW"),
        ("29", "TTWTTWWWWW"),
        ("29", "TTTVNNNNNN"),
        ("29", ""),
        ("29", "TTTTTWWWWW\n"),
    ],
)
def test_senseless_patterns_are_refused(prefix, pattern):
    with pytest.raises(BadPattern, match="expected"):
        checked(prefix, pattern)


@given(st.text() | st.text(DIGITS + GS + "]C1d2", max_size=40).map("01".__add__))
def test_any_text_is_a_code_or_refused(text):
    with contextlib.suppress(BadBarcode):
        code = read(text, DEFAULT, 2026)
        assert code.keys
        assert GS not in bare(text)[:1]
