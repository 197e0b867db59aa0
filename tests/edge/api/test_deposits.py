"""Packaging brought back: it pays for a sale, or comes out of the drawer; each voucher once."""

from uuid import uuid4

import pytest

from edge.stockroom.asking import Short
from edge.till import deposits
from edge.till.errors import BeyondRight
from edge.till.request import DepositsRequest, VoucherRequest
from tests.edge.stockroom import place as two


def brought(*lines, **more):
    rows = [{"sku": sku, "pieces": pieces} for sku, pieces in lines]
    return {"till": "T1", "cashier": "anna", "lines": rows, **more}


async def put(api, body, uuid=None):
    return await api("PUT", f"/v1/deposits/{uuid or uuid4()}", body)


async def test_packaging_alone_is_paid_out_once(api):
    uuid, body = uuid4(), brought(("WODA", 3), ("PIWO", 1))
    first = await put(api, body, uuid)
    assert (first.status, first.json["paid_minor"], first.json["sale"]) == (201, 200, None)
    again = await put(api, dict(reversed(body.items())), uuid)
    assert (again.status, again.body) == (200, first.body)
    assert (await api("GET", f"/v1/deposits/{uuid}", scope="read")).body == first.body
    (await put(api, brought(("WODA", 2)), uuid)).problem(409)
    (await api("GET", f"/v1/deposits/{uuid4()}", scope="read")).problem(404)


async def test_packaging_pays_for_a_sale_as_far_as_it_goes(api):
    sale = str(uuid4())
    basket = {
        "till": "T1",
        "cashier": "anna",
        "lines": [{"sku": "MLEKO", "quantity_milli": 1000, "unit_minor": 389}],
        "payments": [{"method": "deposit", "amount_minor": 389}],
    }
    said = (await api("PUT", f"/v1/sales/{sale}", basket)).problem(422)
    assert "expected 0, which was brought back" in said["detail"]
    taken = await put(api, brought(("WODA", 10), sale=sale, applied_minor=389))
    assert (taken.json["applied_minor"], taken.json["paid_minor"]) == (389, 111)
    assert (await api("PUT", f"/v1/sales/{sale}", basket)).status == 201
    other = str(uuid4())
    (await api("PUT", f"/v1/sales/{other}", basket)).problem(422)
    found = (await api("POST", "/v1/journal/verification", scope="admin")).json
    assert found["findings"] == []


async def test_a_voucher_is_redeemed_once(api):
    assert (await api("PUT", "/v1/vouchers/RVM-1", {"amount_minor": 450})).status == 201
    again = await api("PUT", "/v1/vouchers/RVM-1", {"amount_minor": 450})
    assert (again.status, again.json["left_minor"]) == (200, 450)
    said = (await api("PUT", "/v1/vouchers/RVM-1", {"amount_minor": 451})).problem(409)
    assert "450" in said["detail"]
    taken = await put(api, brought(("WODA", 1), vouchers=["RVM-1"]))
    assert taken.json["paid_minor"] == 500
    for code in ("RVM-1", "RVM-2"):
        (await put(api, brought(vouchers=[code]))).problem(409)
    assert (await api("PUT", "/v1/vouchers/RVM-1", {"amount_minor": 450})).json["left_minor"] == 0
    stock = (await api("GET", "/v1/stock", scope="read")).json["stock"]
    assert not any("RVM" in row["sku"] for row in stock), "a voucher is no stock"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (brought(), 422, "nothing was brought"),
        (brought(("MLEKO", 1)), 422, "has no deposit"),
        (brought(("BRAK", 1)), 422, "found none"),
        (brought(("WODA", 1), applied_minor=50), 422, "the sale it pays for"),
        (brought(("WODA", 1), sale=str(uuid4())), 422, "the sale it pays for"),
        (brought(("WODA", 1), sale=str(uuid4()), applied_minor=51), 422, "51 grosz of 50"),
        (brought(("WODA", 0)), 422, "1"),
    ],
)
async def test_what_cannot_be(api, body, status, words):
    before = api.node.store.heads()
    assert words in (await put(api, body)).problem(status)["detail"]
    assert api.node.store.heads() == before


async def test_two_nodes_cannot_both_redeem_a_voucher(tmp_path):
    def redeem(number, *, ask=False):
        asked = DepositsRequest(till="T1", cashier="ola", vouchers=("V",))
        return lambda unit: deposits.record(unit, two.event(number), asked, ask=ask)

    async with two.place(tmp_path) as place:
        await place.home.write(
            lambda unit: deposits.issue(unit, "V", VoucherRequest(amount_minor=100))
        )
        await place.meet()
        with pytest.raises(BeyondRight):
            await place.other.write(redeem(1))
        with pytest.raises(Short) as caught:
            await place.other.write(redeem(1, ask=True))
        await place.other.write(lambda u: u.holder.want(two.event(9), caught.value.short))
        await place.meet()
        with pytest.raises(BeyondRight):
            await place.home.write(redeem(2))
        assert (await place.other.write(redeem(1))).body.paid_minor == 100
        await place.meet()
        with pytest.raises(BeyondRight):
            await place.home.write(redeem(3, ask=True))
        await place.sound()
