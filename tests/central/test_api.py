"""What programs and people get over HTTP."""

import base64

import aiohttp
import msgspec
import pytest

from central import orders
from central.ledger import reading, selling
from central.ledger.tables import FACTS, PRICES, TOKENS
from sync.facts import decode
from sync.facts.sale import Fiscal, SaleClosed, SaleFiscalised, Stage
from tests.central.machine import context_for, delivery, sale
from tests.central.test_enrolment import rows

CSV = "sku;nazwa;vat;cena;ean\nA;Masło extra;5;5,90;5901234123457\nB;Chleb;5;4,50;\n".encode()


async def send(lab, body, content_type, token=None):
    answer, got = await lab.ask(
        "POST",
        "/v1/catalogue",
        data=body,
        headers={"Content-Type": content_type},
        token=token or await lab.token("write"),
    )
    return answer.status, msgspec.json.decode(got)


async def test_a_basket_is_priced_as_a_till_would(lab):
    await lab.store()
    await send(lab, CSV, "text/csv")
    token, json_ = await lab.token("write"), {"headers": {"Content-Type": "application/json"}}
    row = {"id": "P1", "name": "3 za 2", "kind": "n_for_m", "take": 3, "pay": 2}
    told = {"data": msgspec.json.encode({"promotions": [row]})}
    await lab.ask("POST", "/v1/promotions", **told, **json_, token=token)

    async def quoted(lines, store="S1", **more):
        asked = {"data": msgspec.json.encode({"lines": lines, **more})}
        path = f"/v1/quotes?store={store}"
        answer, got = await lab.ask("POST", path, **asked, **json_, token=token)
        return answer.status, msgspec.json.decode(got)

    lines = [{"sku": "A", "quantity_milli": 2000}, {"sku": "B"}]
    status, quote = await quoted(lines)
    assert status == 200
    assert (quote["total_minor"], quote["given_minor"]) == (2 * 590 + 450 - 450, 450)
    given = [(g["promotion"], g["amount_minor"]) for ln in quote["lines"] for g in ln["given"]]
    assert [id_ for id_, _ in given] == ["P1", "P1"]
    assert sum(v["gross_minor"] for v in quote["vat"]) == quote["goods_minor"]
    status, problem = await quoted([{"sku": "A"}, {"sku": "BRAK"}])
    assert (status, problem["errors"][0]["where"]) == (422, "lines.1.sku")
    assert (await quoted(lines, at_ms=1_400_000_000_000))[0] == 200, "its first price"
    assert (await quoted(lines, at_ms=0))[0] == 422, "no VAT of that day is known"
    assert (await quoted(lines, store="NIEMA"))[0] == 404


async def test_promotions_become_facts_that_a_store_hears(lab):
    machine = await lab.machine()
    await send(lab, CSV, "text/csv")
    row = {"id": "P1", "name": "-20%", "kind": "percent", "basis_points": 2000}
    told = {"data": msgspec.json.encode({"promotions": [row]})}
    json_ = {"headers": {"Content-Type": "application/json"}}
    token = await lab.token("write")
    answer, got = await lab.ask("POST", "/v1/promotions", **told, **json_, token=token)
    assert answer.status == 200
    published = msgspec.json.decode(got)
    assert (published["rows"], published["changed"]) == (1, 1)
    _, events, _ = await machine.exchange()
    heard = [
        decode(fact).promotion
        for event in events
        if hasattr(event, "batch")
        for fact in event.batch.facts
        if fact.kind == "promotion"
    ]
    assert [(one.id, one.basis_points) for one in heard] == [("P1", 2000)]
    told = {"data": msgspec.json.encode({"promotions": [row | {"kind": "gratis"}]})}
    answer, got = await lab.ask("POST", "/v1/promotions", **told, **json_, token=token)
    (wrong,) = msgspec.json.decode(got)["errors"]
    assert answer.status == 422
    assert (wrong["where"], wrong["value"]) == ("row 1, kind", "gratis")
    answer, _ = await lab.ask("POST", "/v1/promotions", **told, token=token)
    assert answer.status == 415
    reader = await lab.token("read")
    answer, _ = await lab.ask("POST", "/v1/promotions", **told, **json_, token=reader)
    assert answer.status == 403


