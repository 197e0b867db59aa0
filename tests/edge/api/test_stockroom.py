"""Documents, transfers, counts and the list of stock over HTTP."""

import re
from uuid import uuid4

import pytest

from sync.facts.rights import CellLines, Mode, StockPolicy
from sync.facts.stock import TransferAnnounced
from tests.edge.till.shop import EAN, tell

DELIVERY = {"kind": "goods_received", "lines": [{"sku": "MLEKO", "quantity_milli": 24_000}]}
LINES = [{"sku": "MLEKO", "quantity_milli": 2000}]
SALE = {
    "till": "K1",
    "cashier": "anna",
    "lines": [{"sku": "MLEKO", "quantity_milli": 2000, "unit_minor": 389}],
    "payments": [{"method": "cash", "amount_minor": 1000}],
}


async def put(api, body, uuid=None, path="documents"):
    return await api("PUT", f"/v1/{path}/{uuid or uuid4()}", body)


async def milk(api):
    return (await api("GET", "/v1/stock/MLEKO", scope="read")).json["quantity_milli"]


@pytest.mark.parametrize(
    ("body", "after"),
    [
        ({"kind": "written_off", "reason": "stłuczka"}, 22_000),
        ({"kind": "returned", "sale": str(uuid4())}, 26_000),
        ({"kind": "transfer_out", "to_store": "KRK2"}, 22_000),
        ({"kind": "transfer_in", "from_store": "KRK2", "transfer": str(uuid4())}, 26_000),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else None,
)
async def test_a_document_is_recorded_once(api, body, after):
    await put(api, DELIVERY)
    uuid, body = uuid4(), body | {"lines": LINES}
    first = await put(api, body, uuid)
    assert first.status == 201
    told = (first.json["uuid"], first.json["kind"], first.json["quantity_milli"])
    assert told == (str(uuid), body["kind"], 2000)
    again = await put(api, dict(reversed(body.items())), uuid)
    assert (again.status, again.body) == (200, first.body)
    other = body | {"lines": [{"sku": "MLEKO", "quantity_milli": 1}]}
    assert str(uuid) in (await put(api, other, uuid)).problem(409)["detail"]
    (await put(api, DELIVERY, uuid)).problem(409)
    assert await milk(api) == after


async def test_documents_that_cannot_be(api):
    for body, where in (
        ({"kind": "written_off", "lines": LINES}, "reason"),
        ({"kind": "transfer_out", "lines": LINES, "to_store": "KRK1"}, "to_store"),
        ({"kind": "transfer_out", "lines": LINES, "to_store": "K/2"}, "to_store"),
        ({"kind": "transfer_in", "lines": LINES, "from_store": "KRK2"}, "transfer"),
        ({"kind": "returned", "lines": []}, "lines"),
        ({"kind": "returned", "lines": [{"sku": "BRAK", "quantity_milli": 1}]}, "lines[0].sku"),
        (
            {"kind": "returned", "lines": [{"sku": "MLEKO", "quantity_milli": -1}]},
            "lines[0].quantity_milli",
        ),
    ):
        said = (await put(api, body)).problem(422)
        assert said["errors"][0]["where"] == where, said
    assert await milk(api) == 0


async def test_a_strict_article_needs_a_manager(api):
    policy = StockPolicy("*", Mode.STRICT)
    await tell(api.node.store, (b"p" * 16, policy))
    await put(api, DELIVERY)
    body = {
        "kind": "transfer_out",
        "to_store": "KRK2",
        "lines": [{"sku": "MLEKO", "quantity_milli": 25_000}],
    }
    uuid = uuid4()
    said = (await put(api, body, uuid)).problem(409)
    assert "MLEKO" in said["detail"]
    assert "approved_by" in said["detail"]
    assert (await put(api, body | {"approved_by": "ola"}, uuid)).status == 201
    assert await milk(api) == -1000


async def test_a_transfer_is_shown_until_it_arrives_and_arrives_once(api):
    transfer = uuid4()
    told = TransferAnnounced("KRK2", 1_790_000_000_000, CellLines.by_cell({"MLEKO": 2000}))
    await tell(api.node.store, (transfer.bytes, told))
    shown = (await api("GET", "/v1/transfers", scope="read")).json
    assert shown == {
        "coming": [
            {
                "transfer": str(transfer),
                "store": "KRK2",
                "sent_at": "2026-09-21T14:13:20.000Z",
                "lines": LINES,
            }
        ],
        "sent": [],
    }
    body = {
        "kind": "transfer_in",
        "from_store": "KRK2",
        "transfer": str(transfer),
        "lines": LINES,
    }
    arrival = uuid4()
    assert (await put(api, body, arrival)).status == 201
    assert (await api("GET", "/v1/transfers", scope="read")).json["coming"] == []
    assert str(arrival) in (await put(api, body)).problem(409)["detail"]
    assert await milk(api) == 2000


async def test_a_count_from_sheet_to_books(api):
    await put(api, DELIVERY)
    uuid = uuid4()
    sheet = {"name": "Spis", "skus": ["MLEKO", EAN[1]]}
    path = f"/v1/counts/{uuid}"
    opened = await api("PUT", path, sheet)
    assert (opened.status, opened.json["state"], opened.json["covers"]) == (201, "open", "list")
    assert opened.json["skus"] == ["MLEKO", "WODA"]
    assert (await api("PUT", path, sheet)).status == 200
    (await api("PUT", path, sheet | {"name": "Inny"})).problem(409)
    line = await api("PUT", f"{path}/lines/{EAN[0]}", {"counted_milli": 23_000, "who": "ola"})
    assert (line.status, line.json["sku"], line.json["counted_milli"]) == (201, "MLEKO", 23_000)
    again = await api("PUT", f"{path}/lines/MLEKO", {"counted_milli": 23_000})
    assert (again.status, again.body) == (200, line.body)
    assert (await api("PUT", f"/v1/sales/{uuid4()}", SALE)).status == 201
    told = (await api("GET", path, scope="read")).json
    assert (told["state"], told["waits"], told["not_counted"]) == ("ready", [], ["WODA"])
    posted = await api("POST", f"{path}/post", {})
    assert (posted.status, posted.json["state"]) == (201, "posted")
    assert posted.json["posted"]["lines"] == [
        {"sku": "MLEKO", "counted_milli": 23_000, "difference_milli": -1000}
    ]
    assert await milk(api) == 21_000
    again = await api("POST", f"{path}/post", {})
    assert (again.status, again.body) == (200, posted.body)
    assert await milk(api) == 21_000


async def test_counts_that_cannot_be(api):
    path = f"/v1/counts/{uuid4()}"
    line = {"counted_milli": 1000}
    (await api("GET", path, scope="read")).problem(404)
    assert (
        "PUT /v1/counts" in (await api("PUT", f"{path}/lines/MLEKO", line)).problem(404)["detail"]
    )
    (await api("POST", f"{path}/post", {})).problem(404)
    await api("PUT", path, {"name": "Spis"})
    said = (await api("PUT", f"{path}/lines/MLEKO", {"counted_milli": -1})).problem(422)
    assert said["errors"][0]["where"] == "counted_milli"
    (await api("PUT", f"{path}/lines/BRAK", line)).problem(422)
    (await api("POST", f"{path}/post", {})).problem(422)  # nothing counted
    await api("PUT", f"{path}/lines/MLEKO", line)
    said = (await api("POST", f"{path}/post", {"by_time": True})).problem(422)
    assert said["errors"][0]["where"] == "approved_by"
    (await put(api, DELIVERY, path.rsplit("/", 1)[1])).problem(409)
    (await api("PUT", f"/v1/sales/{path.rsplit('/', 1)[1]}", SALE)).problem(409)
    said = (await api("PUT", f"/v1/counts/{uuid4()}", {"name": "x", "skus": ["BRAK"]})).problem(422)
    assert said["errors"][0]["where"] == "skus[0]"


async def test_a_sheet_names_the_node_it_waits_for(api):
    other = b"\x00" * 16
    await api.node.store.write(lambda unit: unit.root(other, "KRK1", b""))
    path = f"/v1/counts/{uuid4()}"
    await api("PUT", path, {"name": "Spis"})
    await api("PUT", f"{path}/lines/MLEKO", {"counted_milli": 1000})
    told = (await api("GET", path, scope="read")).json
    assert (told["state"], told["home"]) == ("waiting", other.hex())
    assert told["waits"] == [{"node": other.hex(), "lines": 1, "what": "mark"}]
    assert other.hex() in (await api("POST", f"{path}/post", {})).problem(409)["detail"]
    here = {"here": True, "approved_by": "ola"}
    said = (await api("POST", f"{path}/post", here)).problem(409)["detail"]
    assert re.search(f"{other.hex()} has not told how far it was .*by_time", said)
    posted = await api("POST", f"{path}/post", here | {"by_time": True})
    assert posted.json["posted"]["by_time"] == [other.hex()]
    assert "Count these articles once more" in posted.json["notice"]
    assert await milk(api) == 1000


async def test_stock_is_listed_a_page_at_a_time(api):
    lines = [{"sku": sku, "quantity_milli": 1000} for sku in ("MLEKO", "PIWO", "WODA")]
    await put(api, {"kind": "goods_received", "lines": lines})
    api.times.ms += 5000
    first = (await api("GET", "/v1/stock?limit=2", scope="read")).json
    assert [row["sku"] for row in first["stock"]] == ["MLEKO", "PIWO"]
    assert first["stock"][0]["age_s"] == 5
    rest = (await api("GET", f"/v1/stock?limit=2&after={first['next']}", scope="read")).json
    assert [row["sku"] for row in rest["stock"]] == ["WODA"]
    assert rest["next"] is None
    assert (await api("GET", "/v1/stock", scope="read")).json["next"] is None
    for wrong in ("limit=0", "limit=x", "limit=501", "after=" + "x" * 65, "limit=1&limit=2"):
        said = (await api("GET", f"/v1/stock?{wrong}", scope="read")).problem(400)
        assert said["errors"][0]["where"] in ("limit", "after")
