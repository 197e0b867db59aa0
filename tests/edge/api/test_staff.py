import sqlite3
from contextlib import closing
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from edge.enrol import DATABASE
from edge.till.staff import LONGEST_WAIT_MS, wait_ms
from tests.edge.api.conftest import NoLink, serving
from tests.edge.till.shop import EAN

ANNA = {"name": "Anna", "pin": "4711", "badge": "B-77"}
JAN = {"name": "Jan", "role": "manager", "pin": "900900"}


async def staffed(api):
    await api("PUT", "/v1/staff/anna", ANNA, scope="admin")
    return await api("PUT", "/v1/staff/jan", JAN, scope="admin")


async def test_a_pin_lets_in_and_nothing_of_it_is_told(api, tmp_path):
    told = (await staffed(api)).json["staff"]
    assert told == [
        {"user": "anna", "name": "Anna", "role": "cashier", "badge": True},
        {"user": "jan", "name": "Jan", "role": "manager", "badge": False},
    ]
    wrong = await api("POST", "/v1/tills/T1/login", {"who": "anna", "pin": "4712"})
    assert "not right" in wrong.problem(403)["detail"]
    nobody = await api("POST", "/v1/tills/T1/login", {"who": "nikt", "pin": "4711"})
    assert nobody.problem(403)["detail"] == wrong.json["detail"]
    here = (await api("POST", "/v1/tills/T1/login", {"who": "B-77", "pin": "4711"})).json
    assert (here["cashier"], here["cashier_name"], here["manager"]) == ("anna", "Anna", False)
    locked = (await api("POST", "/v1/tills/T1/logout")).json
    assert locked["locked"]
    assert (await api("GET", "/v1/tills/T1", scope="read")).json["locked"]
    with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
        bodies = b"".join(body for (body,) in db.execute("SELECT body FROM facts"))
    for secret in (b"4711", b"Anna", b"B-77", b"argon2"):
        assert secret not in bodies
    assert (await api("POST", "/v1/journal/verification", scope="admin")).json["sound"]


async def test_too_many_wrong_pins_lock_out_over_a_restart(tmp_path):
    async with serving(tmp_path, link=NoLink()) as api:
        await staffed(api)
        for _ in range(5):
            await api("POST", "/v1/tills/T1/login", {"who": "anna", "pin": "0000"})
        right = await api("POST", "/v1/tills/T1/login", {"who": "anna", "pin": "4711"})
        assert "locked for 30 s" in right.problem(403)["detail"]
        other = await api("POST", "/v1/tills/T1/login", {"who": "jan", "pin": "900900"})
        assert other.status == 200
    async with serving(tmp_path, link=NoLink()) as api:
        right = await api("POST", "/v1/tills/T1/login", {"who": "anna", "pin": "4711"})
        assert "locked" in right.problem(403)["detail"]
        api.times.ms += 30_000
        right = await api("POST", "/v1/tills/T1/login", {"who": "anna", "pin": "4711"})
        assert right.json["cashier"] == "anna"


async def test_a_try_is_counted_before_it_is_compared(api, monkeypatch):
    await staffed(api)

    def dies(*_):
        raise MemoryError

    monkeypatch.setattr("edge.till.staff._right", dies)
    assert (await api("POST", "/v1/tills/T1/login", {"who": "anna", "pin": "1"})).status == 422
    assert (await api("POST", "/v1/tills/T1/login", {"who": "anna", "pin": "1111"})).status == 500
    counted = await api.node.store.write(lambda unit: unit.failures("anna"))
    assert counted.failures == 1


@given(st.integers(0, 200))
def test_each_wrong_pin_waits_at_least_as_long(failures):
    assert 0 <= wait_ms(failures) <= wait_ms(failures + 1) <= LONGEST_WAIT_MS
    assert (wait_ms(failures) == 0) is (failures <= 4)


