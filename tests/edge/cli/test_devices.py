"""`karb devices …` word for word, with a node that runs and simulators that are processes."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from hw.registry import SIMULATORS
from tests.edge.cli.test_commands import karb, node, running  # noqa: F401 - a fixture


@contextmanager
def simulated(driver, *more):
    """A simulator started by the command; yields it and where it is."""
    command = [sys.executable, "-m", "edge", "devices", "simulate", driver, *more]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.terminate()
            process.communicate()


def test_a_scanner_and_a_printer_from_scan_to_removal(node, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    data = ("--data", node)
    with (
        simulated("scanner.serial", "--pty") as (scanner, path),
        simulated("printer.escpos", "--port", "0") as (_, address),
    ):
        found = karb("devices", "scan", *data, "--interface", "127.0.0.1", "--json")["found"]
        [url] = [one["url"] for one in found if one["bound_by"] == "simulator"]
        assert url == f"serial:{path}"
        # Without a node it is written down; what cannot be is refused, with the near one named.
        add = ("--driver", "scanner.serial", "--url", url, "--till", "T1", *data)
        karb("devices", "add", "skaner", *add)
        wrong = ("devices", "add", "d", "--driver", "printer.escpo", "--url", address, *data)
        assert "did you mean printer.escpos" in karb(*wrong, code=4)
        assert "not running" in karb("devices", "list", *data)
        karb("devices", "test", "skaner", *data, code=3)
        with running(node):
            add = ("--driver", "printer.escpos", "--url", f"tcp:{address}", "--till", "T1", *data)
            karb("devices", "add", "drukarka", *add)
            assert "both at" in karb("devices", "add", "druga", *add, code=4)

            def states():
                rows = karb("devices", "list", *data, "--json")["devices"]
                return {row["id"]: row["state"] for row in rows}

            wait_for(lambda: states() == {"skaner": "connected", "drukarka": "connected"})
            assert "job test/" in karb("devices", "test", "drukarka", *data)
            wait_for(lambda: "state=done" in karb("devices", "log", "drukarka", *data))
            scanner.stdin.write("5901234123457\n")
            scanner.stdin.flush()
            wait_for(lambda: "code=5901234123457" in karb("devices", "log", "skaner", *data))
            assert "shared" in karb("devices", "bind", "drukarka", "--shared", *data)
            assert "serves one till" in karb("devices", "bind", "skaner", "--shared", *data, code=4)
            karb("devices", "remove", "skaner", *data)
            assert "expected one of this node" in karb("devices", "log", "skaner", *data, code=4)
            code = karb("token", "pair", "--till", "T1", "--scope", "print", *data, "--json")
            assert len(code["code"]) == 8
        [left] = karb("devices", "list", *data, "--json")["devices"]
        assert (left["id"], left["shared"]) == ("drukarka", True)


@pytest.mark.parametrize("driver", sorted(SIMULATORS))
def test_every_simulator_starts_and_says_where_it_is(driver, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    where = ("--pty",) if driver.endswith(".serial") else ("--port", "0")
    with simulated(driver, *where) as (_, place):
        assert place.rpartition(":")[2].isdigit() or Path(place).exists()


def test_a_driver_without_a_simulator_is_refused_with_the_near_one():
    assert "Did you mean 'fiscal.posnet'" in karb("devices", "simulate", "fiscal.posne", code=2)


def wait_for(condition):
    """Each look is a process of its own: a handful of them is patience enough."""
    for _ in range(20):
        if condition():
            return
    pytest.fail("it never happened")
