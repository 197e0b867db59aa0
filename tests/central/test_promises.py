"""Promises over HTTP, with stores' machines that answer: held, confirmed, short, moved."""

import uuid

import msgspec
import pytest

from central import orders
from central.ledger import author, shelves, upkeep
from central.ledger.errors import Refused
from central.ledger.ingest import Incoming
from central.ledger.ledger import Ledger
from central.stock import keeping, promising
from central.stock.request import PromiseRequest
from sync.exchange.session import Received
from sync.facts import decode
from sync.facts.node import StreamClosed
from sync.facts.order import Answer, Ending, OrderAnswered, OrderPlaced
from sync.facts.rights import CellLines, Move, RightsMoved, RightsWanted
from sync.facts.stock import GoodsMoved, Movement
from sync.identity import Identity, raw_public
from tests.central.machine import delivery, sale

JSON = {"Content-Type": "application/json"}
ARTICLES = {
    "articles": [
        {"sku": sku, "name": f"Article {sku}", "vat": "23", "price_minor": 100, "group": "all"}
        for sku in "AB"
    ]
}


def body(*lines, id=None, **more):  # noqa: A002 - the field's own name
    return {
        "id": id or str(uuid.uuid4()),
        "channel": "web",
        "lines": [{"sku": sku, "quantity_milli": milli} for sku, milli in lines],
        "expires_s": 900,
    } | more


class Web:
    """Somebody who sells elsewhere."""

    def __init__(self, lab, write):
        self.lab, self.token = lab, write

    async def post(self, path, told=None, *, status=200):
        data = None if told is None else msgspec.json.encode(told)
        answer, said = await self.lab.ask(
            "POST", path, token=self.token, data=data, headers=JSON if told is not None else {}
        )
        assert answer.status == status, said
        return msgspec.json.decode(said)

    async def promise(self, told, *, status=201):
        return await self.post("/v1/promises", told, status=status)

    async def get(self, path, *, status=200):
        return await self.lab.json(path, token=self.token, status=status)

    async def stock(self, store, sku):
        (row,) = (await self.get(f"/v1/stock?store={store}&sku={sku}"))["stock"]
        return row


@pytest.fixture
async def web(lab):
    made = Web(lab, await lab.token("write"))
    await made.post("/v1/catalogue", ARTICLES)
    return made


async def stocked(lab, store="S1", give=5000, have=8000, sku="A"):
    """A store whose node has goods and gave head office a part of the right."""
    machine = await lab.machine(store)
    machine.writer.write(delivery((sku, have)))
    own = lab.ledger.own.stream(store)
    machine.writer.write(RightsMoved(Move.GIVEN, CellLines.by_cell({sku: give}), own))
    await machine.exchange(machine.writer.batch())
    machine.sent = len(machine.writer.facts)
    return machine


async def say(machine, *told):
    for body_, event in told:
        machine.writer.write(body_, event)
    status, *_ = await machine.exchange(machine.writer.batch(machine.sent + 1))
    assert status == 200
    machine.sent = len(machine.writer.facts)


async def heard(machine):
    """What central has for the store: bodies by event, in order."""
    _, events, _ = await machine.exchange()
    return [
        (fact.event, decode(fact))
        for event in events
        if isinstance(event, Received)
        for fact in event.batch.facts
    ]


def orders_of(told):
    return [(event, body_) for event, body_ in told if isinstance(body_, OrderPlaced)]


async def waiting(web):
    found = (await web.get("/v1/waiting"))["waiting"]
    assert all(one["oldest_ms"] > 0 for one in found)
    return [(one["kind"], one["store"], one["count"]) for one in found]


async def settle(lab):
    """Let what happens by itself happen now."""
    return await lab.ledger.write(keeping.turn)


