import re
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from hw.device import PrinterStatus
from hw.errors import DeviceMisconfigured
from hw.escpos.codec import (
    _ID_ALPHABET,
    PAPER_QUESTIONS,
    AnswerParser,
    Encoder,
    PaperByte,
    Processed,
    StatusByte,
    paper_requests,
    printer_status,
    process_id,
    proof_request,
    status_request,
)
from hw.escpos.machine import Interpreter, Machine
from hw.escpos.raster import command, letters
from hw.paper import Raster, Text
from hw.slip import Barcode, Columns, Cut, Logo, OpenDrawer, QrCode, Rule, Slip, TextLine

PROFILES = {name: Encoder(profile=name) for name in ("default", "simple", "TM-T88III", "POS-5890")}

texts = st.text(max_size=60)
elements = st.one_of(
    st.builds(
        TextLine,
        text=texts,
        bold=st.booleans(),
        double=st.booleans(),
        align=st.sampled_from(["left", "center", "right"]),
    ),
    st.builds(Columns, left=texts, right=texts, bold=st.booleans(), double=st.booleans()),
    st.just(Rule()),
    st.builds(
        QrCode,
        st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60),
    ),
    st.builds(Barcode, st.from_regex(r"[0-9]{13}", fullmatch=True)),
    st.builds(Barcode, st.from_regex(r"[ -~]{1,40}", fullmatch=True), symbology=st.just("code128")),
    st.just(Logo()),
    st.just(Cut()),
    st.builds(OpenDrawer, st.sampled_from([2, 5])),
)
slips = st.lists(elements, min_size=1, max_size=8).map(lambda e: Slip("job", tuple(e)))


def pieces(data, cuts):
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


def run(data, cuts=(), columns=48):
    machine, sent = Machine(columns=columns), []
    interpreter = Interpreter(machine, sent.append)
    for piece in pieces(data, cuts):
        interpreter.feed(piece)
    assert interpreter._buffer == b"", "every command was complete"
    return machine, sent


def count(slip, kind):
    return sum(isinstance(element, kind) for element in slip.elements)


@given(slips, st.sampled_from(sorted(PROFILES)))
def test_the_printer_does_what_the_slip_says_and_nothing_else(slip, profile):
    machine, sent = run(PROFILES[profile].encode(slip))
    assert machine.drawer_pulses == count(slip, OpenDrawer)
    knife = profile not in {"POS-5890", "simple"}
    assert len(machine.receipts) == (count(slip, Cut) if knife else 0)
    assert machine.unknown == []
    assert sent == [], "no text can make the printer answer"
    printed = [line for receipt in machine.receipts for line in receipt.lines] + machine.paper
    assert sum(line.text.startswith("[barcode") for line in printed) == count(slip, Barcode)


@given(slips, st.lists(st.integers(0, 5000)))
def test_a_job_prints_the_same_however_split(slip, cuts):
    data = PROFILES["default"].encode(slip) + proof_request(process_id("job"))
    assert run(data) == run(data, cuts)


@given(st.text("aąbćłŻ ó€\x1b\x1d\x10\x04\x14\x05\n\x00", max_size=200))
def test_no_text_is_a_command(text):
    data = PROFILES["default"].encode(Slip("job", (TextLine(text=text),)))
    body = data.removeprefix(b"\x1b@\x1bt\x12")
    style, found, shown = body.partition(b"\x1ba\x00")
    assert found
    assert re.fullmatch(rb"(\x1b!\x00)+\x1bE\x00", style)
    assert all(byte == 0x0A or byte >= 0x20 for byte in shown)


def test_polish_letters_come_out_right():
    pangram = "Zażółć gęślą jaźń ZAŻÓŁĆ GĘŚLĄ JAŹŃ"
    slip = Slip("job", (TextLine(text=pangram), Cut()))
    data = PROFILES["default"].encode(slip)
    assert b"\x1bt\x12" in data, "CP852 is page 18"
    assert pangram.encode("cp852") in data
    assert run(data)[0].receipts[0].text == pangram


@pytest.mark.parametrize("profile", ["TM-T88III", "simple"])
def test_letters_that_the_printer_lacks_are_drawn(profile):
    pangram = "Zażółć gęślą jaźń ZAŻÓŁĆ GĘŚLĄ JAŹŃ"
    encoder = PROFILES[profile]
    slip = Slip("job", (TextLine(text=pangram), TextLine(text="plain"), Cut()))
    [drawn, plain, *_] = printed(run(encoder.encode(slip))[0])
    assert plain.text == "plain"
    told = letters([Text(pangram)], encoder._width, encoder._cell)
    assert drawn.mark == told
    assert told.width >= 12 * len(pangram)
    assert told != letters([Text("Zazolc gesla jazn ZAZOLC GESLA JAZN")], told.width, 12)


