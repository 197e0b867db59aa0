"""Drawer, badge, fiscal receipts and payments over the API, for browsers and foreign tills."""

import asyncio
import itertools

import pytest

from hw.ecreft import simulator as ecreft
from hw.ecreft.simulator import EcreftSimulator
from hw.escpos.simulator import EscposSimulator
from hw.nfc import simulator as nfc
from hw.nfc.simulator import NfcSimulator
from hw.posnet import simulator as posnet
from hw.posnet.simulator import PosnetSimulator
from tests.edge.api.test_gateway import connected
from tests.hw.until import PATIENCE_S, until

IDS = (f"00000000-0000-4000-9000-{n:012}" for n in itertools.count())


async def added(api, name, driver, url, **options):
    body = {"driver": driver, "url": url, "till": "T1", "options": options}
    assert (await api("PUT", f"/v1/devices/{name}", body, scope="admin")).status == 201
    await connected(api, name)


async def event(api, kind, **data):
    """Wait until something of this kind has been told."""
    events = api.node.gateway.events
    async with asyncio.timeout(PATIENCE_S):
        while True:
            page = (await api("GET", f"/v1/events?after={events._run}-0", scope="read")).json
            for one in page["events"]:
                if one["kind"] == kind and data.items() <= one["data"].items():
                    return one
            await events.news(events.cursor)


@pytest.fixture
async def devices():
    made = [EscposSimulator(), NfcSimulator(), PosnetSimulator(), EcreftSimulator()]
    yield made
    for one in made:
        await one.close()


async def test_a_drawer_is_opened_with_a_reason_once_and_says_that_it_is_open(api, devices):
    printer = devices[0]
    url = "tcp:{}:{}".format(*await printer.listen())
    await added(api, "d", "printer.escpos", url, drawer="high", drawer_poll_s="0.02")
    asked = {"uuid": next(IDS), "reason": "rozmienić", "by": "anna"}
    said = await api("POST", "/v1/tills/T1/drawer", asked)
    assert (said.status, said.json["device"]) == (201, "d")
    told = await event(api, "drawer", state="asked")
    assert (told["data"]["reason"], told["data"]["by"], told["till"]) == ("rozmienić", "anna", "T1")
    await event(api, "drawer", state="open")
    again = await api("POST", "/v1/tills/T1/drawer", asked)
    assert (again.status, again.json["job"]["state"]) == (200, "done")
    assert printer.machine.drawer_pulses == 1
    assert (await api("GET", "/v1/tills/T1/drawer", scope="read")).json["open"] is True
    printer.machine.drawer_open = False
    await event(api, "drawer", state="closed")
    (await api("POST", "/v1/tills/T1/drawer", asked | {"reason": ""})).problem(422)
    (await api("POST", "/v1/tills/T1/drawer", asked, scope="read")).problem(403)


async def test_without_a_printer_there_is_no_drawer(api):
    asked = {"uuid": next(IDS), "reason": "x", "by": "anna"}
    assert (
        "expected a printer"
        in (await api("POST", "/v1/tills/T1/drawer", asked)).problem(422)["detail"]
    )
    (await api("GET", "/v1/tills/T9/drawer")).problem(404)


async def test_a_badge_comes_out_as_an_event_of_its_till(api, devices):
    reader = devices[1]
    url = "udp:{}:{}".format(*await reader.listen())
    await added(api, "r", "reader.nfc", url, technologies="106A", poll_s="0.02")
    nfc.obey(reader, "card 1de3a4b59c7f80 STAFF-0042")
    told = await event(api, "badge")
    assert told["data"] == {"id": "1de3a4b59c7f80", "uid": "1de3a4b59c7f80", "text": "STAFF-0042"}
    assert (told["device"], told["till"]) == ("r", "T1")
    assert "hold a card" in (await api("POST", "/v1/devices/r/test", scope="admin")).json["said"]


RECEIPT = {
    "till": "T1",
    "lines": [
        {"name": "Chleb", "quantity_milli": 2000, "unit_minor": 499, "vat": {"basis_points": 500}}
    ],
    "payments": [{"means": "cash", "amount_minor": 1000}],
    "total_minor": 998,
    "change_minor": 2,
}


async def receipt(api, uuid, state):
    async with asyncio.timeout(PATIENCE_S):
        while True:
            said = (await api("GET", f"/v1/fiscal-receipts/{uuid}", scope="fiscal")).json
            if said["job"]["state"] == state:
                return said
            await asyncio.sleep(0.02)


async def test_a_fiscal_receipt_is_ordered_once_and_done_with_its_evidence(api, devices):
    printer = devices[2]
    url = "tcp:{}:{}".format(*await printer.listen())
    await added(api, "f", "fiscal.posnet", url, allow_fiscal="yes")
    uuid = next(IDS)
    put = f"/v1/fiscal-receipts/{uuid}"
    assert (await api("PUT", put, RECEIPT, scope="fiscal")).status == 201
    done = await receipt(api, uuid, "done")
    assert done["evidence"]["device"] == printer.module.unique_number
    again = await api("PUT", put, RECEIPT, scope="fiscal")
    assert (again.status, again.json["evidence"]) == (200, done["evidence"])
    assert len(list(printer.module.of_receipts())) == 1
    (await api("PUT", put, RECEIPT | {"number": "2"}, scope="fiscal")).problem(409)
    wrong = await api(
        "PUT", f"/v1/fiscal-receipts/{next(IDS)}", RECEIPT | {"total_minor": 1}, scope="fiscal"
    )
    assert "expected" in wrong.problem(409)["detail"]
    for scope in ("print", "pay", "sell"):
        (await api("PUT", put, RECEIPT, scope=scope)).problem(403)
    said = {"decision": "cancel", "by": "anna"}
    (await api("POST", f"/v1/jobs/{uuid}/decision", said, scope="print")).problem(403)