async def test_a_catalogue_becomes_facts_once(lab):
    machine = await lab.machine()
    status, first = await send(lab, CSV, "text/csv")
    assert (status, first["rows"], first["articles"], first["prices"]) == (200, 2, 2, 2)
    before = len(await rows(lab, FACTS))
    status, again = await send(lab, CSV, "text/csv")
    assert (again["articles"], again["prices"], again["revision"]) == (0, 0, 0)
    assert len(await rows(lab, FACTS)) == before
    changed = CSV.replace(b"4,50", b"4,60").decode().encode("cp1250")
    status, third = await send(lab, changed, "text/csv; charset=windows-1250")
    assert (third["articles"], third["prices"]) == (0, 1)
    assert third["revision"] > first["revision"]
    _, events, _ = await machine.exchange()
    told = [
        fact.kind
        for event in events
        if hasattr(event, "batch") and event.batch.stream.scope == ""
        for fact in event.batch.facts
    ]
    assert told == ["node.began", "node.enrolled", "articles", "prices", "prices"]


async def test_a_dated_price_and_the_one_after_it(lab):

    body = {"articles": [{"sku": "A", "name": "A", "vat": "5", "price_minor": 100}]}
    await send(lab, msgspec.json.encode(body), "application/json")
    body["articles"][0] |= {"price_minor": 90, "effective_from": "2026-01-01"}
    _, told = await send(lab, msgspec.json.encode(body), "application/json")
    assert told["prices"] == 1
    assert (await send(lab, msgspec.json.encode(body), "application/json"))[1]["prices"] == 0
    body["articles"][0] |= {"price_minor": 120}
    del body["articles"][0]["effective_from"]
    assert (await send(lab, msgspec.json.encode(body), "application/json"))[1]["prices"] == 1
    assert (await send(lab, msgspec.json.encode(body), "application/json"))[1]["prices"] == 0
    made = sorted((row.from_ms, row.unit_minor) for row in await rows(lab, PRICES))
    assert [minor for _, minor in made] == [100, 90, 120]


async def test_a_large_catalogue_is_cut_into_facts_within_bounds(lab):
    articles = [
        {"sku": f"S{n}", "name": "ż" * 200, "vat": "23", "price_minor": n + 1} for n in range(1200)
    ]
    status, told = await send(lab, msgspec.json.encode({"articles": articles}), "application/json")
    assert (status, told["articles"], told["prices"]) == (200, 1200, 1200)
    facts = [row for row in await rows(lab, FACTS) if row.kind in {"articles", "prices"}]
    assert max(len(row.body) for row in facts) < 256 * 1024
    assert len(facts) > 4
    assert facts[-1].signature is not None


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (CSV.replace(b"5,90", b"drogo"), "text/csv", 422, "drogo"),
        (CSV.replace(b"5901234123457", b"5,90E+12"), "text/csv", 422, "5,90E+12"),
        (b"{", "application/json", 422, "JSON"),
        (b"", "application/json", 422, "JSON"),
        (CSV, "text/html", 415, "text/html"),
    ],
)
async def test_a_bad_catalogue_changes_nothing(lab, body, kind, status, words):
    await send(lab, CSV, "text/csv")
    before = await rows(lab, FACTS)
    got, told = await send(lab, body, kind)
    assert got == status
    assert words in msgspec.json.encode(told).decode()
    assert told["errors"]
    assert await rows(lab, FACTS) == before


async def test_sales_are_told_with_names_of_their_day(lab):
    machine = await lab.machine()
    _, told = await send(lab, CSV, "text/csv")
    writer = machine.writer
    body = sale(("A", 1500, 590), ("X", 1000, 100), number=7)
    lines = msgspec.structs.replace(body.lines, price_version=[told["revision"]])
    writer.write(msgspec.structs.replace(body, lines=lines))
    event = b"e" * 16
    writer.write(sale(stage=Stage.TENDERED, number=8), event)
    writer.write(SaleFiscalised(Fiscal("karb", "EAZ1", "7")), event)
    await machine.exchange(writer.batch())
    await send(lab, CSV.replace("Masło extra".encode(), b"Margaryna"), "text/csv")
    page = await lab.json("/v1/sales?store=S1")
    first, second = page["sales"]
    assert [line["name"] for line in first["lines"]] == ["Masło extra", ""]
    assert [line["total_minor"] for line in first["lines"]] == [885, 100]
    assert first["receipt_series"].startswith("T1-")
    assert (first["receipt_number"], first["stage"], first["total_minor"]) == (7, "closed", 985)
    assert first["at"].endswith("Z")
    assert first["payments"] == [
        {"method": "cash", "amount_minor": 985, "change_minor": 0, "reference": ""}
    ]
    assert second["fiscal"] == {"by": "karb", "device": "EAZ1", "document": "7"}
    assert second["stage"] == "fiscalised"
    writer.write(SaleClosed(1, 2), event)
    await machine.exchange(writer.batch(4))
    after = await lab.json(f"/v1/sales?store=S1&after={page['next']}")
    assert [(item["uuid"], item["stage"]) for item in after["sales"]] == [
        (second["uuid"], "closed")
    ]
    assert (await lab.json(f"/v1/sales?store=S1&after={after['next']}"))["sales"] == []


