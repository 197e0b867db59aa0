"""Returns over HTTP, their protocol on paper, and the records as the tax office reads them."""

import csv
import io
from uuid import uuid4

import msgspec

from edge.cli.records import COLUMNS, as_csv
from edge.till.returns import ReturnsPage
from hw.slip import Columns, TextLine
from tests.edge.api.conftest import serving
from tests.edge.till.test_till import Paper

SALE = {
    "till": "T1",
    "cashier": "anna",
    "lines": [{"sku": "WODA", "quantity_milli": 2000, "unit_minor": 219}],
    "payments": [{"method": "cash", "amount_minor": 538}],
}


def back(sale, minor, **more):
    return {
        "sale": sale,
        "till": "T1",
        "cashier": "anna",
        "reason": "=nie smakowało",
        "payments": [{"method": "cash", "amount_minor": minor}],
        **more,
    }


async def sold(api):
    sale = str(uuid4())
    told = (await api("PUT", f"/v1/sales/{sale}", SALE)).json
    return sale, f"{told['receipt_series']}/{told['receipt_number']}"


async def test_a_receipt_is_found_and_its_goods_come_back_once(api):
    sale, receipt = await sold(api)
    found = (await api("GET", f"/v1/receipts/{receipt}", scope="read")).json
    assert (found["sale"]["uuid"], found["returned_milli"]) == (sale, [0])
    uuid = uuid4()
    body = back(sale, 269, lines=[{"line": 0, "quantity_milli": 1000}])
    first = await api("PUT", f"/v1/returns/{uuid}", body)
    assert (first.status, first.json["receipt"]) == (201, receipt)
    assert [(v["vat"], v["gross_minor"], v["vat_minor"]) for v in first.json["vat"]] == [
        ("23", 219, 41)
    ]
    again = await api("PUT", f"/v1/returns/{uuid}", dict(reversed(body.items())))
    assert (again.status, again.body) == (200, first.body)
    assert (await api("GET", f"/v1/returns/{uuid}", scope="read")).body == first.body
    found = (await api("GET", f"/v1/receipts/{receipt}", scope="read")).json
    assert (found["returned_milli"], found["returns"]) == ([1000], [str(uuid)])
    said = (await api("PUT", f"/v1/returns/{uuid4()}", back(sale, 538))).problem(409)
    assert "1000 of 2000 were given back" in said["detail"]
    assert (await api("GET", "/v1/stock/WODA", scope="read")).json["quantity_milli"] == -1000


async def test_what_is_not_there(api):
    (await api("GET", "/v1/receipts/T1-NOBODY/1", scope="read")).problem(404)
    (await api("GET", f"/v1/returns/{uuid4()}", scope="read")).problem(404)
    (await api("POST", f"/v1/returns/{uuid4()}/protocol")).problem(404)
    said = (await api("PUT", f"/v1/returns/{uuid4()}", back(str(uuid4()), 1))).problem(404)
    assert "store that sold them" in said["detail"]
    for days in ("from=2026-13-01", "from=2026-02-01&to=2026-01-01", "from=2020-01-01"):
        (await api("GET", f"/v1/returns?{days}", scope="read")).problem(422)


async def test_the_two_records(api):
    sale, _ = await sold(api)
    await api("PUT", f"/v1/returns/{uuid4()}", back(sale, 538))
    sale, receipt = await sold(api)
    mistake = back(sale, 538, mistake=True, correction="T1-X/9")
    await api("PUT", f"/v1/returns/{uuid4()}", mistake)
    day = (await api("GET", "/v1/returns", scope="read")).json["first_day"]
    path = f"/v1/returns?from={day}&to={day}&record="
    returned = (await api("GET", path + "returns", scope="read")).json
    mistakes = (await api("GET", path + "mistakes", scope="read")).json
    assert [one["mistake"] for one in returned["returns"]] == [False]
    assert [one["receipt"] for one in mistakes["returns"]] == [receipt]
    sheet = as_csv(msgspec.convert(mistakes, ReturnsPage))
    assert sheet.startswith(b"\xef\xbb\xbf")
    names, row = csv.reader(io.StringIO(sheet.decode("utf-8-sig")), delimiter=";")
    assert tuple(names) == COLUMNS
    line = dict(zip(names, row, strict=True))
    assert (line["wartosc_brutto"], line["kaucja"], line["razem_vat"]) == ("4,38", "1,00", "0,82")
    assert (line["towar"], line["ilosc"]) == ("Woda niegazowana 1,5 l", "2,000")
    assert line["przyczyna"] == "'=nie smakowało", "no spreadsheet runs a buyer's words"
    assert line["prawidlowa_rejestracja"] == "T1-X/9"


async def test_the_protocol_has_room_for_both_signatures(tmp_path):
    paper = Paper()
    async with serving(tmp_path, printer=paper) as api:
        sale, receipt = await sold(api)
        uuid = uuid4()
        await api("PUT", f"/v1/returns/{uuid}", back(sale, 538))
        assert (await api("POST", f"/v1/returns/{uuid}/protocol")).status == 202
        await paper.printed.wait()
        (slip,) = [one for one in paper.slips if one.job.startswith("return/")]
        said = [e.text for e in slip.elements if isinstance(e, TextLine)]
        assert said[:2] == ["NIEFISKALNY", "PROTOKÓŁ PRZYJĘCIA ZWROTU"]
        assert {"podpis sprzedawcy", "podpis kupującego"} <= set(said)
        sums = {e.left: e.right for e in slip.elements if isinstance(e, Columns)}
        assert (sums["Paragon"], sums["DO ZWROTU"]) == (receipt, "5,38")
