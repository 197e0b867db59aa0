"""The served ``/openapi.json``, built from the same literal table the program routes by.

Schemas come from the message types themselves, so the description cannot drift from
what is decoded. Every refusal a route can answer is declared, with an example, which
is what lets a robot walk the whole surface and call anything undeclared a bug.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

import msgspec

from sync.contract.problem import CONTENT_TYPE, Mistake, Problem, problem
from sync.errors import SyncError

JSON = "application/json"
BEARER = "bearer"
METHODS = ("get", "put", "post", "patch", "delete")

_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class BadContract(SyncError):
    """The table of routes contradicts itself: a bug of ours, raised at start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One value in the path or the query."""

    name: str
    where: Literal["path", "query"]
    type: Any
    """A msgspec type, such as ``Annotated[str, Meta(pattern="^[a-z]+$", max_length=9)]``."""

    description: str = ""
    required: bool = False
    """A path parameter always is."""

    example: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method on one path."""

    method: str
    path: str
    """With its places in braces: ``/v1/sales/{uuid}``."""

    summary: str
    answers: Mapping[int, Any]
    """Type of the JSON body by status below 400; None: no body."""

    scope: str | None = None
    """The token scope it demands; None: anybody may."""

    request: Any = None
    """Type of the JSON body it takes; None: none."""

    also_takes: tuple[str, ...] = ()
    """Other media types of the request, taken as text: ``text/csv``."""

    parameters: tuple[Parameter, ...] = ()
    problems: tuple[int, ...] = ()
    """Refusals beside those that follow from the rest (`refusals`)."""

    request_example: Any = None
    tags: tuple[str, ...] = field(default=())


def refusals(route: Route) -> tuple[int, ...]:
    """Statuses of 400 and above a route may answer, in order.

    A scope brings 401 and 403; a parameter 400; a place in the path 404; a body
    400, 413, 415 and 422.
    """
    found = set(route.problems)
    if route.scope is not None:
        found |= {401, 403}
    if route.parameters:
        found.add(400)
    if any(parameter.where == "path" for parameter in route.parameters):
        found.add(404)
    if _has_body(route):
        found |= {400, 413, 415, 422}
    return tuple(sorted(found))


def document(
    routes: Iterable[Route], *, title: str, version: str, description: str = ""
) -> dict[str, Any]:
    """Build the OpenAPI 3.1 document.

    Raises:
        BadContract: A route is there twice, a place has no parameter or a parameter
            no place, or a status stands where it cannot.
    """
    table = tuple(routes)
    _check(table)
    types: list[Any] = [Problem]
    for route in table:
        types += [parameter.type for parameter in route.parameters]
        types += [kind for kind in (route.request, *route.answers.values()) if kind is not None]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    schema = iter(schemas)
    problem_schema = next(schema)
    paths: dict[str, dict[str, Any]] = {}
    statuses: set[int] = set()
    for route in table:
        parameters = [_parameter(parameter, next(schema)) for parameter in route.parameters]
        body = _body(route, None if route.request is None else next(schema))
        answers = {
            str(status): _answer(status, None if kind is None else next(schema))
            for status, kind in route.answers.items()
        }
        for status in refusals(route):
            statuses.add(status)
            answers[str(status)] = {"$ref": f"#/components/responses/{_problem_name(status)}"}
        operation: dict[str, Any] = {
            "operationId": _operation_id(route),
            "summary": route.summary,
            "responses": answers,
            "security": [] if route.scope is None else [{BEARER: [route.scope]}],
        }
        if route.tags:
            operation["tags"] = list(route.tags)
        if parameters:
            operation["parameters"] = parameters
        if body:
            operation["requestBody"] = body
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    info: dict[str, Any] = {"title": title, "version": version}
    if description:
        info["description"] = description
    return {
        "openapi": "3.1.0",
        "info": info,
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {
                _problem_name(status): _refusal(status, problem_schema)
                for status in sorted(statuses)
            },
            "securitySchemes": {
                BEARER: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Made by `token create`; the scope stands in its name.",
                }
            },
        },
    }


def encode(described: Mapping[str, Any]) -> bytes:
    """Return the bytes to serve; the same table gives the same bytes."""
    return msgspec.json.encode(described, order="deterministic")


