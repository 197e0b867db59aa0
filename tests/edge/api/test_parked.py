"""Baskets put aside and taken back, over the real API."""

from uuid import UUID

import pytest

from edge.till import parking
from edge.till.errors import Conflict
from edge.till.parking import Recall
from sync.facts.basket import BasketRecalled
from tests.edge.api.conftest import NoLink, serving
from tests.edge.till.shop import EAN

BASKET = "6f1f6f5e-51a5-4a43-9f1e-0a3f0d7e8d11"
SALE = "7a1f6f5e-51a5-4a43-9f1e-0a3f0d7e8d22"
LINE = "8b1f6f5e-51a5-4a43-9f1e-0a3f0d7e8d33"

PARK = {"basket": BASKET, "cashier": "anna", "note": "pan w kapeluszu"}
RECALL = {"basket": BASKET, "cashier": "ola"}


async def scan(api, *codes):
    for code in codes:
        reply = await api("POST", "/v1/tills/T1/scans", {"code": code})
        assert reply.status == 200, reply.body


async def pay(api, amount, sale=SALE):
    return await api(
        "POST",
        "/v1/tills/T1/payments",
        {"sale": sale, "method": "cash", "tendered_minor": amount, "cashier": "anna"},
    )


async def test_a_basket_is_put_aside_added_to_taken_back_and_sold(api):
    await scan(api, EAN[0], EAN[0], EAN[3])
    before = (await api("GET", "/v1/tills/T1", scope="read")).json
    change = {"discount": {"reason": "krótka data", "amount_minor": 100}}
    assert (await api("PATCH", "/v1/tills/T1/lines/1", change)).status == 200
    assert (await api("POST", "/v1/tills/T1/park", PARK)).json["lines"] == []
    # Asked again after the next buyer has begun: nothing of theirs is put aside.
    await scan(api, EAN[1])
    assert len((await api("POST", "/v1/tills/T1/park", PARK)).json["lines"]) == 1
    assert (await api("DELETE", "/v1/tills/T1/basket")).status == 200

    (there,) = (await api("GET", "/v1/parked", scope="read")).json["baskets"]
    assert (there["basket"], there["state"], there["note"]) == (BASKET, "parked", PARK["note"])
    assert [line["sku"] for line in there["lines"]] == ["MLEKO", "JABLKA"]

    added = {"line": LINE, "code": EAN[1], "quantity_milli": 2000}
    for _ in range(2):
        reply = await api("POST", f"/v1/parked/{BASKET}/lines", added)
        assert reply.status == 200
        assert [line["quantity_milli"] for line in reply.json["lines"]] == [2000, 1000, 2000]
    unknown = await api("POST", f"/v1/parked/{BASKET}/lines", {**added, "code": "nonsense"})
    unknown.problem(404)

    for _ in range(2):
        back = (await api("POST", "/v1/tills/T1/recall", RECALL)).json
        assert [line["sku"] for line in back["lines"]] == ["MLEKO", "JABLKA", "WODA"]
        expected = before["total_minor"] - 100 + 2 * (219 + 50)
        assert (back["total_minor"], back["recalled"]) == (expected, BASKET)
    late = await api("POST", f"/v1/parked/{BASKET}/lines", {**added, "line": SALE})
    assert "it is recalled" in late.problem(409)["detail"]

    sold = await pay(api, expected)
    assert sold.status == 201
    assert sold.json["total_minor"] == expected
    assert (await api("GET", "/v1/parked", scope="read")).json["baskets"] == []
    again = await api("POST", "/v1/tills/T1/recall", RECALL)
    assert "it is sold" in again.problem(409)["detail"]
    assert (await api("GET", "/v1/exceptions", scope="read")).json["exceptions"] == []
    assert (await api.node.store.verify()).findings == []