async def test_a_manager_is_a_second_person(api):
    await staffed(api)
    await api("POST", "/v1/tills/T1/login", {"who": "jan", "pin": "900900"})
    own = {"who": "jan", "pin": "900900", "what": "ponad prawo"}
    assert (
        "another person"
        in (await api("POST", "/v1/tills/T1/approvals", own)).problem(422)["detail"]
    )
    await api("POST", "/v1/tills/T1/login", {"who": "anna", "pin": "4711"})
    hers = own | {"who": "anna", "pin": "4711"}
    assert (await api("POST", "/v1/tills/T1/approvals", hers)).problem(422)
    assert (await api("POST", "/v1/tills/T1/approvals", own)).json == {"approved_by": "jan"}


async def test_another_comes_to_an_empty_basket_only(api):
    await staffed(api)
    await api("POST", "/v1/tills/T1/login", {"who": "anna", "pin": "4711"})
    await api("POST", "/v1/tills/T1/scans", {"code": EAN[0]})
    jan = await api("POST", "/v1/tills/T1/login", {"who": "jan", "pin": "900900"})
    assert "Anna" in jan.problem(409)["detail"]
    gone = await api("PUT", "/v1/staff/anna", {"name": "Anna", "active": False}, scope="admin")
    assert [one["user"] for one in gone.json["staff"]] == ["jan"]
    assert (await api("GET", "/v1/tills/T1")).json["cashier"] == ""
    assert (await api("POST", "/v1/tills/T1/login", {"who": "anna", "pin": "4711"})).problem(403)


SHIFT, MOVE, SALE = (str(UUID(int=n)) for n in (11, 12, 13))


async def test_a_shift_is_counted_blind_and_its_z_stays(api):
    opened = {"shift": SHIFT, "cashier": "anna", "float_minor": 20_000}
    first = (await api("POST", "/v1/tills/T1/shift", opened)).json
    assert (first["number"], first["shift"]) == (1, SHIFT)
    assert (await api("POST", "/v1/tills/T1/shift", opened)).json == first
    other = opened | {"shift": MOVE}
    assert "in 1 of anna" in (await api("POST", "/v1/tills/T1/shift", other)).problem(409)["detail"]
    await api("POST", "/v1/tills/T1/scans", {"code": EAN[0]})
    pay = {"sale": SALE, "method": "cash", "tendered_minor": 1000, "cashier": "anna"}
    assert (await api("POST", "/v1/tills/T1/payments", pay)).status == 201
    assert (await api("GET", f"/v1/sales/{SALE}")).json["shift"] == "1"
    drop = {"move": MOVE, "drawer": "drop", "amount_minor": 5000, "why": "sejf", "cashier": "anna"}
    for _ in range(2):
        assert (await api("POST", "/v1/tills/T1/shift/cash", drop)).status == 200
    assert (await api("POST", "/v1/tills/T1/shift/cash", drop | {"why": "?"})).problem(409)
    much = drop | {"move": SALE, "amount_minor": 10**6}
    assert (await api("POST", "/v1/tills/T1/shift/cash", much)).problem(422)
    x = (await api("GET", "/v1/tills/T1/shift/x")).json["totals"]
    assert (x["sales"], x["sold_minor"], x["expected_minor"]) == (1, 389, 15_389)
    close = {"shift": SHIFT, "cashier": "anna", "counted_minor": 15_300}
    z = (await api("POST", "/v1/tills/T1/shift/close", close)).json
    assert (z["number"], z["difference_minor"], z["totals"]) == (1, -89, x)
    late = await api("PUT", f"/v1/sales/{UUID(int=99)}", {
        "till": "T1", "cashier": "anna", "shift": "1",
        "lines": [{"sku": "MLEKO", "quantity_milli": 1000, "unit_minor": 389}],
        "payments": [{"method": "cash", "amount_minor": 389}],
    })  # fmt: skip
    assert late.status == 201
    again = (await api("POST", "/v1/tills/T1/shift/close", close | {"counted_minor": 0})).json
    assert again == z
    assert (await api("GET", "/v1/tills/T1/reports")).json["reports"] == [z]
    second = await api("POST", "/v1/tills/T1/shift", opened | {"shift": MOVE})
    assert second.json["number"] == 2
    assert (await api("POST", "/v1/journal/verification", scope="admin")).json["sound"]
