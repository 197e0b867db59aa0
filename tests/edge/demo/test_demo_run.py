"""The demo itself, from the command to the table; and with a stranger killing its programs."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ZERO = "Every difference is zero"
TRIALS = 6
"""Of the two nodes in one store."""


@contextmanager
def running(tmp_path, *options):
    command = [sys.executable, "-m", "edge", "demo", "--stores", "2", "--seed", "1", "--once"]
    with (
        (tmp_path / "said").open("wb") as said,
        subprocess.Popen(
            [*command, *options],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "120"},
        ) as demo,
    ):
        try:
            yield demo
        finally:
            if demo.poll() is None:
                demo.terminate()


def told(tmp_path):
    return (tmp_path / "said").read_text()


def children(pid):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return sorted(found)


@pytest.mark.timeout(240)
def test_it_ends_in_zero_and_leaves_nothing(tmp_path):
    with running(tmp_path, "--baskets", "4") as demo:
        status = demo.wait(200)
    assert status == 0, told(tmp_path)
    assert ZERO in told(tmp_path)
    assert told(tmp_path).count(" s  ✓ ") == TRIALS
    assert not list(tmp_path.glob("karb-demo-*"))


@pytest.mark.timeout(300)
def test_whoever_kills_whatever_it_ends_in_zero(tmp_path):
    fate = random.Random(7)
    killed = 0
    with running(tmp_path, "--baskets", "40") as demo:
        until = time.monotonic() + 15
        while demo.poll() is None and time.monotonic() < until:
            time.sleep(fate.uniform(0.3, 1.5))
            victims = children(demo.pid)
            if victims:
                try:
                    os.kill(fate.choice(victims), signal.SIGKILL)
                except ProcessLookupError:
                    continue
                killed += 1
        status = demo.wait(200)
    assert status == 0, told(tmp_path)
    assert ZERO in told(tmp_path)
    assert told(tmp_path).count(" s  ✓ ") == TRIALS
    assert killed > 5


@pytest.mark.timeout(120)
@pytest.mark.parametrize("after_s", [2.0, 8.0])
def test_stopped_by_hand_it_cleans_up(tmp_path, after_s):
    with running(tmp_path, "--baskets", "400") as demo:
        with suppress(subprocess.TimeoutExpired):
            demo.wait(after_s)
        started = children(demo.pid)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 128 + signal.SIGINT, told(tmp_path)
    assert not list(tmp_path.glob("karb-demo-*"))
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)


def test_a_shop_of_too_few_baskets_is_refused(tmp_path):
    with running(tmp_path, "--baskets", "2") as demo:
        assert demo.wait(30) == 2
    assert "--baskets 2: expected" in told(tmp_path)
