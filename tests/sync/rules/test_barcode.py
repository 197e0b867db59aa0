import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import ean

from sync.rules.barcode import BadBarcode, canonical, check_digit, in_store, parse

BODIES = st.sampled_from([7, 11, 12, 13]).flatmap(
    lambda length: st.text("0123456789", min_size=length, max_size=length)
)


@given(BODIES)
def test_check_digit_agrees_with_stdnum(body):
    assert check_digit(body) == ean.calc_check_digit(body)


@given(BODIES.filter(lambda body: body.strip("0")))
def test_every_spelling_of_a_number_is_one_code(body):
    code = body + check_digit(body)
    canon = canonical(code)
    assert int(canon) == int(code)
    assert len(canon) <= len(code)
    for length in (8, 12, 13, 14):
        if length >= len(canon):
            assert canonical(canon.zfill(length)) == canon


@given(BODIES, st.integers(0, 12), st.integers(1, 9))
def test_one_wrong_digit_is_noticed(body, place, shift):
    code = body + check_digit(body)
    place %= len(code)
    wrong = code[:place] + str((int(code[place]) + shift) % 10) + code[place + 1 :]
    with pytest.raises(BadBarcode, match="expected check digit"):
        canonical(wrong)


@pytest.mark.parametrize(
    ("scanned", "code"),
    [
        ("5901234123457\r\n", "5901234123457"),
        ("05901234123457", "5901234123457"),
        ("036000291452", "036000291452"),
        ("0036000291452", "036000291452"),
        ("96385074", "96385074"),
        ("]E05901234123457", "5901234123457"),
        ("]E496385074", "96385074"),
        ("]C10105901234123457", "5901234123457"),
        ("]d2\x1d010590123412345717260131\x1d10AB", "5901234123457"),
    ],
)
def test_scans(scanned, code):
    assert parse(scanned) == code


@pytest.mark.parametrize(
    ("scanned", "told"),
    [
        ("", "scan again"),
        ("5901234123456", "expected check digit 7, got 6"),
        ("590123412345", "expected check digit"),
        ("59012341234", "got 11; if a spreadsheet dropped leading zeros"),
        ("5,90E+12", "expected digits only"),
        ("٥٩٠١٢٣٤١٢٣٤٥٧", "expected digits only"),
        ("]C1101234", "scan the article's own barcode"),
        ("00000000", "above zero"),
        ("1" * 500, "at most 128"),
    ],
)
def test_bad_scans_name_the_value_and_the_cure(scanned, told):
    with pytest.raises(BadBarcode, match="Code ") as refusal:
        parse(scanned)
    assert told in str(refusal.value)
    assert scanned[:20] in str(refusal.value)
    assert len(str(refusal.value)) < 200


@given(st.text())
def test_any_text_is_a_code_or_refused(text):
    with contextlib.suppress(BadBarcode):
        assert canonical(parse(text)) == parse(text)


@given(st.integers(0, 10**10 - 1), st.integers(0, 10**10 - 1), st.integers(20, 29))
def test_in_store_codes_are_valid_and_differ(one, other, prefix):
    code = in_store(one, prefix)
    assert ean.is_valid(code)
    assert len(code) == 13
    assert code.startswith(str(prefix))
    assert canonical(code) == code
    assert (in_store(other, prefix) == code) == (one == other)


@pytest.mark.parametrize(("number", "prefix"), [(-1, 20), (10**10, 20), (1, 19), (1, 30)])
def test_in_store_refuses_what_does_not_fit(number, prefix):
    with pytest.raises(BadBarcode, match="expected"):
        in_store(number, prefix)
