"""What every card reader's driver must do: tell each card once, and never a wrong number."""

import asyncio

import pytest

from hw.device import Card
from hw.errors import DeviceUnavailable
from tests.contract.rigs import NfcRig
from tests.hw.until import PATIENCE_S, until

BADGE, LOYALTY = "1de3a4b59c7f80", "a1b2c3d4"


@pytest.fixture
async def rig():
    rig = NfcRig()
    rig.reader = await rig.start()
    yield rig
    await rig.reader.close()
    await rig.stop()


async def told(rig, count=1):
    """The next cards."""
    cards = rig.reader.cards()
    async with asyncio.timeout(PATIENCE_S):
        return [await anext(cards) for _ in range(count)]


async def test_a_card_is_told_with_its_number_and_its_text(rig):
    await rig.reader.open()
    rig.obey(f"card {BADGE} STAFF-0042")
    [card] = await told(rig)
    assert card == Card(uid=BADGE, text="STAFF-0042", at_s=card.at_s, device="reader", till="1")


@pytest.mark.parametrize(
    ("card", "uid", "text"),
    [
        (LOYALTY, LOYALTY, None),
        (f"{LOYALTY} Zażółć gęślą jaźń", LOYALTY, "Zażółć gęślą jaźń"),
        ("08112233", "", None),
        ("08112233 KLUB 1", "", "KLUB 1"),
        ("04a2b3c4d5e680 NTAG", "04a2b3c4d5e680", "NTAG"),
    ],
    ids=["plain", "four bytes", "telephone", "telephone with text", "asked its version"],
)
async def test_kinds_of_cards(rig, card, uid, text):
    await rig.reader.open()
    rig.obey(f"card {card}")
    [read] = await told(rig)
    assert (read.uid, read.text) == (uid, text)


async def test_one_touch_is_one_event_and_the_next_is_another(rig):
    await rig.reader.open()
    for card in (BADGE, LOYALTY, BADGE):
        rig.obey(f"card {card}")
        [read] = await told(rig)
        assert read.uid == card
        rig.obey("leave")
    assert rig.reader._cards.empty()


async def test_a_card_that_flickers_is_one_touch():
    rig = NfcRig()
    reader = rig.reader = await rig.start(again_s="60")
    await reader.open()
    rig.obey(f"card {BADGE}")
    [first] = await told(rig)
    touched, _ = reader._last[2], rig.obey("leave")
    rig.obey(f"card {BADGE}")
    await until(lambda: reader._last[2] > touched, what="it was read again")
    rig.obey("leave")
    rig.obey(f"card {LOYALTY}")
    [second] = await told(rig)
    assert [first.uid, second.uid] == [BADGE, LOYALTY]
    await reader.close()
    await rig.stop()


async def test_taken_away_at_any_exchange_tells_no_wrong_number(rig):
    await rig.reader.open()
    for count in range(0, 14, 2):
        rig.obey(f"card {BADGE} STAFF-0042")
        rig.obey(f"leave after {count}")
        await until(lambda: rig.simulator.tag is None, what="it was taken away")
    rig.obey(f"card {LOYALTY}")
    seen = []
    async with asyncio.timeout(PATIENCE_S):
        async for card in rig.reader.cards():
            seen.append(card)
            if card.uid == LOYALTY:
                break
    assert {(card.uid, card.text) for card in seen[:-1]} <= {(BADGE, "STAFF-0042"), (BADGE, None)}


async def test_noise_is_no_card(rig):
    await rig.reader.open()
    rig.obey("noise on")
    rig.obey(f"card {BADGE}")
    rig.obey("leave after 3")
    await until(lambda: rig.simulator.tag is None, what="the reader asked")
    rig.obey("noise off")
    rig.obey(f"card {LOYALTY}")
    assert (await told(rig))[0].uid == LOYALTY


async def test_closing_says_why_and_opens_again(rig):
    await rig.reader.open()
    waiting = asyncio.create_task(told(rig))
    await asyncio.sleep(0)
    await rig.reader.close()
    with pytest.raises(DeviceUnavailable, match="closed"):
        await waiting
    assert isinstance(await rig.reader.lost(), DeviceUnavailable)
    await rig.reader.open()
    rig.obey(f"card {BADGE}")
    assert (await told(rig))[0].uid == BADGE