async def test_no_page_skips_a_sale(lab):
    one, two = await lab.machine(), await lab.machine()
    seen, after = [], ""
    for number in range(1, 8):
        for machine in (one, two):
            machine.writer.write(sale(number=number))
            await machine.exchange(machine.writer.batch())
        page = await lab.json(f"/v1/sales?store=S1&limit=2&after={after}")
        seen += [item["uuid"] for item in page["sales"]]
        after = page["next"]
    while page["more"]:
        page = await lab.json(f"/v1/sales?store=S1&limit=2&after={after}")
        seen += [item["uuid"] for item in page["sales"]]
        after = page["next"]
    assert len(seen) == len(set(seen)) == 14


async def test_stock_comes_with_its_age(lab):
    machine = await lab.machine()
    machine.writer.write(delivery(("A", 5000), ("B", 1000)))
    machine.writer.write(sale(("A", 1500, 590)))
    await machine.exchange(machine.writer.batch())
    (row,) = (await lab.json("/v1/stock?store=S1&sku=A"))["stock"]
    assert row["quantity_milli"] == 3500
    assert row["as_of_ms"] == machine.writer.facts[1].hlc >> 16
    assert row["age_ms"] >= 0
    assert len((await lab.json("/v1/stock"))["stock"]) == 2
    assert (await lab.json("/v1/stock?sku=nope"))["stock"] == []


async def test_each_node_of_a_store_is_told_apart(lab):
    one, two = await lab.machine(), await lab.machine()
    one.writer.write(sale())
    await one.exchange(one.writer.batch())
    two.writer.write(sale())
    two.writer.write(sale())
    await one.exchange(two.writer.batch())
    (store,) = (await lab.json("/v1/status"))["stores"]
    nodes = {node["node"]: node for node in store["nodes"]}
    first, second = (nodes[machine.writer.stream.node.hex()] for machine in (one, two))
    assert len(nodes) == 2
    assert (first["facts"], first["unsafe"], first["revoked"]) == (1, 1, False)
    assert first["heard_ms"] > 0
    assert first["bytes_in"] > 0
    # Brought by its neighbour: its facts are here, itself was never heard.
    assert (second["facts"], second["heard_ms"], second["bytes_in"]) == (2, None, 0)
    assert second["newest_ms"] > 0


async def test_the_quarantine_is_shown(lab):
    machine = await lab.machine()
    machine.writer.raw("sale", b"\x90")
    await machine.exchange(machine.writer.batch())
    (row,) = (await lab.json("/v1/quarantine"))["quarantine"]
    assert (row["store"], row["number"], row["kind"]) == ("S1", 1, "sale")
    assert row["reason"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/sales", 400),
        ("/v1/sales?store=", 400),
        ("/v1/sales?store=NOPE", 404),
        ("/v1/sales?store=S1&limit=0", 400),
        ("/v1/sales?store=S1&limit=1001", 400),
        ("/v1/sales?store=S1&limit=1e3", 400),
        ("/v1/sales?store=S1&after=x", 400),
        ("/v1/sales?store=S1&after=%00", 400),
        ("/v1/sales?store=S1&after=" + "A" * 500, 400),
        ("/v1/stock?store=NOPE", 404),
        ("/v1/stock?sku=", 400),
        ("/v1/nothing", 404),
    ],
)
async def test_bad_questions_are_problems(lab, path, status):
    await lab.store()
    told = await lab.json(path, status=status)
    assert told["status"] == status
    assert told["detail"]


async def test_a_cursor_of_another_ledger_is_refused(lab):
    await lab.store()
    told = await lab.json(f"/v1/sales?store=S1&after={selling.cursor(1, 1)}", status=400)
    assert "another ledger" in told["detail"]


async def test_tokens_open_what_their_scope_says(lab):
    await lab.store()
    read, write = await lab.token("read"), await lab.token("write")
    assert (await lab.ask("GET", "/v1/stores", token=read))[0].status == 200
    assert (await lab.ask("GET", "/v1/stores", token=write))[0].status == 200
    assert (await send(lab, CSV, "text/csv", read))[0] == 403
    for token in (
        "karb_read_" + "a" * 32,
        "nonsense",
        lab.admin[:-1] + ("b" if lab.admin[-1] == "a" else "a"),
    ):
        answer, _ = await lab.ask("GET", "/v1/stores", token=token)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    order = msgspec.json.encode(orders.Status())
    kind = {"Content-Type": "application/json"}
    for token, status in ((None, 401), (write, 403), (lab.admin, 200)):
        answer, _ = await lab.ask("POST", "/v1/orders", data=order, headers=kind, token=token)
        assert answer.status == status
    assert read.encode() not in b"".join(row.digest for row in await rows(lab, TOKENS))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("DELETE", "/v1/stores", 405), ("POST", "/v1/sales", 405), ("GET", "/x", 404)],
)
async def test_the_wrong_way_in_is_a_problem(lab, method, path, status):
    answer, body = await lab.ask(method, path)
    assert answer.status == status
    assert answer.content_type == "application/problem+json"
    assert msgspec.json.decode(body)["status"] == status


