import asyncio
import io
import json
from uuid import UUID, uuid4

import aiohttp
import pytest

from edge.api.routes import TABLE
from edge.api.server import MAX_BODY
from edge.store import prune
from sync.checkpoint import KEEP_MS
from tests.edge.api.conftest import serving
from tests.edge.till.shop import EAN, described
from tests.edge.till.test_till import Paper

SALE = "7b1f0d3e-5f0c-4b0e-9d55-0a1b2c3d4e5f"
BODY = {
    "till": "K1",
    "cashier": "anna",
    "lines": [{"sku": "MLEKO", "quantity_milli": 2000, "unit_minor": 389}],
    "payments": [{"method": "cash", "amount_minor": 1000}],
}
DELIVERY = {
    "kind": "goods_received",
    "supplier": "Hurtownia",
    "reference": "WZ/1",
    "lines": [{"sku": "MLEKO", "quantity_milli": 24_000, "unit_cost_minor": 250}],
}


def but(**changes):
    return BODY | changes


def line(**changes):
    return but(lines=[BODY["lines"][0] | changes])


async def test_a_sale_is_recorded_once(api):
    first = await api("PUT", f"/v1/sales/{SALE}", BODY)
    assert first.status == 201
    assert first.json == {
        "uuid": SALE,
        "receipt_number": 1,
        "receipt_series": "K1-AAAAAACN",
        "total_minor": 778,
        "change_minor": 222,
        "business_day": "2026-09-21",
        "at": "2026-09-21T14:13:20.000Z",
        "trust": "central",
        "stage": "closed",
    }
    again = await api("PUT", f"/v1/sales/{SALE.upper()}", dict(reversed(BODY.items())))
    assert (again.status, again.body) == (200, first.body)
    other = await api("PUT", f"/v1/sales/{SALE}", but(cashier="ola"))
    assert SALE in other.problem(409)["detail"]
    shown = (await api("GET", f"/v1/sales/{SALE}", scope="read")).json
    assert shown["lines"][0]["sku"] == "MLEKO"
    assert shown["payments"] == [
        {
            "method": "cash",
            "amount_minor": 778,
            "change_minor": 222,
            "reference": "",
            "approved": None,
        }
    ]
    assert (await api("GET", f"/v1/sales/{uuid4()}")).problem(404)


async def test_many_tills_at_once_leave_no_gap_and_no_sale_twice(api):
    async def sell(n):
        return (await api("PUT", f"/v1/sales/{UUID(int=n)}", but(till=f"K{n % 4}"))).json

    told = await asyncio.gather(*(sell(n % 40) for n in range(80)))
    by_series = {}
    for sale in told:
        by_series.setdefault(sale["receipt_series"], set()).add(sale["receipt_number"])
    assert [sorted(numbers) for numbers in by_series.values()] == [list(range(1, 11))] * 4
    stock = (await api("GET", "/v1/stock/MLEKO")).json
    assert stock["quantity_milli"] == -40 * 2000


@pytest.mark.parametrize(
    ("body", "where", "value"),
    [
        (but(till=7), "till", "7"),
        (but(tyll="K1"), "tyll", "K1"),
        ({"till": "K1"}, "cashier", None),
        (line(price=1), "lines[0].price", "1"),
        (but(lines=[]), "lines", None),
        (line(quantity_milli=0), "lines[0].quantity_milli", "0"),
        (line(quantity_milli=-1000), "lines[0].quantity_milli", "-1000"),
        (line(quantity_milli=1.5), "lines[0].quantity_milli", "1.5"),
        (line(quantity_milli="2000"), "lines[0].quantity_milli", "2000"),
        (line(quantity_milli=10**30), "lines[0].quantity_milli", None),
        (line(unit_minor=-1), "lines[0].unit_minor", "-1"),
        (line(sku="BRAK"), "lines[0].sku", "BRAK"),
        (line(sku="a\nb"), "lines[0].sku", None),
        (line(discounts=[{"reason": "x", "amount_minor": 779}]), "lines[0].discounts", None),
        (but(payments=[{"method": "cash", "amount_minor": 777}]), "payments", None),
        (but(payments=[{"method": "card", "amount_minor": 779}]), "payments", None),
        (but(buyer={"nip": "123"}), "buyer.nip", "123"),
        ([], "body", None),
    ],
)
async def test_bad_input_is_refused_with_its_field_and_value(api, body, where, value):
    said = (await api("PUT", f"/v1/sales/{SALE}", body)).problem(422)
    (mistake,) = said["errors"]
    assert mistake["where"] == where
    if value is not None:
        assert mistake["value"] == value
    assert mistake["expected"]
    assert (await api("GET", "/v1/status")).json["sales"] == 0


