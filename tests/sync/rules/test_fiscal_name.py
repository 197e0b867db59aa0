import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.rules.fiscal_name import NARROWEST, WIDTH, compared, printed

words = st.text(st.sampled_from("abcXYZ ąćęłńóśźżĄŻ 0123 .,%/\\-\u2013'\"éüß\u00a0\t"), max_size=60)
widths = st.integers(NARROWEST, WIDTH)


@pytest.mark.parametrize(
    ("typed", "paper", "key"),
    [
        ("Mleko  3,2% 1 l ", "MLEKO 3,2% 1 L", "MLEKO3,2%1L"),
        ("gęś \u2013 żółta", "GĘŚ ŻÓŁTA", "GĘŚŻÓŁTA"),
        ("Müller crème brûlée", "MULLER CREME BRULEE", "MULLERCREMEBRULEE"),
        ("x" * 50, "X" * 40, "X" * 40),
        ("coca-cola", "COCA-COLA", "COCACOLA"),
        ("", "", ""),
    ],
)
def test_a_name_on_paper_and_as_compared(typed, paper, key):
    assert printed(typed) == paper
    assert compared(typed) == key


@given(words, widths)
def test_printing_what_was_printed_changes_nothing(name, width):
    paper = printed(name, width)
    assert len(paper) <= width
    assert printed(paper, width) == paper
    assert paper == paper.strip()
    assert "  " not in paper
    assert compared(paper, width) == compared(name, width)


@given(words, widths)
def test_case_and_blanks_do_not_count(name, width):
    spaced = "  ".join(name.upper().split(" "))
    assert compared(spaced, width) == compared(name, width)


@given(words, widths)
def test_a_narrower_printer_sees_the_beginning(name, width):
    assert compared(name).startswith(compared(name, width)), "namesakes are looked up by it"