async def test_what_cannot_be_put_aside_or_taken_back_says_why(api):
    (await api("POST", "/v1/tills/T1/park", PARK)).problem(422)
    (await api("POST", "/v1/tills/T1/recall", RECALL)).problem(404)
    (await api("POST", "/v1/parked/" + BASKET + "/lines", {"line": LINE, "code": EAN[0]})).problem(
        404
    )
    await scan(api, EAN[0])
    await api("POST", "/v1/tills/T1/park", PARK)
    await scan(api, EAN[1])
    busy = await api("POST", "/v1/tills/T1/recall", RECALL)
    assert "has 1 lines" in busy.problem(422)["detail"]
    assert (await api("GET", "/v1/parked", scope="read")).json["baskets"][0]["state"] == "parked"


async def test_a_basket_let_go_is_not_offered_again(api):
    await scan(api, EAN[0])
    await api("POST", "/v1/tills/T1/park", PARK)
    await api("POST", "/v1/tills/T1/recall", RECALL)
    assert (await api("DELETE", "/v1/tills/T1/basket")).json["lines"] == []
    assert (await api("GET", "/v1/parked", scope="read")).json["baskets"] == []
    (await api("POST", "/v1/tills/T1/recall", RECALL)).problem(409)


async def test_a_basket_taken_back_survives_a_power_cut(tmp_path):
    async with serving(tmp_path, link=NoLink()) as api:
        await scan(api, EAN[0])
        await api("POST", "/v1/tills/T1/park", PARK)
        await api("POST", "/v1/tills/T1/recall", RECALL)
    async with serving(tmp_path, link=NoLink()) as api:
        (there,) = (await api("GET", "/v1/parked", scope="read")).json["baskets"]
        assert there["state"] == "recalled"
        back = await api("POST", "/v1/tills/T1/recall", RECALL)
        assert back.json["total_minor"] == 389
        assert (await pay(api, 389)).status == 201
        assert (await api.node.store.verify()).findings == []


async def test_a_basket_put_aside_again_goes_on_under_its_new_id(api):
    await scan(api, EAN[0])
    await api("POST", "/v1/tills/T1/park", PARK)
    await api("POST", "/v1/tills/T1/recall", RECALL)
    await scan(api, EAN[1])
    await api("POST", "/v1/tills/T1/park", {**PARK, "basket": LINE})
    (there,) = (await api("GET", "/v1/parked", scope="read")).json["baskets"]
    assert (there["basket"], len(there["lines"])) == (LINE, 2)
    assert (await api("GET", "/v1/exceptions", scope="read")).json["exceptions"] == []


async def test_two_tills_that_took_one_basket_wait_for_a_managers_word(api):
    await scan(api, EAN[0])
    await api("POST", "/v1/tills/T1/park", PARK)
    await api("POST", "/v1/tills/T1/recall", RECALL)
    # The other till's fact comes in from elsewhere.
    basket = UUID(BASKET).bytes
    theirs = BasketRecalled(basket, "T2", "ewa", 1, 5, b"")
    await api.node.store.write(lambda unit: unit.append(theirs, b"r" * 16))
    refused = await pay(api, 389)
    assert "several tills at once" in refused.problem(409)["detail"]
    assert len((await api("GET", "/v1/tills/T1", scope="read")).json["lines"]) == 1

    (odd,) = (await api("GET", "/v1/exceptions", scope="read")).json["exceptions"]
    assert (odd["what"], odd["kind"], odd["document"]) == ("recalled twice", "basket", BASKET)
    assert {recall["till"] for recall in odd["recalls"]} == {"T1", "T2"}
    mine = next(recall["recall"] for recall in odd["recalls"] if recall["till"] == "T1")
    word = {"by": "kierownik", "note": "T2 odłożył", "keep": mine}
    (await api("POST", f"/v1/exceptions/{BASKET}", word)).problem(403)
    wrong = {**word, "keep": SALE}
    (await api("POST", f"/v1/exceptions/{BASKET}", wrong, scope="admin")).problem(404)
    settled = await api("POST", f"/v1/exceptions/{BASKET}", word, scope="admin")
    assert settled.json["exceptions"] == []
    assert (await pay(api, 389)).status == 201

    over = Recall(basket=basket, recall=b"q" * 16, cashier="ewa", take_over=True)
    with pytest.raises(Conflict, match="it is sold"):
        await api.node.store.write(lambda unit: parking.recall(unit, "T2", over))