async def test_what_is_no_json_is_told_at_which_byte(api):
    kind = {"Content-Type": "application/json"}
    path = f"/v1/sales/{SALE}"
    for body, at in ((b'{"till":}', "byte 8"), (b"", "byte 0"), (b'{"till":"\xff"}', "byte 9")):
        reply = await api("PUT", path, headers=kind, data=body)
        assert at in reply.problem(400)["detail"]
    deep = await api("PUT", path, headers=kind, data=io.BytesIO(b"[" * 200_000))
    assert deep.status in (400, 422)


async def test_other_media_sizes_methods_and_addresses(api):
    path = f"/v1/sales/{SALE}"
    text = {"Content-Type": "text/plain"}
    (await api("PUT", path, headers=text, data=b"{}")).problem(415)
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    (await api("PUT", path, headers=packed, data=b"{}")).problem(415)
    kind = {"Content-Type": "application/json"}
    (await api("PUT", path, headers=kind, data=io.BytesIO(b" " * (MAX_BODY + 1)))).problem(413)

    async def chunks():
        for _ in range(MAX_BODY // 65536 + 1):
            yield b" " * 65536

    (await api("PUT", path, headers=kind, data=chunks())).problem(413)
    refused = await api("POST", path, {})
    refused.problem(405)
    assert refused.headers["Allow"] == "GET, PUT"
    (await api("GET", "/v1/nothing")).problem(404)
    (await api("GET", "/v1/sales/7")).problem(400)
    (await api("GET", "/v1/tills/T9")).problem(404)


async def test_tokens_and_their_scopes(api):
    path = f"/v1/sales/{SALE}"
    nobody = await api("GET", "/v1/status", scope=None)
    nobody.problem(401)
    assert nobody.headers["WWW-Authenticate"] == "Bearer"
    for header in ("Basic x", "Bearer x", "Bearer karb_sell_" + "a" * 32):
        (await api("GET", "/v1/status", scope=None, headers={"Authorization": header})).problem(401)
    (await api("PUT", path, BODY, scope="read")).problem(403)
    (await api("POST", "/v1/sync", scope="sell")).problem(403)
    assert (await api("PUT", path, BODY, scope="admin")).status == 201
    made = await api("POST", "/v1/tokens", {"scope": "read", "name": "kiosk"}, scope="admin")
    assert made.status == 201
    bearer = {"Authorization": f"Bearer {made.json['token']}"}
    assert (await api("GET", path, scope=None, headers=bearer)).status == 200
    (await api("POST", "/v1/tokens", {"scope": "admin", "name": "x"}, scope="admin")).problem(422)


async def test_a_bug_does_not_leak(api, monkeypatch):
    async def broken(event):
        raise RuntimeError("secret /etc/shadow")

    monkeypatch.setattr(api.node.store, "sale", broken)
    said = (await api("GET", f"/v1/sales/{SALE}")).problem(500)
    assert "secret" not in json.dumps(said)


async def test_stock_is_told_with_its_age(api):
    assert (await api("GET", "/v1/stock/MLEKO")).json["quantity_milli"] == 0
    await api("PUT", f"/v1/documents/{SALE}", DELIVERY)
    api.times.ms += 90_000
    stock = (await api("GET", f"/v1/stock/{EAN[0]}", scope="read")).json
    assert stock == {
        "sku": "MLEKO",
        "quantity_milli": 24_000,
        "as_of_ms": api.times.ms - 90_000,
        "age_s": 90,
        "right_milli": 24_000,
        "reserved_milli": 0,
        "uncovered_milli": 0,
    }
    (await api("GET", "/v1/stock/BRAK")).problem(404)


async def test_a_delivery_is_recorded_once(api):
    path = f"/v1/documents/{SALE}"
    first = await api("PUT", path, DELIVERY)
    assert first.status == 201
    assert first.json["quantity_milli"] == 24_000
    again = await api("PUT", path, DELIVERY)
    assert (again.status, again.body) == (200, first.body)
    (await api("PUT", path, DELIVERY | {"supplier": "x"})).problem(409)
    other = [{"sku": "BRAK", "quantity_milli": 1000}]
    said = (await api("PUT", f"/v1/documents/{uuid4()}", DELIVERY | {"lines": other})).problem(422)
    assert said["errors"][0]["value"] == "BRAK"
    (await api("PUT", f"/v1/documents/{uuid4()}", DELIVERY | {"kind": "x"})).problem(422)


async def test_a_basket_from_scan_to_receipt(tmp_path):
    paper = Paper()
    async with serving(tmp_path, printer=paper) as api:
        assert (await api("POST", "/v1/tills/T1/scans", {"code": EAN[2]})).status == 200
        await api("POST", "/v1/tills/T1/scans", {"code": "MLEKO"})
        unknown = await api("POST", "/v1/tills/T1/scans", {"code": "123"})
        assert "123" in unknown.problem(404)["detail"]
        shown = (await api("GET", "/v1/tills/T1", scope="read")).json
        assert (shown["total_minor"], shown["deposits_minor"]) == (889, 50)
        assert shown["to_confirm"] == [1]
        assert "123" in shown["notice"]
        assert [rate["code"] for rate in shown["vat"]] == ["23", "5"]
        asked = {"sale": SALE, "method": "cash", "tendered_minor": 1000, "cashier": "anna"}
        (await api("POST", "/v1/tills/T1/payments", asked)).problem(422)
        change = {
            "quantity_milli": 2000,
            "age_checked": True,
            "discount": {"reason": "karta", "amount_minor": 100},
        }
        shown = (await api("PATCH", "/v1/tills/T1/lines/1", change)).json
        assert shown["total_minor"] == 2 * 450 + 2 * 50 - 100 + 389
        await api("DELETE", "/v1/tills/T1/lines/2")
        (await api("DELETE", "/v1/tills/T1/lines/2")).problem(404)
        sold = await api("POST", "/v1/tills/T1/payments", asked)
        assert (sold.status, sold.json["change_minor"]) == (201, 100)
        again = await api("POST", "/v1/tills/T1/payments", asked)
        assert (again.status, again.body) == (200, sold.body)
        (await api("POST", "/v1/tills/T1/payments", asked | {"cashier": "x"})).problem(409)
        await api.node.counter.till("T1").printing.drained()
        copied = await api("POST", f"/v1/sales/{SALE}/copies")
        assert copied.status == 202
        await api.node.counter.till("T1").printing.drained()
        assert paper.heads == ["original", "KOPIA"]
        await api("POST", "/v1/tills/T1/scans", {"code": "MLEKO"})
        assert (await api("DELETE", "/v1/tills/T1/basket")).json["lines"] == []


async def test_a_card_waits_for_a_person(api):
    await api("POST", "/v1/tills/T1/scans", {"code": "MLEKO"})
    asked = {"sale": SALE, "method": "card", "tendered_minor": 389, "cashier": "anna"}
    sold = await api("POST", "/v1/tills/T1/payments", asked)
    assert (sold.status, sold.json["stage"]) == (201, "tendered")
    (waiting,) = (await api("GET", "/v1/status")).json["open_sales"]
    assert (waiting["uuid"], waiting["waits_for"]) == (SALE, "payment")
    path = f"/v1/sales/{SALE}/payments/0/outcome"
    told = {"approved": True, "decided_by": "kierownik"}
    (await api("POST", path, told)).problem(403)
    done = await api("POST", path, told, scope="admin")
    assert (done.status, done.json["stage"]) == (200, "closed")
    assert done.json["payments"][0]["approved"] is True
    (await api("POST", path, told | {"approved": False}, scope="admin")).problem(409)
    (await api("POST", path.replace("/0/", "/7/"), told, scope="admin")).problem(404)


async def test_a_fiscal_store_asks_for_evidence(tmp_path):
    async with serving(tmp_path, settings=described(fiscal=True)) as api:
        said = (await api("PUT", f"/v1/sales/{SALE}", BODY)).problem(422)
        assert said["errors"][0]["where"] == "fiscal"
        proof = {"by": "kasa", "device": "EAZ1", "document": "1"}
        assert (await api("PUT", f"/v1/sales/{SALE}", but(fiscal=proof))).status == 201


async def test_the_status_says_how_the_node_is(api):
    await api("PUT", f"/v1/sales/{SALE}", BODY)
    api.times.ms += 30_000
    told = (await api("GET", "/v1/status", scope="read")).json
    assert (told["link"], told["store"], told["sales"]) == ("offline", "KRK1", 1)
    assert told["waiting"] >= 1
    assert told["oldest_waiting_s"] == 30
    assert told["clock"]["trust"] == "central"
    assert told["tills"] == ["T1"]
    assert len(told["heads"][0]["hash"]) == 64


async def test_what_the_installer_asks(api):
    await api("PUT", f"/v1/sales/{SALE}", BODY)
    (await api("POST", "/v1/sync", scope="admin")).problem(503)
    found = (await api("POST", "/v1/journal/verification", scope="admin")).json
    assert found["findings"] == []
    assert found["sound"] is True
    assert (await api("GET", "/healthz", scope=None)).json == {"status": "ok"}


async def test_the_served_document_lists_every_route(api):
    document = (await api("GET", "/openapi.json", scope=None)).json
    for entry in TABLE:
        assert entry.route.method.lower() in document["paths"][entry.route.path]
    assert document["openapi"].startswith("3.1")


async def test_a_client_that_goes_away_leaves_the_sale(api):
    """The answer is lost, the sale is not."""
    timeout = aiohttp.ClientTimeout(total=0.0001)
    for _ in range(5):
        try:
            await api("PUT", f"/v1/sales/{SALE}", BODY, timeout=timeout)
        except TimeoutError:
            continue
    told = await api("PUT", f"/v1/sales/{SALE}", BODY)
    assert told.status in (200, 201)
    assert told.json["receipt_number"] == 1


async def test_a_sale_that_was_dropped_is_gone_and_says_where_it_is(api, monkeypatch):
    monkeypatch.setattr(prune, "WORTH_IT", 1)
    old, new = (f"/v1/sales/00000000-0000-0000-0000-00000000000{n}" for n in (1, 2))
    body = {
        "till": "T1",
        "cashier": "anna",
        "lines": [{"sku": "MLEKO", "quantity_milli": 1000, "unit_minor": 389}],
        "payments": [{"method": "cash", "amount_minor": 389}],
    }
    for path in (old, new):
        assert (await api("PUT", path, body)).status == 201
    store = api.node.store
    heads = {head.stream: head.seq for head in store.heads()}
    store.note_peer(heads, heads)
    api.times.ms += KEEP_MS + 1
    dropped = (await api("POST", "/v1/journal/pruning", scope="admin")).json
    assert (dropped["dropped"], dropped["why_not"]) == (2, "")
    base = (await api("GET", "/v1/status", scope="read")).json["base"]
    assert base["facts"] == sum(heads.values())
    for method, path, more in (
        ("GET", old, {"scope": "read"}),
        ("PUT", old, {"body": body}),
        ("POST", f"{old}/copies", {}),
    ):
        said = (await api(method, path, **more)).problem(410)
        assert "Head office has them" in said["detail"]
    assert (await api("GET", new, scope="read")).status == 200, "the end of the stream is kept"
    again = (await api("POST", "/v1/journal/pruning", scope="admin")).json
    assert "done from 1 on" in again["why_not"]
