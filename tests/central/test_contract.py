"""A robot walks head office's described API over real TLS and calls the undeclared a bug.

Left out is the check that whatever fits the schema is accepted: no schema knows whether
a text is a CSV, a signing request, or a code that was issued.
"""

import asyncio
import shutil
import threading
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from central.api.contract import ROUTES
from central.config import Folder
from tests.central.conftest import serving

EXAMPLES = 8
"""For each operation and mode. Raise it to hunt."""

OPERATIONS = [
    (route.method, route.path, mode)
    for route in ROUTES
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or route.parameters or route.request
]


@pytest.fixture(autouse=True)
def no_leaked_threads():
    """Head office outlives the single test here, and its readers start when first asked."""


@pytest.fixture(scope="module")
def served(made, tmp_path_factory):
    """Head office in a loop and a thread of its own: the robot is not asynchronous."""
    up = threading.Event()
    found = {}

    async def serve():
        down = asyncio.Event()
        tmp = tmp_path_factory.mktemp("walked")
        folder = Folder(Path(shutil.copytree(made, tmp / "central")))
        async with serving(folder, tmp) as lab:
            found.update(
                url=lab.url,
                token=await lab.token("write"),
                authority=str(folder.authority),
                loop=asyncio.get_running_loop(),
                down=down,
            )
            up.set()
            await down.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="served office")
    thread.start()
    assert up.wait(30)
    yield found
    found["loop"].call_soon_threadsafe(found["down"].set)
    thread.join(30)


@pytest.fixture(scope="module")
def described(served):
    return schemathesis.openapi.from_url(
        f"{served['url']}/openapi.json", verify=served["authority"]
    )


@pytest.mark.parametrize(("method", "path", "mode"), OPERATIONS)
def test_the_api_is_what_its_document_says(served, described, method, path, mode):
    operation = described[path][method]
    bearer = {"Authorization": f"Bearer {served['token']}"}

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
        case.call_and_validate(
            headers=bearer,
            verify=served["authority"],
            excluded_checks=[positive_data_acceptance],
        )

    walk()
