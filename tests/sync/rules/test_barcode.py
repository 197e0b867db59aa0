import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import ean

from sync.rules.barcode import BadBarcode, canonical, check_digit, in_store

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
    ("number", "told"),
    [
        ("5901234123456", "expected check digit 7, got 6"),
        ("590123412345", "expected check digit"),
        ("59012341234", "got 11; if a spreadsheet dropped leading zeros"),
        ("5,90E+12", "expected digits only"),
        ("٥٩٠١٢٣٤١٢٣٤٥٧", "expected digits only"),
        ("00000000", "above zero"),
    ],
)
def test_bad_numbers_are_named_with_the_cure(number, told):
    with pytest.raises(BadBarcode, match="Code ") as refusal:
        canonical(number)
    assert told in str(refusal.value)
    assert number[:20] in str(refusal.value)


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