async def test_a_promise_is_held_confirmed_and_reaches_its_store(lab, web):
    machine = await stocked(lab)
    asked = body(("A", 3000))
    made = await web.promise(asked)
    assert (made["state"], [p["store"] for p in made["places"]]) == ("held", ["S1"])
    assert await web.promise(asked, status=200) == made
    assert await waiting(web) == [("promise", "S1", 1)]
    row = await web.stock("S1", "A")
    assert (row["quantity_milli"], row["reserved_milli"], row["web_milli"]) == (8000, 3000, 2000)
    assert [(r["holder"], r["right_milli"]) for r in row["rights"] if r["holder"] == "web"] == [
        ("web", 2000)
    ]
    assert all(r["age_ms"] >= 0 and r["as_of_ms"] for r in row["rights"])
    path = f"/v1/promises/{asked['id']}"
    done = await web.post(path + "/confirm")
    assert (done["state"], done["places"][0]["state"]) == ("confirmed", "ordered")
    assert await web.post(path + "/confirm") == done == await web.get(path)
    ((event, order),) = orders_of(await heard(machine))
    assert event == uuid.UUID(asked["id"]).bytes
    assert await waiting(web) == [("order", "S1", 1)]
    assert (order.holder, order.lines.amounts()) == (machine.writer.stream, {"A": 3000})
    # The store holds it, hands it out; central hears both.
    held = CellLines.by_cell({"A": 3000})
    await say(machine, (RightsMoved(Move.HELD, held), event))
    assert (await web.stock("S1", "A"))["reserved_milli"] == 3000
    await say(machine, (OrderAnswered(Answer.PICKED, 1, 2, held, bytes(16), "jan"), event))
    assert (await web.get(path))["places"][0]["state"] == "picked"
    assert await waiting(web) == [("order", "S1", 1)], "picked is not handed over"
    await say(
        machine,
        (OrderAnswered(Answer.HANDED, 2, 2, held, bytes(16), "jan"), event),
        (RightsMoved(Move.DONE, held), event),
    )
    told = await web.get(path)
    assert told["places"][0]["state"] == "handed"
    assert told["places"][0]["lines"][0]["handed_milli"] == 3000
    row = await web.stock("S1", "A")
    assert (row["quantity_milli"], row["reserved_milli"]) == (5000, 0)
    assert (await web.get("/v1/exceptions"))["stock"] == []
    assert await waiting(web) == []


async def test_more_than_there_is_is_refused_with_its_reason_and_counted(lab, web):
    machine = await stocked(lab, give=5000, have=8000)
    told = await web.promise(body(("A", 6000)), status=409)
    (wrong,) = told["errors"]
    assert (wrong["where"], wrong["value"]) == ("lines[0].sku", "A")
    assert "5000" in wrong["expected"]
    assert "6000" in wrong["expected"]
    figures = await web.get("/v1/promises/figures")
    assert (figures["refused"], figures["served_elsewhere"], figures["oversold_milli"]) == (1, 1, 0)
    assert (figures["short_milli"], figures["elsewhere_milli"]) == (1000, 1000)
    assert figures["articles"][0]["sku"] == "A"
    # Rights follow demand: the store was asked for what was missing, and gives.
    wanted = [(e, b) for e, b in await heard(machine) if isinstance(b, RightsWanted)]
    ((event, wish),) = wanted
    assert wish.lines.amounts() == {"A": 1000}
    given = RightsMoved(Move.GIVEN, wish.lines, lab.ledger.own.stream("S1"))
    await say(machine, (given, event))
    assert (await web.promise(body(("A", 6000))))["state"] == "held"
    # Nobody has more: plainly refused.
    told = await web.promise(body(("A", 10**9)), status=409)
    assert "A" in told["detail"]
    assert (await web.get("/v1/promises/figures"))["served_elsewhere"] == 1


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"lines": []}, 422, "lines"),
        ({"lines": [{"sku": "A", "quantity_milli": 0}]}, 422, "quantity_milli"),
        ({"lines": [{"sku": "A", "quantity_milli": -1000}]}, 422, "quantity_milli"),
        ({"lines": [{"sku": "A", "quantity_milli": 1 << 60}]}, 422, "quantity_milli"),
        ({"lines": [{"sku": "A", "quantity_milli": 1.5}]}, 422, "quantity_milli"),
        ({"lines": [{"sku": "NOPE", "quantity_milli": 1}]}, 422, "NOPE"),
        ({"stores": ["NOPE"]}, 422, "NOPE"),
        ({"stores": []}, 422, "stores"),
        ({"id": "7"}, 422, "id"),
        ({"expires_s": 0}, 422, "expires_s"),
        ({"expires_s": 10**9}, 422, "expires_s"),
        ({"channel": ""}, 422, "channel"),
        ({"color": "red"}, 422, "color"),
    ],
)
async def test_bad_promises(lab, web, change, status, word):
    await stocked(lab)
    before = dict(lab.ledger.published.cursors("S1"))
    told = await web.promise(body(("A", 1000)) | change, status=status)
    assert word in msgspec.json.encode(told).decode()
    assert lab.ledger.published.cursors("S1") == before


