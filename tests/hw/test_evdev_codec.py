from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.evdev.codec import (
    ALT_GR,
    CAPS,
    ENTER,
    EV_KEY,
    EV_SYN,
    EVENT,
    F8,
    GS,
    KEYPAD_ENTER,
    L_ALT,
    L_CTRL,
    L_SHIFT,
    PLAIN,
    SYN_DROPPED,
    TAB,
    KeyReader,
    event,
    numbered,
    typed,
)

KEYS = {char: key for key, char in reversed(PLAIN.items())}
KEYBOARD = "".join(chr(number) for number in range(32, 127)) + "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ€§" + GS
codes = st.text(KEYBOARD, min_size=1, max_size=40)


def read(data, cuts=(), **options):
    reader = KeyReader(**options)
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [code for a, b in pairwise(edges) for code in reader.feed(data[a:b])], reader


def strokes(*keys):
    """Press and release; a negative key is only let go, a tuple is held around the rest."""
    made = b""
    for key in keys:
        made += event(EV_KEY, key, 1) + event(EV_KEY, key, 0)
    return made


def held(modifier, *keys):
    return event(EV_KEY, modifier, 1) + strokes(*keys) + event(EV_KEY, modifier, 0)


def test_an_event_is_as_long_as_the_kernel_makes_it():
    assert EVENT.size == 24


@given(st.lists(codes, max_size=5), st.lists(st.integers(0, 20_000)))
def test_every_code_comes_back_however_split(scanned, cuts):
    got, reader = read(b"".join(map(typed, scanned)), cuts)
    assert got == scanned
    assert not reader.pending
    assert not reader._held


@given(st.binary(max_size=480), st.lists(st.integers(0, 480)), st.integers(1, 8))
def test_any_bytes_give_the_same_however_split(data, cuts, limit):
    whole, one = read(data, max_chars=limit)
    split, other = read(data, cuts, max_chars=limit)
    assert whole == split
    assert one.dropped == other.dropped
    assert all(0 < len(code) <= limit for code in whole)


events = st.tuples(
    st.integers(0, 5), st.sampled_from([*PLAIN, *range(130)]), st.integers(-1, 2)
).map(lambda one: event(*one))


@given(st.lists(events, max_size=40), codes)
def test_whatever_was_typed_before_a_pause_does_not_spoil_the_next_code(noise, code):
    reader = KeyReader()
    reader.feed(b"".join(noise))
    reader.break_off()
    assert reader.feed(typed(code)) == [code]


@pytest.mark.parametrize("ending", [ENTER, KEYPAD_ENTER, TAB])
def test_a_code_ends_with_enter_or_tab(ending):
    assert read(typed("5901", ending) + typed("42"))[0] == ["5901", "42"]


def test_each_way_of_typing_the_separator():
    a, b, end = KEYS["a"], KEYS["b"], strokes(ENTER)
    keypad = [82, 80, 73]  # 0 2 9
    for separator in (held(L_CTRL, KEYS["]"]), strokes(F8), held(L_ALT, *keypad)):
        assert read(strokes(a) + separator + strokes(b) + end)[0] == [f"a{GS}b"]


def test_capitals_by_shift_by_caps_lock_and_by_both():
    a, end = KEYS["a"], strokes(ENTER)
    assert read(strokes(CAPS, a) + held(L_SHIFT, a) + strokes(KEYS["1"], CAPS, a) + end)[0] == [
        "Aa1a"
    ]
    capital = strokes(CAPS) + held(ALT_GR, KEYS["l"]) + strokes(CAPS)
    assert read(capital + end)[0] == ["Ł"]


def test_a_key_that_is_held_is_one_character():
    a = KEYS["a"]
    assert read(event(EV_KEY, a, 1) + 5 * event(EV_KEY, a, 2) + strokes(ENTER))[0] == ["a"]


def test_where_the_kernel_dropped_events_there_is_no_code():
    sent = typed("5901234123457")
    lost = sent[:240] + event(EV_SYN, SYN_DROPPED, 0) + sent[288:]
    got, reader = read(lost + typed("96385074"))
    assert (got, reader.dropped) == (["96385074"], 1)


def test_too_long_is_dropped_and_the_next_read():
    got, reader = read(typed("1" * 20) + typed("2"), max_chars=10)
    assert (got, reader.dropped) == (["2"], 1)


@pytest.mark.parametrize(
    ("digits", "char"),
    [("029", GS), ("29", GS), ("0185", "ą"), ("165", "ą"), ("065", "A"), ("0256", ""), ("7", "")],
)
def test_characters_typed_by_their_number(digits, char):
    assert numbered(digits) == char


def test_what_no_keyboard_types_is_refused():
    with pytest.raises(ValueError, match="cannot be typed"):
        typed("漢")
