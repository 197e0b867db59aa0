from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.mtsics import codec as mtsics
from hw.toledo import codec as toledo
from hw.transports.serial import with_defaults
from hw.weight import MAX_GRAMS, Agreement, Reading, grams

PARSERS = {
    "toledo": (toledo.FrameParser, toledo.answer),
    "mtsics": (mtsics.Weights, mtsics.answer),
}
readings = st.builds(Reading, st.just("stable"), st.integers(0, 99_999)) | st.builds(
    Reading, st.sampled_from(["unstable", "over", "under", "busy"])
)
parsers = st.sampled_from(sorted(PARSERS))


def fed(name, data, cuts=()):
    parser = PARSERS[name][0]()
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [one for a, b in pairwise(edges) for one in parser.feed(data[a:b])]


@given(parsers, st.lists(readings, max_size=6), st.lists(st.integers(0, 500)))
def test_every_answer_comes_back_however_split(name, told, cuts):
    sent = b"".join(map(PARSERS[name][1], told))
    assert fed(name, sent, cuts) == told


@given(parsers, st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_any_bytes_give_the_same_however_split_and_never_a_wild_weight(name, data, cuts):
    whole = fed(name, data)
    assert fed(name, data, cuts) == whole
    assert all(0 <= one.grams <= MAX_GRAMS for one in whole)


@given(parsers, st.binary(max_size=60), readings)
def test_noise_in_front_spoils_at_most_one_answer(name, noise, told):
    """The second is read, whatever came before the first."""
    sent = noise + 2 * PARSERS[name][1](told)
    assert fed(name, sent)[-1] == told


@given(parsers, readings.filter(lambda one: one.state == "stable"), st.data())
def test_an_answer_that_lost_a_byte_is_no_other_weight_at_rest_twice(name, told, data):
    """Nothing in these protocols tells that a digit was lost: two answers must agree."""
    sent = PARSERS[name][1](told)
    at = data.draw(st.integers(0, len(sent) - 1))
    agreement = Agreement()
    agreed = [agreement.add(one) for one in fed(name, sent[:at] + sent[at + 1 :] + sent)]
    assert all(one in (None, told) for one in agreed)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"\x0200.735\r", Reading("stable", 735)),
        (b"\x02 12.345N\r", Reading("stable", 12_345)),
        (b"\x02 1.5\r", Reading("stable", 1_500)),
        (b"\x0200735\r", Reading("garbled")),
        (b"\x02?a\r", Reading("unstable")),
        (b"\x02?b\r", Reading("over")),
        (b"\x02?d\r", Reading("under")),
        (b"\x02 ?D\r", Reading("under")),
        (b"\x02?\x0d\r", Reading("under")),
        (b"\x02?\x02\r", Reading("over")),
        (b"\x02?@\r", Reading("busy")),
        (b"\x0299999.999\r", Reading("garbled")),
        (b"\x02-0.735\r", Reading("garbled")),
    ],
)
def test_toledo_vectors(sent, told):
    assert fed("toledo", sent) == [told]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"S S      1.234 kg\r\n", [Reading("stable", 1234)]),
        (b"SI S       0.05 kg\r\n", [Reading("stable", 50)]),
        (b"S S     734.60 g\r\n", [Reading("stable", 735)]),
        (b"S S    -0.0001 g\r\n", [Reading("stable", 0)]),
        (b"S S     -0.005 kg\r\n", [Reading("under")]),
        (b"S D      0.742 kg\r\n", [Reading("unstable")]),
        (b"S S      1.234 lb\r\n", [Reading("garbled")]),
        (b"S S      1,234 kg\r\n", [Reading("garbled")]),
        (b"S +\r\n", [Reading("over")]),
        (b"S -\r\n", [Reading("under")]),
        (b"S I\r\n", [Reading("busy")]),
        (b"ES\r\n", [Reading("garbled")]),
        (b'I4 A "1126493049"\r\nS S 1.0 kg\n', [Reading("stable", 1000)]),
        (b"x" * 500 + b"\r\nS S 1.0 kg\r\n", [Reading("stable", 1000)]),
    ],
)
def test_mtsics_vectors(sent, told):
    assert fed("mtsics", sent) == told


def test_a_serial_number():
    sent = b'\r\nS S 1.0 kg\r\nI4 A "B021002593"\r\nI4 I\r\nES\r\n'
    assert mtsics.Serials().feed(sent) == ["B021002593", "", ""]


@given(st.integers(0, MAX_GRAMS), st.sampled_from(["kg", "g"]))
def test_grams(weight, unit):
    text = f"{weight // 1000}.{weight % 1000:03}" if unit == "kg" else f"{weight}"
    assert grams(text, unit) == weight


def test_settings_of_the_factory_stand_where_the_address_says_nothing():
    seven = {"bits": "7", "parity": "even"}
    assert with_defaults("serial:/dev/x", **seven) == "serial:/dev/x?bits=7&parity=even"
    assert with_defaults("serial:/dev/x?bits=8", **seven) == "serial:/dev/x?bits=8&parity=even"
    assert with_defaults("serial:/dev/x?parity=none&bits=8", **seven)[-6:] == "bits=8"
    assert with_defaults("tcp:h:1", **seven) == "tcp:h:1"
