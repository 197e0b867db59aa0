"""Cards: what they say, what is made of it, and a card that we did not write."""

import asyncio
import signal
import sys
import threading

import ndef
import nfc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.errors import DeviceMisconfigured, DeviceUnavailable
from hw.nfc.codec import MAX_TEXT, message_of, text_of, uid_of
from hw.nfc.simulator import Tag
from hw.registry import DeviceConfig, load
from tests.hw.until import PATIENCE_S


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60))
def test_a_text_comes_back(text):
    assert text_of(message_of(text)) == text


@given(st.binary(max_size=300))
def test_any_bytes_are_a_text_or_none(data):
    text = text_of(data)
    assert text is None or (text.isprintable() and 1 <= len(text) <= MAX_TEXT)


@given(st.integers(0, 60), st.integers(1, 255))
def test_a_damaged_card_says_something_printable_or_nothing(place, damage):
    data = bytearray(message_of("STAFF-0042"))
    data[place % len(data)] ^= damage
    text = text_of(bytes(data))
    assert text is None or text.isprintable()


def test_the_first_text_counts_and_no_link_does():
    link, text = ndef.UriRecord("https://karb.example"), ndef.TextRecord("A\x07 1")
    data = b"".join(ndef.message_encoder([link, text, ndef.TextRecord("B")]))
    assert text_of(data) == "A 1"
    assert text_of(b"".join(ndef.message_encoder([link]))) is None


@given(st.binary(min_size=4, max_size=10))
def test_numbers(raw):
    assert uid_of(raw) == ("" if len(raw) == 4 and raw[0] == 8 else raw.hex())


@given(st.binary(min_size=7, max_size=7), st.lists(st.binary(max_size=6), max_size=20))
def test_a_card_answers_only_what_it_knows(uid, heard):
    tag = Tag(uid, "x")
    for one in heard:
        answer = tag.answer(one)
        assert answer is None or len(answer) in {1, 2, 5, 16}
    assert tag.answer(b"\x26") == b"\x44\x00"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("usb:072f:2200", "usb:072f:2200"),
        ("serial:/dev/ttyUSB0", "tty:USB0:pn532"),
        ("udp:127.0.0.1:54321", "udp:127.0.0.1:54321"),
    ],
)
def test_places(url, path):
    assert load(DeviceConfig(id="r", driver="reader.nfc", url=url)).path() == path


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("tcp:1.2.3.4:5", {}),
        ("usb:072f", {}),
        ("usb:072f:2200", {"chip": "x"}),
        ("usb:072f:2200", {"technologies": "106A,999"}),
        ("usb:072f:2200", {"poll_s": "0"}),
    ],
)
async def test_what_cannot_be_is_said(url, options):
    with pytest.raises(DeviceMisconfigured):
        await load(DeviceConfig(id="r", driver="reader.nfc", url=url, options=options)).open()


async def test_a_reader_that_is_not_plugged_in():
    reader = load(DeviceConfig(id="r", driver="reader.nfc", url="usb:072f:2200"))
    with pytest.raises((DeviceUnavailable, DeviceMisconfigured), match="r at usb"):
        await reader.open()
    await reader.close()


async def test_a_card_that_the_library_itself_pretends_to_be(unused_udp_port):
    """A FeliCa card of nfcpy's own: neither end of the wire is ours."""
    place, stop = f"udp:127.0.0.1:{unused_udp_port}", threading.Event()
    data = message_of("STAFF-0042")
    head = bytearray((0x10, 4, 1, 0, 8, 0, 0, 0, 0, 0, 1, 0, 0, len(data)))
    memory = head + sum(head).to_bytes(2, "big") + data.ljust(64, b"\x00")

    def started(target):
        target.brty = "212F"
        target.sensf_res = bytearray.fromhex("01 02FE010203040506 FFFFFFFFFFFFFFFF 12FC")
        return target

    def connected(tag):
        def read(block, _begin, _end):
            return memory[16 * block : 16 * block + 16] or None

        tag.add_service(0x000B, read, lambda *_: False)
        return True

    def pretend():
        with nfc.ContactlessFrontend(place) as card:
            while not stop.is_set():
                card.connect(
                    card={"on-startup": started, "on-connect": connected}, terminate=stop.is_set
                )

    thread = threading.Thread(target=pretend, daemon=True)
    thread.start()
    reader = load(
        DeviceConfig(id="r", driver="reader.nfc", url=place, options={"technologies": "212F"})
    )
    await reader.open()
    async with asyncio.timeout(PATIENCE_S):
        card = await anext(reader.cards())
    assert (card.uid, card.text) == ("02fe010203040506", "STAFF-0042")
    stop.set()
    await reader.close()
    await asyncio.to_thread(thread.join, PATIENCE_S)


async def test_as_a_program_it_puts_a_card_in_the_field():
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hw.nfc.simulator", "--listen", "127.0.0.1:0"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    address = (await program.stdout.readline()).decode().strip()
    reader = load(
        DeviceConfig(
            id="r", driver="reader.nfc", url=f"udp:{address}", options={"technologies": "106A"}
        )
    )
    await reader.open()
    program.stdin.write(b"what\ncard a1b2c3d4 KLUB 7\n")
    async with asyncio.timeout(PATIENCE_S):
        card = await anext(reader.cards())
    assert (card.uid, card.text) == ("a1b2c3d4", "KLUB 7")
    await reader.close()
    program.send_signal(signal.SIGTERM)
    _, errors = await program.communicate()
    assert program.returncode == 0
    assert b"what" in errors
