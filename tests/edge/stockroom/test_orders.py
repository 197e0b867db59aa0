"""Orders of head office at a store: held as they come in, answered once, goods and rights right."""

from uuid import UUID

import pytest

from edge.stockroom.orders import AnsweredLine, AnswerRequest, answer
from edge.till.errors import BadDocument, Conflict, NotFound
from sync.facts.order import Answer, OrderPlaced
from sync.facts.rights import CellLines, Mode, Move, RightsMoved, StockPolicy
from tests.edge.store.rig import NOW
from tests.edge.store.test_holder import books, delivering, event, meet, selling, sound, two

HALF = StockPolicy("sku:a", Mode.LENIENT, floor_milli=0, web_percent=50)
ORDER = event(77)


def placing(central, holder, milli, about=ORDER):
    """Central holds, confirms and hands the right over, in one transaction."""
    lines = CellLines.by_cell({"a": milli})

    def work(unit):
        unit.append(RightsMoved(Move.HELD, lines), about)
        unit.append(OrderPlaced(unit.stream, holder, "web", NOW, lines), about)
        unit.append(RightsMoved(Move.FREED, lines), about)
        unit.append(RightsMoved(Move.GIVEN, lines, holder), about)

    return central.write(work)


def saying(word, *lines, number=1, who="jan", why=""):
    rows = tuple(AnsweredLine("a", milli) for milli in lines) or None
    return AnswerRequest(str(UUID(int=number)), word, who, rows, why)


async def say(node, *args, **more):
    request = saying(*args, **more)
    return await node.write(lambda unit: answer(unit, ORDER, request))


async def test_an_order_is_held_in_the_transaction_that_brings_it(tmp_path):
    async with two(tmp_path, HALF) as (a, b, central):
        await a.write(delivering(1, 10_000))
        await meet(a, b, central)
        await placing(central, a.stream, 3000)
        await meet(a, b, central)
        for node, right in ((a, 5000), (central, 2000), (b, 0)):
            assert await books(node) == (10_000, right, 3000, 0)
        (order,) = await b.orders()
        assert (order.state, order.left, order.held_by) == ("open", {"a": 3000}, {a.stream})
        # What is held is not sold: beyond its right the counter takes over, on record.
        await a.write(selling(2, 6000))
        assert await books(a) == (4000, 0, 3000, 1000)
        await sound(a, b, central)


async def test_picked_handed_and_unwanted(tmp_path):
    async with two(tmp_path, HALF) as (a, b, central):
        await a.write(delivering(1, 10_000))
        await meet(a, b, central)
        await placing(central, a.stream, 3000)
        await meet(a, central)
        assert (await say(a, "picked")).state == "picked"
        assert await books(a) == (10_000, 5000, 3000, 0)
        handed = await say(a, "handed", 2000, number=2)
        assert (handed.state, handed.left) == ("picked", {"a": 1000})
        assert await books(a) == (8000, 5000, 1000, 0)
        again = await say(a, "handed", 2000, number=2)
        assert again.answers == handed.answers
        assert await books(a) == (8000, 5000, 1000, 0)
        with pytest.raises(Conflict, match="another answer"):
            await say(a, "handed", 1000, number=2)
        with pytest.raises(Conflict, match="at most 1000"):
            await say(a, "handed", 2000, number=3)
        done = await say(a, "cancelled", number=4)
        assert (done.state, done.left) == ("handed", {})
        assert await books(a) == (8000, 6000, 0, 0)
        with pytest.raises(Conflict, match="nothing of it is left"):
            await say(a, "handed", number=5)
        await meet(a, b, central)
        assert await books(central) == (8000, 2000, 0, 0)
        assert (await central.order(ORDER)).answered(Answer.HANDED) == {"a": 2000}
        await sound(a, b, central)


async def test_what_is_short_is_written_off(tmp_path):
    async with two(tmp_path, HALF) as (a, b, central):
        await a.write(delivering(1, 10_000))
        await meet(a, b, central)
        await placing(central, a.stream, 3000)
        await meet(a, b, central)
        told = await say(a, "short", 1000, why="broken")
        assert (told.state, told.left) == ("open", {"a": 2000})
        assert await books(a) == (9000, 5000, 2000, 0)
        assert await say(a, "short", 1000, why="broken")
        assert await books(a) == (9000, 5000, 2000, 0)
        await sound(a, b, central)


async def test_answers_that_cannot_be(tmp_path):
    async with two(tmp_path, HALF) as (a, b, central):
        await a.write(delivering(1, 10_000))
        await meet(a, b, central)
        with pytest.raises(NotFound, match="none"):
            await say(a, "picked")
        await placing(central, a.stream, 3000)
        await meet(a, b, central)
        with pytest.raises(Conflict, match="held by"):
            await say(b, "picked")
        request = AnswerRequest(str(UUID(int=1)), "handed", "jan", (AnsweredLine("x", 1),))
        with pytest.raises(BadDocument, match="one of the order"):
            await a.write(lambda unit: answer(unit, ORDER, request))
        assert await books(a) == (10_000, 5000, 3000, 0)


async def test_an_order_that_comes_before_its_right_is_held_all_the_same(tmp_path):
    async with two(tmp_path, HALF) as (a, b, central):
        await a.write(delivering(1, 10_000))
        await a.write(selling(2, 5000))
        await meet(a, b, central)
        lines = CellLines.by_cell({"a": 3000})

        async def write(*bodies):
            await central.write(lambda u: [u.append(body, ORDER) for body in bodies])
            await meet(a, b, central)

        placed = OrderPlaced(central.stream, a.stream, "web", NOW, lines)
        await write(RightsMoved(Move.HELD, lines), placed)
        assert (await books(a))[:3] == (5000, -3000, 6000)  # central's hold, and its own
        await write(RightsMoved(Move.FREED, lines), RightsMoved(Move.GIVEN, lines, a.stream))
        assert await books(a) == (5000, 0, 3000, 0)
        await say(a, "handed")
        await meet(a, b, central)
        assert await books(central) == (2000, 2000, 0, 0)
        await sound(a, b, central)


async def test_a_new_life_answers_what_the_one_before_held(tmp_path):
    async with two(tmp_path, HALF) as (a, b, central):
        await a.write(delivering(1, 10_000))
        await meet(a, b, central)
        await placing(central, a.stream, 3000)
        await meet(a, b, central)
        await a.begin_life(99, "other machine")
        assert (await say(a, "picked")).state == "picked"
        assert await books(b) == (10_000, 0, 3000, 0)
