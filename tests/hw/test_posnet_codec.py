from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.errors import DeviceRefused, DeviceUnavailable
from hw.fiscal import LAW, FiscalLine, FiscalReceipt, Tender, Vat, VatTable
from hw.posnet.codec import (
    ETX,
    MAX_FRAME,
    STX,
    Command,
    Frame,
    FrameParser,
    checksum,
    command,
    decimal,
    encode,
    ending,
    milli,
    opening,
    rate_field,
    vat_table,
)
from tests.hw.test_fiscal import receipts

TABLE = VatTable(LAW)

names = st.from_regex(r"!?[a-z]{3,12}", fullmatch=True)
values = st.text(st.characters(codec="cp1250", exclude_categories=["Cc"]), max_size=60)
fields = st.dictionaries(st.from_regex(r"[a-z]{2}", fullmatch=True), values, max_size=6)
orders = st.builds(lambda name, told: Command(name, tuple(told.items())), names, fields)
tokens = st.integers(0, 9999)


def pieces(data, cuts):
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


def read(data, cuts=()):
    parser = FrameParser()
    return [frame for piece in pieces(data, cuts) for frame in parser.feed(piece)]


def test_official_vectors():
    assert checksum(b"123456789") == b"31C3"
    assert encode(command("trinit", bm=False)) == b"\x02trinit\x09bm0\x09#4825\x03"
    assert encode(command("trinit", bm=True)) == b"\x02trinit\x09bm1\x09#7B14\x03"
    assert encode(command("scomm")) == b"\x02scomm\x09#C42B\x03"


@given(orders, tokens)
def test_round_trip(order, token):
    assert read(encode(order, token)) == [Frame(order.name, dict(order.fields), token)]


@given(st.lists(st.tuples(orders, tokens), max_size=4), st.lists(st.integers(0, 5000)))
def test_the_same_however_split(sent, cuts):
    data = b"".join(encode(order, token) for order, token in sent)
    assert read(data, cuts) == [Frame(o.name, dict(o.fields), t) for o, t in sent]


@given(st.binary(max_size=200), orders, tokens)
def test_any_noise_before_a_frame(noise, order, token):
    frames = read(noise + encode(order, token))
    assert frames[-1:] == [Frame(order.name, dict(order.fields), token)]


@given(orders, tokens, st.data())
def test_half_a_frame_does_not_spoil_the_next(order, token, data):
    whole = encode(order, token)
    half = whole[: data.draw(st.integers(0, len(whole) - 1))]
    assert read(half + whole) == [Frame(order.name, dict(order.fields), token)]


@given(orders, tokens, st.data())
def test_a_flipped_bit_is_noticed(order, token, data):
    whole = bytearray(encode(order, token))
    at = data.draw(st.integers(1, len(whole) - 2))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    if whole[at] not in {STX[0], ETX[0]}:
        assert read(bytes(whole)) == []


def test_what_never_ends_is_dropped():
    parser = FrameParser()
    assert parser.feed(STX + b"x" * (MAX_FRAME + 1)) == []
    assert parser.damaged == 1
    assert len(parser._rest) == 0
    assert parser.feed(encode(command("scomm"))) == [Frame("scomm", {})]


@pytest.mark.parametrize(
    ("body", "frame"),
    [
        (b"trline\x09@0007\x09?2106\x09", Frame("trline", {}, 7, 2106)),
        (b"trline\x09@0007\x09?2106", Frame("trline", {}, 7, 2106)),
        (b"ERR\x09@0009\x09?5\x09cmtrend\x09", Frame("ERR", {"cm": "trend"}, 9, 5)),
        (b"ERR\x09@0009\x09er13\x09cmrpt\x09", Frame("ERR", {"er": "13", "cm": "rpt"}, 9, 13)),
        (b"formline\x09na#1 SER#\x09", Frame("formline", {"na": "#1 SER#"})),
    ],
)
def test_answers_as_devices_and_the_specification_write_them(body, frame):
    assert read(STX + body + b"#" + checksum(body) + ETX) == [frame]


def receipt_named(name):
    line = FiscalLine(name=name, quantity_milli=1000, unit_minor=499, vat=Vat(500))
    return FiscalReceipt(
        job="S", lines=(line,), payments=(Tender(means="cash", amount_minor=499),), total_minor=499
    )


@given(st.text(max_size=90))
def test_no_name_becomes_another_field(name):
    """Whatever an article is called: it arrives as that name, or the receipt is refused."""
    try:
        orders = opening(receipt_named(name), TABLE)
    except DeviceRefused:
        return
    [frame] = read(encode(next(order for order in orders if order.name == "trline"), 1))
    assert frame.fields == {
        "na": name,
        "vt": "2",
        "pr": "499",
        "wa": "499",
        "il": "1",
        "st": "0",
    }


@given(receipts())
def test_every_receipt_is_framed_whole(receipt):
    sent = [*opening(receipt, TABLE), ending(receipt)]
    assert [frame.name for frame in read(b"".join(map(encode, sent)))] == [o.name for o in sent]
    assert sent[-1].fields[0] == ("to", str(receipt.total_minor))


@pytest.mark.parametrize("name", ["a\x09vt0", "a\x02", "a\x03#0000", "Łódź\n", "中", "x" * 81])
def test_what_cannot_be_sent_names_value_and_cure(name):
    with pytest.raises(DeviceRefused) as caught:
        opening(receipt_named(name), TABLE)
    assert repr(name[:40])[:-1] in caught.value.problem
    assert caught.value.cure


@given(st.integers(1, 10**12))
def test_quantities_round_trip(thousandths):
    assert milli(decimal(thousandths)) == thousandths


def test_rates_as_the_device_tells_them():
    told = {f"v{a.lower()}": rate_field(vat) for a, vat in LAW}
    assert told == {"va": "23,00", "vb": "8,00", "vc": "5,00", "vd": "0,00", "ve": "100,00"}
    assert vat_table(told | {"vf": "101,00", "vg": "101,00"}) == TABLE
    with pytest.raises(DeviceUnavailable, match="VAT rate A"):
        vat_table({"va": "x"})


@pytest.mark.parametrize("ask", ["text", "number", "flag"])
def test_an_answer_that_lacks_its_fields_is_no_printer(ask):
    with pytest.raises(DeviceUnavailable, match="expected bn"):
        getattr(Frame("scnt", {}), ask)("bn")
    if ask != "text":
        with pytest.raises(DeviceUnavailable):
            getattr(Frame("scnt", {"bn": "-x"}), ask)("bn")
