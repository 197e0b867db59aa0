import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.errors import DeviceRefused
from hw.layout import fit_columns, fit_line, printable
from hw.slip import Barcode, Columns, Cut, QrCode, Slip, TextLine

POLISH = "Zażółć gęślą jaźń ZAŻÓŁĆ GĘŚLĄ JAŹŃ"


@given(st.text(max_size=80), st.sampled_from(["cp852", "ascii"]))
def test_printable_shows_and_commands_nothing(text, encoding):
    shown = printable(text, encoding)
    raw = shown.encode(encoding)
    assert all(byte >= 0x20 and byte != 0x7F for byte in raw)
    assert printable(shown, encoding) == shown


def test_polish_letters():
    assert printable(POLISH, "cp852") == POLISH
    assert printable(POLISH, "ascii") == "Zazolc gesla jazn ZAZOLC GESLA JAZN"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("5 €", "5 EUR"),
        ("„cytat”…", '"cytat"...'),
        ("a\tb\nc\x1b@d", "a b c@d"),
        ("z\u0142\u0301", "zł?"),
        ("z\u0301", "ź"),
        ("中", "?"),
        ("²", "2"),
        ("a\u00a0b\u200bc\u202ed", "a bcd"),
    ],
)
def test_replacements(text, shown):
    assert printable(text, "cp852") == shown


@given(st.text(max_size=120), st.integers(16, 48))
def test_no_line_is_wider_than_the_paper(text, width):
    lines = fit_line(printable(text, "cp852"), width)
    assert lines
    assert all(len(line) <= width for line in lines)


words = st.text("abc def", max_size=80)


@given(words, st.text("0123456789,", min_size=1, max_size=12), st.integers(16, 48))
def test_the_amount_is_whole_and_flush_right(left, right, width):
    lines = fit_columns(left, right, width)
    assert all(len(line) <= width for line in lines)
    assert len(lines[-1]) == width
    assert lines[-1].endswith(right)
    assert "".join("".join(lines).split()) == "".join(left.split()) + right


@given(words, words, st.integers(16, 48))
def test_two_long_texts_both_appear(left, right, width):
    lines = fit_columns(left, right, width)
    assert all(len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join((left + right).split())


@pytest.mark.parametrize(
    "make",
    [
        lambda: QrCode(""),
        lambda: QrCode("a" * 701),
        lambda: QrCode("a\x10\x14\x01\x00\x01"),
        lambda: Barcode("123"),
        lambda: Barcode("5901234123457\n"),
        lambda: Barcode("zażółć", "code128"),
        lambda: TextLine(text="a" * 1001),
        lambda: Columns(left="a" * 1001, right=""),
        lambda: Slip("", (Cut(),)),
        lambda: Slip("j", ()),
        lambda: Slip("j", (Cut(),) * 2001),
    ],
)
def test_what_could_not_be_printed_is_refused_when_made(make):
    with pytest.raises(DeviceRefused):
        make()
