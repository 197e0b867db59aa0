"""ECR-EFT bytes: the vectors of an independent terminal, and everything a line may do to them."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hw.ecreft.codec import (
    ETX,
    MAX_FRAME,
    STX,
    FrameParser,
    Message,
    encode,
    ending,
    lrc,
    start,
)
from hw.errors import DeviceRefused
from hw.payment import Approved, Declined, PaymentIntent

TOKENS = st.text("0123456789ABCDEF", min_size=1, max_size=6)
TYPES = st.from_regex(r"[A-Z][0-9A-Z]", fullmatch=True)
TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12)
FRAMES = st.tuples(TOKENS, TYPES, st.lists(TEXTS, max_size=8))
ORDER = PaymentIntent(attempt="A", sale="S", amount_minor=928)


def messages(data):
    return [event for event in FrameParser().feed(data) if isinstance(event, Message)]


@pytest.mark.parametrize(
    ("token", "kind", "frame"),
    [
        ("12", "T1", "02 31 32 1c 54 31 1c 03 65"),
        ("1", "T1", "02 31 1c 54 31 1c 03 57"),
        ("3", "P1", "02 33 1c 50 31 1c 03 51"),
    ],
)
def test_vectors_of_an_independent_terminal(token, kind, frame):
    data = bytes.fromhex(frame)
    assert lrc(data[1:-1]) == data[-1]
    assert encode(token, kind) == data
    assert messages(data) == [Message(token, kind)]


def test_an_independent_order_is_read():
    body = b"\x1c".join([b"2A31", b"S1", b"S", b"ABC1234567890", b"6", b"928", b"828", b"100"])
    body += b"\x1cPLN\x1c0\x1c30000\x1c\x03"
    assert lrc(body) == ord("I")
    [told] = messages(b"\x02" + body + b"I")
    assert (told.token, told.type, told.at(1), told.at(3)) == ("2A31", "S1", "ABC1234567890", "928")


@given(st.lists(FRAMES, min_size=1, max_size=4), st.data())
def test_round_trip_in_any_pieces(frames, data):
    sent = b"".join(encode(*frame) for frame in frames)
    parser, got = FrameParser(), []
    while sent:
        size = data.draw(st.integers(1, len(sent)))
        got += parser.feed(sent[:size])
        sent = sent[size:]
    assert [(m.token, m.type) for m in got] == [(f[0], f[1]) for f in frames]
    for message, frame in zip(got, frames, strict=True):
        assert message.fields == tuple(text.encode() for text in frame[2])


@given(st.binary(max_size=40), FRAMES)
@example(b"\x02\x41", ("1", "T1", []))
@example(b"\x02\x03", ("1", "T1", []))
@example(b"\x02A@\x03", ("1", "T1", []))
@example(b"\x03\x03\x02\x02", ("1", "T1", []))
@example(b"\x00", ("1", "T1", []))
def test_any_noise_before_a_frame(noise, frame):
    sent = encode(*frame)
    # Noise that is itself a frame, or eats the STX as its LRC, is no noise.
    assume(len(messages(noise + bytes((STX,)))) == len(messages(noise)))
    assert messages(noise + sent)[-1:] == messages(sent)


@pytest.mark.parametrize("value", [STX, ETX])
def test_an_lrc_that_looks_like_a_delimiter(value):
    found = next(
        frame
        for number in range(4096)
        if (frame := encode(f"{number:X}", "T2", ("x",)))[-1] == value
    )
    assert len(messages(found)) == 1
    assert len(messages(found * 3)) == 3


@given(FRAMES, st.data())
def test_one_wrong_byte_is_never_another_message(frame, data):
    sent = bytearray(encode(*frame))
    place = data.draw(st.integers(1, len(sent) - 1))
    sent[place] ^= data.draw(st.integers(1, 255))
    assert messages(bytes(sent)) == [] or sent[place] in {STX, ETX}
    assert messages(bytes(sent)) != messages(encode(*frame))


@given(st.binary(max_size=300))
def test_anything_is_survived(data):
    parser = FrameParser()
    parser.feed(data)
    # A frame at most is swallowed as what the noise had begun.
    assert any(isinstance(e, Message) for e in parser.feed(encode("1", "T1") * 2))


def test_a_frame_without_an_end_is_given_up():
    parser = FrameParser()
    assert parser.feed(b"\x02" + b"x" * 3 * MAX_FRAME) == []
    assert len(parser.feed(encode("1", "T1"))) == 1


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (lambda: encode("1", "T1", ["a\x1cb"]), "a.x1cb"),
        (lambda: encode("1", "T1", ["ż"]), "ż"),
        (lambda: encode("1234567", "T1"), "1234567"),
        (lambda: encode("1", "t1"), "t1"),
        (lambda: encode("1", "D6", ["x" * MAX_FRAME]), str(MAX_FRAME)),
        (lambda: start("1", ORDER, register="r" * 21, name="n", status=False), "r" * 21),
        (lambda: start("1", ORDER, register="r", name="n" * 21, status=False), "n" * 21),
    ],
)
def test_what_is_too_long_or_breaks_a_frame_is_named(wrong, named):
    with pytest.raises(DeviceRefused, match=named):
        wrong()


def test_an_order_and_a_question_differ_in_one_letter():
    frames = [
        messages(start("2A31", ORDER, register="K1", name="abc", status=status))[0].fields
        for status in (False, True)
    ]
    assert frames[0] == (b"S", b"K1", b"abc", b"928", b"928", b"0", b"PLN", b"")
    assert frames[1] == (b"C", *frames[0][1:])


@given(st.lists(TEXTS.map(str.encode), max_size=12), st.sampled_from(["S2", "I1", "D0"]))
def test_an_end_is_read_or_is_none(fields, kind):
    told = ending(Message("1", kind, tuple(fields)), ORDER)
    if isinstance(told, Approved):
        assert kind == "S2"
        assert int(fields[0]) == 0
        assert 0 <= told.approval.amount_minor < 10**12
    elif isinstance(told, Declined):
        assert int(fields[0]) != 0
    else:
        assert kind != "S2" or not fields or not (fields[0].isdigit() and len(fields[0]) <= 6)


def test_what_a_terminal_adds_is_left_out():
    fields = (b"0", b"34313131", b"123", b"POS1", b"7", b"900", b"28", b"Visa Debit", b"4111")
    told = ending(Message("1", "S2", fields), ORDER)
    assert told.approval.means == "VISA"
    assert (told.approval.amount_minor, told.approval.cashback_minor) == (900, 28)
    assert "34313131" not in repr(told)
    assert "fields" not in repr(Message("1", "S2", fields))