async def test_an_id_stands_for_one_promise(lab, web):
    await stocked(lab)
    asked = body(("A", 1000))
    await web.promise(asked)
    told = await web.promise(body(("A", 2000), id=asked["id"]), status=409)
    assert asked["id"] in told["detail"]
    assert (await web.stock("S1", "A"))["reserved_milli"] == 1000
    await web.get(f"/v1/promises/{uuid.uuid4()}", status=404)
    await web.get("/v1/promises/x", status=400)
    await web.post(f"/v1/promises/{uuid.uuid4()}/confirm", status=404)


async def test_what_is_over_cannot_be_confirmed(lab, web):
    await stocked(lab)
    asked = body(("A", 1000))
    await web.promise(asked)
    path = f"/v1/promises/{asked['id']}"
    done = await web.post(path + "/release")
    assert (done["state"], done["places"][0]["state"]) == ("released", "released")
    assert await web.post(path + "/release") == done
    assert "released" in (await web.post(path + "/confirm", status=409))["detail"]
    assert (await web.stock("S1", "A"))["web_milli"] == 5000
    asked = body(("A", 1000))
    await web.promise(asked)
    await web.post(f"/v1/promises/{asked['id']}/confirm")
    told = await web.post(f"/v1/promises/{asked['id']}/release", status=409)
    assert "order" in told["detail"]


async def test_several_places_or_none(lab, web):
    await stocked(lab, "S1", 3000, 3000, "A")
    await stocked(lab, "S2", 3000, 3000, "B")
    told = await web.promise(body(("A", 2000), ("B", 4000)), status=409)
    assert [wrong["value"] for wrong in told["errors"]] == ["B"]
    assert (await web.stock("S1", "A"))["reserved_milli"] == 0
    made = await web.promise(body(("A", 2000), ("B", 3000)))
    assert {p["store"]: p["lines"][0]["sku"] for p in made["places"]} == {"S1": "A", "S2": "B"}
    await web.promise(body(("A", 1000), stores=["S2"]), status=409)
    assert (await web.promise(body(("A", 1000), stores=["S2", "S1"])))["places"][0]["store"] == "S1"


async def test_one_article_from_several_places_only_if_split(lab, web):
    await stocked(lab, "S1", 3000, 3000)
    await stocked(lab, "S2", 2000, 2000)
    await web.promise(body(("A", 4000)), status=409)
    made = await web.promise(body(("A", 4000), split=True))
    assert [(p["store"], p["lines"][0]["quantity_milli"]) for p in made["places"]] == [
        ("S1", 3000),
        ("S2", 1000),
    ]


async def test_what_left_without_a_right_is_kept_back(lab, web):
    machine = await stocked(lab, give=5000, have=8000)
    # The counter sold beyond its right: 3 by right, 2 beyond it.
    event = b"s" * 16
    over = RightsMoved(Move.OVER, CellLines.by_cell({"A": 2000}))
    await say(machine, (over, event), (sale(("A", 5000, 100)), event))
    row = await web.stock("S1", "A")
    assert (row["quantity_milli"], row["over_milli"], row["web_milli"]) == (3000, 2000, 3000)
    await web.promise(body(("A", 4000)), status=409)
    await web.promise(body(("A", 3000)))


