"""Customers' profiles, over the real API."""

from uuid import UUID

from sync.chain import ALL, Batch, Fact, Head, StreamId, extend, genesis, sign
from sync.facts import encode, kind_of
from sync.facts.person import PersonForgotten
from tests.edge.store.rig import key

ID = "6f1f6f5e-51a5-4a43-9f1e-0a3f0d7e8d11"
OTHER = "7a1f6f5e-51a5-4a43-9f1e-0a3f0d7e8d22"
BODY = {
    "name": "Grażyna Żółć",
    "phone": "+48 601 202 303",
    "email": "Grazyna@Example.pl",
    "nip": "526-025-02-74",
    "consents": {"sms": True},
    "codes": ["KARTA-77", "NFC:04a1"],
}


async def test_a_profile_is_made_changed_and_found(api):
    made = await api("PUT", f"/v1/customers/{ID}", BODY)
    assert made.status == 201
    assert made.json["nip"] == "5260250274"
    assert made.json["consents"] == {"sms": True}
    before = api.node.store.heads()
    assert (await api("PUT", f"/v1/customers/{ID}", BODY)).status == 200
    assert api.node.store.heads() == before, "the same again writes nothing"
    changed = {**BODY, "phone": "700 800 900", "codes": ["KARTA-77"], "consents": {}}
    assert (await api("PUT", f"/v1/customers/{ID}", changed)).status == 200
    there = (await api("GET", f"/v1/customers/{ID}", scope="read")).json
    assert (there["phone"], there["codes"], there["consents"]) == (
        "700 800 900",
        ["KARTA-77"],
        {},
    )
    for sought, count in (
        ("KARTA-77", 1),
        ("700800900", 1),
        ("+48 700-800-900", 1),
        ("grazyna@example.PL", 1),
        ("NFC:04a1", 0),
        ("601202303", 0),
        ("Grażyna", 0),
    ):
        found = await api("GET", "/v1/customers", scope="read", params={"code": sought})
        assert len(found.json["customers"]) == count, sought
    assert (await api.node.store.verify()).findings == []


async def test_one_code_may_stand_for_two(api):
    await api("PUT", f"/v1/customers/{ID}", BODY)
    await api("PUT", f"/v1/customers/{OTHER}", {**BODY, "name": "Jan"})
    found = await api("GET", "/v1/customers", scope="read", params={"code": "KARTA-77"})
    assert {one["uuid"] for one in found.json["customers"]} == {ID, OTHER}


async def test_what_cannot_be_a_profile_says_why(api):
    (await api("GET", f"/v1/customers/{ID}", scope="read")).problem(404)
    said = (await api("PUT", f"/v1/customers/{ID}", {"nip": "123"})).problem(422)
    assert said["errors"][0]["where"] == "nip"
    assert "5260" not in (await api("PUT", f"/v1/customers/{ID}", {"nip": "52602"})).json["detail"]
    (await api("PUT", f"/v1/customers/{ID}", {"nick": "x"})).problem(422)
    (await api("GET", "/v1/customers", scope="read")).problem(400)
    for query in ("code=K1&phone=601", "code=K1&code=K2", "code="):
        (await api("GET", f"/v1/customers?{query}", scope="read")).problem(400)
    (await api("GET", f"/v1/customers/{ID}", scope=None)).problem(401)


async def test_the_id_of_a_basket_is_no_customers(api):
    await api("POST", "/v1/tills/T1/scans", {"code": "MLEKO"})
    await api("POST", "/v1/tills/T1/park", {"basket": ID, "cashier": "anna"})
    (await api("PUT", f"/v1/customers/{ID}", BODY)).problem(409)
    await api("PUT", f"/v1/customers/{OTHER}", BODY)
    await api("POST", "/v1/tills/T1/scans", {"code": "MLEKO"})
    (await api("POST", "/v1/tills/T1/park", {"basket": OTHER, "cashier": "anna"})).problem(409)


async def test_a_forgotten_customer_is_gone_for_ever(api):
    await api("PUT", f"/v1/customers/{ID}", BODY)
    # As head office says it, in its stream for every store.
    office = key(3)
    stream = StreamId(office.node, 1, ALL)
    body = PersonForgotten(UUID(ID).bytes, ())
    fact = Fact(1, 1, *kind_of(body), UUID(ID).bytes, encode(body))
    (digest,) = extend(genesis(stream), [fact])
    batch = Batch(stream, [fact], sign(office.private, Head(stream, 1, digest)))
    await api.node.store.write(lambda unit: unit.receive(batch, office.public))
    (await api("GET", f"/v1/customers/{ID}", scope="read")).problem(410)
    (await api("PUT", f"/v1/customers/{ID}", BODY)).problem(410)
    found = await api("GET", "/v1/customers", scope="read", params={"code": "KARTA-77"})
    assert found.json["customers"] == []
