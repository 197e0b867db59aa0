from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.errors import DeviceMisconfigured
from hw.scanner.codec import CodeSplitter

codes = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)
framings = st.sampled_from(
    [(b"", None), (b"", b"\t"), (b"\x02", b"\x03"), (b"\x02\x02", b"\r\n"), (b"", b"\x03\x04")]
)


def pieces(data, cuts):
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


def read(data, cuts=(), **options):
    splitter = CodeSplitter(**options)
    return [code for piece in pieces(data, cuts) for code in splitter.feed(piece)], splitter


@given(st.lists(codes, max_size=6), framings, st.lists(st.integers(0, 5000)))
def test_every_code_comes_back_however_split(scanned, framing, cuts):
    prefix, suffix = framing
    sent = b"".join(prefix + code.encode() + (suffix or b"\r\n") for code in scanned)
    assert read(sent, cuts, prefix=prefix, suffix=suffix)[0] == scanned


@given(st.binary(max_size=400), framings, st.lists(st.integers(0, 400)), st.integers(1, 30))
def test_any_bytes_give_the_same_codes_however_split(data, framing, cuts, limit):
    options = {"prefix": framing[0], "suffix": framing[1], "max_bytes": limit}
    whole, in_one = read(data, **options)
    split, in_pieces = read(data, cuts, **options)
    assert whole == split
    assert in_one.dropped == in_pieces.dropped
    assert len(in_pieces._buffer) <= limit + len(framing[1] or b"x")
    assert all(len(code.encode()) <= limit for code in whole)
    assert not any(char < " " and char != "\x1d" for code in whole for char in code)


@given(st.lists(codes, min_size=1, max_size=6), st.binary(max_size=30))
def test_noise_before_a_prefix_is_thrown_away(scanned, noise):
    noise = noise.replace(b"\x03", b"")
    sent = b"".join(noise + b"\x02" + code.encode() + b"\x03" for code in scanned)
    assert read(sent, prefix=b"\x02", suffix=b"\x03")[0] == scanned


def test_too_long_is_dropped_and_the_next_read():
    got, splitter = read(b"1" * 600 + b"\r" + b"2\r", [100, 550])
    assert (got, splitter.dropped) == (["2"], 1)


def test_a_code_without_its_prefix_is_dropped():
    got, splitter = read(b"123\r\x02456\r", prefix=b"\x02")
    assert (got, splitter.dropped) == (["456"], 1)


def test_control_bytes_and_broken_letters_inside_are_dropped():
    assert read(b"59\x00\x01\xff0\x7f1\r")[0] == ["5901"]


@pytest.mark.parametrize("options", [{"suffix": b""}, {"max_bytes": 0}, {"max_bytes": 10**6}])
def test_senseless_settings_are_refused(options):
    with pytest.raises(DeviceMisconfigured):
        CodeSplitter(**options)
