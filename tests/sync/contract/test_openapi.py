from typing import Annotated, Any

import jsonschema_rs
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from sync.contract import problem
from sync.contract.openapi import BadContract, Parameter, Route, document, encode, refusals


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line."""

    sku: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    quantity_milli: Annotated[int, msgspec.Meta(gt=0, le=10**9)]


class Sale(msgspec.Struct, forbid_unknown_fields=True):
    lines: Annotated[list[Line], msgspec.Meta(min_length=1)]
    till: str = "T1"


class Receipt(msgspec.Struct):
    receipt_number: int
    sale: Sale


UUID = Parameter(
    name="uuid",
    where="path",
    type=Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}$")],
    description="Made on the till.",
    example="0123abcd",
)
AFTER = Parameter(name="after", where="query", type=Annotated[int, msgspec.Meta(ge=0)])

ROUTES = (
    Route(
        method="PUT",
        path="/v1/sales/{uuid}",
        summary="Record a finished sale",
        scope="sell",
        request=Sale,
        request_example=Sale(lines=[Line(sku="A", quantity_milli=1000)]),
        answers={201: Receipt, 200: Receipt},
        parameters=(UUID,),
        problems=(409, 503),
    ),
    Route(
        method="GET",
        path="/v1/sales/{uuid}",
        summary="One sale",
        scope="read",
        answers={200: Receipt},
        parameters=(UUID,),
        tags=("sales",),
    ),
    Route(
        method="GET",
        path="/v1/sales",
        summary="Sales",
        scope="read",
        answers={200: list[Receipt]},
        parameters=(AFTER,),
    ),
    Route(
        method="POST",
        path="/v1/catalogue",
        summary="Import",
        scope="write",
        request=list[Line],
        also_takes=("text/csv",),
        answers={200: dict[str, int]},
    ),
    Route(method="GET", path="/v1/status", summary="State", answers={200: dict[str, str]}),
    Route(method="DELETE", path="/v1/shelf", summary="Clear", answers={204: None}),
)


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return msgspec.json.decode(encode(document(ROUTES, title="Karb", version="1", description="d")))


def _refs(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from _refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _refs(value)


def test_every_reference_leads_somewhere(described):
    refs = set(_refs(described))
    assert "#/components/schemas/Receipt" in refs
    for ref in refs:
        node = described
        for step in ref.removeprefix("#/").split("/"):
            node = node[step]


def test_every_schema_is_a_valid_json_schema(described):
    for schema in described["components"]["schemas"].values():
        jsonschema_rs.meta.validate(
            {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"}
        )


def test_every_operation_declares_what_follows_from_it(described):
    put = described["paths"]["/v1/sales/{uuid}"]["put"]
    assert list(put["responses"]) == [
        "200", "201", "400", "401", "403", "404", "409", "413", "415", "422", "503",
    ]  # fmt: skip
    assert put["security"] == [{"bearer": ["sell"]}]
    assert put["parameters"] == [
        {
            "name": "uuid",
            "in": "path",
            "required": True,
            "description": "Made on the till.",
            "example": "0123abcd",
            "schema": {"type": "string", "pattern": "^[0-9a-f]{8}$"},
        }
    ]
    assert put["requestBody"]["required"] is True
    assert put["requestBody"]["content"]["application/json"]["example"]["till"] == "T1"
    assert list(described["paths"]["/v1/sales"]["get"]["responses"]) == ["200", "400", "401", "403"]
    status = described["paths"]["/v1/status"]["get"]
    assert status["security"] == []
    assert list(status["responses"]) == ["200"]
    assert described["paths"]["/v1/shelf"]["delete"]["responses"]["204"] == {
        "description": "No Content"
    }
    assert set(described["paths"]["/v1/catalogue"]["post"]["requestBody"]["content"]) == {
        "application/json",
        "text/csv",
    }
    ids = [op["operationId"] for path in described["paths"].values() for op in path.values()]
    assert len(set(ids)) == len(ROUTES)


def test_every_refusal_has_an_example_that_is_a_problem(described):
    responses = described["components"]["responses"]
    assert {400, 401, 403, 404, 409, 413, 415, 422, 503} == {int(name[7:]) for name in responses}
    schema = {
        **described["components"]["schemas"]["Problem"],
        "components": described["components"],
    }
    for name, response in responses.items():
        content = response["content"][problem.CONTENT_TYPE]
        jsonschema_rs.validate(schema, content["example"])
        told = problem.decode(msgspec.json.encode(content["example"]))
        assert f"Problem{told.status}" == name
        assert told.detail


def test_the_same_table_gives_the_same_bytes():
    assert encode(document(ROUTES, title="Karb", version="1")) == encode(
        document(ROUTES, title="Karb", version="1")
    )


def test_a_robot_can_walk_it(described):
    schema = schemathesis.openapi.from_dict(described)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == len(ROUTES)
    schema.validate()


ROBOT = schemathesis.openapi.from_dict(document(ROUTES, title="Karb", version="1"))


@settings(max_examples=10, suppress_health_check=list(HealthCheck), deadline=None)
@given(case=ROBOT["/v1/sales/{uuid}"]["PUT"].as_strategy())
def test_what_the_robot_sends_is_what_we_decode(case):
    # JSON Schema calls 1.0 an integer and has no word that forbids it; strict msgspec refuses it.
    msgspec.json.decode(msgspec.json.encode(case.body), type=Sale, strict=False)
    assert case.media_type == "application/json"


@settings(max_examples=10, suppress_health_check=list(HealthCheck), deadline=None)
@given(case=ROBOT["/v1/catalogue"]["POST"].as_strategy())
def test_the_robot_can_send_either_media_type(case):
    assert case.media_type in {"application/json", "text/csv"}


def test_refusals_follow_from_the_route():
    assert refusals(ROUTES[-1]) == ()
    assert refusals(ROUTES[3]) == (400, 401, 403, 413, 415, 422)


def _route(**changes):
    fields = {"method": "GET", "path": "/a", "summary": "s", "answers": {200: None}, **changes}
    return Route(**fields)


@pytest.mark.parametrize(
    ("routes", "told"),
    [
        ([_route(), _route()], "once"),
        ([_route(path="/a/{x}")], r"the path has \['x'\], its parameters \[\]"),
        ([_route(parameters=(UUID,))], r"the path has \[\], its parameters \['uuid'\]"),
        ([_route(parameters=(AFTER, AFTER))], "each parameter once"),
        ([_route(method="FETCH")], "FETCH"),
        ([_route(path="a")], "slash"),
        ([_route(answers={404: None})], "200 to 399"),
        ([_route(answers={})], "200 to 399"),
        ([_route(problems=(200,))], "400 to 599"),
        ([_route(request=Sale)], "no request body"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(routes, told):
    with pytest.raises(BadContract, match=told):
        document(routes, title="Karb", version="1")


def test_two_paths_that_match_alike_are_one():
    one = _route(path="/a/{uuid}", parameters=(UUID,))
    other = _route(path="/a/{id}", parameters=(Parameter(name="id", where="path", type=str),))
    with pytest.raises(BadContract, match="once"):
        document([one, other], title="Karb", version="1")