async def test_a_short_order_goes_to_another_place_or_waits_for_a_person(lab, web):
    machine = await stocked(lab, "S1", 4000, 4000)
    other = await stocked(lab, "S2", 1000, 1000)
    asked = body(("A", 3000), stores=["S1"])
    await web.promise(asked)
    await web.post(f"/v1/promises/{asked['id']}/confirm")
    ((event, _),) = orders_of(await heard(machine))
    gone = CellLines.by_cell({"A": 1000})
    await say(
        machine,
        (RightsMoved(Move.HELD, CellLines.by_cell({"A": 3000})), event),
        (OrderAnswered(Answer.SHORT, 1, 2, gone, bytes(16), "jan", "broken"), event),
        (RightsMoved(Move.FREED, gone), event),
        (GoodsMoved(Movement.WRITTEN_OFF, 1, 2, gone), event),
    )
    await settle(lab)
    told = await web.get(f"/v1/promises/{asked['id']}")
    moved = next(p for p in told["places"] if p["store"] == "S2")
    assert (moved["instead_of"], moved["lines"][0]["quantity_milli"]) == ("S1", 1000)
    ((event2, order),) = orders_of(await heard(other))
    assert order.lines.amounts() == {"A": 1000}
    assert (await web.get("/v1/exceptions"))["stock"] == []
    # There nobody finds it either, and head office holds no more of it elsewhere.
    rest = CellLines.by_cell({"A": 1000})
    await say(
        other,
        (RightsMoved(Move.HELD, gone), event2),
        (OrderAnswered(Answer.SHORT, 1, 2, rest, bytes(16), "ola"), event2),
        (RightsMoved(Move.FREED, rest), event2),
        (GoodsMoved(Movement.WRITTEN_OFF, 1, 2, rest), event2),
    )
    await settle(lab)
    told = await web.get(f"/v1/promises/{asked['id']}")
    assert [p["store"] for p in told["places"]] == ["S1", "S2", "S1"]
    ((event3, _),) = [o for o in orders_of(await heard(machine)) if o[0] not in (event, event2)]
    await say(
        machine,
        (RightsMoved(Move.HELD, rest), event3),
        (OrderAnswered(Answer.SHORT, 1, 2, rest, bytes(16), "jan"), event3),
        (RightsMoved(Move.FREED, rest), event3),
        (GoodsMoved(Movement.WRITTEN_OFF, 1, 2, rest), event3),
    )
    await settle(lab)
    (waiting,) = (await web.get("/v1/exceptions"))["stock"]
    assert (waiting["kind"], waiting["promise"], waiting["quantity_milli"]) == (
        "short",
        asked["id"],
        1000,
    )
    with pytest.raises(Refused, match="--who"):
        await lab.order(orders.PromiseGiveUp(asked["id"], "S1", " "))
    await lab.order(orders.PromiseGiveUp(asked["id"], waiting["store"], "anna", "told the buyer"))
    assert (await web.get("/v1/exceptions"))["stock"] == []
    with pytest.raises(Refused, match="nothing of it is short"):
        await lab.order(orders.PromiseGiveUp(asked["id"], "S1", "anna"))


async def test_a_promise_moves_where_the_goods_are_gone(lab, web):
    machine = await stocked(lab, "S1", 4000, 4000)
    await stocked(lab, "S2", 1500, 1500)
    first, second = (body(("A", 1500), stores=["S1"]) for _ in range(2))
    await web.promise(first)
    await web.promise(second)
    # A count finds a single unit: what central holds stays, goods go beyond the right.
    lost = CellLines.by_cell({"A": 2500})
    await say(
        machine,
        (RightsMoved(Move.OVER, lost), b"c" * 16),
        (GoodsMoved(Movement.WRITTEN_OFF, 1, 2, lost), b"c" * 16),
    )
    await settle(lab)
    told = [await web.get(f"/v1/promises/{p['id']}") for p in (first, second)]
    states = [[(p["store"], p["state"]) for p in promise["places"]] for promise in told]
    # The newer one moves; the older stays, for there is just enough for it.
    assert states == [[("S1", "held")], [("S1", "moved"), ("S2", "held")]]
    assert (await web.get("/v1/exceptions"))["stock"] == []
    done = await web.post(f"/v1/promises/{second['id']}/confirm")
    assert [p["state"] for p in done["places"]] == ["moved", "ordered"]


async def test_a_store_that_asks_gets_what_head_office_can_spare(lab, web):
    machine = await stocked(lab, give=5000, have=8000)
    await web.promise(body(("A", 1000)))
    await say(machine, (RightsWanted(CellLines.by_cell({"A": 3000, "B": 5})), b"w" * 16))
    await settle(lab)
    given = [
        (event, told)
        for event, told in await heard(machine)
        if isinstance(told, RightsMoved) and told.to == machine.writer.stream
    ]
    ((event, told),) = given
    assert (event, told.to, told.lines.amounts()) == (b"w" * 16, machine.writer.stream, {"A": 3000})
    assert await settle(lab) == 0


