"""Devices, jobs, events and pairing, over the API of a node with simulated devices."""

import asyncio
import itertools
import json
import tomllib

import aiohttp
import pytest

from edge.config import DEVICES, first_file, load
from edge.gateway import MAX_WRONG
from hw.escpos.simulator import EscposSimulator
from hw.scanner.simulator import ScannerSimulator
from tests.hw.until import PATIENCE_S, until

IDS = (f"00000000-0000-4000-8000-{n:012}" for n in itertools.count())
TEXT = [{"element": "text", "text": "2 x żurek"}, {"element": "cut"}]


@pytest.fixture
async def printer():
    printer = EscposSimulator()
    printer.url = "tcp:{}:{}".format(*await printer.listen())
    yield printer
    await printer.close()


@pytest.fixture
async def scanner(tmp_path):
    scanner = ScannerSimulator(tmp_path / "scanner")
    yield scanner
    scanner.unplug()


async def connected(api, device):
    statuses = api.node.gateway.devices.statuses
    await until(lambda: {s.id: s.state for s in statuses()}.get(device) == "connected")


async def with_printer(api, printer):
    body = {"driver": "printer.escpos", "url": printer.url, "till": "T1"}
    assert (await api("PUT", "/v1/devices/drukarka", body, scope="admin")).status == 201
    await connected(api, "drukarka")


async def settled(api, job, state="done"):
    async with asyncio.timeout(PATIENCE_S):
        while True:
            said = (await api("GET", f"/v1/jobs/{job}", scope="print")).json
            if said["state"] == state:
                return said
            await api.node.gateway.events.news(api.node.gateway.events.cursor)


async def test_a_device_is_added_tried_given_away_and_removed_while_the_node_runs(
    api, printer, tmp_path
):
    await with_printer(api, printer)
    said = await api("POST", "/v1/devices/drukarka/test", scope="admin")
    assert "goes to it" in said.json["said"]
    await until(lambda: printer.machine.receipts)
    assert printer.machine.receipts[0].text.splitlines()[0].strip() == "NIEFISKALNY"
    [listed] = (await api("GET", "/v1/devices", scope="admin")).json["devices"]
    assert (listed["id"], listed["state"], listed["added"]) == ("drukarka", "connected", True)
    shared = await api("PUT", "/v1/devices/drukarka/till", {"till": None}, scope="admin")
    assert (shared.json["till"], shared.json["shared"]) == (None, True)
    (tmp_path / "karb.toml").write_text(first_file("k", "KRK1", "https://c.example"))
    assert [device.shared for device in load(tmp_path).devices] == [True], "a restart reads it"
    log = (await api("GET", "/v1/devices/drukarka/log", scope="admin")).json["entries"]
    assert "connected" in [entry["data"].get("state") for entry in log]
    assert (await api("DELETE", "/v1/devices/drukarka", scope="admin")).status == 200
    assert tomllib.loads((tmp_path / DEVICES).read_text()) == {}
    (await api("DELETE", "/v1/devices/drukarka", scope="admin")).problem(404)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"driver": "printer.escpo", "url": "tcp:h:1"}, "did you mean printer.escpos"),
        ({"driver": "printer.escpos", "url": "seriall:/dev/ttyS0"}, "did you mean serial"),
        ({"driver": "printer.escpos", "url": "tcp:h:1", "till": "T9"}, "expected one of T1"),
        ({"driver": "printer.escpos", "url": "tcp:h:1", "options": {"colums": "4"}}, "columns"),
        ({"driver": "scanner.serial", "url": "tcp:h:1", "shared": True}, "serves one till"),
        ({"driver": "printer.escpos", "url": "tcp:h:1", "stand_in": "x"}, "another device"),
    ],
)
async def test_a_device_that_cannot_be_is_refused_and_nothing_is_written(api, tmp_path, body, told):
    said = (await api("PUT", "/v1/devices/d", body, scope="admin")).problem(422)
    assert told in said["detail"]
    assert not (tmp_path / DEVICES).exists()


async def test_two_configurations_of_one_device_are_refused(api, printer):
    await with_printer(api, printer)
    body = {"driver": "printer.escpos", "url": printer.url}
    said = (await api("PUT", "/v1/devices/druga", body, scope="admin")).problem(422)
    assert "'druga' and 'drukarka' are both at" in said["detail"]


async def test_a_job_asked_for_twice_is_printed_once(api, printer):
    await with_printer(api, printer)
    job, body = next(IDS), {"till": "T1", "kind": "kitchen", "elements": TEXT}
    assert (await api("PUT", f"/v1/jobs/{job}", body, scope="print")).status == 201
    await settled(api, job)
    again = await api("PUT", f"/v1/jobs/{job}", body, scope="print")
    assert (again.status, again.json["state"]) == (200, "done")
    other = body | {"elements": [{"element": "text", "text": "3 x żurek"}]}
    (await api("PUT", f"/v1/jobs/{job}", other, scope="print")).problem(409)
    assert [receipt.text for receipt in printer.machine.receipts] == ["2 x żurek"]


async def test_what_no_machine_can_tell_a_person_does(api, printer):
    await with_printer(api, printer)
    printer.faults.drop_after = "job"
    job = next(IDS)
    await api("PUT", f"/v1/jobs/{job}", {"till": "T1", "elements": TEXT}, scope="print")
    await settled(api, job, "unknown")
    [open_] = (await api("GET", "/v1/jobs", scope="print")).json["jobs"]
    assert (open_["id"], open_["state"]) == (job, "unknown")
    said = {"decision": "not_printed", "by": "anna"}
    assert (await api("POST", f"/v1/jobs/{job}/decision", said, scope="print")).status == 200
    assert (await settled(api, job))["decided_by"] == "anna"
    assert printer.machine.receipts[-1].text.startswith("KOPIA")