def test_letters_that_nothing_can_draw_are_plain():
    """Needle printers: no page, no pictures. Better plain letters than question marks."""
    slip = Slip("job", (TextLine(text="Zażółć gęślą jaźń"), QrCode("https://karb.example")))
    data = Encoder(profile="TM-U220").encode(slip)
    assert b"Zazolc gesla jazn" in data
    assert b"https://karb.example" in data, "what it cannot draw is at least told"


def printed(machine):
    return [line for receipt in machine.receipts for line in receipt.lines] + machine.paper


@given(
    st.binary(min_size=8, max_size=600)
    | st.lists(st.sampled_from([0x10, 0x04, 0x05, 0x14, 0x01, 0x00]), min_size=8, max_size=600).map(
        bytes
    )
)
def test_no_picture_is_a_command(dots):
    picture = Raster(8, dots)
    data = command(picture)
    assert not re.search(rb"\x10[\x04\x05\x14]", data)
    machine, sent = run(data)
    assert (sent, machine.unknown, machine.drawer_pulses) == ([], [], 0)
    got = b"".join(line.mark.dots for line in machine.paper)
    assert len(got) == len(dots)
    assert all(a == b or (b, a) == (0x10, 0x18) for a, b in zip(got, dots, strict=True))


def test_a_logo_is_printed_where_there_is_one(tmp_path):
    file = tmp_path / "logo.png"
    picture = Image.new("RGBA", (1000, 100))
    ImageDraw.Draw(picture).rectangle((0, 0, 999, 49), fill="black")
    picture.save(file)
    slip = Slip("job", (Logo(), TextLine(text="a"), Cut()))
    for profile in ("default", "simple"):
        machine, _ = run(Encoder(profile=profile, logo=file).encode(slip))
        [drawn] = [line for line in printed(machine) if line.mark]
        assert drawn.align == 1
        assert (drawn.mark.width, drawn.mark.height) == (504, 50)
        black = sum(byte.bit_count() for byte in drawn.mark.dots)
        assert black == pytest.approx(504 * 25, rel=0.05), "what is see-through is white"
        machine, _ = run(PROFILES[profile].encode(slip))
        assert [line.text for line in printed(machine) if line.text] == ["a"]