async def test_policies(lab, web):
    await lab.store("S1")
    said = await lab.order(orders.PolicySet("A", "S1", "strict", 2000, 30))
    assert said["changed"]
    assert not (await lab.order(orders.PolicySet("A", "S1", "strict", 2000, 30)))["changed"]
    await lab.order(orders.PolicySet("*", web_percent=10))
    await web.post("/v1/stock/policies", {"target": "group:all", "mode": "strict"})
    listed = (await web.get("/v1/stock/policies"))["policies"]
    assert listed == (await lab.order(orders.PolicyList()))["policies"]
    assert [
        (p["store"], p["target"], p["mode"], p["floor_milli"], p["web_percent"]) for p in listed
    ] == [
        ("", "*", "lenient", 0, 10),
        ("", "group:all", "strict", 0, 0),
        ("S1", "sku:A", "strict", 2000, 30),
    ]
    for order, word in (
        (orders.PolicySet("NOPE"), "NOPE"),
        (orders.PolicySet("group:NOPE"), "group:NOPE"),
        (orders.PolicySet("A", "NOPE"), "NOPE"),
        (orders.PolicySet("A", mode="free"), "free"),
        (orders.PolicySet("A", web_percent=101), "101"),
        (orders.PolicySet("A", web_percent=-1), "-1"),
        (orders.PolicySet("A", floor_milli=-1000), "-1"),
    ):
        with pytest.raises(Refused, match=word):
            await lab.order(order)
    await web.post("/v1/stock/policies", {"target": "A", "web_percent": 101}, status=422)


async def test_a_restored_head_office_gets_its_promises_back_and_counts_none_twice(
    lab, web, tmp_path
):
    machine = await stocked(lab, give=5000, have=8000)
    await upkeep.backup(lab.ledger, str(tmp_path / "copy.db"))
    asked = body(("A", 3000))
    await web.promise(asked)
    _, events, _ = await machine.exchange()
    lost = [event.batch for event in events if isinstance(event, Received)]
    lost = [batch for batch in lost if batch.stream == lab.ledger.own.stream("S1")]
    restored = Ledger.open(tmp_path / "copy.db", lab.office.authority.node_key)
    try:
        root = uuid.UUID(asked["id"]).bytes
        request = msgspec.json.decode(msgspec.json.encode(asked), type=PromiseRequest)

        def ask(work):
            return restored._writer.submit(work).result(10)

        # The right is of a life that was lost: nothing is promised of it.
        refused = ask(lambda unit: promising.make(unit, request))
        assert isinstance(refused, promising.NotPromised)
        # Nor of a right given to the new life: what the lost one promised is not known yet.
        peer, now = identity(machine), restored.own.stream("S1")
        gift = RightsMoved(Move.GIVEN, CellLines.by_cell({"A": 3000}), now)
        machine.writer.write(gift, b"g" * 16)
        given = Incoming.of(machine.writer.batch(machine.writer.head.seq), {}, peer)
        restored._writer.take([given]).result(10)
        refused = ask(lambda unit: promising.make(unit, request))
        assert isinstance(refused, promising.NotPromised)
        restored._writer.take([Incoming.of(batch, {}, peer) for batch in lost]).result(10)
        told = ask(lambda unit: promising.make(unit, request))
        assert (told.new, [part.store for part in told.parts]) == (False, ["S1"])
        # It is not ended before the life it was made in is closed; then it is.
        assert ask(lambda unit: promising.release(unit, root)).parts[0].ended is None
        before = lab.ledger.own.stream("S1")
        head = restored.published.cursors("S1")[before].head
        fence = StreamClosed(before, head.seq, head.hash, restored.own.stream("S1"), "restored")
        ask(lambda unit: author.write(unit, "S1", [(b"f" * 16, fence)]))
        assert ask(lambda unit: promising.release(unit, root)).parts[0].ended is Ending.RELEASED
        with restored._database.reading() as connection:
            shelf = shelves.of_store(connection, "S1", ["A"])["A"]
        assert shelf.right(restored.own.stream("S1")) == 5000 + 3000
        assert (shelf.reserved, shelf.physical, shelf.oversold) == (0, 8000, 0)
    finally:
        restored.close()


def identity(machine):
    stream = machine.writer.stream
    key = raw_public(machine.writer.key.public_key())
    return Identity(
        node=stream.node,
        store="S1",
        public_key=key,
        serial=1,
        not_before_ms=0,
        not_after_ms=1 << 60,
    )