async def test_a_client_that_slept_misses_nothing_and_one_that_slept_too_long_is_told(api, scanner):
    scanner.plug()
    body = {"driver": "scanner.serial", "url": scanner.url, "till": "T1"}
    await api("PUT", "/v1/devices/skaner", body, scope="admin")
    await connected(api, "skaner")
    cursor = (await api("GET", "/v1/events", scope="read")).json["next"]
    for n in range(30):
        await scanner.scan(f"{n:03}")
    events = api.node.gateway.events
    await until(lambda: len(events.after(cursor)[0]) == 30)
    said = (await api("GET", f"/v1/events?after={cursor}", scope="read")).json
    assert [event["data"]["code"] for event in said["events"]] == [f"{n:03}" for n in range(30)]
    assert not said["missed"]
    assert (await api("GET", f"/v1/events?after={said['next']}", scope="read")).json["events"] == []
    assert (await api("GET", "/v1/events?after=other-3", scope="read")).json["missed"]
    (await api("GET", "/v1/events?after=soon", scope="read")).problem(409)


async def pair(api, till="T1", scopes=("read", "print")):
    body = {"till": till, "scopes": scopes, "name": "tablet"}
    code = (await api("POST", "/v1/pairing-codes", body, scope="admin")).json["code"]
    answer = await api("POST", "/v1/pairings", {"code": code.lower()}, scope=None)
    assert answer.status == 201
    (await api("POST", "/v1/pairings", {"code": code}, scope=None)).problem(403)
    api.tokens["tablet"] = answer.json["token"]
    return answer.json


async def test_a_paired_till_may_do_what_was_granted_for_itself_alone(api, printer):
    await with_printer(api, printer)
    assert (await pair(api))["till"] == "T1"
    job = {"till": "T1", "elements": TEXT}
    assert (await api("PUT", f"/v1/jobs/{next(IDS)}", job, scope="tablet")).status == 201
    other = await api("PUT", f"/v1/jobs/{next(IDS)}", job | {"till": "T2"}, scope="tablet")
    assert "acts for 'T1' alone" in other.problem(403)["detail"]
    (await api("POST", "/v1/tills/T2/scans", {"code": "1"}, scope="tablet")).problem(403)
    (await api("POST", "/v1/devices/scan", scope="tablet")).problem(403)
    (await api("PUT", f"/v1/jobs/{next(IDS)}", job, scope="read")).problem(403)
    assert (await api("GET", "/v1/events", scope="tablet")).status == 200
    stored = await api.node.store._rows("SELECT digest FROM tokens", ())
    assert not any(api.tokens["tablet"].encode() in digest for (digest,) in stored)


async def test_codes_cannot_be_found_by_trying_and_do_not_last(api):
    body = {"till": "T1", "scopes": ["read"], "name": "tablet"}
    code = (await api("POST", "/v1/pairing-codes", body, scope="admin")).json["code"]
    for _ in range(MAX_WRONG):
        (await api("POST", "/v1/pairings", {"code": "AAAAAAA7"}, scope=None)).problem(403)
    (await api("POST", "/v1/pairings", {"code": code}, scope=None)).problem(403)
    code = (await api("POST", "/v1/pairing-codes", body, scope="admin")).json["code"]
    api.times.ms += 11 * 60_000
    (await api("POST", "/v1/pairings", {"code": code}, scope=None)).problem(403)


@pytest.mark.parametrize(
    ("headers", "status", "allowed"),
    [
        ({"Origin": "https://evil.example"}, 403, None),
        ({"Origin": "null"}, 403, None),
        ({"Host": "evil.example"}, 403, None),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 403, None),
        ({"Origin": "https://kasa.example"}, 200, "https://kasa.example"),
        (
            {"Host": "localhost:8787", "Origin": "http://localhost:8787"},
            200,
            "http://localhost:8787",
        ),
        ({}, 200, None),
    ],
)
async def test_pages_of_somewhere_else_do_not_reach_the_till(api, headers, status, allowed):
    said = await api("GET", "/v1/status", scope="read", headers=headers)
    assert said.status == status
    assert said.headers.get("Access-Control-Allow-Origin") == allowed
    asked = headers | {"Access-Control-Request-Method": "PUT"}
    first = await api("OPTIONS", "/v1/status", scope=None, headers=asked)
    assert first.headers.get("Access-Control-Allow-Origin") == allowed
    assert (first.status == 204) is (allowed is not None)


async def test_a_line_tells_events_as_they_happen_to_the_till_they_concern(api, scanner):
    scanner.plug()
    body = {"driver": "scanner.serial", "url": scanner.url, "till": "T1"}
    await api("PUT", "/v1/devices/skaner", body, scope="admin")
    await connected(api, "skaner")
    await pair(api, scopes=("read",))
    live = api.url + "/v1/events/live"
    protocols = ("karb.v1", f"karb.token.{api.tokens['tablet']}")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await api.client.ws_connect(live)
    assert refused.value.status == 401
    async with api.client.ws_connect(live, protocols=protocols) as line:
        assert line.protocol == "karb.v1"
        first = json.loads((await line.receive(PATIENCE_S)).data)
        api.node.gateway.events.add("scan", "other", "T2", 0, code="for T2")
        await scanner.scan("111")
        while not (page := json.loads((await line.receive(PATIENCE_S)).data))["events"]:
            pass
        assert [event["data"]["code"] for event in page["events"]] == ["111"]
    async with api.client.ws_connect(f"{live}?after={first['next']}", protocols=protocols) as line:
        page = json.loads((await line.receive(PATIENCE_S)).data)
        assert [event["data"]["code"] for event in page["events"]] == ["111"]