async def test_a_fiscalised_printer_is_refused_unless_it_is_allowed(api, devices):
    url = "tcp:{}:{}".format(*await devices[2].listen())
    body = {"driver": "fiscal.posnet", "url": url, "till": "T1"}
    assert (await api("PUT", "/v1/devices/f", body, scope="admin")).status == 201
    statuses = api.node.gateway.devices.statuses
    await until(lambda: statuses()[0].state == "misconfigured")
    assert "is fiscalised, and allow_fiscal is not yes" in statuses()[0].problem
    assert (
        await api("PUT", f"/v1/fiscal-receipts/{next(IDS)}", RECEIPT, scope="fiscal")
    ).status == 201
    assert list(devices[2].module.of_receipts()) == []


async def test_what_no_machine_can_tell_of_a_receipt_a_person_says(api, devices):
    printer = devices[2]
    url = "tcp:{}:{}".format(*await printer.listen())
    await added(
        api, "f", "fiscal.posnet", url, allow_fiscal="yes", shared="yes", resolve_timeout_s="1"
    )
    uuid = next(IDS)
    posnet.obey(printer, "drop-after trend 1")
    assert (await api("PUT", f"/v1/fiscal-receipts/{uuid}", RECEIPT, scope="fiscal")).status == 201
    # The device tells by itself: no person is asked, and what one says too early is refused.
    said = {"decision": "printed", "by": "anna"}
    (await api("POST", f"/v1/fiscal-receipts/{uuid}/decision", said, scope="fiscal")).problem(422)
    await receipt(api, uuid, "done")
    late = said | {"document": "1"}
    assert (
        "nobody can tell"
        in (
            await api("POST", f"/v1/fiscal-receipts/{uuid}/decision", late, scope="fiscal")
        ).problem(409)["detail"]
    )
    assert len(list(printer.module.of_receipts())) == 1


async def test_a_payment_is_taken_once_and_asked_about(api, devices):
    terminal = devices[3]
    url = "tcp:{}:{}".format(*await terminal.cable.listen())
    await added(api, "t", "terminal.ecreft", url, resolve_timeout_s="1", answer_timeout_s="2")
    uuid, body = next(IDS), {"till": "T1", "sale": "K-1", "amount_minor": 1234}
    paid = await api("PUT", f"/v1/charges/{uuid}", body, scope="pay")
    assert (paid.json["state"], paid.json["amount_minor"]) == ("approved", 1234)
    assert (await api("PUT", f"/v1/charges/{uuid}", body, scope="pay")).json == paid.json
    asked = await api("POST", f"/v1/charges/{uuid}/question", {"till": "T1"}, scope="pay")
    assert asked.json == paid.json
    assert len(terminal.books.taken()) == 1
    for scope in ("print", "fiscal", "sell"):
        (await api("PUT", f"/v1/charges/{uuid}", body, scope=scope)).problem(403)

    lost = next(IDS)
    ecreft.obey(terminal, "drop-after S1")
    unknown = await api("PUT", f"/v1/charges/{lost}", body | {"sale": "K-2"}, scope="pay")
    assert unknown.json["state"] == "unknown", unknown.json
    other = await api("PUT", f"/v1/charges/{next(IDS)}", body | {"sale": "K-3"}, scope="pay")
    assert other.json["state"] == "refused", "while one is unknown it takes no other"
    said = {"till": "T1", "amount_minor": 1234, "auth_code": "A1", "by": "anna"}
    decided = await api("POST", f"/v1/charges/{lost}/decision", said, scope="pay")
    assert (decided.json["state"], decided.json["auth_code"]) == ("approved", "A1")
    assert len(terminal.books.taken()) == 2


@pytest.mark.parametrize("printed", [True, False], ids=["printed", "not printed"])
async def test_where_all_witnesses_fail_a_person_decides_on_a_receipt(api, devices, printed):
    """Its answer is lost, then the working memory, and a stranger has printed since."""
    printer = devices[2]
    url = "tcp:{}:{}".format(*await printer.listen())
    patience = {"answer_timeout_s": "0.3", "job_timeout_s": "0.3", "resolve_timeout_s": "0.3"}
    await added(api, "f", "fiscal.posnet", url, allow_fiscal="yes", **patience)
    uuid = next(IDS)
    posnet.obey(printer, "drop-after trend 100000")
    assert (await api("PUT", f"/v1/fiscal-receipts/{uuid}", RECEIPT, scope="fiscal")).status == 201
    await until(lambda: printer.faults.refuse > 0, what="it was printed, and the line cut")
    for line in ("power", "foreign 100", "refuse 0"):
        posnet.obey(printer, line)
    await connected(api, "f")
    number = printer.module.documents[-1].number

    decision, document = ("printed", "1") if printed else ("not_printed", None)
    said = {"decision": decision, "document": document, "by": "anna"}
    async with asyncio.timeout(PATIENCE_S):
        while True:
            told = (await api("GET", f"/v1/fiscal-receipts/{uuid}", scope="fiscal")).json["job"]
            if "Look at the paper" in told["cure"]:
                break
            await asyncio.sleep(0.05)
    assert told["state"] == "sending", "nobody has guessed"
    after = await api("POST", f"/v1/fiscal-receipts/{uuid}/decision", said, scope="fiscal")
    assert after.status == 200, after.body
    assert after.json["job"]["decided_by"] == "anna"
    done = await receipt(api, uuid, "done")
    assert done["evidence"]["document"] == ("1" if printed else str(int(number) + 1))
