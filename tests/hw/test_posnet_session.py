"""What a session makes of the answers, without a line."""

import asyncio

import pytest

from hw.posnet.codec import Command, command, encode
from hw.posnet.session import Session


class Line:
    """The link of a session: keeps what is written, says that it lives."""

    why_lost = None

    def __init__(self):
        self.written = []

    async def write(self, data):
        self.written.append(data)


@pytest.fixture
def session():
    session = Session("f", answer_timeout_s=5, first_token=7)
    session._link = Line()
    return session


async def answered(session, order, *answers):
    asking = asyncio.create_task(session.ask(order))
    await asyncio.sleep(0)
    for answer in answers:
        session._on_bytes(answer)
    return await asking


async def test_an_answer_out_of_turn_may_lack_its_token(session):
    frame = await answered(session, command("!sprn"), encode(command("sprn", pr=0)))
    assert frame.number("pr") == 0


async def test_no_other_answer_may(session):
    stray = encode(command("scnt", bn=1))
    late = encode(command("scnt", bn=2), 6)
    other = encode(command("strns", to=1), 7)
    right = encode(command("scnt", bn=3), 7)
    frame = await answered(session, command("scnt"), stray, late, other, right, right)
    assert frame.number("bn") == 3


async def test_tokens_go_round(session):
    session._token = 9999
    assert [session.next_token() for _ in range(3)] == [9999, 0, 1]
    await answered(session, command("scnt"), encode(Command("scnt"), 2))
    assert b"@0002" in session._link.written[0]