def test_a_logo_that_is_none_is_refused(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    Image.new("1", (8, 5000)).save(tmp_path / "long.png")
    for name in ("text.png", "long.png", "none.png"):
        with pytest.raises(DeviceMisconfigured, match=name):
            Encoder(logo=tmp_path / name)
    with pytest.raises(DeviceMisconfigured, match="no pictures"):
        Encoder(profile="TM-U220", logo=tmp_path / "none.png")


def test_double_size_has_half_the_width():
    slip = Slip("job", (TextLine(text="a " * 30, double=True), Cut()))
    lines = run(PROFILES["default"].encode(slip), columns=42)[0].receipts[0].text.splitlines()
    assert max(map(len, lines)) <= 21


def test_qr_without_the_command_is_an_image():
    slip = Slip("job", (QrCode("https://karb.example"),))
    machine, _ = run(PROFILES["simple"].encode(slip))
    assert any(line.text.startswith("[image") for line in machine.paper)


def test_chinese_models_leave_double_byte_mode():
    slip = Slip("job", (TextLine(text="ą"),))
    assert b"\x1c." in Encoder(kanji_off=True).encode(slip)
    assert b"\x1c." not in PROFILES["default"].encode(slip)


def test_unknown_profile_is_refused_with_a_suggestion():
    with pytest.raises(DeviceMisconfigured, match="Did you mean 'TM-T88V'"):
        Encoder(profile="TM-T88v")
    with pytest.raises(DeviceMisconfigured, match="columns"):
        Encoder(columns=5)


def test_encoding_writes_nothing_on_standard_output(capsys):
    PROFILES["default"].encode(Slip("job", (Barcode("5901234123457"), QrCode("a"), Cut())))
    assert capsys.readouterr() == ("", "")


@given(st.text(), st.text())
def test_process_ids(job, other):
    identity = process_id(job)
    assert len(identity) == 4
    assert all(0x20 <= byte <= 0x7E for byte in identity)
    assert (identity == process_id(other)) == (job == other)


def test_process_ids_cannot_be_taken_for_a_status():
    assert not [chr(byte) for byte in _ID_ALPHABET if byte & 0x93 == 0x12 or byte == 0x37]
    assert len(set(_ID_ALPHABET)) == len(_ID_ALPHABET)


statuses = st.integers(0, 255).map(lambda byte: byte & ~0x93 | 0x12).map(StatusByte)
echoes = st.text().map(process_id).map(Processed)
noises = st.binary(max_size=5).map(
    lambda data: bytes(byte for byte in data if byte & 0x93 != 0x12 and byte != 0x37)
)


def to_bytes(answer):
    match answer:
        case StatusByte(value):
            return bytes((value,))
        case Processed(identity):
            return b"\x37\x22" + identity + b"\x00"


@given(st.lists(st.tuples(noises, statuses | echoes)), st.lists(st.integers(0, 500)))
def test_answers_come_back_however_split_and_between_noise(answers, cuts):
    data = b"".join(noise + to_bytes(answer) for noise, answer in answers)
    parser = AnswerParser()
    got = [answer for piece in pieces(data, cuts) for answer in parser.feed(piece)]
    assert got == [answer for _, answer in answers]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_any_bytes_give_the_same_answers_however_split(data, cuts):
    whole, parser = AnswerParser().feed(data), AnswerParser()
    assert [answer for piece in pieces(data, cuts) for answer in parser.feed(piece)] == whole
    assert len(parser._rest) < 7


@given(st.lists(st.sampled_from([0x00, 0x03]) | statuses.map(lambda s: s.value), max_size=20))
def test_the_weak_proof_is_told_from_a_status_and_only_when_asked_for(sent):
    got = AnswerParser(paper=True).feed(bytes(sent))
    kinds = [PaperByte(byte) if byte < 4 else StatusByte(byte) for byte in sent]
    assert got == kinds
    assert AnswerParser().feed(bytes(sent)) == [kind for kind in kinds if kind.value > 3]


def test_the_weak_proof_waits_its_turn():
    slip = Slip("job", (TextLine(text="a"), TextLine(text="b"), Cut()))
    machine, sent = Machine(lines_left=1), []
    interpreter = Interpreter(machine, sent.append)
    interpreter.feed(PROFILES["default"].encode(slip) + paper_requests())
    assert sent == [], "it has run out of paper, and answers when there is some"
    machine.paper_out = False
    interpreter.work()
    assert AnswerParser(paper=True).feed(b"".join(sent)) == [PaperByte(0)] * PAPER_QUESTIONS


@pytest.mark.parametrize(
    "frame", [b"\x37\x22ABCD", b"\x37\x22ABCD\x01", b"\x37ABCD\x00", b"\x22ABCD\x00", b"ABCD\x00"]
)
def test_an_incomplete_echo_proves_nothing(frame):
    assert AnswerParser().feed(frame) == []


def test_status_bits():
    fine = 0x12
    assert printer_status(fine, fine, fine) == PrinterStatus()
    assert printer_status(0x1A, fine, fine).trouble == "offline"
    assert printer_status(0x1A, 0x16, fine).trouble == "cover_open"
    assert printer_status(0x1A, 0x52, fine).trouble == "error"
    assert printer_status(0x1A, 0x32, fine).trouble == "paper_end"
    assert printer_status(fine, fine, 0x72).trouble == "paper_end"
    low = printer_status(fine, fine, 0x1E)
    assert (low.paper_low, low.trouble) == (True, None)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_machine_answers_at_once_even_inside_other_data(n):
    machine, sent = Machine(paper_out=True), []
    interpreter = Interpreter(machine, sent.append)
    interpreter.feed(b"\x1dk\x02" + status_request(n)[:2])
    interpreter.feed(status_request(n)[2:])
    interpreter.feed(b"\x10\x04\x00\x10\x04\x05\x04\x01")
    assert sent == [bytes((machine.status(n),))]


def test_a_slip_of_text_loads_no_imaging_library():
    code = (
        "import sys; from hw.escpos.codec import Encoder; from hw.slip import *;"
        "text = Encoder().encode(Slip('job', (TextLine(text='a'), QrCode('b'), Cut())));"
        "pictures = [m for m in ('PIL', 'qrcode', 'yaml') if m in sys.modules];"
        "image = Encoder(profile='simple').encode(Slip('job', (QrCode('b'),)));"
        "print(pictures, 'PIL.Image' in sys.modules, len(text) < 200 < len(image))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "[] True True", told.stderr
