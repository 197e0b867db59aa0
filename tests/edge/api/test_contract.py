"""A robot walks the described API over a real server and calls anything undeclared a bug.

One of its checks is left out: that whatever fits the schema is accepted. No schema knows
the catalogue or adds up payments, and to JSON Schema 21.0 is a whole number, to us a float.
"""

import asyncio
import threading

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from edge.api.routes import TABLE
from tests.edge.api.conftest import NoLink, serving

EXAMPLES = 8
"""For each operation and mode. Raise it to hunt."""


class Quick(NoLink):
    """A link with nothing to carry: no answer of it is an error of the server."""

    async def sync_now(self):
        return 0


OPERATIONS = [
    (entry.route.method, entry.route.path, mode)
    for entry in TABLE
    for mode in GenerationMode
    # Where nothing can be said, nothing wrong can be said.
    if mode is GenerationMode.POSITIVE or entry.route.parameters or entry.route.request
]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The API in a loop and a thread of its own: the robot is not asynchronous."""
    up = threading.Event()
    found = {}

    async def serve():
        down = asyncio.Event()
        async with serving(tmp_path_factory.mktemp("node"), link=Quick()) as api:
            found.update(api=api, loop=asyncio.get_running_loop(), down=down)
            up.set()
            await down.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="served api")
    thread.start()
    assert up.wait(20)
    yield found["api"]
    found["loop"].call_soon_threadsafe(found["down"].set)
    thread.join(20)


@pytest.fixture(scope="module")
def described(served):
    return schemathesis.openapi.from_url(f"{served.url}/openapi.json")


@pytest.mark.parametrize(("method", "path", "mode"), OPERATIONS)
def test_the_api_is_what_its_document_says(served, described, method, path, mode):
    operation = described[path][method]
    bearer = {"Authorization": f"Bearer {served.tokens['admin']}"}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(operation.as_strategy(generation_mode=mode))
    def walk(case):
        case.call_and_validate(headers=bearer, excluded_checks=[positive_data_acceptance])

    walk()
