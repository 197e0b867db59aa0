"""A promise of a real head office, its order at a real store, and the way back, with outages."""

import signal
import uuid

from edge.stockroom.orders import AnswerRequest, answer
from sync.facts.stock import GoodsReceived, ReceivedLine, ReceivedLines
from tests.edge.store.rig import NOW, selling

CSV = "indeks;nazwa;cena;vat\n1;Żurek;5,90;5\n2;Chleb;4,50;5\n"


async def stocked(shop, milli=10_000):
    """Goods come in at the store; half of them head office may promise."""
    await shop.until(lambda: shop.link.state.state == "live")

    async def told():
        policy = await shop.store.write(lambda unit: unit.holder.policy("1"))
        return policy.web_percent and await shop.store.article("1", shop.clock.now().ms)

    await shop.until(told)

    def work(unit):
        event = b"d" * 16
        unit.append(GoodsReceived(NOW, 5, ReceivedLines.of((ReceivedLine("1", milli),))), event)
        unit.holder.received(event, {"1": milli})

    await shop.store.write(work)
    await shop.drained()
    assert (await shop.store.rights(["1"]))["1"] == milli // 2


def prepared(office, tmp_path):
    listed = tmp_path / "catalogue.csv"
    listed.write_bytes(CSV.encode("cp1250"))
    office.command("catalogue", "import", str(listed))
    said = office.command("stock", "policy", "set", "1", "--store", "S1", "--web-share", "50")
    assert (said["target"], said["web_percent"]) == ("sku:1", 50)
    return office.token("write")


def promise(office, token, milli, **more):
    body = {
        "id": str(uuid.uuid4()),
        "channel": "web",
        "lines": [{"sku": "1", "quantity_milli": milli}],
        "expires_s": 600,
    } | more
    return body["id"], office.ask("POST", "/v1/promises", body, token=token)


async def test_an_order_goes_to_its_store_and_comes_back_handed_out(shop, office, tmp_path):
    token = prepared(office, tmp_path)
    await stocked(shop)
    id_, made = promise(office, token, 3000)
    assert made.status == 201, made.body
    # The line is cut; head office is killed after it confirmed, and started again.
    shop.cutter.cut()
    assert office.ask("POST", f"/v1/promises/{id_}/confirm", token=token).status == 200
    office.stop(signal.SIGKILL)
    office.start()
    # Meanwhile the store sells all it has a right to, and more: on record.
    await shop.store.write(selling(b"s" * 16, skus=("1",), quantity=5000))
    shop.cutter.heal()
    event = uuid.UUID(id_).bytes

    async def here():
        return await shop.store.order(event)

    await shop.until(here)
    view = await shop.store.order(event)
    assert (view.state, view.left, view.held_by) == ("open", {"1": 3000}, {shop.store.stream})
    request = AnswerRequest(str(uuid.uuid4()), "handed", "jan")
    await shop.store.write(lambda unit: answer(unit, event, request))
    await shop.drained()
    told = office.ask("GET", f"/v1/promises/{id_}", token=token).json
    assert [(place["store"], place["state"]) for place in told["places"]] == [("S1", "handed")]
    (row,) = office.ask("GET", "/v1/stock?store=S1&sku=1", token=token).json["stock"]
    assert (row["quantity_milli"], row["reserved_milli"], row["web_milli"]) == (2000, 0, 2000)
    mine = await shop.store.stock("1")
    assert (mine.quantity_milli, mine.right_milli, mine.reserved_milli) == (2000, 0, 0)
    assert (await shop.store.verify()).findings == []
    office.command("journal", "verify")


async def test_a_refused_promise_makes_the_store_give_and_then_holds(shop, office, tmp_path):
    token = prepared(office, tmp_path)
    await stocked(shop)
    _, refused = promise(office, token, 7000)
    told = refused.problem(409, "5000", "7000")
    assert told["errors"][0]["value"] == "1"

    async def given():
        (row,) = office.ask("GET", "/v1/stock?store=S1&sku=1", token=token).json["stock"]
        return row["web_milli"] >= 7000

    await shop.until(given)
    _, made = promise(office, token, 7000)
    assert made.status == 201, made.body
    figures = office.ask("GET", "/v1/promises/figures", token=token).json
    assert (figures["refused"], figures["served_elsewhere"], figures["oversold_milli"]) == (1, 1, 0)
    assert (await shop.store.verify()).findings == []


async def test_a_promise_expires_although_head_office_was_down(shop, office, tmp_path):
    token = prepared(office, tmp_path)
    await stocked(shop)
    id_, made = promise(office, token, 5000, expires_s=1)
    assert made.status == 201, made.body
    office.stop(signal.SIGKILL)
    office.start()

    async def over():
        return office.ask("GET", f"/v1/promises/{id_}", token=token).json["state"] == "expired"

    await shop.until(over)
    (row,) = office.ask("GET", "/v1/stock?store=S1&sku=1", token=token).json["stock"]
    assert (row["quantity_milli"], row["reserved_milli"]) == (10_000, 0)
    office.ask("POST", f"/v1/promises/{id_}/confirm", token=token).problem(409, "expired")
