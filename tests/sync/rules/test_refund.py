import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.rules.refund import CannotRefund, key, refund_minor


@st.composite
def cut_up(draw):
    """A line and the parts in which all of it is given back."""
    whole = draw(st.integers(1, 50_000))
    cuts = sorted(draw(st.sets(st.integers(1, whole), max_size=8)) | {whole})
    parts = [end - start for start, end in zip([0, *cuts], cuts, strict=False)]
    return draw(st.integers(0, 10**7)), whole, parts


@given(cut_up())
def test_the_parts_of_a_line_add_up_to_what_was_paid(line):
    total, whole, parts = line
    left, back = whole, []
    for part in parts:
        back.append(refund_minor(total, whole, left, part))
        left -= part
    assert sum(back) == total
    assert all(amount >= 0 for amount in back)


@given(st.integers(0, 10**7), st.integers(1, 10**6), st.integers(0, 10**6), st.integers(-5, 10**6))
def test_never_more_than_is_left(total, whole, left, back):
    if 0 < back <= left <= whole:
        assert 0 <= refund_minor(total, whole, left, back) <= total
    else:
        with pytest.raises(CannotRefund, match=str(back)):
            refund_minor(total, whole, left, back)


def test_a_line_is_named_by_its_sale_and_place():
    assert key(bytes(16), 3) == "00000000000000000000000000000000.3"