def _check(routes: tuple[Route, ...]) -> None:
    seen: set[tuple[str, str]] = set()
    for route in routes:
        name = f"{route.method} {route.path}"
        method = route.method.lower()
        if method not in METHODS:
            raise BadContract(f"{name}: expected a method of {', '.join(METHODS)}.")
        shape = (method, _PLACE.sub("{}", route.path))
        if shape in seen:
            raise BadContract(f"{name}: expected each method and path once; remove one.")
        seen.add(shape)
        if not route.path.startswith("/"):
            raise BadContract(f"{name}: expected a path that starts with a slash.")
        places = _PLACE.findall(route.path)
        described = [item.name for item in route.parameters if item.where == "path"]
        if sorted(places) != sorted(described):
            raise BadContract(f"{name}: the path has {places}, its parameters {described}.")
        names = [(item.where, item.name) for item in route.parameters]
        if len(set(names)) != len(names):
            raise BadContract(f"{name}: expected each parameter once.")
        if not route.answers or not all(200 <= status < 400 for status in route.answers):
            raise BadContract(f"{name}: expected answers of 200 to 399, got {list(route.answers)}.")
        if not all(400 <= status < 600 for status in route.problems):
            raise BadContract(f"{name}: expected problems of 400 to 599, got {route.problems}.")
        if method == "get" and _has_body(route):
            raise BadContract(f"{name}: expected no request body.")


def _has_body(route: Route) -> bool:
    return route.request is not None or bool(route.also_takes)


def _parameter(parameter: Parameter, schema: Any) -> dict[str, Any]:
    described = {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.required or parameter.where == "path",
        "schema": schema,
    }
    if parameter.description:
        described["description"] = parameter.description
    if parameter.example is not None:
        described["example"] = parameter.example
    return described


def _body(route: Route, schema: Any) -> dict[str, Any] | None:
    if not _has_body(route):
        return None
    content: dict[str, Any] = {}
    if schema is not None:
        content[JSON] = {"schema": schema}
        if route.request_example is not None:
            content[JSON]["example"] = msgspec.to_builtins(route.request_example)
    for media in route.also_takes:
        content[media] = {"schema": {"type": "string"}}
    return {"required": True, "content": content}


def _answer(status: int, schema: Any) -> dict[str, Any]:
    described: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if schema is not None:
        described["content"] = {JSON: {"schema": schema}}
    return described


def _refusal(status: int, schema: Any) -> dict[str, Any]:
    example = _EXAMPLES.get(status) or problem(status, "The request was refused.")
    described: dict[str, Any] = {
        "description": example.title,
        "content": {
            CONTENT_TYPE: {"schema": schema, "example": msgspec.to_builtins(example)},
        },
    }
    if status == HTTPStatus.UNAUTHORIZED:
        described["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return described


def _problem_name(status: int) -> str:
    return f"Problem{status}"


def _operation_id(route: Route) -> str:
    words = re.findall(r"[A-Za-z0-9]+", route.path)
    return "_".join([route.method.lower(), *words])


_EXAMPLES: dict[int, Problem] = {
    400: problem(
        400,
        "The body is not JSON: expected a value at byte 17, got '}'; send valid JSON.",
        errors=[Mistake(where="body", value="}", expected="a value")],
    ),
    401: problem(401, "No Authorization header: expected 'Bearer karb_<scope>_<…>'."),
    403: problem(403, "Token of scope 'read': expected 'sell'; make one with `token create`."),
    404: problem(404, "SKU 'A-17' is not in the catalogue; import it first."),
    409: problem(409, "Sale 3f0c… exists with another body; a new sale needs a new id."),
    413: problem(413, "Body of 70000000 bytes: expected at most 33554432; send it in parts."),
    415: problem(415, "Content-Type 'text/html': expected application/json."),
    422: problem(
        422,
        "The sale was refused; nothing was stored.",
        errors=[
            Mistake(
                where="lines[0].quantity_milli",
                value="0",
                expected="a whole number above zero",
                cure="leave the line out",
            )
        ],
    ),
    429: problem(429, "Too many requests; wait for as long as Retry-After says."),
    500: problem(500, "The program failed; nothing was stored. The log names the reason."),
    503: problem(503, "The disk is full: nothing can be stored; free some room."),
}