async def test_a_failure_leaks_nothing(lab, monkeypatch):

    def broken(_connection):
        raise RuntimeError("secret inside")

    monkeypatch.setattr(reading, "quarantine", broken)
    answer, body = await lab.ask("GET", "/v1/quarantine", token=await lab.token())
    assert answer.status == 500
    assert b"secret" not in body
    assert (await lab.ask("GET", "/healthz"))[0].status == 200


async def test_the_description_names_every_route(lab):
    answer, body = await lab.ask("GET", "/openapi.json")
    described = msgspec.json.decode(body)
    assert answer.content_type == "application/json"
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in lab.server.runner.app.router.routes()
        if route.method != "HEAD"
    }
    listed = {(method, path) for path, methods in described["paths"].items() for method in methods}
    assert listed <= served
    assert {path for _, path in served} - {path for _, path in listed} == {
        "/",
        "/login",
        "/logout",
        "/web/{name}",
        "/openapi.json",
        "/v1/authority",
        "/v1/exchange",
        "/v1/exchange/live",
        "/v1/checkpoint",
        "/v1/checkpoint/keys",
        "/v1/orders",
        "/v1/status/events",
    }


async def test_people_log_in_with_a_token(lab):
    await lab.store()
    token = await lab.token()
    answer, _ = await lab.ask("GET", "/")
    assert (answer.status, answer.headers["Location"]) == (303, "/login")
    answer, body = await lab.ask("GET", "/login", headers={"Accept-Language": "pl-PL,pl;q=0.9"})
    assert b"Token odczytu" in body
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    answer, body = await lab.ask("POST", "/login", data={"token": "wrong"})
    assert answer.status == 403
    assert b"not known here" in body
    for how in ("form", "address"):
        if how == "form":
            answer, _ = await lab.ask("POST", "/login", data={"token": token})
        else:
            answer, _ = await lab.ask("GET", f"/login?token={token}")
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        cookie = answer.headers["Set-Cookie"]
        assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=Strict"))
        assert token not in cookie
    value = cookie.split(";")[0]
    answer, body = await lab.ask("GET", "/?lang=en", headers={"Cookie": value})
    assert answer.status == 200
    assert b"Sold in all" in body
    assert b"[[" not in body
    assert b"<script>" not in body
    assert (await lab.ask("GET", "/v1/status", headers={"Cookie": value}))[0].status == 200
    answer, _ = await lab.ask("POST", "/v1/catalogue", data=CSV, headers={"Cookie": value})
    assert answer.status == 401
    raw = bytearray(base64.urlsafe_b64decode(value.split("=", 1)[1].strip('"')))
    raw[-1] ^= 1
    forged = f"karb={base64.urlsafe_b64encode(raw).decode()}"
    for bad in (forged, "karb=", "karb=abc"):
        assert (await lab.ask("GET", "/v1/status", headers={"Cookie": bad}))[0].status == 401
    for name in ("status.js", "style.css", "karb.svg"):
        assert (await lab.ask("GET", f"/web/{name}"))[0].status == 200
    for name in ("status.html", "..%2fapp.py", "nope.js"):
        assert (await lab.ask("GET", f"/web/{name}"))[0].status == 404


async def test_the_page_hears_of_sales_as_they_come(lab):
    machine = await lab.machine()
    token = await lab.token()
    context = context_for(lab.office.authority.folder.authority.read_text())
    async with (
        aiohttp.ClientSession(lab.url, connector=aiohttp.TCPConnector(ssl=context)) as client,
        client.get(
            "/v1/status/events",
            headers={"Authorization": f"Bearer {token}"},
            server_hostname="central.karb",
        ) as answer,
    ):
        assert answer.content_type == "text/event-stream"
        assert (await event(answer))["totals"]["sales"] == 0
        machine.writer.write(sale())
        await machine.exchange(machine.writer.batch())
        assert (await event(answer))["totals"]["sales"] == 1


async def event(answer):
    line = await answer.content.readline()
    assert await answer.content.readline() == b"\n"
    return msgspec.json.decode(line.removeprefix(b"data: "))
