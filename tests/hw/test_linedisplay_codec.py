from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.device import Row
from hw.linedisplay.codec import CODE_PAGES, begin, fitted, frame, shown
from hw.linedisplay.simulator import COLUMNS, Screen

rows = st.builds(Row, st.text(max_size=40), st.text("0123456789, -", max_size=25))
pages = st.sampled_from(sorted(CODE_PAGES))


@given(rows, rows, pages, st.lists(st.integers(0, 200)))
def test_what_is_told_is_on_the_screen_however_split(top, bottom, page, cuts):
    number, encoding = CODE_PAGES[page]
    data = begin(number) + frame((top, bottom), COLUMNS, encoding)
    screen = Screen()
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for a, b in pairwise(edges):
        screen.feed(data[a:b])
    assert screen.lines == tuple(fitted(row, COLUMNS, encoding) for row in (top, bottom))
    assert screen.strange == 0


@given(st.binary(max_size=40), rows, rows)
def test_whatever_came_before_the_second_frame_is_right(noise, top, bottom):
    screen = Screen()
    told = frame((top, bottom), COLUMNS, "ascii")
    screen.feed(noise + told + told)
    assert screen.lines == tuple(fitted(row, COLUMNS, "ascii") for row in (top, bottom))


@given(rows, st.integers(1, 80), pages)
def test_a_row_is_as_wide_as_the_display_and_its_price_whole(row, columns, page):
    encoding = CODE_PAGES[page][1]
    line = fitted(row, columns, encoding)
    assert len(line) == columns
    assert line.isprintable()
    line.encode(encoding)
    assert line.endswith(shown(row.right, encoding)[:columns])


@given(st.text(), pages)
def test_nothing_becomes_a_question_mark(text, page):
    assert shown(text, CODE_PAGES[page][1]).count("?") == text.count("?")


@pytest.mark.parametrize(
    ("page", "text"),
    [("ascii", "Zolc EUR"), ("cp852", "Żółć EUR"), ("cp1252", "Zólc €"), ("cp437", "Zólc EUR")],
)
def test_polish_letters(page, text):
    assert shown("Żółć €", CODE_PAGES[page][1]) == text
