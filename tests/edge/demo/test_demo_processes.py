"""Programs are kept alive, and commands that were killed are given again."""

import asyncio
import os
import signal
import sys

import pytest

from edge.demo.processes import DemoFailed, Kept, quiet_port, tell

SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)


async def test_what_is_killed_lives_again_until_it_is_stopped(tmp_path):
    deaths = []
    kept = Kept("sleeper", lambda _: SLEEPER, tmp_path / "log", lambda *death: deaths.append(death))
    await kept.start()
    first = kept.pid
    kept.kill()
    await until(lambda: kept.lives == 2 and kept.pid)
    second = kept.pid
    assert second != first
    assert deaths == [("sleeper", -signal.SIGKILL)]
    await kept.stop()
    await kept.stop()
    assert kept.pid is None
    assert len(deaths) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


async def test_each_life_has_its_own_command_and_one_log(tmp_path):
    log = tmp_path / "log"
    kept = Kept("counter", lambda n: (sys.executable, "-c", f"print('life', {n})"), log)
    await kept.start()
    await until(lambda: "life 1" in log.read_text())
    await kept.stop()
    assert log.read_text().startswith("life 0\nlife 1\n")


async def test_a_command_answers_in_json(tmp_path):
    code = "import sys; print('{\"said\": \"' + sys.argv[-1] + '\"}')"
    assert await tell((sys.executable, "-c", code), tmp_path / "log") == {"said": "--json"}


async def test_a_command_that_was_killed_is_given_again(tmp_path):
    mark = tmp_path / "mark"
    code = (
        "import os, pathlib, signal\n"
        f"mark = pathlib.Path({str(mark)!r})\n"
        "if not mark.exists():\n"
        "    mark.touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "print('{}')"
    )
    assert await tell((sys.executable, "-c", code), tmp_path / "log") == {}
    assert mark.exists()


@pytest.mark.parametrize("code", [2, 4])
async def test_a_refusal_is_told_without_secrets(tmp_path, code):
    script = f"print('no such store'); raise SystemExit({code})"
    with pytest.raises(DemoFailed, match="no such store") as caught:
        await tell((sys.executable, "-c", script, "--code", "SECRET"), tmp_path / "log")
    assert "SECRET" not in str(caught.value)
    assert f"status {code}" in str(caught.value)


def test_a_quiet_port_is_free_and_given_to_nobody_by_chance():
    assert 20_000 <= quiet_port() < 32_000
